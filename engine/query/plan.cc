#include "engine/query/plan.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/query/bring_query.h"
#include "engine/query/plan_check.h"
#include "engine/query/search_parser.h"
#include "engine/records.h"
#include "engine/write/validate.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr int64_t kDefaultRows = 10;
// Of a search that relations are followed from; as many as AnchorSearch has.
constexpr int64_t kDefaultSeeds = 5;

// Each name once, where it stands first.
void KeepFirst(NameList* names) {
  std::set<std::string> seen;
  NameList kept;
  for (std::string& name : *names) {
    if (seen.insert(name).second) *kept.Add() = std::move(name);
  }
  names->Swap(&kept);
}

NameList NormalSelect(const NameList& select) {
  NameList normal = select;
  if (normal.empty()) {
    *normal.Add() = "*";
    *normal.Add() = "$content";
    return normal;
  }
  KeepFirst(&normal);
  const bool all = std::find(normal.begin(), normal.end(), "*") != normal.end();
  NameList kept;
  for (const std::string& name : normal) {
    const bool property = name != "*" && name[0] != '$';
    // Beside other parts, the reference goes without saying.
    if ((all && property) || (name == "$key" && normal.size() > 1)) continue;
    *kept.Add() = name;
  }
  return kept;
}

void NormalizeText(v1::TextQuery* text) {
  if (text->mode() == v1::TEXT_QUERY_MODE_UNSPECIFIED) {
    text->set_mode(v1::TEXT_QUERY_MODE_ANY_WORDS);
  }
}

v1::SeedSearch NormalSearch(const v1::SeedSearch& search) {
  v1::SeedSearch normal = search;
  if (normal.has_text()) NormalizeText(normal.mutable_text());
  for (v1::SearchLane& lane : *normal.mutable_lanes()) {
    if (lane.has_text()) NormalizeText(lane.mutable_text());
    if (lane.weight() == 1) lane.clear_weight();
  }
  if (normal.has_fusion()) {
    v1::Fusion* fusion = normal.mutable_fusion();
    if (fusion->method() == v1::FUSION_METHOD_RECIPROCAL_RANK) fusion->clear_method();
    if (fusion->rank_constant() == 60) fusion->clear_rank_constant();
    if (fusion->ByteSizeLong() == 0) normal.clear_fusion();
  }
  return normal;
}

// Compiles one query.
class Compiler {
 public:
  Compiler(const v1::BuilderQuery& query, const Limits& limits, std::string_view field)
      : query_(query), limits_(limits), field_(std::string(field) + ".") {}

  absl::StatusOr<v1::Plan> Compile() {
    COOKIX_RETURN_IF_ERROR(CheckParts());
    AddSeed();
    for (int i = 0; i < query_.follow_size(); ++i) AddFollow(i);
    if (aggregates()) {
      v1::PlanAggregate* aggregate = plan_.add_steps()->mutable_aggregate();
      *aggregate->mutable_group_by() = query_.group_by();
      for (const v1::Aggregate& each : query_.aggregates()) {
        *aggregate->add_aggregates() = each;
        aggregate->mutable_aggregates()->rbegin()->set_name(ColumnName(each));
      }
      COOKIX_RETURN_IF_ERROR(
          CheckOrder(query_.order_by(), aggregate, field_ + "order_by", limits_));
    }
    if (orders()) *plan_.add_steps()->mutable_order()->mutable_fields() = query_.order_by();
    v1::PlanProject* project = plan_.add_steps()->mutable_project();
    if (!aggregates()) *project->mutable_select() = NormalSelect(query_.select());
    project->set_offset(query_.offset());
    project->set_limit(static_cast<int32_t>(limit()));
    COOKIX_RETURN_IF_ERROR(CheckWindow());
    if (query_.follow_size() > 0) plan_.set_valid_at_ms(query_.valid_at_ms());
    return std::move(plan_);
  }

