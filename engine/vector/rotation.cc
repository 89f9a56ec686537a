#include "engine/vector/rotation.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/vector/rotation.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace cookix::engine {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// One step of the transform: what is `half` apart becomes its sum and its difference.
void Butterflies(float* values, size_t n, size_t half) {
  size_t step = 1;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<float> df;
  if (half >= hn::Lanes(df)) step = hn::Lanes(df);
#endif
  for (size_t begin = 0; begin < n; begin += 2 * half) {
    for (size_t i = begin; i < begin + half; i += step) {
#if HWY_TARGET != HWY_SCALAR
      if (step > 1) {
        const auto a = hn::LoadU(df, values + i), b = hn::LoadU(df, values + i + half);
        hn::StoreU(hn::Add(a, b), df, values + i);
        hn::StoreU(hn::Sub(a, b), df, values + i + half);
        continue;
      }
#endif
      const float a = values[i], b = values[i + half];
      values[i] = a + b;
      values[i + half] = a - b;
    }
  }
}

// The steps that stay within one vector of the processor; returns the `half` of the next one.
#if HWY_TARGET == HWY_SCALAR
size_t WithinVectors(float*, size_t) { return 1; }
#else
size_t WithinVectors(float* values, size_t n) {
  const hn::CappedTag<float, 16> df;
  const size_t lanes = hn::Lanes(df);
  if (n < lanes) return 1;
  const hn::RebindToSigned<decltype(df)> di;
  const auto lane = hn::Iota(di, 0);
  for (size_t at = 0; at < n; at += lanes) {
    auto x = hn::LoadU(df, values + at);
    for (size_t half = 1; half < lanes; half *= 2) {
      const auto bit = hn::Set(di, static_cast<int32_t>(half));
      const auto second = hn::RebindMask(df, hn::Eq(hn::And(lane, bit), bit));
      const auto other = hn::TableLookupLanes(x, hn::IndicesFromVec(df, hn::Xor(lane, bit)));
      x = hn::Add(other, hn::IfThenElse(second, hn::Neg(x), x));
    }
    hn::StoreU(x, df, values + at);
  }
  return lanes;
}
#endif

// Of a power of two of values, keeping their length.
void Hadamard(float* values, size_t n) {
  for (size_t half = WithinVectors(values, n); half < n; half *= 2) Butterflies(values, n, half);
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(n)));
  for (size_t i = 0; i < n; ++i) values[i] *= scale;
}

}  // namespace HWY_NAMESPACE
}  // namespace cookix::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cookix::engine {
namespace {

HWY_EXPORT(Hadamard);

// The next of a fixed sequence of random numbers (splitmix64).
uint64_t NextRandom(uint64_t* state) {
  uint64_t x = *state += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

Rotation::Rotation(size_t size) : size_(size) {
  while (part_ * 2 <= size_) part_ *= 2;
  rounds_ = part_ == size_ ? 2 : 4;
  uint64_t state = 0x636f6f6b69780000;
  signs_.resize(static_cast<size_t>(rounds_) * size_);
  for (float& sign : signs_) sign = (NextRandom(&state) >> 63) != 0 ? 1.0f : -1.0f;
}

void Rotation::Apply(float* values) const {
  for (int round = 0; round < rounds_; ++round) {
    const float* signs = signs_.data() + static_cast<size_t>(round) * size_;
    for (size_t i = 0; i < size_; ++i) values[i] *= signs[i];
    HWY_DYNAMIC_DISPATCH(Hadamard)(round % 2 == 0 ? values : values + (size_ - part_), part_);
  }
}

}  // namespace cookix::engine
#endif  // HWY_ONCE
