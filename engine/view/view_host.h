// Feeds views from the log and lets readers wait for them.
#ifndef COOKIX_ENGINE_VIEW_VIEW_HOST_H_
#define COOKIX_ENGINE_VIEW_VIEW_HOST_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/call_context.h"
#include "engine/view/view.h"
#include "engine/view/view_checkpoint.h"
#include "storage/store.h"

namespace cookix::engine {

enum class ViewState { kBuilding, kReady, kFailed };

struct ViewStatus {
  std::string name;
  ViewState state = ViewState::kBuilding;
  // Last commit that searches find.
  uint64_t visible = 0;
  // Last commit in the structure proper. Equal to `visible` for views without a
  // tail.
  uint64_t indexed = 0;
  int64_t memory_bytes = 0;
  double progress = 0;
  // Why it failed. While it is built again by itself: why that is.
  std::string error;
  // How often it was built again by itself in this run.
  int rebuilds = 0;
  // This run began from what was saved, not from a bootstrap.
  bool restored = false;
  // Commit of the saved state, 0 when there is none, and why the last attempt to
  // save it failed.
  uint64_t checkpoint_commit = 0;
  std::string checkpoint_error;
  std::map<std::string, int64_t> counters;
};

struct ViewHostOptions {
  // How far a view may fall behind before writers wait for it: whichever of
  // these is reached first.
  uint64_t max_lag_commits = 4096;
  int64_t max_lag_bytes = 64 << 20;

  // Views that can (View::BeginSave) save themselves beside the store, and start from
  // there. False also leaves what was saved before alone.
  bool checkpoints = true;
  // A view is saved when it was built, after so many bytes of log, after so long if
  // anything changed, and when the host stops. It then rests four times as long as
  // saving took.
  int64_t checkpoint_bytes = 256 << 20;
  std::chrono::milliseconds checkpoint_interval{std::chrono::minutes(5)};
  // After a failure, such as a full disk, it is tried again after so long.
  std::chrono::milliseconds checkpoint_retry{std::chrono::minutes(1)};

  // A view that was built in this run and finds its data damaged (kDataLoss) is built again
  // by itself: so often, after so long, and four times as long each further time. What was
  // longer ago than `rebuild_forgotten` does not count. Then it has failed, until Rebuild().
  int rebuild_attempts = 3;
  std::chrono::milliseconds rebuild_delay{std::chrono::seconds(1)};
  std::chrono::milliseconds rebuild_forgotten{std::chrono::hours(1)};

  // Receives what a person should know, such as why a view is built again. Called
  // from any thread. Null = dropped. `level` is "info", "warning" or "error".
  std::function<void(std::string_view level, std::string_view message)> log;
};

// Owns the views and one thread for each, and one that saves them. Thread-safe.
class ViewHost {
 public:
  // `read_view` gives the newest ReadView (for bootstraps).
  ViewHost(storage::Store& store, std::function<ReadView()> read_view, ViewHostOptions options);
  // Stops all threads.
  ~ViewHost();
  ViewHost(const ViewHost&) = delete;
  ViewHost& operator=(const ViewHost&) = delete;

  // REQUIRES: before Start(). Returns the view for its readers to use.
  template <typename T>
  T* Add(std::unique_ptr<T> view) {
    T* raw = view.get();
    AddView(std::move(view));
    return raw;
  }

  // Begins to load or build all views.
  absl::Status Start();
  // Stops following the log and saves what changed; readers fall back to the store.
  // Idempotent.
  void Stop();

  // True when the view is ready and shows `commit`; waits for that until
  // `deadline`. False when the deadline passes or the view is building or failed:
  // then answer from the store.
  bool WaitVisible(const View* view, uint64_t commit, CallContext::Clock::time_point deadline);
  // The same for all views, for writers that asked to wait.
  bool WaitAllVisible(uint64_t commit, CallContext::Clock::time_point deadline);

  // Makes a writer wait while some ready view lags too far or has no room
  // (View::HasRoom, which is passed `bulk`). OK, or DEADLINE_EXCEEDED / CANCELLED
  // of `context`.
  absl::Status WaitForRoom(const CallContext& context, bool bulk = false);

  // Tells the host how many bytes of change a commit carried (called on publish).
  void OnPublish(uint64_t commit, int64_t bytes);

  // Drops a view and what it has saved, and builds it again. Returns at once;
  // VIEW_NOT_FOUND.
  absl::Status Rebuild(std::string_view name);
  // Waits until the view is ready or failed.
  absl::Status WaitBuilt(std::string_view name, const CallContext& context);

  std::vector<ViewStatus> Status() const;

 private:
  struct Slot;
  void AddView(std::unique_ptr<View> view);
  void Run(Slot* slot);
  void Say(std::string_view level, const std::string& message) const;

  storage::Store& store_;
  const std::function<ReadView()> read_view_;
  const ViewHostOptions options_;
  // Before the slots, whose threads use it.
  ViewSaver saver_;
  std::vector<std::unique_ptr<Slot>> slots_;
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VIEW_VIEW_HOST_H_
