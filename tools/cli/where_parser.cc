#include "tools/cli/where_parser.h"

#include <cctype>
#include <string>
#include <utility>

#include "storage/base/status.h"
#include "tools/cli/arguments.h"

namespace cookix::cli {
namespace {

constexpr int kMaxDepth = 64;

enum class TokenKind { kEnd, kWord, kField, kText, kOperator, kOpen, kClose, kComma };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  size_t offset = 0;
};

std::string Upper(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return upper;
}

bool IsWordByte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return std::isalnum(byte) || byte >= 0x80 || c == '_' || c == '.' || c == '$' || c == '-' ||
         c == '+' || c == ':' || c == '/' || c == '@' || c == '~' || c == '*';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  absl::StatusOr<v1::Filter> Parse() {
    COOKIX_RETURN_IF_ERROR(Next());
    if (token_.kind == TokenKind::kEnd) return Error("the filter is empty", "give a comparison");
    COOKIX_ASSIGN_OR_RETURN(v1::Filter filter, Or(0));
    if (token_.kind == TokenKind::kClose) {
      return Error("there is a ) without its (", "remove it or add the missing (");
    }
    if (token_.kind != TokenKind::kEnd) {
      return Error("unexpected \"" + token_.text + "\"", "join conditions with AND or OR");
    }
    return filter;
  }

 private:
  absl::Status Error(const std::string& message, const std::string& remedy) const {
    return ErrorAt(token_.offset, message, remedy);
  }
  absl::Status ErrorAt(size_t offset, const std::string& message, const std::string& remedy) const {
    size_t column = 1;
    for (size_t i = 0; i < offset && i < text_.size(); ++i) {
      if ((static_cast<unsigned char>(text_[i]) & 0xc0) != 0x80) ++column;
    }
    return UsageError("filter, column " + std::to_string(column) + ": " + message, "--where",
                      remedy);
  }

