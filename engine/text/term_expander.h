// Which terms a prefix or fuzzy word stands for.
#ifndef COOKIX_ENGINE_TEXT_TERM_EXPANDER_H_
#define COOKIX_ENGINE_TEXT_TERM_EXPANDER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "engine/text/analyzed_query.h"

namespace cookix::engine {

// A prefix matches terms that begin so; a fuzzy word terms that become it when at most
// `max_edits` characters are inserted, deleted or exchanged (Levenshtein 1966), none of the
// first `prefix_length`. Immutable, thread-safe.
class TermExpander {
 public:
  // REQUIRES: `leaf` is kPrefix or kFuzzy.
  explicit TermExpander(const AnalyzedQuery& leaf);
  bool Matches(std::string_view text) const;
  // What all terms that match begin with.
  const std::string& common_prefix() const { return common_prefix_; }

 private:
  bool MatchesFuzzy(std::string_view text) const;

  bool fuzzy_ = false;
  size_t max_edits_ = 0;
  std::string common_prefix_;
  // What of a fuzzy word follows the common prefix.
  std::u32string rest_;
};

// LIMIT_EXCEEDED: a prefix or fuzzy word stands for more than `limit` terms.
absl::Status TooManyExpansions(const AnalyzedQuery& leaf, size_t limit);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TERM_EXPANDER_H_
