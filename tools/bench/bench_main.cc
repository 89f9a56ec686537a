// Measures speed and size on a random typed graph.
//
//   bazel run --config=release //tools/bench:cookix_bench -- [--objects=1000000]
//       [--degree=4] [--seed=1] [--rounds=1] [--scenarios=import,...] [--dir=DIR] [--json=FILE]
//
// Scenarios: import (bulk load over gRPC, calls, restart, memory); search, paths, get
// and filter in the engine; scaling (search at growing sizes). Exit code: 0, 1 when an answer was
// wrong or something failed, 2 on bad flags, 3 when a figure misses its target.
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"
#include "tools/bench/bench_flags.h"
#include "tools/bench/directory.h"
#include "tools/bench/engine_bench.h"
#include "tools/bench/random_graph.h"
#include "tools/bench/report.h"
#include "tools/bench/server_bench.h"

namespace cookix::bench {
namespace {

struct Flags {
  uint32_t objects = 1'000'000;
  uint32_t degree = 4;
  uint64_t seed = 1;
  // How many times the usual number of answers is timed.
  int rounds = 1;
  std::set<std::string> scenarios = {"import", "search", "paths", "get", "filter", "scaling"};
  std::string dir;
  std::string json;
};

absl::Status ParseFlags(int argc, char** argv, Flags* flags) {
  BenchFlags parser;
  parser.Number("objects", &flags->objects, 100u);
  parser.Number("degree", &flags->degree, 1u);
  parser.Number("seed", &flags->seed);
  parser.Number("rounds", &flags->rounds, 1, 1000);
  parser.Choice("scenarios", &flags->scenarios);
  parser.Text("dir", &flags->dir);
  parser.Text("json", &flags->json);
  COOKIX_RETURN_IF_ERROR(parser.Parse(argc, argv));
  if (flags->degree >= flags->objects) return absl::InvalidArgumentError("--degree is too large");
  return absl::OkStatus();
}

absl::Status Run(const Flags& flags, Report* report) {
  const RandomGraph graph = MakeRandomGraph(flags.objects, flags.degree, flags.seed);
  if (flags.scenarios.count("import") > 0) {
    Directory directory(flags.dir);
    COOKIX_ASSIGN_OR_RETURN(auto bench, ServerBench::Start(directory.path() + "/server", graph));
    COOKIX_RETURN_IF_ERROR(bench->Import(report));
    COOKIX_RETURN_IF_ERROR(bench->UnaryGet(100'000, report));
    COOKIX_RETURN_IF_ERROR(bench->Restart(report));
  }
  auto wanted = [&](const char* scenario) { return flags.scenarios.count(scenario) > 0; };
  if (wanted("search") || wanted("paths") || wanted("get") || wanted("filter")) {
    Directory directory(flags.dir);
    COOKIX_ASSIGN_OR_RETURN(auto bench, EngineBench::Open(directory.path() + "/engine", graph));
    report->Add("load/objects", flags.objects / bench->load_seconds(), "objects/s");
    if (wanted("search"))
      COOKIX_RETURN_IF_ERROR(bench->Search(2000 * flags.rounds, "search4", true, report));
    if (wanted("paths")) COOKIX_RETURN_IF_ERROR(bench->Paths(4000 * flags.rounds, report));
    if (wanted("get")) COOKIX_RETURN_IF_ERROR(bench->Get(20'000 * flags.rounds, report));
    if (wanted("filter")) COOKIX_RETURN_IF_ERROR(bench->Filter(100 * flags.rounds, report));
  }
  if (flags.scenarios.count("scaling") > 0) {
    for (const uint32_t objects : {20'000u, 100'000u, 1'000'000u}) {
      if (objects > flags.objects) continue;
      const RandomGraph smaller = MakeRandomGraph(objects, flags.degree, flags.seed);
      Directory directory(flags.dir);
      COOKIX_ASSIGN_OR_RETURN(auto bench, EngineBench::Open(directory.path() + "/engine", smaller));
      COOKIX_RETURN_IF_ERROR(
          bench->Search(1000, absl::StrCat("search4_at_", objects), false, report));
    }
  }
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  Flags flags;
  const absl::Status parsed = ParseFlags(argc, argv, &flags);
  return RunBench(
      parsed, [&](Report* report) { return Run(flags, report); }, flags.json,
      absl::StrCat("{\"objects\": ", flags.objects, ", \"degree\": ", flags.degree,
                   ", \"seed\": ", flags.seed, "}"));
}

}  // namespace
}  // namespace cookix::bench

int main(int argc, char** argv) { return cookix::bench::Main(argc, argv); }
