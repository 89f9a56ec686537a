#include "engine/text/text_query.h"

#include <random>
#include <string>
#include <vector>

#include "engine/text/source_position.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using testing::HasSubstr;
using Kind = TextQuery::Kind;

constexpr std::string_view kField = "search.text";

absl::StatusOr<TextQuery> ParseRaw(std::string_view text, const TextQueryLimits& limits = {}) {
  return ParseRawText(text, limits, kField);
}

TEST(TextQueryTest, RawQueriesAndTheTreesTheyAre) {
  const struct {
    std::string_view text;
    std::string_view tree;
  } cases[] = {
      {"", ""},
      {" \t\n", ""},
      {"rain", "rain"},
      {"rain sun", "rain AND sun"},
      {"rain AND sun", "rain AND sun"},
      {"rain OR sun wind", "rain OR (sun AND wind)"},
      {"rain sun OR wind AND hail", "(rain AND sun) OR (wind AND hail)"},
      {"(rain OR sun) wind", "(rain OR sun) AND wind"},
      {"rain NOT sun", "rain AND NOT sun"},
      {"NOT sun AND rain", "NOT sun AND rain"},
      {"rain AND NOT (sun OR wind)", "rain AND NOT (sun OR wind)"},
      {"((rain))", "rain"},
      {"(rain sun) wind", "(rain AND sun) AND wind"},
      {"and or not And", "and AND or AND not AND And"},
      {"ANDROID ORACLE NOTE", "ANDROID AND ORACLE AND NOTE"},
      {R"(\AND \NOT O\R)", R"(\AND AND \NOT AND \OR)"},
      {R"("heavy rain")", R"("heavy rain")"},
      {R"("heavy rain"~3)", R"("heavy rain"~3)"},
      {R"("heavy rain"~0)", R"("heavy rain")"},
      {R"("say \"rain\" \\ AND (")", R"("say \"rain\" \\ AND (")"},
      {R"("")", R"("")"},
      {"rai*", "rai*"},
      {"rian~", "rian~1/1"},
      {"rian~0", "rian~0/1"},
      {"rian~2", "rian~2/1"},
      {"rian~2/0", "rian~2/0"},
      {"rian~1/3^2", "rian~1/3^2"},
      {"title:rain", "title:rain"},
      {"title: rain", "title:rain"},
      {"a.b-c:rain", "a.b-c:rain"},
      {R"(od\ d:rain)", R"(od\ d:rain)"},
      {R"(title:"heavy rain"~1)", R"(title:"heavy rain"~1)"},
      {"title:(rain OR body:sun)", "title:rain OR body:sun"},
      {"title:(rain (sun OR wind*))", "title:rain AND (title:sun OR title:wind*)"},
      {"title:rain*^0.5", "title:rain*^0.5"},
      {"rain^2.50", "rain^2.5"},
      {"rain^1", "rain"},
      {"(rain^2)^3", "rain^6"},
      {"(rain OR sun)^2 wind", "(rain OR sun)^2 AND wind"},
      {"(rain OR sun)^2", "(rain OR sun)^2"},
      {"don't e-mail C++ a/b 3.14 #tag @x",
       "don't AND e-mail AND C++ AND a/b AND 3.14 AND #tag AND @x"},
      {R"(\(x\) a\:b 5\^2 \~ \*)", R"(\(x\) AND a\:b AND 5\^2 AND \~ AND \*)"},
      {"東京 naïve 😀*", "東京 AND naïve AND 😀*"},
      {"a\u3000b\u00A0c", "a AND b AND c"},
  };
  for (const auto& c : cases) {
    const auto query = ParseRaw(c.text);
    ASSERT_TRUE(query.ok()) << c.text << ": " << query.status();
    EXPECT_EQ(ToString(*query), c.tree) << c.text;
    const auto again = ParseRaw(ToString(*query));
    ASSERT_TRUE(again.ok()) << c.text << ": " << again.status();
    EXPECT_EQ(*again, *query) << c.text;
  }
}

TEST(TextQueryTest, RawLeaves) {
  const TextQuery fuzzy = *ParseRaw("title:rian~2/3^4");
  EXPECT_EQ(fuzzy, (TextQuery{.kind = Kind::kFuzzy,
                              .field = "title",
                              .text = "rian",
                              .boost = 4,
                              .max_edits = 2,
                              .prefix_length = 3}));
  const TextQuery phrase = *ParseRaw("\"a  b\"~7");
  EXPECT_EQ(phrase, (TextQuery{.kind = Kind::kPhrase, .text = "a  b", .slop = 7}));
  const TextQuery excluded = *ParseRaw("a NOT b");
  ASSERT_EQ(excluded.kind, Kind::kAnd);
  ASSERT_EQ(excluded.children.size(), 2u);
  EXPECT_EQ(excluded.children[1].kind, Kind::kNot);
  EXPECT_EQ(excluded.children[1].children[0].text, "b");
}

