// The C++ client: one interface, remote over gRPC or embedded in process.
//
// Every call takes a wire request and fills a wire response; see
// proto/cookix/v1 for what each does. Errors are absl::Status with the code the
// server sent; cookix::GetErrorDetail() gives reason, field, remedy, retryable.
#ifndef COOKIX_CLIENT_CLIENT_H_
#define COOKIX_CLIENT_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/admin_service.pb.h"
#include "cookix/v1/backup_service.pb.h"
#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/graph_service.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "cookix/v1/query_service.pb.h"
#include "cookix/v1/reasoning_service.pb.h"
#include "cookix/v1/replication_service.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "cookix/v1/security_service.pb.h"
#include "cookix/v1/watch_service.pb.h"
#include "storage/base/status.h"

namespace cookix::engine {
class Database;
}  // namespace cookix::engine

namespace cookix::client {

struct RetryOptions {
  // Attempts in all; 1 = no retry. Only UNAVAILABLE is retried, and writes only
  // when they carry a request id (the client makes one when it is empty).
  int max_attempts = 4;
  // Pause before the second attempt; doubles each time, with jitter.
  int64_t initial_backoff_ms = 50;
  int64_t max_backoff_ms = 2000;
};

struct RemoteOptions {
  // host:port, or unix:/path.
  std::string target = "127.0.0.1:7625";
  // API key; empty = none.
  std::string api_key;
  // Without TLS a key is only sent to this machine (loopback or a unix socket);
  // true sends it in plain text anywhere.
  bool allow_plaintext_key = false;
  // TLS when set. `ca_pem` is the PEM of the certificate authority; empty or
  // "system" = those of the system.
  bool tls = false;
  std::string ca_pem;
  // mTLS: PEM of the client's certificate and key.
  std::string certificate_pem;
  std::string key_pem;
  // Name expected in the server's certificate; empty = the host of `target`.
  std::string server_name;
  // Deadline of each unary call, its retries included; 0 = none. Streams have
  // none.
  int64_t timeout_ms = 30'000;
  // While calls are under way, a sign of life is asked for after so long a silence, and a
  // connection that gives none within 4 s is cut: its calls end with UNAVAILABLE. 10,000 to
  // 3,600,000; 0 = never, so that only the deadline ends calls to a server that vanished.
  int64_t keepalive_ms = 0;
  RetryOptions retry;
};

// A stream of atomic writes with several in flight. One thread at a time.
class BulkWriter {
 public:
  virtual ~BulkWriter() = default;
  // Queues a write; waits while too many are in flight. An error is that of the
  // first write that failed; the stream is then over.
  virtual absl::Status Write(v1::WriteRequest&& request) = 0;
  // Waits for all answers. `acknowledged()` says how far it came either way.
  virtual absl::Status Finish() = 0;
  // Writes acknowledged so far, in order from the first.
  virtual int64_t acknowledged() const = 0;
};

// A stream of vectors to set, with several requests in flight. One thread at a
// time.
class VectorWriter {
 public:
  virtual ~VectorWriter() = default;
  // Queues a request, whose `sequence` is overwritten; waits while too many are in
  // flight. An error is that of the first request that failed; the stream is then
  // over.
  virtual absl::Status Write(v1::InsertVectorsRequest&& request) = 0;
  // Waits for all answers. `acknowledged()` says how far it came either way.
  virtual absl::Status Finish() = 0;
  // Requests acknowledged so far, in order from the first.
  virtual int64_t acknowledged() const = 0;
  // Objects that the acknowledged requests created.
  virtual int64_t created() const = 0;
};

// clang-format off
#define COOKIX_CLIENT_CALLS(X)                                                     \
  X(Object, PutObject) X(Object, BatchPutObjects) X(Object, GetObject)             \
  X(Object, BatchGetObjects) X(Object, PatchObject) X(Object, DeleteObject)        \
  X(Object, ScanObjects) X(Object, CountObjects) X(Object, Write)                  \
  X(Graph, PutEdge) X(Graph, GetEdge) X(Graph, DeleteEdge) X(Graph, ListNeighbors) \
  X(Graph, Traverse) X(Graph, FindPath)                                            \
  X(Reasoning, Query) X(Reasoning, FindContradictions) X(Reasoning, VerifyChain)   \
  X(Search, Search) X(Search, BatchSearch) X(Search, DescribeIndex)                \
  X(Query, Compile) X(Query, Execute)                                              \
  X(Catalog, CreateNamespace) X(Catalog, GetNamespace) X(Catalog, ListNamespaces)  \
  X(Catalog, UpdateNamespace) X(Catalog, DeleteNamespace) X(Catalog, CopyObjects)  \
  X(Catalog, CreateCollection) X(Catalog, GetCollection)                           \
  X(Catalog, UpdateCollection)                                                     \
  X(Catalog, ListCollections) X(Catalog, DeleteCollection)                         \
  X(Catalog, PutRelation) X(Catalog, GetRelation) X(Catalog, ListRelations)        \
  X(Catalog, DeleteRelation)                                                       \
  X(Security, CreateKey) X(Security, ListKeys) X(Security, RevokeKey)              \
  X(Security, RotateKey) X(Security, WhoAmI)                                       \
  X(Admin, GetInfo) X(Admin, GetStats) X(Admin, Compact) X(Admin, CreateCheckpoint) \
  X(Admin, Sync) X(Admin, VerifyLog) X(Admin, RebuildView) X(Admin, ListQueries)   \
  X(Admin, CancelQuery) X(Admin, SetReadOnly)                                      \
  X(Replication, GetReplicationStatus) X(Replication, Promote) X(Replication, Follow) \
  X(Backup, CreateBackup) X(Backup, ArchiveLog) X(Backup, ListBackups)             \
  X(Backup, VerifyBackups) X(Backup, PruneBackups)
// clang-format on

// Thread-safe.
class Client {
 public:
  virtual ~Client() = default;

#define COOKIX_DECLARE(Service, Method)                           \
  virtual absl::Status Method(const v1::Method##Request& request, \
                              v1::Method##Response* response) = 0;
  COOKIX_CLIENT_CALLS(COOKIX_DECLARE)
#undef COOKIX_DECLARE

  // Streams every matching object; stops early when `sink` returns false.
  virtual absl::Status StreamObjects(const v1::StreamObjectsRequest& request,
                                     absl::FunctionRef<bool(v1::StreamObjectsResponse&&)> sink) = 0;

  // Streams the changes of a namespace until `sink` returns false (then OK) or the watch ends with
  // an error. A remote watch that is cut goes on by itself after the last position; a commit that
  // was cut (CommitChanges.continued) then comes again from its beginning.
  virtual absl::Status Watch(const v1::WatchRequest& request,
                             absl::FunctionRef<bool(v1::WatchResponse&&)> sink) = 0;

  // Opens a bulk stream with at most `in_flight` unanswered writes.
  virtual absl::StatusOr<std::unique_ptr<BulkWriter>> OpenBulkWriter(int in_flight = 4) = 0;
  // Opens a stream of vectors with at most `in_flight` unanswered requests.
  virtual absl::StatusOr<std::unique_ptr<VectorWriter>> OpenVectorWriter(int in_flight = 4) = 0;
};

// Connects lazily: errors of the network come from the first call. INVALID_ARGUMENT
// when the options cannot work, such as a key that would travel in plain text.
absl::StatusOr<std::unique_ptr<Client>> ConnectRemote(RemoteOptions options);

// The same calls on a database in this process. Those that concern a server (ListQueries,
// CancelQuery, SetReadOnly, and all of ReplicationService) answer UNIMPLEMENTED.
// `database` is borrowed.
std::unique_ptr<Client> ConnectEmbedded(engine::Database& database);

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_CLIENT_H_
