// The threads that seal and merge the segments of text indexes. Where no buffer has become full
// for a while, they also merge what need not be (TextIndex::TidySome).
#ifndef COOKIX_ENGINE_TEXT_TEXT_WORK_H_
#define COOKIX_ENGINE_TEXT_TEXT_WORK_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/text/text_collection.h"

namespace cookix::engine {

// An index with what its view keeps of it.
class TextEntry {
 public:
  // `memory` counts the bytes of all entries and outlives them.
  TextEntry(std::shared_ptr<TextCollection> texts, std::atomic<int64_t>& memory)
      : texts_(std::move(texts)), memory_(memory) {}
  ~TextEntry() { memory_ -= counted_.load(); }
  TextEntry(const TextEntry&) = delete;
  TextEntry& operator=(const TextEntry&) = delete;

  TextCollection& texts() const { return *texts_; }
  const std::shared_ptr<TextCollection>& shared_texts() const { return texts_; }

  // Brings the bytes counted up to date.
  void CountMemory() {
    const int64_t now = texts_->MemoryBytes();
    memory_ += now - counted_.exchange(now);
  }

  // Of all entries together.
  int64_t memory_of_all() const { return memory_.load(); }

  // Commits up to here are in already. The writer's.
  uint64_t filled_to = 0;
  // Searches see it, so that writers wait for it.
  std::atomic<bool> published{false};

 private:
  friend class TextWorkers;
  const std::shared_ptr<TextCollection> texts_;
  std::atomic<int64_t>& memory_;
  std::atomic<int64_t> counted_{0};
  bool queued_ = false;  // guarded by TextWorkers::mutex_
  // Full buffers that the workers were told of. The writer's.
  uint64_t told_ = 0;
};
using TextEntryPtr = std::shared_ptr<TextEntry>;

// Thread-safe.
class TextWorkers {
 public:
  // 0 = a thread for each processor. `quiet`: how long an index rests before it is tidied.
  TextWorkers(int threads, std::chrono::milliseconds quiet);
  ~TextWorkers();

  // There may be work to do for the entry.
  void Queue(const TextEntryPtr& entry);
  // The same, if a buffer has become full since the last time.
  void QueueIfFilled(const TextEntryPtr& entry);
  // Forgets entries that nobody needs any more; null = all.
  void Remove(const TextEntry* entry);
  // Documents in published indexes that wait to be put into segments.
  size_t Backlog() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Resting {
    TextEntryPtr entry;
    Clock::time_point until;
  };

  void Run();
  // Held by `lock` before and after.
  void WorkLocked(std::unique_lock<std::mutex>* lock);
  void TidyLocked(std::unique_lock<std::mutex>* lock);
  // What only `resting_` holds is freed by the caller.
  TextEntryPtr WakeLocked(const TextEntry* entry);

  const std::chrono::milliseconds quiet_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<TextEntryPtr> work_;  // guarded by mutex_
  // Without work, the first to be tidied in front. Guarded by mutex_.
  std::deque<Resting> resting_;
  uint64_t added_ = 0;     // guarded by mutex_
  uint64_t removals_ = 0;  // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_WORK_H_