TEST(TextQueryTest, RawErrorsSayWhereAndWhatWasExpected) {
  const struct {
    std::string_view text;
    std::string_view message;
  } cases[] = {
      {"(", "line 1, column 2 (byte 1): expected a word, a phrase or '(', found the end"},
      {"(rain",
       "column 6 (byte 5): expected AND, OR, NOT, a word, a phrase or '(' or ')', found the end"},
      {"rain)",
       "column 5 (byte 4): expected AND, OR, NOT, a word, a phrase or '(' or the end, found ')'"},
      {"()", "column 2 (byte 1): expected a word, a phrase or '(', found ')'"},
      {"rain AND", "column 9 (byte 8): expected a word, a phrase or '(', found the end"},
      {"rain AND OR sun", "column 10 (byte 9): expected a word, a phrase or '(', found OR"},
      {"AND rain", "column 1 (byte 0): expected a word, a phrase or '(', found AND"},
      {"rain OR", "column 8 (byte 7): expected a word"},
      {"rain\nAND )", "line 2, column 5 (byte 9): expected a word, a phrase or '(', found ')'"},
      {"né\n\n東京 ^2", "line 3, column 4 (byte 12): expected a word, a phrase or '(', found '^'"},
      {"NOT rain", "column 1 (byte 0): NOT only excludes"},
      {"sun OR NOT rain", "column 8 (byte 7): NOT only excludes"},
      {"sun (NOT rain)", "column 6 (byte 5): NOT only excludes"},
      {"NOT NOT rain", "column 5 (byte 4): expected a word, a phrase or '(', found NOT"},
      {"\"rain", "column 1 (byte 0): the phrase that begins here has no closing quote"},
      {"a \"rain\\\"", "column 3 (byte 2): the phrase that begins here"},
      {"rain\\", "column 6 (byte 5): expected a character after the backslash, found the end"},
      {"*", "column 1 (byte 0): expected a word, a phrase or '(', found '*'"},
      {"a*b", "column 3 (byte 2): expected a space, found 'b'"},
      {"a**", "column 3 (byte 2): expected a space, found '*'"},
      {"a\"b\"", "column 2 (byte 1): expected a space, found '\"'"},
      {"\"a\"b", "column 4 (byte 3): expected a space, found 'b'"},
      {"\"a\"*", "column 4 (byte 3): expected a space, found '*'"},
      {"a(b)", "column 2 (byte 1): expected a space, found '('"},
      {"rain~3", "column 6 (byte 5): the number of edits is 0 to 2"},
      {"rain~1/",
       "column 8 (byte 7): expected a number after '/' (the number of first letters), found the "
       "end"},
      {"rain~1/101", "column 8 (byte 7): the number of first letters is 0 to 100"},
      {"rain~99999999999999999999", "column 6 (byte 5): the number of edits is 0 to 2"},
      {"\"a b\"~x",
       "column 7 (byte 6): expected a number after '~' (how far words may be out of place), found "
       "'x'"},
      {"\"a b\"~101", "column 7 (byte 6): how far words may be out of place is 0 to 100"},
      {"rain^", "column 6 (byte 5): expected a boost, such as 2.5, found the end"},
      {"rain^inf", "column 6 (byte 5): expected a boost, such as 2.5, found 'i'"},
      {"rain^-1", "column 6 (byte 5): expected a boost"},
      {"rain^0", "column 6 (byte 5): a boost is 0.000001 to 1000000"},
      {"rain^1000001", "column 6 (byte 5): a boost is"},
      {"(rain^1000000)^1000000", "column 16 (byte 15): a boost is"},
      {"title:", "column 7 (byte 6): expected a word, a phrase or '(', found the end"},
      {"title:AND", "column 7 (byte 6): expected a word, a phrase or '(', found AND"},
      {"title:a:b", "column 8 (byte 7): expected a space, found ':'"},
      {":rain", "column 1 (byte 0): expected a word, a phrase or '(', found ':'"},
      {"title:^2", "column 7 (byte 6): expected a word, a phrase or '(', found '^'"},
  };
  for (const auto& c : cases) {
    const auto query = ParseRaw(c.text);
    ASSERT_EQ(query.status().code(), absl::StatusCode::kInvalidArgument) << c.text;
    EXPECT_THAT(std::string(query.status().message()), HasSubstr(std::string(c.message))) << c.text;
    const auto detail = GetErrorDetail(query.status());
    EXPECT_EQ(detail->reason, "INVALID_FIELD");
    EXPECT_EQ(detail->field, kField);
    EXPECT_FALSE(detail->remedy.empty());
  }
  EXPECT_THAT(std::string(ParseRaw("rain \xFF").status().message()), HasSubstr("byte 5"));
}

std::string Repeat(std::string_view text, size_t times) {
  std::string result;
  for (size_t i = 0; i < times; ++i) result += text;
  return result;
}

