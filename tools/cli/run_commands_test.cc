// Queries on the command line.
#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tools/cli/cli_fixture.h"

namespace cookix::cli {
namespace {

class RunCommandsTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    Ok({"put", "umbrella", "--content", "blocks rain", "--edge", "prevents:rain", "--prop",
        "price=12", "--prop", "kind=tool"});
    Ok({"put", "rain", "--edge", "causes:wet_coat", "--prop", "kind=weather"});
    Ok({"put", "wet_coat", "--prop", "price=80", "--prop", "kind=thing"});
  }
};

TEST_F(RunCommandsTest, PrintsRows) {
  const std::string out = Ok({"run", "SEARCH default WHERE price > 1 ORDER BY price DESC"});
  EXPECT_LT(out.find("wet_coat"), out.find("umbrella"));
  EXPECT_TRUE(Contains(out, "kind=tool price=12  blocks rain")) << out;
  EXPECT_FALSE(Contains(out, "SCORE"));
  EXPECT_TRUE(Contains(Ok({"run", "SEARCH default WHERE price > 100"}), "no rows"));
  const Json json = OkJson({"run", "SEARCH default WHERE price > 1 ORDER BY price LIMIT 1"});
  EXPECT_EQ(json["hits"].size(), 1u);
  EXPECT_EQ(json["hits"][0]["key"], "umbrella");
}

TEST_F(RunCommandsTest, PrintsPaths) {
  const std::string out =
      Ok({"run", "SEARCH default KEYS ('umbrella') FOLLOW prevents FOLLOW causes"});
  EXPECT_TRUE(Contains(out, "umbrella --[prevents]--> rain --[causes]--> wet_coat")) << out;
  EXPECT_TRUE(Contains(out, "hops=2")) << out;
}

// An edge followed from its target to its source says nothing of the other direction.
TEST_F(RunCommandsTest, PrintsWhichWayEdgesLead) {
  Ok({"put", "coat", "--edge", "hangs_beside:umbrella"});
  const std::string in = Ok({"run", "SEARCH default KEYS ('umbrella') FOLLOW hangs_beside IN"});
  EXPECT_TRUE(Contains(in, "umbrella <--[hangs_beside]-- coat")) << in;
  const std::string both =
      Ok({"run", "SEARCH default KEYS ('rain') FOLLOW prevents, hangs_beside BOTH HOPS 2"});
  EXPECT_TRUE(Contains(both, "<--[hangs_beside]-- coat")) << both;
  EXPECT_FALSE(Contains(both, "--[hangs_beside]--> coat")) << both;
  const std::string path = Ok({"path", "umbrella", "coat", "--direction", "both"});
  EXPECT_TRUE(Contains(path, "hangs_beside ◂ coat")) << path;
  const std::string tree = Ok({"traverse", "umbrella", "--direction", "in"});
  EXPECT_TRUE(Contains(tree, "hangs_beside ◂ coat")) << tree;
}

TEST_F(RunCommandsTest, PrintsGroups) {
  const std::string out = Ok({"run", "SEARCH default RETURN COUNT(*) AS n, SUM(price)"});
  EXPECT_TRUE(Contains(out, "n")) << out;
  EXPECT_TRUE(Contains(out, "sum(price)")) << out;
  EXPECT_TRUE(Contains(out, "92")) << out;
}

TEST_F(RunCommandsTest, ShowsPlans) {
  const std::string statement = "SEARCH default KEYS ('umbrella') FOLLOW prevents HOPS 2";
  const std::string plan = Ok({"run", statement, "--plan"});
  EXPECT_EQ(plan,
            "seed      default: keys 'umbrella'\n"
            "expand    prevents out, 2 hops, the nearest 10\n"
            "project   *, $content; at most 10\n");
  const std::string file = testing::TempDir() + "/query.bring";
  std::ofstream(file) << "bring default {\n  keys = [\"umbrella\"]\n"
                         "  follow = [\"prevents\"] @hops=2 # two\n}\n";
  EXPECT_EQ(Ok({"run", "--bring", file, "--plan"}), plan);
  EXPECT_EQ(Ok({"run", "-", "--plan"}, statement), plan);
  const Json json = OkJson({"run", statement, "--plan"});
  EXPECT_EQ(json["plan"]["steps"].size(), 3u);
  EXPECT_EQ(json["search_text"], statement);
}

TEST_F(RunCommandsTest, ExplainsEachStep) {
  const std::string out =
      Ok({"run", "SEARCH default KEYS ('umbrella') FOLLOW prevents", "--explain"});
  for (const char* part : {"STAGE", "PASSED ON", "seed", "expand", "project", "1 edges"}) {
    EXPECT_TRUE(Contains(out, part)) << part << "\n" << out;
  }
}

TEST_F(RunCommandsTest, ErrorsAreUsageOrPlaces) {
  EXPECT_EQ(Run({"run"}).code, kExitUsage);
  EXPECT_EQ(Run({"run", "SEARCH default", "--plan", "--explain"}).code, kExitUsage);
  EXPECT_EQ(Run({"run", "SEARCH default", "--bring", "file"}).code, kExitUsage);
  const Outcome wrong = Run({"run", "SEARCH default LIMT 3"});
  EXPECT_NE(wrong.code, 0);
  EXPECT_TRUE(Contains(wrong.err, "line 1, column 16")) << wrong.err;
  EXPECT_EQ(Run({"run", "SEARCH nowhere"}).code, kExitNotFound);
}

}  // namespace
}  // namespace cookix::cli
