#include "engine/text/snippet.h"

#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

const std::vector<TextQueryField>& Fields() {
  static const auto* const fields = new std::vector<TextQueryField>{
      {"body", Analyzer::Create({.language = "en"}, "analyzer").value()},
      {"title", Analyzer::Create({.language = "en"}, "analyzer").value()}};
  return *fields;
}

SnippetMatcher Match(std::string_view raw) {
  const auto query = AnalyzeQuery(*ParseRawText(raw, {}, "text"), Fields(), {}, "text");
  EXPECT_TRUE(query.ok()) << query.status();
  return SnippetMatcher(*query, 0);
}

std::string Snippet(std::string_view text, const SnippetMatcher& matcher,
                    const SnippetOptions& options = {}) {
  return RenderSnippet(text, MakeSnippet(text, *Fields()[0].analyzer, matcher, options));
}

const std::string kText =
    "Clouds gather over the hills. After noon the first rain falls on dry fields, and the "
    "river rises. By evening heavy rains flood the lower streets of the town; sandbags hold "
    "the water back until morning.";

TEST(SnippetTest, AShortTextIsShownWhole) {
  EXPECT_EQ(Snippet("  Rain, and (rains)!\n", Match("raining")), "**Rain**, and (**rains**)!");
}

TEST(SnippetTest, TheMatchStandsInTheMiddle) {
  EXPECT_EQ(Snippet(kText, Match("river"), {.max_tokens = 7}),
            "…fields, and the **river** rises. By evening…");
}

TEST(SnippetTest, TheWindowWithMostDifferentTermsWins) {
  EXPECT_EQ(Snippet(kText, Match("rain OR flood OR street"), {.max_tokens = 8}),
            "…heavy **rains** **flood** the lower **streets** of the…");
  // Of equals the earliest.
  EXPECT_EQ(Snippet(kText, Match("rain"), {.max_tokens = 3}), "…first **rain** falls…");
}

TEST(SnippetTest, BothEndsOfTheText) {
  EXPECT_EQ(Snippet(kText, Match("clouds"), {.max_tokens = 4}), "**Clouds** gather over the…");
  EXPECT_EQ(Snippet(kText, Match("morning"), {.max_tokens = 4}), "…water back until **morning**.");
}

TEST(SnippetTest, WithoutAMatchTheBeginning) {
  EXPECT_EQ(Snippet(kText, Match("snow"), {.max_tokens = 3}), "Clouds gather over…");
  EXPECT_EQ(Snippet(kText, SnippetMatcher(), {.max_tokens = 2}), "Clouds gather…");
  EXPECT_EQ(Snippet("", Match("snow")), "");
  EXPECT_EQ(Snippet(" -- !", Match("snow")), "");
}

TEST(SnippetTest, PhrasesAreMarkedWhereTheyAre) {
  EXPECT_EQ(Snippet("heavy fog, rain, heavy rains", Match("\"heavy rain\"")),
            "heavy fog, rain, **heavy rains**");
  // Over a stop word, in the right place only.
  EXPECT_EQ(Snippet("streets town streets of the town", Match("\"streets of the town\"")),
            "streets town **streets of the town**");
  EXPECT_EQ(Snippet("rain was heavy", Match("\"heavy rain\"~3")), "**rain** was **heavy**");
  EXPECT_EQ(Snippet("rain was heavy", Match("\"heavy rain\"~2")), "rain was heavy");
  // The same words asked for alone are marked everywhere.
  EXPECT_EQ(Snippet("heavy fog, heavy rain", Match("\"heavy rain\" OR heavy")),
            "**heavy** fog, **heavy rain**");
}

TEST(SnippetTest, PrefixesAndExpandedTerms) {
  EXPECT_EQ(Snippet("Sandbags, sands, sun", Match("sand*")), "**Sandbags**, **sands**, sun");
  SnippetMatcher fuzzy = Match("rian~1");
  ASSERT_EQ(fuzzy.fuzzy().size(), 1u);
  EXPECT_EQ(fuzzy.fuzzy()[0].term, "rian");
  EXPECT_EQ(Snippet("Riana and rain", fuzzy), "Riana and rain");
  fuzzy.AddTerm("rain");
  EXPECT_EQ(Snippet("Riana and rain", fuzzy), "Riana and **rain**");
}

TEST(SnippetTest, OnlyWhatTheFieldIsAskedFor) {
  EXPECT_EQ(Snippet("rain sun wind", Match("title:rain body:sun NOT body:wind")),
            "rain **sun** wind");
}

