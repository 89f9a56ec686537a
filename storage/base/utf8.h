// Checking UTF-8.
#ifndef COOKIX_STORAGE_BASE_UTF8_H_
#define COOKIX_STORAGE_BASE_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cookix {

// How many bytes at the front are well-formed UTF-8 (Unicode 15, table 3-7: no
// surrogates, no overlong forms, nothing above U+10FFFF).
inline size_t Utf8PrefixSize(std::string_view text) {
  const auto* const begin = reinterpret_cast<const uint8_t*>(text.data());
  const auto* p = begin;
  const auto* end = p + text.size();
  while (p < end) {
    const auto valid = static_cast<size_t>(p - begin);
    const uint8_t lead = *p++;
    if (lead < 0x80) continue;
    int more;
    uint8_t low = 0x80, high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
      more = 1;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      more = 2;
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      more = 3;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    } else {
      return valid;
    }
    for (; more > 0; --more, low = 0x80, high = 0xBF) {
      if (p == end || *p < low || *p > high) return valid;
      ++p;
    }
  }
  return text.size();
}

inline bool IsUtf8(std::string_view text) { return Utf8PrefixSize(text) == text.size(); }

// True when the text has a byte below 0x20 or 0x7F.
inline bool HasControlCharacter(std::string_view text) {
  for (const char c : text) {
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7F) return true;
  }
  return false;
}

}  // namespace cookix

#endif  // COOKIX_STORAGE_BASE_UTF8_H_
