// What the answers to queries over a made-up corpus have to be: every document that
// matches is scored, by the formula and nothing else. Shares no code with the engine.
#ifndef COOKIX_TOOLS_BENCH_TEXT_TRUTH_H_
#define COOKIX_TOOLS_BENCH_TEXT_TRUTH_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "tools/bench/text_contestant.h"

namespace cookix::bench {

class TextTruth {
 public:
  // Goes through the corpus, which is borrowed, once for the words of all these queries.
  TextTruth(const TextCorpus& corpus, std::span<const WordQuery> queries);

  // Every document that matches, the best first, and equal ones by document. `query` is one
  // of those that it was made for.
  std::vector<RankedDocument> SearchAll(const WordQuery& query) const;

  // INTERNAL says what is wrong with `hits` as the best `k` of `all`: scores may differ by
  // rounding, and documents of equal scores but for it may be in another order.
  static absl::Status Check(const std::vector<RankedDocument>& all, size_t k,
                            const std::vector<RankedDocument>& hits);

 private:
  // How often a word is in a document.
  struct Posting {
    uint32_t document;
    uint32_t count;
  };

  double Idf(WordId word) const;
  double Score(double idf, uint32_t count, uint32_t document) const;
  std::vector<RankedDocument> Sum(const WordQuery& query) const;
  std::vector<RankedDocument> Phrases(const WordQuery& query) const;

  const TextCorpus& corpus_;
  const double mean_length_;
  std::unordered_map<WordId, std::vector<Posting>> postings_;
};

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_TEXT_TRUTH_H_
