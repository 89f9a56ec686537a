#include "server/rpc/reasoning_service.h"

#include "engine/api/reasoning_api.h"
#include "server/rpc/handlers.h"

namespace cookix::server {

using engine::Database;
using engine::ReasoningApi;

void AddReasoningService(Router& router) {
  Forward(router, "cookix.v1.ReasoningService/Query", &Database::reasoning, &ReasoningApi::Query);
  Forward(router, "cookix.v1.ReasoningService/FindContradictions", &Database::reasoning,
          &ReasoningApi::FindContradictions);
  Forward(router, "cookix.v1.ReasoningService/VerifyChain", &Database::reasoning,
          &ReasoningApi::VerifyChain);
}

}  // namespace cookix::server
