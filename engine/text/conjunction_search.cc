#include "engine/text/conjunction_search.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/text/text_kernels.h"
#include "engine/text/thread_scratch.h"

namespace cookix::engine {
namespace {

constexpr size_t kNoBlock = ~size_t{0};
// So many are taken out of a packed block one by one rather than with all others.
constexpr size_t kFewTfs = 16;
// Blocks of the rarest list between looks at the clock.
constexpr size_t kCheckEvery = 64;
// Lists of more than so many times the blocks of the rarest are taken to score their weight
// everywhere: to look at what their blocks score would take longer than it saves.
constexpr size_t kBoundedBlocks = 8;
// The documents of the rarest list are scored before they are looked up in others where they
// need so much of its weight: so much few of them have.
constexpr float kScoredFirst = 0.5f;

constexpr std::array<uint32_t, kPostingBlock> kPlaces = [] {
  std::array<uint32_t, kPostingBlock> places = {};
  for (uint32_t i = 0; i < kPostingBlock; ++i) places[i] = i;
  return places;
}();

// Documents of a block of the rarest list that have the terms so far, ascending.
struct Joined {
  size_t count = 0;
  uint32_t docs[kPostingBlock + kKernelPadding];
  float scores[kPostingBlock + kKernelPadding];
  // Where the document is in the block.
  uint32_t places[kPostingBlock + kKernelPadding];

  // Leaves out what scores less than `least`.
  void Prune(float least) { count = SelectAboveWith(count, least, docs, places, scores); }
};

// The postings of a term, which are asked for in ascending order.
class List {
 public:
  void Start(const ConjunctionTerm& term) {
    term_ = &term;
    blocks_ = term.postings.blocks();
    at_ = 0;
    loaded_ = kNoBlock;
    bounded_ = 0;
    bounds_.clear();
    blocks_read_ = 0;
    if (term.postings.last_docs == nullptr) {
      Load(0);
      only_last_ = docs_[size_ - 1];
    }
  }

  uint32_t df() const { return term_->postings.df; }
  size_t blocks() const { return blocks_; }
  size_t size() const { return size_; }
  const uint32_t* docs() const { return docs_; }
  // Of a document that was joined, by its place.
  uint32_t tf(uint32_t place) const { return tfs_of_[place]; }
  int64_t blocks_read() const { return blocks_read_; }

  void Load(size_t block) {
    if (block == loaded_) return;
    loaded_ = block;
    ++blocks_read_;
    const PackedPostings& postings = term_->postings;
    size_ = postings.BlockSize(block);
    all_tfs_ = size_ < kPostingBlock;
    postings.ReadBlock(block, docs_, all_tfs_ ? tfs_ : nullptr);
    for (size_t i = size_; i % kKernelPadding != 0; ++i) docs_[i] = kNoDoc;
  }

  // No document scores more.
  float weight() const { return scoring().weight; }
  // Finds out what blocks score at most; without, that is the weight.
  void SetBounds() {
    if (term_->postings.impacts == nullptr) return;
    bounds_.resize(blocks_);
    BoundBlocks(scoring(), term_->postings.impacts, blocks_, bounds_.data());
  }
  float BlockBound(size_t block) const { return bounds_.empty() ? weight() : bounds_[block]; }
  // The documents among which a block has its own.
  DocRange RangeOf(size_t block) const {
    return {term_->postings.BlockBegin(block), LastOf(block) + 1};
  }
  // The most that a document of the range scores; 0: there is none. For ascending ranges.
  float Bound(DocRange range) {
    if (bounds_.empty()) return weight();
    while (bounded_ < blocks_ && LastOf(bounded_) < range.begin) ++bounded_;
    float most = 0;
    for (size_t at = bounded_; at < blocks_ && term_->postings.BlockBegin(at) < range.end; ++at) {
      most = std::max(most, bounds_[at]);
    }
    return most;
  }

  // Leaves those of `joined` that are here, and adds what they score.
  void Join(Joined* joined) {
    PlanRuns(*joined);
    uint32_t tfs[kPostingBlock + kKernelPadding];
    size_t kept = 0;
    for (const Run& run : std::span(runs_, run_count_)) {
      Load(run.block);
      uint8_t which[kPostingBlock + 1], places[kPostingBlock + 1];
      const size_t found =
          FindDocuments(docs_, size_, joined->docs + run.begin, run.end - run.begin, which, places);
      PrepareTfs(found);
      for (size_t i = 0; i < found; ++i) {
        const size_t from = run.begin + which[i];
        joined->docs[kept] = joined->docs[from];
        joined->places[kept] = joined->places[from];
        joined->scores[kept] = joined->scores[from];
        tfs[kept++] = LoadTf(places[i]);
      }
    }
    joined->count = kept;
    AddScores(tfs, joined);
  }