 private:
  bool follows() const { return query_.follow_size() > 0; }
  bool aggregates() const { return query_.aggregates_size() + query_.group_by_size() > 0; }
  // By the score is how a search's hits come anyway.
  bool orders() const {
    if (query_.order_by_size() == 0) return false;
    return aggregates() || follows() || !query_.has_search() || query_.order_by_size() > 1 ||
           query_.order_by(0).field() != "$score" || !query_.order_by(0).descending();
  }
  int64_t limit() const {
    return query_.limit() == 0 && !aggregates() ? kDefaultRows : query_.limit();
  }
  // The first rows are all that is needed of what comes before them.
  bool first_rows_do() const { return !orders() && !aggregates(); }
  int64_t window() const { return query_.offset() + limit(); }

  absl::Status CheckParts() const {
    if (!query_.collection().empty()) {
      COOKIX_RETURN_IF_ERROR(CheckCollectionName(query_.collection(), field_ + "collection"));
    }
    if (query_.has_search() && query_.keys_size() > 0) {
      return InvalidField(field_ + "keys", "there are both keys and a search",
                          "Start from one of them");
    }
    if (query_.select_size() > 0 && aggregates()) {
      return InvalidField(field_ + "select",
                          "what is selected of objects goes with no aggregates and groups",
                          "Leave select out: groups return what they are made of");
    }
    COOKIX_RETURN_IF_ERROR(CheckKeys(query_.keys(), field_ + "keys", limits_));
    if (query_.has_search()) {
      COOKIX_RETURN_IF_ERROR(CheckSeedSearch(query_.search(), field_ + "search", limits_));
      if (query_.search().has_snippets() && (follows() || aggregates())) {
        return InvalidField(field_ + "search.snippets",
                            "snippets are of what the search finds, and that is not returned",
                            "Leave snippets out");
      }
    }
    COOKIX_RETURN_IF_ERROR(CheckFilter(query_.where(), field_ + "where", limits_));
    COOKIX_RETURN_IF_ERROR(
        CheckCount(query_.follow_size(), limits_.max_follow_steps, field_ + "follow"));
    for (int i = 0; i < query_.follow_size(); ++i) COOKIX_RETURN_IF_ERROR(CheckFollow(i));
    COOKIX_RETURN_IF_ERROR(CheckValidAt(query_.valid_at_ms(), field_ + "valid_at_ms"));
    if (query_.valid_at_ms() > 0 && !follows()) {
      return InvalidField(field_ + "valid_at_ms",
                          "the time says which edges are valid, and none are followed",
                          "Follow relations, or leave the time out");
    }
    COOKIX_RETURN_IF_ERROR(CheckSelect(query_.select(), field_ + "select", limits_));
    COOKIX_RETURN_IF_ERROR(
        CheckAggregation(query_.group_by(), query_.aggregates(), field_, limits_));
    if (!aggregates()) {
      COOKIX_RETURN_IF_ERROR(CheckOrder(query_.order_by(), nullptr, field_ + "order_by", limits_));
    }
    COOKIX_RETURN_IF_ERROR(
        CheckNumber(query_.limit(), limits_.max_query_results, field_ + "limit"));
    COOKIX_RETURN_IF_ERROR(CheckCandidates());
    return CheckNumber(query_.offset(), limits_.max_query_offset, field_ + "offset");
  }

  absl::Status CheckFollow(int index) const {
    const v1::FollowStep& step = query_.follow(index);
    const std::string at = absl::StrCat(field_, "follow[", index, "].");
    COOKIX_RETURN_IF_ERROR(CheckRelationNames(step.relations(), at + "relations", limits_));
    COOKIX_RETURN_IF_ERROR(CheckDirection(step.direction(), at + "direction"));
    COOKIX_RETURN_IF_ERROR(CheckNumber(step.max_hops(), limits_.max_query_hops, at + "max_hops"));
    return CheckFilter(step.where(), at + "where", limits_);
  }

  // True when every hit of the search is needed and no number of them was given.
  bool needs_all_hits() const {
    return query_.has_search() && query_.search().limit() == 0 && !follows() && !first_rows_do();
  }

  // A lane that looks at some only does not know all that match.
  absl::Status CheckCandidates() const {
    if (!needs_all_hits()) return absl::OkStatus();
    for (int i = 0; i < query_.search().lanes_size(); ++i) {
      const int64_t candidates = query_.search().lanes(i).candidates();
      if (candidates == 0 || candidates >= limits_.max_search_limit) continue;
      return InvalidField(absl::StrCat(field_, "search.lanes[", i, "].candidates"),
                          "all hits are needed to order, count or group them, and the lane looks "
                          "at some of them only",
                          "Say how many of the best are meant (the limit of the search, top in a "
                          "bring document), or leave candidates out");
    }
    return absl::OkStatus();
  }

