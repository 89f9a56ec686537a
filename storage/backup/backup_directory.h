// A directory of backups of one store.
//
// A backup is a copy of the store at a position, and exists or does not: its manifest is
// written last. Files that never change, most of a store's bytes, are shared by the backups that
// have them, so that a backup costs what was rewritten since the one before it. Beside the backups
// lies the log that was archived after them; restore.h puts both together again. See
// docs/adr/0019-backups.md and storage/doc/backup_format.md.
#ifndef COOKIX_STORAGE_BACKUP_BACKUP_DIRECTORY_H_
#define COOKIX_STORAGE_BACKUP_BACKUP_DIRECTORY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/backup/backup_file.h"
#include "storage/backup/backup_manifest.h"
#include "storage/backup/log_archive.h"
#include "storage/store.h"

namespace cookix::storage {

struct BackupOptions {
  // Where the backups are. Null = the operating system's files.
  std::shared_ptr<rocksdb::FileSystem> file_system;
  // The directory; made if missing. Nothing else may be in it.
  std::string path;
  // Free bytes that must stay on its disk.
  uint64_t keep_free_bytes = 0;
  // Unix milliseconds. Null = the system's.
  std::function<int64_t()> clock_ms;
};

// What is known of a backup without reading its files.
struct BackupSummary {
  uint64_t number = 0;
  int64_t time_ms = 0;
  Position position;
  int64_t commit_time_ms = 0;
  uint64_t files = 0;
  // Of all its files, and of those that were copied for it.
  uint64_t bytes = 0;
  uint64_t new_bytes = 0;
  // Why its manifest cannot be read; the rest but for the number is 0 then.
  std::string damage;
};

// Commits that are archived one after the other.
struct ArchivedRange {
  uint64_t first = 0;
  uint64_t last = 0;
};

struct BackupList {
  // By number.
  std::vector<BackupSummary> backups;
  // Rising. Ranges of histories that went separate ways are not told apart.
  std::vector<ArchivedRange> log;
  uint64_t log_bytes = 0;
};

struct ArchiveReport {
  // What was archived; last < first when there was nothing new.
  uint64_t first = 1;
  uint64_t last = 0;
  // Commits that had left the store's log before they were archived: only backups reach over
  // them.
  std::optional<ArchivedRange> gap;
};

struct BackupReport {
  BackupSummary backup;
  ArchiveReport log;
  // Why the log could not be archived, while the backup was made.
  absl::Status log_status;
};

struct VerifyReport {
  uint64_t backups = 0;
  uint64_t files = 0;
  uint64_t bytes = 0;
  std::vector<BackupDamage> damage;
};

struct PruneReport {
  std::vector<uint64_t> removed;
  uint64_t removed_bytes = 0;
  // Shared files that none of the readable backups has stay while the manifest of a backup
  // that stays is damaged.
  bool kept_for_damaged = false;
};

// Thread-safe. Create(), ArchiveLog() and Prune() lock the directory, against other processes
// too: FAILED_PRECONDITION BACKUP_BUSY. The others read it as it is. Further errors of all:
//   kDataLoss            CORRUPTION: links or special files where there should be none
//   kResourceExhausted   DISK_LOW
//   kPermissionDenied, kInternal   as for stores
class BackupDirectory {
 public:
  explicit BackupDirectory(BackupOptions options);

  // Makes a backup of `store`, with the log from `log_from` (see Store::MakeCopy()), and then
  // archives the log. `full` copies every file, also those that are there: it replaces damaged
  // ones. Errors: FAILED_PRECONDITION STORE_MISMATCH: the directory is of another store, or
  // has other files. After an error the backup does not exist; if the disk failed at the last
  // step and did not let it be removed either, it may, whole.
  absl::StatusOr<BackupReport> Create(Store& store, uint64_t log_from, bool full, StopCheck check);

  // Archives the commits of `store` that are not archived yet, from the oldest backup on if
  // none were, as far as the store's log reaches back. NOT_FOUND BACKUP_NOT_FOUND without a backup
  // of the store's history.
  absl::StatusOr<ArchiveReport> ArchiveLog(Store& store, StopCheck check);

  // Also with damaged backups in it. Without a directory, nothing.
  absl::StatusOr<BackupList> List() const;

  // Reads every byte of one backup, or of all and of the archived log. NOT_FOUND
  // BACKUP_NOT_FOUND when there is no such backup, or it was pruned meanwhile.
  absl::StatusOr<VerifyReport> Verify(std::optional<uint64_t> number, StopCheck check) const;

  // Removes all but the newest `keep` backups that can be read, what no backup has any more,
  // and the log before the oldest of them. INVALID_ARGUMENT when `keep` is 0.
  absl::StatusOr<PruneReport> Prune(uint64_t keep, StopCheck check);

  // Of the backups, rising; damaged ones included.
  absl::StatusOr<std::vector<uint64_t>> Numbers() const;

 private:
  class Lock;

  absl::StatusOr<std::shared_ptr<Lock>> LockDirectory() const;
  // Says whose it is, or checks that.
  absl::Status Claim(const StoreId& store) const;
  absl::Status MakePlace(const std::string& place) const;
  // Removes what attempts that were interrupted have left, but for whole shared files.
  absl::Status TidyUp() const;
  absl::Status RemoveTemporary(std::string_view place) const;
  struct Attempt;
  absl::Status CopyFiles(StoreCopy& copy, bool full, StopCheck check, Attempt* attempt) const;
  absl::Status TakeShared(StoreCopy& copy, size_t index, bool full, StopCheck check,
                          Attempt* attempt) const;
  absl::Status TakeOwn(StoreCopy& copy, size_t index, StopCheck check, Attempt* attempt) const;
  absl::Status SyncPlaces(const BackupManifest& manifest) const;
  // The newest backup that can be read; number 0 when there is none.
  absl::StatusOr<BackupManifest> NewestManifest() const;

  // REQUIRES: the directory is locked.
  absl::StatusOr<ArchiveReport> Archive(Store& store, StopCheck check) const;
  // The last commit of the store's history that is archived; 0 when none is.
  absl::StatusOr<uint64_t> LastArchived(const Store& store) const;
  // Of the backups of the store's history, the earliest commit and the latest one.
  struct BackedUp {
    uint64_t first = 0;
    uint64_t last = 0;
  };
  absl::StatusOr<BackedUp> FindBackedUp(const Store& store) const;
  absl::Status ArchiveFrom(Store& store, uint64_t after, StopCheck check,
                           ArchiveReport* report) const;

  // Files that were read, and where in the report their damage is, if any.
  using Seen = std::map<std::string, std::optional<size_t>>;
  absl::Status VerifyBackup(uint64_t number, Seen* seen, StopCheck check,
                            VerifyReport* report) const;
  absl::Status VerifyLog(StopCheck check, VerifyReport* report) const;
  absl::Status VerifySegment(const LogSegment& segment, StopCheck check,
                             VerifyReport* report) const;

  absl::Status RemoveBackup(uint64_t number, PruneReport* report) const;
  // Removes the files in `place` that are not `used`.
  absl::Status RemoveUnused(std::string_view place, const std::set<std::string>& used,
                            StopCheck check, PruneReport* report) const;

  rocksdb::FileSystem& fs() const { return *options_.file_system; }
  std::string PathOf(std::string_view place) const;
  int64_t Now() const;

  const BackupOptions options_;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_BACKUP_BACKUP_DIRECTORY_H_
