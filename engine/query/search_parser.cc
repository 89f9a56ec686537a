#include "engine/query/search_parser.h"

#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "engine/query/condition_parser.h"
#include "engine/query/search_lexer.h"
#include "engine/query/search_words.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Kind = SearchToken::Kind;
using Names = google::protobuf::RepeatedPtrField<std::string>;

constexpr int64_t kMaxCount = std::numeric_limits<int32_t>::max();

class SearchParser {
 public:
  SearchParser(std::string_view text, const Limits& limits, std::string_view field)
      : lexer_(text, field), limits_(limits) {}

  absl::StatusOr<v1::BuilderQuery> Parse() {
    COOKIX_RETURN_IF_ERROR(lexer_.Start(static_cast<size_t>(limits_.max_query_text_bytes)));
    COOKIX_RETURN_IF_ERROR(lexer_.RequireKeyword("SEARCH"));
    COOKIX_ASSIGN_OR_RETURN(*query_.mutable_collection(),
                            lexer_.RequireName("the name of a collection"));
    COOKIX_RETURN_IF_ERROR(Repeat(&SearchParser::TakeStart));
    COOKIX_RETURN_IF_ERROR(Repeat(&SearchParser::TakeFollow));
    COOKIX_RETURN_IF_ERROR(Repeat(&SearchParser::TakeResult));
    if (!lexer_.At(Kind::kEnd)) return ExpectedClause();
    return std::move(query_);
  }

 private:
  using Rule = absl::StatusOr<bool> (SearchParser::*)();

  absl::Status Repeat(Rule rule) {
    while (true) {
      COOKIX_ASSIGN_OR_RETURN(const bool taken, (this->*rule)());
      if (!taken) return absl::OkStatus();
    }
  }

  absl::StatusOr<bool> TakeStart() {
    if (lexer_.At(Kind::kText)) return Taken(TakeWords(v1::TEXT_QUERY_MODE_ANY_WORDS));
    for (const auto& [keyword, mode] : kSearchModes) {
      COOKIX_ASSIGN_OR_RETURN(const bool taken, lexer_.TakeKeyword(keyword));
      if (taken) return Taken(TakeWords(mode));
    }
    if (lexer_.AtKeyword("NEAR")) return Taken(TakeNear());
    if (lexer_.AtKeyword("ALPHA")) return Taken(TakeAlpha());
    if (lexer_.AtKeyword("TOP")) {
      return Taken(TakeCount("TOP", [this](int32_t count) { search()->set_limit(count); }));
    }
    if (lexer_.AtKeyword("MIN")) return Taken(TakeMinScore());
    if (lexer_.AtKeyword("KEYS")) return Taken(TakeKeys());
    if (lexer_.AtKeyword("WHERE")) return Taken(TakeWhere());
    return false;
  }

  absl::StatusOr<bool> TakeResult() {
    if (lexer_.AtKeyword("AT")) return Taken(TakeAt());
    if (lexer_.AtKeyword("RETURN")) return Taken(TakeReturn());
    if (lexer_.AtKeyword("GROUP")) return Taken(TakeGroup());
    if (lexer_.AtKeyword("ORDER")) return Taken(TakeOrder());
    if (lexer_.AtKeyword("LIMIT")) {
      return Taken(TakeCount("LIMIT", [this](int32_t count) { query_.set_limit(count); }));
    }
    if (lexer_.AtKeyword("OFFSET")) {
      return Taken(TakeCount("OFFSET", [this](int32_t count) { query_.set_offset(count); }));
    }
    return false;
  }

  static absl::StatusOr<bool> Taken(const absl::Status& status) {
    if (!status.ok()) return status;
    return true;
  }

  // Takes a clause's first word, which stands once.
  absl::Status Begin(std::string_view clause) {
    if (!seen_.insert(clause).second) {
      return lexer_.source().ErrorAt(lexer_.token().begin,
                                     "there is a second " + std::string(clause));
    }
    return lexer_.Advance();
  }

