// `bring` documents: what they mean, and where they are wrong.
#include "engine/query/bring_query.h"

#include <string>
#include <vector>

#include "engine/query/search_writer.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

v1::BuilderQuery Parse(const std::string& text) {
  const auto query = ParseBringQuery(text, Limits(), "q");
  EXPECT_TRUE(query.ok()) << text << "\n" << query.status();
  return query.ok() ? *query : v1::BuilderQuery();
}

TEST(BringQueryTest, ReadsEveryMember) {
  const v1::BuilderQuery query = Parse(R"(
    bring "papers" {   # a comment
      search { text = "wet \"coat\"\n\u{1F36A}" mode = "phrase" fields = ["title"]
               boosts { title = 2 body = 0.5 } }
      near = [1, -2.5] @field="embedding" @ef=50 @cells=3 @exact=true @metric="dot"
      lanes = [{ search = "rain" name = "words" weight = 2.0 candidates = 50 },
               { near = "k1" }, { around { anchors = ["umbrella", "boots" @collection="things"]
                                           relations = ["causes"] hops = 2 } }]
      fusion { method = "normalized_score" alpha = 0.25 rank_constant = 10 }
      top = 5
      min_score = 1
      snippets { fields = ["title"] max_words = 20 max_snippets = 2 }
      keys = ["a", "b"]
      follow = ["causes"] @hops=2 @direction="both" @inverses=true
      follow { relations = [] where { open = true } }
      at = 99
      select = ["title"]
      aggregates = ["count", "sum" @field="price" @name="total"]
      group = ["year"]
      order = ["year" @desc=true, { field = "total" }]
      limit = 10
      offset = 20
    })");
  EXPECT_EQ(query.collection(), "papers");
  EXPECT_EQ(query.search().text().text(), "wet \"coat\"\n\xF0\x9F\x8D\xAA");
  EXPECT_EQ(query.search().text().mode(), v1::TEXT_QUERY_MODE_PHRASE);
  EXPECT_EQ(query.search().text().boosts().at("title"), 2.0);
  EXPECT_EQ(query.search().vector().vector().values(1), -2.5f);
  EXPECT_EQ(query.search().vector().ef(), 50);
  EXPECT_EQ(query.search().vector().cells_probed(), 3);
  EXPECT_EQ(query.search().vector().metric(), v1::VECTOR_METRIC_DOT);
  ASSERT_EQ(query.search().lanes_size(), 3);
  EXPECT_EQ(query.search().lanes(0).weight(), 2.0);
  EXPECT_EQ(query.search().lanes(1).vector().key(), "k1");
  EXPECT_EQ(query.search().lanes(2).neighbourhood().anchors(1).collection(), "things");
  EXPECT_EQ(query.search().fusion().method(), v1::FUSION_METHOD_NORMALIZED_SCORE);
  EXPECT_EQ(query.search().fusion().alpha(), 0.25);
  EXPECT_EQ(query.search().limit(), 5);
  EXPECT_EQ(query.search().min_score(), 1.0);
  EXPECT_EQ(query.search().snippets().max_snippets(), 2);
  EXPECT_EQ(query.keys_size(), 2);
  ASSERT_EQ(query.follow_size(), 2);
  EXPECT_EQ(query.follow(0).direction(), v1::DIRECTION_BOTH);
  EXPECT_TRUE(query.follow(0).follow_inverses());
  EXPECT_TRUE(query.follow(1).has_where());
  EXPECT_EQ(query.valid_at_ms(), 99);
  EXPECT_EQ(query.aggregates(1).name(), "total");
  EXPECT_TRUE(query.order_by(0).descending());
  EXPECT_EQ(query.order_by(1).field(), "total");
  EXPECT_EQ(query.limit(), 10);
  EXPECT_EQ(query.offset(), 20);
}

TEST(BringQueryTest, ReadsConditions) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"(a = 1)", "a = 1"},
      {R"(a = "x" b = true)", "a = 'x' AND b = TRUE"},
      {R"(a = [1, "x"])", "a IN (1, 'x')"},
      {R"(a = null)", "a IS NULL"},
      {R"(a { gt = 1 lte = 2.0 })", "a > 1 AND a <= 2.0"},
      {R"(a = { ne = 1 } b = { prefix = "p" })", "a != 1 AND b LIKE 'p%'"},
      {R"(a = { exists = true } b = { exists = false })", "a IS NOT NULL AND b IS NULL"},
      {R"(a = { in = [1] })", "a IN (1)"},
      {R"(any = [{ a = 1 }, { b = 2 c = 3 }])", "a = 1 OR (b = 2 AND c = 3)"},
      {R"(not { a = 1 })", "NOT a = 1"},
      {R"("not" = 1 "any" = [1])", "\"not\" = 1 AND any IN (1)"},
      {R"("odd name" = 1)", "\"odd name\" = 1"},
  };
  for (const auto& [text, meant] : cases) {
    EXPECT_EQ(WriteCondition(Parse("bring c { where { " + text + " } }").where()), meant) << text;
  }
}

struct BadText {
  std::string text;
  size_t line;
  size_t column;
  std::string message;
};

