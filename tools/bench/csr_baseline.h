// The bare form of what the engine does: searches over compressed rows in plain
// arrays, with node numbers for names and nothing else. It is the second
// implementation that answers are checked against, and the yardstick for speed:
// a database cannot be faster than this, and should not be much slower.
#ifndef COOKIX_TOOLS_BENCH_CSR_BASELINE_H_
#define COOKIX_TOOLS_BENCH_CSR_BASELINE_H_

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "tools/bench/random_graph.h"

namespace cookix::bench {

// Not thread-safe: searches share scratch arrays.
class CsrBaseline {
 public:
  explicit CsrBaseline(const RandomGraph& graph);

  // Nodes within `max_hops` of `anchor`, without it, by (distance, node); the
  // distance of a node is the least weight of a path of at most `max_hops` steps.
  std::vector<std::pair<double, uint32_t>> Search(uint32_t anchor, int max_hops);

  // Fewest hops by bidirectional breadth-first search; nothing when unreachable.
  std::optional<int> Hops(uint32_t source, uint32_t target);

  // Least weight by bidirectional Dijkstra; nothing when unreachable.
  std::optional<double> Weight(uint32_t source, uint32_t target);

 private:
  struct Arc {
    uint32_t to;
    double weight;
  };
  struct Rows {
    std::vector<uint32_t> begin;
    std::vector<Arc> arcs;
  };
  struct Side {
    std::vector<uint32_t> stamp;
    std::vector<double> distance;
    std::vector<std::pair<double, uint32_t>> heap;
    std::vector<uint32_t> frontier, next;
  };

  uint32_t NextStamp();

  uint32_t nodes_;
  Rows forward_, backward_;
  Side side_[2];
  uint32_t stamp_ = 0;
};

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_CSR_BASELINE_H_
