#include "engine/text/analyzer.h"

#include <string>
#include <thread>
#include <vector>

#include "engine/text/text_languages.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::shared_ptr<const Analyzer> Make(AnalyzerSettings settings) {
  auto analyzer = Analyzer::Create(std::move(settings), "analyzer");
  EXPECT_TRUE(analyzer.ok()) << analyzer.status();
  return *analyzer;
}

std::vector<std::string> Terms(const Analyzer& analyzer, std::string_view text) {
  std::vector<std::string> terms;
  analyzer.Analyze(text, [&](const Token& token) { terms.emplace_back(token.term); });
  return terms;
}

std::vector<std::string> Terms(std::string language, std::string_view text) {
  return Terms(*Make({.language = std::move(language)}), text);
}

TEST(AnalyzerTest, WordsEndWhereUnicodeSaysSo) {
  EXPECT_THAT(Terms("", "Don't split 3.14 or 1,000; but cut well-known e-mail a/b."),
              ElementsAre("don't", "split", "3.14", "or", "1,000", "but", "cut", "well", "known",
                          "e", "mail", "a", "b"));
  EXPECT_THAT(Terms("", "snake_case _ __ __init__ x.y ..."),
              ElementsAre("snake_case", "__init__", "x.y"));
  EXPECT_THAT(Terms("", "Write to ann@example.org or @bob"),
              ElementsAre("write", "to", "ann", "example.org", "or", "bob"));
}

TEST(AnalyzerTest, TextsWithoutWords) {
  const auto analyzer = Make({.language = "en"});
  for (const std::string_view text : {"", " ", "\n\t", "... -- !?", "___", "@@", "\xFF\xFE"}) {
    EXPECT_THAT(Terms(*analyzer, text), IsEmpty()) << text;
  }
}

TEST(AnalyzerTest, OneSentenceInManyLanguages) {
  EXPECT_THAT(Terms("en", "The heavier rains were flooding their cities."),
              ElementsAre("heavier", "rain", "flood", "citi"));
  EXPECT_THAT(Terms("de", "Die schweren Regenfälle überfluteten die Straßen."),
              ElementsAre("schwer", "regenfall", "uberflutet", "strass"));
  EXPECT_THAT(Terms("fr", "Aujourd'hui l’eau qu'on boit dans les étés chauds"),
              ElementsAre("aujourd'hui", "eau", "boit", "ete", "chaud"));
  EXPECT_THAT(Terms("es", "Las lluvias inundaron las ciudades pequeñas"),
              ElementsAre("lluvi", "inund", "ciudad", "pequen"));
  EXPECT_THAT(Terms("it", "Nell'estate le piogge hanno allagato la città"),
              ElementsAre("estat", "piogg", "allag", "citt"));
  EXPECT_THAT(Terms("pt", "As chuvas inundaram as cidades e as estações"),
              ElementsAre("chuv", "inund", "cidad", "estaco"));
  EXPECT_THAT(Terms("nl", "De zware regens hebben de straten overstroomd"),
              ElementsAre("zwar", "regen", "strat", "overstroomd"));
  EXPECT_THAT(Terms("sv", "De tunga regnen svämmade över gatorna"),
              ElementsAre("tung", "regn", "svamm", "gat"));
  EXPECT_THAT(Terms("no", "Den kraftige regnen oversvømmet gatene"),
              ElementsAre("kraft", "regn", "oversvomm", "gat"));
  EXPECT_THAT(Terms("da", "Den kraftige regn oversvømmede gaderne"),
              ElementsAre("kraft", "regn", "oversvommed", "gad"));
  EXPECT_THAT(Terms("fi", "Rankat sateet tulvivat kaduille"),
              ElementsAre("rank", "sate", "tulviv", "kadu"));
  EXPECT_THAT(Terms("ru", "Сильные дожди ещё затопили улицы"),
              ElementsAre("сильн", "дожд", "затоп", "улиц"));
  EXPECT_THAT(Terms("hu", "Az erős esőzések elárasztották a városokat"),
              ElementsAre("eros", "esozes", "elarasztotta", "varos"));
  EXPECT_THAT(Terms("tr", "İstanbul'un sokakları yağmurlardan ıslandı"),
              ElementsAre("istanbul", "sokak", "yagmur", "isla"));
  EXPECT_THAT(Terms("el", "Οι δυνατές βροχές πλημμύρισαν τους δρόμους"),
              ElementsAre("δυνατ", "βροχ", "πλημμυρ", "δρομ"));
}

