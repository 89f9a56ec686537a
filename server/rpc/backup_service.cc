#include "server/rpc/backup_service.h"

#include "engine/api/backup_api.h"
#include "server/rpc/handlers.h"

namespace cookix::server {

void AddBackupService(Router& router) {
  using engine::BackupApi;
  const auto backup = &engine::Database::backup;
  Forward(router, "cookix.v1.BackupService/CreateBackup", backup, &BackupApi::CreateBackup);
  Forward(router, "cookix.v1.BackupService/ArchiveLog", backup, &BackupApi::ArchiveLog);
  Forward(router, "cookix.v1.BackupService/ListBackups", backup, &BackupApi::ListBackups);
  Forward(router, "cookix.v1.BackupService/VerifyBackups", backup, &BackupApi::VerifyBackups);
  Forward(router, "cookix.v1.BackupService/PruneBackups", backup, &BackupApi::PruneBackups);
}

}  // namespace cookix::server
