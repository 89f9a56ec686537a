#include "engine/filter/filter_node.h"

#include <algorithm>
#include <string_view>

namespace cookix::engine {
namespace {

using Properties = google::protobuf::Map<std::string, v1::Value>;
using Visitor = absl::FunctionRef<bool(const v1::Value&)>;

bool VisitIn(const Properties& map, std::string_view name, Visitor visit);

// `value` and, when it is a list, its elements.
bool VisitValue(const v1::Value& value, Visitor visit) {
  if (visit(value)) return true;
  if (value.kind_case() == v1::Value::kListValue) {
    for (const v1::Value& element : value.list_value().values()) {
      if (VisitValue(element, visit)) return true;
    }
  }
  return false;
}

// What `rest` reaches inside `value`.
bool VisitBelow(const v1::Value& value, std::string_view rest, Visitor visit) {
  if (value.kind_case() == v1::Value::kMapValue) {
    return VisitIn(value.map_value().fields(), rest, visit);
  }
  if (value.kind_case() == v1::Value::kListValue) {
    for (const v1::Value& element : value.list_value().values()) {
      if (VisitBelow(element, rest, visit)) return true;
    }
  }
  return false;
}

bool VisitIn(const Properties& map, std::string_view name, Visitor visit) {
  if (auto it = map.find(std::string(name)); it != map.end()) {
    if (VisitValue(it->second, visit)) return true;
  }
  for (size_t dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.', dot + 1)) {
    if (auto it = map.find(std::string(name.substr(0, dot))); it != map.end()) {
      if (VisitBelow(it->second, name.substr(dot + 1), visit)) return true;
    }
  }
  return false;
}

void VisitAllBelow(const v1::Value& value, std::string* name,
                   absl::FunctionRef<void(std::string_view, const v1::Value&)> visit) {
  visit(*name, value);
  switch (value.kind_case()) {
    case v1::Value::kListValue:
      for (const v1::Value& element : value.list_value().values()) {
        VisitAllBelow(element, name, visit);
      }
      return;
    case v1::Value::kMapValue: {
      const size_t size = name->size();
      for (const auto& [entry, below] : value.map_value().fields()) {
        name->append(1, '.').append(entry);
        VisitAllBelow(below, name, visit);
        name->resize(size);
      }
      return;
    }
    default:
      return;
  }
}

// The order of a value and a scalar of the same kind; false when they are of
// different kinds.
bool CompareValue(const v1::Value& value, const Scalar& scalar, std::strong_ordering* order) {
  switch (value.kind_case()) {
    case v1::Value::kBoolValue:
      if (scalar.kind != ScalarKind::kBool) return false;
      *order = value.bool_value() <=> scalar.truth;
      return true;
    case v1::Value::kIntValue:
      if (scalar.kind != ScalarKind::kNumber) return false;
      *order = NumberKey::FromInt(value.int_value()) <=> scalar.number;
      return true;
    case v1::Value::kDoubleValue:
      // NaN compares with nothing; writers refuse it.
      if (scalar.kind != ScalarKind::kNumber || value.double_value() != value.double_value()) {
        return false;
      }
      *order = NumberKey::FromDouble(value.double_value()) <=> scalar.number;
      return true;
    case v1::Value::kStringValue:
      if (scalar.kind != ScalarKind::kText) return false;
      *order = value.string_value().compare(scalar.text) <=> 0;
      return true;
    case v1::Value::kBytesValue:
      if (scalar.kind != ScalarKind::kBytes) return false;
      *order = value.bytes_value().compare(scalar.text) <=> 0;
      return true;
    default:
      return false;
  }
}

bool Holds(v1::ComparisonOperator op, std::strong_ordering order) {
  switch (op) {
    case v1::COMPARISON_OPERATOR_EQUAL:
      return order == 0;
    case v1::COMPARISON_OPERATOR_NOT_EQUAL:
      return order != 0;
    case v1::COMPARISON_OPERATOR_LESS:
      return order < 0;
    case v1::COMPARISON_OPERATOR_LESS_EQUAL:
      return order <= 0;
    case v1::COMPARISON_OPERATOR_GREATER:
      return order > 0;
    case v1::COMPARISON_OPERATOR_GREATER_EQUAL:
      return order >= 0;
    default:
      return false;
  }
}

bool LeafHolds(const FilterNode& node, const v1::Value& value) {
  if (node.kind == FilterNode::Kind::kExistence) {
    return value.kind_case() != v1::Value::kNullValue &&
           value.kind_case() != v1::Value::KIND_NOT_SET;
  }
  if (node.kind == FilterNode::Kind::kMembership) {
    Scalar scalar;
    return ToScalar(value, &scalar) &&
           std::binary_search(node.values.begin(), node.values.end(), scalar);
  }
  const Scalar& right = node.values.front();
  if (node.op == v1::COMPARISON_OPERATOR_PREFIX) {
    return value.kind_case() == v1::Value::kStringValue && right.kind == ScalarKind::kText &&
           std::string_view(value.string_value()).starts_with(right.text);
  }
  std::strong_ordering order = std::strong_ordering::equal;
  return CompareValue(value, right, &order) && Holds(node.op, order);
}

}  // namespace

std::optional<FilterField> SystemField(std::string_view name) {
  if (name == "$key") return FilterField::kKey;
  if (name == "$collection") return FilterField::kCollection;
  if (name == "$label") return FilterField::kLabel;
  if (name == "$version") return FilterField::kVersion;
  if (name == "$created_ms") return FilterField::kCreated;
  if (name == "$updated_ms") return FilterField::kUpdated;
  if (name == "$expires_ms") return FilterField::kExpires;
  return std::nullopt;
}

bool VisitField(FilterField field, std::string_view name, const internal::v1::ObjectRecord& record,
                std::string_view collection, Visitor visit) {
  v1::Value value;
  switch (field) {
    case FilterField::kProperty:
      return VisitProperty(record, name, visit);
    case FilterField::kKey:
      value.set_string_value(record.key());
      break;
    case FilterField::kCollection:
      value.set_string_value(std::string(collection));
      break;
    case FilterField::kLabel:
      for (const std::string& label : record.labels()) {
        value.set_string_value(label);
        if (visit(value)) return true;
      }
      return false;
    case FilterField::kVersion:
      value.set_int_value(static_cast<int64_t>(record.version()));
      break;
    case FilterField::kCreated:
      value.set_int_value(record.created_ms());
      break;
    case FilterField::kUpdated:
      value.set_int_value(record.updated_ms());
      break;
    case FilterField::kExpires:
      if (record.expires_ms() == 0) return false;
      value.set_int_value(record.expires_ms());
      break;
  }
  return visit(value);
}

bool ToScalar(const v1::Value& value, Scalar* scalar) {
  switch (value.kind_case()) {
    case v1::Value::kBoolValue:
      scalar->kind = ScalarKind::kBool;
      scalar->truth = value.bool_value();
      return true;
    case v1::Value::kIntValue:
      scalar->kind = ScalarKind::kNumber;
      scalar->number = NumberKey::FromInt(value.int_value());
      return true;
    case v1::Value::kDoubleValue:
      if (value.double_value() != value.double_value()) return false;
      scalar->kind = ScalarKind::kNumber;
      scalar->number = NumberKey::FromDouble(value.double_value());
      return true;
    case v1::Value::kStringValue:
      scalar->kind = ScalarKind::kText;
      scalar->text = value.string_value();
      return true;
    case v1::Value::kBytesValue:
      scalar->kind = ScalarKind::kBytes;
      scalar->text = value.bytes_value();
      return true;
    default:
      return false;
  }
}

bool VisitProperty(const internal::v1::ObjectRecord& record, std::string_view name,
                   absl::FunctionRef<bool(const v1::Value&)> visit) {
  return VisitIn(record.properties(), name, visit);
}

void VisitAllProperties(const internal::v1::ObjectRecord& record,
                        absl::FunctionRef<bool(std::string_view property)> skip,
                        absl::FunctionRef<void(std::string_view name, const v1::Value&)> visit) {
  std::string name;
  for (const auto& [property, value] : record.properties()) {
    if (skip(property)) continue;
    name = property;
    VisitAllBelow(value, &name, visit);
  }
}

bool NodeMatches(const FilterNode& node, const internal::v1::ObjectRecord& record,
                 std::string_view collection) {
  switch (node.kind) {
    case FilterNode::Kind::kTrue:
      return true;
    case FilterNode::Kind::kFalse:
      return false;
    case FilterNode::Kind::kAll:
      return std::all_of(node.operands.begin(), node.operands.end(), [&](const FilterNode& each) {
        return NodeMatches(each, record, collection);
      });
    case FilterNode::Kind::kAny:
      return std::any_of(node.operands.begin(), node.operands.end(), [&](const FilterNode& each) {
        return NodeMatches(each, record, collection);
      });
    case FilterNode::Kind::kNot:
      return !NodeMatches(node.operands.front(), record, collection);
    default:
      return VisitField(node.field, node.name, record, collection,
                        [&node](const v1::Value& each) { return LeafHolds(node, each); });
  }
}

}  // namespace cookix::engine
