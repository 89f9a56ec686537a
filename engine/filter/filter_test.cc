#include "engine/filter/filter.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/filter/test_values.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using internal::v1::ObjectRecord;

ObjectRecord Record(const std::vector<std::pair<std::string, v1::Value>>& properties) {
  ObjectRecord record;
  record.set_key("k");
  record.set_collection_id(1);
  record.set_exists(true);
  for (const auto& [name, value] : properties) (*record.mutable_properties())[name] = value;
  return record;
}

v1::Filter In(const std::string& field, const std::vector<v1::Value>& values) {
  v1::Filter filter;
  filter.mutable_membership()->set_field(field);
  for (const v1::Value& value : values) *filter.mutable_membership()->add_values() = value;
  return filter;
}
v1::Filter Not(const v1::Filter& operand) {
  v1::Filter filter;
  *filter.mutable_negation() = operand;
  return filter;
}
v1::Filter All(const std::vector<v1::Filter>& operands) {
  v1::Filter filter;
  filter.mutable_all();
  for (const v1::Filter& operand : operands) *filter.mutable_all()->add_operands() = operand;
  return filter;
}
v1::Filter Any(const std::vector<v1::Filter>& operands) {
  v1::Filter filter;
  filter.mutable_any();
  for (const v1::Filter& operand : operands) *filter.mutable_any()->add_operands() = operand;
  return filter;
}

constexpr auto kEq = v1::COMPARISON_OPERATOR_EQUAL;
constexpr auto kNe = v1::COMPARISON_OPERATOR_NOT_EQUAL;
constexpr auto kLt = v1::COMPARISON_OPERATOR_LESS;
constexpr auto kLe = v1::COMPARISON_OPERATOR_LESS_EQUAL;
constexpr auto kGt = v1::COMPARISON_OPERATOR_GREATER;
constexpr auto kGe = v1::COMPARISON_OPERATOR_GREATER_EQUAL;
constexpr auto kPrefix = v1::COMPARISON_OPERATOR_PREFIX;

std::shared_ptr<const CompiledFilter> Compiled(const v1::Filter& filter) {
  auto compiled = CompiledFilter::Compile(filter, "filter", Limits());
  EXPECT_TRUE(compiled.ok()) << compiled.status();
  return compiled.ok() ? *compiled : CompiledFilter::AnyLabel({});
}

bool Holds(const v1::Filter& filter, const ObjectRecord& record) {
  return Compiled(filter)->Matches(record, "default");
}

// The field that the error of a malformed filter names, and its reason.
std::string ErrorAt(const v1::Filter& filter, const Limits& limits = Limits()) {
  auto compiled = CompiledFilter::Compile(filter, "filter", limits);
  if (compiled.ok()) return "accepted";
  EXPECT_EQ(compiled.status().code(), absl::StatusCode::kInvalidArgument);
  const auto detail = GetErrorDetail(compiled.status());
  if (!detail.has_value()) return "no detail";
  EXPECT_FALSE(detail->remedy.empty());
  return detail->reason + " " + detail->field;
}

TEST(NumberKeyTest, OrdersIntegersAndDoublesExactly) {
  const std::vector<NumberKey> ascending = {
      NumberKey::FromDouble(-std::numeric_limits<double>::max()),
      NumberKey::FromDouble(-9223372036854777856.0),
      NumberKey::FromInt(std::numeric_limits<int64_t>::min()),
      NumberKey::FromInt(std::numeric_limits<int64_t>::min() + 1),
      NumberKey::FromInt(-9007199254740994),
      NumberKey::FromInt(-9007199254740993),
      NumberKey::FromDouble(-9007199254740992.0),
      NumberKey::FromInt(-1),
      NumberKey::FromDouble(-0.5),
      NumberKey::FromDouble(-std::numeric_limits<double>::denorm_min()),
      NumberKey::FromInt(0),
      NumberKey::FromDouble(std::numeric_limits<double>::denorm_min()),
      NumberKey::FromDouble(0.5),
      NumberKey::FromInt(1),
      NumberKey::FromDouble(1.5),
      NumberKey::FromDouble(9007199254740992.0),
      NumberKey::FromInt(9007199254740993),
      NumberKey::FromDouble(9007199254740994.0),
      NumberKey::FromInt(9007199254740995),
      NumberKey::FromInt(std::numeric_limits<int64_t>::max() - 1),
      NumberKey::FromInt(std::numeric_limits<int64_t>::max()),
      NumberKey::FromDouble(9223372036854775808.0),
      NumberKey::FromDouble(std::numeric_limits<double>::max()),
  };
  for (size_t i = 0; i < ascending.size(); ++i) {
    for (size_t j = 0; j < ascending.size(); ++j) {
      EXPECT_EQ(ascending[i] < ascending[j], i < j) << i << " " << j;
    }
  }
  EXPECT_EQ(NumberKey::FromDouble(-0.0), NumberKey::FromInt(0));
  EXPECT_EQ(NumberKey::FromDouble(-9223372036854775808.0),
            NumberKey::FromInt(std::numeric_limits<int64_t>::min()));
  EXPECT_EQ(NumberKey::FromDouble(9007199254740994.0), NumberKey::FromInt(9007199254740994));
}

