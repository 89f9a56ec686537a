#include "engine/api/search_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "engine/api/walk_support.h"
#include "engine/filter/filter.h"
#include "engine/text/analyzer.h"
#include "engine/text/text_query.h"
#include "engine/write/validate.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr int64_t kDefaultLimit = 10;
constexpr int64_t kDefaultGroupLimit = 1;
// Of a lane, unless it says otherwise: so many for each hit wanted, and at least so many.
constexpr int64_t kCandidatesPerHit = 10;
constexpr int64_t kLeastCandidates = 100;
constexpr double kMaxWeight = 1e6;
constexpr int64_t kMaxRankConstant = 1'000'000;

absl::Status CheckVectorQuery(const v1::VectorQuery& query, const std::string& path,
                              const Limits& limits) {
  switch (query.target_case()) {
    case v1::VectorQuery::kVector:
      break;
    case v1::VectorQuery::kKey:
      COOKIX_RETURN_IF_ERROR(CheckKey(query.key(), path + ".key", limits));
      break;
    case v1::VectorQuery::TARGET_NOT_SET:
      return InvalidField(path, "neither vector nor key is set", "Set one of them");
  }
  COOKIX_RETURN_IF_ERROR(CheckedSize(query.ef(), 0, limits.max_ef, path + ".ef").status());
  COOKIX_RETURN_IF_ERROR(
      CheckedSize(query.cells_probed(), 0, limits.max_cells_probed, path + ".cells_probed")
          .status());
  switch (query.metric()) {
    case v1::VECTOR_METRIC_UNSPECIFIED:
    case v1::VECTOR_METRIC_COSINE:
    case v1::VECTOR_METRIC_L2:
    case v1::VECTOR_METRIC_DOT:
    case v1::VECTOR_METRIC_HAMMING:
      return absl::OkStatus();
    default:
      return InvalidField(path + ".metric", "the metric is unknown",
                          "Send cosine, l2 or dot, or leave it out");
  }
}

