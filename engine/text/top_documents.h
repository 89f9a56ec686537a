// The best documents by scores that are nearly right, with all that might be among the best
// by exact ones.
#ifndef COOKIX_ENGINE_TEXT_TOP_DOCUMENTS_H_
#define COOKIX_ENGINE_TEXT_TOP_DOCUMENTS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "engine/text/search_nodes.h"
#include "engine/text/text_segment.h"

namespace cookix::engine {

class TopDocuments {
 public:
  struct Entry {
    float score;
    // The segment or buffer, as the search counts them.
    uint32_t source;
    DocId doc;
    // The score exactly; kUnknown: it has to be found out.
    double exact;
  };
  static constexpr double kUnknown = -1;

  // Scores are off by at most a quarter of `margin`, in parts of themselves.
  TopDocuments(size_t limit, float margin) : limit_(limit), margin_(margin) {
    if (limit_ == 0) cut_ = std::numeric_limits<float>::infinity();
  }

  // What scores less is not among the best.
  float cut() const { return cut_; }

  void Add(float score, uint32_t source, DocId doc, double exact = kUnknown) {
    if (score < cut_) return;
    entries_.push_back({score, source, doc, exact});
    if (entries_.size() >= full_) Shrink();
    AddScore(score);
  }
  // Counts towards the best, and is not kept here.
  void AddScore(float score) {
    if (limit_ == 0) return;
    if (best_.size() < limit_) {
      best_.push_back(score);
      std::push_heap(best_.begin(), best_.end(), std::greater<>());
    } else if (score > best_.front()) {
      std::pop_heap(best_.begin(), best_.end(), std::greater<>());
      best_.back() = score;
      std::push_heap(best_.begin(), best_.end(), std::greater<>());
    }
    if (best_.size() == limit_) cut_ = best_.front() * (1 - margin_);
  }

  // All that may be among the best.
  std::vector<Entry> Take() {
    Shrink();
    return std::move(entries_);
  }

 private:
  void Shrink() {
    std::erase_if(entries_, [this](const Entry& entry) { return entry.score < cut_; });
    full_ = std::max<size_t>(1024, 2 * entries_.size());
  }

  const size_t limit_;
  const float margin_;
  float cut_ = kNoCut;
  // A heap of the best scores, the least in front.
  std::vector<float> best_;
  std::vector<Entry> entries_;
  size_t full_ = 1024;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TOP_DOCUMENTS_H_
