// How a replica speaks with the server that it follows. Over gRPC in the daemon
// (grpc_primary_link.h), scripted in tests.
#ifndef COOKIX_SERVER_REPLICATION_PRIMARY_LINK_H_
#define COOKIX_SERVER_REPLICATION_PRIMARY_LINK_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/internal/v1/replication.pb.h"

namespace cookix::server {

// One stream of commits. One thread at a time.
class FollowStream {
 public:
  virtual ~FollowStream() = default;
  // The next message; waits for at most `timeout`. UNAVAILABLE when none came or the
  // connection is lost, CANCELLED after PrimaryLink::Cancel(), and the errors of the server.
  virtual absl::Status Read(std::chrono::milliseconds timeout,
                            internal::v1::FollowResponse* response) = 0;
  // Sends without waiting for the other side. What cannot be sent is told by Read().
  virtual void Send(const internal::v1::FollowRequest& request) = 0;
};

// A connection. One thread at a time, but for Cancel().
class PrimaryLink {
 public:
  virtual ~PrimaryLink() = default;

  virtual absl::Status Introduce(const internal::v1::IntroduceRequest& request,
                                 internal::v1::IntroduceResponse* response) = 0;
  // Sends `hello` first. Must be gone before the link.
  virtual absl::StatusOr<std::unique_ptr<FollowStream>> Follow(
      const internal::v1::FollowRequest& hello) = 0;
  virtual absl::Status BeginCopy(const internal::v1::BeginCopyRequest& request,
                                 internal::v1::BeginCopyResponse* response) = 0;
  // Calls `take` for every piece until it returns an error, which is returned.
  virtual absl::Status ReadCopy(
      const internal::v1::ReadCopyRequest& request,
      absl::FunctionRef<absl::Status(const internal::v1::ReadCopyResponse&)> take) = 0;
  virtual absl::Status EndCopy(const internal::v1::EndCopyRequest& request) = 0;

  // Makes what is under way, and every later call, end soon with CANCELLED. From any thread.
  virtual void Cancel() = 0;
};

// Connects to host:port, lazily. INVALID_ARGUMENT when the address or the settings cannot work.
using LinkFactory =
    std::function<absl::StatusOr<std::unique_ptr<PrimaryLink>>(const std::string& address)>;

}  // namespace cookix::server

#endif  // COOKIX_SERVER_REPLICATION_PRIMARY_LINK_H_
