// SEARCH statements: what they mean, and where they are wrong.
#include "engine/query/search_parser.h"

#include <string>
#include <vector>

#include "engine/query/search_writer.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

v1::BuilderQuery Parse(const std::string& text) {
  const auto query = ParseSearch(text, Limits(), "q");
  EXPECT_TRUE(query.ok()) << text << "\n" << query.status();
  return query.ok() ? *query : v1::BuilderQuery();
}

TEST(SearchParserTest, ReadsEveryClause) {
  const v1::BuilderQuery query = Parse(
      "search papers raw 'wet AND coat''s' in title, body near vector [1, -2.5e0] in embedding "
      "exact alpha 0.5 top 7 min score 0.25 where year >= 2020 "
      "follow causes, \"led to\" both hops 3 inverses where open = true follow * in "
      "at 99 return *, $vectors order by year desc, title asc limit 3 offset 4");
  EXPECT_EQ(query.collection(), "papers");
  EXPECT_EQ(query.search().text().text(), "wet AND coat's");
  EXPECT_EQ(query.search().text().mode(), v1::TEXT_QUERY_MODE_RAW);
  EXPECT_EQ(query.search().text().fields_size(), 2);
  EXPECT_EQ(query.search().vector().vector().values(1), -2.5f);
  EXPECT_EQ(query.search().vector().field(), "embedding");
  EXPECT_TRUE(query.search().vector().exact());
  EXPECT_EQ(query.search().fusion().alpha(), 0.5);
  EXPECT_EQ(query.search().limit(), 7);
  EXPECT_EQ(query.search().min_score(), 0.25);
  EXPECT_EQ(query.where().comparison().op(), v1::COMPARISON_OPERATOR_GREATER_EQUAL);
  ASSERT_EQ(query.follow_size(), 2);
  EXPECT_EQ(query.follow(0).relations(1), "led to");
  EXPECT_EQ(query.follow(0).direction(), v1::DIRECTION_BOTH);
  EXPECT_EQ(query.follow(0).max_hops(), 3);
  EXPECT_TRUE(query.follow(0).follow_inverses());
  EXPECT_TRUE(query.follow(0).where().comparison().value().bool_value());
  EXPECT_EQ(query.follow(1).relations_size(), 0);
  EXPECT_EQ(query.follow(1).direction(), v1::DIRECTION_IN);
  EXPECT_EQ(query.valid_at_ms(), 99);
  EXPECT_EQ(query.select_size(), 2);
  EXPECT_TRUE(query.order_by(0).descending());
  EXPECT_FALSE(query.order_by(1).descending());
  EXPECT_EQ(query.limit(), 3);
  EXPECT_EQ(query.offset(), 4);
}

TEST(SearchParserTest, KeywordsAreNoReservedWords) {
  const v1::BuilderQuery query =
      Parse("SEARCH search WHERE where = 1 AND in IN (2) FOLLOW in, out IN ORDER BY desc DESC");
  EXPECT_EQ(query.collection(), "search");
  EXPECT_EQ(query.where().all().operands(0).comparison().field(), "where");
  EXPECT_EQ(query.where().all().operands(1).membership().field(), "in");
  EXPECT_EQ(query.follow(0).relations_size(), 2);
  EXPECT_EQ(query.follow(0).direction(), v1::DIRECTION_IN);
  EXPECT_EQ(query.order_by(0).field(), "desc");
}

TEST(SearchParserTest, ReadsAggregates) {
  const v1::BuilderQuery query = Parse(
      "SEARCH c RETURN count(*) AS n, Sum(price), max(\"odd name\"), COUNT() "
      "GROUP BY year ORDER BY n");
  ASSERT_EQ(query.aggregates_size(), 4);
  EXPECT_EQ(query.aggregates(0).name(), "n");
  EXPECT_EQ(query.aggregates(1).function(), v1::AGGREGATE_FUNCTION_SUM);
  EXPECT_EQ(query.aggregates(2).field(), "odd name");
  EXPECT_EQ(query.aggregates(3).field(), "");
  EXPECT_EQ(query.group_by(0), "year");
  // A field may be called like a function.
  EXPECT_EQ(Parse("SEARCH c RETURN count").select(0), "count");
}

