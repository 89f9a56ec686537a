#include "engine/vector/cell_centroids.h"

#include <algorithm>

namespace cookix::engine {
namespace {

// Up to so many slots all are compared.
constexpr size_t kScanned = 512;
// A centroid has few neighbours that matter, and is soon replaced by a better one.
constexpr HnswOptions kGraph = {.m = 12, .m0 = 24, .ef_construction = 80};

Metric AssignmentMetric(Metric metric) {
  return metric == Metric::kCosine ? Metric::kCosine : Metric::kL2;
}

}  // namespace

std::unique_ptr<CellCentroids> CellCentroids::Make(Metric metric, size_t dimension,
                                                   const std::vector<float>& centre,
                                                   size_t capacity) {
  std::unique_ptr<CellCentroids> made(new CellCentroids(metric, dimension, centre, capacity));
  // Room is made once: readers go through the graph without looking whether it grows.
  if (!made->storage_.Grow(capacity) || !made->graph_.Grow(capacity) ||
      !made->dead_.Grow(capacity)) {
    return nullptr;
  }
  return made;
}

CellCentroids::CellCentroids(Metric metric, size_t dimension, const std::vector<float>& centre,
                             size_t capacity)
    : capacity_(capacity),
      storage_(VectorCodec::Make(AssignmentMetric(metric), Quantization::kInt8, dimension, centre)),
      inner_product_(VectorCodec::Make(Metric::kDot, Quantization::kInt8, dimension, {})),
      graph_(storage_, kGraph),
      cells_(new CellId[capacity]),
      born_(new std::atomic<uint64_t>[capacity]),
      died_(new std::atomic<uint64_t>[capacity]) {}

Slot CellCentroids::Add(CellId cell, const float* centroid, uint64_t step) {
  const auto slot = static_cast<Slot>(count_.load(std::memory_order_relaxed));
  storage_.Write(slot, centroid);
  cells_[slot] = cell;
  born_[slot].store(step, std::memory_order_relaxed);
  died_[slot].store(UINT64_MAX, std::memory_order_release);
  graph_.Insert(slot, &dead_);
  count_.store(slot + 1, std::memory_order_release);
  return slot;
}

void CellCentroids::Remove(Slot slot, uint64_t step) {
  died_[slot].store(step, std::memory_order_release);
  dead_.Set(slot);
}

void CellCentroids::Nearest(const float* vector, size_t count, uint64_t step,
                            std::vector<NearCell>* nearest) const {
  nearest->clear();
  thread_local PreparedQuery query;
  const size_t slots = this->count();
  if (slots <= kScanned || 4 * count >= slots) {
    All(vector, false, step, nearest);
  } else {
    thread_local std::vector<Candidate> found;
    HnswSearchStats stats;
    storage_.codec().PrepareQuery(vector, &query);
    // Up to half of the slots are dead.
    graph_.Search(query, 2 * count + 24, &found, &stats);
    for (const Candidate& candidate : found) {
      if (nearest->size() >= count + 8) break;
      if (!Visible(candidate.slot, step)) continue;
      nearest->push_back(
          {storage_.Refine(query, candidate.slot), cells_[candidate.slot], candidate.slot});
    }
    // Nearly all around are dead: that is rare.
    if (nearest->size() < count) All(vector, false, step, nearest);
  }
  const size_t kept = std::min(count, nearest->size());
  std::partial_sort(nearest->begin(), nearest->begin() + static_cast<ptrdiff_t>(kept),
                    nearest->end());
  nearest->resize(kept);
}

void CellCentroids::All(const float* vector, bool by_inner_product, uint64_t step,
                        std::vector<NearCell>* all) const {
  constexpr size_t kBlock = 64;
  thread_local PreparedQuery query;
  const VectorCodec& codec = by_inner_product ? *inner_product_ : storage_.codec();
  codec.PrepareQuery(vector, &query);
  all->clear();
  const size_t slots = count();
  Slot block[kBlock];
  const uint8_t* codes[kBlock];
  CodeParams params[kBlock];
  const CodeParams* params_at[kBlock];
  for (size_t i = 0; i < kBlock; ++i) params_at[i] = &params[i];
  float distances[kBlock];
  for (Slot slot = 0; slot < slots;) {
    size_t n = 0;
    for (; slot < slots && n < kBlock; ++slot) {
      if (!Visible(slot, step)) continue;
      block[n] = slot;
      codes[n] = storage_.Code(slot);
      params[n] = storage_.Params(slot);
      if (by_inner_product) params[n].norm = 0;
      ++n;
    }
    codec.Distances(query, codes, params_at, n, distances);
    for (size_t i = 0; i < n; ++i) all->push_back({distances[i], cells_[block[i]], block[i]});
  }
}

void CellCentroids::Decode(Slot slot, float* centroid) const {
  storage_.codec().Decode(storage_.Code(slot), storage_.Residue(slot), storage_.Params(slot),
                          centroid);
}

int64_t CellCentroids::Bytes() const {
  return storage_.Bytes(count()) + graph_.Bytes(count()) +
         static_cast<int64_t>(capacity_ * (sizeof(CellId) + 2 * sizeof(uint64_t)));
}

int64_t CellCentroids::SlotBytes(size_t dimension) {
  const size_t padded = (dimension + kCodeAlignment - 1) / kCodeAlignment * kCodeAlignment;
  return static_cast<int64_t>(padded + dimension + sizeof(CodeParams) +
                              static_cast<size_t>(kGraph.m0) * sizeof(Link) + sizeof(CellId) +
                              2 * sizeof(uint64_t));
}

}  // namespace cookix::engine
