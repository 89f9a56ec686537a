#ifndef COOKIX_SERVER_RPC_HEALTH_SERVICE_H_
#define COOKIX_SERVER_RPC_HEALTH_SERVICE_H_

#include "server/rpc/router.h"

namespace cookix::server {

// grpc.health.v1.Health. Every service has the health of the whole server.
void AddHealthService(Router& router);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_HEALTH_SERVICE_H_
