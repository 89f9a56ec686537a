// Inner nodes.
#include "engine/text/search_nodes.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/text/thread_scratch.h"

namespace cookix::engine {
namespace {

// By document of a range. All zero between uses.
struct Sums {
  std::array<float, kWindow + kKernelPadding> of = {};
};

int64_t BlocksRead(const SearchNodes& nodes) {
  int64_t blocks = 0;
  for (const auto& node : nodes) blocks += node->blocks_read();
  return blocks;
}

// Drops candidates that cannot come to `cut` when `more` is the most that is added yet.
void Prune(float cut, float more, Candidates* candidates) {
  if (cut - more <= 0) return;
  candidates->count = SelectAbove(candidates->docs, candidates->scores, candidates->count,
                                  cut - more, candidates->docs, candidates->scores);
}

// MaxScore (Turtle and Flood 1995) step by step: children that together cannot bring a
// document to the cut do not make candidates, they only add to those of the others.
class OrNode final : public SearchNode {
 public:
  explicit OrNode(SearchNodes children) : children_(std::move(children)) {
    for (const auto& child : children_) weakest_.push_back(child.get());
    std::stable_sort(
        weakest_.begin(), weakest_.end(),
        [](const SearchNode* a, const SearchNode* b) { return a->bound() < b->bound(); });
    for (const SearchNode* child : weakest_) {
      below_all_.push_back(bound_);
      bound_ += child->bound();
    }
    parts_.resize(weakest_.size());
    below_.resize(weakest_.size() + 1);
  }

  uint64_t cost() const override {
    uint64_t cost = 0;
    for (const auto& child : children_) cost += child->cost();
    return cost;
  }
  int64_t blocks_read() const override { return BlocksRead(children_); }

  Step Plan(DocId begin, float cut) override {
    if (bound_ < cut) return {};
    SearchNode* const last = weakest_.back();
    const float others = below_all_.back();
    // One child brings all candidates: as far as it has them at hand.
    if (others < cut) {
      Step step = last->Plan(begin, cut - others);
      if (step.bound <= 0 || step.bound < cut - others) return {step.end, 0};
      step.bound = Bound({begin, step.end});
      return step;
    }
    const DocId end = begin + window_;
    window_ = std::min(2 * window_, kWindow);
    return {end, Bound({begin, end})};
  }

  float Bound(DocRange range) override {
    float sum = 0;
    for (SearchNode* child : weakest_) sum += child->Bound(range);
    return sum;
  }

  void Generate(DocRange range, float cut, Candidates* found) override {
    found->count = 0;
    const size_t optional = Sort(range, cut);
    if (optional == count_) return;
    const float rest = below_[optional];
    if (optional + 1 == count_) {
      parts_[optional].node->Generate(range, cut - rest, found);
    } else {
      SumUp(range, optional, cut, found);
    }
    for (size_t i = optional; i-- > 0;) {
      Prune(cut, below_[i + 1], found);
      parts_[i].node->Refine(false, cut - below_[i], found);
    }
  }

  bool Probe(DocId doc, float* score) override {
    bool found = false;
    for (const auto& child : children_) found |= child->Probe(doc, score);
    return found;
  }

  bool Match(DocId doc, double* score) override {
    bool found = false;
    for (const auto& child : children_) found |= child->Match(doc, score);
    return found;
  }

 private:
  // A child and the most that it adds in a range.
  struct Part {
    SearchNode* node;
    float bound;
  };

  // Orders the children that have something in the range by their bounds there, and returns
  // how many of the first cannot bring a document to `cut` together.
  size_t Sort(DocRange range, float cut) {
    count_ = 0;
    for (SearchNode* child : weakest_) {
      const float bound = child->Bound(range);
      if (bound > 0) parts_[count_++] = {child, bound};
    }
    // Where Plan() found that one child brings all candidates, it is still the last: it must
    // be, since a longer range than a window has room for no other's.
    if (range.end - range.begin <= kWindow) {
      std::sort(parts_.begin(), parts_.begin() + static_cast<ptrdiff_t>(count_),
                [](const Part& a, const Part& b) { return a.bound < b.bound; });
    }
    size_t optional = 0;
    for (size_t i = 0; i < count_; ++i) {
      below_[i + 1] = below_[i] + parts_[i].bound;
      if (below_[i + 1] < cut) optional = i + 1;
    }
    return optional;
  }

  // Candidates are what the children from `optional` on add up to.
  void SumUp(DocRange range, size_t optional, float cut, Candidates* found) {
    ThreadScratch<Sums> sums;
    float above = 0;
    for (size_t i = count_; i-- > optional;) {
      parts_[i].node->AddTo(range, cut - (below_[i] + above), found, sums->of.data());
      above += parts_[i].bound;
    }
    const size_t size = (range.end - range.begin + 63) / 64 * 64;
    found->count = HarvestSums(sums->of.data(), size, cut - below_[optional], range.begin,
                               found->docs, found->scores);
  }

