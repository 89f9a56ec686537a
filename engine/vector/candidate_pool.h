// The best nodes that a search has found so far.
#ifndef COOKIX_ENGINE_VECTOR_CANDIDATE_POOL_H_
#define COOKIX_ENGINE_VECTOR_CANDIDATE_POOL_H_

#include <bit>
#include <cstddef>
#include <cstdint>

#include "hwy/aligned_allocator.h"

namespace cookix::engine {

// An entry of a pool is one number: the distance's bits, so mapped that they compare as
// integers, above the node, above whether it was taken, which leaves entries in their order.
inline int64_t PoolEntry(float distance, uint32_t node) {
  const auto bits = std::bit_cast<int32_t>(distance);
  const auto ordered = static_cast<uint32_t>(bits ^ ((bits >> 31) & 0x7fffffff));
  return static_cast<int64_t>((uint64_t{ordered} << 32) | (uint64_t{node} << 1));
}
inline float PoolEntryDistance(int64_t entry) {
  const auto ordered = static_cast<int32_t>(entry >> 32);
  return std::bit_cast<float>(ordered ^ ((ordered >> 31) & 0x7fffffff));
}
inline uint32_t PoolEntryNode(int64_t entry) { return static_cast<uint32_t>(entry) >> 1; }

struct PoolState {
  size_t limit = 0;
  size_t size = 0;
  // Every entry before it is taken.
  size_t next = 0;
};

// At most `limit` nodes below 2^31, ascending by distance. A sorted array: a node comes in
// by moving those behind it, eight in a few instructions, which for the lengths that searches
// use takes less time than a heap does, and makes the next node to expand and the answer
// plain to see. Not thread-safe.
class CandidatePool {
 public:
  // Empties it.
  void Reset(size_t limit);
  size_t size() const { return state_.size; }
  bool full() const { return state_.size == state_.limit; }

  // Puts in each of `count` nodes that is near enough. REQUIRES: no distance is NaN.
  void Insert(const float* distances, const uint32_t* nodes, size_t count);
  void Insert(float distance, uint32_t node) { Insert(&distance, &node, 1); }

  // The nearest node that was not taken yet, and takes it; false when all are.
  bool Take(uint32_t* node) {
    state_.next = Untaken();
    if (state_.next == state_.size) return false;
    int64_t& entry = entries()[state_.next++];
    *node = PoolEntryNode(entry);
    entry |= kTaken;
    return true;
  }

  // The node that Take() would take now; false when all are.
  bool Peek(uint32_t* node) const {
    const size_t i = Untaken();
    if (i == state_.size) return false;
    *node = PoolEntryNode(entries()[i]);
    return true;
  }

  // Of the i-th nearest. REQUIRES: i < size().
  uint32_t node(size_t i) const { return PoolEntryNode(entries()[i]); }
  float distance(size_t i) const { return PoolEntryDistance(entries()[i]); }

 private:
  static constexpr int64_t kTaken = 1;

  // Entries lie in blocks of this many. Before the first block lies one that is less than
  // all entries; what lies behind the last entry is greater, or was dropped.
  static constexpr size_t kBlock = 8;

  // Where the nearest lies that was not taken yet; size() when all are.
  size_t Untaken() const {
    size_t i = state_.next;
    while (i < state_.size && (entries()[i] & kTaken) != 0) ++i;
    return i;
  }
  int64_t* entries() { return memory_.get() + kBlock; }
  const int64_t* entries() const { return memory_.get() + kBlock; }

  hwy::AlignedFreeUniquePtr<int64_t[]> memory_;
  size_t capacity_ = 0;
  PoolState state_;
};

// Nodes that are looked at together.
inline constexpr size_t kPoolAtOnce = 64;
// Bit i is set when distances[i] < bound, for `count` up to kPoolAtOnce.
uint64_t NearerThan(const float* distances, size_t count, float bound);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_CANDIDATE_POOL_H_
