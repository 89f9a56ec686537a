// A primary and a replica, each a server in a process of its own: how far the replica is
// behind, how fast it catches up, what it costs the primary, and how fast a new one begins.
#ifndef COOKIX_TOOLS_BENCH_REPLICATION_BENCH_H_
#define COOKIX_TOOLS_BENCH_REPLICATION_BENCH_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"
#include "tests/support/test_server.h"
#include "tools/bench/report.h"

namespace cookix::bench {

struct ReplicationBenchOptions {
  // Writes a second, each one a commit of an object with 200 bytes of text and two edges.
  int rate = 5000;
  // How long they are written, seconds.
  int seconds = 20;
  // Commits to catch up with.
  int backlog = 100'000;
  // Objects with a vector of the store that a new replica begins with; 0 = none.
  int objects = 1'000'000;
  int dimension = 128;
  uint64_t seed = 1;
  // Where the stores go.
  std::string directory;
};

class ReplicationBench {
 public:
  explicit ReplicationBench(ReplicationBenchOptions options) : options_(std::move(options)) {}

  // Starts the primary, and runs everything in the order below.
  absl::Status Run(Report* report);

 private:
  absl::StatusOr<std::unique_ptr<tests::TestServer>> StartReplica(const std::string& name);
  // Writes `count` objects, `rate` a second; 0 = as fast as it goes. Calls `meanwhile` again
  // and again until they are written.
  absl::Status Write(int count, int rate, const std::function<absl::Status()>& meanwhile);
  // Processor time of the primary while objects are written.
  absl::Status MeasureCost(double* seconds_per_commit);
  absl::Status MeasureLag(client::Client& replica, Report* report);
  absl::Status MeasureCatchUp(tests::TestServer& replica, Report* report);
  // Until the index of the vectors is as it stays, and saved.
  absl::Status WaitUntilSaved(client::Client& primary, int64_t commit);
  absl::Status MeasureBootstrap(Report* report);
  // The answers of both, for the same questions, are equal.
  absl::Status Compare(client::Client& replica);

  const ReplicationBenchOptions options_;
  std::unique_ptr<tests::TestServer> primary_;
  int written_ = 0;
};

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_REPLICATION_BENCH_H_
