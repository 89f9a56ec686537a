// Programs that are given several servers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tests/support/test_server.h"

namespace cookix::tests {
namespace {

using ::testing::HasSubstr;

class ClusterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    primary_ = Start({});
    ASSERT_NE(primary_, nullptr);
    replica_ = Start({"--replica_of=" + primary_->target()});
    ASSERT_NE(replica_, nullptr);
  }

  static std::unique_ptr<TestServer> Start(std::vector<std::string> flags) {
    TestServerOptions options;
    options.flags = std::move(flags);
    auto server = TestServer::Start(options);
    EXPECT_TRUE(server.ok()) << server.status();
    return server.ok() ? *std::move(server) : nullptr;
  }

  ProgramResult Cookix(const std::string& servers, std::vector<std::string> words) {
    words.insert(words.begin(), {RunfilePath("tools/cli/cookix"), "--server", servers});
    return RunProgram(words);
  }

  std::unique_ptr<TestServer> primary_;
  std::unique_ptr<TestServer> replica_;
};

TEST_F(ClusterTest, TheCommandLineFindsThePrimary) {
  // The primary last, so that finding it is something.
  const std::string both = replica_->target() + "," + primary_->target();
  ProgramResult result = Cookix(both, {"put", "rain", "--content", "falling water"});
  EXPECT_EQ(result.exit.code, 0) << result.output;
  result = Cookix(both, {"get", "rain"});
  EXPECT_EQ(result.exit.code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("falling water"));
  result = Cookix(both, {"replication", "status"});
  EXPECT_EQ(result.exit.code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("primary"));
  // Which of them?
  result = Cookix(both, {"replication", "promote"});
  EXPECT_EQ(result.exit.code, 2) << result.output;
  result = Cookix(primary_->target() + ",,", {"info"});
  EXPECT_EQ(result.exit.code, 2) << result.output;
  EXPECT_THAT(result.output, HasSubstr("an address is empty"));
}

TEST_F(ClusterTest, TheExampleRuns) {
  const ProgramResult result =
      RunProgram({RunfilePath("client/examples/cluster"), replica_->target()});
  EXPECT_EQ(result.exit.code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr(primary_->target() + "  primary"));
}

}  // namespace
}  // namespace cookix::tests
