#include "engine/vector/vector_field.h"

#include <cmath>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"
#include "storage/base/utf8.h"

namespace cookix::engine {
namespace {

constexpr size_t kMaxNameBytes = 256;

constexpr int32_t kDefaultM = 16;
constexpr int32_t kDefaultEfConstruction = 200;
constexpr int32_t kDefaultEfSearch = 64;
constexpr double kDefaultMaxVariance = 0.15;
constexpr int32_t kDefaultMaxCellSize = 1024;
constexpr double kDefaultMaxDrift = 0.03;
constexpr int32_t kMostCellsProbed = 10'000;
constexpr double kPi = 3.14159265358979323846;

// The square of a difference of two vectors is at most four times this.
constexpr double kMaxSquare = static_cast<double>(std::numeric_limits<float>::max()) / 4;
// Below, a length computed in float is zero or has lost its digits.
constexpr double kMinSquare = static_cast<double>(std::numeric_limits<float>::min());

std::string Sub(std::string_view path, std::string_view member) {
  std::string out(path);
  if (!out.empty()) out += '.';
  out += member;
  return out;
}

absl::Status CheckFieldName(const std::string& name, std::string_view path) {
  const std::string field = Sub(path, "name");
  if (name.empty()) return InvalidField(field, "the name is empty", "Name the vector field");
  if (name.size() > kMaxNameBytes) {
    return LimitExceeded(
        field, absl::StrCat("the name has ", name.size(), " bytes, more than ", kMaxNameBytes),
        "Use a shorter one");
  }
  if (!IsUtf8(name) || HasControlCharacter(name)) {
    return InvalidField(field, "the name is not UTF-8 or has a control character",
                        "Use printable text");
  }
  return absl::OkStatus();
}

// Fills in `by_default` for zero and checks the range.
absl::Status Resolve(int32_t by_default, int32_t least, int32_t most, std::string_view path,
                     std::string_view member, int32_t* value) {
  if (*value == 0) *value = by_default;
  if (*value >= least && *value <= most) return absl::OkStatus();
  return InvalidField(
      Sub(path, member),
      absl::StrCat(ToAbsl(member), " is ", *value, ", not between ", least, " and ", most),
      absl::StrCat("Send ", least, " to ", most, ", or 0 for ", by_default));
}

absl::Status Resolve(double by_default, double most, std::string_view path, std::string_view member,
                     double* value) {
  if (*value == 0) *value = by_default;
  if (*value > 0 && *value <= most) return absl::OkStatus();
  return InvalidField(Sub(path, member),
                      absl::StrCat(ToAbsl(member), " is ", *value, ", not above 0",
                                   std::isfinite(most) ? absl::StrCat(" and at most ", most) : ""),
                      absl::StrCat("Send a positive number, or 0 for ", by_default));
}

absl::Status ResolveHnsw(std::string_view path, v1::HnswSettings* hnsw) {
  int32_t m = hnsw->m();
  int32_t ef_construction = hnsw->ef_construction();
  int32_t ef_search = hnsw->ef_search();
  COOKIX_RETURN_IF_ERROR(Resolve(kDefaultM, 4, 128, path, "m", &m));
  COOKIX_RETURN_IF_ERROR(
      Resolve(kDefaultEfConstruction, m, 4096, path, "ef_construction", &ef_construction));
  COOKIX_RETURN_IF_ERROR(Resolve(kDefaultEfSearch, 1, 10'000, path, "ef_search", &ef_search));
  hnsw->set_m(m);
  hnsw->set_ef_construction(ef_construction);
  hnsw->set_ef_search(ef_search);
  return absl::OkStatus();
}

absl::Status ResolveCells(std::string_view path, v1::CellSettings* cells) {
  double variance = cells->max_variance();
  int32_t size = cells->max_cell_size();
  double drift = cells->max_drift();
  COOKIX_RETURN_IF_ERROR(Resolve(kDefaultMaxVariance, std::numeric_limits<double>::max(), path,
                                 "max_variance", &variance));
  COOKIX_RETURN_IF_ERROR(Resolve(kDefaultMaxCellSize, 64, 65'536, path, "max_cell_size", &size));
  COOKIX_RETURN_IF_ERROR(Resolve(kDefaultMaxDrift, kPi, path, "max_drift", &drift));
  const int32_t probed = cells->cells_probed();
  if (probed < 0 || probed > kMostCellsProbed) {
    return InvalidField(
        Sub(path, "cells_probed"),
        absl::StrCat("cells_probed is ", probed, ", not between 1 and ", kMostCellsProbed),
        absl::StrCat("Send 1 to ", kMostCellsProbed,
                     ", or 0 for as many as the index finds that it needs"));
  }
  cells->set_max_variance(variance);
  cells->set_max_cell_size(size);
  cells->set_max_drift(drift);
  if (probed == 0) cells->clear_cells_probed();
  return absl::OkStatus();
}

absl::Status CheckEnums(const v1::VectorField& field, std::string_view path) {
  auto unknown = [&](std::string_view member, int value) {
    return InvalidField(Sub(path, member),
                        absl::StrCat("the ", ToAbsl(member), " ", value, " is unknown"),
                        "Use one that the contract lists");
  };
  if (!v1::VectorMetric_IsValid(field.metric())) return unknown("metric", field.metric());
  if (!v1::VectorIndexKind_IsValid(field.index())) return unknown("index", field.index());
  if (!v1::VectorQuantization_IsValid(field.quantization())) {
    return unknown("quantization", field.quantization());
  }
  if (!v1::VectorAggregate_IsValid(field.aggregate())) {
    return unknown("aggregate", field.aggregate());
  }
  return absl::OkStatus();
}

template <typename Settings>
bool IsSet(bool has, const Settings& settings) {
  return has && settings.ByteSizeLong() != 0;
}

absl::Status Frozen(std::string_view path, std::string_view member, const std::string& expected,
                    const std::string& given) {
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   absl::StrCat(ToAbsl(member), " of the vector field is ", expected,
                                " and cannot be changed to ", given),
                   {"FROZEN_SETTING", Sub(path, member),
                    "Leave it as it is, or remove the field and add it anew", false});
}

absl::Status NotFinite(std::string_view path) {
  return InvalidField(path, "a component is not finite", "Send finite components");
}

absl::Status WrongKind(std::string_view path, std::string_view member, std::string_view remedy) {
  return InvalidField(
      path, absl::StrCat("the vector has ", ToAbsl(member), ", which the field does not take"),
      remedy);
}

// The sum of the squares; not finite when a component is not.
double SquareOf(std::span<const float> values) {
  double sums[4] = {0, 0, 0, 0};
  size_t i = 0;
  for (; i + 4 <= values.size(); i += 4) {
    for (size_t j = 0; j < 4; ++j) {
      const double value = values[i + j];
      sums[j] += value * value;
    }
  }
  for (; i < values.size(); ++i) {
    const double value = values[i];
    sums[0] += value * value;
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

absl::Status CheckLength(std::span<const float> values, bool needs_direction,
                         std::string_view path) {
  const double square = SquareOf(values);
  if (!(square <= kMaxSquare)) {
    if (!std::isfinite(square)) return NotFinite(path);
    return InvalidField(path, "the components are so large that distances overflow",
                        "Scale the vectors down");
  }
  if (needs_direction && square < kMinSquare) {
    return square == 0 ? InvalidField(path, "the vector is zero, which has no cosine",
                                      "Leave the vector out, or use another metric")
                       : InvalidField(path, "the components are too small to have a cosine",
                                      "Scale the vectors up");
  }
  return absl::OkStatus();
}

absl::Status CheckSparse(const v1::Vector& vector, std::string_view path) {
  if (!vector.bits().empty()) {
    return WrongKind(path, "bits", "Send indices and values: the field is sparse");
  }
  if (vector.indices_size() != vector.values_size()) {
    return InvalidField(path,
                        absl::StrCat("the vector has ", vector.indices_size(), " indices and ",
                                     vector.values_size(), " values"),
                        "Send one index for each value");
  }
  if (vector.indices_size() == 0) {
    return InvalidField(path, "the sparse vector is empty", "Send at least one entry");
  }
  if (vector.indices_size() > kMaxSparseEntries) {
    return LimitExceeded(path,
                         absl::StrCat("the sparse vector has ", vector.indices_size(),
                                      " entries, more than ", kMaxSparseEntries),
                         "Leave out the lightest");
  }
  for (int i = 1; i < vector.indices_size(); ++i) {
    if (vector.indices(i) <= vector.indices(i - 1)) {
      return InvalidField(path, "indices are not strictly ascending", "Sort and merge them");
    }
  }
  return CheckLength({vector.values().data(), static_cast<size_t>(vector.values_size())}, false,
                     path);
}

}  // namespace

absl::StatusOr<v1::VectorField> ResolveVectorField(const v1::VectorField& given,
                                                   std::string_view path) {
  COOKIX_RETURN_IF_ERROR(CheckFieldName(given.name(), path));
  COOKIX_RETURN_IF_ERROR(CheckEnums(given, path));
  v1::VectorField field = given;
  if (field.dimension() < 0 || field.dimension() > kMaxVectorDimension) {
    return InvalidField(Sub(path, "dimension"),
                        absl::StrCat("the dimension is ", field.dimension(), ", not between 0 and ",
                                     kMaxVectorDimension),
                        absl::StrCat("Send 1 to ", kMaxVectorDimension, ", or 0 for a sparse one"));
  }
  const bool sparse = field.dimension() == 0;
  if (field.metric() == v1::VECTOR_METRIC_UNSPECIFIED) {
    field.set_metric(sparse ? v1::VECTOR_METRIC_DOT : v1::VECTOR_METRIC_COSINE);
  }
  const bool bits = field.metric() == v1::VECTOR_METRIC_HAMMING;
  if (sparse && field.metric() != v1::VECTOR_METRIC_DOT) {
    return InvalidField(Sub(path, "metric"), "a sparse field (dimension 0) only has the metric dot",
                        "Leave the metric out, or send a dimension");
  }

  if (field.index() == v1::VECTOR_INDEX_KIND_UNSPECIFIED) {
    field.set_index(sparse ? v1::VECTOR_INDEX_KIND_SPARSE : v1::VECTOR_INDEX_KIND_HNSW);
  }
  const std::string index = Sub(path, "index");
  if (sparse != (field.index() == v1::VECTOR_INDEX_KIND_SPARSE)) {
    return sparse ? InvalidField(index, "a sparse field (dimension 0) only has the index sparse",
                                 "Leave the index out, or send a dimension")
                  : InvalidField(index, "only a sparse field (dimension 0) has the index sparse",
                                 "Use another index, or leave the dimension out");
  }
  const bool flat_or_hnsw =
      field.index() == v1::VECTOR_INDEX_KIND_FLAT || field.index() == v1::VECTOR_INDEX_KIND_HNSW;
  if (bits && !flat_or_hnsw) {
    return InvalidField(index, "a field of bits only has the indexes flat and hnsw",
                        "Use one of them");
  }

  const bool only_exact = sparse || bits || field.index() == v1::VECTOR_INDEX_KIND_FLAT;
  if (field.quantization() == v1::VECTOR_QUANTIZATION_UNSPECIFIED) {
    field.set_quantization(only_exact ? v1::VECTOR_QUANTIZATION_NONE
                                      : v1::VECTOR_QUANTIZATION_INT8);
  }
  if (only_exact && field.quantization() != v1::VECTOR_QUANTIZATION_NONE) {
    return InvalidField(Sub(path, "quantization"),
                        absl::StrCat(sparse ? "sparse fields"
                                     : bits ? "fields of bits"
                                            : "flat indexes",
                                     " have no quantization"),
                        "Leave the quantization out");
  }

  if (field.multi() && (!flat_or_hnsw || bits)) {
    return InvalidField(Sub(path, "multi"),
                        "only fields of floats with an index flat or hnsw take several vectors",
                        "Use one of these indexes, or one vector for each object");
  }
  if (field.multi()) {
    if (field.aggregate() == v1::VECTOR_AGGREGATE_UNSPECIFIED) {
      field.set_aggregate(v1::VECTOR_AGGREGATE_MAX);
    }
  } else if (field.aggregate() != v1::VECTOR_AGGREGATE_UNSPECIFIED) {
    return InvalidField(Sub(path, "aggregate"),
                        "only a field with several vectors has an aggregate",
                        "Set multi, or leave the aggregate out");
  }

  if (field.index() == v1::VECTOR_INDEX_KIND_HNSW) {
    COOKIX_RETURN_IF_ERROR(ResolveHnsw(Sub(path, "hnsw"), field.mutable_hnsw()));
  } else if (IsSet(field.has_hnsw(), field.hnsw())) {
    return InvalidField(Sub(path, "hnsw"), "the field has another index than hnsw",
                        "Leave the settings out, or use the index hnsw");
  } else {
    field.clear_hnsw();
  }
  if (field.index() == v1::VECTOR_INDEX_KIND_CELLS) {
    if (field.quantization() == v1::VECTOR_QUANTIZATION_PRODUCT ||
        field.quantization() == v1::VECTOR_QUANTIZATION_BINARY) {
      return InvalidField(Sub(path, "quantization"), "cells keep vectors as int8 or floats",
                          "Leave the quantization out, or use another index");
    }
    COOKIX_RETURN_IF_ERROR(ResolveCells(Sub(path, "cells"), field.mutable_cells()));
  } else if (IsSet(field.has_cells(), field.cells())) {
    return InvalidField(Sub(path, "cells"), "the field has another index than cells",
                        "Leave the settings out, or use the index cells");
  } else {
    field.clear_cells();
  }
  return field;
}

absl::StatusOr<v1::VectorField> ResolveStoredVectorField(const v1::VectorField& stored) {
  if (stored.dimension() == 0 && stored.metric() != v1::VECTOR_METRIC_DOT) {
    // Sparse fields once took any metric, and none of them was ever searched.
    v1::VectorField dot = stored;
    dot.set_metric(v1::VECTOR_METRIC_DOT);
    return ResolveVectorField(dot, "");
  }
  return ResolveVectorField(stored, "");
}

absl::Status CheckUnchanged(const v1::VectorField& existing, const v1::VectorField& given,
                            std::string_view path) {
  COOKIX_RETURN_IF_ERROR(CheckEnums(given, path));
  auto number = [&](std::string_view member, int32_t old_value, int32_t value) {
    if (value == 0 || value == old_value) return absl::OkStatus();
    return Frozen(path, member, absl::StrCat(old_value), absl::StrCat(value));
  };
  COOKIX_RETURN_IF_ERROR(number("dimension", existing.dimension(), given.dimension()));
  if (given.metric() != v1::VECTOR_METRIC_UNSPECIFIED && given.metric() != existing.metric()) {
    return Frozen(path, "metric", v1::VectorMetric_Name(existing.metric()),
                  v1::VectorMetric_Name(given.metric()));
  }
  if (given.index() != v1::VECTOR_INDEX_KIND_UNSPECIFIED && given.index() != existing.index()) {
    return Frozen(path, "index", v1::VectorIndexKind_Name(existing.index()),
                  v1::VectorIndexKind_Name(given.index()));
  }
  if (given.quantization() != v1::VECTOR_QUANTIZATION_UNSPECIFIED &&
      given.quantization() != existing.quantization()) {
    return Frozen(path, "quantization", v1::VectorQuantization_Name(existing.quantization()),
                  v1::VectorQuantization_Name(given.quantization()));
  }
  if (given.multi() && !existing.multi()) return Frozen(path, "multi", "false", "true");
  if (given.aggregate() != v1::VECTOR_AGGREGATE_UNSPECIFIED &&
      given.aggregate() != existing.aggregate()) {
    return Frozen(path, "aggregate", v1::VectorAggregate_Name(existing.aggregate()),
                  v1::VectorAggregate_Name(given.aggregate()));
  }
  if (existing.index() == v1::VECTOR_INDEX_KIND_HNSW) {
    COOKIX_RETURN_IF_ERROR(number("hnsw.m", existing.hnsw().m(), given.hnsw().m()));
    COOKIX_RETURN_IF_ERROR(number("hnsw.ef_construction", existing.hnsw().ef_construction(),
                                  given.hnsw().ef_construction()));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::VectorField> ChangeVectorField(const v1::VectorField& existing,
                                                  const v1::VectorField& given,
                                                  std::string_view path) {
  COOKIX_RETURN_IF_ERROR(CheckUnchanged(existing, given, path));
  v1::VectorField changed = existing;
  // Set members replace; what is frozen is the same. Settings of another index are
  // refused below.
  changed.mutable_hnsw()->MergeFrom(given.hnsw());
  changed.mutable_cells()->MergeFrom(given.cells());
  return ResolveVectorField(changed, path);
}

const v1::VectorField* FindVectorField(const v1::Collection& collection, std::string_view name) {
  if (name.empty()) {
    return collection.vector_fields_size() == 1 ? &collection.vector_fields(0) : nullptr;
  }
  for (const v1::VectorField& field : collection.vector_fields()) {
    if (field.name() == name) return &field;
  }
  return nullptr;
}

absl::StatusOr<const v1::VectorField*> RequireVectorField(const v1::Collection& collection,
                                                          std::string_view name,
                                                          std::string_view path) {
  if (const v1::VectorField* field = FindVectorField(collection, name); field != nullptr) {
    return field;
  }
  if (name.empty() && collection.vector_fields_size() > 0) {
    return InvalidField(path,
                        absl::StrCat("the collection has ", collection.vector_fields_size(),
                                     " vector fields and none is named"),
                        "Name one of them");
  }
  const std::string which = name.empty() ? "" : absl::StrCat(" \"", ToAbsl(name), "\"");
  return NotFound("FIELD_NOT_FOUND", path,
                  absl::StrCat("collection \"", collection.name(), "\" has no vector field", which),
                  "Name a vector field of the collection, or add it with UpdateCollection");
}

bool TakesVectorsOf(const v1::VectorField& to, const v1::VectorField& from) {
  return to.dimension() == from.dimension() && to.metric() == from.metric() &&
         (to.multi() || !from.multi());
}

size_t VectorsIn(const v1::VectorField& field, const v1::Vector& vector) {
  if (IsSparse(field)) {
    const bool fits = vector.values_size() > 0 && vector.indices_size() == vector.values_size();
    return fits ? 1 : 0;
  }
  if (vector.indices_size() > 0) return 0;
  const bool bits = IsBits(field);
  const size_t size = bits ? vector.bits().size() : static_cast<size_t>(vector.values_size());
  const size_t each = bits ? BitBytes(field) : static_cast<size_t>(field.dimension());
  if (size % each != 0 || (size > each && !field.multi())) return 0;
  return size / each;
}

absl::Status CheckVector(const v1::VectorField& field, const v1::Vector& vector,
                         std::string_view path) {
  if (IsSparse(field)) return CheckSparse(vector, path);
  if (vector.indices_size() != 0) {
    return WrongKind(path, "indices", "Leave the indices out: the field is not sparse");
  }
  if (IsBits(field)) {
    if (vector.values_size() != 0) return WrongKind(path, "values", "Send bits instead");
    return CheckBits(field, vector.bits(), path);
  }
  if (!vector.bits().empty()) return WrongKind(path, "bits", "Send values instead");
  return CheckComponents(field, {vector.values().data(), static_cast<size_t>(vector.values_size())},
                         path);
}

absl::Status CheckComponents(const v1::VectorField& field, std::span<const float> values,
                             std::string_view path) {
  const auto dimension = static_cast<size_t>(field.dimension());
  if (!field.multi()) {
    if (values.size() != dimension) {
      return InvalidField(
          path, absl::StrCat("the vector has ", values.size(), " components, expected ", dimension),
          "Send a vector of the field's dimension");
    }
  } else if (values.empty() || values.size() % dimension != 0) {
    return InvalidField(path,
                        absl::StrCat("the vectors have ", values.size(),
                                     " components, expected a positive multiple of ", dimension),
                        "Send whole vectors of the field's dimension, one after the other");
  } else if (values.size() / dimension > static_cast<size_t>(kMaxVectorsOfObject)) {
    return LimitExceeded(
        path, absl::StrCat(values.size() / dimension, " vectors, more than ", kMaxVectorsOfObject),
        "Send fewer, or spread them over objects");
  }
  const bool needs_direction = field.metric() == v1::VECTOR_METRIC_COSINE;
  for (size_t begin = 0; begin < values.size(); begin += dimension) {
    COOKIX_RETURN_IF_ERROR(CheckLength(values.subspan(begin, dimension), needs_direction, path));
  }
  return absl::OkStatus();
}

absl::Status CheckBits(const v1::VectorField& field, std::string_view bits, std::string_view path) {
  if (bits.size() != BitBytes(field)) {
    return InvalidField(path,
                        absl::StrCat("the vector has ", bits.size(), " bytes of bits, expected ",
                                     BitBytes(field), " for ", field.dimension(), " bits"),
                        "Send a vector of the field's dimension");
  }
  const int used = field.dimension() % 8;
  if (used != 0 && (static_cast<unsigned char>(bits.back()) >> used) != 0) {
    return InvalidField(path, absl::StrCat("bits beyond the ", field.dimension(), "th are set"),
                        "Leave them zero");
  }
  return absl::OkStatus();
}

}  // namespace cookix::engine
