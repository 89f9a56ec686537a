// Words of `bring` documents and what they mean: what reading and writing agree on.
#ifndef COOKIX_ENGINE_QUERY_BRING_WORDS_H_
#define COOKIX_ENGINE_QUERY_BRING_WORDS_H_

#include "cookix/v1/query_service.pb.h"
#include "engine/query/query_words.h"

namespace cookix::engine {

inline constexpr QueryWord<v1::TextQueryMode> kTextModes[] = {
    {"any", v1::TEXT_QUERY_MODE_ANY_WORDS},
    {"all", v1::TEXT_QUERY_MODE_ALL_WORDS},
    {"phrase", v1::TEXT_QUERY_MODE_PHRASE},
    {"raw", v1::TEXT_QUERY_MODE_RAW},
};
inline constexpr QueryWord<v1::VectorMetric> kMetrics[] = {
    {"cosine", v1::VECTOR_METRIC_COSINE},
    {"l2", v1::VECTOR_METRIC_L2},
    {"dot", v1::VECTOR_METRIC_DOT},
    {"hamming", v1::VECTOR_METRIC_HAMMING},
};
inline constexpr QueryWord<v1::FusionMethod> kFusions[] = {
    {"reciprocal_rank", v1::FUSION_METHOD_RECIPROCAL_RANK},
    {"normalized_score", v1::FUSION_METHOD_NORMALIZED_SCORE},
};
inline constexpr QueryWord<v1::Direction> kDirections[] = {
    {"out", v1::DIRECTION_OUT},
    {"in", v1::DIRECTION_IN},
    {"both", v1::DIRECTION_BOTH},
};
inline constexpr QueryWord<v1::AggregateFunction> kFunctions[] = {
    {"count", v1::AGGREGATE_FUNCTION_COUNT}, {"sum", v1::AGGREGATE_FUNCTION_SUM},
    {"min", v1::AGGREGATE_FUNCTION_MIN},     {"max", v1::AGGREGATE_FUNCTION_MAX},
    {"avg", v1::AGGREGATE_FUNCTION_AVG},
};
inline constexpr QueryWord<v1::ComparisonOperator> kOperators[] = {
    {"eq", v1::COMPARISON_OPERATOR_EQUAL},      {"ne", v1::COMPARISON_OPERATOR_NOT_EQUAL},
    {"gt", v1::COMPARISON_OPERATOR_GREATER},    {"gte", v1::COMPARISON_OPERATOR_GREATER_EQUAL},
    {"lt", v1::COMPARISON_OPERATOR_LESS},       {"lte", v1::COMPARISON_OPERATOR_LESS_EQUAL},
    {"prefix", v1::COMPARISON_OPERATOR_PREFIX},
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_BRING_WORDS_H_
