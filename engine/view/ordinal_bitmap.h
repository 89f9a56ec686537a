// Sets of ordinals as Roaring bitmaps.
#ifndef COOKIX_ENGINE_VIEW_ORDINAL_BITMAP_H_
#define COOKIX_ENGINE_VIEW_ORDINAL_BITMAP_H_

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/records.h"
#include "roaring/roaring.hh"

namespace cookix::engine {

// A set of ordinals: one 32-bit Roaring bitmap for each 2^32 of them. As
// thread-safe as a standard container.
class OrdinalBitmap {
 public:
  void Add(Ordinal ordinal);
  void Remove(Ordinal ordinal);
  bool Contains(Ordinal ordinal) const {
    for (const auto& [high, part] : parts_) {
      if (high == ordinal >> 32) return part.contains(static_cast<uint32_t>(ordinal));
    }
    return false;
  }
  uint64_t Count() const;
  bool empty() const { return parts_.empty(); }

  OrdinalBitmap& operator|=(const OrdinalBitmap& other);
  OrdinalBitmap& operator&=(const OrdinalBitmap& other);
  OrdinalBitmap& operator-=(const OrdinalBitmap& other);
  bool operator==(const OrdinalBitmap& other) const;

  // Calls `f` with every ordinal, ascending.
  template <typename F>
  void ForEach(F&& f) const {
    for (const auto& [high, part] : parts_) {
      const uint64_t base = static_cast<uint64_t>(high) << 32;
      for (const uint32_t low : part) f(base | low);
    }
  }

  // What it takes beyond sizeof(*this).
  int64_t MemoryBytes() const;

  // For each 2^16 ordinals below 2^32, up to the last in the set, the 1024 words of
  // their bits where the set holds them as plain bits, else null. Holds until the
  // set changes.
  std::vector<const uint64_t*> PlainWords() const;

 private:
  friend class OrdinalCollector;
  Roaring& Part(uint32_t high);

  // By the high 32 bits, ascending; no part is empty.
  std::vector<std::pair<uint32_t, Roaring>> parts_;
};

// Collects the union of very many ordinals and small bitmaps: in plain bits, of
// which only the parts that are used are allocated. An ordinal costs about a
// nanosecond, against ten and more for adding it to a Roaring bitmap.
class OrdinalCollector {
 public:
  void Add(Ordinal ordinal) {
    if (ordinal >> 32 != 0) {
      rest_.Add(ordinal);
      return;
    }
    const size_t index = ordinal >> 16;
    if (index >= chunks_.size() || chunks_[index] == nullptr) MakeChunk(index);
    (*chunks_[index])[(ordinal >> 6) & 1023] |= uint64_t{1} << (ordinal & 63);
  }
  void Add(const OrdinalBitmap& bitmap);

  // What was collected. Leaves the collector empty.
  OrdinalBitmap Finish();

 private:
  using Chunk = std::array<uint64_t, 1024>;
  void MakeChunk(size_t index);

  // By ordinal / 2^16, for ordinals below 2^32.
  std::vector<std::unique_ptr<Chunk>> chunks_;
  OrdinalBitmap rest_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VIEW_ORDINAL_BITMAP_H_
