// What a run of the benchmark measured: a table for people, JSON for programs.
#ifndef COOKIX_TOOLS_BENCH_REPORT_H_
#define COOKIX_TOOLS_BENCH_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace cookix::bench {

enum class Goal { kNone, kAtLeast, kAtMost };

struct Result {
  // Scenario and figure: "search4/median".
  std::string name;
  double value = 0;
  std::string unit;
  Goal goal = Goal::kNone;
  double target = 0;
  // Of an approximate answer: the share of what is to be found that was found, and the
  // least that is good enough (0: any is).
  std::optional<double> recall = std::nullopt;
  double recall_target = 0;
  // How it came about.
  std::string note = "";
};

class Report {
 public:
  // Prints the line at once.
  void Add(Result result);
  void Add(std::string name, double value, std::string unit) {
    Add(Result{std::move(name), value, std::move(unit), Goal::kNone, 0});
  }
  // With the machine, the program's version and `settings` (a JSON object).
  std::string ToJson(const std::string& settings) const;
  // Figures that miss their targets.
  int missed() const;

 private:
  std::vector<Result> results_;
};

// Ends a run: prints its error, or writes the report to the file `json`, unless that is
// empty. Returns the exit code: 0, 1 when something failed, 3 when a figure misses its target.
int FinishRun(const absl::Status& run, const Report& report, const std::string& json,
              const std::string& settings);

// Order statistics of times.
class Times {
 public:
  void Add(double microseconds) { micros_.push_back(microseconds); }
  // `fraction` is 0 to 1. 0 when there are no times.
  double Percentile(double fraction);
  double Median() { return Percentile(0.5); }
  double Sum() const;
  size_t size() const { return micros_.size(); }

 private:
  std::vector<double> micros_;
};

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_REPORT_H_
