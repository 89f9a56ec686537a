#include "engine/graph/traversal.h"

#include "engine/graph/ordinal_map.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

thread_local OrdinalMap visited_scratch;

// Puts every object right before those that were reached from it.
void InPreorder(Walk* walk) {
  std::vector<std::vector<int32_t>> children(walk->visits.size());
  for (size_t i = 1; i < walk->visits.size(); ++i) {
    children[static_cast<size_t>(walk->visits[i].parent)].push_back(static_cast<int32_t>(i));
  }
  std::vector<VisitedObject> ordered;
  ordered.reserve(walk->visits.size());
  struct Entry {
    int32_t visit;
    int32_t parent;
  };
  std::vector<Entry> stack = {{0, -1}};
  while (!stack.empty()) {
    const Entry entry = stack.back();
    stack.pop_back();
    const int32_t place = static_cast<int32_t>(ordered.size());
    ordered.push_back(walk->visits[static_cast<size_t>(entry.visit)]);
    ordered.back().parent = entry.parent;
    const std::vector<int32_t>& below = children[static_cast<size_t>(entry.visit)];
    for (auto it = below.rbegin(); it != below.rend(); ++it) stack.push_back({*it, place});
  }
  walk->visits.swap(ordered);
}

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
    best_depth[visit] = depth;
    if (depth < max_depth) {
      COOKIX_ASSIGN_OR_RETURN(const std::span<const Step> next,
                              steps.Expand(walk.visits[visit].ordinal, false));
      frame.steps.assign(next.begin(), next.end());
    }
    stack.push_back(std::move(frame));
    return absl::OkStatus();
  };
  walk.visits.push_back({start, 0, -1, {}});
  best_depth.push_back(max_depth + 1);
  index.Insert(start, 0);
  COOKIX_RETURN_IF_ERROR(enter(0, 0));
  while (!stack.empty()) {
    Frame& frame = stack.back();
    if (frame.next == frame.steps.size()) {
      stack.pop_back();
      continue;
    }
    const Step step = frame.steps[frame.next++];
    const int32_t parent = static_cast<int32_t>(frame.visit);
    const int32_t depth = frame.depth + 1;
    if (const uint32_t seen = index.Find(step.to); seen != OrdinalMap::kNone) {
      if (best_depth[seen] <= depth) continue;
      VisitedObject& visit = walk.visits[seen];
      visit.depth = depth;
      visit.parent = parent;
      visit.via = step;
      COOKIX_RETURN_IF_ERROR(enter(seen, depth));
      continue;
    }
    if (onto != nullptr && !onto->Contains(step.to)) continue;
    if (static_cast<int64_t>(walk.visits.size()) == limit) {
      // What is found already may still come nearer.
      walk.truncated = true;
      continue;
    }
    const uint32_t visit = static_cast<uint32_t>(walk.visits.size());
    walk.visits.push_back({step.to, depth, parent, step});
    best_depth.push_back(max_depth + 1);
    index.Insert(step.to, visit);
    COOKIX_RETURN_IF_ERROR(enter(visit, depth));
  }
  InPreorder(&walk);
  return walk;
}

}  // namespace cookix::engine
