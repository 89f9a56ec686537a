#include "engine/text/text_kernels.h"

#include <algorithm>
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
    const std::vector<uint32_t> docs(asked.begin(), asked.end());
    std::vector<size_t> expected;
    for (size_t i = 0; i < docs.size(); ++i) {
      if (in_block.count(docs[i]) > 0) expected.push_back(i);
    }
    for (const uint32_t padding : {kNoDoc, *in_block.rbegin()}) {
      block.resize(size);
      block.resize(kPostingBlock + kKernelPadding, padding);
      std::vector<uint8_t> which(docs.size() + 1), places(docs.size() + 1);
      const size_t found =
          FindDocuments(block.data(), size, docs.data(), docs.size(), which.data(), places.data());
      ASSERT_EQ(found, expected.size()) << size;
      for (size_t i = 0; i < found; ++i) {
        EXPECT_EQ(which[i], expected[i]) << size;
        EXPECT_EQ(block[places[i]], docs[expected[i]]) << size;
        EXPECT_LT(places[i], size);
      }
    }
  }
}

TEST(TextKernelsTest, SelectsWithPlaces) {
  std::mt19937_64 random(4);
  for (size_t count = 0; count <= kPostingBlock; ++count) {
    std::vector<uint32_t> docs(kPostingBlock + kKernelPadding), places(docs.size());
    std::vector<float> scores(docs.size());
    for (size_t i = 0; i < docs.size(); ++i) {
      docs[i] = static_cast<uint32_t>(random());
      places[i] = static_cast<uint32_t>(random());
      scores[i] = static_cast<float>(random() % 4);
    }
    std::vector<uint32_t> docs_left, places_left;
    std::vector<float> scores_left;
    for (size_t i = 0; i < count; ++i) {
      if (scores[i] < 2) continue;
      docs_left.push_back(docs[i]);
      places_left.push_back(places[i]);
      scores_left.push_back(scores[i]);
    }
    const size_t left = SelectAboveWith(count, 2, docs.data(), places.data(), scores.data());
    ASSERT_EQ(left, docs_left.size());
    EXPECT_TRUE(std::equal(docs_left.begin(), docs_left.end(), docs.begin()));
    EXPECT_TRUE(std::equal(places_left.begin(), places_left.end(), places.begin()));
    EXPECT_TRUE(std::equal(scores_left.begin(), scores_left.end(), scores.begin()));
  }
}

}  // namespace
}  // namespace cookix::engine
