// Fusion against tables worked out by hand, and against the formulas taken literally.
#include "engine/api/search_fusion.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

using Ordinals = std::vector<Ordinal>;

LaneHit Hit(Ordinal ordinal, double score) { return {ordinal, score, -score}; }

Ordinals OrdinalsOf(const FusedRanking& ranking) {
  Ordinals ordinals;
  for (const FusedRanking::Hit& hit : ranking.hits()) ordinals.push_back(hit.ordinal);
  return ordinals;
}

TEST(SearchFusionTest, ReciprocalRanksByHand) {
  const std::vector<LaneHit> first = {Hit(10, 9), Hit(20, 5), Hit(30, 1)};
  const std::vector<LaneHit> second = {Hit(30, 0.9), Hit(40, 0.8), Hit(10, 0.7)};
  const std::vector<LaneRanking> lanes = {{first, 1}, {second, 1}};
  const FusedRanking fused = Fuse(lanes, {});
  // 10: 1/61 + 1/63, 30: 1/63 + 1/61, 20: 1/62, 40: 1/62. Ties by ordinal.
  EXPECT_EQ(OrdinalsOf(fused), (Ordinals{10, 30, 20, 40}));
  EXPECT_DOUBLE_EQ(fused.hits()[0].score, 1.0 / 61 + 1.0 / 63);
  EXPECT_DOUBLE_EQ(fused.hits()[2].score, 1.0 / 62);
  EXPECT_EQ(fused.RankIn(fused.hits()[0], 0), 1u);
  EXPECT_EQ(fused.RankIn(fused.hits()[0], 1), 3u);
  EXPECT_EQ(fused.RankIn(fused.hits()[2], 0), 2u);
  EXPECT_EQ(fused.RankIn(fused.hits()[2], 1), 0u);
}

TEST(SearchFusionTest, WeightsAndRankConstantByHand) {
  const std::vector<LaneHit> first = {Hit(1, 2), Hit(2, 1)};
  const std::vector<LaneHit> second = {Hit(2, 2), Hit(3, 1)};
  const std::vector<LaneRanking> lanes = {{first, 0.3}, {second, 0.7}};
  const FusedRanking fused = Fuse(lanes, {v1::FUSION_METHOD_RECIPROCAL_RANK, 1});
  // 1: 0.3/2 = 0.15, 2: 0.3/3 + 0.7/2 = 0.45, 3: 0.7/3 = 0.2333.
  EXPECT_EQ(OrdinalsOf(fused), (Ordinals{2, 3, 1}));
  EXPECT_NEAR(fused.hits()[0].score, 0.45, 1e-12);
  EXPECT_NEAR(fused.hits()[1].score, 0.7 / 3, 1e-12);
  EXPECT_NEAR(fused.hits()[2].score, 0.15, 1e-12);
}

TEST(SearchFusionTest, NormalizedScoresByHand) {
  // As BM25 and minus a distance would be.
  const std::vector<LaneHit> words = {Hit(1, 12), Hit(2, 9), Hit(3, 8)};
  const std::vector<LaneHit> near = {Hit(3, -0.5), Hit(1, -1.5), Hit(4, -2.5)};
  const std::vector<LaneRanking> lanes = {{words, 2}, {near, 1}};
  const FusedRanking fused = Fuse(lanes, {v1::FUSION_METHOD_NORMALIZED_SCORE, 60});
  // 1: 2*1 + 0.5, 3: 2*0 + 1, 2: 2*0.25, 4: 0.
  EXPECT_EQ(OrdinalsOf(fused), (Ordinals{1, 3, 2, 4}));
  EXPECT_DOUBLE_EQ(fused.hits()[0].score, 2.5);
  EXPECT_DOUBLE_EQ(fused.hits()[1].score, 1.0);
  EXPECT_DOUBLE_EQ(fused.hits()[2].score, 0.5);
  EXPECT_DOUBLE_EQ(fused.hits()[3].score, 0.0);
}

TEST(SearchFusionTest, EqualScoresNormalizeToOne) {
  const std::vector<LaneHit> first = {Hit(5, 3), Hit(6, 3)};
  const std::vector<LaneHit> second = {Hit(6, -4)};
  const std::vector<LaneRanking> lanes = {{first, 1}, {second, 0.5}};
  const FusedRanking fused = Fuse(lanes, {v1::FUSION_METHOD_NORMALIZED_SCORE, 60});
  EXPECT_EQ(OrdinalsOf(fused), (Ordinals{6, 5}));
  EXPECT_DOUBLE_EQ(fused.hits()[0].score, 1.5);
  EXPECT_DOUBLE_EQ(fused.hits()[1].score, 1.0);
}

