// How much of an answer there is.
#ifndef COOKIX_ENGINE_API_ANSWER_BYTES_H_
#define COOKIX_ENGINE_API_ANSWER_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "engine/limits.h"
#include "storage/base/status.h"

namespace cookix::engine {

// Counts the objects, paths, edges and snippets of one answer.
class AnswerBytes {
 public:
  explicit AnswerBytes(const Limits& limits) : most_(limits.max_search_bytes) {}

  // False when that is more than an answer may have.
  [[nodiscard]] bool Take(size_t bytes) {
    taken_ += static_cast<int64_t>(bytes);
    return taken_ <= most_;
  }
  // LIMIT_EXCEEDED about a field of the request.
  absl::Status Exceeded(std::string_view field,
                        std::string_view remedy = "Ask for fewer, or for no objects") const {
    return LimitExceeded(field, "what is found has more than " + std::to_string(most_) + " bytes",
                         remedy);
  }

 private:
  const int64_t most_;
  int64_t taken_ = 0;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_ANSWER_BYTES_H_
