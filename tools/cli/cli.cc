// Finds the command, reads its line, runs it, reports its error.
#include <algorithm>
#include <utility>

#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

constexpr std::string_view kReported = "already reported";

// The command whose name is the longest beginning of `words`; how many words
// that took.
const Command* Find(const std::vector<std::string>& words, size_t* taken) {
  const Command* found = nullptr;
  *taken = 0;
  auto matches = [&words](const std::string& name) -> size_t {
    const size_t space = name.find(' ');
    if (words.empty() || words[0] != name.substr(0, space)) return 0;
    if (space == std::string::npos) return 1;
    return words.size() > 1 && words[1] == name.substr(space + 1) ? 2 : 0;
  };
  for (const CommandGroup& group : AllCommands()) {
    for (const Command& command : group.commands) {
      std::vector<std::string> names = command.aliases;
      names.push_back(command.name);
      for (const std::string& name : names) {
        if (const size_t length = matches(name); length > *taken) {
          *taken = length;
          found = &command;
        }
      }
    }
  }
  return found;
}

std::vector<std::string> Subcommands(const std::string& word) {
  std::vector<std::string> names;
  for (const CommandGroup& group : AllCommands()) {
    for (const Command& command : group.commands) {
      if (command.name.rfind(word + " ", 0) == 0) {
        names.push_back(command.name.substr(word.size() + 1));
      }
    }
  }
  return names;
}

absl::Status UnknownCommand(const std::vector<std::string>& words) {
  const std::vector<std::string> subcommands = Subcommands(words[0]);
  if (!subcommands.empty()) {
    std::string list;
    for (const std::string& name : subcommands) list += (list.empty() ? "" : ", ") + name;
    return UsageError(words.size() > 1 && words[1][0] != '-'
                          ? "unknown command \"" + words[0] + " " + words[1] + "\""
                          : "\"" + words[0] + "\" needs a command",
                      words[0], "use one of: " + list);
  }
  std::vector<std::string> names;
  for (const CommandGroup& group : AllCommands()) {
    for (const Command& command : group.commands) {
      names.push_back(command.name.substr(0, command.name.find(' ')));
      names.insert(names.end(), command.aliases.begin(), command.aliases.end());
    }
  }
  const std::string close = Suggest(words[0], names);
  return UsageError("unknown command \"" + words[0] + "\"", words[0],
                    close.empty() ? "see `cookix help`" : "did you mean \"" + close + "\"?");
}

std::string CodeWord(absl::StatusCode code) {
  std::string word = absl::StatusCodeToString(code);
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return word;
}

void Report(const absl::Status& status, const Environment& environment, bool json) {
  if (status.message() == ToAbsl(kReported)) return;
  environment.out->flush();
  const ErrorDetail detail = GetErrorDetail(status).value_or(ErrorDetail());
  const std::string message(status.message());
  if (json) {
    Json error = Json::object();
    error["code"] = CodeWord(status.code());
    error["message"] = message;
    if (!detail.reason.empty()) error["reason"] = detail.reason;
    if (!detail.field.empty()) error["field"] = detail.field;
    if (!detail.remedy.empty()) error["remedy"] = detail.remedy;
    error["retryable"] = detail.retryable;
    error["exit_code"] = ExitCode(status);
    Json document = Json::object();
    document["error"] = std::move(error);
    *environment.err << Dump(document) << std::endl;
    return;
  }
  Terminal terminal(*environment.err,
                    environment.err_is_terminal && !environment.variable("NO_COLOR"), 0);
  terminal.Line(terminal.Paint("error", Tone::kBad) + "  " +
                OneLine(message.empty() ? CodeWord(status.code()) : message));
  if (!detail.field.empty()) {
    terminal.Line(terminal.Paint("field", Tone::kDim) + "  " + OneLine(detail.field));
  }
  if (!detail.remedy.empty()) {
    terminal.Line(terminal.Paint("fix", Tone::kDim) + "    " + OneLine(detail.remedy));
  }
  environment.err->flush();
}

