#include "tools/cli/json.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "google/protobuf/descriptor.h"
#include "storage/base/status.h"
#include "tools/cli/arguments.h"

namespace cookix::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kMaxDepth = 64;
constexpr std::string_view kBytesName = "$bytes";

// Left out when they have their default value: most answers have none of them.
const std::set<std::string, std::less<>>& Optional() {
  static const auto* names = new std::set<std::string, std::less<>>{
      "expires_ms",  "dangling",         "discriminator", "valid_from_ms", "valid_until_ms",
      "explanation", "virtual_relation", "description",   "error",         "vectors",
      "revoked_ms",  "rotated_ms",       "components",    "lane_ranks",    "next_page_token",
      "reason",      "transition"};
  return *names;
}

// A word without the prefix that all values of the enumeration share.
std::string EnumWord(const EnumValueDescriptor* value) {
  std::string prefix;
  for (char c : value->type()->name()) {
    if (std::isupper(static_cast<unsigned char>(c)) && !prefix.empty()) prefix += '_';
    prefix += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  prefix += '_';
  std::string word = value->name();
  if (word.rfind(prefix, 0) == 0) word = word.substr(prefix.size());
  for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return word;
}

bool IsDefaultCollection(const std::string& name) { return name.empty() || name == "default"; }

void AddRef(const v1::ObjectRef& ref, const std::string& name, Json* json) {
  const bool plain = name == "ref";
  (*json)[plain ? "key" : name] = ref.key();
  if (!IsDefaultCollection(ref.collection())) {
    (*json)[plain ? "collection" : name + "_collection"] = ref.collection();
  }
}

Json Scalar(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection* reflection = message.GetReflection();
  const bool repeated = index >= 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return repeated ? reflection->GetRepeatedInt32(message, field, index)
                      : reflection->GetInt32(message, field);
    case FieldDescriptor::CPPTYPE_INT64:
      return repeated ? reflection->GetRepeatedInt64(message, field, index)
                      : reflection->GetInt64(message, field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return repeated ? reflection->GetRepeatedUInt32(message, field, index)
                      : reflection->GetUInt32(message, field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return repeated ? reflection->GetRepeatedUInt64(message, field, index)
                      : reflection->GetUInt64(message, field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return repeated ? reflection->GetRepeatedDouble(message, field, index)
                      : reflection->GetDouble(message, field);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return repeated ? reflection->GetRepeatedFloat(message, field, index)
                      : reflection->GetFloat(message, field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return repeated ? reflection->GetRepeatedBool(message, field, index)
                      : reflection->GetBool(message, field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumWord(repeated ? reflection->GetRepeatedEnum(message, field, index)
                               : reflection->GetEnum(message, field));
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string text = repeated ? reflection->GetRepeatedString(message, field, index)
                                  : reflection->GetString(message, field);
      return field->type() == FieldDescriptor::TYPE_BYTES ? Hex(text) : text;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ToJson(repeated ? reflection->GetRepeatedMessage(message, field, index)
                             : reflection->GetMessage(message, field));
  }
  return nullptr;
}

// Entries by name, so that the same map always reads the same.
Json MapToJson(const Message& message, const FieldDescriptor* field) {
  const Reflection* reflection = message.GetReflection();
  std::map<std::string, Json> sorted;
  for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
    const Message& entry = reflection->GetRepeatedMessage(message, field, i);
    const Descriptor* descriptor = entry.GetDescriptor();
    sorted.emplace(Scalar(entry, descriptor->map_key(), -1).get<std::string>(),
                   Scalar(entry, descriptor->map_value(), -1));
  }
  Json json = Json::object();
  for (auto& [name, value] : sorted) json[name] = std::move(value);
  return json;
}

bool IsDefault(const Message& message, const FieldDescriptor* field, const Json& json) {
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    return message.GetReflection()->GetEnumValue(message, field) == 0;
  }
  return json.empty() || json == Json("") || json == Json(0) || json == Json(false);
}

absl::Status FieldError(const std::string& field, const std::string& message,
                        const std::string& remedy) {
  return InvalidField(field, message, remedy);
}

absl::StatusOr<v1::Value> ValueAt(const Json& json, const std::string& path, int depth) {
  if (depth > kMaxDepth) {
    return FieldError(path, path + " is nested too deep", "use at most 64 levels");
  }
  v1::Value value;
  switch (json.type()) {
    case Json::value_t::null:
    case Json::value_t::discarded:
      value.set_null_value(v1::NULL_VALUE_UNSPECIFIED);
      return value;
    case Json::value_t::boolean:
      value.set_bool_value(json.get<bool>());
      return value;
    case Json::value_t::number_integer:
      value.set_int_value(json.get<int64_t>());
      return value;
    case Json::value_t::number_unsigned:
      if (json.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        return FieldError(path, path + " does not fit a signed 64-bit integer",
                          "write it as text or with a decimal point");
      }
      value.set_int_value(json.get<int64_t>());
      return value;
    case Json::value_t::number_float:
      if (!std::isfinite(json.get<double>())) {
        return FieldError(path, path + " is not a finite number", "use a smaller number");
      }
      value.set_double_value(json.get<double>());
      return value;
    case Json::value_t::string:
      value.set_string_value(json.get<std::string>());
      return value;
    case Json::value_t::binary:
      return FieldError(path, path + " is binary", "write {\"$bytes\": \"…\"} instead");
    case Json::value_t::array: {
      value.mutable_list_value();
      for (size_t i = 0; i < json.size(); ++i) {
        COOKIX_ASSIGN_OR_RETURN(*value.mutable_list_value()->add_values(),
                                ValueAt(json[i], path + "[" + std::to_string(i) + "]", depth + 1));
      }
      return value;
    }
    case Json::value_t::object: {
      if (json.size() == 1 && json.contains(kBytesName) &&
          json[std::string(kBytesName)].is_string()) {
        auto bytes = FromHex(json[std::string(kBytesName)].get<std::string>());
        if (!bytes.ok()) {
          return FieldError(path, path + " has bytes that are not hexadecimal",
                            "write an even number of hexadecimal digits");
        }
        value.set_bytes_value(*std::move(bytes));
        return value;
      }
      auto* fields = value.mutable_map_value()->mutable_fields();
      for (const auto& [name, member] : json.items()) {
        COOKIX_ASSIGN_OR_RETURN((*fields)[name], ValueAt(member, path + "." + name, depth + 1));
      }
      return value;
    }
  }
  return value;
}

absl::StatusOr<std::string> Text(const Json& json, const std::string& field) {
  if (!json.is_string()) {
    return FieldError(field, field + " is not text", "write it in double quotes");
  }
  return json.get<std::string>();
}

absl::StatusOr<int64_t> Integer(const Json& json, const std::string& field) {
  if (!json.is_number_integer()) {
    return FieldError(field, field + " is not a whole number", "write digits only");
  }
  return json.get<int64_t>();
}

template <class Map>
absl::Status ReadProperties(const Json& json, const std::string& field, Map* properties) {
  if (!json.is_object()) {
    return FieldError(field, field + " is not an object", "write {\"name\": value, …}");
  }
  for (const auto& [name, member] : json.items()) {
    COOKIX_ASSIGN_OR_RETURN((*properties)[name], ValueAt(member, field + "." + name, 0));
  }
  return absl::OkStatus();
}

// "source" and "target": text, or {"key", "collection"}.
absl::Status ReadRef(const Json& json, const std::string& field, v1::ObjectRef* ref) {
  if (json.is_object()) {
    for (const auto& [name, member] : json.items()) {
      COOKIX_ASSIGN_OR_RETURN(std::string text, Text(member, field + "." + name));
      if (name == "key") {
        ref->set_key(text);
      } else if (name == "collection") {
        ref->set_collection(text);
      } else {
        return FieldError(field + "." + name, "unknown name \"" + name + "\" in " + field,
                          "use key and collection");
      }
    }
    return absl::OkStatus();
  }
  COOKIX_ASSIGN_OR_RETURN(std::string key, Text(json, field));
  ref->set_key(std::move(key));
  return absl::OkStatus();
}

absl::Status Unknown(const std::string& name, const std::vector<std::string>& known) {
  const std::string close = Suggest(name, known);
  return FieldError(
      name, "unknown name \"" + name + "\"",
      close.empty() ? "see `cookix help import` for the names" : "did you mean \"" + close + "\"?");
}

// A component as a number that reads back as the same float, and no longer than
// it needs to be: 0.1, not 0.10000000149011612.
double ShortDouble(float value) {
  char text[32];
  const auto written = std::to_chars(text, text + sizeof text, value);
  double number = value;
  std::from_chars(text, written.ptr, number);
  return number;
}

Json VectorToJson(const v1::Vector& vector) {
  Json json = Json::object();
  if (!vector.bits().empty()) {
    std::string text;
    absl::Base64Escape(ToAbsl(vector.bits()), &text);
    json["bits"] = std::move(text);
    return json;
  }
  Json values = Json::array();
  for (float value : vector.values()) values.push_back(ShortDouble(value));
  if (vector.indices().empty()) return values;
  Json indices = Json::array();
  for (uint32_t index : vector.indices()) indices.push_back(index);
  json["indices"] = std::move(indices);
  json["values"] = std::move(values);
  return json;
}

absl::Status ReadVectors(const Json& json, v1::Object* object) {
  if (!json.is_object()) {
    return FieldError("vectors", "vectors is not an object", "write {\"name\": [1.0, …]}");
  }
  for (const auto& [name, member] : json.items()) {
    COOKIX_ASSIGN_OR_RETURN((*object->mutable_vectors())[name],
                            VectorFromJson(member, "vectors." + name));
  }
  return absl::OkStatus();
}

}  // namespace

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (char c : bytes) {
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return hex;
}

absl::StatusOr<std::string> FromHex(std::string_view text) {
  auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  if (text.size() % 2 != 0) return absl::InvalidArgumentError("odd number of digits");
  std::string bytes;
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]);
    const int low = digit(text[i + 1]);
    if (high < 0 || low < 0) return absl::InvalidArgumentError("not hexadecimal");
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<Json> ParseJson(std::string_view text) {
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const Json::parse_error& error) {
    return InvalidField("json", "not valid JSON at byte " + std::to_string(error.byte),
                        "check quotes, commas and braces there");
  } catch (const Json::exception&) {
    return InvalidField("json", "not valid JSON", "check the numbers in it");
  }
}

