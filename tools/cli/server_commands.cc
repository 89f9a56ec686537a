// serve, version.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "storage/base/status.h"
#include "tools/cli/command.h"

namespace cookix::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char kVersion[] = "0.1.0";

bool Runnable(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

// Beside this program, where a build puts it, else on PATH.
std::string FindDaemon(const Context& context) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  std::vector<fs::path> places;
  if (!error) {
    places.push_back(self.parent_path() / "cookixd");
    places.push_back(self.parent_path() / ".." / ".." / "server" / "cookixd");
  }
  const std::string path = context.environment().variable("PATH").value_or("");
  for (size_t start = 0; start <= path.size();) {
    const size_t colon = std::min(path.find(':', start), path.size());
    if (colon > start) places.push_back(fs::path(path.substr(start, colon - start)) / "cookixd");
    start = colon + 1;
  }
  for (const fs::path& place : places) {
    if (Runnable(place)) return fs::weakly_canonical(place, error).string();
  }
  return "";
}

absl::Status Serve(Context& context) {
  const std::string daemon = FindDaemon(context);
  if (daemon.empty()) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "cookixd was not found",
                     {.reason = "", .remedy = "put cookixd beside cookix or on PATH"});
  }
  std::vector<std::string> words = {daemon};
  words.insert(words.end(), context.args().rest.begin(), context.args().rest.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  context.environment().out->flush();
  execv(daemon.c_str(), argv.data());
  return absl::InternalError("cannot run " + daemon + ": " + std::strerror(errno));
}

absl::Status Version(Context& context) {
  if (context.json()) {
    Json json = Json::object();
    json["version"] = kVersion;
    context.out().JsonLine(json);
  } else {
    context.out().Line(std::string("cookix ") + kVersion);
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<Command> ServerCommands() {
  return {
      {"serve",
       {},
       "run the daemon; all flags are passed on to cookixd",
       {},
       {},
       {"cookix serve --data_dir=/var/lib/cookix", "cookix serve --help-flags"},
       Serve,
       true},
      {"version", {}, "print the version of this program", {}, {}, {"cookix version"}, Version},
  };
}

}  // namespace cookix::cli
