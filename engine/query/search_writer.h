// Writing queries as SEARCH statements.
#ifndef COOKIX_ENGINE_QUERY_SEARCH_WRITER_H_
#define COOKIX_ENGINE_QUERY_SEARCH_WRITER_H_

#include <optional>
#include <string>
#include <string_view>

#include "cookix/v1/query_service.pb.h"

namespace cookix::engine {

// A statement from which ParseSearch() makes a query with the same plan. Nothing for what
// statements have no words for: lanes, boosts, snippets, vectors that are sparse or of
// bits, and most settings of vector searches. `query` was compiled without an error.
std::optional<std::string> WriteSearch(const v1::BuilderQuery& query);

// The parts of statements, for whoever shows queries. What has no syntax is shown in
// angle brackets.
std::string WriteCondition(const v1::Filter& filter);
std::string WriteName(std::string_view name);
std::string WriteText(std::string_view text);
std::string WriteAggregate(const v1::Aggregate& aggregate);
std::string WriteOrder(const v1::OrderField& order);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_SEARCH_WRITER_H_
