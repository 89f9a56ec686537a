// Packing against what was packed, for every width.
#include "engine/text/posting_blocks.h"

#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

TEST(PostingBlocksTest, UnpacksWhatWasPackedInEveryWidth) {
  std::mt19937_64 random(1);
  for (int bits = 0; bits <= 32; ++bits) {
    for (int round = 0; round < 20; ++round) {
      std::vector<uint32_t> numbers(kPostingBlock), plus(kPostingBlock);
      for (uint32_t& number : numbers) {
        const uint64_t mask = (uint64_t{1} << bits) - 1;
        number = static_cast<uint32_t>(round == 0 ? mask : random() & mask);
      }
      EXPECT_LE(PackedBits(numbers.data()), bits);
      std::string packed;
      Pack(numbers.data(), bits, &packed);
      ASSERT_EQ(packed.size(), PackedBytes(bits));
      const auto* bytes = reinterpret_cast<const uint8_t*>(packed.data());
      UnpackFromOne(bytes, bits, plus.data());
      for (size_t i = 0; i < kPostingBlock; ++i) {
        EXPECT_EQ(plus[i], numbers[i] + 1) << bits;
        EXPECT_EQ(UnpackOne(bytes, bits, i), numbers[i]) << bits;
      }
    }
  }
}

TEST(PostingBlocksTest, SumsDistances) {
  std::mt19937_64 random(2);
  for (int bits = 0; bits <= 20; ++bits) {
    std::vector<uint32_t> distances(kPostingBlock), expected, unpacked(kPostingBlock);
    uint32_t next = 77;
    for (uint32_t& distance : distances) {
      distance = static_cast<uint32_t>(random() & ((uint64_t{1} << bits) - 1));
      expected.push_back(next + distance);
      next = expected.back() + 1;
    }
    std::string packed;
    Pack(distances.data(), bits, &packed);
    UnpackAscending(reinterpret_cast<const uint8_t*>(packed.data()), bits, 77, unpacked.data());
    EXPECT_EQ(unpacked, expected) << bits;
  }
}

}  // namespace
}  // namespace cookix::engine
