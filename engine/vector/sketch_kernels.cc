#include "engine/vector/sketch_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/vector/kernel_tables.h"

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
      const uint8_t* const table = query.tables + 2 * kTable * g;
      for (size_t i = 0; i < kSketchBlock; ++i) {
        const uint8_t levels = block[SketchPlace(i)];
        sums[i] =
            static_cast<uint16_t>(sums[i] + table[levels & 15] + table[kTable + (levels >> 4)]);
      }
    }
    FinishBlock(query, sums, reinterpret_cast<const float*>(block), added[b], masks[b],
                out + b * kSketchBlock, least + b / kBlocksAtOnce * kSketchLanes);
  }
}

void PlainSummary(const float* values, size_t n, float* least, float* sum) {
  *least = kInfinity;
  *sum = 0;
  for (size_t k = 0; k < n; ++k) {
    *least = std::min(*least, values[k]);
    if (values[k] < kInfinity) *sum += values[k];
  }
}

// The bits that are set in each of the 16 numbers of four bits.
constexpr float kBits[4][16] = {{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1},
                                {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1},
                                {0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1},
                                {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1}};

// What each bit of a sketch adds.
void Weights(const float* components, int bits, float inverse, size_t groups, float* weights) {
  const auto of_component = static_cast<size_t>(bits);
  for (size_t d = 0; d < 2 * kTableBits * groups / of_component; ++d) {
    float weight = inverse * components[d];
    for (size_t k = 0; k < of_component; ++k, weight *= 2) weights[d * of_component + k] = weight;
  }
}

void PlainTables(const float* components, int bits, float inverse, size_t groups, uint8_t* tables) {
  float weights[2 * kTableBits * kMostGroups];
  Weights(components, bits, inverse, groups, weights);
  for (size_t d = 0; d < 2 * kTableBits * groups; d += kTableBits, tables += kTable) {
    float below = 0;
    for (size_t k = 0; k < kTableBits; ++k) below += std::max(-weights[d + k], 0.0f);
    for (size_t i = 0; i < kTable; ++i) {
      float sum = below;
      for (size_t k = 0; k < kTableBits; ++k) sum += weights[d + k] * kBits[k][i];
      tables[i] = static_cast<uint8_t>(std::nearbyint(sum));
    }
  }
}

constexpr SketchKernels kPlain = {"plain", PlainDistances, PlainSummary, PlainTables};

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

// From the sums of kBlocksAtOnce blocks to distances.
HWY_INLINE void Finish(const SketchSums& query, const uint16_t (*sums)[kSketchBlock],
                       const uint8_t* const* blocks, const float* added, const uint64_t* masks,
                       float* out, float* least) {
  const hn::CappedTag<float, kSketchLanes> df;
  const hn::RebindToUnsigned<decltype(df)> du;
  const hn::RebindToSigned<decltype(df)> d32;
  const hn::Rebind<uint16_t, decltype(df)> d16;
  const auto scale = hn::Set(df, query.scale), offset = hn::Set(df, query.offset);
  const auto infinity = hn::Set(df, kInfinity);
  const auto bits = hn::Shl(hn::Set(du, 1u), hn::Iota(du, 0));
  for (size_t lane = 0; lane < kSketchLanes; lane += hn::Lanes(df)) {
    auto nearest = infinity;
    for (size_t b = 0; b < kBlocksAtOnce; ++b) {
      const auto* const factors =
          reinterpret_cast<const float*>(blocks[b] + query.groups * kSketchBlock);
      const auto more = hn::Set(df, added[b]);
#pragma GCC unroll 4
      for (size_t i = lane; i < kSketchBlock; i += kSketchLanes) {
        const auto sum = hn::ConvertTo(df, hn::PromoteTo(d32, hn::LoadU(d16, sums[b] + i)));
        const auto dot = hn::MulAdd(sum, scale, offset);
        const auto norm = hn::Add(hn::LoadU(df, factors + kSketchBlock + i), more);
        const auto made = hn::MulAdd(hn::LoadU(df, factors + i), dot, norm);
        const auto wanted = hn::TestBit(hn::Set(du, static_cast<uint32_t>(masks[b] >> i)), bits);
        const auto told = hn::IfThenElse(hn::RebindMask(df, wanted), made, infinity);
        hn::StoreU(told, df, out + b * kSketchBlock + i);
        nearest = hn::Min(nearest, told);
      }
    }
    hn::StoreU(nearest, df, least + lane);
  }
}

