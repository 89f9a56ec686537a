// Where the words of a text are.
#ifndef COOKIX_ENGINE_TEXT_WORD_SEGMENTER_H_
#define COOKIX_ENGINE_TEXT_WORD_SEGMENTER_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "engine/text/word_classes.h"
#include "unicode/brkiter.h"
#include "unicode/utext.h"

namespace cookix::engine {

// Cuts texts into words: by tables where all characters are simple, by ICU elsewhere.
// White space and '@' part words always, so that each stretch between them can go
// either way. For one thread at a time.
class WordSegmenter {
 public:
  // A word is made of ASCII, of simple characters, or of any.
  enum class Alphabet : uint8_t { kAscii, kSimple, kAny };

  // `prototype` and `classes` outlive the segmenter.
  WordSegmenter(const icu::BreakIterator& prototype, const WordClassTable& classes);
  ~WordSegmenter();
  WordSegmenter(const WordSegmenter&) = delete;
  WordSegmenter& operator=(const WordSegmenter&) = delete;

  // Calls word(begin, end, alphabet) for each word in order, in bytes of `text`.
  template <typename Word>
  void Segment(std::string_view text, Word&& word);

  // The same by ICU alone: word(begin, end).
  template <typename Word>
  void SegmentByIcu(std::string_view text, Word&& word);

 private:
  static bool IsGap(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == '@'; }
  static bool IsAscii(std::string_view text);
  static bool Joins(WordClass before, WordClass middle, WordClass after);

  // The simple character at `*at`, which moves past it. False: it is not simple, or no
  // UTF-8.
  bool NextSimple(std::string_view text, size_t* at, WordClass* result) const;
  bool AllSimple(std::string_view text) const;

  template <bool kAscii, typename Word>
  void ScanSimple(std::string_view text, size_t begin, size_t end, Word&& word) const;
  template <typename Word>
  void ScanByIcu(std::string_view text, size_t begin, size_t end, Word&& word);

  // Starts ICU on [begin, end) of the text.
  void StartIcu(std::string_view part);
  // The next segment that makes a word, relative to where ICU started.
  bool NextIcuWord(std::string_view part, size_t* begin, size_t* end);

  const std::unique_ptr<icu::BreakIterator> iterator_;
  const WordClassTable& classes_;
  UText utext_ = UTEXT_INITIALIZER;
  int32_t segment_begin_ = 0;
};

// ---------------------------------------------------------------------------------

inline bool WordSegmenter::Joins(WordClass before, WordClass middle, WordClass after) {
  const auto letter = [](WordClass c) {
    return c == WordClass::kLetter || c == WordClass::kSymbol;
  };
  if (letter(before) && letter(after)) {
    return middle == WordClass::kMidLetter || middle == WordClass::kMidBoth;
  }
  return before == WordClass::kDigit && after == WordClass::kDigit &&
         (middle == WordClass::kMidDigit || middle == WordClass::kMidBoth);
}

inline bool WordSegmenter::NextSimple(std::string_view text, size_t* at, WordClass* result) const {
  const auto byte = [&](size_t i) -> uint32_t { return static_cast<uint8_t>(text[i]); };
  const auto follows = [&](size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  const size_t i = *at;
  const uint32_t lead = byte(i);
  uint32_t c = lead;
  if (lead < 0x80) {
    *at = i + 1;
  } else if (lead >= 0xC2 && lead <= 0xDF && follows(i + 1)) {
    c = (lead & 0x1F) << 6 | (byte(i + 1) & 0x3F);
    *at = i + 2;
  } else if (lead >= 0xE1 && lead <= 0xE2 && follows(i + 1) && follows(i + 2)) {
    c = (lead & 0x0F) << 12 | (byte(i + 1) & 0x3F) << 6 | (byte(i + 2) & 0x3F);
    *at = i + 3;
  } else {
    return false;
  }
  const size_t index = SimpleIndex(c);
  if (index >= kSimpleCount) return false;
  *result = classes_[index];
  return *result != WordClass::kComplex;
}

// One pass with the class of the character before and the one after at hand. A word
// ends where neither the next character joins it nor the next two do.
template <bool kAscii, typename Word>
void WordSegmenter::ScanSimple(std::string_view text, size_t begin, size_t end, Word&& word) const {
  const auto next = [&](size_t* at) {
    if constexpr (kAscii) return classes_[static_cast<uint8_t>(text[(*at)++])];
    WordClass result = WordClass::kOther;
    NextSimple(text, at, &result);
    return result;
  };
  const auto in_word = [](WordClass c) {
    return (c >= WordClass::kLetter && c <= WordClass::kConnector) || c == WordClass::kSymbol;
  };
  size_t at = begin;
  while (at < end) {
    const size_t word_begin = at;
    WordClass last = next(&at);
    if (!in_word(last)) continue;
    bool makes_word = false;
    size_t word_end = at;
    while (true) {
      makes_word |= last == WordClass::kLetter || last == WordClass::kDigit;
      word_end = at;
      if (at == end) break;
      WordClass ahead = next(&at);
      if (in_word(ahead)) {
        last = ahead;
        continue;
      }
      if (at == end) break;
      const WordClass middle = ahead;
      ahead = next(&at);
      if (!Joins(last, middle, ahead)) break;
      last = ahead;
    }
    if (makes_word) word(word_begin, word_end, kAscii ? Alphabet::kAscii : Alphabet::kSimple);
    at = word_end;
  }
}

template <typename Word>
void WordSegmenter::ScanByIcu(std::string_view text, size_t begin, size_t end, Word&& word) {
  const std::string_view part = text.substr(begin, end - begin);
  if (part.empty()) return;
  StartIcu(part);
  size_t word_begin, word_end;
  while (NextIcuWord(part, &word_begin, &word_end)) {
    word(begin + word_begin, begin + word_end);
  }
}

template <typename Word>
void WordSegmenter::Segment(std::string_view text, Word&& word) {
  if (IsAscii(text)) {
    ScanSimple<true>(text, 0, text.size(), word);
    return;
  }
  // Stretches that need ICU go to it together: starting it costs more than a word.
  size_t icu_begin = 0, icu_end = 0;
  const auto flush_icu = [&] {
    ScanByIcu(text, icu_begin, icu_end,
              [&](size_t begin, size_t end) { word(begin, end, Alphabet::kAny); });
    icu_begin = icu_end;
  };
  for (size_t at = 0; at < text.size();) {
    if (IsGap(text[at])) {
      if (text[at] == '@') flush_icu();
      ++at;
      continue;
    }
    size_t end = at;
    while (end < text.size() && !IsGap(text[end])) ++end;
    const std::string_view stretch = text.substr(at, end - at);
    if (IsAscii(stretch)) {
      flush_icu();
      ScanSimple<true>(text, at, end, word);
    } else if (AllSimple(stretch)) {
      flush_icu();
      ScanSimple<false>(text, at, end, word);
    } else {
      if (icu_begin == icu_end) icu_begin = at;
      icu_end = end;
    }
    at = end;
  }
  flush_icu();
}

template <typename Word>
void WordSegmenter::SegmentByIcu(std::string_view text, Word&& word) {
  for (size_t at = 0; at < text.size();) {
    const size_t sign = std::min(text.find('@', at), text.size());
    ScanByIcu(text, at, sign, word);
    at = sign + 1;
  }
}

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_WORD_SEGMENTER_H_
