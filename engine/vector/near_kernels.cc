#include "engine/vector/near_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "engine/vector/kernel_tables.h"

#ifndef COOKIX_ENGINE_VECTOR_NEAR_KERNELS_PLAIN_
#define COOKIX_ENGINE_VECTOR_NEAR_KERNELS_PLAIN_
namespace cookix::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

void PlainLeast(const float* values, size_t groups, float* least) {
  for (size_t g = 0; g < groups; ++g, values += kNearGroup, least += kNearLanes) {
    std::copy_n(values, kNearLanes, least);
    for (size_t i = kNearLanes; i < kNearGroup; ++i) {
      least[i % kNearLanes] = std::min(least[i % kNearLanes], values[i]);
    }
  }
}

// So that `count_near` says that at least `count` of n values are at most as much, of which `low`
// is the least and `high` the greatest. Part of each kernel: what it calls is compiled for one
// instruction set.
template <class CountNear>
__attribute__((always_inline)) inline float BoundBetween(float low, float high, size_t n,
                                                         size_t count,
                                                         const CountNear& count_near) {
  // How often it is looked for between two others.
  constexpr int kSteps = 32;
  // A few more than wanted cost less than another step.
  const size_t enough = count + std::max<size_t>(count / 5, 4);
  size_t below = 0, above = n;
  for (int i = 0; i < kSteps && low < high; ++i) {
    // Where it would be if they lay evenly, or at first, as few are near, if there were the more
    // the farther away; every other time in the middle, which gets there also where a few lie far
    // from the others.
    const float part =
        static_cast<float>((count + enough) / 2 - below) / static_cast<float>(above - below);
    const float expected = below == 0 ? std::sqrt(part) : part;
    const float share = (i < 2 || i % 2 == 0) && expected < 1 ? expected : 0.5f;
    const float between = low * (1 - share) + high * share;
    const size_t found = count_near(between);
    if (found >= count) {
      high = between;
      above = found;
      if (found <= enough) break;
    } else {
      low = between;
      below = found;
    }
  }
  return high;
}

float PlainBound(const float* values, size_t n, size_t count) {
  float least = kInfinity, greatest = -kInfinity;
  for (size_t i = 0; i < n; ++i) {
    least = std::min(least, values[i]);
    if (values[i] < kInfinity) greatest = std::max(greatest, values[i]);
  }
  return BoundBetween(least, greatest, n, count, [&](float bound) {
    size_t near = 0;
    for (size_t i = 0; i < n; ++i) near += values[i] <= bound ? 1 : 0;
    return near;
  });
}

size_t PlainFindNear(const float* values, size_t n, float bound, uint32_t* at) {
  size_t count = 0;
  for (size_t i = 0; i < n; ++i) {
    if (values[i] <= bound) at[count++] = static_cast<uint32_t>(i);
  }
  return count;
}

size_t PlainKeepNear(float* values, uint32_t* numbers, size_t n, float bound) {
  size_t kept = 0;
  for (size_t i = 0; i < n; ++i) {
    values[kept] = values[i];
    numbers[kept] = numbers[i];
    kept += values[i] <= bound ? 1 : 0;
  }
  return kept;
}

constexpr NearKernels kPlain = {"plain", PlainLeast, PlainBound, PlainFindNear, PlainKeepNear};

}  // namespace
}  // namespace cookix::engine
#endif  // COOKIX_ENGINE_VECTOR_NEAR_KERNELS_PLAIN_

// The rest is compiled once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/vector/near_kernels.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace cookix::engine {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR

void Least(const float* values, size_t groups, float* least) {
  const hn::CappedTag<float, kNearLanes> df;
  for (size_t g = 0; g < groups; ++g, values += kNearGroup, least += kNearLanes) {
    for (size_t lane = 0; lane < kNearLanes; lane += hn::Lanes(df)) {
      auto low = hn::LoadU(df, values + lane);
      for (size_t i = lane + kNearLanes; i < kNearGroup; i += kNearLanes) {
        low = hn::Min(low, hn::LoadU(df, values + i));
      }
      hn::StoreU(low, df, least + lane);
    }
  }
}

