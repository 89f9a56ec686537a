// The client of a database in this process.
#include <chrono>
#include <memory>
#include <utility>

#include "client/client.h"
#include "engine/database.h"

namespace cookix::client {
namespace {

absl::Status NeedsServer(const char* what) {
  return MakeError(absl::StatusCode::kUnimplemented,
                   std::string(what) + " concerns a server, and this database runs in process",
                   {.reason = "", .remedy = "connect to a server instead"});
}

// Each write is done before Write() returns, so nothing is ever in flight.
class EmbeddedBulkWriter : public BulkWriter {
 public:
  explicit EmbeddedBulkWriter(engine::Database& database) : database_(database) {}

  absl::Status Write(v1::WriteRequest&& request) override {
    if (finished_) return absl::FailedPreconditionError("the bulk stream is finished");
    if (!status_.ok()) return status_;
    engine::CallContext context;
    v1::WriteResponse response;
    status_ = database_.objects().Write(context, request, &response);
    if (status_.ok()) ++acknowledged_;
    return status_;
  }
  absl::Status Finish() override {
    finished_ = true;
    return status_;
  }
  int64_t acknowledged() const override { return acknowledged_; }

 private:
  engine::Database& database_;
  int64_t acknowledged_ = 0;
  bool finished_ = false;
  absl::Status status_;
};

class EmbeddedVectorWriter : public VectorWriter {
 public:
  explicit EmbeddedVectorWriter(engine::Database& database) : database_(database) {}

  absl::Status Write(v1::InsertVectorsRequest&& request) override {
    if (finished_) return absl::FailedPreconditionError("the bulk stream is finished");
    if (!status_.ok()) return status_;
    engine::CallContext context;
    v1::InsertVectorsResponse response;
    status_ = database_.objects().InsertVectors(context, request, &response);
    if (status_.ok()) {
      ++acknowledged_;
      created_ += response.created_count();
    }
    return status_;
  }
  absl::Status Finish() override {
    finished_ = true;
    return status_;
  }
  int64_t acknowledged() const override { return acknowledged_; }
  int64_t created() const override { return created_; }

