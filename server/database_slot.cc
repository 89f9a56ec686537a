#include "server/database_slot.h"

#include <chrono>
#include <utility>

#include "storage/base/status.h"

namespace cookix::server {
namespace {

// How often those who hold a database that is to be closed are hurried.
constexpr std::chrono::milliseconds kHurry{50};

}  // namespace

DatabaseSlot::~DatabaseSlot() {
  Close([] {});
}

DatabaseHandle DatabaseSlot::Get() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return handle_;
}

absl::StatusOr<DatabaseHandle> DatabaseSlot::Acquire() const {
  if (DatabaseHandle handle = Get(); handle != nullptr) return handle;
  return MakeError(absl::StatusCode::kUnavailable,
                   "The server is a replica and still receives its copy of the store",
                   {"SEEDING", "",
                    "Try again later, or call another server; the log of this one says what it "
                    "waits for.",
                    true});
}

void DatabaseSlot::Set(std::unique_ptr<engine::Database> database) {
  const std::lock_guard<std::mutex> lock(mutex_);
  database_ = std::move(database);
  {
    const std::lock_guard<std::mutex> users_lock(users_->mutex);
    users_->any = true;
  }
  handle_ = DatabaseHandle(database_.get(), [users = users_](engine::Database*) {
    const std::lock_guard<std::mutex> users_lock(users->mutex);
    users->any = false;
    users->gone.notify_all();
  });
}

void DatabaseSlot::Close(const std::function<void()>& hurry) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    handle_.reset();
  }
  {
    std::unique_lock<std::mutex> lock(users_->mutex);
    while (users_->any) {
      lock.unlock();
      hurry();
      lock.lock();
      users_->gone.wait_for(lock, kHurry, [this] { return !users_->any; });
    }
  }
  database_.reset();
}

}  // namespace cookix::server
