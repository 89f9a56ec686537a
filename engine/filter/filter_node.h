// The inside of a compiled filter, for those who evaluate it.
#ifndef COOKIX_ENGINE_FILTER_FILTER_NODE_H_
#define COOKIX_ENGINE_FILTER_FILTER_NODE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "cookix/internal/v1/records.pb.h"
#include "cookix/v1/common.pb.h"
#include "engine/filter/number_key.h"

namespace cookix::engine {

// What a filter's field name means.
enum class FilterField : uint8_t {
  kProperty,
  kKey,
  kCollection,
  kLabel,
  kVersion,
  kCreated,
  kUpdated,
  kExpires,
};

// The field of a name such as "$key"; none when there is none of that name.
std::optional<FilterField> SystemField(std::string_view name);

// The kinds of values that compare with each other. Values of different kinds
// satisfy no comparison.
enum class ScalarKind : uint8_t { kBool, kNumber, kText, kBytes };

// A value that filters compare with.
struct Scalar {
  ScalarKind kind = ScalarKind::kBool;
  bool truth = false;  // kBool
  NumberKey number;    // kNumber
  std::string text;    // kText, kBytes

  auto operator<=>(const Scalar&) const = default;
  bool operator==(const Scalar&) const = default;
};

// The scalar in `value`; false for null, lists and maps.
bool ToScalar(const v1::Value& value, Scalar* scalar);

// Constants are folded: kTrue and kFalse appear only as a root, kAll and kAny
// have two operands or more.
struct FilterNode {
  enum class Kind : uint8_t {
    kTrue,
    kFalse,
    kAll,
    kAny,
    kNot,
    kComparison,
    kMembership,
    kExistence,
  };

  Kind kind = Kind::kTrue;
  FilterField field = FilterField::kProperty;
  v1::ComparisonOperator op = v1::COMPARISON_OPERATOR_UNSPECIFIED;
  // Of a kProperty: the dotted name.
  std::string name;
  // kComparison: one; kMembership: sorted, without duplicates, at least one.
  std::vector<Scalar> values;
  // kAll, kAny, kNot.
  std::vector<FilterNode> operands;
};

// Calls `visit` for the value of every property that `name` reaches, nested maps
// and the elements of lists included, nulls too. Stops when `visit` returns true;
// returns whether it did.
//
// A dotted name means every way to read it: "a.b" is the property called "a.b",
// and the entry "b" of a map called "a", and of each map in a list called "a".
// Where several exist, a comparison holds when it holds for any of them.
bool VisitProperty(const internal::v1::ObjectRecord& record, std::string_view name,
                   absl::FunctionRef<bool(const v1::Value&)> visit);

// Calls `visit` for the values of any field, in the same way. `name` is that of a property;
// `collection` the name of the record's.
bool VisitField(FilterField field, std::string_view name, const internal::v1::ObjectRecord& record,
                std::string_view collection, absl::FunctionRef<bool(const v1::Value&)> visit);

// Calls `visit` with every name that reaches something in `record`, and what it
// reaches: the counterpart of VisitProperty, for building an index. `skip` says
// which properties (by their own, top-level name) to leave out.
void VisitAllProperties(const internal::v1::ObjectRecord& record,
                        absl::FunctionRef<bool(std::string_view property)> skip,
                        absl::FunctionRef<void(std::string_view name, const v1::Value&)> visit);

// True when `node` holds for `record`, which exists.
bool NodeMatches(const FilterNode& node, const internal::v1::ObjectRecord& record,
                 std::string_view collection);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_FILTER_FILTER_NODE_H_
