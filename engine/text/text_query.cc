#include "engine/text/text_query.h"

#include <charconv>

#include "engine/text/text_query_syntax.h"

namespace cookix::engine {
namespace {

using Kind = TextQuery::Kind;

void AppendWord(std::string_view word, std::string* out) {
  const bool is_operator = IsQueryOperator(word);
  for (size_t at = 0; at < word.size(); ++at) {
    if (word[at] == '\\' || EndsQueryWord(word, at) || (at == 0 && is_operator)) *out += '\\';
    *out += word[at];
  }
}

void AppendQuoted(std::string_view text, std::string* out) {
  *out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') *out += '\\';
    *out += c;
  }
  *out += '"';
}

void AppendBoost(double boost, std::string* out) {
  if (boost == 1) return;
  // The shortest digits that read back as the same number.
  char digits[400];
  const auto result =
      std::to_chars(digits, digits + sizeof(digits), boost, std::chars_format::fixed);
  *out += '^';
  out->append(digits, static_cast<size_t>(result.ptr - digits));
}

void AppendLeaf(const TextQuery& query, std::string* out) {
  if (!query.field.empty()) {
    AppendWord(query.field, out);
    *out += ':';
  }
  switch (query.kind) {
    case Kind::kTerm:
      AppendWord(query.text, out);
      break;
    case Kind::kPrefix:
      AppendWord(query.text, out);
      *out += '*';
      break;
    case Kind::kFuzzy:
      AppendWord(query.text, out);
      *out += '~' + std::to_string(query.max_edits) + '/' + std::to_string(query.prefix_length);
      break;
    case Kind::kPhrase:
      AppendQuoted(query.text, out);
      if (query.slop > 0) *out += '~' + std::to_string(query.slop);
      break;
    case Kind::kAnyWords:
    case Kind::kAllWords:
      *out += query.kind == Kind::kAnyWords ? "ANY(" : "ALL(";
      AppendQuoted(query.text, out);
      *out += ')';
      break;
    case Kind::kNothing:
    case Kind::kAnd:
    case Kind::kOr:
    case Kind::kNot:
      break;
  }
}

void Append(const TextQuery& query, bool outermost, std::string* out) {
  if (query.kind == Kind::kNot) {
    for (const TextQuery& child : query.children) {
      *out += "NOT ";
      Append(child, false, out);
    }
    return;
  }
  if (query.kind != Kind::kAnd && query.kind != Kind::kOr) {
    AppendLeaf(query, out);
    AppendBoost(query.boost, out);
    return;
  }
  const bool parentheses = !outermost || query.boost != 1;
  if (parentheses) *out += '(';
  for (size_t i = 0; i < query.children.size(); ++i) {
    if (i > 0) *out += query.kind == Kind::kAnd ? " AND " : " OR ";
    Append(query.children[i], false, out);
  }
  if (parentheses) *out += ')';
  AppendBoost(query.boost, out);
}

bool IsBlank(std::string_view text) {
  size_t at = 0;
  while (const size_t bytes = QuerySpaceBytes(text, at)) at += bytes;
  return at == text.size();
}

}  // namespace

absl::StatusOr<TextQuery> ParseUserText(std::string_view text, TextQueryMode mode,
                                        const TextQueryLimits& limits, std::string_view field) {
  if (mode == TextQueryMode::kRaw) return ParseRawText(text, limits, field);
  if (IsBlank(text)) return TextQuery();
  TextQuery query{.text = std::string(text)};
  switch (mode) {
    case TextQueryMode::kAllWords:
      query.kind = Kind::kAllWords;
      break;
    case TextQueryMode::kPhrase:
      query.kind = Kind::kPhrase;
      break;
    default:
      query.kind = Kind::kAnyWords;
      break;
  }
  return query;
}

std::string ToString(const TextQuery& query) {
  std::string out;
  Append(query, true, &out);
  return out;
}

}  // namespace cookix::engine
