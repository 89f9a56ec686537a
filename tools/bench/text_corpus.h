// Texts like those people write, made from a seed: the same to the last byte on every
// machine, for there is nothing but integer arithmetic in it.
//
// Words:     512,000 made-up ones, frequent ones shorter. The word of rank r, from 0, is drawn
//            with probability proportional to 1 / ((r + 3.7) * (1 + r / 20,000)): Zipf and
//            Mandelbrot's law with an exponent of 1 among the frequent words and towards 2
//            among the rare ones. Nearly half the words of a corpus of 1,000,000 documents come
//            up a few times only, and more documents keep bringing new ones.
// Topics:    a document has one of 256. Of every 64 words of neighbouring ranks, the
//            topic prefers one, so that words are found together; how frequent a word is
//            altogether stays as it is. The 128 most frequent words belong to none.
// Phrases:   a word without the 128 most frequent is followed by one and the same word, its
//            partner, every eighth time, so that some phrases come up again and again.
// Repetition: every tenth word of a document is one that it has already.
// Lengths:   log-normal with a mean of 60 words and a deviation of the logarithm of 0.47.
#ifndef COOKIX_TOOLS_BENCH_TEXT_CORPUS_H_
#define COOKIX_TOOLS_BENCH_TEXT_CORPUS_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace cookix::bench {

// The number of a word: its rank by frequency, from 0.
using WordId = uint32_t;

// The word that often follows `word`: about as frequent, and of no two words the same. The word
// itself where it has none.
WordId PartnerOf(WordId word);

// A number below `bound`, which is not 0.
uint64_t Below(std::mt19937_64& random, uint64_t bound);

// The words and how frequent they are. Immutable.
class Vocabulary {
 public:
  // REQUIRES: 128 <= size < 2^20, a multiple of 64.
  Vocabulary(size_t size, uint64_t seed);

  size_t size() const { return words_.size(); }
  // Two to some twenty letters of a to z. No two words are equal.
  const std::string& Word(WordId id) const { return words_[id]; }
  // By the law above.
  WordId Draw(std::mt19937_64& random) const;

 private:
  // Walker's alias method: a column is its own word below the limit, another above it.
  struct Column {
    uint64_t limit = 0;
    WordId alias = 0;
  };

  std::vector<std::string> words_;
  std::vector<Column> columns_;
  uint64_t total_ = 0;
};

struct TextCorpusOptions {
  size_t documents = 1'000'000;
  size_t vocabulary = 512'000;
  size_t mean_words = 60;
  uint64_t seed = 1;
};

// Documents of words. A corpus of more documents begins with the same ones. Immutable.
class TextCorpus {
 public:
  explicit TextCorpus(const TextCorpusOptions& options);

  size_t size() const { return begins_.size() - 1; }
  std::span<const WordId> Words(size_t document) const {
    return {words_.data() + begins_[document], begins_[document + 1] - begins_[document]};
  }
  // The words with capitals, commas and full stops. An analyzer without a language makes of
  // it what Terms() returns.
  std::string Text(size_t document) const;
  // The words with blanks between them.
  std::string Terms(size_t document) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }
  size_t total_words() const { return words_.size(); }
  // Of all texts together.
  uint64_t text_bytes() const { return text_bytes_; }
  // Documents that have the word.
  uint32_t DocumentFrequency(WordId id) const { return frequencies_[id]; }
  // Words that come up.
  size_t distinct_words() const;

 private:
  void AddDocument(std::mt19937_64& random, size_t mean_words);

  const Vocabulary vocabulary_;
  std::vector<WordId> words_;
  std::vector<uint64_t> begins_ = {0};
  std::vector<uint32_t> frequencies_;
  uint64_t text_bytes_ = 0;
};

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_TEXT_CORPUS_H_
