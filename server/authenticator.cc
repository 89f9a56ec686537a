#include "server/authenticator.h"

#include <strings.h>

#include "engine/security/key_store.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

constexpr std::string_view kScheme = "bearer ";

absl::Status Unauthenticated() {
  return MakeError(
      absl::StatusCode::kUnauthenticated, "A valid API key is required",
      {"UNAUTHENTICATED", "",
       "Send a valid key as `authorization: Bearer <key>` or `x-api-key: <key>`.", false});
}

// The secret in an `authorization` value; empty when the scheme is another.
std::string_view BearerSecret(std::string_view authorization) {
  if (authorization.size() <= kScheme.size() ||
      strncasecmp(authorization.data(), kScheme.data(), kScheme.size()) != 0) {
    return {};
  }
  authorization.remove_prefix(kScheme.size());
  while (!authorization.empty() && authorization.front() == ' ') authorization.remove_prefix(1);
  while (!authorization.empty() && authorization.back() == ' ') authorization.remove_suffix(1);
  return authorization;
}

}  // namespace

v1::Role Identity::RoleOn(std::string_view namespace_name) const {
  return key.has_value() ? engine::RoleOn(*key, namespace_name) : v1::ROLE_ADMIN;
}

bool Identity::HasEverywhere(v1::Role role) const {
  return !key.has_value() || engine::HasEverywhere(*key, role);
}

bool Authenticator::KeysRequired() const {
  switch (mode_) {
    case AuthMode::kOn:
      return true;
    case AuthMode::kOff:
      return false;
    case AuthMode::kAuto: {
      const DatabaseHandle database = databases_.Get();
      return database == nullptr || database->keys().HasKeys();
    }
  }
  return true;
}

absl::StatusOr<Identity> Authenticator::Identify(std::string_view authorization,
                                                 std::string_view api_key) const {
  const bool anonymous = authorization.empty() && api_key.empty();
  if (anonymous && mode_ == AuthMode::kOff) return Identity{};
  COOKIX_ASSIGN_OR_RETURN(const DatabaseHandle database, databases_.Acquire());
  const engine::KeyStore& keys = database->keys();
  if (anonymous) {
    if (mode_ == AuthMode::kOn || keys.HasKeys()) return Unauthenticated();
    return Identity{};
  }
  const std::string_view secret = authorization.empty() ? api_key : BearerSecret(authorization);
  Identity identity;
  identity.key = keys.Authenticate(secret);
  if (!identity.key.has_value()) return Unauthenticated();
  return identity;
}

}  // namespace cookix::server
