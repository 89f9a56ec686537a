#include "engine/vector/scan_pool.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace cookix::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// What is kept is gone through when it is so many times what is kept in the end, and this
// many more: seldom.
constexpr size_t kRoom = 4;
constexpr size_t kMoreRoom = 512;

}  // namespace

void ScanPool::Reset(size_t near, size_t most) {
  most_ = std::max(near, most);
  near_limit_ = most_ <= kSorted ? most_ : near;
  margin_ = 0;
  inserted_ = 0;
  last_ = kInfinity;
  bound_ = kInfinity;
  near_.Reset(near_limit_);
  kept_.clear();
}

void ScanPool::Tighten() {
  bound_ = last_;
  if (!near_.full() || near_.size() == 0) return;
  // What is as far as the margin is kept.
  const float margin = near_.distance(near_.size() - 1) + margin_;
  bound_ = std::min(bound_, std::nextafter(margin, kInfinity));
}

void ScanPool::Insert(const float* distances, const uint32_t* nodes, size_t count) {
  inserted_ += count;
  if (!keeps_more()) return near_.Insert(distances, nodes, count);
  for (size_t begin = 0; begin < count; begin += kPoolAtOnce) {
    const size_t n = std::min(kPoolAtOnce, count - begin);
    near_.Insert(distances + begin, nodes + begin, n);
    Tighten();
    Keep(distances + begin, nodes + begin, n);
  }
}

void ScanPool::Keep(const float* distances, const uint32_t* nodes, size_t count) {
  uint64_t keep = bound_ == kInfinity ? ~uint64_t{0} >> (kPoolAtOnce - count)
                                      : NearerThan(distances, count, bound_);
  for (; keep != 0; keep &= keep - 1) {
    const auto i = static_cast<size_t>(std::countr_zero(keep));
    kept_.push_back(PoolEntry(distances[i], nodes[i]));
  }
  if (kept_.size() > kRoom * most_ + kMoreRoom) Prune();
}

void ScanPool::Prune() {
  if (bound_ < kInfinity) {
    std::erase_if(kept_, [&](int64_t entry) { return PoolEntryDistance(entry) >= bound_; });
  }
  if (kept_.size() <= most_) return;
  const auto last = kept_.begin() + static_cast<ptrdiff_t>(most_) - 1;
  std::nth_element(kept_.begin(), last, kept_.end());
  last_ = PoolEntryDistance(*last);
  kept_.resize(most_);
  Tighten();
}

void ScanPool::Finish() {
  if (!keeps_more()) {
    for (size_t i = 0; i < near_.size(); ++i) {
      kept_.push_back(PoolEntry(near_.distance(i), near_.node(i)));
    }
    return;
  }
  Prune();
  std::sort(kept_.begin(), kept_.end());
  if (kept_.size() <= near_limit_) return;
  // Of all that came, not only of what near_ has seen.
  const float bound = PoolEntryDistance(kept_[near_limit_ - 1]) + margin_;
  const auto beyond =
      std::upper_bound(kept_.begin() + static_cast<ptrdiff_t>(near_limit_), kept_.end(), bound,
                       [](float value, int64_t entry) { return value < PoolEntryDistance(entry); });
  kept_.erase(beyond, kept_.end());
}

}  // namespace cookix::engine
