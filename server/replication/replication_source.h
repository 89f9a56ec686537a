// What a server does for those that follow it: the log, copies of the store, and knowing how
// far each of them is. Speaks no gRPC: server/rpc/replication_service.cc carries the messages.
#ifndef COOKIX_SERVER_REPLICATION_REPLICATION_SOURCE_H_
#define COOKIX_SERVER_REPLICATION_REPLICATION_SOURCE_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/internal/v1/replication.pb.h"
#include "cookix/v1/replication_service.pb.h"
#include "engine/call_context.h"
#include "server/database_slot.h"
#include "server/election/election.h"
#include "storage/log.h"
#include "storage/store_copy.h"

namespace cookix::server {

struct SourceOptions {
  // What is sent and not yet durable at the replica, bytes; more waits.
  int64_t window_bytes = 64 << 20;
  // A replica that makes no room for so long is dropped.
  std::chrono::milliseconds stall{30'000};
  // The longest silence.
  std::chrono::milliseconds heartbeat{500};
  int max_replicas = 16;
  // Copies at a time, and how long one is kept when nobody reads it.
  int max_copies = 4;
  std::chrono::milliseconds copy_keep{600'000};
  // Bytes a second of all copies together; 0 = no limit.
  int64_t copy_bytes_per_second = 0;
};

// Thread-safe.
class ReplicationSource {
 public:
  // `describe` says what this server is; `learn` is told what others are. Both may be called
  // from any thread.
  ReplicationSource(DatabaseSlot& databases, SourceOptions options,
                    std::function<internal::v1::ServerState()> describe,
                    std::function<void(const internal::v1::ServerState&)> learn);
  // No call may be under way.
  ~ReplicationSource();

  // One replica that follows.
  class Feed {
   public:
    ~Feed();
    // Sends the log until the replica is gone, is too slow, or Stop(). `send` waits until a
    // message is on its way; false when nobody takes it. Called once.
    absl::Status Run(absl::FunctionRef<bool(const internal::v1::FollowResponse&)> send);
    // From any thread.
    void OnReceived(uint64_t commit);
    void Stop();

   private:
    friend class ReplicationSource;
    struct Sent {
      uint64_t last_commit;
      int64_t first_time_ms;
      int64_t bytes;
    };

    Feed(ReplicationSource& source, internal::v1::FollowRequest::Hello hello);
    absl::Status Follow(absl::FunctionRef<bool(const internal::v1::FollowResponse&)> send);
    // Waits until the replica has taken enough. False when stopped.
    absl::StatusOr<bool> WaitForRoom();
    // Fills what changes while it follows. REQUIRES: mutex_ is held.
    void Describe(v1::ReplicaStatus* status) const;
    bool SendCommits(const std::vector<storage::LogCommitPtr>& commits,
                     absl::FunctionRef<bool(const internal::v1::FollowResponse&)> send);
    bool SendOne(internal::v1::FollowResponse* response, const Sent& sent,
                 absl::FunctionRef<bool(const internal::v1::FollowResponse&)> send);

    ReplicationSource& source_;
    const internal::v1::FollowRequest::Hello hello_;

    // Of the thread that runs.
    internal::v1::ServerState told_;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool stopped_ = false;                  // guarded by mutex_
    storage::LogReader* reader_ = nullptr;  // guarded by mutex_
    std::deque<Sent> sent_;                 // guarded by mutex_; not yet durable there
    int64_t sent_bytes_ = 0;                // guarded by mutex_; of sent_
    int64_t all_bytes_ = 0;                 // guarded by mutex_
    uint64_t last_sent_ = 0;                // guarded by mutex_
    uint64_t received_ = 0;                 // guarded by mutex_; never more than last_sent_
    int64_t contact_ms_ = 0;                // guarded by mutex_
  };

  // RESOURCE_EXHAUSTED OVERLOADED when there are too many; errors of CheckSource().
  absl::StatusOr<std::unique_ptr<Feed>> Follow(internal::v1::FollowRequest::Hello hello);

  absl::Status BeginCopy(const internal::v1::BeginCopyRequest& request,
                         internal::v1::BeginCopyResponse* response);
  // Sends a file's bytes, from an offset on, in pieces; stops when `send` returns false.
  absl::Status ReadCopy(const internal::v1::ReadCopyRequest& request,
                        absl::FunctionRef<bool(const internal::v1::ReadCopyResponse&)> send);
  void EndCopy(const internal::v1::EndCopyRequest& request);
  // Removes copies that nobody reads. To be called now and then.
  void RemoveIdleCopies();

  // Those that follow or did in the last day, by name.
  std::vector<v1::ReplicaStatus> Replicas() const;

  // Those that follow or did, and say that what they have is durable: each member once, with the
  // most that it said to have.
  std::vector<Follower> Followers() const;

  // Waits until `enough` says so of the followers; it is asked again whenever one has more, and
  // now and then. False when the deadline passes first, `context` is cancelled, or the source is
  // paused.
  bool WaitReplicated(const engine::CallContext& context,
                      absl::FunctionRef<bool(const std::vector<Follower>&)> enough,
                      std::chrono::steady_clock::time_point deadline);

  // Ends every feed and removes every copy, and hands out no more until Resume(): what they
  // use is going to be closed.
  void Pause();
  void Resume();

 private:
  struct Copy {
    // The instance that asked for it, and its name.
    std::string owner;
    std::string name;
    // What was answered then; the state is described anew each time.
    internal::v1::BeginCopyResponse answer;
    bool read = false;  // guarded by mutex
    // Before the copy, which uses it.
    DatabaseHandle database;
    std::unique_ptr<storage::StoreCopy> copy;
    std::mutex mutex;
    std::chrono::steady_clock::time_point used;  // guarded by mutex
    int readers = 0;                             // guarded by mutex
  };
  // What is remembered of a replica.
  struct Known {
    v1::ReplicaStatus status;
    std::string member;
    bool durable = false;
    Feed* feed = nullptr;
  };

  // As Followers(). REQUIRES: mutex_ is held.
  std::vector<Follower> DurableFollowers() const;
  std::shared_ptr<Copy> FindCopy(uint64_t id) const;
  void Remove(Feed& feed, const absl::Status& why);
  // Waits as the limit demands before `bytes` of a copy are sent.
  void Throttle(int64_t bytes);

  DatabaseSlot& databases_;
  const SourceOptions options_;
  const std::function<internal::v1::ServerState()> describe_;
  const std::function<void(const internal::v1::ServerState&)> learn_;

  mutable std::mutex mutex_;
  std::condition_variable received_;
  bool paused_ = false;                               // guarded by mutex_
  std::map<std::string, Known> known_;                // guarded by mutex_; by instance
  int making_copies_ = 0;                             // guarded by mutex_
  std::map<uint64_t, std::shared_ptr<Copy>> copies_;  // guarded by mutex_

  std::mutex throttle_mutex_;
  std::chrono::steady_clock::time_point free_at_;  // guarded by throttle_mutex_
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_REPLICATION_REPLICATION_SOURCE_H_
