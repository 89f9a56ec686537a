// The catalog as readers see it: namespaces, collections, relations, and the
// tombstones that hide what the collector has yet to remove.
//
// A Catalog is immutable and belongs to one commit; every change makes a new one
// that shares the namespaces it does not touch. A ReadView pairs it with the
// snapshot of the same commit.
#ifndef COOKIX_ENGINE_CATALOG_CATALOG_H_
#define COOKIX_ENGINE_CATALOG_CATALOG_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cookix/internal/v1/records.pb.h"
#include "engine/records.h"

namespace cookix::engine {

// A relation with its algebra resolved to ids.
struct RelationInfo {
  RelationId id = 0;
  internal::v1::RelationRecord record;
  // The inverse relation's id; 0 = none.
  RelationId inverse = 0;
  bool symmetric() const { return record.relation().symmetric(); }
};

struct CollectionInfo {
  CollectionId id = 0;
  // Vector and text fields are resolved (engine/vector/vector_field.h,
  // engine/text/text_field.h).
  internal::v1::CollectionRecord record;
};

// One namespace at one commit. Immutable.
struct NamespaceInfo {
  NamespaceId id = 0;
  internal::v1::NamespaceRecord record;

  std::map<std::string, std::shared_ptr<const CollectionInfo>, std::less<>> collections;
  std::unordered_map<CollectionId, std::shared_ptr<const CollectionInfo>> collections_by_id;
  std::map<std::string, std::shared_ptr<const RelationInfo>, std::less<>> relations;
  // By id; ids without a relation are null.
  std::vector<std::shared_ptr<const RelationInfo>> relations_by_id;

  // Collections being dropped: their objects are hidden.
  std::unordered_map<CollectionId, uint64_t> dropped_collections;
  // Vector fields whose vectors are being deleted. Their collections do not have
  // them, and objects may list them still.
  std::set<std::pair<CollectionId, std::string>> dropped_vector_fields;
  // Objects with a pending tombstone: commit of the tombstone by ordinal. An
  // edge is hidden when its version is not above the commit of OUT or BOTH at its
  // source, or of BOTH at its target.
  std::unordered_map<Ordinal, uint64_t> tombstones_out;
  std::unordered_map<Ordinal, uint64_t> tombstones_both;
  bool has_tombstones() const { return !tombstones_out.empty() || !tombstones_both.empty(); }

  // True when a stored edge is hidden by a tombstone.
  bool EdgeHidden(Ordinal source, Ordinal target, uint64_t version) const {
    if (!has_tombstones()) return false;
    if (auto it = tombstones_both.find(source);
        it != tombstones_both.end() && version <= it->second) {
      return true;
    }
    if (auto it = tombstones_both.find(target);
        it != tombstones_both.end() && version <= it->second) {
      return true;
    }
    auto it = tombstones_out.find(source);
    return it != tombstones_out.end() && version <= it->second;
  }

  // Null when unknown.
  const RelationInfo* FindRelation(std::string_view name) const;
  const RelationInfo* FindRelation(RelationId id) const;
  const CollectionInfo* FindCollection(std::string_view name) const;  // "" = default
  const CollectionInfo* FindCollection(CollectionId id) const;
};

struct Catalog {
  std::map<std::string, std::shared_ptr<const NamespaceInfo>, std::less<>> namespaces;
  std::unordered_map<NamespaceId, std::shared_ptr<const NamespaceInfo>> namespaces_by_id;

  // Null when unknown; "" = "default".
  std::shared_ptr<const NamespaceInfo> Find(std::string_view name) const;
  std::shared_ptr<const NamespaceInfo> Find(NamespaceId id) const;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_CATALOG_CATALOG_H_
