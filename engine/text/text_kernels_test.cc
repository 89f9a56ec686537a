#include "engine/text/text_kernels.h"

#include <random>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

TEST(TextKernelsTest, FindsDocumentsInBlocksOfEverySize) {
  std::mt19937_64 random(3);
  for (size_t size = 1; size <= kPostingBlock; ++size) {
    std::set<uint32_t> in_block, asked;
    while (in_block.size() < size) in_block.insert(static_cast<uint32_t>(random() % (3 * size)));
    for (size_t i = 0; i < 100; ++i) asked.insert(static_cast<uint32_t>(random() % (4 * size)));
    std::vector<uint32_t> block(in_block.begin(), in_block.end());
    block.resize(kPostingBlock + kKernelPadding, kNoDoc);
    const std::vector<uint32_t> docs(asked.begin(), asked.end());
    std::vector<uint8_t> which(docs.size() + 1), places(docs.size() + 1);
    const size_t found =
        FindDocuments(block.data(), size, docs.data(), docs.size(), which.data(), places.data());

    std::vector<size_t> expected;
    for (size_t i = 0; i < docs.size(); ++i) {
      if (in_block.count(docs[i]) > 0) expected.push_back(i);
    }
    ASSERT_EQ(found, expected.size()) << size;
    for (size_t i = 0; i < found; ++i) {
      EXPECT_EQ(which[i], expected[i]) << size;
      EXPECT_EQ(block[places[i]], docs[expected[i]]) << size;
      EXPECT_LT(places[i], size);
    }
  }
}

}  // namespace
}  // namespace cookix::engine
