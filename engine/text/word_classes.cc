#include "engine/text/word_classes.h"

#include <initializer_list>

#include "unicode/uchar.h"
#include "unicode/unistr.h"

namespace cookix::engine {
namespace {

// Cuts short samples.
class Prober {
 public:
  explicit Prober(icu::BreakIterator& iterator) : iterator_(iterator) {}

  // The characters are one segment.
  bool Joined(std::initializer_list<uint32_t> characters) {
    sample_.remove();
    for (const uint32_t c : characters) sample_.append(static_cast<UChar32>(c));
    iterator_.setText(sample_);
    iterator_.first();
    return iterator_.next() == sample_.length();
  }

 private:
  icu::BreakIterator& iterator_;
  icu::UnicodeString sample_;
};

WordClass Classify(Prober& prober, uint32_t c) {
  // Segments end at '@' whatever the rules of the locale say: see WordSegmenter.
  if (c == '@') return WordClass::kOther;
  // What belongs to any character before it hides the classes on both its sides.
  if (prober.Joined({'-', c})) return WordClass::kComplex;
  const bool after = prober.Joined({'a', c});
  const bool before = prober.Joined({c, 'a'});
  if (after != before) return WordClass::kComplex;
  if (after) {
    if (prober.Joined({c, '.', 'a'})) {
      return MakesWord(c, 0) ? WordClass::kLetter : WordClass::kSymbol;
    }
    if (!MakesWord(c, 0)) return WordClass::kConnector;
    return prober.Joined({c, '.', '1'}) ? WordClass::kDigit : WordClass::kComplex;
  }
  if (MakesWord(c, 0)) return WordClass::kComplex;
  const bool letters = prober.Joined({'a', c, 'a'});
  const bool digits = prober.Joined({'1', c, '1'});
  if (letters) return digits ? WordClass::kMidBoth : WordClass::kMidLetter;
  return digits ? WordClass::kMidDigit : WordClass::kOther;
}

const WordClassTable* BuildWordClasses() {
  const std::unique_ptr<icu::BreakIterator> iterator = MakeWordIterator();
  if (iterator == nullptr) return nullptr;
  Prober prober(*iterator);
  auto* table = new WordClassTable;
  for (size_t i = 0; i < kSimpleCount; ++i) (*table)[i] = Classify(prober, SimpleCharacter(i));
  return table;
}

}  // namespace

const WordClassTable* GetWordClasses() {
  static const WordClassTable* const table = BuildWordClasses();
  return table;
}

std::unique_ptr<icu::BreakIterator> MakeWordIterator() {
  UErrorCode error = U_ZERO_ERROR;
  std::unique_ptr<icu::BreakIterator> iterator(
      icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), error));
  if (U_FAILURE(error)) return nullptr;
  return iterator;
}

bool MakesWord(uint32_t c, uint32_t previous) {
  const auto character = static_cast<UChar32>(c);
  constexpr uint32_t kEmojiStyle = 0xFE0F;
  if (c == kEmojiStyle) {
    return u_hasBinaryProperty(static_cast<UChar32>(previous), UCHAR_EXTENDED_PICTOGRAPHIC);
  }
  return u_isUAlphabetic(character) || (U_GET_GC_MASK(character) & U_GC_N_MASK) != 0 ||
         u_hasBinaryProperty(character, UCHAR_EMOJI_PRESENTATION);
}

}  // namespace cookix::engine
