// Waiting until searches no longer read the records one by one.
#ifndef COOKIX_TESTS_CRASH_WAIT_FOR_INDEX_H_
#define COOKIX_TESTS_CRASH_WAIT_FOR_INDEX_H_

#include <chrono>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cookix/v1/search_service.pb.h"

namespace cookix::tests {

// `search` makes a search and fills its answer. `what` names the index in the error.
template <typename Search>
absl::Status WaitForIndex(const std::string& what, Search&& search) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < deadline) {
    v1::SearchResponse response;
    const absl::Status status = search(&response);
    if (!status.ok() || response.diagnostics().strategy() != "records") return status;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return absl::DeadlineExceededError(absl::StrCat("the index of ", what, " is never there"));
}

}  // namespace cookix::tests

#endif  // COOKIX_TESTS_CRASH_WAIT_FOR_INDEX_H_