  // Adds what they score of documents of the block loaded.
  void ScoreLoaded(Joined* joined) {
    uint32_t tfs[kPostingBlock + kKernelPadding];
    PrepareTfs(joined->count);
    for (size_t i = 0; i < joined->count; ++i) tfs[i] = LoadTf(joined->places[i]);
    AddScores(tfs, joined);
  }

 private:
  // Some of the documents asked for, and the block in which they are, if they are.
  struct Run {
    uint32_t block;
    uint16_t begin, end;
  };

  const FloatLeaf& scoring() const { return term_->scoring.single; }
  DocId LastOf(size_t block) const {
    const uint32_t* last_docs = term_->postings.last_docs;
    return last_docs != nullptr ? last_docs[block] : only_last_;
  }

  // Finds out what is to be read, and brings it near.
  void PlanRuns(const Joined& joined) {
    run_count_ = 0;
    for (size_t begin = 0, end = 0; begin < joined.count; begin = end) {
      Advance(joined.docs[begin]);
      if (at_ == blocks_) return;
      const DocId last = LastOf(at_);
      end = RunEnd(joined, begin, last);
      if (joined.docs[end - 1] < term_->postings.BlockBegin(at_)) continue;
      runs_[run_count_++] = {static_cast<uint32_t>(at_), static_cast<uint16_t>(begin),
                             static_cast<uint16_t>(end)};
      if (at_ != loaded_) term_->postings.ApproachBlock(at_);
    }
  }

  // Behind the documents from `begin` on that are not behind `last`, of which there is one.
  static size_t RunEnd(const Joined& joined, size_t begin, DocId last) {
    size_t known = begin + 1;
    for (size_t step = 1; known < joined.count; step *= 2) {
      const size_t next = std::min(joined.count, known + step);
      if (joined.docs[next - 1] > last) {
        while (joined.docs[known] <= last) ++known;
        return known;
      }
      known = next;
    }
    return known;
  }

  // To the first block that ends at `doc` or behind.
  void Advance(DocId doc) {
    if (at_ == blocks_ || LastOf(at_) >= doc) return;
    size_t begin = at_ + 1;
    size_t end = blocks_;
    for (size_t step = 1; begin < blocks_; begin += step, step *= 2) {
      if (begin + step - 1 >= blocks_ || LastOf(begin + step - 1) >= doc) {
        end = std::min(blocks_, begin + step - 1);
        break;
      }
    }
    while (begin < end) {
      const size_t middle = (begin + end) / 2;
      if (LastOf(middle) < doc) {
        begin = middle + 1;
      } else {
        end = middle;
      }
    }
    at_ = std::min(begin, blocks_);
  }

  void PrepareTfs(size_t count) {
    if (all_tfs_ || count <= kFewTfs) return;
    term_->postings.ReadTfs(loaded_, tfs_);
    all_tfs_ = true;
  }
  uint32_t LoadTf(size_t place) const {
    return all_tfs_ ? tfs_[place] : term_->postings.ReadTf(loaded_, place);
  }

  void AddScores(const uint32_t* tfs, Joined* joined) {
    if (joined->count == 0) return;
    float more[kPostingBlock + kKernelPadding];
    ScorePostings(scoring(), joined->docs, tfs, joined->count, more);
    for (size_t i = 0; i < joined->count; ++i) {
      joined->scores[i] += more[i];
      tfs_of_[joined->places[i]] = tfs[i];
    }
  }

  const ConjunctionTerm* term_ = nullptr;
  size_t blocks_ = 0;
  size_t at_ = 0;
  // Where there are no blocks that have one.
  DocId only_last_ = 0;
  size_t loaded_ = kNoBlock;
  size_t size_ = 0;
  bool all_tfs_ = false;
  int64_t blocks_read_ = 0;
  std::vector<float> bounds_;  // by block
  size_t bounded_ = 0;
  size_t run_count_ = 0;
  Run runs_[kPostingBlock];
  uint32_t docs_[kPostingBlock + kKernelPadding];
  uint32_t tfs_[kPostingBlock + kKernelPadding];
  uint32_t tfs_of_[kPostingBlock];
};

struct Scratch {
  std::vector<List> lists;    // in the order of the query
  std::vector<List*> order;   // the rarest first
  std::vector<float> behind;  // by place in `order`: the most that what follows adds
  Joined joined;
};

class Searcher {
 public:
  Searcher(const ConjunctionSearch& search, TopDocuments* top, SearchCounters* counters)
      : search_(search),
        top_(*top),
        counters_(*counters),
        lists_(scratch_->lists),
        order_(scratch_->order),
        behind_(scratch_->behind),
        joined_(scratch_->joined) {}

