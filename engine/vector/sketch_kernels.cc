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
// From the sums of a block to distances, one by one.
void FinishBlock(const SketchSums& query, const uint16_t* sums, const float* factors, float added,
                 uint64_t mask, float* out, float* least) {
  const float* const norms = factors + kSketchBlock;
  for (size_t i = 0; i < kSketchBlock; ++i) {
    const float made =
        added + norms[i] + factors[i] * (query.scale * static_cast<float>(sums[i]) + query.offset);
    out[i] = ((mask >> i) & 1) != 0 ? made : kInfinity;
    least[i % kSketchLanes] = std::min(least[i % kSketchLanes], out[i]);
  }
}

void PlainDistances(const SketchSums& query, const uint8_t* const* blocks, const float* added,
                    size_t count, const uint64_t* masks, float* out, float* least) {
  std::fill_n(least, count / kBlocksAtOnce * kSketchLanes, kInfinity);
  for (size_t b = 0; b < count; ++b) {
    const uint8_t* block = blocks[b];
    uint16_t sums[kSketchBlock] = {};
    for (size_t g = 0; g < query.groups; ++g, block += kSketchBlock) {
      const uint8_t* const table = query.tables + kGroupTable * g;
      for (size_t i = 0; i < kSketchBlock; ++i) {
        const uint8_t levels = block[SketchPlace(i)];
        sums[i] = static_cast<uint16_t>(sums[i] + table[levels & 15] + table[16 + (levels >> 4)]);
      }
    }
    FinishBlock(query, sums, reinterpret_cast<const float*>(block), added[b], masks[b],
                out + b * kSketchBlock, least + b / kBlocksAtOnce * kSketchLanes);
  }
}

void PlainProducts(const float* rows, const float* x, size_t n, size_t count, float* out) {
  std::fill_n(out, count, 0.0f);
  for (size_t i = 0; i < n; ++i, rows += count) {
    for (size_t k = 0; k < count; ++k) out[k] += x[i] * rows[k];
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

constexpr SketchKernels kPlain = {"plain",     kGroupTable, PlainDistances, PlainProducts,
                                  PlainTables, PlainRange,  PlainCountNear, PlainFindNear};

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

void Distances(const SketchSums& query, const uint8_t* const* blocks, const float* added,
               size_t count, const uint64_t* masks, float* out, float* least) {
  const hn::CappedTag<uint8_t, 64> d8;
  const hn::Repartition<uint16_t, decltype(d8)> d16;
  const size_t step = hn::Lanes(d8);
  const auto low = hn::Set(d8, 15);
  const auto even = hn::Set(d16, 255);
  const size_t groups = query.groups;
  std::fill_n(least, count / kBlocksAtOnce * kSketchLanes, kInfinity);
  for (size_t b = 0; b < count; ++b) {
    const uint8_t* const block = blocks[b];
    uint16_t sums[kSketchBlock];
    for (size_t first = 0; first < kSketchBlock; first += step) {
      auto evens = hn::Zero(d16), odds = evens;
      for (size_t begin = 0; begin < groups; begin += query.part) {
        auto sum = hn::Zero(d8);
        for (size_t g = begin; g < std::min(groups, begin + query.part); ++g) {
          const uint8_t* const table = query.tables + kGroupTable * g;
          const auto levels = hn::LoadU(d8, block + kSketchBlock * g + first);
          const auto third = hn::And(hn::ShiftRight<4>(levels), low);
          sum = hn::Add(sum, hn::TableLookupBytes(hn::LoadDup128(d8, table), hn::And(levels, low)));
          sum = hn::Add(sum, hn::TableLookupBytes(hn::LoadDup128(d8, table + 16), third));
        }
        const auto pairs = hn::BitCast(d16, sum);
        evens = hn::Add(evens, hn::And(pairs, even));
        odds = hn::Add(odds, hn::ShiftRight<8>(pairs));
      }
      hn::StoreU(evens, d16, sums + first / 2);
      hn::StoreU(odds, d16, sums + first / 2 + kSketchBlock / 2);
    }
    FinishBlock(query, sums, reinterpret_cast<const float*>(block + groups * kSketchBlock),
                added[b], masks[b], out + b * kSketchBlock,
                least + b / kBlocksAtOnce * kSketchLanes);
  }
}

// Of kSketchLanes numbers, or of four times as many: as many sums at a time as hide how long
// an addition takes.
void ProductsOfOne(const float* row, const float* x, size_t n, size_t count, float* out) {
  const hn::CappedTag<float, kSketchLanes> df;
  for (size_t lane = 0; lane < kSketchLanes; lane += hn::Lanes(df)) {
    const float* at = row + lane;
    auto s0 = hn::Zero(df), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4, at += 4 * count) {
      s0 = hn::MulAdd(hn::Set(df, x[i]), hn::LoadU(df, at), s0);
      s1 = hn::MulAdd(hn::Set(df, x[i + 1]), hn::LoadU(df, at + count), s1);
      s2 = hn::MulAdd(hn::Set(df, x[i + 2]), hn::LoadU(df, at + 2 * count), s2);
      s3 = hn::MulAdd(hn::Set(df, x[i + 3]), hn::LoadU(df, at + 3 * count), s3);
    }
    for (; i < n; ++i, at += count) s0 = hn::MulAdd(hn::Set(df, x[i]), hn::LoadU(df, at), s0);
    hn::StoreU(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)), df, out + lane);
  }
}

