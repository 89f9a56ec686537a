#include "engine/view/view_host.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Clock = CallContext::Clock;

// Commits taken from the log at a time.
constexpr size_t kBatch = 256;
// Wakes the follower now and then; Cancel() is what stops it.
constexpr absl::Duration kFollowTimeout = absl::Seconds(1);
// How often a wait looks whether its call was cancelled.
constexpr std::chrono::milliseconds kCancelPoll(10);
// Decoded commits kept for views that are a little behind each other.
constexpr size_t kDecodedCommits = 256;
constexpr size_t kDecodedBytes = 16 << 20;
// The value of Slot::shown while a view is not ready.
constexpr int64_t kNotReady = -1;

absl::Status Stopped() {
  return MakeError(absl::StatusCode::kUnavailable, "the views are stopped",
                   {"SHUTTING_DOWN", "", "Try again when the server is up", true});
}

absl::Status UnknownView(std::string_view name) {
  return NotFound("VIEW_NOT_FOUND", "name", absl::StrCat("there is no view ", ToAbsl(name)),
                  "Use one of the names that the statistics list");
}

// Decoded commits, shared by the threads of the views.
class DecodedCommits {
 public:
  absl::StatusOr<std::shared_ptr<const AppliedCommit>> Get(
      const storage::LogCommitPtr& logged, const std::shared_ptr<const Catalog>& catalog) {
    Entry& entry = entries_[logged->commit % kDecodedCommits];
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (entry.decoded != nullptr && entry.decoded->commit == logged->commit) return entry.decoded;
    }
    auto decoded = std::make_shared<AppliedCommit>();
    decoded->commit = logged->commit;
    decoded->time_ms = logged->time_ms;
    decoded->catalog = catalog;
    decoded->logged = logged;
    if (!decoded->change.ParseFromString(logged->change)) {
      return Corruption(absl::StrCat("the change of commit ", logged->commit, " cannot be decoded"),
                        "Restore the store from a backup or seed it from a replica");
    }
    // Decoded, the change takes about as much again.
    const size_t bytes = 2 * logged->change.size() + logged->batch.size();
    std::lock_guard<std::mutex> lock(mutex_);
    bytes_ -= entry.bytes;
    entry.decoded.reset();
    entry.bytes = 0;
    if (bytes_ + bytes <= kDecodedBytes) {
      entry.decoded = decoded;
      entry.bytes = bytes;
      bytes_ += entry.bytes;
    } else {
      // Old ones that nobody replaces would keep the newest out.
      for (Entry& each : entries_) each = Entry();
      bytes_ = 0;
    }
    return std::shared_ptr<const AppliedCommit>(std::move(decoded));
  }

 private:
  struct Entry {
    std::shared_ptr<const AppliedCommit> decoded;
    size_t bytes = 0;
  };
  std::mutex mutex_;
  std::array<Entry, kDecodedCommits> entries_;
  size_t bytes_ = 0;
};

}  // namespace

// One view and its thread.
struct ViewHost::Slot {
  std::unique_ptr<View> view;
  std::unique_ptr<ViewCheckpoint> checkpoint;
  std::thread thread;

  // The last commit that a ready view shows, kNotReady otherwise. Written by the
  // thread of the slot, and set to kNotReady by Rebuild() and Stop().
  std::atomic<int64_t> shown{kNotReady};
  // The last commit that the view has, ready or not.
  std::atomic<uint64_t> applied{0};
  std::atomic<double> progress{0};
  // Rebuild() wants the thread to start over.
  std::atomic<bool> restart{false};

  // Guarded by Shared::mutex.
  ViewState state = ViewState::kBuilding;
  std::string error;
  bool restored = false;
  int rebuilds = 0;
  // Rebuild() wants nothing of what was saved.
  bool forget = false;
  storage::LogReader* reader = nullptr;
};

struct ViewHost::Shared {
  mutable std::mutex mutex;
  // Something that a waiter may wait for has changed.
  std::condition_variable changed;
  // How many wait; lets views advance without taking the mutex.
  std::atomic<int> waiters{0};
  std::atomic<bool> stopping{false};

  // Guarded by mutex. Commits that some ready view has not shown yet, and their
  // bytes.
  std::deque<std::pair<uint64_t, int64_t>> backlog;
  int64_t backlog_bytes = 0;
  bool started = false;

