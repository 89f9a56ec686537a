// The pool against all that came, sorted.
#include "engine/vector/scan_pool.h"

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

// For each instruction set that this processor has.
class ScanPoolTest : public testing::TestWithParam<int64_t> {
 protected:
  using Node = std::pair<float, uint32_t>;

  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }

  // Whether `pool` holds those of `all` that it should, in order. Of nodes at one distance
  // any may be the last.
  static void ExpectHolds(ScanPool& pool, std::vector<Node> all, size_t near, size_t most,
                          float margin) {
    pool.Finish();
    std::sort(all.begin(), all.end());
    size_t wanted = std::min(near, all.size());
    while (wanted > 0 && wanted < std::min(most, all.size()) &&
           all[wanted].first <= all[std::min(near, all.size()) - 1].first + margin) {
      ++wanted;
    }
    ASSERT_EQ(pool.size(), wanted) << near << " " << most << " " << margin;
    EXPECT_EQ(pool.truncated(), wanted < all.size());
    for (size_t i = 0; i < pool.size(); ++i) {
      ASSERT_EQ(pool.distance(i), all[i].first) << i;
      const Node node(pool.distance(i), pool.node(i));
      ASSERT_TRUE(std::binary_search(all.begin(), all.end(), node)) << i;
      if (i > 0) {
        ASSERT_LT(Node(pool.distance(i - 1), pool.node(i - 1)), node) << i;
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, ScanPoolTest,
                         testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const testing::TestParamInfo<int64_t>& target) {
                           return std::string(hwy::TargetName(target.param));
                         });

TEST_P(ScanPoolTest, KeepsTheNearestAndWhatIsWithinTheMargin) {
  std::mt19937_64 random(1);
  ScanPool pool;
  for (const size_t near : {1, 7, 26, 100}) {
    for (const size_t most : {0, 26, 30, 200, 3000}) {
      for (const float margin : {0.0f, 0.5f, 4.0f, 1000.0f}) {
        for (const size_t count : {0, 20, 5000}) {
          pool.Reset(near, most);
          pool.Widen(margin);
          std::vector<Node> all;
          while (all.size() < count) {
            const size_t n =
                std::min<size_t>(random() % (all.empty() ? 3000 : 150), count - all.size());
            std::vector<float> distances(n);
            std::vector<uint32_t> nodes(n);
            for (size_t i = 0; i < n; ++i) {
              // Few different ones, so that many are equal; negative ones too; from far to near.
              distances[i] = static_cast<float>(static_cast<int>(random() % 800) -
                                                static_cast<int>(all.size() / 50)) /
                             8;
              nodes[i] = static_cast<uint32_t>(all.size());
              all.emplace_back(distances[i], nodes[i]);
            }
            pool.Insert(distances.data(), nodes.data(), n);
          }
          const size_t limit = std::max(near, most);
          ExpectHolds(pool, all, limit <= ScanPool::kSorted ? limit : near, limit, margin);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(ScanPoolTest, KeepsWhatComesWithinAWiderMargin) {
  ScanPool pool;
  pool.Reset(2, 100);
  pool.Insert(1, 1);
  pool.Insert(2, 2);
  pool.Insert(2.5f, 3);
  pool.Widen(1);
  pool.Widen(0.5f);
  pool.Insert(3, 4);
  pool.Insert(3.5f, 5);
  pool.Finish();
  ASSERT_EQ(pool.size(), 3u);
  EXPECT_EQ(pool.node(2), 4u);
  EXPECT_TRUE(pool.truncated());
}

TEST_P(ScanPoolTest, HoldsExtremes) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  ScanPool pool;
  pool.Reset(1, 100);
  for (const float distance : {kInfinity, kInfinity, -kInfinity}) pool.Insert(distance, 7);
  pool.Finish();
  ASSERT_EQ(pool.size(), 1u);
  EXPECT_EQ(pool.distance(0), -kInfinity);
  for (const size_t most : {3, 100}) {
    pool.Reset(2, most);
    for (const uint32_t node : {1, 2, 3, 4}) pool.Insert(kInfinity, node);
    pool.Finish();
    ASSERT_EQ(pool.size(), std::min<size_t>(most, 4));
    EXPECT_EQ(pool.node(2), 3u);
  }
  pool.Reset(0, 0);
  pool.Insert(1, 1);
  pool.Finish();
  EXPECT_EQ(pool.size(), 0u);
  EXPECT_TRUE(pool.truncated());
}

}  // namespace
}  // namespace cookix::engine
