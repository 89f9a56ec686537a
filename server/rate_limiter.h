// Calls a minute for each caller.
#ifndef COOKIX_SERVER_RATE_LIMITER_H_
#define COOKIX_SERVER_RATE_LIMITER_H_

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace cookix::server {

// A bucket for each caller that holds a minute's calls and fills evenly: a
// caller may use its whole minute at once and then gets its rate. Buckets that
// are full again are forgotten. Thread-safe.
class RateLimiter {
 public:
  using Clock = std::chrono::steady_clock;

  // Takes one call from the caller's bucket. 0 when it was there, otherwise after
  // how many milliseconds it will be. `per_minute` 0 = no limit.
  int64_t Take(std::string_view caller, int64_t per_minute, Clock::time_point now = Clock::now());

  size_t callers() const;

 private:
  struct Bucket {
    double calls = 0;
    int64_t per_minute = 0;
    Clock::time_point filled;
  };
  // REQUIRES: mutex_ is held.
  void ForgetFull(Clock::time_point now);

  mutable std::mutex mutex_;
  std::unordered_map<std::string, Bucket> buckets_;  // guarded by mutex_
  Clock::time_point swept_{};                        // guarded by mutex_
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RATE_LIMITER_H_
