// The configuration file, flags and the environment.
#include "server/config.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = cookix::tests::FuzzInput(data, size);
  cookix::server::Config config;
  const absl::Status file = cookix::server::ApplyYaml(text, "fuzz.yaml", &config);
  if (file.ok()) {
    (void)cookix::server::ValidateConfig(config);
  } else {
    FUZZ_CHECK(file.code() == absl::StatusCode::kInvalidArgument);
  }
  // Each line is an argument; one with "=" is a variable of the environment too.
  // Files are not opened: a fuzzer should not choose which.
  std::vector<std::string> arguments;
  std::map<std::string, std::string> environment;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string line(text.substr(start, end - start));
    start = end + 1;
    if (line.find("config") != std::string::npos || line.find("CONFIG") != std::string::npos) {
      continue;
    }
    arguments.push_back(line);
    const size_t equals = line.find('=');
    if (equals != std::string::npos) {
      environment[line.substr(0, equals)] = line.substr(equals + 1);
    }
  }
  for (const auto& parsed :
       {cookix::server::ParseConfig(arguments, {}), cookix::server::ParseConfig({}, environment)}) {
    if (!parsed.ok()) FUZZ_CHECK(parsed.status().code() == absl::StatusCode::kInvalidArgument);
  }
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  return {
      cookix::server::SampleYaml().substr(0, 4000),
      "listen: 127.0.0.1:0\nsync_mode: normal\nmemory_budget_mb: 64\nread_only: true\n",
      "--listen=127.0.0.1:0\n--read_only\n--memory_budget_mb\n64\n--in_memory=false\n",
      "COOKIX_LISTEN=unix:/tmp/x\nCOOKIX_MAX_MESSAGE_MB=4\nCOOKIX_NOTHING=1\n",
      "a: [1, 2]\nb: {c: d}\n? [x]\n: y\n&anchor x: *anchor\n",
  };
}
