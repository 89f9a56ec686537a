// The database in process: one store, its catalog, its writer, its views, and
// the calls over them.
//
// Usable embedded; the daemon adds identity, limits and the network.
#ifndef COOKIX_ENGINE_DATABASE_H_
#define COOKIX_ENGINE_DATABASE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/common.pb.h"
#include "engine/api/admin_api.h"
#include "engine/api/backup_api.h"
#include "engine/api/catalog_api.h"
#include "engine/api/graph_api.h"
#include "engine/api/object_api.h"
#include "engine/api/query_api.h"
#include "engine/api/reasoning_api.h"
#include "engine/api/search_api.h"
#include "engine/api/security_api.h"
#include "engine/api/watch_api.h"
#include "engine/call_context.h"
#include "engine/filter/ordinal_set.h"
#include "engine/graph/adjacency.h"
#include "engine/limits.h"
#include "engine/read_view.h"
#include "engine/text/text_search.h"
#include "engine/text/text_view.h"
#include "engine/vector/vector_search.h"
#include "engine/vector/vector_view.h"
#include "engine/view/view_host.h"
#include "storage/options.h"
#include "storage/store.h"

namespace cookix::engine {

class AdjacencyView;
class FieldIndexView;
class KeyStore;
class NameView;
class Writer;
class CursorTable;

struct DatabaseOptions {
  storage::Options storage;
  Limits limits;
  // Memory of the adjacency view, bytes; 0 switches it off. What does not fit is
  // read from the store.
  int64_t adjacency_bytes = 1LL << 30;
  // Memory of the names of objects, bytes; 0 switches it off. Others are read from the
  // store.
  int64_t names_bytes = 256LL << 20;
  // False switches the field index off: filters then read records.
  bool field_index = true;
  // Vector indexes; max_bytes 0 switches them off: searches then read the store.
  VectorViewOptions vectors;
  // Text indexes; max_bytes 0 switches them off: searches then read the store.
  TextViewOptions text;
  ViewHostOptions views;
  // Told of each search that a lane has done: the kind of the lane ("vector", "text" or
  // "neighbourhood"), its strategy as SearchDiagnostics has it, and its time. Called by the
  // threads that search, several at once. Null = nobody is told.
  std::function<void(std::string_view lane, std::string_view strategy, double seconds)>
      on_lane_searched;
  // Waits until a commit is where else it has to be, such as on replicas, before a write is
  // acknowledged. An error is the write's answer; the commit stays. Called by the threads that
  // write. Null = it need not be anywhere else.
  std::function<absl::Status(const CallContext& context, const storage::Position& position)>
      replicated;
  // Where AdminApi::CreateCheckpoint puts checkpoints; empty = "<store path>/../checkpoints".
  std::string checkpoint_dir;
  // The directory of backups, used by this store alone; empty = BackupApi refuses.
  std::string backup_dir;
  // Runs the collector and the expiry sweeper. Tests may drive them by hand.
  bool background_work = true;
};

// Thread-safe. Calls must have returned before it is destroyed.
class Database : public FilterEvaluator {
 public:
  // Opens the store, creates the namespace "default" with its collection and the
  // built-in relations in a new one, and starts building the views. Errors as
  // storage::Store::Open.
  static absl::StatusOr<std::unique_ptr<Database>> Open(DatabaseOptions options);
  ~Database() override;

  ObjectApi& objects() { return object_api_; }
  GraphApi& graph() { return graph_api_; }
  ReasoningApi& reasoning() { return reasoning_api_; }
  SearchApi& search() { return search_api_; }
  QueryApi& query() { return query_api_; }
  CatalogApi& catalog() { return catalog_api_; }
  SecurityApi& security() { return security_api_; }
  AdminApi& admin() { return admin_api_; }
  BackupApi& backup() { return backup_api_; }
  WatchApi& watch() { return watch_api_; }

  storage::Store& store() { return *store_; }
  ViewHost& views() { return *view_host_; }
  Writer& writer() { return *writer_; }
  KeyStore& keys() { return *keys_; }
  CursorTable& cursors() { return *cursors_; }
  const Limits& limits() const { return options_.limits; }
  const DatabaseOptions& options() const { return options_; }

  // The newest state.
  ReadView Read() const;
  // The state a call asked for: waits for options.min_position (UNAVAILABLE
  // POSITION_NOT_REACHED, FAILED_PRECONDITION POSITION_UNKNOWN). On the primary
  // also makes sure that objects due to expire by now are gone.
  absl::StatusOr<ReadView> Read(const CallContext& context, const v1::ReadOptions& options);

  // Edges at `view`, through the adjacency view when it shows view.commit() in
  // time, else from the store. The same answers either way.
  std::unique_ptr<ArcReader> Arcs(const CallContext& context, const NamespaceView& view);

  absl::StatusOr<std::shared_ptr<const OrdinalSet>> Evaluate(const CallContext& context,
                                                             const NamespaceView& view,
                                                             const CompiledFilter& filter) override;

  // The nearest objects at `view`, every one of them an object of the collection that
  // exists there.
  absl::Status FindNearest(const CallContext& context, const NamespaceView& view,
                           const VectorSearch& search, VectorSearchResult* result);

  // What there is to say of a vector field's index, but for the field itself.
  absl::Status DescribeVectors(const CallContext& context, const NamespaceView& view,
                               CollectionId collection, const v1::VectorField& field,
                               v1::DescribeIndexResponse* response);

  // What of a collection matches words best at `view`: every hit is an object of the
  // collection that exists there.
  absl::Status FindByText(const CallContext& context, const NamespaceView& view,
                          const TextSearch& search, TextSearchResult* result);

  // What there is to say of the index of a collection's text fields. `collection` is of
  // `view`.
  absl::Status DescribeText(const CallContext& context, const NamespaceView& view,
                            const CollectionInfo& collection, v1::DescribeIndexResponse* response);

  // Token of a commit of this store, for answers. It names the epoch of the commit, so that it is
  // known wherever that commit is.
  std::string PositionToken(uint64_t commit) const;

  // Works off some of the pending tombstones and due expiries now; returns how
  // many records were removed. The background thread calls this.
  absl::StatusOr<int64_t> RunMaintenance(int64_t max_records);
  int64_t pending_tombstones() const;
  int64_t collected_records() const;

  // Unix milliseconds.
  int64_t NowMs() const;

 private:
  class Background;
  explicit Database(DatabaseOptions options);

  const DatabaseOptions options_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<Writer> writer_;
  std::unique_ptr<CursorTable> cursors_;
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<ViewHost> view_host_;
  AdjacencyView* adjacency_ = nullptr;     // owned by view_host_
  NameView* names_ = nullptr;              // owned by view_host_
  FieldIndexView* field_index_ = nullptr;  // owned by view_host_
  VectorView* vectors_ = nullptr;          // owned by view_host_
  TextView* text_ = nullptr;               // owned by view_host_
  std::atomic<int64_t> collected_{0};
  std::unique_ptr<Background> background_;
  ObjectApi object_api_;
  GraphApi graph_api_;
  ReasoningApi reasoning_api_;
  SearchApi search_api_;
  QueryApi query_api_;
  CatalogApi catalog_api_;
  SecurityApi security_api_;
  AdminApi admin_api_;
  BackupApi backup_api_;
  WatchApi watch_api_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_DATABASE_H_