TEST(NumberKeyTest, OrdersRandomIntegersAsIntegers) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100000; ++i) {
    const int64_t a = static_cast<int64_t>(random()) >> (random() % 60);
    const int64_t b = i % 3 == 0 ? a + static_cast<int64_t>(random() % 5)
                                 : static_cast<int64_t>(random()) >> (random() % 60);
    if (b < a && i % 3 == 0) continue;  // overflowed
    ASSERT_EQ(NumberKey::FromInt(a) <=> NumberKey::FromInt(b), a <=> b) << a << " " << b;
  }
}

TEST(FilterTest, ComparesNumbersByValue) {
  const ObjectRecord record = Record({{"n", Int(5)}, {"d", Double(2.5)}});
  EXPECT_TRUE(Holds(Compare("n", kEq, Double(5.0)), record));
  EXPECT_FALSE(Holds(Compare("n", kNe, Double(5.0)), record));
  EXPECT_TRUE(Holds(Compare("n", kNe, Double(5.5)), record));
  EXPECT_TRUE(Holds(Compare("n", kLt, Double(5.5)), record));
  EXPECT_FALSE(Holds(Compare("n", kLt, Int(5)), record));
  EXPECT_TRUE(Holds(Compare("n", kLe, Int(5)), record));
  EXPECT_FALSE(Holds(Compare("n", kGt, Int(5)), record));
  EXPECT_TRUE(Holds(Compare("n", kGe, Int(5)), record));
  EXPECT_TRUE(Holds(Compare("d", kGt, Int(2)), record));
  EXPECT_TRUE(Holds(Compare("d", kLt, Int(3)), record));
}

TEST(FilterTest, ComparesBeyondThePrecisionOfDoubles) {
  const ObjectRecord record = Record({{"n", Int(9007199254740993)}});
  EXPECT_FALSE(Holds(Compare("n", kEq, Double(9007199254740992.0)), record));
  EXPECT_TRUE(Holds(Compare("n", kGt, Double(9007199254740992.0)), record));
  EXPECT_FALSE(Holds(In("n", {Double(9007199254740992.0)}), record));
  EXPECT_TRUE(Holds(In("n", {Int(9007199254740993)}), record));
}

TEST(FilterTest, MissingAndNullFieldsSatisfyNoComparison) {
  const ObjectRecord record = Record({{"null", Null()}, {"unset", v1::Value()}});
  for (const std::string field : {"missing", "null", "unset"}) {
    for (const auto op : {kEq, kNe, kLt, kLe, kGt, kGe}) {
      EXPECT_FALSE(Holds(Compare(field, op, Int(0)), record)) << field;
      EXPECT_TRUE(Holds(Not(Compare(field, op, Int(0))), record)) << field;
    }
    EXPECT_FALSE(Holds(In(field, {Int(0), Text("")}), record));
    EXPECT_FALSE(Holds(Exists(field), record));
    EXPECT_TRUE(Holds(Not(Exists(field)), record));
  }
}

TEST(FilterTest, ValuesOfDifferentKindsSatisfyNoComparison) {
  const ObjectRecord record = Record({{"t", Text("5")}, {"b", Bool(true)}, {"y", Bytes("5")}});
  for (const auto op : {kEq, kNe}) {
    EXPECT_FALSE(Holds(Compare("t", op, Int(5)), record));
    EXPECT_FALSE(Holds(Compare("t", op, Bytes("5")), record));
    EXPECT_FALSE(Holds(Compare("b", op, Int(1)), record));
    EXPECT_FALSE(Holds(Compare("y", op, Text("5")), record));
  }
  EXPECT_FALSE(Holds(Compare("t", kLt, Int(9)), record));
  EXPECT_TRUE(Holds(Compare("b", kNe, Bool(false)), record));
  EXPECT_TRUE(Holds(Compare("y", kEq, Bytes("5")), record));
}

