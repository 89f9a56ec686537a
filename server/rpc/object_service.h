#ifndef COOKIX_SERVER_RPC_OBJECT_SERVICE_H_
#define COOKIX_SERVER_RPC_OBJECT_SERVICE_H_

#include "server/rpc/router.h"

namespace cookix::server {

// cookix.v1.ObjectService: objects, streams of them, and the bulk path.
void AddObjectService(Router& router);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_OBJECT_SERVICE_H_
