// The tree of a query over one segment, as a search runs it.
//
// Scores here are in single precision; what is found has to be scored exactly in the end
// (Match). A score is right but for a part in a hundred thousand or so: callers leave a
// margin (ScoreMargin).
//
// The documents are gone through in windows of 4,096. Each node knows the most that a
// document of each window can score.
#ifndef COOKIX_ENGINE_TEXT_SEARCH_NODES_H_
#define COOKIX_ENGINE_TEXT_SEARCH_NODES_H_

#include <array>
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

inline constexpr uint32_t kWindow = 4096;

// Cuts so low that nothing is left out.
inline constexpr float kNoCut = -std::numeric_limits<float>::infinity();

// By how much, in parts of it, a sum of so many leaves may be off, four times.
inline float ScoreMargin(size_t leaves) { return 2e-6f * static_cast<float>(leaves + 16); }

// Documents of one window, ascending, with what they have scored.
struct Candidates {
  size_t count = 0;
  uint32_t docs[kWindow + kKernelPadding];
  float scores[kWindow + kKernelPadding];
};

struct SearchCounters {
  int64_t scored = 0;
  int64_t blocks_skipped = 0;
};

// For one thread.
class SearchNode {
 public:
  virtual ~SearchNode() = default;

  // By window: the most that a document can score; 0 where none matches.
  const std::vector<float>& bounds() const { return bounds_; }
  // Documents that it goes through to find its own, about.
  virtual uint64_t cost() const = 0;

  // All documents of a window that match and score `cut` or more; others that match may be
  // among them.
  virtual void Generate(size_t window, float cut, Candidates* found) = 0;
  // Whether the document matches; adds what it scores.
  virtual bool Probe(DocId doc, float* score) = 0;
  // Probes all candidates of a window. Leaves out those that do not match, if `required`,
  // and may leave out those that have less than `cut` then.
  virtual void Refine(size_t window, bool required, float cut, Candidates* candidates);
  // As Probe, exactly: adds leaf by leaf.
  virtual bool Match(DocId doc, double* score) = 0;
  virtual int64_t blocks_read() const = 0;

 protected:
  std::vector<float> bounds_;
};

// What a leaf is scored by in one segment.
struct LeafScoring {
  Bm25Leaf exact;
  FloatLeaf single;
};
// `lengths` of one of the kinds; the other is null.
LeafScoring MakeLeafScoring(const Bm25Leaf& exact, const uint16_t* shorts, const uint32_t* longs);

std::unique_ptr<SearchNode> MakeTermNode(LeafPostings postings, const LeafScoring& scoring,
                                         size_t windows, SearchCounters* counters);
// `words` has the postings of each word of `phrase`, none of them empty.
std::unique_ptr<SearchNode> MakePhraseNode(const AnalyzedQuery& phrase,
                                           std::vector<LeafPostings> words,
                                           const LeafScoring& scoring, size_t windows,
                                           SearchCounters* counters);
// Matches nothing.
std::unique_ptr<SearchNode> MakeEmptyNode(size_t windows);
std::unique_ptr<SearchNode> MakeOrNode(std::vector<std::unique_ptr<SearchNode>> children,
                                       size_t windows);
std::unique_ptr<SearchNode> MakeAndNode(std::vector<std::unique_ptr<SearchNode>> children,
                                        std::vector<std::unique_ptr<SearchNode>> excluded,
                                        size_t windows);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_SEARCH_NODES_H_
