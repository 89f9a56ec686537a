// One commit under construction: mutations of one namespace, over the state that
// the writer had when the commit's turn came.
//
// Everything is staged in memory, so that later mutations see earlier ones and a
// failing one leaves no trace. Finish() fills the batch; Writer takes the staged
// state over when the builder has succeeded.
#ifndef COOKIX_ENGINE_WRITE_WRITE_SESSION_H_
#define COOKIX_ENGINE_WRITE_WRITE_SESSION_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/internal/v1/records.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "engine/catalog/catalog.h"
#include "engine/catalog/catalog_store.h"
#include "engine/limits.h"
#include "engine/records.h"
#include "engine/write/vector_rows.h"
#include "storage/store.h"

namespace cookix::engine {

// What a key stands for.
struct KnownOrdinal {
  Ordinal ordinal = 0;  // 0 = unknown
  // Surely a dangling target; false says nothing.
  bool dangling = false;
};

// Remembers ordinals of keys across commits. Only the thread that builds touches
// it. Bounded: forgets everything when full.
class IdentityCache {
 public:
  explicit IdentityCache(size_t max_entries);
  KnownOrdinal Find(std::string_view identity_key) const;
  void Put(std::string_view identity_key, KnownOrdinal known);
  void Erase(std::string_view identity_key);
  void Clear() { entries_.clear(); }

 private:
  // SipHash of 128 bits under a random key: nobody can make two keys that agree, and by
  // chance it happens to a billion of them once in 10^20.
  using Fingerprint = std::array<uint64_t, 2>;
  struct FingerprintHash {
    size_t operator()(const Fingerprint& fingerprint) const { return fingerprint[0]; }
  };
  Fingerprint Of(std::string_view identity_key) const;

  std::array<uint8_t, 16> hash_key_;
  // The ordinal, and the top bit for a dangling one.
  absl::flat_hash_map<Fingerprint, uint64_t, FingerprintHash> entries_;
  const size_t max_entries_;
};

class WriteSession {
 public:
  WriteSession(storage::CommitBatch& batch, std::shared_ptr<const NamespaceInfo> ns,
               const NamespaceCounters& counters, IdentityCache& identities, const Limits& limits);

  // Each returns what MutationResult.changed_existence says. `field` is the path
  // of the mutation in the request. `record` is a prepared object (content,
  // properties, labels, expiry, vector fields set); it is consumed.
  absl::StatusOr<bool> PutObject(const v1::ObjectWrite& write, internal::v1::ObjectRecord&& record,
                                 std::string_view field);
  absl::StatusOr<bool> PatchObject(const v1::ObjectPatch& patch, std::string_view field);
  absl::StatusOr<bool> DeleteObject(const v1::ObjectDelete& request, std::string_view field);
  absl::StatusOr<bool> PutEdge(const v1::Edge& edge, std::string_view field);
  absl::StatusOr<bool> DeleteEdge(const v1::EdgeDelete& request, std::string_view field);
  absl::Status Check(const v1::ConditionCheck& check, std::string_view field);
  // Sets a vector field of many objects, row by row, and returns how many it created.
  absl::StatusOr<int64_t> PutVectors(const VectorRows& rows);

  // For the collector and the expiry sweeper.
  absl::Status DeleteOrdinal(Ordinal ordinal);
  // Deletes one stored edge if its version is not above `up_to_version`.
  absl::Status CollectEdge(Ordinal source, RelationId relation, Ordinal target,
                           std::string_view discriminator, uint64_t up_to_version);
  // Deletes a vector of a field that the collection no longer has. False when there is
  // none. The object's version stays: nobody sees a difference.
  absl::StatusOr<bool> CollectVector(Ordinal ordinal, const std::string& field);
  void RemoveTombstone(const std::string& key, const internal::v1::TombstoneRecord& record);
  void RemoveExpiryEntry(int64_t expires_ms, Ordinal ordinal);