Json ValueToJson(const v1::Value& value) {
  switch (value.kind_case()) {
    case v1::Value::kBoolValue:
      return value.bool_value();
    case v1::Value::kIntValue:
      return value.int_value();
    case v1::Value::kDoubleValue:
      return value.double_value();
    case v1::Value::kStringValue:
      return value.string_value();
    case v1::Value::kBytesValue: {
      Json json = Json::object();
      json[std::string(kBytesName)] = Hex(value.bytes_value());
      return json;
    }
    case v1::Value::kListValue: {
      Json json = Json::array();
      for (const v1::Value& member : value.list_value().values()) {
        json.push_back(ValueToJson(member));
      }
      return json;
    }
    case v1::Value::kMapValue: {
      std::map<std::string, Json> sorted;
      for (const auto& [name, member] : value.map_value().fields()) {
        sorted.emplace(name, ValueToJson(member));
      }
      Json json = Json::object();
      for (auto& [name, member] : sorted) json[name] = std::move(member);
      return json;
    }
    case v1::Value::kNullValue:
    case v1::Value::KIND_NOT_SET:
      break;
  }
  return nullptr;
}

Json ToJson(const Message& message) {
  if (const auto* value = dynamic_cast<const v1::Value*>(&message)) return ValueToJson(*value);
  Json json = Json::object();
  if (const auto* ref = dynamic_cast<const v1::ObjectRef*>(&message)) {
    AddRef(*ref, "ref", &json);
    return json;
  }
  if (const auto* vector = dynamic_cast<const v1::Vector*>(&message)) return VectorToJson(*vector);
  const Reflection* reflection = message.GetReflection();
  const Descriptor* descriptor = message.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    const std::string& name = field->name();
    if (field->is_map()) {
      Json map = MapToJson(message, field);
      if (!map.empty() || Optional().count(name) == 0) json[name] = std::move(map);
      continue;
    }
    if (field->is_repeated()) {
      const int size = reflection->FieldSize(message, field);
      Json list = Json::array();
      for (int k = 0; k < size; ++k) list.push_back(Scalar(message, field, k));
      if (size > 0 || Optional().count(name) == 0) json[name] = std::move(list);
      continue;
    }
    if (field->has_presence() && !reflection->HasField(message, field)) continue;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
        field->message_type() == v1::ObjectRef::descriptor()) {
      AddRef(static_cast<const v1::ObjectRef&>(reflection->GetMessage(message, field)), name,
             &json);
      continue;
    }
    Json value = Scalar(message, field, -1);
    if (Optional().count(name) != 0 && IsDefault(message, field, value)) continue;
    json[name] = std::move(value);
  }
  return json;
}

