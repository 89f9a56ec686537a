// The pool against a sorted list.
#include "engine/vector/candidate_pool.h"

#include <algorithm>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "hwy/highway.h"

namespace cookix::engine {
namespace {

struct Model {
  struct Entry {
    float distance;
    uint32_t node;
    bool taken;
  };
  size_t limit;
  std::vector<Entry> entries;

  void Insert(float distance, uint32_t node) {
    if (entries.size() == limit && !(distance < entries.back().distance)) return;
    const auto before = [&](const Entry& entry) {
      return std::make_pair(entry.distance, entry.node) < std::make_pair(distance, node);
    };
    auto at = entries.begin();
    while (at != entries.end() && before(*at)) ++at;
    entries.insert(at, {distance, node, false});
    if (entries.size() > limit) entries.pop_back();
  }
  bool Take(uint32_t* node) {
    for (Entry& entry : entries) {
      if (entry.taken) continue;
      entry.taken = true;
      *node = entry.node;
      return true;
    }
    return false;
  }
};

// For each instruction set that this processor has.
class CandidatePoolTest : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};

INSTANTIATE_TEST_SUITE_P(Targets, CandidatePoolTest,
                         testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const testing::TestParamInfo<int64_t>& target) {
                           return std::string(hwy::TargetName(target.param));
                         });

void ExpectEqual(const CandidatePool& pool, const Model& model) {
  ASSERT_EQ(pool.size(), model.entries.size());
  for (size_t i = 0; i < pool.size(); ++i) {
    ASSERT_EQ(pool.distance(i), model.entries[i].distance) << i << " of " << pool.size();
    ASSERT_EQ(pool.node(i), model.entries[i].node) << i << " of " << pool.size();
  }
}

TEST_P(CandidatePoolTest, KeepsTheNearestInOrder) {
  std::mt19937_64 random(1);
  CandidatePool pool;
  for (const size_t limit : {1, 2, 7, 8, 9, 10, 64, 200, 1000, 3}) {
    Model model{limit, {}};
    pool.Reset(limit);
    uint32_t next = 0;
    for (int round = 0; round < 60; ++round) {
      const size_t count = random() % 150;
      std::vector<float> distances(count);
      std::vector<uint32_t> nodes(count);
      for (size_t i = 0; i < count; ++i) {
        // Few different ones, so that many are equal; negative ones too.
        distances[i] = static_cast<float>(static_cast<int>(random() % 400) - 200 - round) / 8;
        nodes[i] = next++;
        model.Insert(distances[i], nodes[i]);
      }
      pool.Insert(distances.data(), nodes.data(), count);
      ExpectEqual(pool, model);
      for (size_t takes = random() % 4; takes > 0; --takes) {
        uint32_t node = 0, expected = 0;
        const bool taken = model.Take(&expected);
        ASSERT_EQ(pool.Take(&node), taken);
        if (taken) {
          ASSERT_EQ(node, expected);
        }
      }
      ExpectEqual(pool, model);
    }
  }
}

TEST_P(CandidatePoolTest, TakesEachOnce) {
  CandidatePool pool;
  pool.Reset(3);
  pool.Insert(2, 20);
  pool.Insert(1, 10);
  uint32_t node = 0;
  ASSERT_TRUE(pool.Take(&node));
  EXPECT_EQ(node, 10u);
  pool.Insert(0.5f, 5);
  ASSERT_TRUE(pool.Take(&node));
  EXPECT_EQ(node, 5u);
  ASSERT_TRUE(pool.Take(&node));
  EXPECT_EQ(node, 20u);
  EXPECT_FALSE(pool.Take(&node));
}

TEST_P(CandidatePoolTest, HoldsExtremes) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr uint32_t kGreatest = (uint32_t{1} << 31) - 1;
  CandidatePool pool;
  pool.Reset(5);
  const std::vector<float> distances = {kInfinity, 0.0f, -kInfinity, 1e-45f, -1e-45f};
  const std::vector<uint32_t> nodes = {1, 2, 3, kGreatest, 5};
  pool.Insert(distances.data(), nodes.data(), nodes.size());
  ASSERT_EQ(pool.size(), 5u);
  const std::vector<uint32_t> expected = {3, 5, 2, kGreatest, 1};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(pool.node(i), expected[i]) << i;
  EXPECT_EQ(pool.distance(0), -kInfinity);
  EXPECT_EQ(pool.distance(4), kInfinity);
  pool.Insert(kInfinity, 6);
  EXPECT_EQ(pool.node(4), 1u);
}

TEST_P(CandidatePoolTest, WithoutRoomKeepsNothing) {
  CandidatePool pool;
  pool.Reset(0);
  pool.Insert(1, 1);
  uint32_t node;
  EXPECT_EQ(pool.size(), 0u);
  EXPECT_FALSE(pool.Take(&node));
}

}  // namespace
}  // namespace cookix::engine
