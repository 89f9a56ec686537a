#include "engine/graph/geodesic.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "engine/graph/ordinal_map.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr uint32_t kNone = ~uint32_t{0};

// A way to an object: the last step and the label it began at.
struct Label {
  double weight = 0;
  Ordinal ordinal = 0;
  uint32_t parent = kNone;
  uint32_t hops = 0;
  // The label of the same object that was made before this one.
  uint32_t older = kNone;
  Step via;
};

struct NodeState {
  // Newest label of the object.
  uint32_t newest = kNone;
  // Fewest hops among its settled labels.
  uint32_t settled_hops = std::numeric_limits<uint32_t>::max();
};

struct HeapEntry {
  double weight;
  uint32_t hops;
  uint32_t label;
  Ordinal ordinal;
  bool operator<(const HeapEntry& other) const {
    return std::tie(weight, hops, ordinal) < std::tie(other.weight, other.hops, other.ordinal);
  }
};

// A binary heap with the least on top, over a vector that keeps its memory.
class Heap {
 public:
  bool empty() const { return entries_.empty(); }
  void Clear() { entries_.clear(); }
  void Push(const HeapEntry& entry) {
    size_t at = entries_.size();
    entries_.push_back(entry);
    while (at > 0) {
      const size_t parent = (at - 1) / 4;
      if (!(entry < entries_[parent])) break;
      entries_[at] = entries_[parent];
      at = parent;
    }
    entries_[at] = entry;
  }
  HeapEntry Pop() {
    const HeapEntry top = entries_.front();
    const HeapEntry last = entries_.back();
    entries_.pop_back();
    const size_t size = entries_.size();
    size_t at = 0;
    while (size > 0) {
      const size_t first = at * 4 + 1;
      if (first >= size) break;
      size_t least = first;
      for (size_t child = first + 1; child < std::min(first + 4, size); ++child) {
        if (entries_[child] < entries_[least]) least = child;
      }
      if (!(entries_[least] < last)) break;
      entries_[at] = entries_[least];
      at = least;
    }
    if (size > 0) entries_[at] = last;
    return top;
  }

 private:
  std::vector<HeapEntry> entries_;
};

struct Scratch {
  OrdinalMap index;
  std::vector<NodeState> nodes;
  std::vector<Label> labels;
  Heap heap;
  void Clear() {
    index.Clear();
    nodes.clear();
    labels.clear();
    heap.Clear();
  }
};

thread_local Scratch scratch;

std::vector<Step> StepsTo(const std::vector<Label>& labels, uint32_t label) {
  std::vector<Step> steps;
  for (uint32_t at = label; labels[at].parent != kNone; at = labels[at].parent) {
    steps.push_back(labels[at].via);
  }
  std::reverse(steps.begin(), steps.end());
  return steps;
}

// True when the way to `a` has a smaller sequence of ordinals than the way to `b`; both
// have as many hops.
bool Smaller(const std::vector<Label>& labels, uint32_t a, uint32_t b) {
  bool smaller = false;
  while (a != b && a != kNone && b != kNone) {
    if (labels[a].ordinal != labels[b].ordinal) smaller = labels[a].ordinal < labels[b].ordinal;
    a = labels[a].parent;
    b = labels[b].parent;
  }
  return smaller;
}

void SortFound(std::vector<FoundPath>* found) {
  std::sort(found->begin(), found->end(), [](const FoundPath& a, const FoundPath& b) {
    return std::tie(a.weight, a.hops, a.ordinal) < std::tie(b.weight, b.hops, b.ordinal);
  });
}

}  // namespace