  v1::SeedSearch* search() { return query_.mutable_search(); }

  absl::Status TakeWords(v1::TextQueryMode mode) {
    if (!lexer_.At(Kind::kText)) return lexer_.Expected("the words, in single quotes");
    v1::TextQuery* text = search()->mutable_text();
    text->set_text(lexer_.token().text);
    text->set_mode(mode);
    COOKIX_RETURN_IF_ERROR(Begin("text to search for"));
    COOKIX_ASSIGN_OR_RETURN(const bool in, lexer_.TakeKeyword("IN"));
    return in ? TakeNames("a text field", text->mutable_fields()) : absl::OkStatus();
  }

  absl::Status TakeNear() {
    COOKIX_RETURN_IF_ERROR(Begin("NEAR"));
    v1::VectorQuery* vector = search()->mutable_vector();
    if (lexer_.AtKeyword("KEY")) {
      COOKIX_RETURN_IF_ERROR(lexer_.Advance());
      COOKIX_ASSIGN_OR_RETURN(*vector->mutable_key(),
                              lexer_.RequireText("a key, in single quotes"));
    } else if (lexer_.AtKeyword("VECTOR")) {
      COOKIX_RETURN_IF_ERROR(lexer_.Advance());
      COOKIX_RETURN_IF_ERROR(lexer_.RequireFloats(vector->mutable_vector()->mutable_values()));
    } else {
      return lexer_.Expected("KEY or VECTOR");
    }
    COOKIX_ASSIGN_OR_RETURN(const bool in, lexer_.TakeKeyword("IN"));
    if (in) {
      COOKIX_ASSIGN_OR_RETURN(*vector->mutable_field(), lexer_.RequireName("a vector field"));
    }
    COOKIX_ASSIGN_OR_RETURN(const bool exact, lexer_.TakeKeyword("EXACT"));
    vector->set_exact(exact);
    return absl::OkStatus();
  }

  absl::Status TakeAlpha() {
    COOKIX_RETURN_IF_ERROR(Begin("ALPHA"));
    COOKIX_ASSIGN_OR_RETURN(const double alpha, lexer_.RequireNumber("a number from 0 to 1"));
    search()->mutable_fusion()->set_alpha(alpha);
    return absl::OkStatus();
  }

  absl::Status TakeMinScore() {
    COOKIX_RETURN_IF_ERROR(Begin("MIN"));
    COOKIX_RETURN_IF_ERROR(lexer_.RequireKeyword("SCORE"));
    COOKIX_ASSIGN_OR_RETURN(const double score, lexer_.RequireNumber("a number"));
    search()->set_min_score(score);
    return absl::OkStatus();
  }

  absl::Status TakeKeys() {
    COOKIX_RETURN_IF_ERROR(Begin("KEYS"));
    COOKIX_RETURN_IF_ERROR(lexer_.RequireSymbol("("));
    while (true) {
      COOKIX_ASSIGN_OR_RETURN(*query_.add_keys(), lexer_.RequireText("a key, in single quotes"));
      if (lexer_.AtSymbol(")")) return lexer_.Advance();
      if (!lexer_.AtSymbol(",")) return lexer_.Expected("',' or ')'");
      COOKIX_RETURN_IF_ERROR(lexer_.Advance());
    }
  }

  absl::Status TakeWhere() {
    COOKIX_RETURN_IF_ERROR(Begin("WHERE"));
    COOKIX_ASSIGN_OR_RETURN(*query_.mutable_where(), ParseCondition(lexer_, limits_));
    return absl::OkStatus();
  }

