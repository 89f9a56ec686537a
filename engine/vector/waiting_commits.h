// Which commits the vectors came with that wait to be linked into their index.
#ifndef COOKIX_ENGINE_VECTOR_WAITING_COMMITS_H_
#define COOKIX_ENGINE_VECTOR_WAITING_COMMITS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>

namespace cookix::engine {

// An index links vectors in the order in which they came, but for the few that its threads
// have in hand, so how many wait says which. Thread-safe.
class WaitingCommits {
 public:
  // `commit`, the newest, has added `count` vectors; after that `waiting` of all wait.
  void Added(uint64_t commit, size_t count, size_t waiting) {
    std::lock_guard<std::mutex> lock(mutex_);
    added_ += count;
    marks_.push_back({commit, added_});
    Forget(waiting);
  }

  // The commit of the first of the `waiting` vectors; 0 when none waits.
  uint64_t Oldest(size_t waiting) {
    std::lock_guard<std::mutex> lock(mutex_);
    Forget(waiting);
    return marks_.empty() ? 0 : marks_.front().commit;
  }

 private:
  struct Mark {
    uint64_t commit;
    uint64_t added;  // with this commit
  };

  void Forget(size_t waiting) {
    if (waiting == 0) marks_.clear();
    while (!marks_.empty() && marks_.front().added + waiting <= added_) marks_.pop_front();
  }

  std::mutex mutex_;
  std::deque<Mark> marks_;  // guarded by mutex_
  uint64_t added_ = 0;      // guarded by mutex_
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_WAITING_COMMITS_H_
