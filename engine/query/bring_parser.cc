#include "engine/query/bring_parser.h"

#include <utility>

#include "engine/query/search_lexer.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr int kMaxDepth = 150;

bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

void AppendUtf8(uint32_t code, std::string* out) {
  if (code < 0x80) {
    *out += static_cast<char>(code);
    return;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  constexpr uint8_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
  *out += static_cast<char>(kLead[more] | code >> (6 * more));
  for (int i = more - 1; i >= 0; --i) {
    *out += static_cast<char>(0x80 | (code >> (6 * i) & 0x3F));
  }
}

// Recursive descent, a function a rule of the grammar. Each begins at what it reads and
// leaves the source behind it and behind the space after it.
class BringParser {
 public:
  explicit BringParser(QuerySource source) : source_(source) {}

  absl::StatusOr<BringDocument> Parse() {
    SkipSpace();
    const size_t begin = source_.at();
    if (TakeBareWord() != "bring") {
      return source_.Expected(begin, source_.at(), "the word bring and the name of a collection");
    }
    SkipSpace();
    BringDocument document;
    bool quoted = false;
    COOKIX_ASSIGN_OR_RETURN(document.name, TakeName("the name of a collection", &quoted));
    document.block.at = source_.at();
    document.block.kind = BringValue::Kind::kBlock;
    COOKIX_ASSIGN_OR_RETURN(document.block.members, TakeBlock(1));
    if (!source_.AtEnd()) return Expected("the end");
    return document;
  }

 private:
  absl::StatusOr<std::vector<BringMember>> TakeBlock(int depth) {
    if (source_.Peek() != '{') return Expected("'{'");
    COOKIX_RETURN_IF_ERROR(CheckDepth(depth));
    Skip(1);
    std::vector<BringMember> members;
    while (source_.Peek() != '}') {
      COOKIX_ASSIGN_OR_RETURN(members.emplace_back(), TakeMember(depth));
    }
    Skip(1);
    return members;
  }

  absl::StatusOr<BringMember> TakeMember(int depth) {
    BringMember member;
    member.at = source_.at();
    COOKIX_ASSIGN_OR_RETURN(member.name, TakeName("a name or '}'", &member.quoted));
    if (source_.Peek() != '{') {
      if (source_.Peek() != '=') return Expected("'=' or '{'");
      Skip(1);
    }
    COOKIX_ASSIGN_OR_RETURN(member.value, TakeValue(depth));
    return member;
  }

  absl::StatusOr<BringValue> TakeValue(int depth) {
    BringValue value;
    if (source_.Peek() == '{') {
      value.at = source_.at();
      value.kind = BringValue::Kind::kBlock;
      COOKIX_ASSIGN_OR_RETURN(value.members, TakeBlock(depth + 1));
    } else {
      COOKIX_ASSIGN_OR_RETURN(value, TakePlain(depth));
    }
    while (source_.Peek() == '@') {
      BringMember attribute;
      attribute.at = source_.at();
      source_.Skip(1);
      COOKIX_ASSIGN_OR_RETURN(attribute.name, TakeName("a name", &attribute.quoted));
      if (source_.Peek() != '=') return Expected("'='");
      Skip(1);
      COOKIX_ASSIGN_OR_RETURN(attribute.value, TakePlain(depth));
      value.attributes.push_back(std::move(attribute));
    }
    return value;
  }

  // A literal or a list.
  absl::StatusOr<BringValue> TakePlain(int depth) {
    BringValue value;
    value.at = source_.at();
    const char c = source_.Peek();
    if (c == '[') {
      value.kind = BringValue::Kind::kList;
      COOKIX_ASSIGN_OR_RETURN(value.items, TakeList(depth + 1));
      return value;
    }
    if (c == '"') {
      COOKIX_ASSIGN_OR_RETURN(*value.literal.mutable_string_value(), TakeText());
    } else if (IsDigit(c) || c == '-') {
      COOKIX_ASSIGN_OR_RETURN(value.literal, source_.TakeNumber());
    } else {
      const std::string_view word = TakeBareWord();
      if (word == "true" || word == "false") {
        value.literal.set_bool_value(word == "true");
      } else if (word == "null") {
        value.literal.set_null_value(v1::NULL_VALUE_UNSPECIFIED);
      } else {
        return source_.Expected(value.at, source_.at(),
                                "text in double quotes, a number, true, false, null, '[' or '{'");
      }
    }
    SkipSpace();
    return value;
  }

  absl::StatusOr<std::vector<BringValue>> TakeList(int depth) {
    COOKIX_RETURN_IF_ERROR(CheckDepth(depth));
    Skip(1);
    std::vector<BringValue> items;
    while (source_.Peek() != ']') {
      if (!items.empty()) {
        if (source_.Peek() != ',') return Expected("',' or ']'");
        Skip(1);
      }
      COOKIX_ASSIGN_OR_RETURN(items.emplace_back(), TakeValue(depth));
    }
    Skip(1);
    return items;
  }

  absl::Status CheckDepth(int depth) const {
    if (depth <= kMaxDepth) return absl::OkStatus();
    return source_.LimitAt(source_.at(),
                           "values are nested more than " + std::to_string(kMaxDepth) + " deep");
  }

  absl::StatusOr<std::string> TakeName(std::string_view what, bool* quoted) {
    std::string name;
    *quoted = source_.Peek() == '"';
    const size_t begin = source_.at();
    if (*quoted) {
      COOKIX_ASSIGN_OR_RETURN(name, TakeText());
      if (name.empty()) return source_.ErrorAt(begin, "a name is not empty");
    } else {
      name = TakeBareWord();
      if (!IsBareName(name)) return source_.Expected(begin, source_.at(), what);
    }
    SkipSpace();
    return name;
  }

  // What a bare name is made of; one character of what is none, so that errors show it.
  std::string_view TakeBareWord() {
    const size_t begin = source_.at();
    while (!source_.AtEnd() && ContinuesBareName(source_.Peek())) source_.Skip(1);
    if (source_.at() == begin && !source_.AtEnd()) source_.Skip(1);
    return source_.From(begin);
  }

  absl::StatusOr<std::string> TakeText() {
    const size_t begin = source_.at();
    source_.Skip(1);
    std::string text;
    while (source_.Peek() != '"') {
      if (source_.AtEnd()) {
        return source_.ErrorAt(begin, "the text that begins here has no closing quote");
      }
      const char c = source_.Peek();
      source_.Skip(1);
      if (c == '\\') {
        COOKIX_RETURN_IF_ERROR(TakeEscape(&text));
      } else {
        text += c;
      }
    }
    source_.Skip(1);
    return text;
  }

  // Behind the backslash.
  absl::Status TakeEscape(std::string* text) {
    constexpr std::string_view kEscapes = "\"\\nrt";
    constexpr std::string_view kMeant = "\"\\\n\r\t";
    const char c = source_.Peek();
    if (const size_t known = kEscapes.find(c); !source_.AtEnd() && known != kEscapes.npos) {
      *text += kMeant[known];
      source_.Skip(1);
      return absl::OkStatus();
    }
    if (c == 'u' && source_.Peek(1) == '{') return TakeCodePoint(text);
    return source_.ErrorAt(source_.at() - 1, "expected \\\", \\\\, \\n, \\r, \\t or \\u{...}");
  }

  absl::Status TakeCodePoint(std::string* text) {
    const size_t begin = source_.at() - 1;
    source_.Skip(2);
    const size_t first = source_.at();
    while (IsHexDigit(source_.Peek()) && source_.at() - first < 6) source_.Skip(1);
    const std::string digits(source_.From(first));
    const uint32_t code =
        digits.empty() ? 0 : static_cast<uint32_t>(std::stoul(digits, nullptr, 16));
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    if (source_.Peek() != '}' || code == 0 || surrogate || code > 0x10FFFF) {
      return source_.ErrorAt(begin, "expected a character's number, such as \\u{1F36A}");
    }
    source_.Skip(1);
    AppendUtf8(code, text);
    return absl::OkStatus();
  }

  void Skip(size_t bytes) {
    source_.Skip(bytes);
    SkipSpace();
  }

  // And comments.
  void SkipSpace() {
    source_.SkipSpace();
    while (source_.Peek() == '#') {
      while (!source_.AtEnd() && source_.Peek() != '\n') source_.Skip(1);
      source_.SkipSpace();
    }
  }

  absl::Status Expected(std::string_view what) {
    const size_t begin = source_.at();
    TakeBareWord();
    return source_.Expected(begin, source_.at(), what);
  }

  QuerySource source_;
};

}  // namespace

absl::StatusOr<BringDocument> ParseBring(QuerySource source, size_t max_bytes) {
  COOKIX_RETURN_IF_ERROR(source.Check(max_bytes));
  return BringParser(source).Parse();
}

}  // namespace cookix::engine
