// The one order of all numbers, integers and doubles, without rounding.
#ifndef COOKIX_ENGINE_FILTER_NUMBER_KEY_H_
#define COOKIX_ENGINE_FILTER_NUMBER_KEY_H_

#include <bit>
#include <compare>
#include <cstdint>
#include <limits>

namespace cookix::engine {

// A number as the double nearest to it and what that double leaves over. Doubles
// leave nothing over; integers do beyond 2^53, by at most 512. Equal numbers have
// equal keys, whatever type they came as; keys order as the numbers do, because
// rounding to the nearest double keeps the order.
struct NumberKey {
  // The bits of the double, arranged so that they order as unsigned integers.
  uint64_t bits = 0;
  // The integer minus the double.
  int32_t rest = 0;

  static NumberKey FromInt(int64_t value) {
    const double nearest = static_cast<double>(value);
    int64_t rest;
    if (nearest >= 0x1p63) {
      // The double is one above the largest integer.
      rest = value - std::numeric_limits<int64_t>::max() - 1;
    } else {
      rest = value - static_cast<int64_t>(nearest);
    }
    return {Arrange(nearest), static_cast<int32_t>(rest)};
  }

  // REQUIRES: `value` is not NaN.
  static NumberKey FromDouble(double value) { return {Arrange(value), 0}; }

  auto operator<=>(const NumberKey&) const = default;
  bool operator==(const NumberKey&) const = default;

 private:
  static uint64_t Arrange(double value) {
    if (value == 0) value = 0;  // minus zero equals zero
    const uint64_t raw = std::bit_cast<uint64_t>(value);
    return (raw >> 63) != 0 ? ~raw : raw | (uint64_t{1} << 63);
  }
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_FILTER_NUMBER_KEY_H_