void ProductsOfFour(const float* row, const float* x, size_t n, size_t count, float* out) {
  const hn::CappedTag<float, kSketchLanes> df;
  for (size_t lane = 0; lane < kSketchLanes; lane += hn::Lanes(df)) {
    const float* at = row + lane;
    auto s0 = hn::Zero(df), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
    size_t i = 0;
    for (; i + 2 <= n; i += 2, at += 2 * count) {
      const auto first = hn::Set(df, x[i]), second = hn::Set(df, x[i + 1]);
      s0 = hn::MulAdd(first, hn::LoadU(df, at), s0);
      s1 = hn::MulAdd(first, hn::LoadU(df, at + kSketchLanes), s1);
      s2 = hn::MulAdd(first, hn::LoadU(df, at + 2 * kSketchLanes), s2);
      s3 = hn::MulAdd(first, hn::LoadU(df, at + 3 * kSketchLanes), s3);
      t0 = hn::MulAdd(second, hn::LoadU(df, at + count), t0);
      t1 = hn::MulAdd(second, hn::LoadU(df, at + count + kSketchLanes), t1);
      t2 = hn::MulAdd(second, hn::LoadU(df, at + count + 2 * kSketchLanes), t2);
      t3 = hn::MulAdd(second, hn::LoadU(df, at + count + 3 * kSketchLanes), t3);
    }
    if (i < n) {
      const auto last = hn::Set(df, x[i]);
      s0 = hn::MulAdd(last, hn::LoadU(df, at), s0);
      s1 = hn::MulAdd(last, hn::LoadU(df, at + kSketchLanes), s1);
      s2 = hn::MulAdd(last, hn::LoadU(df, at + 2 * kSketchLanes), s2);
      s3 = hn::MulAdd(last, hn::LoadU(df, at + 3 * kSketchLanes), s3);
    }
    hn::StoreU(hn::Add(s0, t0), df, out + lane);
    hn::StoreU(hn::Add(s1, t1), df, out + lane + kSketchLanes);
    hn::StoreU(hn::Add(s2, t2), df, out + lane + 2 * kSketchLanes);
    hn::StoreU(hn::Add(s3, t3), df, out + lane + 3 * kSketchLanes);
  }
}

