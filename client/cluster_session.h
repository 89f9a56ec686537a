// How far a client of several servers has seen.
#ifndef COOKIX_CLIENT_CLUSTER_SESSION_H_
#define COOKIX_CLIENT_CLUSTER_SESSION_H_

#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "storage/position.h"

namespace cookix::client {

// Whether `a` comes after `b` in a history of one store: epochs follow each other, and each goes
// on where the one before ended.
bool IsLater(const storage::Position& a, const storage::Position& b);

// The latest position in the answers that a client got. Thread-safe.
class ClusterSession {
 public:
  // Keeps the position if it is later. Positions of another store are passed over. INVALID_ARGUMENT
  // when it is none.
  absl::Status Observe(std::string_view token);

  // Empty as long as nothing was seen.
  std::string token() const;
  storage::Position position() const;

  // Begins anew if `token` still is what was seen: false otherwise.
  bool Forget(std::string_view token);

 private:
  mutable std::mutex mutex_;
  std::string token_;             // guarded by mutex_
  storage::Position position_{};  // guarded by mutex_
};

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_CLUSTER_SESSION_H_
