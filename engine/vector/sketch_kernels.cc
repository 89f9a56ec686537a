#include "engine/vector/sketch_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#ifndef COOKIX_ENGINE_VECTOR_SKETCH_KERNELS_PLAIN_
#define COOKIX_ENGINE_VECTOR_SKETCH_KERNELS_PLAIN_
namespace cookix::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Of a block: its bits, and its factors and norms.
constexpr size_t kWords = kSketchBlock / 64;
constexpr size_t kParams = 2 * kSketchBlock * sizeof(float);

// From the sums of a block to distances, one by one.
void FinishBlock(const SketchSums& query, const uint16_t* sums, const float* factors,
                 const uint64_t* masks, float* out, float* least) {
  const float* const norms = factors + kSketchBlock;
  std::fill_n(least, kSketchLanes, kInfinity);
  for (size_t i = 0; i < kSketchBlock; ++i) {
    const float made =
        norms[i] + factors[i] * (query.scale * static_cast<float>(sums[i]) + query.offset);
    out[i] = ((masks[i / 64] >> (i % 64)) & 1) != 0 ? made : kInfinity;
    least[i % kSketchLanes] = std::min(least[i % kSketchLanes], out[i]);
  }
}

void PlainDistances(const SketchSums& query, const uint8_t* blocks, size_t count,
                    const uint64_t* masks, float* out, float* least) {
  for (size_t b = 0; b < count; ++b) {
    uint16_t sums[kSketchBlock] = {};
    for (size_t g = 0; g < query.groups; ++g, blocks += kSketchBlock) {
      const uint8_t* const table = query.tables + kGroupTable * g;
      for (size_t i = 0; i < kSketchBlock; ++i) {
        const uint8_t levels = blocks[SketchPlace(i)];
        sums[i] = static_cast<uint16_t>(sums[i] + table[levels & 15] + table[16 + (levels >> 4)]);
      }
    }
    FinishBlock(query, sums, reinterpret_cast<const float*>(blocks), masks + b * kWords,
                out + b * kSketchBlock, least + b * kSketchLanes);
    blocks += kParams;
  }
}

// The bits that are set in each of the 16 numbers of four bits.
constexpr float kBits[4][16] = {{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1},
                                {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1},
                                {0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1},
                                {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1}};

// What is below 0 of some weights.
float Below(const float* weights, size_t n) {
  float below = 0;
  for (size_t i = 0; i < n; ++i) below -= std::min(weights[i], 0.0f);
  return below;
}

void PlainTables(const float* weights, size_t groups, uint8_t* tables) {
  for (size_t g = 0; g < groups; ++g, weights += 6, tables += kGroupTable) {
    const float four = Below(weights, 4), two = Below(weights + 4, 2);
    for (size_t i = 0; i < 16; ++i) {
      float first = four, last = two;
      for (size_t k = 0; k < 4; ++k) first += weights[k] * kBits[k][i];
      for (size_t k = 0; k < 2; ++k) last += weights[4 + k] * kBits[k][i];
      tables[i] = static_cast<uint8_t>(std::nearbyint(first));
      tables[16 + i] = static_cast<uint8_t>(std::nearbyint(last));
    }
  }
}

void PlainRange(const float* values, size_t n, float* least, float* greatest) {
  *least = kInfinity;
  *greatest = -kInfinity;
  for (size_t i = 0; i < n; ++i) {
    *least = std::min(*least, values[i]);
    if (values[i] < kInfinity) *greatest = std::max(*greatest, values[i]);
  }
}

size_t PlainCountNear(const float* values, size_t n, float bound) {
  size_t count = 0;
  for (size_t i = 0; i < n; ++i) count += values[i] <= bound ? 1 : 0;
  return count;
}

size_t PlainFindNear(const float* values, size_t n, float bound, uint32_t* at) {
  size_t count = 0;
  for (size_t i = 0; i < n; ++i) {
    if (values[i] <= bound) at[count++] = static_cast<uint32_t>(i);
  }
  return count;
}

constexpr SketchKernels kPlain = {"plain",    PlainDistances, PlainTables,
                                  PlainRange, PlainCountNear, PlainFindNear};

}  // namespace
}  // namespace cookix::engine
#endif  // COOKIX_ENGINE_VECTOR_SKETCH_KERNELS_PLAIN_

