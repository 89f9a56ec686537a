// What a scan keeps of all that it compares by codes: the nearest, and what may turn out to be
// as near when it is compared more closely.
#ifndef COOKIX_ENGINE_VECTOR_SCAN_POOL_H_
#define COOKIX_ENGINE_VECTOR_SCAN_POOL_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/vector/candidate_pool.h"

namespace cookix::engine {

// Keeps the `near` nearest nodes, and of those behind them the ones that are farther than the
// last of the `near` by less than a margin, at most `most` in all. Where codes tell well what
// is near that is few more than `near`, and where they do not it is `most`; next to a sorted
// array of `most`, it costs what one of `near` does. Up to kSorted there is nothing to be won,
// and the `most` nearest are kept. Not thread-safe.
class ScanPool {
 public:
  static constexpr size_t kSorted = 64;

  // Empties it. `most` counts as `near` when it is less.
  void Reset(size_t near, size_t most);
  // Whether the margin counts.
  bool keeps_more() const { return most_ > near_limit_; }
  // Nodes that come from now on are kept within this margin. It does not shrink.
  void Widen(float margin) {
    if (margin <= margin_) return;
    margin_ = margin;
    Tighten();
  }

  // REQUIRES: no distance is NaN; nodes are below 2^31.
  void Insert(const float* distances, const uint32_t* nodes, size_t count);
  void Insert(float distance, uint32_t node) { Insert(&distance, &node, 1); }

  // Puts in order what is kept. Before this there is no size() and nothing to read; after it
  // comes Reset().
  void Finish();
  size_t size() const { return kept_.size(); }
  // Of the i-th nearest. REQUIRES: i < size().
  uint32_t node(size_t i) const { return PoolEntryNode(kept_[i]); }
  float distance(size_t i) const { return PoolEntryDistance(kept_[i]); }
  // Whether anything came that is not kept.
  bool truncated() const { return inserted_ > kept_.size(); }

 private:
  // Makes bound_ what it is by near_ and last_.
  void Tighten();
  // Keeps of at most kPoolAtOnce those that are nearer than bound_.
  void Keep(const float* distances, const uint32_t* nodes, size_t count);
  // Leaves of what is kept only what would be kept now.
  void Prune();

  size_t near_limit_ = 0;
  size_t most_ = 0;
  float margin_ = 0;
  size_t inserted_ = 0;
  // Of some of what came, the nearest: what `near` are nearer than.
  CandidatePool near_;
  // So near was the last of `most_` when there were more.
  float last_ = 0;
  // What is not nearer than this is not kept.
  float bound_ = 0;
  // In no order; until Finish() nothing when near_ is all that is kept.
  std::vector<int64_t> kept_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SCAN_POOL_H_
