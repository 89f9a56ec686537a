// Best-first search over one layer of a graph: what the levels of HnswGraph share.
// Internal to the graph.
#ifndef COOKIX_ENGINE_VECTOR_HNSW_LAYER_H_
#define COOKIX_ENGINE_VECTOR_HNSW_LAYER_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "engine/vector/candidate_pool.h"
#include "engine/vector/slot.h"
#include "engine/vector/vector_storage.h"

namespace cookix::engine {

// A slot (on upper levels: a node's number) and how far it is.
struct Candidate {
  float distance = 0;
  Slot slot = kNoSlot;
  bool operator<(const Candidate& other) const {
    return distance < other.distance || (distance == other.distance && slot < other.slot);
  }
};

struct HnswSearchStats {
  int64_t distances = 0;
  int64_t expanded = 0;
};

// A link to a node: its number plus one; 0 is none, and ends a list.
using Link = std::atomic<uint32_t>;

// Lists are this many links long, or a multiple of it; what is not used is 0.
inline constexpr size_t kLinkBlock = 8;
inline size_t PaddedLinks(size_t most) { return (most + kLinkBlock - 1) / kLinkBlock * kLinkBlock; }

// Which nodes a search has seen, in the order in which it saw them. Clearing costs no more
// than what was set.
class VisitedSet {
 public:
  // REQUIRES: the set is empty. Nodes that come later than this are passed over.
  void Reserve(size_t nodes) {
    if (words_.size() < nodes / 64 + 1) words_.resize(nodes / 64 + 1);
  }
  // True when it was not in the set and has room in it.
  bool Insert(uint32_t node) {
    const uint64_t at = uint64_t{node} + 1;
    if ((at >> 6) >= words_.size()) return false;
    uint64_t& word = words_[at >> 6];
    const uint64_t bit = uint64_t{1} << (at & 63);
    if ((word & bit) != 0) return false;
    word |= bit;
    if (seen_.size() < size_ + 1) seen_.resize(2 * size_ + 1024);
    seen_[size_++] = node;
    return true;
  }
  // Inserts what `count` links lead to, a multiple of kLinkBlock, up to the first block
  // without any. Without a branch for each, since whether a node was seen cannot be
  // foreseen.
  void InsertLinks(const Link* links, size_t count) {
    if (seen_.size() < size_ + count) seen_.resize(2 * (size_ + count) + 1024);
    uint32_t* const seen = seen_.data();
    uint64_t* const words = words_.data();
    const size_t room = words_.size();
    size_t size = size_;
    // Bit 0 stands for no link, and is seen always.
    words[0] |= 1;
    for (size_t i = 0; i < count; i += kLinkBlock) {
      if (links[i].load(std::memory_order_acquire) == 0) break;
      for (size_t j = i; j < i + kLinkBlock; ++j) {
        const uint32_t link = links[j].load(std::memory_order_acquire);
        if ((link >> 6) >= room) continue;
        uint64_t& word = words[link >> 6];
        const uint64_t bit = uint64_t{1} << (link & 63);
        seen[size] = link - 1;
        size += (word & bit) == 0 ? 1 : 0;
        word |= bit;
      }
    }
    size_ = size;
  }
  size_t size() const { return size_; }
  const uint32_t* data() const { return seen_.data(); }
  void Clear() {
    if (words_.size() < 2 * size_) {
      // It takes less to clear all of them, many at a time.
      std::fill(words_.begin(), words_.end(), 0);
    } else {
      for (size_t i = 0; i < size_; ++i) words_[(uint64_t{seen_[i]} + 1) >> 6] = 0;
      if (!words_.empty()) words_[0] = 0;
    }
    size_ = 0;
  }

