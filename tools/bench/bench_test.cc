// The benchmark's own answers are right; nothing is timed.
#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tools/bench/engine_bench.h"
#include "tools/bench/server_bench.h"

namespace cookix::bench {
namespace {

TEST(BenchTest, TheEngineAnswersAsTheBaseline) {
  const RandomGraph graph = MakeRandomGraph(2000, 4, 7);
  auto bench = EngineBench::Open(tests::MakeTempDir("engine") + "/store", graph);
  ASSERT_TRUE(bench.ok()) << bench.status();
  Report report;
  EXPECT_TRUE((*bench)->Get(20, &report).ok());
  EXPECT_EQ((*bench)->Search(200, "search4", true, &report), absl::OkStatus());
  EXPECT_EQ((*bench)->Paths(200, &report), absl::OkStatus());
  EXPECT_EQ((*bench)->Filter(5, &report), absl::OkStatus());
  const auto json = nlohmann::json::parse(report.ToJson("{\"objects\": 2000}"));
  EXPECT_EQ(json["settings"]["objects"], 2000);
  EXPECT_GT(json["results"].size(), 15u);
}

TEST(BenchTest, TheServerKeepsWhatItWasGiven) {
  const RandomGraph graph = MakeRandomGraph(1000, 4, 7);
  auto bench = ServerBench::Start(tests::MakeTempDir("server"), graph);
  ASSERT_TRUE(bench.ok()) << bench.status();
  Report report;
  EXPECT_EQ((*bench)->Import(&report), absl::OkStatus());
  EXPECT_EQ((*bench)->UnaryGet(500, &report), absl::OkStatus());
  EXPECT_EQ((*bench)->Restart(&report), absl::OkStatus());
}

// The checks can fail: the same nodes with other edges are not the same graph.
TEST(BenchTest, WrongAnswersAreSeen) {
  const RandomGraph graph = MakeRandomGraph(500, 4, 7);
  auto bench = ServerBench::Start(tests::MakeTempDir("server"), graph);
  ASSERT_TRUE(bench.ok()) << bench.status();
  Report report;
  ASSERT_TRUE((*bench)->Import(&report).ok());
  const_cast<RandomGraph&>(graph).weights.assign(graph.weights.size(), 0.5);
  EXPECT_EQ((*bench)->Restart(&report).code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace cookix::bench
