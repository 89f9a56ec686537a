// A hierarchical navigable small world graph over the slots of a VectorStorage.
//
// After Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search
// using hierarchical navigable small world graphs" (2016): insertion is their algorithm
// 1, the choice of neighbours algorithm 4. What differs:
//
//   * A level has a 64th of the nodes of the one below, not an m-th. A search begins with
//     a scan of the lowest level that has at most 128 nodes, goes down from its best
//     nodes, and enters level 0 with two. So there are few levels, and no long
//     walks on them (hnsw_upper.h).
//   * Candidates lie in one sorted array (candidate_pool.h). While the neighbours of one are
//     compared, those of the next come from memory (SearchLayer() in hnsw_layer.h).
//   * Distances are of codes (vector_codec.h); the best are compared again by their
//     residues, by the caller.
//
// One node's block on level 0 is m0 links of 4 bytes, used from the front.
//
// Deletion. A dead slot stays a way through until Repair() has linked its neighbours with
// one another; then it may be used anew. The idea is that of FreshDiskANN (Singh et al.
// 2021, section 5).
//
// Threads. Insert() may run in several threads at a time and beside searches; neighbours
// are changed under a lock for each node and read without locks.
#ifndef COOKIX_ENGINE_VECTOR_HNSW_GRAPH_H_
#define COOKIX_ENGINE_VECTOR_HNSW_GRAPH_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "engine/call_context.h"
#include "engine/vector/hnsw_layer.h"
#include "engine/vector/hnsw_upper.h"
#include "engine/vector/slot.h"
#include "engine/vector/slot_array.h"
#include "engine/vector/slot_bits.h"
#include "engine/vector/vector_storage.h"

namespace cookix::engine {

struct HnswOptions {
  // Neighbours that a new node chooses, and the most on upper levels: 4 to 128.
  int m = 16;
  // The most neighbours on level 0: m to 256.
  int m0 = 32;
  // Candidates when a node is inserted: m to 4,096.
  int ef_construction = 200;
};

class HnswGraph {
 public:
  // `storage` is borrowed and outlives the graph.
  HnswGraph(const VectorStorage& storage, HnswOptions options);
  HnswGraph(const HnswGraph&) = delete;
  HnswGraph& operator=(const HnswGraph&) = delete;

  const HnswOptions& options() const { return options_; }

  // Makes room for slots below `slots`; by one thread at a time. False without memory.
  [[nodiscard]] bool Grow(size_t slots) { return links_.Grow(slots) && upper_.load()->Grow(slots); }

  // Adds a slot that is written. The slots of `dead` (null: none) become nobody's
  // neighbours. `extra` candidates are kept beyond ef_construction.
  void Insert(Slot slot, const AtomicSlotBits* dead = nullptr, size_t extra = 0);

  // The nearest slots that it finds by codes, at most `ef`, ascending. Dead ones included.
  // Both searches stop early when `context`, unless null, says so (CallContext::Check), a wide
  // one within a few milliseconds; what they found is then of no use.
  void Search(const PreparedQuery& query, size_t ef, std::vector<Candidate>* found,
              HnswSearchStats* stats, const CallContext* context = nullptr) const;

  // The nearest slots of `accept` that it finds, at most `ef`, ascending. Goes over
  // neighbours that are not accepted to theirs. `seeds` are some slots of `accept`. Gives
  // up and returns false when it has taken more than `budget` distances, or is to stop.
  bool SearchAccepted(const PreparedQuery& query, size_t ef, const SlotBits& accept,
                      std::span<const Slot> seeds, int64_t budget, std::vector<Candidate>* found,
                      HnswSearchStats* stats, const CallContext* context = nullptr) const;

  // Unlinks the slots of `dead` from the other slots of `linked` in [begin, end), and links
  // what they connected. May run beside Insert() when that knows of all of `dead`. Several threads
  // may take ranges of their own. When it ran over all slots, FinishRepair() comes next.
  void Repair(const SlotBits& dead, const SlotBits& linked, Slot begin, Slot end);
  // Builds the upper levels anew over the slots of `live`: those that are linked on level
  // 0. What searches may still read is freed by FreeRetired(), which the caller calls when
  // every search that began before has ended; then dead slots may be written and inserted
  // again.
  void FinishRepair(const SlotBits& live, size_t slots);
  void FreeRetired() { retired_.clear(); }

  // Neighbours on level 0 as they are now.
  std::vector<Slot> Neighbours(Slot slot) const;
  // For loading what was saved: sets the neighbours of a slot. Upper levels are built by
  // FinishRepair().
  void SetNeighbours(Slot slot, std::span<const Slot> neighbours);

  // Bytes for `slots` slots.
  int64_t Bytes(size_t slots) const;

 private:
  static constexpr size_t kLocks = 1024;

  struct Level0 {
    const HnswGraph* graph;
    const Link* Links(uint32_t node) const { return graph->Links(node); }
    size_t MaxLinks() const { return PaddedLinks(static_cast<size_t>(graph->options_.m0)); }
    static Slot SlotOf(uint32_t node) { return node; }
  };

  Link* Links(Slot slot) const { return reinterpret_cast<Link*>(links_.At(slot)); }
  std::mutex& LockOf(Slot slot) const { return locks_[slot % kLocks]; }

  // Fills scratch.pool and scratch.visited with where to begin.
  void Seed(const PreparedQuery& query, size_t ef, HnswScratch& scratch,
            HnswSearchStats* stats) const;
  void LinkBack(Slot from, Slot to, float distance, HnswScratch& scratch,
                const AtomicSlotBits* dead);
  void Rewrite(Slot slot, std::span<const Slot> neighbours);

  const VectorStorage& storage_;
  const HnswOptions options_;
  SlotArray links_;
  std::unique_ptr<HnswUpper> owned_upper_;
  std::atomic<HnswUpper*> upper_;
  std::vector<std::unique_ptr<HnswUpper>> retired_;
  // Where to begin without upper levels.
  std::atomic<Slot> first_{kNoSlot};
  std::mutex first_mutex_;
  mutable std::array<std::mutex, kLocks> locks_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_HNSW_GRAPH_H_
