// An approximate index under measurement: ours or another library's.
#ifndef COOKIX_TOOLS_BENCH_ANN_INDEX_H_
#define COOKIX_TOOLS_BENCH_ANN_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tools/bench/vector_data.h"

namespace cookix::bench {

// The settings that all are built with.
inline constexpr int kAnnM = 16;
inline constexpr int kAnnEfConstruction = 200;

struct AnnHit {
  uint32_t row = 0;
  // As VectorData::Distance().
  float distance = 0;
};

class AnnIndex {
 public:
  virtual ~AnnIndex() = default;
  virtual std::string name() const = 0;
  // Whether distances in answers are those of the vectors as they were given.
  virtual bool exact_distances() const { return true; }
  // Adds rows [begin, end) of the data it was made for, in two threads.
  virtual absl::Status Add(size_t begin, size_t end) = 0;
  // What Search() will be asked. Borrowed.
  virtual void SetQueries(const float* queries, size_t count) = 0;
  // At most `k` hits, ascending. By one thread.
  virtual absl::Status Search(size_t query, size_t k, size_t ef, std::vector<AnnHit>* hits) = 0;
  // Bytes that it keeps, by its own layout.
  virtual int64_t Bytes() const = 0;
};

// The data is borrowed.
using AnnFactory = std::function<std::unique_ptr<AnnIndex>(const VectorData&)>;

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_ANN_INDEX_H_