// Conditions in the one way in which they are written.
TEST(SearchParserTest, ReadsConditions) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a=1", "a = 1"},
      {"a<>-1.50", "a != -1.5"},
      {"a = 1e3", "a = 1000.0"},
      {"a=1 and b=2 or c=3", "(a = 1 AND b = 2) OR c = 3"},
      {"a=1 and (b=2 or not c=3)", "a = 1 AND (b = 2 OR NOT c = 3)"},
      {"not not a = true", "NOT NOT a = TRUE"},
      {"a not in (1, 'x', false)", "NOT a IN (1, 'x', FALSE)"},
      {"a in ()", "a IN ()"},
      {"a is null and b is not null", "a IS NULL AND b IS NOT NULL"},
      {"a like '50\\%%'", "a LIKE '50\\%%'"},
      {"a not like 'x'", "NOT a = 'x'"},
      {"a = x'00fF'", "a = x'00ff'"},
      {"\"not\" = ''''", "\"not\" = ''''"},
      {"größe.b-c <= 9223372036854775807", "größe.b-c <= 9223372036854775807"},
  };
  for (const auto& [text, meant] : cases) {
    EXPECT_EQ(WriteCondition(Parse("SEARCH c WHERE " + text).where()), meant) << text;
    EXPECT_EQ(WriteCondition(Parse("SEARCH c WHERE " + meant).where()), meant) << text;
  }
}

struct BadText {
  std::string text;
  size_t line;
  size_t column;
  size_t byte;
  std::string message;
};

