#include "engine/query/plan_check.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "engine/filter/filter.h"
#include "engine/query/row_field.h"
#include "engine/query/search_words.h"
#include "engine/write/validate.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

std::string Item(std::string_view field, int index) {
  return absl::StrCat(ToAbsl(field), "[", index, "]");
}

// Libraries read messages that are nested up to 100 deep, and a filter of a plan is the
// fifth message in an answer: plan, step, seed, search, filter.
constexpr int kMostMessagesWithin = 95;

// How deep messages are nested in a filter, which is itself not counted.
// REQUIRES: the filter compiled, so that it is not too deep for recursion.
int MessagesWithin(const v1::Filter& filter) {
  switch (filter.expression_case()) {
    case v1::Filter::kAll:
    case v1::Filter::kAny: {
      int deepest = 0;
      for (const v1::Filter& operand :
           (filter.has_all() ? filter.all() : filter.any()).operands()) {
        deepest = std::max(deepest, 1 + MessagesWithin(operand));
      }
      return 1 + deepest;
    }
    case v1::Filter::kNegation:
      return 1 + MessagesWithin(filter.negation());
    case v1::Filter::kComparison:
    case v1::Filter::kMembership:
      return 2;
    case v1::Filter::kExistence:
      return 1;
    case v1::Filter::EXPRESSION_NOT_SET:
      break;
  }
  return 0;
}

absl::Status CheckFinite(bool set, double number, const std::string& field) {
  if (!set || std::isfinite(number)) return absl::OkStatus();
  return InvalidField(field, "the number is not finite", "Send a finite number");
}

absl::Status CheckAggregate(const v1::Aggregate& aggregate, const std::string& field,
                            const Limits& limits) {
  if (aggregate.function() == v1::AGGREGATE_FUNCTION_UNSPECIFIED ||
      !v1::AggregateFunction_IsValid(aggregate.function())) {
    return InvalidField(field + ".function", "the function is unknown",
                        "Send count, sum, min, max or avg");
  }
  if (static_cast<int64_t>(aggregate.name().size()) > limits.max_name_bytes) {
    return LimitExceeded(field + ".name",
                         absl::StrCat("the name has more than ", limits.max_name_bytes, " bytes"),
                         "Use a shorter name");
  }
  if (!aggregate.field().empty()) {
    return ParseRowField(aggregate.field(), field + ".field", limits).status();
  }
  if (aggregate.function() == v1::AGGREGATE_FUNCTION_COUNT) return absl::OkStatus();
  return InvalidField(field + ".field", "only count can do without a field",
                      "Name the field to compute from");
}

}  // namespace

absl::Status CheckNumber(int64_t number, int64_t most, std::string_view field) {
  if (number < 0) {
    return InvalidField(field, absl::StrCat("the number ", number, " is negative"),
                        "Send 1 or more, or 0 for the default");
  }
  if (number > most) {
    return LimitExceeded(field, absl::StrCat("the number ", number, " is more than ", most),
                         "Ask for less");
  }
  return absl::OkStatus();
}

absl::Status CheckCount(int64_t count, int64_t most, std::string_view field) {
  if (count <= most) return absl::OkStatus();
  return LimitExceeded(field, absl::StrCat(count, " entries are more than ", most),
                       "Make the query simpler");
}

absl::Status CheckFilter(const v1::Filter& filter, std::string_view field, const Limits& limits) {
  COOKIX_RETURN_IF_ERROR(CompiledFilter::Compile(filter, field, limits).status());
  if (MessagesWithin(filter) <= kMostMessagesWithin) return absl::OkStatus();
  return LimitExceeded(field, "the conditions are nested too deeply for the message of a plan",
                       "Nest fewer of AND and OR into each other");
}

absl::Status CheckKeys(const NameList& keys, std::string_view field, const Limits& limits) {
  COOKIX_RETURN_IF_ERROR(CheckCount(keys.size(), limits.max_batch_objects, field));
  for (int i = 0; i < keys.size(); ++i) {
    COOKIX_RETURN_IF_ERROR(CheckKey(keys[i], Item(field, i), limits));
  }
  return absl::OkStatus();
}

