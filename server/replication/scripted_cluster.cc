#include "server/replication/scripted_cluster.h"

#include <condition_variable>
#include <deque>
#include <thread>

#include "cookix/v1/object_service.pb.h"
#include "engine/database.h"
#include "storage/base/status.h"
#include "storage/base/wall_clock.h"
#include "storage/column_families.h"
#include "storage/note_file.h"

namespace cookix::server {
namespace {

namespace internal_v1 = internal::v1;
using internal_v1::FollowRequest;
using internal_v1::FollowResponse;

constexpr std::chrono::milliseconds kStep{1};

absl::Status Unreachable(const std::string& name) {
  return MakeError(absl::StatusCode::kUnavailable, name + " cannot be reached",
                   {"IO_ERROR", "", "It is tried again.", true});
}

// Flips a bit of the last record.
void Damage(FollowResponse* response) {
  if (response->records().empty()) return;
  std::string& record = *response->mutable_records(response->records_size() - 1);
  record[record.size() / 2] = static_cast<char>(record[record.size() / 2] ^ 4);
}

// What is shared by both ends of a stream.
struct Pipe {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<FollowResponse> messages;  // guarded by mutex
  std::optional<FollowResponse> late;   // guarded by mutex; arrives after the next
  absl::Status status;                  // guarded by mutex; of the sending end
  bool ended = false;                   // guarded by mutex
  bool broken = false;                  // guarded by mutex; the receiving end is gone
};

class ScriptedStream final : public FollowStream {
 public:
  ScriptedStream(ScriptedCluster& cluster, std::string from, std::string to,
                 std::shared_ptr<Replication> source, std::unique_ptr<ReplicationSource::Feed> feed)
      : cluster_(cluster),
        from_(std::move(from)),
        to_(std::move(to)),
        source_(std::move(source)),
        feed_(std::move(feed)),
        thread_([this] { Run(); }) {}

  ~ScriptedStream() override {
    {
      const std::lock_guard<std::mutex> lock(pipe_.mutex);
      pipe_.broken = true;
      pipe_.changed.notify_all();
    }
    feed_->Stop();
    thread_.join();
  }

  absl::Status Read(std::chrono::milliseconds timeout, FollowResponse* response) override {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    std::unique_lock<std::mutex> lock(pipe_.mutex);
    while (true) {
      if (cancelled_) return absl::CancelledError("cancelled");
      if (!pipe_.messages.empty()) {
        *response = std::move(pipe_.messages.front());
        pipe_.messages.pop_front();
        pipe_.changed.notify_all();
        return absl::OkStatus();
      }
      if (pipe_.ended) return pipe_.status.ok() ? Unreachable(to_) : pipe_.status;
      if (std::chrono::steady_clock::now() >= deadline) return Unreachable(to_);
      pipe_.changed.wait_for(lock, std::chrono::milliseconds(5));
    }
  }

  void Send(const FollowRequest& request) override {
    if (!cluster_.Passes(from_, to_)) return;
    feed_->OnReceived(cluster_.Carry(from_, request).received().commit());
  }

  void Cancel() {
    const std::lock_guard<std::mutex> lock(pipe_.mutex);
    cancelled_ = true;
    pipe_.changed.notify_all();
  }

 private:
  void Run() {
    const absl::Status status =
        feed_->Run([this](const FollowResponse& response) { return Deliver(response); });
    const std::lock_guard<std::mutex> lock(pipe_.mutex);
    pipe_.ended = true;
    pipe_.status = status;
    pipe_.changed.notify_all();
  }

  bool Deliver(const FollowResponse& sent) {
    if (!cluster_.Passes(to_, from_)) return Wait();
    FollowResponse response = cluster_.Carry(to_, sent);
    const Fate fate = cluster_.NextFate();
    std::unique_lock<std::mutex> lock(pipe_.mutex);
    // A network holds only so much.
    pipe_.changed.wait(lock, [this] { return pipe_.broken || pipe_.messages.size() < 16; });
    if (pipe_.broken || fate == Fate::kCut) return false;
    if (fate == Fate::kLate && !pipe_.late.has_value()) {
      pipe_.late = std::move(response);
      return true;
    }
    if (fate == Fate::kDamaged) Damage(&response);
    if (fate == Fate::kTwice) pipe_.messages.push_back(response);
    if (fate != Fate::kLost) pipe_.messages.push_back(std::move(response));
    if (pipe_.late.has_value()) {
      pipe_.messages.push_back(*std::move(pipe_.late));
      pipe_.late.reset();
    }
    pipe_.changed.notify_all();
    return true;
  }

  // What is sent into a cut disappears.
  bool Wait() {
    const std::lock_guard<std::mutex> lock(pipe_.mutex);
    return !pipe_.broken;
  }

