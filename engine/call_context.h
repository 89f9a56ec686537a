// What the engine knows about the call it works for.
#ifndef COOKIX_ENGINE_CALL_CONTEXT_H_
#define COOKIX_ENGINE_CALL_CONTEXT_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace cookix::engine {

// Passed by reference down every call. The caller may cancel from any thread;
// everything else is set before the call and constant during it.
class CallContext {
 public:
  using Clock = std::chrono::steady_clock;

  // Without a deadline.
  CallContext() = default;
  explicit CallContext(Clock::time_point deadline) : deadline_(deadline) {}
  CallContext(const CallContext&) = delete;
  CallContext& operator=(const CallContext&) = delete;

  Clock::time_point deadline() const { return deadline_; }
  void set_deadline(Clock::time_point deadline) { deadline_ = deadline; }

  // Asks the call to stop soon. Thread-safe.
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

  // OK, CANCELLED (QUERY_CANCELLED) or DEADLINE_EXCEEDED (QUERY_TIMEOUT). Reads
  // the clock; long loops call it every few hundred steps.
  absl::Status Check() const;

  // Identifier of the call in the log. May be empty.
  std::string request_id;
  // Id of the caller's API key; empty when the server runs without keys or the
  // engine is embedded.
  std::string key_id;

 private:
  Clock::time_point deadline_ = Clock::time_point::max();
  std::atomic<bool> cancelled_{false};
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_CALL_CONTEXT_H_
