// The index of one sparse vector field: an inverted index and the objects of its slots.
//
// Exact always. A vector that is gone stays in the inverted index for a while, so that
// readers of commits from before still find it.
#ifndef COOKIX_ENGINE_VECTOR_SPARSE_FIELD_H_
#define COOKIX_ENGINE_VECTOR_SPARSE_FIELD_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/common.pb.h"
#include "engine/call_context.h"
#include "engine/vector/slot_table.h"
#include "engine/vector/sparse_index.h"
#include "engine/vector/vector_search.h"

namespace cookix::engine {

// Threads: one writer; searches at any time.
class SparseField {
 public:
  using Put = VectorPut;

  absl::Status Apply(std::span<const Put> puts, uint64_t commit);

  // Answers as of `commit`. False when it cannot: too much has changed since.
  absl::StatusOr<bool> Search(const CallContext& context, const VectorSearch& search,
                              uint64_t commit, VectorSearchResult* result) const;

  int64_t vectors() const { return static_cast<int64_t>(table_.alive_count()); }
  int64_t MemoryBytes() const { return index_.MemoryBytes() + table_.Bytes(); }

 private:
  SlotTable table_;
  SparseIndex index_;
  // Slots that died and are still in the index. The writer's.
  std::deque<Slot> dying_;
  std::atomic<size_t> dying_count_{0};
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SPARSE_FIELD_H_
