// Checks of the parts that queries and plans have in common. Every error names the field.
#ifndef COOKIX_ENGINE_QUERY_PLAN_CHECK_H_
#define COOKIX_ENGINE_QUERY_PLAN_CHECK_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "cookix/v1/query_service.pb.h"
#include "engine/limits.h"

namespace cookix::engine {

using NameList = google::protobuf::RepeatedPtrField<std::string>;

// 0 to `most`: INVALID_FIELD when negative, LIMIT_EXCEEDED above.
absl::Status CheckNumber(int64_t number, int64_t most, std::string_view field);
absl::Status CheckCount(int64_t count, int64_t most, std::string_view field);
absl::Status CheckFilter(const v1::Filter& filter, std::string_view field, const Limits& limits);
absl::Status CheckKeys(const NameList& keys, std::string_view field, const Limits& limits);
// That it looks for something, in numbers that are some. The rest is SearchApi's to check.
absl::Status CheckSeedSearch(const v1::SeedSearch& search, std::string_view field,
                             const Limits& limits);
absl::Status CheckValidAt(int64_t valid_at_ms, std::string_view field);
absl::Status CheckSelect(const NameList& select, std::string_view field, const Limits& limits);
absl::Status CheckAggregation(const NameList& group_by,
                              const google::protobuf::RepeatedPtrField<v1::Aggregate>& aggregates,
                              std::string_view field, const Limits& limits);
// `aggregate` null: rows are objects; else the fields are its columns.
absl::Status CheckOrder(const google::protobuf::RepeatedPtrField<v1::OrderField>& order,
                        const v1::PlanAggregate* aggregate, std::string_view field,
                        const Limits& limits);

// The name of an aggregate's column.
std::string ColumnName(const v1::Aggregate& aggregate);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_PLAN_CHECK_H_
