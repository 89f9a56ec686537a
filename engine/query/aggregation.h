// Rows computed from rows: counts, sums, least and greatest values, means, by groups.
#ifndef COOKIX_ENGINE_QUERY_AGGREGATION_H_
#define COOKIX_ENGINE_QUERY_AGGREGATION_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/query_service.pb.h"
#include "engine/query/query_memory.h"
#include "engine/query/row_field.h"
#include "engine/query/row_sorter.h"

namespace cookix::engine {

// Computes one column of one group.
class Accumulator {
 public:
  // `value`: of the row in the column's field; none when it has none. A column without a
  // field counts rows.
  void Add(const std::optional<FieldValue>& value, bool has_field);
  v1::Value Result(v1::AggregateFunction function) const;
  // Memory beside the accumulator itself.
  int64_t bytes() const;

 private:
  v1::Value Sum() const;

  int64_t count_ = 0;
  int64_t numbers_ = 0;
  // Sums of up to 2^63 integers fit.
  __int128 integers_ = 0;
  double doubles_ = 0;
  bool has_double_ = false;
  std::optional<FieldValue> least_, greatest_;
};

// Puts rows into groups and computes their columns.
class Aggregation {
 public:
  // Borrows both.
  Aggregation(const v1::PlanAggregate& plan, QueryMemory& memory);

  // A row's values: of the group's fields, then of the aggregates' (none without field).
  absl::Status Add(std::vector<std::optional<FieldValue>>&& values);
  int64_t groups() const { return static_cast<int64_t>(groups_.size()); }
  // Ascending by the groups' values, what is missing last. INVALID_FIELD for numbers that add
  // up to more than a double holds; `field` names the aggregates in the request.
  absl::StatusOr<std::vector<v1::AggregateRow>> Take(std::string_view field) const;

 private:
  struct Group {
    std::vector<v1::Value> values;
    std::vector<Accumulator> columns;
  };
  struct Ascending {
    bool operator()(const std::vector<SortKey>& a, const std::vector<SortKey>& b) const;
  };

  absl::StatusOr<Group*> GroupOf(std::vector<std::optional<FieldValue>>& values);

  const v1::PlanAggregate& plan_;
  QueryMemory& memory_;
  std::map<std::vector<SortKey>, Group, Ascending> groups_;
};

// The rows in the plan's order; those that are equal in it stay as they are.
void OrderRows(const v1::PlanOrder& order, const std::vector<std::string>& columns,
               std::vector<v1::AggregateRow>* rows);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_AGGREGATION_H_
