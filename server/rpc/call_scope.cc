#include "server/rpc/call_scope.h"

#include "absl/strings/str_cat.h"
#include "engine/security/key_store.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

std::string_view RoleName(v1::Role role) {
  switch (role) {
    case v1::ROLE_READ:
      return "read";
    case v1::ROLE_WRITE:
      return "write";
    case v1::ROLE_REPLICA:
      return "replica";
    default:
      return "admin";
  }
}

}  // namespace

absl::Status CallScope::RequireRole(std::string_view name, v1::Role role) const {
  if (identity.RoleOn(name) >= role) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kPermissionDenied,
      absl::StrCat("The key does not have the role ", ToAbsl(RoleName(role)), " on the namespace"),
      {"PERMISSION_DENIED", "namespace",
       "Use a key with that role, or ask an administrator for the grant.", false});
}

absl::Status CallScope::RequireEverywhere(v1::Role role) const {
  if (identity.HasEverywhere(role)) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kPermissionDenied,
      absl::StrCat("The key does not have the role ", ToAbsl(RoleName(role)), " on all namespaces"),
      {"PERMISSION_DENIED", "", "Use a key with that role on \"*\".", false});
}

absl::Status CallScope::RequireWritable() const {
  if (method.primary) COOKIX_RETURN_IF_ERROR(env.replication.CheckPrimary());
  if (!method.write || !env.read_only.load(std::memory_order_relaxed)) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "The server is in read-only mode",
      {"READ_ONLY", "", "Wait, or have an administrator switch read-only mode off.", false});
}

absl::Status CallScope::TakeDatabase() {
  COOKIX_ASSIGN_OR_RETURN(handle_, env.databases.Acquire());
  return absl::OkStatus();
}

absl::Status CallScope::ReleaseDatabase(absl::Status status) {
  // While it is held the next one cannot be there yet.
  if (status.code() == absl::StatusCode::kCancelled && context.cancelled()) {
    if (const auto next = env.databases.Acquire(); !next.ok()) status = next.status();
  }
  handle_.reset();
  return status;
}

absl::Status CallScope::TakeFromRate() {
  int64_t per_minute = env.config.requests_per_minute;
  if (identity.key.has_value() && identity.key->requests_per_minute() > 0) {
    per_minute = identity.key->requests_per_minute();
  }
  if (per_minute <= 0) return absl::OkStatus();
  retry_after_ms =
      env.rate_limiter.Take(identity.key.has_value() ? absl::StrCat("key:", identity.key->id())
                                                     : absl::StrCat("peer:", peer),
                            per_minute);
  if (retry_after_ms == 0) return absl::OkStatus();
  env.metrics.RateLimited();
  return MakeError(
      absl::StatusCode::kResourceExhausted,
      absl::StrCat("More than ", per_minute, " calls a minute"),
      {"RATE_LIMITED", "",
       absl::StrCat("Try again in ", retry_after_ms, " ms, or ask for a higher rate."), true});
}

absl::Status CallScope::RequireActiveKey() const {
  if (!identity.key.has_value()) return absl::OkStatus();
  COOKIX_ASSIGN_OR_RETURN(const DatabaseHandle keys, env.databases.Acquire());
  if (keys->keys().IsActive(identity.key->id())) return absl::OkStatus();
  return MakeError(absl::StatusCode::kUnauthenticated, "The key was revoked or has expired",
                   {"UNAUTHENTICATED", "", "Use a valid key.", false});
}

}  // namespace cookix::server
