#include "engine/api/backup_api.h"

#include <algorithm>
#include <optional>
#include <string>

#include "engine/api/backup_messages.h"
#include "engine/database.h"
#include "storage/backup/backup_directory.h"
#include "storage/base/status.h"
#include "storage/store.h"

namespace cookix::engine {
namespace {

absl::StatusOr<storage::BackupDirectory> BackupsOf(const Database& database) {
  const DatabaseOptions& options = database.options();
  if (options.backup_dir.empty()) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "there is no directory for backups",
                     {"BACKUPS_OFF", "", "Start the server with the setting backup_dir.", false});
  }
  return storage::BackupDirectory({.path = options.backup_dir,
                                   .keep_free_bytes = static_cast<uint64_t>(
                                       std::max<int64_t>(options.storage.low_disk_bytes, 0)),
                                   .clock_ms = options.storage.clock_ms});
}

// The commit from which views that were restored catch up by the log.
uint64_t LogFrom(Database& database) {
  uint64_t from = database.store().Latest()->commit();
  for (const ViewStatus& view : database.views().Status()) {
    if (view.checkpoint_commit > 0) from = std::min(from, view.checkpoint_commit);
  }
  return from;
}

// Shared by the answers that have both.
template <typename Response>
void FillArchived(const storage::ArchiveReport& report, Response* response) {
  if (report.last >= report.first) {
    *response->mutable_archived() = ToProto(storage::ArchivedRange{report.first, report.last});
  }
  if (report.gap.has_value()) *response->mutable_gap() = ToProto(*report.gap);
}

}  // namespace

absl::Status BackupApi::CreateBackup(CallContext& context, const v1::CreateBackupRequest& request,
                                     v1::CreateBackupResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  COOKIX_ASSIGN_OR_RETURN(storage::BackupDirectory backups, BackupsOf(database_));
  COOKIX_ASSIGN_OR_RETURN(const storage::BackupReport report,
                          backups.Create(database_.store(), LogFrom(database_), request.full(),
                                         [&] { return context.Check(); }));
  *response->mutable_backup() = ToProto(report.backup);
  FillArchived(report.log, response);
  response->set_archive_error(std::string(report.log_status.message()));
  return absl::OkStatus();
}

absl::Status BackupApi::ArchiveLog(CallContext& context, const v1::ArchiveLogRequest& request,
                                   v1::ArchiveLogResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  COOKIX_ASSIGN_OR_RETURN(storage::BackupDirectory backups, BackupsOf(database_));
  COOKIX_ASSIGN_OR_RETURN(const storage::ArchiveReport report,
                          backups.ArchiveLog(database_.store(), [&] { return context.Check(); }));
  FillArchived(report, response);
  return absl::OkStatus();
}

absl::Status BackupApi::ListBackups(CallContext& context, const v1::ListBackupsRequest& request,
                                    v1::ListBackupsResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  COOKIX_ASSIGN_OR_RETURN(const storage::BackupDirectory backups, BackupsOf(database_));
  COOKIX_ASSIGN_OR_RETURN(const storage::BackupList list, backups.List());
  *response = ToProto(list);
  return absl::OkStatus();
}

absl::Status BackupApi::VerifyBackups(CallContext& context, const v1::VerifyBackupsRequest& request,
                                      v1::VerifyBackupsResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  if (request.number() < 0) {
    return InvalidField("number", "no backup has a number below 1", "List the backups.");
  }
  COOKIX_ASSIGN_OR_RETURN(const storage::BackupDirectory backups, BackupsOf(database_));
  std::optional<uint64_t> number;
  if (request.number() > 0) number = static_cast<uint64_t>(request.number());
  const auto report = backups.Verify(number, [&] { return context.Check(); });
  if (!report.ok()) {
    return report.status().code() == absl::StatusCode::kNotFound
               ? WithField(report.status(), "number")
               : report.status();
  }
  *response = ToProto(*report);
  return absl::OkStatus();
}

absl::Status BackupApi::PruneBackups(CallContext& context, const v1::PruneBackupsRequest& request,
                                     v1::PruneBackupsResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  COOKIX_ASSIGN_OR_RETURN(storage::BackupDirectory backups, BackupsOf(database_));
  COOKIX_ASSIGN_OR_RETURN(const storage::PruneReport report,
                          backups.Prune(static_cast<uint64_t>(std::max<int64_t>(request.keep(), 0)),
                                        [&] { return context.Check(); }));
  for (const uint64_t number : report.removed) {
    response->add_removed(static_cast<int64_t>(number));
  }
  response->set_removed_bytes(static_cast<int64_t>(report.removed_bytes));
  response->set_kept_for_damaged(report.kept_for_damaged);
  return absl::OkStatus();
}

}  // namespace cookix::engine