TEST(FilterTest, OrdersTextByBytes) {
  const ObjectRecord record = Record({{"t", Text("z\xc3\xa9")}});
  EXPECT_TRUE(Holds(Compare("t", kGt, Text("z")), record));
  EXPECT_TRUE(Holds(Compare("t", kGt, Text("zz")), record));
  EXPECT_TRUE(Holds(Compare("t", kPrefix, Text("z")), record));
  EXPECT_TRUE(Holds(Compare("t", kPrefix, Text("")), record));
  EXPECT_FALSE(Holds(Compare("t", kPrefix, Text("zz")), record));
}

TEST(FilterTest, ListsSatisfyWhatAnyElementSatisfies) {
  const ObjectRecord record =
      Record({{"l", List({Int(1), Text("a"), List({Int(9)})})}, {"empty", List({})}});
  EXPECT_TRUE(Holds(Compare("l", kEq, Int(1)), record));
  EXPECT_TRUE(Holds(Compare("l", kNe, Int(1)), record));
  EXPECT_TRUE(Holds(Compare("l", kGt, Int(8)), record));
  EXPECT_TRUE(Holds(Compare("l", kEq, Text("a")), record));
  EXPECT_FALSE(Holds(Compare("l", kEq, Int(2)), record));
  EXPECT_FALSE(Holds(Compare("empty", kNe, Int(2)), record));
  EXPECT_TRUE(Holds(Exists("empty"), record));
}

TEST(FilterTest, DottedNamesReachEverythingTheyCanMean) {
  const ObjectRecord record = Record({
      {"a", Map({{"b", Int(1)}, {"b.c", Int(2)}, {"n", Null()}})},
      {"a.b", Int(3)},
      {"people", List({Map({{"name", Text("x")}}), Map({{"name", Text("y")}})})},
  });
  EXPECT_TRUE(Holds(Compare("a.b", kEq, Int(1)), record));
  EXPECT_TRUE(Holds(Compare("a.b", kEq, Int(3)), record));
  EXPECT_TRUE(Holds(Compare("a.b.c", kEq, Int(2)), record));
  EXPECT_TRUE(Holds(Compare("people.name", kEq, Text("y")), record));
  EXPECT_TRUE(Holds(Exists("a"), record));
  EXPECT_TRUE(Holds(Exists("people.name"), record));
  EXPECT_FALSE(Holds(Exists("a.n"), record));
  EXPECT_FALSE(Holds(Exists("b"), record));
  EXPECT_FALSE(Holds(Exists("a."), record));
}

TEST(FilterTest, ReadsSystemFields) {
  ObjectRecord record = Record({});
  record.set_version(7);
  record.set_created_ms(100);
  record.set_updated_ms(200);
  record.add_labels("A");
  record.add_labels("B");
  EXPECT_TRUE(Holds(Compare("$key", kEq, Text("k")), record));
  EXPECT_TRUE(Holds(Compare("$collection", kEq, Text("default")), record));
  EXPECT_TRUE(Holds(Compare("$label", kEq, Text("B")), record));
  EXPECT_FALSE(Holds(Compare("$label", kEq, Text("C")), record));
  EXPECT_TRUE(Holds(Exists("$label"), record));
  EXPECT_TRUE(Holds(Compare("$version", kGe, Int(7)), record));
  EXPECT_TRUE(Holds(Compare("$created_ms", kLt, Int(101)), record));
  EXPECT_TRUE(Holds(Compare("$updated_ms", kEq, Int(200)), record));
  EXPECT_FALSE(Holds(Compare("$expires_ms", kLt, Int(1000)), record));
  EXPECT_FALSE(Holds(Exists("$expires_ms"), record));
  record.set_expires_ms(500);
  EXPECT_TRUE(Holds(Compare("$expires_ms", kLt, Int(1000)), record));
}