TEST(AnalyzerTest, BothSpellingsOfRomanianAreOne) {
  const auto analyzer = Make({.language = "ro"});
  EXPECT_EQ(Terms(*analyzer, "fracţiuni științei"), Terms(*analyzer, "fracțiuni ştiinţei"));
}

TEST(AnalyzerTest, ScriptsWithoutSpacesAreCutByDictionary) {
  EXPECT_THAT(Terms("", "東京の天気"), ElementsAre("東京", "の", "天気"));
  EXPECT_THAT(Terms("", "ภาษาไทยง่าย"), ElementsAre("ภาษา", "ไทย", "ง่าย"));
}

TEST(AnalyzerTest, MixedScriptsKeepTheirMarks) {
  // Vowel signs, voicing marks and syllables are no accents.
  EXPECT_THAT(Terms("", "हिन्दी ガギグ 한국어 café ёж 😀"),
              ElementsAre("हिन्दी", "ガギグ", "한국어", "cafe", "еж", "😀"));
  // Letters with marks that make no single character.
  EXPECT_THAT(Terms("", "x\u0301y \u0438\u0306 j\u030C\u0323"), ElementsAre("xy", "и", "j"));
  // Half-width, full-width, ligature, decomposed and soft-hyphenated spellings.
  EXPECT_THAT(Terms("", "ｶﾞｽ Ｗｏｒｄ ﬁne cafe\u0301 co\u00ADoperate"),
              ElementsAre("ガス", "word", "fine", "cafe", "cooperate"));
}

TEST(AnalyzerTest, FoldingIsByTheLanguage) {
  EXPECT_THAT(Terms("", "STRASSE Straße ΣΊΣΥΦΟΣ Łódź Ærø Þór"),
              ElementsAre("strasse", "strasse", "σισυφοσ", "lodz", "aero", "thor"));
  const auto turkish = Make({.language = "tr", .stemming = false, .accent_folding = false});
  EXPECT_THAT(Terms(*turkish, "ISI Isı İZ I\u0307Z iz"),
              ElementsAre("ısı", "ısı", "iz", "iz", "iz"));
}

TEST(AnalyzerTest, EveryStepCanBeLeftOut) {
  const std::string_view text = "The Cafés’ RUNNING";
  EXPECT_THAT(Terms(*Make({.language = "en"}), text), ElementsAre("cafe", "run"));
  EXPECT_THAT(Terms(*Make({.language = "en", .stemming = false}), text),
              ElementsAre("cafes", "running"));
  EXPECT_THAT(Terms(*Make({.language = "en", .stop_words = false}), text),
              ElementsAre("the", "cafe", "run"));
  EXPECT_THAT(Terms(*Make({.language = "en", .accent_folding = false}), text),
              ElementsAre("café", "run"));
  EXPECT_THAT(Terms(*Make({.case_folding = false}), text), ElementsAre("The", "Cafes", "RUNNING"));
}

