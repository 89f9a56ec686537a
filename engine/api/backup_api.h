// Backups: see proto/cookix/v1/backup_service.proto.
#ifndef COOKIX_ENGINE_API_BACKUP_API_H_
#define COOKIX_ENGINE_API_BACKUP_API_H_

#include "absl/status/status.h"
#include "cookix/v1/backup_service.pb.h"
#include "engine/call_context.h"

namespace cookix::engine {

class Database;

// In DatabaseOptions::backup_dir. Thread-safe.
class BackupApi {
 public:
  explicit BackupApi(Database& database) : database_(database) {}

  absl::Status CreateBackup(CallContext& context, const v1::CreateBackupRequest& request,
                            v1::CreateBackupResponse* response);
  absl::Status ArchiveLog(CallContext& context, const v1::ArchiveLogRequest& request,
                          v1::ArchiveLogResponse* response);
  absl::Status ListBackups(CallContext& context, const v1::ListBackupsRequest& request,
                           v1::ListBackupsResponse* response);
  absl::Status VerifyBackups(CallContext& context, const v1::VerifyBackupsRequest& request,
                             v1::VerifyBackupsResponse* response);
  absl::Status PruneBackups(CallContext& context, const v1::PruneBackupsRequest& request,
                            v1::PruneBackupsResponse* response);

 private:
  Database& database_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_BACKUP_API_H_
