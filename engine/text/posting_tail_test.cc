// The last postings of a term against what they were made of.
#include "engine/text/posting_tail.h"

#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

const uint8_t* Bytes(const std::string& text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

void ExpectComesBack(const std::vector<uint32_t>& docs, const std::vector<uint32_t>& tfs,
                     uint32_t first) {
  std::string packed = "before";
  AppendPostingTail(docs, tfs, first, &packed);
  packed.erase(0, 6);
  std::vector<uint32_t> read_docs(docs.size()), read_tfs(docs.size()), alone(docs.size());
  ReadPostingTail(Bytes(packed), docs.size(), first, read_docs.data(), read_tfs.data());
  EXPECT_EQ(read_docs, docs);
  EXPECT_EQ(read_tfs, tfs);
  ReadPostingTail(Bytes(packed), docs.size(), first, alone.data(), nullptr);
  EXPECT_EQ(alone, docs);
  // Neither what follows nor what is missing goes unnoticed.
  const std::string longer = packed + "behind";
  EXPECT_EQ(PostingTailBytes(Bytes(longer), Bytes(longer) + longer.size(), docs.size()),
            packed.size());
  for (size_t bytes = 0; bytes < packed.size(); ++bytes) {
    EXPECT_EQ(PostingTailBytes(Bytes(packed), Bytes(packed) + bytes, docs.size()), 0u);
  }
}

TEST(PostingTailTest, ReadsWhatWasAppended) {
  std::mt19937_64 random(1);
  for (size_t count = 1; count < 128; ++count) {
    for (int bits = 0; bits <= 28; bits += 1 + static_cast<int>(random() % 4)) {
      for (const uint64_t most_tf : {1ull, 2ull, 64ull, 65ull, 4'000'000'000ull}) {
        if (count * (1ull << bits) > ~0u - 1000) continue;
        std::vector<uint32_t> docs, tfs;
        const uint32_t first = static_cast<uint32_t>(random() % 1000);
        uint32_t next = first;
        for (size_t i = 0; i < count; ++i) {
          docs.push_back(next + static_cast<uint32_t>(random() % (1ull << bits)));
          next = docs.back() + 1;
          tfs.push_back(static_cast<uint32_t>(1 + random() % most_tf));
        }
        ASSERT_NO_FATAL_FAILURE(ExpectComesBack(docs, tfs, first));
      }
    }
  }
}

TEST(PostingTailTest, TakesLittle) {
  const auto bytes = [](const std::vector<uint32_t>& docs, const std::vector<uint32_t>& tfs) {
    std::string packed;
    AppendPostingTail(docs, tfs, 0, &packed);
    return packed.size();
  };
  EXPECT_EQ(bytes({63}, {1}), 1u);
  EXPECT_EQ(bytes({63}, {3}), 2u);
  // Ten distances of 10 bits each, and of tf one bit each if at all.
  std::vector<uint32_t> docs;
  for (uint32_t i = 1; i <= 10; ++i) docs.push_back(1000 * i);
  EXPECT_EQ(bytes(docs, std::vector<uint32_t>(10, 1)), 1 + 13u);
  EXPECT_EQ(bytes(docs, {1, 1, 1, 2, 1, 1, 2, 1, 1, 1}), 1 + 13 + 2u);
}

TEST(PostingTailTest, RefusesWhatNobodyAppends) {
  const auto bytes = [](const std::string& packed, size_t count) {
    return PostingTailBytes(Bytes(packed), Bytes(packed) + packed.size(), count);
  };
  EXPECT_EQ(bytes(std::string(100, 29), 3), 0u);
  // A number without an end, as a document and as a tf.
  EXPECT_EQ(bytes(std::string(100, '\xff'), 1), 0u);
  EXPECT_EQ(bytes("\x01" + std::string(100, '\xff'), 1), 0u);
  EXPECT_EQ(bytes("\xe0" + std::string(100, '\xff'), 2), 0u);
}

}  // namespace
}  // namespace cookix::engine
