// Distances between vectors as clients gave them, in double precision: the truth that
// indexes approximate.
#ifndef COOKIX_ENGINE_VECTOR_EXACT_DISTANCE_H_
#define COOKIX_ENGINE_VECTOR_EXACT_DISTANCE_H_

#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/common.pb.h"

namespace cookix::engine {

// The distance of an object whose vectors in `field` are `stored` from `query`, as
// search_service.proto defines it, after aggregation. `field` has its defaults filled in,
// and both vectors were checked against it. For a sparse field without a common index the
// distance is 0.
double ObjectDistance(const v1::VectorField& field, const v1::Vector& stored,
                      const v1::Vector& query);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_EXACT_DISTANCE_H_
