// Load on a database that is going to fail, and what must be true of it afterwards.
#ifndef COOKIX_TESTS_CRASH_CRASH_CHECK_H_
#define COOKIX_TESTS_CRASH_CRASH_CHECK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "client/client.h"
#include "cookix/v1/admin_service.pb.h"
#include "cookix/v1/graph_service.pb.h"
#include "tests/crash/expected_state.h"
#include "tests/crash/worker.h"

namespace cookix::tests {

// What was done so far.
struct CrashTotals {
  int64_t acknowledged = 0;
  int64_t unacknowledged = 0;
  int64_t found_applied = 0;
  int64_t repeated = 0;
  // Objects and edges.
  int64_t compared = 0;
  // By strategy.
  std::map<std::string, int64_t> searches;
};

// Used by one thread. Functions that answer with a bool leave the contradiction that they
// found in problem().
class CrashCheck {
 public:
  CrashCheck(int64_t workers, uint64_t seed);
  ~CrashCheck();

  // In a new database.
  bool Prepare(client::Client& client);
  // Lets every worker write by a client of its own, in the background.
  void StartLoad(const std::function<std::unique_ptr<client::Client>()>& connect,
                 Explains explains);
  // Once the database has failed: waits for the workers.
  bool EndLoad();
  // Whether the database has what it must have, and nothing else, and finds it.
  bool Verify(client::Client& client);
  // After Verify(): sends every unacknowledged write again with its request id. Each happens
  // once in all.
  bool RepeatUnacknowledged(client::Client& client);

  const CrashTotals& totals() const { return totals_; }
  const std::string& problem() const { return problem_; }

 private:
  bool Fail(std::string problem);
  bool Check(const absl::Status& status, std::string_view what);
  // Reads everything, by worker.
  bool ReadAll(client::Client& client, std::vector<GraphState>* found);
  bool CheckSearches(client::Client& client, const std::vector<GraphState>& states,
                     bool by_indexes);
  bool CheckInfo(client::Client& client, int64_t last_commit);
  bool CheckCounts(client::Client& client, int64_t objects, int64_t edges);
  bool CheckNeighbors(client::Client& client, const std::string& key, v1::Direction direction,
                      const std::map<EdgeName, ExpectedEdge>& expected);

  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<bool> stop_{false};
  std::vector<std::unique_ptr<client::Client>> clients_;
  std::vector<std::thread> threads_;
  // By worker: how many of its unacknowledged writes were found.
  std::map<size_t, size_t> applied_;
  std::vector<GraphState> found_;
  v1::GetInfoResponse last_info_;
  CrashTotals totals_;
  std::string problem_;
};

}  // namespace cookix::tests

#endif  // COOKIX_TESTS_CRASH_CRASH_CHECK_H_
