#include "server/replication/replication_source.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <set>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "engine/database.h"
#include "server/replication/history.h"
#include "storage/base/crc32c.h"
#include "storage/base/status.h"
#include "storage/base/wall_clock.h"

namespace cookix::server {
namespace {

using internal::v1::FollowResponse;
using internal::v1::ServerState;
using Clock = std::chrono::steady_clock;

// Commits taken from the log at a time, and bytes of records in one message. A single record
// may be larger.
constexpr size_t kMaxCommits = 1024;
constexpr int64_t kMessageBytes = 1 << 20;
// Bytes of a piece of a file.
constexpr size_t kPieceBytes = 1 << 20;
// A replica that is gone is remembered so long.
constexpr int64_t kRememberMs = 24LL * 3600 * 1000;
// Who waits looks this often whether it may go on waiting.
constexpr std::chrono::milliseconds kLookAgain{50};
// Of what a replica says of itself.
constexpr size_t kMaxInstanceBytes = 64;
constexpr size_t kMaxNameBytes = 256;
constexpr size_t kMaxKnown = 1000;

absl::Status Overloaded(std::string_view what) {
  return MakeError(absl::StatusCode::kResourceExhausted, what,
                   {"OVERLOADED", "", "Try again later, or raise the limit.", true});
}

absl::Status Closing() {
  return MakeError(absl::StatusCode::kUnavailable,
                   "The server's store is being replaced, or the server stops",
                   {"SEEDING", "", "Try again later.", true});
}

absl::Status CopyGone() {
  return NotFound("COPY_NOT_FOUND", "copy", "There is no such copy", "Begin another one.");
}

uint64_t RandomId() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

}  // namespace

// --- The log ---

ReplicationSource::Feed::Feed(ReplicationSource& source, internal::v1::FollowRequest::Hello hello)
    : source_(source), hello_(std::move(hello)) {
  contact_ms_ = WallClockMs();
}

ReplicationSource::Feed::~Feed() { source_.Remove(*this, absl::OkStatus()); }

void ReplicationSource::Feed::Stop() {
  const std::lock_guard<std::mutex> lock(mutex_);
  stopped_ = true;
  if (reader_ != nullptr) reader_->Cancel();
  changed_.notify_all();
}

void ReplicationSource::Feed::OnReceived(uint64_t commit) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    contact_ms_ = WallClockMs();
    // What was not sent it cannot have.
    received_ = std::max(received_, std::min(commit, last_sent_));
    while (!sent_.empty() && sent_.front().last_commit <= received_) {
      sent_bytes_ -= sent_.front().bytes;
      sent_.pop_front();
    }
    changed_.notify_all();
  }
  const std::lock_guard<std::mutex> lock(source_.mutex_);
  source_.received_.notify_all();
}

void ReplicationSource::Feed::Describe(v1::ReplicaStatus* status) const {
  status->set_commit(static_cast<int64_t>(received_));
  status->set_last_contact_ms(contact_ms_);
  status->set_sent_bytes(all_bytes_);
}

absl::StatusOr<bool> ReplicationSource::Feed::WaitForRoom() {
  std::unique_lock<std::mutex> lock(mutex_);
  // From the last that it took: a replica that takes a little now and then is alive.
  uint64_t seen = received_;
  while (!stopped_ && sent_bytes_ >= source_.options_.window_bytes) {
    const bool moved = changed_.wait_for(lock, source_.options_.stall, [&] {
      return stopped_ || sent_bytes_ < source_.options_.window_bytes || received_ != seen;
    });
    if (!moved) {
      return MakeError(
          absl::StatusCode::kResourceExhausted,
          absl::StrCat("The replica took nothing of the last ", sent_bytes_, " bytes for ",
                       source_.options_.stall.count(), " ms and was dropped"),
          {"REPLICA_TOO_SLOW", "",
           "Look at its disk and its processor; it connects again by itself.", true});
    }
    seen = received_;
  }
  return !stopped_;
}

