// The one place where errors of the wire become errors of the project.
#ifndef COOKIX_CLIENT_RPC_ERROR_H_
#define COOKIX_CLIENT_RPC_ERROR_H_

#include <string_view>

#include "absl/status/status.h"
#include "client/tls_diagnosis.h"
#include "grpcpp/support/status.h"

namespace cookix::client {

// Keeps code and message; reads the detail from the google.rpc.ErrorInfo in the
// trailing metadata. An UNAVAILABLE without one did not come from a CookiX
// server: it gets a message and a remedy that name `target`.
absl::Status FromRpcStatus(const grpc::Status& status, std::string_view target);

// The same, and what is wrong with TLS if that may be why the server cannot be reached.
absl::Status FromRpcStatus(const grpc::Status& status, TlsDiagnosis& server);

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_RPC_ERROR_H_
