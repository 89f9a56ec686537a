// A Coordinator in etcd: two keys under a prefix, "<prefix>/record" and "<prefix>/leader", the
// second with the leader's lease. Both hold JSON.
#ifndef COOKIX_SERVER_ELECTION_ETCD_COORDINATOR_H_
#define COOKIX_SERVER_ELECTION_ETCD_COORDINATOR_H_

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/election/coordinator.h"

namespace cookix::server {

struct EtcdOptions {
  // host:port of etcd's members, with commas between them. Asked in turn: the next one after a
  // failure.
  std::string endpoints;
  // Of the keys, without a slash at the end; one for each cluster.
  std::string prefix;
  // Authorities in PEM, or "system"; empty = no TLS.
  std::string tls_ca;
  // Certificate chain and private key in PEM, for mTLS.
  std::string tls_cert;
  std::string tls_key;
  // Needs TLS, for the password travels. Empty = none.
  std::string user;
  std::string password_file;
  // The longest that one call takes.
  std::chrono::milliseconds timeout{1'000};
};

// INVALID_ARGUMENT naming the setting when the options cannot work. Does not connect.
absl::StatusOr<std::unique_ptr<Coordinator>> NewEtcdCoordinator(EtcdOptions options);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_ELECTION_ETCD_COORDINATOR_H_