void Products(const float* rows, const float* x, size_t n, size_t count, float* out) {
  size_t k = 0;
  for (; k + 4 * kSketchLanes <= count; k += 4 * kSketchLanes) {
    ProductsOfFour(rows + k, x, n, count, out + k);
  }
  for (; k < count; k += kSketchLanes) ProductsOfOne(rows + k, x, n, count, out + k);
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
  *kernels = {hwy::TargetName(HWY_TARGET),
              kGroupTable,
              Distances,
              Products,
              Tables,
              Range,
              CountNear,
              FindNear};
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

// vpermb looks up 64 of what a group adds by all six bits in one instruction. Highway has no
// operation for it here.
constexpr size_t kWideTable = 64;

// Of 32 numbers, all of the words where this bit of the number is set.
COOKIX_VBMI __attribute__((always_inline)) inline __m512i WhereBit(int bit) {
  const __m512i numbers =
      _mm512_set_epi16(31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13,
                       12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  return _mm512_movm_epi16(
      _mm512_test_epi16_mask(numbers, _mm512_set1_epi16(static_cast<int16_t>(1 << bit))));
}

COOKIX_VBMI __attribute__((always_inline)) inline __m512i All(int16_t weight) {
  return _mm512_set1_epi16(weight);
}

COOKIX_VBMI void VbmiTables(const float* weights, size_t groups, uint8_t* tables) {
  // As whole numbers of 256ths. What all bits add is below 256, so it fits a word; on the way
  // there sums may wrap around.
  int16_t whole[6 * kMostGroups + 16];
  const size_t count = 6 * groups;
  for (size_t i = 0; i < count; i += 16) {
    const auto some = static_cast<__mmask16>(count - i < 16 ? (1u << (count - i)) - 1 : 0xffffu);
    const __m512 weight = _mm512_maskz_loadu_ps(some, weights + i);
    const __m512i rounded = _mm512_cvtps_epi32(_mm512_mul_ps(weight, _mm512_set1_ps(256)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(whole + i), _mm512_cvtepi32_epi16(rounded));
  }
  const __m512i bits[5] = {WhereBit(0), WhereBit(1), WhereBit(2), WhereBit(3), WhereBit(4)};
  const __m512i half = _mm512_set1_epi16(128);
  for (size_t g = 0; g < groups; ++g, tables += kWideTable) {
    const int16_t* const weight = whole + 6 * g;
    __m512i low = _mm512_add_epi16(_mm512_and_si512(bits[0], All(weight[0])),
                                   _mm512_and_si512(bits[1], All(weight[1])));
    const __m512i other = _mm512_add_epi16(_mm512_and_si512(bits[2], All(weight[2])),
                                           _mm512_and_si512(bits[3], All(weight[3])));
    low = _mm512_add_epi16(low, _mm512_and_si512(bits[4], All(weight[4])));
    low = _mm512_add_epi16(low, other);
    __m512i high = _mm512_add_epi16(low, All(weight[5]));
    // The least is where the bits of what is below 0 are set, and is to be 0.
    const auto below = _mm256_movemask_ps(_mm256_maskz_loadu_ps(0x3f, weights + 6 * g));
    const __m512i least =
        _mm512_permutex2var_epi16(low, All(static_cast<int16_t>(below & 0x3f)), high);
    const __m512i begin = _mm512_sub_epi16(half, least);
    low = _mm512_srli_epi16(_mm512_add_epi16(low, begin), 8);
    high = _mm512_srli_epi16(_mm512_add_epi16(high, begin), 8);
    auto* const to = reinterpret_cast<__m256i*>(tables);
    _mm256_storeu_si256(to, _mm512_cvtepi16_epi8(low));
    _mm256_storeu_si256(to + 1, _mm512_cvtepi16_epi8(high));
  }
}

// Of 16 sketches, by their sums.
COOKIX_VBMI __attribute__((always_inline)) inline __m512 SketchDistances(
    const SketchSums& query, __m256i sums, const float* factors, __m512 added, __mmask16 mask) {
  const __m512 sum = _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(sums));
  const __m512 dot =
      _mm512_fmadd_ps(sum, _mm512_set1_ps(query.scale), _mm512_set1_ps(query.offset));
  const __m512 made = _mm512_fmadd_ps(
      _mm512_loadu_ps(factors), dot, _mm512_add_ps(_mm512_loadu_ps(factors + kSketchBlock), added));
  return _mm512_mask_blend_ps(mask, _mm512_set1_ps(kInfinity), made);
}

COOKIX_VBMI void VbmiDistances(const SketchSums& query, const uint8_t* const* blocks,
                               const float* added, size_t count, const uint64_t* masks, float* out,
                               float* least) {
  const size_t groups = query.groups;
  const __m512i even = _mm512_set1_epi16(255);
  const __m512i zero = _mm512_setzero_si512();
  for (size_t b = 0; b < count; b += kBlocksAtOnce, least += kSketchLanes) {
    const __m512i* const at[kBlocksAtOnce] = {reinterpret_cast<const __m512i*>(blocks[b]),
                                              reinterpret_cast<const __m512i*>(blocks[b + 1]),
                                              reinterpret_cast<const __m512i*>(blocks[b + 2]),
                                              reinterpret_cast<const __m512i*>(blocks[b + 3])};
    __m512i evens[kBlocksAtOnce] = {zero, zero, zero, zero};
    __m512i odds[kBlocksAtOnce] = {zero, zero, zero, zero};
    for (size_t begin = 0; begin < groups; begin += query.part) {
      const size_t end = begin + query.part < groups ? begin + query.part : groups;
      __m512i s0 = zero, s1 = zero, s2 = zero, s3 = zero;
      for (size_t g = begin; g < end; ++g) {
        const __m512i table = _mm512_loadu_si512(query.tables + kWideTable * g);
        s0 = _mm512_add_epi8(s0, _mm512_permutexvar_epi8(_mm512_load_si512(at[0] + g), table));
        s1 = _mm512_add_epi8(s1, _mm512_permutexvar_epi8(_mm512_load_si512(at[1] + g), table));
        s2 = _mm512_add_epi8(s2, _mm512_permutexvar_epi8(_mm512_load_si512(at[2] + g), table));
        s3 = _mm512_add_epi8(s3, _mm512_permutexvar_epi8(_mm512_load_si512(at[3] + g), table));
      }
      const __m512i sums[kBlocksAtOnce] = {s0, s1, s2, s3};
#pragma GCC unroll 4
      for (size_t k = 0; k < kBlocksAtOnce; ++k) {
        evens[k] = _mm512_add_epi16(evens[k], _mm512_and_si512(sums[k], even));
        odds[k] = _mm512_add_epi16(odds[k], _mm512_srli_epi16(sums[k], 8));
      }
    }
    __m512 nearest = _mm512_set1_ps(kInfinity);
#pragma GCC unroll 4
    for (size_t k = 0; k < kBlocksAtOnce; ++k) {
      const __m256i quarters[4] = {
          _mm512_castsi512_si256(evens[k]), _mm512_extracti64x4_epi64(evens[k], 1),
          _mm512_castsi512_si256(odds[k]), _mm512_extracti64x4_epi64(odds[k], 1)};
      const auto* factors = reinterpret_cast<const float*>(at[k] + groups);
      const __m512 more = _mm512_set1_ps(added[b + k]);
      uint64_t mask = masks[b + k];
#pragma GCC unroll 4
      for (size_t i = 0; i < 4; ++i) {
        const __m512 made =
            SketchDistances(query, quarters[i], factors, more, static_cast<__mmask16>(mask));
        _mm512_storeu_ps(out, made);
        nearest = _mm512_min_ps(nearest, made);
        mask >>= kSketchLanes;
        factors += kSketchLanes;
        out += kSketchLanes;
      }
    }
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
      best.table_bytes = kWideTable;
      best.tables = VbmiTables;
      best.distances = VbmiDistances;
      best.find_near = VbmiFindNear;
    }
#endif
    return best;
  }();
  return kernels;
}

float BoundOf(const SketchKernels& kernels, const float* values, size_t n, size_t count) {
  // How often it is looked for between two others.
  constexpr int kHalvings = 16;
  float low, high;
  kernels.range(values, n, &low, &high);
  for (int i = 0; i < kHalvings && low < high; ++i) {
    const float middle = low / 2 + high / 2;
    const size_t found = kernels.count_near(values, n, middle);
    (found >= count ? high : low) = middle;
    if (found >= count && found <= count + count / 8) break;
  }
  return high;
}

size_t KeepNear(const SketchKernels& kernels, size_t count, size_t n, float* distances,
                uint32_t* numbers) {
  size_t end = n;
  while (end % kSketchLanes != 0) distances[end++] = kInfinity;
  const float bound = BoundOf(kernels, distances, end, count);
  // Beyond what floats hold none is nearer than another.
  if (!std::isfinite(bound)) return n;
  size_t kept = 0;
  for (size_t i = 0; i < n; ++i) {
    distances[kept] = distances[i];
    numbers[kept] = numbers[i];
    kept += distances[i] <= bound ? 1 : 0;
  }
  return kept;
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
