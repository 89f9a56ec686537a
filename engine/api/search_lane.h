// A lane: one of the searches that an answer is made of, bound to the data it reads.
#ifndef COOKIX_ENGINE_API_SEARCH_LANE_H_
#define COOKIX_ENGINE_API_SEARCH_LANE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/common.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/api/search_fusion.h"
#include "engine/api/search_plan.h"
#include "engine/call_context.h"
#include "engine/catalog/catalog.h"
#include "engine/filter/ordinal_set.h"
#include "engine/read_view.h"

namespace cookix::engine {

class Database;

// What the lanes of a search read. Borrowed; outlives them.
struct LaneScope {
  Database& database;
  const CallContext& context;
  const NamespaceView& view;
  const CollectionInfo& collection;
};

// What a lane found, and how.
struct LaneFound {
  // Best first, objects of the collection that exist.
  std::vector<LaneHit> hits;
  // There are no others.
  bool all = false;
  // As in SearchDiagnostics.
  std::string strategy;
  bool exact = true;
  int64_t candidates_considered = 0;
  int64_t tail_scanned = 0;
  int64_t cells_read = 0;
  int64_t search_us = 0;
  int64_t rerank_us = 0;
};

// For one search, in one thread.
class Lane {
 public:
  virtual ~Lane() = default;

  // Looks for the best `limit` of `accept` (null = all) and forgets what was found before.
  virtual absl::Status Find(int64_t limit, const std::shared_ptr<const OrdinalSet>& accept) = 0;

  const LaneFound& found() const { return found_; }

  // Says in `stage` what the last Find() did, but for its time.
  virtual void Explain(v1::PlanStage* stage) const = 0;

  // Adds what a hit of this lane has beside its score. `index` counts found().hits.
  virtual absl::Status FillHit(size_t /*index*/, v1::Hit* /*hit*/) const {
    return absl::OkStatus();
  }

 protected:
  LaneFound found_;
};

// The errors of these name fields of the lane's query.
absl::StatusOr<std::unique_ptr<Lane>> MakeVectorLane(const LaneScope& scope, const LanePlan& plan);
absl::StatusOr<std::unique_ptr<Lane>> MakeNeighbourhoodLane(const LaneScope& scope,
                                                            const LanePlan& plan);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_SEARCH_LANE_H_
