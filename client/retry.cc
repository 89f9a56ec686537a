#include "client/retry.h"

#include <algorithm>
#include <random>

namespace cookix::client {

Backoff::Backoff(int64_t initial_ms, int64_t max_ms, uint64_t seed)
    : initial_ms_(std::max<int64_t>(initial_ms, 1)),
      max_ms_(std::max<int64_t>(max_ms, 1)),
      random_(seed | 1),
      step_ms_(initial_ms_) {}

int64_t Backoff::NextMs() {
  // xorshift: spread matters here, quality does not.
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  const int64_t step = std::min(step_ms_, max_ms_);
  step_ms_ = std::min(step * 2, max_ms_);
  const int64_t half = step / 2;
  return half + static_cast<int64_t>(random_ % static_cast<uint64_t>(step - half + 1));
}

uint64_t RandomSeed() {
  thread_local std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

RetryPolicy::RetryPolicy(const RetryOptions& options, bool safe_to_repeat, uint64_t seed)
    : max_attempts_(options.max_attempts),
      safe_to_repeat_(safe_to_repeat),
      backoff_(options.initial_backoff_ms, options.max_backoff_ms, seed) {}

int64_t RetryPolicy::NextPauseMs(const absl::Status& error) {
  if (!safe_to_repeat_ || error.code() != absl::StatusCode::kUnavailable) return -1;
  if (attempts_ >= max_attempts_) return -1;
  ++attempts_;
  return backoff_.NextMs();
}

}  // namespace cookix::client
