// Orders and aggregations against sorting and adding up everything.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/filter/test_values.h"
#include "engine/query/aggregation.h"
#include "engine/query/row_sorter.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

FieldValue Field(const v1::Value& value) {
  FieldValue field{value, {}};
  EXPECT_TRUE(ToScalar(value, &field.key));
  return field;
}

SortKey Key(const v1::Value& value) { return Field(value).key; }

TEST(RowSorterTest, ValuesHaveAnOrderAcrossKinds) {
  const std::vector<SortKey> ascending = {Key(Bool(false)), Key(Bool(true)),  Key(Double(-1e300)),
                                          Key(Int(2)),      Key(Double(2.5)), Key(Int(3)),
                                          Key(Text("10")),  Key(Text("9")),   std::nullopt};
  for (size_t a = 0; a < ascending.size(); ++a) {
    for (size_t b = 0; b < ascending.size(); ++b) {
      EXPECT_EQ(CompareSortKeys(ascending[a], ascending[b], false), a <=> b);
      // What is missing stays last.
      const bool missing = !ascending[a].has_value() || !ascending[b].has_value();
      EXPECT_EQ(CompareSortKeys(ascending[a], ascending[b], true), missing ? a <=> b : b <=> a);
    }
  }
  EXPECT_EQ(CompareSortKeys(Key(Int(2)), Key(Double(2.0)), false), std::strong_ordering::equal);
}

TEST(RowSorterTest, KeepsWhatSortingWouldKeep) {
  std::mt19937_64 random(4);
  for (const size_t keep : {0, 1, 10, 1000, 6000}) {
    QueryMemory memory{Limits()};
    RowSorter sorter({false, true}, keep, memory);
    std::vector<std::tuple<uint64_t, int64_t, Ordinal>> all;
    for (Ordinal ordinal = 1; ordinal <= 5000; ++ordinal) {
      const uint64_t first = random() % 20;
      const uint64_t second = random() % 5;
      QueryRow row;
      row.ordinal = 5001 - ordinal;
      all.emplace_back(first, -static_cast<int64_t>(second), row.ordinal);
      ASSERT_TRUE(sorter
                      .Add(std::move(row), {Key(Int(static_cast<int64_t>(first))),
                                            Key(Int(static_cast<int64_t>(second)))})
                      .ok());
    }
    std::sort(all.begin(), all.end());
    const std::vector<QueryRow> rows = std::move(sorter).Take();
    ASSERT_EQ(rows.size(), std::min<size_t>(keep, all.size()));
    for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i].ordinal, std::get<2>(all[i]));
  }
}

