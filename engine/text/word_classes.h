// How characters of European texts join into words.
//
// The characters below U+0590 (Latin, Greek, Cyrillic, Armenian and their punctuation),
// and from U+1E00 to U+206F (more Latin and Greek, general punctuation) are "simple"
// when one class each says all about the word boundaries around them. The classes are
// asked of ICU when first needed, by cutting sample words, so that they follow the
// Unicode version and the tailoring of the ICU in use.
#ifndef COOKIX_ENGINE_TEXT_WORD_CLASSES_H_
#define COOKIX_ENGINE_TEXT_WORD_CLASSES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "unicode/brkiter.h"

namespace cookix::engine {

enum class WordClass : uint8_t {
  kOther,      // stands alone, in no word
  kLetter,     //
  kDigit,      //
  kConnector,  // joins letters, digits and its like, as '_' does
  kMidLetter,  // joins two letters
  kMidDigit,   // joins two digits, as ',' does
  kMidBoth,    // joins two letters or two digits, as '.' and the apostrophe do
  kSymbol,     // a letter of boundaries that alone makes no word
  kComplex,    // needs ICU
};

inline constexpr uint32_t kSimpleLowEnd = 0x590;
inline constexpr uint32_t kSimpleHighBegin = 0x1E00;
inline constexpr uint32_t kSimpleHighEnd = 0x2070;
inline constexpr size_t kSimpleCount = kSimpleLowEnd + (kSimpleHighEnd - kSimpleHighBegin);

// Place of a character in tables of simple characters; kSimpleCount or more when it is
// in none.
inline size_t SimpleIndex(uint32_t c) {
  if (c < kSimpleLowEnd) return c;
  const uint32_t high = c - kSimpleHighBegin;
  return high < kSimpleHighEnd - kSimpleHighBegin ? kSimpleLowEnd + high : kSimpleCount;
}
inline uint32_t SimpleCharacter(size_t index) {
  return static_cast<uint32_t>(index < kSimpleLowEnd ? index
                                                     : index - kSimpleLowEnd + kSimpleHighBegin);
}

using WordClassTable = std::array<WordClass, kSimpleCount>;

// Null when ICU has no data to work with. Built once, lives as long as the process.
const WordClassTable* GetWordClasses();

// ICU's iterator over words of any language. Null when ICU has no data.
std::unique_ptr<icu::BreakIterator> MakeWordIterator();

// Letters, digits and emoji make a word of what they stand in; `previous` is the
// character before `c`, or 0.
bool MakesWord(uint32_t c, uint32_t previous);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_WORD_CLASSES_H_
