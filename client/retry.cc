#include "client/retry.h"

#include <algorithm>

namespace cookix::client {

RetryPolicy::RetryPolicy(const RetryOptions& options, bool safe_to_repeat, uint64_t seed)
    : options_(options),
      safe_to_repeat_(safe_to_repeat),
      random_(seed | 1),
      step_ms_(std::max<int64_t>(options.initial_backoff_ms, 1)) {}

int64_t RetryPolicy::NextPauseMs(const absl::Status& error) {
  if (!safe_to_repeat_ || error.code() != absl::StatusCode::kUnavailable) return -1;
  if (attempts_ >= options_.max_attempts) return -1;
  ++attempts_;
  // xorshift: spread matters here, quality does not.
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  const int64_t step = std::min(step_ms_, std::max<int64_t>(options_.max_backoff_ms, 1));
  step_ms_ = std::min<int64_t>(step * 2, std::max<int64_t>(options_.max_backoff_ms, 1));
  const int64_t half = step / 2;
  return half + static_cast<int64_t>(random_ % static_cast<uint64_t>(step - half + 1));
}

}  // namespace cookix::client
