// cookixd: reads the settings, runs the server until it is told to stop.
//
// Exit codes: 0 stopped as asked; 1 could not start or run; 2 bad settings.
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/config.h"
#include "server/log.h"
#include "server/server.h"
#include "storage/base/status.h"

extern char** environ;

namespace cookix::server {
namespace {

constexpr int kFailed = 1;
constexpr int kBadSettings = 2;

// Where libraries' own messages go. Never destroyed: gRPC's threads outlive main().
std::atomic<Log*> library_log{nullptr};

void LogGrpc(gpr_log_func_args* arguments) {
  Log* const log = library_log.load();
  // What matters of it (a port in use, say) the server reports itself.
  if (log == nullptr || !log->Enabled(LogLevel::kDebug)) return;
  log->Write(LogLevel::kDebug, "grpc", arguments->message);
}

// What protobuf says of messages that do not parse: their senders are told.
void LogProtobuf(google::protobuf::LogLevel level, const char* filename, int line,
                 const std::string& message) {
  Log* const log = library_log.load();
  if (log != nullptr) log->Write(LogLevel::kDebug, "protobuf", message);
}

int Fail(const absl::Status& status) {
  const ErrorDetail detail = GetErrorDetail(status).value_or(ErrorDetail{});
  std::cerr << "cookixd: ";
  if (!detail.field.empty()) std::cerr << detail.field << ": ";
  std::cerr << status.message() << ". " << detail.remedy << std::endl;
  return status.code() == absl::StatusCode::kInvalidArgument ? kBadSettings : kFailed;
}

std::map<std::string, std::string> Environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string::npos) variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return variables;
}

int Run(const std::vector<std::string>& arguments) {
  // Every thread inherits this; the signals are waited for below.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  const absl::StatusOr<ParsedConfig> parsed = ParseConfig(arguments, Environment());
  if (!parsed.ok()) return Fail(parsed.status());
  if (parsed->help) {
    std::cout << HelpText();
    return 0;
  }
  if (parsed->version) {
    std::cout << "cookixd " << Server::Version() << "\n";
    return 0;
  }
  if (parsed->print_reference) {
    std::cout << ReferenceMarkdown();
    return 0;
  }
  const Config& config = parsed->config;
  if (const absl::Status valid = ValidateConfig(config); !valid.ok()) return Fail(valid);
  if (parsed->check) {
    for (const std::string& name : parsed->ignored_environment) {
      std::cout << "not a setting, ignored: " << name << "\n";
    }
    std::cout << "the settings fit together\n";
    return 0;
  }
  LogLevel level = LogLevel::kInfo;
  ParseLogLevel(config.log_level, &level);
  absl::StatusOr<std::unique_ptr<Log>> opened = Log::Open(level, config.log_file);
  if (!opened.ok()) return Fail(opened.status());
  Log* const log = opened->release();
  library_log.store(log);
  gpr_set_log_function(LogGrpc);
  google::protobuf::SetLogHandler(LogProtobuf);
  for (const std::string& name : parsed->ignored_environment) {
    log->Write(LogLevel::kDebug, "config", "not a setting, ignored",
               {{"variable", std::string_view(name)}});
  }

  // From here on, so that opening a large store can be broken off: whoever asks
  // twice does not want to wait.
  std::promise<int> first_signal;
  std::future<int> told_to_stop = first_signal.get_future();
  std::thread([signals, first = std::move(first_signal)]() mutable {
    int number = 0;
    sigwait(&signals, &number);
    first.set_value(number);
    sigwait(&signals, &number);
    _exit(kFailed);
  }).detach();

  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(config, *log);
  if (!server.ok()) {
    log->Flush();
    return Fail(server.status());
  }
  const int64_t signal_number = told_to_stop.get();
  log->Write(LogLevel::kInfo, "server", "told to stop", {{"signal", signal_number}});
  (*server)->Shutdown();
  return 0;
}

}  // namespace
}  // namespace cookix::server

int main(int argc, char** argv) {
  return cookix::server::Run(std::vector<std::string>(argv + 1, argv + argc));
}