  // A search cannot be asked for more than it returns.
  absl::Status CheckWindow() const {
    const bool searches = query_.has_search() && query_.search().limit() == 0;
    if (!searches || !first_rows_do() || follows() || window() <= limits_.max_search_limit) {
      return absl::OkStatus();
    }
    return LimitExceeded(field_ + "offset",
                         absl::StrCat("offset and limit ask for the best ", window(),
                                      " hits of the search, more "
                                      "than ",
                                      limits_.max_search_limit),
                         "Ask for less");
  }

  void AddSeed() {
    v1::PlanSeed* seed = plan_.add_steps()->mutable_seed();
    seed->set_collection(query_.collection().empty() ? std::string(kDefaultName)
                                                     : query_.collection());
    v1::Filter where = NormalizeFilter(query_.where());
    const bool everything = where.expression_case() == v1::Filter::EXPRESSION_NOT_SET;
    if (query_.has_search()) {
      v1::PlanSearch* search = seed->mutable_search();
      *search->mutable_query() = NormalSearch(query_.search());
      if (!everything) *search->mutable_filter() = std::move(where);
      LimitSearch(search);
    } else if (query_.keys_size() > 0) {
      *seed->mutable_keys()->mutable_keys() = query_.keys();
      KeepFirst(seed->mutable_keys()->mutable_keys());
      if (!everything) *plan_.add_steps()->mutable_filter()->mutable_filter() = std::move(where);
    } else if (everything) {
      seed->mutable_scan();
    } else {
      *seed->mutable_lookup() = std::move(where);
    }
  }

  void LimitSearch(v1::PlanSearch* search) const {
    if (search->query().limit() > 0) return;
    search->set_complete(needs_all_hits());
    int64_t limit = limits_.max_search_limit;
    if (follows()) {
      limit = kDefaultSeeds;
    } else if (first_rows_do()) {
      limit = std::min(window(), limits_.max_search_limit);  // CheckWindow() has the rest
    }
    search->mutable_query()->set_limit(static_cast<int32_t>(limit));
  }

  void AddFollow(int index) {
    const v1::FollowStep& step = query_.follow(index);
    v1::PlanExpand* expand = plan_.add_steps()->mutable_expand();
    const std::set<std::string> relations(step.relations().begin(), step.relations().end());
    for (const std::string& relation : relations) expand->add_relations(relation);
    expand->set_direction(step.direction() == v1::DIRECTION_UNSPECIFIED ? v1::DIRECTION_OUT
                                                                        : step.direction());
    expand->set_max_hops(std::max(step.max_hops(), 1));
    // Says nothing of steps that name their relations.
    expand->set_follow_inverses(step.follow_inverses() && relations.empty());
    v1::Filter where = NormalizeFilter(step.where());
    if (where.expression_case() != v1::Filter::EXPRESSION_NOT_SET) {
      *plan_.add_steps()->mutable_filter()->mutable_filter() = std::move(where);
    } else if (index + 1 == query_.follow_size() && first_rows_do()) {
      expand->set_limit(static_cast<int32_t>(window()));
    }
  }

  const v1::BuilderQuery& query_;
  const Limits& limits_;
  // With a dot behind it.
  const std::string field_;
  v1::Plan plan_;
};

// An error about a part of a query that was written as text, which is the field `text` of
// the request: the message names the part.
absl::Status InText(const absl::Status& status, std::string_view text) {
  std::optional<ErrorDetail> detail = GetErrorDetail(status);
  const std::string prefix = absl::StrCat(ToAbsl(text), ".");
  if (!detail.has_value() || !detail->field.starts_with(prefix)) return WithField(status, text);
  const std::string part = detail->field.substr(prefix.size());
  detail->field = std::string(text);
  return MakeError(status.code(), absl::StrCat(part, ": ", status.message()), std::move(*detail));
}

