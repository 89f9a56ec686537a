#include "server/rpc/object_service.h"

#include "engine/api/object_api.h"
#include "server/rpc/bulk_write.h"
#include "server/rpc/handlers.h"
#include "server/rpc/stream_objects.h"

namespace cookix::server {

using engine::Database;
using engine::ObjectApi;

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
    return std::make_unique<BulkWriteSession>(scope, port);
  });
}

}  // namespace cookix::server
