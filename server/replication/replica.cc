#include "server/replication/replica.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/call_context.h"
#include "engine/database.h"
#include "server/replication/history.h"
#include "storage/base/crc32c.h"
#include "storage/base/status.h"
#include "storage/base/wall_clock.h"

namespace cookix::server {
namespace {

using internal::v1::FollowResponse;
using internal::v1::ServerState;

// Views are waited for in steps of this, so that stopping is noticed.
constexpr std::chrono::milliseconds kViewStep{200};
// After so many records in a row that are damaged or do not continue the store, it begins again
// with a copy.
constexpr int kMaxDamaged = 3;
// However seldom the other server says that it is going to speak.
constexpr std::chrono::milliseconds kLongestPatience{60'000};
// A file that arrives damaged is asked for so often.
constexpr int kFileAttempts = 3;

std::string ReasonOf(const absl::Status& status) {
  return GetErrorDetail(status).value_or(ErrorDetail{}).reason;
}

// What passes by itself or by trying again. Everything else waits for a person.
bool Passes(const absl::Status& status) {
  if (NeedsCopy(status)) return true;
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kAborted:
      return true;
    default: {
      const auto detail = GetErrorDetail(status);
      return detail.has_value() && detail->retryable;
    }
  }
}

absl::Status Stopped() {
  return MakeError(absl::StatusCode::kCancelled, "the replica was told to stop",
                   {"SHUTTING_DOWN", "", "", false});
}

}  // namespace

Replica::Replica(std::string address, ReplicaOptions options, DatabaseSlot& databases,
                 ReplicaHost& host, LinkFactory connect)
    : address_(std::move(address)),
      options_(std::move(options)),
      databases_(databases),
      host_(host),
      connect_(std::move(connect)),
      pause_(options_.first_pause),
      thread_([this] { Run(); }) {}

Replica::~Replica() { Stop(); }

void Replica::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    if (link_ != nullptr) link_->Cancel();
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

bool Replica::stopping() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stopping_;
}

void Replica::Run() {
  while (!stopping()) {
    const absl::Status failure = Attempt();
    if (stopping()) return;
    Note(failure);
    Pause();
  }
}

void Replica::Note(const absl::Status& failure) {
  const std::string reason = ReasonOf(failure);
  // What came damaged, or not in order, is asked for again first.
  const bool taking = std::exchange(taking_, false);
  const bool damaged =
      taking && (NeedsCopy(failure) || failure.code() == absl::StatusCode::kDataLoss);
  damaged_ = damaged ? damaged_ + 1 : 0;
  if ((NeedsCopy(failure) && !damaged) || damaged_ >= kMaxDamaged) {
    needs_copy_ = true;
    damaged_ = 0;
  }
  bool news = false;
  Show([&](Shown& shown) {
    news = shown.error != failure.message();
    shown.state =
        Passes(failure) || needs_copy_ ? v1::REPLICA_STATE_CONNECTING : v1::REPLICA_STATE_FAILED;
    shown.error = std::string(failure.message());
    shown.error_ms = WallClockMs();
    shown.current = false;
  });
  if (!news) return;
  host_.Say(needs_copy_ ? "warning" : "info",
            absl::StrCat("not following ", address_, ": ", reason, reason.empty() ? "" : ": ",
                         failure.message(), needs_copy_ ? "; it begins again with a copy" : ""));
}

void Replica::Pause() {
  std::unique_lock<std::mutex> lock(mutex_);
  const int64_t most = pause_.count();
  const int64_t pause = std::uniform_int_distribution<int64_t>(most / 2, most)(random_);
  wake_.wait_for(lock, std::chrono::milliseconds(pause), [this] { return stopping_; });
  pause_ = std::min(pause_ * 2, options_.longest_pause);
}

absl::Status Replica::Attempt() {
  Show([](Shown& shown) {
    if (shown.state != v1::REPLICA_STATE_FAILED) shown.state = v1::REPLICA_STATE_CONNECTING;
  });
  COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<PrimaryLink> link, connect_(address_));
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return Stopped();
    link_ = link.get();
  }
  absl::Status status = Introduce(*link);
  // One that was closed to be replaced may have to be opened again.
  if (status.ok() && databases_.Get() == nullptr) {
    status = storage::CopyReceiver::CompleteInstall(options_.file_system, options_.data_dir);
    if (status.ok()) status = host_.OpenStore();
    // Whether it can go on is seen when it follows.
    needs_copy_ = needs_copy_ && !status.ok();
    // None, or a damaged one, is what a copy is for; anything else a person must mend.
    if (status.code() == absl::StatusCode::kNotFound ||
        status.code() == absl::StatusCode::kDataLoss) {
      needs_copy_ = true;
      status = absl::OkStatus();
    }
  }
  if (status.ok() && needs_copy_) status = Seed(*link);
  if (status.ok()) status = Follow(*link);
  const std::lock_guard<std::mutex> lock(mutex_);
  link_ = nullptr;
  return status;
}

