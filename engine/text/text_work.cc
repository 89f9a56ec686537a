#include "engine/text/text_work.h"

#include <algorithm>
#include <utility>

namespace cookix::engine {

TextWorkers::TextWorkers(int threads) {
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
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ++added_;
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

void TextWorkers::Remove(const TextEntry* entry) {
  // What only the queue holds is freed outside the lock.
  std::deque<TextEntryPtr> removed;
  std::lock_guard<std::mutex> lock(mutex_);
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
    if (work_.empty()) {
      wake_.wait(lock);
      continue;
    }
    TextEntryPtr entry = work_.front();
    const uint64_t seen = added_;
    lock.unlock();
    const bool worked = entry->texts().WorkSome();
    if (worked) entry->CountMemory();
    lock.lock();
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
    }
    lock.unlock();
    entry.reset();
    lock.lock();
  }
}

}  // namespace cookix::engine
