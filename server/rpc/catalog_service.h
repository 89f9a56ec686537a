#ifndef COOKIX_SERVER_RPC_CATALOG_SERVICE_H_
#define COOKIX_SERVER_RPC_CATALOG_SERVICE_H_

#include "server/rpc/router.h"

namespace cookix::server {

// cookix.v1.CatalogService: namespaces, collections, relations.
void AddCatalogService(Router& router);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_CATALOG_SERVICE_H_
