#include "server/log.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace cookix::server {
namespace {

using nlohmann::json;

TEST(LogTest, LinesAreJsonWithTheFieldsGiven) {
  const std::string line = FormatLogLine(1'767'225'600'007, LogLevel::kWarning, "rpc", "call",
                                         {{"text", std::string_view("a\"b\\c\n\t\x01z\x7f")},
                                          {"int", int64_t{-5}},
                                          {"double", 1.5},
                                          {"nan", std::numeric_limits<double>::quiet_NaN()},
                                          {"bool", true}});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const json parsed = json::parse(line);
  EXPECT_EQ(parsed["time"], "2026-01-01T00:00:00.007Z");
  EXPECT_EQ(parsed["level"], "warning");
  EXPECT_EQ(parsed["logger"], "rpc");
  EXPECT_EQ(parsed["message"], "call");
  EXPECT_EQ(parsed["text"], "a\"b\\c\n\t\x01z\x7f");
  EXPECT_EQ(parsed["int"], -5);
  EXPECT_EQ(parsed["double"], 1.5);
  EXPECT_TRUE(parsed["nan"].is_null());
  EXPECT_EQ(parsed["bool"], true);
}

TEST(LogTest, EveryByteStringBecomesValidJson) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string text = {'x', static_cast<char>(first), static_cast<char>(second), 'y'};
      std::string out;
      AppendJsonString(text, &out);
      ASSERT_TRUE(json::accept(out)) << first << " " << second;
    }
  }
  const std::pair<std::string, std::string> cases[] = {
      {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x8d\xaa", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x8d\xaa"},
      {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},  // a surrogate
      {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                  // overlong
      {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
      {"a\xe2\x82", "a\xef\xbf\xbd\xef\xbf\xbd"},
  };
  for (const auto& [text, expected] : cases) {
    std::string out;
    AppendJsonString(text, &out);
    EXPECT_EQ(json::parse(out).get<std::string>(), expected);
  }
}

TEST(LogTest, WritesWhatIsEnabledToTheFile) {
  const std::string path = testing::TempDir() + "/cookix.log";
  {
    auto log = Log::Open(LogLevel::kInfo, path);
    ASSERT_TRUE(log.ok());
    (*log)->Write(LogLevel::kDebug, "t", "hidden");
    (*log)->Write(LogLevel::kInfo, "t", "shown {} %s");
    EXPECT_FALSE((*log)->Enabled(LogLevel::kDebug));
  }
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(text.find("hidden"), std::string::npos);
  EXPECT_EQ(json::parse(text)["message"], "shown {} %s");
}

TEST(LogTest, SaysWhenTheFileCannotBeOpened) {
  const std::string file = testing::TempDir() + "/not_a_directory";
  std::ofstream(file) << "text";
  const auto log = Log::Open(LogLevel::kInfo, file + "/all.log");
  EXPECT_EQ(log.status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace cookix::server
