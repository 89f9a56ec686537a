#include "engine/graph/shortest_path.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/graph/ordinal_map.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr uint32_t kNone = ~uint32_t{0};

struct HopSide {
  std::vector<Ordinal> frontier, next;
  uint32_t level = 0;
  void Start(Ordinal ordinal) {
    frontier.assign(1, ordinal);
    level = 0;
  }
};

// Hops from the source and to the target; kNone = not reached from there.
struct HopLevels {
  uint32_t from[2] = {kNone, kNone};
};

struct WeightNode {
  double weight = 0;
  Ordinal ordinal = 0;
  uint32_t hops = 0;
  uint32_t parent = kNone;
  bool settled = false;
  Step via;
};

struct WeightEntry {
  double weight;
  uint32_t hops;
  uint32_t node;
  bool operator>(const WeightEntry& other) const {
    return std::tie(weight, hops, node) > std::tie(other.weight, other.hops, other.node);
  }
};

struct WeightSide {
  OrdinalMap index;
  std::vector<WeightNode> nodes;
  std::vector<WeightEntry> heap;
  void Start(Ordinal ordinal) {
    index.Clear();
    index.Insert(ordinal, 0);
    nodes.assign(1, {0, ordinal, 0, kNone, false, {}});
    heap.assign(1, {0, 0, 0});
  }
};

thread_local HopSide hop_sides[2];
thread_local OrdinalTable<HopLevels> hop_levels;
// Objects on a shortest path, by their distance from the source.
thread_local OrdinalMap on_path_scratch;
thread_local WeightSide weight_sides[2];

ShortestPathResult SamePlace(Ordinal ordinal) {
  ShortestPathResult result;
  result.path = FoundPath{ordinal, 0, 0, {}};
  return result;
}

}  // namespace

absl::StatusOr<ShortestPathResult> ShortestByHops(StepExpander& steps,
                                                  const ShortestPathRequest& request) {
  if (request.source == request.target) return SamePlace(request.source);
  ShortestPathResult result;
  HopSide* const sides = hop_sides;
  OrdinalTable<HopLevels>& levels = hop_levels;
  levels.Clear();
  sides[0].Start(request.source);
  sides[1].Start(request.target);
  levels.Insert(request.source, {{0, kNone}});
  levels.Insert(request.target, {{kNone, 0}});
  const auto level_of = [&levels](Ordinal ordinal, int side) {
    const HopLevels* found = levels.FindValue(ordinal);
    return found == nullptr ? kNone : found->from[side];
  };
  const auto allowed = [&request](Ordinal ordinal) {
    return !request.onto || ordinal == request.source || ordinal == request.target ||
           request.onto(ordinal);
  };
  const uint32_t max_hops = static_cast<uint32_t>(request.max_hops);
  std::vector<Ordinal> meetings;
  while (meetings.empty() && !sides[0].frontier.empty() && !sides[1].frontier.empty()) {
    if (max_hops != 0 && sides[0].level + sides[1].level >= max_hops) break;
    const int me = sides[1].frontier.size() < sides[0].frontier.size() ? 1 : 0;
    const bool backward = me == 1;
    HopSide& side = sides[me];
    ++side.level;
    side.next.clear();
    for (size_t i = 0; i < std::min(kPrefetchAhead, side.frontier.size()); ++i) {
      steps.Prefetch(side.frontier[i], backward);
    }
    for (size_t i = 0; i < side.frontier.size(); ++i) {
      if (i + kPrefetchAhead < side.frontier.size()) {
        steps.Prefetch(side.frontier[i + kPrefetchAhead], backward);
      }
      COOKIX_ASSIGN_OR_RETURN(const std::span<const Ordinal> next,
                              steps.ExpandObjects(side.frontier[i], backward));
      for (const Ordinal to : next) {
        const HopLevels* reached = levels.FindValue(to);
        if (reached == nullptr) {
          // The last level is the largest, and nobody asks for what is new in it.
          if (meetings.empty()) side.next.push_back(to);
        } else if (reached->from[me] == kNone && allowed(to)) {
          meetings.push_back(to);
        }
      }
    }
    if (meetings.empty()) {
      // Each once, and none that may not be walked through.
      std::erase_if(side.next, [&](Ordinal to) {
        HopLevels level;
        level.from[me] = side.level;
        return !levels.Insert(to, level).second || !allowed(to);
      });
    }
    result.examined += static_cast<int64_t>(side.frontier.size());
    side.frontier.swap(side.next);
  }
  if (meetings.empty()) return result;

  // Every shortest path crosses a meeting. Walk back from them to the source to learn
  // which objects lie on a shortest path, then forward, choosing the smallest.
  const uint32_t split = sides[0].level;
  const uint32_t length = split + sides[1].level;
  OrdinalMap& on_path = on_path_scratch;
  on_path.Clear();
  std::erase_if(meetings, [&](Ordinal meeting) { return !on_path.Insert(meeting, split).second; });
  std::vector<Ordinal> layer = std::move(meetings);
  for (uint32_t level = split; level > 0; --level) {
    std::vector<Ordinal> before;
    for (const Ordinal ordinal : layer) {
      COOKIX_ASSIGN_OR_RETURN(const std::span<const Step> arriving, steps.Expand(ordinal, true));
      for (const Step& step : arriving) {
        if (level_of(step.to, 0) != level - 1) continue;
        if (request.onto && step.to != request.source && !request.onto(step.to)) continue;
        if (on_path.Insert(step.to, level - 1).second) {
          before.push_back(step.to);
        }
      }
    }
    layer.swap(before);
  }
  FoundPath path;
  path.ordinal = request.target;
  path.hops = static_cast<int32_t>(length);
  Ordinal at = request.source;
  for (uint32_t level = 1; level <= length; ++level) {
    COOKIX_ASSIGN_OR_RETURN(const std::span<const Step> next, steps.Expand(at, false));
    const Step* best = nullptr;
    for (const Step& step : next) {
      const bool leads =
          level <= split ? on_path.Find(step.to) == level : level_of(step.to, 1) == length - level;
      if (!leads) continue;
      if (level > split && step.to != request.target && request.onto && !request.onto(step.to)) {
        continue;
      }
      if (best == nullptr || std::tie(step.to, step.weight, step.reversed) <
                                 std::tie(best->to, best->weight, best->reversed)) {
        best = &step;
      }
    }
    if (best == nullptr) {
      return Corruption("the edges of the two directions disagree",
                        "Rebuild the adjacency view, then verify the store");
    }
    path.steps.push_back(*best);
    path.weight += best->weight;
    at = best->to;
  }
  result.path = std::move(path);
  return result;
}

