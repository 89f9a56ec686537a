// The server's TLS, with certificates that may change while it runs.
#ifndef COOKIX_SERVER_TLS_H_
#define COOKIX_SERVER_TLS_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "absl/status/statusor.h"
#include "server/config.h"

namespace cookix::server {

// Plaintext credentials when no certificate is set. With one, TLS from files that
// are read again when they change; with a client authority, clients must present
// a certificate of it. Errors: FAILED_PRECONDITION naming the setting whose file
// is missing or not PEM.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeCredentials(const Config& config);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_TLS_H_
