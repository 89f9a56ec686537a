// What the storage layer says of backups, as wire messages.
#ifndef COOKIX_ENGINE_API_BACKUP_MESSAGES_H_
#define COOKIX_ENGINE_API_BACKUP_MESSAGES_H_

#include "cookix/v1/backup_service.pb.h"
#include "storage/backup/backup_directory.h"

namespace cookix::engine {

v1::Backup ToProto(const storage::BackupSummary& backup);
v1::CommitRange ToProto(const storage::ArchivedRange& range);
v1::ListBackupsResponse ToProto(const storage::BackupList& list);
v1::VerifyBackupsResponse ToProto(const storage::VerifyReport& report);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_BACKUP_MESSAGES_H_