TEST(AnalyzerTest, ExtraStopWords) {
  const auto analyzer = Make({.language = "", .extra_stop_words = {"Corp.", "ÉTÉ"}});
  EXPECT_THAT(Terms(*analyzer, "ACME corp été the"), ElementsAre("acme", "the"));
  for (const std::string& bad : {std::string("two words"), std::string(), std::string("\xFF"),
                                 std::string("-"), std::string(2000, 'x')}) {
    const auto refused = Analyzer::Create({.extra_stop_words = {bad}}, "field.analyzer");
    ASSERT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(GetErrorDetail(refused.status())->field, "field.analyzer");
  }
  const std::vector<std::string> many(AnalyzerSettings::kMaxStopWords + 1, "x");
  EXPECT_EQ(GetErrorDetail(Analyzer::Create({.extra_stop_words = many}, "f").status())->reason,
            "LIMIT_EXCEEDED");
}

TEST(AnalyzerTest, UnknownLanguageListsTheKnownOnes) {
  const auto refused = Analyzer::Create({.language = "xx"}, "schema.language");
  ASSERT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  const auto detail = GetErrorDetail(refused.status());
  EXPECT_EQ(detail->field, "schema.language");
  EXPECT_THAT(detail->remedy, HasSubstr("da, de, el, en"));
}

TEST(AnalyzerTest, EveryLanguageWorksAndHasAVersionOfItsOwn) {
  std::vector<std::string> versions;
  for (const TextLanguage& language : KnownLanguages()) {
    const auto analyzer = Make({.language = std::string(language.code)});
    EXPECT_THAT(Terms(*analyzer, "42"), ElementsAre("42")) << language.code;
    // Stop words are found in the form that they are listed in.
    for (size_t at = 0; at < language.stop_words.size();) {
      const size_t end = std::min(language.stop_words.find(' ', at), language.stop_words.size());
      const std::string_view word = language.stop_words.substr(at, end - at);
      EXPECT_THAT(Terms(*analyzer, word), IsEmpty()) << word;
      at = end + 1;
    }
    EXPECT_THAT(versions, testing::Not(testing::Contains(analyzer->version())));
    versions.push_back(analyzer->version());
    // All but the language's name tells them apart as well: the stemmers differ.
    EXPECT_THAT(analyzer->version(), testing::Not(HasSubstr("stemmer 0,")));
  }
}

TEST(AnalyzerTest, VersionFollowsSettings) {
  const std::vector<AnalyzerSettings> settings = {{.language = "en"},
                                                  {.language = "en", .stemming = false},
                                                  {.language = "en", .stop_words = false},
                                                  {.language = "en", .extra_stop_words = {"acme"}},
                                                  {.language = "en", .case_folding = false},
                                                  {.language = "en", .accent_folding = false},
                                                  {.language = ""}};
  std::vector<std::string> versions;
  for (const AnalyzerSettings& setting : settings) {
    const std::string version = Make(setting)->version();
    EXPECT_EQ(version, Make(setting)->version());
    EXPECT_THAT(versions, testing::Not(testing::Contains(version)));
    versions.push_back(version);
  }
}

TEST(AnalyzerTest, EqualSettingsShareAnAnalyzer) {
  const auto first = Make({.language = "sv", .extra_stop_words = {"ab", "c"}});
  EXPECT_EQ(Make({.language = "sv", .extra_stop_words = {"ab", "c"}}), first);
  EXPECT_NE(Make({.language = "sv", .extra_stop_words = {"a", "bc"}}), first);
  EXPECT_NE(Make({.language = "sv", .stemming = false, .extra_stop_words = {"ab", "c"}}), first);
}

TEST(AnalyzerTest, PositionsAndOffsetsAreOfTheText) {
  const std::string text = "¡Über the l'eau, naïve 東京の RAIN!";
  const auto analyzer = Make({.language = "en"});
  std::vector<uint32_t> positions;
  std::vector<std::string> words;
  analyzer->AnalyzeAllWords(text, [&](const Token& token) {
    positions.push_back(token.position);
    words.push_back(text.substr(token.begin, token.end - token.begin) + "=" +
                    std::string(token.term));
  });
  EXPECT_THAT(words, ElementsAre("Über=uber", "the=", "l'eau=l'eau", "naïve=naiv", "東京=東京",
                                 "の=の", "RAIN=rain"));
  EXPECT_THAT(positions, ElementsAre(0, 1, 2, 3, 4, 5, 6));

  positions.clear();
  analyzer->Analyze(text, [&](const Token& token) { positions.push_back(token.position); });
  EXPECT_THAT(positions, ElementsAre(0, 2, 3, 4, 5, 6));
}

