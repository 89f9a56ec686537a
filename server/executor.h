// Threads for work that must not hold up the network.
#ifndef COOKIX_SERVER_EXECUTOR_H_
#define COOKIX_SERVER_EXECUTOR_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace cookix::server {

// A fixed number of threads and a bounded queue. Thread-safe.
class Executor {
 public:
  // At most `max_queued` tasks wait for a thread.
  Executor(int threads, size_t max_queued);
  // Runs what is queued, then stops.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Queues a task. False when the queue is full: nothing happens then.
  [[nodiscard]] bool Submit(std::function<void()> task);

  size_t queued() const;

 private:
  void Run();

  const size_t max_queued_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_EXECUTOR_H_
