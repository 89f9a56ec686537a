// The flags of a benchmark, --name=value each, and its run.
#ifndef COOKIX_TOOLS_BENCH_BENCH_FLAGS_H_
#define COOKIX_TOOLS_BENCH_BENCH_FLAGS_H_

#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "tools/bench/report.h"

namespace cookix::bench {

// What is given to it is borrowed.
class BenchFlags {
 public:
  // A whole number from `least` to `most`.
  template <typename T>
  void Number(std::string name, T* value, T least = std::numeric_limits<T>::min(),
              T most = std::numeric_limits<T>::max()) {
    Add(std::move(name), [value, least, most](const std::string& text) {
      return absl::SimpleAtoi(text, value) && *value >= least && *value <= most;
    });
  }
  void Text(std::string name, std::string* value);
  // Some of what `chosen` has now, with commas.
  void Choice(std::string name, std::set<std::string>* chosen);
  // Names that `known` has, in the order in which they are to come, or none.
  template <typename T>
  void Names(std::string name, std::vector<std::string>* chosen,
             const std::map<std::string, T>& known) {
    std::set<std::string> names;
    for (const auto& [each, value] : known) names.insert(each);
    Names(std::move(name), chosen, std::move(names));
  }

  // INVALID_ARGUMENT names the flag that is unknown or has a bad value.
  absl::Status Parse(int argc, char** argv) const;

 private:
  using Reader = std::function<bool(const std::string& text)>;
  void Add(std::string name, Reader reader) { readers_["--" + name] = std::move(reader); }
  void Names(std::string name, std::vector<std::string>* chosen, std::set<std::string> known);

  std::map<std::string, Reader> readers_;
};

// Runs what the flags say, unless `parsed` is an error, and reports it: to the file `json` as
// well, with `settings` (a JSON object), unless that is empty. Returns the exit code: 2 on bad
// flags, otherwise that of FinishRun().
int RunBench(const absl::Status& parsed, absl::FunctionRef<absl::Status(Report*)> run,
             const std::string& json, const std::string& settings);

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_BENCH_FLAGS_H_
