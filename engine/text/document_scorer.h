// Scores documents one by one, by their terms.
#ifndef COOKIX_ENGINE_TEXT_DOCUMENT_SCORER_H_
#define COOKIX_ENGINE_TEXT_DOCUMENT_SCORER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/text/analyzed_query.h"
#include "engine/text/term_expander.h"
#include "engine/text/text_document.h"
#include "engine/text/text_scoring.h"

namespace cookix::engine {

// The leaves in order; of a node those of its children, then those of what it excludes.
std::vector<const AnalyzedQuery*> LeavesOf(const AnalyzedQuery& query);

// FAILED_PRECONDITION when a phrase is asked of a field that keeps no positions.
absl::Status CheckPhrases(const AnalyzedQuery& query, std::span<const TextIndexField> fields);

// Without an index: Count() every document, Finish(), then Score() them. An index, which
// knows the statistics, sets what leaves add.
class DocumentScorer {
 public:
  // `query`, of which CheckPhrases() is OK, outlives the scorer; it may ask of `fields`
  // fields.
  DocumentScorer(const AnalyzedQuery& query, size_t fields, size_t max_expansions);

  // Adds a document to the statistics. LIMIT_EXCEEDED when a leaf stands for too many terms.
  absl::Status Count(const TextDocument& document);
  // Call once, after all Count() and before Score().
  void Finish();
  // False: the document does not match. Thread-safe.
  bool Score(const TextDocument& document, double* score) const;

  // The terms that prefix and fuzzy words stand for, sorted, without duplicates.
  std::vector<std::string> Expansions() const;

  // Of LeavesOf(query).
  void SetLeaf(size_t leaf, const Bm25Leaf& scorer) { scorers_[leaf] = scorer; }
  // How often the leaf occurs in a document.
  uint32_t Tf(size_t leaf, const TextDocument& document) const;

 private:
  bool Match(const AnalyzedQuery& node, const TextDocument& document, size_t* leaf,
             double* score) const;

  const AnalyzedQuery& query_;
  const size_t max_expansions_;
  std::vector<const AnalyzedQuery*> leaves_;
  // Of prefixes and fuzzy words, by leaf; others have none.
  std::vector<std::vector<TermExpander>> expanders_;
  std::vector<std::set<std::string, std::less<>>> expansions_;
  // Documents that have the leaf; of a phrase, each of its words.
  std::vector<std::vector<int64_t>> df_;
  std::vector<TextFieldTotals> totals_;
  std::vector<Bm25Leaf> scorers_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_DOCUMENT_SCORER_H_
