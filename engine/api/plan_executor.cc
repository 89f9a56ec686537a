#include "engine/api/plan_executor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/api/read_support.h"
#include "engine/api/walk_support.h"
#include "engine/database.h"
#include "engine/graph/ordinal_map.h"
#include "engine/query/aggregation.h"
#include "engine/query/expansion.h"
#include "engine/query/plan.h"
#include "engine/query/plan_check.h"
#include "engine/query/row_sorter.h"
#include "engine/stopwatch.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr int64_t kStepsBetweenChecks = 256;

// The fields of a checked plan.
std::optional<RowField> KnownField(const std::string& name, const Limits& limits) {
  if (name.empty()) return std::nullopt;
  absl::StatusOr<RowField> field = ParseRowField(name, "", limits);
  if (!field.ok()) return std::nullopt;
  return *std::move(field);
}

// The record of an object that an index named.
absl::Status ReadIndexed(const NamespaceView& view, Ordinal ordinal,
                         internal::v1::ObjectRecord* record) {
  COOKIX_ASSIGN_OR_RETURN(const bool found, view.ReadRecord(ordinal, record));
  if (found) return absl::OkStatus();
  return Corruption(absl::StrCat("object ", ordinal, " is in an index but has no record"),
                    "Restore the store from a checkpoint");
}

bool Selects(const v1::PlanProject& project, std::string_view name) {
  return std::find(project.select().begin(), project.select().end(), name) !=
         project.select().end();
}

}  // namespace

PlanExecutor::PlanExecutor(Database& database, const CallContext& context, const v1::Plan& plan,
                           bool explain)
    : database_(database),
      context_(context),
      plan_(plan),
      explain_(explain),
      memory_(database.limits()),
      answer_bytes_(database.limits()) {}

std::string PlanExecutor::At() const { return absl::StrCat("plan.steps[", step_, "]"); }

absl::Status PlanExecutor::Prepare() {
  const v1::PlanSeed& seed = plan_.steps(0).seed();
  if (!seed.has_search()) return absl::OkStatus();
  const v1::SeedSearch& query = seed.search().query();
  search_.set_collection(seed.collection());
  if (query.has_vector()) *search_.mutable_vector() = query.vector();
  if (query.has_text()) *search_.mutable_text() = query.text();
  *search_.mutable_lanes() = query.lanes();
  if (query.has_fusion()) *search_.mutable_fusion() = query.fusion();
  if (query.has_min_score()) search_.set_min_score(query.min_score());
  if (query.has_snippets()) *search_.mutable_snippets() = query.snippets();
  if (seed.search().has_filter()) *search_.mutable_filter() = seed.search().filter();
  const bool count = OnlyCountsMatches(plan_);
  search_.set_limit(count ? 1 : query.limit());
  search_.set_count_matches(count);
  search_.set_explain(explain_);
  return database_.search().Check(search_, At() + ".seed.search.query.");
}

absl::Status PlanExecutor::Execute(const NamespaceView& view, v1::ExecuteResponse* response) {
  view_ = &view;
  for (step_ = 0; step_ < plan_.steps_size(); ++step_) {
    COOKIX_RETURN_IF_ERROR(context_.Check());
    const v1::PlanStep& step = plan_.steps(step_);
    const Stopwatch watch;
    Told told;
    if (step_ > 0) told.input = CountRows();
    COOKIX_RETURN_IF_ERROR(Do(step, &told, response));
    if (!explain_) continue;
    v1::PlanStage* stage = response->add_stages();
    stage->set_name(std::string(PlanStepName(step)));
    stage->set_detail(PlanStepText(plan_, step_) + told.detail);
    stage->set_input(told.input);
    stage->set_output(step.has_project() ? response->hits_size() + response->rows_size()
                                         : CountRows());
    stage->set_elapsed_us(watch.Elapsed());
    if (step.has_seed()) stage->mutable_stages()->Swap(found_.mutable_stages());
  }
  return absl::OkStatus();
}