  // Held while threads are joined.
  std::mutex join_mutex;

  DecodedCommits decoded;

  void Notify() {
    if (waiters.load() == 0) return;
    // Whoever is about to wait either holds the mutex and has not looked yet, or
    // waits.
    { std::lock_guard<std::mutex> lock(mutex); }
    changed.notify_all();
  }

  // Waits until `done()` or `deadline`; returns done(). `lock` holds the mutex.
  template <typename F>
  bool WaitUntil(std::unique_lock<std::mutex>& lock, Clock::time_point deadline, F&& done) {
    waiters.fetch_add(1);
    bool result = done();
    while (!result) {
      const Clock::time_point now = Clock::now();
      if (now >= deadline) break;
      changed.wait_until(lock, std::min(deadline, now + std::chrono::minutes(1)));
      result = done();
    }
    waiters.fetch_sub(1);
    return result;
  }
};

namespace {

// Reports the progress of a bootstrap and stops it.
class SlotMonitor : public BootstrapMonitor {
 public:
  SlotMonitor(std::atomic<double>& progress, const std::atomic<bool>& restart,
              const std::atomic<bool>& stopping)
      : progress_(progress), restart_(restart), stopping_(stopping) {}
  void Report(double fraction) override { progress_.store(std::clamp(fraction, 0.0, 1.0)); }
  bool cancelled() const override { return restart_.load() || stopping_.load(); }

 private:
  std::atomic<double>& progress_;
  const std::atomic<bool>& restart_;
  const std::atomic<bool>& stopping_;
};

}  // namespace

ViewHost::ViewHost(storage::Store& store, std::function<ReadView()> read_view,
                   ViewHostOptions options)
    : store_(store),
      read_view_(std::move(read_view)),
      options_(std::move(options)),
      saver_(store),
      shared_(std::make_unique<Shared>()) {}

ViewHost::~ViewHost() { Stop(); }

void ViewHost::AddView(std::unique_ptr<View> view) {
  auto slot = std::make_unique<Slot>();
  slot->view = std::move(view);
  slot->checkpoint = std::make_unique<ViewCheckpoint>(
      store_, *slot->view, saver_,
      ViewCheckpointOptions{.enabled = options_.checkpoints,
                            .bytes = options_.checkpoint_bytes,
                            .interval = options_.checkpoint_interval,
                            .retry = options_.checkpoint_retry,
                            .log = options_.log});
  slots_.push_back(std::move(slot));
}

absl::Status ViewHost::Start() {
  std::lock_guard<std::mutex> lock(shared_->mutex);
  if (shared_->stopping.load()) return Stopped();
  if (shared_->started) return absl::OkStatus();
  shared_->started = true;
  for (auto& slot : slots_) {
    slot->thread = std::thread([this, raw = slot.get()] { Run(raw); });
  }
  return absl::OkStatus();
}

void ViewHost::Stop() {
  std::lock_guard<std::mutex> joining(shared_->join_mutex);
  {
    std::lock_guard<std::mutex> lock(shared_->mutex);
    shared_->stopping.store(true);
    for (auto& slot : slots_) {
      slot->shown.store(kNotReady);
      if (slot->reader != nullptr) slot->reader->Cancel();
    }
    shared_->changed.notify_all();
  }
  for (auto& slot : slots_) {
    if (slot->thread.joinable()) slot->thread.join();
  }
}

void ViewHost::Say(std::string_view level, const std::string& message) const {
  if (options_.log) options_.log(level, message);
}

