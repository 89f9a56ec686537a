// API keys: generated here, stored only as keyed hashes, checked in memory.
//
// A secret is "ckx_" + key id (16 hexadecimal digits) + "_" + 256 random bits in
// base64url. Stored is BLAKE2b-256 of the secret, keyed with the store's pepper:
// a random secret of that length needs no slow hash. The hash of every key is
// compared in constant time, over all keys, whatever the id.
#ifndef COOKIX_ENGINE_SECURITY_KEY_STORE_H_
#define COOKIX_ENGINE_SECURITY_KEY_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/security_service.pb.h"
#include "storage/store.h"

namespace cookix::engine {

// Thread-safe. Reads keys from the store when opened and keeps them in memory;
// every change is a commit.
class KeyStore {
 public:
  static absl::StatusOr<std::unique_ptr<KeyStore>> Open(storage::Store& store);
  ~KeyStore();

  struct NewKey {
    v1::Key key;
    std::string secret;
  };
  // Takes over the changes of keys in commits that a follower repeats.
  void OnFollowed(const std::vector<storage::LogCommitPtr>& commits);

  // Errors: INVALID_FIELD.
  absl::StatusOr<NewKey> Create(std::string_view name, const std::vector<v1::Grant>& grants,
                                int64_t expires_ms, int32_t requests_per_minute);
  std::vector<v1::Key> List(bool include_inactive) const;
  // Errors: KEY_NOT_FOUND; FAILED_PRECONDITION LAST_ADMINISTRATOR.
  absl::StatusOr<v1::Key> Revoke(std::string_view id);
  // Gives a new secret; the old one works for `grace_ms` more, 0 to 7 days.
  // Errors: INVALID_FIELD, KEY_NOT_FOUND; FAILED_PRECONDITION KEY_INACTIVE.
  absl::StatusOr<NewKey> Rotate(std::string_view id, int64_t grace_ms);
  std::optional<v1::Key> Find(std::string_view id) const;

  // The key that a secret belongs to, if it is active. Constant time over all
  // keys for secrets of the same length.
  std::optional<v1::Key> Authenticate(std::string_view secret) const;

  // True when the key exists and is neither revoked nor expired. Cheap.
  bool IsActive(std::string_view id) const;

  // True when there is an active key with role admin on all namespaces.
  bool HasAdministrator() const;

  // True when a key was ever created, revoked and expired ones included. Never
  // becomes false again, so that a server does not open when its last key ends.
  bool HasKeys() const;

 private:
  struct Impl;
  explicit KeyStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The highest role that a key has on a namespace ("" = "default"); never ROLE_REPLICA.
v1::Role RoleOn(const v1::Key& key, std::string_view namespace_name);
// True when the key has `role` on all namespaces. Administrators have all of them.
bool HasEverywhere(const v1::Key& key, v1::Role role);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_SECURITY_KEY_STORE_H_