absl::StatusOr<GeodesicResult> Geodesic(StepExpander& steps, const GeodesicRequest& request) {
  GeodesicResult result;
  Scratch& s = scratch;
  s.Clear();
  s.index.Insert(request.anchor, 0);
  s.nodes.push_back({0, std::numeric_limits<uint32_t>::max()});
  s.labels.push_back({0, request.anchor, kNone, 0, kNone, {}});
  s.heap.Push({0, 0, 0, request.anchor});
  const uint32_t max_hops = static_cast<uint32_t>(request.max_hops);
  while (!s.heap.empty()) {
    const HeapEntry top = s.heap.Pop();
    if (top.weight > request.max_weight) break;
    const uint32_t node_at = s.index.Find(top.ordinal);
    const bool first = s.nodes[node_at].settled_hops == std::numeric_limits<uint32_t>::max();
    if (top.hops >= s.nodes[node_at].settled_hops) continue;
    s.nodes[node_at].settled_hops = top.hops;
    if (first) {
      ++result.settled;
      const bool wanted =
          request.target != 0 ? top.ordinal == request.target : top.ordinal != request.anchor;
      if (wanted && (!request.accept || request.accept(top.ordinal))) {
        result.found.push_back({top.ordinal, top.weight, static_cast<int32_t>(top.hops),
                                StepsTo(s.labels, top.label), request.anchor});
        if (request.target != 0 || static_cast<int64_t>(result.found.size()) >= request.limit) {
          return result;
        }
      } else if (wanted && request.target != 0) {
        return result;
      }
    }
    if (top.hops == max_hops) continue;
    COOKIX_ASSIGN_OR_RETURN(const std::span<const Step> next, steps.Expand(top.ordinal, false));
    for (const Step& step : next) {
      const double weight = top.weight + step.weight;
      const uint32_t hops = top.hops + 1;
      auto [at, inserted] = s.index.Insert(step.to, static_cast<uint32_t>(s.nodes.size()));
      if (inserted) {
        if (request.onto && step.to != request.target && !request.onto(step.to)) {
          // Remembered as settled at no hops, so that it is never stepped onto.
          s.nodes.push_back({kNone, 0});
          continue;
        }
        s.nodes.push_back({});
      }
      NodeState& node = s.nodes[*at];
      if (hops >= node.settled_hops) continue;
      // An unsettled label that is as good in both respects makes this one useless.
      bool useless = false;
      for (uint32_t other = node.newest; other != kNone && !useless;
           other = s.labels[other].older) {
        Label& label = s.labels[other];
        if (label.weight == weight && label.hops == hops) {
          useless = true;
          if (Smaller(s.labels, top.label, label.parent)) {
            label.parent = top.label;
            label.via = step;
          } else if (label.parent == top.label && label.via.reversed && !step.reversed) {
            label.via = step;
          }
        } else if (label.weight <= weight && label.hops <= hops) {
          useless = true;
        }
      }
      if (useless) continue;
      const uint32_t label = static_cast<uint32_t>(s.labels.size());
      s.labels.push_back({weight, step.to, top.label, hops, node.newest, step});
      node.newest = label;
      s.heap.Push({weight, hops, label, step.to});
    }
  }
  return result;
}

absl::StatusOr<GeodesicResult> FollowChain(std::vector<StepExpander>& chain, Ordinal anchor,
                                           bool prefixes) {
  GeodesicResult result;
  std::vector<Label> labels = {{0, anchor, kNone, 0, kNone, {}}};
  std::vector<uint32_t> layer = {0};
  OrdinalMap in_layer;
  OrdinalMap reported;
  auto report = [&](const std::vector<uint32_t>& ends) {
    std::vector<FoundPath> found;
    for (const uint32_t end : ends) {
      if (labels[end].ordinal == anchor || !reported.Insert(labels[end].ordinal, 0).second) {
        continue;
      }
      found.push_back({labels[end].ordinal, labels[end].weight,
                       static_cast<int32_t>(labels[end].hops), StepsTo(labels, end), anchor});
    }
    SortFound(&found);
    for (FoundPath& path : found) result.found.push_back(std::move(path));
  };
  for (size_t hop = 0; hop < chain.size(); ++hop) {
    std::vector<uint32_t> next_layer;
    in_layer.Clear();
    for (const uint32_t from : layer) {
      COOKIX_ASSIGN_OR_RETURN(const std::span<const Step> next,
                              chain[hop].Expand(labels[from].ordinal, false));
      for (const Step& step : next) {
        const double weight = labels[from].weight + step.weight;
        auto [at, inserted] = in_layer.Insert(step.to, static_cast<uint32_t>(labels.size()));
        if (inserted) {
          next_layer.push_back(*at);
          labels.push_back({weight, step.to, from, static_cast<uint32_t>(hop) + 1, kNone, step});
          continue;
        }
        Label& label = labels[*at];
        if (weight < label.weight ||
            (weight == label.weight && Smaller(labels, from, label.parent))) {
          label.weight = weight;
          label.parent = from;
          label.via = step;
        }
      }
    }
    result.settled += static_cast<int64_t>(next_layer.size());
    layer.swap(next_layer);
    if (prefixes || hop + 1 == chain.size()) report(layer);
    if (layer.empty()) break;
  }
  return result;
}

void FoundPaths::Add(std::vector<FoundPath>&& found) {
  const auto cost = [this](const FoundPath& path) {
    const double hops = path.hops;
    return by_hops_ ? std::pair(hops, path.weight) : std::pair(path.weight, hops);
  };
  const auto is_better = [&](const FoundPath& a, const FoundPath& b) {
    if (const auto cost_a = cost(a), cost_b = cost(b); cost_a != cost_b) return cost_a < cost_b;
    if (a.ordinal != b.ordinal) return a.ordinal < b.ordinal;
    if (a.anchor != b.anchor) return a.anchor < b.anchor;
    return std::lexicographical_compare(a.steps.begin(), a.steps.end(), b.steps.begin(),
                                        b.steps.end(),
                                        [](const Step& x, const Step& y) { return x.to < y.to; });
  };
  for (FoundPath& path : found) best_.push_back(std::move(path));
  std::sort(best_.begin(), best_.end(), is_better);
  OrdinalMap seen;
  std::erase_if(best_, [&](const FoundPath& path) { return !seen.Insert(path.ordinal, 0).second; });
  if (static_cast<int64_t>(best_.size()) > limit_) best_.resize(static_cast<size_t>(limit_));
  if (!by_hops_ && static_cast<int64_t>(best_.size()) == limit_) max_weight_ = best_.back().weight;
}

}  // namespace cookix::engine
