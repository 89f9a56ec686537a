#include "tools/cli/arguments.h"

#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::cli {
namespace {

const std::vector<FlagSpec> kFlags = {
    {"content", "TEXT", "text"}, {"label", "L", "label", 'l', true}, {"json", "", "switch"},
    {"limit", "N", "number"},    {"ttl", "DURATION", "time"},
};
const std::vector<PositionalSpec> kPositionals = {{"KEY", "the key"}, {"MORE", "more", true, true}};

TEST(ArgumentsTest, ReadsEveryForm) {
  auto arguments = ParseArguments({"a", "--content=x=y", "-l", "one", "-ltwo", "--label", "three",
                                   "--json", "b", "-", "-5", "--", "--raw"},
                                  kFlags, kPositionals);
  ASSERT_TRUE(arguments.ok()) << arguments.status();
  EXPECT_EQ(arguments->Get("content"), "x=y");
  EXPECT_EQ(arguments->GetAll("label"), (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_TRUE(arguments->Has("json"));
  EXPECT_EQ(arguments->positionals(), (std::vector<std::string>{"a", "b", "-", "-5"}));
  EXPECT_EQ(arguments->rest, (std::vector<std::string>{"--raw"}));
}

std::string Remedy(std::vector<std::string> words) {
  auto arguments = ParseArguments(words, kFlags, kPositionals);
  EXPECT_FALSE(arguments.ok());
  return GetErrorDetail(arguments.status())->remedy;
}

TEST(ArgumentsTest, SuggestsTheFlagThatWasMeant) {
  EXPECT_EQ(Remedy({"a", "--contnet", "x"}), "did you mean --content?");
  EXPECT_EQ(Remedy({"a", "--zzzzzzzz"}), "see `cookix help`");
}

TEST(ArgumentsTest, NamesWhatIsMissing) {
  EXPECT_EQ(Remedy({}), "give the key");
  EXPECT_EQ(Remedy({"a", "--content"}), "give --content TEXT");
  EXPECT_EQ(Remedy({"a", "--json=yes"}), "leave out \"yes\"");
  EXPECT_EQ(Remedy({"a", "--limit", "1", "--limit", "2"}), "give it once");
}

TEST(ArgumentsTest, ChecksNumbers) {
  auto arguments = ParseArguments({"a", "--limit", "12", "--ttl", "1.5m"}, kFlags, kPositionals);
  ASSERT_TRUE(arguments.ok());
  EXPECT_EQ(*arguments->GetInt("limit", 0, 1, 20), 12);
  EXPECT_FALSE(arguments->GetInt("limit", 0, 1, 10).ok());
  EXPECT_EQ(*arguments->GetDurationMs("ttl", 0), 90'000);
  EXPECT_EQ(*arguments->GetInt("absent", 7, 1, 2), 7);
}

TEST(ArgumentsTest, ReadsDurations) {
  EXPECT_EQ(ParseDurationMs("250ms"), 250);
  EXPECT_EQ(ParseDurationMs("60"), 60'000);
  EXPECT_EQ(ParseDurationMs("2h"), 7'200'000);
  EXPECT_EQ(ParseDurationMs("7d"), 604'800'000);
  for (const char* bad : {"", "s", "5x", "1e400s", "-3s", "1..2s"}) {
    EXPECT_FALSE(ParseDurationMs(bad).has_value()) << bad;
  }
}

TEST(ArgumentsTest, RefusesNumbersThatAreNot) {
  for (const char* bad : {"", "1x", "nan", "inf", " 1"}) EXPECT_FALSE(ParseDouble(bad)) << bad;
  for (const char* bad : {"", "1.0", "99999999999999999999"}) EXPECT_FALSE(ParseInt(bad)) << bad;
}

}  // namespace
}  // namespace cookix::cli
