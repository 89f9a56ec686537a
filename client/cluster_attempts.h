// How long one call to a cluster goes on, and with which pauses.
#ifndef COOKIX_CLIENT_CLUSTER_ATTEMPTS_H_
#define COOKIX_CLIENT_CLUSTER_ATTEMPTS_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "client/cluster_options.h"
#include "client/retry.h"
#include "storage/base/status.h"

namespace cookix::client {

// The reason of an error; "" when it has none.
inline std::string ReasonOf(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() ? detail->reason : std::string();
}

// Whether a write that carries a request id is worth sending again.
inline bool MayHelpToRepeat(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable || ReasonOf(status) == "NOT_PRIMARY";
}

// Begins when it is made. Not thread-safe.
class ClusterAttempts {
 public:
  using Clock = std::chrono::steady_clock;

  // `timeout_ms`: deadline of all attempts; 0 = none.
  ClusterAttempts(const ClusterOptions& options, int64_t timeout_ms)
      : failover_(options.failover_ms),
        deadline_(timeout_ms > 0 ? Clock::now() + std::chrono::milliseconds(timeout_ms)
                                 : Clock::time_point::max()),
        pauses_(options.remote.retry.initial_backoff_ms, options.remote.retry.max_backoff_ms,
                RandomSeed()) {}

  // Time for one attempt, 1 ms at least; 0 = no limit.
  std::chrono::milliseconds Left() const {
    if (deadline_ == Clock::time_point::max()) return std::chrono::milliseconds(0);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now());
    return std::max(left, std::chrono::milliseconds(1));
  }

  // Until when to look for a server: counts from the beginning, and anew from the first failure.
  Clock::time_point Until() {
    if (!until_) until_ = std::min(deadline_, Clock::now() + failover_);
    return *until_;
  }

  // Before another round: waits a moment. False when the time is over.
  bool Pause() {
    if (!std::exchange(failed_, true)) until_.reset();
    const auto pause = std::chrono::milliseconds(pauses_.NextMs());
    if (Clock::now() + pause >= Until()) return false;
    std::this_thread::sleep_for(pause);
    return true;
  }

 private:
  const std::chrono::milliseconds failover_;
  const Clock::time_point deadline_;
  Backoff pauses_;
  std::optional<Clock::time_point> until_;
  bool failed_ = false;
};

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_CLUSTER_ATTEMPTS_H_
