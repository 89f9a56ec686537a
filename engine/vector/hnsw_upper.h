// The levels above level 0 of an HnswGraph: where its searches begin.
#ifndef COOKIX_ENGINE_VECTOR_HNSW_UPPER_H_
#define COOKIX_ENGINE_VECTOR_HNSW_UPPER_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/vector/hnsw_layer.h"
#include "engine/vector/slot.h"
#include "engine/vector/slot_array.h"
#include "engine/vector/vector_storage.h"

namespace cookix::engine {

// A slot's level is a hash of its number: about one in 64 is above level 0, one in 4,096
// above level 1. Nodes here have numbers of their own; they are only added.
//
// Threads: as HnswGraph.
class HnswUpper {
 public:
  HnswUpper(const VectorStorage& storage, size_t m);

  // Makes room for the upper nodes of slots below `slots`.
  [[nodiscard]] bool Grow(size_t slots);

  static int LevelOf(Slot slot);
  // Adds a slot whose level is above 0.
  void Insert(Slot slot, HnswScratch& scratch);

  // Leaves at most `seeds` slots near the query in `found`; none when there are no nodes.
  void FindSeeds(const PreparedQuery& query, size_t seeds, HnswScratch& scratch,
                 std::vector<Candidate>* found, HnswSearchStats* stats) const;

  int64_t Bytes() const;

 private:
  static constexpr int kLevels = 5;  // 1 to 5
  struct Header {
    Slot slot;
    uint32_t level;
  };
  struct Layer {
    const HnswUpper* upper;
    int level;
    const Link* Links(uint32_t node) const { return upper->Links(node, level); }
    size_t MaxLinks() const { return PaddedLinks(upper->m_); }
    Slot SlotOf(uint32_t node) const { return upper->HeaderOf(node)->slot; }
  };

  Header* HeaderOf(uint32_t node) const { return reinterpret_cast<Header*>(nodes_.At(node)); }
  Link* Links(uint32_t node, int level) const {
    return reinterpret_cast<Link*>(nodes_.At(node) + sizeof(Header)) +
           static_cast<size_t>(level - 1) * PaddedLinks(m_);
  }
  // The best `ef` nodes of `level`, in scratch.pool.
  void Find(int level, const PreparedQuery& query, size_t ef, HnswScratch& scratch,
            HnswSearchStats* stats) const;
  void Scan(int level, const PreparedQuery& query, size_t ef, HnswScratch& scratch,
            HnswSearchStats* stats) const;

  const VectorStorage& storage_;
  const size_t m_;
  SlotArray nodes_;
  std::atomic<uint32_t> count_{0};
  // The numbers of the nodes on each level or above it.
  std::array<std::unique_ptr<SlotArray>, kLevels + 1> members_;
  std::array<std::atomic<uint32_t>, kLevels + 1> member_counts_{};
  std::mutex mutex_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_HNSW_UPPER_H_
