#include "storage/base/coding.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace cookix {
namespace {

const std::vector<uint64_t>& Samples() {
  static const auto* const samples = [] {
    auto* values = new std::vector<uint64_t>{0, std::numeric_limits<uint64_t>::max()};
    for (int bit = 0; bit < 64; ++bit) {
      const uint64_t power = uint64_t{1} << bit;
      values->insert(values->end(), {power - 1, power, power + 1});
    }
    return values;
  }();
  return *samples;
}

TEST(CodingTest, VarintRoundTripAndTruncation) {
  for (const uint64_t value : Samples()) {
    std::string bytes;
    PutVarint64(&bytes, value);
    std::string_view in = bytes;
    uint64_t decoded = ~value;
    ASSERT_TRUE(GetVarint64(&in, &decoded));
    EXPECT_EQ(decoded, value);
    EXPECT_TRUE(in.empty());
    for (size_t size = 0; size < bytes.size(); ++size) {
      std::string_view cut = std::string_view(bytes).substr(0, size);
      EXPECT_FALSE(GetVarint64(&cut, &decoded));
    }
  }
}

TEST(CodingTest, VarintOverflowIsRefused) {
  std::string bytes(9, '\xff');
  bytes.push_back('\x02');
  std::string_view in = bytes;
  uint64_t value;
  EXPECT_FALSE(GetVarint64(&in, &value));
  std::string endless(12, '\x80');
  in = endless;
  EXPECT_FALSE(GetVarint64(&in, &value));
}

TEST(CodingTest, BigEndianSortsAsNumbers) {
  for (const uint64_t a : Samples()) {
    for (const uint64_t b : Samples()) {
      std::string x, y;
      PutBigEndian64(&x, a);
      PutBigEndian64(&y, b);
      ASSERT_EQ(x < y, a < b);
    }
  }
}

TEST(CodingTest, LengthPrefixedNeverReadsPastTheEnd) {
  std::string bytes;
  PutLengthPrefixed(&bytes, "hello");
  for (size_t size = 0; size < bytes.size(); ++size) {
    std::string_view in = std::string_view(bytes).substr(0, size);
    std::string_view value;
    EXPECT_FALSE(GetLengthPrefixed(&in, &value));
  }
  std::string huge;
  PutVarint64(&huge, std::numeric_limits<uint64_t>::max());
  huge += "abc";
  std::string_view in = huge;
  std::string_view value;
  EXPECT_FALSE(GetLengthPrefixed(&in, &value));
}

TEST(CodingTest, VarintsHaveOneSpelling) {
  for (const std::string_view overlong :
       {std::string_view("\x80\x00", 2), std::string_view("\xff\x80\x00", 3)}) {
    std::string_view in = overlong;
    uint64_t value = 0;
    EXPECT_FALSE(GetVarint64(&in, &value));
  }
  std::string_view zero("\0", 1);
  uint64_t value = 1;
  EXPECT_TRUE(GetVarint64(&zero, &value));
  EXPECT_EQ(value, 0u);
}

}  // namespace
}  // namespace cookix
