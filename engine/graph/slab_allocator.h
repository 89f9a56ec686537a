// Memory for very many small blocks that walks jump between: packed, and on large
// pages of the operating system, so that a jump costs one miss and not two.
#ifndef COOKIX_ENGINE_GRAPH_SLAB_ALLOCATOR_H_
#define COOKIX_ENGINE_GRAPH_SLAB_ALLOCATOR_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace cookix::engine {

// Blocks up to kLargest bytes are cut from slabs, one after the other; freed ones are
// kept by size and used again, whole or split. Slabs go back when no block is left in
// any. Larger blocks come from the heap. Not thread-safe, but for the counters.
class SlabAllocator {
 public:
  static constexpr size_t kGrain = 16;
  static constexpr size_t kLargest = 80 << 10;

  SlabAllocator() = default;
  // Frees the slabs, whatever is left in them.
  ~SlabAllocator();
  SlabAllocator(const SlabAllocator&) = delete;
  SlabAllocator& operator=(const SlabAllocator&) = delete;

  // What a block of `bytes` takes.
  static constexpr size_t Rounded(size_t bytes) {
    return bytes == 0 ? kGrain : (bytes + kGrain - 1) / kGrain * kGrain;
  }

  // Aligned to kGrain.
  void* Allocate(size_t bytes);
  // `bytes` as given to Allocate().
  void Free(void* block, size_t bytes);

  // Bytes of blocks handed out, as rounded.
  int64_t used() const { return used_.load(std::memory_order_relaxed); }
  // Bytes taken from the system: those, and what is free in slabs.
  int64_t reserved() const { return reserved_.load(std::memory_order_relaxed); }

 private:
  struct FreeBlock {
    FreeBlock* next;
  };
  static constexpr size_t kClasses = kLargest / kGrain + 1;
  // Slabs grow from the first size, or what is needed, to the second, that of a large
  // page.
  static constexpr size_t kFirstSlab = 64 << 10;
  static constexpr size_t kSlab = 2 << 20;

  void* FromLarger(size_t rounded);
  void AddSlab(size_t least);
  void ReleaseSlabs();
  void Push(void* block, size_t rounded);

  std::array<FreeBlock*, kClasses> free_ = {};
  char* at_ = nullptr;
  size_t room_ = 0;
  size_t next_slab_ = kFirstSlab;
  struct Slab {
    void* memory;
    size_t bytes;
  };
  std::vector<Slab> slabs_;
  int64_t in_slabs_ = 0;
  std::atomic<int64_t> used_{0};
  std::atomic<int64_t> reserved_{0};
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_GRAPH_SLAB_ALLOCATOR_H_
