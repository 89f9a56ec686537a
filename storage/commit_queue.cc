#include "storage/commit_queue.h"

namespace cookix::storage {

void CommitQueue::Submit(Waiter* waiter, Lead lead) {
  std::unique_lock lock(mutex_);
  queue_.push_back(waiter);
  waiter->wake_.wait(lock, [&] {
    return waiter->done_ || (!busy_ && exclusive_waiting_ == 0 && queue_.front() == waiter);
  });
  if (waiter->done_) return;
  busy_ = true;
  const std::vector<Waiter*> waiting(queue_.begin(), queue_.end());
  lock.unlock();
  const size_t served = lead(waiting);
  lock.lock();
  busy_ = false;
  for (size_t i = 0; i < served; ++i) {
    queue_.front()->done_ = true;
    // Under the lock: the waiter is gone as soon as it sees that it is done.
    if (queue_.front() != waiter) queue_.front()->wake_.notify_one();
    queue_.pop_front();
  }
  WakeNext();
}

void CommitQueue::RunExclusive(absl::FunctionRef<void()> work) {
  std::unique_lock lock(mutex_);
  ++exclusive_waiting_;
  exclusive_wake_.wait(lock, [&] { return !busy_; });
  --exclusive_waiting_;
  busy_ = true;
  lock.unlock();
  work();
  lock.lock();
  busy_ = false;
  WakeNext();
}

void CommitQueue::WakeNext() {
  if (exclusive_waiting_ > 0) {
    exclusive_wake_.notify_one();
  } else if (!queue_.empty()) {
    queue_.front()->wake_.notify_one();
  }
}

}  // namespace cookix::storage
