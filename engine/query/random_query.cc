#include "engine/query/random_query.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <vector>

namespace cookix::engine {
namespace {

constexpr const char* kNames[] = {
    "price",     "year",        "a.b",   "not",   "all",    "any",   "in",
    "größe",     "two words",   "x",     "count", "desc",   "where", "a\"b",
    "1st",       "-dash",       "true",  "$key",  "$label", "limit", "O'Hara",
    "line\nend", "back\\slash", "#hash", "@at",   "search",
};
constexpr const char* kTexts[] = {
    "wet coat", "it's", "say \"hi\"", "50%",   "a_b", "back\\slash", "line\nend\r", "",
    "東京",     "a\tb", "--",         "x'00'", "{ }", "# none",      "\\u{41}",     "100",
};

}  // namespace

std::string RandomQuery::Name() { return kNames[Below(std::size(kNames))]; }
std::string RandomQuery::Relation() {
  std::string name = Name();
  // Keys and relations have no control characters.
  std::erase(name, '\n');
  return name;
}
std::string RandomQuery::Text() { return kTexts[Below(std::size(kTexts))]; }

double RandomQuery::Number() {
  constexpr double kNumbers[] = {0.0, 1.0, -2.5, 1e-300, 1e300, 0.1, 123456789.25, -0.0};
  if (Maybe(2)) return kNumbers[Below(std::size(kNumbers))];
  const uint64_t bits = random_();
  double number;
  std::memcpy(&number, &bits, sizeof(number));
  return std::isfinite(number) ? number : 0.5;
}

v1::Value RandomQuery::Literal() {
  v1::Value value;
  switch (Below(4)) {
    case 0:
      value.set_bool_value(Maybe(2));
      break;
    case 1:
      value.set_int_value(Maybe(4) ? std::numeric_limits<int64_t>::min()
                                   : static_cast<int64_t>(Below(2000)) - 1000);
      break;
    case 2:
      value.set_double_value(Number());
      break;
    default:
      value.set_string_value(Text());
  }
  return value;
}

v1::Filter RandomQuery::MakeFilter(int depth) {
  v1::Filter filter;
  switch (Below(depth > 0 ? 7 : 4)) {
    case 0:
      filter.mutable_membership()->set_field(Name());
      for (uint64_t n = Below(4); n > 0; --n) {
        *filter.mutable_membership()->add_values() = Literal();
      }
      break;
    case 1:
      filter.mutable_existence()->set_field(Name());
      break;
    case 2:
      filter.mutable_comparison()->set_field(Name());
      filter.mutable_comparison()->set_op(v1::COMPARISON_OPERATOR_PREFIX);
      filter.mutable_comparison()->mutable_value()->set_string_value(Text());
      break;
    case 3:
      filter.mutable_comparison()->set_field(Name());
      *filter.mutable_comparison()->mutable_value() = Literal();
      filter.mutable_comparison()->set_op(filter.comparison().value().has_bool_value()
                                              ? v1::COMPARISON_OPERATOR_NOT_EQUAL
                                              : static_cast<v1::ComparisonOperator>(1 + Below(6)));
      break;
    case 4:
      *filter.mutable_negation() = MakeFilter(depth - 1);
      break;
    default: {
      v1::FilterList* list = Maybe(2) ? filter.mutable_all() : filter.mutable_any();
      for (uint64_t n = 1 + Below(3); n > 0; --n) *list->add_operands() = MakeFilter(depth - 1);
    }
  }
  return filter;
}

void RandomQuery::FillText(bool plain, v1::TextQuery* text) {
  text->set_text(Text());
  text->set_mode(static_cast<v1::TextQueryMode>(Below(5)));
  for (uint64_t n = Below(3); n > 0; --n) text->add_fields(Name());
  if (!plain && Maybe(3)) (*text->mutable_boosts())[Name()] = 2.5;
  if (!plain && Maybe(3)) (*text->mutable_boosts())["other"] = 1e-3;
}

void RandomQuery::FillVector(bool plain, v1::VectorQuery* vector) {
  if (Maybe(2)) {
    vector->set_key(Text());
  } else {
    for (uint64_t n = 1 + Below(4); n > 0; --n) {
      vector->mutable_vector()->add_values(
          std::ldexp(static_cast<float>(Below(1 << 24)), static_cast<int>(Below(60)) - 40));
    }
    if (!plain && Maybe(3)) {
      vector->mutable_vector()->clear_values();
      vector->mutable_vector()->set_bits(std::string("\x00\xff\x10", 3));
    } else if (!plain && Maybe(3)) {
      for (int i = 0; i < vector->vector().values_size(); ++i) {
        vector->mutable_vector()->add_indices(static_cast<uint32_t>(i) * 7);
      }
    }
  }
  if (Maybe(2)) vector->set_field(Name());
  vector->set_exact(Maybe(3));
  if (plain) return;
  if (Maybe(3)) vector->set_ef(100);
  if (Maybe(3)) vector->set_cells_probed(4);
  if (Maybe(3)) vector->set_metric(v1::VECTOR_METRIC_DOT);
}

void RandomQuery::FillLane(v1::SearchLane* lane) {
  if (Maybe(3)) lane->set_name(Name());
  if (Maybe(3)) lane->set_weight(0.5);
  if (Maybe(3)) lane->set_candidates(200);
  switch (Below(3)) {
    case 0:
      FillText(false, lane->mutable_text());
      break;
    case 1:
      FillVector(false, lane->mutable_vector());
      break;
    default: {
      v1::NeighbourhoodQuery* around = lane->mutable_neighbourhood();
      around->add_anchors()->set_key(Text());
      around->mutable_anchors(0)->set_collection(Maybe(2) ? "" : "papers");
      if (Maybe(2)) around->add_relations(Relation());
      around->set_max_hops(static_cast<int32_t>(Below(3)));
    }
  }
}

void RandomQuery::FillSearch(bool plain, v1::SeedSearch* search) {
  if (!plain && Maybe(3)) {
    for (uint64_t n = 1 + Below(3); n > 0; --n) FillLane(search->add_lanes());
    search->mutable_fusion()->set_method(static_cast<v1::FusionMethod>(Below(3)));
    search->mutable_fusion()->set_rank_constant(static_cast<int32_t>(Below(3) * 30));
  } else {
    const uint64_t kind = Below(3);
    if (kind != 0) FillText(plain, search->mutable_text());
    if (kind != 1) FillVector(plain, search->mutable_vector());
    if (Maybe(3)) search->mutable_fusion()->set_alpha(0.7);
  }
  if (Maybe(3)) search->set_min_score(Number());
  // A lane that looks at some only is refused where all hits are needed.
  const bool looks_at_some =
      std::any_of(search->lanes().begin(), search->lanes().end(),
                  [](const v1::SearchLane& lane) { return lane.candidates() > 0; });
  if (looks_at_some || Maybe(2)) search->set_limit(static_cast<int32_t>(1 + Below(100)));
}

void RandomQuery::FillFollow(v1::FollowStep* step) {
  for (uint64_t n = Below(3); n > 0; --n) step->add_relations(Relation());
  step->set_direction(static_cast<v1::Direction>(Below(4)));
  step->set_max_hops(static_cast<int32_t>(Below(4)));
  step->set_follow_inverses(Maybe(3));
  if (Maybe(2)) *step->mutable_where() = MakeFilter(2);
}

void RandomQuery::FillAggregates(v1::BuilderQuery* query) {
  if (Maybe(2)) query->add_group_by("year");
  if (Maybe(4)) query->add_group_by("größe");
  for (uint64_t n = Below(4); n > 0; --n) {
    v1::Aggregate* aggregate = query->add_aggregates();
    aggregate->set_function(static_cast<v1::AggregateFunction>(1 + Below(5)));
    if (aggregate->function() != v1::AGGREGATE_FUNCTION_COUNT || Maybe(2)) {
      aggregate->set_field(Name());
    }
    aggregate->set_name("column " + std::to_string(n));
  }
  if (query->aggregates_size() + query->group_by_size() == 0) {
    query->add_aggregates()->set_function(v1::AGGREGATE_FUNCTION_COUNT);
  }
  if (query->group_by_size() > 0 && Maybe(2)) {
    query->add_order_by()->set_field(query->group_by(0));
    query->mutable_order_by(0)->set_descending(Maybe(2));
  }
}

v1::BuilderQuery RandomQuery::Make(bool plain) {
  v1::BuilderQuery query;
  query.set_collection(Maybe(3) ? "" : Maybe(2) ? "papers" : "two-words");
  switch (Below(3)) {
    case 0:
      FillSearch(plain, query.mutable_search());
      break;
    case 1:
      for (uint64_t n = 1 + Below(3); n > 0; --n)
        query.add_keys("it's \"key\" " + std::to_string(Below(5)));
      break;
    default:
      break;
  }
  if (Maybe(2)) *query.mutable_where() = MakeFilter(3);
  for (uint64_t n = Below(3); n > 0; --n) FillFollow(query.add_follow());
  if (query.follow_size() > 0 && Maybe(3)) query.set_valid_at_ms(1700000000000);
  if (Maybe(3)) {
    FillAggregates(&query);
  } else {
    constexpr const char* kParts[] = {"*", "$content", "$vectors", "$key", "price", "two words"};
    for (uint64_t n = Below(4); n > 0; --n) query.add_select(kParts[Below(std::size(kParts))]);
    constexpr const char* kOrders[] = {"$score", "$hops", "price", "a.b", "desc", "two words"};
    for (uint64_t n = Below(3); n > 0; --n) {
      query.add_order_by()->set_field(kOrders[Below(std::size(kOrders))]);
      query.mutable_order_by()->rbegin()->set_descending(Maybe(2));
    }
    if (!plain && query.has_search() && query.follow_size() == 0 && Maybe(3)) {
      query.mutable_search()->mutable_snippets()->set_max_words(5);
      query.mutable_search()->mutable_snippets()->add_fields(Name());
    }
  }
  if (Maybe(2)) query.set_limit(static_cast<int32_t>(1 + Below(1000)));
  if (Maybe(3)) query.set_offset(static_cast<int32_t>(Below(1000)));
  return query;
}

}  // namespace cookix::engine