absl::Status Run(const std::vector<std::string>& words, const Environment& environment) {
  Terminal out(*environment.out, environment.out_is_terminal && !environment.variable("NO_COLOR"),
               environment.out_is_terminal ? environment.width : 0);
  // Global flags may stand before the command.
  size_t first = 0;
  while (first < words.size() && words[first].size() > 1 && words[first][0] == '-') {
    const std::string& word = words[first];
    if (word == "-h" || word == "--help" || word == "--version") break;
    ++first;
    for (const FlagSpec& spec : GlobalFlags()) {
      const bool named =
          word == "--" + spec.name || (spec.letter != 0 && word == std::string("-") + spec.letter);
      if (named && !spec.value.empty()) ++first;
    }
  }
  first = std::min(first, words.size());
  if (first == words.size()) {
    if (first == 0) {
      out.out() << OverviewText(out);
      return absl::OkStatus();
    }
    return UsageError("a command is missing", "command", "see `cookix help`");
  }
  if (words[first] == "-h" || words[first] == "--help") {
    out.out() << OverviewText(out);
    return absl::OkStatus();
  }
  std::vector<std::string> line(words.begin() + static_cast<std::ptrdiff_t>(first), words.end());
  if (line[0] == "--version") line[0] = "version";
  size_t taken = 0;
  const Command* command = Find(line, &taken);
  if (command == nullptr) return UnknownCommand(line);
  // `keys creat`: the group's own command takes no words, so it was meant as one.
  if (taken == 1 && line.size() > 1 && line[1][0] != '-' && command->positionals.empty() &&
      !command->raw && !Subcommands(line[0]).empty()) {
    return UnknownCommand(line);
  }

  std::vector<std::string> rest(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(first));
  rest.insert(rest.end(), line.begin() + static_cast<std::ptrdiff_t>(taken), line.end());
  if (command->raw) {
    if (!rest.empty() && (rest[0] == "--help" || rest[0] == "-h")) {
      out.out() << HelpText(*command, out);
      return absl::OkStatus();
    }
    Arguments arguments;
    arguments.rest = rest;
    Context context(environment, std::move(arguments));
    return command->run(context);
  }
  for (const std::string& word : rest) {
    if (word == "--") break;
    if (word == "--help" || word == "-h") {
      out.out() << HelpText(*command, out);
      return absl::OkStatus();
    }
  }
  std::vector<FlagSpec> flags = command->flags;
  flags.insert(flags.end(), GlobalFlags().begin(), GlobalFlags().end());
  auto arguments = ParseArguments(rest, flags, command->positionals);
  if (!arguments.ok()) {
    ErrorDetail detail = GetErrorDetail(arguments.status()).value_or(ErrorDetail());
    detail.remedy += "; see `cookix help " + command->name + "`";
    return MakeError(
        arguments.status().code(),
        std::string_view(arguments.status().message().data(), arguments.status().message().size()),
        std::move(detail));
  }
  Context context(environment, *std::move(arguments));
  const absl::Status status = command->run(context);
  environment.out->flush();
  if (status.ok() && !*environment.out) {
    return absl::InternalError("standard output could not be written");
  }
  return status;
}

}  // namespace

const std::vector<CommandGroup>& AllCommands() {
  static const auto* groups = new std::vector<CommandGroup>{
      {"Server", ServerCommands()},     {"Objects", ObjectCommands()},
      {"Graph", GraphCommands()},       {"Questions", ReasoningCommands()},
      {"Queries", RunCommands()},       {"Search", SearchCommands()},
      {"Catalog", CatalogCommands()},   {"Keys", KeyCommands()},
      {"Transfer", TransferCommands()}, {"Operation", AdminCommands()},
      {"Backup", BackupCommands()},     {"Replication", ReplicationCommands()},
      {"Try it", DemoCommands()},       {"Measure", BenchCommands()},
      {"Changes", WatchCommands()},     {"Help", HelpCommands()},
  };
  return *groups;
}

const std::vector<FlagSpec>& GlobalFlags() {
  static const auto* flags = new std::vector<FlagSpec>{
      {"server", "HOST:PORT,...",
       "the server, or several of one store (COOKIX_SERVER; default 127.0.0.1:7625)"},
      {"data", "DIR", "open a data directory in this process instead of a server"},
      {"namespace", "NAME", "the namespace (COOKIX_NAMESPACE; default \"default\")", 'n'},
      {"api-key-file", "FILE",
       "file with the API key (COOKIX_API_KEY_FILE, or the key itself in "
       "COOKIX_API_KEY)"},
      {"tls", "", "use TLS with the system's authorities (COOKIX_TLS=1)"},
      {"ca", "FILE", "use TLS; certificate authority, PEM (COOKIX_CA)"},
      {"cert", "FILE", "client certificate, PEM, for mutual TLS"},
      {"key", "FILE", "key of the client certificate, PEM"},
      {"server-name", "NAME", "name expected in the server's certificate"},
      {"insecure-key", "", "allow the API key to travel without TLS to another machine"},
      {"timeout", "DURATION", "longest time of a call, such as 5s (default 30s)"},
      {"json", "", "answer in JSON, errors too"},
      {"quiet", "", "no progress and no summaries", 'q'},
  };
  return *flags;
}

absl::Status SilentFailure() { return absl::UnknownError(ToAbsl(kReported)); }

int ExitCode(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kInvalidArgument:
      return kExitUsage;
    case absl::StatusCode::kNotFound:
      return kExitNotFound;
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return kExitDenied;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return kExitUnavailable;
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kAlreadyExists:
      return kExitCondition;
    default:
      return kExitFailure;
  }
}

int RunCli(const std::vector<std::string>& words, const Environment& environment) {
  const absl::Status status = Run(words, environment);
  if (!status.ok()) {
    const bool json = std::find(words.begin(), words.end(), "--json") != words.end();
    Report(status, environment, json);
  }
  return ExitCode(status);
}

}  // namespace cookix::cli
