#include "server/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

constexpr std::string_view kUnixScheme = "unix:";
// Room for a path in sockaddr_un, its end included.
constexpr size_t kMaxUnixPath = 107;

absl::Status BadAddress(std::string_view text, std::string_view setting) {
  return InvalidField(
      setting,
      absl::StrCat(ToAbsl(setting), ": \"", ToAbsl(text), "\" is not an address to listen on"),
      "Write host:port, such as 127.0.0.1:7625 or [::1]:7625.");
}

}  // namespace

bool ListenAddress::IsLocal() const {
  if (unix_socket || host == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) {
    if (IN6_IS_ADDR_V4MAPPED(&v6)) return v6.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&v6) != 0;
  }
  return false;
}

bool ListenAddress::IsWildcard() const {
  if (unix_socket) return false;
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return v4.s_addr == INADDR_ANY;
  in6_addr v6{};
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6) != 0;
}

std::string ListenAddress::ToString() const {
  if (unix_socket) return absl::StrCat(ToAbsl(kUnixScheme), host);
  const bool v6 = host.find(':') != std::string::npos;
  return absl::StrCat(v6 ? "[" : "", host, v6 ? "]:" : ":", port);
}

absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text, std::string_view setting,
                                                 bool allow_unix) {
  ListenAddress address;
  if (allow_unix && text.substr(0, kUnixScheme.size()) == kUnixScheme) {
    address.unix_socket = true;
    address.host = std::string(text.substr(kUnixScheme.size()));
    if (address.host.empty() || address.host.size() > kMaxUnixPath) {
      return BadAddress(text, setting);
    }
    return address;
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return BadAddress(text, setting);
  std::string_view host = text.substr(0, colon);
  if (host.front() == '[') {
    if (host.back() != ']') return BadAddress(text, setting);
    host = host.substr(1, host.size() - 2);
    in6_addr v6{};
    if (inet_pton(AF_INET6, std::string(host).c_str(), &v6) != 1) return BadAddress(text, setting);
  } else if (host.find_first_of(":[] ,/") != std::string_view::npos) {
    return BadAddress(text, setting);
  }
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size() ||
      address.port < 0 || address.port > 65'535) {
    return BadAddress(text, setting);
  }
  address.host = std::string(host);
  return address;
}

}  // namespace cookix::server
