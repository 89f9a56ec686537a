// What this server shows, and expects of, those that it calls: other servers and etcd.
#ifndef COOKIX_SERVER_CHANNEL_CREDENTIALS_H_
#define COOKIX_SERVER_CHANNEL_CREDENTIALS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "client/tls_settings.h"

namespace cookix::server {

// The settings are named `settings` with "_ca", "_cert" and "_key" after it, such as
// "etcd_tls_ca". `ca`: authorities in PEM, or "system"; empty = no TLS. `cert` and `key`: chain
// and private key in PEM, for mTLS; empty = none. INVALID_ARGUMENT naming the setting whose file
// cannot be read or is empty.
absl::StatusOr<client::TlsSettings> ReadTlsSettings(std::string_view settings,
                                                    const std::string& ca, const std::string& cert,
                                                    const std::string& key);

// The first line of the file that `setting` names: a key or a password. Errors as above.
absl::StatusOr<std::string> ReadFirstLine(std::string_view setting, const std::string& path);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_CHANNEL_CREDENTIALS_H_
