// Nodes of terms and of phrases.
#include <algorithm>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

#include "engine/text/phrase_match.h"
#include "engine/text/search_nodes.h"
#include "engine/text/thread_scratch.h"

namespace cookix::engine {
namespace {

constexpr size_t kNoBlock = ~size_t{0};
// So many are taken out of a packed block one by one rather than with all others.
constexpr size_t kFewTfs = 16;

// Through one block, or as far as no block can score `cut`.
SearchNode::Step PlanBlocks(DocId begin, float cut, LeafPostings* postings,
                            SearchCounters* counters) {
  size_t at = postings->FindBlock(begin);
  const size_t first = at;
  while (at < postings->blocks() && postings->block_bound(at) < cut) ++at;
  counters->blocks_skipped += static_cast<int64_t>(at - first);
  if (at == postings->blocks()) return {};
  if (at > first) return {postings->BlockBegin(at), 0};
  return {postings->BlockLast(at) + 1, postings->block_bound(at)};
}

// The blocks of a list one after the other, scored.
class BlockScorer {
 public:
  BlockScorer(const FloatLeaf& leaf, LeafPostings* postings, SearchCounters* counters)
      : leaf_(leaf), postings_(*postings), counters_(*counters) {}

  // Gives each(docs, scores, count) the documents of the range, without blocks that cannot
  // score `cut`.
  template <typename Each>
  void ForBlocks(DocRange range, float cut, Each&& each) {
    for (size_t at = postings_.FindBlock(range.begin); at < postings_.blocks(); ++at) {
      if (postings_.BlockBegin(at) >= range.end) return;
      if (postings_.block_bound(at) < cut) {
        ++counters_.blocks_skipped;
        continue;
      }
      const LeafPostings::Block& block = postings_.Load(at);
      const size_t from = block.docs[0] < range.begin ? block.Below(range.begin) : 0;
      const size_t to =
          block.docs[block.size - 1] >= range.end ? block.Below(range.end) : block.size;
      if (from == to) continue;
      if (scored_ != at) {
        ScorePostings(leaf_, block.docs, postings_.LoadTfs(), block.size, scores_);
        scored_ = at;
      }
      counters_.scored += static_cast<int64_t>(to - from);
      each(block.docs + from, scores_ + from, to - from);
    }
  }

 private:
  const FloatLeaf& leaf_;
  LeafPostings& postings_;
  SearchCounters& counters_;
  size_t scored_ = kNoBlock;
  float scores_[kPostingBlock + kKernelPadding];
};

// Candidates that were found in a list.
struct Found {
  size_t count = 0;
  uint32_t at[kWindow];  // of the candidates
  uint32_t docs[kWindow + kKernelPadding];
  uint32_t tfs[kWindow + kKernelPadding];
  float scores[kWindow + kKernelPadding];
};

// Looks candidates up in another list, block by block.
class BlockJoiner {
 public:
  BlockJoiner(const FloatLeaf& leaf, LeafPostings* postings, SearchCounters* counters)
      : leaf_(leaf), postings_(*postings), counters_(*counters) {}

  // Gives each candidate that is in the list the score join(its own, that in the list), and
  // leaves out those that have less than `cut` then; `required`: also what is not in the list.
  // Candidates in the reach of a block of some bound are looked up if one of them has
  // least(bound), and left out otherwise.
  template <typename Least, typename Join>
  void Narrow(bool required, float cut, Least&& least, Join&& join, Candidates* candidates) {
    ThreadScratch<Found> found;
    found->count = 0;
    size_t kept = 0;
    for (size_t begin = 0, end = 0; begin < candidates->count; begin = end) {
      const size_t block = postings_.FindBlock(candidates->docs[begin]);
      const bool behind = block == postings_.blocks();
      const DocId last = behind ? kNoDoc : postings_.BlockLast(block);
      const size_t most = std::min(candidates->count, begin + kPostingBlock);
      end = begin + 1;
      while (end < most && candidates->docs[end] <= last) ++end;
      const float enough = least(behind ? 0 : postings_.block_bound(block));
      if (std::none_of(candidates->scores + begin, candidates->scores + end,
                       [&](float score) { return score >= enough; })) {
        continue;
      }
      const bool beside = behind || candidates->docs[end - 1] < postings_.BlockBegin(block);
      const size_t before = found->count;
      if (!beside) LookUp(postings_.Load(block), begin, end, *candidates, found.get());
      if (required) {
        kept = KeepFound(before, found.get(), candidates);
      } else {
        for (size_t i = before; i < found->count; ++i) {
          found->at[i] = static_cast<uint32_t>(kept + (found->at[i] - begin));
        }
        std::copy(candidates->docs + begin, candidates->docs + end, candidates->docs + kept);
        std::copy(candidates->scores + begin, candidates->scores + end, candidates->scores + kept);
        kept += end - begin;
      }
    }
    if (found->count > 0) {
      counters_.scored += static_cast<int64_t>(found->count);
      ScorePostings(leaf_, found->docs, found->tfs, found->count, found->scores);
    }
    for (size_t i = 0; i < found->count; ++i) {
      float& score = candidates->scores[found->at[i]];
      score = join(score, found->scores[i]);
    }
    candidates->count = SelectAbove(candidates->docs, candidates->scores, kept, cut,
                                    candidates->docs, candidates->scores);
  }

