#ifndef COOKIX_SERVER_RPC_SEARCH_SERVICE_H_
#define COOKIX_SERVER_RPC_SEARCH_SERVICE_H_

#include "server/rpc/router.h"

namespace cookix::server {

void AddSearchService(Router& router);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_SEARCH_SERVICE_H_
