// Best-first search over one layer of a graph: what the levels of HnswGraph share.
// Internal to the graph.
#ifndef COOKIX_ENGINE_VECTOR_HNSW_LAYER_H_
#define COOKIX_ENGINE_VECTOR_HNSW_LAYER_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

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

// Which nodes a search has seen. Clearing costs what was set.
class VisitedSet {
 public:
  void Reserve(size_t nodes) {
    if (words_.size() < (nodes + 63) / 64) words_.resize((nodes + 63) / 64);
  }
  // True when it was not in the set and has room in it.
  bool Insert(uint32_t node) {
    // A node that came after the search began.
    if ((node >> 6) >= words_.size()) return false;
    uint64_t& word = words_[node >> 6];
    const uint64_t bit = uint64_t{1} << (node & 63);
    if ((word & bit) != 0) return false;
    if (word == 0) touched_.push_back(node >> 6);
    word |= bit;
    return true;
  }
  void Clear() {
    for (const uint32_t at : touched_) words_[at] = 0;
    touched_.clear();
  }

 private:
  std::vector<uint64_t> words_;
  std::vector<uint32_t> touched_;
};

// The best nodes so far, ascending by distance, at most `limit`.
class CandidatePool {
 public:
  void Reset(size_t limit) {
    limit_ = limit;
    size_ = 0;
    next_ = 0;
    if (entries_.size() < limit + 1) entries_.resize(limit + 1);
  }
  size_t size() const { return size_; }
  bool Accepts(float distance) const {
    return size_ < limit_ || distance < entries_[size_ - 1].distance;
  }
  // Returns where it lies now.
  size_t Insert(float distance, uint32_t node) {
    size_t at = size_;
    if (size_ > 0 && distance < entries_[size_ - 1].distance) {
      at = static_cast<size_t>(
          std::upper_bound(entries_.begin(), entries_.begin() + static_cast<ptrdiff_t>(size_),
                           distance,
                           [](float d, const Candidate& entry) { return d < entry.distance; }) -
          entries_.begin());
      std::memmove(static_cast<void*>(&entries_[at + 1]), &entries_[at],
                   (size_ - at) * sizeof(Candidate));
    }
    entries_[at] = {distance, node};
    if (size_ < limit_) ++size_;
    if (at < next_) next_ = at;
    return at;
  }
  // The nearest node that was not taken yet, and takes it; false when all are.
  bool Take(uint32_t* node) {
    while (next_ < size_ && (entries_[next_].slot & kTaken) != 0) ++next_;
    if (next_ == size_) return false;
    *node = entries_[next_].slot;
    entries_[next_].slot |= kTaken;
    ++next_;
    return true;
  }
  // The node that Take() would give now; kNoSlot when there is none.
  uint32_t Peek() const {
    for (size_t i = next_; i < size_; ++i) {
      if ((entries_[i].slot & kTaken) == 0) return entries_[i].slot;
    }
    return kNoSlot;
  }
  size_t next() const { return next_; }
  uint32_t node(size_t i) const { return entries_[i].slot & ~kTaken; }
  float distance(size_t i) const { return entries_[i].distance; }

 private:
  static constexpr uint32_t kTaken = uint32_t{1} << 31;
  std::vector<Candidate> entries_;
  size_t limit_ = 0;
  size_t size_ = 0;
  // Everything before it is taken.
  size_t next_ = 0;
};

// Candidates whose neighbours are fetched together.
inline constexpr size_t kExpandTogether = 2;

// What one thread searches with; kept for its next search.
struct HnswScratch {
  VisitedSet visited;
  CandidatePool pool;
  std::vector<uint32_t> batch;
  std::vector<uint32_t> bridges;
  std::vector<float> distances;
  PreparedQuery query;
  PreparedQuery other;
  std::vector<Candidate> candidates;
  std::vector<Slot> chosen;
};