bool ReplicationSource::Feed::SendOne(FollowResponse* response, const Sent& sent,
                                      absl::FunctionRef<bool(const FollowResponse&)> send) {
  // Read after the commits: the epochs then cover them.
  ServerState state = source_.describe_();
  response->set_commit(std::max(state.commit(), sent.last_commit));
  response->set_time_ms(WallClockMs());
  response->set_heartbeat_ms(static_cast<uint32_t>(source_.options_.heartbeat.count()));
  state.clear_commit();
  if (state.SerializeAsString() != told_.SerializeAsString()) {
    told_ = state;
    *response->mutable_state() = std::move(state);
    response->mutable_state()->set_commit(response->commit());
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (response->records_size() > 0) {
      last_sent_ = sent.last_commit;
      sent_.push_back(sent);
      sent_bytes_ += sent.bytes;
      all_bytes_ += sent.bytes;
    }
    response->set_sent(last_sent_);
  }
  return send(*response);
}

bool ReplicationSource::Feed::SendCommits(const std::vector<storage::LogCommitPtr>& commits,
                                          absl::FunctionRef<bool(const FollowResponse&)> send) {
  FollowResponse response;
  Sent sent{};
  for (const storage::LogCommitPtr& commit : commits) {
    if (response.records_size() == 0) sent.first_time_ms = commit->time_ms;
    response.add_records(commit->batch);
    sent.last_commit = commit->commit;
    sent.bytes += static_cast<int64_t>(commit->batch.size());
    if (sent.bytes < kMessageBytes) continue;
    if (!SendOne(&response, sent, send)) return false;
    response.Clear();
    sent = {};
  }
  // Without records it is a sign of life.
  if (response.records_size() > 0 || commits.empty()) return SendOne(&response, sent, send);
  return true;
}

absl::Status ReplicationSource::Feed::Follow(absl::FunctionRef<bool(const FollowResponse&)> send) {
  COOKIX_ASSIGN_OR_RETURN(const DatabaseHandle database, source_.databases_.Acquire());
  COOKIX_RETURN_IF_ERROR(CheckContinues(hello_.state(), source_.describe_()));
  storage::Store& store = database->store();
  // Of its epochs those without commits may be unknown here.
  const uint64_t after = hello_.state().commit();
  COOKIX_ASSIGN_OR_RETURN(
      const std::unique_ptr<storage::LogReader> reader,
      store.ReadLog({store.id(), storage::EpochOf(store.Epochs(), after), after}));
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopped_) return Closing();
    reader_ = reader.get();
    // Its history is a part of this one.
    last_sent_ = received_ = after;
  }
  absl::Status status;
  bool going = SendCommits({}, send);
  while (going) {
    auto room = WaitForRoom();
    if (!room.ok()) status = room.status();
    if (!room.ok() || !*room) break;
    auto commits = reader->Next(kMaxCommits, absl::FromChrono(source_.options_.heartbeat));
    if (!commits.ok()) {
      status = commits.status();
      break;
    }
    going = SendCommits(*commits, send);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  reader_ = nullptr;
  if (!going) {
    return MakeError(absl::StatusCode::kCancelled, "The replica takes no messages",
                     {"QUERY_CANCELLED", "", "It connects again by itself.", true});
  }
  return stopped_ ? Closing() : status;
}

absl::Status ReplicationSource::Feed::Run(absl::FunctionRef<bool(const FollowResponse&)> send) {
  absl::Status status = Follow(send);
  source_.Remove(*this, status);
  return status;
}

ReplicationSource::ReplicationSource(DatabaseSlot& databases, SourceOptions options,
                                     std::function<ServerState()> describe,
                                     std::function<void(const ServerState&)> learn)
    : databases_(databases),
      options_(options),
      describe_(std::move(describe)),
      learn_(std::move(learn)) {}

ReplicationSource::~ReplicationSource() { Pause(); }