  absl::StatusOr<bool> TakeFollow() {
    COOKIX_ASSIGN_OR_RETURN(const bool follow, lexer_.TakeKeyword("FOLLOW"));
    if (!follow) return false;
    v1::FollowStep* step = query_.add_follow();
    COOKIX_ASSIGN_OR_RETURN(const bool any, lexer_.TakeSymbol("*"));
    if (!any) COOKIX_RETURN_IF_ERROR(TakeNames("a relation or '*'", step->mutable_relations()));
    std::set<std::string_view> seen;
    while (true) {
      COOKIX_ASSIGN_OR_RETURN(const std::string_view option, TakeFollowOption(step));
      if (option.empty()) break;
      if (!seen.insert(option).second) {
        return lexer_.source().ErrorAt(lexer_.token().begin,
                                       "this step has a second " + std::string(option));
      }
    }
    COOKIX_ASSIGN_OR_RETURN(const bool where, lexer_.TakeKeyword("WHERE"));
    if (where) {
      COOKIX_ASSIGN_OR_RETURN(*step->mutable_where(), ParseCondition(lexer_, limits_));
    }
    return true;
  }

  // The kind of the option that was there; empty without one.
  absl::StatusOr<std::string_view> TakeFollowOption(v1::FollowStep* step) {
    for (const auto& [keyword, direction] : kSearchDirections) {
      COOKIX_ASSIGN_OR_RETURN(const bool taken, lexer_.TakeKeyword(keyword));
      if (!taken) continue;
      step->set_direction(direction);
      return std::string_view("direction");
    }
    COOKIX_ASSIGN_OR_RETURN(const bool hops, lexer_.TakeKeyword("HOPS"));
    if (hops) {
      COOKIX_ASSIGN_OR_RETURN(const int64_t most, lexer_.RequireCount("how many hops", kMaxCount));
      step->set_max_hops(static_cast<int32_t>(most));
      return std::string_view("HOPS");
    }
    COOKIX_ASSIGN_OR_RETURN(const bool inverses, lexer_.TakeKeyword("INVERSES"));
    if (!inverses) return std::string_view();
    step->set_follow_inverses(true);
    return std::string_view("INVERSES");
  }

  absl::Status TakeAt() {
    if (query_.follow_size() == 0) {
      return lexer_.source().ErrorAt(
          lexer_.token().begin, "AT says which edges are valid, and there is no FOLLOW before it");
    }
    COOKIX_RETURN_IF_ERROR(Begin("AT"));
    COOKIX_ASSIGN_OR_RETURN(
        const int64_t at, lexer_.RequireCount("a time in ms", std::numeric_limits<int64_t>::max()));
    query_.set_valid_at_ms(at);
    return absl::OkStatus();
  }

  absl::Status TakeReturn() {
    COOKIX_RETURN_IF_ERROR(Begin("RETURN"));
    while (true) {
      COOKIX_RETURN_IF_ERROR(TakeItem());
      COOKIX_ASSIGN_OR_RETURN(const bool more, lexer_.TakeSymbol(","));
      if (!more) return absl::OkStatus();
    }
  }

  absl::Status TakeItem() {
    COOKIX_ASSIGN_OR_RETURN(const bool all, lexer_.TakeSymbol("*"));
    if (all) {
      query_.add_select("*");
      return absl::OkStatus();
    }
    const bool bare = lexer_.At(Kind::kName);
    const size_t begin = lexer_.token().begin;
    COOKIX_ASSIGN_OR_RETURN(std::string name, lexer_.RequireName("'*', a field or a function"));
    if (!bare || !lexer_.AtSymbol("(")) {
      *query_.add_select() = std::move(name);
      return absl::OkStatus();
    }
    return TakeAggregate(absl::AsciiStrToUpper(name), begin);
  }