TEST(AnalyzerTest, ElidedArticlesAreNoPartOfTheWord) {
  const std::string text = "L’homme d'État presqu'île O'Neil l'";
  std::vector<std::string> words;
  Make({.language = "fr", .stemming = false})->AnalyzeAllWords(text, [&](const Token& token) {
    words.push_back(text.substr(token.begin, token.end - token.begin));
  });
  EXPECT_THAT(words, ElementsAre("homme", "État", "presqu'île", "O'Neil", "l"));
}

TEST(AnalyzerTest, UnstemmedWordsAreFoldedOnly) {
  std::vector<std::string> terms;
  Make({.language = "en"})->AnalyzeUnstemmed("The CAFÉS Runn", [&](const Token& token) {
    terms.emplace_back(token.term);
  });
  EXPECT_THAT(terms, ElementsAre("the", "cafes", "runn"));
}

TEST(AnalyzerTest, OverlongWordsKeepTheirPlace) {
  const auto analyzer = Make({.language = "en"});
  const std::string longest(Analyzer::kMaxTokenBytes, 'x');
  EXPECT_THAT(Terms(*analyzer, longest), ElementsAre(longest));
  for (const std::string& word : {longest + "x", std::string(1 << 20, 'a')}) {
    std::vector<uint32_t> positions;
    analyzer->Analyze("rain " + word + " sun",
                      [&](const Token& token) { positions.push_back(token.position); });
    EXPECT_THAT(positions, ElementsAre(0, 2));
  }
  // A megabyte without a space in a script that needs ICU, and one that folds to more.
  std::string indic, sharp;
  while (indic.size() < 1 << 20) indic += "अ";
  while (sharp.size() < 1000) sharp += "\u0390";
  EXPECT_THAT(Terms(*analyzer, indic + " rain"), ElementsAre("rain"));
  EXPECT_EQ(Terms(*analyzer, sharp).size(), 1u);
}

TEST(AnalyzerTest, ValidateTextNamesTheByte) {
  EXPECT_TRUE(ValidateText("", "text").ok());
  EXPECT_TRUE(ValidateText("naïve 東京 😀", "text").ok());
  for (const std::string_view bad : {"rain\xFF", "rain\xC3", "rain\xED\xA0\x80", "rain\xC0\x80z"}) {
    const absl::Status status = ValidateText(bad, "object.content");
    ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("byte 4"));
    EXPECT_EQ(GetErrorDetail(status)->field, "object.content");
  }
}

TEST(AnalyzerTest, ASinkMayAnalyze) {
  const auto analyzer = Make({.language = "en"});
  std::vector<std::string> terms;
  analyzer->Analyze("running rains", [&](const Token& token) {
    analyzer->Analyze("flooded cities",
                      [&](const Token& inner) { terms.emplace_back(inner.term); });
    terms.emplace_back(token.term);
  });
  EXPECT_THAT(terms, ElementsAre("flood", "citi", "run", "flood", "citi", "rain"));
}

TEST(AnalyzerTest, ThreadsShareAnAnalyzer) {
  const auto analyzer = Make({.language = "de"});
  const std::string text = "Die schweren Regenfälle überfluteten gestern हिन्दी Straßen and rains";
  const std::vector<std::string> expected = Terms(*analyzer, text);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int& count : wrong) {
    threads.emplace_back([&] {
      for (int i = 0; i < 300; ++i) count += Terms(*analyzer, text) != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, testing::Each(0));
}

}  // namespace
}  // namespace cookix::engine