  ScriptedCluster& cluster_;
  const std::string from_;
  const std::string to_;
  const std::shared_ptr<Replication> source_;
  const std::unique_ptr<ReplicationSource::Feed> feed_;
  Pipe pipe_;
  bool cancelled_ = false;  // guarded by pipe_.mutex
  std::thread thread_;
};

class ScriptedLink final : public PrimaryLink {
 public:
  ScriptedLink(ScriptedCluster& cluster, std::string from, std::string to)
      : cluster_(cluster), from_(std::move(from)), to_(std::move(to)) {}

  absl::Status Introduce(const internal_v1::IntroduceRequest& request,
                         internal_v1::IntroduceResponse* response) override {
    COOKIX_ASSIGN_OR_RETURN(const auto other, Reach());
    COOKIX_RETURN_IF_ERROR(other->Introduce(cluster_.Carry(from_, request), response));
    *response = cluster_.Carry(to_, *response);
    return Reply();
  }

  absl::StatusOr<std::unique_ptr<FollowStream>> Follow(const FollowRequest& hello) override {
    COOKIX_ASSIGN_OR_RETURN(const auto other, Reach());
    COOKIX_ASSIGN_OR_RETURN(auto feed,
                            other->source().Follow(cluster_.Carry(from_, hello).hello()));
    auto stream = std::make_unique<Cancelled>(*this, cluster_, from_, to_, other, std::move(feed));
    return stream;
  }

  absl::Status BeginCopy(const internal_v1::BeginCopyRequest& request,
                         internal_v1::BeginCopyResponse* response) override {
    COOKIX_ASSIGN_OR_RETURN(const auto other, Reach());
    COOKIX_RETURN_IF_ERROR(other->source().BeginCopy(cluster_.Carry(from_, request), response));
    *response = cluster_.Carry(to_, *response);
    return Reply();
  }

  absl::Status ReadCopy(
      const internal_v1::ReadCopyRequest& request,
      absl::FunctionRef<absl::Status(const internal_v1::ReadCopyResponse&)> take) override {
    COOKIX_ASSIGN_OR_RETURN(const auto other, Reach());
    absl::Status taken;
    const absl::Status ended =
        other->source().ReadCopy(cluster_.Carry(from_, request), [&](const auto& sent) {
          const internal_v1::ReadCopyResponse piece = cluster_.Carry(to_, sent);
          switch (cluster_.NextFate()) {
            case Fate::kArrives:
            case Fate::kLate:
              taken = Reply();
              break;
            case Fate::kDamaged: {
              internal_v1::ReadCopyResponse damaged = piece;
              (*damaged.mutable_data())[0] = static_cast<char>(damaged.data()[0] ^ 1);
              taken = take(damaged);
              return taken.ok();
            }
            default:
              taken = Unreachable(to_);
          }
          if (taken.ok()) taken = take(piece);
          return taken.ok();
        });
    return taken.ok() ? ended : taken;
  }

  absl::Status EndCopy(const internal_v1::EndCopyRequest& request) override {
    COOKIX_ASSIGN_OR_RETURN(const auto other, Reach());
    other->source().EndCopy(cluster_.Carry(from_, request));
    return absl::OkStatus();
  }

  void Cancel() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    cancelled_ = true;
    if (stream_ != nullptr) stream_->Cancel();
  }

 private:
  // A stream that Cancel() finds.
  class Cancelled final : public FollowStream {
   public:
    template <typename... Arguments>
    explicit Cancelled(ScriptedLink& link, Arguments&&... arguments)
        : link_(link), stream_(std::forward<Arguments>(arguments)...) {
      const std::lock_guard<std::mutex> lock(link_.mutex_);
      link_.stream_ = &stream_;
      if (link_.cancelled_) stream_.Cancel();
    }
    ~Cancelled() override {
      const std::lock_guard<std::mutex> lock(link_.mutex_);
      link_.stream_ = nullptr;
    }
    absl::Status Read(std::chrono::milliseconds timeout, FollowResponse* response) override {
      return stream_.Read(timeout, response);
    }
    void Send(const FollowRequest& request) override { stream_.Send(request); }

   private:
    ScriptedLink& link_;
    ScriptedStream stream_;
  };

  absl::StatusOr<std::shared_ptr<Replication>> Reach() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (cancelled_) return absl::CancelledError("cancelled");
    }
    std::shared_ptr<Replication> other = cluster_.Find(to_);
    if (other == nullptr || !cluster_.Passes(from_, to_)) return Unreachable(to_);
    return other;
  }
  // Whether an answer comes back.
  absl::Status Reply() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (cancelled_) return absl::CancelledError("cancelled");
    return cluster_.Passes(to_, from_) ? absl::OkStatus() : Unreachable(to_);
  }

  ScriptedCluster& cluster_;
  const std::string from_;
  const std::string to_;
  std::mutex mutex_;
  bool cancelled_ = false;            // guarded by mutex_
  ScriptedStream* stream_ = nullptr;  // guarded by mutex_
};

}  // namespace

