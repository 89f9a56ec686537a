// The index of one sparse vector field: an inverted index and the objects of its slots.
//
// Exact always. A vector that is gone stays in the inverted index for a while, so that
// readers of commits from before still find it.
//
// Slots are given once: an object whose vector changes gets another one. When more slots are
// dead than alive, Maintain() makes another table and index of what lives, numbered anew,
// beside searches and writes; what is written meanwhile is noted and written there too.
// Then it takes the place of the old one, and readers of commits from before it began are
// told that it cannot answer them.
#ifndef COOKIX_ENGINE_VECTOR_SPARSE_FIELD_H_
#define COOKIX_ENGINE_VECTOR_SPARSE_FIELD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/common.pb.h"
#include "engine/call_context.h"
#include "engine/vector/vector_search.h"
#include "storage/checked_file.h"

namespace cookix::engine {

// Threads: one writer; Maintain() and searches at any time.
class SparseField {
 public:
  using Put = VectorPut;

  SparseField();
  ~SparseField();
  SparseField(const SparseField&) = delete;
  SparseField& operator=(const SparseField&) = delete;

  // RESOURCE_EXHAUSTED when the system has no memory.
  absl::Status Apply(std::span<const Put> puts, uint64_t commit);

  // Answers as of `commit`. False when it cannot: too much has changed since.
  absl::StatusOr<bool> Search(const CallContext& context, const VectorSearch& search,
                              uint64_t commit, VectorSearchResult* result) const;

  // More slots are dead than alive, and many.
  bool NeedsMaintenance() const;
  // Numbers what lives anew if that is needed. False when it is not, or another thread does
  // it.
  bool Maintain();

  struct Stats {
    int64_t vectors = 0;
    // Slots whose vectors went.
    int64_t dead = 0;
    int64_t memory_bytes = 0;
  };
  Stats stats() const;
  int64_t MemoryBytes() const { return stats().memory_bytes; }

  // The vectors that there are now, for a save. By the writer; outlives changes.
  class Snapshot;
  std::shared_ptr<const Snapshot> TakeSnapshot() const;
  // Any thread.
  static absl::Status Save(const Snapshot& snapshot, storage::CheckedFileWriter& writer);
  // Into an index that was just made. kDataLoss when what is read makes no sense.
  absl::Status Load(storage::CheckedFileReader& reader);

 private:
  struct Part;
  // A commit as it was applied.
  struct Noted {
    uint64_t commit = 0;
    std::vector<std::pair<Ordinal, std::optional<v1::Vector>>> puts;
  };

  std::shared_ptr<Part> Current() const;
  static std::shared_ptr<Part> Renumbered(const Snapshot& snapshot, uint64_t commit);
  // Brings `part` up to what was written meanwhile and puts it in the place of the current
  // one. False without memory.
  bool CatchUp(std::shared_ptr<Part> part);

  mutable std::mutex part_mutex_;
  std::shared_ptr<Part> part_;  // guarded by part_mutex_; changed under write_mutex_ too

  // Held by who writes vectors.
  mutable std::mutex write_mutex_;
  uint64_t commit_ = 0;       // guarded by write_mutex_: the last one applied
  bool noting_ = false;       // guarded by write_mutex_
  std::vector<Noted> noted_;  // guarded by write_mutex_
  size_t noted_puts_ = 0;     // guarded by write_mutex_
  std::mutex maintain_mutex_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SPARSE_FIELD_H_
