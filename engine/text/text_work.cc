#include "engine/text/text_work.h"

#include <algorithm>
#include <utility>

namespace cookix::engine {

TextWorkers::TextWorkers(int threads, std::chrono::milliseconds quiet) : quiet_(quiet) {
  const int count =
      threads > 0 ? threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  for (int i = 0; i < count; ++i) threads_.emplace_back([this] { Run(); });
}

TextWorkers::~TextWorkers() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void TextWorkers::Queue(const TextEntryPtr& entry) {
  TextEntryPtr rested;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ++added_;
    rested = WakeLocked(entry.get());
    if (!entry->queued_) {
      entry->queued_ = true;
      work_.push_back(entry);
    }
  }
  wake_.notify_all();
}

void TextWorkers::QueueIfFilled(const TextEntryPtr& entry) {
  const uint64_t filled = entry->texts().filled_buffers();
  if (std::exchange(entry->told_, filled) != filled) Queue(entry);
}

TextEntryPtr TextWorkers::WakeLocked(const TextEntry* entry) {
  const auto found = std::find_if(resting_.begin(), resting_.end(),
                                  [&](const Resting& each) { return each.entry.get() == entry; });
  if (found == resting_.end()) return nullptr;
  TextEntryPtr woken = std::move(found->entry);
  resting_.erase(found);
  return woken;
}

void TextWorkers::Remove(const TextEntry* entry) {
  // What only the queues hold is freed outside the lock.
  std::deque<TextEntryPtr> removed;
  std::deque<Resting> rested;
  std::lock_guard<std::mutex> lock(mutex_);
  ++removals_;
  for (size_t i = work_.size(); i > 0; --i) {
    TextEntryPtr each = std::move(work_.front());
    work_.pop_front();
    if (entry == nullptr || each.get() == entry) {
      each->queued_ = false;
      removed.push_back(std::move(each));
    } else {
      work_.push_back(std::move(each));
    }
  }
  if (entry == nullptr) {
    rested.swap(resting_);
  } else {
    removed.push_back(WakeLocked(entry));
  }
}

size_t TextWorkers::Backlog() const {
  std::lock_guard<std::mutex> lock(mutex_);
  size_t backlog = 0;
  for (const TextEntryPtr& entry : work_) {
    if (entry->published.load()) backlog += entry->texts().backlog();
  }
  return backlog;
}

void TextWorkers::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopping_) {
    if (!work_.empty()) {
      WorkLocked(&lock);
    } else if (resting_.empty()) {
      wake_.wait(lock);
    } else if (const auto until = resting_.front().until; Clock::now() < until) {
      wake_.wait_until(lock, until);
    } else {
      TidyLocked(&lock);
    }
  }
}

void TextWorkers::WorkLocked(std::unique_lock<std::mutex>* lock) {
  TextEntryPtr entry = work_.front();
  const uint64_t seen = added_;
  lock->unlock();
  const bool worked = entry->texts().WorkSome();
  if (worked) entry->CountMemory();
  lock->lock();
  const bool first = !work_.empty() && work_.front() == entry;
  if (worked) {
    // Others get their turn.
    if (first && work_.size() > 1) {
      work_.pop_front();
      work_.push_back(entry);
    }
  } else if (added_ == seen && first) {
    // Nothing was added since it was found to have no work.
    work_.pop_front();
    entry->queued_ = false;
    resting_.push_back({entry, Clock::now() + quiet_});
    // Who waits without an end must learn of this one.
    wake_.notify_one();
  }
  lock->unlock();
  entry.reset();
  lock->lock();
}

// One step; as long as there is more to do, the next follows at once.
void TextWorkers::TidyLocked(std::unique_lock<std::mutex>* lock) {
  TextEntryPtr entry = std::move(resting_.front().entry);
  resting_.pop_front();
  const uint64_t removals = removals_;
  lock->unlock();
  const bool tidied = entry->texts().TidySome();
  if (tidied) entry->CountMemory();
  lock->lock();
  // Not if it was removed meanwhile, perhaps, or has work, or rests again after it had.
  const bool resting = std::any_of(resting_.begin(), resting_.end(),
                                   [&](const Resting& each) { return each.entry == entry; });
  if (tidied && removals_ == removals && !entry->queued_ && !resting) {
    resting_.push_front({entry, Clock::now()});
  }
  lock->unlock();
  entry.reset();
  lock->lock();
}

}  // namespace cookix::engine