 private:
  // Bit n + 1 for node n.
  std::vector<uint64_t> words_;
  std::vector<uint32_t> seen_;
  size_t size_ = 0;
};

// The neighbours of one expanded node that were not seen before.
struct Expansion {
  static constexpr size_t kMost = 256;
  std::array<uint32_t, kMost> nodes;
  std::array<const uint8_t*, kMost> codes;
  std::array<const CodeParams*, kMost> params;
  size_t count = 0;
};
// Expansions that are being fetched from memory while another one is compared.
inline constexpr size_t kInFlight = 2;

// What one thread searches with; kept for its next search.
struct HnswScratch {
  VisitedSet visited;
  CandidatePool pool;
  std::array<Expansion, kInFlight> expansions;
  std::vector<uint32_t> batch;
  std::vector<uint32_t> bridges;
  std::vector<float> distances;
  PreparedQuery query;
  PreparedQuery other;
  std::vector<Candidate> candidates;
  std::vector<Slot> chosen;
};

inline void PrefetchLinks(const Link* links, size_t count) {
  const auto* bytes = reinterpret_cast<const char*>(links);
  for (size_t at = 0; at < count * sizeof(Link); at += 64) __builtin_prefetch(bytes + at);
}

// Searches from the nodes in scratch.pool, which are in scratch.visited; leaves what it
// found in scratch.pool and clears scratch.visited. A Layer has
//   Link* Links(node)  size_t MaxLinks(), padded, at most Expansion::kMost  Slot SlotOf(node)
//
// It is waiting for memory that takes the time, so the next two nodes are expanded before
// the distances of the ones before are known: while those are taken, the links of the next
// node and the codes of its neighbours are on their way, and the links of the node that comes
// after it unless a nearer one is found. Now and then a node is expanded for nothing, which
// widens the search a little.
//
// `over` is asked before each expansion, with the number of those before, whether to stop.
struct NeverOver {
  constexpr bool operator()(size_t) const { return false; }
};
template <typename Layer, typename Over = NeverOver>
void SearchLayer(const Layer& layer, const VectorStorage& storage, const PreparedQuery& query,
                 HnswScratch& scratch, HnswSearchStats* stats, const Over& over = {}) {
  CandidatePool& pool = scratch.pool;
  VisitedSet& visited = scratch.visited;
  const size_t most = layer.MaxLinks();
  size_t begun = 0;
  size_t done = 0;
  const auto begin = [&](uint32_t node) {
    Expansion& expansion = scratch.expansions[begun++ % kInFlight];
    const size_t before = visited.size();
    visited.InsertLinks(layer.Links(node), most);
    const uint32_t* const fresh = visited.data() + before;
    expansion.count = visited.size() - before;
    std::copy_n(fresh, expansion.count, expansion.nodes.data());
    storage.Fetch(
        query, expansion.count, [&](size_t i) { return layer.SlotOf(fresh[i]); },
        expansion.codes.data(), expansion.params.data());
    stats->distances += static_cast<int64_t>(expansion.count);
  };
  const auto finish = [&] {
    const Expansion& expansion = scratch.expansions[done++ % kInFlight];
    float distances[Expansion::kMost];
    storage.codec().Distances(query, expansion.codes.data(), expansion.params.data(),
                              expansion.count, distances);
    pool.Insert(distances, expansion.nodes.data(), expansion.count);
  };
  while (!over(begun)) {
    uint32_t node;
    const bool taken = pool.Take(&node);
    if (taken) PrefetchLinks(layer.Links(node), most);
    if (uint32_t following; taken && pool.Peek(&following)) {
      PrefetchLinks(layer.Links(following), most);
    }
    if (begun - done == kInFlight || (!taken && begun > done)) {
      finish();
    } else if (!taken) {
      break;
    }
    if (taken) begin(node);
  }
  stats->expanded += static_cast<int64_t>(begun);
  visited.Clear();
}

// Adds to `chosen`, up to `most`, of `candidates`, ascending by distance from `base`: each
// that is nearer to the base than to all chosen before (Malkov and Yashunin, algorithm 4).
// `slot_of` turns a candidate's number into its slot.
//
// Inner products are no distances: by them all would choose the longest vectors, and nothing
// would lead to the others. Nearness is then |a - b|^2 = |a|^2 + |b|^2 - 2 <a, b>, without
// the square of the candidate's length, which both sides have. Other distances count
// once, and their squares are zero.
template <typename SlotOf>
void AddNeighbours(const VectorStorage& storage, Slot base,
                   const std::vector<Candidate>& candidates, size_t most, const SlotOf& slot_of,
                   HnswScratch& scratch, std::vector<Slot>* chosen) {
  Slot slots[256];
  float squares[256];  // of the lengths of what is chosen
  float distances[8];
  const bool products = storage.codec().metric() == Metric::kDot;
  const float factor = products ? 2 : 1;
  // Leaves the slot prepared in scratch.other.
  const auto square = [&](Slot slot) {
    storage.Prepare(slot, &scratch.other);
    return -storage.Distance(scratch.other, slot);
  };
  for (size_t i = 0; i < chosen->size(); ++i) {
    slots[i] = slot_of((*chosen)[i]);
    squares[i] = products ? square(slots[i]) : 0;
  }
  const float base_square = products ? square(base) : 0;
  for (const Candidate& candidate : candidates) {
    if (chosen->size() >= most) break;
    const Slot slot = slot_of(candidate.slot);
    const float own_square = products ? square(slot) : 0;
    if (!products && !chosen->empty()) storage.Prepare(slot, &scratch.other);
    const float nearness = base_square + factor * candidate.distance;
    bool good = true;
    for (size_t begin = 0; begin < chosen->size() && good; begin += 8) {
      const size_t n = std::min<size_t>(8, chosen->size() - begin);
      storage.Distances(scratch.other, slots + begin, n, distances);
      for (size_t i = 0; i < n; ++i) {
        good = good && squares[begin + i] + factor * distances[i] >= nearness;
      }
    }
    if (!good) continue;
    slots[chosen->size()] = slot;
    squares[chosen->size()] = own_square;
    chosen->push_back(candidate.slot);
  }
}

// The same from nothing.
template <typename SlotOf>
void ChooseNeighbours(const VectorStorage& storage, Slot base,
                      const std::vector<Candidate>& candidates, size_t most, const SlotOf& slot_of,
                      HnswScratch& scratch, std::vector<Slot>* chosen) {
  chosen->clear();
  AddNeighbours(storage, base, candidates, most, slot_of, scratch, chosen);
}

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_HNSW_LAYER_H_