  absl::Status Run(const CallContext& context) {
    if (!Start()) return absl::OkStatus();
    List& lead = *order_[0];
    for (size_t block = 0; block < lead.blocks(); ++block) {
      if (block % kCheckEvery == kCheckEvery - 1) {
        if (const absl::Status status = context.Check(); !status.ok()) return status;
      }
      if (top_.cut() > 0 && Bound(lead, block) < top_.cut()) {
        ++counters_.blocks_skipped;
        continue;
      }
      lead.Load(block);
      Join(&lead);
    }
    for (const List* list : order_) counters_.blocks_read += list->blocks_read();
    return absl::OkStatus();
  }

 private:
  // False: nothing can be among the best.
  bool Start() {
    const size_t count = search_.terms.size();
    if (lists_.size() < count) lists_.resize(count);
    order_.clear();
    for (size_t i = 0; i < count; ++i) {
      lists_[i].Start(search_.terms[i]);
      order_.push_back(&lists_[i]);
    }
    std::stable_sort(order_.begin(), order_.end(),
                     [](const List* a, const List* b) { return a->df() < b->df(); });
    behind_.assign(count, 0);
    for (size_t i = count - 1; i > 0; --i) behind_[i - 1] = behind_[i] + order_[i]->weight();
    if (behind_[0] + order_[0]->weight() < top_.cut()) return false;
    const size_t most = order_[0]->blocks() * kBoundedBlocks;
    for (List* list : order_) {
      if (list->blocks() <= most) list->SetBounds();
    }
    return true;
  }

  // The most that a document of a block of `lead` scores; 0: none is in all lists. Sets
  // `behind_` for the block.
  float Bound(const List& lead, size_t block) {
    const DocRange range = lead.RangeOf(block);
    for (size_t i = order_.size() - 1; i > 0; --i) {
      const float bound = order_[i]->Bound(range);
      if (bound <= 0) return 0;
      behind_[i - 1] = behind_[i] + bound;
    }
    return lead.BlockBound(block) + behind_[0];
  }

  // Finds what of the block of `lead` that is loaded is in all lists.
  void Join(List* lead) {
    joined_.count = lead->size();
    std::memcpy(joined_.docs, lead->docs(), joined_.count * sizeof(uint32_t));
    std::memcpy(joined_.places, kPlaces.data(), joined_.count * sizeof(uint32_t));
    std::memset(joined_.scores, 0, joined_.count * sizeof(float));
    bool scored = top_.cut() - behind_[0] > lead->weight() * kScoredFirst;
    if (scored) {
      lead->ScoreLoaded(&joined_);
      joined_.Prune(top_.cut() - behind_[0]);
    }
    for (size_t i = 1; i < order_.size() && joined_.count > 0; ++i) {
      order_[i]->Join(&joined_);
      if (!std::exchange(scored, true)) lead->ScoreLoaded(&joined_);
      counters_.scored += static_cast<int64_t>(joined_.count);
      joined_.Prune(top_.cut() - behind_[i]);
    }
    for (size_t i = 0; i < joined_.count; ++i) {
      Take(joined_.docs[i], joined_.places[i], joined_.scores[i]);
    }
  }

  void Take(DocId doc, uint32_t place, float score) {
    if (score < top_.cut() || !search_.accepts(doc)) return;
    double exact = 0;
    for (size_t i = 0; i < search_.terms.size(); ++i) {
      const LeafScoring& scoring = search_.terms[i].scoring;
      exact += scoring.exact.Score(lists_[i].tf(place), scoring.single.Length(doc));
    }
    top_.Add(score, search_.source, doc, exact);
  }

  const ConjunctionSearch& search_;
  TopDocuments& top_;
  SearchCounters& counters_;
  ThreadScratch<Scratch> scratch_;
  std::vector<List>& lists_;
  std::vector<List*>& order_;
  std::vector<float>& behind_;
  Joined& joined_;
};

}  // namespace

absl::Status SearchConjunction(const CallContext& context, const ConjunctionSearch& search,
                               TopDocuments* top, SearchCounters* counters) {
  return Searcher(search, top, counters).Run(context);
}

}  // namespace cookix::engine
