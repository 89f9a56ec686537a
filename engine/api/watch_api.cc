#include "engine/api/watch_api.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "engine/database.h"
#include "engine/watch/commit_feed.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Clock = std::chrono::steady_clock;

// A message is sent when it is so large. The change that makes it so may be an object of a
// megabyte before and after, and gRPC's clients take four of them by default.
constexpr size_t kMessageBytes = 1 << 20;
// Commits taken from the log at a time.
constexpr size_t kCommits = 64;
// Who waits looks this often whether to go on.
constexpr std::chrono::milliseconds kLookAgain{50};
constexpr int32_t kDefaultHeartbeatMs = 5000;
constexpr int32_t kLeastHeartbeatMs = 100;
constexpr int32_t kMostHeartbeatMs = 60'000;

absl::StatusOr<std::chrono::milliseconds> HeartbeatOf(const v1::WatchRequest& request) {
  const int32_t asked = request.heartbeat_ms();
  if (asked == 0) return std::chrono::milliseconds(kDefaultHeartbeatMs);
  if (asked >= kLeastHeartbeatMs && asked <= kMostHeartbeatMs) {
    return std::chrono::milliseconds(asked);
  }
  return InvalidField("heartbeat_ms", absl::StrCat("the heartbeat is ", asked, " ms"),
                      absl::StrCat("Use ", kLeastHeartbeatMs, " to ", kMostHeartbeatMs));
}

std::string_view StartField(const v1::WatchRequest& request) {
  switch (request.start_case()) {
    case v1::WatchRequest::kAfterPosition:
      return "after_position";
    case v1::WatchRequest::kAfterCommit:
      return "after_commit";
    default:
      return "";
  }
}

// Puts changes together to messages.
class Outbox {
 public:
  Outbox(const storage::Store& store, storage::Position start,
         absl::FunctionRef<bool(v1::WatchResponse&&)> sink)
      : store_(store), position_(start), sink_(sink) {}

  uint64_t commit() const { return position_.commit; }

  // There is something to send, or nothing was sent for so long, or ever.
  bool Due(std::chrono::milliseconds heartbeat) const {
    return response_.commits_size() > 0 || !sent_at_.has_value() ||
           Clock::now() - *sent_at_ >= heartbeat;
  }

  absl::Status Add(const storage::LogCommit& commit, v1::Change&& change) {
    if (bytes_ >= kMessageBytes) {
      if (open_ != nullptr) open_->set_continued(true);
      COOKIX_RETURN_IF_ERROR(Send());
    }
    if (open_ == nullptr) {
      open_ = response_.add_commits();
      open_->set_commit(static_cast<int64_t>(commit.commit));
      open_->set_time_ms(commit.time_ms);
    }
    bytes_ += change.ByteSizeLong();
    *open_->add_changes() = std::move(change);
    return absl::OkStatus();
  }

  // All of the commit was added.
  absl::Status Finish(const storage::LogCommit& commit) {
    position_ = {commit.store, commit.epoch, commit.commit};
    open_ = nullptr;
    return bytes_ >= kMessageBytes ? Send() : absl::OkStatus();
  }

  absl::Status Send() {
    response_.set_position(storage::EncodePosition(position_));
    response_.set_commit(static_cast<int64_t>(position_.commit));
    response_.set_latest_commit(
        static_cast<int64_t>(std::max(position_.commit, store_.Latest()->commit())));
    const bool taken = sink_(std::move(response_));
    response_ = v1::WatchResponse();
    open_ = nullptr;
    bytes_ = 0;
    sent_at_ = Clock::now();
    if (taken) return absl::OkStatus();
    return MakeError(absl::StatusCode::kCancelled, "the watcher takes no more",
                     {"QUERY_CANCELLED", "", "Watch again from the last position", false});
  }

 private:
  const storage::Store& store_;
  storage::Position position_;
  const absl::FunctionRef<bool(v1::WatchResponse&&)> sink_;
  v1::WatchResponse response_;
  // The commit that changes are added to; in response_.
  v1::CommitChanges* open_ = nullptr;
  size_t bytes_ = 0;
  std::optional<Clock::time_point> sent_at_;
};

}  // namespace

absl::StatusOr<storage::Position> WatchApi::FindStart(CallContext& context,
                                                      const v1::WatchRequest& request) {
  v1::ReadOptions options;
  options.set_wait_ms(request.wait_ms());
  if (request.has_after_commit()) {
    if (request.after_commit() < 0) {
      return InvalidField("after_commit", "the commit is negative", "Send 0 or more");
    }
    options.set_min_position(
        database_.PositionToken(static_cast<uint64_t>(request.after_commit())));
  } else if (request.has_after_position()) {
    if (request.after_position().empty()) {
      return InvalidField("after_position", "the position is empty",
                          "Send one that this server gave, or leave it out to begin now");
    }
    options.set_min_position(request.after_position());
  }
  // Waits for it, and refuses what is of another history.
  const auto read = database_.Read(context, options);
  if (!read.ok()) {
    const auto detail = GetErrorDetail(read.status());
    if (!detail.has_value() || detail->field.empty()) return read.status();
    const bool wait = detail->field == "options.wait_ms";
    return WithField(read.status(), wait ? "wait_ms" : StartField(request));
  }
  if (options.min_position().empty()) return read->snapshot->position();
  return storage::DecodePosition(options.min_position());
}

absl::Status WatchApi::Watch(CallContext& context, const v1::WatchRequest& request,
                             absl::FunctionRef<bool(v1::WatchResponse&&)> sink) {
  COOKIX_ASSIGN_OR_RETURN(WatchSelection selection,
                          WatchSelection::Compile(request, database_.limits()));
  COOKIX_ASSIGN_OR_RETURN(const std::chrono::milliseconds heartbeat, HeartbeatOf(request));
  COOKIX_ASSIGN_OR_RETURN(const storage::Position start, FindStart(context, request));
  storage::Store& store = database_.store();
  COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<storage::LogReader> log, store.ReadLog(start));
  const uint64_t present = store.Latest()->commit();
  CommitFeed feed(std::move(selection));
  Outbox outbox(store, start, sink);
  bool checked = false;
  while (true) {
    COOKIX_RETURN_IF_ERROR(context.Check());
    const bool arrived = !checked && outbox.commit() >= present;
    if (arrived) {
      // What was dropped since the start is named by the commits in between.
      COOKIX_RETURN_IF_ERROR(feed.CheckNames(*database_.Read().catalog));
      checked = true;
    }
    // Also says at once that the present was reached.
    if (arrived || outbox.Due(heartbeat)) COOKIX_RETURN_IF_ERROR(outbox.Send());
    const auto commits = log->Next(kCommits, absl::FromChrono(kLookAgain));
    if (!commits.ok()) return WithField(commits.status(), StartField(request));
    if (commits->empty()) continue;
    // Of the last of them or of a later commit.
    const std::shared_ptr<const Catalog> catalog = database_.Read().catalog;
    for (const storage::LogCommitPtr& commit : *commits) {
      COOKIX_RETURN_IF_ERROR(feed.Translate(*commit, *catalog, [&](v1::Change&& change) {
        return outbox.Add(*commit, std::move(change));
      }));
      COOKIX_RETURN_IF_ERROR(outbox.Finish(*commit));
      if (!feed.ended()) continue;
      COOKIX_RETURN_IF_ERROR(outbox.Send());
      return NotFound("NAMESPACE_NOT_FOUND", "namespace", "the namespace was dropped",
                      "Watch another namespace");
    }
  }
}

}  // namespace cookix::engine