// Adds what the bits of a byte of each sketch add. No arrays of vectors here, nor below: where GCC
// 12 looks for uses after return it takes them to lie at multiples of 64, and they do not (GCC's
// bug 110027).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V AddedBy(D d8, const uint8_t* levels, V lower, V upper, V sum) {
  const hn::Repartition<uint16_t, D> d16;
  const auto low = hn::Set(d8, 15);
  const auto bits = hn::Load(d8, levels);
  const auto high = hn::BitCast(d8, hn::ShiftRight<4>(hn::BitCast(d16, bits)));
  sum = hn::Add(sum, hn::TableLookupBytes(lower, hn::And(bits, low)));
  return hn::Add(sum, hn::TableLookupBytes(upper, hn::And(high, low)));
}

void Distances(const SketchSums& query, const uint8_t* const* blocks, const float* added,
               size_t count, const uint64_t* masks, float* out, float* least) {
  const hn::CappedTag<uint8_t, kSketchBlock> d8;
  const hn::Repartition<uint16_t, decltype(d8)> d16;
  const size_t lanes = hn::Lanes(d8);
  const auto even = hn::Set(d16, 255);
  const size_t groups = query.groups;
  for (size_t b = 0; b < count;
       b += kBlocksAtOnce, least += kSketchLanes, out += kBlocksAtOnce * kSketchBlock) {
    uint16_t sums[kBlocksAtOnce][kSketchBlock];
    for (size_t first = 0; first < kSketchBlock; first += lanes) {
      const uint8_t* const at0 = blocks[b] + first;
      const uint8_t* const at1 = blocks[b + 1] + first;
      const uint8_t* const at2 = blocks[b + 2] + first;
      const uint8_t* const at3 = blocks[b + 3] + first;
      auto e0 = hn::Zero(d16), e1 = e0, e2 = e0, e3 = e0, o0 = e0, o1 = e0, o2 = e0, o3 = e0;
      for (size_t begin = 0; begin < groups; begin += query.part) {
        const size_t end = begin + query.part < groups ? begin + query.part : groups;
        auto s0 = hn::Zero(d8), s1 = s0, s2 = s0, s3 = s0;
        for (size_t g = begin; g < end; ++g) {
          const auto lower = hn::LoadDup128(d8, query.tables + 2 * kTable * g);
          const auto upper = hn::LoadDup128(d8, query.tables + 2 * kTable * g + kTable);
          s0 = AddedBy(d8, at0 + kSketchBlock * g, lower, upper, s0);
          s1 = AddedBy(d8, at1 + kSketchBlock * g, lower, upper, s1);
          s2 = AddedBy(d8, at2 + kSketchBlock * g, lower, upper, s2);
          s3 = AddedBy(d8, at3 + kSketchBlock * g, lower, upper, s3);
        }
        e0 = hn::Add(e0, hn::And(hn::BitCast(d16, s0), even));
        e1 = hn::Add(e1, hn::And(hn::BitCast(d16, s1), even));
        e2 = hn::Add(e2, hn::And(hn::BitCast(d16, s2), even));
        e3 = hn::Add(e3, hn::And(hn::BitCast(d16, s3), even));
        o0 = hn::Add(o0, hn::ShiftRight<8>(hn::BitCast(d16, s0)));
        o1 = hn::Add(o1, hn::ShiftRight<8>(hn::BitCast(d16, s1)));
        o2 = hn::Add(o2, hn::ShiftRight<8>(hn::BitCast(d16, s2)));
        o3 = hn::Add(o3, hn::ShiftRight<8>(hn::BitCast(d16, s3)));
      }
      constexpr size_t kOdd = kSketchBlock / 2;
      hn::StoreU(e0, d16, sums[0] + first / 2);
      hn::StoreU(o0, d16, sums[0] + first / 2 + kOdd);
      hn::StoreU(e1, d16, sums[1] + first / 2);
      hn::StoreU(o1, d16, sums[1] + first / 2 + kOdd);
      hn::StoreU(e2, d16, sums[2] + first / 2);
      hn::StoreU(o2, d16, sums[2] + first / 2 + kOdd);
      hn::StoreU(e3, d16, sums[3] + first / 2);
      hn::StoreU(o3, d16, sums[3] + first / 2 + kOdd);
    }
    Finish(query, sums, blocks + b, added + b, masks + b, out, least);
  }
}

