// The benchmark of indexing what a server was given: it finds all of it.
#include "tools/bench/text_server_bench.h"

#include "gtest/gtest.h"
#include "tests/support/test_server.h"

namespace cookix::bench {
namespace {

TEST(TextServerBenchTest, TheServerFindsWhatItWasGiven) {
  const TextCorpus texts({.documents = 3000});
  Report report;
  EXPECT_EQ(RunTextServerBench(tests::MakeTempDir("server"), texts, 20, &report), absl::OkStatus());
}

}  // namespace
}  // namespace cookix::bench
