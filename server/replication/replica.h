// What a server does to follow another one: receives a copy of the store if it has none that
// fits, and then repeats every commit. Speaks no gRPC: PrimaryLink carries the messages.
#ifndef COOKIX_SERVER_REPLICATION_REPLICA_H_
#define COOKIX_SERVER_REPLICATION_REPLICA_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "cookix/internal/v1/replication.pb.h"
#include "cookix/v1/replication_service.pb.h"
#include "server/database_slot.h"
#include "server/replication/primary_link.h"
#include "storage/copy_receiver.h"

namespace cookix::server {

struct ReplicaOptions {
  // For people and metrics.
  std::string name;
  // Where the store is, and the file system that it is in; null = the operating system's.
  std::string data_dir;
  std::shared_ptr<rocksdb::FileSystem> file_system;
  // Stays free on the disk while a copy is received.
  uint64_t keep_free_bytes = 0;
  // Pause after a failure; doubles up to the longest, each one drawn from its upper half.
  std::chrono::milliseconds first_pause{50};
  std::chrono::milliseconds longest_pause{10'000};
  // Silence of the other server after which the connection is taken for dead, beyond the
  // heartbeat that it promises.
  std::chrono::milliseconds patience{3'000};
};

// What a replica needs of the server around it. Called by the replica's thread.
class ReplicaHost {
 public:
  virtual ~ReplicaHost() = default;
  // What this server is now.
  virtual internal::v1::ServerState Describe() = 0;
  // What the followed server is: at the beginning and whenever it says that it changed.
  virtual void Learn(const internal::v1::ServerState& source) = 0;
  // Closes the store: a new one is going to be put in its place. After an error it is open.
  virtual absl::Status CloseStore() = 0;
  // Opens the store as a follower.
  virtual absl::Status OpenStore() = 0;
  virtual void Say(std::string_view level, std::string_view message) = 0;
};

// Thread-safe.
class Replica {
 public:
  // Begins to follow `address`. Everything is borrowed.
  Replica(std::string address, ReplicaOptions options, DatabaseSlot& databases, ReplicaHost& host,
          LinkFactory connect);
  // Stops.
  ~Replica();

  // Fills what a replica has to say of itself.
  void Describe(v1::GetReplicationStatusResponse* status) const;

  // Ends the connection and the thread. Idempotent; not from the thread of the host's calls.
  void Stop();

  // Whether it follows right now.
  bool connected() const;

 private:
  // What is shown to others.
  struct Shown {
    v1::ReplicaState state = v1::REPLICA_STATE_CONNECTING;
    uint64_t source_commit = 0;
    int64_t contact_ms = 0;
    // When it last had everything that the other said it had; before that, when it began. By a
    // clock that does not jump.
    std::chrono::steady_clock::time_point current_at = std::chrono::steady_clock::now();
    bool current = false;
    std::string error;
    int64_t error_ms = 0;
    int64_t seed_bytes = 0;
    int64_t seed_total = 0;
    int64_t seeds = 0;
  };

  void Run();
  // Connects, and follows until something fails.
  absl::Status Attempt();
  absl::Status Introduce(PrimaryLink& link);
  // Begins again with a copy of the store.
  absl::Status Seed(PrimaryLink& link);
  // Asks for a copy, unless one is being received from that server already.
  absl::Status BeginCopy(PrimaryLink& link);
  absl::Status ReceiveCopy(PrimaryLink& link);
  absl::Status ReceiveFile(PrimaryLink& link, size_t file, storage::CopyReceiver& receiver);
  absl::Status Follow(PrimaryLink& link);
  absl::Status Take(engine::Database& database, const internal::v1::FollowResponse& response);
  // Waits while the views are too far behind.
  absl::Status WaitForViews(engine::Database& database);
  void Note(const absl::Status& failure);
  void Pause();
  bool stopping() const;
  template <typename Change>
  void Show(Change change) {
    const std::lock_guard<std::mutex> lock(mutex_);
    change(shown_);
  }

  const std::string address_;
  const ReplicaOptions options_;
  DatabaseSlot& databases_;
  ReplicaHost& host_;
  const LinkFactory connect_;

  // Of the thread.
  std::mt19937_64 random_{std::random_device{}()};
  std::chrono::milliseconds pause_;
  bool needs_copy_ = false;
  // The copy that is being received; without a number when there is none.
  internal::v1::BeginCopyResponse copy_;
  // Whether the last failure came while commits were taken, and how many such did in a row.
  bool taking_ = false;
  int damaged_ = 0;
  internal::v1::ServerState source_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;        // guarded by mutex_
  PrimaryLink* link_ = nullptr;  // guarded by mutex_
  Shown shown_;                  // guarded by mutex_
  std::thread thread_;
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_REPLICATION_REPLICA_H_
