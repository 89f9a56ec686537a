// Characters that mean something in raw queries: what the parser and the printer agree
// on.
#ifndef COOKIX_ENGINE_TEXT_TEXT_QUERY_SYNTAX_H_
#define COOKIX_ENGINE_TEXT_TEXT_QUERY_SYNTAX_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cookix::engine {

// Bytes of the white space character at `at`; 0 when there is none. Beside ASCII's, the
// no-break space and the ideographic one, which keyboards make unasked.
inline size_t QuerySpaceBytes(std::string_view text, size_t at) {
  if (at >= text.size()) return 0;
  if (text[at] == ' ' || (text[at] >= '\t' && text[at] <= '\r')) return 1;
  const std::string_view rest = text.substr(at);
  if (rest.starts_with("\u00A0")) return 2;
  return rest.starts_with("\u3000") ? 3 : 0;
}

// The character ends a word unless a backslash stands before it.
inline bool EndsQueryWord(std::string_view text, size_t at) {
  constexpr std::string_view kSpecial = "()\":^~*";
  return kSpecial.find(text[at]) != std::string_view::npos || QuerySpaceBytes(text, at) > 0;
}

inline bool IsQueryOperator(std::string_view word) {
  return word == "AND" || word == "OR" || word == "NOT";
}

// Bytes of the character that starts at `at` of UTF-8 text.
inline size_t CharacterBytes(std::string_view text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80) ++end;
  return end - at;
}

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_QUERY_SYNTAX_H_
