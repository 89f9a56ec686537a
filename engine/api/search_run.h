// One search under way: its lanes, what they found put together, and the answer.
#ifndef COOKIX_ENGINE_API_SEARCH_RUN_H_
#define COOKIX_ENGINE_API_SEARCH_RUN_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/api/answer_bytes.h"
#include "engine/api/search_lane.h"
#include "engine/api/search_plan.h"
#include "engine/api/search_snippets.h"
#include "engine/api/text_lane.h"
#include "engine/filter/filter.h"
#include "engine/filter/ordinal_set.h"
#include "engine/limits.h"

namespace cookix::engine {

// What the searches of one call share.
struct SearchShared {
  explicit SearchShared(const Limits& limits) : bytes(limits) {}

  // By filter.
  std::unordered_map<std::string, std::shared_ptr<const OrdinalSet>> matching;
  AnswerBytes bytes;
};

class SearchRun {
 public:
  // Everything is borrowed, for as long as the run lives.
  SearchRun(Database& database, const CallContext& context, const NamespaceView& view,
            const v1::SearchRequest& request, const SearchPlan& plan, const std::string& prefix,
            SearchShared& shared);

  // Fills all but the position. REQUIRES: called once.
  absl::Status Answer(v1::SearchResponse* response);

 private:
  struct Candidate {
    FusedRanking::Hit hit;
    double distance = 0;
  };
  struct Group {
    v1::Value value;
    std::vector<Candidate> members;
  };
  // What an object is grouped by; none when it has no such property.
  struct GroupValue {
    std::optional<Scalar> scalar;
    v1::Value value;
  };

  absl::Status MakeLanes();
  absl::Status EvaluateFilter();
  // Only what matches and is in the collection.
  absl::Status Narrow(std::shared_ptr<const CompiledFilter> filter);
  absl::StatusOr<std::shared_ptr<const OrdinalSet>> Matching(const CompiledFilter& filter);

  // Runs the lanes and puts their answers together. A lane alone looks for `candidates`
  // unless it has a number of its own.
  absl::Status Find(int64_t candidates);
  absl::Status FindIn(size_t lane, int64_t candidates);
  void FuseLanes();
  absl::Status CountAll();

  // Calls `each` with the candidates in order, until it returns false or the scores are too
  // low. Returns how many scores were.
  absl::StatusOr<int64_t> ForEachCandidate(
      absl::FunctionRef<absl::StatusOr<bool>(const Candidate&)> each);
  absl::Status FillHits();
  // Looks at more and more candidates, until the best groups are full.
  absl::Status FillGroups();
  // Makes groups of the candidates there are; returns how many groups are full, and adds up
  // what has no room.
  absl::StatusOr<int64_t> MakeGroups(std::vector<Group>* groups, int64_t* left_out);
  absl::StatusOr<const GroupValue*> GroupOf(Ordinal ordinal);
  absl::Status FillHit(const Candidate& candidate, v1::Hit* hit);
  absl::Status FillRecord(Ordinal ordinal, v1::Hit* hit);
  // Counts what the answer holds: LIMIT_EXCEEDED, naming `field`, when that is too much.
  absl::Status TakeBytes(size_t bytes, const char* field);
  absl::Status FillLaneLists();

  // Null unless stages were asked for.
  v1::PlanStage* AddStage(const std::string& name, std::string detail, int64_t input,
                          int64_t output, int64_t elapsed_us);
  void AddFetchStage(int64_t candidates, int64_t elapsed_us);

  Database& database_;
  const Limits& limits_;
  const CallContext& context_;
  const NamespaceView& view_;
  const v1::SearchRequest& request_;
  const SearchPlan& plan_;
  const std::string& prefix_;
  SearchShared& shared_;

  v1::SearchResponse* response_ = nullptr;
  v1::SearchDiagnostics* diagnostics_ = nullptr;
  const CollectionInfo* collection_ = nullptr;
  std::optional<LaneScope> scope_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  // Those of lanes_ that look for words.
  std::vector<TextLane*> text_lanes_;
  // Time to make each lane, until it is told.
  std::vector<int64_t> resolve_us_;
  std::shared_ptr<const CompiledFilter> filter_;
  std::shared_ptr<const OrdinalSet> accept_;
  FusedRanking ranking_;
  // No lane has more candidates that could be a hit.
  bool seen_all_ = false;
  std::unordered_map<Ordinal, GroupValue> group_values_;
  std::optional<SnippetMaker> snippets_;
  int64_t snippet_us_ = 0;
  int64_t filled_ = 0;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_SEARCH_RUN_H_
