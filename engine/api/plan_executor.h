// Executes plans over a database, at one position.
#ifndef COOKIX_ENGINE_API_PLAN_EXECUTOR_H_
#define COOKIX_ENGINE_API_PLAN_EXECUTOR_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/query_service.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/api/answer_bytes.h"
#include "engine/call_context.h"
#include "engine/filter/ordinal_set.h"
#include "engine/query/query_memory.h"
#include "engine/query/row_field.h"
#include "engine/read_view.h"

namespace cookix::engine {

class Database;

// Executes one plan, once. Borrows everything.
class PlanExecutor {
 public:
  // REQUIRES: CheckPlan() found nothing wrong with `plan`.
  PlanExecutor(Database& database, const CallContext& context, const v1::Plan& plan, bool explain);

  // What can be said of the plan's search without looking at the data.
  absl::Status Prepare();
  // Fills everything but the position, the plan and the time.
  absl::Status Execute(const NamespaceView& view, v1::ExecuteResponse* response);

 private:
  // What one step has to say for itself.
  struct Told {
    int64_t input = -1;
    // What the plan did not know.
    std::string detail;
  };

  absl::Status Do(const v1::PlanStep& step, Told* told, v1::ExecuteResponse* response);
  absl::Status Seed(const v1::PlanSeed& seed, Told* told);
  absl::Status SeedByKeys(const v1::PlanKeys& keys, const std::string& collection);
  absl::Status SeedByFilter(const v1::Filter& filter, const std::string& collection);
  absl::Status SeedBySearch(const v1::PlanSearch& search, Told* told);
  absl::Status Expand(const v1::PlanExpand& expand, Told* told);
  absl::Status Filter(const v1::Filter& filter);
  absl::Status Aggregate(const v1::PlanAggregate& plan);
  absl::Status Order(const v1::PlanOrder& order);
  absl::Status Project(const v1::PlanProject& project, v1::ExecuteResponse* response);
  absl::Status ProjectRows(const v1::PlanProject& project, v1::ExecuteResponse* response);
  absl::Status FillHit(const QueryRow& row, const v1::PlanProject& project, v1::Hit* hit);
  absl::Status FillSelected(Ordinal ordinal, const v1::PlanProject& project, v1::Hit* hit);
  // Counts what the answer holds: LIMIT_EXCEEDED when that is too much.
  absl::Status TakeBytes(size_t bytes);

  // Calls `each` with every row, in order, until it fails or returns false. Looks at the
  // clock on the way.
  absl::Status ForEachRow(absl::FunctionRef<absl::StatusOr<bool>(QueryRow&)> each);
  // The row's values in `fields`; none for those that are unset.
  absl::Status ReadFields(const std::vector<std::optional<RowField>>& fields, const QueryRow& row,
                          std::vector<std::optional<FieldValue>>* values);
  int64_t CountRows() const;
  // Rows that the projection may return or skip.
  size_t Window() const;
  std::string At() const;

  Database& database_;
  const CallContext& context_;
  const v1::Plan& plan_;
  const bool explain_;
  QueryMemory memory_;
  const NamespaceView* view_ = nullptr;
  int step_ = 0;
  // The search that the plan starts from, as SearchApi takes it.
  v1::SearchRequest search_;
  v1::SearchResponse found_;

  // The rows between steps: objects of a set, in the order of their ordinals; else only how
  // many they are; else a list.
  std::shared_ptr<const OrdinalSet> set_;
  std::optional<int64_t> counted_;
  std::vector<QueryRow> rows_;
  // After an aggregation.
  bool aggregated_ = false;
  std::vector<std::string> columns_;
  std::vector<v1::AggregateRow> table_;
  AnswerBytes answer_bytes_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_PLAN_EXECUTOR_H_
