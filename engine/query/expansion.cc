#include "engine/query/expansion.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "engine/graph/geodesic.h"
#include "engine/graph/steps.h"
#include "engine/query/row_sorter.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

bool SmallerWay(const QueryRow& a, const QueryRow& b) {
  if (a.anchor != b.anchor) return a.anchor < b.anchor;
  return std::lexicographical_compare(a.steps.begin(), a.steps.end(), b.steps.begin(),
                                      b.steps.end(),
                                      [](const Step& x, const Step& y) { return x.to < y.to; });
}

// The best row for each object.
class BestRows {
 public:
  BestRows(const Limits& limits, QueryMemory& memory, std::string_view field)
      : limits_(limits), memory_(memory), field_(field) {}

  // The way of `path` behind that of `from`.
  absl::Status Add(const QueryRow& from, FoundPath&& path) {
    const double weight = from.weight + path.weight;
    const size_t hops = from.steps.size() + path.steps.size();
    auto [at, inserted] = index_.try_emplace(path.ordinal, rows_.size());
    if (!inserted) {
      const QueryRow& best = rows_[at->second];
      const size_t best_hops = best.steps.size();
      if (std::tie(weight, hops) > std::tie(best.weight, best_hops)) return absl::OkStatus();
    }
    QueryRow row;
    row.ordinal = path.ordinal;
    row.seed_score = from.seed_score;
    row.weight = weight;
    row.score = weight == 0 ? 0 : -weight;
    row.anchor = from.anchor;
    if (from.steps.empty()) {
      row.steps = std::move(path.steps);
    } else {
      row.steps.reserve(hops);
      row.steps = from.steps;
      row.steps.insert(row.steps.end(), path.steps.begin(), path.steps.end());
    }
    if (inserted) return Append(std::move(row));
    QueryRow& best = rows_[at->second];
    const size_t best_hops = best.steps.size();
    if (std::tie(weight, hops) < std::tie(best.weight, best_hops) || SmallerWay(row, best)) {
      memory_.GiveBack(BytesOfRow(best));
      best = std::move(row);
      return memory_.Take(BytesOfRow(best));
    }
    return absl::OkStatus();
  }

  std::vector<QueryRow> Take(int64_t limit) && {
    std::sort(rows_.begin(), rows_.end(), [](const QueryRow& a, const QueryRow& b) {
      const size_t a_hops = a.steps.size();
      const size_t b_hops = b.steps.size();
      return std::tie(a.weight, a_hops, a.ordinal) < std::tie(b.weight, b_hops, b.ordinal);
    });
    if (limit > 0 && static_cast<int64_t>(rows_.size()) > limit) {
      rows_.resize(static_cast<size_t>(limit));
    }
    return std::move(rows_);
  }

 private:
  absl::Status Append(QueryRow&& row) {
    if (static_cast<int64_t>(rows_.size()) == limits_.max_query_rows) {
      return LimitExceeded(
          field_,
          "the step reaches more than " + std::to_string(limits_.max_query_rows) + " objects",
          "Follow fewer relations or hops, or start from fewer objects");
    }
    rows_.push_back(std::move(row));
    return memory_.Take(BytesOfRow(rows_.back()));
  }

  const Limits& limits_;
  QueryMemory& memory_;
  const std::string_view field_;
  std::unordered_map<Ordinal, size_t> index_;
  std::vector<QueryRow> rows_;
};

}  // namespace

absl::StatusOr<Expansion> Expand(const CallContext& context, const NamespaceView& view,
                                 ArcReader& arcs, const v1::PlanExpand& step, int64_t valid_at_ms,
                                 const std::vector<QueryRow>& from, const Limits& limits,
                                 QueryMemory& memory, std::string_view field) {
  StepRules rules;
  rules.direction =
      step.direction() == v1::DIRECTION_UNSPECIFIED ? v1::DIRECTION_OUT : step.direction();
  rules.relations = {step.relations().begin(), step.relations().end()};
  rules.follow_inverses = step.follow_inverses();
  rules.valid_at_ms = valid_at_ms;
  StepExpander steps(context, view, arcs, rules, limits.max_edges_examined);
  BestRows best(limits, memory, field);
  for (const QueryRow& row : from) {
    COOKIX_RETURN_IF_ERROR(context.Check());
    GeodesicRequest request;
    request.anchor = row.ordinal;
    request.max_hops = step.max_hops();
    // What is nearest of all is among the nearest of where its path begins.
    request.limit = step.limit() > 0 ? step.limit() : limits.max_query_rows + 1;
    COOKIX_ASSIGN_OR_RETURN(GeodesicResult result, Geodesic(steps, request));
    for (FoundPath& path : result.found) COOKIX_RETURN_IF_ERROR(best.Add(row, std::move(path)));
  }
  Expansion expansion;
  expansion.rows = std::move(best).Take(step.limit());
  expansion.edges_examined = steps.edges_examined();
  return expansion;
}

}  // namespace cookix::engine