  absl::Status Next() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    token_ = Token();
    token_.offset = at_;
    if (at_ == text_.size()) return absl::OkStatus();
    const char c = text_[at_];
    if (c == '(' || c == ')' || c == ',') {
      token_.kind =
          c == '(' ? TokenKind::kOpen : (c == ')' ? TokenKind::kClose : TokenKind::kComma);
      token_.text = c;
      ++at_;
      return absl::OkStatus();
    }
    if (c == '"' || c == '\'' || c == '`') return Quoted(c);
    for (std::string_view op : {"==", "!=", "<>", "<=", ">=", "^=", "=", "<", ">"}) {
      if (text_.substr(at_, op.size()) != op) continue;
      token_.kind = TokenKind::kOperator;
      token_.text = op;
      at_ += op.size();
      return absl::OkStatus();
    }
    if (!IsWordByte(c)) {
      return Error("unexpected character \"" + std::string(1, c) + "\"",
                   "quote values that have such characters");
    }
    const size_t start = at_;
    while (at_ < text_.size() && IsWordByte(text_[at_])) ++at_;
    token_.kind = TokenKind::kWord;
    token_.text = text_.substr(start, at_ - start);
    return absl::OkStatus();
  }

  absl::Status Quoted(char quote) {
    token_.kind = quote == '`' ? TokenKind::kField : TokenKind::kText;
    ++at_;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
        ++at_;
        const char escaped = text_[at_];
        token_.text += escaped == 'n' ? '\n' : (escaped == 't' ? '\t' : escaped);
      } else {
        token_.text += text_[at_];
      }
      ++at_;
    }
    if (at_ == text_.size()) {
      return Error("the quote is not closed", "end the text with " + std::string(1, quote));
    }
    ++at_;
    return absl::OkStatus();
  }

  bool IsWord(std::string_view word) const {
    return token_.kind == TokenKind::kWord && Upper(token_.text) == word;
  }

  absl::StatusOr<v1::Filter> Or(int depth) { return Operands(depth, "OR"); }

  // A list of operands joined by `word`.
  absl::StatusOr<v1::Filter> Operands(int depth, std::string_view word) {
    const bool is_or = word == "OR";
    COOKIX_ASSIGN_OR_RETURN(v1::Filter first, is_or ? Operands(depth, "AND") : Unary(depth));
    if (!IsWord(word)) return first;
    v1::Filter filter;
    v1::FilterList* list = is_or ? filter.mutable_any() : filter.mutable_all();
    *list->add_operands() = std::move(first);
    while (IsWord(word)) {
      COOKIX_RETURN_IF_ERROR(Next());
      COOKIX_ASSIGN_OR_RETURN(v1::Filter operand, is_or ? Operands(depth, "AND") : Unary(depth));
      *list->add_operands() = std::move(operand);
    }
    return filter;
  }

  absl::StatusOr<v1::Filter> Unary(int depth) {
    if (depth > kMaxDepth) return Error("the filter is too deep", "use fewer nested parentheses");
    if (IsWord("NOT")) {
      COOKIX_RETURN_IF_ERROR(Next());
      COOKIX_ASSIGN_OR_RETURN(v1::Filter operand, Unary(depth + 1));
      v1::Filter filter;
      *filter.mutable_negation() = std::move(operand);
      return filter;
    }
    if (token_.kind == TokenKind::kOpen) {
      const size_t opened = token_.offset;
      COOKIX_RETURN_IF_ERROR(Next());
      COOKIX_ASSIGN_OR_RETURN(v1::Filter filter, Or(depth + 1));
      if (token_.kind != TokenKind::kClose) {
        return ErrorAt(opened, "this ( is not closed", "add the missing )");
      }
      COOKIX_RETURN_IF_ERROR(Next());
      return filter;
    }
    return Condition();
  }

  absl::StatusOr<std::string> Field() {
    if (token_.kind != TokenKind::kWord && token_.kind != TokenKind::kField) {
      return Error(token_.kind == TokenKind::kEnd ? "the filter ends where a field is expected"
                                                  : "a field is expected here",
                   "write a property name, such as size");
    }
    std::string field = token_.text;
    COOKIX_RETURN_IF_ERROR(Next());
    return field;
  }

  absl::StatusOr<v1::Value> Value() {
    v1::Value value;
    if (token_.kind == TokenKind::kText) {
      value.set_string_value(token_.text);
    } else if (token_.kind == TokenKind::kWord) {
      if (IsWord("TRUE") || IsWord("FALSE")) {
        value.set_bool_value(IsWord("TRUE"));
      } else if (const auto integer = ParseInt(token_.text)) {
        value.set_int_value(*integer);
      } else if (const auto number = ParseDouble(token_.text)) {
        value.set_double_value(*number);
      } else {
        value.set_string_value(token_.text);
      }
    } else {
      return Error(token_.kind == TokenKind::kEnd ? "the filter ends where a value is expected"
                                                  : "a value is expected here",
                   "write a number, true, false or \"text\"");
    }
    COOKIX_RETURN_IF_ERROR(Next());
    return value;
  }

  absl::StatusOr<v1::Filter> Condition() {
    v1::Filter filter;
    if (IsWord("EXISTS")) {
      COOKIX_RETURN_IF_ERROR(Next());
      COOKIX_ASSIGN_OR_RETURN(*filter.mutable_existence()->mutable_field(), Field());
      return filter;
    }
    COOKIX_ASSIGN_OR_RETURN(std::string field, Field());
    if (IsWord("IN")) return In(std::move(field));
    if (token_.kind != TokenKind::kOperator) {
      return Error("an operator is expected after \"" + field + "\"",
                   "use =, !=, <, <=, >, >=, ^= or IN (...)");
    }
    static constexpr std::pair<std::string_view, v1::ComparisonOperator> kOperators[] = {
        {"=", v1::COMPARISON_OPERATOR_EQUAL},      {"==", v1::COMPARISON_OPERATOR_EQUAL},
        {"!=", v1::COMPARISON_OPERATOR_NOT_EQUAL}, {"<>", v1::COMPARISON_OPERATOR_NOT_EQUAL},
        {"<", v1::COMPARISON_OPERATOR_LESS},       {"<=", v1::COMPARISON_OPERATOR_LESS_EQUAL},
        {">", v1::COMPARISON_OPERATOR_GREATER},    {">=", v1::COMPARISON_OPERATOR_GREATER_EQUAL},
        {"^=", v1::COMPARISON_OPERATOR_PREFIX},
    };
    v1::Comparison* comparison = filter.mutable_comparison();
    comparison->set_field(std::move(field));
    for (const auto& [text, op] : kOperators) {
      if (token_.text == text) comparison->set_op(op);
    }
    COOKIX_RETURN_IF_ERROR(Next());
    // A prefix is text, even when it looks like a number.
    const std::string raw = token_.text;
    COOKIX_ASSIGN_OR_RETURN(*comparison->mutable_value(), Value());
    if (comparison->op() == v1::COMPARISON_OPERATOR_PREFIX) {
      comparison->mutable_value()->set_string_value(raw);
    }
    return filter;
  }

  absl::StatusOr<v1::Filter> In(std::string field) {
    COOKIX_RETURN_IF_ERROR(Next());
    if (token_.kind != TokenKind::kOpen) {
      return Error("a ( is expected after IN", "write IN (a, b, c)");
    }
    v1::Filter filter;
    v1::Membership* membership = filter.mutable_membership();
    membership->set_field(std::move(field));
    do {
      COOKIX_RETURN_IF_ERROR(Next());
      COOKIX_ASSIGN_OR_RETURN(*membership->add_values(), Value());
    } while (token_.kind == TokenKind::kComma);
    if (token_.kind != TokenKind::kClose) {
      return Error("a , or ) is expected in the list of IN", "write IN (a, b, c)");
    }
    COOKIX_RETURN_IF_ERROR(Next());
    return filter;
  }

  const std::string_view text_;
  size_t at_ = 0;
  Token token_;
};

}  // namespace

absl::StatusOr<v1::Filter> ParseWhere(std::string_view text) { return Parser(text).Parse(); }

}  // namespace cookix::cli