bool Soon(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(kStep);
  }
  return true;
}

// --- Nodes ---

ScriptedNode::ScriptedNode(ScriptedCluster& cluster, std::string name)
    : cluster_(cluster),
      name_(std::move(name)),
      fs_(storage::FaultInjectionFileSystem::InMemory()) {
  options_.replica.name = name_;
  options_.replica.data_dir = "/data";
  options_.replica.file_system = fs_;
  options_.replica.first_pause = std::chrono::milliseconds(2);
  options_.replica.longest_pause = std::chrono::milliseconds(20);
  options_.replica.patience = std::chrono::milliseconds(100);
  options_.source.heartbeat = std::chrono::milliseconds(10);
  options_.source.stall = std::chrono::seconds(5);
  options_.switch_timeout = std::chrono::milliseconds(500);
  options_.version = "test";
  options_.cancel_calls = [] {};
  options_.serving = [](bool) {};
  options_.sync_timeout = std::chrono::milliseconds(300);
  options_.election.name = name_;
  options_.election.lease = std::chrono::milliseconds(600);
  options_.election.margin = std::chrono::milliseconds(150);
  options_.election.lead_tick = std::chrono::milliseconds(3);
  options_.election.follow_tick = std::chrono::milliseconds(5);
  options_.election.courtesy = std::chrono::milliseconds(100);
  options_.election.patience = std::chrono::milliseconds(150);
  options_.open = [this](const StoreToOpen& store) {
    engine::DatabaseOptions options;
    options.storage.path = "/data";
    options.storage.file_system = store.file_system;
    options.storage.follower = store.follower;
    options.storage.must_exist = store.follower;
    options.storage.memory_budget_bytes = 16 << 20;
    options.storage.low_disk_bytes = 0;
    options.storage.clock_ms = [this] { return WallClockMs() + clock_ahead_ms_.load(); };
    options.background_work = false;
    options.backup_dir = backup_dir_;
    options.replicated = [this](const engine::CallContext& context,
                                const storage::Position& position) {
      return replication_->Confirm(context, position);
    };
    return engine::Database::Open(std::move(options));
  };
  options_.connect =
      [this](const std::string& address) -> absl::StatusOr<std::unique_ptr<PrimaryLink>> {
    return std::make_unique<ScriptedLink>(cluster_, name_, address);
  };
}

ScriptedNode::~ScriptedNode() { Stop(); }

absl::Status ScriptedNode::StartElecting(bool founder) {
  options_.coordinator =
      cluster_.coordinator_.Connect([this] { return cluster_.NextCallFate(name_); });
  options_.election.founder = founder;
  options_.election.sync_replicas = options_.sync_replicas;
  return Start("");
}

absl::Status ScriptedNode::Start(const std::string& replica_of) {
  options_.replica_of = replica_of;
  databases_ = std::make_unique<DatabaseSlot>();
  replication_ = std::make_shared<Replication>(options_, *databases_);
  COOKIX_RETURN_IF_ERROR(replication_->Start());
  {
    const std::lock_guard<std::mutex> lock(cluster_.mutex_);
    cluster_.running_[name_] = replication_;
    cluster_.dead_.erase(name_);
  }
  return replication_->Begin(name_);
}

void ScriptedNode::Stop(bool power_failure) {
  if (replication_ == nullptr) return;
  {
    const std::lock_guard<std::mutex> lock(cluster_.mutex_);
    cluster_.running_.erase(name_);
    if (power_failure) cluster_.dead_.insert(name_);
  }
  replication_->Stop();
  // Nothing that is written from now on is there afterwards.
  const std::shared_ptr<storage::FaultInjectionFileSystem> before =
      power_failure ? fs_->Clone("/data") : nullptr;
  // Others may be in the middle of a call.
  while (replication_.use_count() > 1) std::this_thread::sleep_for(kStep);
  replication_.reset();
  databases_->Close([] {});
  databases_.reset();
  if (power_failure) {
    before->PowerFailure(1);
    fs_ = before;
    options_.replica.file_system = fs_;
  }
}

void ScriptedNode::TakeDiskOf(const ScriptedNode& other) {
  fs_ = other.fs_->Clone("/data");
  options_.replica.file_system = fs_;
  for (const std::string_view note : {storage::kReplicationNote, storage::kMemberNote}) {
    fs_->DeleteFile("/data/" + std::string(note), {}, nullptr).PermitUncheckedError();
  }
}