void Summary(const float* values, size_t n, float* least, float* sum) {
  const hn::CappedTag<float, kSketchLanes> df;
  const auto infinity = hn::Set(df, kInfinity);
  auto low = infinity, all = hn::Zero(df);
  for (size_t k = 0; k < n; k += hn::Lanes(df)) {
    const auto value = hn::LoadU(df, values + k);
    low = hn::Min(low, value);
    all = hn::Add(all, hn::IfThenElseZero(hn::Lt(value, infinity), value));
  }
  *least = hn::GetLane(hn::MinOfLanes(df, low));
  *sum = hn::GetLane(hn::SumOfLanes(df, all));
}

void Tables(const float* components, int bits, float inverse, size_t groups, uint8_t* tables) {
  const hn::CappedTag<float, kTable> df;
  const hn::Rebind<uint8_t, decltype(df)> d8;
  const size_t lanes = hn::Lanes(df);
  // Of each bit, and in the first place of each table what is below 0 of its bits.
  float weights[2 * kTableBits * kMostGroups + kTable],
      below[2 * kTableBits * kMostGroups + kTable];
  const size_t all = 2 * kTableBits * groups;
  if (bits == 1) {
    const auto factor = hn::Set(df, inverse);
    // There are whole groups.
    size_t d = 0;
    for (; d + lanes <= all; d += lanes) {
      hn::StoreU(hn::Mul(factor, hn::LoadU(df, components + d)), df, weights + d);
    }
    for (; d < all; ++d) weights[d] = inverse * components[d];
  } else {
    Weights(components, bits, inverse, groups, weights);
  }
  for (size_t d = 0; d < all; d += lanes) {
    const auto negative = hn::Max(hn::Neg(hn::LoadU(df, weights + d)), hn::Zero(df));
    const auto two = hn::Add(negative, hn::Shuffle2301(negative));
    hn::StoreU(hn::Add(two, hn::Shuffle1032(two)), df, below + d);
  }
  for (size_t d = 0; d < all; d += kTableBits, tables += kTable) {
    for (size_t i = 0; i < kTable; i += lanes) {
      auto sum =
          hn::MulAdd(hn::Set(df, weights[d]), hn::LoadU(df, kBits[0] + i), hn::Set(df, below[d]));
      auto other = hn::Mul(hn::Set(df, weights[d + 1]), hn::LoadU(df, kBits[1] + i));
      sum = hn::MulAdd(hn::Set(df, weights[d + 2]), hn::LoadU(df, kBits[2] + i), sum);
      other = hn::MulAdd(hn::Set(df, weights[d + 3]), hn::LoadU(df, kBits[3] + i), other);
      hn::StoreU(hn::DemoteTo(d8, hn::NearestInt(hn::Add(sum, other))), d8, tables + i);
    }
  }
}

#endif  // HWY_TARGET != HWY_SCALAR

void Fill(SketchKernels* kernels) {
#if HWY_TARGET == HWY_SCALAR
  *kernels = kPlain;
#else
  *kernels = {hwy::TargetName(HWY_TARGET), Distances, Summary, Tables};
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace cookix::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cookix::engine {
namespace {

HWY_EXPORT(Fill);

SketchKernels Best() {
  SketchKernels kernels;
  HWY_DYNAMIC_DISPATCH(Fill)(&kernels);
  return kernels;
}

}  // namespace

const SketchKernels& BestSketchKernels() {
  static const SketchKernels kernels = Best();
  return kernels;
}

std::vector<SketchKernels> AllSketchKernels() { return TablesOfAllTargets(kPlain, Best); }

}  // namespace cookix::engine
#endif  // HWY_ONCE
