#include "engine/vector/candidate_pool.h"

#include <algorithm>
#include <limits>

#ifndef COOKIX_ENGINE_VECTOR_CANDIDATE_POOL_SIZES_
#define COOKIX_ENGINE_VECTOR_CANDIDATE_POOL_SIZES_
namespace cookix::engine {
namespace {

// Nodes that are looked at together.
constexpr size_t kAtOnce = 64;
// Entries that one instruction moves at most.
constexpr size_t kLanes = CandidatePool::kBefore;

}  // namespace
}  // namespace cookix::engine
#endif  // COOKIX_ENGINE_VECTOR_CANDIDATE_POOL_SIZES_

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/vector/candidate_pool.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace cookix::engine {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Puts `entry` among the sorted [entries, entries + size), whose last moves to
// entries[size]; returns where. Before them lie kLanes that are less.
HWY_INLINE size_t InsertSorted(int64_t* entries, size_t size, int64_t entry) {
#if HWY_TARGET == HWY_SCALAR
  int64_t* at = entries + size;
  for (; at[-1] > entry; --at) *at = at[-1];
  *at = entry;
  return static_cast<size_t>(at - entries);
#else
  const hn::CappedTag<int64_t, kLanes> d;
  const size_t lanes = hn::Lanes(d);
  const auto wanted = hn::Set(d, entry);
  for (int64_t* end = entries + size;; end -= lanes) {
    const auto block = hn::LoadU(d, end - lanes);
    const auto greater = hn::Gt(block, wanted);
    const size_t moved = hn::CountTrue(d, greater);
    hn::BlendedStore(block, greater, d, end - lanes + 1);
    if (moved == lanes) continue;
    *(end - moved) = entry;
    return static_cast<size_t>(end - moved - entries);
  }
#endif
}

// Bit i is set when distances[i] < bound, for `count` up to 64.
HWY_INLINE uint64_t Below(const float* distances, size_t count, float bound) {
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

void Insert(const float* distances, const uint32_t* nodes, size_t count, int64_t* entries,
            PoolState* pool) {
  PoolState state = *pool;
  for (size_t begin = 0; begin < count; begin += kAtOnce) {
    const size_t n = std::min(kAtOnce, count - begin);
    uint64_t near = state.size < state.limit
                        ? ~uint64_t{0} >> (kAtOnce - n)
                        : Below(distances + begin, n, PoolEntryDistance(entries[state.size - 1]));
    for (; near != 0; near &= near - 1) {
      const size_t i = begin + static_cast<size_t>(std::countr_zero(near));
      const bool full = state.size == state.limit;
      if (full && !(distances[i] < PoolEntryDistance(entries[state.size - 1]))) continue;
      const size_t at = InsertSorted(entries, state.size, PoolEntry(distances[i], nodes[i]));
      state.size += full ? 0 : 1;
      state.next = std::min(state.next, at);
    }
  }
  *pool = state;
}

}  // namespace HWY_NAMESPACE
}  // namespace cookix::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cookix::engine {

HWY_EXPORT(Insert);

void CandidatePool::Reset(size_t limit) {
  // A full pool moves its last entry out, behind the others.
  if (entries_.size() < kBefore + limit + 1) {
    entries_.assign(kBefore + limit + 1, std::numeric_limits<int64_t>::min());
  }
  state_ = {limit, 0, 0};
}

void CandidatePool::Insert(const float* distances, const uint32_t* nodes, size_t count) {
  if (state_.limit == 0) return;
  HWY_DYNAMIC_DISPATCH(Insert)(distances, nodes, count, entries(), &state_);
}

}  // namespace cookix::engine
#endif  // HWY_ONCE
