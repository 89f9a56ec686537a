#include "engine/api/text_lane.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/database.h"
#include "engine/stopwatch.h"
#include "engine/text/text_field.h"
#include "engine/text/text_query.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

// Bytes of a query that a stage shows.
constexpr size_t kShownQuery = 300;

TextQueryMode ModeOf(v1::TextQueryMode mode) {
  switch (mode) {
    case v1::TEXT_QUERY_MODE_ALL_WORDS:
      return TextQueryMode::kAllWords;
    case v1::TEXT_QUERY_MODE_PHRASE:
      return TextQueryMode::kPhrase;
    case v1::TEXT_QUERY_MODE_RAW:
      return TextQueryMode::kRaw;
    default:
      return TextQueryMode::kAnyWords;
  }
}

TextQueryLimits QueryLimits(const Limits& limits) {
  TextQueryLimits query;
  query.max_bytes = static_cast<size_t>(limits.max_text_query_bytes);
  query.max_terms = static_cast<size_t>(limits.max_text_query_terms);
  query.max_phrase_tokens = static_cast<size_t>(limits.max_phrase_words);
  query.max_expansions = static_cast<size_t>(limits.max_text_expansions);
  return query;
}

int64_t CountLeaves(const AnalyzedQuery& query) {
  if (query.kind == AnalyzedQuery::Kind::kNothing) return 0;
  if (query.children.empty() && query.excluded.empty()) return 1;
  int64_t leaves = 0;
  for (const AnalyzedQuery& part : query.children) leaves += CountLeaves(part);
  for (const AnalyzedQuery& part : query.excluded) leaves += CountLeaves(part);
  return leaves;
}

