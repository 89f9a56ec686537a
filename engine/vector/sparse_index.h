// An inverted index in memory over sparse vectors: the exact best slots by dot
// product.
//
// Useful for: vectors of a few up to some hundred weights out of up to 2^32 indices
// (learned sparse encoders, weighted terms), queries of up to 65,536 weights, filters
// of any selectivity. Weights may be negative.
// Not useful for: dense vectors (a posting takes more room than a component and is
// added up one by one), other metrics than the dot product, approximate answers.
//
// How it works. Each index has a list of postings (slot, weight) in ascending order of
// slots, in blocks of up to 128 that know their smallest and largest weight. A search
// goes through the slots in windows of 4,096: the bounds of the blocks say how much
// each list can add to a slot of the window. Lists that together cannot lift a slot
// above the worst of the best found so far are left out (all of them: the window is
// passed over), the others are added up in an array of doubles, and only the slots
// that can still win look their weight up in the lists left out. The bound of a list
// is never below zero, since a slot need not be in it. Windows in which no slot is
// accepted are not touched; where few are, each is looked up instead.
//
// Scores. The score is the dot product as real numbers have it, rounded once to float
// (beyond the range of float: the largest float of that sign). It therefore depends
// on the two vectors only: not on the order of additions, the other vectors or what
// was removed before. Products of two floats are exact in double, so a sum in double
// has an error with a known bound; where that could change the rounded value, the sum
// is taken again without error.
//
// Cost: a search is O(postings of the query's lists) at worst, plus O(lists of the
// query) for each window. Add() is O(weights), amortised. Remove() is O(1) plus a
// share of the sweep: about eight times the postings of an average vector.
//
// Memory: 6 bytes a posting, 24 bytes for each block of up to 128, about 90 bytes for
// an index with one posting, and a bit for each slot. Lists begin with a block of 4
// that doubles, so that short lists stay small. The postings of removed slots are
// reclaimed by a sweep that walks with the removals, goes through all lists within a
// time in which an eighth of the slots is removed, and rewrites those of which more
// than a quarter is dead.
//
// Saving. A snapshot holds the lists that there are at one moment; what a change unlinks
// later stays until the snapshot goes. It can be written, or copied into another index,
// beside all else. Either numbers the slots anew from 0, so that those that went leave no
// gaps.
//
// Threads: changes, TakeSnapshot(), Load() and Fill() come from one thread at a time;
// Search(), Score(), the counters and a snapshot may be used beside them from any thread
// and do not wait for them.
// A search sees each vector whole or not at all: every vector added before it began,
// none of those removed before. What a change unlinks is freed when the last search
// that may see it ends. The index must outlive its calls.
//
// Errors: what REQUIRES says is the caller's to check; Load() checks all it reads.
//
// Source: MaxScore, Turtle and Flood, "Query evaluation: strategies and optimizations",
// Information Processing & Management 31(6), 1995; bounds by block, Ding and Suel,
// "Faster top-k document retrieval using block-max indexes", SIGIR 2011; sums without
// error, Shewchuk, "Adaptive precision floating-point arithmetic", 1997.
#ifndef COOKIX_ENGINE_VECTOR_SPARSE_INDEX_H_
#define COOKIX_ENGINE_VECTOR_SPARSE_INDEX_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/call_context.h"
#include "engine/vector/slot.h"
#include "engine/vector/slot_bits.h"

namespace cookix::engine {

// What a search did.
struct SparseSearchStats {
  // Of the query's indices, those with a list.
  int64_t lists = 0;
  // Windows with an accepted slot and a posting, and how many of them were passed over
  // by their bound.
  int64_t windows = 0;
  int64_t windows_skipped = 0;
  // Postings added up.
  int64_t postings = 0;
  // Searches of one list for one slot.
  int64_t lookups = 0;
};

class SparseIndex {
 public:
  SparseIndex();
  ~SparseIndex();
  SparseIndex(const SparseIndex&) = delete;
  SparseIndex& operator=(const SparseIndex&) = delete;

  // Adds the vector of a new slot; it may be empty.
  // REQUIRES: slot is above every slot added before, and not kNoSlot; indices strictly
  // ascending, as many as values; values finite.
  void Add(Slot slot, std::span<const uint32_t> indices, std::span<const float> values);

  // Hides the slot at once and reclaims its memory later. A slot that is not here is
  // left alone.
  void Remove(Slot slot);

  // The best `limit` slots that share at least one index with the query (whatever the
  // weights), higher scores first, equal ones by lower slot. `accept` holds
  // `accept_words` words of a bit for each slot, and slots beyond are not accepted;
  // nullptr accepts all. `stats`, unless null, is overwritten. Stops early when `context`,
  // unless null, says so (CallContext::Check); what it returns is then of no use.
  // REQUIRES: indices strictly ascending, as many as values; values finite.
  std::vector<SlotHit> Search(std::span<const uint32_t> indices, std::span<const float> values,
                              size_t limit, const uint64_t* accept, size_t accept_words,
                              SparseSearchStats* stats, const CallContext* context = nullptr) const;

