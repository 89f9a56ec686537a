#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "engine/text/analyzer.h"
#include "engine/text/source_position.h"
#include "engine/text/text_query.h"
#include "engine/text/text_query_syntax.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Kind = TextQuery::Kind;

constexpr std::string_view kClause = "a word, a phrase or '('";

// What stands before a colon; empty where nothing does.
struct FieldName {
  std::string name;
  size_t at = 0;
};

// Recursive descent, a function a rule of the grammar in text_query.h. Each begins at
// `at_` and leaves it behind what it read.
class RawQueryParser {
 public:
  RawQueryParser(std::string_view text, const TextQueryLimits& limits, std::string_view field)
      : text_(text), limits_(limits), field_(field) {}

  absl::StatusOr<TextQuery> Parse() {
    SkipSpace();
    if (AtEnd()) return TextQuery();
    COOKIX_ASSIGN_OR_RETURN(TextQuery query, ParseQuery({}, 0));
    if (!AtEnd()) return Expected("AND, OR, NOT, " + std::string(kClause) + " or the end");
    return query;
  }

 private:
  absl::StatusOr<TextQuery> ParseQuery(const FieldName& field, size_t depth) {
    TextQuery any{.kind = Kind::kOr};
    do {
      COOKIX_ASSIGN_OR_RETURN(any.children.emplace_back(), ParseAll(field, depth));
    } while (TakeOperator("OR"));
    return any.children.size() == 1 ? std::move(any.children[0]) : std::move(any);
  }

  absl::StatusOr<TextQuery> ParseAll(const FieldName& field, size_t depth) {
    SkipSpace();
    const size_t begin = at_;
    TextQuery all{.kind = Kind::kAnd};
    bool asks = false;
    do {
      const bool excluded = TakeOperator("NOT");
      COOKIX_ASSIGN_OR_RETURN(TextQuery clause, ParseClause(field, depth));
      asks |= !excluded;
      if (excluded) {
        all.children.push_back({.kind = Kind::kNot});
        all.children.back().children.push_back(std::move(clause));
      } else {
        all.children.push_back(std::move(clause));
      }
    } while (TakeOperator("AND") || !AllEnds());
    if (!asks) {
      return ErrorAt(begin, "NOT only excludes from what else is asked for, and nothing else is");
    }
    return all.children.size() == 1 ? std::move(all.children[0]) : std::move(all);
  }

  absl::StatusOr<TextQuery> ParseClause(FieldName field, size_t depth) {
    SkipSpace();
    TextQuery clause;
    if (AtEnd() || PeekOperator().has_value()) return Expected(kClause);
    if (Peek() != '(' && Peek() != '"') {
      const size_t begin = at_;
      COOKIX_ASSIGN_OR_RETURN(std::string word, ParseWord());
      if (Peek() != ':') {
        COOKIX_ASSIGN_OR_RETURN(clause, ParseAfterWord(std::move(word)));
        return ParseAfterClause(InField(field, std::move(clause)));
      }
      ++at_;
      SkipSpace();
      field = {std::move(word), begin};
      if (AtEnd() || PeekOperator().has_value()) return Expected(kClause);
    }
    if (Peek() == '(') {
      COOKIX_ASSIGN_OR_RETURN(clause, ParseGroup(field, depth));
      return ParseAfterClause(std::move(clause));
    }
    if (Peek() == '"') {
      COOKIX_ASSIGN_OR_RETURN(clause, ParsePhrase());
    } else {
      COOKIX_ASSIGN_OR_RETURN(std::string word, ParseWord());
      COOKIX_ASSIGN_OR_RETURN(clause, ParseAfterWord(std::move(word)));
    }
    return ParseAfterClause(InField(field, std::move(clause)));
  }

  TextQuery InField(const FieldName& field, TextQuery leaf) const {
    if (field.name.empty()) return leaf;
    leaf.field = field.name;
    leaf.field_place.position = LocateByte(text_, field.at);
    return leaf;
  }

  absl::StatusOr<TextQuery> ParseGroup(const FieldName& field, size_t depth) {
    if (depth >= limits_.max_depth) {
      return LimitAt(
          at_, "parentheses are nested more than " + std::to_string(limits_.max_depth) + " deep");
    }
    ++at_;
    COOKIX_ASSIGN_OR_RETURN(TextQuery group, ParseQuery(field, depth + 1));
    if (Peek() != ')') return Expected("AND, OR, NOT, " + std::string(kClause) + " or ')'");
    ++at_;
    return group;
  }

  absl::StatusOr<TextQuery> ParsePhrase() {
    COOKIX_RETURN_IF_ERROR(CountLeaf());
    const size_t begin = at_++;
    TextQuery phrase{.kind = Kind::kPhrase};
    while (Peek() != '"') {
      if (AtEnd()) return ErrorAt(begin, "the phrase that begins here has no closing quote");
      COOKIX_RETURN_IF_ERROR(TakeCharacter(&phrase.text));
    }
    ++at_;
    if (Peek() == '~') {
      ++at_;
      COOKIX_ASSIGN_OR_RETURN(
          phrase.slop, ParseInteger("how far words may be out of place", TextQuery::kMaxSlop));
    }
    return phrase;
  }