 private:
  void LookUp(const LeafPostings::Block& block, size_t begin, size_t end,
              const Candidates& candidates, Found* found) {
    uint8_t which[kPostingBlock + 1], places[kPostingBlock + 1];
    const size_t count =
        FindDocuments(block.docs, block.size, candidates.docs + begin, end - begin, which, places);
    if (count > kFewTfs) postings_.LoadTfs();
    for (size_t i = 0; i < count; ++i) {
      const size_t at = begin + which[i];
      found->at[found->count] = static_cast<uint32_t>(at);
      found->docs[found->count] = candidates.docs[at];
      found->tfs[found->count++] = postings_.LoadTf(places[i]);
    }
  }

  // Puts those found from `before` on behind those that were found before; returns how many
  // there are then.
  static size_t KeepFound(size_t before, Found* found, Candidates* candidates) {
    for (size_t i = before; i < found->count; ++i) {
      candidates->docs[i] = found->docs[i];
      candidates->scores[i] = candidates->scores[found->at[i]];
      found->at[i] = static_cast<uint32_t>(i);
    }
    return found->count;
  }

  const FloatLeaf& leaf_;
  LeafPostings& postings_;
  SearchCounters& counters_;
};

// ---- terms --------------------------------------------------------------------

class TermNode final : public SearchNode {
 public:
  TermNode(LeafPostings postings, const LeafScoring& scoring, SearchCounters* counters)
      : postings_(std::move(postings)),
        scoring_(scoring),
        counters_(*counters),
        scorer_(scoring_.single, &postings_, counters),
        joiner_(scoring_.single, &postings_, counters) {
    postings_.SetBounds(scoring_.single);
    bound_ = postings_.bound();
  }

  uint64_t cost() const override { return postings_.size(); }
  int64_t blocks_read() const override { return postings_.blocks_read(); }

  Step Plan(DocId begin, float cut) override {
    return PlanBlocks(begin, cut, &postings_, &counters_);
  }
  float Bound(DocRange range) override { return postings_.RangeBound(range.begin, range.end); }

  void Generate(DocRange range, float cut, Candidates* found) override {
    found->count = 0;
    scorer_.ForBlocks(range, cut, [&](const uint32_t* docs, const float* scores, size_t count) {
      found->count += SelectAbove(docs, scores, count, cut, found->docs + found->count,
                                  found->scores + found->count);
    });
  }

  void AddTo(DocRange range, float cut, Candidates*, float* sums) override {
    scorer_.ForBlocks(range, cut, [&](const uint32_t* docs, const float* scores, size_t count) {
      for (size_t i = 0; i < count; ++i) sums[docs[i] - range.begin] += scores[i];
    });
  }

  bool Probe(DocId doc, float* score) override {
    const uint32_t tf = postings_.Tf(doc);
    if (tf == 0) return false;
    *score += scoring_.single.Score(tf, scoring_.single.Length(doc));
    return true;
  }

  void Refine(bool required, float cut, Candidates* candidates) override {
    joiner_.Narrow(
        required, cut, [&](float bound) { return cut - bound; },
        [](float score, float more) { return score + more; }, candidates);
  }

  bool Match(DocId doc, double* score) override {
    const uint32_t tf = postings_.Tf(doc);
    if (tf == 0) return false;
    *score += scoring_.exact.Score(tf, scoring_.single.Length(doc));
    return true;
  }

 private:
  LeafPostings postings_;
  const LeafScoring scoring_;
  SearchCounters& counters_;
  BlockScorer scorer_;
  BlockJoiner joiner_;
};

// ---- phrases ------------------------------------------------------------------

class PhraseNode final : public SearchNode {
 public:
  PhraseNode(const AnalyzedQuery& phrase, std::vector<LeafPostings> words,
             const LeafScoring& scoring, SearchCounters* counters)
      : phrase_(phrase),
        words_(std::move(words)),
        scoring_(scoring),
        counters_(*counters),
        order_(ByLength(words_)),
        lead_(words_[order_[0]]),
        lead_scorer_(scoring_.single, &lead_, counters) {
    positions_.resize(words_.size());
    spans_.resize(words_.size());
    bound_ = std::numeric_limits<float>::max();
    for (size_t i = 0; i < words_.size(); ++i) {
      words_[i].SetBounds(scoring_.single);
      if (Limits(i)) bound_ = std::min(bound_, words_[i].bound());
    }
  }

