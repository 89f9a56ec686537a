// The codecs of the store's own records and of the file COOKIX.
#include "storage/system_records.h"

#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "storage/store_file.h"

namespace cookix::storage {
namespace {

// Every cut and one byte more are refused.
template <typename Record>
void ExpectStrict(const Record& record) {
  const std::string bytes = Encode(record);
  Record decoded;
  EXPECT_TRUE(Decode(bytes, &decoded));
  EXPECT_EQ(Encode(decoded), bytes);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(Decode(std::string_view(bytes).substr(0, size), &decoded)) << size;
  }
  EXPECT_FALSE(Decode(bytes + "x", &decoded));
}

TEST(SystemRecordsTest, RecordsAreStrict) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  constexpr int64_t kTime = std::numeric_limits<int64_t>::max();
  ExpectStrict(IdentityRecord{.format_version = 3, .id = {1, 2, 3}});
  ExpectStrict(LastCommitRecord{kMax, 4, kTime});
  ExpectStrict(LastCommitRecord{});
  ExpectStrict(EpochStart{0, kMax, 5});
  ExpectStrict(OpenStateRecord{.clean = true, .weak = false});
  ExpectStrict(RequestRecord{1, 2, 3, kMax, "response"});
  ExpectStrict(RequestRecord{});
  OpenStateRecord state;
  EXPECT_FALSE(Decode(std::string("\x02\x00", 2), &state));
}

TEST(SystemRecordsTest, Keys) {
  uint64_t epoch = 0;
  ASSERT_TRUE(ParseEpochKey(EpochKey(258), &epoch));
  EXPECT_EQ(epoch, 258u);
  EXPECT_FALSE(ParseEpochKey(EpochKey(258) + "x", &epoch));
  EXPECT_FALSE(ParseEpochKey("r", &epoch));
  EXPECT_LT(EpochKey(255), EpochKey(256));
  int64_t time = 0;
  std::string_view id;
  const std::string key = RequestTimeKey(77, "request");
  ASSERT_TRUE(ParseRequestTimeKey(key, &time, &id));
  EXPECT_EQ(time, 77);
  EXPECT_EQ(id, "request");
  EXPECT_LT(RequestTimeKey(255, "z"), RequestTimeKey(256, "a"));
  EXPECT_FALSE(ParseRequestTimeKey("t123", &time, &id));
}

TEST(StoreFileTest, EveryChangeIsRefused) {
  const StoreFile file{.format_version = 1, .id = {0xab, 0xcd}, .copy = true};
  const std::string text = EncodeStoreFile(file);
  const auto decoded = DecodeStoreFile(text, 1);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->id, file.id);
  EXPECT_TRUE(decoded->copy);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(DecodeStoreFile(changed, 1).ok()) << i;
    EXPECT_FALSE(DecodeStoreFile(text.substr(0, i), 1).ok()) << i;
  }
  EXPECT_FALSE(DecodeStoreFile(text + "\n", 1).ok());
}

TEST(StoreFileTest, ANewerFormatIsNamedWhateverFollows) {
  EXPECT_EQ(DecodeStoreFile("CookiX store\nformat 2\nsomething new", 1).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(DecodeStoreFile("CookiX store\nformat x\n", 1).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(DecodeStoreFile("", 1).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace cookix::storage
