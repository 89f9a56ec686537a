#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine/query/plan.h"
#include "engine/query/query_source.h"
#include "engine/query/search_writer.h"

namespace cookix::engine {
namespace {

constexpr int kKeysShown = 20;

using Names = google::protobuf::RepeatedPtrField<std::string>;

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty()) out += separator;
    out += part;
  }
  return out;
}

std::string NamesText(const Names& names) {
  std::vector<std::string> parts;
  for (const std::string& name : names) parts.push_back(name == "*" ? name : WriteName(name));
  return Join(parts, ", ");
}

std::string WordsText(const v1::TextQuery& text) {
  constexpr const char* kModes[] = {"words", "any word of", "all words of", "phrase", "raw"};
  const bool known = text.mode() >= 0 && text.mode() <= v1::TEXT_QUERY_MODE_RAW;
  std::string out = std::string(known ? kModes[text.mode()] : "?") + " " + WriteText(text.text());
  if (text.fields_size() > 0) out += " in " + NamesText(text.fields());
  // A map has no order of its own.
  std::vector<std::string> boosts;
  for (const auto& [field, boost] : text.boosts()) {
    boosts.push_back(WriteName(field) + " " + WriteDouble(boost));
  }
  std::sort(boosts.begin(), boosts.end());
  if (!boosts.empty()) out += " boosts " + Join(boosts, ", ");
  return out;
}

std::string VectorText(const v1::VectorQuery& vector) {
  std::string out = "near ";
  if (vector.has_key()) {
    out += "key " + WriteText(vector.key());
  } else {
    const v1::Vector& target = vector.vector();
    out +=
        "a vector of " + (target.bits().empty() ? std::to_string(target.values_size())
                                                : std::to_string(target.bits().size()) + " bytes");
  }
  if (!vector.field().empty()) out += " in " + WriteName(vector.field());
  if (vector.exact()) out += " exact";
  if (vector.ef() > 0) out += " ef " + std::to_string(vector.ef());
  if (vector.cells_probed() > 0) out += " cells " + std::to_string(vector.cells_probed());
  if (vector.metric() != v1::VECTOR_METRIC_UNSPECIFIED) {
    out += " by " + v1::VectorMetric_Name(vector.metric());
  }
  return out;
}

std::string AroundText(const v1::NeighbourhoodQuery& around) {
  std::vector<std::string> anchors;
  for (const v1::ObjectRef& anchor : around.anchors()) {
    const std::string prefix =
        anchor.collection().empty() ? "" : WriteName(anchor.collection()) + " ";
    anchors.push_back(prefix + WriteText(anchor.key()));
  }
  std::string out = "around " + Join(anchors, ", ");
  if (around.relations_size() > 0) out += " by " + NamesText(around.relations());
  if (around.max_hops() > 0) out += " within " + std::to_string(around.max_hops()) + " hops";
  return out;
}

std::string LaneText(const v1::SearchLane& lane) {
  std::string out = lane.has_vector()          ? VectorText(lane.vector())
                    : lane.has_neighbourhood() ? AroundText(lane.neighbourhood())
                                               : WordsText(lane.text());
  if (!lane.name().empty()) out = WriteName(lane.name()) + ": " + out;
  if (lane.weight() != 0) out += " weight " + WriteDouble(lane.weight());
  if (lane.candidates() > 0) out += " candidates " + std::to_string(lane.candidates());
  return out;
}

// `counted`: the hits are only counted, however many they are.
std::string SearchText(const v1::PlanSearch& plan, bool counted) {
  const v1::SeedSearch& search = plan.query();
  std::vector<std::string> parts;
  if (search.has_text()) parts.push_back(WordsText(search.text()));
  if (search.has_vector()) parts.push_back(VectorText(search.vector()));
  for (const v1::SearchLane& lane : search.lanes()) parts.push_back("{" + LaneText(lane) + "}");
  if (search.has_fusion()) {
    const v1::Fusion& fusion = search.fusion();
    std::string text =
        "fused by " +
        std::string(fusion.method() == v1::FUSION_METHOD_NORMALIZED_SCORE ? "score" : "rank");
    if (fusion.rank_constant() > 0) text += " k " + std::to_string(fusion.rank_constant());
    if (fusion.has_alpha()) text += " alpha " + WriteDouble(fusion.alpha());
    parts.push_back(text);
  }
  if (plan.has_filter()) parts.push_back("where " + WriteCondition(plan.filter()));
  if (search.has_min_score()) parts.push_back("score at least " + WriteDouble(search.min_score()));
  if (search.has_snippets()) parts.push_back("with snippets");
  const std::string limit = std::to_string(search.limit());
  if (counted) {
    parts.push_back("all, counted");
  } else {
    parts.push_back(plan.complete() ? "all, fewer than " + limit : "the best " + limit);
  }
  return Join(parts, "; ");
}

