// Puts a store together from backups and archived log.
#ifndef COOKIX_STORAGE_BACKUP_RESTORE_H_
#define COOKIX_STORAGE_BACKUP_RESTORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/backup/backup_file.h"
#include "storage/position.h"

namespace rocksdb {
class FileSystem;
}  // namespace rocksdb

namespace cookix::storage {

// What is to be restored. Nothing = the newest backup and all that is archived after it. A
// backup alone = that backup. A commit or a time = the store as it was then, from the newest
// backup that is not later, or from the one that is named.
struct RestoreTarget {
  std::optional<uint64_t> backup;
  std::optional<uint64_t> commit;
  // Unix milliseconds: every commit that was made until then.
  std::optional<int64_t> time_ms;
  // Of a store that went on in more than one way from one point (restored, say, and the old one
  // used again): the history that has this epoch. Nothing = the one that was begun last.
  std::optional<uint64_t> epoch;
};

struct RestoreOptions {
  // The directory of backups, and where the store is to be.
  std::string from;
  std::string to;
  RestoreTarget target;
  // Null = the operating system's files.
  std::shared_ptr<rocksdb::FileSystem> from_file_system;
  std::shared_ptr<rocksdb::FileSystem> to_file_system;
  // Free bytes that stay on the disk of the store.
  int64_t keep_free_bytes = 0;
  // Memory for repeating the log, bytes.
  int64_t memory_budget_bytes = 64 << 20;
};

struct RestoreReport {
  uint64_t backup = 0;
  // What the store holds.
  Position position;
  int64_t commit_time_ms = 0;
  // Commits that came from the archived log.
  uint64_t replayed = 0;
  // Nothing later is known: a time or the end that was asked for may be later than it.
  bool at_end = false;
};

// Makes a store in `to`, which does not exist or is empty, or in which a restore was
// interrupted; that goes on where it was. Until it is done the directory opens as no store.
// Opened as a primary, the store begins an epoch of its own; as a replica, it follows on from
// where it is. The backups are only read. Links are followed neither in the backups nor in
// `to`. Errors:
//   kInvalidArgument     INVALID_FIELD: the target contradicts itself
//   kFailedPrecondition  NOT_EMPTY: `to` has files, or is a link or no directory;
//                        FORMAT_MISMATCH; locked: another restore, or an open store
//   kNotFound            BACKUP_NOT_FOUND: no such backup, or none that is early enough
//   kOutOfRange          POSITION_EXPIRED: commits are not in the archive, saying up to which
//                        one the store could be brought. The directory then has no store.
//   kDataLoss            CORRUPTION: damaged, naming file and offset
//   kResourceExhausted   DISK_LOW
//   kPermissionDenied, kInternal
absl::StatusOr<RestoreReport> Restore(const RestoreOptions& options, StopCheck check);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_BACKUP_RESTORE_H_
