// Turns the project's errors into what gRPC sends.
#ifndef COOKIX_SERVER_RPC_STATUS_H_
#define COOKIX_SERVER_RPC_STATUS_H_

#include <grpcpp/support/status.h>

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

namespace cookix::server {

// The gRPC status of `status`, with a google.rpc.Status in its details that holds
// one ErrorInfo (reason, domain "cookix", metadata field, remedy, retryable) and,
// when a repeat can help, one RetryInfo. What went wrong inside the server
// (INTERNAL, UNKNOWN, DATA_LOSS, failures of the disk) stays in the server's log:
// the caller gets a general message and `request_id` to ask about.
// `retry_after_ms` 0 = 100 for errors that are retryable.
grpc::Status ToGrpcStatus(const absl::Status& status, std::string_view request_id,
                          int64_t retry_after_ms = 0);

// "OK", "INVALID_ARGUMENT" and so on, for labels and logs.
std::string_view CodeName(grpc::StatusCode code);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_STATUS_H_
