// Vector indexes in this process, beside other libraries'. Answers are checked against
// comparing everything before they are timed, and recall stands beside every time.
#ifndef COOKIX_TOOLS_BENCH_VECTOR_BENCH_H_
#define COOKIX_TOOLS_BENCH_VECTOR_BENCH_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "tools/bench/ann_index.h"
#include "tools/bench/report.h"
#include "tools/bench/vector_data.h"

namespace cookix::bench {

struct VectorBenchOptions {
  size_t dimension = 128;
  size_t clusters = 2000;
  size_t queries = 1000;
  uint64_t seed = 1;
  // How often everything is timed; the best time of each query counts.
  int rounds = 3;
};

// Builds all of `indexes` over the data and compares speed at equal recall. The second of
// them, if there are several, is what the others are compared with; the first has goals.
// INTERNAL names an answer that is wrong.
absl::Status CompareGraphs(const VectorBenchOptions& options, const VectorData& data,
                           const std::vector<AnnFactory>& indexes, Report* report);

// Searches among 100 % to 0.1 % of `count` vectors.
absl::Status FilteredSearch(const VectorBenchOptions& options, size_t count, Report* report);

// Replaces half of `count` vectors, and compares with an index that is built anew.
absl::Status Churn(const VectorBenchOptions& options, size_t count, Report* report);

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_VECTOR_BENCH_H_
