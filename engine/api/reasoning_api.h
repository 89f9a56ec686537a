// Questions answered with paths: see proto/cookix/v1/reasoning_service.proto.
#ifndef COOKIX_ENGINE_API_REASONING_API_H_
#define COOKIX_ENGINE_API_REASONING_API_H_

#include "absl/status/status.h"
#include "cookix/v1/reasoning_service.pb.h"
#include "engine/call_context.h"

namespace cookix::engine {

class Database;

// Takes and fills wire messages, so that the daemon and the embedded client
// serve the same calls. Checks every field; does not check who calls.
// Thread-safe.
class ReasoningApi {
 public:
  explicit ReasoningApi(Database& database) : database_(database) {}

  absl::Status Query(CallContext& context, const v1::QueryRequest& request,
                     v1::QueryResponse* response);
  absl::Status FindContradictions(CallContext& context,
                                  const v1::FindContradictionsRequest& request,
                                  v1::FindContradictionsResponse* response);
  absl::Status VerifyChain(CallContext& context, const v1::VerifyChainRequest& request,
                           v1::VerifyChainResponse* response);

 private:
  Database& database_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_REASONING_API_H_
