// A coordinator in the test's own process, reached over connections that lose requests and
// answers, and that let a request arrive long after its sender gave up.
#ifndef COOKIX_SERVER_ELECTION_SCRIPTED_COORDINATOR_H_
#define COOKIX_SERVER_ELECTION_SCRIPTED_COORDINATOR_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "server/election/coordinator.h"

namespace cookix::server {

// What becomes of a request to the coordinator.
enum class CallFate { kAnswered, kRequestLost, kAnswerLost, kLate };

// Keeps the record and the leases, by BootClock(). Thread-safe.
class ScriptedCoordinator {
 public:
  // A connection. `fate` is asked for each call, from any thread. The coordinator outlives it.
  std::shared_ptr<Coordinator> Connect(std::function<CallFate()> fate);

  // As it is.
  ClusterState State();
  // What a careless person does: removes the leader's key, not the lease.
  void RemoveLeader();

 private:
  class Connection;

  // REQUIRES: mutex_ is held.
  void Expire();
  void RunLate();
  absl::StatusOr<int64_t> Put(int64_t revision, const ClusterRecord& record);

  std::mutex mutex_;
  ClusterState state_;                                     // guarded by mutex_
  int64_t last_ = 0;                                       // guarded by mutex_; of all numbers
  std::map<int64_t, std::chrono::milliseconds> leases_;    // guarded by mutex_; when they end
  std::map<int64_t, std::chrono::milliseconds> duration_;  // guarded by mutex_
  std::vector<std::function<void()>> late_;                // guarded by mutex_
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_ELECTION_SCRIPTED_COORDINATOR_H_