size_t CountNear(const float* values, size_t n, float bound) {
  const hn::CappedTag<float, kNearLanes> df;
  const hn::RebindToUnsigned<decltype(df)> du;
  const auto limit = hn::Set(df, bound);
  const auto one = hn::Set(du, 1u);
  auto counts = hn::Zero(du);
  for (size_t i = 0; i < n; i += hn::Lanes(df)) {
    const auto near = hn::RebindMask(du, hn::Le(hn::LoadU(df, values + i), limit));
    counts = hn::Add(counts, hn::IfThenElseZero(near, one));
  }
  return hn::GetLane(hn::SumOfLanes(du, counts));
}

float Bound(const float* values, size_t n, size_t count) {
  const hn::CappedTag<float, kNearLanes> df;
  const auto infinity = hn::Set(df, kInfinity), nothing = hn::Neg(infinity);
  auto low = infinity, high = nothing;
  for (size_t i = 0; i < n; i += hn::Lanes(df)) {
    const auto value = hn::LoadU(df, values + i);
    low = hn::Min(low, value);
    high = hn::Max(high, hn::IfThenElse(hn::Lt(value, infinity), value, nothing));
  }
  return BoundBetween(hn::GetLane(hn::MinOfLanes(df, low)), hn::GetLane(hn::MaxOfLanes(df, high)),
                      n, count, [&](float bound) HWY_ATTR { return CountNear(values, n, bound); });
}

// Without a branch that depends on it: where they are cannot be foreseen.
size_t FindNear(const float* values, size_t n, float bound, uint32_t* at) {
  const hn::CappedTag<float, kNearLanes> df;
  const hn::RebindToUnsigned<decltype(df)> du;
  const auto limit = hn::Set(df, bound);
  const auto step = hn::Set(du, static_cast<uint32_t>(hn::Lanes(df)));
  auto places = hn::Iota(du, 0);
  size_t count = 0;
  for (size_t i = 0; i < n; i += hn::Lanes(df)) {
    const auto near = hn::Le(hn::LoadU(df, values + i), limit);
    // What is written behind them has room, as there are at most i before.
    hn::StoreU(hn::Compress(places, hn::RebindMask(du, near)), du, at + count);
    count += hn::CountTrue(df, near);
    places = hn::Add(places, step);
  }
  return count;
}

size_t KeepNear(float* values, uint32_t* numbers, size_t n, float bound) {
  const hn::CappedTag<float, kNearLanes> df;
  const hn::RebindToUnsigned<decltype(df)> du;
  const auto limit = hn::Set(df, bound);
  size_t kept = 0;
  for (size_t i = 0; i < n; i += hn::Lanes(df)) {
    const auto value = hn::LoadU(df, values + i);
    const auto number = hn::LoadU(du, numbers + i);
    const auto near = hn::Le(value, limit);
    // Not beyond what was just read.
    hn::StoreU(hn::Compress(value, near), df, values + kept);
    hn::StoreU(hn::Compress(number, hn::RebindMask(du, near)), du, numbers + kept);
    kept += hn::CountTrue(df, near);
  }
  return kept;
}

#endif  // HWY_TARGET != HWY_SCALAR

