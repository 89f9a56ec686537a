// Servers of one store in the test's own process, with a network between them that tests cut,
// and that loses, repeats, swaps and damages messages as told. No gRPC.
#ifndef COOKIX_SERVER_REPLICATION_SCRIPTED_CLUSTER_H_
#define COOKIX_SERVER_REPLICATION_SCRIPTED_CLUSTER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/internal/v1/replication.pb.h"
#include "google/protobuf/message.h"
#include "server/database_slot.h"
#include "server/election/scripted_coordinator.h"
#include "server/replication/primary_link.h"
#include "server/replication/replication.h"
#include "storage/fault_injection_file_system.h"

namespace cookix::server {

// What becomes of a message.
enum class Fate { kArrives, kLost, kTwice, kLate, kDamaged, kCut };

class ScriptedCluster;

// One server.
class ScriptedNode {
 public:
  ScriptedNode(ScriptedCluster& cluster, std::string name);
  ~ScriptedNode();

  const std::string& name() const { return name_; }
  absl::Status Start(const std::string& replica_of);
  // Elects: reaches the cluster's coordinator as a server named "coordinator".
  absl::Status StartElecting(bool founder = false);
  // As a process ends: in good order, or with `power_failure` losing what was not synced and
  // without a word to anybody.
  void Stop(bool power_failure = false);
  bool running() const;
  // Its disk becomes a copy of that of another one, without what the other is itself. Both do
  // not run.
  void TakeDiskOf(const ScriptedNode& other);

  // Lets the time of day jump: it is so much later than it is, or earlier.
  void SetClockAhead(std::chrono::milliseconds ahead) { clock_ahead_ms_ = ahead.count(); }

  // Refused where the server would refuse it.
  absl::Status Put(const std::string& key, std::string* position = nullptr);
  // Objects, edges and all else that is replicated, as bytes: equal on equal servers. Empty
  // without a store.
  std::string Content() const;
  std::vector<std::string> Keys() const;
  uint64_t commit() const;

  Replication& replication() { return *replication_; }
  // The open store; null without one. To be let go of soon: a copy that is put in place waits.
  DatabaseHandle database() const { return databases_->Get(); }
  // Of the machine's own file system; none unless it is set before the start.
  void SetBackupDirectory(std::string path) { backup_dir_ = std::move(path); }
  storage::FaultInjectionFileSystem& files() { return *fs_; }
  ReplicationOptions& options() { return options_; }
  v1::GetReplicationStatusResponse Status() const;

 private:
  friend class ScriptedCluster;
  ScriptedCluster& cluster_;
  const std::string name_;
  std::shared_ptr<storage::FaultInjectionFileSystem> fs_;
  ReplicationOptions options_;
  std::atomic<int64_t> clock_ahead_ms_{0};
  std::string backup_dir_;
  std::unique_ptr<DatabaseSlot> databases_;
  // Shared with calls under way from others.
  std::shared_ptr<Replication> replication_;
};

// Thread-safe, but for Add().
class ScriptedCluster {
 public:
  ScriptedNode& Add(const std::string& name);
  ScriptedNode& operator[](const std::string& name) { return *nodes_.at(name); }

  // Nothing passes from one to the other any more, in this direction.
  void Cut(const std::string& from, const std::string& to);
  void CutBoth(const std::string& a, const std::string& b);
  void HealAll();

  // Asked for each message of a stream of commits or of a copy. Null = all arrive.
  void SetScript(std::function<Fate()> script);

  // Is given each message on its way, and who sent it, to make of it what a server of another
  // version would have sent. Null = as they are.
  using Translator = std::function<void(const std::string& from, google::protobuf::Message*)>;
  void SetTranslator(Translator translator);

  // Asked for each call to the coordinator that passes. Null = all are answered.
  void SetCoordinatorScript(std::function<CallFate()> script);
  ScriptedCoordinator& coordinator() { return coordinator_; }

  // Used by links.
  bool Passes(const std::string& from, const std::string& to) const;
  Fate NextFate();
  CallFate NextCallFate(const std::string& from);
  // What arrives of a message that `from` sent.
  template <typename Message>
  Message Carry(const std::string& from, const Message& message) const {
    const Translator translator = GetTranslator();
    if (translator == nullptr) return message;
    Message other = message;
    translator(from, &other);
    // As the wire does.
    Message arrived;
    arrived.ParseFromString(other.SerializeAsString());
    return arrived;
  }
  std::shared_ptr<Replication> Find(const std::string& name) const;

 private:
  friend class ScriptedNode;
  Translator GetTranslator() const;

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Replication>> running_;  // guarded by mutex_
  std::set<std::pair<std::string, std::string>> cut_;            // guarded by mutex_
  // Nothing passes from or to them, the coordinator included; guarded by mutex_.
  std::set<std::string> dead_;
  std::function<Fate()> script_;                  // guarded by mutex_
  Translator translator_;                         // guarded by mutex_
  std::function<CallFate()> coordinator_script_;  // guarded by mutex_
  ScriptedCoordinator coordinator_;
  // Last, for they use the rest until they are gone.
  std::map<std::string, std::unique_ptr<ScriptedNode>> nodes_;
};

// True as soon as `condition` holds, false after a minute.
bool Soon(const std::function<bool()>& condition);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_REPLICATION_SCRIPTED_CLUSTER_H_
