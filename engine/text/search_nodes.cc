#include "engine/text/search_nodes.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/text/phrase_match.h"

namespace cookix::engine {
namespace {

using Nodes = std::vector<std::unique_ptr<SearchNode>>;

// Raises the bounds of the windows that each block reaches into.
void SpreadBounds(const LeafPostings& postings, const std::vector<float>& blocks,
                  std::vector<float>* windows) {
  for (size_t block = 0; block < blocks.size(); ++block) {
    const size_t last = postings.BlockLast(block) / kWindow;
    for (size_t window = postings.BlockBegin(block) / kWindow; window <= last; ++window) {
      (*windows)[window] = std::max((*windows)[window], blocks[block]);
    }
  }
}

// ---- terms --------------------------------------------------------------------

class TermNode final : public SearchNode {
 public:
  TermNode(LeafPostings postings, const LeafScoring& scoring, size_t windows,
           SearchCounters* counters)
      : postings_(std::move(postings)), scoring_(scoring), counters_(*counters) {
    postings_.Bound(scoring_.single, &block_bounds_);
    bounds_.assign(windows, 0);
    SpreadBounds(postings_, block_bounds_, &bounds_);
  }

  uint64_t cost() const override { return postings_.size(); }
  int64_t blocks_read() const override { return postings_.blocks_read(); }

  void Generate(size_t window, float cut, Candidates* found) override {
    found->count = 0;
    ForBlocks(window, cut, [&](const uint32_t* docs, const float* scores, size_t count) {
      found->count += SelectAbove(docs, scores, count, cut, found->docs + found->count,
                                  found->scores + found->count);
    });
  }

  // Adds the scores of a window to `sums`, which begins with it.
  void AddTo(size_t window, float* sums) {
    const uint32_t begin = static_cast<uint32_t>(window * kWindow);
    ForBlocks(window, kNoCut, [&](const uint32_t* docs, const float* scores, size_t count) {
      for (size_t i = 0; i < count; ++i) sums[docs[i] - begin] += scores[i];
    });
  }

  bool Probe(DocId doc, float* score) override {
    const uint32_t tf = postings_.Tf(doc);
    if (tf == 0) return false;
    *score += scoring_.single.Score(tf, scoring_.single.Length(doc));
    return true;
  }

  void Refine(size_t window, bool required, float cut, Candidates* candidates) override {
    size_t kept = 0;
    for (size_t i = 0; i < candidates->count; ++i) {
      const DocId doc = candidates->docs[i];
      float score = candidates->scores[i];
      const size_t block = postings_.FindBlock(doc);
      const bool out = block == block_bounds_.size() || postings_.BlockBegin(block) > doc;
      if (score + (out ? 0 : block_bounds_[block]) < cut) continue;
      if ((out || !Probe(doc, &score)) && required) continue;
      candidates->docs[kept] = doc;
      candidates->scores[kept++] = score;
    }
    candidates->count = kept;
  }

  bool Match(DocId doc, double* score) override {
    const uint32_t tf = postings_.Tf(doc);
    if (tf == 0) return false;
    *score += scoring_.exact.Score(tf, scoring_.single.Length(doc));
    return true;
  }

 private:
  // Scores the blocks of a window that can reach `cut`, and gives each(docs, scores, count)
  // the part of each that is in the window.
  template <typename Each>
  void ForBlocks(size_t window, float cut, Each&& each) {
    const uint32_t begin = static_cast<uint32_t>(window * kWindow);
    const uint32_t end = begin + kWindow;
    for (size_t at = postings_.FindBlock(begin); at < block_bounds_.size(); ++at) {
      if (postings_.BlockBegin(at) >= end) return;
      if (block_bounds_[at] < cut) {
        ++counters_.blocks_skipped;
        continue;
      }
      const LeafPostings::Block& block = postings_.Load(at);
      size_t from = 0, to = block.size;
      if (block.docs[0] < begin) from = Below(block, begin);
      if (block.docs[block.size - 1] >= end) to = Below(block, end);
      if (from == to) continue;
      ScorePostings(scoring_.single, block.docs, block.tfs, block.size, scores_);
      counters_.scored += static_cast<int64_t>(to - from);
      each(block.docs + from, scores_ + from, to - from);
    }
  }

  static size_t Below(const LeafPostings::Block& block, DocId doc) {
    return static_cast<size_t>(std::lower_bound(block.docs, block.docs + block.size, doc) -
                               block.docs);
  }

