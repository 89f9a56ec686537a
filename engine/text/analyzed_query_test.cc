#include "engine/text/analyzed_query.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using testing::HasSubstr;
using Kind = AnalyzedQuery::Kind;

std::shared_ptr<const Analyzer> Make(std::string language) {
  return Analyzer::Create({.language = std::move(language)}, "analyzer").value();
}

// One English field, a French one besides, one of no language, one that is only found
// by its name.
const std::vector<TextQueryField>& OneField() {
  static const auto* const fields = new std::vector<TextQueryField>{{"body", Make("en")}};
  return *fields;
}
const std::vector<TextQueryField>& Fields() {
  static const auto* const fields = new std::vector<TextQueryField>{
      {"body", Make("en")}, {"code", Make(""), 2}, {"note", Make("fr"), 1, /*by_default=*/false}};
  return *fields;
}

std::string Analyzed(const std::vector<TextQueryField>& fields, std::string_view text,
                     TextQueryMode mode) {
  const auto query = ParseUserText(text, mode, {}, "text");
  if (!query.ok()) return query.status().ToString();
  const auto analyzed = AnalyzeQuery(*query, fields, {}, "text");
  if (!analyzed.ok()) return analyzed.status().ToString();
  return ToString(*analyzed, fields);
}

TEST(AnalyzedQueryTest, RawQueriesOfOneField) {
  const struct {
    std::string_view text;
    std::string_view analyzed;
  } cases[] = {
      {"", ""},
      {"Raining", "body:rain"},
      {"raining cities", "(body:rain AND body:citi)"},
      {"raining OR cities^2", "(body:rain OR body:citi^2)"},
      {"rain NOT suns", "(body:rain NOT body:sun)"},
      {"rain NOT (suns OR winds)", "(body:rain NOT body:sun NOT body:wind)"},
      {"rain NOT (suns winds)", "(body:rain NOT (body:sun AND body:wind))"},
      // Nested parts of one kind are one part.
      {"(a1 b1) (c1 NOT d1)", "(body:a1 AND body:b1 AND body:c1 NOT body:d1)"},
      {"(a1 OR b1) OR c1", "(body:a1 OR body:b1 OR body:c1)"},
      // Boosts multiply down, equal parts add up.
      {"(rain^2 OR sun)^3", "(body:rain^6 OR body:sun^3)"},
      {"rain OR raining^4 OR rains", "body:rain^6"},
      {"rain rain", "body:rain^2"},
      {"(a1 OR b1) (a1 OR b1^2)", "(body:a1^2 OR body:b1^3)"},
      // A word of several tokens is a phrase.
      {"well-known", R"(body:"well known")"},
      {R"("The Heavy Rains")", R"(body:"heavi rain")"},
      {R"("rains of the cities"~2^3)", R"(body:"rain _ _ citi"~2^3)"},
      {R"("raining")", "body:rain"},
      {R"("")", ""},
      // Neither stemmed nor checked for stop words.
      {"Cafés* The*", "(body:cafes* AND body:the*)"},
      {"Raining~2/0", "body:raining~2/0"},
      {"well-known*", "(body:known* AND body:well)"},
      {"well-knwon~1/1", "(body:well~1/1 AND body:knwon~1/1)"},
      // Stop words vanish.
      {"the", ""},
      {"the rain", "body:rain"},
      {"the OR rain", "body:rain"},
      {"rain NOT the", "body:rain"},
      {"the NOT rain", ""},
      {"... rain ---", "body:rain"},
      {"---*", ""},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Analyzed(OneField(), c.text, TextQueryMode::kRaw), c.analyzed) << c.text;
  }
}

TEST(AnalyzedQueryTest, UserText) {
  const std::string_view text = "The raining, cities: (\"RAIN\"";
  EXPECT_EQ(Analyzed(OneField(), text, TextQueryMode::kAnyWords), "(body:rain^2 OR body:citi)");
  EXPECT_EQ(Analyzed(OneField(), text, TextQueryMode::kAllWords), "(body:rain^2 AND body:citi)");
  EXPECT_EQ(Analyzed(OneField(), text, TextQueryMode::kPhrase), R"(body:"rain citi rain")");
  for (const auto mode :
       {TextQueryMode::kAnyWords, TextQueryMode::kAllWords, TextQueryMode::kPhrase}) {
    EXPECT_EQ(Analyzed(OneField(), "the of", mode), "");
    EXPECT_EQ(Analyzed(OneField(), "...", mode), "");
  }
  EXPECT_EQ(Analyzed(OneField(), "東京の天気", TextQueryMode::kAnyWords),
            "(body:東京 OR body:の OR body:天気)");
}

TEST(AnalyzedQueryTest, SeveralFields) {
  EXPECT_EQ(Analyzed(Fields(), "raining", TextQueryMode::kRaw), "(body:rain OR code:raining^2)");
  EXPECT_EQ(Analyzed(Fields(), "code:raining^3", TextQueryMode::kRaw), "code:raining^6");
  EXPECT_EQ(Analyzed(Fields(), "note:étés", TextQueryMode::kRaw), "note:ete");
  EXPECT_EQ(Analyzed(Fields(), "raining cities", TextQueryMode::kAllWords),
            "((body:rain OR code:raining^2) AND (body:citi OR code:cities^2))");
  EXPECT_EQ(Analyzed(Fields(), "raining cities", TextQueryMode::kAnyWords),
            "(body:rain OR code:raining^2 OR body:citi OR code:cities^2)");
}

