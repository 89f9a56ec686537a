// How the log is archived beside the backups.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "storage/backup/backup_directory.h"
#include "storage/base/status.h"
#include "storage/file_tree.h"

namespace cookix::storage {
namespace {

constexpr size_t kCommitsAtOnce = 1024;
// What is kept in memory until it is written as a segment; one commit may be larger.
constexpr uint64_t kSegmentBytes = 16 << 20;

bool HasExpired(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() && detail->reason == "POSITION_EXPIRED";
}

}  // namespace

absl::StatusOr<ArchiveReport> BackupDirectory::ArchiveLog(Store& store, StopCheck check) {
  COOKIX_ASSIGN_OR_RETURN(const bool exists, Exists(fs(), PathOf(kBackupsNote)));
  if (!exists) {
    return NotFound("BACKUP_NOT_FOUND", "", "there is no backup that archived log could follow",
                    "Make a backup first.");
  }
  COOKIX_ASSIGN_OR_RETURN(const std::shared_ptr<Lock> lock, LockDirectory());
  COOKIX_RETURN_IF_ERROR(Claim(store.id()));
  COOKIX_RETURN_IF_ERROR(TidyUp());
  return Archive(store, check);
}

absl::StatusOr<uint64_t> BackupDirectory::LastArchived(const Store& store) const {
  const LogArchive archive(fs(), options_.path);
  COOKIX_ASSIGN_OR_RETURN(std::vector<LogSegment> segments, archive.List());
  std::sort(segments.begin(), segments.end(),
            [](const LogSegment& a, const LogSegment& b) { return a.last > b.last; });
  const EpochHistory epochs = store.Epochs();
  for (const LogSegment& segment : segments) {
    const auto reader = archive.Open(segment);
    // A damaged one is passed over, and its commits are archived again while the log has them.
    if (!reader.ok()) {
      if (reader.status().code() == absl::StatusCode::kDataLoss) continue;
      return reader.status();
    }
    const EpochHistory& of = (*reader)->header().epochs;
    if (Holds(epochs, of, segment.epoch, segment.last)) return segment.last;
  }
  return 0;
}

absl::StatusOr<BackupDirectory::BackedUp> BackupDirectory::FindBackedUp(const Store& store) const {
  COOKIX_ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers, Numbers());
  const EpochHistory epochs = store.Epochs();
  std::optional<BackedUp> found;
  for (const uint64_t number : numbers) {
    const auto manifest = ReadBackupManifest(fs(), options_.path, number, nullptr);
    if (!manifest.ok()) continue;
    const Position& position = manifest->position;
    if (!WhyDiverged(manifest->epochs, position.commit, epochs).empty()) continue;
    if (!found.has_value()) found = BackedUp{position.commit, position.commit};
    found->first = std::min(found->first, position.commit);
    found->last = std::max(found->last, position.commit);
  }
  if (found.has_value()) return *found;
  return NotFound("BACKUP_NOT_FOUND", "",
                  "there is no backup of this store's history that archived log could follow",
                  "Make a backup first.");
}

absl::StatusOr<ArchiveReport> BackupDirectory::Archive(Store& store, StopCheck check) const {
  COOKIX_ASSIGN_OR_RETURN(const BackedUp backed_up, FindBackedUp(store));
  COOKIX_ASSIGN_OR_RETURN(const uint64_t archived, LastArchived(store));
  ArchiveReport report;
  const uint64_t after = std::max(archived, backed_up.first);
  const absl::Status status = ArchiveFrom(store, after, check, &report);
  // Nothing more can be had of what left the log; the newest backup reaches over it.
  if (!HasExpired(status) || report.last >= report.first || backed_up.last <= after) {
    COOKIX_RETURN_IF_ERROR(status);
    return report;
  }
  report.gap = ArchivedRange{after + 1, backed_up.last};
  COOKIX_RETURN_IF_ERROR(ArchiveFrom(store, backed_up.last, check, &report));
  return report;
}

absl::Status BackupDirectory::ArchiveFrom(Store& store, uint64_t after, StopCheck check,
                                          ArchiveReport* report) const {
  const uint64_t until = store.Latest()->commit();
  *report = {.first = after + 1, .last = after, .gap = report->gap};
  if (after >= until) return absl::OkStatus();
  COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<LogReader> reader,
                          store.ReadLog({store.id(), EpochOf(store.Epochs(), after), after}));
  LogArchive archive(fs(), options_.path);
  std::vector<LogCommitPtr> held;
  uint64_t bytes = 0;
  const auto write = [&]() -> absl::Status {
    if (held.empty()) return absl::OkStatus();
    // Read after the commits, so that they cover them.
    COOKIX_RETURN_IF_ERROR(archive.Write(store.Epochs(), held, options_.keep_free_bytes));
    report->last = held.back()->commit;
    held.clear();
    bytes = 0;
    return absl::OkStatus();
  };
  for (uint64_t last = after; last < until;) {
    COOKIX_RETURN_IF_ERROR(check());
    COOKIX_ASSIGN_OR_RETURN(const std::vector<LogCommitPtr> commits,
                            reader->Next(kCommitsAtOnce, absl::ZeroDuration()));
    if (commits.empty()) break;
    for (const LogCommitPtr& commit : commits) {
      held.push_back(commit);
      bytes += commit->batch.size();
      last = commit->commit;
      if (bytes >= kSegmentBytes) COOKIX_RETURN_IF_ERROR(write());
    }
  }
  return write();
}

}  // namespace cookix::storage