// The rest is compiled once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/vector/sketch_kernels.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace cookix::engine {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR

void Distances(const SketchSums& query, const uint8_t* blocks, size_t count, const uint64_t* masks,
               float* out, float* least) {
  const hn::CappedTag<uint8_t, 64> d8;
  const hn::Repartition<uint16_t, decltype(d8)> d16;
  const size_t step = hn::Lanes(d8);
  const auto low = hn::Set(d8, 15);
  const auto even = hn::Set(d16, 255);
  const size_t groups = query.groups;
  for (size_t b = 0; b < count; ++b, blocks += groups * kSketchBlock + kParams) {
    uint16_t sums[kSketchBlock];
    for (size_t first = 0; first < kSketchBlock; first += step) {
      auto evens = hn::Zero(d16), odds = evens;
      for (size_t begin = 0; begin < groups; begin += query.part) {
        auto sum = hn::Zero(d8);
        for (size_t g = begin; g < std::min(groups, begin + query.part); ++g) {
          const uint8_t* const table = query.tables + kGroupTable * g;
          const auto levels = hn::LoadU(d8, blocks + kSketchBlock * g + first);
          const auto third = hn::And(hn::ShiftRight<4>(levels), low);
          sum = hn::Add(sum, hn::TableLookupBytes(hn::LoadDup128(d8, table), hn::And(levels, low)));
          sum = hn::Add(sum, hn::TableLookupBytes(hn::LoadDup128(d8, table + 16), third));
        }
        const auto pairs = hn::BitCast(d16, sum);
        evens = hn::Add(evens, hn::And(pairs, even));
        odds = hn::Add(odds, hn::ShiftRight<8>(pairs));
      }
      uint16_t* const at = sums + first / 64 * 64 + first % 64 / 2;
      hn::StoreU(evens, d16, at);
      hn::StoreU(odds, d16, at + 32);
    }
    FinishBlock(query, sums, reinterpret_cast<const float*>(blocks + groups * kSketchBlock),
                masks + b * kWords, out + b * kSketchBlock, least + b * kSketchLanes);
  }
}

void Tables(const float* weights, size_t groups, uint8_t* tables) {
  const hn::CappedTag<float, 16> df;
  const hn::Rebind<uint8_t, decltype(df)> d8;
  for (size_t g = 0; g < groups; ++g, weights += 6, tables += kGroupTable) {
    const auto four = hn::Set(df, Below(weights, 4)), two = hn::Set(df, Below(weights + 4, 2));
    for (size_t i = 0; i < 16; i += hn::Lanes(df)) {
      auto first = four, last = two;
      for (size_t k = 0; k < 4; ++k) {
        const auto bits = hn::LoadU(df, kBits[k] + i);
        first = hn::MulAdd(hn::Set(df, weights[k]), bits, first);
        if (k < 2) last = hn::MulAdd(hn::Set(df, weights[4 + k]), bits, last);
      }
      hn::StoreU(hn::DemoteTo(d8, hn::NearestInt(first)), d8, tables + i);
      hn::StoreU(hn::DemoteTo(d8, hn::NearestInt(last)), d8, tables + 16 + i);
    }
  }
}

void Range(const float* values, size_t n, float* least, float* greatest) {
  const hn::CappedTag<float, kSketchLanes> df;
  const auto infinity = hn::Set(df, kInfinity), nothing = hn::Neg(infinity);
  auto low = infinity, high = nothing;
  for (size_t i = 0; i < n; i += hn::Lanes(df)) {
    const auto value = hn::LoadU(df, values + i);
    low = hn::Min(low, value);
    high = hn::Max(high, hn::IfThenElse(hn::Lt(value, infinity), value, nothing));
  }
  *least = hn::GetLane(hn::MinOfLanes(df, low));
  *greatest = hn::GetLane(hn::MaxOfLanes(df, high));
}

size_t CountNear(const float* values, size_t n, float bound) {
  const hn::CappedTag<float, kSketchLanes> df;
  const auto limit = hn::Set(df, bound);
  size_t count = 0;
  for (size_t i = 0; i < n; i += hn::Lanes(df)) {
    count += hn::CountTrue(df, hn::Le(hn::LoadU(df, values + i), limit));
  }
  return count;
}