// Checks one plan, step by step.
class PlanChecker {
 public:
  PlanChecker(const v1::Plan& plan, const Limits& limits, std::string_view field)
      : plan_(plan), limits_(limits), field_(field) {}

  absl::Status Check() {
    COOKIX_RETURN_IF_ERROR(CheckValidAt(plan_.valid_at_ms(), field_ + ".valid_at_ms"));
    if (plan_.steps_size() == 0) {
      return InvalidField(field_ + ".steps", "the plan is empty",
                          "Send a plan as Compile makes it");
    }
    // One filter behind the seed and each expansion, and the four other steps.
    COOKIX_RETURN_IF_ERROR(
        CheckCount(plan_.steps_size(), 2 * limits_.max_follow_steps + 5, field_ + ".steps"));
    for (int i = 0; i < plan_.steps_size(); ++i) {
      const v1::PlanStep& step = plan_.steps(i);
      const std::string at = absl::StrCat(field_, ".steps[", i, "]");
      const int place = Place(step);
      const bool once = place == kSeed || place > kRows;
      if (place == 0 || place < last_ || (once && place == last_) || (i == 0) != (place == kSeed)) {
        return InvalidField(at, "the step is not in its place",
                            "Send a seed, expansions and filters, an aggregation, an order and a "
                            "projection, in that order");
      }
      last_ = place;
      COOKIX_RETURN_IF_ERROR(CheckStep(step, at));
    }
    if (last_ == kProject) return absl::OkStatus();
    return InvalidField(field_ + ".steps", "the plan does not end with a projection", "Add one");
  }

 private:
  enum : int { kSeed = 1, kRows, kAggregate, kOrder, kProject };

  static int Place(const v1::PlanStep& step) {
    switch (step.action_case()) {
      case v1::PlanStep::kSeed:
        return kSeed;
      case v1::PlanStep::kExpand:
      case v1::PlanStep::kFilter:
        return kRows;
      case v1::PlanStep::kAggregate:
        return kAggregate;
      case v1::PlanStep::kOrder:
        return kOrder;
      case v1::PlanStep::kProject:
        return kProject;
      case v1::PlanStep::ACTION_NOT_SET:
        break;
    }
    return 0;
  }

  absl::Status CheckStep(const v1::PlanStep& step, const std::string& at) {
    switch (step.action_case()) {
      case v1::PlanStep::kSeed:
        return CheckSeed(step.seed(), at + ".seed");
      case v1::PlanStep::kExpand:
        return CheckExpand(step.expand(), at + ".expand");
      case v1::PlanStep::kFilter:
        return CheckFilter(step.filter().filter(), at + ".filter.filter", limits_);
      case v1::PlanStep::kAggregate:
        aggregate_ = &step.aggregate();
        return CheckAggregation(aggregate_->group_by(), aggregate_->aggregates(),
                                at + ".aggregate.", limits_);
      case v1::PlanStep::kOrder:
        return CheckOrder(step.order().fields(), aggregate_, at + ".order.fields", limits_);
      case v1::PlanStep::kProject:
        return CheckProject(step.project(), at + ".project");
      case v1::PlanStep::ACTION_NOT_SET:
        break;
    }
    return absl::OkStatus();
  }

  absl::Status CheckSeed(const v1::PlanSeed& seed, const std::string& at) const {
    if (!seed.collection().empty()) {
      COOKIX_RETURN_IF_ERROR(CheckCollectionName(seed.collection(), at + ".collection"));
    }
    switch (seed.source_case()) {
      case v1::PlanSeed::kScan:
        return absl::OkStatus();
      case v1::PlanSeed::kKeys:
        return CheckKeys(seed.keys().keys(), at + ".keys.keys", limits_);
      case v1::PlanSeed::kLookup:
        return CheckFilter(seed.lookup(), at + ".lookup", limits_);
      case v1::PlanSeed::kSearch:
        COOKIX_RETURN_IF_ERROR(
            CheckSeedSearch(seed.search().query(), at + ".search.query", limits_));
        COOKIX_RETURN_IF_ERROR(
            CheckAtLeastOne(seed.search().query().limit(), at + ".search.query.limit"));
        return CheckFilter(seed.search().filter(), at + ".search.filter", limits_);
      case v1::PlanSeed::SOURCE_NOT_SET:
        break;
    }
    return InvalidField(at, "the seed has no source", "Send scan, keys, lookup or search");
  }