std::string SeedText(const v1::PlanSeed& seed, bool counted) {
  const std::string from = WriteName(seed.collection().empty() ? "default" : seed.collection());
  switch (seed.source_case()) {
    case v1::PlanSeed::kKeys: {
      const int count = seed.keys().keys_size();
      std::vector<std::string> keys;
      for (int i = 0; i < std::min(count, kKeysShown); ++i) {
        keys.push_back(WriteText(seed.keys().keys(i)));
      }
      if (count > kKeysShown) keys.push_back("and " + std::to_string(count - kKeysShown) + " more");
      return from + ": keys " + Join(keys, ", ");
    }
    case v1::PlanSeed::kLookup:
      return from + ": where " + WriteCondition(seed.lookup());
    case v1::PlanSeed::kSearch:
      return from + ": " + SearchText(seed.search(), counted);
    default:
      return from + ": all";
  }
}

std::string ExpandText(const v1::PlanExpand& expand) {
  constexpr const char* kDirections[] = {"out", "out", "in", "both ways"};
  std::string out = expand.relations_size() == 0 ? "any relation" : NamesText(expand.relations());
  const bool known = v1::Direction_IsValid(expand.direction());
  out += std::string(" ") + (known ? kDirections[expand.direction()] : "?");
  if (expand.follow_inverses()) out += " with inverses";
  out += ", " + std::to_string(expand.max_hops()) + (expand.max_hops() == 1 ? " hop" : " hops");
  if (expand.limit() > 0) out += ", the nearest " + std::to_string(expand.limit());
  return out;
}

std::string AggregateText(const v1::PlanAggregate& aggregate) {
  std::vector<std::string> parts;
  for (const v1::Aggregate& each : aggregate.aggregates()) parts.push_back(WriteAggregate(each));
  std::string out = Join(parts, ", ");
  if (aggregate.group_by_size() > 0) {
    out += (out.empty() ? "by " : " by ") + NamesText(aggregate.group_by());
  }
  return out;
}

std::string ProjectText(const v1::PlanProject& project) {
  std::vector<std::string> parts;
  if (project.select_size() > 0) parts.push_back(NamesText(project.select()));
  if (project.offset() > 0) parts.push_back("after the first " + std::to_string(project.offset()));
  parts.push_back(project.limit() > 0 ? "at most " + std::to_string(project.limit()) : "all");
  return Join(parts, "; ");
}

}  // namespace

std::string_view PlanStepName(const v1::PlanStep& step) {
  switch (step.action_case()) {
    case v1::PlanStep::kSeed:
      return "seed";
    case v1::PlanStep::kExpand:
      return "expand";
    case v1::PlanStep::kFilter:
      return "filter";
    case v1::PlanStep::kAggregate:
      return "aggregate";
    case v1::PlanStep::kOrder:
      return "order";
    case v1::PlanStep::kProject:
      return "project";
    case v1::PlanStep::ACTION_NOT_SET:
      break;
  }
  return "nothing";
}

std::string PlanStepText(const v1::Plan& plan, int number) {
  const v1::PlanStep& step = plan.steps(number);
  switch (step.action_case()) {
    case v1::PlanStep::kSeed:
      return SeedText(step.seed(), OnlyCountsMatches(plan));
    case v1::PlanStep::kExpand:
      return ExpandText(step.expand());
    case v1::PlanStep::kFilter:
      return WriteCondition(step.filter().filter());
    case v1::PlanStep::kAggregate:
      return AggregateText(step.aggregate());
    case v1::PlanStep::kOrder: {
      std::vector<std::string> parts;
      for (const v1::OrderField& field : step.order().fields()) parts.push_back(WriteOrder(field));
      return Join(parts, ", ");
    }
    case v1::PlanStep::kProject:
      return ProjectText(step.project());
    case v1::PlanStep::ACTION_NOT_SET:
      break;
  }
  return "";
}

std::string PlanText(const v1::Plan& plan) {
  constexpr size_t kNameWidth = 10;
  std::string out;
  for (int i = 0; i < plan.steps_size(); ++i) {
    std::string name(PlanStepName(plan.steps(i)));
    name.resize(std::max(name.size(), kNameWidth), ' ');
    out += name + PlanStepText(plan, i) + "\n";
  }
  if (plan.valid_at_ms() > 0) {
    out += "edges valid at " + std::to_string(plan.valid_at_ms()) + "\n";
  }
  return out;
}

}  // namespace cookix::engine
