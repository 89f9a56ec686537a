// How much one query may hold while it works.
#ifndef COOKIX_ENGINE_QUERY_QUERY_MEMORY_H_
#define COOKIX_ENGINE_QUERY_QUERY_MEMORY_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "engine/limits.h"
#include "storage/base/status.h"

namespace cookix::engine {

// Counts rows' and groups' bytes, about. Not thread-safe: one per query.
class QueryMemory {
 public:
  explicit QueryMemory(const Limits& limits) : most_(limits.max_query_bytes) {}

  // LIMIT_EXCEEDED when it is too much.
  absl::Status Take(int64_t bytes) {
    bytes_ += bytes;
    if (bytes_ <= most_) return absl::OkStatus();
    return LimitExceeded("query", "the query holds more than " + std::to_string(most_) + " bytes",
                         "Ask for fewer rows or groups, or leave more out with conditions");
  }
  void GiveBack(int64_t bytes) { bytes_ -= bytes; }

 private:
  const int64_t most_;
  int64_t bytes_ = 0;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_QUERY_MEMORY_H_
