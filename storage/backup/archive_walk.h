// The archived commits of one history, in order.
#ifndef COOKIX_STORAGE_BACKUP_ARCHIVE_WALK_H_
#define COOKIX_STORAGE_BACKUP_ARCHIVE_WALK_H_

#include <cstdint>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/backup/backup_file.h"
#include "storage/backup/log_archive.h"
#include "storage/epoch_history.h"

namespace cookix::storage {

struct ArchiveWalk {
  // The history whose commits are wanted; those that others made from the same beginning are
  // passed over.
  EpochHistory history;
  // The commits after this one,
  uint64_t after = 0;
  // up to this one, which must be there,
  std::optional<uint64_t> until_commit;
  // or as long as they were made until then.
  std::optional<int64_t> until_ms;
};

struct ArchiveWalkEnd {
  // The last commit given out; `after` when there was none.
  uint64_t commit = 0;
  int64_t time_ms = 0;
  // The archive holds none after it.
  bool at_end = false;
};

// Gives each commit to `take`. Errors:
//   kOutOfRange  POSITION_EXPIRED: one is missing between others, or before `until_commit`
//   kDataLoss    one cannot be read, naming file and offset
// Both say after which commit.
absl::StatusOr<ArchiveWalkEnd> WalkArchive(
    const LogArchive& archive, const ArchiveWalk& walk, StopCheck check,
    absl::FunctionRef<absl::Status(const ArchivedCommit&)> take);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_BACKUP_ARCHIVE_WALK_H_
