// Queries and their plans: see proto/cookix/v1/query_service.proto.
#ifndef COOKIX_ENGINE_API_QUERY_API_H_
#define COOKIX_ENGINE_API_QUERY_API_H_

#include "absl/status/status.h"
#include "cookix/v1/query_service.pb.h"
#include "engine/call_context.h"

namespace cookix::engine {

class Database;

// Takes and fills wire messages, so that the daemon and the embedded client
// serve the same calls. Checks every field; does not check who calls.
// Thread-safe.
class QueryApi {
 public:
  explicit QueryApi(Database& database) : database_(database) {}

  absl::Status Compile(CallContext& context, const v1::CompileRequest& request,
                       v1::CompileResponse* response);
  absl::Status Execute(CallContext& context, const v1::ExecuteRequest& request,
                       v1::ExecuteResponse* response);

 private:
  Database& database_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_QUERY_API_H_
