// Memory that searches of a thread use one after the other.
#ifndef COOKIX_ENGINE_TEXT_THREAD_SCRATCH_H_
#define COOKIX_ENGINE_TEXT_THREAD_SCRATCH_H_

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace cookix::engine {

// A T of the thread's own until the end of the scope: one that was used before, as that left
// it, or a new one. By one thread.
template <typename T>
class ThreadScratch {
 public:
  ThreadScratch() {
    std::vector<std::unique_ptr<T>>& idle = Idle();
    if (idle.empty()) {
      held_ = std::make_unique<T>();
      return;
    }
    held_ = std::move(idle.back());
    idle.pop_back();
  }
  ~ThreadScratch() {
    if (Idle().size() < kKept) Idle().push_back(std::move(held_));
  }
  ThreadScratch(const ThreadScratch&) = delete;
  ThreadScratch& operator=(const ThreadScratch&) = delete;

  T* get() { return held_.get(); }
  T* operator->() { return held_.get(); }

 private:
  static constexpr size_t kKept = 4;
  static std::vector<std::unique_ptr<T>>& Idle() {
    thread_local std::vector<std::unique_ptr<T>> idle;
    return idle;
  }

  std::unique_ptr<T> held_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_THREAD_SCRATCH_H_
