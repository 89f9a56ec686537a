// Records of one size by slot, at addresses that never change.
#ifndef COOKIX_ENGINE_VECTOR_SLOT_ARRAY_H_
#define COOKIX_ENGINE_VECTOR_SLOT_ARRAY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "engine/vector/slot.h"

namespace cookix::engine {

// Grows by chunks of 2^14 records, each its own mapping; with `huge_pages`, chunks ask for
// large pages, which saves address translation where records are read at random. Memory
// that was never written costs nothing. New records are zero.
//
// Threads: Grow() by one thread at a time; At() from any thread for slots below size()
// as that thread knows it. What the records hold is the callers' affair.
class SlotArray {
 public:
  static constexpr int kChunkBits = 14;
  static constexpr size_t kChunkSlots = size_t{1} << kChunkBits;

  SlotArray(size_t record_bytes, bool huge_pages);
  ~SlotArray();
  SlotArray(const SlotArray&) = delete;
  SlotArray& operator=(const SlotArray&) = delete;

  // Makes room for slots below `slots`. False when the system has no memory left.
  [[nodiscard]] bool Grow(size_t slots);
  size_t capacity() const { return capacity_.load(std::memory_order_acquire); }
  size_t record_bytes() const { return record_bytes_; }

  uint8_t* At(Slot slot) const {
    return chunks_[slot >> kChunkBits].load(std::memory_order_relaxed) +
           (slot & (kChunkSlots - 1)) * record_bytes_;
  }

 private:
  static constexpr size_t kMaxChunks = size_t{1} << (31 - kChunkBits);

  const size_t record_bytes_;
  const bool huge_pages_;
  std::atomic<size_t> capacity_{0};
  // A mapping of its own, of which only the first pages are touched.
  std::atomic<uint8_t*>* chunks_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SLOT_ARRAY_H_
