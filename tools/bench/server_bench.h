// A real cookixd in a process of its own: import over gRPC, calls, start-up, memory.
#ifndef COOKIX_TOOLS_BENCH_SERVER_BENCH_H_
#define COOKIX_TOOLS_BENCH_SERVER_BENCH_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/support/test_server.h"
#include "tools/bench/random_graph.h"
#include "tools/bench/report.h"

namespace cookix::bench {

class ServerBench {
 public:
  // Starts a server on an empty directory, with every commit synced.
  static absl::StatusOr<std::unique_ptr<ServerBench>> Start(const std::string& data_dir,
                                                            const RandomGraph& graph);

  // Loads the graph through one bulk stream; checks counts and a sample of objects with
  // their edges. To be called first.
  absl::Status Import(Report* report);
  // GetObject from a few threads with many calls in flight.
  absl::Status UnaryGet(int calls, Report* report);
  // Stops the server, starts it again, waits for its views, and looks at its memory.
  absl::Status Restart(Report* report);

 private:
  explicit ServerBench(const RandomGraph& graph) : graph_(graph) {}
  absl::Status CheckNode(client::Client& client, uint32_t node);

  const RandomGraph& graph_;
  std::unique_ptr<tests::TestServer> server_;
};

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_SERVER_BENCH_H_
