// What a command of the CLI is, and what it runs with.
#ifndef COOKIX_TOOLS_CLI_COMMAND_H_
#define COOKIX_TOOLS_CLI_COMMAND_H_

#include <functional>
#include <istream>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"
#include "tools/cli/arguments.h"
#include "tools/cli/terminal.h"

namespace cookix::cli {

// The world outside, so that tests can stand in for it. Everything is borrowed.
struct Environment {
  std::istream* in = nullptr;
  std::ostream* out = nullptr;
  std::ostream* err = nullptr;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  int width = 0;  // columns of the terminal, 0 = unlimited
  std::function<std::optional<std::string>(const std::string&)> variable;
  // Set by tests: used instead of connecting.
  client::Client* client = nullptr;
};

class Context {
 public:
  Context(const Environment& environment, Arguments arguments);

  const Arguments& args() const { return arguments_; }
  const Environment& environment() const { return environment_; }
  Terminal& out() { return out_; }
  Terminal& err() { return err_; }
  bool json() const { return json_; }
  bool quiet() const { return quiet_; }
  // --namespace, else COOKIX_NAMESPACE, else "" for the default one.
  std::string name_space() const;
  // --collection; "" for the default one.
  std::string collection() const { return arguments_.Get("collection"); }
  v1::ObjectRef Ref(const std::string& key) const;
  // The object named by --target-collection and `key`.
  v1::ObjectRef TargetRef(const std::string& key) const;

  // Calls take as long as they take, unless --timeout says otherwise. Before client().
  void LiftTimeout() { default_timeout_ms_ = 0; }
  // Connects at the first call: to the server, or into --data DIR.
  absl::StatusOr<client::Client*> client();

  // One JSON document with --json; else what `human` prints.
  void Answer(const google::protobuf::Message& message, absl::FunctionRef<void()> human);
  // Progress on standard error; silent with --quiet or --json.
  Progress MakeProgress(std::string label, int64_t total, std::string unit);

  // All of standard input, or of a file; "-" is standard input.
  absl::StatusOr<std::string> ReadInput(const std::string& path);

 private:
  struct Connection;
  const Environment& environment_;
  const Arguments arguments_;
  const bool json_;
  const bool quiet_;
  Terminal out_;
  Terminal err_;
  std::shared_ptr<Connection> connection_;
  std::optional<int64_t> default_timeout_ms_;
};

struct Command {
  std::string name;                  // "put" or "keys create"
  std::vector<std::string> aliases;  // such as "bake"
  std::string summary;               // one line
  std::vector<PositionalSpec> positionals;
  std::vector<FlagSpec> flags;
  std::vector<std::string> examples;  // whole command lines
  std::function<absl::Status(Context&)> run;
  // Passes all words on unread, to Arguments.rest (serve).
  bool raw = false;
};

// A call of the client: `Method(request, &response)`.
#define COOKIX_CALL(context, Method, request, response)                                   \
  do {                                                                                    \
    COOKIX_ASSIGN_OR_RETURN(::cookix::client::Client* cookix_client, (context).client()); \
    COOKIX_RETURN_IF_ERROR(cookix_client->Method(request, response));                     \
  } while (false)

// The commands, group by group, in the order of the help.
std::vector<Command> ServerCommands();
std::vector<Command> ObjectCommands();
std::vector<Command> GraphCommands();
std::vector<Command> ReasoningCommands();
std::vector<Command> RunCommands();
std::vector<Command> SearchCommands();
std::vector<Command> CatalogCommands();
std::vector<Command> KeyCommands();
std::vector<Command> TransferCommands();
std::vector<Command> AdminCommands();
std::vector<Command> ReplicationCommands();
std::vector<Command> BackupCommands();
std::vector<Command> WatchCommands();
std::vector<Command> DemoCommands();
std::vector<Command> BenchCommands();
std::vector<Command> HelpCommands();

struct CommandGroup {
  std::string title;
  std::vector<Command> commands;
};
const std::vector<CommandGroup>& AllCommands();
// Flags that every command understands.
const std::vector<FlagSpec>& GlobalFlags();
std::string HelpText(const Command& command, const Terminal& terminal);
std::string OverviewText(const Terminal& terminal);
// A help topic that is not a command; "" when there is none.
std::string TopicText(std::string_view topic);

// Runs one command line, without the program's name; the exit code.
int RunCli(const std::vector<std::string>& words, const Environment& environment);

// Exit codes, documented in docs/cli.md.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNotFound = 3;
inline constexpr int kExitDenied = 4;
inline constexpr int kExitUnavailable = 5;
inline constexpr int kExitCondition = 6;
int ExitCode(const absl::Status& status);
// A failure that has been reported already: exit code 1, nothing printed.
absl::Status SilentFailure();

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_COMMAND_H_
