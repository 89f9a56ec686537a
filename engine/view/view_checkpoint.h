// Saves views beside the store and brings them back.
#ifndef COOKIX_ENGINE_VIEW_VIEW_CHECKPOINT_H_
#define COOKIX_ENGINE_VIEW_VIEW_CHECKPOINT_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/view/view.h"
#include "storage/position.h"
#include "storage/store.h"

namespace cookix::engine {

// A thread that saves views, one at a time. Thread-safe.
class ViewSaver {
 public:
  using Clock = std::chrono::steady_clock;
  // Called on the saver's thread when the save is over and the ViewSave is gone.
  using Done = std::function<void(const absl::Status& status, Clock::duration took)>;

  explicit ViewSaver(storage::Store& store) : store_(store) {}
  // Waits for the save under way.
  ~ViewSaver();

  // Takes the thread for a save; false while another one has it. Start() or
  // Release() must follow.
  bool Reserve();
  void Release();
  // REQUIRES: reserved. `view` gives name and version.
  void Start(const View* view, const storage::Position& position, std::unique_ptr<ViewSave> save,
             Done done);
  // Returns when no save of `view` is under way. With `cancel`, stops it.
  void Wait(const View* view, bool cancel);

 private:
  void Run();

  storage::Store& store_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool reserved_ = false;
  bool stopping_ = false;
  // The save under way; no view when there is none.
  const View* view_ = nullptr;
  storage::Position position_;
  std::unique_ptr<ViewSave> save_;
  Done done_;
  std::atomic<bool> cancelled_{false};
  // Begins with the first save.
  std::thread thread_;
};

struct ViewCheckpointOptions {
  bool enabled = true;
  // A view is saved again after so many bytes of log, or after so long if anything
  // changed.
  int64_t bytes = 256 << 20;
  std::chrono::milliseconds interval{std::chrono::minutes(5)};
  // After a failure it is tried again after so long.
  std::chrono::milliseconds retry{std::chrono::minutes(1)};
  // See ViewHostOptions::log.
  std::function<void(std::string_view level, std::string_view message)> log;
};

struct ViewCheckpointStatus {
  // Commit of the saved state; 0 when there is none.
  uint64_t commit = 0;
  // Why the last attempt failed; empty when it did not.
  std::string error;
};

// Decides when one view is saved, and does it. All methods but Status() are for the
// thread of the view.
class ViewCheckpoint {
 public:
  // All must outlive it.
  ViewCheckpoint(storage::Store& store, View& view, ViewSaver& saver,
                 ViewCheckpointOptions options);

  // Loads what was saved and gives the position that the view now has. Nothing when
  // nothing was saved or it cannot be used, which is said: then the view is to be
  // dropped and built.
  std::optional<storage::Position> Load(const ReadView& newest, BootstrapMonitor& monitor);
  // What was loaded turned out to be of no use.
  void Reject(const absl::Status& why);
  // The view was built without it, so it is worth saving.
  void Built();

  // After each commit.
  void Applied(const storage::LogCommit& commit) {
    bytes_ += static_cast<int64_t>(commit.batch.size());
  }
  // Begins to save the state, which is that of `position`, when it is time to.
  void SaveIfDue(const storage::Position& position);
  // Saves it on this thread unless it is saved already.
  void SaveNow(const storage::Position& position);
  // Stops a save under way. Before every Drop().
  void Cancel();
  // Removes what was saved. REQUIRES: no save is under way.
  void Delete();

  ViewCheckpointStatus Status() const;

 private:
  using Clock = ViewSaver::Clock;

  bool saves() const { return options_.enabled && view_.checkpoint_version() != 0; }
  absl::StatusOr<storage::Position> DoLoad(const ReadView& newest, BootstrapMonitor& monitor,
                                           bool* found);
  void Finished(const storage::Position& position, const absl::Status& status,
                Clock::duration took);
  void Say(std::string_view level, const std::string& message) const;

  storage::Store& store_;
  View& view_;
  ViewSaver& saver_;
  const ViewCheckpointOptions options_;

  // Of log, since the last save began.
  int64_t bytes_ = 0;
  Clock::time_point last_begun_;
  storage::Position under_way_;
  // To be saved whatever else.
  bool wanted_ = true;

  mutable std::mutex mutex_;
  // The rest is guarded by it.
  bool is_under_way_ = false;
  // There is a file that can be loaded, of the position `saved_`.
  bool has_file_ = false;
  storage::Position saved_;
  std::string error_;
  Clock::time_point not_before_;
};

// Runs a method of a view and turns what libraries throw into an error.
absl::Status Contained(const std::function<absl::Status()>& run);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VIEW_VIEW_CHECKPOINT_H_
