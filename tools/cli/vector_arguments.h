// Vectors, vector fields and searches as command lines say them.
#ifndef COOKIX_TOOLS_CLI_VECTOR_ARGUMENTS_H_
#define COOKIX_TOOLS_CLI_VECTOR_ARGUMENTS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/common.pb.h"
#include "tools/cli/command.h"

namespace cookix::cli {

// "NAME:DIM[:PART]…", where the parts, in any order, are a metric (cosine, l2, dot,
// hamming), a kind of index (flat, hnsw, cells, sparse), a quantization (none,
// int8, product, binary), "multi", or a setting "name=value" (aggregate, m,
// ef_construction, ef_search, max_variance, max_cell_size, max_drift,
// cells_probed). What is not said is left to the server. With `change`, the
// dimension may be left out. Errors name --vector.
absl::StatusOr<v1::VectorField> ParseVectorField(std::string_view text, bool change);

// Words of the enumerations; "" for UNSPECIFIED. Errors name `flag`.
absl::StatusOr<v1::VectorMetric> ParseMetric(std::string_view word, std::string_view flag);
absl::StatusOr<v1::VectorIndexKind> ParseIndexKind(std::string_view word, std::string_view flag);
absl::StatusOr<v1::VectorQuantization> ParseQuantization(std::string_view word,
                                                         std::string_view flag);
// "hnsw", or "default" for UNSPECIFIED.
std::string MetricText(v1::VectorMetric metric);
std::string IndexKindText(v1::VectorIndexKind kind);
std::string QuantizationText(v1::VectorQuantization quantization);
// The other settings that are set, on one line: "m=16 ef_search=64".
std::string SettingsText(const v1::VectorField& field);

// "0.1,0.2,…", "INDEX:WEIGHT,…" for a sparse vector, JSON as json.h reads it, or
// "@FILE" with one of these in it ("@-" is standard input). Errors name `flag`.
absl::StatusOr<v1::Vector> ParseVector(Context& context, const std::string& text,
                                       const std::string& flag);
// "FILE:ROW" of a file that vector_file.h reads. `bits`: bytes are bits.
absl::StatusOr<v1::Vector> ReadVectorRow(const std::string& text, bool bits,
                                         const std::string& flag);

// The vector field of that name in a collection, or its only one when the name is
// empty. NOT_FOUND (COLLECTION_NOT_FOUND, FIELD_NOT_FOUND) or INVALID_ARGUMENT.
absl::StatusOr<v1::VectorField> FindVectorField(const v1::Collection& collection,
                                                const std::string& name);

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_VECTOR_ARGUMENTS_H_
