// The tree of a query over one segment, as a search runs it.
//
// Scores here are in single precision; what is found has to be scored exactly in the end
// (Match). A score is right but for a part in a hundred thousand or so: callers leave a
// margin (ScoreMargin).
//
// The documents are gone through in steps. Each node says how far a step goes: as far as
// nothing can be among the best, or through one block of the rarest list where that brings
// all candidates, or else through so many documents as there is room for sums of scores.
#ifndef COOKIX_ENGINE_TEXT_SEARCH_NODES_H_
#define COOKIX_ENGINE_TEXT_SEARCH_NODES_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "engine/text/analyzed_query.h"
#include "engine/text/leaf_postings.h"
#include "engine/text/text_kernels.h"
#include "engine/text/text_scoring.h"

namespace cookix::engine {

// The most documents of a step of which any may be a candidate.
inline constexpr uint32_t kWindow = 8192;

// Cuts so low that nothing is left out.
inline constexpr float kNoCut = -std::numeric_limits<float>::infinity();

// By how much, in parts of it, a sum of so many leaves may be off, four times.
inline float ScoreMargin(size_t leaves) { return 2e-6f * static_cast<float>(leaves + 16); }

// From `begin` to before `end`.
struct DocRange {
  DocId begin = 0;
  DocId end = 0;
  bool operator==(const DocRange&) const = default;
};

// Documents of one step, ascending, with what they have scored.
struct Candidates {
  size_t count = 0;
  uint32_t docs[kWindow + kKernelPadding];
  float scores[kWindow + kKernelPadding];
};

struct SearchCounters {
  int64_t scored = 0;
  int64_t blocks_skipped = 0;
  // Without those that nodes count themselves.
  int64_t blocks_read = 0;
};

// For one thread. Ranges and documents that are asked for mostly ascend.
class SearchNode {
 public:
  virtual ~SearchNode() = default;

  // The most that a document can score; above 0.
  float bound() const { return bound_; }
  // Documents that it goes through to find its own, about.
  virtual uint64_t cost() const = 0;

  struct Step {
    // Behind the last document of the step; kNoDoc: all that are left.
    DocId end = kNoDoc;
    // The most that a document of the step can score; less than the cut or 0: there is nothing
    // to be found in it.
    float bound = 0;
  };
  // How far to go from `begin`. Where something may score `cut`, no more than kWindow
  // documents before the end can be candidates.
  virtual Step Plan(DocId begin, float cut) = 0;
  // The most that a document of the range can score, at most bound(). 0: none matches.
  virtual float Bound(DocRange range) = 0;

  // All documents of the range that match and score `cut` or more; others that match may be
  // among them. REQUIRES: the range has at most kWindow documents, or begins where a step of
  // Plan() did and goes no further, and `cut` is no lower than there.
  virtual void Generate(DocRange range, float cut, Candidates* found) = 0;
  // Adds the scores of the documents of the range, of at most kWindow, to `sums`, of which the
  // first is that of the first document. May leave out documents that score less than `cut`.
  virtual void AddTo(DocRange range, float cut, Candidates* scratch, float* sums);
  // Whether the document matches; adds what it scores.
  virtual bool Probe(DocId doc, float* score) = 0;
  // Probes all candidates. Leaves out those that do not match, if `required`, and may leave
  // out those that have less than `cut` then.
  virtual void Refine(bool required, float cut, Candidates* candidates);
  // As Probe, exactly: adds leaf by leaf.
  virtual bool Match(DocId doc, double* score) = 0;
  virtual int64_t blocks_read() const = 0;

 protected:
  float bound_ = 0;
};

using SearchNodes = std::vector<std::unique_ptr<SearchNode>>;

// What a leaf is scored by in one segment.
struct LeafScoring {
  Bm25Leaf exact;
  FloatLeaf single;
};
// `lengths` of one of the kinds; the other is null.
LeafScoring MakeLeafScoring(const Bm25Leaf& exact, const uint16_t* shorts, const uint32_t* longs);

// `postings` is not empty.
std::unique_ptr<SearchNode> MakeTermNode(LeafPostings postings, const LeafScoring& scoring,
                                         SearchCounters* counters);
// `words` has the postings of each word of `phrase`, none of them empty.
std::unique_ptr<SearchNode> MakePhraseNode(const AnalyzedQuery& phrase,
                                           std::vector<LeafPostings> words,
                                           const LeafScoring& scoring, SearchCounters* counters);
// At least one child.
std::unique_ptr<SearchNode> MakeOrNode(SearchNodes children);
std::unique_ptr<SearchNode> MakeAndNode(SearchNodes children, SearchNodes excluded);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_SEARCH_NODES_H_
