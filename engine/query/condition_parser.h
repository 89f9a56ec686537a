// Conditions of SEARCH statements: see search_parser.h.
#ifndef COOKIX_ENGINE_QUERY_CONDITION_PARSER_H_
#define COOKIX_ENGINE_QUERY_CONDITION_PARSER_H_

#include "absl/status/statusor.h"
#include "cookix/v1/common.pb.h"
#include "engine/limits.h"
#include "engine/query/search_lexer.h"

namespace cookix::engine {

// Reads a condition up to the first word that is no part of one.
absl::StatusOr<v1::Filter> ParseCondition(SearchLexer& lexer, const Limits& limits);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_CONDITION_PARSER_H_
