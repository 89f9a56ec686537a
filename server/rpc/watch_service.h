#ifndef COOKIX_SERVER_RPC_WATCH_SERVICE_H_
#define COOKIX_SERVER_RPC_WATCH_SERVICE_H_

#include "server/rpc/router.h"

namespace cookix::server {

// cookix.v1.WatchService: the change feed.
void AddWatchService(Router& router);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_WATCH_SERVICE_H_
