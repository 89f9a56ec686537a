// Byte encodings used by keys and records.
//
// Big-endian fixed integers sort as bytes in numeric order and are used in
// keys; little-endian fixed integers and LEB128 varints are used in values.
// Decoders never read past their input and return false on malformed bytes.
#ifndef COOKIX_STORAGE_BASE_CODING_H_
#define COOKIX_STORAGE_BASE_CODING_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace cookix {

static_assert(std::endian::native == std::endian::little,
              "CookiX is built for little-endian machines");

inline void PutBigEndian32(std::string* out, uint32_t value) {
  value = __builtin_bswap32(value);
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}
inline void PutBigEndian64(std::string* out, uint64_t value) {
  value = __builtin_bswap64(value);
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}
inline void PutFixed32(std::string* out, uint32_t value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}
inline void PutFixed64(std::string* out, uint64_t value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}
inline void PutDouble(std::string* out, double value) {
  PutFixed64(out, std::bit_cast<uint64_t>(value));
}
inline void PutVarint64(std::string* out, uint64_t value) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}
inline void PutLengthPrefixed(std::string* out, std::string_view value) {
  PutVarint64(out, value.size());
  out->append(value);
}

// Each Get* consumes what it decodes from the front of `in`.
inline bool GetBigEndian32(std::string_view* in, uint32_t* value) {
  if (in->size() < sizeof(*value)) return false;
  std::memcpy(value, in->data(), sizeof(*value));
  *value = __builtin_bswap32(*value);
  in->remove_prefix(sizeof(*value));
  return true;
}
inline bool GetBigEndian64(std::string_view* in, uint64_t* value) {
  if (in->size() < sizeof(*value)) return false;
  std::memcpy(value, in->data(), sizeof(*value));
  *value = __builtin_bswap64(*value);
  in->remove_prefix(sizeof(*value));
  return true;
}
inline bool GetFixed32(std::string_view* in, uint32_t* value) {
  if (in->size() < sizeof(*value)) return false;
  std::memcpy(value, in->data(), sizeof(*value));
  in->remove_prefix(sizeof(*value));
  return true;
}
inline bool GetFixed64(std::string_view* in, uint64_t* value) {
  if (in->size() < sizeof(*value)) return false;
  std::memcpy(value, in->data(), sizeof(*value));
  in->remove_prefix(sizeof(*value));
  return true;
}
inline bool GetDouble(std::string_view* in, double* value) {
  uint64_t bits;
  if (!GetFixed64(in, &bits)) return false;
  *value = std::bit_cast<double>(bits);
  return true;
}
inline bool GetVarint64(std::string_view* in, uint64_t* value) {
  uint64_t result = 0;
  for (int shift = 0; shift <= 63; shift += 7) {
    if (in->empty()) return false;
    const uint8_t byte = static_cast<uint8_t>(in->front());
    in->remove_prefix(1);
    if (shift == 63 && byte > 1) return false;
    result |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      // One spelling for each number: what decodes is what PutVarint64 made.
      if (byte == 0 && shift > 0) return false;
      *value = result;
      return true;
    }
  }
  return false;
}
inline bool GetLengthPrefixed(std::string_view* in, std::string_view* value) {
  uint64_t size;
  if (!GetVarint64(in, &size) || size > in->size()) return false;
  *value = in->substr(0, size);
  in->remove_prefix(size);
  return true;
}

}  // namespace cookix

#endif  // COOKIX_STORAGE_BASE_CODING_H_
