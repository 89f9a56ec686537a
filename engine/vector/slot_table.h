// Which slots of an index hold which objects, and since when.
//
// A reader looks at the index while it goes on: commits after the reader's may have come.
// Recent births and deaths are kept with their commits, so that what a search found can
// be set right for the reader's commit (ChangesAfter).
#ifndef COOKIX_ENGINE_VECTOR_SLOT_TABLE_H_
#define COOKIX_ENGINE_VECTOR_SLOT_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "engine/records.h"
#include "engine/vector/slot.h"
#include "engine/vector/slot_array.h"
#include "engine/vector/slot_bits.h"

namespace cookix::engine {

// Threads: one writer; readers at any time.
class SlotTable {
 public:
  struct Change {
    uint64_t commit = 0;
    Slot slot = kNoSlot;
    bool born = false;  // else it died
  };

  SlotTable();

  // Makes room for `count` more slots and takes them: freed ones first, if they may be used.
  // Empty without memory.
  std::vector<Slot> Take(size_t count);
  // A table that is filled with what there was at `commit`, by Restore(): readers of earlier
  // commits are told that changes are forgotten.
  void BeginAt(uint64_t commit);
  // Before dead slots are freed: readers of earlier commits are told that changes are
  // forgotten.
  void ForgetChanges();
  // Gives back slots that nobody can see any more; dead ones, or ones that never lived.
  void Free(const SlotBits& slots, bool dead = true);

  // For loading what was saved, instead of Add(). `slot` was taken. False when the ordinal
  // cannot be.
  [[nodiscard]] bool Restore(Slot slot, Ordinal ordinal, bool alive);
  void RestoreNext(Slot slot, Slot next);
  // Makes `slot` the first of its object, where RestoreNext() was used.
  void RestoreFirst(Slot slot);

  // Writer: `slots`, which are written, are the vectors of `ordinal` from `commit` on.
  // REQUIRES: it has none.
  [[nodiscard]] bool Add(Ordinal ordinal, const std::vector<Slot>& slots, uint64_t commit);
  // Writer: the vectors of `ordinal` are gone from `commit` on. Returns how many there were.
  size_t Remove(Ordinal ordinal, uint64_t commit);

  // The first slot of an object as it is now; kNoSlot when it has none.
  Slot First(Ordinal ordinal) const;
  // The next slot of the same object; kNoSlot after the last.
  Slot Next(Slot slot) const;
  Ordinal OrdinalOf(Slot slot) const {
    return reinterpret_cast<const std::atomic<uint64_t>*>(ordinals_.At(slot))
        ->load(std::memory_order_acquire);
  }
  void PrefetchOrdinal(Slot slot) const { __builtin_prefetch(ordinals_.At(slot)); }
  bool Alive(Slot slot) const { return alive_.Test(slot); }
  const AtomicSlotBits& alive() const { return alive_; }
  // Slots that died and were not freed.
  const AtomicSlotBits& dead() const { return dead_; }
  // Changes whenever slots are taken.
  uint64_t stamp() const { return stamp_.load(std::memory_order_acquire); }
  // Slots ever used; the bound of loops over slots.
  size_t end() const { return end_.load(std::memory_order_acquire); }
  size_t alive_count() const { return alive_count_.load(std::memory_order_relaxed); }
  size_t dead_count() const { return dead_count_.load(std::memory_order_relaxed); }

  // Births and deaths after `commit`, oldest first. False when some are forgotten.
  bool ChangesAfter(uint64_t commit, std::vector<Change>* changes) const;

  int64_t Bytes() const;

 private:
  static constexpr size_t kKeptChanges = 1 << 16;
  // Ordinals of one page of first slots.
  static constexpr int kPageBits = 14;

  std::atomic<uint32_t>* FirstCell(Ordinal ordinal) const;
  void Note(Change change);

  SlotArray ordinals_;
  // The next slot of the same object, plus one.
  SlotArray next_;
  AtomicSlotBits alive_;
  AtomicSlotBits dead_;
  // First slots by ordinal, plus one. Ordinals are dense in their namespace; a page that
  // no object of this index is in is never touched.
  SlotArray firsts_;
  std::atomic<size_t> end_{0};
  std::atomic<size_t> alive_count_{0};
  std::atomic<size_t> dead_count_{0};
  std::atomic<uint64_t> stamp_{0};
  // Free slots, descending, so that the lowest are taken first. Guarded by mutex_.
  std::vector<Slot> free_;
  mutable std::mutex mutex_;
  std::deque<Change> changes_;  // guarded by mutex_
  uint64_t forgotten_ = 0;      // guarded by mutex_: changes up to here may be missing
  // The newest commit in changes_; lets readers see without the mutex that there is none.
  std::atomic<uint64_t> newest_{0};
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SLOT_TABLE_H_
