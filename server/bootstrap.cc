#include "server/bootstrap.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

bool WriteAll(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

absl::Status EnsureAdministrator(const Config& config, engine::KeyStore& keys, Log& log) {
  if (keys.HasAdministrator()) return absl::OkStatus();
  const std::string& path = config.bootstrap_admin_key_file;
  if (path.empty()) {
    if (config.auth == "on" || (config.auth == "auto" && keys.HasKeys())) {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "Keys are required and the store has no administrator key",
                       {"INVALID_FIELD", "bootstrap_admin_key_file",
                        "Name a new file that the server writes an administrator key to.", false});
    }
    return absl::OkStatus();
  }
  // Before the key is made, so that no key exists that nobody has.
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat("The key file ", path, " cannot be created: ", std::strerror(errno)),
        {"INVALID_FIELD", "bootstrap_admin_key_file",
         "Name a file that does not exist yet, in a directory that can be written.", false});
  }
  v1::Grant grant;
  grant.set_namespace_("*");
  grant.set_role(v1::ROLE_ADMIN);
  auto created = keys.Create("bootstrap", {grant}, 0, 0);
  bool written =
      created.ok() && WriteAll(descriptor, created->secret + "\n") && fsync(descriptor) == 0;
  written = close(descriptor) == 0 && written;
  if (!created.ok() || !written) {
    unlink(path.c_str());
    if (!created.ok()) return created.status();
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     absl::StrCat("The key file ", path, " cannot be written"),
                     {"INVALID_FIELD", "bootstrap_admin_key_file",
                      "Make room on the disk. Start with another file to get another key.", false});
  }
  log.Write(LogLevel::kInfo, "security", "created the first administrator key",
            {{"key_id", std::string_view(created->key.id())}, {"file", std::string_view(path)}});
  return absl::OkStatus();
}

}  // namespace cookix::server
