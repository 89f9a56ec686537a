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
  const hn::CappedTag<float, 16> df;
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

void Multiply(const float* factors, float* values, size_t n) {
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::CappedTag<float, 16> df;
  for (; i + hn::Lanes(df) <= n; i += hn::Lanes(df)) {
    hn::StoreU(hn::Mul(hn::LoadU(df, factors + i), hn::LoadU(df, values + i)), df, values + i);
  }
#endif
  for (; i < n; ++i) values[i] *= factors[i];
}

#if HWY_TARGET != HWY_SCALAR
// Multiplies kVectors vectors of the processor, a power of two, and takes all steps that stay
// within them. Unrolled they are not in memory, where sanitizers would have them lie elsewhere
// (sketch_kernels.cc).
template <size_t kVectors>
void StepsWithin(const float* factors, float* values) {
  const hn::CappedTag<float, 16> df;
  const hn::RebindToSigned<decltype(df)> di;
  const auto lane = hn::Iota(di, 0);
  const size_t lanes = hn::Lanes(df);
  decltype(hn::Zero(df)) x[kVectors];
#pragma GCC unroll 8
  for (size_t v = 0; v < kVectors; ++v) {
    x[v] = hn::Mul(hn::LoadU(df, factors + v * lanes), hn::LoadU(df, values + v * lanes));
  }
#pragma GCC unroll 4
  for (size_t half = 1; half < lanes; half *= 2) {
    const auto bit = hn::Set(di, static_cast<int32_t>(half));
    const auto second = hn::RebindMask(df, hn::Eq(hn::And(lane, bit), bit));
    const auto sign = hn::IfThenElse(second, hn::Set(df, -1.0f), hn::Set(df, 1.0f));
    const auto others = hn::IndicesFromVec(df, hn::Xor(lane, bit));
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      x[v] = hn::MulAdd(x[v], sign, hn::TableLookupLanes(x[v], others));
    }
  }
#pragma GCC unroll 3
  for (size_t half = 1; half < kVectors; half *= 2) {
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      if ((v & half) != 0) continue;
      const auto a = x[v], b = x[v + half];
      x[v] = hn::Add(a, b);
      x[v + half] = hn::Sub(a, b);
    }
  }
#pragma GCC unroll 8
  for (size_t v = 0; v < kVectors; ++v) hn::StoreU(x[v], df, values + v * lanes);
}
#endif

// Multiplies `n` values, a power of two, and transforms them.
void Transform(const float* factors, float* values, size_t n) {
  size_t half = 1;
#if HWY_TARGET == HWY_SCALAR
  Multiply(factors, values, n);
#else
  const size_t lanes = hn::Lanes(hn::CappedTag<float, 16>());
  if (n < lanes) {
    Multiply(factors, values, n);
  } else {
    const size_t vectors = std::min<size_t>(8, n / lanes);
    half = vectors * lanes;
    for (size_t at = 0; at < n; at += half) {
      switch (vectors) {
        case 1:
          StepsWithin<1>(factors + at, values + at);
          break;
        case 2:
          StepsWithin<2>(factors + at, values + at);
          break;
        case 4:
          StepsWithin<4>(factors + at, values + at);
          break;
        default:
          StepsWithin<8>(factors + at, values + at);
          break;
      }
    }
  }
#endif
  for (; half < n; half *= 2) Butterflies(values, n, half);
}

void Rotate(const float* factors, int rounds, size_t size, size_t part, float* values) {
  for (int round = 0; round < rounds; ++round, factors += size) {
    // The first components, then the last.
    const size_t begin = round % 2 == 0 ? 0 : size - part;
    const size_t rest = round % 2 == 0 ? part : 0;
    Transform(factors + begin, values + begin, part);
    Multiply(factors + rest, values + rest, size - part);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace cookix::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cookix::engine {
namespace {

HWY_EXPORT(Rotate);

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
  factors_.resize(static_cast<size_t>(rounds_) * size_);
  for (float& factor : factors_) factor = (NextRandom(&state) >> 63) != 0 ? 1.0f : -1.0f;
  // A transform makes what it is of longer.
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(part_)));
  for (int round = 0; round < rounds_; ++round) {
    float* const first = &factors_[static_cast<size_t>(round) * size_];
    const size_t begin = round % 2 == 0 ? 0 : size_ - part_;
    for (size_t i = begin; i < begin + part_; ++i) first[i] *= scale;
  }
}

void Rotation::Apply(float* values) const {
  HWY_DYNAMIC_DISPATCH(Rotate)(factors_.data(), rounds_, size_, part_, values);
}

}  // namespace cookix::engine
#endif  // HWY_ONCE
