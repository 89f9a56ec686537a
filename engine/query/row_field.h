// Fields of rows: what queries order by, group by and compute from.
#ifndef COOKIX_ENGINE_QUERY_ROW_FIELD_H_
#define COOKIX_ENGINE_QUERY_ROW_FIELD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cookix/internal/v1/records.pb.h"
#include "cookix/v1/common.pb.h"
#include "engine/filter/filter_node.h"
#include "engine/graph/steps.h"
#include "engine/limits.h"
#include "engine/records.h"

namespace cookix::engine {

// An object on its way through a plan.
struct QueryRow {
  Ordinal ordinal = 0;
  // Of the search; after an expansion minus `weight`.
  double score = 0;
  // Of the search, for the object that the path begins at.
  double seed_score = 0;
  // Of the path.
  double weight = 0;
  // Which hit of the search it is; -1 for what was not found by one.
  int32_t hit = -1;
  // Where the path begins.
  Ordinal anchor = 0;
  std::vector<Step> steps;
};

// What filters know of an object, or what its row knows.
struct RowField {
  enum class Kind : uint8_t { kOfRecord, kScore, kSeedScore, kHops };

  Kind kind = Kind::kOfRecord;
  // Of a record, and the dotted name of a property.
  FilterField field = FilterField::kProperty;
  std::string name;

  bool needs_record() const { return kind == Kind::kOfRecord; }
};

// INVALID_ARGUMENT about `path` for a name that is none.
absl::StatusOr<RowField> ParseRowField(std::string_view name, std::string_view path,
                                       const Limits& limits);

// A value and the key that it is compared by.
struct FieldValue {
  v1::Value value;
  Scalar key;
};

// The row's value: of several the first that is a scalar; none when there is none.
// `record` is null for fields that need none.
std::optional<FieldValue> ReadRowField(const RowField& field, const QueryRow& row,
                                       const internal::v1::ObjectRecord* record,
                                       std::string_view collection);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_ROW_FIELD_H_
