// Whether the server takes calls, and who wants to know when that changes.
#ifndef COOKIX_SERVER_HEALTH_STATE_H_
#define COOKIX_SERVER_HEALTH_STATE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

namespace cookix::server {

// Thread-safe.
class HealthState {
 public:
  using Watcher = std::function<void(bool serving)>;

  bool serving() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return serving_;
  }

  void SetServing(bool serving) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (serving == serving_) return;
    serving_ = serving;
    for (const auto& [id, watcher] : watchers_) watcher(serving);
  }

  // Calls `watcher` now and at each change, one call at a time, until it is
  // removed. It must be quick and must not call back.
  int64_t Add(Watcher watcher) {
    std::lock_guard<std::mutex> lock(mutex_);
    watcher(serving_);
    watchers_.emplace(next_id_, std::move(watcher));
    return next_id_++;
  }

  // When this returns the watcher is not running and will not be called again.
  void Remove(int64_t id) {
    std::lock_guard<std::mutex> lock(mutex_);
    watchers_.erase(id);
  }

 private:
  mutable std::mutex mutex_;
  bool serving_ = false;                 // guarded by mutex_
  int64_t next_id_ = 1;                  // guarded by mutex_
  std::map<int64_t, Watcher> watchers_;  // guarded by mutex_
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_HEALTH_STATE_H_