absl::StatusOr<std::unique_ptr<ReplicationSource::Feed>> ReplicationSource::Follow(
    internal::v1::FollowRequest::Hello hello) {
  if (hello.state().instance().size() > kMaxInstanceBytes || hello.name().size() > kMaxNameBytes) {
    return InvalidField("hello", "The replica's name is too long", "Choose a shorter one.");
  }
  learn_(hello.state());
  COOKIX_RETURN_IF_ERROR(CheckSource(hello.state(), describe_()));
  std::unique_ptr<Feed> feed(new Feed(*this, std::move(hello)));
  const ServerState& state = feed->hello_.state();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (paused_) return Closing();
  if (known_.size() >= kMaxKnown) {
    std::erase_if(known_, [](const auto& entry) { return entry.second.feed == nullptr; });
  }
  Known& known = known_[state.instance()];
  if (known.feed != nullptr) known.feed->Stop();  // it has come back before it was missed
  known.feed = nullptr;
  // What is started anew under its old name is the same for people.
  std::erase_if(known_, [&](const auto& entry) {
    const Known& other = entry.second;
    return &other != &known && other.feed == nullptr &&
           (other.status.name() == feed->hello_.name() ||
            WallClockMs() - other.status.last_contact_ms() > kRememberMs);
  });
  const auto following = [](const auto& entry) { return entry.second.feed != nullptr; };
  if (std::count_if(known_.begin(), known_.end(), following) >= options_.max_replicas) {
    return Overloaded(absl::StrCat("There are ", options_.max_replicas, " replicas already"));
  }
  known.feed = feed.get();
  known.status.set_name(feed->hello_.name());
  known.status.set_address(state.address());
  known.status.set_version(state.version());
  known.member = state.member();
  known.durable = feed->hello_.durable();
  known.status.clear_last_error();
  return feed;
}

void ReplicationSource::Remove(Feed& feed, const absl::Status& why) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = known_.find(feed.hello_.state().instance());
  if (it == known_.end() || it->second.feed != &feed) return;
  it->second.feed = nullptr;
  v1::ReplicaStatus& status = it->second.status;
  const std::lock_guard<std::mutex> feed_lock(feed.mutex_);
  feed.Describe(&status);
  const auto detail = GetErrorDetail(why);
  const bool dropped = detail.has_value() && detail->reason == "REPLICA_TOO_SLOW";
  status.set_state(dropped ? v1::REPLICA_STATE_DROPPED : v1::REPLICA_STATE_DISCONNECTED);
  status.set_last_error(std::string(why.message()));
}

std::vector<v1::ReplicaStatus> ReplicationSource::Replicas() const {
  const int64_t now = WallClockMs();
  const auto commit = static_cast<int64_t>(describe_().commit());
  std::vector<v1::ReplicaStatus> replicas;
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& [instance, known] : known_) {
    v1::ReplicaStatus status = known.status;
    if (known.feed != nullptr) {
      const Feed& feed = *known.feed;
      const std::lock_guard<std::mutex> feed_lock(feed.mutex_);
      feed.Describe(&status);
      if (!feed.sent_.empty()) {
        status.set_lag_ms(std::max<int64_t>(0, now - feed.sent_.front().first_time_ms));
      }
      status.set_state(status.lag_ms() > kCatchingUpMs ? v1::REPLICA_STATE_CATCHING_UP
                                                       : v1::REPLICA_STATE_FOLLOWING);
    } else if (now - status.last_contact_ms() > kRememberMs) {
      continue;
    }
    status.set_lag_commits(std::max<int64_t>(0, commit - status.commit()));
    replicas.push_back(std::move(status));
  }
  std::sort(replicas.begin(), replicas.end(),
            [](const auto& a, const auto& b) { return a.name() < b.name(); });
  return replicas;
}

std::vector<Follower> ReplicationSource::Followers() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return DurableFollowers();
}

