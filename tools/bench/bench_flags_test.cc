#include "tools/bench/bench_flags.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace cookix::bench {
namespace {

class BenchFlagsTest : public testing::Test {
 protected:
  BenchFlagsTest() {
    flags_.Number("objects", &objects_, 10u, 100u);
    flags_.Text("dir", &dir_);
    flags_.Choice("scenarios", &scenarios_);
    flags_.Names("peers", &peers_, std::map<std::string, int>{{"one", 1}, {"two", 2}});
  }
  absl::Status Parse(std::vector<std::string> given) {
    given.insert(given.begin(), "bench");
    std::vector<char*> argv;
    for (std::string& each : given) argv.push_back(each.data());
    return flags_.Parse(static_cast<int>(argv.size()), argv.data());
  }

  BenchFlags flags_;
  uint32_t objects_ = 20;
  std::string dir_;
  std::set<std::string> scenarios_ = {"get", "put"};
  std::vector<std::string> peers_ = {"one"};
};

TEST_F(BenchFlagsTest, LeavesWhatIsNotGiven) {
  EXPECT_TRUE(Parse({}).ok());
  EXPECT_EQ(objects_, 20u);
  EXPECT_EQ(scenarios_.size(), 2u);
}

TEST_F(BenchFlagsTest, ReadsWhatIsGiven) {
  ASSERT_TRUE(Parse({"--objects=100", "--dir=a=b", "--scenarios=put", "--peers=two,one"}).ok());
  EXPECT_EQ(objects_, 100u);
  EXPECT_EQ(dir_, "a=b");
  EXPECT_EQ(scenarios_, std::set<std::string>{"put"});
  EXPECT_EQ(peers_, (std::vector<std::string>{"two", "one"}));
  ASSERT_TRUE(Parse({"--peers="}).ok());
  EXPECT_TRUE(peers_.empty());
}

TEST_F(BenchFlagsTest, RefusesWhatIsBad) {
  for (const char* bad : {"--objects=9", "--objects=101", "--objects=x", "--objects",
                          "--objects=", "--scenarios=get,del", "--scenarios=", "--peers=three",
                          "--other=1", "objects=20"}) {
    const absl::Status status = Parse({bad});
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_NE(status.message().find(bad), std::string::npos) << status;
  }
}

TEST(RunBenchTest, GivesTheExitCode) {
  bool ran = false;
  const auto run = [&](Report* report) {
    ran = true;
    report->Add({"figure", 1, "s", Goal::kAtLeast, 2});
    return absl::OkStatus();
  };
  EXPECT_EQ(RunBench(absl::InvalidArgumentError("bad"), run, "", "{}"), 2);
  EXPECT_FALSE(ran);
  EXPECT_EQ(RunBench(absl::OkStatus(), run, "", "{}"), 3);
  EXPECT_TRUE(ran);
  const auto fail = [](Report*) { return absl::InternalError("wrong"); };
  EXPECT_EQ(RunBench(absl::OkStatus(), fail, "", "{}"), 1);
}

}  // namespace
}  // namespace cookix::bench
