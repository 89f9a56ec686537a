// Words of SEARCH statements and what they mean: what reading and writing agree on.
#ifndef COOKIX_ENGINE_QUERY_SEARCH_WORDS_H_
#define COOKIX_ENGINE_QUERY_SEARCH_WORDS_H_

#include "cookix/v1/query_service.pb.h"
#include "engine/query/query_words.h"

namespace cookix::engine {

inline constexpr QueryWord<v1::TextQueryMode> kSearchModes[] = {
    {"ANY", v1::TEXT_QUERY_MODE_ANY_WORDS},
    {"ALL", v1::TEXT_QUERY_MODE_ALL_WORDS},
    {"PHRASE", v1::TEXT_QUERY_MODE_PHRASE},
    {"RAW", v1::TEXT_QUERY_MODE_RAW},
};
inline constexpr QueryWord<v1::AggregateFunction> kSearchFunctions[] = {
    {"COUNT", v1::AGGREGATE_FUNCTION_COUNT}, {"SUM", v1::AGGREGATE_FUNCTION_SUM},
    {"MIN", v1::AGGREGATE_FUNCTION_MIN},     {"MAX", v1::AGGREGATE_FUNCTION_MAX},
    {"AVG", v1::AGGREGATE_FUNCTION_AVG},
};
inline constexpr QueryWord<v1::Direction> kSearchDirections[] = {
    {"OUT", v1::DIRECTION_OUT},
    {"IN", v1::DIRECTION_IN},
    {"BOTH", v1::DIRECTION_BOTH},
};
// Prefixes are written with LIKE.
inline constexpr QueryWord<v1::ComparisonOperator> kSearchOperators[] = {
    {"=", v1::COMPARISON_OPERATOR_EQUAL},          {"!=", v1::COMPARISON_OPERATOR_NOT_EQUAL},
    {"<>", v1::COMPARISON_OPERATOR_NOT_EQUAL},     {"<", v1::COMPARISON_OPERATOR_LESS},
    {"<=", v1::COMPARISON_OPERATOR_LESS_EQUAL},    {">", v1::COMPARISON_OPERATOR_GREATER},
    {">=", v1::COMPARISON_OPERATOR_GREATER_EQUAL},
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_SEARCH_WORDS_H_
