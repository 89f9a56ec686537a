#ifndef COOKIX_SERVER_RPC_ADMIN_SERVICE_H_
#define COOKIX_SERVER_RPC_ADMIN_SERVICE_H_

#include "server/rpc/router.h"

namespace cookix::server {

// cookix.v1.AdminService. What concerns the server itself (running queries,
// read-only mode) is answered here, the rest by the engine.
void AddAdminService(Router& router);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_ADMIN_SERVICE_H_
