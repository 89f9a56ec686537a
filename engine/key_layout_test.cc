// The worked example of storage/doc/key_layout.md, byte by byte.
#include <cctype>
#include <map>
#include <string>
#include <vector>

#include "engine/test_database.h"
#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

using storage::Family;

std::string Shown(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    if (std::isalpha(static_cast<unsigned char>(byte)) != 0) {
      text += byte;
    } else {
      char hex[4];
      std::snprintf(hex, sizeof(hex), "%02x", static_cast<unsigned char>(byte));
      text += hex;
    }
  }
  return text;
}

std::map<std::string, std::string> All(const ReadView& view, Family family,
                                       std::string_view prefix) {
  std::map<std::string, std::string> found;
  auto it = view.snapshot->Scan(family, storage::PrefixBounds(prefix));
  for (it->SeekToFirst(); it->Valid(); it->Next()) found[Shown(it->key())] = Shown(it->value());
  return found;
}

TEST(KeyLayoutTest, TheWorkedExampleIsWhatIsStored) {
  using Rows = std::map<std::string, std::string>;
  TestDatabase database;
  ASSERT_TRUE(PutObject(*database, "umbrella", {"prevents:rain"}).ok());
  const ReadView view = database->Read();
  ASSERT_EQ(view.commit(), 3u);
  EXPECT_EQ(All(view, Family::kIdentity, ""),
            (Rows{{"0000000100000001umbrella", "0100000000000000"},
                  {"0000000100000001rain", "0200000000000000"}}));
  EXPECT_EQ(All(view, Family::kEdges, ""),
            (Rows{{"000000010000000000000001000000030000000000000002", "000000000000f03f000301"}}));
  EXPECT_EQ(All(view, Family::kReverseEdges, ""),
            (Rows{{"000000010000000000000002000000030000000000000001", "000000000000f03f000301"}}));
  EXPECT_EQ(All(view, Family::kCatalog, "k"),
            (Rows{{"k00000001n", "03000000000000000200000000000000"},
                  {"k00000001o00000001", "0100000000000000"},
                  {"k00000001r00000003", "0100000000000000"}}));
  EXPECT_EQ(All(view, Family::kObjects, "").size(), 2u);
  std::string record;
  ASSERT_TRUE(*view.snapshot->Get(Family::kObjects, ObjectKey(1, 2), &record));
  // Fields 1 and 2: collection_id 1, key "rain".
  EXPECT_EQ(Shown(record), "08011204rain");
}

}  // namespace
}  // namespace cookix::engine
