// The part that a server has among those of its store: primary, replica, or fenced; and how
// that changes.
//
// Without an election an operator promotes a replica; the new primary's epoch is greater than
// all before, and who hears of it takes no more writes: the former primary is asked to stop
// before, or told as soon as it can be reached. A part is kept beside the store and outlives
// restarts, until the setting `replica_of` is changed.
//
// With one (server/election/election.h) every server begins as a replica and is told by the
// election what to be.
#ifndef COOKIX_SERVER_REPLICATION_REPLICATION_H_
#define COOKIX_SERVER_REPLICATION_REPLICATION_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/internal/v1/replication.pb.h"
#include "cookix/v1/replication_service.pb.h"
#include "server/database_slot.h"
#include "server/election/coordinator.h"
#include "server/election/election.h"
#include "server/replication/primary_link.h"
#include "server/replication/replica.h"
#include "server/replication/replication_source.h"

namespace cookix::server {

struct StoreToOpen {
  // Of another store, which exists here already.
  bool follower = false;
  // Null = the operating system's.
  std::shared_ptr<rocksdb::FileSystem> file_system;
};

struct ReplicationOptions {
  // The setting: whom to follow; empty = nobody.
  std::string replica_of;
  std::string version;
  ReplicaOptions replica;
  SourceOptions source;
  // How long a planned change of the primary may take until the new one has everything.
  std::chrono::milliseconds switch_timeout{10'000};
  // The store is in memory, and `replica.file_system` is made here.
  bool in_memory = false;
  std::function<absl::StatusOr<std::unique_ptr<engine::Database>>(const StoreToOpen&)> open;
  // Asks all calls under way to stop: the store is going to be closed.
  std::function<void()> cancel_calls;
  // Told when there is a store, and when there is none.
  std::function<void(bool serving)> serving;
  std::function<void(std::string_view level, std::string_view message)> log;
  // Over which it speaks with others.
  LinkFactory connect;
  // So many replicas have a commit before it is acknowledged, after at most so long.
  int sync_replicas = 0;
  std::chrono::milliseconds sync_timeout{10'000};
  // Who leads is decided there; null = by operators. `replica_of` is empty then.
  std::shared_ptr<Coordinator> coordinator;
  ElectionOptions election;
  // Prepares the store with which a cluster is founded; does nothing where nothing is missing.
  // Null = nothing to do.
  std::function<absl::Status(engine::Database&)> prepare;
};

// Thread-safe.
class Replication : private ReplicaHost, private ElectionHost {
 public:
  Replication(ReplicationOptions options, DatabaseSlot& databases);
  ~Replication() override;

  // Finds out the part, and opens the store if it has one. Errors of opening the store.
  absl::Status Start();
  // Begins to follow, if that is its part; a replica without a store begins to receive one.
  // Clients and other servers reach this one at `address`; empty = they do not. Once, after
  // Start().
  absl::Status Begin(const std::string& address);
  // Follows nobody and is followed by nobody from now on. Idempotent.
  void Stop();

  // OK on a primary, FAILED_PRECONDITION NOT_PRIMARY elsewhere, with the primary's address if
  // it is known.
  absl::Status CheckPrimary() const;

  // Waits until a commit of this server may be acknowledged: it is on as many replicas as the
  // settings say, and no other server can lead without it. UNAVAILABLE NOT_REPLICATED when that
  // cannot be said in time.
  absl::Status Confirm(const engine::CallContext& context, const storage::Position& position);

  ReplicationSource& source() { return source_; }

  // proto/cookix/v1/replication_service.proto.
  void GetStatus(v1::GetReplicationStatusResponse* response) const;
  absl::Status Promote(const v1::PromoteRequest& request, v1::PromoteResponse* response);
  absl::Status Follow(const v1::FollowRequest& request);

  // proto/cookix/internal/v1/replication.proto.
  absl::Status Introduce(const internal::v1::IntroduceRequest& request,
                         internal::v1::IntroduceResponse* response);

  // What this server is now.
  internal::v1::ServerState Describe() override;

 private:
  enum class Role { kPrimary, kReplica, kFenced };
  // What is kept beside the store.
  struct Note {
    Role role = Role::kPrimary;
    std::string follows;
    // A former primary that does not know yet.
    std::string tell;
  };

  // ReplicaHost:
  void Learn(const internal::v1::ServerState& source) override;
  absl::Status CloseStore() override;
  absl::Status OpenStore() override;
  void Say(std::string_view level, std::string_view message) override;

  // ElectionHost, whose Say() is that of ReplicaHost:
  Self GetSelf() override;
  absl::Status Found() override;
  absl::Status Lead(uint64_t epoch) override;
  void StandDown() override;
  void FollowLeader(const std::string& address) override;
  std::vector<Follower> Followers() override;
  uint64_t Latest() override;

  // The identity of this server with its store, for elections: as noted, or a new one. After an
  // error the one before may come back.
  absl::Status LoadMember(bool renew);
  // A store that a cluster is founded with.
  absl::Status PrepareExisting(engine::Database& database);
  // Told of another server of this one's store, by itself. Gives way to a later epoch, unless
  // servers elect their primary.
  void Meet(const internal::v1::ServerState& other);
  absl::StatusOr<Note> ReadNote() const;
  // REQUIRES: change_mutex_ is held.
  absl::Status WriteNote(const Note& note);
  // Takes the part that `note` says.
  void ActBy(const Note& note);
  // Tries again to note the part that it has, if that failed.
  void WriteOwedNote();
  // Takes no writes from now on. REQUIRES: change_mutex_ is held.
  absl::Status StepDown();
  // The same, unless it takes none already. REQUIRES: change_mutex_ is held.
  absl::Status StepDownForElected();
  // Notes whom to follow, and does. After an error all is as before. REQUIRES: change_mutex_ is
  // held.
  absl::Status BeginFollowing(const std::string& address);
  // In place of the one that runs. REQUIRES: change_mutex_ is held.
  void StartReplica(const std::string& address);
  // REQUIRES: no other promotion is under way.
  absl::Status PromoteAlone(const v1::PromoteRequest& request, v1::PromoteResponse* response);
  // Begins an epoch, `epoch` or a later one. `former` is who was primary and has to be told;
  // empty = nobody.
  absl::Status BecomePrimary(const std::string& former, uint64_t epoch);
  // `former` knows.
  void ForgetToTell(const std::string& former);
  // Asks the primary to take no more writes, and waits until all it has is here.
  absl::Status TakeOver(std::string* former);
  void StopReplica();
  // Where the primary is reached, as one said that knew; empty otherwise. REQUIRES: mutex_ is
  // held.
  std::string KnownPrimary() const;
  // The same, or else where it is likely to be.
  std::string PrimaryAddress() const;
  // Works on what takes time or has to be tried again: idle copies, notes, former primaries.
  void Run();
  // Whether the former primary knows now.
  bool Tell(const std::string& former);

  const ReplicationOptions options_;
  DatabaseSlot& databases_;
  const std::string instance_;
  ReplicationSource source_;

  std::atomic<bool> promoting_{false};
  // Held while the part changes, which may take a while; never while others are spoken with.
  std::mutex change_mutex_;
  Note note_;  // guarded by change_mutex_
  // What it acts by where that could not be noted; guarded by change_mutex_.
  std::optional<Note> owed_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;              // guarded by mutex_
  std::string address_;                // guarded by mutex_
  Role role_ = Role::kPrimary;         // guarded by mutex_
  std::shared_ptr<Replica> replica_;   // guarded by mutex_
  std::string follows_;                // guarded by mutex_
  internal::v1::ServerState learned_;  // guarded by mutex_; of the followed server
  std::string last_known_;             // guarded by mutex_; what a followed server last said
  std::string successor_;              // guarded by mutex_; who took over
  std::string successor_member_;       // guarded by mutex_; its identity in elections
  std::string member_;                 // guarded by mutex_; of this server
  std::string tell_;                   // guarded by mutex_; as in Note
  std::thread thread_;
  // Null without one. Constant after construction.
  std::unique_ptr<Election> election_;
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_REPLICATION_REPLICATION_H_
