// When a failed call is repeated, and after what pause.
#ifndef COOKIX_CLIENT_RETRY_H_
#define COOKIX_CLIENT_RETRY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "client/client.h"

namespace cookix::client {

// Pauses that double up to a bound, each between half and all of its step, so that those who
// failed together do not come back together. Not thread-safe.
class Backoff {
 public:
  // From the first step to the longest, milliseconds, each 1 at least.
  Backoff(int64_t initial_ms, int64_t max_ms, uint64_t seed);

  int64_t NextMs();
  // Begins again with the first step.
  void Reset() { step_ms_ = initial_ms_; }

 private:
  const int64_t initial_ms_;
  const int64_t max_ms_;
  uint64_t random_;
  int64_t step_ms_;
};

// A seed that differs from call to call.
uint64_t RandomSeed();

// The pauses of one call. Not thread-safe.
class RetryPolicy {
 public:
  // `safe_to_repeat`: the call is a read, or a write with a request id.
  RetryPolicy(const RetryOptions& options, bool safe_to_repeat, uint64_t seed);

  // Milliseconds to wait before the next attempt after `error`, between half and
  // all of the present step; -1 = give up.
  int64_t NextPauseMs(const absl::Status& error);

 private:
  const int max_attempts_;
  const bool safe_to_repeat_;
  int attempts_ = 1;
  Backoff backoff_;
};

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_RETRY_H_
