#include "engine/write/validate.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"
#include "storage/base/utf8.h"

namespace cookix::engine {
namespace {

constexpr int kMaxValueDepth = 32;
constexpr int kMaxNamedRelations = 1000;

std::string Sub(std::string_view field, std::string_view member) {
  std::string out(field);
  if (!out.empty()) out += '.';
  out += member;
  return out;
}

absl::Status CheckName(std::string_view name, std::string_view field, std::string_view what,
                       int64_t max_bytes) {
  const std::string kind(what);
  if (name.empty()) {
    return InvalidField(field, absl::StrCat(kind, " is empty"), absl::StrCat("Give ", kind));
  }
  if (static_cast<int64_t>(name.size()) > max_bytes) {
    return LimitExceeded(field,
                         absl::StrCat(kind, " has ", name.size(), " bytes, more than ", max_bytes),
                         "Use a shorter one");
  }
  if (!IsUtf8(name)) {
    return InvalidField(field, absl::StrCat(kind, " is not valid UTF-8"), "Encode it as UTF-8");
  }
  if (HasControlCharacter(name)) {
    return InvalidField(field, absl::StrCat(kind, " has a control character"),
                        "Remove control characters");
  }
  return absl::OkStatus();
}

absl::Status CheckValue(const v1::Value& value, std::string_view field, int depth,
                        const Limits& limits) {
  if (depth > kMaxValueDepth) {
    return LimitExceeded(field, absl::StrCat("values are nested deeper than ", kMaxValueDepth),
                         "Flatten the value");
  }
  switch (value.kind_case()) {
    case v1::Value::kDoubleValue:
      if (!std::isfinite(value.double_value())) {
        return InvalidField(field, "the number is not finite", "Send a finite number");
      }
      return absl::OkStatus();
    case v1::Value::kStringValue:
      if (!IsUtf8(value.string_value())) {
        return InvalidField(field, "the text is not valid UTF-8", "Encode it, or use bytes_value");
      }
      return absl::OkStatus();
    case v1::Value::kListValue:
      for (const v1::Value& element : value.list_value().values()) {
        COOKIX_RETURN_IF_ERROR(CheckValue(element, field, depth + 1, limits));
      }
      return absl::OkStatus();
    case v1::Value::kMapValue:
      for (const auto& [name, element] : value.map_value().fields()) {
        COOKIX_RETURN_IF_ERROR(CheckName(name, field, "a name", limits.max_name_bytes));
        COOKIX_RETURN_IF_ERROR(CheckValue(element, Sub(field, name), depth + 1, limits));
      }
      return absl::OkStatus();
    default:
      return absl::OkStatus();
  }
}

// Their values are checked against the collection's fields when these are known.
absl::Status CheckVectorNames(const google::protobuf::Map<std::string, v1::Vector>& vectors,
                              std::string_view field, const Limits& limits) {
  for (const auto& [name, vector] : vectors) {
    COOKIX_RETURN_IF_ERROR(CheckName(name, field, "a vector's name", limits.max_name_bytes));
  }
  return absl::OkStatus();
}

absl::Status CheckLabels(const google::protobuf::RepeatedPtrField<std::string>& labels,
                         std::string_view field, const Limits& limits) {
  if (labels.size() > limits.max_labels) {
    return LimitExceeded(
        field, absl::StrCat(labels.size(), " labels, more than ", limits.max_labels), "Use fewer");
  }
  for (const std::string& label : labels) {
    COOKIX_RETURN_IF_ERROR(CheckName(label, field, "a label", limits.max_name_bytes));
  }
  return absl::OkStatus();
}

absl::Status CheckContent(const std::string& content, std::string_view field,
                          const Limits& limits) {
  if (static_cast<int64_t>(content.size()) > limits.max_content_bytes) {
    return LimitExceeded(field,
                         absl::StrCat("the content has ", content.size(), " bytes, more than ",
                                      limits.max_content_bytes),
                         "Shorten it, or split the object");
  }
  if (!IsUtf8(content)) {
    return InvalidField(field, "the content is not valid UTF-8", "Encode it as UTF-8");
  }
  return absl::OkStatus();
}

absl::Status CheckTime(int64_t time_ms, std::string_view field) {
  if (time_ms < 0) return InvalidField(field, "the time is negative", "Send Unix milliseconds");
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckKey(std::string_view key, std::string_view field, const Limits& limits) {
  return CheckName(key, field, "the key", limits.max_key_bytes);
}

absl::Status CheckRef(const v1::ObjectRef& ref, std::string_view field, const Limits& limits) {
  return CheckKey(ref.key(), Sub(field, "key"), limits);
}

absl::Status CheckProperties(const google::protobuf::Map<std::string, v1::Value>& properties,
                             std::string_view field, const Limits& limits) {
  size_t bytes = 0;
  for (const auto& [name, value] : properties) {
    COOKIX_RETURN_IF_ERROR(CheckName(name, field, "a property's name", limits.max_name_bytes));
    if (name.front() == '$') {
      return InvalidField(Sub(field, name), "names that start with \"$\" are system fields",
                          "Use another name");
    }
    COOKIX_RETURN_IF_ERROR(CheckValue(value, Sub(field, name), 1, limits));
    bytes += name.size() + value.ByteSizeLong() + 8;
  }
  if (static_cast<int64_t>(bytes) > limits.max_properties_bytes) {
    return LimitExceeded(field,
                         absl::StrCat("the properties take ", bytes, " bytes, more than ",
                                      limits.max_properties_bytes),
                         "Store less, or put large text into the content");
  }
  return absl::OkStatus();
}

absl::Status CheckObject(const v1::Object& object, std::string_view field, const Limits& limits) {
  COOKIX_RETURN_IF_ERROR(CheckRef(object.ref(), Sub(field, "ref"), limits));
  COOKIX_RETURN_IF_ERROR(CheckContent(object.content(), Sub(field, "content"), limits));
  if (!object.properties().empty()) {
    COOKIX_RETURN_IF_ERROR(CheckProperties(object.properties(), Sub(field, "properties"), limits));
  }
  if (!object.labels().empty()) {
    COOKIX_RETURN_IF_ERROR(CheckLabels(object.labels(), Sub(field, "labels"), limits));
  }
  if (!object.vectors().empty()) {
    COOKIX_RETURN_IF_ERROR(CheckVectorNames(object.vectors(), Sub(field, "vectors"), limits));
  }
  return CheckTime(object.expires_ms(), Sub(field, "expires_ms"));
}

absl::Status CheckEdge(const v1::Edge& edge, bool with_source, std::string_view field,
                       const Limits& limits) {
  if (with_source) COOKIX_RETURN_IF_ERROR(CheckRef(edge.source(), Sub(field, "source"), limits));
  COOKIX_RETURN_IF_ERROR(CheckRelationName(edge.relation(), Sub(field, "relation"), limits));
  COOKIX_RETURN_IF_ERROR(CheckRef(edge.target(), Sub(field, "target"), limits));
  if (!edge.discriminator().empty()) {
    COOKIX_RETURN_IF_ERROR(CheckName(edge.discriminator(), Sub(field, "discriminator"),
                                     "the discriminator", limits.max_name_bytes));
  }
  if (edge.has_weight() && !(std::isfinite(edge.weight()) && edge.weight() >= 0)) {
    return InvalidField(Sub(field, "weight"), "the weight is negative or not finite",
                        "Send a finite weight of at least 0");
  }
  COOKIX_RETURN_IF_ERROR(CheckTime(edge.valid_from_ms(), Sub(field, "valid_from_ms")));
  COOKIX_RETURN_IF_ERROR(CheckTime(edge.valid_until_ms(), Sub(field, "valid_until_ms")));
  if (edge.valid_until_ms() != 0 && edge.valid_until_ms() <= edge.valid_from_ms()) {
    return InvalidField(Sub(field, "valid_until_ms"), "the validity ends before it begins",
                        "Send an end after the start, or 0");
  }
  if (!edge.properties().empty()) {
    COOKIX_RETURN_IF_ERROR(CheckProperties(edge.properties(), Sub(field, "properties"), limits));
  }
  return absl::OkStatus();
}

absl::Status CheckObjectWrite(const v1::ObjectWrite& write, std::string_view field,
                              const Limits& limits) {
  if (!write.has_object()) {
    return InvalidField(Sub(field, "object"), "the object is missing", "Send the object");
  }
  COOKIX_RETURN_IF_ERROR(CheckObject(write.object(), Sub(field, "object"), limits));
  for (int i = 0; i < write.edges_size(); ++i) {
    const v1::Edge& edge = write.edges(i);
    const absl::Status status = CheckEdge(edge, false, "", limits);
    if (!status.ok())
      return CheckEdge(edge, false, Sub(field, absl::StrCat("edges[", i, "]")), limits);
    if (edge.has_source() && !edge.source().key().empty()) {
      const v1::ObjectRef& own = write.object().ref();
      auto name = [](const v1::ObjectRef& ref) {
        return ref.collection().empty() ? std::string("default") : ref.collection();
      };
      if (edge.source().key() != own.key() || name(edge.source()) != name(own)) {
        return InvalidField(Sub(field, absl::StrCat("edges[", i, "].source")),
                            "the edge starts at another object",
                            "Leave the source out, or use PutEdge");
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckObjectPatch(const v1::ObjectPatch& patch, std::string_view field,
                              const Limits& limits) {
  COOKIX_RETURN_IF_ERROR(CheckRef(patch.ref(), Sub(field, "ref"), limits));
  if (patch.has_content()) {
    COOKIX_RETURN_IF_ERROR(CheckContent(patch.content(), Sub(field, "content"), limits));
  }
  COOKIX_RETURN_IF_ERROR(
      CheckProperties(patch.set_properties(), Sub(field, "set_properties"), limits));
  COOKIX_RETURN_IF_ERROR(CheckLabels(patch.add_labels(), Sub(field, "add_labels"), limits));
  COOKIX_RETURN_IF_ERROR(CheckVectorNames(patch.set_vectors(), Sub(field, "set_vectors"), limits));
  if (patch.has_expires_ms()) {
    COOKIX_RETURN_IF_ERROR(CheckTime(patch.expires_ms(), Sub(field, "expires_ms")));
  }
  for (int i = 0; i < patch.add_edges_size(); ++i) {
    COOKIX_RETURN_IF_ERROR(CheckEdge(patch.add_edges(i), false,
                                     Sub(field, absl::StrCat("add_edges[", i, "]")), limits));
  }
  return absl::OkStatus();
}

absl::Status CheckRelationName(std::string_view name, std::string_view field,
                               const Limits& limits) {
  return CheckName(name, field, "the relation", limits.max_name_bytes);
}

absl::Status CheckRelationNames(const google::protobuf::RepeatedPtrField<std::string>& names,
                                std::string_view field, const Limits& limits) {
  if (names.size() > kMaxNamedRelations) {
    return LimitExceeded(field,
                         absl::StrCat("more than ", kMaxNamedRelations, " relations are named"),
                         "Name fewer");
  }
  for (int i = 0; i < names.size(); ++i) {
    COOKIX_RETURN_IF_ERROR(
        CheckRelationName(names[i], absl::StrCat(ToAbsl(field), "[", i, "]"), limits));
  }
  return absl::OkStatus();
}

absl::Status CheckDirection(v1::Direction direction, std::string_view field) {
  if (v1::Direction_IsValid(direction)) return absl::OkStatus();
  return InvalidField(field, "the direction is unknown", "Send out, in or both");
}

absl::Status CheckNamespaceName(std::string_view name, std::string_view field) {
  bool good = !name.empty() && name.size() <= 64;
  for (size_t i = 0; good && i < name.size(); ++i) {
    const char c = name[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    good = letter || (i > 0 && (c == '_' || c == '-'));
  }
  if (good) return absl::OkStatus();
  return InvalidField(field, "the name of the namespace is not allowed",
                      "Use 1 to 64 characters of a-z, 0-9, _ and -, starting with a letter or "
                      "digit");
}

absl::Status CheckCollectionName(std::string_view name, std::string_view field) {
  bool good = !name.empty() && name.size() <= 64;
  for (size_t i = 0; good && i < name.size(); ++i) {
    const char c = name[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    good = letter || (i > 0 && (c == '_' || c == '-' || c == '.'));
  }
  if (good) return absl::OkStatus();
  return InvalidField(field, "the name is not allowed",
                      "Use 1 to 64 characters of A-Z, a-z, 0-9, _, . and -, starting with a "
                      "letter or digit");
}

absl::Status CheckWriteOptions(const v1::WriteOptions& options, const Limits& limits) {
  if (options.request_id().size() > 128) {
    return LimitExceeded("options.request_id", "the request id has more than 128 bytes",
                         "Use a shorter one");
  }
  if (options.wait_ms() < 0) {
    return InvalidField("options.wait_ms", "the wait is negative", "Send milliseconds, or 0");
  }
  if (options.wait_ms() > limits.max_wait_ms) {
    return LimitExceeded("options.wait_ms",
                         absl::StrCat("the wait is longer than ", limits.max_wait_ms, " ms"),
                         "Ask for less");
  }
  return absl::OkStatus();
}

}  // namespace cookix::engine
