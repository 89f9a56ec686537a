#include "storage/base/crc32c.h"

#include <string>

#include "gtest/gtest.h"

namespace cookix {
namespace {

// Vectors of RFC 3720, appendix B.4.
TEST(Crc32cTest, StandardVectors) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string ascending;
  for (int i = 0; i < 32; ++i) ascending.push_back(static_cast<char>(i));
  EXPECT_EQ(Crc32c(ascending), 0x46dd794eu);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(""), 0u);
}

TEST(Crc32cTest, ExtendsAtEverySplit) {
  std::string text;
  for (int i = 0; i < 50; ++i) text.push_back(static_cast<char>(i * 37));
  for (size_t i = 0; i <= text.size(); ++i) {
    const std::string_view view = text;
    EXPECT_EQ(ExtendCrc32c(Crc32c(view.substr(0, i)), view.substr(i)), Crc32c(text)) << i;
  }
}

TEST(Crc32cTest, MaskIsReversible) {
  for (uint32_t crc : {0u, 1u, 0x8a9136aau, 0xffffffffu}) {
    EXPECT_EQ(UnmaskCrc32c(MaskCrc32c(crc)), crc);
    EXPECT_NE(MaskCrc32c(crc), crc);
  }
}

}  // namespace
}  // namespace cookix
