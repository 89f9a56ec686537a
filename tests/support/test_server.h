// A real cookixd in a process of its own, for tests that cross modules.
//
// The server listens on a free port of the loopback interface and reports it
// through a file; nothing sleeps a fixed time. Where the program lies: the
// environment variable COOKIXD, else the test's runfiles.
#ifndef COOKIX_TESTS_SUPPORT_TEST_SERVER_H_
#define COOKIX_TESTS_SUPPORT_TEST_SERVER_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"

namespace cookix::tests {

// A new empty directory below the test's temporary directory.
std::string MakeTempDir(std::string_view name);

// Path of a file of the repository, such as "server/cookixd", in the runfiles.
std::string RunfilePath(std::string_view path);

// How a process ended.
struct ExitStatus {
  // Exit code, or -1 when a signal ended it.
  int code = -1;
  // The signal, or 0.
  int signal = 0;
};

// What a program that was run to its end did.
struct ProgramResult {
  ExitStatus exit;
  // Standard output and standard error together, as they came.
  std::string output;
};

// Runs a program and waits for it; kills it after `timeout_ms` (exit.signal is
// then SIGKILL). Standard input is empty.
ProgramResult RunProgram(const std::vector<std::string>& argv,
                         const std::map<std::string, std::string>& environment = {},
                         int64_t timeout_ms = 60'000);

struct TestServerOptions {
  // The daemon; empty = as said above.
  std::string program;
  // The data directory; empty = a new temporary one.
  std::string data_dir;
  // More flags, such as "--sync_mode=normal". They come last.
  std::vector<std::string> flags;
  // Added to the environment.
  std::map<std::string, std::string> environment;
  // How long Start() waits for the port. Unix milliseconds' worth.
  int64_t start_timeout_ms = 60'000;
};

// One server. Not thread-safe. The destructor kills a process that still runs.
class TestServer {
 public:
  using Options = TestServerOptions;

  // Starts a server and waits until it listens. INTERNAL with the end of its
  // output when it exits first, DEADLINE_EXCEEDED when it takes too long.
  static absl::StatusOr<std::unique_ptr<TestServer>> Start(Options options = {});

  // The command line that Start() would use, for tests of servers that refuse to
  // start.
  static std::vector<std::string> CommandLine(const Options& options);

  // Prepares a server without starting it; Launch() starts it and does not wait.
  explicit TestServer(Options options);
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  void Launch();
  absl::Status WaitUntilListening();
  // Launch() and WaitUntilListening(), on the same data.
  absl::Status Restart();

  // host:port. Only valid while it listens.
  std::string target() const;
  int port() const { return port_; }
  const std::string& data_dir() const { return options_.data_dir; }
  pid_t pid() const { return pid_; }
  bool running();
  // Everything it wrote so far, over all its starts.
  std::string Output() const;

  void Signal(int signal);
  // SIGKILL, and waits for the end.
  void Kill();
  // SIGTERM, and waits; kills it after the time.
  ExitStatus Terminate(int64_t timeout_ms = 60'000);
  ExitStatus Wait(int64_t timeout_ms = 60'000);

  // A client of this server. Retries are off unless asked for.
  std::unique_ptr<client::Client> Connect(std::string api_key = "", int max_attempts = 1,
                                          int64_t timeout_ms = 30'000) const;

 private:
  Options options_;
  std::string run_dir_;
  pid_t pid_ = -1;
  ExitStatus exit_;
  int port_ = 0;
};

}  // namespace cookix::tests

#endif  // COOKIX_TESTS_SUPPORT_TEST_SERVER_H_
