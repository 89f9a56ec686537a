#include "engine/query/aggregation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

v1::Value Null() {
  v1::Value value;
  value.set_null_value(v1::NULL_VALUE_UNSPECIFIED);
  return value;
}

v1::Value OfInt(int64_t number) {
  v1::Value value;
  value.set_int_value(number);
  return value;
}

int64_t TextBytes(const std::optional<FieldValue>& field) {
  return field.has_value() ? static_cast<int64_t>(2 * field->key.text.size()) : 0;
}

}  // namespace

void Accumulator::Add(const std::optional<FieldValue>& value, bool has_field) {
  if (!has_field) {
    ++count_;
    return;
  }
  if (!value.has_value()) return;
  ++count_;
  if (value->value.has_int_value()) {
    ++numbers_;
    integers_ += value->value.int_value();
  } else if (value->value.has_double_value()) {
    ++numbers_;
    doubles_ += value->value.double_value();
    has_double_ = true;
  }
  if (!least_.has_value() || value->key < least_->key) least_ = value;
  if (!greatest_.has_value() || value->key > greatest_->key) greatest_ = value;
}

v1::Value Accumulator::Sum() const {
  if (numbers_ == 0) return Null();
  if (!has_double_ && integers_ >= std::numeric_limits<int64_t>::min() &&
      integers_ <= std::numeric_limits<int64_t>::max()) {
    return OfInt(static_cast<int64_t>(integers_));
  }
  v1::Value sum;
  sum.set_double_value(static_cast<double>(integers_) + doubles_);
  return sum;
}

v1::Value Accumulator::Result(v1::AggregateFunction function) const {
  switch (function) {
    case v1::AGGREGATE_FUNCTION_COUNT:
      return OfInt(count_);
    case v1::AGGREGATE_FUNCTION_SUM:
      return Sum();
    case v1::AGGREGATE_FUNCTION_MIN:
      return least_.has_value() ? least_->value : Null();
    case v1::AGGREGATE_FUNCTION_MAX:
      return greatest_.has_value() ? greatest_->value : Null();
    case v1::AGGREGATE_FUNCTION_AVG: {
      if (numbers_ == 0) return Null();
      v1::Value mean;
      mean.set_double_value((static_cast<double>(integers_) + doubles_) /
                            static_cast<double>(numbers_));
      return mean;
    }
    default:
      return Null();
  }
}

int64_t Accumulator::bytes() const { return TextBytes(least_) + TextBytes(greatest_); }

Aggregation::Aggregation(const v1::PlanAggregate& plan, QueryMemory& memory)
    : plan_(plan), memory_(memory) {}

bool Aggregation::Ascending::operator()(const std::vector<SortKey>& a,
                                        const std::vector<SortKey>& b) const {
  for (size_t i = 0; i < a.size(); ++i) {
    const auto order = CompareSortKeys(a[i], b[i], false);
    if (order != 0) return order < 0;
  }
  return false;
}

absl::StatusOr<Aggregation::Group*> Aggregation::GroupOf(
    std::vector<std::optional<FieldValue>>& values) {
  const size_t fields = static_cast<size_t>(plan_.group_by_size());
  std::vector<SortKey> keys;
  keys.reserve(fields);
  for (size_t i = 0; i < fields; ++i) {
    keys.push_back(values[i].has_value() ? SortKey(values[i]->key) : std::nullopt);
  }
  auto [at, inserted] = groups_.try_emplace(std::move(keys));
  Group& group = at->second;
  if (!inserted) return &group;
  group.columns.resize(static_cast<size_t>(plan_.aggregates_size()));
  int64_t bytes = static_cast<int64_t>(sizeof(Group) + group.columns.size() * sizeof(Accumulator) +
                                       fields * (sizeof(SortKey) + sizeof(v1::Value)));
  for (size_t i = 0; i < fields; ++i) {
    bytes += TextBytes(values[i]);
    group.values.push_back(values[i].has_value() ? std::move(values[i]->value) : Null());
  }
  COOKIX_RETURN_IF_ERROR(memory_.Take(bytes));
  return &group;
}

absl::Status Aggregation::Add(std::vector<std::optional<FieldValue>>&& values) {
  COOKIX_ASSIGN_OR_RETURN(Group * group, GroupOf(values));
  const size_t first = static_cast<size_t>(plan_.group_by_size());
  for (size_t i = 0; i < group->columns.size(); ++i) {
    const bool has_field = !plan_.aggregates(static_cast<int>(i)).field().empty();
    Accumulator& column = group->columns[i];
    const int64_t before = column.bytes();
    column.Add(values[first + i], has_field);
    if (column.bytes() != before) COOKIX_RETURN_IF_ERROR(memory_.Take(column.bytes() - before));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::AggregateRow>> Aggregation::Take(std::string_view field) const {
  std::vector<v1::AggregateRow> rows;
  const auto add = [&](const Group& group) -> absl::Status {
    v1::AggregateRow& row = rows.emplace_back();
    for (const v1::Value& value : group.values) *row.add_values() = value;
    for (int i = 0; i < plan_.aggregates_size(); ++i) {
      const v1::Aggregate& aggregate = plan_.aggregates(i);
      const Accumulator& column = group.columns[static_cast<size_t>(i)];
      v1::Value& result = *row.add_values() = column.Result(aggregate.function());
      const bool adds = aggregate.function() == v1::AGGREGATE_FUNCTION_SUM ||
                        aggregate.function() == v1::AGGREGATE_FUNCTION_AVG;
      if (!adds || !result.has_double_value() || std::isfinite(result.double_value())) continue;
      return InvalidField(
          absl::StrCat(ToAbsl(field), "[", i, "].field"),
          "the numbers in \"" + aggregate.field() + "\" add up to more than a double holds",
          "Leave out the greatest of them with a condition");
    }
    return absl::OkStatus();
  };
  for (const auto& [keys, group] : groups_) COOKIX_RETURN_IF_ERROR(add(group));
  // All rows are one group, even when there are none.
  if (groups_.empty() && plan_.group_by_size() == 0) {
    COOKIX_RETURN_IF_ERROR(
        add({{}, std::vector<Accumulator>(static_cast<size_t>(plan_.aggregates_size()))}));
  }
  return rows;
}

void OrderRows(const v1::PlanOrder& order, const std::vector<std::string>& columns,
               std::vector<v1::AggregateRow>* rows) {
  struct Entry {
    std::vector<SortKey> keys;
    v1::AggregateRow row;
  };
  std::vector<Entry> entries;
  entries.reserve(rows->size());
  for (v1::AggregateRow& row : *rows) {
    Entry& entry = entries.emplace_back();
    for (const v1::OrderField& field : order.fields()) {
      const auto column = std::find(columns.begin(), columns.end(), field.field());
      Scalar key;
      const bool has = column != columns.end() &&
                       ToScalar(row.values(static_cast<int>(column - columns.begin())), &key);
      entry.keys.push_back(has ? SortKey(std::move(key)) : std::nullopt);
    }
    entry.row.Swap(&row);
  }
  std::stable_sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
    for (int i = 0; i < order.fields_size(); ++i) {
      const auto at = static_cast<size_t>(i);
      const auto result = CompareSortKeys(a.keys[at], b.keys[at], order.fields(i).descending());
      if (result != 0) return result < 0;
    }
    return false;
  });
  for (size_t i = 0; i < entries.size(); ++i) (*rows)[i].Swap(&entries[i].row);
}

}  // namespace cookix::engine
