#include "server/tls.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

// gRPC reports bad files only in its own log, and at each handshake.
absl::Status CheckPem(std::string_view setting, const std::string& path, std::string_view what) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.is_open() || file.bad()) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     absl::StrCat("The file ", path, " cannot be read"),
                     {"INVALID_FIELD", std::string(setting),
                      "Name a file that exists and that the server may read.", false});
  }
  const size_t begin = text.find("-----BEGIN ");
  if (begin == std::string::npos ||
      text.find(std::string(what) + "-----", begin) == std::string::npos) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     absl::StrCat("The file ", path, " has no ", ToAbsl(what), " in PEM"),
                     {"INVALID_FIELD", std::string(setting), "Convert it to PEM.", false});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeCredentials(const Config& config) {
  if (config.tls_cert.empty()) return grpc::InsecureServerCredentials();
  COOKIX_RETURN_IF_ERROR(CheckPem("tls_cert", config.tls_cert, "CERTIFICATE"));
  COOKIX_RETURN_IF_ERROR(CheckPem("tls_key", config.tls_key, "PRIVATE KEY"));
  const bool mutual = !config.tls_client_ca.empty();
  if (mutual) {
    COOKIX_RETURN_IF_ERROR(CheckPem("tls_client_ca", config.tls_client_ca, "CERTIFICATE"));
  }
  auto provider = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      config.tls_key, config.tls_cert, config.tls_client_ca,
      static_cast<unsigned>(config.tls_reload_seconds));
  grpc::experimental::TlsServerCredentialsOptions options(provider);
  options.watch_identity_key_cert_pairs();
  if (mutual) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  } else {
    options.set_cert_request_type(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  }
  std::shared_ptr<grpc::ServerCredentials> credentials =
      grpc::experimental::TlsServerCredentials(options);
  if (credentials == nullptr) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "TLS could not be set up",
                     {"INVALID_FIELD", "tls_cert", "Check certificate and key.", false});
  }
  return credentials;
}

}  // namespace cookix::server
