// CRC-32C (Castagnoli), in the hardware where the processor has it.
#ifndef COOKIX_STORAGE_BASE_CRC32C_H_
#define COOKIX_STORAGE_BASE_CRC32C_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cookix {

// The checksum of a string whose first part has the checksum `crc` and which
// goes on with `data`. Start with 0.
uint32_t ExtendCrc32c(uint32_t crc, std::string_view data);

inline uint32_t Crc32c(std::string_view data) { return ExtendCrc32c(0, data); }

// Checksums that are stored beside the bytes they cover are masked, so that a
// checksum over bytes that hold checksums keeps its strength.
inline uint32_t MaskCrc32c(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }
inline uint32_t UnmaskCrc32c(uint32_t masked) {
  const uint32_t rotated = masked - 0xa282ead8u;
  return (rotated >> 17) | (rotated << 15);
}

}  // namespace cookix

#endif  // COOKIX_STORAGE_BASE_CRC32C_H_
