#include "engine/filter/filter.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/unknown_field_set.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Kind = FilterNode::Kind;

// Longest dotted name: this many times the longest name of one property.
constexpr int64_t kMaxNamesInPath = 16;

FilterNode Constant(bool value) {
  FilterNode node;
  node.kind = value ? Kind::kTrue : Kind::kFalse;
  return node;
}

FilterNode Negate(FilterNode operand) {
  if (operand.kind == Kind::kTrue) return Constant(false);
  if (operand.kind == Kind::kFalse) return Constant(true);
  if (operand.kind == Kind::kNot) {
    FilterNode inner = std::move(operand.operands.front());
    return inner;
  }
  FilterNode node;
  node.kind = Kind::kNot;
  node.operands.push_back(std::move(operand));
  return node;
}

// `kind` is kAll or kAny.
FilterNode Combine(Kind kind, std::vector<FilterNode> operands) {
  const Kind neutral = kind == Kind::kAll ? Kind::kTrue : Kind::kFalse;
  const Kind absorbing = kind == Kind::kAll ? Kind::kFalse : Kind::kTrue;
  FilterNode node;
  node.kind = kind;
  for (FilterNode& operand : operands) {
    if (operand.kind == neutral) continue;
    if (operand.kind == absorbing) return Constant(absorbing == Kind::kTrue);
    node.operands.push_back(std::move(operand));
  }
  if (node.operands.empty()) return Constant(neutral == Kind::kTrue);
  if (node.operands.size() == 1) {
    FilterNode only = std::move(node.operands.front());
    return only;
  }
  return node;
}

void AppendFingerprint(const FilterNode& node, std::string* out) {
  out->push_back(static_cast<char>(node.kind));
  switch (node.kind) {
    case Kind::kTrue:
    case Kind::kFalse:
      return;
    case Kind::kAll:
    case Kind::kAny:
    case Kind::kNot:
      PutVarint64(out, node.operands.size());
      for (const FilterNode& operand : node.operands) AppendFingerprint(operand, out);
      return;
    default:
      break;
  }
  out->push_back(static_cast<char>(node.field));
  out->push_back(static_cast<char>(node.op));
  PutLengthPrefixed(out, node.name);
  PutVarint64(out, node.values.size());
  for (const Scalar& value : node.values) {
    out->push_back(static_cast<char>(value.kind));
    switch (value.kind) {
      case ScalarKind::kBool:
        out->push_back(value.truth ? 1 : 0);
        break;
      case ScalarKind::kNumber:
        PutFixed64(out, value.number.bits);
        PutFixed32(out, static_cast<uint32_t>(value.number.rest));
        break;
      case ScalarKind::kText:
      case ScalarKind::kBytes:
        PutLengthPrefixed(out, value.text);
        break;
    }
  }
}

class Compiler {
 public:
  explicit Compiler(const Limits& limits) : limits_(limits) {}

  // `path` names `filter` in the request; it is restored before returning.
  absl::StatusOr<FilterNode> Node(const v1::Filter& filter, std::string* path, int64_t depth) {
    if (depth > limits_.max_filter_depth) {
      return LimitExceeded(
          *path, absl::StrCat("the filter is deeper than ", limits_.max_filter_depth, " levels"),
          "Nest fewer expressions, or raise the server's limit");
    }
    if (++nodes_ > limits_.max_filter_nodes) {
      return LimitExceeded(
          *path, absl::StrCat("the filter has more than ", limits_.max_filter_nodes, " nodes"),
          "Use a membership instead of many comparisons, or raise the server's limit");
    }
    switch (filter.expression_case()) {
      case v1::Filter::EXPRESSION_NOT_SET:
        // What a newer client means must not turn into "everything".
        if (!filter.GetReflection()->GetUnknownFields(filter).empty()) {
          return InvalidField(*path, "the filter has an expression that this server does not know",
                              "Use the expressions of this server's version");
        }
        return Constant(true);
      case v1::Filter::kAll:
        return List(Kind::kAll, filter.all(), ".all", path, depth);
      case v1::Filter::kAny:
        return List(Kind::kAny, filter.any(), ".any", path, depth);
      case v1::Filter::kNegation: {
        const size_t size = path->size();
        path->append(".negation");
        COOKIX_ASSIGN_OR_RETURN(FilterNode operand, Node(filter.negation(), path, depth + 1));
        path->resize(size);
        return Negate(std::move(operand));
      }
      case v1::Filter::kComparison:
        return CompareNode(filter.comparison(), *path + ".comparison");
      case v1::Filter::kMembership:
        return MemberNode(filter.membership(), *path + ".membership");
      case v1::Filter::kExistence: {
        FilterNode node;
        node.kind = Kind::kExistence;
        COOKIX_RETURN_IF_ERROR(Field(filter.existence().field(), *path + ".existence", &node));
        return node;
      }
    }
    return InvalidField(*path, "the filter is malformed", "Set one expression");
  }