TEST(SearchParserTest, ErrorsSayWhereAndWhatWasExpected) {
  const std::vector<BadText> cases = {
      {"", 1, 1, 0, "expected SEARCH, found the end"},
      {"FIND c", 1, 1, 0, "expected SEARCH, found FIND"},
      {"SEARCH", 1, 7, 6, "expected the name of a collection, found the end"},
      {"SEARCH 'words'", 1, 8, 7, "expected the name of a collection, found 'words'"},
      {"SEARCH c 'wet", 1, 10, 9, "the text that begins here has no closing quote"},
      {"SEARCH \"c", 1, 8, 7, "the name that begins here has no closing quote"},
      {"SEARCH \"\"", 1, 8, 7, "a name is not empty"},
      {"SEARCH c ALL", 1, 13, 12, "expected the words, in single quotes, found the end"},
      {"SEARCH c 'a' 'b'", 1, 14, 13, "there is a second text to search for"},
      {"SEARCH c\nWHERE a ==\n 1", 2, 10, 18, "found ="},
      {"SEARCH größe WHERE é = ?", 1, 24, 26, "expected a word, a number, or text"},
      {"SEARCH c WHERE", 1, 15, 14, "expected a field, NOT or '(', found the end"},
      {"SEARCH c WHERE a", 1, 17, 16, "expected =, !=, <, <=, >, >=, IN, LIKE, NOT or IS"},
      {"SEARCH c WHERE a = b", 1, 20, 19,
       "expected text in single quotes, a number, TRUE or FALSE, found b"},
      {"SEARCH c WHERE a = NULL", 1, 20, 19, "IS NULL"},
      {"SEARCH c WHERE a NOT b", 1, 22, 21, "expected IN or LIKE, found b"},
      {"SEARCH c WHERE a IS 3", 1, 21, 20, "expected NULL or NOT NULL, found 3"},
      {"SEARCH c WHERE (a = 1", 1, 22, 21, "expected AND, OR or ')', found the end"},
      {"SEARCH c WHERE a IN 1", 1, 21, 20, "expected '(', found 1"},
      {"SEARCH c WHERE a IN (1 2)", 1, 24, 23, "expected ',' or ')', found 2"},
      {"SEARCH c WHERE a LIKE '%x'", 1, 23, 22, "expected a prefix"},
      {"SEARCH c WHERE a LIKE 'a_b'", 1, 23, 22, "expected a prefix"},
      {"SEARCH c WHERE a LIKE 'a\\b'", 1, 23, 22, "behind a backslash"},
      {"SEARCH c WHERE a = 01", 1, 20, 19, "expected a number, such as"},
      {"SEARCH c WHERE a = 1.", 1, 20, 19, "expected a number, such as"},
      {"SEARCH c WHERE a = 9223372036854775808", 1, 20, 19, "does not fit into 64 bits"},
      {"SEARCH c WHERE a = 1e999", 1, 20, 19, "does not fit into 64 bits"},
      {"SEARCH c WHERE a = x'0g'", 1, 22, 21, "hexadecimal"},
      {"SEARCH c NEAR 'k'", 1, 15, 14, "expected KEY or VECTOR, found 'k'"},
      {"SEARCH c NEAR VECTOR []", 1, 23, 22, "expected a number, found ]"},
      {"SEARCH c NEAR VECTOR [1 2]", 1, 25, 24, "expected ',', found 2"},
      {"SEARCH c NEAR VECTOR [1e39]", 1, 23, 22, "32-bit float"},
      {"SEARCH c KEYS ('a' 'b')", 1, 20, 19, "expected ',' or ')', found 'b'"},
      {"SEARCH c TOP -1", 1, 14, 13, "expected a whole number, 0 to 2147483647, found -1"},
      {"SEARCH c TOP 1.5", 1, 14, 13, "expected a whole number"},
      {"SEARCH c MIN 3", 1, 14, 13, "expected SCORE, found 3"},
      {"SEARCH c FOLLOW 3", 1, 17, 16, "expected a relation or '*', found 3"},
      {"SEARCH c FOLLOW x HOPS 1 HOPS 2", 1, 32, 31, "a second HOPS"},
      {"SEARCH c FOLLOW x LIMIT 1 FOLLOW y", 1, 27, 26,
       "expected AT, RETURN, GROUP BY, ORDER BY, LIMIT, OFFSET or the end, found FOLLOW"},
      {"SEARCH c LIMIT 1 FOLLOW y", 1, 18, 17,
       "expected RETURN, GROUP BY, ORDER BY, LIMIT, OFFSET or the end, found FOLLOW"},
      {"SEARCH c 'rain' AT 5", 1, 17, 16, "no FOLLOW before it"},
      {"SEARCH c LIMIT 1 LIMIT 2", 1, 18, 17, "there is a second LIMIT"},
      {"SEARCH c RETURN median(x)", 1, 17, 16, "expected COUNT, SUM, MIN, MAX or AVG"},
      {"SEARCH c RETURN sum(3)", 1, 21, 20, "expected a field, '*' or ')', found 3"},
      {"SEARCH c RETURN sum(x AS y", 1, 23, 22, "expected ')', found AS"},
      {"SEARCH c GROUP year", 1, 16, 15, "expected BY, found year"},
      {"SEARCH c ORDER BY", 1, 18, 17, "expected a field, found the end"},
      {"SEARCH c LIMT 3", 1, 10, 9, "expected 'words', ANY, ALL"},
      {"SEARCH c ;", 1, 10, 9, "found ;"},
      {std::string("SEARCH c\0", 9), 1, 9, 8, "NUL"},
      {"SEARCH c '\xff'", 1, 11, 10, "not UTF-8"},
  };
  for (const BadText& bad : cases) {
    const auto query = ParseSearch(bad.text, Limits(), "q");
    ASSERT_FALSE(query.ok()) << bad.text;
    EXPECT_EQ(query.status().code(), absl::StatusCode::kInvalidArgument) << bad.text;
    EXPECT_EQ(GetErrorDetail(query.status())->field, "q") << bad.text;
    const std::string message(query.status().message());
    const std::string place = "line " + std::to_string(bad.line) + ", column " +
                              std::to_string(bad.column) + " (byte " + std::to_string(bad.byte) +
                              "): ";
    EXPECT_EQ(message.substr(0, place.size()), place) << bad.text << "\n" << message;
    EXPECT_NE(message.find(bad.message), std::string::npos) << bad.text << "\n" << message;
  }
}

TEST(SearchParserTest, DepthIsLimited) {
  Limits limits;
  limits.max_filter_depth = 10;
  const auto nested = [&](int depth) {
    return ParseSearch(
        "SEARCH c WHERE " + std::string(depth, '(') + "a = 1" + std::string(depth, ')'), limits,
        "q");
  };
  EXPECT_TRUE(nested(9).ok());
  const auto query = nested(10);
  ASSERT_FALSE(query.ok());
  EXPECT_EQ(GetErrorDetail(query.status())->reason, "LIMIT_EXCEEDED");
}

}  // namespace
}  // namespace cookix::engine
