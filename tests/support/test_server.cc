#include "tests/support/test_server.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

extern char** environ;

namespace cookix::tests {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPoll = std::chrono::milliseconds(5);

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

// Starts a program with its output appended to `output_path`. Returns -1 when it
// cannot be started.
pid_t Spawn(const std::vector<std::string>& argv,
            const std::map<std::string, std::string>& environment, const std::string& output_path) {
  std::vector<char*> args;
  for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    // A developer's own settings must not reach the server under test.
    if (name.rfind("COOKIX", 0) == 0 || environment.count(name) != 0) continue;
    variables.push_back(text);
  }
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
  std::vector<char*> env;
  for (std::string& variable : variables) env.push_back(variable.data());
  env.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, output_path.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                   0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, args[0], &actions, nullptr, args.data(), env.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    std::ofstream(output_path, std::ios::app)
        << "cannot start " << argv[0] << ": error " << error << "\n";
    return -1;
  }
  return pid;
}

ExitStatus FromWait(int status) {
  ExitStatus exit;
  if (WIFEXITED(status)) exit.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) exit.signal = WTERMSIG(status);
  return exit;
}

// Waits for a child; kills it when the time is over.
ExitStatus WaitFor(pid_t pid, int64_t timeout_ms) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (Clock::now() >= deadline) {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      break;
    }
    std::this_thread::sleep_for(kPoll);
  }
  return FromWait(status);
}

}  // namespace

std::string MakeTempDir(std::string_view name) {
  const char* base = std::getenv("TEST_TMPDIR");
  std::string pattern = absl::StrCat(base != nullptr ? base : "/tmp", "/", ToAbsl(name), "-XXXXXX");
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  return pattern;
}

std::string RunfilePath(std::string_view path) {
  const char* source_dir = std::getenv("TEST_SRCDIR");
  const char* workspace = std::getenv("TEST_WORKSPACE");
  if (source_dir == nullptr) return std::string(path);
  return absl::StrCat(source_dir, "/", workspace != nullptr ? workspace : "cookix", "/",
                      ToAbsl(path));
}

ProgramResult RunProgram(const std::vector<std::string>& argv,
                         const std::map<std::string, std::string>& environment,
                         int64_t timeout_ms) {
  const std::string dir = MakeTempDir("run");
  const std::string output = dir + "/output";
  ProgramResult result;
  const pid_t pid = Spawn(argv, environment, output);
  if (pid > 0) result.exit = WaitFor(pid, timeout_ms);
  result.output = ReadFile(output);
  std::filesystem::remove_all(dir);
  return result;
}

std::vector<std::string> TestServer::CommandLine(const Options& options) {
  const char* binary = std::getenv("COOKIXD");
  const std::string usual = binary != nullptr ? binary : RunfilePath("server/cookixd");
  std::vector<std::string> argv = {
      options.program.empty() ? usual : options.program,
      "--listen=127.0.0.1:0",
      "--metrics_listen=",
      "--data_dir=" + options.data_dir,
  };
  argv.insert(argv.end(), options.flags.begin(), options.flags.end());
  return argv;
}

absl::StatusOr<std::unique_ptr<TestServer>> TestServer::Start(Options options) {
  auto server = std::make_unique<TestServer>(std::move(options));
  server->Launch();
  COOKIX_RETURN_IF_ERROR(server->WaitUntilListening());
  return server;
}

TestServer::TestServer(Options options)
    : options_(std::move(options)), run_dir_(MakeTempDir("cookixd")) {
  if (options_.data_dir.empty()) options_.data_dir = run_dir_ + "/data";
}

TestServer::~TestServer() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(run_dir_, ignored);
}

void TestServer::Launch() {
  Kill();
  port_ = 0;
  std::filesystem::remove(run_dir_ + "/port");
  std::vector<std::string> argv = CommandLine(options_);
  argv.push_back("--port_file=" + run_dir_ + "/port");
  pid_ = Spawn(argv, options_.environment, run_dir_ + "/output");
}

absl::Status TestServer::WaitUntilListening() {
  const auto deadline = Clock::now() + std::chrono::milliseconds(options_.start_timeout_ms);
  const std::string port_file = run_dir_ + "/port";
  while (true) {
    const std::string text = ReadFile(port_file);
    if (!text.empty() && text.back() == '\n' && absl::SimpleAtoi(text, &port_) && port_ > 0) {
      return absl::OkStatus();
    }
    if (!running()) {
      return absl::InternalError(absl::StrCat("cookixd exited with code ", exit_.code, " signal ",
                                              exit_.signal, ":\n", Output()));
    }
    if (Clock::now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("cookixd does not listen in time:\n", Output()));
    }
    std::this_thread::sleep_for(kPoll);
  }
}

absl::Status TestServer::Restart() {
  Launch();
  return WaitUntilListening();
}

std::string TestServer::target() const { return absl::StrCat("127.0.0.1:", port_); }

bool TestServer::running() {
  if (pid_ <= 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == 0) return true;
  exit_ = FromWait(status);
  pid_ = -1;
  return false;
}

std::string TestServer::Output() const { return ReadFile(run_dir_ + "/output"); }

void TestServer::Signal(int signal) {
  if (pid_ > 0) kill(pid_, signal);
}

void TestServer::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  Wait();
}

ExitStatus TestServer::Terminate(int64_t timeout_ms) {
  Signal(SIGTERM);
  return Wait(timeout_ms);
}

ExitStatus TestServer::Wait(int64_t timeout_ms) {
  if (pid_ > 0) {
    exit_ = WaitFor(pid_, timeout_ms);
    pid_ = -1;
  }
  return exit_;
}

std::unique_ptr<client::Client> TestServer::Connect(std::string api_key, int max_attempts,
                                                    int64_t timeout_ms) const {
  client::RemoteOptions options;
  options.target = target();
  options.api_key = std::move(api_key);
  options.timeout_ms = timeout_ms;
  options.retry.max_attempts = max_attempts;
  auto client = client::ConnectRemote(std::move(options));
  if (!client.ok()) std::abort();
  return std::move(client).value();
}

}  // namespace cookix::tests
