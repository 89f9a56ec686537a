// What SparseIndex is made of, for its own files: sparse_index.cc changes it,
// sparse_search.cc searches it, sparse_snapshot.cc saves and copies it.
#ifndef COOKIX_ENGINE_VECTOR_SPARSE_LISTS_H_
#define COOKIX_ENGINE_VECTOR_SPARSE_LISTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "engine/vector/sparse_index.h"

namespace cookix::engine {

// A block and what is known of it. Only the last entry of a list changes, and then only
// what is atomic.
struct SparseIndex::Entry {
  // Slots of a block are kept as distances of two bytes from its first.
  static constexpr uint32_t kBlockSlots = 1 << 16;
  // Blocks are `capacity` weights and then as many distances.
  static constexpr size_t BlockBytes(uint32_t capacity) {
    return capacity * (sizeof(float) + sizeof(uint16_t));
  }

  float* weights;
  Slot first;
  std::atomic<float> max;
  std::atomic<float> min;
  std::atomic<uint16_t> count;
  uint16_t capacity;

  uint16_t* distances() const { return reinterpret_cast<uint16_t*>(weights + capacity); }
};

// The header of a list; `capacity` entries follow.
struct SparseIndex::List {
  uint32_t index;
  uint32_t capacity;
  // Published after the entry that it counts; never zero where readers see it.
  std::atomic<uint32_t> size;
  std::atomic<float> max;
  std::atomic<float> min;
  // Of the changing thread.
  uint32_t postings;

  Entry* entries() { return reinterpret_cast<Entry*>(this + 1); }
  const Entry* entries() const { return reinterpret_cast<const Entry*>(this + 1); }
  static size_t Bytes(uint32_t capacity) { return sizeof(List) + capacity * sizeof(Entry); }
  size_t bytes() const { return Bytes(capacity); }
  uint32_t count() const { return size.load(std::memory_order_relaxed); }
};

static_assert(sizeof(std::atomic<float>) == 4 && std::atomic<float>::is_always_lock_free);

// Open addressing, linear; a power of two of places. A list that is gone leaves its mark,
// so that searches go on past it.
struct SparseIndex::Table {
  size_t mask;
  // Of the changing thread: places that are not empty.
  size_t used;

  std::atomic<List*>* places() { return reinterpret_cast<std::atomic<List*>*>(this + 1); }
  const std::atomic<List*>* places() const {
    return reinterpret_cast<const std::atomic<List*>*>(this + 1);
  }
  static size_t Bytes(size_t places) { return sizeof(Table) + places * sizeof(void*); }
  size_t bytes() const { return Bytes(mask + 1); }
  static List* Gone() { return reinterpret_cast<List*>(uintptr_t{1}); }
  static bool IsList(const List* list) { return list != nullptr && list != Gone(); }
};

// Pages of words of bits; a page without bits may be missing.
struct SparseIndex::SlotPages {
  static constexpr size_t kPageSlots = size_t{1} << 16;
  static constexpr size_t kPageWords = kPageSlots / 64;

  size_t size;
  using Page = std::atomic<uint64_t>;

  std::atomic<Page*>* pages() { return reinterpret_cast<std::atomic<Page*>*>(this + 1); }
  const std::atomic<Page*>* pages() const {
    return reinterpret_cast<const std::atomic<Page*>*>(this + 1);
  }
  // The words of the page of a slot, or null.
  const Page* Find(uint64_t slot) const {
    const size_t at = slot / kPageSlots;
    return at < size ? pages()[at].load(std::memory_order_acquire) : nullptr;
  }
  bool Contains(Slot slot) const {
    const Page* page = Find(slot);
    if (page == nullptr) return false;
    const uint64_t word = page[slot % kPageSlots / 64].load(std::memory_order_relaxed);
    return (word >> (slot % 64) & 1) != 0;
  }
  static size_t Bytes(size_t size) { return sizeof(SlotPages) + size * sizeof(void*); }
  static constexpr size_t kPageBytes = kPageWords * sizeof(Page);
};

// What was unlinked while this was the newest generation. Whoever holds a generation
// may look at all that was unlinked from then on, so each holds the one after it.
struct SparseIndex::Generation {
  explicit Generation(std::shared_ptr<std::atomic<int64_t>> all) : bytes(std::move(all)) {}

  ~Generation() {
    for (const Memory& one : unlinked) {
      bytes->fetch_sub(static_cast<int64_t>(one.bytes), std::memory_order_relaxed);
      ::operator delete(one.memory);
    }
    // The chain may be long, and freeing one may free the next: not by recursion.
    static thread_local std::vector<std::shared_ptr<Generation>>* waiting = nullptr;
    if (next == nullptr) return;
    if (waiting != nullptr) {
      waiting->push_back(std::move(next));
      return;
    }
    std::vector<std::shared_ptr<Generation>> queue;
    queue.push_back(std::move(next));
    waiting = &queue;
    while (!queue.empty()) {
      const std::shared_ptr<Generation> one = std::move(queue.back());
      queue.pop_back();
    }
    waiting = nullptr;
  }

  const std::shared_ptr<std::atomic<int64_t>> bytes;
  std::vector<Memory> unlinked;
  std::shared_ptr<Generation> next;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SPARSE_LISTS_H_