Json ObjectWriteToJson(const v1::ObjectWrite& write) {
  Json json = ToJson(write.object());
  Json edges = Json::array();
  for (const v1::Edge& edge : write.edges()) {
    Json item = ToJson(edge);
    for (const char* name : {"source", "source_collection", "id", "version"}) item.erase(name);
    if (item["properties"].empty()) item.erase("properties");
    edges.push_back(std::move(item));
  }
  json["edges"] = std::move(edges);
  return json;
}

absl::StatusOr<v1::Vector> VectorFromJson(const Json& json, const std::string& field) {
  static const char kForms[] =
      "write [1.0, …], or {\"indices\": […], \"values\": […]} for a sparse vector, or "
      "{\"bits\": \"<base64>\"}";
  v1::Vector vector;
  const Json* values = &json;
  if (json.is_object()) {
    for (const auto& [name, member] : json.items()) {
      if (name != "values" && name != "indices" && name != "bits") {
        return FieldError(field + "." + name, "unknown name \"" + name + "\" in a vector", kForms);
      }
    }
    if (json.contains("bits")) {
      const Json& bits = json["bits"];
      std::string bytes;
      if (!bits.is_string() ||
          !absl::Base64Unescape(ToAbsl(bits.get_ref<const std::string&>()), &bytes)) {
        return FieldError(field + ".bits", field + ".bits is not base64", kForms);
      }
      if (json.size() > 1) {
        return FieldError(field, field + " has bits and numbers", "give one of them");
      }
      vector.set_bits(std::move(bytes));
      return vector;
    }
    if (!json.contains("values")) {
      return FieldError(field, "the values of " + field + " are missing", kForms);
    }
    values = &json["values"];
    if (json.contains("indices")) {
      if (!json["indices"].is_array()) {
        return FieldError(field + ".indices", field + ".indices is not a list", kForms);
      }
      for (const Json& index : json["indices"]) {
        if (!index.is_number_unsigned() ||
            index.get<uint64_t>() > std::numeric_limits<uint32_t>::max()) {
          return FieldError(field + ".indices", "an index of " + field + " is not a whole number",
                            "indices are from 0 to 4294967295");
        }
        vector.add_indices(index.get<uint32_t>());
      }
      if (json["indices"].size() != values->size()) {
        return FieldError(field + ".indices",
                          field + " has " + std::to_string(json["indices"].size()) +
                              " indices and " + std::to_string(values->size()) + " values",
                          "give one index for each value");
      }
    }
  }
  if (!values->is_array()) return FieldError(field, field + " is not a list", kForms);
  vector.mutable_values()->Reserve(static_cast<int>(values->size()));
  for (const Json& component : *values) {
    // Beyond a float's range, converting a double is undefined.
    if (!component.is_number() ||
        !(std::abs(component.get<double>()) <= std::numeric_limits<float>::max())) {
      return FieldError(field,
                        "component " + std::to_string(vector.values_size()) + " of " + field +
                            " is not a number that a float32 holds",
                        "write finite numbers");
    }
    vector.add_values(static_cast<float>(component.get<double>()));
  }
  return vector;
}

