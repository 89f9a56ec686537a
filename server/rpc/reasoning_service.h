#ifndef COOKIX_SERVER_RPC_REASONING_SERVICE_H_
#define COOKIX_SERVER_RPC_REASONING_SERVICE_H_

#include "server/rpc/router.h"

namespace cookix::server {

// cookix.v1.ReasoningService: answers with their paths.
void AddReasoningService(Router& router);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_REASONING_SERVICE_H_