// Searches from the nodes in scratch.pool, which are in scratch.visited; leaves what it
// found in scratch.pool and clears scratch.visited. A Layer has
//   Link* Links(node)  size_t MaxLinks()  Slot SlotOf(node)
template <typename Layer>
void SearchLayer(const Layer& layer, const VectorStorage& storage, const PreparedQuery& query,
                 HnswScratch& scratch, HnswSearchStats* stats) {
  CandidatePool& pool = scratch.pool;
  const size_t most = layer.MaxLinks();
  scratch.batch.resize(kExpandTogether * most);
  scratch.distances.resize(kExpandTogether * most);
  uint32_t* const batch = scratch.batch.data();
  float* const distances = scratch.distances.data();
  Slot slots[64];
  uint32_t node;
  while (pool.Take(&node)) {
    size_t count = 0;
    size_t taken = 0;
    do {
      const Link* links = layer.Links(node);
      for (size_t i = 0; i < most; ++i) {
        const uint32_t link = links[i].load(std::memory_order_acquire);
        if (link == 0) break;
        if (!scratch.visited.Insert(link - 1)) continue;
        batch[count++] = link - 1;
        storage.Prefetch(layer.SlotOf(link - 1));
      }
      ++taken;
    } while (taken < kExpandTogether && pool.Take(&node));
    stats->expanded += static_cast<int64_t>(taken);
    stats->distances += static_cast<int64_t>(count);
    if (const uint32_t next = pool.Peek(); next != kNoSlot) {
      const auto* links = reinterpret_cast<const char*>(layer.Links(next));
      for (size_t at = 0; at < most * sizeof(Link); at += 64) __builtin_prefetch(links + at);
    }
    for (size_t begin = 0; begin < count; begin += 64) {
      const size_t n = std::min<size_t>(64, count - begin);
      for (size_t i = 0; i < n; ++i) slots[i] = layer.SlotOf(batch[begin + i]);
      storage.DistancesFetched(query, slots, n, distances + begin);
    }
    for (size_t i = 0; i < count; ++i) {
      if (!pool.Accepts(distances[i])) continue;
      // Near the front it is likely to be expanded next.
      if (pool.Insert(distances[i], batch[i]) <= pool.next() + 2) {
        const auto* links = reinterpret_cast<const char*>(layer.Links(batch[i]));
        for (size_t at = 0; at < most * sizeof(Link); at += 64) __builtin_prefetch(links + at);
      }
    }
  }
  scratch.visited.Clear();
}

// Adds to `chosen`, up to `most`, of `candidates`, ascending by distance from some base:
// each that is nearer to the base than to all chosen before (Malkov and Yashunin, algorithm
// 4). `slot_of` turns a candidate's number into its slot.
template <typename SlotOf>
void AddNeighbours(const VectorStorage& storage, const std::vector<Candidate>& candidates,
                   size_t most, const SlotOf& slot_of, HnswScratch& scratch,
                   std::vector<Slot>* chosen) {
  Slot slots[256];
  float distances[8];
  for (size_t i = 0; i < chosen->size(); ++i) slots[i] = slot_of((*chosen)[i]);
  for (const Candidate& candidate : candidates) {
    if (chosen->size() >= most) break;
    const Slot slot = slot_of(candidate.slot);
    bool good = true;
    if (!chosen->empty()) {
      storage.Prepare(slot, &scratch.other);
      for (size_t begin = 0; begin < chosen->size() && good; begin += 8) {
        const size_t n = std::min<size_t>(8, chosen->size() - begin);
        storage.DistancesFetched(scratch.other, slots + begin, n, distances);
        for (size_t i = 0; i < n; ++i) good = good && distances[i] >= candidate.distance;
      }
    }
    if (!good) continue;
    slots[chosen->size()] = slot;
    chosen->push_back(candidate.slot);
  }
}

// The same from nothing.
template <typename SlotOf>
void ChooseNeighbours(const VectorStorage& storage, const std::vector<Candidate>& candidates,
                      size_t most, const SlotOf& slot_of, HnswScratch& scratch,
                      std::vector<Slot>* chosen) {
  chosen->clear();
  AddNeighbours(storage, candidates, most, slot_of, scratch, chosen);
}

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_HNSW_LAYER_H_
