// What a search request asks for, checked as far as it can be without the data.
#ifndef COOKIX_ENGINE_API_SEARCH_PLAN_H_
#define COOKIX_ENGINE_API_SEARCH_PLAN_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/api/search_fusion.h"
#include "engine/limits.h"

namespace cookix::engine {

// One search within a request: its `vector`, its `text`, or one of its `lanes`.
struct LanePlan {
  // As the answer names it.
  std::string name;
  // What errors call the query, such as "searches[1].lanes[2].text".
  std::string path;
  // Exactly one is set. Borrowed from the request.
  const v1::VectorQuery* vector = nullptr;
  const v1::TextQuery* text = nullptr;
  const v1::NeighbourhoodQuery* neighbourhood = nullptr;
  double weight = 1;
  // How many of its best are looked at.
  int64_t candidates = 0;

  // What it looks by: "vector", "text" or "neighbourhood".
  std::string_view kind() const {
    if (vector != nullptr) return "vector";
    return text != nullptr ? "text" : "neighbourhood";
  }
};

struct SearchPlan {
  // At least one.
  std::vector<LanePlan> lanes;
  FusionRule fusion;
  int64_t limit = 0;
  int64_t group_limit = 1;
  // Hits that the answer may have, the lanes' own lists included.
  int64_t most_hits = 0;
  // `lanes` was given rather than `vector` and `text`: then a lane alone too looks at its
  // candidates only.
  bool by_lanes = false;

  bool fused() const { return lanes.size() > 1; }
};

// `prefix` stands before the fields in errors, such as "searches[2].". The plan borrows
// from `request`.
//
// INVALID_ARGUMENT, reason INVALID_FIELD or LIMIT_EXCEEDED, names the field.
absl::StatusOr<SearchPlan> PlanSearch(const v1::SearchRequest& request, const std::string& prefix,
                                      const Limits& limits);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_SEARCH_PLAN_H_
