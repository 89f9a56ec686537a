// The catalog on disk: keys of the family `catalog`, and reading all of it.
#ifndef COOKIX_ENGINE_CATALOG_CATALOG_STORE_H_
#define COOKIX_ENGINE_CATALOG_CATALOG_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/catalog/catalog.h"
#include "storage/snapshot.h"

namespace cookix::engine {

// What a namespace counts: written with every commit that changes it.
struct NamespaceCounters {
  Ordinal next_ordinal = kFirstOrdinal;
  uint64_t next_edge_id = 1;
  std::unordered_map<CollectionId, int64_t> objects;
  std::unordered_map<RelationId, int64_t> edges;
};

std::string NamespaceRecordKey(std::string_view name);
std::string CollectionRecordKey(NamespaceId ns, std::string_view name);
std::string RelationRecordKey(NamespaceId ns, std::string_view name);
std::string NextNamespaceIdKey();
std::string SequencesKey(NamespaceId ns);
std::string ObjectCountKey(NamespaceId ns, CollectionId collection);
std::string EdgeCountKey(NamespaceId ns, RelationId relation);
std::string TombstoneKey(uint64_t commit, uint32_t sequence);
std::string ExpiryKey(int64_t expires_ms, NamespaceId ns, Ordinal ordinal);
// False on malformed bytes.
bool DecodeExpiryKey(std::string_view key, int64_t* expires_ms, NamespaceId* ns, Ordinal* ordinal);

struct LoadedCatalog {
  std::shared_ptr<const Catalog> catalog;
  NamespaceId next_namespace_id = 1;
  std::unordered_map<NamespaceId, NamespaceCounters> counters;
  // Pending tombstones by key, in order.
  std::vector<std::pair<std::string, internal::v1::TombstoneRecord>> tombstones;
  // The earliest expiry; 0 = none.
  int64_t next_expiry_ms = 0;
};

// The namespace that one of the records of NamespaceCounters is of. False when it is none.
bool NamespaceOfCounter(std::string_view key, NamespaceId* ns);
// Puts what the record says into `counters`. False when it is malformed.
bool ReadCounter(std::string_view key, std::string_view value, NamespaceCounters* counters);

// Reads everything. DATA_LOSS for malformed records.
absl::StatusOr<LoadedCatalog> LoadCatalog(const storage::Snapshot& snapshot);

// Fills the derived members of a namespace (by-id tables, inverses) from its
// records.
void ResolveRelations(NamespaceInfo* ns);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_CATALOG_CATALOG_STORE_H_
