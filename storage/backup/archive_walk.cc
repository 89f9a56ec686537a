#include "storage/backup/archive_walk.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/base/crc32c.h"
#include "storage/base/status.h"

namespace cookix::storage {
namespace {

std::string Text(absl::string_view text) { return std::string(text.data(), text.size()); }

class Walker {
 public:
  Walker(const LogArchive& archive, const ArchiveWalk& walk, StopCheck check,
         absl::FunctionRef<absl::Status(const ArchivedCommit&)> take)
      : archive_(archive), walk_(walk), check_(check), take_(take), end_{.commit = walk.after} {}

  absl::StatusOr<ArchiveWalkEnd> Run() {
    COOKIX_ASSIGN_OR_RETURN(const std::vector<LogSegment> segments, archive_.List());
    for (const LogSegment& segment : segments) {
      if (Done() || gap_before_ > 0) break;
      if (segment.last > end_.commit) COOKIX_RETURN_IF_ERROR(ReadSegment(segment));
    }
    if (Done()) return end_;
    if (!damage_.ok() && damaged_last_ > end_.commit) return Damaged();
    if (gap_before_ > 0) return Missing(gap_before_ - 1);
    if (walk_.until_commit.has_value()) return Missing(*walk_.until_commit);
    end_.at_end = true;
    return end_;
  }

 private:
  bool Done() const {
    return later_seen_ || (walk_.until_commit.has_value() && end_.commit >= *walk_.until_commit);
  }

  // A segment that cannot be read does not matter if another one has its commits.
  absl::Status ReadSegment(const LogSegment& segment) {
    const absl::Status status = ReadCommits(segment);
    if (status.code() != absl::StatusCode::kDataLoss) return status;
    const std::string epochs = EncodeHistory(UpTo(walk_.history, segment.epoch));
    if (damage_.ok() && segment.history == Crc32c(epochs)) {
      damage_ = status;
      damaged_last_ = segment.last;
    }
    return absl::OkStatus();
  }

  absl::Status ReadCommits(const LogSegment& segment) {
    COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<LogSegmentReader> reader, archive_.Open(segment));
    const EpochHistory& of = reader->header().epochs;
    ArchivedCommit commit;
    while (!Done()) {
      COOKIX_RETURN_IF_ERROR(check_());
      COOKIX_ASSIGN_OR_RETURN(const bool more, reader->Next(&commit));
      if (!more) break;
      if (commit.commit <= end_.commit) continue;
      if (!Holds(walk_.history, of, commit.epoch, commit.commit)) break;
      if (commit.commit > end_.commit + 1) {
        gap_before_ = commit.commit;
        break;
      }
      if (walk_.until_ms.has_value() && commit.time_ms > *walk_.until_ms) {
        later_seen_ = true;
        break;
      }
      COOKIX_RETURN_IF_ERROR(take_(commit));
      end_.commit = commit.commit;
      end_.time_ms = commit.time_ms;
    }
    return absl::OkStatus();
  }

  std::string Possible() const {
    return "; the store can be brought up to commit " + std::to_string(end_.commit);
  }

  absl::Status Missing(uint64_t last) const {
    const std::string which = last == end_.commit + 1
                                  ? "commit " + std::to_string(last) + " is"
                                  : "the commits " + std::to_string(end_.commit + 1) + " to " +
                                        std::to_string(last) + " are";
    return MakeError(
        absl::StatusCode::kOutOfRange, which + " not in the archived log" + Possible(),
        {"POSITION_EXPIRED", "", "Restore up to that commit, or from a later backup.", false});
  }

  absl::Status Damaged() const {
    return Corruption(Text(damage_.message()) + Possible(),
                      "Restore up to that commit, or from a later backup.");
  }

  const LogArchive& archive_;
  const ArchiveWalk& walk_;
  const StopCheck check_;
  const absl::FunctionRef<absl::Status(const ArchivedCommit&)> take_;
  ArchiveWalkEnd end_;
  bool later_seen_ = false;
  // Commits are missing before this one.
  uint64_t gap_before_ = 0;
  // The first damage, and up to which commit it reaches.
  absl::Status damage_;
  uint64_t damaged_last_ = 0;
};

}  // namespace

absl::StatusOr<ArchiveWalkEnd> WalkArchive(
    const LogArchive& archive, const ArchiveWalk& walk, StopCheck check,
    absl::FunctionRef<absl::Status(const ArchivedCommit&)> take) {
  return Walker(archive, walk, check, take).Run();
}

}  // namespace cookix::storage
