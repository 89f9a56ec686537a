// One call as its handler sees it: who calls, what they may do, until when.
#ifndef COOKIX_SERVER_RPC_CALL_SCOPE_H_
#define COOKIX_SERVER_RPC_CALL_SCOPE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "engine/call_context.h"
#include "server/authenticator.h"
#include "server/database_slot.h"
#include "server/environment.h"
#include "server/rpc/method_table.h"

namespace cookix::server {

struct CallScope {
  CallScope(Environment& env_in, const MethodSpec& method_in) : env(env_in), method(method_in) {}

  // PERMISSION_DENIED unless the caller has `role` on the namespace.
  absl::Status RequireRole(std::string_view namespace_name, v1::Role role) const;
  // PERMISSION_DENIED unless the caller has `role` on all namespaces.
  absl::Status RequireEverywhere(v1::Role role) const;
  // For methods that write: READ_ONLY in read-only mode, NOT_PRIMARY on a replica.
  absl::Status RequireWritable() const;
  // RATE_LIMITED when the caller has used up its rate; takes one call from it.
  absl::Status TakeFromRate();
  // UNAUTHENTICATED when the caller's key was revoked or has expired since the
  // call began. For streams, before each piece of work.
  absl::Status RequireActiveKey() const;

  // The database for one piece of work, from now until it is released: UNAVAILABLE SEEDING
  // when there is none. Unary calls have it while they run; streams take it for each message.
  absl::Status TakeDatabase();
  // After a piece of work that ended with `status`. Returns what to tell the caller: UNAVAILABLE
  // SEEDING where it was stopped since the database is being replaced, `status` otherwise.
  absl::Status ReleaseDatabase(absl::Status status);
  // REQUIRES: it was taken.
  engine::Database& database() const { return *handle_; }

  Environment& env;
  const MethodSpec& method;
  Identity identity;
  engine::CallContext context;
  // Address of the caller without its port.
  std::string peer;
  // The namespace of the request, for listing and logging.
  std::string namespace_name;
  // After RATE_LIMITED, when to try again.
  int64_t retry_after_ms = 0;

 private:
  DatabaseHandle handle_;
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_CALL_SCOPE_H_
