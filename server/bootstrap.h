// The first administrator key.
#ifndef COOKIX_SERVER_BOOTSTRAP_H_
#define COOKIX_SERVER_BOOTSTRAP_H_

#include "absl/status/status.h"
#include "engine/security/key_store.h"
#include "server/config.h"
#include "server/log.h"

namespace cookix::server {

// When the settings ask for it and the store has no administrator, creates one
// whose secret goes to Config::bootstrap_admin_key_file, a new file that only its
// owner can read, and nowhere else. Errors name the setting: with keys required,
// no administrator and no file to write one to, nobody could use the server.
absl::Status EnsureAdministrator(const Config& config, engine::KeyStore& keys, Log& log);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_BOOTSTRAP_H_
