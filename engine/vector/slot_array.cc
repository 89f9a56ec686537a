#include "engine/vector/slot_array.h"

#include <sys/mman.h>

#include <new>

namespace cookix::engine {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

// Zeroed memory that costs nothing until it is written; null when there is none.
uint8_t* Map(size_t bytes, bool huge_pages) {
  // Large pages begin at multiples of their size.
  const size_t slack = huge_pages ? kHugePage : 0;
  void* mapping = mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  auto* begin = static_cast<uint8_t*>(mapping);
  if (huge_pages) {
    const size_t ahead = (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
    if (ahead > 0) munmap(begin, ahead);
    if (slack > ahead) munmap(begin + ahead + bytes, slack - ahead);
    begin += ahead;
    // A wish: without it all works, a little slower.
    static_cast<void>(madvise(begin, bytes, MADV_HUGEPAGE));
  }
  return begin;
}

size_t PageRounded(size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

}  // namespace

SlotArray::SlotArray(size_t record_bytes, bool huge_pages)
    : record_bytes_(record_bytes), huge_pages_(huge_pages) {
  uint8_t* table = Map(kMaxChunks * sizeof(std::atomic<uint8_t*>), false);
  if (table == nullptr) throw std::bad_alloc();
  chunks_ = reinterpret_cast<std::atomic<uint8_t*>*>(table);
}

SlotArray::~SlotArray() {
  for (size_t i = 0; i < capacity_ / kChunkSlots; ++i) {
    munmap(chunks_[i].load(), PageRounded(kChunkSlots * record_bytes_));
  }
  munmap(static_cast<void*>(chunks_), kMaxChunks * sizeof(std::atomic<uint8_t*>));
}

bool SlotArray::Grow(size_t slots) {
  while (capacity() < slots) {
    const size_t chunk = capacity() / kChunkSlots;
    if (chunk >= kMaxChunks) return false;
    // The first chunk of a small index would fill a large page with nothing.
    uint8_t* memory = Map(PageRounded(kChunkSlots * record_bytes_), huge_pages_ && chunk > 0);
    if (memory == nullptr) return false;
    chunks_[chunk].store(memory, std::memory_order_release);
    capacity_.store(capacity() + kChunkSlots, std::memory_order_release);
  }
  return true;
}

}  // namespace cookix::engine
