#include "engine/text/posting_tail.h"

#include <bit>
#include <limits>

#include "engine/text/text_varint.h"
#include "storage/base/coding.h"

namespace cookix::engine {
namespace {

constexpr int kMostBits = 28;
constexpr int kBitsOfBits = 5;
// Of a tf; more are varints.
constexpr int kMostTfBits = 6;
constexpr int kVarints = 7;
// So that no tf that is read is larger than its type.
constexpr uint32_t kMostNumber = std::numeric_limits<uint32_t>::max() - 2;

struct Header {
  int bits;
  int tf_bits;

  explicit Header(uint8_t byte)
      : bits(byte & ((1 << kBitsOfBits) - 1)), tf_bits(byte >> kBitsOfBits) {}
};

size_t BytesOf(size_t count, int bits) { return (count * static_cast<size_t>(bits) + 7) / 8; }

// Appends numbers of so many bits, the first in the lowest.
template <typename NumberOf>
void AppendBits(size_t count, int bits, std::string* out, NumberOf number_of) {
  uint64_t held = 0;
  int holds = 0;
  for (size_t i = 0; i < count; ++i) {
    held |= uint64_t{number_of(i)} << holds;
    for (holds += bits; holds >= 8; holds -= 8, held >>= 8) {
      out->push_back(static_cast<char>(held));
    }
  }
  if (holds > 0) out->push_back(static_cast<char>(held));
}

template <typename Take>
void ReadBits(const uint8_t* at, size_t count, int bits, Take take) {
  const uint64_t mask = (uint64_t{1} << bits) - 1;
  uint64_t held = 0;
  int holds = 0;
  for (size_t i = 0; i < count; ++i) {
    for (; holds < bits; holds += 8) held |= uint64_t{*at++} << holds;
    take(i, static_cast<uint32_t>(held & mask));
    held >>= bits;
    holds -= bits;
  }
}

}  // namespace

void AppendPostingTail(std::span<const uint32_t> docs, std::span<const uint32_t> tfs,
                       uint32_t first, std::string* out) {
  const auto distance = [&](size_t i) { return docs[i] - (i == 0 ? first : docs[i - 1] + 1); };
  if (docs.size() == 1) {
    PutVarint64(out, uint64_t{distance(0)} << 1 | (tfs[0] > 1));
    if (tfs[0] > 1) PutVarint64(out, tfs[0] - 2);
    return;
  }
  uint32_t distances = 0, more = 0;
  for (size_t i = 0; i < docs.size(); ++i) {
    distances |= distance(i);
    more |= tfs[i] - 1;
  }
  const int bits = std::bit_width(distances);
  const int tf_bits = std::bit_width(more) <= kMostTfBits ? std::bit_width(more) : kVarints;
  out->push_back(static_cast<char>(bits | tf_bits << kBitsOfBits));
  AppendBits(docs.size(), bits, out, distance);
  if (tf_bits == kVarints) {
    for (const uint32_t tf : tfs) PutVarint64(out, tf - 1);
  } else {
    AppendBits(docs.size(), tf_bits, out, [&](size_t i) { return tfs[i] - 1; });
  }
}

void ReadPostingTail(const uint8_t* at, size_t count, uint32_t first, uint32_t* docs,
                     uint32_t* tfs) {
  uint32_t number;
  if (count == 1) {
    at = ReadVarint(at, &number);
    docs[0] = first + (number >> 1);
    if (tfs == nullptr) return;
    tfs[0] = 1;
    if ((number & 1) == 0) return;
    ReadVarint(at, &number);
    tfs[0] = number + 2;
    return;
  }
  const Header header(*at++);
  ReadBits(at, count, header.bits, [&](size_t i, uint32_t distance) {
    docs[i] = first + distance;
    first = docs[i] + 1;
  });
  if (tfs == nullptr) return;
  at += BytesOf(count, header.bits);
  if (header.tf_bits != kVarints) {
    ReadBits(at, count, header.tf_bits, [&](size_t i, uint32_t more) { tfs[i] = more + 1; });
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    at = ReadVarint(at, &number);
    tfs[i] = number + 1;
  }
}

size_t PostingTailBytes(const uint8_t* begin, const uint8_t* end, size_t count) {
  const uint8_t* at = begin;
  uint32_t number = 0;
  if (count == 1) {
    at = CheckVarint(at, end, &number);
    if (at != nullptr && (number & 1) != 0) at = CheckVarint(at, end, &number);
    return at == nullptr || number > kMostNumber ? 0 : static_cast<size_t>(at - begin);
  }
  if (at == end) return 0;
  const Header header(*at++);
  if (header.bits > kMostBits) return 0;
  const size_t tf_bytes = header.tf_bits == kVarints ? 0 : BytesOf(count, header.tf_bits);
  const size_t bytes = BytesOf(count, header.bits) + tf_bytes;
  if (bytes > static_cast<size_t>(end - at)) return 0;
  at += bytes;
  for (size_t i = 0; header.tf_bits == kVarints && i < count; ++i) {
    at = CheckVarint(at, end, &number);
    if (at == nullptr || number > kMostNumber) return 0;
  }
  return static_cast<size_t>(at - begin);
}

}  // namespace cookix::engine