TEST(BringQueryTest, ErrorsSayWhereAndWhatWasExpected) {
  const std::vector<BadText> cases = {
      {"", 1, 1, "expected the word bring and the name of a collection, found the end"},
      {"schema X {}", 1, 1, "expected the word bring and the name of a collection, found schema"},
      {"BRING c {}", 1, 1, "found BRING"},
      {"bring", 1, 6, "expected the name of a collection, found the end"},
      {"bring {", 1, 7, "expected the name of a collection, found {"},
      {"bring c", 1, 8, "expected '{', found the end"},
      {"bring c {", 1, 10, "expected a name or '}', found the end"},
      {"bring c {} x", 1, 12, "expected the end, found x"},
      {"bring c { limit }", 1, 17, "expected '=' or '{', found }"},
      {"bring c { limit = }", 1, 19, "expected text in double quotes, a number, true"},
      {"bring c { limit = 3, }", 1, 20, "expected a name or '}', found ,"},
      {"bring c { limit = 3 limit = 4 }", 1, 21, "there is a second limit"},
      {"bring c { limit = 3.5 }", 1, 19, "expected a whole number, 0 to 2147483647"},
      {"bring c { limit = \"3\" }", 1, 19, "expected a whole number"},
      {"bring c { limit = -3 }", 1, 19, "expected a whole number"},
      {"bring c { limit = 3 @unit=1 }", 1, 21, "the value has no attributes here"},
      {"bring c {\n  limt = 3\n}", 2, 3, "expected one of keys, search, near"},
      {"bring c { search = words }", 1, 20, "expected text in double quotes, a number, true"},
      {"bring c { search = True }", 1, 20, "found True"},
      {"bring c { search = 3 }", 1, 20, "expected text in double quotes"},
      {"bring c { search = \"a }", 1, 20, "the text that begins here has no closing quote"},
      {"bring c { search = \"a\\x\" }", 1, 22, "expected \\\", \\\\, \\n"},
      {"bring c { search = \"\\u{D800}\" }", 1, 21, "expected a character's number"},
      {"bring c { search = \"\\u{0}\" }", 1, 21, "expected a character's number"},
      {"bring c { search = \"a\" @mode=\"best\" }", 1, 30,
       "expected one of \"any\", \"all\", \"phrase\", \"raw\""},
      {"bring c { search = \"a\" @mode \"all\" }", 1, 30, "expected '=', found \""},
      {"bring c { search = \"a\" @text=\"b\" }", 1, 24, "there is a second text"},
      {"bring c { search = \"a\" @size=3 }", 1, 24, "expected one of text, mode, fields, boosts"},
      {"bring c { near = [1, \"a\"] }", 1, 22, "expected a number"},
      {"bring c { near = [1e39] }", 1, 19, "32-bit float"},
      {"bring c { near = [1 2] }", 1, 21, "expected ',' or ']', found 2"},
      {"bring c { near = [1,] }", 1, 21, "found ]"},
      {"bring c { near { key = \"a\" vector = [1] } }", 1, 37, "either a key or a vector"},
      {"bring c { near { bits = \"0\" } }", 1, 25, "two hexadecimal digits"},
      {"bring c { lanes = [{ search = \"a\" near = \"b\" }] }", 1, 42,
       "a lane has one of search, near and around"},
      {"bring c { lanes = [\"a\"] }", 1, 20, "expected a block in { }"},
      {"bring c { where = 3 }", 1, 19, "expected a block in { }"},
      {"bring c { where { a = { } } }", 1, 23, "expected a test, such as { gte = 3 }"},
      {"bring c { where { a = { above = 3 } } }", 1, 25, "expected one of eq, ne, gt, gte"},
      {"bring c { where { a = [null] } }", 1, 24, "expected text in double quotes, a number, true"},
      {"bring c { where { a = { gt = null } } }", 1, 30, "expected text in double quotes"},
      {"bring c { where { a = 1 @b=2 } }", 1, 25, "the value has no attributes here"},
      {"bring c { where { any = { a = 1 } } }", 1, 25, "expected a list in [ ]"},
      {"bring c { follow = \"causes\" }", 1, 20, "expected a list in [ ]"},
      {"bring c { follow = [\"causes\"] @direction=\"up\" }", 1, 42, "expected one of \"out\""},
      {"bring c { order = \"a\" }", 1, 19, "expected a list in [ ]"},
      {"bring c { at = -5 }", 1, 16, "expected a whole number"},
      {"bring c {\n  limit = 1 at = 5 order = [\"a\"] }", 2, 18, "there is no follow"},
      {"bring c { größe = 1 }", 1, 11, "found größe"},
      {"bring c { limit = 1 \xff }", 1, 21, "not UTF-8"},
  };
  for (const BadText& bad : cases) {
    const auto query = ParseBringQuery(bad.text, Limits(), "q");
    ASSERT_FALSE(query.ok()) << bad.text;
    EXPECT_EQ(query.status().code(), absl::StatusCode::kInvalidArgument) << bad.text;
    EXPECT_EQ(GetErrorDetail(query.status())->field, "q") << bad.text;
    const std::string message(query.status().message());
    const std::string place =
        "line " + std::to_string(bad.line) + ", column " + std::to_string(bad.column) + " (byte ";
    EXPECT_EQ(message.substr(0, place.size()), place) << bad.text << "\n" << message;
    EXPECT_NE(message.find(bad.message), std::string::npos) << bad.text << "\n" << message;
  }
}

TEST(BringQueryTest, DepthIsLimited) {
  const auto nested = [](int depth) {
    std::string text = "bring c { where ";
    for (int i = 0; i < depth; ++i) text += "{ not ";
    text += "{ a = 1 }";
    for (int i = 0; i < depth; ++i) text += " }";
    return ParseBringQuery(text + " }", Limits(), "q");
  };
  EXPECT_TRUE(nested(140).ok());
  const auto query = nested(160);
  ASSERT_FALSE(query.ok());
  EXPECT_EQ(GetErrorDetail(query.status())->reason, "LIMIT_EXCEEDED");
  EXPECT_FALSE(
      ParseBringQuery("bring c { near = " + std::string(100'000, '[') + "}", Limits(), "q").ok());
}

}  // namespace
}  // namespace cookix::engine
