// What becomes of work on text indexes when the system has no memory left.
#ifndef COOKIX_ENGINE_TEXT_NO_MEMORY_H_
#define COOKIX_ENGINE_TEXT_NO_MEMORY_H_

#include <new>

#include "absl/status/status.h"
#include "storage/base/status.h"

namespace cookix::engine {

// Runs what gives a Status or StatusOr. RESOURCE_EXHAUSTED (MEMORY_LIMIT) in place of
// std::bad_alloc.
template <typename Run>
auto WithinMemory(Run run) -> decltype(run()) {
  try {
    return run();
  } catch (const std::bad_alloc&) {
    return MakeError(absl::StatusCode::kResourceExhausted, "no memory is left for the text index",
                     {"MEMORY_LIMIT", "", "Give the server more memory.", true});
  }
}

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_NO_MEMORY_H_
