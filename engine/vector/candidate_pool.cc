#include "engine/vector/candidate_pool.h"

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/vector/candidate_pool.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#ifndef COOKIX_ENGINE_VECTOR_CANDIDATE_POOL_ONCE_
#define COOKIX_ENGINE_VECTOR_CANDIDATE_POOL_ONCE_
namespace cookix::engine {
namespace {

// Entries of a block, as the header has it.
constexpr size_t kLanes = 8;
constexpr size_t kAtOnce = kPoolAtOnce;

// Where GCC 12 checks addresses it does not align blocks that it puts on the stack. What is
// not checked must not hand out references to its own variables either.
#define COOKIX_UNSANITIZED __attribute__((no_sanitize_address))
template <typename T>
constexpr T Least(T a, T b) {
  return a < b ? a : b;
}

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr int64_t kGreatest = std::numeric_limits<int64_t>::max();

}  // namespace
}  // namespace cookix::engine
#endif  // COOKIX_ENGINE_VECTOR_CANDIDATE_POOL_ONCE_

HWY_BEFORE_NAMESPACE();
namespace cookix::engine {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET <= HWY_AVX3

// In a sorted row, what lies at a place after `entry` came in is
//   max(what lay one place before, min(what lay there, entry)),
// so a block takes three instructions and no branch.
HWY_INLINE COOKIX_UNSANITIZED __m512i Shifted(__m512i block, __m512i before, __m512i entry) {
  const __m512i left = _mm512_alignr_epi64(block, before, 7);
  return _mm512_max_epi64(left, _mm512_min_epi64(block, entry));
}

// A pool of few blocks stays in registers: what was just stored could not be loaded one
// place beside without waiting.
template <size_t kBlocks>
HWY_INLINE COOKIX_UNSANITIZED void InsertInRegisters(int64_t* entries, const int64_t* coming,
                                                     size_t count) {
  __m512i blocks[kBlocks];
#pragma GCC unroll 8
  for (size_t b = 0; b < kBlocks; ++b) blocks[b] = _mm512_load_si512(entries + b * kLanes);
  const __m512i least = _mm512_set1_epi64(kLeast);
  for (size_t i = 0; i < count; ++i) {
    const __m512i entry = _mm512_set1_epi64(coming[i]);
#pragma GCC unroll 8
    for (size_t b = kBlocks - 1; b > 0; --b) blocks[b] = Shifted(blocks[b], blocks[b - 1], entry);
    blocks[0] = Shifted(blocks[0], least, entry);
  }
#pragma GCC unroll 8
  for (size_t b = 0; b < kBlocks; ++b) _mm512_store_si512(entries + b * kLanes, blocks[b]);
}

HWY_INLINE COOKIX_UNSANITIZED void InsertAll(int64_t* entries, size_t size, size_t limit,
                                             const int64_t* coming, size_t count) {
  switch ((limit + kLanes - 1) / kLanes) {
    case 1:
      return InsertInRegisters<1>(entries, coming, count);
    case 2:
      return InsertInRegisters<2>(entries, coming, count);
    case 3:
      return InsertInRegisters<3>(entries, coming, count);
    case 4:
      return InsertInRegisters<4>(entries, coming, count);
    case 5:
      return InsertInRegisters<5>(entries, coming, count);
    case 6:
      return InsertInRegisters<6>(entries, coming, count);
    case 7:
      return InsertInRegisters<7>(entries, coming, count);
    case 8:
      return InsertInRegisters<8>(entries, coming, count);
    default:
      break;
  }
  for (size_t i = 0; i < count; ++i) {
    const __m512i entry = _mm512_set1_epi64(coming[i]);
    int64_t* at = entries + Least(size++, limit - 1) / kLanes * kLanes;
    __m512i block = _mm512_load_si512(at);
    for (bool moves = true; moves; at -= kLanes) {
      const __m512i before = _mm512_load_si512(at - kLanes);
      moves = at[-1] > coming[i];
      _mm512_store_si512(at, Shifted(block, before, entry));
      block = before;
    }
  }
}

#else

HWY_INLINE COOKIX_UNSANITIZED void InsertAll(int64_t* entries, size_t size, size_t limit,
                                             const int64_t* coming, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    // The last of a full pool is dropped.
    int64_t* at = entries + Least(size++, limit - 1);
    if (*at < coming[i]) continue;
    for (; at[-1] > coming[i]; --at) *at = at[-1];
    *at = coming[i];
  }
}

#endif

HWY_INLINE COOKIX_UNSANITIZED uint64_t Below(const float* distances, size_t count, float bound) {
  uint64_t below = 0;
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::CappedTag<float, 16> d;
  const size_t lanes = hn::Lanes(d);
  const auto limit = hn::Set(d, bound);
  for (; i + lanes <= count; i += lanes) {
    uint8_t bits[8] = {};
    hn::StoreMaskBits(d, hn::Lt(hn::LoadU(d, distances + i), limit), bits);
    below |= (uint64_t{bits[0]} | uint64_t{bits[1]} << 8) << i;
  }
#endif
  for (; i < count; ++i) below |= uint64_t{distances[i] < bound} << i;
  return below;
}

COOKIX_UNSANITIZED void Insert(const float* distances, const uint32_t* nodes, size_t count,
                               int64_t* entries, PoolState* pool) {
  for (size_t begin = 0; begin < count; begin += kAtOnce) {
    const size_t n = Least(kAtOnce, count - begin);
    uint64_t near = pool->size < pool->limit
                        ? ~uint64_t{0} >> (kAtOnce - n)
                        : Below(distances + begin, n, PoolEntryDistance(entries[pool->size - 1]));
    if (near == 0) continue;
    int64_t coming[kAtOnce];
    size_t m = 0;
    int64_t least = kGreatest;
    for (; near != 0; near &= near - 1) {
      const size_t i = begin + static_cast<size_t>(std::countr_zero(near));
      coming[m] = PoolEntry(distances[i], nodes[i]);
      least = Least(least, coming[m++]);
    }
    InsertAll(entries, pool->size, pool->limit, coming, m);
    pool->size = Least(pool->size + m, pool->limit);
    pool->next = Least(pool->next, pool->size);
    while (entries[pool->next - 1] >= least) --pool->next;
  }
}

COOKIX_UNSANITIZED uint64_t BelowBound(const float* distances, size_t count, float bound) {
  return Below(distances, count, bound);
}

}  // namespace HWY_NAMESPACE
}  // namespace cookix::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cookix::engine {

HWY_EXPORT(Insert);
HWY_EXPORT(BelowBound);

void CandidatePool::Reset(size_t limit) {
  static_assert(kBlock == kLanes);
  if (capacity_ < limit) {
    capacity_ = (limit + kBlock - 1) / kBlock * kBlock;
    memory_ = hwy::AllocateAligned<int64_t>(kBlock + capacity_);
    std::fill_n(memory_.get(), kBlock, kLeast);
  }
  std::fill_n(entries(), (limit + kBlock - 1) / kBlock * kBlock, kGreatest);
  state_ = {limit, 0, 0};
}

void CandidatePool::Insert(const float* distances, const uint32_t* nodes, size_t count) {
  if (state_.limit == 0) return;
  HWY_DYNAMIC_DISPATCH(Insert)(distances, nodes, count, entries(), &state_);
}

uint64_t NearerThan(const float* distances, size_t count, float bound) {
  return HWY_DYNAMIC_DISPATCH(BelowBound)(distances, count, bound);
}

}  // namespace cookix::engine
#endif  // HWY_ONCE