 private:
  absl::StatusOr<FilterNode> List(Kind kind, const v1::FilterList& list, std::string_view name,
                                  std::string* path, int64_t depth) {
    const size_t size = path->size();
    std::vector<FilterNode> operands;
    for (int i = 0; i < list.operands_size(); ++i) {
      path->append(name);
      absl::StrAppend(path, ".operands[", i, "]");
      COOKIX_ASSIGN_OR_RETURN(FilterNode operand, Node(list.operands(i), path, depth + 1));
      path->resize(size);
      operands.push_back(std::move(operand));
    }
    return Combine(kind, std::move(operands));
  }

  absl::Status Field(const std::string& field, const std::string& path, FilterNode* node) {
    if (field.empty()) {
      return InvalidField(path + ".field", "the field has no name",
                          "Name a property or a system field such as $key");
    }
    if (static_cast<int64_t>(field.size()) > kMaxNamesInPath * limits_.max_name_bytes) {
      return LimitExceeded(path + ".field",
                           absl::StrCat("the name is longer than ",
                                        kMaxNamesInPath * limits_.max_name_bytes, " bytes"),
                           "Use a shorter name");
    }
    if (field.front() != '$') {
      node->field = FilterField::kProperty;
      node->name = field;
      return absl::OkStatus();
    }
    const std::optional<FilterField> system = SystemField(field);
    if (!system.has_value()) {
      return InvalidField(path + ".field", absl::StrCat("there is no system field ", field),
                          "Use one of $key, $collection, $label, $version, $created_ms, "
                          "$updated_ms, $expires_ms");
    }
    node->field = *system;
    return absl::OkStatus();
  }

