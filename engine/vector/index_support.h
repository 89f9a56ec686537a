// What the indexes of vector fields share.
#ifndef COOKIX_ENGINE_VECTOR_INDEX_SUPPORT_H_
#define COOKIX_ENGINE_VECTOR_INDEX_SUPPORT_H_

#include "absl/status/status.h"
#include "cookix/v1/catalog_service.pb.h"
#include "engine/vector/vector_codec.h"

namespace cookix::engine {

// The codecs' name of a resolved field's metric.
Metric MetricOf(v1::VectorMetric metric);

// RESOURCE_EXHAUSTED (MEMORY_LIMIT): the system gave no memory.
absl::Status NoVectorMemory();

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_INDEX_SUPPORT_H_