TEST(SearchFusionTest, LanesWithoutWeightFindNothingButAreTold) {
  const std::vector<LaneHit> first = {Hit(1, 2), Hit(2, 1)};
  const std::vector<LaneHit> second = {Hit(3, 2), Hit(2, 1)};
  for (const v1::FusionMethod method :
       {v1::FUSION_METHOD_RECIPROCAL_RANK, v1::FUSION_METHOD_NORMALIZED_SCORE}) {
    const std::vector<LaneRanking> lanes = {{first, 1}, {second, 0}};
    const FusedRanking fused = Fuse(lanes, {method, 60});
    ASSERT_EQ(OrdinalsOf(fused), (Ordinals{1, 2}));
    EXPECT_EQ(fused.RankIn(fused.hits()[0], 1), 0u);
    EXPECT_EQ(fused.RankIn(fused.hits()[1], 1), 2u);
  }
}

TEST(SearchFusionTest, NothingFusesToNothing) {
  EXPECT_TRUE(Fuse({}, {}).hits().empty());
  const std::vector<LaneRanking> lanes = {{{}, 1}, {{}, 1}};
  EXPECT_TRUE(Fuse(lanes, {}).hits().empty());
  EXPECT_TRUE(Fuse(lanes, {v1::FUSION_METHOD_NORMALIZED_SCORE, 60}).hits().empty());
}

TEST(SearchFusionTest, ALaneAloneKeepsOrderAndScores) {
  const std::vector<LaneHit> hits = {Hit(9, 2), Hit(4, 2), Hit(7, -1)};
  const FusedRanking ranking = AsRanking(hits);
  EXPECT_EQ(OrdinalsOf(ranking), (Ordinals{9, 4, 7}));
  for (size_t i = 0; i < hits.size(); ++i) {
    EXPECT_EQ(ranking.hits()[i].score, hits[i].score);
    EXPECT_EQ(ranking.RankIn(ranking.hits()[i], 0), i + 1);
  }
}

// The formulas, one object after the other.
std::vector<std::pair<Ordinal, double>> Naive(const std::vector<LaneRanking>& lanes,
                                              const FusionRule& rule) {
  std::set<Ordinal> objects;
  for (const LaneRanking& lane : lanes) {
    if (lane.weight == 0) continue;
    for (const LaneHit& hit : lane.hits) objects.insert(hit.ordinal);
  }
  std::vector<std::pair<Ordinal, double>> all;
  for (const Ordinal object : objects) {
    double score = 0;
    for (const LaneRanking& lane : lanes) {
      double least = 0, greatest = 0;
      for (size_t i = 0; i < lane.hits.size(); ++i) {
        least = i == 0 ? lane.hits[i].score : std::min(least, lane.hits[i].score);
        greatest = i == 0 ? lane.hits[i].score : std::max(greatest, lane.hits[i].score);
      }
      for (size_t i = 0; i < lane.hits.size(); ++i) {
        if (lane.hits[i].ordinal != object) continue;
        if (rule.method == v1::FUSION_METHOD_NORMALIZED_SCORE) {
          score += lane.weight *
                   (greatest == least ? 1.0 : (lane.hits[i].score - least) / (greatest - least));
        } else {
          score += lane.weight / (rule.rank_constant + static_cast<double>(i) + 1);
        }
      }
    }
    all.emplace_back(object, score);
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return all;
}

TEST(SearchFusionTest, IsTheFormulaOnRandomLanes) {
  std::mt19937_64 random(11);
  int ties = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::vector<LaneHit>> found(1 + random() % 5);
    std::vector<LaneRanking> lanes;
    for (std::vector<LaneHit>& hits : found) {
      std::set<Ordinal> ordinals;
      for (uint64_t i = random() % 30; i > 0; --i) ordinals.insert(1 + random() % 40);
      for (const Ordinal ordinal : ordinals) {
        hits.push_back(Hit(ordinal, static_cast<double>(random() % 12) - 6));
      }
      std::stable_sort(hits.begin(), hits.end(),
                       [](const LaneHit& a, const LaneHit& b) { return a.score > b.score; });
      lanes.push_back({hits, static_cast<double>(random() % 4) / 2});
    }
    const FusionRule rule = {
        random() % 2 == 0 ? v1::FUSION_METHOD_NORMALIZED_SCORE : v1::FUSION_METHOD_RECIPROCAL_RANK,
        static_cast<double>(1 + random() % 80)};
    const auto expected = Naive(lanes, rule);
    const FusedRanking fused = Fuse(lanes, rule);
    ASSERT_EQ(fused.hits().size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      const FusedRanking::Hit& hit = fused.hits()[i];
      ASSERT_EQ(hit.ordinal, expected[i].first);
      ASSERT_EQ(hit.score, expected[i].second);
      if (i > 0) ties += hit.score == fused.hits()[i - 1].score;
      for (size_t lane = 0; lane < lanes.size(); ++lane) {
        const auto& hits = found[lane];
        const auto at = std::find_if(hits.begin(), hits.end(), [&](const LaneHit& each) {
          return each.ordinal == hit.ordinal;
        });
        const auto rank = at == hits.end() ? 0 : at - hits.begin() + 1;
        ASSERT_EQ(fused.RankIn(hit, lane), static_cast<uint32_t>(rank));
      }
    }
  }
  EXPECT_GT(ties, 1000);
}

}  // namespace
}  // namespace cookix::engine