  uint64_t cost() const override { return 2 * lead_.size(); }
  int64_t blocks_read() const override {
    int64_t blocks = 0;
    for (const LeafPostings& word : words_) blocks += word.blocks_read();
    return blocks;
  }

  Step Plan(DocId begin, float cut) override {
    Step step = PlanBlocks(begin, LeadCut(cut), &lead_, &counters_);
    if (step.bound > 0) step.bound = Bound({begin, step.end});
    return step;
  }

  // As often as its words.
  float Bound(DocRange range) override {
    float most = bound_;
    for (const size_t word : order_) {
      const float bound = words_[word].RangeBound(range.begin, range.end);
      if (bound <= 0) return 0;
      if (Limits(word)) most = std::min(most, bound);
    }
    return most;
  }

  void Generate(DocRange range, float cut, Candidates* found) override {
    found->count = 0;
    const float lead_cut = LeadCut(cut);
    lead_scorer_.ForBlocks(
        range, lead_cut, [&](const uint32_t* docs, const float* scores, size_t count) {
          found->count += SelectAbove(docs, scores, count, lead_cut, found->docs + found->count,
                                      found->scores + found->count);
        });
    // What another word than those that limit scores says nothing.
    if (!Limits(order_[0])) std::fill_n(found->scores, found->count, bound_);
    for (size_t i = 1; i < order_.size() && found->count > 0; ++i) KeepWith(order_[i], cut, found);
    size_t kept = 0;
    for (size_t i = 0; i < found->count; ++i) {
      const DocId doc = found->docs[i];
      const uint32_t tf = Tf(doc);
      if (tf == 0) continue;
      found->docs[kept] = doc;
      found->scores[kept] = Score(tf, doc);
      kept += found->scores[kept] >= cut;
    }
    found->count = kept;
  }

  bool Probe(DocId doc, float* score) override {
    const uint32_t tf = Tf(doc);
    if (tf == 0) return false;
    *score += Score(tf, doc);
    return true;
  }

  bool Match(DocId doc, double* score) override {
    const uint32_t tf = Tf(doc);
    if (tf == 0) return false;
    *score += scoring_.exact.Score(tf, scoring_.single.Length(doc));
    return true;
  }

 private:
  // The places of the words, the rarest first.
  static std::vector<size_t> ByLength(const std::vector<LeafPostings>& words) {
    std::vector<size_t> order(words.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return words[a].size() < words[b].size(); });
    return order;
  }

  // A phrase does not occur more often than its first word, and without slop than any.
  bool Limits(size_t word) const { return word == 0 || phrase_.slop == 0; }
  float LeadCut(float cut) const { return Limits(order_[0]) ? cut : kNoCut; }

  float Score(uint32_t tf, DocId doc) const {
    return scoring_.single.Score(tf, scoring_.single.Length(doc));
  }

  // Leaves out candidates that do not have the word, or not often enough to score `cut`.
  void KeepWith(size_t word, float cut, Candidates* found) {
    const bool limits = Limits(word);
    const float limit = limits ? cut : kNoCut;
    BlockJoiner joiner(scoring_.single, &words_[word], &counters_);
    joiner.Narrow(
        true, limit,
        [&](float bound) { return bound < limit ? std::numeric_limits<float>::max() : kNoCut; },
        [&](float score, float by_word) { return limits ? std::min(score, by_word) : score; },
        found);
  }

  // How often the phrase is in the document.
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
  const std::vector<size_t> order_;
  LeafPostings& lead_;
  BlockScorer lead_scorer_;
  std::vector<std::vector<uint32_t>> positions_;
  std::vector<std::span<const uint32_t>> spans_;
};

}  // namespace

LeafScoring MakeLeafScoring(const Bm25Leaf& exact, const uint16_t* shorts, const uint32_t* longs) {
  return {exact,
          {.weight = static_cast<float>(exact.weight()),
           .base = static_cast<float>(exact.base()),
           .slope = static_cast<float>(exact.slope()),
           .shorts = shorts,
           .longs = longs}};
}

std::unique_ptr<SearchNode> MakeTermNode(LeafPostings postings, const LeafScoring& scoring,
                                         SearchCounters* counters) {
  return std::make_unique<TermNode>(std::move(postings), scoring, counters);
}

std::unique_ptr<SearchNode> MakePhraseNode(const AnalyzedQuery& phrase,
                                           std::vector<LeafPostings> words,
                                           const LeafScoring& scoring, SearchCounters* counters) {
  return std::make_unique<PhraseNode>(phrase, std::move(words), scoring, counters);
}

}  // namespace cookix::engine
