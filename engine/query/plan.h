// Plans: what queries are compiled to.
//
// Compiling knows nothing of the data. It fills in what a query leaves out, drops what
// says nothing, and so makes one plan of all the ways in which a query can be written:
// filters without lists of one and lists within lists of their kind, relations sorted,
// keys and names each once, defaults spelled out. A condition moves into the seed when
// that can look it up; a limit moves into the search or the last expansion when nothing
// behind them orders or leaves out rows.
#ifndef COOKIX_ENGINE_QUERY_PLAN_H_
#define COOKIX_ENGINE_QUERY_PLAN_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/query_service.pb.h"
#include "engine/limits.h"

namespace cookix::engine {

// The query that a form says. `field` names the Query in errors, such as "query".
absl::StatusOr<v1::BuilderQuery> ParseQuery(const v1::Query& query, const Limits& limits,
                                            std::string_view field);

// The plan of a query. Errors name the field in `field`; when `one_field` (the query was
// text, in which there are no request fields) they name `field`, and their message begins
// with the part of the query.
absl::StatusOr<v1::Plan> CompileQuery(const v1::BuilderQuery& query, const Limits& limits,
                                      std::string_view field, bool one_field);

// INVALID_ARGUMENT for a plan that cannot be executed, whatever the data. What
// CompileQuery() returns is always good.
absl::Status CheckPlan(const v1::Plan& plan, const Limits& limits, std::string_view field);

// A filter that says the same in the one way that plans have.
v1::Filter NormalizeFilter(const v1::Filter& filter);

// The answer of the aggregation is how many rows there are.
bool OnlyCountsRows(const v1::PlanAggregate& plan);
// All that the plan asks for is how many objects have the words: a search can count them,
// however many they are.
bool OnlyCountsMatches(const v1::Plan& plan);

// A line for each step. Equal for equal plans; long lists of keys and vectors are cut short.
std::string PlanText(const v1::Plan& plan);
// One step, by number, without its name: "causes out, 2 hops".
std::string PlanStepText(const v1::Plan& plan, int number);
// "seed", "expand", "filter", "aggregate", "order", "project".
std::string_view PlanStepName(const v1::PlanStep& step);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_PLAN_H_