absl::Status PlanExecutor::Do(const v1::PlanStep& step, Told* told, v1::ExecuteResponse* response) {
  switch (step.action_case()) {
    case v1::PlanStep::kSeed:
      return Seed(step.seed(), told);
    case v1::PlanStep::kExpand:
      return Expand(step.expand(), told);
    case v1::PlanStep::kFilter:
      return Filter(step.filter().filter());
    case v1::PlanStep::kAggregate:
      return Aggregate(step.aggregate());
    case v1::PlanStep::kOrder:
      return Order(step.order());
    case v1::PlanStep::kProject:
      return Project(step.project(), response);
    case v1::PlanStep::ACTION_NOT_SET:
      break;
  }
  return absl::OkStatus();
}

absl::Status PlanExecutor::Seed(const v1::PlanSeed& seed, Told* told) {
  switch (seed.source_case()) {
    case v1::PlanSeed::kKeys:
      return SeedByKeys(seed.keys(), seed.collection());
    case v1::PlanSeed::kSearch:
      return SeedBySearch(seed.search(), told);
    default:
      return SeedByFilter(seed.lookup(), seed.collection());
  }
}

absl::Status PlanExecutor::SeedByKeys(const v1::PlanKeys& keys, const std::string& collection) {
  v1::ObjectRef ref;
  ref.set_collection(collection);
  OrdinalMap seen;
  int64_t looked_up = 0;
  for (const std::string& key : keys.keys()) {
    if (++looked_up % kStepsBetweenChecks == 0) COOKIX_RETURN_IF_ERROR(context_.Check());
    ref.set_key(key);
    COOKIX_ASSIGN_OR_RETURN(const Ordinal ordinal, view_->FindOrdinal(ref, At() + ".seed"));
    if (ordinal == 0 || !seen.Insert(ordinal, 0).second) continue;
    internal::v1::ObjectRecord record;
    COOKIX_ASSIGN_OR_RETURN(const bool found, view_->ReadRecord(ordinal, &record));
    if (!found || !record.exists()) continue;
    QueryRow& row = rows_.emplace_back();
    row.ordinal = row.anchor = ordinal;
    COOKIX_RETURN_IF_ERROR(memory_.Take(BytesOfRow(row)));
  }
  return absl::OkStatus();
}

absl::Status PlanExecutor::SeedByFilter(const v1::Filter& filter, const std::string& collection) {
  COOKIX_ASSIGN_OR_RETURN(const CollectionInfo* info,
                          KnownCollection(*view_, collection, At() + ".seed.collection"));
  COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<const CompiledFilter> narrowed,
                          InCollection(*info, database_.limits()));
  COOKIX_ASSIGN_OR_RETURN(
      std::shared_ptr<const CompiledFilter> compiled,
      CompiledFilter::Compile(filter, At() + ".seed.lookup", database_.limits()));
  narrowed = CompiledFilter::And(std::move(narrowed), std::move(compiled));
  COOKIX_ASSIGN_OR_RETURN(set_, database_.Evaluate(context_, *view_, *narrowed));
  return absl::OkStatus();
}

absl::Status PlanExecutor::SeedBySearch(const v1::PlanSearch& search, Told* told) {
  const std::string at = At() + ".seed.search.query.";
  COOKIX_RETURN_IF_ERROR(database_.search().SearchAt(context_, *view_, search_, at, &found_));
  const std::string& strategy = found_.diagnostics().strategy();
  if (!strategy.empty()) told->detail = " (" + strategy + ")";
  if (search_.count_matches()) {
    counted_ = found_.total_matches();
    return absl::OkStatus();
  }
  if (search.complete() && found_.hits_size() >= search.query().limit()) {
    return LimitExceeded(
        at + "limit",
        absl::StrCat("the search has ", search.query().limit(),
                     " hits or more, and all of them would have to be ordered or counted"),
        "Say how many of the best are meant (TOP in a SEARCH statement), or narrow the search");
  }
  rows_.reserve(static_cast<size_t>(found_.hits_size()));
  for (int i = 0; i < found_.hits_size(); ++i) {
    const v1::Hit& hit = found_.hits(i);
    COOKIX_ASSIGN_OR_RETURN(const Ordinal ordinal, view_->FindOrdinal(hit.ref(), At() + ".seed"));
    QueryRow& row = rows_.emplace_back();
    row.ordinal = row.anchor = ordinal;
    row.score = row.seed_score = hit.score();
    row.hit = i;
    COOKIX_RETURN_IF_ERROR(memory_.Take(BytesOfRow(row)));
  }
  return absl::OkStatus();
}

