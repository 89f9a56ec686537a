#include "tools/bench/text_corpus.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <string_view>
#include <unordered_set>

namespace cookix::bench {
namespace {

constexpr size_t kTopics = 256;
// Neighbouring ranks of which a topic prefers one, and among which partners are.
constexpr WordId kGroup = 64;
// Have neither topic nor partner.
constexpr WordId kFunctionWords = 128;

uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// Of `size` words, the weight of the one of a rank; the sum of all is below 2^44.
uint64_t Weight(uint64_t rank) {
  constexpr uint64_t kBend = 20'000;
  return (uint64_t{1} << 40) * 10 / (10 * rank + 37) * kBend / (kBend + rank);
}

// Syllables of the word of a rank: one or two below 500, three or four beyond 30,000.
size_t Syllables(WordId rank, std::mt19937_64& random) {
  return 1 + static_cast<size_t>(std::bit_width(rank / 16u)) / 6 + Below(random, 2);
}

std::string Spell(size_t syllables, std::mt19937_64& random) {
  static constexpr std::string_view kOnsets[] = {"b", "c", "d", "f",  "g",  "h",  "l",
                                                 "m", "n", "p", "r",  "s",  "t",  "v",
                                                 "w", "j", "k", "st", "tr", "pl", "gr"};
  static constexpr std::string_view kVowels[] = {"a", "e", "i", "o", "u",  "a",
                                                 "e", "i", "o", "u", "ea", "ou"};
  static constexpr std::string_view kCodas[] = {"", "", "", "", "n", "r", "s", "t", "l", "m"};
  std::string word;
  for (size_t i = 0; i < syllables; ++i) {
    word += kOnsets[Below(random, std::size(kOnsets))];
    word += kVowels[Below(random, std::size(kVowels))];
  }
  word += kCodas[Below(random, std::size(kCodas))];
  return word;
}

// A product of many small independent factors is log-normally distributed: 24 of up to
// 1.176, or one by as much, give a deviation of the logarithm of 0.47.
size_t DrawLength(size_t mean, std::mt19937_64& random) {
  constexpr uint64_t kOne = 256;
  // The mean is exp(0.47 * 0.47 / 2) times the median.
  uint64_t length = (static_cast<uint64_t>(mean) << 32) * 17 / 19;
  for (int i = 0; i < 24; ++i) {
    const uint64_t factor = kOne + Below(random, 46);
    length = Below(random, 2) == 0 ? length / kOne * factor : length / factor * kOne;
  }
  return std::max<uint64_t>(1, (length + (uint64_t{1} << 31)) >> 32);
}

// The word that the topic prefers to `word`.
WordId Preferred(WordId word, size_t topic) {
  const WordId group = word / kGroup;
  return group * kGroup + static_cast<WordId>(Mix(group * kTopics + topic) % kGroup);
}

bool EndsSentence(size_t document, size_t at) { return Mix(document * 31 + at) % 16 == 0; }
bool HasComma(size_t document, size_t at) { return Mix(document * 37 + at) % 12 == 0; }

}  // namespace

WordId PartnerOf(WordId word) {
  if (word < kFunctionWords) return word;
  const WordId group = word / kGroup;
  const auto step = static_cast<WordId>(1 + Mix(group) % (kGroup - 1));
  return group * kGroup + (word + step) % kGroup;
}

uint64_t Below(std::mt19937_64& random, uint64_t bound) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(random()) * bound) >> 64);
}

