// When a failed call is repeated, and after what pause.
#ifndef COOKIX_CLIENT_RETRY_H_
#define COOKIX_CLIENT_RETRY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "client/client.h"

namespace cookix::client {

// The pauses of one call: exponential with jitter, so that clients that failed
// together do not come back together. Not thread-safe.
class RetryPolicy {
 public:
  // `safe_to_repeat`: the call is a read, or a write with a request id.
  RetryPolicy(const RetryOptions& options, bool safe_to_repeat, uint64_t seed);

  // Milliseconds to wait before the next attempt after `error`, between half and
  // all of the present step; -1 = give up.
  int64_t NextPauseMs(const absl::Status& error);

 private:
  const RetryOptions options_;
  const bool safe_to_repeat_;
  uint64_t random_;
  int attempts_ = 1;
  int64_t step_ms_;
};

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_RETRY_H_