absl::Status PlanExecutor::Expand(const v1::PlanExpand& expand, Told* told) {
  const Limits& limits = database_.limits();
  const std::string at = At() + ".expand";
  if (set_ != nullptr) {
    if (CountRows() > limits.max_query_rows) {
      return LimitExceeded(at,
                           absl::StrCat("relations would be followed from ", CountRows(),
                                        " objects, more than ", limits.max_query_rows),
                           "Start from fewer objects");
    }
    std::vector<QueryRow> rows;
    COOKIX_RETURN_IF_ERROR(ForEachRow([&](QueryRow& row) -> absl::StatusOr<bool> {
      COOKIX_RETURN_IF_ERROR(memory_.Take(BytesOfRow(row)));
      rows.push_back(row);
      return true;
    }));
    rows_ = std::move(rows);
    set_ = nullptr;
  }
  const std::unique_ptr<ArcReader> arcs = database_.Arcs(context_, *view_);
  COOKIX_ASSIGN_OR_RETURN(Expansion expansion,
                          engine::Expand(context_, *view_, *arcs, expand, plan_.valid_at_ms(),
                                         rows_, limits, memory_, at));
  for (const QueryRow& row : rows_) memory_.GiveBack(BytesOfRow(row));
  rows_ = std::move(expansion.rows);
  told->detail = absl::StrCat(" (", expansion.edges_examined, " edges)");
  return absl::OkStatus();
}

absl::Status PlanExecutor::Filter(const v1::Filter& filter) {
  COOKIX_ASSIGN_OR_RETURN(
      const std::shared_ptr<const CompiledFilter> compiled,
      CompiledFilter::Compile(filter, At() + ".filter.filter", database_.limits()));
  if (compiled->matches_everything()) return absl::OkStatus();
  COOKIX_ASSIGN_OR_RETURN(const std::shared_ptr<const OrdinalSet> matching,
                          database_.Evaluate(context_, *view_, *compiled));
  std::vector<QueryRow> kept;
  COOKIX_RETURN_IF_ERROR(ForEachRow([&](QueryRow& row) -> absl::StatusOr<bool> {
    if (matching->Contains(row.ordinal)) kept.push_back(std::move(row));
    return true;
  }));
  rows_ = std::move(kept);
  set_ = nullptr;
  return absl::OkStatus();
}

absl::Status PlanExecutor::Aggregate(const v1::PlanAggregate& plan) {
  columns_.assign(plan.group_by().begin(), plan.group_by().end());
  std::vector<std::optional<RowField>> fields;
  for (const std::string& name : plan.group_by()) {
    fields.push_back(KnownField(name, database_.limits()));
  }
  for (const v1::Aggregate& aggregate : plan.aggregates()) {
    columns_.push_back(ColumnName(aggregate));
    fields.push_back(KnownField(aggregate.field(), database_.limits()));
  }
  if (OnlyCountsRows(plan)) {
    v1::AggregateRow row;
    for (int i = 0; i < plan.aggregates_size(); ++i) row.add_values()->set_int_value(CountRows());
    table_.push_back(std::move(row));
    aggregated_ = true;
    return absl::OkStatus();
  }
  Aggregation aggregation(plan, memory_);
  COOKIX_RETURN_IF_ERROR(ForEachRow([&](QueryRow& row) -> absl::StatusOr<bool> {
    std::vector<std::optional<FieldValue>> values;
    COOKIX_RETURN_IF_ERROR(ReadFields(fields, row, &values));
    COOKIX_RETURN_IF_ERROR(aggregation.Add(std::move(values)));
    return true;
  }));
  COOKIX_ASSIGN_OR_RETURN(table_, aggregation.Take(At() + ".aggregate.aggregates"));
  aggregated_ = true;
  return absl::OkStatus();
}