// At most kShownQuery bytes, cut between characters.
std::string Shown(std::string text) {
  if (text.size() <= kShownQuery) return text;
  size_t end = kShownQuery;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

TextSearch SearchOf(const LaneScope& scope, const AnalyzedQuery& query,
                    const std::shared_ptr<const OrdinalSet>& accept) {
  TextSearch search;
  search.collection = scope.collection.id;
  search.definition = &scope.collection.record.collection();
  search.query = &query;
  search.accept = accept;
  search.max_expansions = static_cast<size_t>(scope.database.limits().max_text_expansions);
  return search;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TextLane>> TextLane::Make(const LaneScope& scope,
                                                         const LanePlan& plan) {
  std::unique_ptr<TextLane> lane(new TextLane(scope, plan));
  COOKIX_RETURN_IF_ERROR(lane->Resolve());
  return lane;
}

absl::Status TextLane::Resolve() {
  Stopwatch watch;
  COOKIX_ASSIGN_OR_RETURN(fields_, TextQueryFields(scope_.collection.record.collection()));
  COOKIX_RETURN_IF_ERROR(ChooseFields());
  COOKIX_RETURN_IF_ERROR(SetBoosts());
  const std::string path = path_ + ".text";
  const TextQueryLimits limits = QueryLimits(scope_.database.limits());
  COOKIX_ASSIGN_OR_RETURN(const TextQuery parsed,
                          ParseUserText(asked_.text(), ModeOf(asked_.mode()), limits, path));
  COOKIX_ASSIGN_OR_RETURN(query_, AnalyzeQuery(parsed, fields_, limits, path));
  COOKIX_RETURN_IF_ERROR(CheckPositions(query_));
  analyze_us_ = watch.Lap();
  return absl::OkStatus();
}

absl::StatusOr<TextQueryField*> TextLane::RequireField(const std::string& name,
                                                       const std::string& path) {
  const auto at = std::find_if(fields_.begin(), fields_.end(),
                               [&name](const TextQueryField& field) { return field.name == name; });
  if (at != fields_.end()) return &*at;
  return NotFound("FIELD_NOT_FOUND", path,
                  absl::StrCat("the collection has no text field \"", name, "\""),
                  "Name a text field that GetCollection shows");
}

absl::Status TextLane::ChooseFields() {
  const std::string path = path_ + ".fields";
  if (fields_.empty()) {
    return NotFound("FIELD_NOT_FOUND", path, "the collection has no text fields",
                    "Add one with UpdateCollection");
  }
  if (!asked_.fields().empty()) {
    for (TextQueryField& field : fields_) field.by_default = false;
    for (int i = 0; i < asked_.fields_size(); ++i) {
      COOKIX_ASSIGN_OR_RETURN(TextQueryField * field,
                              RequireField(asked_.fields(i), absl::StrCat(path, "[", i, "]")));
      field->by_default = true;
    }
    return absl::OkStatus();
  }
  const bool any = std::any_of(fields_.begin(), fields_.end(),
                               [](const TextQueryField& field) { return field.by_default; });
  if (any || asked_.mode() == v1::TEXT_QUERY_MODE_RAW) return absl::OkStatus();
  return InvalidField(path, "all text fields are searched only by name", "Name some");
}

absl::Status TextLane::SetBoosts() {
  std::vector<std::string> names;
  for (const auto& [name, boost] : asked_.boosts()) names.push_back(name);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    COOKIX_ASSIGN_OR_RETURN(TextQueryField * field,
                            RequireField(name, absl::StrCat(path_, ".boosts[", name, "]")));
    field->boost = asked_.boosts().at(name);
  }
  return absl::OkStatus();
}

absl::Status TextLane::CheckPositions(const AnalyzedQuery& query) const {
  if (query.kind == AnalyzedQuery::Kind::kPhrase) {
    const v1::TextField& field =
        scope_.collection.record.collection().text_fields(static_cast<int>(query.field));
    if (field.no_positions()) {
      return InvalidField(path_ + ".text",
                          absl::StrCat("the query has a phrase, and the text field \"",
                                       field.name(), "\" does not keep where words stand"),
                          "Leave the phrase out, or name fields that keep positions");
    }
  }
  for (const AnalyzedQuery& part : query.children) COOKIX_RETURN_IF_ERROR(CheckPositions(part));
  for (const AnalyzedQuery& part : query.excluded) COOKIX_RETURN_IF_ERROR(CheckPositions(part));
  return absl::OkStatus();
}

absl::Status TextLane::Find(int64_t limit, const std::shared_ptr<const OrdinalSet>& accept) {
  ++rounds_;
  found_ = {};
  result_ = {};
  TextSearch search = SearchOf(scope_, query_, accept);
  search.limit = limit;
  search.count = std::exchange(count_, false);
  const absl::Status status =
      scope_.database.FindByText(scope_.context, scope_.view, search, &result_);
  // The index does not know what the request calls the text.
  if (status.code() == absl::StatusCode::kInvalidArgument) {
    return WithField(status, path_ + ".text");
  }
  COOKIX_RETURN_IF_ERROR(status);
  if (search.count) total_ = result_.total;
  found_.hits.reserve(result_.hits.size());
  for (const TextHit& hit : result_.hits) {
    found_.hits.push_back({hit.ordinal, hit.score, 0.0 - hit.score});
  }
  found_.all = static_cast<int64_t>(found_.hits.size()) < limit;
  found_.strategy = result_.strategy;
  found_.candidates_considered = result_.scored;
  found_.search_us = result_.search_us;
  return absl::OkStatus();
}

void TextLane::Explain(v1::PlanStage* stage) const {
  stage->set_detail(Shown(ToString(query_, fields_)));
  stage->set_input(result_.scored);
  // Done once, however often is looked.
  if (rounds_ == 1) {
    v1::PlanStage* analyze = stage->add_stages();
    analyze->set_name("analyze");
    analyze->set_detail("bytes of text to terms, phrases, prefixes of fields");
    analyze->set_input(static_cast<int64_t>(asked_.text().size()));
    analyze->set_output(CountLeaves(query_));
    analyze->set_elapsed_us(analyze_us_);
  }
  v1::PlanStage* match = stage->add_stages();
  match->set_name("match");
  std::string detail = absl::StrCat(result_.strategy, ", ", result_.blocks_read, " blocks read, ",
                                    result_.blocks_skipped, " passed over");
  if (!result_.expansions.empty()) {
    absl::StrAppend(&detail, ", ", result_.expansions.size(),
                    " terms for prefixes and fuzzy words");
  }
  if (result_.total >= 0) absl::StrAppend(&detail, ", ", result_.total, " matches counted");
  match->set_detail(std::move(detail));
  match->set_input(result_.scored);
  match->set_output(static_cast<int64_t>(result_.hits.size()));
  match->set_elapsed_us(result_.search_us);
}

AnalyzedQuery AnyOf(const std::vector<const TextLane*>& lanes) {
  AnalyzedQuery any;
  for (const TextLane* lane : lanes) {
    if (lane->query().kind != AnalyzedQuery::Kind::kNothing) any.children.push_back(lane->query());
  }
  if (any.children.empty()) return any;
  if (any.children.size() == 1) return AnalyzedQuery(any.children.front());
  any.kind = AnalyzedQuery::Kind::kOr;
  return any;
}

absl::StatusOr<int64_t> CountMatches(const LaneScope& scope,
                                     const std::vector<const TextLane*>& lanes,
                                     const std::shared_ptr<const OrdinalSet>& accept) {
  const AnalyzedQuery any = AnyOf(lanes);
  TextSearch search = SearchOf(scope, any, accept);
  search.count = true;
  TextSearchResult result;
  COOKIX_RETURN_IF_ERROR(scope.database.FindByText(scope.context, scope.view, search, &result));
  return result.total;
}

}  // namespace cookix::engine
