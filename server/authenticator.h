// Who calls.
#ifndef COOKIX_SERVER_AUTHENTICATOR_H_
#define COOKIX_SERVER_AUTHENTICATOR_H_

#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "cookix/v1/security_service.pb.h"
#include "server/database_slot.h"

namespace cookix::server {

enum class AuthMode {
  kOn,    // keys are required
  kOff,   // keys are not required; one that is sent still has to be valid
  kAuto,  // keys are required as soon as one was ever created
};

// A caller. Without a key everyone is administrator.
struct Identity {
  std::optional<v1::Key> key;

  // The caller's role on a namespace ("" = "default").
  v1::Role RoleOn(std::string_view namespace_name) const;
  // True when the caller has `role` on all namespaces.
  bool HasEverywhere(v1::Role role) const;
};

// Thread-safe. Borrows the slot, whose database has the keys.
class Authenticator {
 public:
  Authenticator(const DatabaseSlot& databases, AuthMode mode)
      : databases_(databases), mode_(mode) {}

  // Without a database nobody can tell: then they are, unless the mode is kOff.
  bool KeysRequired() const;

  // Takes the values of the metadata `authorization` ("Bearer <secret>") and
  // `x-api-key`, empty when absent. The first counts when both are there. Errors:
  // UNAUTHENTICATED, the same whatever is wrong with the key; UNAVAILABLE SEEDING when there
  // is no database to ask.
  absl::StatusOr<Identity> Identify(std::string_view authorization, std::string_view api_key) const;

 private:
  const DatabaseSlot& databases_;
  const AuthMode mode_;
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_AUTHENTICATOR_H_
