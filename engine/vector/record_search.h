// Searches by vector that read every vector from the store: what answers while there is no
// index, and what indexes are compared with.
#ifndef COOKIX_ENGINE_VECTOR_RECORD_SEARCH_H_
#define COOKIX_ENGINE_VECTOR_RECORD_SEARCH_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/call_context.h"
#include "engine/read_view.h"
#include "engine/vector/vector_search.h"

namespace cookix::engine {

// The exact answer as of `view`, strategy "records", with distances in double precision.
// Takes time in proportion to the vectors of the namespace, or to `search.accept` when that
// is small. Fails as CallContext::Check() does.
absl::Status SearchRecords(const CallContext& context, const NamespaceView& view,
                           const VectorSearch& search, VectorSearchResult* result);

// Vectors of a field, each of several of one object counted.
absl::StatusOr<int64_t> CountVectorRecords(const CallContext& context, const NamespaceView& view,
                                           CollectionId collection, const v1::VectorField& field);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_RECORD_SEARCH_H_
