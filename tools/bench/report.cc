#include "tools/bench/report.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <thread>

#include "engine/version.h"
#include "nlohmann/json.hpp"

namespace cookix::bench {
namespace {

bool Meets(const Result& result) {
  if (result.recall.has_value() && *result.recall < result.recall_target) return false;
  switch (result.goal) {
    case Goal::kAtLeast:
      return result.value >= result.target;
    case Goal::kAtMost:
      return result.value <= result.target;
    case Goal::kNone:
      break;
  }
  return true;
}

std::string Text(double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), value >= 1000 ? "%.0f" : "%.4g", value);
  return buffer;
}

}  // namespace

void Report::Add(Result result) {
  std::string goal;
  if (result.goal != Goal::kNone) {
    goal =
        std::string(result.goal == Goal::kAtLeast ? "at least " : "at most ") + Text(result.target);
  }
  if (result.recall_target > 0) {
    goal += std::string(goal.empty() ? "" : ", ") + "recall at least " + Text(result.recall_target);
  }
  if (!goal.empty()) goal += Meets(result) ? ": met" : ": MISSED";
  if (!result.note.empty()) goal = result.note + (goal.empty() ? "" : "; ") + goal;
  if (result.recall.has_value()) {
    char recall[32];
    std::snprintf(recall, sizeof(recall), "recall %.4f", *result.recall);
    goal = recall + std::string(goal.empty() ? "" : "  ") + goal;
  }
  std::printf("%-34s %12s %-12s %s\n", result.name.c_str(), Text(result.value).c_str(),
              result.unit.c_str(), goal.c_str());
  std::fflush(stdout);
  results_.push_back(std::move(result));
}

std::string Report::ToJson(const std::string& settings) const {
  nlohmann::ordered_json json;
  json["program"] = "cookix_bench";
  json["version"] = engine::kProgramVersion;
  json["cores"] = std::thread::hardware_concurrency();
  json["settings"] = nlohmann::ordered_json::parse(settings);
  json["results"] = nlohmann::ordered_json::array();
  for (const Result& result : results_) {
    nlohmann::ordered_json line;
    line["name"] = result.name;
    line["value"] = result.value;
    line["unit"] = result.unit;
    if (result.goal != Goal::kNone) {
      line[result.goal == Goal::kAtLeast ? "at_least" : "at_most"] = result.target;
      line["met"] = Meets(result);
    }
    if (result.recall.has_value()) line["recall"] = *result.recall;
    if (result.recall_target > 0) {
      line["recall_at_least"] = result.recall_target;
      line["met"] = Meets(result);
    }
    if (!result.note.empty()) line["note"] = result.note;
    json["results"].push_back(std::move(line));
  }
  return json.dump(2) + "\n";
}

int Report::missed() const {
  return static_cast<int>(
      std::count_if(results_.begin(), results_.end(), [](const Result& r) { return !Meets(r); }));
}

double Times::Percentile(double fraction) {
  if (micros_.empty()) return 0;
  const size_t at = std::min(micros_.size() - 1,
                             static_cast<size_t>(fraction * static_cast<double>(micros_.size())));
  std::nth_element(micros_.begin(), micros_.begin() + static_cast<std::ptrdiff_t>(at),
                   micros_.end());
  return micros_[at];
}

double Times::Sum() const { return std::accumulate(micros_.begin(), micros_.end(), 0.0); }

int FinishRun(const absl::Status& run, const Report& report, const std::string& json,
              const std::string& settings) {
  if (!run.ok()) {
    std::fprintf(stderr, "error: %s\n", run.ToString().c_str());
    return 1;
  }
  if (!json.empty()) {
    std::ofstream file(json);
    file << report.ToJson(settings);
    if (!file.flush()) {
      std::fprintf(stderr, "error: cannot write %s\n", json.c_str());
      return 1;
    }
  }
  return report.missed() == 0 ? 0 : 3;
}

}  // namespace cookix::bench