Vocabulary::Vocabulary(size_t size, uint64_t seed) : words_(size), columns_(size) {
  std::mt19937_64 random(seed);
  std::unordered_set<std::string> taken;
  taken.reserve(size);
  for (WordId id = 0; id < size; ++id) {
    size_t syllables = Syllables(id, random);
    // Where the short words are used up, longer ones come.
    for (int tries = 0; words_[id].empty(); ++tries) {
      std::string word = Spell(syllables + static_cast<size_t>(tries) / 8, random);
      if (taken.insert(word).second) words_[id] = std::move(word);
    }
  }

  // Every column holds `total_`; a weight counts `size` times, so that they fill all.
  std::vector<uint64_t> left(size);
  for (WordId id = 0; id < size; ++id) {
    left[id] = Weight(id) * size;
    total_ += Weight(id);
  }
  std::vector<WordId> small, large;
  for (WordId id = 0; id < size; ++id) (left[id] < total_ ? small : large).push_back(id);
  while (!small.empty()) {
    const WordId id = small.back();
    const WordId giver = large.back();
    small.pop_back();
    columns_[id] = {left[id], giver};
    left[giver] -= total_ - left[id];
    if (left[giver] < total_) {
      large.pop_back();
      small.push_back(giver);
    }
  }
  for (const WordId id : large) columns_[id] = {total_, id};
}

WordId Vocabulary::Draw(std::mt19937_64& random) const {
  const auto id = static_cast<WordId>(Below(random, columns_.size()));
  return Below(random, total_) < columns_[id].limit ? id : columns_[id].alias;
}

TextCorpus::TextCorpus(const TextCorpusOptions& options)
    : vocabulary_(options.vocabulary, options.seed), frequencies_(options.vocabulary) {
  std::mt19937_64 random(Mix(options.seed));
  words_.reserve(options.documents * options.mean_words * 11 / 10);
  begins_.reserve(options.documents + 1);
  for (size_t i = 0; i < options.documents; ++i) AddDocument(random, options.mean_words);
  // Text() and what it puts between words are counted without being made.
  for (size_t document = 0; document < size(); ++document) {
    const std::span<const WordId> words = Words(document);
    std::vector<WordId> different(words.begin(), words.end());
    std::sort(different.begin(), different.end());
    different.erase(std::unique(different.begin(), different.end()), different.end());
    for (const WordId word : different) ++frequencies_[word];
    text_bytes_ += Text(document).size();
  }
}

void TextCorpus::AddDocument(std::mt19937_64& random, size_t mean_words) {
  const size_t length = DrawLength(mean_words, random);
  const size_t topic = Below(random, kTopics);
  for (size_t i = 0; i < length; ++i) {
    if (i > 0 && Below(random, 8) == 0 && words_.back() >= kFunctionWords) {
      words_.push_back(PartnerOf(words_.back()));
      continue;
    }
    if (i > 0 && Below(random, 10) == 0) {
      words_.push_back(words_[begins_.back() + Below(random, i)]);
      continue;
    }
    const WordId word = vocabulary_.Draw(random);
    const bool of_topic = word >= kFunctionWords && Below(random, 2) == 0;
    words_.push_back(of_topic ? Preferred(word, topic) : word);
  }
  begins_.push_back(words_.size());
}

std::string TextCorpus::Text(size_t document) const {
  const std::span<const WordId> words = Words(document);
  std::string text;
  text.reserve(words.size() * 7);
  bool capital = true;
  for (size_t i = 0; i < words.size(); ++i) {
    const size_t begin = text.size();
    text += vocabulary_.Word(words[i]);
    if (capital) text[begin] = static_cast<char>(text[begin] - 'a' + 'A');
    const bool last = i + 1 == words.size();
    capital = last || EndsSentence(document, i);
    if (capital) {
      text += '.';
    } else if (HasComma(document, i)) {
      text += ',';
    }
    if (!last) text += ' ';
  }
  return text;
}

std::string TextCorpus::Terms(size_t document) const {
  std::string terms;
  for (const WordId word : Words(document)) {
    if (!terms.empty()) terms += ' ';
    terms += vocabulary_.Word(word);
  }
  return terms;
}

size_t TextCorpus::distinct_words() const {
  return frequencies_.size() -
         static_cast<size_t>(std::count(frequencies_.begin(), frequencies_.end(), 0u));
}

}  // namespace cookix::bench
