// How long the analysis of a document takes, on one thread.
//
// Data: 20,000 documents of 60 words from a vocabulary of 50,000 made-up words, made
// with a fixed seed, word ranks by Zipf's law; capitals at the beginning of sentences,
// commas and stops. "european" writes every fifth vowel with an accent; "greek" and
// "hindi" are the same with the letters of other scripts, which go through the tables and
// through ICU. Isolates analysis: nothing is indexed. The terms are compared with those
// that ICU finds before anything is timed.
#include <array>
#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "engine/text/analyzer.h"

namespace cookix::engine {
namespace {

constexpr size_t kDocuments = 20'000;
constexpr size_t kWords = 60;
constexpr size_t kVocabulary = 50'000;

using Letters = std::vector<std::string>;

struct Script {
  Letters consonants;
  Letters vowels;
};

const Script kEnglish = {{"b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "w"},
                         {"a", "e", "i", "o", "u"}};
const Script kEuropean = {kEnglish.consonants,
                          {"a", "e", "i", "o", "u", "a", "e", "i", "o", "u", "é", "ü"}};
const Script kGreek = {{"β", "γ", "δ", "κ", "λ", "μ", "ν", "π", "ρ", "σ", "τ"},
                       {"α", "ε", "ι", "ο", "ά", "ή"}};
const Script kHindi = {{"क", "ग", "च", "ज", "त", "द", "न", "प", "म", "र", "ल"},
                       {"ा", "ि", "ी", "ु", "े", "ो"}};

std::vector<std::string> MakeDocuments(const Script& script) {
  std::mt19937_64 random(11);
  const auto pick = [&](const Letters& letters) { return letters[random() % letters.size()]; };
  std::vector<std::string> vocabulary(kVocabulary);
  const std::array<std::string, 6> endings = {"", "", "s", "ing", "ed", "ation"};
  for (size_t rank = 0; rank < kVocabulary; ++rank) {
    // Frequent words are short.
    const size_t syllables = 1 + static_cast<size_t>(std::log10(1.0 + rank / 20.0)) + random() % 2;
    for (size_t i = 0; i < syllables; ++i) {
      vocabulary[rank] += pick(script.consonants) + pick(script.vowels);
    }
    if (&script == &kEnglish) vocabulary[rank] += endings[random() % endings.size()];
  }
  std::vector<double> weights(kVocabulary);
  for (size_t rank = 0; rank < kVocabulary; ++rank) weights[rank] = 1.0 / (rank + 2.0);
  std::discrete_distribution<size_t> word(weights.begin(), weights.end());
  std::vector<std::string> documents(kDocuments);
  for (std::string& document : documents) {
    for (size_t i = 0; i < kWords; ++i) {
      document += vocabulary[word(random)];
      document += i % 12 == 11 ? ". " : i % 5 == 4 ? ", " : " ";
    }
  }
  return documents;
}

const std::vector<std::string>& Documents(int script) {
  static const std::array<std::vector<std::string>, 4> documents = {
      MakeDocuments(kEnglish), MakeDocuments(kEuropean), MakeDocuments(kGreek),
      MakeDocuments(kHindi)};
  return documents[static_cast<size_t>(script)];
}

// A sum over all that sinks see, so that paths can be compared.
uint64_t Sum(const Token& token) {
  uint64_t sum = token.position * 31 + token.begin;
  for (const char c : token.term) sum = sum * 131 + static_cast<uint8_t>(c);
  return sum;
}

void Analyze(benchmark::State& state, int script, const std::string& language) {
  const auto analyzer = Analyzer::Create({.language = language}, "analyzer").value();
  const std::vector<std::string>& documents = Documents(script);
  for (size_t i = 0; i < 200; ++i) {
    uint64_t sum = 0;
    analyzer->AnalyzeAllWords(documents[i], [&](const Token& token) { sum += Sum(token); });
    analyzer->AnalyzeByIcuForTest(documents[i], [&](const Token& token) { sum -= Sum(token); });
    if (sum != 0) std::abort();
  }
  size_t next = 0, bytes = 0, terms = 0;
  for (auto _ : state) {
    const std::string& document = documents[next];
    if (++next == kDocuments) next = 0;
    bytes += document.size();
    analyzer->Analyze(document, [&](const Token& token) { terms += token.term.size(); });
  }
  benchmark::DoNotOptimize(terms);
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(static_cast<int64_t>(bytes));
}

BENCHMARK_CAPTURE(Analyze, english, 0, "en");
BENCHMARK_CAPTURE(Analyze, english_unstemmed, 0, "");
BENCHMARK_CAPTURE(Analyze, european_as_german, 1, "de");
BENCHMARK_CAPTURE(Analyze, greek, 2, "el");
BENCHMARK_CAPTURE(Analyze, hindi, 3, "hi");

}  // namespace
}  // namespace cookix::engine

BENCHMARK_MAIN();