std::vector<Follower> ReplicationSource::DurableFollowers() const {
  std::vector<Follower> followers;
  for (const auto& [instance, known] : known_) {
    if (!known.durable) continue;
    Follower follower{
        {known.member, known.status.name()}, false, static_cast<uint64_t>(known.status.commit())};
    if (known.feed != nullptr) {
      const std::lock_guard<std::mutex> lock(known.feed->mutex_);
      // Before it reads the log its history was not looked at.
      follower.connected = known.feed->reader_ != nullptr;
      follower.received = known.feed->received_;
    }
    const auto same = std::find_if(followers.begin(), followers.end(), [&](const Follower& other) {
      return other.member == follower.member;
    });
    if (same == followers.end()) {
      followers.push_back(std::move(follower));
    } else {
      same->connected |= follower.connected;
      same->received = std::max(same->received, follower.received);
    }
  }
  return followers;
}

bool ReplicationSource::WaitReplicated(const engine::CallContext& context,
                                       absl::FunctionRef<bool(const std::vector<Follower>&)> enough,
                                       Clock::time_point deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!enough(DurableFollowers())) {
    const auto now = Clock::now();
    if (paused_ || context.cancelled() || now >= deadline) return false;
    received_.wait_until(lock, std::min(deadline, now + kLookAgain));
  }
  return true;
}

// --- Copies ---

absl::Status ReplicationSource::BeginCopy(const internal::v1::BeginCopyRequest& request,
                                          internal::v1::BeginCopyResponse* response) {
  learn_(request.state());
  COOKIX_RETURN_IF_ERROR(CheckSource(request.state(), describe_()));
  auto copy = std::make_shared<Copy>();
  copy->owner = request.state().instance();
  copy->name = request.name();
  COOKIX_ASSIGN_OR_RETURN(copy->database, databases_.Acquire());
  std::vector<std::shared_ptr<Copy>> given_up;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (paused_) return Closing();
    for (auto it = copies_.begin(); it != copies_.end();) {
      const bool same = it->second->owner == copy->owner;
      if (same) {
        // It may have taken longer to make than the answer was waited for.
        const std::lock_guard<std::mutex> copy_lock(it->second->mutex);
        if (!it->second->read) {
          *response = it->second->answer;
          *response->mutable_state() = describe_();
          it->second->used = Clock::now();
          return absl::OkStatus();
        }
      }
      // Who begins anew has given up what it had, and so has who was started anew.
      const bool over = same || (!copy->name.empty() && it->second->name == copy->name);
      if (over) given_up.push_back(std::move(it->second));
      it = over ? copies_.erase(it) : std::next(it);
    }
    if (static_cast<int>(copies_.size()) + making_copies_ >= options_.max_copies) {
      return Overloaded(absl::StrCat("There are ", options_.max_copies, " copies already"));
    }
    ++making_copies_;
  }
  given_up.clear();
  uint64_t log_from = copy->database->store().Latest()->commit();
  for (const engine::ViewStatus& view : copy->database->views().Status()) {
    if (view.checkpoint_commit == 0) continue;
    internal::v1::CopiedView& saved = *response->add_views();
    saved.set_name(view.name);
    saved.set_commit(view.checkpoint_commit);
    log_from = std::min(log_from, view.checkpoint_commit);
  }
  auto made = copy->database->store().MakeCopy(log_from);
  const std::lock_guard<std::mutex> lock(mutex_);
  --making_copies_;
  if (!made.ok()) return made.status();
  if (paused_) return Closing();
  copy->copy = *std::move(made);
  copy->used = Clock::now();
  const storage::CopyManifest& manifest = copy->copy->manifest();
  response->set_commit(manifest.position.commit);
  response->set_epoch(manifest.position.epoch);
  for (const storage::CopyFile& file : manifest.files) {
    internal::v1::CopiedFile& listed = *response->add_files();
    listed.set_path(file.path);
    listed.set_size(file.size);
    listed.set_crc32c(file.crc32c);
  }
  *response->mutable_state() = describe_();
  response->set_keep_ms(static_cast<uint32_t>(options_.copy_keep.count()));
  response->set_copy(RandomId());
  copy->answer = *response;
  copies_.emplace(response->copy(), std::move(copy));
  return absl::OkStatus();
}

