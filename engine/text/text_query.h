// What a text is searched for: the tree that parsers make, in words as they were
// written. analyzed_query.h turns the words into terms of fields.
#ifndef COOKIX_ENGINE_TEXT_TEXT_QUERY_H_
#define COOKIX_ENGINE_TEXT_TEXT_QUERY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/text/source_position.h"

namespace cookix::engine {

// Exceeding one is an error, LIMIT_EXCEEDED.
struct TextQueryLimits {
  // Of the query as it was written.
  size_t max_bytes = 64 << 10;
  // Words, prefixes and phrases of a raw query, and words that are left of any query
  // after analysis. A word asked of several fields counts once.
  size_t max_terms = 64;
  // Parentheses within parentheses.
  size_t max_depth = 32;
  // Words of one phrase.
  size_t max_phrase_tokens = 32;
  // Terms of the index that one prefix or one fuzzy word may stand for. For the index:
  // nothing here looks at it.
  size_t max_expansions = 1024;
};

// For errors only: queries are equal wherever their parts were written.
struct FieldPlace {
  std::optional<SourcePosition> position;
  bool operator==(const FieldPlace&) const { return true; }
};

// Values are shared and compared freely; there is no hidden state.
struct TextQuery {
  enum class Kind : uint8_t {
    kNothing,   // no words: finds nothing
    kTerm,      // `text`: one word; a phrase when analysis finds several in it
    kPhrase,    // `text`: words that follow each other
    kPrefix,    // `text`: the beginning of a word
    kFuzzy,     // `text`: a word, but for `max_edits`
    kAnyWords,  // `text`: any of its words
    kAllWords,  // `text`: all of its words, each in any of the fields
    kAnd,       // all of `children` that are not kNot, and none that is
    kOr,        // any of `children`
    kNot,       // its one child; stands only among the children of kAnd
  };

  static constexpr double kMinBoost = 1e-6;
  static constexpr double kMaxBoost = 1e6;
  static constexpr uint32_t kMaxEdits = 2;
  static constexpr uint32_t kMaxSlop = 100;
  static constexpr uint32_t kMaxPrefixLength = 100;
  static constexpr uint32_t kDefaultPrefixLength = 1;

  Kind kind = Kind::kNothing;
  // Of a leaf: the field it is restricted to. Empty: any of the fields searched.
  std::string field;
  // Where a raw query names it.
  FieldPlace field_place;
  // Of a leaf: as it was written, without quotes and escapes.
  std::string text;
  // Multiplies the score; kMinBoost to kMaxBoost.
  double boost = 1;
  // Of kPhrase: how many places its words may lie apart from where they belong, summed.
  uint32_t slop = 0;
  // Of kFuzzy: characters inserted, deleted or exchanged, 0 to kMaxEdits, of which none
  // is among the first `prefix_length` characters.
  uint32_t max_edits = 0;
  uint32_t prefix_length = 0;
  std::vector<TextQuery> children;

  bool operator==(const TextQuery&) const = default;
};

// How the words of a query are meant.
enum class TextQueryMode : uint8_t {
  kAnyWords,  // finds any of the words, best what has most: the default
  kAllWords,  // finds all of the words
  kPhrase,    // finds the words one after the other
  kRaw,       // a query in the grammar of ParseRawText
};

// The query of a user's text, in which no character has a meaning. kRaw is
// ParseRawText, the only mode that can fail here; limits of the others are checked by
// analysis.
absl::StatusOr<TextQuery> ParseUserText(std::string_view text, TextQueryMode mode,
                                        const TextQueryLimits& limits, std::string_view field);

// The grammar of raw queries:
//
//   query   = all { "OR" all }
//   all     = item { [ "AND" ] item }           clauses side by side mean AND
//   item    = [ "NOT" ] clause
//   clause  = [ word ":" ] ( word | prefix | fuzzy | phrase | "(" query ")" ) [ "^" boost ]
//   prefix  = word "*"
//   fuzzy   = word "~" [ edits [ "/" letters ] ]   edits 0 to 2, or 1 when left out; how
//                                                many first letters must be right, or 1
//   phrase  = '"' text '"' [ "~" slop ]          how far words may be out of place, or 0
//
// AND, OR and NOT are operators only in capitals. White space, parentheses or the end
// part clauses. A backslash takes the meaning from the character after it, in a phrase
// too. The word before a colon is a field; before parentheses it holds for all in them
// that names no field itself. Something must be asked for beside what NOT excludes.
//
// Errors are INVALID_ARGUMENT about `field`, the request's name of the query, and say
// line, column (in characters, from 1), byte (from 0), what was expected and what was
// found. The text must be UTF-8. Blank text is kNothing.
absl::StatusOr<TextQuery> ParseRawText(std::string_view text, const TextQueryLimits& limits,
                                       std::string_view field);

// The query in raw syntax, from which ParseRawText makes an equal tree. kAnyWords and
// kAllWords, which raw syntax does not have, are printed as ANY("...") and ALL("...").
std::string ToString(const TextQuery& query);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_QUERY_H_
