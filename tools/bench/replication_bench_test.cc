#include "tools/bench/replication_bench.h"

#include "gtest/gtest.h"
#include "tests/support/test_server.h"

namespace cookix::bench {
namespace {

// Everything once, on little, with the answers of both servers compared.
TEST(ReplicationBenchTest, RunsOnLittle) {
  ReplicationBenchOptions options;
  options.rate = 200;
  options.seconds = 2;
  options.backlog = 500;
  options.objects = 2000;
  options.dimension = 8;
  options.directory = tests::MakeTempDir("replication_bench");
  Report report;
  const absl::Status status = ReplicationBench(options).Run(&report);
  EXPECT_TRUE(status.ok()) << status;
  const std::string json = report.ToJson("{}");
  for (const char* name : {"replica/lag_p50", "replica/lag_p99", "replica/catch_up",
                           "primary/cpu_ratio", "bootstrap/first_read"}) {
    EXPECT_NE(json.find(name), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace cookix::bench