absl::Status CheckTextQuery(const v1::TextQuery& query, const std::string& path,
                            const Limits& limits) {
  if (!v1::TextQueryMode_IsValid(query.mode())) {
    return InvalidField(path + ".mode", "the mode is unknown",
                        "Send any words, all words, phrase or raw");
  }
  if (static_cast<int64_t>(query.text().size()) > limits.max_text_query_bytes) {
    return LimitExceeded(path + ".text",
                         absl::StrCat("the text has ", query.text().size(), " bytes, more than ",
                                      limits.max_text_query_bytes),
                         "Search for fewer words");
  }
  COOKIX_RETURN_IF_ERROR(ValidateText(query.text(), path + ".text"));
  // In an order of their own, so that the same request has the same error.
  const std::set<std::string> boosted = [&query] {
    std::set<std::string> names;
    for (const auto& [name, boost] : query.boosts()) names.insert(name);
    return names;
  }();
  for (const std::string& name : boosted) {
    const double boost = query.boosts().at(name);
    if (!(boost >= TextQuery::kMinBoost && boost <= TextQuery::kMaxBoost)) {
      return InvalidField(absl::StrCat(path, ".boosts[", name, "]"),
                          "the boost is not between 1e-6 and 1e6", "Send one that is");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckNeighbourhood(const v1::NeighbourhoodQuery& query, const std::string& path,
                                const Limits& limits) {
  if (query.anchors().empty()) {
    return InvalidField(path + ".anchors", "there is no anchor", "Send at least one");
  }
  if (query.anchors_size() > limits.max_neighbourhood_anchors) {
    return LimitExceeded(path + ".anchors",
                         absl::StrCat(query.anchors_size(), " anchors, more than ",
                                      limits.max_neighbourhood_anchors),
                         "Begin at fewer");
  }
  for (int i = 0; i < query.anchors_size(); ++i) {
    COOKIX_RETURN_IF_ERROR(
        CheckRef(query.anchors(i), absl::StrCat(path, ".anchors[", i, "]"), limits));
  }
  COOKIX_RETURN_IF_ERROR(CheckRelationNames(query.relations(), path + ".relations", limits));
  return CheckedSize(query.max_hops(), 0, limits.max_neighbourhood_hops, path + ".max_hops")
      .status();
}

absl::Status CheckQuery(const LanePlan& lane, const Limits& limits) {
  if (lane.vector != nullptr) return CheckVectorQuery(*lane.vector, lane.path, limits);
  if (lane.text != nullptr) return CheckTextQuery(*lane.text, lane.path, limits);
  return CheckNeighbourhood(*lane.neighbourhood, lane.path, limits);
}

// Of the nth of its kind, from 1: "text", "text2".
std::string NameOf(std::string_view kind, int nth) {
  return nth == 1 ? std::string(kind) : absl::StrCat(std::string(kind), nth);
}

class Planner {
 public:
  Planner(const v1::SearchRequest& request, const std::string& prefix, const Limits& limits)
      : request_(request), prefix_(prefix), limits_(limits) {}

  absl::StatusOr<SearchPlan> Plan() {
    COOKIX_RETURN_IF_ERROR(CollectLanes());
    for (const LanePlan& lane : plan_.lanes) COOKIX_RETURN_IF_ERROR(CheckQuery(lane, limits_));
    COOKIX_RETURN_IF_ERROR(PlanSizes());
    COOKIX_RETURN_IF_ERROR(PlanFusion());
    COOKIX_RETURN_IF_ERROR(CheckTextOptions());
    if (request_.has_min_score() && std::isnan(request_.min_score())) {
      return InvalidField(prefix_ + "min_score", "the score is not a number", "Send a number");
    }
    COOKIX_RETURN_IF_ERROR(CheckGroups());
    COOKIX_RETURN_IF_ERROR(PlanCandidates());
    return std::move(plan_);
  }

 private:
  absl::Status CollectLanes() {
    if (request_.lanes().empty()) {
      if (request_.has_vector()) AddLane("vector", prefix_ + "vector").vector = &request_.vector();
      if (request_.has_text()) AddLane("text", prefix_ + "text").text = &request_.text();
      if (plan_.lanes.empty()) {
        return InvalidField(prefix_ + "vector", "there is nothing to search for",
                            "Send a vector, the key of an object, a text, or lanes");
      }
      return absl::OkStatus();
    }
    plan_.by_lanes = true;
    if (request_.has_vector() || request_.has_text()) {
      return InvalidField(
          prefix_ + "lanes",
          absl::StrCat("lanes and ", request_.has_vector() ? "vector" : "text", " are both set"),
          "Make what is searched for a lane too");
    }
    if (request_.lanes_size() > limits_.max_search_lanes) {
      return LimitExceeded(
          prefix_ + "lanes",
          absl::StrCat(request_.lanes_size(), " lanes, more than ", limits_.max_search_lanes),
          "Search with fewer");
    }
    for (int i = 0; i < request_.lanes_size(); ++i) {
      COOKIX_RETURN_IF_ERROR(
          CollectLane(request_.lanes(i), absl::StrCat(prefix_, "lanes[", i, "]")));
    }
    return absl::OkStatus();
  }

  LanePlan& AddLane(std::string name, std::string path) {
    LanePlan& lane = plan_.lanes.emplace_back();
    lane.name = std::move(name);
    lane.path = std::move(path);
    return lane;
  }

  absl::Status CollectLane(const v1::SearchLane& asked, const std::string& path) {
    if (static_cast<int64_t>(asked.name().size()) > limits_.max_name_bytes) {
      return LimitExceeded(
          path + ".name", absl::StrCat("the name has more than ", limits_.max_name_bytes, " bytes"),
          "Choose a shorter one");
    }
    LanePlan& lane = AddLane(asked.name(), path);
    switch (asked.query_case()) {
      case v1::SearchLane::kVector:
        lane.vector = &asked.vector();
        SetNameAndPath(&vectors_, &lane);
        break;
      case v1::SearchLane::kText:
        lane.text = &asked.text();
        SetNameAndPath(&texts_, &lane);
        break;
      case v1::SearchLane::kNeighbourhood:
        lane.neighbourhood = &asked.neighbourhood();
        SetNameAndPath(&neighbourhoods_, &lane);
        break;
      case v1::SearchLane::QUERY_NOT_SET:
        return InvalidField(path, "the lane looks for nothing",
                            "Set vector, text or neighbourhood");
    }
    if (!names_.insert(lane.name).second) {
      return InvalidField(path + ".name", absl::StrCat("two lanes are called \"", lane.name, "\""),
                          "Give each its own name");
    }
    if (asked.weight() != 0 && !(asked.weight() > 0 && asked.weight() <= kMaxWeight)) {
      return InvalidField(path + ".weight", "the weight is not above 0 and at most 1e6",
                          "Send one that is, or 0 for 1");
    }
    if (asked.weight() != 0) lane.weight = asked.weight();
    return absl::OkStatus();
  }

  static void SetNameAndPath(int* count, LanePlan* lane) {
    ++*count;
    if (lane->name.empty()) lane->name = NameOf(lane->kind(), *count);
    absl::StrAppend(&lane->path, ".", ToAbsl(lane->kind()));
  }

  absl::Status PlanSizes() {
    COOKIX_ASSIGN_OR_RETURN(plan_.limit, CheckedSize(request_.limit(), kDefaultLimit,
                                                     limits_.max_search_limit, prefix_ + "limit"));
    COOKIX_ASSIGN_OR_RETURN(plan_.group_limit,
                            CheckedSize(request_.group_limit(), kDefaultGroupLimit,
                                        limits_.max_group_limit, prefix_ + "group_limit"));
    return absl::OkStatus();
  }

  absl::Status PlanFusion() {
    if (!request_.has_fusion()) return absl::OkStatus();
    const v1::Fusion& fusion = request_.fusion();
    const std::string path = prefix_ + "fusion";
    if (!plan_.fused()) {
      return InvalidField(path, "there is one lane, and nothing to fuse",
                          "Leave fusion out, or send several lanes");
    }
    if (!v1::FusionMethod_IsValid(fusion.method())) {
      return InvalidField(path + ".method", "the method is unknown",
                          "Send reciprocal rank or normalized score");
    }
    if (fusion.method() != v1::FUSION_METHOD_UNSPECIFIED) plan_.fusion.method = fusion.method();
    COOKIX_ASSIGN_OR_RETURN(
        const int64_t constant,
        CheckedSize(fusion.rank_constant(), 60, kMaxRankConstant, path + ".rank_constant"));
    if (fusion.rank_constant() != 0 && plan_.fusion.method != v1::FUSION_METHOD_RECIPROCAL_RANK) {
      return InvalidField(path + ".rank_constant", "scores are normalized without a rank constant",
                          "Leave it out, or fuse by reciprocal rank");
    }
    plan_.fusion.rank_constant = static_cast<double>(constant);
    return fusion.has_alpha() ? PlanAlpha(fusion.alpha(), path + ".alpha") : absl::OkStatus();
  }

  absl::Status PlanAlpha(double alpha, const std::string& path) {
    if (!(alpha >= 0 && alpha <= 1)) {
      return InvalidField(path, "alpha is not between 0 and 1", "Send one that is");
    }
    const auto is_vector = [](const LanePlan& lane) { return lane.vector != nullptr; };
    const auto is_text = [](const LanePlan& lane) { return lane.text != nullptr; };
    std::vector<LanePlan>& lanes = plan_.lanes;
    if (lanes.size() != 2 || std::count_if(lanes.begin(), lanes.end(), is_vector) != 1 ||
        std::count_if(lanes.begin(), lanes.end(), is_text) != 1) {
      return InvalidField(path, "alpha is for one vector lane and one text lane",
                          "Give the lanes weights instead");
    }
    for (const v1::SearchLane& lane : request_.lanes()) {
      if (lane.weight() != 0) {
        return InvalidField(path, "alpha is set, and so is the weight of a lane",
                            "Leave one of them out");
      }
    }
    for (LanePlan& lane : lanes) lane.weight = is_vector(lane) ? alpha : 1 - alpha;
    return absl::OkStatus();
  }

  absl::Status CheckTextOptions() const {
    const bool by_words = std::any_of(plan_.lanes.begin(), plan_.lanes.end(),
                                      [](const LanePlan& lane) { return lane.text != nullptr; });
    if (request_.count_matches() && !by_words) {
      return InvalidField(prefix_ + "count_matches", "only matches of words are counted",
                          "Leave it out, or search for a text");
    }
    if (!request_.has_snippets()) return absl::OkStatus();
    if (!by_words) {
      return InvalidField(prefix_ + "snippets", "snippets show the words of a text query",
                          "Leave them out, or search for a text");
    }
    const v1::SnippetOptions& options = request_.snippets();
    COOKIX_RETURN_IF_ERROR(CheckedSize(options.max_words(), 0, limits_.max_snippet_words,
                                       prefix_ + "snippets.max_words")
                               .status());
    return CheckedSize(options.max_snippets(), 0, limits_.max_snippets,
                       prefix_ + "snippets.max_snippets")
        .status();
  }

  absl::Status CheckGroups() const {
    const std::string path = prefix_ + "group_by";
    if (request_.group_by().empty()) {
      if (request_.group_limit() == 0) return absl::OkStatus();
      return InvalidField(prefix_ + "group_limit", "there are no groups without group_by",
                          "Name a property in group_by, or leave group_limit out");
    }
    if (request_.group_by().front() == '$') {
      return InvalidField(path, "groups are made of properties only", "Name a property");
    }
    v1::Filter has_value;
    has_value.mutable_existence()->set_field(request_.group_by());
    const auto exists = CompiledFilter::Compile(has_value, "group_by", limits_);
    if (!exists.ok()) return WithField(exists.status(), path);
    if (plan_.limit * plan_.group_limit <= limits_.max_search_hits) return absl::OkStatus();
    return LimitExceeded(prefix_ + "group_limit",
                         absl::StrCat(plan_.limit, " groups of ", plan_.group_limit,
                                      " hits are more than ", limits_.max_search_hits, " hits"),
                         "Ask for fewer groups, or for fewer hits of each");
  }

  absl::Status PlanCandidates() {
    const int64_t wanted = plan_.limit * plan_.group_limit;
    const int64_t by_default =
        std::clamp(wanted * kCandidatesPerHit, kLeastCandidates, limits_.max_lane_candidates);
    plan_.most_hits = wanted;
    for (size_t i = 0; i < plan_.lanes.size(); ++i) {
      LanePlan& lane = plan_.lanes[i];
      lane.candidates = by_default;
      if (!plan_.by_lanes) {
        if (!plan_.fused()) lane.candidates = wanted;
      } else {
        const int64_t asked = request_.lanes(static_cast<int>(i)).candidates();
        const std::string path = absl::StrCat(prefix_, "lanes[", i, "].candidates");
        COOKIX_ASSIGN_OR_RETURN(lane.candidates,
                                CheckedSize(asked, by_default, limits_.max_lane_candidates, path));
        if (lane.candidates < plan_.limit) {
          return InvalidField(path,
                              absl::StrCat("the lane looks at ", lane.candidates,
                                           " candidates for ", plan_.limit, " hits"),
                              "Send at least the limit, or 0 for the default");
        }
      }
      if (request_.with_lanes()) plan_.most_hits += lane.candidates;
    }
    if (plan_.most_hits <= limits_.max_search_hits) return absl::OkStatus();
    return LimitExceeded(
        prefix_ + "with_lanes",
        absl::StrCat("the answer and the lists of the lanes may have ", plan_.most_hits,
                     " hits, more than ", limits_.max_search_hits),
        "Ask for fewer candidates, or without the lists");
  }

  const v1::SearchRequest& request_;
  const std::string& prefix_;
  const Limits& limits_;
  SearchPlan plan_;
  std::set<std::string> names_;
  int vectors_ = 0;
  int texts_ = 0;
  int neighbourhoods_ = 0;
};

}  // namespace

absl::StatusOr<SearchPlan> PlanSearch(const v1::SearchRequest& request, const std::string& prefix,
                                      const Limits& limits) {
  return Planner(request, prefix, limits).Plan();
}

}  // namespace cookix::engine