  const SearchNodes children_;
  // Documents of the next step. The first steps are short, since they soon lead to a cut.
  uint32_t window_ = kWindow / 16;
  // Children by what they can score at most, and what those before each can together.
  std::vector<SearchNode*> weakest_;
  std::vector<float> below_all_;
  // The first count_, in the same way, of a range. below_[i]: the sum of the bounds of the
  // first i. Sums are never taken apart again: a difference of large numbers would be off by
  // more than a margin.
  std::vector<Part> parts_;
  size_t count_ = 0;
  std::vector<float> below_;
};

// The candidates of the cheapest child, narrowed down by the others.
class AndNode final : public SearchNode {
 public:
  AndNode(SearchNodes children, SearchNodes excluded)
      : children_(std::move(children)), excluded_(std::move(excluded)) {
    for (const auto& child : children_) order_.push_back(child.get());
    std::stable_sort(order_.begin(), order_.end(), [](const SearchNode* a, const SearchNode* b) {
      return a->cost() < b->cost();
    });
    behind_.resize(order_.size());
    behind_lead_ = 0;
    for (size_t i = order_.size() - 1; i > 0; --i) behind_lead_ += order_[i]->bound();
    bound_ = behind_lead_ + order_[0]->bound();
  }

  uint64_t cost() const override { return order_[0]->cost(); }
  int64_t blocks_read() const override { return BlocksRead(children_) + BlocksRead(excluded_); }

  Step Plan(DocId begin, float cut) override {
    const Step step = order_[0]->Plan(begin, cut - behind_lead_);
    if (step.bound <= 0 || step.bound < cut - behind_lead_) return {step.end, 0};
    return {step.end, BoundBehind({begin, step.end}) ? behind_[0] + step.bound : 0};
  }

  float Bound(DocRange range) override {
    const float lead = order_[0]->Bound(range);
    return lead > 0 && BoundBehind(range) ? behind_[0] + lead : 0;
  }

  void Generate(DocRange range, float cut, Candidates* found) override {
    found->count = 0;
    if (!BoundBehind(range)) return;
    order_[0]->Generate(range, cut - behind_[0], found);
    for (size_t i = 1; i < order_.size(); ++i) order_[i]->Refine(true, cut - behind_[i], found);
    RemoveExcluded(range, found);
  }

  bool Probe(DocId doc, float* score) override {
    float sum = *score;
    for (SearchNode* child : order_) {
      if (!child->Probe(doc, &sum)) return false;
    }
    if (Excluded(doc)) return false;
    *score = sum;
    return true;
  }

  bool Match(DocId doc, double* score) override {
    double sum = *score;
    for (const auto& child : children_) {
      if (!child->Match(doc, &sum)) return false;
    }
    if (Excluded(doc)) return false;
    *score = sum;
    return true;
  }

 private:
  // Sets behind_; false when a child has nothing in the range.
  bool BoundBehind(DocRange range) {
    if (range == bounded_) return true;
    bounded_ = {};
    for (size_t i = order_.size() - 1; i > 0; --i) {
      const float bound = order_[i]->Bound(range);
      if (bound <= 0) return false;
      behind_[i - 1] = behind_[i] + bound;
    }
    bounded_ = range;
    return true;
  }

  bool Excluded(DocId doc) {
    float ignored = 0;
    return std::any_of(excluded_.begin(), excluded_.end(),
                       [&](const auto& child) { return child->Probe(doc, &ignored); });
  }

  void RemoveExcluded(DocRange range, Candidates* found) {
    for (const auto& child : excluded_) {
      if (child->Bound(range) <= 0) continue;
      size_t kept = 0;
      for (size_t i = 0; i < found->count; ++i) {
        float ignored = 0;
        if (child->Probe(found->docs[i], &ignored)) continue;
        found->docs[kept] = found->docs[i];
        found->scores[kept++] = found->scores[i];
      }
      found->count = kept;
    }
  }

  const SearchNodes children_;
  const SearchNodes excluded_;
  // Children, the cheapest first.
  std::vector<SearchNode*> order_;
  // The sum of the bounds of what follows order_[0].
  float behind_lead_ = 0;
  // behind_[i]: the sum of the bounds of what follows order_[i], in the range bounded last.
  std::vector<float> behind_;
  DocRange bounded_;
};

}  // namespace

void SearchNode::AddTo(DocRange range, float cut, Candidates* scratch, float* sums) {
  Generate(range, cut, scratch);
  for (size_t i = 0; i < scratch->count; ++i) {
    sums[scratch->docs[i] - range.begin] += scratch->scores[i];
  }
}

void SearchNode::Refine(bool required, float cut, Candidates* candidates) {
  size_t kept = 0;
  for (size_t i = 0; i < candidates->count; ++i) {
    float score = candidates->scores[i];
    if (score + bound_ < cut) continue;
    if (!Probe(candidates->docs[i], &score) && required) continue;
    candidates->docs[kept] = candidates->docs[i];
    candidates->scores[kept++] = score;
  }
  candidates->count = kept;
}

std::unique_ptr<SearchNode> MakeOrNode(SearchNodes children) {
  return std::make_unique<OrNode>(std::move(children));
}

std::unique_ptr<SearchNode> MakeAndNode(SearchNodes children, SearchNodes excluded) {
  return std::make_unique<AndNode>(std::move(children), std::move(excluded));
}

}  // namespace cookix::engine
