// Analysis of any bytes: the tables and ICU agree, tokens are within the text and in
// order, snippets are parts of the text.
#include <string>

#include "engine/text/analyzer.h"
#include "engine/text/snippet.h"
#include "tests/fuzz/fuzz_target.h"

namespace engine = cookix::engine;

namespace {

std::string Describe(const engine::Token& token) {
  return std::to_string(token.position) + " " + std::to_string(token.begin) + " " +
         std::to_string(token.end) + " " + std::string(token.term) + "\n";
}

void CheckAnalyzer(const engine::Analyzer& analyzer, std::string_view text) {
  std::string words, words_by_icu;
  uint32_t words_seen = 0, end = 0;
  engine::SnippetMatcher matcher;
  analyzer.AnalyzeAllWords(text, [&](const engine::Token& token) {
    FUZZ_CHECK(token.position == words_seen++);
    FUZZ_CHECK(end <= token.begin && token.begin < token.end && token.end <= text.size());
    FUZZ_CHECK(token.term.size() <= engine::Analyzer::kMaxTokenBytes);
    end = token.end;
    words += Describe(token);
    if (token.position % 3 == 1) matcher.AddTerm(token.term);
  });
  analyzer.AnalyzeByIcuForTest(
      text, [&](const engine::Token& token) { words_by_icu += Describe(token); });
  FUZZ_CHECK(words == words_by_icu);

  const engine::SnippetOptions options = {.max_tokens = 4, .max_fragments = 2, .max_bytes = 40};
  const auto fragments = engine::MakeSnippet(text, analyzer, matcher, options);
  for (const engine::SnippetFragment& fragment : fragments) {
    FUZZ_CHECK(fragment.source.begin <= fragment.source.end);
    FUZZ_CHECK(fragment.source.end <= text.size());
  }
  const std::string shown = engine::RenderSnippet(text, fragments);
  if (engine::ValidateText(text, "text").ok()) {
    FUZZ_CHECK(engine::ValidateText(shown, "text").ok());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto* const analyzers = new std::vector<std::shared_ptr<const engine::Analyzer>>{
      engine::Analyzer::Create({.language = "en"}, "analyzer").value(),
      engine::Analyzer::Create({.language = "fr"}, "analyzer").value(),
      engine::Analyzer::Create({.language = "tr"}, "analyzer").value(),
      engine::Analyzer::Create({.case_folding = false}, "analyzer").value()};
  for (const auto& analyzer : *analyzers) {
    CheckAnalyzer(*analyzer, cookix::tests::FuzzInput(data, size));
  }
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  return {
      "The quick brown foxes don't jump over 3.14 lazy_dogs, a.b or x@y.z!",
      "L’été qu'il fit 20 °C à Paris — aujourd'hui",
      "İSTANBUL'da ığdır I\u0307z",
      "東京の天気 ภาษาไทย हिन्दी 한국어 👩\u200D🚀 ❤\uFE0F 🇩🇪",
      "co\u00ADop\u0301 ﬁne Ｗｉｄｅ ｶﾞ ½ m²",
      "Ж́ё Σίσυφος Łódź Straße",
  };
}
