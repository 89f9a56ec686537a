// The time of day.
#ifndef COOKIX_STORAGE_BASE_WALL_CLOCK_H_
#define COOKIX_STORAGE_BASE_WALL_CLOCK_H_

#include <chrono>
#include <cstdint>

namespace cookix {

// Unix milliseconds by the system's clock, which may jump.
inline int64_t WallClockMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace cookix

#endif  // COOKIX_STORAGE_BASE_WALL_CLOCK_H_