TEST(TextQueryTest, RawLimits) {
  const TextQueryLimits limits;
  const std::string deepest = Repeat("(", limits.max_depth) + "a" + Repeat(")", limits.max_depth);
  EXPECT_TRUE(ParseRaw(deepest).ok());
  EXPECT_TRUE(ParseRaw(Repeat("title:a ", limits.max_terms)).ok());
  for (const std::string& text :
       {"(" + deepest + ")", Repeat("(", 50'000), Repeat("a ", limits.max_terms + 1),
        Repeat("\"a\" ", limits.max_terms + 1), std::string(limits.max_bytes + 1, 'a')}) {
    const auto query = ParseRaw(text);
    ASSERT_EQ(query.status().code(), absl::StatusCode::kInvalidArgument) << text.substr(0, 80);
    EXPECT_EQ(GetErrorDetail(query.status())->reason, "LIMIT_EXCEEDED");
  }
  EXPECT_THAT(std::string(ParseRaw("(((a)))", {.max_depth = 2}).status().message()),
              HasSubstr("column 3 (byte 2): parentheses are nested more than 2 deep"));
}

TEST(TextQueryTest, UserTextHasNoSyntax) {
  for (const std::string_view text :
       {"rain", "(", "\"", "NOT", "a AND", "x^^", "\\", "~*:", "\xFF\xFE", "title:"}) {
    for (const auto& [mode, kind] : {std::pair(TextQueryMode::kAnyWords, Kind::kAnyWords),
                                     std::pair(TextQueryMode::kAllWords, Kind::kAllWords),
                                     std::pair(TextQueryMode::kPhrase, Kind::kPhrase)}) {
      const auto query = ParseUserText(text, mode, {}, kField);
      ASSERT_TRUE(query.ok()) << text;
      EXPECT_EQ(*query, (TextQuery{.kind = kind, .text = std::string(text)}));
    }
  }
  EXPECT_EQ(*ParseUserText(" \n\u3000", TextQueryMode::kAnyWords, {}, kField), TextQuery());
  EXPECT_EQ(ToString(*ParseUserText("a \"b\"", TextQueryMode::kAnyWords, {}, kField)),
            R"(ANY("a \"b\""))");
  EXPECT_EQ(ParseUserText("a OR b", TextQueryMode::kRaw, {}, kField)->kind, Kind::kOr);
  EXPECT_FALSE(ParseUserText("a OR", TextQueryMode::kRaw, {}, kField).ok());
}

// Trees as the parser makes them.
TextQuery RandomTree(std::mt19937_64& random, int depth) {
  const std::string texts[] = {"rain",  "AND",  "a b", "(x",     "\\", "\"q\"",
                               "é:^~*", "東京", "NOT", "\u3000", "OR", "x y z"};
  const double boosts[] = {1, 1, 1, 2.5, 0.1, 1000000, 0.000001, 1.0 / 3};
  TextQuery query;
  query.boost = boosts[random() % std::size(boosts)];
  if (depth == 0 || random() % 3 == 0) {
    const Kind kinds[] = {Kind::kTerm, Kind::kPhrase, Kind::kPrefix, Kind::kFuzzy};
    query.kind = kinds[random() % std::size(kinds)];
    query.text = texts[random() % std::size(texts)];
    if (random() % 2 == 0) query.field = texts[random() % std::size(texts)];
    if (query.kind == Kind::kPhrase) query.slop = random() % 4;
    if (query.kind == Kind::kFuzzy) {
      query.max_edits = random() % 3;
      query.prefix_length = random() % 5;
    }
    return query;
  }
  query.kind = random() % 2 == 0 ? Kind::kAnd : Kind::kOr;
  const size_t children = 2 + random() % 2;
  for (size_t i = 0; i < children; ++i) {
    TextQuery child = RandomTree(random, depth - 1);
    if (query.kind == Kind::kAnd && i > 0 && random() % 3 == 0) {
      TextQuery excluded{.kind = Kind::kNot};
      excluded.children.push_back(std::move(child));
      child = std::move(excluded);
    }
    query.children.push_back(std::move(child));
  }
  return query;
}

TEST(TextQueryTest, APrintedTreeParsesToItself) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 20'000; ++i) {
    const TextQuery query = RandomTree(random, 3);
    const auto again = ParseRaw(ToString(query));
    ASSERT_TRUE(again.ok()) << ToString(query) << ": " << again.status();
    ASSERT_EQ(*again, query) << ToString(query);
  }
}

TEST(TextQueryTest, PositionsCountCharacters) {
  EXPECT_EQ(LocateByte("", 0), (SourcePosition{0, 1, 1}));
  EXPECT_EQ(LocateByte("é東\nx", 5), (SourcePosition{5, 1, 3}));
  EXPECT_EQ(LocateByte("é東\nx", 6), (SourcePosition{6, 2, 1}));
  EXPECT_EQ(LocateByte("a\n\n", 3), (SourcePosition{3, 3, 1}));
}

}  // namespace
}  // namespace cookix::engine
