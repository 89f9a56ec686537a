#ifndef COOKIX_SERVER_VERSION_H_
#define COOKIX_SERVER_VERSION_H_

namespace cookix::server {

// The version of the daemon.
inline constexpr char kVersion[] = "0.1.0";

}  // namespace cookix::server

#endif  // COOKIX_SERVER_VERSION_H_
