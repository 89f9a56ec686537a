// The program cookix.
#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "tools/cli/command.h"

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  // A reader that went away (| head) ends the program quietly.
  std::signal(SIGPIPE, SIG_DFL);
  // What matters of what gRPC says is in the error that is shown.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  cookix::cli::Environment environment;
  environment.in = &std::cin;
  environment.out = &std::cout;
  environment.err = &std::cerr;
  environment.out_is_terminal = isatty(STDOUT_FILENO) == 1;
  environment.err_is_terminal = isatty(STDERR_FILENO) == 1;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) environment.width = size.ws_col;
  environment.variable = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return std::string(value);
  };
  const int code =
      cookix::cli::RunCli(std::vector<std::string>(argv + 1, argv + argc), environment);
  std::cout.flush();
  return code;
}
