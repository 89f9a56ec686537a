// The lane that looks for words.
#ifndef COOKIX_ENGINE_API_TEXT_LANE_H_
#define COOKIX_ENGINE_API_TEXT_LANE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/api/search_lane.h"
#include "engine/text/analyzed_query.h"
#include "engine/text/text_search.h"

namespace cookix::engine {

class TextLane final : public Lane {
 public:
  static absl::StatusOr<std::unique_ptr<TextLane>> Make(const LaneScope& scope,
                                                        const LanePlan& plan);

  absl::Status Find(int64_t limit, const std::shared_ptr<const OrdinalSet>& accept) override;
  void Explain(v1::PlanStage* stage) const override;

  // The next Find() counts all matches.
  void Count() { count_ = true; }
  // Of the last Find() that counted.
  int64_t total() const { return total_; }

  // All text fields of the collection, in the order of the catalog, and the query in terms
  // of them.
  const std::vector<TextQueryField>& fields() const { return fields_; }
  const AnalyzedQuery& query() const { return query_; }
  // The terms that the query's prefix and fuzzy words stood for.
  const std::vector<std::string>& expansions() const { return result_.expansions; }

 private:
  TextLane(const LaneScope& scope, const LanePlan& plan)
      : scope_(scope), asked_(*plan.text), path_(plan.path) {}

  absl::Status Resolve();
  absl::Status ChooseFields();
  absl::Status SetBoosts();
  absl::Status CheckPositions(const AnalyzedQuery& query) const;
  absl::StatusOr<TextQueryField*> RequireField(const std::string& name, const std::string& path);

  const LaneScope scope_;
  const v1::TextQuery& asked_;
  const std::string path_;
  std::vector<TextQueryField> fields_;
  AnalyzedQuery query_;
  TextSearchResult result_;
  bool count_ = false;
  int64_t total_ = 0;
  int64_t analyze_us_ = 0;
  // Calls of Find().
  int64_t rounds_ = 0;
};

// How many objects of `accept` (null = all) any of the queries matches; all are of the
// collection of `scope`.
absl::StatusOr<int64_t> CountMatches(const LaneScope& scope,
                                     const std::vector<const TextLane*>& lanes,
                                     const std::shared_ptr<const OrdinalSet>& accept);

// The queries as one that matches what any of them does.
AnalyzedQuery AnyOf(const std::vector<const TextLane*>& lanes);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_TEXT_LANE_H_
