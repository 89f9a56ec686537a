// The engine in process, on a store on disk: searches, paths, reads and filters over
// the random graph. Every kind of answer is checked against CsrBaseline, or against
// the graph itself, before it is timed.
#ifndef COOKIX_TOOLS_BENCH_ENGINE_BENCH_H_
#define COOKIX_TOOLS_BENCH_ENGINE_BENCH_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/database.h"
#include "tools/bench/csr_baseline.h"
#include "tools/bench/random_graph.h"
#include "tools/bench/report.h"

namespace cookix::bench {

class EngineBench {
 public:
  // Loads the graph into a new store at `path` and waits for the views. Memory is on
  // the scale of the graph.
  static absl::StatusOr<std::unique_ptr<EngineBench>> Open(const std::string& path,
                                                           const RandomGraph& graph);

  // Checks and times. INTERNAL names the first answer that is wrong. `rounds` is how
  // many answers are timed; a tenth of them, at least 20, are checked.
  absl::Status Get(int rounds, Report* report);
  // Anchor-only weighted search to four hops. `prefix` names the figures.
  absl::Status Search(int rounds, const std::string& prefix, bool goals, Report* report);
  absl::Status Paths(int rounds, Report* report);
  absl::Status Filter(int rounds, Report* report);

  double load_seconds() const { return load_seconds_; }

 private:
  EngineBench(const RandomGraph& graph) : graph_(graph), baseline_(graph) {}
  absl::Status CheckSearch(uint32_t anchor);
  absl::Status CheckPath(uint32_t source, uint32_t target, bool by_weight);
  absl::StatusOr<engine::NamespaceView> View();

  const RandomGraph& graph_;
  CsrBaseline baseline_;
  std::unique_ptr<engine::Database> database_;
  double load_seconds_ = 0;
};

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_ENGINE_BENCH_H_
