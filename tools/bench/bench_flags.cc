#include "tools/bench/bench_flags.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace cookix::bench {

void BenchFlags::Text(std::string name, std::string* value) {
  Add(std::move(name), [value](const std::string& text) {
    *value = text;
    return true;
  });
}

void BenchFlags::Choice(std::string name, std::set<std::string>* chosen) {
  Add(std::move(name), [chosen, known = *chosen](const std::string& text) {
    *chosen = absl::StrSplit(text, ',');
    return std::includes(known.begin(), known.end(), chosen->begin(), chosen->end());
  });
}

void BenchFlags::Names(std::string name, std::vector<std::string>* chosen,
                       std::set<std::string> known) {
  Add(std::move(name), [chosen, known = std::move(known)](const std::string& text) {
    *chosen = absl::StrSplit(text, ',', absl::SkipEmpty());
    return std::all_of(chosen->begin(), chosen->end(),
                       [&](const std::string& each) { return known.count(each) > 0; });
  });
}

absl::Status BenchFlags::Parse(int argc, char** argv) const {
  for (int i = 1; i < argc; ++i) {
    const std::vector<std::string> parts = absl::StrSplit(argv[i], absl::MaxSplits('=', 1));
    const auto reader = readers_.find(parts[0]);
    if (reader == readers_.end()) {
      return absl::InvalidArgumentError(absl::StrCat("unknown flag: ", argv[i]));
    }
    if (parts.size() != 2 || !reader->second(parts[1])) {
      return absl::InvalidArgumentError(absl::StrCat("bad value: ", argv[i]));
    }
  }
  return absl::OkStatus();
}

int RunBench(const absl::Status& parsed, absl::FunctionRef<absl::Status(Report*)> run,
             const std::string& json, const std::string& settings) {
  if (!parsed.ok()) {
    std::fprintf(stderr, "error: %s\n", parsed.ToString().c_str());
    return 2;
  }
  Report report;
  const absl::Status status = run(&report);
  return FinishRun(status, report, json, settings);
}

}  // namespace cookix::bench
