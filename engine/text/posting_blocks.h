// Blocks of 128 small numbers, packed to as many bits as the largest needs.
//
//   row    0: numbers 0 1 2 3      Four lanes of 32 bits; each lane is a stream of bits into
//   row    1: numbers 4 5 6 7      which its 32 numbers go one after the other, the first in
//   ...                            the lowest bits. 16 bytes for each bit.
//   row   31: numbers 124 ... 127
//
// So four numbers are unpacked at once with any vectors of 128 bits.
#ifndef COOKIX_ENGINE_TEXT_POSTING_BLOCKS_H_
#define COOKIX_ENGINE_TEXT_POSTING_BLOCKS_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>

namespace cookix::engine {

inline constexpr size_t kPostingBlock = 128;

// Bits that each of 128 numbers needs.
int PackedBits(const uint32_t* numbers);
inline size_t PackedBytes(int bits) { return static_cast<size_t>(bits) * 16; }

// Appends PackedBytes(bits). REQUIRES: no number has more than `bits` bits; 0 to 32.
void Pack(const uint32_t* numbers, int bits, std::string* out);

// One of the numbers. REQUIRES, as below: PackedBytes(bits) at `packed`.
uint32_t UnpackOne(const uint8_t* packed, int bits, size_t at);
// Ascending numbers that were packed as their distance from the one before, less 1: the first
// number is `first` and what was packed.
void UnpackAscending(const uint8_t* packed, int bits, uint32_t first, uint32_t* numbers);
// Each number plus 1.
void UnpackFromOne(const uint8_t* packed, int bits, uint32_t* numbers);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_POSTING_BLOCKS_H_