absl::StatusOr<v1::Value> ValueFromJson(const Json& json) { return ValueAt(json, "value", 0); }

absl::StatusOr<v1::Edge> EdgeFromJson(const Json& json, bool source_required) {
  static const std::vector<std::string> kNames = {"source",
                                                  "source_collection",
                                                  "relation",
                                                  "target",
                                                  "target_collection",
                                                  "weight",
                                                  "properties",
                                                  "discriminator",
                                                  "valid_from_ms",
                                                  "valid_until_ms",
                                                  "id",
                                                  "version"};
  if (!json.is_object()) {
    return FieldError("edges", "an edge is not an object",
                      "write {\"relation\": …, \"target\": …}");
  }
  v1::Edge edge;
  for (const auto& [name, member] : json.items()) {
    if (name == "source") {
      COOKIX_RETURN_IF_ERROR(ReadRef(member, name, edge.mutable_source()));
    } else if (name == "target") {
      COOKIX_RETURN_IF_ERROR(ReadRef(member, name, edge.mutable_target()));
    } else if (name == "source_collection") {
      COOKIX_ASSIGN_OR_RETURN(*edge.mutable_source()->mutable_collection(), Text(member, name));
    } else if (name == "target_collection") {
      COOKIX_ASSIGN_OR_RETURN(*edge.mutable_target()->mutable_collection(), Text(member, name));
    } else if (name == "relation") {
      COOKIX_ASSIGN_OR_RETURN(*edge.mutable_relation(), Text(member, name));
    } else if (name == "discriminator") {
      COOKIX_ASSIGN_OR_RETURN(*edge.mutable_discriminator(), Text(member, name));
    } else if (name == "weight") {
      if (!member.is_number()) {
        return FieldError(name, "weight is not a number", "write a number of at least 0");
      }
      edge.set_weight(member.get<double>());
    } else if (name == "properties") {
      COOKIX_RETURN_IF_ERROR(ReadProperties(member, name, edge.mutable_properties()));
    } else if (name == "valid_from_ms") {
      COOKIX_ASSIGN_OR_RETURN(int64_t ms, Integer(member, name));
      edge.set_valid_from_ms(ms);
    } else if (name == "valid_until_ms") {
      COOKIX_ASSIGN_OR_RETURN(int64_t ms, Integer(member, name));
      edge.set_valid_until_ms(ms);
    } else if (name != "id" && name != "version") {
      return Unknown(name, kNames);
    }
  }
  if (edge.relation().empty()) {
    return FieldError("relation", "an edge has no relation", "add \"relation\"");
  }
  if (edge.target().key().empty()) {
    return FieldError("target", "an edge has no target", "add \"target\"");
  }
  if (source_required && edge.source().key().empty()) {
    return FieldError("source", "an edge has no source", "add \"source\"");
  }
  return edge;
}

