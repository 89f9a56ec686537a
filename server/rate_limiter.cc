#include "server/rate_limiter.h"

#include <algorithm>
#include <cmath>

namespace cookix::server {
namespace {

constexpr double kMinuteMs = 60'000;
constexpr auto kSweepInterval = std::chrono::minutes(1);

double Milliseconds(RateLimiter::Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace

int64_t RateLimiter::Take(std::string_view caller, int64_t per_minute, Clock::time_point now) {
  if (per_minute <= 0) return 0;
  const double capacity = static_cast<double>(per_minute);
  std::lock_guard<std::mutex> lock(mutex_);
  if (now - swept_ > kSweepInterval) ForgetFull(now);
  auto [it, inserted] = buckets_.try_emplace(std::string(caller));
  Bucket& bucket = it->second;
  if (inserted) {
    bucket.calls = capacity;
  } else {
    const double elapsed = std::max(0.0, Milliseconds(now - bucket.filled));
    bucket.calls = std::min(capacity, bucket.calls + elapsed * capacity / kMinuteMs);
  }
  bucket.filled = now;
  bucket.per_minute = per_minute;
  if (bucket.calls >= 1) {
    bucket.calls -= 1;
    return 0;
  }
  return std::max<int64_t>(
      1, static_cast<int64_t>(std::ceil((1 - bucket.calls) * kMinuteMs / capacity)));
}

size_t RateLimiter::callers() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return buckets_.size();
}

void RateLimiter::ForgetFull(Clock::time_point now) {
  swept_ = now;
  for (auto it = buckets_.begin(); it != buckets_.end();) {
    // A bucket is full after a minute without calls at the latest.
    it = Milliseconds(now - it->second.filled) >= kMinuteMs ? buckets_.erase(it) : std::next(it);
  }
}

}  // namespace cookix::server
