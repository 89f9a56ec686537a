#include "engine/vector/index_support.h"

#include "storage/base/status.h"

namespace cookix::engine {

Metric MetricOf(v1::VectorMetric metric) {
  switch (metric) {
    case v1::VECTOR_METRIC_L2:
      return Metric::kL2;
    case v1::VECTOR_METRIC_DOT:
      return Metric::kDot;
    case v1::VECTOR_METRIC_HAMMING:
      return Metric::kHamming;
    default:
      return Metric::kCosine;
  }
}

absl::Status NoVectorMemory() {
  return MakeError(absl::StatusCode::kResourceExhausted,
                   "the system has no memory for more vectors",
                   {"MEMORY_LIMIT", "", "Give the server more memory", true});
}

}  // namespace cookix::engine
