#include "engine/query/search_lexer.h"

#include "absl/strings/match.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Kind = SearchToken::Kind;

bool BeginsName(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         static_cast<uint8_t>(c) >= 0x80;
}

int HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool ContinuesBareName(char c) { return BeginsName(c) || IsDigit(c) || c == '.' || c == '-'; }

bool IsBareName(std::string_view name) {
  if (name.empty() || !BeginsName(name[0])) return false;
  for (const char c : name) {
    if (!ContinuesBareName(c)) return false;
  }
  return true;
}

absl::Status SearchLexer::Start(size_t max_bytes) {
  COOKIX_RETURN_IF_ERROR(source_.Check(max_bytes));
  return Advance();
}

absl::Status SearchLexer::Advance() {
  source_.SkipSpace();
  token_ = SearchToken();
  token_.begin = source_.at();
  const char c = source_.Peek();
  absl::Status status;
  if (source_.AtEnd()) {
    token_.kind = Kind::kEnd;
  } else if (c == '\'') {
    token_.kind = Kind::kText;
    status = TakeQuoted('\'', "the text");
  } else if (c == '"') {
    token_.kind = Kind::kQuotedName;
    status = TakeQuoted('"', "the name");
    if (status.ok() && token_.text.empty()) {
      status = source_.ErrorAt(token_.begin, "a name is not empty");
    }
  } else if ((c == 'x' || c == 'X') && source_.Peek(1) == '\'') {
    token_.kind = Kind::kBytes;
    status = TakeBytes();
  } else if (BeginsName(c)) {
    token_.kind = Kind::kName;
    while (ContinuesBareName(source_.Peek())) source_.Skip(1);
    token_.text = source_.From(token_.begin);
  } else if (IsDigit(c) || c == '-') {
    token_.kind = Kind::kNumber;
    COOKIX_ASSIGN_OR_RETURN(token_.number, source_.TakeNumber());
  } else {
    status = TakeSymbolToken();
  }
  token_.end = source_.at();
  return status;
}

absl::Status SearchLexer::TakeQuoted(char quote, std::string_view what) {
  source_.Skip(1);
  while (true) {
    if (source_.AtEnd()) {
      return source_.ErrorAt(token_.begin,
                             std::string(what) + " that begins here has no closing quote");
    }
    const char c = source_.Peek();
    source_.Skip(1);
    if (c == quote) {
      if (source_.Peek() != quote) return absl::OkStatus();
      source_.Skip(1);
    }
    token_.text += c;
  }
}

absl::Status SearchLexer::TakeBytes() {
  source_.Skip(2);
  while (source_.Peek() != '\'') {
    const int high = HexDigit(source_.Peek());
    const int low = high < 0 ? -1 : HexDigit(source_.Peek(1));
    if (low < 0) {
      return source_.ErrorAt(source_.at(), "expected two hexadecimal digits for each byte");
    }
    token_.text += static_cast<char>(high * 16 + low);
    source_.Skip(2);
  }
  source_.Skip(1);
  return absl::OkStatus();
}

absl::Status SearchLexer::TakeSymbolToken() {
  token_.kind = Kind::kSymbol;
  const char c = source_.Peek();
  const char next = source_.Peek(1);
  const bool two = (c == '!' && next == '=') || (c == '<' && (next == '=' || next == '>')) ||
                   (c == '>' && next == '=');
  if (!two && std::string_view("()[],*=<>").find(c) == std::string_view::npos) {
    return source_.Expected(token_.begin, token_.begin + 1,
                            "a word, a number, or text in single quotes");
  }
  source_.Skip(two ? 2 : 1);
  token_.text = source_.From(token_.begin);
  return absl::OkStatus();
}

bool SearchLexer::AtKeyword(std::string_view keyword) const {
  return token_.kind == Kind::kName && absl::EqualsIgnoreCase(ToAbsl(token_.text), ToAbsl(keyword));
}

absl::StatusOr<bool> SearchLexer::TakeKeyword(std::string_view keyword) {
  if (!AtKeyword(keyword)) return false;
  COOKIX_RETURN_IF_ERROR(Advance());
  return true;
}

absl::StatusOr<bool> SearchLexer::TakeSymbol(std::string_view symbol) {
  if (!AtSymbol(symbol)) return false;
  COOKIX_RETURN_IF_ERROR(Advance());
  return true;
}

absl::Status SearchLexer::RequireKeyword(std::string_view keyword) {
  if (!AtKeyword(keyword)) return Expected(keyword);
  return Advance();
}

absl::Status SearchLexer::RequireSymbol(std::string_view symbol) {
  if (!AtSymbol(symbol)) return Expected("'" + std::string(symbol) + "'");
  return Advance();
}

absl::StatusOr<std::string> SearchLexer::RequireName(std::string_view what) {
  if (!At(Kind::kName) && !At(Kind::kQuotedName)) return Expected(what);
  std::string name = std::move(token_.text);
  COOKIX_RETURN_IF_ERROR(Advance());
  return name;
}

absl::StatusOr<std::string> SearchLexer::RequireText(std::string_view what) {
  if (!At(Kind::kText)) return Expected(what);
  std::string text = std::move(token_.text);
  COOKIX_RETURN_IF_ERROR(Advance());
  return text;
}

absl::StatusOr<int64_t> SearchLexer::RequireCount(std::string_view what, int64_t most) {
  if (!At(Kind::kNumber) || !token_.number.has_int_value() || token_.number.int_value() < 0 ||
      token_.number.int_value() > most) {
    return Expected(std::string(what) + ", 0 to " + std::to_string(most));
  }
  const int64_t count = token_.number.int_value();
  COOKIX_RETURN_IF_ERROR(Advance());
  return count;
}

absl::StatusOr<double> SearchLexer::RequireNumber(std::string_view what) {
  if (!At(Kind::kNumber)) return Expected(what);
  const double number = token_.number.has_int_value()
                            ? static_cast<double>(token_.number.int_value())
                            : token_.number.double_value();
  COOKIX_RETURN_IF_ERROR(Advance());
  return number;
}

absl::Status SearchLexer::RequireFloats(google::protobuf::RepeatedField<float>* values) {
  do {
    if (values->empty()) {
      COOKIX_RETURN_IF_ERROR(RequireSymbol("["));
    } else {
      COOKIX_RETURN_IF_ERROR(RequireSymbol(","));
    }
    if (!At(Kind::kNumber)) return Expected("a number");
    QuerySource again = source_.Again(token_.begin);
    COOKIX_ASSIGN_OR_RETURN(*values->Add(), again.TakeFloat());
    COOKIX_RETURN_IF_ERROR(Advance());
  } while (!AtSymbol("]"));
  return Advance();
}

}  // namespace cookix::engine
