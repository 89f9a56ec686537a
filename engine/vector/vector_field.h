// Settings of vector fields, and which vectors fit them: the rules of VectorField in
// proto/cookix/v1/catalog_service.proto and of Vector in common.proto.
#ifndef COOKIX_ENGINE_VECTOR_VECTOR_FIELD_H_
#define COOKIX_ENGINE_VECTOR_VECTOR_FIELD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/common.pb.h"

namespace cookix::engine {

inline constexpr int32_t kMaxVectorDimension = 65'536;
inline constexpr int32_t kMaxVectorsOfObject = 1'000;
inline constexpr int32_t kMaxSparseEntries = 65'536;
inline constexpr int32_t kMaxVectorFields = 64;  // of a collection

// The field with every setting that applies to it filled in, and no other. Resolving
// again changes nothing. `path` is the field's path in the request: INVALID_ARGUMENT
// names it and the setting.
absl::StatusOr<v1::VectorField> ResolveVectorField(const v1::VectorField& given,
                                                   std::string_view path);

// What a store of an earlier version holds, which was checked less: fills in the rest
// and never fails for what such a store could take.
absl::StatusOr<v1::VectorField> ResolveStoredVectorField(const v1::VectorField& stored);

// FAILED_PRECONDITION (FROZEN_SETTING) when `given` sets a frozen setting of `existing`,
// a resolved field, to something else. What is not set is unchanged.
absl::Status CheckUnchanged(const v1::VectorField& existing, const v1::VectorField& given,
                            std::string_view path);

// `existing` with the settings of `given` that can be changed; resolved. Errors of both
// functions above.
absl::StatusOr<v1::VectorField> ChangeVectorField(const v1::VectorField& existing,
                                                  const v1::VectorField& given,
                                                  std::string_view path);

// The field of a name; "" when there is only one. Null when there is none.
const v1::VectorField* FindVectorField(const v1::Collection& collection, std::string_view name);

// The same; NOT_FOUND (FIELD_NOT_FOUND), or INVALID_ARGUMENT when no name is given and
// there are several. `path` names the request's field.
absl::StatusOr<const v1::VectorField*> RequireVectorField(const v1::Collection& collection,
                                                          std::string_view name,
                                                          std::string_view path);

// Of resolved fields.
inline bool IsSparse(const v1::VectorField& field) { return field.dimension() == 0; }
inline bool IsBits(const v1::VectorField& field) {
  return field.metric() == v1::VECTOR_METRIC_HAMMING;
}
// Bytes of one vector of a field of bits.
inline size_t BitBytes(const v1::VectorField& field) {
  return (static_cast<size_t>(field.dimension()) + 7) / 8;
}

// True when every vector that `from` takes fits `to`, both resolved.
bool TakesVectorsOf(const v1::VectorField& to, const v1::VectorField& from);

// How many vectors of the shape that the resolved field takes `vector` holds; 0 when it has
// another shape. Looks at no component.
size_t VectorsIn(const v1::VectorField& field, const v1::Vector& vector);

// INVALID_ARGUMENT when `vector` does not fit `field`, which is resolved: wrong kind or
// dimension, not finite, so long that the square of its length (or of a difference of
// two such) leaves float, or, under cosine, zero or too short to have a direction.
absl::Status CheckVector(const v1::VectorField& field, const v1::Vector& vector,
                         std::string_view path);
// The same for the components of one or, for a multi field, several vectors.
absl::Status CheckComponents(const v1::VectorField& field, std::span<const float> values,
                             std::string_view path);
// The same for one vector of a field of bits.
absl::Status CheckBits(const v1::VectorField& field, std::string_view bits, std::string_view path);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_VECTOR_FIELD_H_
