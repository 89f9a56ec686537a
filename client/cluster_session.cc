#include "client/cluster_session.h"

#include <tuple>

#include "storage/base/status.h"

namespace cookix::client {

bool IsLater(const storage::Position& a, const storage::Position& b) {
  return std::tie(a.epoch, a.commit) > std::tie(b.epoch, b.commit);
}

absl::Status ClusterSession::Observe(std::string_view token) {
  if (token.empty()) return absl::OkStatus();
  COOKIX_ASSIGN_OR_RETURN(const storage::Position seen, storage::DecodePosition(token));
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!token_.empty() && (seen.store != position_.store || !IsLater(seen, position_))) {
    return absl::OkStatus();
  }
  token_ = token;
  position_ = seen;
  return absl::OkStatus();
}

std::string ClusterSession::token() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return token_;
}

storage::Position ClusterSession::position() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return position_;
}

bool ClusterSession::Forget(std::string_view token) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (token_ != token) return false;
  token_.clear();
  position_ = storage::Position();
  return true;
}

}  // namespace cookix::client
