// What makes two spellings of a word one: normal forms, case, accents.
#ifndef COOKIX_ENGINE_TEXT_TERM_FOLDING_H_
#define COOKIX_ENGINE_TEXT_TERM_FOLDING_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/text/word_classes.h"

namespace cookix::engine {

struct FoldingRules {
  bool case_folding = true;
  // The capital of dotless i is I, and of i is I with a dot.
  bool turkic_case = false;
  // Letters with a comma below become the ones with a cedilla, which the Romanian
  // stemmer knows.
  bool comma_to_cedilla = false;

  bool operator==(const FoldingRules&) const = default;
};

// Folds words: NFKC, case, invisible characters away, apostrophes of every kind to the
// ASCII one. Immutable, thread-safe.
class TermFolder {
 public:
  // Null when ICU has no data to work with.
  static std::unique_ptr<const TermFolder> Create(const FoldingRules& rules);

  // Sets `*folded` to the folded word, whatever its characters.
  void Fold(std::string_view word, std::string* folded) const;

  // The same for words of simple characters (word_classes.h), by table.
  void FoldSimple(std::string_view word, std::string* folded) const;

  // ASCII stays ASCII, each byte by itself: the byte that it becomes.
  bool has_ascii_table() const { return !rules_.turkic_case; }
  uint8_t FoldAscii(uint8_t c) const { return ascii_[c]; }

 private:
  explicit TermFolder(const FoldingRules& rules) : rules_(rules) {}

  const FoldingRules rules_;
  std::array<uint8_t, 128> ascii_{};
  // Of each simple character its folded form: up to seven bytes and their number.
  struct Folded {
    char bytes[7];
    uint8_t size;
  };
  std::array<Folded, kSimpleCount> simple_{};
};

// Sets `*stripped` to the word without the marks on its Latin, Greek and Cyrillic
// letters, and with letters that have a stroke or are two in one written plainly.
void StripAccents(std::string_view word, std::string* stripped);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TERM_FOLDING_H_
