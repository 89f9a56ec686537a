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
// array of `most`, it costs what one of `near` does. Not thread-safe.
class ScanPool {
 public:
  // Empties it. `most` counts as `near` when it is less.
  void Reset(size_t near, size_t most);
  // Whether `most` was greater: otherwise no margin counts.
  bool keeps_more() const { return most_ > near_limit_; }
  // Nodes that come from now on are kept within this margin. It does not shrink.
  void Widen(float margin) { margin_ = margin > margin_ ? margin : margin_; }
  float margin() const { return margin_; }

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
  // What is not nearer than this is not kept, by all that came so far.
  float Bound() const;
  // Leaves of what is kept only what would be kept now.
  void Prune();

  size_t near_limit_ = 0;
  size_t most_ = 0;
  float margin_ = 0;
  size_t inserted_ = 0;
  CandidatePool near_;
  // So near was the last of `most_` when there were more.
  float last_ = 0;
  // In no order, with those of near_; until Finish() nothing when it keeps no more than those.
  std::vector<int64_t> kept_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SCAN_POOL_H_