absl::Status PlanExecutor::Order(const v1::PlanOrder& order) {
  if (aggregated_) {
    OrderRows(order, columns_, &table_);
    return absl::OkStatus();
  }
  std::vector<std::optional<RowField>> fields;
  std::vector<bool> descending;
  for (const v1::OrderField& field : order.fields()) {
    fields.push_back(KnownField(field.field(), database_.limits()));
    descending.push_back(field.descending());
  }
  RowSorter sorter(std::move(descending), Window(), memory_);
  COOKIX_RETURN_IF_ERROR(ForEachRow([&](QueryRow& row) -> absl::StatusOr<bool> {
    std::vector<std::optional<FieldValue>> values;
    COOKIX_RETURN_IF_ERROR(ReadFields(fields, row, &values));
    std::vector<SortKey> keys;
    for (std::optional<FieldValue>& value : values) {
      keys.push_back(value.has_value() ? SortKey(std::move(value->key)) : std::nullopt);
    }
    COOKIX_RETURN_IF_ERROR(sorter.Add(std::move(row), std::move(keys)));
    return true;
  }));
  rows_ = std::move(sorter).Take();
  set_ = nullptr;
  return absl::OkStatus();
}

size_t PlanExecutor::Window() const {
  const v1::PlanProject& project = plan_.steps(plan_.steps_size() - 1).project();
  return static_cast<size_t>(project.offset()) + static_cast<size_t>(project.limit());
}

absl::Status PlanExecutor::Project(const v1::PlanProject& project, v1::ExecuteResponse* response) {
  if (!aggregated_) return ProjectRows(project, response);
  for (const std::string& column : columns_) response->add_columns(column);
  const size_t begin = std::min(static_cast<size_t>(project.offset()), table_.size());
  size_t end = table_.size();
  if (project.limit() > 0) end = std::min(end, begin + static_cast<size_t>(project.limit()));
  const auto most = static_cast<size_t>(database_.limits().max_query_results);
  if (end - begin > most) {
    return LimitExceeded(At() + ".project.limit",
                         absl::StrCat("there are ", end - begin, " groups, more than ", most),
                         "Ask for fewer with limit and offset");
  }
  for (size_t i = begin; i < end; ++i) response->add_rows()->Swap(&table_[i]);
  return absl::OkStatus();
}

absl::Status PlanExecutor::ProjectRows(const v1::PlanProject& project,
                                       v1::ExecuteResponse* response) {
  int64_t skip = project.offset();
  return ForEachRow([&](QueryRow& row) -> absl::StatusOr<bool> {
    if (skip > 0) {
      --skip;
      return true;
    }
    if (response->hits_size() == project.limit()) return false;
    COOKIX_RETURN_IF_ERROR(FillHit(row, project, response->add_hits()));
    return true;
  });
}

absl::Status PlanExecutor::FillHit(const QueryRow& row, const v1::PlanProject& project,
                                   v1::Hit* hit) {
  if (row.hit >= 0) {
    hit->Swap(found_.mutable_hits(row.hit));
  } else {
    COOKIX_RETURN_IF_ERROR(view_->FillRef(row.ordinal, hit->mutable_ref()));
  }
  if (!row.steps.empty()) {
    hit->set_score(row.score);
    hit->set_distance(row.weight);
    hit->set_hops(static_cast<int32_t>(row.steps.size()));
    COOKIX_RETURN_IF_ERROR(
        FillPath(*view_, row.anchor, row.steps, plan_.valid_at_ms(), hit->mutable_path()));
    (*hit->mutable_components())["geodesic"] = row.weight;
    if (plan_.steps(0).seed().has_search()) {
      (*hit->mutable_components())["seed_score"] = row.seed_score;
    }
    COOKIX_RETURN_IF_ERROR(TakeBytes(hit->path().ByteSizeLong()));
  }
  if (project.select_size() == 1 && project.select(0) == "$key") return absl::OkStatus();
  return FillSelected(row.ordinal, project, hit);
}

