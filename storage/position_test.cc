#include "storage/position.h"

#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "storage/base/coding.h"
#include "storage/base/crc32c.h"
#include "storage/base/status.h"

namespace cookix::storage {
namespace {

Position Sample(uint64_t epoch, uint64_t commit) {
  Position position;
  for (size_t i = 0; i < position.store.size(); ++i) {
    position.store[i] = static_cast<uint8_t>(i * 17);
  }
  position.epoch = epoch;
  position.commit = commit;
  return position;
}

TEST(PositionTest, RoundTrip) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  for (const uint64_t epoch : {uint64_t{0}, uint64_t{1}, uint64_t{300}, kMax}) {
    for (const uint64_t commit : {uint64_t{0}, uint64_t{127}, uint64_t{128}, kMax}) {
      const Position position = Sample(epoch, commit);
      const auto decoded = DecodePosition(EncodePosition(position));
      ASSERT_TRUE(decoded.ok()) << decoded.status();
      EXPECT_EQ(*decoded, position);
    }
  }
}

TEST(PositionTest, EveryFlippedBitAndEveryCutIsRefused) {
  const std::string token = EncodePosition(Sample(3, 123456789));
  for (size_t bit = 0; bit < token.size() * 8; ++bit) {
    std::string damaged = token;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    const auto decoded = DecodePosition(damaged);
    ASSERT_FALSE(decoded.ok()) << bit;
    EXPECT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument);
  }
  for (size_t size = 0; size < token.size(); ++size) {
    EXPECT_FALSE(DecodePosition(std::string_view(token).substr(0, size)).ok());
  }
  EXPECT_FALSE(DecodePosition(token + "x").ok());
}

TEST(PositionTest, LongEncodingsOfNumbersAreRefused) {
  std::string token(1, 1);
  token.append(16, '\0');
  token += std::string("\x81\x00", 2);  // 1, in two bytes
  PutVarint64(&token, 5);
  PutFixed32(&token, MaskCrc32c(Crc32c(token)));
  EXPECT_FALSE(DecodePosition(token).ok());
}

TEST(PositionTest, Hex) {
  EXPECT_EQ(StoreIdToHex(Sample(1, 1).store), "00112233445566778899aabbccddeeff");
}

}  // namespace
}  // namespace cookix::storage
