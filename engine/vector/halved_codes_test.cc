// Halves of codes against the whole codes.
#include "engine/vector/halved_codes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "engine/vector/kernels.h"
#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

constexpr size_t kCodes = 1000;
constexpr size_t kBytes = 128;

class HalvedCodesTest : public testing::Test {
 protected:
  // Codes of kBytes bytes, `byte(code, d)` each, of scale 0.5.
  template <typename Byte>
  HalvedCodes Make(const Kernels& kernels, const Byte& byte) {
    HalvedCodes halved(kernels, kBytes, kCodes);
    EXPECT_TRUE(halved.allocated());
    codes_.resize(kCodes * kBytes);
    for (size_t i = 0; i < kCodes; ++i) {
      for (size_t d = 0; d < kBytes; ++d) codes_[i * kBytes + d] = byte(i, d);
      halved.Set(i, &codes_[i * kBytes], {.scale = 0.5f, .norm = static_cast<float>(i)});
    }
    halved.Finish();
    return halved;
  }
  void AskAtRandom() {
    for (int8_t& c : query_) c = static_cast<int8_t>(static_cast<int>(random_() % 255) - 127);
  }
  LaneQuery Query() const {
    int32_t sum = 0;
    for (const int8_t c : query_) sum += c;
    return {query_.data(), 128 * sum, 3, 1, 2};
  }
  double Distance(size_t i) const {
    double dot = 0;
    for (size_t d = 0; d < kBytes; ++d) dot += (codes_[i * kBytes + d] - 128) * query_[d];
    return 3 + static_cast<double>(i) - dot;
  }
  std::vector<float> ByUpper(const HalvedCodes& halved, const HalvedQuery& query) {
    std::vector<float> distances(kCodes + kLanes);
    halved.Distances(query, 0, kCodes, distances.data());
    return distances;
  }

  std::mt19937_64 random_{3};
  std::vector<uint8_t> codes_;
  std::vector<int8_t> query_ = std::vector<int8_t>(kBytes);
};

TEST_F(HalvedCodesTest, BothHalvesAreTheWhole) {
  for (const Kernels& kernels : AllKernels()) {
    const HalvedCodes halved = Make(kernels, [&](size_t, size_t) { return random_(); });
    AskAtRandom();
    const HalvedQuery query = halved.Prepare(Query());
    std::vector<float> distances = ByUpper(halved, query);
    double squares = 0;
    for (size_t i = 0; i < kCodes; ++i) {
      squares += (distances[i] - Distance(i)) * (distances[i] - Distance(i));
    }
    // The spread is what it is said to be.
    const double spread = std::sqrt(squares / kCodes);
    EXPECT_NEAR(0.5 * query.spread / spread, 1, 0.15) << kernels.name;
    // Any of them, in any order.
    std::vector<uint32_t> at(kCodes);
    std::iota(at.begin(), at.end(), 0u);
    std::shuffle(at.begin(), at.end(), random_);
    for (const size_t count : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{130}, kCodes}) {
      std::vector<float> some(count + 1, 7);
      for (size_t i = 0; i < count; ++i) some[i] = distances[at[i]];
      const float wrong = halved.Complete(query, at.data(), count, some.data());
      for (size_t i = 0; i < count; ++i) {
        EXPECT_NEAR(some[i], Distance(at[i]), 1e-6 * 128 * 127 * 128) << kernels.name;
      }
      EXPECT_EQ(some[count], 7);
      if (count == kCodes) {
        EXPECT_NEAR(wrong, spread / (0.5 * query.spread), 0.01);
      }
    }
  }
}

// What all codes have in common makes no difference, however great it is.
TEST_F(HalvedCodesTest, WhatAllHaveInCommonIsAllowedFor) {
  const HalvedCodes halved =
      Make(BestKernels(), [&](size_t, size_t d) { return d % 2 == 0 ? 0x1f : 0xf0; });
  AskAtRandom();
  const HalvedQuery query = halved.Prepare(Query());
  EXPECT_EQ(query.spread, 0);
  std::vector<float> distances = ByUpper(halved, query);
  for (size_t i = 0; i < kCodes; ++i) EXPECT_NEAR(distances[i], Distance(i), 1);
  std::vector<uint32_t> at = {5, 7};
  float some[] = {distances[5], distances[7]};
  EXPECT_EQ(halved.Complete(query, at.data(), 2, some), 0);
}

// Lower halves that go along with the query are far from what they are expected to be.
TEST_F(HalvedCodesTest, TellsWhereUpperHalvesAreMisleading) {
  AskAtRandom();
  const HalvedCodes halved = Make(BestKernels(), [&](size_t i, size_t d) {
    return 0x80 | (i % 16 == 0 ? random_() % 16 : query_[d] > 0 ? 15 : 0);
  });
  const HalvedQuery query = halved.Prepare(Query());
  std::vector<float> distances = ByUpper(halved, query);
  std::vector<uint32_t> at = {1, 2, 3, 4};
  float some[] = {distances[1], distances[2], distances[3], distances[4]};
  EXPECT_GT(halved.Complete(query, at.data(), 4, some), 5);
  for (const uint32_t i : at) EXPECT_NEAR(some[i - 1], Distance(i), 1);
}

TEST_F(HalvedCodesTest, NoDistanceIsNotANumber) {
  const HalvedCodes halved = Make(BestKernels(), [&](size_t, size_t) { return random_(); });
  AskAtRandom();
  for (const float factor : {1e30f, 3e38f, std::numeric_limits<float>::infinity()}) {
    LaneQuery far = Query();
    far.dot_factor = factor;
    const HalvedQuery query = halved.Prepare(far);
    std::vector<float> distances = ByUpper(halved, query);
    std::vector<uint32_t> at(kCodes);
    std::iota(at.begin(), at.end(), 0u);
    halved.Complete(query, at.data(), kCodes, distances.data());
    for (size_t i = 0; i < kCodes; ++i) EXPECT_FALSE(std::isnan(distances[i])) << factor;
  }
}

}  // namespace
}  // namespace cookix::engine
