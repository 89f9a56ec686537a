#include "engine/query/row_field.h"

#include <utility>

#include "engine/filter/filter.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Kind = RowField::Kind;

constexpr std::pair<std::string_view, Kind> kFieldsOfRows[] = {
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

std::optional<FieldValue> OfRecord(const RowField& field, const internal::v1::ObjectRecord& record,
                                   std::string_view collection) {
  // What does not exist has its name only.
  const bool named = field.field == FilterField::kKey || field.field == FilterField::kCollection;
  if (!record.exists() && !named) return std::nullopt;
  std::optional<FieldValue> found;
  VisitField(field.field, field.name, record, collection, [&found](const v1::Value& value) {
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
  for (const auto& [of_row, kind] : kFieldsOfRows) {
    if (name == of_row) return RowField{.kind = kind};
  }
  if (const std::optional<FilterField> system = SystemField(name); system.has_value()) {
    return RowField{.field = *system};
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
  return RowField{.name = std::string(name)};
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
    case Kind::kOfRecord:
      break;
  }
  return record == nullptr ? std::nullopt : OfRecord(field, *record, collection);
}

}  // namespace cookix::engine