  // Hides a collection and leaves its objects to the collector.
  void DropCollection(const CollectionInfo& collection);
  // Leaves the vectors of a field to the collector. The collection's record is the
  // caller's to change.
  void DropVectorField(CollectionId collection, const std::string& field);

  // The namespace, to be changed by catalog operations. Marks it changed.
  NamespaceInfo* MutableNamespace();
  const NamespaceInfo& ns() const { return *ns_; }
  // Registers a name that edges use, if it is new.
  absl::StatusOr<RelationId> RelationFor(std::string_view name, std::string_view field);
  void PutRelationRecord(const RelationInfo& relation);
  void PutCollectionRecord(const CollectionInfo& collection);
  void PutNamespaceRecord();

  // Fills the batch. False when nothing changed.
  absl::StatusOr<bool> Finish();

  // After Finish(): what the writer takes over.
  bool namespace_changed() const { return changed_ns_ != nullptr; }
  std::shared_ptr<const NamespaceInfo> namespace_info() const;
  // Adds what this commit counted to the writer's counters.
  void ApplyCounters(NamespaceCounters* counters) const;
  void TeachIdentities();
  const std::vector<std::pair<std::string, internal::v1::TombstoneRecord>>& new_tombstones() const {
    return new_tombstones_;
  }
  const std::vector<std::string>& removed_tombstones() const { return removed_tombstones_; }
  // Bytes of the vectors put, by field.
  const std::map<std::pair<CollectionId, std::string>, int64_t>& vectors_put() const {
    return vectors_put_;
  }
  // Bytes of the texts put into text fields.
  int64_t text_bytes_put() const { return text_bytes_put_; }
  // Earliest expiry put by this commit; 0 = none.
  int64_t earliest_expiry_ms() const { return earliest_expiry_ms_; }

 private:
  struct StagedObject {
    Ordinal ordinal = 0;
    bool had_record = false;  // a record was stored before
    bool existed = false;     // and it was an object, not a dangling target
    std::string before;       // its bytes
    int64_t expires_before = 0;
    bool has_record = false;  // a record will be stored
    bool dirty = false;
    bool has_new_text = false;  // in content or properties
    internal::v1::ObjectRecord record;
    // What becomes of stored vectors, by field: new bytes, or nothing. A few at most.
    std::vector<std::pair<std::string, std::optional<std::string>>> vectors;
    // Where the new bytes of `field` go.
    std::string* SetVector(const std::string& field);
    void RemoveVector(const std::string& field);
  };
  struct StagedEdge {
    Ordinal source = 0;
    RelationId relation = 0;
    Ordinal target = 0;
    std::string discriminator;
    std::string before;  // stored bytes; empty = none
    bool visible_before = false;
    std::string after;  // empty = none
    bool dirty = false;
  };

