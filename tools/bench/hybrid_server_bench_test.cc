// The benchmark of searches by vector and words: a server finds what it was given.
#include "tools/bench/hybrid_server_bench.h"

#include "gtest/gtest.h"

namespace cookix::bench {
namespace {

TEST(HybridServerBenchTest, TheServerFindsWhatItWasGiven) {
  const TextCorpus texts({.documents = 4000, .mean_words = 20});
  const VectorData vectors = MakeClusters("small", texts.size(), 32, 30, 50, 1);
  auto bench = HybridServerBench::Start(tests::MakeTempDir("server"), vectors, texts);
  ASSERT_TRUE(bench.ok()) << bench.status();
  Report report;
  ASSERT_EQ((*bench)->Insert(&report), absl::OkStatus());
  EXPECT_EQ((*bench)->Search(1, &report), absl::OkStatus());
}

}  // namespace
}  // namespace cookix::bench
