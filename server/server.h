// The daemon without its process: tests run it inside theirs.
#ifndef COOKIX_SERVER_SERVER_H_
#define COOKIX_SERVER_SERVER_H_

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/database.h"
#include "server/config.h"
#include "server/log.h"

namespace cookix::server {

// Opens the store, creates the first administrator key if asked to, and takes
// calls. Thread-safe.
class Server {
 public:
  // `log` is borrowed. Errors name the setting at fault: INVALID_ARGUMENT when
  // settings do not fit together, other codes when the machine does not play along
  // (data directory, port, certificates).
  static absl::StatusOr<std::unique_ptr<Server>> Start(const Config& config, Log& log);
  // Shuts down if that was not done.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Of the program, such as "0.1.0".
  static std::string_view Version();

  // The port calls are taken on; 0 for a Unix socket.
  int port() const;
  // The port metrics are served on; 0 when they are not.
  int metrics_port() const;

  // Takes no new calls, lets those under way go on for Config::shutdown_grace_ms,
  // cancels the rest, and closes the store. Returns when all is done. Idempotent.
  void Shutdown();

  // For tests and embedding. Not after Shutdown(), nor while a replica has none or may begin
  // again with a copy.
  engine::Database& database();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_SERVER_H_
