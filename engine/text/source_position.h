// Places in a query's text, as error messages name them.
#ifndef COOKIX_ENGINE_TEXT_SOURCE_POSITION_H_
#define COOKIX_ENGINE_TEXT_SOURCE_POSITION_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace cookix::engine {

struct SourcePosition {
  size_t byte = 0;    // from 0
  size_t line = 1;    // from 1
  size_t column = 1;  // from 1, in characters

  bool operator==(const SourcePosition&) const = default;
};

// The place of byte number `byte` of UTF-8 text, at most its size.
inline SourcePosition LocateByte(std::string_view text, size_t byte) {
  SourcePosition position{.byte = byte};
  for (const char c : text.substr(0, byte)) {
    if (c == '\n') {
      ++position.line;
      position.column = 1;
    } else if ((static_cast<uint8_t>(c) & 0xC0) != 0x80) {
      ++position.column;
    }
  }
  return position;
}

// "line 1, column 7 (byte 6)".
inline std::string ToString(const SourcePosition& position) {
  return "line " + std::to_string(position.line) + ", column " + std::to_string(position.column) +
         " (byte " + std::to_string(position.byte) + ")";
}

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_SOURCE_POSITION_H_