TEST(AnalyzedQueryTest, AStopWordOfOneFieldIsNotRequiredInAnother) {
  EXPECT_EQ(Analyzed(Fields(), "the rain", TextQueryMode::kAllWords), "(body:rain OR code:rain^2)");
  EXPECT_EQ(Analyzed(Fields(), "the rain", TextQueryMode::kRaw), "(body:rain OR code:rain^2)");
  EXPECT_EQ(Analyzed(Fields(), "(the OR of) rain", TextQueryMode::kRaw),
            "(body:rain OR code:rain^2)");
  // It may still be found, and is required where nothing else is asked for.
  EXPECT_EQ(Analyzed(Fields(), "the rain", TextQueryMode::kAnyWords),
            "(code:the^2 OR body:rain OR code:rain^2)");
  EXPECT_EQ(Analyzed(Fields(), "the of", TextQueryMode::kAllWords), "(code:the^2 AND code:of^2)");
  EXPECT_EQ(Analyzed(Fields(), "the of", TextQueryMode::kRaw), "(code:the^2 AND code:of^2)");
}

TEST(AnalyzedQueryTest, TheTreeInFull) {
  const auto query = ParseRawText(R"("rains of city"~3 NOT su*)", {}, "text");
  const auto analyzed = AnalyzeQuery(*query, OneField(), {}, "text");
  ASSERT_TRUE(analyzed.ok());
  AnalyzedQuery expected{.kind = Kind::kAnd};
  expected.children.push_back(
      {.kind = Kind::kPhrase, .phrase = {{"rain", 0}, {"citi", 2}}, .slop = 3});
  expected.excluded.push_back({.kind = Kind::kPrefix, .term = "su"});
  EXPECT_EQ(*analyzed, expected);
}

TEST(AnalyzedQueryTest, Refusals) {
  const auto refused = [](std::string_view text, TextQueryMode mode,
                          const TextQueryLimits& limits = {}) {
    const absl::Status status =
        AnalyzeQuery(*ParseUserText(text, mode, {}, "text"), Fields(), limits, "q.text").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(GetErrorDetail(status)->field, "q.text");
    return GetErrorDetail(status)->reason + ": " + std::string(status.message()) + ". " +
           GetErrorDetail(status)->remedy;
  };
  EXPECT_THAT(
      refused("titel:rain", TextQueryMode::kRaw),
      testing::AllOf(HasSubstr(": line 1, column 1 (byte 0): there is no text field 'titel'"),
                     HasSubstr("body, code, note")));
  EXPECT_THAT(refused("né body:(a\ntitel:(rain sun))", TextQueryMode::kRaw),
              HasSubstr("line 2, column 1 (byte 12): there is no text field 'titel'"));
  EXPECT_THAT(refused("a \xFF", TextQueryMode::kAnyWords), HasSubstr("byte 2"));
  EXPECT_THAT(refused("a1 b1 c1", TextQueryMode::kAnyWords, {.max_terms = 2}),
              HasSubstr("LIMIT_EXCEEDED: the query has more than 2 words"));
  EXPECT_THAT(refused("\"a1 b1 c1\"", TextQueryMode::kRaw, {.max_phrase_tokens = 2}),
              HasSubstr("LIMIT_EXCEEDED: a phrase has 3 words"));
  EXPECT_THAT(refused("a1 b1", TextQueryMode::kPhrase, {.max_bytes = 3}),
              HasSubstr("LIMIT_EXCEEDED"));
  EXPECT_THAT(refused("((a^1000000 b)^1000000 c)^1000000", TextQueryMode::kRaw),
              HasSubstr("boosts"));
  // Words said twice count once, in however many fields.
  EXPECT_TRUE(AnalyzeQuery(*ParseUserText("a1 b1 a1 the", TextQueryMode::kAnyWords, {}, "text"),
                           Fields(), {.max_terms = 3}, "q.text")
                  .ok());
}

TEST(AnalyzedQueryTest, TreesThatNoParserMakes) {
  TextQuery deep{.kind = TextQuery::Kind::kTerm, .text = "rain"};
  for (int i = 0; i < 10'000; ++i) {
    TextQuery outer{.kind = TextQuery::Kind::kOr};
    outer.children.push_back(std::move(deep));
    deep = std::move(outer);
  }
  EXPECT_EQ(GetErrorDetail(AnalyzeQuery(deep, OneField(), {}, "text").status())->reason,
            "LIMIT_EXCEEDED");
  TextQuery alone{.kind = TextQuery::Kind::kNot};
  alone.children.push_back({.kind = TextQuery::Kind::kTerm, .text = "rain"});
  EXPECT_EQ(AnalyzeQuery(alone, OneField(), {}, "text")->kind, Kind::kNothing);
  EXPECT_FALSE(AnalyzeQuery({.kind = TextQuery::Kind::kTerm, .text = "a"}, {}, {}, "text").ok());
}

}  // namespace
}  // namespace cookix::engine
