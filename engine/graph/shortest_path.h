// Shortest paths between two objects, searched from both ends.
#ifndef COOKIX_ENGINE_GRAPH_SHORTEST_PATH_H_
#define COOKIX_ENGINE_GRAPH_SHORTEST_PATH_H_

#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/statusor.h"
#include "engine/graph/geodesic.h"
#include "engine/graph/steps.h"

namespace cookix::engine {

struct ShortestPathRequest {
  Ordinal source = 0;
  Ordinal target = 0;
  // 0 = no limit.
  int max_hops = 0;
  // Objects that may lie between the two; null = all.
  std::function<bool(Ordinal)> onto;
};

struct ShortestPathResult {
  std::optional<FoundPath> path;
  int64_t examined = 0;
};

// Fewest hops. Level by level from both ends, the smaller frontier first; among the
// shortest paths the one with the smallest sequence of ordinals.
absl::StatusOr<ShortestPathResult> ShortestByHops(StepExpander& steps,
                                                  const ShortestPathRequest& request);

// Least weight, then fewest hops. Without a hop limit Dijkstra from both ends (Pohl
// 1971), which stops when the two nearest open objects together are farther than the
// best path found; with one, Geodesic().
absl::StatusOr<ShortestPathResult> ShortestByWeight(StepExpander& steps,
                                                    const ShortestPathRequest& request);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_GRAPH_SHORTEST_PATH_H_
