// The log of commits, as its readers see it.
//
// Every commit is one record of RocksDB's write-ahead log: the physical batch
// and, through PutLogData, a header that says which commit it is and what it
// means. Readers (views, replicas, feeds) get commits in order, without gaps,
// from a ring in memory while they keep up and from the files when they fall
// behind.
#ifndef COOKIX_STORAGE_LOG_H_
#define COOKIX_STORAGE_LOG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/position.h"

namespace cookix::storage {

// One commit. Immutable once published, shared between readers.
struct LogCommit {
  StoreId store{};
  uint64_t epoch = 0;
  uint64_t commit = 0;
  // When the primary made it, Unix milliseconds.
  int64_t time_ms = 0;
  // As given in CommitOptions; empty when none was.
  std::string request_id;
  // The logical change, in the engine's encoding (engine/change.h).
  std::string change;
  // The physical batch, header included: what a replica applies.
  std::string batch;
};

using LogCommitPtr = std::shared_ptr<const LogCommit>;

// Delivers commits after a position, in order. One thread at a time; Cancel()
// from any thread. It must not outlive the store.
class LogReader {
 public:
  virtual ~LogReader() = default;

  // The next commits, at least one and at most `max_commits`, waiting for the
  // first for at most `timeout`; empty when none came. Errors:
  //   kOutOfRange  the log no longer reaches back to the reader's position
  //                (POSITION_EXPIRED): start again from a snapshot
  //   kDataLoss    a record is damaged or a commit is missing
  //   kCancelled   after Cancel()
  virtual absl::StatusOr<std::vector<LogCommitPtr>> Next(size_t max_commits,
                                                         absl::Duration timeout) = 0;

  // Makes a waiting and every later Next() return kCancelled.
  virtual void Cancel() = 0;
};

// What a scan of the log files found.
struct LogScanReport {
  int64_t files = 0;
  int64_t records = 0;
  int64_t bytes = 0;
  uint64_t first_commit = 0;
  uint64_t last_commit = 0;
  // The end of the newest file is incomplete, as a crash leaves it; nothing that
  // was acknowledged as durable is lost.
  bool torn_tail = false;
  std::string torn_tail_detail;
  // Places where valid records follow damaged bytes, or commits are missing:
  // file, offset and what is wrong.
  std::vector<std::string> damage;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_LOG_H_