size_t FindNear(const float* values, size_t n, float bound, uint32_t* at) {
  // As many as there are bits in a byte.
  const hn::CappedTag<float, 8> df;
  const auto limit = hn::Set(df, bound);
  size_t count = 0;
  for (size_t i = 0; i < n; i += 64) {
    uint64_t near = 0;
    for (size_t lane = 0; lane < 64; lane += hn::Lanes(df)) {
      uint8_t bits[8] = {};
      hn::StoreMaskBits(df, hn::Le(hn::LoadU(df, values + i + lane), limit), bits);
      near |= uint64_t{bits[0]} << lane;
    }
    for (; near != 0; near &= near - 1) {
      at[count++] = static_cast<uint32_t>(i) + static_cast<uint32_t>(std::countr_zero(near));
    }
  }
  return count;
}

#endif  // HWY_TARGET != HWY_SCALAR

void Fill(SketchKernels* kernels) {
#if HWY_TARGET == HWY_SCALAR
  *kernels = kPlain;
#else
  *kernels = {hwy::TargetName(HWY_TARGET), Distances, Tables, Range, CountNear, FindNear};
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

// Not watched by the address sanitizer, and calling nothing that is: where it looks for uses after
// return, GCC 12 takes vectors on the stack to lie at multiples of 64, and they do not (GCC's bug
// 110027). What these kernels read is read by the plain ones too.
#define COOKIX_VBMI \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi"), no_sanitize("address")))

// What a group adds by all six bits: vpermb looks up 64 of that in one instruction. Highway has
// no operation for it here.
COOKIX_VBMI void Widen(const SketchSums& query, uint8_t* wide) {
  const __m512i third =
      _mm512_set_epi64(0x0303030303030303, 0x0303030303030303, 0x0202020202020202,
                       0x0202020202020202, 0x0101010101010101, 0x0101010101010101, 0, 0);
  for (size_t g = 0; g < query.groups; ++g) {
    const auto* const table = reinterpret_cast<const __m128i*>(query.tables + kGroupTable * g);
    const __m512i pairs = _mm512_broadcast_i32x4(_mm_loadu_si128(table));
    const __m512i singles = _mm512_broadcast_i32x4(_mm_loadu_si128(table + 1));
    _mm512_store_si512(wide + 64 * g, _mm512_add_epi8(pairs, _mm512_shuffle_epi8(singles, third)));
  }
}

// Of 16 sketches, by their sums.
COOKIX_VBMI __attribute__((always_inline)) inline __m512 SketchDistances(const SketchSums& query,
                                                                         __m256i sums,
                                                                         const float* factors,
                                                                         __mmask16 mask) {
  const __m512 sum = _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(sums));
  const __m512 dot =
      _mm512_fmadd_ps(sum, _mm512_set1_ps(query.scale), _mm512_set1_ps(query.offset));
  const __m512 made =
      _mm512_fmadd_ps(_mm512_loadu_ps(factors), dot, _mm512_loadu_ps(factors + kSketchBlock));
  return _mm512_mask_blend_ps(mask, _mm512_set1_ps(kInfinity), made);
}

