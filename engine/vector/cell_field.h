// The index of one vector field of the kind CELLS: a CellIndex, and what it takes to answer
// readers of commits that it has gone past.
#ifndef COOKIX_ENGINE_VECTOR_CELL_FIELD_H_
#define COOKIX_ENGINE_VECTOR_CELL_FIELD_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/common.pb.h"
#include "engine/call_context.h"
#include "engine/vector/cell_index.h"
#include "engine/vector/vector_search.h"
#include "storage/local_store.h"

namespace cookix::engine {

// Threads: one writer; Maintain() and searches at any time.
class CellField {
 public:
  using Put = VectorPut;
  // Reads the vector of an object as stored at the reader's commit; false when it has none.
  using ReadStored = std::function<absl::StatusOr<bool>(Ordinal, v1::Vector*)>;

  // Opens the index of that number in `store`, which is borrowed. `memory_bytes` bounds its
  // centroids. Errors as CellIndex::Open().
  static absl::StatusOr<std::unique_ptr<CellField>> Open(storage::LocalStore& store,
                                                         uint32_t number, v1::VectorField field,
                                                         int64_t memory_bytes);
  // Removes the index from the store if Discard() was called.
  ~CellField();

  // `position` is that of `commit` in the log.
  absl::Status Apply(std::span<const Put> puts, uint64_t commit, std::string_view position);
  // Takes the settings that `field` has now; false when they are as before.
  bool Reshape(const v1::VectorField& field);
  // Brings some cells into shape; false when there is nothing to do.
  absl::StatusOr<bool> Maintain();

  uint64_t commit() const { return cells_->commit(); }
  std::string position() const { return cells_->position(); }

  // Answers as of `commit`. False when it cannot: asked to be exact, which codes are not,
  // or too much has changed since.
  absl::StatusOr<bool> Search(const CallContext& context, const VectorSearch& search,
                              uint64_t commit, const ReadStored& stored,
                              VectorSearchResult* result) const;

  CellIndexStats Stats() const { return cells_->Stats(); }
  // The index is not wanted any more.
  void Discard() { discarded_ = true; }

 private:
  CellField(storage::LocalStore& store, uint32_t number, v1::VectorField field,
            std::unique_ptr<CellIndex> cells);

  storage::LocalStore& store_;
  const uint32_t number_;
  const v1::VectorField field_;
  std::unique_ptr<CellIndex> cells_;
  bool discarded_ = false;
  // Held by whoever changes cells_.
  std::mutex change_mutex_;
  mutable std::mutex mutex_;
  // Which objects changed lately.
  std::deque<std::pair<uint64_t, Ordinal>> changes_;  // guarded by mutex_
  uint64_t forgotten_ = 0;                            // guarded by mutex_
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_CELL_FIELD_H_