std::shared_ptr<ReplicationSource::Copy> ReplicationSource::FindCopy(uint64_t id) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = copies_.find(id);
  return it == copies_.end() ? nullptr : it->second;
}

absl::Status ReplicationSource::ReadCopy(
    const internal::v1::ReadCopyRequest& request,
    absl::FunctionRef<bool(const internal::v1::ReadCopyResponse&)> send) {
  const std::shared_ptr<Copy> copy = FindCopy(request.copy());
  if (copy == nullptr) return CopyGone();
  const std::vector<storage::CopyFile>& files = copy->copy->manifest().files;
  if (request.file() >= files.size()) {
    return InvalidField("file", "The copy has no such file", "Name a place in the list of files.");
  }
  const uint64_t size = files[request.file()].size;
  if (request.offset() > size) {
    return InvalidField("offset", "The file is shorter", "Begin within the file.");
  }
  const auto touch = [&](int readers) {
    const std::lock_guard<std::mutex> lock(copy->mutex);
    copy->readers += readers;
    copy->read = true;
    copy->used = Clock::now();
  };
  touch(1);
  internal::v1::ReadCopyResponse piece;
  absl::Status status;
  bool going = true;
  for (uint64_t offset = request.offset(); going && offset < size && status.ok();) {
    if (FindCopy(request.copy()) == nullptr) {
      status = CopyGone();
      break;
    }
    status = copy->copy->Read(request.file(), offset, kPieceBytes, piece.mutable_data());
    if (!status.ok()) break;
    const std::string& data = piece.data();
    piece.set_crc32c(Crc32c(data));
    Throttle(static_cast<int64_t>(data.size()));
    going = send(piece);
    offset += data.size();
    touch(0);
  }
  touch(-1);
  return status;
}

void ReplicationSource::EndCopy(const internal::v1::EndCopyRequest& request) {
  std::shared_ptr<Copy> gone;
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = copies_.find(request.copy());
  if (it == copies_.end()) return;
  gone = std::move(it->second);
  copies_.erase(it);
}

void ReplicationSource::RemoveIdleCopies() {
  std::vector<std::shared_ptr<Copy>> gone;
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto it = copies_.begin(); it != copies_.end();) {
    bool idle = false;
    {
      const std::lock_guard<std::mutex> copy_lock(it->second->mutex);
      idle = it->second->readers == 0 && Clock::now() - it->second->used > options_.copy_keep;
    }
    if (!idle) {
      ++it;
      continue;
    }
    gone.push_back(std::move(it->second));
    it = copies_.erase(it);
  }
}

void ReplicationSource::Throttle(int64_t bytes) {
  if (options_.copy_bytes_per_second <= 0) return;
  Clock::time_point until;
  {
    const std::lock_guard<std::mutex> lock(throttle_mutex_);
    until = std::max(free_at_, Clock::now());
    free_at_ =
        until +
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
            static_cast<double>(bytes) / static_cast<double>(options_.copy_bytes_per_second)));
  }
  std::this_thread::sleep_until(until);
}

void ReplicationSource::Pause() {
  std::map<uint64_t, std::shared_ptr<Copy>> gone;
  const std::lock_guard<std::mutex> lock(mutex_);
  paused_ = true;
  for (auto& [instance, known] : known_) {
    if (known.feed != nullptr) known.feed->Stop();
    // What it has of this store says nothing of the next one.
    known.durable = false;
  }
  gone.swap(copies_);
}

void ReplicationSource::Resume() {
  const std::lock_guard<std::mutex> lock(mutex_);
  paused_ = false;
}

}  // namespace cookix::server
