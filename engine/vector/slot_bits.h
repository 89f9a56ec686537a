// Sets of slots as plain bits.
#ifndef COOKIX_ENGINE_VECTOR_SLOT_BITS_H_
#define COOKIX_ENGINE_VECTOR_SLOT_BITS_H_

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/vector/slot.h"
#include "engine/vector/slot_array.h"

namespace cookix::engine {

// As thread-safe as a standard container.
class SlotBits {
 public:
  SlotBits() = default;
  explicit SlotBits(size_t slots) : words_((slots + 63) / 64) {}

  void Set(Slot slot) {
    if ((slot >> 6) >= words_.size()) words_.resize((slot >> 6) + 1);
    words_[slot >> 6] |= uint64_t{1} << (slot & 63);
  }
  void Clear(Slot slot) {
    if ((slot >> 6) < words_.size()) words_[slot >> 6] &= ~(uint64_t{1} << (slot & 63));
  }
  bool Test(Slot slot) const {
    return (slot >> 6) < words_.size() && ((words_[slot >> 6] >> (slot & 63)) & 1) != 0;
  }
  size_t Count() const {
    size_t count = 0;
    for (const uint64_t word : words_) count += static_cast<size_t>(std::popcount(word));
    return count;
  }
  template <typename F>
  void ForEach(F&& f) const {
    for (size_t i = 0; i < words_.size(); ++i) {
      for (uint64_t word = words_[i]; word != 0; word &= word - 1) {
        f(static_cast<Slot>(i * 64 + static_cast<size_t>(std::countr_zero(word))));
      }
    }
  }
  std::vector<uint64_t>& words() { return words_; }
  const std::vector<uint64_t>& words() const { return words_; }

 private:
  std::vector<uint64_t> words_;
};

// Bits that one thread changes while others read them. Grow() by the thread that changes,
// before a slot is used.
class AtomicSlotBits {
 public:
  AtomicSlotBits() : words_(sizeof(uint64_t), false) {}

  [[nodiscard]] bool Grow(size_t slots) { return words_.Grow((slots + 63) / 64); }
  void Set(Slot slot) {
    Word(slot >> 6).fetch_or(uint64_t{1} << (slot & 63), std::memory_order_release);
  }
  void Clear(Slot slot) {
    Word(slot >> 6).fetch_and(~(uint64_t{1} << (slot & 63)), std::memory_order_release);
  }
  bool Test(Slot slot) const {
    return ((Word(slot >> 6).load(std::memory_order_acquire) >> (slot & 63)) & 1) != 0;
  }
  // 64 slots, from 64 * `index`.
  uint64_t word(size_t index) const {
    return Word(static_cast<Slot>(index)).load(std::memory_order_acquire);
  }
  // A copy of the bits below `slots`.
  SlotBits Copy(size_t slots) const {
    SlotBits copy(slots);
    for (size_t i = 0; i < copy.words().size(); ++i) copy.words()[i] = word(i);
    if (slots % 64 != 0) copy.words().back() &= (uint64_t{1} << (slots % 64)) - 1;
    return copy;
  }

 private:
  std::atomic<uint64_t>& Word(Slot index) const {
    return *reinterpret_cast<std::atomic<uint64_t>*>(words_.At(index));
  }
  SlotArray words_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SLOT_BITS_H_
