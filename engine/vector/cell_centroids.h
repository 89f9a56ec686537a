// The centroids of the cells of a CellIndex, in memory: which cells are near.
//
// A centroid lies in a slot that is written once. A cell whose centroid moves gets a new
// slot, and the old one dies. Slots know the step in which they were born and the one in
// which they died, so that a reader of an earlier state still sees its own cells.
//
// Threads: Add() and Remove() by one thread; everything else from any thread, for the
// steps that it knows of.
#ifndef COOKIX_ENGINE_VECTOR_CELL_CENTROIDS_H_
#define COOKIX_ENGINE_VECTOR_CELL_CENTROIDS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/vector/hnsw_graph.h"
#include "engine/vector/slot.h"
#include "engine/vector/slot_bits.h"
#include "engine/vector/vector_codec.h"
#include "engine/vector/vector_storage.h"

namespace cookix::engine {

using CellId = uint32_t;

struct NearCell {
  float distance = 0;
  CellId cell = 0;
  Slot slot = kNoSlot;
  bool operator<(const NearCell& other) const {
    return distance < other.distance || (distance == other.distance && cell < other.cell);
  }
};

class CellCentroids {
 public:
  // For at most `capacity` slots. Cells are chosen by cosine for kCosine, by Euclidean
  // distance otherwise. `centre` as for VectorCodec, none for kDot. Null when there is no memory.
  static std::unique_ptr<CellCentroids> Make(Metric metric, size_t dimension,
                                             const std::vector<float>& centre, size_t capacity);

  size_t capacity() const { return capacity_; }
  // Slots in use, the dead ones included.
  size_t count() const { return count_.load(std::memory_order_acquire); }

  // REQUIRES: count() < capacity().
  Slot Add(CellId cell, const float* centroid, uint64_t step);
  void Remove(Slot slot, uint64_t step);

  // The cells of `step` that are nearest to `vector` as far as the graph finds them, at
  // most `count`, ascending.
  void Nearest(const float* vector, size_t count, uint64_t step,
               std::vector<NearCell>* nearest) const;
  // All cells of `step`, in no order, with their distances from `vector`; with
  // `by_inner_product`, minus their inner products.
  void All(const float* vector, bool by_inner_product, uint64_t step,
           std::vector<NearCell>* all) const;

  CellId cell(Slot slot) const { return cells_[slot]; }
  // The centroid as it is kept.
  void Decode(Slot slot, float* centroid) const;

  int64_t Bytes() const;
  // What a slot costs.
  static int64_t SlotBytes(size_t dimension);

 private:
  CellCentroids(Metric metric, size_t dimension, const std::vector<float>& centre, size_t capacity);
  bool Visible(Slot slot, uint64_t step) const {
    return born_[slot].load(std::memory_order_acquire) <= step &&
           died_[slot].load(std::memory_order_acquire) > step;
  }

  const size_t capacity_;
  VectorStorage storage_;
  // The same codes under the inner product.
  const std::unique_ptr<const VectorCodec> inner_product_;
  HnswGraph graph_;
  AtomicSlotBits dead_;
  std::atomic<size_t> count_{0};
  std::unique_ptr<CellId[]> cells_;
  std::unique_ptr<std::atomic<uint64_t>[]> born_;
  std::unique_ptr<std::atomic<uint64_t>[]> died_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_CELL_CENTROIDS_H_
