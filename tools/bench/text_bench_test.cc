// The text benchmark's own answers are right; nothing is timed, and no other library is there.
#include "tools/bench/text_bench.h"

#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/test_server.h"

namespace cookix::bench {
namespace {

TextBenchOptions Small() {
  TextBenchOptions options;
  options.corpus.documents = 20'000;
  options.queries = 30;
  options.rounds = 1;
  return options;
}

// Finds nothing.
class Blind : public TextContestant {
 public:
  std::string name() const override { return "xapian"; }
  absl::Status Add(size_t, std::span<const std::string>) override { return absl::OkStatus(); }
  absl::Status Finish() override { return absl::OkStatus(); }
  absl::Status Search(const WordQuery&, size_t, std::vector<RankedDocument>* hits) override {
    hits->clear();
    return absl::OkStatus();
  }
  absl::StatusOr<int64_t> Bytes() const override { return 0; }
};

TEST(TextBenchTest, AnswersAreThoseOfScoringEverything) {
  TextBench bench(Small(), tests::MakeTempDir("text_bench"));
  const TextContestantFactory blind =
      [](const TextCorpus&, const std::string&) -> absl::StatusOr<std::unique_ptr<TextContestant>> {
    return std::make_unique<Blind>();
  };
  Report report;
  ASSERT_EQ(bench.Index({blind}, &report), absl::OkStatus());
  for (const char* scenario : {"or", "and", "phrase", "top100"}) {
    EXPECT_EQ(bench.Search(scenario, &report), absl::OkStatus());
  }
  EXPECT_EQ(bench.Size(&report), absl::OkStatus());

  int goals = 0;
  const auto json = nlohmann::json::parse(report.ToJson("{}"));
  for (const auto& result : json["results"]) {
    const std::string name = result["name"];
    goals += result.contains("met") ? 1 : 0;
    if (name.find("/cookix/p50") != std::string::npos) {
      EXPECT_NEAR(result["recall"], 1, 1e-9);
    }
    if (name.find("/xapian/p50") != std::string::npos) {
      EXPECT_EQ(result["recall"], 0);
    }
  }
  // Indexing, three kinds of queries, size.
  EXPECT_EQ(goals, 5);
}

}  // namespace
}  // namespace cookix::bench
