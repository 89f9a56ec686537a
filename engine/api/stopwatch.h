#ifndef COOKIX_ENGINE_API_STOPWATCH_H_
#define COOKIX_ENGINE_API_STOPWATCH_H_

#include <chrono>
#include <cstdint>

namespace cookix::engine {

class Stopwatch {
 public:
  // Microseconds since the last call, or since it was made.
  int64_t Lap() {
    const auto now = std::chrono::steady_clock::now();
    const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(now - last_);
    last_ = now;
    return passed.count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_STOPWATCH_H_
