#include "engine/graph/slab_allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <new>

namespace cookix::engine {

SlabAllocator::~SlabAllocator() { ReleaseSlabs(); }

void* SlabAllocator::Allocate(size_t bytes) {
  const size_t rounded = Rounded(bytes);
  used_.fetch_add(static_cast<int64_t>(rounded), std::memory_order_relaxed);
  if (rounded > kLargest) {
    reserved_.fetch_add(static_cast<int64_t>(rounded), std::memory_order_relaxed);
    return ::operator new(rounded);
  }
  in_slabs_ += static_cast<int64_t>(rounded);
  if (FreeBlock* block = free_[rounded / kGrain]; block != nullptr) {
    free_[rounded / kGrain] = block->next;
    return block;
  }
  if (room_ < rounded) {
    if (void* block = FromLarger(rounded); block != nullptr) return block;
    AddSlab(rounded);
  }
  void* block = at_;
  at_ += rounded;
  room_ -= rounded;
  return block;
}

void SlabAllocator::Free(void* block, size_t bytes) {
  const size_t rounded = Rounded(bytes);
  used_.fetch_sub(static_cast<int64_t>(rounded), std::memory_order_relaxed);
  if (rounded > kLargest) {
    reserved_.fetch_sub(static_cast<int64_t>(rounded), std::memory_order_relaxed);
    ::operator delete(block);
    return;
  }
  in_slabs_ -= static_cast<int64_t>(rounded);
  if (in_slabs_ == 0) {
    ReleaseSlabs();
  } else {
    Push(block, rounded);
  }
}

void SlabAllocator::Push(void* block, size_t rounded) {
  free_[rounded / kGrain] = new (block) FreeBlock{free_[rounded / kGrain]};
}

void* SlabAllocator::FromLarger(size_t rounded) {
  for (size_t larger = kLargest; larger > rounded; larger -= kGrain) {
    FreeBlock* block = free_[larger / kGrain];
    if (block == nullptr) continue;
    free_[larger / kGrain] = block->next;
    Push(reinterpret_cast<char*>(block) + rounded, larger - rounded);
    return block;
  }
  return nullptr;
}

void SlabAllocator::AddSlab(size_t least) {
  if (room_ > 0) Push(at_, room_);
  const size_t bytes = std::max(next_slab_, std::bit_ceil(least));
  next_slab_ = std::min(bytes * 2, kSlab);
  void* memory = ::operator new(bytes, std::align_val_t(bytes));
  // A wish; without large pages it is as good, only slower.
  if (bytes == kSlab) madvise(memory, bytes, MADV_HUGEPAGE);
  slabs_.push_back({memory, bytes});
  reserved_.fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  at_ = static_cast<char*>(memory);
  room_ = bytes;
}

void SlabAllocator::ReleaseSlabs() {
  for (const Slab& slab : slabs_) {
    reserved_.fetch_sub(static_cast<int64_t>(slab.bytes), std::memory_order_relaxed);
    ::operator delete(slab.memory, std::align_val_t(slab.bytes));
  }
  slabs_.clear();
  free_.fill(nullptr);
  at_ = nullptr;
  room_ = 0;
  next_slab_ = kFirstSlab;
}

}  // namespace cookix::engine