  static absl::Status CheckedScalar(const v1::Value& value, const std::string& path,
                                    Scalar* scalar) {
    switch (value.kind_case()) {
      case v1::Value::KIND_NOT_SET:
      case v1::Value::kNullValue:
        return InvalidField(path, "null compares with nothing",
                            "Use existence, or its negation, to ask for null");
      case v1::Value::kListValue:
        return InvalidField(path, "a list cannot be compared with",
                            "Use a membership to compare with several values");
      case v1::Value::kMapValue:
        return InvalidField(path, "a map cannot be compared with",
                            "Compare its entries by their dotted names");
      case v1::Value::kDoubleValue:
        if (!std::isfinite(value.double_value())) {
          return InvalidField(path, "NaN and infinities cannot be compared with",
                              "Use a finite number");
        }
        break;
      default:
        break;
    }
    if (!ToScalar(value, scalar)) {
      return InvalidField(path, "the value cannot be compared with", "Use a scalar");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<FilterNode> CompareNode(const v1::Comparison& comparison,
                                         const std::string& path) {
    FilterNode node;
    node.kind = Kind::kComparison;
    COOKIX_RETURN_IF_ERROR(Field(comparison.field(), path, &node));
    COOKIX_RETURN_IF_ERROR(
        CheckedScalar(comparison.value(), path + ".value", &node.values.emplace_back()));
    const ScalarKind kind = node.values.front().kind;
    node.op = comparison.op();
    switch (node.op) {
      case v1::COMPARISON_OPERATOR_EQUAL:
      case v1::COMPARISON_OPERATOR_NOT_EQUAL:
        return node;
      case v1::COMPARISON_OPERATOR_LESS:
      case v1::COMPARISON_OPERATOR_LESS_EQUAL:
      case v1::COMPARISON_OPERATOR_GREATER:
      case v1::COMPARISON_OPERATOR_GREATER_EQUAL:
        if (kind != ScalarKind::kNumber && kind != ScalarKind::kText) {
          return InvalidField(path + ".value", "only numbers and text have an order",
                              "Compare truth values and bytes with EQUAL or NOT_EQUAL");
        }
        return node;
      case v1::COMPARISON_OPERATOR_PREFIX:
        if (kind != ScalarKind::kText) {
          return InvalidField(path + ".value", "a prefix is text", "Give the prefix as text");
        }
        return node;
      case v1::COMPARISON_OPERATOR_UNSPECIFIED:
        return InvalidField(path + ".op", "the operator is not set", "Set the operator");
      default:
        return InvalidField(
            path + ".op", absl::StrCat("there is no operator ", static_cast<int>(comparison.op())),
            "Use an operator of this server's version");
    }
  }

  absl::StatusOr<FilterNode> MemberNode(const v1::Membership& membership, const std::string& path) {
    FilterNode node;
    node.kind = Kind::kMembership;
    COOKIX_RETURN_IF_ERROR(Field(membership.field(), path, &node));
    if (membership.values_size() > limits_.max_membership_values) {
      return LimitExceeded(
          path + ".values",
          absl::StrCat("there are more than ", limits_.max_membership_values, " values"),
          "Split the values over several requests, or raise the server's limit");
    }
    for (int i = 0; i < membership.values_size(); ++i) {
      COOKIX_RETURN_IF_ERROR(CheckedScalar(membership.values(i),
                                           absl::StrCat(path, ".values[", i, "]"),
                                           &node.values.emplace_back()));
    }
    if (node.values.empty()) return Constant(false);
    std::sort(node.values.begin(), node.values.end());
    node.values.erase(std::unique(node.values.begin(), node.values.end()), node.values.end());
    return node;
  }

  const Limits& limits_;
  int64_t nodes_ = 0;
};

}  // namespace

CompiledFilter::CompiledFilter(v1::Filter filter, FilterNode root)
    : filter_(std::move(filter)), root_(std::move(root)) {
  AppendFingerprint(root_, &fingerprint_);
  matches_everything_ = root_.kind == Kind::kTrue;
}

absl::StatusOr<std::shared_ptr<const CompiledFilter>> CompiledFilter::Compile(
    const v1::Filter& filter, std::string_view field, const Limits& limits) {
  std::string path(field);
  COOKIX_ASSIGN_OR_RETURN(FilterNode root, Compiler(limits).Node(filter, &path, 1));
  return std::shared_ptr<const CompiledFilter>(new CompiledFilter(filter, std::move(root)));
}

std::shared_ptr<const CompiledFilter> CompiledFilter::AnyLabel(
    const std::vector<std::string>& labels) {
  v1::Filter filter;
  FilterNode root = Constant(true);
  if (!labels.empty()) {
    root.kind = Kind::kMembership;
    root.field = FilterField::kLabel;
    filter.mutable_membership()->set_field("$label");
    for (const std::string& label : labels) {
      filter.mutable_membership()->add_values()->set_string_value(label);
      Scalar& scalar = root.values.emplace_back();
      scalar.kind = ScalarKind::kText;
      scalar.text = label;
    }
    std::sort(root.values.begin(), root.values.end());
    root.values.erase(std::unique(root.values.begin(), root.values.end()), root.values.end());
  }
  return std::shared_ptr<const CompiledFilter>(
      new CompiledFilter(std::move(filter), std::move(root)));
}

std::shared_ptr<const CompiledFilter> CompiledFilter::And(std::shared_ptr<const CompiledFilter> a,
                                                          std::shared_ptr<const CompiledFilter> b) {
  if (a == nullptr && b == nullptr) return AnyLabel({});
  if (a == nullptr || a->matches_everything()) {
    if (b != nullptr) return b;
    return a;
  }
  if (b == nullptr || b->matches_everything()) return a;
  v1::Filter filter;
  *filter.mutable_all()->add_operands() = a->filter();
  *filter.mutable_all()->add_operands() = b->filter();
  return std::shared_ptr<const CompiledFilter>(
      new CompiledFilter(std::move(filter), Combine(Kind::kAll, {a->root(), b->root()})));
}

bool CompiledFilter::Matches(const internal::v1::ObjectRecord& record,
                             std::string_view collection) const {
  if (matches_everything_) return true;
  return record.exists() && NodeMatches(root_, record, collection);
}

}  // namespace cookix::engine
