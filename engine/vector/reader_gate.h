// Lets one thread wait until every reader that may still see something has left.
#ifndef COOKIX_ENGINE_VECTOR_READER_GATE_H_
#define COOKIX_ENGINE_VECTOR_READER_GATE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>

namespace cookix::engine {

// Readers enter and leave without waiting. Thread-safe.
class ReaderGate {
 public:
  // Leaves when it goes.
  class Visit {
   public:
    explicit Visit(std::atomic<int64_t>* inside) : inside_(inside) {}
    Visit(Visit&& other) noexcept : inside_(std::exchange(other.inside_, nullptr)) {}
    Visit& operator=(Visit&&) = delete;
    ~Visit() {
      if (inside_ != nullptr) inside_->fetch_sub(1);
    }

   private:
    std::atomic<int64_t>* inside_;
  };

  Visit Enter() {
    while (true) {
      const uint64_t turn = turn_.load();
      std::atomic<int64_t>& inside = inside_[turn & 1];
      inside.fetch_add(1);
      // Whoever waits may have turned in between: then it did not wait for this reader.
      if (turn_.load() == turn) return Visit(&inside);
      inside.fetch_sub(1);
    }
  }

  // Returns when every reader that entered before has left. Not from inside.
  void Wait() {
    std::lock_guard<std::mutex> lock(mutex_);
    const uint64_t turn = turn_.fetch_add(1);
    while (inside_[turn & 1].load() != 0) std::this_thread::yield();
  }

 private:
  std::atomic<uint64_t> turn_{0};
  std::array<std::atomic<int64_t>, 2> inside_{};
  std::mutex mutex_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_READER_GATE_H_