  // What a word is, by what stands behind it.
  absl::StatusOr<TextQuery> ParseAfterWord(std::string word) {
    COOKIX_RETURN_IF_ERROR(CountLeaf());
    TextQuery leaf{.kind = Kind::kTerm, .text = std::move(word)};
    if (Peek() == '*') {
      ++at_;
      leaf.kind = Kind::kPrefix;
    } else if (Peek() == '~') {
      ++at_;
      leaf.kind = Kind::kFuzzy;
      leaf.max_edits = 1;
      leaf.prefix_length = TextQuery::kDefaultPrefixLength;
      if (IsDigit(Peek())) {
        COOKIX_ASSIGN_OR_RETURN(leaf.max_edits,
                                ParseInteger("the number of edits", TextQuery::kMaxEdits));
        if (Peek() == '/') {
          ++at_;
          COOKIX_ASSIGN_OR_RETURN(leaf.prefix_length, ParseInteger("the number of first letters",
                                                                   TextQuery::kMaxPrefixLength));
        }
      }
    }
    return leaf;
  }

  // A boost, and the space that parts clauses.
  absl::StatusOr<TextQuery> ParseAfterClause(TextQuery clause) {
    if (Peek() == '^') {
      ++at_;
      const size_t begin = at_;
      double boost = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(),
                                                boost, std::chars_format::fixed);
      if (!IsDigit(Peek()) || error == std::errc::invalid_argument) {
        return Expected("a boost, such as 2.5");
      }
      at_ = static_cast<size_t>(end - text_.data());
      // A group in parentheses that was one boosted clause has two.
      clause.boost *= boost;
      if (error != std::errc() || clause.boost < TextQuery::kMinBoost ||
          clause.boost > TextQuery::kMaxBoost) {
        return ErrorAt(begin, "a boost is 0.000001 to 1000000");
      }
    }
    if (!AtEnd() && Peek() != ')' && QuerySpaceBytes(text_, at_) == 0) {
      return Expected("a space");
    }
    return clause;
  }

  absl::StatusOr<std::string> ParseWord() {
    std::string word;
    const size_t begin = at_;
    while (!AtEnd() && !EndsQueryWord(text_, at_)) COOKIX_RETURN_IF_ERROR(TakeCharacter(&word));
    if (at_ == begin) return Expected(kClause);
    return word;
  }

  // The number behind a '~' or a '/'.
  absl::StatusOr<uint32_t> ParseInteger(std::string_view meaning, uint32_t greatest) {
    const size_t begin = at_;
    if (!IsDigit(Peek())) {
      return Expected(std::string("a number after '") + text_[at_ - 1] + "' (" +
                      std::string(meaning) + ")");
    }
    uint32_t value = 0;
    const auto [end, error] =
        std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    at_ = static_cast<size_t>(end - text_.data());
    if (error != std::errc() || value > greatest) {
      return ErrorAt(begin, std::string(meaning) + " is 0 to " + std::to_string(greatest));
    }
    return value;
  }

  // Appends one character of a word or phrase, the one behind it when it is a backslash.
  absl::Status TakeCharacter(std::string* text) {
    if (text_[at_] == '\\') {
      ++at_;
      if (AtEnd()) return Expected("a character after the backslash");
    }
    const size_t bytes = CharacterBytes(text_, at_);
    text->append(text_, at_, bytes);
    at_ += bytes;
    return absl::OkStatus();
  }

  absl::Status CountLeaf() {
    if (++leaves_ <= limits_.max_terms) return absl::OkStatus();
    return LimitAt(
        at_, "there are more than " + std::to_string(limits_.max_terms) + " words and phrases");
  }

  bool AtEnd() const { return at_ == text_.size(); }
  char Peek() const { return AtEnd() ? '\0' : text_[at_]; }
  static bool IsDigit(char c) { return c >= '0' && c <= '9'; }

  void SkipSpace() {
    while (const size_t bytes = QuerySpaceBytes(text_, at_)) at_ += bytes;
  }

  bool AllEnds() {
    SkipSpace();
    return AtEnd() || Peek() == ')' || PeekOperator() == "OR";
  }

  std::optional<std::string_view> PeekOperator() const {
    size_t end = at_;
    while (end < text_.size() && !EndsQueryWord(text_, end)) ++end;
    const std::string_view word = std::string_view(text_).substr(at_, end - at_);
    return IsQueryOperator(word) ? std::optional(word) : std::nullopt;
  }

  bool TakeOperator(std::string_view name) {
    SkipSpace();
    if (PeekOperator() != name) return false;
    at_ += name.size();
    return true;
  }

  std::string Found() const {
    if (AtEnd()) return "the end";
    if (const auto name = PeekOperator()) return std::string(*name);
    return "'" + text_.substr(at_, CharacterBytes(text_, at_)) + "'";
  }

  absl::Status Expected(std::string_view what) const {
    return ErrorAt(at_, "expected " + std::string(what) + ", found " + Found());
  }
  absl::Status ErrorAt(size_t byte, std::string_view message) const {
    return InvalidField(field_, Located(byte, message),
                        "Correct the query, put a backslash before characters that are meant as "
                        "they stand, or search for the words without the raw mode.");
  }
  absl::Status LimitAt(size_t byte, std::string_view message) const {
    return LimitExceeded(field_, Located(byte, message), "Make the query simpler.");
  }
  std::string Located(size_t byte, std::string_view message) const {
    return ToString(LocateByte(text_, byte)) + ": " + std::string(message);
  }

  const std::string text_;
  const TextQueryLimits& limits_;
  const std::string_view field_;
  size_t at_ = 0;
  size_t leaves_ = 0;
};

}  // namespace

absl::StatusOr<TextQuery> ParseRawText(std::string_view text, const TextQueryLimits& limits,
                                       std::string_view field) {
  if (text.size() > limits.max_bytes) {
    return LimitExceeded(field, "the query has " + std::to_string(text.size()) + " bytes",
                         "Use at most " + std::to_string(limits.max_bytes) + ".");
  }
  COOKIX_RETURN_IF_ERROR(ValidateText(text, field));
  return RawQueryParser(text, limits, field).Parse();
}

}  // namespace cookix::engine
