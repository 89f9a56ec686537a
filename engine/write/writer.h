// The one writer of a database: runs mutations in commit order and publishes what
// they made of catalog and counters together with the snapshot of the same
// commit.
//
// Threads: Read() and the Write*() calls from any thread. The authoritative state
// is only touched by builders and by the listener, which the commit pipeline never
// runs at the same time.
#ifndef COOKIX_ENGINE_WRITE_WRITER_H_
#define COOKIX_ENGINE_WRITE_WRITER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/object_service.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/call_context.h"
#include "engine/catalog/catalog.h"
#include "engine/catalog/catalog_store.h"
#include "engine/limits.h"
#include "engine/read_view.h"
#include "engine/view/view_host.h"
#include "engine/write/write_session.h"
#include "storage/store.h"

namespace cookix::engine {

// One mutation, borrowed from the request, with what was prepared before the
// commit.
struct PreparedMutation {
  std::variant<const v1::ObjectWrite*, const v1::ObjectPatch*, const v1::ObjectDelete*,
               const v1::Edge*, const v1::EdgeDelete*, const v1::ConditionCheck*>
      action;
  // Path of the action in the request.
  std::string field;
  // For puts: content, properties, labels, expiry and vector names. Consumed.
  internal::v1::ObjectRecord record;
};

// Checks a mutation's fields and prepares it. The action is borrowed.
absl::StatusOr<PreparedMutation> Prepare(const v1::ObjectWrite& write, std::string field,
                                         const Limits& limits);
absl::StatusOr<PreparedMutation> Prepare(const v1::Mutation& mutation, std::string field,
                                         const Limits& limits);

class Writer : public storage::CommitListener {
 public:
  // Reads the catalog; creates the namespace "default" in an empty store.
  // `log` receives what a person should know, as storage::Options::log.
  using Log = std::function<void(std::string_view level, std::string_view message)>;
  static absl::StatusOr<std::unique_ptr<Writer>> Open(storage::Store& store, const Limits& limits,
                                                      Log log = nullptr);

  // Views that writes wait for. Set once, before the first write.
  void SetViews(ViewHost* views) { views_ = views; }
  // Says whether the index of a field has room for vectors of so many bytes together; its
  // error refuses the write. Set once, before the first write.
  using VectorRoom = std::function<absl::Status(const v1::VectorField& field, int64_t bytes)>;
  void SetVectorRoom(VectorRoom room) { vector_room_ = std::move(room); }

  // The same for texts of so many bytes together and the indexes of text fields.
  using TextRoom = std::function<absl::Status(int64_t bytes)>;
  void SetTextRoom(TextRoom room) { text_room_ = std::move(room); }

  // Waits until a commit is where else it has to be before it is acknowledged; its error is the
  // write's, which is durable nevertheless. Set once, before the first write.
  using Replicated =
      std::function<absl::Status(const CallContext& context, const storage::Position& position)>;
  void SetReplicated(Replicated replicated) { replicated_ = std::move(replicated); }
  // Does that, for the last commit of all: for changes that do not go through the writer.
  absl::Status ConfirmLatest(const CallContext& context) const;

  // Called with commits that a follower repeats (storage::Store::Replicate), before they can
  // be read. Set once, before the first of them.
  using Followed = std::function<void(const std::vector<storage::LogCommitPtr>& commits)>;
  void SetFollowed(Followed followed) { followed_ = std::move(followed); }

  // The newest published state.
  ReadView Read() const;

  // Applies mutations in one commit. `results` gets one entry for each.
  // `request_fingerprint` tells requests with the same id apart.
  absl::Status Apply(CallContext& context, std::string_view namespace_name,
                     std::vector<PreparedMutation>& mutations, const v1::WriteOptions& options,
                     uint64_t request_fingerprint, v1::WriteResult* result,
                     std::vector<bool>* results);

  // Sets a vector field of many objects in one commit. `created` is how many did not
  // exist before.
  absl::Status InsertVectors(CallContext& context, const v1::InsertVectorsRequest& request,
                             uint64_t request_fingerprint, v1::WriteResult* result,
                             int64_t* created);

  // Runs `change` as one commit on a namespace. `reclaims` marks deletions.
  // `response` is stored with the request id and returned when it is replayed.
  absl::Status ChangeNamespace(CallContext& context, std::string_view namespace_name, bool reclaims,
                               const v1::WriteOptions& options, uint64_t request_fingerprint,
                               absl::FunctionRef<absl::Status(WriteSession&)> change,
                               v1::WriteResult* result);

