// The rows of an InsertVectorsRequest, checked against the collection they go to.
#ifndef COOKIX_ENGINE_WRITE_VECTOR_ROWS_H_
#define COOKIX_ENGINE_WRITE_VECTOR_ROWS_H_

#include <string>

#include "absl/status/statusor.h"
#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/catalog/catalog.h"
#include "engine/limits.h"

namespace cookix::engine {

struct VectorRows {
  // Borrowed.
  const v1::InsertVectorsRequest* request = nullptr;
  CollectionId collection = 0;
  v1::VectorField field;

  // Checks everything that needs no records: COLLECTION_NOT_FOUND, FIELD_NOT_FOUND,
  // INVALID_ARGUMENT.
  static absl::StatusOr<VectorRows> Check(const NamespaceInfo& ns,
                                          const v1::InsertVectorsRequest& request,
                                          const Limits& limits);
  // True when rows that were checked against an earlier state fit this one too.
  bool Fit(const NamespaceInfo& ns) const;

  // Writes the serialized cookix.v1.Vector of a row.
  void Encode(int row, std::string* bytes) const;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_WRITE_VECTOR_ROWS_H_
