// The client of a server, over gRPC.
//
// Deadlines: each unary call has RemoteOptions.timeout_ms for all its attempts.
// Retries:   UNAVAILABLE only; reads always, writes when they carry a request id.
//            Writes that can carry one and do not are given a random one.
//            A stream is repeated only as long as it has delivered nothing; a watch goes on
//            after what it has delivered.
// Threads:   any number may call at once; a BulkWriter belongs to one at a time
//            and must be gone before the client is.
#ifndef COOKIX_CLIENT_REMOTE_CLIENT_H_
#define COOKIX_CLIENT_REMOTE_CLIENT_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "client/client.h"
#include "client/tls_diagnosis.h"
#include "cookix/v1/admin_service.grpc.pb.h"
#include "cookix/v1/backup_service.grpc.pb.h"
#include "cookix/v1/catalog_service.grpc.pb.h"
#include "cookix/v1/graph_service.grpc.pb.h"
#include "cookix/v1/object_service.grpc.pb.h"
#include "cookix/v1/query_service.grpc.pb.h"
#include "cookix/v1/reasoning_service.grpc.pb.h"
#include "cookix/v1/replication_service.grpc.pb.h"
#include "cookix/v1/search_service.grpc.pb.h"
#include "cookix/v1/security_service.grpc.pb.h"
#include "cookix/v1/watch_service.grpc.pb.h"
#include "grpcpp/grpcpp.h"

namespace cookix::client {

// True for loopback addresses, "localhost" and unix sockets.
bool IsLocalTarget(std::string_view target);

// INVALID_ARGUMENT when a stream cannot have so many unanswered requests.
absl::Status CheckInFlight(int in_flight);

class RemoteClient : public Client {
 public:
  // As ConnectRemote().
  static absl::StatusOr<std::unique_ptr<RemoteClient>> Connect(RemoteOptions options);

  RemoteClient(RemoteOptions options, std::shared_ptr<grpc::Channel> channel);

#define COOKIX_DECLARE(Service, Method) \
  absl::Status Method(const v1::Method##Request& request, v1::Method##Response* response) override;
  COOKIX_CLIENT_CALLS(COOKIX_DECLARE)
#undef COOKIX_DECLARE

  // One attempt of each call, as `request` is, for those who decide themselves what to
  // repeat and where. It takes `limit` at most; 0 = no limit.
#define COOKIX_DECLARE_ONCE(Service, Method)                                                    \
  absl::Status Method##Once(const v1::Method##Request& request, v1::Method##Response* response, \
                            std::chrono::milliseconds limit);
  COOKIX_CLIENT_CALLS(COOKIX_DECLARE_ONCE)
#undef COOKIX_DECLARE_ONCE

  absl::Status StreamObjects(const v1::StreamObjectsRequest& request,
                             absl::FunctionRef<bool(v1::StreamObjectsResponse&&)> sink) override;
  absl::Status Watch(const v1::WatchRequest& request,
                     absl::FunctionRef<bool(v1::WatchResponse&&)> sink) override;
  absl::StatusOr<std::unique_ptr<BulkWriter>> OpenBulkWriter(int in_flight) override;
  absl::StatusOr<std::unique_ptr<VectorWriter>> OpenVectorWriter(int in_flight) override;

  // Is called, by the thread that uses the writer, with the position of each acknowledged write.
  using PositionSink = std::function<void(const std::string& position)>;
  absl::StatusOr<std::unique_ptr<BulkWriter>> OpenBulkWriter(int in_flight, PositionSink seen);
  absl::StatusOr<std::unique_ptr<VectorWriter>> OpenVectorWriter(int in_flight, PositionSink seen);

 private:
  // Gives a write an id if it can have one and has none, then calls.
  template <class Request, class Response, class Function>
  absl::Status Call(const Request& request, Response* response, bool read, Function&& function);
  template <class Request, class Response, class Function>
  absl::Status CallWithRetry(const Request& request, Response* response, bool safe_to_repeat,
                             Function&& function);
  void AddKey(grpc::ClientContext* context) const;

  const RemoteOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  TlsDiagnosis server_;
  std::unique_ptr<v1::ObjectService::Stub> object_stub_;
  std::unique_ptr<v1::GraphService::Stub> graph_stub_;
  std::unique_ptr<v1::ReasoningService::Stub> reasoning_stub_;
  std::unique_ptr<v1::QueryService::Stub> query_stub_;
  std::unique_ptr<v1::SearchService::Stub> search_stub_;
  std::unique_ptr<v1::CatalogService::Stub> catalog_stub_;
  std::unique_ptr<v1::SecurityService::Stub> security_stub_;
  std::unique_ptr<v1::AdminService::Stub> admin_stub_;
  std::unique_ptr<v1::ReplicationService::Stub> replication_stub_;
  std::unique_ptr<v1::BackupService::Stub> backup_stub_;
  std::unique_ptr<v1::WatchService::Stub> watch_stub_;
};

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_REMOTE_CLIENT_H_
