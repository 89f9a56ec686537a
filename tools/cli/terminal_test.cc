#include "tools/cli/terminal.h"

#include <sstream>

#include "gtest/gtest.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

TEST(TextWidthTest, CountsColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth("abc"), 3);
  EXPECT_EQ(DisplayWidth("é"), 1);
  EXPECT_EQ(DisplayWidth("e\u0301"), 1);
  EXPECT_EQ(DisplayWidth("日本"), 4);
  EXPECT_EQ(DisplayWidth("🍪"), 2);
  EXPECT_EQ(DisplayWidth("\xff\xfe"), 2);
}

TEST(TextWidthTest, ShortensToWidth) {
  EXPECT_EQ(Shorten("abcdef", 6), "abcdef");
  EXPECT_EQ(Shorten("abcdef", 4), "abc…");
  EXPECT_EQ(Shorten("日本語", 4), "日…");
  EXPECT_EQ(Shorten("abc", 0), "");
}

TEST(TextWidthTest, KeepsDataFromDrivingTheTerminal) {
  EXPECT_EQ(OneLine("a\n b\x1b[31m\xff"), "a  b?[31m?");
  EXPECT_EQ(OneLine("é"), "é");
}

TEST(TextWidthTest, ChecksUtf8) {
  EXPECT_TRUE(IsValidUtf8("aé日🍪"));
  for (const char* bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xe2\x82", "\xf5\x80\x80\x80"}) {
    EXPECT_FALSE(IsValidUtf8(bad));
  }
}

TEST(TextWidthTest, NumbersForPeople) {
  EXPECT_EQ(WithCommas(0), "0");
  EXPECT_EQ(WithCommas(999), "999");
  EXPECT_EQ(WithCommas(1234567), "1,234,567");
  EXPECT_EQ(WithCommas(-1234), "-1,234");
  EXPECT_EQ(HumanBytes(512), "512 B");
  EXPECT_EQ(HumanBytes(1536), "1.5 KiB");
  EXPECT_EQ(HumanMicros(310), "310 µs");
  EXPECT_EQ(HumanMicros(4200), "4.2 ms");
}

TEST(TextWidthTest, Wraps) { EXPECT_EQ(Wrap("aa bb cc", 5, 2), "aa bb\n  cc"); }

TEST(TableTest, AlignsByDisplayWidth) {
  std::ostringstream out;
  Terminal terminal(out, false, 0);
  Table table({{"name"}, {"n", true}, {"text"}});
  table.Add({"日本", "1", "x"});
  table.Add({"a", "1000", "y"});
  table.Print(terminal);
  EXPECT_EQ(out.str(),
            "name     n  text\n"
            "日本     1  x\n"
            "a     1000  y\n");
}

TEST(TableTest, FitsTheTerminal) {
  std::ostringstream out;
  Terminal terminal(out, false, 40);
  Table table({{"key"}, {"size", true}, {"content"}});
  table.Add({"package", "12345", std::string(100, 'x')});
  table.Add({"other", "1", "short"});
  table.Print(terminal);
  std::istringstream lines(out.str());
  std::string line;
  while (std::getline(lines, line)) EXPECT_LE(DisplayWidth(line), 40) << line;
  EXPECT_NE(out.str().find("12345"), std::string::npos);
  EXPECT_NE(out.str().find("package"), std::string::npos);
  EXPECT_NE(out.str().find("…"), std::string::npos);
}

TEST(TableTest, ColoursOnlyWhenAsked) {
  std::ostringstream out;
  EXPECT_EQ(Terminal(out, false, 0).Paint("x", Tone::kBad), "x");
  EXPECT_EQ(Terminal(out, true, 0).Paint("x", Tone::kBad), "\x1b[31mx\x1b[0m");
}

TEST(ProgressTest, SaysHowMuchWhenPiped) {
  std::ostringstream out;
  Progress progress(out, false, false, "load", 10, "objects");
  progress.Update(5);
  progress.Finish(10);
  EXPECT_NE(out.str().find("load: 10 objects in "), std::string::npos) << out.str();
  EXPECT_EQ(out.str().find('\r'), std::string::npos);
}

TEST(ProgressTest, QuietSaysNothing) {
  std::ostringstream out;
  Progress progress(out, true, true, "load", 10, "objects");
  progress.Update(5);
  progress.Finish(10);
  EXPECT_EQ(out.str(), "");
}

}  // namespace
}  // namespace cookix::cli
