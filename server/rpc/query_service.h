#ifndef COOKIX_SERVER_RPC_QUERY_SERVICE_H_
#define COOKIX_SERVER_RPC_QUERY_SERVICE_H_

#include "server/rpc/router.h"

namespace cookix::server {

// cookix.v1.QueryService: queries and their plans.
void AddQueryService(Router& router);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_QUERY_SERVICE_H_
