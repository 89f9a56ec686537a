#include "engine/query/row_field.h"

#include <utility>

#include "engine/filter/filter.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Kind = RowField::Kind;

constexpr std::pair<std::string_view, Kind> kSystemFields[] = {
    {"$key", Kind::kKey},
    {"$collection", Kind::kCollection},
    {"$label", Kind::kLabel},
    {"$version", Kind::kVersion},
    {"$created_ms", Kind::kCreated},
    {"$updated_ms", Kind::kUpdated},
    {"$expires_ms", Kind::kExpires},
    {"$score", Kind::kScore},
    {"$seed_score", Kind::kSeedScore},
    {"$hops", Kind::kHops},
};

FieldValue OfInt(int64_t number) {
  FieldValue field;
  field.value.set_int_value(number);
  ToScalar(field.value, &field.key);
  return field;
}

FieldValue OfDouble(double number) {
  FieldValue field;
  // One zero, so that equal rows make one group.
  field.value.set_double_value(number == 0 ? 0 : number);
  ToScalar(field.value, &field.key);
  return field;
}

FieldValue OfText(std::string_view text) {
  FieldValue field;
  field.value.set_string_value(std::string(text));
  ToScalar(field.value, &field.key);
  return field;
}

std::optional<FieldValue> OfProperty(const internal::v1::ObjectRecord& record,
                                     std::string_view name) {
  std::optional<FieldValue> found;
  VisitProperty(record, name, [&found](const v1::Value& value) {
    Scalar key;
    if (!ToScalar(value, &key)) return false;
    found = FieldValue{value, std::move(key)};
    return true;
  });
  return found;
}

}  // namespace

absl::StatusOr<RowField> ParseRowField(std::string_view name, std::string_view path,
                                       const Limits& limits) {
  for (const auto& [system, kind] : kSystemFields) {
    if (name == system) return RowField{kind, ""};
  }
  if (!name.empty() && name.front() == '$') {
    return InvalidField(path, "there is no system field \"" + std::string(name) + "\"",
                        "Name a property, or one of $key, $collection, $label, $version, "
                        "$created_ms, $updated_ms, $expires_ms, $score, $seed_score, $hops");
  }
  // What a filter would take for a name of a property.
  v1::Filter has_value;
  has_value.mutable_existence()->set_field(std::string(name));
  const auto compiled = CompiledFilter::Compile(has_value, path, limits);
  if (!compiled.ok()) return WithField(compiled.status(), path);
  return RowField{Kind::kProperty, std::string(name)};
}

std::optional<FieldValue> ReadRowField(const RowField& field, const QueryRow& row,
                                       const internal::v1::ObjectRecord* record,
                                       std::string_view collection) {
  switch (field.kind) {
    case Kind::kScore:
      return OfDouble(row.score);
    case Kind::kSeedScore:
      return OfDouble(row.seed_score);
    case Kind::kHops:
      return OfInt(static_cast<int64_t>(row.steps.size()));
    default:
      break;
  }
  if (record == nullptr) return std::nullopt;
  switch (field.kind) {
    case Kind::kKey:
      return OfText(record->key());
    case Kind::kCollection:
      return OfText(collection);
    default:
      break;
  }
  if (!record->exists()) return std::nullopt;
  switch (field.kind) {
    case Kind::kProperty:
      return OfProperty(*record, field.name);
    case Kind::kLabel:
      return record->labels_size() > 0 ? std::optional(OfText(record->labels(0))) : std::nullopt;
    case Kind::kVersion:
      return OfInt(static_cast<int64_t>(record->version()));
    case Kind::kCreated:
      return OfInt(record->created_ms());
    case Kind::kUpdated:
      return OfInt(record->updated_ms());
    case Kind::kExpires:
      return record->expires_ms() > 0 ? std::optional(OfInt(record->expires_ms())) : std::nullopt;
    default:
      return std::nullopt;
  }
}

}  // namespace cookix::engine
