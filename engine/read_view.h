// What one read works on: a snapshot of the store and the catalog of the same
// commit. Every answer is computed from one ReadView, so it is the answer at one
// position.
#ifndef COOKIX_ENGINE_READ_VIEW_H_
#define COOKIX_ENGINE_READ_VIEW_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "cookix/internal/v1/records.pb.h"
#include "cookix/v1/common.pb.h"
#include "engine/catalog/catalog.h"
#include "engine/name_table.h"
#include "engine/records.h"
#include "storage/snapshot.h"

namespace cookix::engine {

// Cheap to copy; thread-safe. Holding one keeps a snapshot alive: see
// storage/snapshot.h for what that costs.
struct ReadView {
  std::shared_ptr<const storage::Snapshot> snapshot;
  std::shared_ptr<const Catalog> catalog;
  // Borrowed; null: names are read from records.
  const NameTable* names = nullptr;

  uint64_t commit() const { return snapshot->commit(); }
};

// A ReadView narrowed to one namespace: what graph, filters and queries take.
struct NamespaceView {
  std::shared_ptr<const storage::Snapshot> snapshot;
  std::shared_ptr<const NamespaceInfo> ns;
  NameTable::Reader names;

  NamespaceId id() const { return ns->id; }
  uint64_t commit() const { return snapshot->commit(); }

  // The ordinal of a reference, dangling ones included; 0 when nothing has or
  // refers to it. NOT_FOUND (COLLECTION_NOT_FOUND) for an unknown collection;
  // `field` names the request field in errors.
  absl::StatusOr<Ordinal> FindOrdinal(const v1::ObjectRef& ref, std::string_view field) const;

  // The record of an ordinal; false when there is none (it is gone, or its
  // collection is being dropped).
  absl::StatusOr<bool> ReadRecord(Ordinal ordinal, internal::v1::ObjectRecord* record) const;

  // The collection and key of an ordinal; false when there is no record.
  absl::StatusOr<bool> FindName(Ordinal ordinal, CollectionId* collection, std::string* key) const;

  // The reference of an ordinal; false when there is no record (as ReadRecord).
  absl::StatusOr<bool> FindRef(Ordinal ordinal, v1::ObjectRef* ref) const;

  // The reference of an ordinal that the graph leads to: that it has none is DATA_LOSS.
  absl::Status FillRef(Ordinal ordinal, v1::ObjectRef* ref) const;

  // A stored object as sent to clients. Output fields are set; vectors are not.
  v1::Object ToObject(internal::v1::ObjectRecord&& record) const;
};

// The same where the name of the object's collection is known.
v1::Object ToObject(internal::v1::ObjectRecord&& record, std::string_view collection);

// Collection and key of a serialized ObjectRecord, without reading the rest. False on
// malformed bytes.
bool DecodeObjectName(std::string_view record, CollectionId* collection, std::string* key);

// NAMESPACE_NOT_FOUND when the namespace is unknown.
absl::StatusOr<NamespaceView> InNamespace(const ReadView& view, std::string_view name);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_READ_VIEW_H_