absl::Status Replica::Introduce(PrimaryLink& link) {
  internal::v1::IntroduceRequest request;
  *request.mutable_state() = host_.Describe();
  internal::v1::IntroduceResponse response;
  COOKIX_RETURN_IF_ERROR(link.Introduce(request, &response));
  COOKIX_RETURN_IF_ERROR(CheckSource(request.state(), response.state()));
  source_ = response.state();
  host_.Learn(source_);
  Show([&](Shown& shown) {
    shown.contact_ms = WallClockMs();
    shown.source_commit = source_.commit();
  });
  return absl::OkStatus();
}

// --- Copies ---

absl::Status Replica::Seed(PrimaryLink& link) {
  Show([](Shown& shown) { shown.state = v1::REPLICA_STATE_SEEDING; });
  COOKIX_RETURN_IF_ERROR(BeginCopy(link));
  const absl::Status received = ReceiveCopy(link);
  // Gone, or of no use.
  if (received.code() == absl::StatusCode::kDataLoss ||
      received.code() == absl::StatusCode::kInvalidArgument ||
      ReasonOf(received) == "COPY_NOT_FOUND") {
    copy_.Clear();
  }
  COOKIX_RETURN_IF_ERROR(received);
  internal::v1::EndCopyRequest end;
  end.set_copy(copy_.copy());
  link.EndCopy(end).IgnoreError();  // it is removed by itself after a while
  host_.Say("info", absl::StrCat("the copy is complete, at commit ", copy_.commit()));
  copy_.Clear();
  needs_copy_ = false;
  Show([](Shown& shown) { ++shown.seeds; });
  return host_.OpenStore();
}

absl::Status Replica::BeginCopy(PrimaryLink& link) {
  if (copy_.copy() != 0 && copy_.state().instance() == source_.instance()) return absl::OkStatus();
  internal::v1::BeginCopyRequest request;
  *request.mutable_state() = host_.Describe();
  request.set_name(options_.name);
  internal::v1::BeginCopyResponse begun;
  COOKIX_RETURN_IF_ERROR(link.BeginCopy(request, &begun));
  COOKIX_RETURN_IF_ERROR(CheckSource(request.state(), begun.state()));
  copy_ = std::move(begun);
  // The copy may hold what was not there at the introduction, and a later epoch.
  source_ = copy_.state();
  host_.Learn(source_);
  host_.Say("info", absl::StrCat("receiving a copy of the store from ", address_, ": ",
                                 copy_.files_size(), " files"));
  return absl::OkStatus();
}

absl::Status Replica::ReceiveCopy(PrimaryLink& link) {
  storage::CopyManifest manifest;
  std::copy_n(copy_.state().store_id().begin(), manifest.position.store.size(),
              manifest.position.store.begin());
  manifest.position.epoch = copy_.epoch();
  manifest.position.commit = copy_.commit();
  for (const internal::v1::CopiedFile& file : copy_.files()) {
    manifest.files.push_back({file.path(), file.size(), file.crc32c()});
  }
  COOKIX_ASSIGN_OR_RETURN(
      const std::unique_ptr<storage::CopyReceiver> receiver,
      storage::CopyReceiver::Open(options_.file_system, options_.data_dir, std::move(manifest),
                                  options_.keep_free_bytes));
  // The sum fits: the receiver has looked.
  Show([&](Shown& shown) {
    shown.seed_bytes = 0;
    shown.seed_total = 0;
    for (const storage::CopyFile& file : receiver->manifest().files) {
      shown.seed_total += static_cast<int64_t>(file.size);
    }
  });
  for (size_t i = 0; i < receiver->manifest().files.size(); ++i) {
    COOKIX_RETURN_IF_ERROR(ReceiveFile(link, i, *receiver));
  }
  if (stopping()) return Stopped();
  // Until here the old store answered.
  COOKIX_RETURN_IF_ERROR(host_.CloseStore());
  return receiver->Install();
}

absl::Status Replica::ReceiveFile(PrimaryLink& link, size_t file, storage::CopyReceiver& receiver) {
  const uint64_t size = receiver.manifest().files[file].size;
  absl::Status status;
  for (int attempt = 0; attempt < kFileAttempts; ++attempt) {
    internal::v1::ReadCopyRequest request;
    request.set_copy(copy_.copy());
    request.set_file(static_cast<uint32_t>(file));
    request.set_offset(receiver.Have(file));
    const auto count = [&](uint64_t bytes) {
      Show([&](Shown& shown) {
        shown.seed_bytes += static_cast<int64_t>(bytes);
        shown.contact_ms = WallClockMs();
      });
    };
    count(request.offset());
    uint64_t offset = request.offset();
    if (offset < size) {
      COOKIX_RETURN_IF_ERROR(
          link.ReadCopy(request, [&](const internal::v1::ReadCopyResponse& piece) {
            const std::string& data = piece.data();
            if (Crc32c(data) != piece.crc32c()) {
              return Corruption("a piece of the copy was damaged on its way",
                                "It is asked for again; check the network.");
            }
            COOKIX_RETURN_IF_ERROR(receiver.Append(file, offset, data));
            offset += data.size();
            count(data.size());
            return absl::OkStatus();
          }));
    }
    status = receiver.Finish(file);
    if (status.code() != absl::StatusCode::kDataLoss) return status;
    // What was left of an older copy may have been another file.
    Show([&](Shown& shown) { shown.seed_bytes -= static_cast<int64_t>(offset); });
  }
  return status;
}

