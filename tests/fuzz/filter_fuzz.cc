// Filters come from clients: compiling one must judge it, and a compiled one must
// match any record without harm.
#include "cookix/internal/v1/records.pb.h"
#include "cookix/v1/common.pb.h"
#include "engine/filter/filter.h"
#include "tests/fuzz/fuzz_target.h"

namespace {

namespace v1 = cookix::v1;

const cookix::internal::v1::ObjectRecord& Record() {
  static const auto* const record = [] {
    auto* r = new cookix::internal::v1::ObjectRecord;
    r->set_exists(true);
    r->set_key("rain");
    r->set_version(7);
    r->add_labels("weather");
    auto& properties = *r->mutable_properties();
    properties["text"].set_string_value("water");
    properties["number"].set_int_value(-3);
    properties["real"].set_double_value(2.5);
    properties["yes"].set_bool_value(true);
    properties["nothing"].set_null_value(v1::NULL_VALUE_UNSPECIFIED);
    properties["bytes"].set_bytes_value("\x01\x02");
    properties["list"].mutable_list_value()->add_values()->set_int_value(1);
    (*properties["map"].mutable_map_value()->mutable_fields())["inner"].set_int_value(5);
    return r;
  }();
  return *record;
}

v1::Filter Comparison(std::string field, v1::ComparisonOperator op) {
  v1::Filter filter;
  filter.mutable_comparison()->set_field(std::move(field));
  filter.mutable_comparison()->set_op(op);
  return filter;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  v1::Filter filter;
  if (!filter.ParseFromArray(data, static_cast<int>(size))) return 0;
  const auto compiled =
      cookix::engine::CompiledFilter::Compile(filter, "filter", cookix::engine::Limits());
  if (!compiled.ok()) {
    FUZZ_CHECK(compiled.status().code() == absl::StatusCode::kInvalidArgument);
    return 0;
  }
  const bool matches = (*compiled)->Matches(Record(), "default");
  // The negation of what matches does not match, and the other way round.
  v1::Filter negated;
  *negated.mutable_negation() = filter;
  const auto opposite =
      cookix::engine::CompiledFilter::Compile(negated, "filter", cookix::engine::Limits());
  if (opposite.ok()) FUZZ_CHECK((*opposite)->Matches(Record(), "default") == !matches);
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  std::vector<v1::Filter> filters;
  filters.push_back(Comparison("text", v1::COMPARISON_OPERATOR_PREFIX));
  filters.back().mutable_comparison()->mutable_value()->set_string_value("wa");
  filters.push_back(Comparison("number", v1::COMPARISON_OPERATOR_LESS));
  filters.back().mutable_comparison()->mutable_value()->set_double_value(0.5);
  filters.push_back(Comparison("map.inner", v1::COMPARISON_OPERATOR_GREATER_EQUAL));
  filters.back().mutable_comparison()->mutable_value()->set_int_value(5);
  filters.push_back(Comparison("$label", v1::COMPARISON_OPERATOR_EQUAL));
  filters.back().mutable_comparison()->mutable_value()->set_string_value("weather");
  filters.push_back(Comparison("$version", v1::COMPARISON_OPERATOR_NOT_EQUAL));
  filters.back().mutable_comparison()->mutable_value()->set_int_value(7);
  v1::Filter membership;
  membership.mutable_membership()->set_field("list");
  membership.mutable_membership()->add_values()->set_int_value(1);
  membership.mutable_membership()->add_values()->set_bool_value(true);
  filters.push_back(membership);
  v1::Filter existence;
  existence.mutable_existence()->set_field("nothing");
  filters.push_back(existence);
  v1::Filter tree;
  for (const v1::Filter& filter : filters) {
    *tree.mutable_all()->add_operands()->mutable_any()->add_operands() = filter;
    *tree.mutable_all()->add_operands()->mutable_negation() = filter;
  }
  filters.push_back(tree);
  std::vector<std::string> seeds;
  for (const v1::Filter& filter : filters) seeds.push_back(filter.SerializeAsString());
  return seeds;
}