  absl::Status CheckExpand(const v1::PlanExpand& expand, const std::string& at) {
    COOKIX_RETURN_IF_ERROR(CheckCount(++expansions_, limits_.max_follow_steps, at));
    COOKIX_RETURN_IF_ERROR(CheckRelationNames(expand.relations(), at + ".relations", limits_));
    COOKIX_RETURN_IF_ERROR(CheckDirection(expand.direction(), at + ".direction"));
    COOKIX_RETURN_IF_ERROR(CheckAtLeastOne(expand.max_hops(), at + ".max_hops"));
    COOKIX_RETURN_IF_ERROR(
        CheckNumber(expand.max_hops(), limits_.max_query_hops, at + ".max_hops"));
    return CheckNumber(expand.limit(), limits_.max_query_offset + limits_.max_query_results,
                       at + ".limit");
  }

  absl::Status CheckProject(const v1::PlanProject& project, const std::string& at) const {
    COOKIX_RETURN_IF_ERROR(CheckSelect(project.select(), at + ".select", limits_));
    if (aggregate_ != nullptr && project.select_size() > 0) {
      return InvalidField(at + ".select", "there are no objects after an aggregation",
                          "Leave it out");
    }
    COOKIX_RETURN_IF_ERROR(CheckNumber(project.offset(), limits_.max_query_offset, at + ".offset"));
    if (aggregate_ == nullptr) {
      COOKIX_RETURN_IF_ERROR(CheckAtLeastOne(project.limit(), at + ".limit"));
    }
    return CheckNumber(project.limit(), limits_.max_query_results, at + ".limit");
  }

  static absl::Status CheckAtLeastOne(int64_t number, const std::string& at) {
    if (number >= 1) return absl::OkStatus();
    return InvalidField(at, "the number is less than 1", "Plans have no defaults: send a number");
  }

  const v1::Plan& plan_;
  const Limits& limits_;
  const std::string field_;
  int last_ = 0;
  int64_t expansions_ = 0;
  const v1::PlanAggregate* aggregate_ = nullptr;
};

}  // namespace

absl::StatusOr<v1::BuilderQuery> ParseQuery(const v1::Query& query, const Limits& limits,
                                            std::string_view field) {
  const std::string prefix(field);
  switch (query.form_case()) {
    case v1::Query::kBuilder:
      return query.builder();
    case v1::Query::kSearchText:
      return ParseSearch(query.search_text(), limits, prefix + ".search_text");
    case v1::Query::kBringText:
      return ParseBringQuery(query.bring_text(), limits, prefix + ".bring_text");
    case v1::Query::FORM_NOT_SET:
      break;
  }
  return InvalidField(field, "there is no query", "Send a builder, search_text or bring_text");
}

absl::StatusOr<v1::Plan> CompileQuery(const v1::BuilderQuery& query, const Limits& limits,
                                      std::string_view field, bool one_field) {
  absl::StatusOr<v1::Plan> plan = Compiler(query, limits, field).Compile();
  if (!plan.ok() && one_field) return InText(plan.status(), field);
  return plan;
}

bool OnlyCountsRows(const v1::PlanAggregate& plan) {
  return plan.group_by().empty() &&
         std::all_of(plan.aggregates().begin(), plan.aggregates().end(),
                     [](const v1::Aggregate& aggregate) { return aggregate.field().empty(); });
}

bool OnlyCountsMatches(const v1::Plan& plan) {
  if (plan.steps_size() < 2 || !plan.steps(1).has_aggregate()) return false;
  const v1::PlanSearch& search = plan.steps(0).seed().search();
  const v1::SeedSearch& query = search.query();
  const bool by_words_alone =
      query.has_text() && !query.has_vector() && query.lanes().empty() && !query.has_min_score();
  return search.complete() && by_words_alone && OnlyCountsRows(plan.steps(1).aggregate());
}

absl::Status CheckPlan(const v1::Plan& plan, const Limits& limits, std::string_view field) {
  return PlanChecker(plan, limits, field).Check();
}

}  // namespace cookix::engine
