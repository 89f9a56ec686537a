#include "tools/bench/csr_baseline.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <unordered_map>

namespace cookix::bench {

CsrBaseline::CsrBaseline(const RandomGraph& graph) : nodes_(graph.objects) {
  forward_.begin.resize(nodes_ + 1);
  backward_.begin.resize(nodes_ + 1);
  forward_.arcs.resize(graph.targets.size());
  backward_.arcs.resize(graph.targets.size());
  for (uint32_t target : graph.targets) ++backward_.begin[target + 1];
  for (uint32_t node = 0; node < nodes_; ++node) {
    forward_.begin[node + 1] = (node + 1) * graph.degree;
    backward_.begin[node + 1] += backward_.begin[node];
  }
  std::vector<uint32_t> fill(backward_.begin.begin(), backward_.begin.end() - 1);
  for (uint32_t node = 0; node < nodes_; ++node) {
    for (uint32_t e = 0; e < graph.degree; ++e) {
      const size_t at = static_cast<size_t>(node) * graph.degree + e;
      forward_.arcs[at] = {graph.targets[at], graph.weights[at]};
      backward_.arcs[fill[graph.targets[at]]++] = {node, graph.weights[at]};
    }
  }
  for (Side& side : side_) {
    side.stamp.resize(nodes_);
    side.distance.resize(nodes_);
  }
}

uint32_t CsrBaseline::NextStamp() {
  if (stamp_ > std::numeric_limits<uint32_t>::max() - 4) {
    for (Side& side : side_) std::fill(side.stamp.begin(), side.stamp.end(), 0);
    stamp_ = 0;
  }
  stamp_ += 2;  // stamp_: reached; stamp_ + 1: settled
  return stamp_;
}

std::vector<std::pair<double, uint32_t>> CsrBaseline::Search(uint32_t anchor, int max_hops) {
  // Layer by layer: the least weight with at most h steps, for h = 1, 2, ...
  std::unordered_map<uint32_t, double> best;
  best.reserve(1024);
  best[anchor] = 0;
  std::vector<std::pair<uint32_t, double>> layer = {{anchor, 0.0}};
  std::unordered_map<uint32_t, double> next;
  for (int hop = 0; hop < max_hops && !layer.empty(); ++hop) {
    next.clear();
    for (const auto& [node, distance] : layer) {
      for (uint32_t a = forward_.begin[node]; a < forward_.begin[node + 1]; ++a) {
        const Arc& arc = forward_.arcs[a];
        const double reached = distance + arc.weight;
        if (auto it = best.find(arc.to); it != best.end() && it->second <= reached) continue;
        auto [it, inserted] = next.try_emplace(arc.to, reached);
        if (!inserted) it->second = std::min(it->second, reached);
      }
    }
    layer.assign(next.begin(), next.end());
    for (const auto& [node, distance] : layer) best[node] = distance;
  }
  best.erase(anchor);
  std::vector<std::pair<double, uint32_t>> result;
  result.reserve(best.size());
  for (const auto& [node, distance] : best) result.emplace_back(distance, node);
  std::sort(result.begin(), result.end());
  return result;
}

std::optional<int> CsrBaseline::Hops(uint32_t source, uint32_t target) {
  if (source == target) return 0;
  const uint32_t stamp = NextStamp();
  int depth[2] = {0, 0};
  for (int s = 0; s < 2; ++s) {
    const uint32_t start = s == 0 ? source : target;
    side_[s].frontier.assign(1, start);
    side_[s].stamp[start] = stamp;
  }
  while (!side_[0].frontier.empty() && !side_[1].frontier.empty()) {
    const int s = side_[0].frontier.size() <= side_[1].frontier.size() ? 0 : 1;
    const Rows& rows = s == 0 ? forward_ : backward_;
    Side& side = side_[s];
    const Side& other = side_[1 - s];
    ++depth[s];
    side.next.clear();
    for (uint32_t node : side.frontier) {
      for (uint32_t a = rows.begin[node]; a < rows.begin[node + 1]; ++a) {
        const uint32_t to = rows.arcs[a].to;
        if (side.stamp[to] == stamp) continue;
        if (other.stamp[to] == stamp) return depth[0] + depth[1];
        side.stamp[to] = stamp;
        side.next.push_back(to);
      }
    }
    side.frontier.swap(side.next);
  }
  return std::nullopt;
}

std::optional<double> CsrBaseline::Weight(uint32_t source, uint32_t target) {
  if (source == target) return 0.0;
  const uint32_t stamp = NextStamp();
  double best = std::numeric_limits<double>::infinity();
  for (int s = 0; s < 2; ++s) {
    const uint32_t start = s == 0 ? source : target;
    side_[s].heap.assign(1, {0.0, start});
    side_[s].stamp[start] = stamp;
    side_[s].distance[start] = 0;
  }
  const auto greater = std::greater<std::pair<double, uint32_t>>();
  while (!side_[0].heap.empty() && !side_[1].heap.empty()) {
    if (side_[0].heap.front().first + side_[1].heap.front().first >= best) break;
    const int s = side_[0].heap.size() <= side_[1].heap.size() ? 0 : 1;
    const Rows& rows = s == 0 ? forward_ : backward_;
    Side& side = side_[s];
    const Side& other = side_[1 - s];
    std::pop_heap(side.heap.begin(), side.heap.end(), greater);
    const auto [distance, node] = side.heap.back();
    side.heap.pop_back();
    if (side.stamp[node] == stamp + 1 || distance > side.distance[node]) continue;
    side.stamp[node] = stamp + 1;
    for (uint32_t a = rows.begin[node]; a < rows.begin[node + 1]; ++a) {
      const Arc& arc = rows.arcs[a];
      const double reached = distance + arc.weight;
      if (side.stamp[arc.to] >= stamp && side.distance[arc.to] <= reached) continue;
      side.stamp[arc.to] = stamp;
      side.distance[arc.to] = reached;
      side.heap.emplace_back(reached, arc.to);
      std::push_heap(side.heap.begin(), side.heap.end(), greater);
      if (other.stamp[arc.to] >= stamp) best = std::min(best, reached + other.distance[arc.to]);
    }
  }
  if (best == std::numeric_limits<double>::infinity()) return std::nullopt;
  return best;
}

}  // namespace cookix::bench