  absl::StatusOr<CollectionId> CollectionFor(std::string_view name, std::string_view field) const;
  absl::StatusOr<KnownOrdinal> Find(CollectionId collection, std::string_view key);
  absl::StatusOr<Ordinal> FindOrdinal(CollectionId collection, std::string_view key);
  // Assigns one, with a dangling record, when there is none.
  absl::StatusOr<Ordinal> OrdinalForTarget(const v1::ObjectRef& ref, std::string_view field);
  // The field of a vector of a request, if the vector fits it.
  static absl::Status CheckVectors(const CollectionInfo& collection,
                                   const google::protobuf::Map<std::string, v1::Vector>& vectors,
                                   std::string_view field);
  absl::Status CheckPropertyBytes(const internal::v1::ObjectRecord& record,
                                  std::string_view field) const;
  StagedObject* NewObject(CollectionId collection, std::string_view key);
  absl::StatusOr<StagedObject*> LoadObject(Ordinal ordinal);
  // The same for what Find() gave, which may save reading.
  absl::StatusOr<StagedObject*> LoadObject(KnownOrdinal known, CollectionId collection,
                                           std::string_view key);
  absl::Status CheckCondition(const v1::Condition& condition, const StagedObject* object,
                              std::string_view field) const;
  absl::StatusOr<bool> StageEdge(StagedObject& source, const v1::Edge& edge,
                                 std::string_view field);
  absl::StatusOr<StagedEdge*> LoadEdge(Ordinal source, RelationId relation, Ordinal target,
                                       std::string_view discriminator, bool may_be_stored);
  // Edges at an object that are visible now: stored and staged ones. Stops after
  // `limit`; `more` says whether there were more stored ones.
  absl::StatusOr<std::vector<StagedEdge*>> EdgesAt(Ordinal ordinal, bool out, size_t limit,
                                                   bool* more);
  void RemoveEdge(StagedEdge* edge);
  absl::Status DeleteStaged(StagedObject& object, bool leave_dangling);
  absl::Status RemoveOutgoing(StagedObject& object);
  absl::StatusOr<bool> HasIncoming(Ordinal ordinal, Ordinal except_source);
  void MakeTombstone(Ordinal ordinal, internal::v1::TombstoneScope scope);
  absl::Status DropUnreferencedTargets();
  void SetExpiry(StagedObject& object);
  void CountTextOf(const StagedObject& object);
  using Record = std::pair<std::string, std::string>;  // key, value
  void PutInOrder(storage::Family family, std::vector<Record>* records);
  absl::Status NameOrdinal(Ordinal ordinal, internal::v1::ChangeRecord* change);
  // Whether the collection was dropped before this commit.
  bool WasDropped(CollectionId collection) const;
  // Marks edges of objects whose collections were.
  void HideEdgesOfDropped(internal::v1::ChangeRecord* change) const;
  // Adds the names of what `change` mentions by id.
  void NameCatalog(internal::v1::ChangeRecord* change) const;
  std::string IdentityOf(const internal::v1::ObjectRecord& record) const;

  storage::CommitBatch& batch_;
  std::shared_ptr<const NamespaceInfo> base_ns_;
  std::shared_ptr<NamespaceInfo> changed_ns_;
  const NamespaceInfo* ns_;
  const NamespaceCounters& counters_before_;
  Ordinal next_ordinal_;
  uint64_t next_edge_id_;
  absl::flat_hash_map<CollectionId, int64_t> objects_delta_;
  absl::flat_hash_map<RelationId, int64_t> edges_delta_;
  IdentityCache& identities_cache_;
  const Limits& limits_;
  const uint64_t commit_;
  const int64_t time_ms_;

  absl::flat_hash_map<std::string, KnownOrdinal> identities_;  // staged: 0 = removed
  // Keys of identities_ by ordinal; filled by Finish().
  absl::flat_hash_map<Ordinal, std::string_view> looked_up_;
  absl::flat_hash_map<Ordinal, std::unique_ptr<StagedObject>> objects_;
  std::vector<StagedObject*> object_order_;
  absl::flat_hash_map<std::string, std::unique_ptr<StagedEdge>> edges_;
  std::vector<StagedEdge*> edge_order_;
  absl::flat_hash_map<Ordinal, std::vector<StagedEdge*>> edges_out_, edges_in_;
  absl::flat_hash_set<Ordinal> maybe_unreferenced_;
  std::vector<std::pair<std::string, internal::v1::TombstoneRecord>> new_tombstones_;
  std::vector<internal::v1::TombstoneRecord> collected_;
  std::vector<std::string> removed_tombstones_;
  // Catalog puts (value set) and deletes, in order.
  std::vector<std::pair<std::string, std::optional<std::string>>> catalog_writes_;
  std::map<std::pair<CollectionId, std::string>, int64_t> vectors_put_;
  int64_t text_bytes_put_ = 0;
  int64_t earliest_expiry_ms_ = 0;
  bool catalog_changed_ = false;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_WRITE_WRITE_SESSION_H_
