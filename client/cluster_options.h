// Settings of the client of a primary and its replicas.
#ifndef COOKIX_CLIENT_CLUSTER_OPTIONS_H_
#define COOKIX_CLIENT_CLUSTER_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "client/client.h"

namespace cookix::client {

// Which servers answer reads.
enum class ReadFrom {
  // The primary and its replicas.
  kAll,
  // Replicas; the primary when none of them can.
  kReplicas,
  // The primary; a replica while there is none.
  kPrimary,
};

struct ClusterOptions {
  // host:port of servers, one at least. The others are learned from those that answer, by the
  // addresses that they tell others (`advertise_address`).
  std::vector<std::string> addresses;
  // For each server: key, TLS, deadline of each call over all its attempts. `target` is not used,
  // nor `retry.max_attempts`: `failover_ms` says how long calls are repeated. `server_name`
  // holds for all servers; leave it empty when they have certificates of their own.
  RemoteOptions remote = {.keepalive_ms = 12'000};
  ReadFrom read_from = ReadFrom::kAll;
  // Read your writes and monotonic reads; see cluster_client.h. Off: reads wait for the
  // `min_position` that they name.
  bool session = true;
  // How long a read waits on a replica for its position before the primary is asked,
  // milliseconds, 1 or more; ReadOptions.wait_ms when that is less.
  int64_t replica_wait_ms = 200;
  // How long a call looks for a server that takes it after the first failure, milliseconds, within
  // its deadline. 0 = a call fails with its first failure at every server.
  int64_t failover_ms = 15'000;
  // How often the servers are asked what they are, milliseconds, 1 or more. They are asked at
  // once, and then ever less often up to `remote.retry.max_backoff_ms`, while no primary is known.
  int64_t refresh_ms = 5'000;
  // How long that question may take, milliseconds, 1 or more.
  int64_t probe_timeout_ms = 1'000;
  // How long a server that failed, or was too far behind, is passed over for reads while others
  // answer, milliseconds.
  int64_t rest_ms = 1'000;
};

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_CLUSTER_OPTIONS_H_