  LeafPostings postings_;
  const LeafScoring scoring_;
  SearchCounters& counters_;
  std::vector<float> block_bounds_;
  float scores_[kPostingBlock + kKernelPadding];
};

// ---- phrases ------------------------------------------------------------------

class PhraseNode final : public SearchNode {
 public:
  PhraseNode(const AnalyzedQuery& phrase, std::vector<LeafPostings> words,
             const LeafScoring& scoring, size_t windows, SearchCounters* counters)
      : phrase_(phrase), words_(std::move(words)), scoring_(scoring), counters_(*counters) {
    positions_.resize(words_.size());
    spans_.resize(words_.size());
    order_.resize(words_.size());
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](size_t a, size_t b) { return words_[a].size() < words_[b].size(); });
    bounds_.assign(windows, std::numeric_limits<float>::max());
    for (size_t i = 0; i < words_.size(); ++i) BoundByWord(i, windows);
  }

  uint64_t cost() const override { return 2 * words_[order_[0]].size(); }
  int64_t blocks_read() const override {
    int64_t blocks = 0;
    for (const LeafPostings& word : words_) blocks += word.blocks_read();
    return blocks;
  }

  void Generate(size_t window, float cut, Candidates* found) override {
    FindLead(window, cut, found);
    size_t kept = 0;
    for (size_t i = 0; i < found->count; ++i) {
      float score = 0;
      if (!Probe(found->docs[i], &score) || score < cut) continue;
      found->docs[kept] = found->docs[i];
      found->scores[kept++] = score;
    }
    found->count = kept;
  }

  bool Probe(DocId doc, float* score) override {
    const uint32_t tf = Tf(doc);
    if (tf == 0) return false;
    *score += scoring_.single.Score(tf, scoring_.single.Length(doc));
    return true;
  }

  bool Match(DocId doc, double* score) override {
    const uint32_t tf = Tf(doc);
    if (tf == 0) return false;
    *score += scoring_.exact.Score(tf, scoring_.single.Length(doc));
    return true;
  }

 private:
  // A phrase does not occur more often than its first word, and without slop than any.
  bool Limits(size_t word) const { return word == 0 || phrase_.slop == 0; }

  void BoundByWord(size_t word, size_t windows) {
    std::vector<float> blocks, by_word(windows, 0);
    words_[word].Bound(scoring_.single, &blocks);
    // Where there is no posting there is no phrase.
    if (!Limits(word)) std::fill(blocks.begin(), blocks.end(), std::numeric_limits<float>::max());
    SpreadBounds(words_[word], blocks, &by_word);
    for (size_t i = 0; i < windows; ++i) bounds_[i] = std::min(bounds_[i], by_word[i]);
  }

  // The documents of the rarest word, without those that cannot score enough.
  void FindLead(size_t window, float cut, Candidates* found) {
    found->count = 0;
    LeafPostings& lead = words_[order_[0]];
    if (!Limits(order_[0])) cut = kNoCut;
    const uint32_t begin = static_cast<uint32_t>(window * kWindow);
    for (size_t at = lead.FindBlock(begin); at < lead.blocks(); ++at) {
      if (lead.BlockBegin(at) >= begin + kWindow) return;
      const LeafPostings::Block& block = lead.Load(at);
      ScorePostings(scoring_.single, block.docs, block.tfs, block.size, scores_);
      counters_.scored += static_cast<int64_t>(block.size);
      for (size_t i = 0; i < block.size; ++i) {
        if (block.docs[i] - begin >= kWindow || scores_[i] < cut) continue;
        found->docs[found->count++] = block.docs[i];
      }
    }
  }

  uint32_t Tf(DocId doc) {
    for (const size_t word : order_) {
      if (words_[word].Tf(doc) == 0) return 0;
    }
    for (size_t i = 0; i < words_.size(); ++i) {
      words_[i].ReadFoundPositions(&positions_[i]);
      spans_[i] = positions_[i];
    }
    return CountPhrase(phrase_.phrase, phrase_.slop, spans_);
  }

  const AnalyzedQuery& phrase_;
  std::vector<LeafPostings> words_;
  const LeafScoring scoring_;
  SearchCounters& counters_;
  // Words, the rarest first.
  std::vector<size_t> order_;
  std::vector<std::vector<uint32_t>> positions_;
  std::vector<std::span<const uint32_t>> spans_;
  float scores_[kPostingBlock + kKernelPadding];
};

