#include "engine/api/search_fusion.h"

#include <algorithm>

#include "engine/graph/ordinal_map.h"

namespace cookix::engine {
namespace {

// What the hit at `index` of a lane adds.
class Contribution {
 public:
  Contribution(const LaneRanking& lane, const FusionRule& rule)
      : lane_(lane),
        by_rank_(rule.method != v1::FUSION_METHOD_NORMALIZED_SCORE),
        rank_constant_(rule.rank_constant) {
    if (lane.hits.empty()) return;
    least_ = lane.hits.back().score;
    range_ = lane.hits.front().score - least_;
  }

  double Of(size_t index) const {
    if (by_rank_) return lane_.weight / (rank_constant_ + static_cast<double>(index + 1));
    return range_ > 0 ? lane_.weight * ((lane_.hits[index].score - least_) / range_) : lane_.weight;
  }

 private:
  const LaneRanking& lane_;
  const bool by_rank_;
  const double rank_constant_;
  double least_ = 0;
  double range_ = 0;
};

}  // namespace

FusedRanking Fuse(std::span<const LaneRanking> lanes, const FusionRule& rule) {
  FusedRanking fused;
  fused.lanes_ = lanes.size();
  OrdinalMap rows;
  for (const LaneRanking& lane : lanes) {
    if (lane.weight == 0) continue;
    const Contribution contribution(lane, rule);
    for (size_t i = 0; i < lane.hits.size(); ++i) {
      const uint32_t next = static_cast<uint32_t>(fused.hits_.size());
      const auto [row, inserted] = rows.Insert(lane.hits[i].ordinal, next);
      if (inserted) fused.hits_.push_back({lane.hits[i].ordinal, 0, next});
      fused.hits_[*row].score += contribution.Of(i);
    }
  }
  // Lanes of weight 0 too: where they saw what the others found is worth knowing.
  fused.ranks_.resize(fused.hits_.size() * lanes.size());
  for (size_t lane = 0; lane < lanes.size(); ++lane) {
    for (size_t i = 0; i < lanes[lane].hits.size(); ++i) {
      const uint32_t* row = rows.FindValue(lanes[lane].hits[i].ordinal);
      if (row != nullptr) fused.ranks_[*row * lanes.size() + lane] = static_cast<uint32_t>(i + 1);
    }
  }
  std::sort(fused.hits_.begin(), fused.hits_.end(),
            [](const FusedRanking::Hit& a, const FusedRanking::Hit& b) {
              return a.score > b.score || (a.score == b.score && a.ordinal < b.ordinal);
            });
  return fused;
}

FusedRanking AsRanking(std::span<const LaneHit> hits) {
  FusedRanking ranking;
  ranking.hits_.reserve(hits.size());
  ranking.ranks_.reserve(hits.size());
  for (const LaneHit& hit : hits) {
    const uint32_t row = static_cast<uint32_t>(ranking.hits_.size());
    ranking.hits_.push_back({hit.ordinal, hit.score, row});
    ranking.ranks_.push_back(row + 1);
  }
  return ranking;
}

}  // namespace cookix::engine