TEST(SnippetTest, FragmentsShowDifferentMatches) {
  EXPECT_EQ(Snippet(kText, Match("clouds OR rain OR water"), {.max_tokens = 4, .max_fragments = 9}),
            "**Clouds** gather over the…first **rain** falls on…the **water** back until…");
  EXPECT_EQ(Snippet(kText, Match("clouds OR rain OR water"), {.max_tokens = 4, .max_fragments = 2}),
            "**Clouds** gather over the…first **rain** falls on…");
}

TEST(SnippetTest, OffsetsAreOfTheText) {
  const std::string text = "« Über Ｒａｉｎ ２０ cafés » ende";
  const auto fragments =
      MakeSnippet(text, *Fields()[0].analyzer, Match("rain OR café OR uber"), {.max_tokens = 4});
  ASSERT_EQ(fragments.size(), 1u);
  std::vector<std::string> marked;
  for (const auto& range : fragments[0].highlights) {
    marked.push_back(text.substr(range.begin, range.end - range.begin));
  }
  EXPECT_THAT(marked, testing::ElementsAre("Über", "Ｒａｉｎ", "cafés"));
  EXPECT_EQ(fragments[0].source.begin, 0u);
  EXPECT_FALSE(fragments[0].cut_before);
  EXPECT_TRUE(fragments[0].cut_after);
}

TEST(SnippetTest, OverlongWordsAreCut) {
  std::string wide;
  while (wide.size() < 1 << 20) wide += "€";
  std::string letters;
  while (letters.size() < 1 << 20) letters += "é";
  for (const std::string& text : {letters, letters + " rain " + letters, wide + " rain " + wide,
                                  "rain " + letters, std::string(900, 'x') + " rain"}) {
    const auto fragments =
        MakeSnippet(text, *Fields()[0].analyzer, Match("rain"), {.max_bytes = 100});
    ASSERT_EQ(fragments.size(), 1u);
    EXPECT_LE(fragments[0].source.end - fragments[0].source.begin, 100u);
    EXPECT_TRUE(ValidateText(RenderSnippet(text, fragments), "snippet").ok());
    EXPECT_EQ(fragments[0].highlights.size(), text.find("rain") == std::string::npos ? 0u : 1u);
  }
}

// What must hold for any text and query.
TEST(SnippetTest, RandomTexts) {
  const std::vector<std::string> pieces = {"rain", "sun",  "heavy", "the ", " ",  ". ", "é",
                                           "東京", "**",   "😀",     "\n",   "-",  " ",  " ",
                                           "sand", "snow", "rains", "İ",    "ß ", "’"};
  const std::vector<std::string> queries = {
      "rain OR sun", "\"heavy rain\"", "\"rain sun\"~3 OR snow", "s*", "東京", "rain sun NOT snow"};
  std::mt19937_64 random(12);
  for (int i = 0; i < 5000; ++i) {
    std::string text;
    for (size_t left = random() % 60; left > 0; --left) text += pieces[random() % pieces.size()];
    const SnippetMatcher matcher = Match(queries[random() % queries.size()]);
    const SnippetOptions options = {.max_tokens = 1 + random() % 8,
                                    .max_fragments = 1 + random() % 4,
                                    .max_bytes = 16 + random() % 60};
    const Analyzer& analyzer = *Fields()[0].analyzer;
    const auto fragments = MakeSnippet(text, analyzer, matcher, options);
    ASSERT_EQ(fragments, MakeSnippet(text, analyzer, matcher, options));
    ASSERT_LE(fragments.size(), options.max_fragments);
    size_t end = 0;
    for (const SnippetFragment& fragment : fragments) {
      ASSERT_LE(end, fragment.source.begin) << text;
      ASSERT_LT(fragment.source.begin, fragment.source.end) << text;
      ASSERT_LE(fragment.source.end, text.size());
      ASSERT_LE(fragment.source.end - fragment.source.begin, options.max_bytes);
      end = fragment.source.end;
      size_t words = 0;
      analyzer.AnalyzeAllWords(text, [&](const Token& token) {
        words += token.begin >= fragment.source.begin && token.end <= fragment.source.end;
      });
      ASSERT_LE(words, options.max_tokens);
      size_t at = fragment.source.begin;
      for (const auto& range : fragment.highlights) {
        ASSERT_LE(at, range.begin);
        ASSERT_LT(range.begin, range.end);
        at = range.end;
      }
      ASSERT_LE(at, fragment.source.end);
    }
    ASSERT_TRUE(ValidateText(RenderSnippet(text, fragments), "snippet").ok()) << text;
  }
}

}  // namespace
}  // namespace cookix::engine
