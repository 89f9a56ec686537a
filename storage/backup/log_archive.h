// Commits kept beside backups, so that a store can be brought to any commit between and after
// them.
//
// The archive is a directory of segments, files of commits one after the other. Stores that
// went separate ways from one backup may have archived commits of the same numbers: each
// segment says which history it is of. The bytes are described in storage/doc/backup_format.md.
#ifndef COOKIX_STORAGE_BACKUP_LOG_ARCHIVE_H_
#define COOKIX_STORAGE_BACKUP_LOG_ARCHIVE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/file_system.h"
#include "storage/checked_file.h"
#include "storage/epoch_history.h"
#include "storage/log.h"

namespace cookix::storage {

struct LogSegment {
  uint64_t first = 0;
  uint64_t last = 0;
  // Of its last commit.
  uint64_t epoch = 0;
  // Checksum of its epochs: segments of one history have the same until that goes on.
  uint32_t history = 0;

  // Of the file. The order of names is that of first commits.
  std::string Name() const;
  bool operator==(const LogSegment&) const = default;
};

// What a segment says before its commits.
struct LogSegmentHeader {
  StoreId store{};
  EpochHistory epochs;
};

// An archived commit.
struct ArchivedCommit {
  uint64_t epoch = 0;
  uint64_t commit = 0;
  int64_t time_ms = 0;
  // LogCommit::batch.
  std::string record;
};

// Reads one segment. One thread at a time.
class LogSegmentReader {
 public:
  const LogSegmentHeader& header() const { return header_; }
  // False at the end, when all commits that its name promises were there. kDataLoss otherwise,
  // naming file and offset.
  absl::StatusOr<bool> Next(ArchivedCommit* commit);
  // After kDataLoss: where in the file.
  uint64_t damaged_at() const { return reader_->damaged_at(); }

 private:
  friend class LogArchive;
  LogSegmentReader(std::string place, LogSegment segment, std::unique_ptr<CheckedFileReader> reader)
      : place_(std::move(place)), segment_(segment), reader_(std::move(reader)) {}
  absl::Status ReadHeader();
  absl::Status Damaged(std::string_view what) const;

  const std::string place_;
  const LogSegment segment_;
  const std::unique_ptr<CheckedFileReader> reader_;
  LogSegmentHeader header_;
  uint64_t next_ = segment_.first;
};

// Thread-safe as far as the files are: one writer at a time.
class LogArchive {
 public:
  // In `log` beneath the directory of backups. `fs` must outlive it.
  LogArchive(rocksdb::FileSystem& fs, std::string backups)
      : fs_(fs), backups_(std::move(backups)) {}

  // Relative to the directory of backups.
  static std::string PlaceOf(const LogSegment& segment);

  // By first commit; none when there is no archive. Other files are passed over.
  absl::StatusOr<std::vector<LogSegment>> List() const;

  // Errors:
  //   kDataLoss            its beginning is damaged, naming file and offset
  //   kFailedPrecondition  FORMAT_MISMATCH: newer than this program
  absl::StatusOr<std::unique_ptr<LogSegmentReader>> Open(const LogSegment& segment) const;

  // Adds a segment, durably. The directory exists. `epochs` cover the commits, of which there
  // is at least one and which follow each other. Leaves `keep_free_bytes` free.
  absl::Status Write(const EpochHistory& epochs, const std::vector<LogCommitPtr>& commits,
                     uint64_t keep_free_bytes);

 private:
  rocksdb::FileSystem& fs_;
  const std::string backups_;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_BACKUP_LOG_ARCHIVE_H_
