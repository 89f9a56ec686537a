#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/api/search_lane.h"
#include "engine/api/walk_support.h"
#include "engine/database.h"
#include "engine/graph/geodesic.h"
#include "engine/graph/ordinal_map.h"
#include "engine/graph/steps.h"
#include "engine/stopwatch.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr int kDefaultHops = 2;

// The objects that the lightest paths lead to.
class NeighbourhoodLane final : public Lane {
 public:
  NeighbourhoodLane(const LaneScope& scope, const LanePlan& plan)
      : scope_(scope), query_(*plan.neighbourhood), path_(plan.path) {}

  absl::Status Resolve() {
    for (int i = 0; i < query_.anchors_size(); ++i) {
      COOKIX_ASSIGN_OR_RETURN(
          const Ordinal anchor,
          scope_.view.FindOrdinal(query_.anchors(i), absl::StrCat(path_, ".anchors[", i, "]")));
      // Where nothing is known of it, nothing follows.
      if (anchor != 0 && is_anchor_.Insert(anchor, 0).second) anchors_.push_back(anchor);
    }
    return absl::OkStatus();
  }

  absl::Status Find(int64_t limit, const std::shared_ptr<const OrdinalSet>& accept) override {
    Stopwatch watch;
    const std::unique_ptr<ArcReader> arcs = scope_.database.Arcs(scope_.context, scope_.view);
    StepRules rules;
    rules.relations = {query_.relations().begin(), query_.relations().end()};
    StepExpander steps(scope_.context, scope_.view, *arcs, rules,
                       scope_.database.limits().max_edges_examined);
    FoundPaths answers(limit, /*by_hops=*/false);
    absl::Status status;
    GeodesicRequest search;
    search.max_hops = query_.max_hops() == 0 ? kDefaultHops : query_.max_hops();
    search.limit = limit;
    search.accept = [&](Ordinal ordinal) {
      if (!status.ok() || is_anchor_.FindValue(ordinal) != nullptr) return false;
      if (accept != nullptr) return accept->Contains(ordinal);
      const absl::StatusOr<bool> is_object = IsObjectOfCollection(ordinal);
      if (!is_object.ok()) status = is_object.status();
      return is_object.ok() && *is_object;
    };
    found_ = {};
    found_.strategy = "paths";
    found_.all = true;
    for (const Ordinal anchor : anchors_) {
      search.anchor = anchor;
      search.max_weight = answers.max_weight();
      COOKIX_ASSIGN_OR_RETURN(GeodesicResult result, Geodesic(steps, search));
      COOKIX_RETURN_IF_ERROR(status);
      found_.candidates_considered += result.settled;
      answers.Add(std::move(result.found));
    }
    edges_examined_ = steps.edges_examined();
    paths_ = std::move(answers).Take();
    found_.all = static_cast<int64_t>(paths_.size()) < limit;
    for (const FoundPath& path : paths_) {
      found_.hits.push_back({path.ordinal, 0.0 - path.weight, path.weight});
    }
    found_.search_us = watch.Lap();
    return absl::OkStatus();
  }

  void Explain(v1::PlanStage* stage) const override {
    stage->set_detail(absl::StrCat(anchors_.size(), " of ", query_.anchors_size(),
                                   " anchors known, ", edges_examined_, " edges looked at"));
    stage->set_input(found_.candidates_considered);
  }

  absl::Status FillHit(size_t index, v1::Hit* hit) const override {
    const FoundPath& path = paths_[index];
    hit->set_hops(path.hops);
    return FillPath(scope_.view, path.anchor, path.steps, /*valid_at_ms=*/0, hit->mutable_path());
  }

 private:
  absl::StatusOr<bool> IsObjectOfCollection(Ordinal ordinal) const {
    CollectionId collection = 0;
    COOKIX_ASSIGN_OR_RETURN(const bool named, scope_.view.FindName(ordinal, &collection, &key_));
    if (!named || collection != scope_.collection.id) return false;
    internal::v1::ObjectRecord record;
    COOKIX_ASSIGN_OR_RETURN(const bool there, scope_.view.ReadRecord(ordinal, &record));
    return there && record.exists();
  }

  const LaneScope scope_;
  const v1::NeighbourhoodQuery& query_;
  const std::string path_;
  OrdinalMap is_anchor_;
  std::vector<Ordinal> anchors_;
  std::vector<FoundPath> paths_;
  int64_t edges_examined_ = 0;
  mutable std::string key_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Lane>> MakeNeighbourhoodLane(const LaneScope& scope,
                                                            const LanePlan& plan) {
  auto lane = std::make_unique<NeighbourhoodLane>(scope, plan);
  COOKIX_RETURN_IF_ERROR(lane->Resolve());
  return lane;
}

}  // namespace cookix::engine
