// Vectors in a real cookixd: streamed insertion, searches over gRPC, restart, memory.
#ifndef COOKIX_TOOLS_BENCH_VECTOR_SERVER_BENCH_H_
#define COOKIX_TOOLS_BENCH_VECTOR_SERVER_BENCH_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/support/test_server.h"
#include "tools/bench/report.h"
#include "tools/bench/vector_data.h"

namespace cookix::bench {

class VectorServerBench {
 public:
  // Starts a server on an empty directory, with every commit synced. The data is borrowed.
  static absl::StatusOr<std::unique_ptr<VectorServerBench>> Start(const std::string& data_dir,
                                                                  const VectorData& data);

  // Streams all vectors in, as a bulk load, and waits until all are indexed. To be called
  // first.
  absl::Status Insert(Report* report);
  // Searches one after the other. Every answer is checked.
  absl::Status Search(int rounds, Report* report);
  // Stops the server (or kills it), starts it again and waits for an answer that comes from
  // the index.
  absl::Status Restart(bool kill, Report* report);

 private:
  explicit VectorServerBench(const VectorData& data);
  // One answer, checked; its recall is added to `recall`.
  absl::Status Ask(client::Client& client, size_t query, int ef, double* recall, double* micros,
                   std::string* strategy);

  const VectorData& data_;
  const Truth truth_;
  std::unique_ptr<tests::TestServer> server_;
  // What the recall that is wanted takes.
  int ef_ = 0;
};

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_VECTOR_SERVER_BENCH_H_
