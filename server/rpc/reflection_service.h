#ifndef COOKIX_SERVER_RPC_REFLECTION_SERVICE_H_
#define COOKIX_SERVER_RPC_REFLECTION_SERVICE_H_

#include "server/rpc/router.h"

namespace cookix::server {

// grpc.reflection.v1 and v1alpha. Only added when the operator switched it on.
void AddReflectionService(Router& router);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_REFLECTION_SERVICE_H_