 private:
  engine::Database& database_;
  int64_t acknowledged_ = 0;
  int64_t created_ = 0;
  bool finished_ = false;
  absl::Status status_;
};

class EmbeddedClient : public Client {
 public:
  explicit EmbeddedClient(engine::Database& database)
      : database_(database), started_(std::chrono::system_clock::now()) {}

#define COOKIX_FORWARD(api, Method)                                                       \
  absl::Status Method(const v1::Method##Request& request, v1::Method##Response* response) \
      override {                                                                          \
    engine::CallContext context;                                                          \
    response->Clear();                                                                    \
    return database_.api().Method(context, request, response);                            \
  }
  COOKIX_FORWARD(objects, PutObject)
  COOKIX_FORWARD(objects, BatchPutObjects)
  COOKIX_FORWARD(objects, GetObject)
  COOKIX_FORWARD(objects, BatchGetObjects)
  COOKIX_FORWARD(objects, PatchObject)
  COOKIX_FORWARD(objects, DeleteObject)
  COOKIX_FORWARD(objects, ScanObjects)
  COOKIX_FORWARD(objects, CountObjects)
  COOKIX_FORWARD(objects, Write)
  COOKIX_FORWARD(graph, PutEdge)
  COOKIX_FORWARD(graph, GetEdge)
  COOKIX_FORWARD(graph, DeleteEdge)
  COOKIX_FORWARD(graph, ListNeighbors)
  COOKIX_FORWARD(graph, Traverse)
  COOKIX_FORWARD(graph, FindPath)
  COOKIX_FORWARD(reasoning, Query)
  COOKIX_FORWARD(reasoning, FindContradictions)
  COOKIX_FORWARD(reasoning, VerifyChain)
  COOKIX_FORWARD(query, Compile)
  COOKIX_FORWARD(query, Execute)
  COOKIX_FORWARD(search, Search)
  COOKIX_FORWARD(search, BatchSearch)
  COOKIX_FORWARD(search, DescribeIndex)
  COOKIX_FORWARD(catalog, CreateNamespace)
  COOKIX_FORWARD(catalog, GetNamespace)
  COOKIX_FORWARD(catalog, ListNamespaces)
  COOKIX_FORWARD(catalog, UpdateNamespace)
  COOKIX_FORWARD(catalog, DeleteNamespace)
  COOKIX_FORWARD(catalog, CopyObjects)
  COOKIX_FORWARD(catalog, CreateCollection)
  COOKIX_FORWARD(catalog, GetCollection)
  COOKIX_FORWARD(catalog, UpdateCollection)
  COOKIX_FORWARD(catalog, ListCollections)
  COOKIX_FORWARD(catalog, DeleteCollection)
  COOKIX_FORWARD(catalog, PutRelation)
  COOKIX_FORWARD(catalog, GetRelation)
  COOKIX_FORWARD(catalog, ListRelations)
  COOKIX_FORWARD(catalog, DeleteRelation)
  COOKIX_FORWARD(security, CreateKey)
  COOKIX_FORWARD(security, ListKeys)
  COOKIX_FORWARD(security, RevokeKey)
  COOKIX_FORWARD(security, RotateKey)
  COOKIX_FORWARD(security, WhoAmI)
  COOKIX_FORWARD(admin, GetStats)
  COOKIX_FORWARD(admin, Compact)
  COOKIX_FORWARD(admin, CreateCheckpoint)
  COOKIX_FORWARD(admin, Sync)
  COOKIX_FORWARD(admin, VerifyLog)
  COOKIX_FORWARD(admin, RebuildView)
  COOKIX_FORWARD(backup, CreateBackup)
  COOKIX_FORWARD(backup, ArchiveLog)
  COOKIX_FORWARD(backup, ListBackups)
  COOKIX_FORWARD(backup, VerifyBackups)
  COOKIX_FORWARD(backup, PruneBackups)
#undef COOKIX_FORWARD

  absl::Status GetInfo(const v1::GetInfoRequest& request, v1::GetInfoResponse* response) override {
    engine::CallContext context;
    response->Clear();
    COOKIX_RETURN_IF_ERROR(database_.admin().GetInfo(context, request, response));
    response->set_started_ms(
        std::chrono::duration_cast<std::chrono::milliseconds>(started_.time_since_epoch()).count());
    return absl::OkStatus();
  }
  absl::Status ListQueries(const v1::ListQueriesRequest&, v1::ListQueriesResponse*) override {
    return NeedsServer("listing the running queries");
  }
  absl::Status CancelQuery(const v1::CancelQueryRequest&, v1::CancelQueryResponse*) override {
    return NeedsServer("stopping a query");
  }
  absl::Status SetReadOnly(const v1::SetReadOnlyRequest&, v1::SetReadOnlyResponse*) override {
    return NeedsServer("read-only mode");
  }
  absl::Status GetReplicationStatus(const v1::GetReplicationStatusRequest&,
                                    v1::GetReplicationStatusResponse*) override {
    return NeedsServer("replication");
  }
  absl::Status Promote(const v1::PromoteRequest&, v1::PromoteResponse*) override {
    return NeedsServer("replication");
  }
  absl::Status Follow(const v1::FollowRequest&, v1::FollowResponse*) override {
    return NeedsServer("replication");
  }

  absl::Status StreamObjects(const v1::StreamObjectsRequest& request,
                             absl::FunctionRef<bool(v1::StreamObjectsResponse&&)> sink) override {
    engine::CallContext context;
    bool stopped = false;
    const absl::Status status = database_.objects().StreamObjects(
        context, request, [&sink, &stopped](v1::StreamObjectsResponse&& chunk) {
          if (!sink(std::move(chunk))) stopped = true;
          return !stopped;
        });
    return stopped ? absl::OkStatus() : status;
  }

  absl::Status Watch(const v1::WatchRequest& request,
                     absl::FunctionRef<bool(v1::WatchResponse&&)> sink) override {
    engine::CallContext context;
    bool stopped = false;
    const absl::Status status =
        database_.watch().Watch(context, request, [&](v1::WatchResponse&& message) {
          stopped = !sink(std::move(message));
          return !stopped;
        });
    return stopped ? absl::OkStatus() : status;
  }

  absl::StatusOr<std::unique_ptr<BulkWriter>> OpenBulkWriter(int) override {
    return std::make_unique<EmbeddedBulkWriter>(database_);
  }
  absl::StatusOr<std::unique_ptr<VectorWriter>> OpenVectorWriter(int) override {
    return std::make_unique<EmbeddedVectorWriter>(database_);
  }

 private:
  engine::Database& database_;
  const std::chrono::system_clock::time_point started_;
};

}  // namespace

std::unique_ptr<Client> ConnectEmbedded(engine::Database& database) {
  return std::make_unique<EmbeddedClient>(database);
}

}  // namespace cookix::client