  // `created` is false when it existed and `if_not_exists`.
  absl::Status CreateNamespace(CallContext& context, const v1::Namespace& ns, bool if_not_exists,
                               const v1::WriteOptions& options, v1::WriteResult* result,
                               bool* created);
  absl::Status DropNamespace(CallContext& context, std::string_view name, bool force,
                             const v1::WriteOptions& options, v1::WriteResult* result);

  // Deletes objects due by `now_ms`, at most `max_objects`; returns how many.
  absl::StatusOr<int64_t> SweepExpired(int64_t now_ms, int64_t max_objects);
  // The earliest expiry, or 0. May be earlier than the truth, never later.
  int64_t next_expiry_ms() const { return next_expiry_ms_.load(std::memory_order_acquire); }

  // Works off pending tombstones with at most `max_records` deletions; returns
  // how many records were removed. One thread at a time.
  absl::StatusOr<int64_t> Collect(int64_t max_records);
  int64_t pending_tombstones() const { return pending_.load(std::memory_order_acquire); }

  // Counters of a namespace as published; zeros when unknown.
  struct Counts {
    int64_t objects = 0;
    int64_t edges = 0;
    std::unordered_map<CollectionId, int64_t> by_collection;
    std::unordered_map<RelationId, int64_t> by_relation;
  };
  Counts CountsOf(NamespaceId ns) const;
  int64_t ObjectsIn(NamespaceId ns, CollectionId collection) const;

  // storage::CommitListener.
  void OnPublish(const std::vector<storage::LogCommitPtr>& commits,
                 const std::shared_ptr<const storage::Snapshot>& snapshot) override;
  void OnAbort() override;

 private:
  struct State {
    std::shared_ptr<const Catalog> catalog;
    NamespaceId next_namespace_id = 1;
    // Shared with published copies; copied before it is changed.
    std::unordered_map<NamespaceId, NamespaceCounters> counters;
    std::map<std::string, internal::v1::TombstoneRecord> tombstones;
    bool stale = false;
  };

  Writer(storage::Store& store, const Limits& limits, Log log);
  absl::Status Load(const storage::Snapshot& snapshot);
  // REQUIRES: inside a builder.
  absl::Status RefreshIfStale();
  void TakeOver(WriteSession& session);
  // Brings state_ up to commits that no builder here made. DATA_LOSS for malformed records.
  absl::Status Follow(const std::vector<storage::LogCommitPtr>& commits,
                      const storage::Snapshot& snapshot);
  void Touch(NamespaceId ns);
  absl::Status Commit(CallContext& context, const storage::CommitOptions& commit_options,
                      const v1::WriteOptions& options,
                      absl::FunctionRef<absl::Status(storage::CommitBatch&)> builder,
                      v1::WriteResult* result, std::string* response);
  absl::Status InSession(storage::CommitBatch& batch, std::string_view namespace_name,
                         absl::FunctionRef<absl::Status(WriteSession&)> change);
  // Removes a tombstone whose namespace was dropped meanwhile, if it is still there.
  // REQUIRES: inside a builder that writes nothing else.
  void DropTombstone(storage::CommitBatch& batch, const std::string& key,
                     const internal::v1::TombstoneRecord& record);
  absl::StatusOr<int64_t> CollectEdges(const std::string& key,
                                       const internal::v1::TombstoneRecord& record,
                                       int64_t max_records);
  absl::StatusOr<int64_t> CollectCollection(const std::string& key,
                                            const internal::v1::TombstoneRecord& record,
                                            int64_t max_records);
  absl::StatusOr<int64_t> CollectVectorField(const std::string& key,
                                             const internal::v1::TombstoneRecord& record,
                                             int64_t max_records);
  absl::StatusOr<int64_t> CollectNamespace(const std::string& key,
                                           const internal::v1::TombstoneRecord& record);
  absl::Status InternalCommit(absl::FunctionRef<absl::Status(storage::CommitBatch&)> builder);

  storage::Store& store_;
  const Limits limits_;
  const Log log_;
  ViewHost* views_ = nullptr;
  VectorRoom vector_room_;
  TextRoom text_room_;
  Replicated replicated_;
  Followed followed_;

  // Touched by builders and the listener only.
  State state_;
  IdentityCache identities_;

  std::atomic<int64_t> next_expiry_ms_{0};
  std::atomic<int64_t> pending_{0};
  // Where the collector goes on in each tombstone's range.
  std::map<std::string, std::string> collector_cursors_;

  mutable std::mutex mutex_;  // guards what follows
  ReadView published_;
  std::unordered_map<NamespaceId, NamespaceCounters> published_counters_;
  std::map<std::string, internal::v1::TombstoneRecord> published_tombstones_;
  // Namespaces whose counters changed since the last publish.
  std::vector<NamespaceId> touched_;
  bool tombstones_touched_ = false;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_WRITE_WRITER_H_