TEST(FilterTest, CombinesLogically) {
  const ObjectRecord record = Record({{"n", Int(5)}});
  const v1::Filter yes = Compare("n", kEq, Int(5));
  const v1::Filter no = Compare("n", kEq, Int(6));
  EXPECT_TRUE(Holds(All({yes, yes}), record));
  EXPECT_FALSE(Holds(All({yes, no}), record));
  EXPECT_TRUE(Holds(Any({no, yes}), record));
  EXPECT_FALSE(Holds(Any({no, no}), record));
  EXPECT_TRUE(Holds(Not(no), record));
  EXPECT_TRUE(Holds(Not(Not(yes)), record));
  EXPECT_TRUE(Holds(All({}), record));
  EXPECT_FALSE(Holds(Any({}), record));
  EXPECT_FALSE(Holds(In("n", {}), record));
  EXPECT_TRUE(Holds(Not(In("n", {})), record));
}

TEST(FilterTest, OnlyFiltersThatMatchEverythingMatchDanglingTargets) {
  ObjectRecord dangling;
  dangling.set_key("k");
  EXPECT_TRUE(Holds(v1::Filter(), dangling));
  EXPECT_TRUE(Holds(All({}), dangling));
  EXPECT_TRUE(Holds(Not(Any({})), dangling));
  EXPECT_TRUE(Compiled(Any({Exists("x"), v1::Filter()}))->matches_everything());
  EXPECT_FALSE(Holds(Not(Exists("x")), dangling));
  EXPECT_FALSE(Holds(Compare("$key", kEq, Text("k")), dangling));
}

TEST(FilterTest, NamesThePathOfWhatIsWrong) {
  const v1::Filter good = Exists("x");
  EXPECT_EQ(ErrorAt(All({good, Compare("x", kEq, Null())})),
            "INVALID_FIELD filter.all.operands[1].comparison.value");
  EXPECT_EQ(ErrorAt(Any({Not(Compare("x", v1::COMPARISON_OPERATOR_UNSPECIFIED, Int(1)))})),
            "INVALID_FIELD filter.any.operands[0].negation.comparison.op");
  EXPECT_EQ(ErrorAt(Compare("x", static_cast<v1::ComparisonOperator>(99), Int(1))),
            "INVALID_FIELD filter.comparison.op");
  EXPECT_EQ(ErrorAt(Compare("", kEq, Int(1))), "INVALID_FIELD filter.comparison.field");
  EXPECT_EQ(ErrorAt(Compare("$nope", kEq, Int(1))), "INVALID_FIELD filter.comparison.field");
  EXPECT_EQ(ErrorAt(Compare("x", kEq, List({}))), "INVALID_FIELD filter.comparison.value");
  EXPECT_EQ(ErrorAt(Compare("x", kEq, Map({}))), "INVALID_FIELD filter.comparison.value");
  EXPECT_EQ(ErrorAt(Compare("x", kEq, v1::Value())), "INVALID_FIELD filter.comparison.value");
  EXPECT_EQ(ErrorAt(Compare("x", kEq, Double(std::nan("")))),
            "INVALID_FIELD filter.comparison.value");
  EXPECT_EQ(ErrorAt(Compare("x", kEq, Double(INFINITY))), "INVALID_FIELD filter.comparison.value");
  EXPECT_EQ(ErrorAt(Compare("x", kLt, Bool(true))), "INVALID_FIELD filter.comparison.value");
  EXPECT_EQ(ErrorAt(Compare("x", kGe, Bytes("a"))), "INVALID_FIELD filter.comparison.value");
  EXPECT_EQ(ErrorAt(Compare("x", kPrefix, Int(1))), "INVALID_FIELD filter.comparison.value");
  EXPECT_EQ(ErrorAt(In("x", {Int(1), Null()})), "INVALID_FIELD filter.membership.values[1]");
  EXPECT_EQ(ErrorAt(In("", {})), "INVALID_FIELD filter.membership.field");
  EXPECT_EQ(ErrorAt(Exists("")), "INVALID_FIELD filter.existence.field");
  EXPECT_EQ(ErrorAt(Exists(std::string(5000, 'x'))), "LIMIT_EXCEEDED filter.existence.field");
}

TEST(FilterTest, RefusesExpressionsOfNewerVersions) {
  v1::Filter filter;
  filter.GetReflection()->MutableUnknownFields(&filter)->AddVarint(100, 1);
  EXPECT_EQ(ErrorAt(filter), "INVALID_FIELD filter");
}

