#include "engine/query/condition_parser.h"

#include <string>
#include <utility>

#include "engine/query/search_words.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Kind = SearchToken::Kind;

v1::Filter Not(v1::Filter operand) {
  v1::Filter filter;
  *filter.mutable_negation() = std::move(operand);
  return filter;
}

// Recursive descent, a function a rule of the grammar.
class ConditionParser {
 public:
  ConditionParser(SearchLexer& lexer, const Limits& limits) : lexer_(lexer), limits_(limits) {}

  absl::StatusOr<v1::Filter> ParseAny(int64_t depth) {
    COOKIX_ASSIGN_OR_RETURN(v1::Filter first, ParseAll(depth));
    if (!lexer_.AtKeyword("OR")) return first;
    v1::Filter any;
    *any.mutable_any()->add_operands() = std::move(first);
    while (lexer_.AtKeyword("OR")) {
      COOKIX_RETURN_IF_ERROR(lexer_.Advance());
      COOKIX_ASSIGN_OR_RETURN(*any.mutable_any()->add_operands(), ParseAll(depth));
    }
    return any;
  }

 private:
  absl::StatusOr<v1::Filter> ParseAll(int64_t depth) {
    COOKIX_ASSIGN_OR_RETURN(v1::Filter first, ParseTest(depth));
    if (!lexer_.AtKeyword("AND")) return first;
    v1::Filter all;
    *all.mutable_all()->add_operands() = std::move(first);
    while (lexer_.AtKeyword("AND")) {
      COOKIX_RETURN_IF_ERROR(lexer_.Advance());
      COOKIX_ASSIGN_OR_RETURN(*all.mutable_all()->add_operands(), ParseTest(depth));
    }
    return all;
  }

  absl::StatusOr<v1::Filter> ParseTest(int64_t depth) {
    if (depth >= limits_.max_filter_depth) {
      return lexer_.source().LimitAt(
          lexer_.token().begin,
          "conditions are nested more than " + std::to_string(limits_.max_filter_depth) + " deep");
    }
    COOKIX_ASSIGN_OR_RETURN(const bool negated, lexer_.TakeKeyword("NOT"));
    if (negated) {
      COOKIX_ASSIGN_OR_RETURN(v1::Filter operand, ParseTest(depth + 1));
      return Not(std::move(operand));
    }
    COOKIX_ASSIGN_OR_RETURN(const bool opened, lexer_.TakeSymbol("("));
    if (opened) {
      COOKIX_ASSIGN_OR_RETURN(v1::Filter filter, ParseAny(depth + 1));
      if (!lexer_.AtSymbol(")")) return lexer_.Expected("AND, OR or ')'");
      COOKIX_RETURN_IF_ERROR(lexer_.Advance());
      return filter;
    }
    COOKIX_ASSIGN_OR_RETURN(std::string field, lexer_.RequireName("a field, NOT or '('"));
    return ParseFieldTest(std::move(field));
  }

  absl::StatusOr<v1::Filter> ParseFieldTest(std::string field) {
    for (const auto& [symbol, op] : kSearchOperators) {
      if (!lexer_.AtSymbol(symbol)) continue;
      COOKIX_RETURN_IF_ERROR(lexer_.Advance());
      v1::Filter filter;
      v1::Comparison* comparison = filter.mutable_comparison();
      comparison->set_field(std::move(field));
      comparison->set_op(op);
      COOKIX_ASSIGN_OR_RETURN(*comparison->mutable_value(), ParseLiteral());
      return filter;
    }
    if (lexer_.AtKeyword("IS")) return ParseNull(std::move(field));
    COOKIX_ASSIGN_OR_RETURN(const bool negated, lexer_.TakeKeyword("NOT"));
    v1::Filter filter;
    if (lexer_.AtKeyword("IN")) {
      COOKIX_ASSIGN_OR_RETURN(filter, ParseMembership(std::move(field)));
    } else if (lexer_.AtKeyword("LIKE")) {
      COOKIX_ASSIGN_OR_RETURN(filter, ParseLike(std::move(field)));
    } else {
      return lexer_.Expected(negated ? "IN or LIKE" : "=, !=, <, <=, >, >=, IN, LIKE, NOT or IS");
    }
    return negated ? Not(std::move(filter)) : std::move(filter);
  }