absl::Status PlanExecutor::FillSelected(Ordinal ordinal, const v1::PlanProject& project,
                                        v1::Hit* hit) {
  internal::v1::ObjectRecord record;
  COOKIX_RETURN_IF_ERROR(ReadIndexed(*view_, ordinal, &record));
  if (!Selects(project, "*")) {
    google::protobuf::Map<std::string, v1::Value> kept;
    for (const std::string& name : project.select()) {
      auto at = record.mutable_properties()->find(name);
      if (at != record.mutable_properties()->end()) kept[name].Swap(&at->second);
    }
    record.mutable_properties()->swap(kept);
  }
  v1::ObjectMask mask;
  mask.set_without_content(!Selects(project, "$content"));
  mask.set_with_vectors(Selects(project, "$vectors"));
  COOKIX_RETURN_IF_ERROR(
      FillObject(*view_, ordinal, mask, std::move(record), hit->mutable_object()));
  return TakeBytes(hit->object().ByteSizeLong());
}

absl::Status PlanExecutor::TakeBytes(size_t bytes) {
  if (answer_bytes_.Take(bytes)) return absl::OkStatus();
  return answer_bytes_.Exceeded(At() + ".project.limit",
                                "Ask for fewer rows, or select fewer parts");
}

absl::Status PlanExecutor::ForEachRow(absl::FunctionRef<absl::StatusOr<bool>(QueryRow&)> each) {
  int64_t steps = 0;
  absl::Status status;
  bool more = true;
  const auto visit = [&](QueryRow& row) {
    if (++steps % kStepsBetweenChecks == 0) status = context_.Check();
    if (!status.ok()) return;
    absl::StatusOr<bool> result = each(row);
    status = result.status();
    more = status.ok() && *result;
  };
  if (set_ != nullptr) {
    const std::shared_ptr<const OrdinalSet> set = set_;
    set->ForEach([&](Ordinal ordinal) {
      if (!more || !status.ok()) return;
      QueryRow row;
      row.ordinal = row.anchor = ordinal;
      visit(row);
    });
    return status;
  }
  for (QueryRow& row : rows_) {
    visit(row);
    if (!more || !status.ok()) break;
  }
  return status;
}

absl::Status PlanExecutor::ReadFields(const std::vector<std::optional<RowField>>& fields,
                                      const QueryRow& row,
                                      std::vector<std::optional<FieldValue>>* values) {
  internal::v1::ObjectRecord record;
  bool read = false;
  std::string_view collection;
  values->clear();
  values->reserve(fields.size());
  for (const std::optional<RowField>& field : fields) {
    if (!field.has_value()) {
      values->emplace_back();
      continue;
    }
    if (field->needs_record() && !read) {
      COOKIX_RETURN_IF_ERROR(ReadIndexed(*view_, row.ordinal, &record));
      read = true;
      const CollectionInfo* info = view_->ns->FindCollection(record.collection_id());
      if (info != nullptr) collection = info->record.collection().name();
    }
    values->push_back(ReadRowField(*field, row, read ? &record : nullptr, collection));
  }
  return absl::OkStatus();
}

int64_t PlanExecutor::CountRows() const {
  if (aggregated_) return static_cast<int64_t>(table_.size());
  if (counted_.has_value()) return *counted_;
  return set_ != nullptr ? static_cast<int64_t>(set_->Count()) : static_cast<int64_t>(rows_.size());
}

}  // namespace cookix::engine
