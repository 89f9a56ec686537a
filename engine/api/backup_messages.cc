#include "engine/api/backup_messages.h"

namespace cookix::engine {

v1::Backup ToProto(const storage::BackupSummary& backup) {
  v1::Backup out;
  out.set_number(static_cast<int64_t>(backup.number));
  out.set_created_ms(backup.time_ms);
  out.set_commit(static_cast<int64_t>(backup.position.commit));
  out.set_epoch(static_cast<int64_t>(backup.position.epoch));
  out.set_commit_time_ms(backup.commit_time_ms);
  out.set_files(static_cast<int64_t>(backup.files));
  out.set_bytes(static_cast<int64_t>(backup.bytes));
  out.set_new_bytes(static_cast<int64_t>(backup.new_bytes));
  out.set_damage(backup.damage);
  return out;
}

v1::CommitRange ToProto(const storage::ArchivedRange& range) {
  v1::CommitRange out;
  out.set_first(static_cast<int64_t>(range.first));
  out.set_last(static_cast<int64_t>(range.last));
  return out;
}

v1::ListBackupsResponse ToProto(const storage::BackupList& list) {
  v1::ListBackupsResponse out;
  for (const storage::BackupSummary& backup : list.backups) *out.add_backups() = ToProto(backup);
  for (const storage::ArchivedRange& range : list.log) *out.add_log() = ToProto(range);
  out.set_log_bytes(static_cast<int64_t>(list.log_bytes));
  return out;
}

v1::VerifyBackupsResponse ToProto(const storage::VerifyReport& report) {
  v1::VerifyBackupsResponse out;
  out.set_backups(static_cast<int64_t>(report.backups));
  out.set_files(static_cast<int64_t>(report.files));
  out.set_bytes(static_cast<int64_t>(report.bytes));
  for (const storage::BackupDamage& damage : report.damage) {
    v1::BackupDamage& listed = *out.add_damage();
    listed.set_file(damage.file);
    listed.set_offset(static_cast<int64_t>(damage.offset));
    listed.set_what(damage.what);
    for (const uint64_t number : damage.backups) {
      listed.add_backups(static_cast<int64_t>(number));
    }
  }
  return out;
}

}  // namespace cookix::engine
