// One writer of the crash tests, and what it expects to find after a crash.
#ifndef COOKIX_TESTS_CRASH_WORKER_H_
#define COOKIX_TESTS_CRASH_WORKER_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "client/client.h"
#include "tests/crash/expected_state.h"
#include "tests/crash/workload.h"

namespace cookix::tests {

// One thread's part of the key space. Most make single calls and atomic
// writes, every third one streams.
struct Worker {
  Worker(int index, uint64_t seed)
      : number(index), streams(index % 3 == 2), workload(index, index % 3 == 2, seed) {}

  const int number;
  const bool streams;
  Workload workload;
  ExpectedState expected;
  int64_t acknowledged = 0;
  // The first answer that no crash explains; empty = none.
  std::string problem;
};

// Whether an error is one that the failure under test explains.
using Explains = bool (*)(const absl::Status& status);

// Writes until `stop`, or until the first error.
void RunWorker(client::Client& client, const std::atomic<bool>& stop, Explains explains,
               Worker* worker);

}  // namespace cookix::tests

#endif  // COOKIX_TESTS_CRASH_WORKER_H_