  absl::StatusOr<v1::Filter> ParseNull(std::string field) {
    COOKIX_RETURN_IF_ERROR(lexer_.Advance());
    COOKIX_ASSIGN_OR_RETURN(const bool present, lexer_.TakeKeyword("NOT"));
    if (!lexer_.AtKeyword("NULL")) return lexer_.Expected(present ? "NULL" : "NULL or NOT NULL");
    COOKIX_RETURN_IF_ERROR(lexer_.Advance());
    v1::Filter filter;
    filter.mutable_existence()->set_field(std::move(field));
    return present ? std::move(filter) : Not(std::move(filter));
  }

  absl::StatusOr<v1::Filter> ParseMembership(std::string field) {
    COOKIX_RETURN_IF_ERROR(lexer_.Advance());
    COOKIX_RETURN_IF_ERROR(lexer_.RequireSymbol("("));
    v1::Filter filter;
    v1::Membership* membership = filter.mutable_membership();
    membership->set_field(std::move(field));
    while (!lexer_.AtSymbol(")")) {
      if (membership->values_size() > 0) {
        if (!lexer_.AtSymbol(",")) return lexer_.Expected("',' or ')'");
        COOKIX_RETURN_IF_ERROR(lexer_.Advance());
      }
      COOKIX_ASSIGN_OR_RETURN(*membership->add_values(), ParseLiteral());
    }
    COOKIX_RETURN_IF_ERROR(lexer_.Advance());
    return filter;
  }

  // A pattern that is a prefix, or no pattern at all.
  absl::StatusOr<v1::Filter> ParseLike(std::string field) {
    COOKIX_RETURN_IF_ERROR(lexer_.Advance());
    const size_t begin = lexer_.token().begin;
    COOKIX_ASSIGN_OR_RETURN(const std::string pattern, lexer_.RequireText("text in single quotes"));
    std::string meant;
    bool prefix = false;
    for (size_t i = 0; i < pattern.size(); ++i) {
      if (pattern[i] == '%' && i + 1 == pattern.size()) {
        prefix = true;
        break;
      }
      if (pattern[i] == '%' || pattern[i] == '_') {
        return lexer_.source().ErrorAt(
            begin,
            "expected a prefix such as 'x%': LIKE knows % only at the end and _ not at all "
            "(a backslash before them takes their meaning away)");
      }
      if (pattern[i] == '\\') {
        ++i;
        if (i == pattern.size() ||
            std::string_view("%_\\").find(pattern[i]) == std::string_view::npos) {
          return lexer_.source().ErrorAt(begin, "expected %, _ or a backslash behind a backslash");
        }
      }
      meant += pattern[i];
    }
    v1::Filter filter;
    v1::Comparison* comparison = filter.mutable_comparison();
    comparison->set_field(std::move(field));
    comparison->set_op(prefix ? v1::COMPARISON_OPERATOR_PREFIX : v1::COMPARISON_OPERATOR_EQUAL);
    comparison->mutable_value()->set_string_value(std::move(meant));
    return filter;
  }

  absl::StatusOr<v1::Value> ParseLiteral() {
    v1::Value value;
    const SearchToken& token = lexer_.token();
    if (token.kind == Kind::kText) {
      value.set_string_value(token.text);
    } else if (token.kind == Kind::kBytes) {
      value.set_bytes_value(token.text);
    } else if (token.kind == Kind::kNumber) {
      value = token.number;
    } else if (lexer_.AtKeyword("TRUE") || lexer_.AtKeyword("FALSE")) {
      value.set_bool_value(lexer_.AtKeyword("TRUE"));
    } else if (lexer_.AtKeyword("NULL")) {
      return lexer_.Expected("a value (what is null is found by IS NULL)");
    } else {
      return lexer_.Expected("text in single quotes, a number, TRUE or FALSE");
    }
    COOKIX_RETURN_IF_ERROR(lexer_.Advance());
    return value;
  }

  SearchLexer& lexer_;
  const Limits& limits_;
};

}  // namespace

absl::StatusOr<v1::Filter> ParseCondition(SearchLexer& lexer, const Limits& limits) {
  return ConditionParser(lexer, limits).ParseAny(0);
}

}  // namespace cookix::engine
