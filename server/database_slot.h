// The database that the server serves, and none while it is being replaced: a replica that
// begins again with a copy closes the old one and opens the new one while the server runs.
#ifndef COOKIX_SERVER_DATABASE_SLOT_H_
#define COOKIX_SERVER_DATABASE_SLOT_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include "absl/status/statusor.h"
#include "engine/database.h"

namespace cookix::server {

// Keeps the database open while it lives. To be held for one piece of work, not while
// waiting for a client.
using DatabaseHandle = std::shared_ptr<engine::Database>;

// Thread-safe.
class DatabaseSlot {
 public:
  DatabaseSlot() = default;
  // Closes the database. Nobody may hold it then.
  ~DatabaseSlot();
  DatabaseSlot(const DatabaseSlot&) = delete;
  DatabaseSlot& operator=(const DatabaseSlot&) = delete;

  // Null when there is none.
  DatabaseHandle Get() const;
  // UNAVAILABLE SEEDING when there is none.
  absl::StatusOr<DatabaseHandle> Acquire() const;

  // REQUIRES: there is none.
  void Set(std::unique_ptr<engine::Database> database);

  // Hands the database out to nobody from now on, waits until those who hold it are done and
  // closes it. `hurry` is called again and again meanwhile, to stop them. OK when there is
  // none. One thread at a time.
  void Close(const std::function<void()>& hurry);

 private:
  // What handles share. Outlives the slot when a handle does.
  struct Users {
    std::mutex mutex;
    std::condition_variable gone;
    bool any = false;  // guarded by mutex
  };

  mutable std::mutex mutex_;
  std::unique_ptr<engine::Database> database_;
  DatabaseHandle handle_;  // guarded by mutex_; its deleter tells users_
  const std::shared_ptr<Users> users_ = std::make_shared<Users>();
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_DATABASE_SLOT_H_
