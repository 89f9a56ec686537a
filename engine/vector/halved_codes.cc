#include "engine/vector/halved_codes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace cookix::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr uint64_t kLowBits = 0x0f0f0f0f0f0f0f0f;
// Codes whose lower halves are looked up at a time.
constexpr size_t kAtOnce = 64;

template <typename Word>
Word Load(const uint8_t* from) {
  Word word;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

// Of each byte the lower four bits, of `first` in the lower and of `second` in the upper ones.
template <typename Word>
Word Merge(Word first, Word second) {
  constexpr auto kLow = static_cast<Word>(kLowBits);
  return (first & kLow) | (second & kLow) << kHalfBits;
}

}  // namespace

HalvedCodes::HalvedCodes(const Kernels& kernels, size_t bytes, size_t count)
    : kernels_(kernels),
      bytes_(bytes),
      params_((count + kLanes - 1) / kLanes),
      means_(bytes),
      variances_(bytes) {
  const size_t room = std::max<size_t>(1, params_.size()) * kLanes * bytes / 2;
  upper_ = hwy::AllocateAligned<uint8_t>(room);
  lower_ = hwy::AllocateAligned<uint8_t>(room);
  // The last block is compared as a whole.
  const size_t block = kLanes * bytes / 2;
  if (upper_ != nullptr) std::fill_n(upper_.get() + room - block, block, uint8_t{0});
}

void HalvedCodes::Set(size_t at, const uint8_t* code, const CodeParams& params) {
  params_[at / kLanes].scales[at % kLanes] = params.scale;
  params_[at / kLanes].norms[at % kLanes] = params.norm;
  const size_t half = bytes_ / 2;
  uint8_t* const lane = upper_.get() + at / kLanes * kLanes * half + at % kLanes * kLaneBytes;
  static_assert(sizeof(uint32_t) == kLaneBytes);
  for (size_t d = 0; d < half; d += kLaneBytes) {
    const auto first = Load<uint32_t>(code + 2 * d) >> kHalfBits;
    const auto second = Load<uint32_t>(code + 2 * d + kLaneBytes) >> kHalfBits;
    const uint32_t both = Merge(first, second);
    std::memcpy(lane + d * kLanes, &both, sizeof(both));
  }
  uint8_t* const lower = lower_.get() + at * half;
  for (size_t d = 0; d < half; d += sizeof(uint64_t)) {
    const uint64_t both = Merge(Load<uint64_t>(code + d), Load<uint64_t>(code + half + d));
    std::memcpy(lower + d, &both, sizeof(both));
  }
}

void HalvedCodes::Finish() {
  const size_t half = bytes_ / 2;
  std::vector<uint32_t> sums(bytes_), squares(bytes_);
  // The first of each block tells what all are like.
  for (size_t b = 0; b < params_.size(); ++b) {
    const uint8_t* const lower = lower_.get() + b * kLanes * half;
    for (size_t d = 0; d < half; ++d) {
      const uint32_t first = lower[d] & 15, second = lower[d] >> kHalfBits;
      sums[d] += first;
      squares[d] += first * first;
      sums[half + d] += second;
      squares[half + d] += second * second;
    }
  }
  const auto n = static_cast<float>(std::max<size_t>(1, params_.size()));
  for (size_t d = 0; d < bytes_; ++d) {
    const float mean = static_cast<float>(sums[d]) / n;
    // Rounded up: it is at most 56.
    const float variance = std::max(0.0f, static_cast<float>(squares[d]) / n - mean * mean);
    means_[d] = static_cast<int16_t>(std::lround(kParts * mean));
    variances_[d] = static_cast<int16_t>(std::ceil(kParts * variance));
  }
}

HalvedQuery HalvedCodes::Prepare(const LaneQuery& query) const {
  int64_t mean = 0, variance = 0;
  for (size_t begin = 0; begin < bytes_; begin += kCodeAlignment) {
    // So many fit into 32 bits, which is faster.
    int32_t part_of_mean = 0, part_of_variance = 0;
    for (size_t d = begin; d < begin + kCodeAlignment; ++d) {
      const int32_t c = query.code[d];
      part_of_mean += c * means_[d];
      part_of_variance += c * c * variances_[d];
    }
    mean += part_of_mean;
    variance += part_of_variance;
  }
  HalvedQuery made;
  made.upper = query;
  made.lower_mean = static_cast<int32_t>(std::lround(static_cast<float>(mean) / kParts));
  made.upper.sum -= made.lower_mean;
  made.spread = query.dot_factor * std::sqrt(static_cast<float>(variance) / kParts);
  return made;
}

void HalvedCodes::Distances(const HalvedQuery& query, size_t begin, size_t count,
                            float* distances) const {
  kernels_.upper_distances(query.upper, upper_.get() + begin * bytes_ / 2, &params_[begin / kLanes],
                           (count + kLanes - 1) / kLanes, bytes_, distances);
}

float HalvedCodes::Complete(const HalvedQuery& query, const uint32_t* at, size_t count,
                            float* distances) const {
  const size_t half = bytes_ / 2;
  // A function of its own would have no effect that the compiler knows of.
  const auto fetch = [&](size_t i) __attribute__((always_inline)) {
    const uint8_t* const lower = lower_.get() + at[i] * half;
    for (size_t d = 0; d < half; d += kCodeAlignment) __builtin_prefetch(lower + d);
  };
  int32_t dots[kAtOnce];
  float squares = 0;
  for (size_t i = 0; i < std::min(kAtOnce, count); ++i) fetch(i);
  for (size_t begin = 0; begin < count; begin += kAtOnce) {
    const size_t n = std::min(kAtOnce, count - begin);
    for (size_t i = begin + kAtOnce; i < std::min(count, begin + 2 * kAtOnce); ++i) fetch(i);
    kernels_.lower_dots(lower_.get(), at + begin, n, query.upper.code, bytes_, dots);
    for (size_t i = 0; i < n; ++i) {
      const auto missed = static_cast<float>(dots[i] - query.lower_mean);
      const float factor = query.upper.dot_factor * scale(at[begin + i]);
      const float completed = distances[begin + i] - factor * missed;
      // Beyond what floats hold there may be infinity less infinity.
      distances[begin + i] = std::isnan(completed) ? kInfinity : completed;
      squares += missed * missed;
    }
  }
  if (squares == 0) return 0;
  return query.upper.dot_factor * std::sqrt(squares / static_cast<float>(count)) / query.spread;
}

}  // namespace cookix::engine
