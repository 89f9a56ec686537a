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
  near_limit_ = near;
  most_ = std::max(near, most);
  margin_ = 0;
  inserted_ = 0;
  last_ = kInfinity;
  near_.Reset(near);
  kept_.clear();
}

float ScanPool::Bound() const {
  if (!near_.full() || near_.size() == 0) return last_;
  const float bound = near_.distance(near_.size() - 1) + margin_;
  // What is at the bound itself is as good.
  return std::min(last_, std::nextafter(bound, kInfinity));
}

void ScanPool::Insert(const float* distances, const uint32_t* nodes, size_t count) {
  inserted_ += count;
  if (!keeps_more()) return near_.Insert(distances, nodes, count);
  for (size_t begin = 0; begin < count; begin += kPoolAtOnce) {
    const size_t n = std::min(kPoolAtOnce, count - begin);
    near_.Insert(distances + begin, nodes + begin, n);
    const float bound = Bound();
    uint64_t keep = bound == kInfinity ? ~uint64_t{0} >> (kPoolAtOnce - n)
                                       : NearerThan(distances + begin, n, bound);
    for (; keep != 0; keep &= keep - 1) {
      const size_t i = begin + static_cast<size_t>(std::countr_zero(keep));
      kept_.push_back(PoolEntry(distances[i], nodes[i]));
    }
    if (kept_.size() > kRoom * most_ + kMoreRoom) Prune();
  }
}

void ScanPool::Prune() {
  const float bound = Bound();
  if (bound < kInfinity) {
    std::erase_if(kept_, [&](int64_t entry) { return PoolEntryDistance(entry) >= bound; });
  }
  if (kept_.size() <= most_) return;
  const auto last = kept_.begin() + static_cast<ptrdiff_t>(most_) - 1;
  std::nth_element(kept_.begin(), last, kept_.end());
  last_ = PoolEntryDistance(*last);
  kept_.resize(most_);
}

void ScanPool::Finish() {
  if (keeps_more()) {
    Prune();
    std::sort(kept_.begin(), kept_.end());
    return;
  }
  for (size_t i = 0; i < near_.size(); ++i) {
    kept_.push_back(PoolEntry(near_.distance(i), near_.node(i)));
  }
}

}  // namespace cookix::engine