TEST(FilterTest, EnforcesLimits) {
  Limits limits;
  limits.max_filter_depth = 3;
  limits.max_filter_nodes = 4;
  limits.max_membership_values = 2;
  const v1::Filter leaf = Exists("x");
  EXPECT_EQ(ErrorAt(Not(Not(leaf)), limits), "accepted");
  EXPECT_EQ(ErrorAt(Not(Not(Not(leaf))), limits),
            "LIMIT_EXCEEDED filter.negation.negation.negation");
  EXPECT_EQ(ErrorAt(All({leaf, leaf, leaf}), limits), "accepted");
  EXPECT_EQ(ErrorAt(All({leaf, leaf, leaf, leaf}), limits),
            "LIMIT_EXCEEDED filter.all.operands[3]");
  EXPECT_EQ(ErrorAt(In("x", {Int(1), Int(2)}), limits), "accepted");
  EXPECT_EQ(ErrorAt(In("x", {Int(1), Int(2), Int(3)}), limits),
            "LIMIT_EXCEEDED filter.membership.values");
}

TEST(FilterTest, FingerprintsAreEqualForEqualFiltersOnly) {
  EXPECT_EQ(Compiled(Compare("n", kEq, Int(5)))->fingerprint(),
            Compiled(Compare("n", kEq, Double(5)))->fingerprint());
  EXPECT_EQ(Compiled(In("n", {Int(1), Int(2), Int(1)}))->fingerprint(),
            Compiled(In("n", {Int(2), Int(1)}))->fingerprint());
  const std::vector<v1::Filter> different = {
      v1::Filter(),
      Any({}),
      Compare("n", kEq, Int(5)),
      Compare("n", kNe, Int(5)),
      Compare("m", kEq, Int(5)),
      Compare("n", kEq, Text("5")),
      Compare("n", kEq, Bytes("5")),
      In("n", {Int(5)}),
      Exists("n"),
      Not(Exists("n")),
      All({Exists("n"), Exists("m")}),
      Any({Exists("n"), Exists("m")}),
  };
  for (size_t i = 0; i < different.size(); ++i) {
    for (size_t j = 0; j < different.size(); ++j) {
      EXPECT_EQ(Compiled(different[i])->fingerprint() == Compiled(different[j])->fingerprint(),
                i == j)
          << i << " " << j;
    }
  }
}

TEST(FilterTest, BuildsLabelFiltersAndConjunctions) {
  ObjectRecord record = Record({{"n", Int(5)}});
  record.add_labels("A");
  EXPECT_TRUE(CompiledFilter::AnyLabel({})->matches_everything());
  EXPECT_TRUE(CompiledFilter::AnyLabel({"B", "A"})->Matches(record, "default"));
  EXPECT_FALSE(CompiledFilter::AnyLabel({"B"})->Matches(record, "default"));
  EXPECT_EQ(CompiledFilter::AnyLabel({"B", "A"})->fingerprint(),
            Compiled(In("$label", {Text("A"), Text("B")}))->fingerprint());
  const auto label = CompiledFilter::AnyLabel({"A"});
  const auto five = Compiled(Compare("n", kEq, Int(5)));
  const auto six = Compiled(Compare("n", kEq, Int(6)));
  EXPECT_TRUE(CompiledFilter::And(label, five)->Matches(record, "default"));
  EXPECT_FALSE(CompiledFilter::And(label, six)->Matches(record, "default"));
  EXPECT_EQ(CompiledFilter::And(nullptr, five), five);
  EXPECT_EQ(CompiledFilter::And(five, CompiledFilter::AnyLabel({})), five);
  EXPECT_TRUE(CompiledFilter::And(nullptr, nullptr)->matches_everything());
  // What And() made compiles to itself.
  EXPECT_EQ(Compiled(CompiledFilter::And(label, six)->filter())->fingerprint(),
            CompiledFilter::And(label, six)->fingerprint());
}

TEST(FilterTest, WalkingAllPropertiesFindsWhatNamesReach) {
  const ObjectRecord record = Record({
      {"a", Map({{"b", List({Int(1), Map({{"c", Text("x")}})})}})},
      {"a.b", Int(3)},
      {"skipped", Map({{"d", Int(1)}})},
  });
  std::vector<std::string> names;
  VisitAllProperties(
      record, [](std::string_view property) { return property == "skipped"; },
      [&](std::string_view name, const v1::Value& value) {
        names.emplace_back(name);
        EXPECT_TRUE(VisitProperty(record, name, [&](const v1::Value& each) {
          return each.SerializeAsString() == value.SerializeAsString();
        })) << name;
      });
  EXPECT_THAT(names, testing::UnorderedElementsAre("a", "a.b", "a.b", "a.b", "a.b.c", "a.b"));
}

}  // namespace
}  // namespace cookix::engine
