// Objects: see proto/cookix/v1/object_service.proto for what each call does and returns.
#ifndef COOKIX_ENGINE_API_OBJECT_API_H_
#define COOKIX_ENGINE_API_OBJECT_API_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "cookix/v1/object_service.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/call_context.h"

namespace cookix::engine {

class Database;

// Takes and fills wire messages, so that the daemon and the embedded client
// serve the same calls. Checks every field; does not check who calls.
// Thread-safe.
class ObjectApi {
 public:
  explicit ObjectApi(Database& database) : database_(database) {}

  absl::Status PutObject(CallContext& context, const v1::PutObjectRequest& request,
                         v1::PutObjectResponse* response);
  absl::Status BatchPutObjects(CallContext& context, const v1::BatchPutObjectsRequest& request,
                               v1::BatchPutObjectsResponse* response);
  absl::Status GetObject(CallContext& context, const v1::GetObjectRequest& request,
                         v1::GetObjectResponse* response);
  absl::Status BatchGetObjects(CallContext& context, const v1::BatchGetObjectsRequest& request,
                               v1::BatchGetObjectsResponse* response);
  absl::Status PatchObject(CallContext& context, const v1::PatchObjectRequest& request,
                           v1::PatchObjectResponse* response);
  absl::Status DeleteObject(CallContext& context, const v1::DeleteObjectRequest& request,
                            v1::DeleteObjectResponse* response);
  absl::Status ScanObjects(CallContext& context, const v1::ScanObjectsRequest& request,
                           v1::ScanObjectsResponse* response);
  // Calls `sink` with each chunk, in order, until it returns false (the reader
  // went away: CANCELLED) or the end.
  absl::Status StreamObjects(CallContext& context, const v1::StreamObjectsRequest& request,
                             absl::FunctionRef<bool(v1::StreamObjectsResponse&&)> sink);
  absl::Status CountObjects(CallContext& context, const v1::CountObjectsRequest& request,
                            v1::CountObjectsResponse* response);
  absl::Status Write(CallContext& context, const v1::WriteRequest& request,
                     v1::WriteResponse* response);
  // One request of SearchService.InsertVectors (search_service.proto).
  absl::Status InsertVectors(CallContext& context, const v1::InsertVectorsRequest& request,
                             v1::InsertVectorsResponse* response);

 private:
  Database& database_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_OBJECT_API_H_