COOKIX_VBMI void VbmiDistances(const SketchSums& query, const uint8_t* blocks, size_t count,
                               const uint64_t* masks, float* out, float* least) {
  alignas(64) uint8_t wide[kMostGroups * 64];
  Widen(query, wide);
  const size_t groups = query.groups;
  const __m512i even = _mm512_set1_epi16(255);
  const __m512i zero = _mm512_setzero_si512();
  const auto* at = reinterpret_cast<const __m512i*>(blocks);
  for (size_t b = 0; b < count; ++b, least += kSketchLanes) {
    __m512i evens[kWords] = {zero, zero, zero, zero}, odds[kWords] = {zero, zero, zero, zero};
    for (size_t begin = 0; begin < groups; begin += query.part) {
      const size_t end = begin + query.part < groups ? begin + query.part : groups;
      __m512i s0 = zero, s1 = zero, s2 = zero, s3 = zero;
      for (size_t g = begin; g < end; ++g, at += 4) {
        const __m512i table = _mm512_load_si512(wide + 64 * g);
        s0 = _mm512_add_epi8(s0, _mm512_permutexvar_epi8(_mm512_load_si512(at), table));
        s1 = _mm512_add_epi8(s1, _mm512_permutexvar_epi8(_mm512_load_si512(at + 1), table));
        s2 = _mm512_add_epi8(s2, _mm512_permutexvar_epi8(_mm512_load_si512(at + 2), table));
        s3 = _mm512_add_epi8(s3, _mm512_permutexvar_epi8(_mm512_load_si512(at + 3), table));
      }
      const __m512i sums[kWords] = {s0, s1, s2, s3};
#pragma GCC unroll 4
      for (size_t k = 0; k < kWords; ++k) {
        evens[k] = _mm512_add_epi16(evens[k], _mm512_and_si512(sums[k], even));
        odds[k] = _mm512_add_epi16(odds[k], _mm512_srli_epi16(sums[k], 8));
      }
    }
    __m512 nearest = _mm512_set1_ps(kInfinity);
    const auto* factors = reinterpret_cast<const float*>(at);
#pragma GCC unroll 4
    for (size_t k = 0; k < kWords; ++k) {
      const __m256i quarters[4] = {
          _mm512_castsi512_si256(evens[k]), _mm512_extracti64x4_epi64(evens[k], 1),
          _mm512_castsi512_si256(odds[k]), _mm512_extracti64x4_epi64(odds[k], 1)};
      uint64_t mask = *masks++;
#pragma GCC unroll 4
      for (size_t i = 0; i < 4; ++i) {
        const __m512 made =
            SketchDistances(query, quarters[i], factors, static_cast<__mmask16>(mask));
        _mm512_storeu_ps(out, made);
        nearest = _mm512_min_ps(nearest, made);
        mask >>= kSketchLanes;
        factors += kSketchLanes;
        out += kSketchLanes;
      }
    }
    at += kParams / 64;
    _mm512_storeu_ps(least, nearest);
  }
}

// Sixteen comparisons.
COOKIX_VBMI __attribute__((always_inline)) inline uint32_t Near(const float* values, __m512 limit) {
  return _mm512_cmp_ps_mask(_mm512_loadu_ps(values), limit, _CMP_LE_OQ);
}

COOKIX_VBMI size_t VbmiFindNear(const float* values, size_t n, float bound, uint32_t* at) {
  // First where any are, without a branch that depends on it.
  constexpr size_t kWordsAtOnce = 64;
  uint64_t near[kWordsAtOnce];
  uint32_t words[kWordsAtOnce];
  const __m512 limit = _mm512_set1_ps(bound);
  size_t count = 0;
  for (size_t begin = 0; begin < n; begin += 64 * kWordsAtOnce) {
    const size_t left = (n - begin) / 64;
    const size_t all = left < kWordsAtOnce ? left : kWordsAtOnce;
    size_t some = 0;
    for (size_t i = 0; i < all; ++i) {
      const float* const from = values + begin + 64 * i;
      const __mmask64 low = _mm512_kunpackw(Near(from + 16, limit), Near(from, limit));
      const __mmask64 high = _mm512_kunpackw(Near(from + 48, limit), Near(from + 32, limit));
      near[some] = _mm512_kunpackd(high, low);
      words[some] = static_cast<uint32_t>(begin + 64 * i);
      some += near[some] != 0 ? 1 : 0;
    }
    for (size_t i = 0; i < some; ++i) {
      uint64_t word = near[i];
      do {
        at[count++] = words[i] + static_cast<uint32_t>(std::countr_zero(word));
        word &= word - 1;
      } while (word != 0);
    }
  }
  return count;
}

bool HasVbmi() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vbmi");
}

#undef COOKIX_VBMI
#endif

SketchKernels Best() {
  SketchKernels kernels;
  HWY_DYNAMIC_DISPATCH(Fill)(&kernels);
  return kernels;
}

}  // namespace

const SketchKernels& BestSketchKernels() {
  static const SketchKernels kernels = [] {
    SketchKernels best = Best();
#if HWY_ARCH_X86
    if (HasVbmi()) {
      best.name = "AVX3+VBMI";
      best.distances = VbmiDistances;
      best.find_near = VbmiFindNear;
    }
#endif
    return best;
  }();
  return kernels;
}

std::vector<SketchKernels> AllSketchKernels() {
  std::vector<SketchKernels> all = {kPlain};
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    all.push_back(Best());
  }
  hwy::SetSupportedTargetsForTest(0);
  all.push_back(BestSketchKernels());
  return all;
}

}  // namespace cookix::engine
#endif  // HWY_ONCE
