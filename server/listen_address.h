// Addresses that the daemon listens on, and who can reach them.
#ifndef COOKIX_SERVER_LISTEN_ADDRESS_H_
#define COOKIX_SERVER_LISTEN_ADDRESS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace cookix::server {

struct ListenAddress {
  // "unix:/path" when true; `host` is then the path.
  bool unix_socket = false;
  // Without brackets.
  std::string host;
  int port = 0;

  // True when only this machine can reach it. Names other than "localhost" are
  // not looked up and count as reachable from elsewhere.
  bool IsLocal() const;
  // True for the address that stands for all addresses of the machine.
  bool IsWildcard() const;
  // As gRPC and civetweb want it.
  std::string ToString() const;
};

// Takes host:port, [ipv6]:port and, when `allow_unix`, unix:/path. `setting`
// names the setting in errors (INVALID_ARGUMENT).
absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text, std::string_view setting,
                                                 bool allow_unix);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_LISTEN_ADDRESS_H_
