// Snippets: the part of a text that shows why it was found.
#ifndef COOKIX_ENGINE_TEXT_SNIPPET_H_
#define COOKIX_ENGINE_TEXT_SNIPPET_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "engine/text/analyzed_query.h"
#include "engine/text/analyzer.h"

namespace cookix::engine {

// What of one field's text a query matches. Build it once for a query, use it for every
// hit. Immutable afterwards, then thread-safe.
class SnippetMatcher {
 public:
  // Matches nothing.
  SnippetMatcher() = default;
  // Terms, phrases and prefixes that `query` asks of field number `field`; what it
  // excludes is not marked. Terms of phrases are marked only where the phrase is.
  SnippetMatcher(const AnalyzedQuery& query, uint32_t field);

  void AddTerm(std::string_view term) { terms_.emplace(term); }

  // The fuzzy words of the query, for the caller to AddTerm what they stand for.
  const std::vector<AnalyzedQuery>& fuzzy() const { return fuzzy_; }

 private:
  friend class MatchFinder;

  void Add(const AnalyzedQuery& query, uint32_t field);

  std::unordered_set<std::string> terms_;
  std::vector<std::string> prefixes_;
  std::vector<AnalyzedQuery> phrases_;
  std::vector<AnalyzedQuery> fuzzy_;
};

struct SnippetOptions {
  // Words of one fragment, at least 1.
  size_t max_tokens = 10;
  // Fragments of one text, at least 1; more than one only where they show other matches.
  size_t max_fragments = 1;
  // Of one fragment, without the marks; one with long words is cut, between characters.
  // At least 16.
  size_t max_bytes = 1024;
};

// A part of a text.
struct SnippetFragment {
  struct Range {
    size_t begin = 0;
    size_t end = 0;
    bool operator==(const Range&) const = default;
  };

  // Bytes [begin, end) of the text.
  Range source;
  // In bytes of the text, within `source`, ascending, apart from each other.
  std::vector<Range> highlights;
  // There is more of the text before, or after.
  bool cut_before = false;
  bool cut_after = false;

  bool operator==(const SnippetFragment&) const = default;
};

// The fragments with most different matches, then with most matches, then the
// earliest; in order of the text. Without any match, the beginning of the text. Empty
// for a text without words. The same input gives the same answer.
std::vector<SnippetFragment> MakeSnippet(std::string_view text, const Analyzer& analyzer,
                                         const SnippetMatcher& matcher,
                                         const SnippetOptions& options);

// The fragments as one text: highlights between `open` and `close`, an ellipsis where
// text was left out.
std::string RenderSnippet(std::string_view text, const std::vector<SnippetFragment>& fragments,
                          std::string_view open = "**", std::string_view close = "**",
                          std::string_view ellipsis = "…");

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_SNIPPET_H_
