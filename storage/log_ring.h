// The newest commits, in memory, for readers of the log that keep up.
#ifndef COOKIX_STORAGE_LOG_RING_H_
#define COOKIX_STORAGE_LOG_RING_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "absl/time/time.h"
#include "storage/log.h"

namespace cookix::storage {

// Thread-safe.
class LogRing {
 public:
  // Keeps commits whose bytes add up to `capacity_bytes` at most, and always none
  // when that is zero. `last_published` is the last commit before the first push.
  LogRing(int64_t capacity_bytes, uint64_t last_published);

  // Adds published commits, which follow the last one, and wakes readers.
  void Push(const std::vector<LogCommitPtr>& commits);

  enum class Outcome {
    kTaken,    // commits from `next` on are in `out`
    kTooOld,   // `next` is published but no longer in the ring
    kTimeout,  // `next` was not published in time
    kCancelled,
  };
  // Takes up to `max_commits` commits from number `next` on, waiting for the first.
  // `cancelled` is guarded by the ring: set it through Cancel().
  Outcome Take(uint64_t next, size_t max_commits, absl::Duration timeout, const bool& cancelled,
               std::vector<LogCommitPtr>* out);

  // Sets the flag and wakes who waits with it.
  void Cancel(bool* cancelled);

  uint64_t last_published() const;

 private:
  const int64_t capacity_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable published_;
  std::deque<LogCommitPtr> commits_;
  int64_t bytes_ = 0;
  uint64_t last_published_;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_LOG_RING_H_
