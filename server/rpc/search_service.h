#ifndef COOKIX_SERVER_RPC_SEARCH_SERVICE_H_
#define COOKIX_SERVER_RPC_SEARCH_SERVICE_H_

#include "server/rpc/router.h"

namespace cookix::server {

// cookix.v1.SearchService: objects by vectors, by words and by links.
void AddSearchService(Router& router);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_SEARCH_SERVICE_H_
