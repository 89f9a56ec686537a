#include "server/rpc/object_service.h"

#include <memory>
#include <string>
#include <utility>

#include "engine/api/object_api.h"
#include "server/rpc/handlers.h"
#include "server/rpc/stream_objects.h"
#include "server/rpc/write_stream.h"

namespace cookix::server {
namespace {

using engine::Database;
using engine::ObjectApi;

const std::string& NamespaceOfWrite(const v1::BulkWriteRequest& request) {
  return request.write().namespace_();
}

absl::Status BulkWrite(CallScope& scope, const v1::BulkWriteRequest& request,
                       v1::BulkWriteResponse* response) {
  v1::WriteResponse written;
  COOKIX_RETURN_IF_ERROR(
      scope.database().objects().Write(scope.context, request.write(), &written));
  response->set_sequence(request.sequence());
  *response->mutable_result() = std::move(*written.mutable_result());
  return absl::OkStatus();
}

}  // namespace

void AddObjectService(Router& router) {
  Forward(router, "cookix.v1.ObjectService/PutObject", &Database::objects, &ObjectApi::PutObject);
  Forward(router, "cookix.v1.ObjectService/BatchPutObjects", &Database::objects,
          &ObjectApi::BatchPutObjects);
  Forward(router, "cookix.v1.ObjectService/GetObject", &Database::objects, &ObjectApi::GetObject);
  Forward(router, "cookix.v1.ObjectService/BatchGetObjects", &Database::objects,
          &ObjectApi::BatchGetObjects);
  Forward(router, "cookix.v1.ObjectService/PatchObject", &Database::objects,
          &ObjectApi::PatchObject);
  Forward(router, "cookix.v1.ObjectService/DeleteObject", &Database::objects,
          &ObjectApi::DeleteObject);
  Forward(router, "cookix.v1.ObjectService/ScanObjects", &Database::objects,
          &ObjectApi::ScanObjects);
  Forward(router, "cookix.v1.ObjectService/CountObjects", &Database::objects,
          &ObjectApi::CountObjects);
  Forward(router, "cookix.v1.ObjectService/Write", &Database::objects, &ObjectApi::Write);
  router.Stream("cookix.v1.ObjectService/StreamObjects", [](CallScope& scope, StreamPort& port) {
    return std::make_unique<StreamObjectsSession>(scope, port);
  });
  router.Stream("cookix.v1.ObjectService/BulkWrite", [](CallScope& scope, StreamPort& port) {
    return std::make_unique<WriteStream<v1::BulkWriteRequest, v1::BulkWriteResponse>>(
        scope, port, NamespaceOfWrite, BulkWrite);
  });
}

}  // namespace cookix::server