// ---- inner nodes --------------------------------------------------------------

class EmptyNode final : public SearchNode {
 public:
  explicit EmptyNode(size_t windows) { bounds_.assign(windows, 0); }
  uint64_t cost() const override { return 0; }
  int64_t blocks_read() const override { return 0; }
  void Generate(size_t, float, Candidates* found) override { found->count = 0; }
  bool Probe(DocId, float*) override { return false; }
  bool Match(DocId, double*) override { return false; }
};

int64_t BlocksRead(const Nodes& nodes) {
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

// MaxScore (Turtle and Flood 1995) window by window: children that together cannot bring a
// document to the cut do not make candidates, they only add to those of the others.
class OrNode final : public SearchNode {
 public:
  OrNode(Nodes children, size_t windows) : children_(std::move(children)) {
    bounds_.assign(windows, 0);
    for (const auto& child : children_) {
      for (size_t i = 0; i < windows; ++i) bounds_[i] += child->bounds()[i];
      terms_.push_back(dynamic_cast<TermNode*>(child.get()));
    }
  }

  uint64_t cost() const override {
    uint64_t cost = 0;
    for (const auto& child : children_) cost += child->cost();
    return cost;
  }
  int64_t blocks_read() const override { return BlocksRead(children_); }

  void Generate(size_t window, float cut, Candidates* found) override {
    const size_t optional = Sort(window, cut);
    const size_t essential = order_.size() - optional;
    found->count = 0;
    if (essential == 0) return;
    const float rest = below_[optional];
    if (essential == 1) {
      children_[order_.back()]->Generate(window, cut - rest, found);
    } else {
      SumUp(window, optional, cut, found);
      const uint32_t begin = static_cast<uint32_t>(window * kWindow);
      found->count =
          HarvestSums(sums_->data(), kWindow, cut - rest, begin, found->docs, found->scores);
    }
    for (size_t i = optional; i-- > 0;) {
      Prune(cut, below_[i + 1], found);
      children_[order_[i]]->Refine(window, false, cut - below_[i], found);
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
  float BoundOf(size_t place, size_t window) const {
    return children_[order_[place]]->bounds()[window];
  }

  // Orders the children that are in the window by their bounds, and returns how many of the
  // first cannot bring a document to `cut` together.
  size_t Sort(size_t window, float cut) {
    order_.clear();
    for (size_t i = 0; i < children_.size(); ++i) {
      if (children_[i]->bounds()[window] > 0) order_.push_back(i);
    }
    std::sort(order_.begin(), order_.end(), [&](size_t a, size_t b) {
      return children_[a]->bounds()[window] < children_[b]->bounds()[window];
    });
    below_.assign(1, 0);
    size_t optional = 0;
    for (size_t i = 0; i < order_.size(); ++i) {
      below_.push_back(below_.back() + BoundOf(i, window));
      if (below_.back() < cut) optional = i + 1;
    }
    return optional;
  }

  void SumUp(size_t window, size_t optional, float cut, Candidates* scratch) {
    if (sums_ == nullptr) sums_ = std::make_unique<std::array<float, kWindow + kKernelPadding>>();
    float above = 0;
    for (size_t i = order_.size(); i-- > optional;) {
      const size_t child = order_[i];
      const float others = below_[i] + above;
      above += BoundOf(i, window);
      if (terms_[child] != nullptr) {
        terms_[child]->AddTo(window, sums_->data());
        continue;
      }
      children_[child]->Generate(window, cut - others, scratch);
      for (size_t c = 0; c < scratch->count; ++c) {
        (*sums_)[scratch->docs[c] % kWindow] += scratch->scores[c];
      }
    }
  }

  const Nodes children_;
  std::vector<TermNode*> terms_;
  std::vector<size_t> order_;
  // below_[i]: the sum of the bounds of the first i of order_. Sums are never taken apart
  // again: a difference of large numbers would be off by more than a margin.
  std::vector<float> below_;
  // Zero between windows.
  std::unique_ptr<std::array<float, kWindow + kKernelPadding>> sums_;
};

// The candidates of the cheapest child, narrowed down by the others.
class AndNode final : public SearchNode {
 public:
  AndNode(Nodes children, Nodes excluded, size_t windows)
      : children_(std::move(children)), excluded_(std::move(excluded)) {
    for (const auto& child : children_) order_.push_back(child.get());
    std::stable_sort(order_.begin(), order_.end(), [](const SearchNode* a, const SearchNode* b) {
      return a->cost() < b->cost();
    });
    bounds_.assign(windows, 0);
    for (size_t i = 0; i < windows; ++i) {
      bool all = true;
      for (const SearchNode* child : order_) {
        bounds_[i] += child->bounds()[i];
        all &= child->bounds()[i] > 0;
      }
      if (!all) bounds_[i] = 0;
    }
  }

  uint64_t cost() const override { return order_[0]->cost(); }
  int64_t blocks_read() const override { return BlocksRead(children_) + BlocksRead(excluded_); }

  void Generate(size_t window, float cut, Candidates* found) override {
    found->count = 0;
    if (bounds_[window] <= 0) return;
    behind_.assign(order_.size(), 0);
    for (size_t i = order_.size() - 1; i > 0; --i) {
      behind_[i - 1] = behind_[i] + order_[i]->bounds()[window];
    }
    order_[0]->Generate(window, cut - behind_[0], found);
    for (size_t i = 1; i < order_.size(); ++i) {
      order_[i]->Refine(window, true, cut - behind_[i], found);
    }
    RemoveExcluded(window, found);
  }

  bool Probe(DocId doc, float* score) override {
    float sum = *score;
    for (SearchNode* child : order_) {
      if (!child->Probe(doc, &sum)) return false;
    }
    float ignored = 0;
    for (const auto& child : excluded_) {
      if (child->Probe(doc, &ignored)) return false;
    }
    *score = sum;
    return true;
  }

  bool Match(DocId doc, double* score) override {
    double sum = *score;
    for (const auto& child : children_) {
      if (!child->Match(doc, &sum)) return false;
    }
    float ignored = 0;
    for (const auto& child : excluded_) {
      if (child->Probe(doc, &ignored)) return false;
    }
    *score = sum;
    return true;
  }

 private:
  void RemoveExcluded(size_t window, Candidates* found) {
    for (const auto& child : excluded_) {
      if (child->bounds()[window] <= 0) continue;
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

  const Nodes children_;
  const Nodes excluded_;
  // Children, the cheapest first.
  std::vector<SearchNode*> order_;
  // behind_[i]: the sum of the bounds of what follows order_[i].
  std::vector<float> behind_;
};

}  // namespace

void SearchNode::Refine(size_t window, bool required, float cut, Candidates* candidates) {
  size_t kept = 0;
  const float bound = bounds_[window];
  for (size_t i = 0; i < candidates->count; ++i) {
    float score = candidates->scores[i];
    if (score + bound < cut) continue;
    if (!Probe(candidates->docs[i], &score) && required) continue;
    candidates->docs[kept] = candidates->docs[i];
    candidates->scores[kept++] = score;
  }
  candidates->count = kept;
}

LeafScoring MakeLeafScoring(const Bm25Leaf& exact, const uint16_t* shorts, const uint32_t* longs) {
  return {exact,
          {.weight = static_cast<float>(exact.weight()),
           .base = static_cast<float>(exact.base()),
           .slope = static_cast<float>(exact.slope()),
           .shorts = shorts,
           .longs = longs}};
}

std::unique_ptr<SearchNode> MakeTermNode(LeafPostings postings, const LeafScoring& scoring,
                                         size_t windows, SearchCounters* counters) {
  return std::make_unique<TermNode>(std::move(postings), scoring, windows, counters);
}

std::unique_ptr<SearchNode> MakePhraseNode(const AnalyzedQuery& phrase,
                                           std::vector<LeafPostings> words,
                                           const LeafScoring& scoring, size_t windows,
                                           SearchCounters* counters) {
  return std::make_unique<PhraseNode>(phrase, std::move(words), scoring, windows, counters);
}

std::unique_ptr<SearchNode> MakeEmptyNode(size_t windows) {
  return std::make_unique<EmptyNode>(windows);
}

std::unique_ptr<SearchNode> MakeOrNode(Nodes children, size_t windows) {
  return std::make_unique<OrNode>(std::move(children), windows);
}

std::unique_ptr<SearchNode> MakeAndNode(Nodes children, Nodes excluded, size_t windows) {
  return std::make_unique<AndNode>(std::move(children), std::move(excluded), windows);
}

}  // namespace cookix::engine
