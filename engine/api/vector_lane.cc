#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/api/search_lane.h"
#include "engine/database.h"
#include "engine/vector/vector_field.h"
#include "engine/vector/vector_search.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using storage::Family;

bool ComparesFloats(v1::VectorMetric metric) {
  return metric == v1::VECTOR_METRIC_COSINE || metric == v1::VECTOR_METRIC_L2 ||
         metric == v1::VECTOR_METRIC_DOT;
}

double ScoreOf(v1::VectorMetric metric, double distance) {
  return metric == v1::VECTOR_METRIC_COSINE ? 1.0 - distance : 0.0 - distance;
}

// The nearest objects by one vector field.
class VectorLane final : public Lane {
 public:
  VectorLane(const LaneScope& scope, const LanePlan& plan)
      : scope_(scope), query_(*plan.vector), path_(plan.path) {}

  absl::Status Resolve() {
    COOKIX_ASSIGN_OR_RETURN(field_, RequireVectorField(scope_.collection.record.collection(),
                                                       query_.field(), path_ + ".field"));
    COOKIX_RETURN_IF_ERROR(ResolveMetric());
    const bool by_key = query_.target_case() == v1::VectorQuery::kKey;
    const std::string path = path_ + (by_key ? ".key" : ".vector");
    if (by_key) {
      COOKIX_RETURN_IF_ERROR(TakeVectorOf(query_.key(), path));
    } else {
      search_.vector = &query_.vector();
    }
    // One vector, for the metric that it is compared by.
    v1::VectorField one = *field_;
    one.clear_multi();
    one.set_metric(metric_);
    COOKIX_RETURN_IF_ERROR(CheckVector(one, *search_.vector, path));
    search_.collection = scope_.collection.id;
    search_.field = field_;
    search_.ef = query_.ef();
    search_.cells_probed = query_.cells_probed();
    search_.exact = query_.exact() || search_.metric != v1::VECTOR_METRIC_UNSPECIFIED;
    return absl::OkStatus();
  }

  absl::Status Find(int64_t limit, const std::shared_ptr<const OrdinalSet>& accept) override {
    // One more, when the object searched for may be among them.
    search_.limit = limit + (self_ != 0 ? 1 : 0);
    search_.accept = accept;
    VectorSearchResult result;
    COOKIX_RETURN_IF_ERROR(
        scope_.database.FindNearest(scope_.context, scope_.view, search_, &result));
    found_ = {};
    found_.all = static_cast<int64_t>(result.hits.size()) < search_.limit;
    found_.hits.reserve(result.hits.size());
    for (const VectorHit& hit : result.hits) {
      if (hit.ordinal == self_) continue;
      if (static_cast<int64_t>(found_.hits.size()) == limit) break;
      found_.hits.push_back({hit.ordinal, ScoreOf(metric_, hit.distance), hit.distance});
    }
    found_.strategy = std::move(result.strategy);
    found_.exact = result.exact;
    found_.candidates_considered = result.candidates_considered;
    found_.tail_scanned = result.tail_scanned;
    found_.cells_read = result.cells_read;
    found_.search_us = result.search_us;
    found_.rerank_us = result.rerank_us;
    return absl::OkStatus();
  }

  void Explain(v1::PlanStage* stage) const override {
    std::string detail = absl::StrCat("field ", field_->name(), ", ", found_.strategy,
                                      found_.exact ? ", exact" : ", approximate");
    if (found_.tail_scanned > 0) {
      absl::StrAppend(&detail, ", ", found_.tail_scanned, " not indexed yet");
    }
    if (found_.cells_read > 0) absl::StrAppend(&detail, ", ", found_.cells_read, " cells read");
    stage->set_detail(std::move(detail));
    stage->set_input(found_.candidates_considered);
    v1::PlanStage* search = stage->add_stages();
    search->set_name("search");
    search->set_detail("distances taken");
    search->set_input(found_.candidates_considered);
    search->set_output(static_cast<int64_t>(found_.hits.size()));
    search->set_elapsed_us(found_.search_us);
    if (found_.rerank_us == 0) return;
    v1::PlanStage* rerank = stage->add_stages();
    rerank->set_name("rerank");
    rerank->set_detail("the best compared again");
    rerank->set_input(-1);
    rerank->set_output(static_cast<int64_t>(found_.hits.size()));
    rerank->set_elapsed_us(found_.rerank_us);
  }

 private:
  absl::Status ResolveMetric() {
    metric_ = field_->metric();
    if (query_.metric() == v1::VECTOR_METRIC_UNSPECIFIED || query_.metric() == metric_) {
      return absl::OkStatus();
    }
    if (IsSparse(*field_) || !ComparesFloats(metric_) || !ComparesFloats(query_.metric())) {
      return InvalidField(
          path_ + ".metric",
          absl::StrCat("the field \"", field_->name(), "\" cannot be compared by this metric"),
          "Leave the metric out: only cosine, l2 and dot replace each other");
    }
    metric_ = query_.metric();
    search_.metric = metric_;
    return absl::OkStatus();
  }

  absl::Status TakeVectorOf(const std::string& key, const std::string& path) {
    const NamespaceView& view = scope_.view;
    v1::ObjectRef ref;
    ref.set_collection(scope_.collection.record.collection().name());
    ref.set_key(key);
    COOKIX_ASSIGN_OR_RETURN(self_, view.FindOrdinal(ref, path));
    internal::v1::ObjectRecord record;
    bool found = false;
    if (self_ != 0) {
      COOKIX_ASSIGN_OR_RETURN(found, view.ReadRecord(self_, &record));
    }
    if (!found || !record.exists()) {
      return NotFound("OBJECT_NOT_FOUND", path, absl::StrCat("object \"", key, "\" does not exist"),
                      "Check collection and key");
    }
    std::string value;
    COOKIX_ASSIGN_OR_RETURN(
        const bool has,
        view.snapshot->Get(Family::kVectors, ObjectKey(view.id(), self_) + field_->name(), &value));
    if (!has) {
      return InvalidField(
          path,
          absl::StrCat("object \"", key, "\" has no vector in the field \"", field_->name(), "\""),
          "Name an object that has one, or send a vector");
    }
    if (!taken_.ParseFromString(value)) {
      return Corruption("a vector is malformed", "Restore the store from a checkpoint");
    }
    // Of several vectors, the first.
    if (field_->multi() && taken_.values_size() > field_->dimension()) {
      taken_.mutable_values()->Truncate(field_->dimension());
    }
    search_.vector = &taken_;
    return absl::OkStatus();
  }

  const LaneScope scope_;
  const v1::VectorQuery& query_;
  const std::string path_;
  // Of the catalog that the view holds.
  const v1::VectorField* field_ = nullptr;
  v1::VectorMetric metric_ = v1::VECTOR_METRIC_UNSPECIFIED;
  // The object whose vector is searched for; 0 = none.
  Ordinal self_ = 0;
  v1::Vector taken_;
  VectorSearch search_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Lane>> MakeVectorLane(const LaneScope& scope, const LanePlan& plan) {
  auto lane = std::make_unique<VectorLane>(scope, plan);
  COOKIX_RETURN_IF_ERROR(lane->Resolve());
  return lane;
}

}  // namespace cookix::engine