  // The score that Search() gives the slot; nothing when it is not here or shares no
  // index with the query. O(indices * log(slots)). REQUIRES: as Search().
  std::optional<float> Score(Slot slot, std::span<const uint32_t> indices,
                             std::span<const float> values) const;

  bool Contains(Slot slot) const;
  // One above the highest slot ever added.
  Slot end() const { return end_.load(std::memory_order_acquire); }
  // Slots that are here.
  int64_t size() const { return size_.load(std::memory_order_relaxed); }
  // Postings held, those of removed slots included until they are reclaimed.
  int64_t postings() const { return postings_.load(std::memory_order_relaxed); }
  // Indices with a list.
  int64_t lists() const { return lists_.load(std::memory_order_relaxed); }
  // All that is allocated, what waits to be freed included, without the allocator's
  // own overhead.
  int64_t MemoryBytes() const { return bytes_->load(std::memory_order_relaxed); }

  // The vectors of some slots as they are now. Must not outlive the index.
  class Snapshot;
  // REQUIRES: all of `slots` are here.
  std::shared_ptr<const Snapshot> TakeSnapshot(SlotBits slots) const;

  // Takes the parts that Snapshot::Save() gave, in their order; `next` returns an empty part
  // at the end. DataLoss when they are not what it gives for `slots` slots; the index is then
  // empty. REQUIRES: nothing was ever added.
  absl::Status Load(Slot slots, absl::FunctionRef<absl::StatusOr<std::string_view>()> next);
  // Takes what the snapshot of another index holds. REQUIRES: nothing was ever added.
  void Fill(const Snapshot& snapshot);

 private:
  struct Entry;
  struct List;
  struct Table;
  struct SlotPages;
  struct Generation;
  class Searcher;

  // Of any thread.
  std::shared_ptr<const Generation> Pin() const;
  static const List* FindList(const Table* table, uint32_t index);
  static bool FindWeight(const Entry* begin, const Entry* end, uint64_t slot, float* weight);

  // Of the changing thread.
  void* Allocate(size_t bytes);
  void Unlink(void* memory, size_t bytes);
  void Retire();
  void Append(uint32_t index, Slot slot, float value);
  std::atomic<List*>* FindOrMakePlace(uint32_t index);
  void RebuildTable();
  void AddBlock(std::atomic<List*>* place, uint32_t index, Slot slot, float value);
  std::atomic<uint64_t>* PageOf(size_t at);
  void Publish(Slot end) { end_.store(end, std::memory_order_release); }
  void Sweep();
  void SweepList(std::atomic<List*>* place);
  void UnlinkList(List* list);
  absl::Status LoadParts(Slot slots, absl::FunctionRef<absl::StatusOr<std::string_view>()> next);
  // One piece of a list, which follows those before.
  absl::Status LoadPiece(Slot slots, std::string_view* in, int64_t* last_index, Slot* last_slot);
  // Loaded or copied: slots below `end` are here.
  void FinishFilling(Slot end);
  void Clear();

  // Searches take only postings below this, so that a vector appears at once.
  std::atomic<Slot> end_{0};
  std::atomic<Table*> table_{nullptr};
  // A bit for each slot that is here.
  std::atomic<SlotPages*> pages_{nullptr};
  std::atomic<int64_t> size_{0};
  std::atomic<int64_t> postings_{0};
  std::atomic<int64_t> lists_{0};
  // Shared with what waits to be freed.
  const std::shared_ptr<std::atomic<int64_t>> bytes_;

  // Of the changing thread. Unlinked, and not yet handed to a generation.
  struct Memory {
    void* memory;
    size_t bytes;
  };
  std::vector<Memory> unlinked_;
  size_t unlinked_bytes_ = 0;
  // The next place of the table to sweep, and how much sweeping the removals have paid.
  size_t sweep_at_ = 0;
  double sweep_credit_ = 0;

  mutable std::mutex mutex_;
  std::shared_ptr<Generation> generation_;  // guarded by mutex_
};

// Slots are numbered anew: those of the snapshot from 0 on, in their order.
class SparseIndex::Snapshot {
 public:
  Snapshot(std::shared_ptr<const Generation> pin, std::vector<const List*> lists, SlotBits slots);

  const SlotBits& slots() const { return slots_; }
  // Of them.
  Slot count() const { return count_; }
  // The new number of a slot of the snapshot.
  Slot NumberOf(Slot slot) const;

  // Hands the vectors out in parts, of about a megabyte at most. The owner keeps the
  // borders of the parts and guards them by checksums. Equal contents give equal parts.
  // Returns the first error of `sink`.
  absl::Status Save(absl::FunctionRef<absl::Status(std::string_view part)> sink) const;

 private:
  friend class SparseIndex;
  class PartWriter;

  // Calls `each` with new number and weight of what the list has of the snapshot.
  void ForEachPosting(const List& list, absl::FunctionRef<void(Slot, float)> each) const;

  // What the lists need is not freed while it is held.
  const std::shared_ptr<const Generation> pin_;
  const std::vector<const List*> lists_;
  const SlotBits slots_;
  // Slots of the snapshot before each word of slots_.
  std::vector<Slot> before_;
  Slot count_ = 0;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SPARSE_INDEX_H_
