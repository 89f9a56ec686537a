// Measures replicas: lag, catching up, what they cost the primary, and how fast a new one begins.
//
//   bazel run --config=release //tools/bench:replication_bench -- [--rate=5000] [--seconds=20]
//       [--backlog=100000] [--objects=1000000] [--seed=1] [--dir=DIR] [--json=FILE]
//
// Exit code: 0, 1 when an answer was wrong or something failed, 2 on bad flags, 3 when a
// figure misses its target.
#include <string>

#include "absl/strings/str_cat.h"
#include "tools/bench/bench_flags.h"
#include "tools/bench/directory.h"
#include "tools/bench/replication_bench.h"
#include "tools/bench/report.h"

namespace cookix::bench {
namespace {

int Main(int argc, char** argv) {
  ReplicationBenchOptions options;
  std::string dir, json;
  BenchFlags parser;
  parser.Number("rate", &options.rate, 1, 1'000'000);
  parser.Number("seconds", &options.seconds, 2, 3600);
  parser.Number("backlog", &options.backlog, 1, 100'000'000);
  parser.Number("objects", &options.objects, 0, 100'000'000);
  parser.Number("seed", &options.seed);
  parser.Text("dir", &dir);
  parser.Text("json", &json);
  const absl::Status parsed = parser.Parse(argc, argv);
  const Directory directory(dir);
  options.directory = directory.path();
  return RunBench(
      parsed, [&](Report* report) { return ReplicationBench(options).Run(report); }, json,
      absl::StrCat("{\"rate\": ", options.rate, ", \"seconds\": ", options.seconds,
                   ", \"backlog\": ", options.backlog, ", \"objects\": ", options.objects,
                   ", \"seed\": ", options.seed, "}"));
}

}  // namespace
}  // namespace cookix::bench

int main(int argc, char** argv) { return cookix::bench::Main(argc, argv); }
