// Why TLS with a server fails. gRPC says that a certificate was not good, or only that the
// connection was closed; people have to know which one, and what is wrong with it.
#ifndef COOKIX_CLIENT_TLS_DIAGNOSIS_H_
#define COOKIX_CLIENT_TLS_DIAGNOSIS_H_

#include <chrono>
#include <mutex>
#include <string>
#include <string_view>

#include "client/tls_settings.h"

namespace cookix::client {

// Of one server. Thread-safe.
class TlsDiagnosis {
 public:
  // `target`: host:port. Of any other target there is nothing to say.
  TlsDiagnosis(std::string target, TlsSettings settings);

  const std::string& target() const { return target_; }

  // A sentence without its end, such as "its certificate (CN = db1) expired on Jan 2 00:00:00 2020
  // GMT"; empty when a handshake like gRPC's works, or when there is no telling. Makes a
  // connection that carries nothing but the handshake; takes at most half a second for each
  // address of the host. Within a second it answers as before without a connection.
  std::string Explain();

 private:
  const std::string target_;
  const TlsSettings settings_;
  std::mutex mutex_;
  std::string last_;                                 // guarded by mutex_
  std::chrono::steady_clock::time_point next_look_;  // guarded by mutex_
};

// Whether gRPC says that a connection came to its end in a handshake, or may have.
bool MayBeTls(std::string_view message);

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_TLS_DIAGNOSIS_H_
