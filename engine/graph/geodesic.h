// Least-weight paths of a bounded number of hops, and exact chains of relations.
#ifndef COOKIX_ENGINE_GRAPH_GEODESIC_H_
#define COOKIX_ENGINE_GRAPH_GEODESIC_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/graph/steps.h"

namespace cookix::engine {

// The way to an object.
struct FoundPath {
  Ordinal ordinal = 0;
  double weight = 0;
  int32_t hops = 0;
  std::vector<Step> steps;
  // Where it begins.
  Ordinal anchor = 0;
};

struct GeodesicRequest {
  Ordinal anchor = 0;
  // Stops at this object; 0 = none.
  Ordinal target = 0;
  // At least 1.
  int max_hops = 1;
  // Objects wanted, nearest first.
  int64_t limit = 1;
  // Longer ways are not looked for.
  double max_weight = std::numeric_limits<double>::infinity();
  // Objects that count as answers; null = all. Others are walked through.
  std::function<bool(Ordinal)> accept;
  // Objects that may be stepped onto; null = all. The target always may.
  std::function<bool(Ordinal)> onto;
};

struct GeodesicResult {
  // By weight, then hops, then ordinal; without the anchor.
  std::vector<FoundPath> found;
  int64_t settled = 0;
};

// Dijkstra over (object, hops): an object is expanded again when it is reached with
// fewer hops than before, though by a longer way, because only so the hop limit loses
// no object (a longer way with fewer hops may go further). Each object is reported
// with its least-weight path; equal paths are decided by hops, then by the smaller
// sequence of ordinals.
absl::StatusOr<GeodesicResult> Geodesic(StepExpander& steps, const GeodesicRequest& request);

// Objects reached from `anchor` by exactly the steps of `chain`, one expander for each
// hop, each with its least-weight path, in the order of Geodesic(). Paths may visit an
// object more than once. With `prefixes`, objects reached by a beginning of the chain
// too; an object's shorter chain comes first.
absl::StatusOr<GeodesicResult> FollowChain(std::vector<StepExpander>& chain, Ordinal anchor,
                                           bool prefixes);

// What several anchors find, put together: each object once, with its best path over all
// anchors, at most `limit` of them. The best has the least weight, then the fewest hops, then
// the smaller sequence of ordinals, the anchor's first; `by_hops` asks for the fewest hops
// before the least weight, as FollowChain() does.
class FoundPaths {
 public:
  FoundPaths(int64_t limit, bool by_hops) : limit_(limit), by_hops_(by_hops) {}

  // What one anchor finds.
  void Add(std::vector<FoundPath>&& found);

  // No path that weighs more can still be among the answers. Infinite with `by_hops`.
  double max_weight() const { return max_weight_; }

  // Best first.
  std::vector<FoundPath> Take() && { return std::move(best_); }

 private:
  const int64_t limit_;
  const bool by_hops_;
  double max_weight_ = std::numeric_limits<double>::infinity();
  // Best first.
  std::vector<FoundPath> best_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_GRAPH_GEODESIC_H_
