#include "server/rpc/stream_objects.h"

#include <utility>

#include "cookix/v1/object_service.pb.h"

namespace cookix::server {

void StreamObjectsSession::OnMessage(grpc::ByteBuffer bytes) {
  auto task = [this, hold = port_.Hold(), message = std::move(bytes)]() mutable {
    port_.Close(Run(std::move(message)));
  };
  if (!scope_.env.streams.Submit(std::move(task))) {
    port_.Close(MakeError(absl::StatusCode::kResourceExhausted,
                          "The server has too many streams waiting",
                          {"OVERLOADED", "", "Try again after a pause.", true}));
  }
}

void StreamObjectsSession::OnHalfClose() {
  port_.Close(InvalidField("", "The call has no message", "Send exactly one message."));
}

absl::Status StreamObjectsSession::Run(grpc::ByteBuffer bytes) {
  v1::StreamObjectsRequest request;
  COOKIX_RETURN_IF_ERROR(ParseMessage(&bytes, &request));
  scope_.namespace_name = request.namespace_();
  COOKIX_RETURN_IF_ERROR(scope_.RequireRole(request.namespace_(), scope_.method.role));
  const QueryRegistry::Entry entry(scope_.env.queries, scope_.method.name, request.namespace_(),
                                   scope_.context);
  COOKIX_RETURN_IF_ERROR(scope_.TakeDatabase());
  absl::Status chunk_status;
  const absl::Status status = scope_.database().objects().StreamObjects(
      scope_.context, request, [&](v1::StreamObjectsResponse&& response) {
        grpc::ByteBuffer chunk;
        chunk_status = scope_.RequireActiveKey();
        if (chunk_status.ok()) chunk_status = SerializeMessage(response, &chunk);
        return chunk_status.ok() && port_.SendAndWait(std::move(chunk));
      });
  return scope_.ReleaseDatabase(chunk_status.ok() ? status : chunk_status);
}

}  // namespace cookix::server
