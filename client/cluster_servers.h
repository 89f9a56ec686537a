// What a client knows of the servers of a cluster: which there are, which is the primary, which
// can answer reads.
#ifndef COOKIX_CLIENT_CLUSTER_SERVERS_H_
#define COOKIX_CLIENT_CLUSTER_SERVERS_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cluster_options.h"
#include "client/remote_client.h"
#include "client/retry.h"
#include "cookix/v1/replication_service.pb.h"
#include "storage/position.h"

namespace cookix::client {

// One server. The client's calls use `calls`; all else is that of ClusterServers.
struct ClusterServer {
  ClusterServer(std::string address_in, bool given_in, std::unique_ptr<RemoteClient> calls_in);

  const std::string address;
  // In the options, and not only learned from others.
  const bool given;
  const std::unique_ptr<RemoteClient> calls;
  // Calls of this client that it has not answered yet.
  std::atomic<int> outstanding{0};

  // --- Guarded by ClusterServers::mutex_ ---
  // Never asked yet, or the last question was answered.
  bool asked = false;
  bool answers = false;
  // Why not, when it was asked and did not.
  absl::Status error;
  // Its last answer.
  v1::ReplicationRole role = v1::REPLICATION_ROLE_UNSPECIFIED;
  int64_t epoch = 0;
  std::string store_id;
  storage::Position position{};
  // What it is called by others.
  std::string advertised;
  std::chrono::steady_clock::time_point answered_at{};
  std::chrono::steady_clock::time_point rests_until{};
};

// One server as the client sees it.
struct ServerSummary {
  std::string address;
  bool primary = false;
  // OK when it answered the last time it was asked.
  absl::Status status;
  int64_t epoch = 0;
};

// Thread-safe. A thread asks the servers, all at once, every `refresh_ms`, when somebody doubts
// what is known, and again and again while no primary is known and somebody waits for one.
//
// The primary is the server that says so and has the latest epoch that any server has said. The
// first primary that is found settles which store this is: servers of another one are passed over.
class ClusterServers {
 public:
  using Clock = std::chrono::steady_clock;
  using Server = std::shared_ptr<ClusterServer>;

  // INVALID_ARGUMENT when the options cannot work.
  static absl::StatusOr<std::unique_ptr<ClusterServers>> Open(const ClusterOptions& options);
  ~ClusterServers();

  // Waits until a primary is known, `until` at the latest: UNAVAILABLE then, or sooner the error
  // of all servers when it is not one that passes, such as a wrong key.
  absl::StatusOr<Server> WaitForPrimary(Clock::time_point until);

  // A server for a read, none of `avoid`. Those that rest come last. Waits and fails as above;
  // with OUT_OF_RANGE at once when all that could be asked are in `avoid`.
  absl::StatusOr<Server> WaitForReader(const std::set<const ClusterServer*>& avoid,
                                       Clock::time_point until);

  // The primary, or a server that is known to have `position`. Waits and fails as above.
  absl::StatusOr<Server> WaitForPrimaryOrOneAt(const storage::Position& position,
                                               Clock::time_point until);

  // Null when the address is not one of theirs.
  Server Find(std::string_view address) const;
  // Null when none is known at the moment.
  Server Primary() const;
  // That the server was in when it last answered; 0 = unknown.
  uint64_t EpochOf(const ClusterServer& server) const;

  // The server is passed over for a while.
  void Rest(ClusterServer& server);
  // It failed, or said that it is not what it is taken for: rests, is not the primary until it
  // says so again, and the servers are asked.
  void Doubt(ClusterServer& server);

  std::vector<ServerSummary> Summaries() const;

 private:
  explicit ClusterServers(const ClusterOptions& options);
  absl::StatusOr<Server> NewServer(const std::string& address, bool given) const;
  void Run();
  void Ask(const std::vector<Server>& servers);
  // Takes an answer in.
  void Learn(const Server& server, const absl::Status& status,
             const v1::GetReplicationStatusResponse& answer);
  // The rest REQUIRES: mutex_ is held.
  void LearnAddress(const std::string& address);
  void ForgetSilent(Clock::time_point now);
  void ChoosePrimary();
  bool CanRead(const ClusterServer& server) const;
  bool SomeUnasked() const;
  Server ChooseReader(const std::set<const ClusterServer*>& avoid);
  Server ChooseAt(const storage::Position& position) const;
  // What to tell those who wait in vain.
  absl::Status Unavailable(std::string_view what) const;
  // Not OK when no server answers, and one says why in a way that does not pass.
  absl::Status Hopeless() const;
  template <class Choose>
  absl::StatusOr<Server> Wait(std::string_view what, Clock::time_point until, Choose&& choose);

  const ClusterOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // for those who wait
  std::condition_variable wake_;     // for the thread that asks
  std::vector<Server> servers_;      // given ones first
  Server primary_;
  std::string store_id_;
  uint64_t rounds_ = 0;  // of questions that were answered, or not in time
  uint64_t random_;
  int waiting_ = 0;
  bool doubted_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_CLUSTER_SERVERS_H_
