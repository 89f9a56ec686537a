#include "storage/log_ring.h"

#include <algorithm>
#include <chrono>

namespace cookix::storage {
namespace {

int64_t Bytes(const LogCommit& commit) {
  return static_cast<int64_t>(sizeof(LogCommit) + commit.batch.size() + commit.change.size() +
                              commit.request_id.size());
}

}  // namespace

LogRing::LogRing(int64_t capacity_bytes, uint64_t last_published)
    : capacity_bytes_(capacity_bytes), last_published_(last_published) {}

void LogRing::Push(const std::vector<LogCommitPtr>& commits) {
  std::vector<LogCommitPtr> dropped;  // freed outside the lock
  {
    const std::lock_guard lock(mutex_);
    for (const LogCommitPtr& commit : commits) {
      commits_.push_back(commit);
      bytes_ += Bytes(*commit);
      last_published_ = commit->commit;
    }
    while (bytes_ > capacity_bytes_ && !commits_.empty()) {
      bytes_ -= Bytes(*commits_.front());
      dropped.push_back(std::move(commits_.front()));
      commits_.pop_front();
    }
  }
  published_.notify_all();
}

LogRing::Outcome LogRing::Take(uint64_t next, size_t max_commits, absl::Duration timeout,
                               const bool& cancelled, std::vector<LogCommitPtr>* out) {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return cancelled || next <= last_published_; };
  if (timeout == absl::InfiniteDuration()) {
    published_.wait(lock, ready);
  } else if (timeout > absl::ZeroDuration()) {
    // A year is as good as any longer time, and cannot overflow the clock.
    const absl::Duration bounded = std::min(timeout, absl::Hours(24 * 365));
    published_.wait_for(lock, absl::ToChronoNanoseconds(bounded), ready);
  }
  if (cancelled) return Outcome::kCancelled;
  if (next > last_published_) return Outcome::kTimeout;
  if (commits_.empty() || next < commits_.front()->commit) return Outcome::kTooOld;
  for (size_t i = next - commits_.front()->commit; i < commits_.size() && out->size() < max_commits;
       ++i) {
    out->push_back(commits_[i]);
  }
  return Outcome::kTaken;
}

void LogRing::Cancel(bool* cancelled) {
  {
    const std::lock_guard lock(mutex_);
    *cancelled = true;
  }
  published_.notify_all();
}

uint64_t LogRing::last_published() const {
  const std::lock_guard lock(mutex_);
  return last_published_;
}

}  // namespace cookix::storage
