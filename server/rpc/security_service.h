#ifndef COOKIX_SERVER_RPC_SECURITY_SERVICE_H_
#define COOKIX_SERVER_RPC_SECURITY_SERVICE_H_

#include "server/rpc/router.h"

namespace cookix::server {

// cookix.v1.SecurityService: keys.
void AddSecurityService(Router& router);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_SECURITY_SERVICE_H_
