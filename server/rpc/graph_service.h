#ifndef COOKIX_SERVER_RPC_GRAPH_SERVICE_H_
#define COOKIX_SERVER_RPC_GRAPH_SERVICE_H_

#include "server/rpc/router.h"

namespace cookix::server {

// cookix.v1.GraphService: edges, walks, paths.
void AddGraphService(Router& router);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_GRAPH_SERVICE_H_