absl::Status CheckSeedSearch(const v1::SeedSearch& search, std::string_view field,
                             const Limits& limits) {
  const std::string prefix(field);
  if (!search.has_vector() && !search.has_text() && search.lanes_size() == 0) {
    return InvalidField(field, "there is nothing to search for",
                        "Send words, a vector, the key of an object, or lanes");
  }
  COOKIX_RETURN_IF_ERROR(CheckNumber(search.limit(), limits.max_search_limit, prefix + ".limit"));
  COOKIX_RETURN_IF_ERROR(
      CheckFinite(search.has_min_score(), search.min_score(), prefix + ".min_score"));
  return CheckFinite(search.fusion().has_alpha(), search.fusion().alpha(),
                     prefix + ".fusion.alpha");
}

absl::Status CheckValidAt(int64_t valid_at_ms, std::string_view field) {
  if (valid_at_ms >= 0) return absl::OkStatus();
  return InvalidField(field, "the time is negative", "Send Unix milliseconds, or 0 for any time");
}

absl::Status CheckSelect(const NameList& select, std::string_view field, const Limits& limits) {
  COOKIX_RETURN_IF_ERROR(CheckCount(select.size(), limits.max_select_fields, field));
  for (int i = 0; i < select.size(); ++i) {
    const std::string& name = select[i];
    if (name.empty()) return InvalidField(Item(field, i), "the name is empty", "Name a property");
    if (static_cast<int64_t>(name.size()) > limits.max_name_bytes) {
      return LimitExceeded(Item(field, i),
                           absl::StrCat("the name has more than ", limits.max_name_bytes, " bytes"),
                           "Name a property");
    }
    if (name[0] == '$' && name != "$key" && name != "$content" && name != "$vectors") {
      return InvalidField(Item(field, i), absl::StrCat("there is no part \"", name, "\""),
                          "Name a property, *, $content, $vectors or $key");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckAggregation(const NameList& group_by,
                              const google::protobuf::RepeatedPtrField<v1::Aggregate>& aggregates,
                              std::string_view field, const Limits& limits) {
  const std::string groups = absl::StrCat(ToAbsl(field), "group_by");
  const std::string computed = absl::StrCat(ToAbsl(field), "aggregates");
  COOKIX_RETURN_IF_ERROR(CheckCount(group_by.size(), limits.max_group_fields, groups));
  COOKIX_RETURN_IF_ERROR(CheckCount(aggregates.size(), limits.max_aggregates, computed));
  std::set<std::string> columns;
  const auto add = [&columns](const std::string& column, const std::string& at) {
    if (columns.insert(column).second) return absl::OkStatus();
    return InvalidField(at, absl::StrCat("there is a second column \"", column, "\""),
                        "Give each column another name");
  };
  for (int i = 0; i < group_by.size(); ++i) {
    COOKIX_RETURN_IF_ERROR(ParseRowField(group_by[i], Item(groups, i), limits).status());
    COOKIX_RETURN_IF_ERROR(add(group_by[i], Item(groups, i)));
  }
  for (int i = 0; i < aggregates.size(); ++i) {
    COOKIX_RETURN_IF_ERROR(CheckAggregate(aggregates[i], Item(computed, i), limits));
    COOKIX_RETURN_IF_ERROR(add(ColumnName(aggregates[i]), Item(computed, i)));
  }
  return absl::OkStatus();
}

absl::Status CheckOrder(const google::protobuf::RepeatedPtrField<v1::OrderField>& order,
                        const v1::PlanAggregate* aggregate, std::string_view field,
                        const Limits& limits) {
  COOKIX_RETURN_IF_ERROR(CheckCount(order.size(), limits.max_order_fields, field));
  std::set<std::string> columns;
  if (aggregate != nullptr) {
    columns.insert(aggregate->group_by().begin(), aggregate->group_by().end());
    for (const v1::Aggregate& each : aggregate->aggregates()) columns.insert(ColumnName(each));
  }
  for (int i = 0; i < order.size(); ++i) {
    const std::string at = Item(field, i) + ".field";
    if (aggregate == nullptr) {
      COOKIX_RETURN_IF_ERROR(ParseRowField(order[i].field(), at, limits).status());
    } else if (columns.count(order[i].field()) == 0) {
      return InvalidField(at, absl::StrCat("there is no column \"", order[i].field(), "\""),
                          "Groups are ordered by the fields they are made of and by what is "
                          "computed of them");
    }
  }
  return absl::OkStatus();
}

std::string ColumnName(const v1::Aggregate& aggregate) {
  if (!aggregate.name().empty()) return aggregate.name();
  const std::string name =
      absl::AsciiStrToLower(ToAbsl(WordFor(kSearchFunctions, aggregate.function())));
  return aggregate.field().empty() ? name : name + "(" + aggregate.field() + ")";
}

}  // namespace cookix::engine
