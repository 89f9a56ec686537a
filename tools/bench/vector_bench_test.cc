// The vector benchmark's own answers are right; nothing is timed.
#include "tools/bench/vector_bench.h"

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tools/bench/cookix_index.h"
#include "tools/bench/vector_server_bench.h"

namespace cookix::bench {
namespace {

VectorBenchOptions Small() {
  VectorBenchOptions options;
  options.dimension = 32;
  options.clusters = 30;
  options.queries = 100;
  options.rounds = 1;
  return options;
}

VectorData SmallData(size_t count) {
  const VectorBenchOptions options = Small();
  return MakeClusters("small", count, options.dimension, options.clusters, options.queries,
                      options.seed);
}

std::unique_ptr<AnnIndex> Ours(const VectorData& data) {
  return std::make_unique<CookixIndex>(data);
}

// Answers with the neighbours of what it should answer with.
class OffByOne : public CookixIndex {
 public:
  explicit OffByOne(const VectorData& data) : CookixIndex(data), size_(data.size()) {}
  bool exact_distances() const override { return false; }
  absl::Status Search(size_t query, size_t k, size_t ef, std::vector<AnnHit>* hits) override {
    const absl::Status status = CookixIndex::Search(query, k, ef, hits);
    for (AnnHit& hit : *hits) hit.row = (hit.row + 1) % static_cast<uint32_t>(size_);
    return status;
  }

 private:
  const size_t size_;
};

TEST(VectorBenchTest, TheTruthIsWhatIsNearest) {
  const VectorData data = SmallData(500);
  const Truth truth = FindTruth(data, data.queries.data(), 5, 10);
  const std::vector<uint32_t> few = {3, 141, 59, 26};
  const Truth among = FindTruth(data, data.queries.data(), 5, 10, few);
  for (size_t q = 0; q < 5; ++q) {
    std::set<std::pair<double, uint32_t>> expected;
    for (uint32_t row = 0; row < data.size(); ++row) {
      double product = 0;
      for (size_t d = 0; d < data.dimension; ++d) product += data.Query(q)[d] * data.Base(row)[d];
      expected.emplace(1 - product, row);
    }
    auto it = expected.begin();
    for (const uint32_t row : truth.rows[q]) EXPECT_EQ(row, it++->second);
    EXPECT_EQ(std::set<uint32_t>(among.rows[q].begin(), among.rows[q].end()),
              std::set<uint32_t>(few.begin(), few.end()));
    EXPECT_EQ(truth.Recall(data, data.Query(q), q, truth.rows[q]), 1);
    // Half of the answer, and half of it wrong.
    std::vector<uint32_t> half(truth.rows[q].begin(), truth.rows[q].begin() + 5);
    for (auto far = expected.rbegin(); half.size() < 10; ++far) half.push_back(far->second);
    EXPECT_EQ(truth.Recall(data, data.Query(q), q, half), 0.5);
  }
}

TEST(VectorBenchTest, GraphsAreCompared) {
  const VectorData data = SmallData(5000);
  Report report;
  EXPECT_EQ(CompareGraphs(Small(), data, {Ours, Ours}, &report), absl::OkStatus());
  const auto json = nlohmann::json::parse(report.ToJson("{}"));
  double recall = 0;
  int ratios = 0;
  for (const auto& result : json["results"]) {
    if (result.contains("recall")) recall = std::max(recall, result["recall"].get<double>());
    const std::string name = result["name"];
    ratios += name.find("_to_cookix/at_") != std::string::npos;
  }
  EXPECT_GT(recall, 0.99);
  EXPECT_EQ(ratios, 3);
}

// The checks can fail.
TEST(VectorBenchTest, WrongAnswersAreSeen) {
  const VectorData data = SmallData(5000);
  Report report;
  const auto off = [](const VectorData& d) -> std::unique_ptr<AnnIndex> {
    return std::make_unique<OffByOne>(d);
  };
  EXPECT_EQ(CompareGraphs(Small(), data, {off}, &report).code(), absl::StatusCode::kInternal);
}

TEST(VectorBenchTest, FiltersAndChurn) {
  Report report;
  EXPECT_EQ(FilteredSearch(Small(), 6000, &report), absl::OkStatus());
  EXPECT_EQ(Churn(Small(), 5000, &report), absl::OkStatus());
  const auto json = nlohmann::json::parse(report.ToJson("{}"));
  for (const auto& result : json["results"]) {
    if (!result.contains("recall")) continue;
    EXPECT_GT(result["recall"], 0.9) << result;
  }
}

TEST(VectorBenchTest, TheServerFindsWhatItWasGiven) {
  const VectorData data = SmallData(4000);
  auto bench = VectorServerBench::Start(tests::MakeTempDir("server"), data);
  ASSERT_TRUE(bench.ok()) << bench.status();
  Report report;
  EXPECT_EQ((*bench)->Insert(&report), absl::OkStatus());
  EXPECT_EQ((*bench)->Search(1, &report), absl::OkStatus());
  EXPECT_EQ((*bench)->Restart(/*kill=*/false, &report), absl::OkStatus());
  EXPECT_EQ((*bench)->Restart(/*kill=*/true, &report), absl::OkStatus());
}

}  // namespace
}  // namespace cookix::bench
