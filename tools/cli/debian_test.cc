#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "tools/cli/debian_control_parser.h"
#include "tools/cli/debian_version.h"

namespace cookix::cli {
namespace {

TEST(DebianVersionTest, OrdersAsTheManualSays) {
  const std::vector<std::tuple<const char*, const char*, int>> table = {
      {"1.0", "1.0", 0},
      {"1.0", "1.1", -1},
      {"1.10", "1.9", 1},
      {"1.0~rc1", "1.0", -1},
      {"1.0~~", "1.0~", -1},
      {"1.0~~a", "1.0~", -1},
      {"1.0", "1.0a", -1},
      {"1.0a", "1.0+b", -1},
      {"1:0.1", "9.9", 1},
      {"0:1.0", "1.0", 0},
      {"1.0-1", "1.0-2", -1},
      {"1.0-1", "1.0", 1},
      {"1.0-0", "1.0", 0},
      {"1.02", "1.2", 0},
      {"2.36-9+deb12u4", "2.36-9", 1},
      {"1.2.3-4-5", "1.2.3-4-6", -1},
      {"1.0-1~bpo1", "1.0-1", -1},
      {"10", "9", 1},
      {"a", "1", 1},
      {"", "~", 1},
      {"99999999999999999999", "99999999999999999998", 1},
      {"1.0.", "1.0", 1},
      {"1a", "1b", -1},
      {"1.0+dfsg", "1.0.1", -1},
  };
  auto sign = [](int value) { return (value > 0) - (value < 0); };
  for (const auto& [a, b, expected] : table) {
    EXPECT_EQ(sign(CompareDebianVersions(a, b)), expected) << a << " " << b;
    EXPECT_EQ(sign(CompareDebianVersions(b, a)), -expected) << b << " " << a;
  }
}

TEST(DebianVersionTest, Satisfies) {
  EXPECT_TRUE(SatisfiesDebianVersion("1.0", "", ""));
  EXPECT_TRUE(SatisfiesDebianVersion("1.0", ">=", "1.0"));
  EXPECT_FALSE(SatisfiesDebianVersion("1.0", ">>", "1.0"));
  EXPECT_TRUE(SatisfiesDebianVersion("0.9", "<<", "1.0~"));
  EXPECT_TRUE(SatisfiesDebianVersion("1.0", "=", "1.0"));
  EXPECT_FALSE(SatisfiesDebianVersion("1.0", "~", "1.0"));
}

TEST(ControlParserTest, ReadsFoldedFields) {
  std::vector<ControlParagraph> paragraphs;
  ASSERT_TRUE(ParseControl("Package: a\n"
                           "Description: short\n"
                           " long one\n"
                           " .\n"
                           "  more\n"
                           "Tag: x,\n"
                           "\ty\n"
                           "\n"
                           "\n"
                           "# comment\n"
                           "PACKAGE:b\r\n"
                           "Empty:\n",
                           [&](ControlParagraph&& fields) {
                             paragraphs.push_back(std::move(fields));
                             return true;
                           })
                  .ok());
  ASSERT_EQ(paragraphs.size(), 2u);
  EXPECT_EQ(paragraphs[0]["description"], "short\nlong one\n\nmore");
  EXPECT_EQ(paragraphs[0]["tag"], "x,\ny");
  EXPECT_EQ(paragraphs[1]["package"], "b");
  EXPECT_EQ(paragraphs[1]["empty"], "");
}

TEST(ControlParserTest, NamesTheLineThatIsWrong) {
  auto ignore = [](ControlParagraph&&) { return true; };
  for (const char* bad : {"Package: a\n\n x\n", "Package: a\n\nnonsense\n"}) {
    const absl::Status status = ParseControl(bad, ignore);
    EXPECT_FALSE(status.ok());
    EXPECT_NE(std::string(status.message()).find("line 3"), std::string::npos) << status;
  }
}

std::string Shown(std::string_view field) {
  std::string text;
  for (const Alternatives& group : ParseRelationField(field)) {
    if (!text.empty()) text += ", ";
    for (size_t i = 0; i < group.size(); ++i) {
      if (i > 0) text += "|";
      text += group[i].name;
      if (!group[i].arch.empty()) text += ":" + group[i].arch;
      if (!group[i].relation.empty()) text += "(" + group[i].relation + group[i].version + ")";
    }
  }
  return text;
}

TEST(ControlParserTest, ReadsRelations) {
  EXPECT_EQ(Shown("libc6 (>= 2.34), a | b:any (= 1:2-3) | c"), "libc6(>=2.34), a|b:any(=1:2-3)|c");
  EXPECT_EQ(Shown("x (<<1.0~), y( >> 2 ) , z"), "x(<<1.0~), y(>>2), z");
  EXPECT_EQ(Shown("libfoo [amd64 i386] <!nocheck>, bar\n (>= 2)"), "libfoo, bar(>=2)");
  EXPECT_EQ(Shown(""), "");
  EXPECT_EQ(Shown(", ,|,${misc:Depends}"), "");
  EXPECT_EQ(Shown("g++-12, libstdc++6"), "g++-12, libstdc++6");
  EXPECT_EQ(Shown("broken (>= "), "broken");
}

}  // namespace
}  // namespace cookix::cli