absl::StatusOr<ShortestPathResult> ShortestByWeight(StepExpander& steps,
                                                    const ShortestPathRequest& request) {
  if (request.source == request.target) return SamePlace(request.source);
  ShortestPathResult result;
  if (request.max_hops != 0) {
    GeodesicRequest bounded;
    bounded.anchor = request.source;
    bounded.target = request.target;
    bounded.max_hops = request.max_hops;
    bounded.onto = request.onto;
    COOKIX_ASSIGN_OR_RETURN(GeodesicResult found, Geodesic(steps, bounded));
    result.examined = found.settled;
    if (!found.found.empty()) result.path = std::move(found.found.front());
    return result;
  }
  WeightSide* const sides = weight_sides;
  sides[0].Start(request.source);
  sides[1].Start(request.target);
  const auto greater = std::greater<WeightEntry>();
  double best_weight = std::numeric_limits<double>::infinity();
  uint32_t best_hops = std::numeric_limits<uint32_t>::max();
  uint32_t best_nodes[2] = {kNone, kNone};
  Step best_bridge;
  while (!sides[0].heap.empty() && !sides[1].heap.empty()) {
    if (sides[0].heap.front().weight + sides[1].heap.front().weight > best_weight) break;
    const bool backward = sides[1].heap.size() < sides[0].heap.size();
    WeightSide& side = sides[backward ? 1 : 0];
    const WeightSide& other = sides[backward ? 0 : 1];
    std::pop_heap(side.heap.begin(), side.heap.end(), greater);
    const WeightEntry top = side.heap.back();
    side.heap.pop_back();
    if (side.nodes[top.node].settled) continue;
    side.nodes[top.node].settled = true;
    ++result.examined;
    if (!side.heap.empty()) {
      steps.Prefetch(side.nodes[side.heap.front().node].ordinal, backward);
    }
    COOKIX_ASSIGN_OR_RETURN(const std::span<const Step> next,
                            steps.Expand(side.nodes[top.node].ordinal, backward));
    for (const Step& step : next) {
      const double weight = top.weight + step.weight;
      const uint32_t hops = top.hops + 1;
      if (const uint32_t across = other.index.Find(step.to);
          across != OrdinalMap::kNone && other.nodes[across].weight >= 0) {
        const WeightNode& there = other.nodes[across];
        const double total = weight + there.weight;
        const uint32_t total_hops = hops + there.hops;
        if (std::tie(total, total_hops) < std::tie(best_weight, best_hops)) {
          best_weight = total;
          best_hops = total_hops;
          best_nodes[backward ? 1 : 0] = top.node;
          best_nodes[backward ? 0 : 1] = across;
          best_bridge = step;
          // Seen from the source's side the bridge leads to the other side's object.
          if (backward) best_bridge.to = side.nodes[top.node].ordinal;
        }
      }
      const bool end = step.to == request.source || step.to == request.target;
      auto [at, inserted] = side.index.Insert(step.to, static_cast<uint32_t>(side.nodes.size()));
      if (inserted) {
        if (request.onto && !end && !request.onto(step.to)) {
          // Never walked through: a negative weight marks it on either side.
          side.nodes.push_back({-1, step.to, 0, kNone, true, {}});
          continue;
        }
        side.nodes.push_back({weight, step.to, hops, top.node, false, step});
      } else {
        WeightNode& node = side.nodes[*at];
        if (node.settled || std::tie(node.weight, node.hops) <= std::tie(weight, hops)) continue;
        node.weight = weight;
        node.hops = hops;
        node.parent = top.node;
        node.via = step;
      }
      side.heap.push_back({weight, hops, *at});
      std::push_heap(side.heap.begin(), side.heap.end(), greater);
    }
  }
  if (best_nodes[0] == kNone) return result;
  FoundPath path;
  path.ordinal = request.target;
  for (uint32_t at = best_nodes[0]; sides[0].nodes[at].parent != kNone;
       at = sides[0].nodes[at].parent) {
    path.steps.push_back(sides[0].nodes[at].via);
  }
  std::reverse(path.steps.begin(), path.steps.end());
  path.steps.push_back(best_bridge);
  // On the target's side a step was found against the way it is walked.
  for (uint32_t at = best_nodes[1]; sides[1].nodes[at].parent != kNone;) {
    const WeightNode& node = sides[1].nodes[at];
    Step step = node.via;
    step.to = sides[1].nodes[node.parent].ordinal;
    path.steps.push_back(step);
    at = node.parent;
  }
  for (const Step& step : path.steps) path.weight += step.weight;
  path.hops = static_cast<int32_t>(path.steps.size());
  result.path = std::move(path);
  return result;
}

}  // namespace cookix::engine
