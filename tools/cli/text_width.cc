#include "tools/cli/text_width.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

namespace cookix::cli {
namespace {

// The next character of `text` from `*at`; U+FFFD for one invalid byte.
// `*valid` tells them apart.
char32_t NextCharacter(std::string_view text, size_t* at, bool* valid) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(*at);
  *valid = true;
  if (first < 0x80) {
    ++*at;
    return first;
  }
  int length = 0;
  char32_t character = 0;
  char32_t least = 0;
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2, character = first & 0x1f, least = 0x80;
  } else if (first >= 0xe0 && first <= 0xef) {
    length = 3, character = first & 0x0f, least = 0x800;
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4, character = first & 0x07, least = 0x10000;
  }
  bool good = length > 0 && *at + static_cast<size_t>(length) <= text.size();
  for (int i = 1; good && i < length; ++i) {
    const unsigned char next = byte(*at + static_cast<size_t>(i));
    good = (next & 0xc0) == 0x80;
    character = (character << 6) | (next & 0x3f);
  }
  good = good && character >= least && character <= 0x10ffff &&
         !(character >= 0xd800 && character <= 0xdfff);
  if (!good) {
    *valid = false;
    ++*at;
    return 0xfffd;
  }
  *at += static_cast<size_t>(length);
  return character;
}

constexpr std::array<std::pair<char32_t, char32_t>, 14> kNoWidth = {{
    {0x0300, 0x036f},
    {0x0483, 0x0489},
    {0x0591, 0x05bd},
    {0x0610, 0x061a},
    {0x064b, 0x065f},
    {0x0900, 0x0902},
    {0x093c, 0x093c},
    {0x0e31, 0x0e31},
    {0x0e34, 0x0e3a},
    {0x1ab0, 0x1aff},
    {0x1dc0, 0x1dff},
    {0x200b, 0x200f},
    {0x20d0, 0x20ff},
    {0xfe00, 0xfe0f},
}};
constexpr std::array<std::pair<char32_t, char32_t>, 12> kWide = {{
    {0x1100, 0x115f},
    {0x2e80, 0x303e},
    {0x3041, 0x33ff},
    {0x3400, 0x4dbf},
    {0x4e00, 0x9fff},
    {0xa000, 0xa4cf},
    {0xac00, 0xd7a3},
    {0xf900, 0xfaff},
    {0xfe30, 0xfe4f},
    {0xff00, 0xff60},
    {0x1f300, 0x1faff},
    {0x20000, 0x3fffd},
}};

int CharacterWidth(char32_t c) {
  if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return 0;
  if (c < 0x300) return 1;
  for (const auto& [low, high] : kNoWidth) {
    if (c >= low && c <= high) return 0;
  }
  for (const auto& [low, high] : kWide) {
    if (c >= low && c <= high) return 2;
  }
  return 1;
}

}  // namespace

int DisplayWidth(std::string_view text) {
  int width = 0;
  bool valid = true;
  for (size_t at = 0; at < text.size();) width += CharacterWidth(NextCharacter(text, &at, &valid));
  return width;
}

bool IsValidUtf8(std::string_view text) {
  bool valid = true;
  for (size_t at = 0; at < text.size();) {
    NextCharacter(text, &at, &valid);
    if (!valid) return false;
  }
  return true;
}

std::string OneLine(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  bool valid = true;
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    const char32_t c = NextCharacter(text, &at, &valid);
    if (c == '\n' || c == '\t' || c == '\r') {
      if (line.empty() || line.back() != ' ') line += ' ';
    } else if (!valid || c < 0x20 || (c >= 0x7f && c < 0xa0)) {
      line += '?';
    } else {
      line.append(text.substr(start, at - start));
    }
  }
  return line;
}

std::string Shorten(std::string_view text, int width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  if (width <= 0) return "";
  std::string cut;
  int used = 0;
  bool valid = true;
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    const int wide = CharacterWidth(NextCharacter(text, &at, &valid));
    if (used + wide > width - 1) break;
    used += wide;
    cut.append(text.substr(start, at - start));
  }
  return cut + "…";
}

std::string Wrap(std::string_view text, int width, int indent) {
  std::string wrapped;
  int used = 0;
  while (!text.empty()) {
    const size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
    if (word.empty()) continue;
    const int wide = DisplayWidth(word);
    if (used > 0 && used + 1 + wide > width) {
      wrapped += '\n' + std::string(static_cast<size_t>(indent), ' ');
      used = 0;
    } else if (used > 0) {
      wrapped += ' ';
      ++used;
    }
    wrapped += word;
    used += wide;
  }
  return wrapped;
}

std::string WithCommas(int64_t value) {
  std::string digits = std::to_string(value);
  const size_t sign = value < 0 ? 1 : 0;
  for (size_t at = digits.size(); at > sign + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string HumanBytes(int64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  while (std::abs(value) >= 1024 && unit < 4) {
    value /= 1024;
    ++unit;
  }
  char text[48];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

std::string HumanMicros(int64_t micros) {
  char text[48];
  const double value = static_cast<double>(micros);
  if (micros < 1000) {
    std::snprintf(text, sizeof text, "%.0f µs", value);
  } else if (micros < 1'000'000) {
    std::snprintf(text, sizeof text, "%.1f ms", value / 1e3);
  } else {
    std::snprintf(text, sizeof text, "%.2f s", value / 1e6);
  }
  return text;
}

}  // namespace cookix::cli
