#include "engine/text/word_segmenter.h"

#include <cstdlib>

#include "unicode/utf8.h"

namespace cookix::engine {

WordSegmenter::WordSegmenter(const icu::BreakIterator& prototype, const WordClassTable& classes)
    : iterator_(prototype.clone()), classes_(classes) {
  if (iterator_ == nullptr) std::abort();  // out of memory
}

WordSegmenter::~WordSegmenter() { utext_close(&utext_); }

bool WordSegmenter::IsAscii(std::string_view text) {
  constexpr uint64_t kHighBits = 0x8080808080808080;
  size_t i = 0;
  uint64_t any = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    any |= word;
  }
  for (; i < text.size(); ++i) any |= static_cast<uint8_t>(text[i]);
  return (any & kHighBits) == 0;
}

bool WordSegmenter::AllSimple(std::string_view text) const {
  WordClass ignored;
  for (size_t at = 0; at < text.size();) {
    if (!NextSimple(text, &at, &ignored)) return false;
  }
  return true;
}

void WordSegmenter::StartIcu(std::string_view part) {
  // Neither call fails but for lack of memory, and then NextIcuWord finds no words.
  UErrorCode error = U_ZERO_ERROR;
  utext_openUTF8(&utext_, part.data(), static_cast<int64_t>(part.size()), &error);
  iterator_->setText(&utext_, error);
  segment_begin_ = iterator_->first();
}

bool WordSegmenter::NextIcuWord(std::string_view part, size_t* begin, size_t* end) {
  while (true) {
    int32_t at = segment_begin_;
    const int32_t segment_end = iterator_->next();
    if (segment_end == icu::BreakIterator::DONE) return false;
    segment_begin_ = segment_end;
    // A mark after white space belongs to it, and is a word of its own here.
    while (at < segment_end && IsGap(part[static_cast<size_t>(at)])) ++at;
    *begin = static_cast<size_t>(at);
    *end = static_cast<size_t>(segment_end);
    UChar32 c = 0;
    for (UChar32 previous = 0; at < segment_end; previous = c) {
      U8_NEXT(part.data(), at, segment_end, c);
      if (c >= 0 && MakesWord(static_cast<uint32_t>(c), static_cast<uint32_t>(previous))) {
        return true;
      }
    }
  }
}

}  // namespace cookix::engine
