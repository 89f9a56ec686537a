// How the answers of several lanes are made one: see Fusion in
// proto/cookix/v1/search_service.proto. Pure functions.
#ifndef COOKIX_ENGINE_API_SEARCH_FUSION_H_
#define COOKIX_ENGINE_API_SEARCH_FUSION_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cookix/v1/search_service.pb.h"
#include "engine/records.h"

namespace cookix::engine {

// What a lane found: higher scores are better, distances are native.
struct LaneHit {
  Ordinal ordinal = 0;
  double score = 0;
  double distance = 0;
};

// The answer of one lane to be fused. Borrowed.
struct LaneRanking {
  // Best first, each object once, scores finite.
  std::span<const LaneHit> hits;
  // Not negative. What is found by lanes of weight 0 only is not found at all.
  double weight = 1;
};

struct FusionRule {
  v1::FusionMethod method = v1::FUSION_METHOD_RECIPROCAL_RANK;
  // k of RECIPROCAL_RANK.
  double rank_constant = 60;
};

// Objects of several lanes in one order.
class FusedRanking {
 public:
  struct Hit {
    Ordinal ordinal = 0;
    double score = 0;
    // Where its ranks are.
    uint32_t row = 0;
  };

  // Best first: the higher score, then the smaller ordinal.
  const std::vector<Hit>& hits() const { return hits_; }
  // Of `hit` in lane number `lane`, from 1; 0 where the lane did not find it.
  uint32_t RankIn(const Hit& hit, size_t lane) const { return ranks_[hit.row * lanes_ + lane]; }

 private:
  friend FusedRanking Fuse(std::span<const LaneRanking>, const FusionRule&);
  friend FusedRanking AsRanking(std::span<const LaneHit>);

  size_t lanes_ = 1;
  std::vector<Hit> hits_;
  std::vector<uint32_t> ranks_;
};

// The scores are sums in the order of the lanes, so that equal input gives equal bits.
FusedRanking Fuse(std::span<const LaneRanking> lanes, const FusionRule& rule);

// One lane alone: its own order and scores.
FusedRanking AsRanking(std::span<const LaneHit> hits);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_SEARCH_FUSION_H_
