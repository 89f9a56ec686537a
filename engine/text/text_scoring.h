// BM25, the same to the last bit wherever it is computed.
//
// The score of a document is a sum over the leaves of the query (terms, phrases, prefixes,
// fuzzy words), from left to right as they stand in the tree, of those that are in a part
// of the query that the document matches. Each leaf adds
//
//   boost * idf * 2.2 * (tf / (tf + 1.2 * (0.25 + 0.75 * length / mean length)))
//   idf = ln(1 + (n - df + 0.5) / (df + 0.5))
//
//   n, mean length   of the documents that have a term in the leaf's field
//   length           occurrences of terms in the field
//   tf, df           of a term, as usual
//   of a phrase      tf: how often it occurs; idf: the sum over its words' idf, as Lucene
//                    has it, since counting the documents of a phrase means finding it
//                    everywhere
//   of a prefix or   all the terms that it stands for are one: tf is the sum of theirs, df
//   fuzzy word       the number of documents that have any of them
#ifndef COOKIX_ENGINE_TEXT_TEXT_SCORING_H_
#define COOKIX_ENGINE_TEXT_TEXT_SCORING_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "engine/text/analyzed_query.h"
#include "engine/text/text_document.h"

namespace cookix::engine {

// Of one field.
struct TextFieldTotals {
  // Documents that have a term in it, and the sum of their lengths.
  int64_t documents = 0;
  int64_t words = 0;
  bool operator==(const TextFieldTotals&) const = default;
};

// `documents` as in TextFieldTotals, `df` at most that.
double Bm25Idf(int64_t documents, int64_t df);

// What a leaf adds to a score. The default adds nothing.
class Bm25Leaf {
 public:
  Bm25Leaf() = default;
  Bm25Leaf(double boost, double idf, const TextFieldTotals& totals);

  // REQUIRES: tf > 0. Ascends with tf and descends with length.
  double Score(uint32_t tf, uint32_t length) const;

  // Score(tf, length) is weight * tf / (tf + base + slope * length), but for rounding.
  double weight() const { return weight_; }
  double base() const { return base_; }
  double slope() const { return slope_; }

 private:
  double weight_ = 0;
  double base_ = 0;
  double slope_ = 0;
};

// Where the words of a phrase stand in one text, and how they must. `positions` has the
// ascending positions of each word of `phrase`. Returns how often the phrase occurs:
// without slop, the number of places where each word is where it belongs; with slop, the
// number of occurrences, found from the left and sharing no word, of which the shifts of
// the words from where they belong differ by at most `slop`. Equal words of a phrase stand
// for different places.
uint32_t CountPhrase(std::span<const AnalyzedQuery::PhraseWord> phrase, uint32_t slop,
                     std::span<const std::span<const uint32_t>> positions);

// Whether `text` is what a prefix or fuzzy leaf asks for.
class TermExpander {
 public:
  // REQUIRES: `leaf` is kPrefix or kFuzzy; it outlives the expander.
  explicit TermExpander(const AnalyzedQuery& leaf);
  bool Matches(std::string_view text) const;
  // All that match begin so.
  std::string_view common_prefix() const { return common_prefix_; }

 private:
  const AnalyzedQuery& leaf_;
  std::string_view common_prefix_;
  // Of a fuzzy word.
  std::vector<char32_t> characters_;
};

// LIMIT_EXCEEDED: a prefix or fuzzy word stands for more than `limit` terms.
absl::Status TooManyExpansions(const AnalyzedQuery& leaf, size_t limit);
// FAILED_PRECONDITION: a phrase in a field that keeps no positions.
absl::Status NoPositions(const AnalyzedQuery& leaf);
// OK, or NoPositions() of a phrase in the tree.
absl::Status CheckPhrases(const AnalyzedQuery& query, std::span<const TextIndexField> fields);

// Scores documents one by one, without an index: Count() every document, then Score() them.
// Use it also where the statistics are known, through set_totals() and the like.
class DocumentScorer {
 public:
  // `query` outlives the scorer; CheckPhrases() is OK.
  DocumentScorer(const AnalyzedQuery& query, size_t fields, size_t max_expansions);

  // Adds a document to the statistics; LIMIT_EXCEEDED when a leaf stands for too many terms.
  absl::Status Count(const TextDocument& document);
  // Call once, after all Count() and before Score().
  void Finish();
  // False: the document does not match. Thread-safe.
  bool Score(const TextDocument& document, double* score) const;

  // The terms that prefix and fuzzy words stand for, sorted, without duplicates.
  std::vector<std::string> Expansions() const;

  // For an index, which knows: what leaves add, in the order of leaves().
  void SetLeaf(size_t leaf, const Bm25Leaf& scorer) { scorers_[leaf] = scorer; }
  // Leaves of the tree, those of excluded parts behind the others of their node.
  const std::vector<const AnalyzedQuery*>& leaves() const { return leaves_; }
  // tf of a leaf in a document; 0: it is not there.
  uint32_t Tf(size_t leaf, const TextDocument& document) const;

 private:
  void AddLeaves(const AnalyzedQuery& node);
  bool Match(const AnalyzedQuery& node, std::span<const uint32_t> tfs, size_t* leaf,
             std::vector<size_t>* matched) const;

  const AnalyzedQuery& query_;
  const size_t max_expansions_;
  std::vector<const AnalyzedQuery*> leaves_;
  // By leaf; null but for prefixes and fuzzy words.
  std::vector<std::vector<TermExpander>> expanders_;
  std::vector<std::set<std::string, std::less<>>> expansions_;
  // Documents that have the leaf; of a phrase, each of its words.
  std::vector<std::vector<int64_t>> df_;
  std::vector<TextFieldTotals> totals_;
  std::vector<Bm25Leaf> scorers_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_SCORING_H_