TEST(RowSorterTest, MemoryIsLimited) {
  Limits limits;
  limits.max_query_bytes = 100'000;
  QueryMemory memory(limits);
  RowSorter many({false}, 100'000, memory);
  absl::Status status;
  for (Ordinal ordinal = 1; ordinal <= 5000 && status.ok(); ++ordinal) {
    QueryRow row;
    row.ordinal = ordinal;
    status = many.Add(std::move(row), {std::nullopt});
  }
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(GetErrorDetail(status)->reason, "LIMIT_EXCEEDED");
}

v1::PlanAggregate AllFunctions() {
  v1::PlanAggregate plan;
  for (int function = 1; function <= 5; ++function) {
    v1::Aggregate* aggregate = plan.add_aggregates();
    aggregate->set_function(static_cast<v1::AggregateFunction>(function));
    aggregate->set_field("x");
  }
  return plan;
}

absl::StatusOr<std::vector<v1::AggregateRow>> Aggregated(
    const v1::PlanAggregate& plan, const std::vector<std::optional<FieldValue>>& values) {
  QueryMemory memory{Limits()};
  Aggregation aggregation(plan, memory);
  for (const auto& value : values) {
    const auto columns = static_cast<size_t>(plan.aggregates_size());
    EXPECT_TRUE(aggregation.Add(std::vector<std::optional<FieldValue>>(columns, value)).ok());
  }
  return aggregation.Take("aggregates");
}

std::vector<v1::Value> Compute(const std::vector<std::optional<FieldValue>>& values) {
  const auto rows = Aggregated(AllFunctions(), values);
  EXPECT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(rows->size(), 1u);
  return {rows->front().values().begin(), rows->front().values().end()};
}

TEST(AggregationTest, OfNothing) {
  const std::vector<v1::Value> results = Compute({});
  EXPECT_EQ(results[0].int_value(), 0);
  for (int i = 1; i < 5; ++i) EXPECT_TRUE(results[i].has_null_value());
  // What is missing counts for nothing.
  EXPECT_EQ(Compute({std::nullopt, std::nullopt})[0].int_value(), 0);
}

TEST(AggregationTest, IntegersAddUpExactly) {
  const int64_t most = std::numeric_limits<int64_t>::max();
  const std::vector<v1::Value> exact = Compute({Field(Int(most)), Field(Int(5)), Field(Int(-5))});
  EXPECT_EQ(exact[1].int_value(), most);
  EXPECT_EQ(exact[2].int_value(), -5);
  EXPECT_EQ(exact[3].int_value(), most);
  const std::vector<v1::Value> over = Compute({Field(Int(most)), Field(Int(most))});
  EXPECT_EQ(over[1].double_value(), 0x1p64);
  EXPECT_EQ(over[4].double_value(), 0x1p63);
}

TEST(AggregationTest, OfMixedValues) {
  const std::vector<v1::Value> results =
      Compute({Field(Int(1)), Field(Double(0.5)), Field(Text("z")), Field(Bool(true))});
  EXPECT_EQ(results[0].int_value(), 4);
  EXPECT_EQ(results[1].double_value(), 1.5);
  EXPECT_TRUE(results[2].bool_value());
  EXPECT_EQ(results[3].string_value(), "z");
  EXPECT_EQ(results[4].double_value(), 0.75);
}

TEST(AggregationTest, SumsThatAreNoNumbersAreRefused) {
  const FieldValue most = Field(Double(std::numeric_limits<double>::max()));
  const FieldValue least = Field(Double(std::numeric_limits<double>::lowest()));
  EXPECT_EQ(Compute({most, least, most})[1].double_value(), most.value.double_value());
  for (const v1::AggregateFunction function :
       {v1::AGGREGATE_FUNCTION_SUM, v1::AGGREGATE_FUNCTION_AVG}) {
    v1::PlanAggregate plan;
    plan.add_aggregates()->set_function(v1::AGGREGATE_FUNCTION_COUNT);
    plan.add_aggregates()->set_function(function);
    plan.mutable_aggregates(1)->set_field("price");
    const absl::Status status = Aggregated(plan, {most, most}).status();
    ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(GetErrorDetail(status)->field, "aggregates[1].field");
    EXPECT_NE(status.message().find("\"price\""), status.message().npos) << status;
  }
  // What adds nothing up is as great as it is.
  v1::PlanAggregate plan;
  plan.add_aggregates()->set_function(v1::AGGREGATE_FUNCTION_MAX);
  plan.mutable_aggregates(0)->set_field("price");
  const auto rows = Aggregated(plan, {most, most});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(rows->front().values(0).double_value(), most.value.double_value());
}

TEST(AggregationTest, GroupsAreThoseOfAMap) {
  std::mt19937_64 random(5);
  v1::PlanAggregate plan;
  plan.add_group_by("a");
  plan.add_group_by("b");
  plan.add_aggregates()->set_function(v1::AGGREGATE_FUNCTION_COUNT);
  plan.add_aggregates()->set_function(v1::AGGREGATE_FUNCTION_SUM);
  plan.mutable_aggregates(1)->set_field("x");
  QueryMemory memory{Limits()};
  Aggregation aggregation(plan, memory);
  // 9 stands for what is missing.
  std::map<std::pair<int64_t, int64_t>, std::pair<int64_t, int64_t>> expected;
  for (int i = 0; i < 3000; ++i) {
    const int64_t a = static_cast<int64_t>(random() % 4) * 3;
    const int64_t b = static_cast<int64_t>(random() % 3);
    const int64_t x = static_cast<int64_t>(random() % 100);
    auto& [count, sum] = expected[{a, b}];
    ++count;
    sum += x;
    std::vector<std::optional<FieldValue>> values(4);
    if (a != 9) values[0] = Field(i % 2 == 0 ? Int(a) : Double(static_cast<double>(a)));
    values[1] = Field(Int(b));
    values[3] = Field(Int(x));
    ASSERT_TRUE(aggregation.Add(std::move(values)).ok());
  }
  const auto rows = aggregation.Take("aggregates");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), expected.size());
  size_t at = 0;
  for (const auto& [group, result] : expected) {
    const v1::AggregateRow& row = (*rows)[at++];
    EXPECT_EQ(row.values(0).has_null_value(), group.first == 9);
    EXPECT_EQ(row.values(1).int_value(), group.second);
    EXPECT_EQ(row.values(2).int_value(), result.first);
    EXPECT_EQ(row.values(3).int_value(), result.second);
  }
}

TEST(AggregationTest, MemoryOfGroupsIsLimited) {
  Limits limits;
  limits.max_query_bytes = 50'000;
  QueryMemory memory(limits);
  v1::PlanAggregate plan;
  plan.add_group_by("a");
  Aggregation aggregation(plan, memory);
  absl::Status status;
  for (int i = 0; i < 10'000 && status.ok(); ++i) {
    status = aggregation.Add({Field(Text("group " + std::to_string(i)))});
  }
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(GetErrorDetail(status)->reason, "LIMIT_EXCEEDED");
}

TEST(AggregationTest, OrdersGroups) {
  std::vector<v1::AggregateRow> rows(4);
  const v1::Value values[] = {Int(2), Int(1), Int(2), v1::Value()};
  for (int i = 0; i < 4; ++i) {
    *rows[i].add_values() = values[i];
    *rows[i].add_values() = Int(i);
  }
  v1::PlanOrder order;
  order.add_fields()->set_field("a");
  order.mutable_fields(0)->set_descending(true);
  OrderRows(order, {"a", "n"}, &rows);
  EXPECT_EQ(rows[0].values(1).int_value(), 0);
  EXPECT_EQ(rows[1].values(1).int_value(), 2);
  EXPECT_EQ(rows[2].values(1).int_value(), 1);
  EXPECT_EQ(rows[3].values(1).int_value(), 3);
}

}  // namespace
}  // namespace cookix::engine