  absl::Status TakeAggregate(const std::string& function, size_t begin) {
    v1::Aggregate* aggregate = query_.add_aggregates();
    for (const auto& [keyword, value] : kSearchFunctions) {
      if (function == keyword) aggregate->set_function(value);
    }
    if (aggregate->function() == v1::AGGREGATE_FUNCTION_UNSPECIFIED) {
      return lexer_.source().ErrorAt(begin, "expected COUNT, SUM, MIN, MAX or AVG before '('");
    }
    COOKIX_RETURN_IF_ERROR(lexer_.Advance());
    COOKIX_ASSIGN_OR_RETURN(const bool all, lexer_.TakeSymbol("*"));
    if (!all && !lexer_.AtSymbol(")")) {
      COOKIX_ASSIGN_OR_RETURN(*aggregate->mutable_field(),
                              lexer_.RequireName("a field, '*' or ')'"));
    }
    COOKIX_RETURN_IF_ERROR(lexer_.RequireSymbol(")"));
    COOKIX_ASSIGN_OR_RETURN(const bool as, lexer_.TakeKeyword("AS"));
    if (as) {
      COOKIX_ASSIGN_OR_RETURN(*aggregate->mutable_name(), lexer_.RequireName("a name"));
    }
    return absl::OkStatus();
  }

  absl::Status TakeGroup() {
    COOKIX_RETURN_IF_ERROR(Begin("GROUP"));
    COOKIX_RETURN_IF_ERROR(lexer_.RequireKeyword("BY"));
    return TakeNames("a field", query_.mutable_group_by());
  }

  absl::Status TakeOrder() {
    COOKIX_RETURN_IF_ERROR(Begin("ORDER"));
    COOKIX_RETURN_IF_ERROR(lexer_.RequireKeyword("BY"));
    while (true) {
      v1::OrderField* order = query_.add_order_by();
      COOKIX_ASSIGN_OR_RETURN(*order->mutable_field(), lexer_.RequireName("a field"));
      COOKIX_ASSIGN_OR_RETURN(const bool descending, lexer_.TakeKeyword("DESC"));
      order->set_descending(descending);
      if (!descending) COOKIX_RETURN_IF_ERROR(lexer_.TakeKeyword("ASC").status());
      COOKIX_ASSIGN_OR_RETURN(const bool more, lexer_.TakeSymbol(","));
      if (!more) return absl::OkStatus();
    }
  }

  template <typename Set>
  absl::Status TakeCount(std::string_view clause, Set&& set) {
    COOKIX_RETURN_IF_ERROR(Begin(clause));
    COOKIX_ASSIGN_OR_RETURN(const int64_t count, lexer_.RequireCount("a whole number", kMaxCount));
    set(static_cast<int32_t>(count));
    return absl::OkStatus();
  }

  absl::Status TakeNames(std::string_view what, Names* names) {
    while (true) {
      COOKIX_ASSIGN_OR_RETURN(*names->Add(), lexer_.RequireName(what));
      COOKIX_ASSIGN_OR_RETURN(const bool more, lexer_.TakeSymbol(","));
      if (!more) return absl::OkStatus();
    }
  }

  absl::Status ExpectedClause() const {
    std::string what;
    if (query_.follow_size() == 0 && !result_seen()) {
      what = "'words', ANY, ALL, PHRASE, RAW, NEAR, ALPHA, TOP, MIN SCORE, KEYS, WHERE, ";
    }
    if (!result_seen()) what += "FOLLOW, ";
    if (query_.follow_size() > 0) what += "AT, ";
    return lexer_.Expected(what + "RETURN, GROUP BY, ORDER BY, LIMIT, OFFSET or the end");
  }
  bool result_seen() const {
    for (const std::string_view clause : {"AT", "RETURN", "GROUP", "ORDER", "LIMIT", "OFFSET"}) {
      if (seen_.count(clause) > 0) return true;
    }
    return false;
  }

  SearchLexer lexer_;
  const Limits& limits_;
  v1::BuilderQuery query_;
  std::set<std::string_view> seen_;
};

}  // namespace

absl::StatusOr<v1::BuilderQuery> ParseSearch(std::string_view text, const Limits& limits,
                                             std::string_view field) {
  return SearchParser(text, limits, field).Parse();
}

}  // namespace cookix::engine
