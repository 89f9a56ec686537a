#include "engine/graph/traversal.h"

#include "engine/graph/ordinal_map.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

thread_local OrdinalMap visited_scratch;

}  // namespace

absl::StatusOr<Walk> BreadthFirst(StepExpander& steps, Ordinal start, int max_depth, int64_t limit,
                                  const OrdinalSet* onto) {
  Walk walk;
  OrdinalMap& visited = visited_scratch;
  visited.Clear();
  visited.Insert(start, 0);
  walk.visits.push_back({start, 0, -1, {}});
  for (size_t at = 0; at < walk.visits.size(); ++at) {
    const VisitedObject from = walk.visits[at];
    if (from.depth >= max_depth) break;
    if (at + kPrefetchAhead < walk.visits.size()) {
      steps.Prefetch(walk.visits[at + kPrefetchAhead].ordinal, false);
    }
    COOKIX_ASSIGN_OR_RETURN(const std::span<const Step> next, steps.Expand(from.ordinal, false));
    for (const Step& step : next) {
      if (visited.Find(step.to) != OrdinalMap::kNone) continue;
      if (onto != nullptr && !onto->Contains(step.to)) continue;
      if (static_cast<int64_t>(walk.visits.size()) == limit) {
        walk.truncated = true;
        return walk;
      }
      visited.Insert(step.to, static_cast<uint32_t>(walk.visits.size()));
      walk.visits.push_back({step.to, from.depth + 1, static_cast<int32_t>(at), step});
    }
  }
  return walk;
}

absl::StatusOr<Walk> DepthFirst(StepExpander& steps, Ordinal start, int max_depth, int64_t limit,
                                const OrdinalSet* onto) {
  Walk walk;
  OrdinalMap& index = visited_scratch;
  index.Clear();
  // Smallest depth at which each visited object was expanded.
  std::vector<int32_t> best_depth;
  struct Frame {
    uint32_t visit;
    int32_t depth;
    std::vector<Step> steps;
    size_t next = 0;
  };
  std::vector<Frame> stack;
  auto enter = [&](uint32_t visit, int32_t depth) -> absl::Status {
    Frame frame{visit, depth, {}, 0};
    if (depth < max_depth) {
      COOKIX_ASSIGN_OR_RETURN(const std::span<const Step> next,
                              steps.Expand(walk.visits[visit].ordinal, false));
      frame.steps.assign(next.begin(), next.end());
    }
    stack.push_back(std::move(frame));
    return absl::OkStatus();
  };
  walk.visits.push_back({start, 0, -1, {}});
  best_depth.push_back(0);
  index.Insert(start, 0);
  COOKIX_RETURN_IF_ERROR(enter(0, 0));
  while (!stack.empty()) {
    Frame& frame = stack.back();
    if (frame.next == frame.steps.size()) {
      stack.pop_back();
      continue;
    }
    const Step step = frame.steps[frame.next++];
    const int32_t depth = frame.depth + 1;
    if (const uint32_t seen = index.Find(step.to); seen != OrdinalMap::kNone) {
      if (best_depth[seen] <= depth) continue;
      best_depth[seen] = depth;
      COOKIX_RETURN_IF_ERROR(enter(seen, depth));
      continue;
    }
    if (onto != nullptr && !onto->Contains(step.to)) continue;
    if (static_cast<int64_t>(walk.visits.size()) == limit) {
      walk.truncated = true;
      return walk;
    }
    const uint32_t visit = static_cast<uint32_t>(walk.visits.size());
    walk.visits.push_back({step.to, depth, static_cast<int32_t>(frame.visit), step});
    best_depth.push_back(depth);
    index.Insert(step.to, visit);
    COOKIX_RETURN_IF_ERROR(enter(visit, depth));
  }
  return walk;
}

}  // namespace cookix::engine