void ViewHost::Run(Slot* slot) {
  Shared& shared = *shared_;
  View& view = *slot->view;
  ViewCheckpoint& checkpoint = *slot->checkpoint;
  // What was saved is looked at once.
  bool may_load = true;
  // How often the log ran away while the view was catching up with it.
  int outrun = 0;
  // Rebuilds by itself that count, when the last one began, and why.
  int rebuilds = 0;
  Clock::time_point last_rebuild;
  std::string rebuilt_because;

  const auto interrupted = [&] { return shared.stopping.load() || slot->restart.load(); };
  // Drops the view and waits until somebody wants it again.
  const auto fail = [&](const absl::Status& status) {
    {
      std::lock_guard<std::mutex> lock(shared.mutex);
      slot->shown.store(kNotReady);
      if (interrupted()) return;
      slot->state = ViewState::kFailed;
      slot->error = std::string(status.message());
      shared.changed.notify_all();
    }
    Say("error", absl::StrCat("the view ", ToAbsl(view.name()), " has failed: ", status.message()));
    checkpoint.Cancel();
    view.Drop();
    // A state that cannot go on must not come back.
    checkpoint.Delete();
    std::unique_lock<std::mutex> lock(shared.mutex);
    shared.changed.wait(lock, interrupted);
  };
  // Drops a view whose data is damaged and waits a little, so that it may be built again.
  // False when that is no help, or did not help often enough.
  const auto try_again = [&](const absl::Status& status) {
    if (!absl::IsDataLoss(status)) return false;
    const Clock::time_point now = Clock::now();
    if (rebuilds > 0 && now - last_rebuild >= options_.rebuild_forgotten) rebuilds = 0;
    if (rebuilds >= options_.rebuild_attempts) return false;
    const std::chrono::milliseconds delay = options_.rebuild_delay * (int64_t{1} << 2 * rebuilds);
    last_rebuild = now;
    ++rebuilds;
    rebuilt_because = absl::StrCat("it is built again, attempt ", rebuilds, " of ",
                                   options_.rebuild_attempts, ": ", status.message());
    {
      std::lock_guard<std::mutex> lock(shared.mutex);
      slot->shown.store(kNotReady);
      if (interrupted()) return true;
      slot->state = ViewState::kBuilding;
      slot->error = rebuilt_because;
      ++slot->rebuilds;
      slot->progress.store(0);
      shared.changed.notify_all();
    }
    Say("warning",
        absl::StrCat("the view ", ToAbsl(view.name()), " is damaged: ", rebuilt_because));
    checkpoint.Cancel();
    view.Drop();
    checkpoint.Delete();
    std::unique_lock<std::mutex> lock(shared.mutex);
    shared.changed.wait_for(lock, delay, interrupted);
    return true;
  };

  while (!shared.stopping.load()) {
    bool forget = false;
    {
      std::lock_guard<std::mutex> lock(shared.mutex);
      slot->shown.store(kNotReady);
      slot->restart.store(false);
      slot->restored = false;
      forget = std::exchange(slot->forget, false);
      if (forget) {
        // Somebody else takes care now.
        rebuilds = 0;
        rebuilt_because.clear();
      }
      slot->state = ViewState::kBuilding;
      slot->error = rebuilt_because;
      slot->progress.store(0);
      slot->applied.store(0);
      shared.changed.notify_all();
    }
    checkpoint.Cancel();
    view.Drop();
    if (forget) {
      checkpoint.Delete();
      may_load = false;
    }

    storage::Position position;
    SlotMonitor monitor(slot->progress, slot->restart, shared.stopping);
    bool restored = false;
    if (std::exchange(may_load, false)) {
      const std::optional<storage::Position> loaded = checkpoint.Load(read_view_(), monitor);
      if (interrupted()) continue;
      restored = loaded.has_value();
      if (restored) {
        position = *loaded;
        std::lock_guard<std::mutex> lock(shared.mutex);
        slot->restored = true;
      } else {
        view.Drop();
        slot->progress.store(0);
      }
    }
    if (!restored) {
      const ReadView start = read_view_();
      const absl::Status status = Contained([&] { return view.Bootstrap(start, monitor); });
      if (interrupted()) continue;
      if (!status.ok()) {
        fail(status);
        continue;
      }
      position = start.snapshot->position();
      checkpoint.Built();
    }
    slot->applied.store(position.commit);

    absl::StatusOr<std::unique_ptr<storage::LogReader>> reader = store_.ReadLog(position);
    if (!reader.ok()) {
      if (restored) {
        checkpoint.Reject(reader.status());
        continue;
      }
      if (reader.status().code() == absl::StatusCode::kOutOfRange) {
        ++outrun;
      } else {
        fail(reader.status());
      }
      continue;
    }
    {
      std::lock_guard<std::mutex> lock(shared.mutex);
      if (interrupted()) continue;
      slot->reader = reader->get();
    }

    // Follow the log. The view is ready once it has nearly caught up, or, when
    // the log has run away before, at once: then writers wait for it. A loaded view
    // has to show first that the log goes on where it stands.
    bool ready = false;
    bool goes_on = !restored;
    std::shared_ptr<const Catalog> catalog;
    uint64_t catalog_commit = 0;
    absl::Status status;
    while (true) {
      const uint64_t applied = slot->applied.load();
      if (!ready) {
        const uint64_t latest = store_.Latest()->commit();
        const uint64_t lag = latest > applied ? latest - applied : 0;
        if (lag == 0 || (goes_on && (lag <= options_.max_lag_commits / 2 || outrun > 1))) {
          std::lock_guard<std::mutex> lock(shared.mutex);
          if (interrupted()) break;
          ready = true;
          slot->progress.store(1);
          slot->state = ViewState::kReady;
          slot->error.clear();
          rebuilt_because.clear();
          slot->shown.store(static_cast<int64_t>(applied));
          shared.changed.notify_all();
        }
      }
      if (ready) checkpoint.SaveIfDue(position);
      absl::StatusOr<std::vector<storage::LogCommitPtr>> commits =
          (*reader)->Next(kBatch, kFollowTimeout);
      if (interrupted()) break;
      if (!commits.ok()) {
        status = commits.status();
        break;
      }
      if (commits->empty()) continue;
      // The log may show a commit a moment before the catalog does.
      while (catalog_commit < commits->back()->commit && !interrupted()) {
        const ReadView newest = read_view_();
        catalog = newest.catalog;
        catalog_commit = newest.commit();
        if (catalog_commit < commits->back()->commit) {
          std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
      }
      for (const storage::LogCommitPtr& logged : *commits) {
        if (interrupted()) break;
        auto decoded = shared.decoded.Get(logged, catalog);
        status = decoded.ok() ? Contained([&] { return view.Apply(**decoded); }) : decoded.status();
        if (!status.ok()) break;
        position = {logged->store, logged->epoch, logged->commit};
        checkpoint.Applied(*logged);
        slot->applied.store(logged->commit);
        // Fails when Rebuild() or Stop() came in between.
        int64_t shown = slot->shown.load();
        if (shown != kNotReady &&
            slot->shown.compare_exchange_strong(shown, static_cast<int64_t>(logged->commit))) {
          shared.Notify();
        }
      }
      if (!status.ok()) break;
      goes_on = true;
    }
    {
      std::lock_guard<std::mutex> lock(shared.mutex);
      slot->reader = nullptr;
    }
    reader->reset();
    if (status.ok() && shared.stopping.load() && !slot->restart.load()) {
      checkpoint.SaveNow(position);
    }
    if (interrupted() || status.ok()) continue;
    const bool left_behind = status.code() == absl::StatusCode::kOutOfRange;
    if (restored && !(goes_on && left_behind)) {
      // What was saved may be at fault, or the log no longer reach back to it.
      checkpoint.Cancel();
      checkpoint.Reject(status);
      continue;
    }
    if (left_behind) {
      // By the log: build again from a snapshot.
      ++outrun;
      continue;
    }
    if (!try_again(status)) fail(status);
  }
  checkpoint.Cancel();
  view.Drop();
}

bool ViewHost::WaitVisible(const View* view, uint64_t commit, Clock::time_point deadline) {
  for (auto& slot : slots_) {
    if (slot->view.get() != view) continue;
    const auto shows = [&] {
      const int64_t shown = slot->shown.load();
      return shown != kNotReady && static_cast<uint64_t>(shown) >= commit;
    };
    if (shows()) return true;
    if (slot->shown.load() == kNotReady) return false;
    std::unique_lock<std::mutex> lock(shared_->mutex);
    shared_->WaitUntil(lock, deadline, [&] { return shows() || slot->shown.load() == kNotReady; });
    return shows();
  }
  return false;
}

bool ViewHost::WaitAllVisible(uint64_t commit, Clock::time_point deadline) {
  bool all = true;
  for (auto& slot : slots_) {
    if (!WaitVisible(slot->view.get(), commit, deadline)) all = false;
  }
  return all;
}

absl::Status ViewHost::WaitForRoom(const CallContext& context, bool bulk) {
  std::unique_lock<std::mutex> lock(shared_->mutex);
  const auto has_room = [&] {
    int64_t least = -1;
    bool views_have_room = true;
    for (auto& slot : slots_) {
      const int64_t shown = slot->shown.load();
      if (shown == kNotReady) continue;
      least = least < 0 ? shown : std::min(least, shown);
      if (!slot->view->HasRoom(bulk)) views_have_room = false;
    }
    if (!views_have_room) return false;
    auto& backlog = shared_->backlog;
    while (!backlog.empty() &&
           (least < 0 || backlog.front().first <= static_cast<uint64_t>(least))) {
      shared_->backlog_bytes -= backlog.front().second;
      backlog.pop_front();
    }
    return backlog.empty() || (backlog.size() < options_.max_lag_commits &&
                               shared_->backlog_bytes < options_.max_lag_bytes);
  };
  while (!has_room()) {
    COOKIX_RETURN_IF_ERROR(context.Check());
    const Clock::time_point deadline = std::min(context.deadline(), Clock::now() + kCancelPoll);
    shared_->WaitUntil(lock, deadline, has_room);
  }
  return absl::OkStatus();
}

void ViewHost::OnPublish(uint64_t commit, int64_t bytes) {
  int64_t least = -1;
  for (auto& slot : slots_) {
    const int64_t shown = slot->shown.load();
    if (shown != kNotReady) least = least < 0 ? shown : std::min(least, shown);
  }
  std::lock_guard<std::mutex> lock(shared_->mutex);
  auto& backlog = shared_->backlog;
  while (!backlog.empty() && (least < 0 || backlog.front().first <= static_cast<uint64_t>(least))) {
    shared_->backlog_bytes -= backlog.front().second;
    backlog.pop_front();
  }
  // Nobody waits for views that are being built.
  if (least < 0 || static_cast<uint64_t>(least) >= commit) return;
  backlog.emplace_back(commit, bytes);
  shared_->backlog_bytes += bytes;
}

absl::Status ViewHost::Rebuild(std::string_view name) {
  std::lock_guard<std::mutex> lock(shared_->mutex);
  for (auto& slot : slots_) {
    if (slot->view->name() != name) continue;
    if (shared_->stopping.load()) return Stopped();
    slot->restart.store(true);
    slot->forget = true;
    slot->shown.store(kNotReady);
    slot->state = ViewState::kBuilding;
    slot->error.clear();
    slot->progress.store(0);
    if (slot->reader != nullptr) slot->reader->Cancel();
    shared_->changed.notify_all();
    return absl::OkStatus();
  }
  return UnknownView(name);
}

absl::Status ViewHost::WaitBuilt(std::string_view name, const CallContext& context) {
  std::unique_lock<std::mutex> lock(shared_->mutex);
  for (auto& slot : slots_) {
    if (slot->view->name() != name) continue;
    const auto done = [&] {
      return shared_->stopping.load() || slot->state != ViewState::kBuilding;
    };
    while (!done()) {
      COOKIX_RETURN_IF_ERROR(context.Check());
      shared_->WaitUntil(lock, std::min(context.deadline(), Clock::now() + kCancelPoll), done);
    }
    return shared_->stopping.load() ? Stopped() : absl::OkStatus();
  }
  return UnknownView(name);
}

std::vector<ViewStatus> ViewHost::Status() const {
  std::vector<ViewStatus> statuses;
  for (const auto& slot : slots_) {
    ViewStatus status;
    status.name = std::string(slot->view->name());
    {
      std::lock_guard<std::mutex> lock(shared_->mutex);
      status.state = slot->state;
      status.error = slot->error;
      status.rebuilds = slot->rebuilds;
      status.restored = slot->restored;
    }
    ViewCheckpointStatus checkpoint = slot->checkpoint->Status();
    status.checkpoint_commit = checkpoint.commit;
    status.checkpoint_error = std::move(checkpoint.error);
    status.visible = slot->applied.load();
    status.indexed = slot->view->indexed(status.visible);
    status.progress = slot->progress.load();
    // Outside the mutex: views may take their time to count.
    status.memory_bytes = slot->view->MemoryBytes();
    status.counters = slot->view->Counters();
    if (status.rebuilds > 0) status.counters["rebuilds"] = status.rebuilds;
    statuses.push_back(std::move(status));
  }
  return statuses;
}

}  // namespace cookix::engine