void Fill(NearKernels* kernels) {
#if HWY_TARGET == HWY_SCALAR
  *kernels = kPlain;
#else
  *kernels = {hwy::TargetName(HWY_TARGET), Least, Bound, FindNear, KeepNear};
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace cookix::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#if HWY_ARCH_X86
#include <immintrin.h>
#endif
namespace cookix::engine {
namespace {

HWY_EXPORT(Fill);

#if HWY_ARCH_X86

#define COOKIX_VBMI2 \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi2"), no_sanitize_address))

COOKIX_VBMI2 __attribute__((always_inline)) inline __mmask16 Near(const float* values,
                                                                  __m512 limit) {
  return _mm512_cmp_ps_mask(_mm512_loadu_ps(values), limit, _CMP_LE_OQ);
}

// Writes 16 places from `begin` on.
COOKIX_VBMI2 __attribute__((always_inline)) inline void StorePlaces(__m128i places, size_t begin,
                                                                    uint32_t* at) {
  const __m512i from = _mm512_set1_epi32(static_cast<int>(begin));
  _mm512_storeu_si512(at, _mm512_add_epi32(from, _mm512_cvtepu8_epi32(places)));
}

// It takes longer to get a mask to where it can be counted than all the rest does: this has one for
// 64 values. Highway does not compress bytes here.
COOKIX_VBMI2 size_t Vbmi2FindNear(const float* values, size_t n, float bound, uint32_t* at) {
  const __m512 limit = _mm512_set1_ps(bound);
  const __m512i all = _mm512_set_epi64(0x3f3e3d3c3b3a3938, 0x3736353433323130, 0x2f2e2d2c2b2a2928,
                                       0x2726252423222120, 0x1f1e1d1c1b1a1918, 0x1716151413121110,
                                       0x0f0e0d0c0b0a0908, 0x0706050403020100);
  size_t count = 0, i = 0;
  for (; i + 64 <= n; i += 64) {
    const __mmask64 near =
        _mm512_kunpackd(_mm512_kunpackw(Near(values + i + 48, limit), Near(values + i + 32, limit)),
                        _mm512_kunpackw(Near(values + i + 16, limit), Near(values + i, limit)));
    const __m512i places = _mm512_maskz_compress_epi8(near, all);
    const auto found = static_cast<size_t>(std::popcount(static_cast<uint64_t>(near)));
    // What is written behind them has room, as there are at most i before.
    StorePlaces(_mm512_castsi512_si128(places), i, at + count);
    if (found > 16) {
      StorePlaces(_mm512_extracti32x4_epi32(places, 1), i, at + count + 16);
      StorePlaces(_mm512_extracti32x4_epi32(places, 2), i, at + count + 32);
      StorePlaces(_mm512_extracti32x4_epi32(places, 3), i, at + count + 48);
    }
    count += found;
  }
  for (; i < n; ++i) {
    at[count] = static_cast<uint32_t>(i);
    count += values[i] <= bound ? 1 : 0;
  }
  return count;
}

bool HasVbmi2() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vbmi2");
}

#undef COOKIX_VBMI2
#endif

NearKernels Best() {
  NearKernels kernels;
  HWY_DYNAMIC_DISPATCH(Fill)(&kernels);
  return kernels;
}

}  // namespace

const NearKernels& BestNearKernels() {
  static const NearKernels kernels = [] {
    NearKernels best = Best();
#if HWY_ARCH_X86
    if (HasVbmi2()) {
      best.name = "AVX3+VBMI2";
      best.find_near = Vbmi2FindNear;
    }
#endif
    return best;
  }();
  return kernels;
}

size_t FillLanes(float* values, size_t n) {
  while (n % kNearLanes != 0) values[n++] = kInfinity;
  return n;
}

float BoundOfMany(const NearKernels& kernels, const float* values, size_t n, size_t count,
                  std::vector<float>* room) {
  if (n < 2 * count * kNearLanes) return kernels.bound(values, n, count);
  // Mostly each of the least is in a group of its own, and among the others nothing is as near.
  const size_t groups = n / kNearGroup;
  room->resize(groups * kNearLanes);
  kernels.least(values, groups, room->data());
  room->insert(room->end(), values + groups * kNearGroup, values + n);
  return kernels.bound(room->data(), room->size(), count);
}

std::vector<NearKernels> AllNearKernels() {
  std::vector<NearKernels> all = TablesOfAllTargets(kPlain, Best);
  all.push_back(BestNearKernels());
  return all;
}

}  // namespace cookix::engine
#endif  // HWY_ONCE
