// What every handler works with.
#ifndef COOKIX_SERVER_ENVIRONMENT_H_
#define COOKIX_SERVER_ENVIRONMENT_H_

#include <atomic>
#include <cstdint>

#include "server/authenticator.h"
#include "server/config.h"
#include "server/database_slot.h"
#include "server/executor.h"
#include "server/health_state.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/query_registry.h"
#include "server/rate_limiter.h"
#include "server/replication/replication.h"

namespace cookix::server {

// Borrows everything; all of it is thread-safe and outlives the calls.
struct Environment {
  const Config& config;
  DatabaseSlot& databases;
  const Authenticator& authenticator;
  Log& log;
  Metrics& metrics;
  HealthState& health;
  RateLimiter& rate_limiter;
  QueryRegistry& queries;
  // For calls that compute or wait for the disk.
  Executor& work;
  // For streams, which may hold a thread for long.
  Executor& streams;
  // For watches, each of which holds a thread as long as it lasts.
  Executor& watches;
  // For replicas and copies, which hold a thread as long as they last.
  Executor& replicas;
  Replication& replication;
  std::atomic<bool>& read_only;
  int64_t started_ms = 0;
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_ENVIRONMENT_H_
