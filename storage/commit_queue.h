// Lets callers that wait together be served together, by one of them.
//
// The first caller in the queue leads: it serves everybody who is waiting, on its
// own thread, while the others sleep. Who comes meanwhile waits for the next
// leader. So one sync of the log serves a whole group, without a thread for it.
#ifndef COOKIX_STORAGE_COMMIT_QUEUE_H_
#define COOKIX_STORAGE_COMMIT_QUEUE_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <vector>

#include "absl/functional/function_ref.h"

namespace cookix::storage {

// Thread-safe.
class CommitQueue {
 public:
  // What waits. Derive from it; lives on the caller's stack.
  class Waiter {
   public:
    Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

   protected:
    ~Waiter() = default;

   private:
    friend class CommitQueue;
    bool done_ = false;
    std::condition_variable wake_;
  };

  // Serves some waiters, at least the first, and returns how many, counted from
  // the front. Never runs in two threads at a time.
  using Lead = absl::FunctionRef<size_t(const std::vector<Waiter*>& waiting)>;

  // Returns when `waiter` has been served, by `lead` on this thread or on
  // another's.
  void Submit(Waiter* waiter, Lead lead);

  // Runs `work` while nobody leads. Goes before waiting callers.
  void RunExclusive(absl::FunctionRef<void()> work);

 private:
  // REQUIRES: mutex_ is held and busy_ is false.
  void WakeNext();

  std::mutex mutex_;
  std::condition_variable exclusive_wake_;
  std::deque<Waiter*> queue_;
  int exclusive_waiting_ = 0;
  bool busy_ = false;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_COMMIT_QUEUE_H_
