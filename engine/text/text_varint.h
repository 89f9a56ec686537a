// Reads what PutVarint64() made of numbers of up to 32 bits, where it was checked before.
#ifndef COOKIX_ENGINE_TEXT_TEXT_VARINT_H_
#define COOKIX_ENGINE_TEXT_TEXT_VARINT_H_

#include <cstdint>

namespace cookix::engine {

inline const uint8_t* ReadVarint(const uint8_t* at, uint32_t* number) {
  uint32_t value = *at & 0x7F;
  for (int shift = 7; (*at & 0x80) != 0; shift += 7) {
    value |= static_cast<uint32_t>(*++at & 0x7F) << shift;
  }
  *number = value;
  return at + 1;
}

// The same of bytes that nobody has checked: null when there is no number before `end`.
inline const uint8_t* CheckVarint(const uint8_t* at, const uint8_t* end, uint32_t* number) {
  uint64_t value = 0;
  for (int shift = 0; shift < 35 && at < end; shift += 7) {
    const uint8_t byte = *at++;
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte >= 0x80) continue;
    *number = static_cast<uint32_t>(value);
    return value >> 32 == 0 ? at : nullptr;
  }
  return nullptr;
}

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_VARINT_H_
