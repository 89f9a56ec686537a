// Who of several servers of one store leads, with a Coordinator as the judge.
//
// The leader holds a lease. It acknowledges a write only while the lease is good for a margin
// longer, by a clock that goes on while the process or the machine is asleep, and only when
// those have it that may lead next: the members in sync. That set changes at the coordinator
// before the leader acts on it, and only its members may lead. So whoever leads next has what
// was acknowledged: all of it when writes wait for replicas, all but a bounded number of the
// last commits otherwise. (The in-sync set is that of Kafka's replication, "Kafka Replication:
// In-Sync Replicas", design documentation 4.7; leases: Gray and Cheriton, SOSP 1989.)
#ifndef COOKIX_SERVER_ELECTION_ELECTION_H_
#define COOKIX_SERVER_ELECTION_ELECTION_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "cookix/v1/replication_service.pb.h"
#include "server/election/coordinator.h"

namespace cookix::server {

// Since the machine was started, the time that it slept included.
std::chrono::milliseconds BootClock();

struct ElectionOptions {
  // Who this server is for people.
  std::string name;
  // Creates the cluster when the coordinator knows of none.
  bool founder = false;
  // Of the lease, and how long before its end the leader stops acknowledging.
  std::chrono::milliseconds lease{5'000};
  std::chrono::milliseconds margin{1'000};
  // So many replicas have every acknowledged commit; 0 = those in sync may lack the last
  // `max_lag` commits.
  int sync_replicas = 0;
  uint64_t max_lag = 1'000;
  // Pause between two looks at what there is to do, as the leader and otherwise.
  std::chrono::milliseconds lead_tick{100};
  std::chrono::milliseconds follow_tick{250};
  // How long a member that lacks commits, or that the last leader did not make way for, lets
  // others go first; how long one may be away before another takes its place.
  std::chrono::milliseconds courtesy{1'500};
  std::chrono::milliseconds patience{1'000};
  // How long a member that was elected and could not begin to lead lets others go first: the
  // first time, and at most. It doubles.
  std::chrono::milliseconds stand_back{5'000};
  std::chrono::milliseconds longest_stand_back{60'000};
  std::function<std::chrono::milliseconds()> clock = BootClock;
};

// A replica as its leader sees it.
struct Follower {
  // The id is empty when it takes no part in elections.
  ClusterMember member;
  // Follows right now, and what it says to have is durable.
  bool connected = false;
  // Everything up to this commit is there.
  uint64_t received = 0;
};

// What an election needs of the server around it. Called by the election's thread, but for
// Followers() and Latest(), which writers call too.
class ElectionHost {
 public:
  struct Self {
    // Changes with the store, see ClusterMember.
    std::string member;
    // Empty without a store.
    std::string store_id;
    uint64_t epoch = 0;
    uint64_t commit = 0;
    // The last commit that the server it followed said to have.
    uint64_t known_commit = 0;
    std::string address;
    // Takes writes.
    bool primary = false;
    // The member that it made way for as the primary; empty when it did for nobody.
    std::string successor;
  };

  virtual ~ElectionHost() = default;
  virtual Self GetSelf() = 0;
  // Creates a store if there is none.
  virtual absl::Status Found() = 0;
  // Becomes the primary, in this epoch. After an error others are let go first for a while.
  virtual absl::Status Lead(uint64_t epoch) = 0;
  // Takes no writes from now on.
  virtual void StandDown() = 0;
  // Follows the leader, unless it does already.
  virtual void FollowLeader(const std::string& address) = 0;
  virtual std::vector<Follower> Followers() = 0;
  // The last commit here.
  virtual uint64_t Latest() = 0;
  virtual void Say(std::string_view level, std::string_view message) = 0;
};

// Thread-safe.
class Election {
 public:
  // Both are borrowed.
  Election(ElectionOptions options, Coordinator& coordinator, ElectionHost& host);
  // Stops.
  ~Election();

  void Start();
  // Ends the thread, and the lease if it has one. Idempotent.
  void Stop();

  // Whether this server leads and may say that something is so for the margin.
  bool MayAcknowledge() const;
  // Whether all those that may lead next have `commit`, as `followers` are. To be asked again
  // when more arrived.
  bool Replicated(uint64_t commit, const std::vector<Follower>& followers) const;
  // Somebody waits for replicas: has the thread look who is missing.
  void Hurry();

  // Whether this server leads, and could make way for this member.
  bool MayLeadNext(const std::string& member) const;

  // Leads as soon as nobody else does, and waits for that until the deadline. With `force` also
  // if this server is not in sync: what others have and it has not is lost.
  // FAILED_PRECONDITION REPLICA_BEHIND or UNAVAILABLE saying what stood against it.
  absl::Status Campaign(bool force, std::chrono::steady_clock::time_point deadline);

  // `self` is this server's identity.
  void Describe(const std::string& self, v1::ClusterStatus* status) const;

 private:
  void Run();
  // One look. How long to pause.
  std::chrono::milliseconds Step();
  std::chrono::milliseconds StepAsLeader();
  std::chrono::milliseconds StepAsFollower();
  // With no leader in `state`.
  void Seek(const ClusterState& state);
  // Why this server may not lead now; empty when it may.
  std::string WhyNot(const ClusterState& state, const ElectionHost::Self& self, bool force);
  void TryToLead(const ClusterState& state, const ElectionHost::Self& self, bool force);
  // As `elected`.
  void BeginLeading(const ClusterRecord& record, int64_t revision, const ClusterMember& elected);
  void EndLeading(std::string_view why);
  // After it was elected in vain.
  void StandBack(const absl::Status& why);
  // Takes no more writes, and gives one that may lead next the time to have them all.
  void HandOver();
  bool Renew();
  // Who is in sync.
  void Maintain();
  std::vector<ClusterMember> NextInSync(const std::vector<Follower>& followers);
  // Whether it has had everything, or more than before, within `patience`.
  bool Moves(const std::string& id, const Follower* follower, uint64_t latest);
  // Those that come in, beside `there` that stay.
  std::vector<ClusterMember> Join(const std::vector<Follower>& followers, uint64_t latest,
                                  size_t there);
  void ChangeInSync(std::vector<ClusterMember> members);
  void Require();
  void Note(const absl::Status& failure);

  const ElectionOptions options_;
  Coordinator& coordinator_;
  ElectionHost& host_;

  // Of the thread.
  ClusterRecord record_;
  int64_t revision_ = 0;
  int64_t lease_ = 0;
  std::chrono::milliseconds lease_ends_{0};
  std::chrono::milliseconds renew_at_{0};
  // Members that the coordinator may have been told of, while nobody knows.
  std::vector<ClusterMember> perhaps_;
  // Candidates for the set, with the commit that they need to be in it.
  std::map<std::string, uint64_t> joining_;
  // When one of them or a member last had everything or more than before, and what it had at the
  // last look.
  std::map<std::string, std::chrono::milliseconds> seen_;
  std::map<std::string, uint64_t> received_;
  // Until then, and for how long, it lets others go first. 0 = it could lead.
  std::chrono::milliseconds stands_back_until_{0};
  std::chrono::milliseconds stands_back_for_{0};
  // Why it could not begin to lead.
  std::string could_not_;
  std::chrono::milliseconds leaderless_since_{-1};
  // Whether somebody waits for replicas.
  bool hurried_ = false;
  std::string said_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;                           // guarded by mutex_
  bool hurry_ = false;                              // guarded by mutex_
  bool leading_ = false;                            // guarded by mutex_
  bool wanted_ = false;                             // guarded by mutex_; Campaign() waits
  bool force_ = false;                              // guarded by mutex_
  std::string member_;                              // guarded by mutex_; this server's, as it leads
  std::chrono::milliseconds acknowledge_until_{0};  // guarded by mutex_
  std::vector<std::string> required_;               // guarded by mutex_; ids of others
  int listed_ = 0;                                  // guarded by mutex_; of these, on the list
  ClusterState shown_;                              // guarded by mutex_
  std::string why_not_;                             // guarded by mutex_
  std::string error_;                               // guarded by mutex_
  int64_t elections_ = 0;                           // guarded by mutex_; won
  std::thread thread_;
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_ELECTION_ELECTION_H_
