// What all benchmarks do: they take times, and measure no wrong answers.
#ifndef COOKIX_TOOLS_BENCH_MEASURE_H_
#define COOKIX_TOOLS_BENCH_MEASURE_H_

#include <chrono>
#include <ratio>
#include <string>

#include "absl/status/status.h"

namespace cookix::bench {

using Clock = std::chrono::steady_clock;

inline double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}
inline double MicrosSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

// An answer that is not what it has to be.
inline absl::Status Wrong(const std::string& what) {
  return absl::InternalError("wrong answer: " + what);
}

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_MEASURE_H_