bool ScriptedNode::running() const { return replication_ != nullptr; }

absl::Status ScriptedNode::Put(const std::string& key, std::string* position) {
  COOKIX_RETURN_IF_ERROR(replication_->CheckPrimary());
  COOKIX_ASSIGN_OR_RETURN(const DatabaseHandle database, databases_->Acquire());
  engine::CallContext context;
  v1::PutObjectRequest request;
  request.mutable_write()->mutable_object()->mutable_ref()->set_key(key);
  v1::Edge& edge = *request.mutable_write()->add_edges();
  edge.set_relation("causes");
  edge.mutable_target()->set_key("hub");
  v1::PutObjectResponse response;
  COOKIX_RETURN_IF_ERROR(database->objects().PutObject(context, request, &response));
  if (position != nullptr) *position = response.result().position();
  return absl::OkStatus();
}

std::string ScriptedNode::Content() const {
  const DatabaseHandle database = databases_->Get();
  if (database == nullptr) return "";
  const auto snapshot = database->store().Latest();
  std::string content = "commit " + std::to_string(snapshot->commit()) + "\n";
  for (int family = 0; family < storage::kFamilyCount; ++family) {
    // Bookkeeping of the store itself, which each has its own.
    if (static_cast<storage::Family>(family) == storage::Family::kSystem) continue;
    const auto iterator = snapshot->Scan(static_cast<storage::Family>(family), {});
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
      content.append(iterator->key()).push_back('=');
      content.append(iterator->value()).push_back('\n');
    }
  }
  return content;
}

std::vector<std::string> ScriptedNode::Keys() const {
  const DatabaseHandle database = databases_->Get();
  std::vector<std::string> keys;
  if (database == nullptr) return keys;
  engine::CallContext context;
  v1::ScanObjectsRequest request;
  request.set_page_size(10'000);
  v1::ScanObjectsResponse response;
  if (!database->objects().ScanObjects(context, request, &response).ok()) return keys;
  for (const v1::Object& object : response.objects()) keys.push_back(object.ref().key());
  return keys;
}

uint64_t ScriptedNode::commit() const {
  const DatabaseHandle database = databases_->Get();
  return database == nullptr ? 0 : database->store().Latest()->commit();
}

v1::GetReplicationStatusResponse ScriptedNode::Status() const {
  v1::GetReplicationStatusResponse status;
  replication_->GetStatus(&status);
  return status;
}

// --- The network ---

ScriptedNode& ScriptedCluster::Add(const std::string& name) {
  return *nodes_.emplace(name, std::make_unique<ScriptedNode>(*this, name)).first->second;
}

void ScriptedCluster::Cut(const std::string& from, const std::string& to) {
  const std::lock_guard<std::mutex> lock(mutex_);
  cut_.emplace(from, to);
}

void ScriptedCluster::CutBoth(const std::string& a, const std::string& b) {
  Cut(a, b);
  Cut(b, a);
}

void ScriptedCluster::HealAll() {
  const std::lock_guard<std::mutex> lock(mutex_);
  cut_.clear();
  script_ = nullptr;
  coordinator_script_ = nullptr;
}

void ScriptedCluster::SetCoordinatorScript(std::function<CallFate()> script) {
  const std::lock_guard<std::mutex> lock(mutex_);
  coordinator_script_ = std::move(script);
}

CallFate ScriptedCluster::NextCallFate(const std::string& from) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (cut_.count({from, "coordinator"}) > 0 || dead_.count(from) > 0) return CallFate::kRequestLost;
  const CallFate fate = coordinator_script_ ? coordinator_script_() : CallFate::kAnswered;
  return fate == CallFate::kAnswered && cut_.count({"coordinator", from}) > 0
             ? CallFate::kAnswerLost
             : fate;
}

void ScriptedCluster::SetScript(std::function<Fate()> script) {
  const std::lock_guard<std::mutex> lock(mutex_);
  script_ = std::move(script);
}

void ScriptedCluster::SetTranslator(Translator translator) {
  const std::lock_guard<std::mutex> lock(mutex_);
  translator_ = std::move(translator);
}

ScriptedCluster::Translator ScriptedCluster::GetTranslator() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return translator_;
}

bool ScriptedCluster::Passes(const std::string& from, const std::string& to) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return cut_.count({from, to}) == 0 && dead_.count(from) == 0 && dead_.count(to) == 0;
}

Fate ScriptedCluster::NextFate() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return script_ ? script_() : Fate::kArrives;
}

std::shared_ptr<Replication> ScriptedCluster::Find(const std::string& name) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = running_.find(name);
  return it == running_.end() ? nullptr : it->second;
}

}  // namespace cookix::server