absl::StatusOr<v1::ObjectWrite> ObjectWriteFromJson(const Json& json) {
  static const std::vector<std::string> kNames = {
      "key",        "collection", "content",    "properties", "labels",  "vectors",
      "expires_ms", "edges",      "created_ms", "updated_ms", "version", "dangling"};
  if (!json.is_object()) {
    return FieldError("json", "not a JSON object", "write {\"key\": …}");
  }
  v1::ObjectWrite write;
  v1::Object* object = write.mutable_object();
  for (const auto& [name, member] : json.items()) {
    if (name == "key") {
      COOKIX_ASSIGN_OR_RETURN(*object->mutable_ref()->mutable_key(), Text(member, name));
    } else if (name == "collection") {
      COOKIX_ASSIGN_OR_RETURN(*object->mutable_ref()->mutable_collection(), Text(member, name));
    } else if (name == "content") {
      COOKIX_ASSIGN_OR_RETURN(*object->mutable_content(), Text(member, name));
    } else if (name == "properties") {
      COOKIX_RETURN_IF_ERROR(ReadProperties(member, name, object->mutable_properties()));
    } else if (name == "labels") {
      if (!member.is_array()) {
        return FieldError(name, "labels is not a list", "write [\"label\", …]");
      }
      for (const Json& label : member) {
        COOKIX_ASSIGN_OR_RETURN(*object->add_labels(), Text(label, "labels"));
      }
    } else if (name == "vectors") {
      COOKIX_RETURN_IF_ERROR(ReadVectors(member, object));
    } else if (name == "expires_ms") {
      COOKIX_ASSIGN_OR_RETURN(int64_t ms, Integer(member, name));
      object->set_expires_ms(ms);
    } else if (name == "edges") {
      if (!member.is_array()) {
        return FieldError(name, "edges is not a list",
                          "write [{\"relation\": …, \"target\": …}, …]");
      }
      for (const Json& item : member) {
        COOKIX_ASSIGN_OR_RETURN(*write.add_edges(), EdgeFromJson(item, false));
      }
    } else if (name != "created_ms" && name != "updated_ms" && name != "version" &&
               name != "dangling") {
      return Unknown(name, kNames);
    }
  }
  if (object->ref().key().empty()) {
    return FieldError("key", "the object has no key", "add \"key\"");
  }
  return write;
}

}  // namespace cookix::cli
