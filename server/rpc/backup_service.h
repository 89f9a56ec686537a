#ifndef COOKIX_SERVER_RPC_BACKUP_SERVICE_H_
#define COOKIX_SERVER_RPC_BACKUP_SERVICE_H_

#include "server/rpc/router.h"

namespace cookix::server {

// cookix.v1.BackupService.
void AddBackupService(Router& router);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_BACKUP_SERVICE_H_
