#include "engine/text/posting_blocks.h"

#include <array>
#include <cstring>
#include <utility>

namespace cookix::engine {
namespace {

constexpr int kLanes = 4;
constexpr int kRows = static_cast<int>(kPostingBlock) / kLanes;

// Four numbers. Compilers have these on every processor.
using Row = uint32_t __attribute__((vector_size(16)));

Row LoadRow(const uint8_t* from) {
  Row row;
  std::memcpy(&row, from, sizeof(row));
  return row;
}

void StoreRow(const Row& row, uint32_t* to) { std::memcpy(to, &row, sizeof(row)); }

struct FromOne {
  Row operator()(Row row) { return row + 1; }
};

// Sums along the numbers.
struct Ascending {
  Row sums;
  Row operator()(Row row) {
    const Row zero = {};
    row += 1;
    row += __builtin_shuffle(row, zero, Row{4, 0, 1, 2});
    row += __builtin_shuffle(row, zero, Row{4, 4, 0, 1});
    // What the next row waits for is one addition.
    const Row before = sums;
    sums += __builtin_shuffle(row, Row{3, 3, 3, 3});
    return row + before;
  }
};

template <int kBits, typename Each>
void UnpackRows(const uint8_t* packed, uint32_t* numbers, Each each) {
  if constexpr (kBits == 0) {
    for (int row = 0; row < kRows; ++row) StoreRow(each(Row{}), numbers + row * kLanes);
  } else {
    constexpr uint32_t kMask = kBits == 32 ? ~uint32_t{0} : (uint32_t{1} << (kBits % 32)) - 1;
    Row word = LoadRow(packed);
#pragma GCC unroll 32
    for (int row = 0; row < kRows; ++row) {
      const int shift = row * kBits % 32;
      Row value = word >> shift;
      if (shift + kBits >= 32 && row + 1 < kRows) {
        packed += sizeof(Row);
        word = LoadRow(packed);
        if (shift + kBits > 32) value |= word << (32 - shift);
      }
      StoreRow(each(value & kMask), numbers + row * kLanes);
    }
  }
}

template <typename Each>
using Unpacker = void (*)(const uint8_t*, uint32_t*, Each);

template <typename Each, int... kBits>
constexpr std::array<Unpacker<Each>, sizeof...(kBits)> Unpackers(
    std::integer_sequence<int, kBits...>) {
  return {&UnpackRows<kBits, Each>...};
}

template <typename Each>
void UnpackBits(const uint8_t* packed, int bits, uint32_t* numbers, Each each) {
  static constexpr auto kUnpackers = Unpackers<Each>(std::make_integer_sequence<int, 33>());
  kUnpackers[static_cast<size_t>(bits)](packed, numbers, each);
}

}  // namespace

int PackedBits(const uint32_t* numbers) {
  uint32_t all = 0;
  for (size_t i = 0; i < kPostingBlock; ++i) all |= numbers[i];
  return std::bit_width(all);
}

void Pack(const uint32_t* numbers, int bits, std::string* out) {
  if (bits == 0) return;
  uint32_t words[32][kLanes] = {};
  for (int i = 0; i < static_cast<int>(kPostingBlock); ++i) {
    const int lane = i % kLanes;
    const int at = i / kLanes * bits;
    words[at / 32][lane] |= numbers[i] << (at % 32);
    if (at % 32 + bits > 32) words[at / 32 + 1][lane] |= numbers[i] >> (32 - at % 32);
  }
  out->append(reinterpret_cast<const char*>(words), PackedBytes(bits));
}

uint32_t UnpackOne(const uint8_t* packed, int bits, size_t at) {
  const size_t lane = at % kLanes;
  const size_t begin = at / kLanes * static_cast<size_t>(bits);
  const auto word = [&](size_t row) {
    uint32_t value;
    std::memcpy(&value, packed + (row * kLanes + lane) * sizeof(value), sizeof(value));
    return value;
  };
  if (bits == 0) return 0;
  uint64_t two = word(begin / 32);
  if (begin % 32 + static_cast<size_t>(bits) > 32) two |= uint64_t{word(begin / 32 + 1)} << 32;
  return static_cast<uint32_t>(two >> (begin % 32) & ((uint64_t{1} << bits) - 1));
}

void UnpackAscending(const uint8_t* packed, int bits, uint32_t first, uint32_t* numbers) {
  // The first number counts from `first`, without the 1.
  const uint32_t before = first - 1;
  UnpackBits(packed, bits, numbers, Ascending{Row{before, before, before, before}});
}

void UnpackFromOne(const uint8_t* packed, int bits, uint32_t* numbers) {
  UnpackBits(packed, bits, numbers, FromOne{});
}

}  // namespace cookix::engine
