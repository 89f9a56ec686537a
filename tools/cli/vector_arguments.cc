#include "tools/cli/vector_arguments.h"

#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "storage/base/status.h"
#include "tools/cli/arguments.h"
#include "tools/cli/json.h"
#include "tools/cli/render.h"
#include "tools/cli/text_width.h"
#include "tools/cli/vector_file.h"

namespace cookix::cli {
namespace {

constexpr std::pair<std::string_view, v1::VectorMetric> kMetrics[] = {
    {"cosine", v1::VECTOR_METRIC_COSINE},
    {"l2", v1::VECTOR_METRIC_L2},
    {"dot", v1::VECTOR_METRIC_DOT},
    {"hamming", v1::VECTOR_METRIC_HAMMING}};
constexpr std::pair<std::string_view, v1::VectorIndexKind> kKinds[] = {
    {"flat", v1::VECTOR_INDEX_KIND_FLAT},
    {"hnsw", v1::VECTOR_INDEX_KIND_HNSW},
    {"cells", v1::VECTOR_INDEX_KIND_CELLS},
    {"sparse", v1::VECTOR_INDEX_KIND_SPARSE}};
constexpr std::pair<std::string_view, v1::VectorQuantization> kQuantizations[] = {
    {"none", v1::VECTOR_QUANTIZATION_NONE},
    {"int8", v1::VECTOR_QUANTIZATION_INT8},
    {"product", v1::VECTOR_QUANTIZATION_PRODUCT},
    {"binary", v1::VECTOR_QUANTIZATION_BINARY}};
constexpr std::pair<std::string_view, v1::VectorAggregate> kAggregates[] = {
    {"max", v1::VECTOR_AGGREGATE_MAX},
    {"mean", v1::VECTOR_AGGREGATE_MEAN},
    {"first", v1::VECTOR_AGGREGATE_FIRST}};

template <class Table>
auto Lookup(const Table& table, std::string_view word) -> std::optional<decltype(table[0].second)> {
  for (const auto& [name, value] : table) {
    if (name == word) return value;
  }
  return std::nullopt;
}

template <class Table, class Value>
std::string Word(const Table& table, Value value) {
  for (const auto& [name, known] : table) {
    if (known == value) return std::string(name);
  }
  return "default";
}

template <class Table>
absl::StatusOr<std::decay_t<decltype(std::declval<Table>()[0].second)>> Choose(
    const Table& table, std::string_view word, std::string_view flag) {
  using Value = std::decay_t<decltype(table[0].second)>;
  if (word.empty()) return Value{};
  if (const auto value = Lookup(table, word)) return Value{*value};
  std::string names;
  for (const auto& item : table) names += (names.empty() ? "" : ", ") + std::string(item.first);
  return UsageError(std::string(flag) + " is \"" + std::string(word) + "\"", flag,
                    "use one of " + names);
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// "name=value" of a field; false when there is no such setting or value.
bool Set(std::string_view name, std::string_view value, v1::VectorField* field) {
  if (name == "aggregate") {
    const auto aggregate = Lookup(kAggregates, value);
    if (aggregate) field->set_aggregate(*aggregate);
    return aggregate.has_value();
  }
  if (name == "max_variance" || name == "max_drift") {
    const auto number = ParseDouble(value);
    if (!number) return false;
    if (name == "max_variance") field->mutable_cells()->set_max_variance(*number);
    if (name == "max_drift") field->mutable_cells()->set_max_drift(*number);
    return true;
  }
  const auto number = ParseInt(value);
  // The server knows the ranges; here it must only fit.
  if (!number || *number < 0 || *number > std::numeric_limits<int32_t>::max()) return false;
  const auto whole = static_cast<int32_t>(*number);
  if (name == "m") {
    field->mutable_hnsw()->set_m(whole);
  } else if (name == "ef_construction") {
    field->mutable_hnsw()->set_ef_construction(whole);
  } else if (name == "ef_search") {
    field->mutable_hnsw()->set_ef_search(whole);
  } else if (name == "max_cell_size") {
    field->mutable_cells()->set_max_cell_size(whole);
  } else if (name == "cells_probed") {
    field->mutable_cells()->set_cells_probed(whole);
  } else {
    return false;
  }
  return true;
}

absl::StatusOr<float> ParseComponent(std::string_view text, const std::string& flag) {
  const auto number = ParseDouble(text);
  if (!number || std::abs(*number) > std::numeric_limits<float>::max()) {
    return UsageError(flag + " has the component \"" + OneLine(text) + "\"", flag,
                      "write numbers with commas between, such as 0.1,-0.2");
  }
  return static_cast<float>(*number);
}

std::string_view Trim(std::string_view text) {
  const char* blanks = " \t\r\n";
  const size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

}  // namespace

absl::StatusOr<v1::VectorMetric> ParseMetric(std::string_view word, std::string_view flag) {
  return Choose(kMetrics, word, flag);
}
absl::StatusOr<v1::VectorIndexKind> ParseIndexKind(std::string_view word, std::string_view flag) {
  return Choose(kKinds, word, flag);
}
absl::StatusOr<v1::VectorQuantization> ParseQuantization(std::string_view word,
                                                         std::string_view flag) {
  return Choose(kQuantizations, word, flag);
}
std::string MetricText(v1::VectorMetric metric) { return Word(kMetrics, metric); }
std::string IndexKindText(v1::VectorIndexKind kind) { return Word(kKinds, kind); }
std::string QuantizationText(v1::VectorQuantization quantization) {
  return Word(kQuantizations, quantization);
}

std::string SettingsText(const v1::VectorField& field) {
  std::string text;
  auto add = [&text](const std::string& part) { text += (text.empty() ? "" : " ") + part; };
  if (field.multi()) add("multi");
  if (field.aggregate() != v1::VECTOR_AGGREGATE_UNSPECIFIED && field.multi()) {
    add("aggregate=" + Word(kAggregates, field.aggregate()));
  }
  for (const auto& [name, value] : {std::pair{"m", field.hnsw().m()},
                                    {"ef_construction", field.hnsw().ef_construction()},
                                    {"ef_search", field.hnsw().ef_search()},
                                    {"max_cell_size", field.cells().max_cell_size()},
                                    {"cells_probed", field.cells().cells_probed()}}) {
    if (value != 0) add(std::string(name) + "=" + std::to_string(value));
  }
  for (const auto& [name, value] : {std::pair{"max_variance", field.cells().max_variance()},
                                    {"max_drift", field.cells().max_drift()}}) {
    if (value != 0) add(std::string(name) + "=" + NumberText(value));
  }
  return text;
}

absl::StatusOr<v1::VectorField> ParseVectorField(std::string_view text, bool change) {
  const std::string said(text);
  auto bad = [&said](const std::string& why) {
    return UsageError("--vector is \"" + OneLine(said) + "\": " + why, "--vector",
                      "write NAME:DIM[:METRIC][:INDEX][:QUANTIZATION][:SETTING=VALUE], such as "
                      "shape:384:cosine:hnsw:ef_search=128; dimension 0 is sparse");
  };
  const std::vector<std::string_view> parts = Split(text, ':');
  v1::VectorField field;
  field.set_name(std::string(parts[0]));
  if (parts[0].empty()) return bad("the name is missing");
  size_t next = 1;
  if (next < parts.size() || !change) {
    const auto dimension = next < parts.size() ? ParseInt(parts[next]) : std::nullopt;
    if (dimension && *dimension >= 0 && *dimension <= 65'536) {
      field.set_dimension(static_cast<int32_t>(*dimension));
      ++next;
    } else if (dimension || !change) {
      return bad("the dimension is not a number from 0 to 65536");
    }
  }
  for (; next < parts.size(); ++next) {
    const std::string_view part = parts[next];
    if (const auto metric = Lookup(kMetrics, part)) {
      field.set_metric(*metric);
    } else if (const auto kind = Lookup(kKinds, part)) {
      field.set_index(*kind);
    } else if (const auto quantization = Lookup(kQuantizations, part)) {
      field.set_quantization(*quantization);
    } else if (part == "multi") {
      field.set_multi(true);
    } else {
      const size_t equals = part.find('=');
      if (equals == std::string_view::npos ||
          !Set(part.substr(0, equals), part.substr(equals + 1), &field)) {
        return bad("\"" + OneLine(part) + "\" is no metric, index, quantization or setting");
      }
    }
  }
  return field;
}

absl::StatusOr<v1::Vector> ParseVector(Context& context, const std::string& text,
                                       const std::string& flag) {
  std::string read;
  if (!text.empty() && text[0] == '@') {
    auto contents = context.ReadInput(text.substr(1));
    if (!contents.ok()) return WithField(contents.status(), flag);
    read = *std::move(contents);
  } else {
    read = text;
  }
  const std::string_view vector_text = Trim(read);
  if (vector_text.empty()) {
    return UsageError(flag + " is empty", flag, "write numbers with commas between");
  }
  if (vector_text[0] == '[' || vector_text[0] == '{') {
    auto json = ParseJson(vector_text);
    if (!json.ok()) return WithField(json.status(), flag);
    return VectorFromJson(*json, flag);
  }
  v1::Vector vector;
  for (std::string_view part : Split(vector_text, ',')) {
    part = Trim(part);
    const size_t colon = part.find(':');
    const bool sparse = colon != std::string_view::npos;
    if (vector.values_size() > 0 && sparse != (vector.indices_size() > 0)) {
      return UsageError(flag + " mixes numbers and INDEX:WEIGHT", flag, "use one of the two");
    }
    if (sparse) {
      const auto index = ParseInt(part.substr(0, colon));
      if (!index || *index < 0 || *index > std::numeric_limits<uint32_t>::max()) {
        return UsageError(flag + " has the index \"" + OneLine(part.substr(0, colon)) + "\"", flag,
                          "indices are from 0 to 4294967295");
      }
      vector.add_indices(static_cast<uint32_t>(*index));
      part.remove_prefix(colon + 1);
    }
    COOKIX_ASSIGN_OR_RETURN(const float component, ParseComponent(part, flag));
    vector.add_values(component);
  }
  return vector;
}

absl::StatusOr<v1::Vector> ReadVectorRow(const std::string& text, bool bits,
                                         const std::string& flag) {
  const size_t colon = text.rfind(':');
  std::optional<int64_t> row;
  if (colon != std::string::npos) row = ParseInt(text.substr(colon + 1));
  const std::string path = text.substr(0, colon);
  const auto format = VectorFormatOf(path);
  if (!row || *row < 0 || !format) {
    return UsageError(flag + " is \"" + OneLine(text) + "\"", flag,
                      "write FILE:ROW with a .fvecs, .bvecs or .npy file; rows count from 0");
  }
  auto open = [&]() -> absl::StatusOr<v1::Vector> {
    COOKIX_ASSIGN_OR_RETURN(const auto file, VectorFile::Open(path, *format));
    v1::Vector vector;
    if (bits && !file->bytes()) {
      return UsageError(OneLine(path) + " does not hold bytes, and the field is one of bits", flag,
                        "give a file of unsigned bytes, eight bits in each");
    }
    // One past the last row is not passed over, so that the error is the same.
    COOKIX_RETURN_IF_ERROR(file->Skip(*row));
    std::vector<float> components;
    COOKIX_ASSIGN_OR_RETURN(
        const bool found, bits ? file->NextBytes(vector.mutable_bits()) : file->Next(&components));
    if (!found) {
      return UsageError("row " + std::to_string(*row) + " is wanted, and the file has " +
                            WithCommas(file->row()) + " rows",
                        flag, "rows are counted from 0");
    }
    vector.mutable_values()->Add(components.begin(), components.end());
    return vector;
  };
  auto vector = open();
  if (!vector.ok()) return WithField(vector.status(), flag);
  return vector;
}

absl::StatusOr<v1::VectorField> FindVectorField(const v1::Collection& collection,
                                                const std::string& name) {
  std::string names;
  for (const v1::VectorField& field : collection.vector_fields()) {
    if (field.name() == name) return field;
    names += (names.empty() ? "" : ", ") + field.name();
  }
  const std::string where = "the collection " + OneLine(collection.name());
  if (name.empty() && collection.vector_fields_size() == 1) return collection.vector_fields(0);
  if (name.empty() && !names.empty()) {
    return UsageError(where + " has several vector fields", "--field",
                      "name one of " + OneLine(names));
  }
  return NotFound(
      "FIELD_NOT_FOUND", "--field",
      where + " has no vector field" + (name.empty() ? "" : " " + OneLine(name)),
      names.empty() ? "add one with `cookix collections update`" : "it has " + OneLine(names));
}

}  // namespace cookix::cli
