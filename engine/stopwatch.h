// How long the parts of a call take.
#ifndef COOKIX_ENGINE_STOPWATCH_H_
#define COOKIX_ENGINE_STOPWATCH_H_

#include <chrono>
#include <cstdint>

namespace cookix::engine {

// Goes from when it is made.
class Stopwatch {
 public:
  // Microseconds since it was made, or since the last lap.
  int64_t Elapsed() const { return Microseconds(Clock::now() - begin_); }
  // The same; the next lap begins.
  int64_t Lap() {
    const Clock::time_point now = Clock::now();
    const int64_t passed = Microseconds(now - begin_);
    begin_ = now;
    return passed;
  }

 private:
  using Clock = std::chrono::steady_clock;

  static int64_t Microseconds(Clock::duration passed) {
    return std::chrono::duration_cast<std::chrono::microseconds>(passed).count();
  }

  Clock::time_point begin_ = Clock::now();
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_STOPWATCH_H_
