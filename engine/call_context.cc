#include "engine/call_context.h"

#include "storage/base/status.h"

namespace cookix::engine {

absl::Status CallContext::Check() const {
  if (cancelled()) {
    return MakeError(absl::StatusCode::kCancelled, "the call was cancelled",
                     {"QUERY_CANCELLED", "", "Call again if the answer is still wanted", false});
  }
  if (deadline_ != Clock::time_point::max() && Clock::now() >= deadline_) {
    return MakeError(absl::StatusCode::kDeadlineExceeded, "the call ran out of time",
                     {"QUERY_TIMEOUT", "", "Allow more time, or ask for less", true});
  }
  return absl::OkStatus();
}

}  // namespace cookix::engine
