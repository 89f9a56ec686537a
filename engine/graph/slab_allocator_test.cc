#include "engine/graph/slab_allocator.h"

#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

TEST(SlabAllocatorTest, BlocksKeepTheirBytes) {
  SlabAllocator allocator;
  struct Block {
    unsigned char* memory;
    size_t bytes;
    unsigned char fill;
  };
  std::vector<Block> blocks;
  std::mt19937_64 random(5);
  int64_t used = 0;
  for (int i = 0; i < 200'000; ++i) {
    const bool grow = blocks.empty() || random() % 100 < (i / 20'000 % 2 == 0 ? 70u : 30u);
    if (grow) {
      const size_t bytes = random() % 50 == 0    ? random() % 5000
                           : random() % 500 == 0 ? random() % 100'000
                                                 : random() % 400;
      auto* memory = static_cast<unsigned char*>(allocator.Allocate(bytes));
      ASSERT_EQ(reinterpret_cast<uintptr_t>(memory) % SlabAllocator::kGrain, 0u);
      const unsigned char fill = static_cast<unsigned char>(random());
      memset(memory, fill, bytes);
      blocks.push_back({memory, bytes, fill});
      used += static_cast<int64_t>(SlabAllocator::Rounded(bytes));
    } else {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      const Block block = blocks.back();
      blocks.pop_back();
      for (size_t at = 0; at < block.bytes; ++at) ASSERT_EQ(block.memory[at], block.fill);
      allocator.Free(block.memory, block.bytes);
      used -= static_cast<int64_t>(SlabAllocator::Rounded(block.bytes));
    }
    ASSERT_EQ(allocator.used(), used);
    ASSERT_GE(allocator.reserved(), used);
  }
  for (const Block& block : blocks) allocator.Free(block.memory, block.bytes);
  EXPECT_EQ(allocator.used(), 0);
  EXPECT_EQ(allocator.reserved(), 0);
}

TEST(SlabAllocatorTest, PacksAndUsesAgain) {
  SlabAllocator allocator;
  std::vector<void*> blocks;
  for (int i = 0; i < 100'000; ++i) blocks.push_back(allocator.Allocate(88));
  EXPECT_EQ(allocator.used(), 9'600'000);
  EXPECT_LT(allocator.reserved(), 9'600'000 + (2 << 20));
  const int64_t reserved = allocator.reserved();
  // What nine tenths leave is split for smaller ones.
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % 10 != 0) allocator.Free(blocks[i], 88);
  }
  for (int i = 0; i < 200'000; ++i) allocator.Allocate(30);
  EXPECT_LE(allocator.reserved(), reserved + (2 << 20));
}

}  // namespace
}  // namespace cookix::engine
