#ifndef COOKIX_SERVER_RPC_REPLICATION_SERVICE_H_
#define COOKIX_SERVER_RPC_REPLICATION_SERVICE_H_

#include "server/rpc/router.h"

namespace cookix::server {

// cookix.v1.ReplicationService, for operators, and cookix.internal.v1.ReplicationService, for
// replicas.
void AddReplicationService(Router& router);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_REPLICATION_SERVICE_H_
