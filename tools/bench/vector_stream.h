// What benchmarks of a real cookixd with vectors have in common: rows as objects, streamed in.
#ifndef COOKIX_TOOLS_BENCH_VECTOR_STREAM_H_
#define COOKIX_TOOLS_BENCH_VECTOR_STREAM_H_

#include <cstddef>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "cookix/v1/search_service.pb.h"
#include "tools/bench/vector_data.h"

namespace cookix::bench {

// The key of the object that row `row` is, and the row again.
std::string KeyOf(size_t row);
size_t RowOf(const v1::Hit& hit);

// Streams all rows in, as a bulk load into the collection of the server at `target`. `more` may
// add to what a request says of a row. INTERNAL when not all were created.
absl::Status InsertAll(const std::string& target, const std::string& collection,
                       const VectorData& data,
                       absl::FunctionRef<void(size_t row, v1::InsertVectorsRequest* request)> more);

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_VECTOR_STREAM_H_
