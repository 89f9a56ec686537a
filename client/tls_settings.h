// What one side of a connection shows and expects: the settings of TLS, read from wherever.
#ifndef COOKIX_CLIENT_TLS_SETTINGS_H_
#define COOKIX_CLIENT_TLS_SETTINGS_H_

#include <memory>
#include <string>

#include "grpcpp/security/credentials.h"

namespace cookix::client {

struct TlsSettings {
  // False = plain text; the rest does not matter then.
  bool on = false;
  // PEM of the authorities; empty = those of the system.
  std::string ca_pem;
  // mTLS: PEM of the certificate chain and its key; empty = none.
  std::string certificate_pem;
  std::string key_pem;
  // Name expected in the server's certificate; empty = the host that is called.
  std::string server_name;
};

// For a channel. The name goes into the channel's arguments, see
// grpc::ChannelArguments::SetSslTargetNameOverride().
inline std::shared_ptr<grpc::ChannelCredentials> ToCredentials(const TlsSettings& tls) {
  if (!tls.on) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions ssl;
  ssl.pem_root_certs = tls.ca_pem;
  ssl.pem_cert_chain = tls.certificate_pem;
  ssl.pem_private_key = tls.key_pem;
  return grpc::SslCredentials(ssl);
}

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_TLS_SETTINGS_H_
