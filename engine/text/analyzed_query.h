// A text query in terms of an index: what TextQuery's words are in each field.
#ifndef COOKIX_ENGINE_TEXT_ANALYZED_QUERY_H_
#define COOKIX_ENGINE_TEXT_ANALYZED_QUERY_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/text/analyzer.h"
#include "engine/text/text_query.h"

namespace cookix::engine {

// A field that a query may search.
struct TextQueryField {
  std::string name;
  std::shared_ptr<const Analyzer> analyzer;
  // Multiplies what matches in this field score.
  double boost = 1;
  // Searched by words that name no field. Others are found only by name.
  bool by_default = true;
};

// The tree that an index runs. Inner nodes have two or more parts (`children` and
// `excluded` together); there is no kNothing below the root.
struct AnalyzedQuery {
  enum class Kind : uint8_t {
    kNothing,  // finds nothing
    kTerm,     // leaf: `field`, `term`
    kPhrase,   // leaf: `field`, `phrase` of two or more words, `slop`
    kPrefix,   // leaf: `field`, `term`: all terms of the index that begin so
    kFuzzy,    // leaf: `field`, `term`, `max_edits`, `prefix_length`
    kAnd,      // all of `children` (at least one) and none of `excluded`
    kOr,       // any of `children`
  };
  struct PhraseWord {
    std::string term;
    // Place in the phrase. The first is 0; stop words leave gaps.
    uint32_t offset = 0;
    bool operator==(const PhraseWord&) const = default;
  };

  Kind kind = Kind::kNothing;
  // Index into the fields given to AnalyzeQuery.
  uint32_t field = 0;
  std::string term;
  std::vector<PhraseWord> phrase;
  uint32_t slop = 0;
  uint32_t max_edits = 0;      // in characters, not bytes
  uint32_t prefix_length = 0;  // in characters
  // Of a leaf: the product of all boosts above it, the field's included. A leaf's
  // score is multiplied by it; inner nodes add up their children's scores.
  double boost = 1;
  std::vector<AnalyzedQuery> children;
  std::vector<AnalyzedQuery> excluded;

  bool inner() const { return kind == Kind::kAnd || kind == Kind::kOr; }
  bool leaf() const { return kind != Kind::kNothing && !inner(); }
  // A leaf that stands for all terms of the index that are like its own.
  bool expands() const { return kind == Kind::kPrefix || kind == Kind::kFuzzy; }

  bool operator==(const AnalyzedQuery&) const = default;
};

// Maps the words of `query` through the analyzers of the fields they are asked of.
//
// A word asked of several fields may be in any of them. A word of several tokens is
// their phrase; a prefix or fuzzy word of several asks for all of them. What becomes of
// stop words: they vanish, from a phrase leaving a gap. In kAnd and kAllWords, a word
// that vanishes in one of its fields is not asked for in the others either, unless
// nothing else is left. Parts that ask for the same are one with their boosts added.
//
// INVALID_ARGUMENT about `request_field`: an unknown field (the remedy lists those
// known), LIMIT_EXCEEDED as TextQueryLimits say, text that is no UTF-8, boosts whose
// product is below 1e-12 or above 1e12.
absl::StatusOr<AnalyzedQuery> AnalyzeQuery(const TextQuery& query,
                                           std::span<const TextQueryField> fields,
                                           const TextQueryLimits& limits,
                                           std::string_view request_field);

// For people: (title:rain AND (body:"heavy _ rain"~2^1.5 OR body:sto*) NOT body:sun). A
// gap of a phrase is printed as _.
std::string ToString(const AnalyzedQuery& query, std::span<const TextQueryField> fields);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_ANALYZED_QUERY_H_
