#include "tools/bench/text_queries.h"

#include <algorithm>
#include <random>
#include <span>

namespace cookix::bench {
namespace {

// Bands of words by how many documents have them.
constexpr size_t kBands = 4;

size_t BandOf(const TextCorpus& corpus, WordId word) {
  const uint64_t documents = corpus.DocumentFrequency(word);
  if (documents * 10 >= corpus.size()) return 0;
  if (documents * 100 >= corpus.size()) return 1;
  if (documents * 1000 >= corpus.size()) return 2;
  return 3;
}

size_t DrawBand(std::mt19937_64& random) {
  const uint64_t percent = Below(random, 100);
  if (percent < 10) return 0;
  if (percent < 50) return 1;
  return percent < 80 ? 2 : 3;
}

size_t DrawLength(std::mt19937_64& random) {
  const uint64_t twentieth = Below(random, 20);
  if (twentieth < 9) return 2;
  return twentieth < 16 ? 3 : 4;
}

// Takes `word` out of the band; false when it is not there.
bool Take(WordId word, std::vector<WordId>* band) {
  const auto at = std::find(band->begin(), band->end(), word);
  if (at == band->end()) return false;
  band->erase(at);
  return true;
}

// `length` different words of the document, with the partner of the first if `partners`;
// none where it has not as many of those wanted.
std::vector<WordId> DrawWords(const TextCorpus& corpus, std::span<const WordId> document,
                              size_t length, bool partners, std::mt19937_64& random) {
  std::vector<WordId> bands[kBands];
  for (const WordId word : document) {
    std::vector<WordId>& band = bands[BandOf(corpus, word)];
    if (std::find(band.begin(), band.end(), word) == band.end()) band.push_back(word);
  }
  std::vector<WordId> words(length);
  for (size_t i = 0; i < length; ++i) {
    if (partners && i == 1) {
      words[i] = PartnerOf(words[0]);
    } else {
      const std::vector<WordId>& band = bands[DrawBand(random)];
      if (band.empty()) return {};
      words[i] = band[Below(random, band.size())];
    }
    if (!Take(words[i], &bands[BandOf(corpus, words[i])])) return {};
  }
  return words;
}

// Words of the document that stand side by side, a word and its partner first; none where
// there are none at the place that is drawn.
std::vector<WordId> DrawPhrase(const TextCorpus& corpus, std::span<const WordId> document,
                               size_t length, std::mt19937_64& random) {
  if (document.size() < length) return {};
  const size_t begin = Below(random, document.size() - length + 1);
  const std::span<const WordId> phrase = document.subspan(begin, length);
  const WordId partner = PartnerOf(phrase[0]);
  if (partner == phrase[0] || partner != phrase[1]) return {};
  const bool content = std::any_of(phrase.begin(), phrase.end(),
                                   [&](WordId word) { return BandOf(corpus, word) > 0; });
  if (!content) return {};
  return {phrase.begin(), phrase.end()};
}

}  // namespace

std::vector<WordQuery> MakeQueries(const TextCorpus& corpus, TextQueryKind kind, size_t count,
                                   uint64_t seed) {
  std::mt19937_64 random(seed * 3 + static_cast<uint64_t>(kind));
  std::vector<WordQuery> queries;
  size_t length = DrawLength(random);
  while (queries.size() < count) {
    const std::span<const WordId> document = corpus.Words(Below(random, corpus.size()));
    const bool partners = queries.size() % 2 == 1;
    WordQuery query{kind, kind == TextQueryKind::kPhrase
                              ? DrawPhrase(corpus, document, length, random)
                              : DrawWords(corpus, document, length, partners, random)};
    // Another document, for what was wanted: how long queries are does not depend on it.
    if (query.words.size() < length) continue;
    queries.push_back(std::move(query));
    length = DrawLength(random);
  }
  return queries;
}

std::string WordsOf(const WordQuery& query, const Vocabulary& vocabulary) {
  std::string words;
  for (const WordId word : query.words) {
    if (!words.empty()) words += ' ';
    words += vocabulary.Word(word);
  }
  return words;
}

}  // namespace cookix::bench