// --- The log ---

absl::Status Replica::WaitForViews(engine::Database& database) {
  while (!stopping()) {
    const engine::CallContext context(engine::CallContext::Clock::now() + kViewStep);
    const absl::Status room = database.views().WaitForRoom(context);
    if (room.code() != absl::StatusCode::kDeadlineExceeded) return room;
  }
  return Stopped();
}

absl::Status Replica::Take(engine::Database& database, const FollowResponse& response) {
  storage::Store& store = database.store();
  const std::vector<std::string_view> records(response.records().begin(), response.records().end());
  if (response.has_state()) {
    COOKIX_RETURN_IF_ERROR(CheckSource(host_.Describe(), response.state()));
    source_ = response.state();
    host_.Learn(source_);
  }
  if (response.has_state() || !records.empty()) {
    COOKIX_RETURN_IF_ERROR(WaitForViews(database));
    COOKIX_RETURN_IF_ERROR(store.Replicate(EpochsOf(source_), records));
  }
  const uint64_t commit = store.Latest()->commit();
  if (commit != response.sent() || commit > response.commit()) {
    return Corruption(absl::StrCat("the followed server has commit ", response.commit(),
                                   " and has sent up to commit ", response.sent(),
                                   "; what arrived ends with commit ", commit),
                      "It is asked for again.");
  }
  const auto now = std::chrono::steady_clock::now();
  Show([&](Shown& shown) {
    shown.contact_ms = WallClockMs();
    shown.source_commit = response.commit();
    shown.current = commit == response.commit();
    if (shown.current) shown.current_at = now;
    shown.state =
        shown.current || now - shown.current_at <= std::chrono::milliseconds(kCatchingUpMs)
            ? v1::REPLICA_STATE_FOLLOWING
            : v1::REPLICA_STATE_CATCHING_UP;
  });
  return absl::OkStatus();
}

absl::Status Replica::Follow(PrimaryLink& link) {
  COOKIX_ASSIGN_OR_RETURN(const DatabaseHandle database, databases_.Acquire());
  internal::v1::FollowRequest hello;
  *hello.mutable_hello()->mutable_state() = host_.Describe();
  hello.mutable_hello()->set_name(options_.name);
  hello.mutable_hello()->set_durable(database->options().storage.sync_mode ==
                                     storage::SyncMode::kFull);
  COOKIX_RETURN_IF_ERROR(CheckContinues(hello.hello().state(), source_));
  COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<FollowStream> stream, link.Follow(hello));
  auto patience = options_.patience;
  uint64_t acknowledged = 0;
  FollowResponse response;
  while (!stopping()) {
    response.Clear();
    COOKIX_RETURN_IF_ERROR(stream->Read(patience, &response));
    taking_ = true;
    COOKIX_RETURN_IF_ERROR(Take(*database, response));
    taking_ = false;
    patience = options_.patience + std::chrono::milliseconds(response.heartbeat_ms());
    patience = std::min(patience, kLongestPatience);
    // Whoever sends more than its greeting is a server that can be followed.
    if (!response.records().empty() || !response.has_state()) {
      pause_ = options_.first_pause;
      damaged_ = 0;
    }
    const uint64_t commit = database->store().Latest()->commit();
    if (commit == acknowledged && !response.records().empty()) continue;
    acknowledged = commit;
    internal::v1::FollowRequest received;
    received.mutable_received()->set_commit(commit);
    stream->Send(received);
  }
  return Stopped();
}

// --- What it says of itself ---

void Replica::Describe(v1::GetReplicationStatusResponse* status) const {
  const DatabaseHandle database = databases_.Get();
  const uint64_t commit = database == nullptr ? 0 : database->store().Latest()->commit();
  const std::lock_guard<std::mutex> lock(mutex_);
  status->set_follows(address_);
  status->set_state(shown_.state);
  status->set_lag_commits(
      static_cast<int64_t>(shown_.source_commit - std::min(shown_.source_commit, commit)));
  if (!shown_.current) {
    const auto lag = std::chrono::steady_clock::now() - shown_.current_at;
    status->set_lag_ms(std::chrono::duration_cast<std::chrono::milliseconds>(lag).count());
  }
  status->set_last_contact_ms(shown_.contact_ms);
  status->set_last_error(shown_.error);
  status->set_last_error_ms(shown_.error_ms);
  if (shown_.state == v1::REPLICA_STATE_SEEDING) {
    status->set_seed_bytes(shown_.seed_bytes);
    status->set_seed_total_bytes(shown_.seed_total);
  }
  status->set_seeds(shown_.seeds);
}

bool Replica::connected() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return shown_.state == v1::REPLICA_STATE_FOLLOWING ||
         shown_.state == v1::REPLICA_STATE_CATCHING_UP;
}

}  // namespace cookix::server
