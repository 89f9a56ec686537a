// The change feed on the command line.
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tools/cli/cli_fixture.h"

namespace cookix::cli {
namespace {

class WatchCommandsTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    Ok({"put", "umbrella", "--edge", "prevents:rain", "--prop", "price=12"});
    Ok({"put", "umbrella", "--prop", "price=9"});
    Ok({"put", "rain"});
    Ok({"delete", "umbrella"});
  }

  // What one command prints, line by line.
  std::vector<Json> Lines(std::vector<std::string> words) {
    words.insert(words.end(), {"--until-now"});
    std::istringstream text(Ok(words));
    std::vector<Json> lines;
    for (std::string line; std::getline(text, line);) {
      auto json = ParseJson(line);
      EXPECT_TRUE(json.ok()) << line;
      if (json.ok()) lines.push_back(*std::move(json));
    }
    return lines;
  }

  // What happened to objects and edges: "created umbrella", in order.
  std::vector<std::string> Told(const std::vector<std::string>& words) {
    std::vector<std::string> told;
    for (const Json& line : Lines(words)) {
      if (line.contains("object")) {
        told.push_back(line["object"]["kind"].get<std::string>() + " " +
                       line["object"]["key"].get<std::string>());
      } else if (line.contains("edge")) {
        told.push_back(line["edge"]["kind"].get<std::string>() + " " +
                       line["edge"]["source"].get<std::string>() + "-" +
                       line["edge"]["relation"].get<std::string>());
      }
    }
    return told;
  }
};

using Words = std::vector<std::string>;

TEST_F(WatchCommandsTest, PrintsWhatChanged) {
  EXPECT_EQ(Told({"watch", "--from", "0"}),
            (Words{"created umbrella", "created umbrella-prevents", "updated umbrella",
                   "created rain", "deleted umbrella", "deleted umbrella-prevents"}));
  EXPECT_EQ(Told({"watch", "--from", "0", "--edges"}),
            (Words{"created umbrella-prevents", "deleted umbrella-prevents"}));
  EXPECT_EQ(Told({"watch", "--from", "0", "--objects", "--kind", "created", "--kind", "deleted"}),
            (Words{"created umbrella", "created rain", "deleted umbrella"}));
  EXPECT_EQ(Told({"watch", "--from", "0", "--where", "price > 10"}),
            (Words{"created umbrella", "updated umbrella"}));
  EXPECT_EQ(Told({"watch"}), Words{});
}

TEST_F(WatchCommandsTest, NamesATransitionWhereThereIsOne) {
  const std::vector<Json> lines =
      Lines({"watch", "--from", "0", "--objects", "--where", "price > 10", "--count", "2"});
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_FALSE(lines[0]["object"].contains("transition")) << lines[0];
  EXPECT_EQ(lines[1]["object"]["transition"], "left");
}

TEST_F(WatchCommandsTest, GoesOnFromAPrintedPosition) {
  const std::vector<Json> lines =
      Lines({"watch", "--from", "0", "--objects", "--before", "--count", "2"});
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1]["object"]["before"]["properties"]["price"], 12);
  EXPECT_EQ(lines[1]["object"]["after"]["properties"]["price"], 9);
  const std::vector<Json> all = Lines({"watch", "--from", "0", "--signs"});
  const std::string position = all.back()["position"].get<std::string>();
  EXPECT_EQ(all.back()["commit"], all.back()["latest_commit"]);
  Ok({"put", "later"});
  EXPECT_EQ(Told({"watch", "--from", position}), (Words{"created later"}));
}

TEST_F(WatchCommandsTest, SaysWhatIsWrong) {
  EXPECT_EQ(Run({"watch", "--from", "yesterday"}).code, kExitUsage);
  EXPECT_EQ(Run({"watch", "--kind", "moved"}).code, kExitUsage);
  EXPECT_EQ(Run({"watch", "--where", "price >"}).code, kExitUsage);
  EXPECT_EQ(Run({"watch", "--collection", "none"}).code, kExitNotFound);
  EXPECT_EQ(Run({"watch", "--heartbeat", "1ms"}).code, kExitUsage);
}

}  // namespace
}  // namespace cookix::cli
