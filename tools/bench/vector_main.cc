// Measures vector search beside other libraries, which are Debian packages that nothing else
// needs (tools/packages.txt, kind `bench`).
//
//   bazel run --config=release //tools/bench:vector_bench -- [--objects=1000000] [--seed=1]
//       [--rounds=3] [--scenarios=graph,filter,churn,server] [--data=DIR] [--dir=DIR]
//       [--peers=hnswlib] [--json=FILE]
//
// Scenarios: graph (200,000 vectors, and the real ones of DIR/mnist784 and
// DIR/glove10k_100d), filter (200,000 and --objects), churn (200,000), server (--objects).
// Exit code: 0, 1 when an answer was wrong or something failed, 2 on bad flags, 3 when a
// figure misses its target. --peers may also name faiss and faiss_sq8; the first one is what
// the others are compared with.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"
#include "tools/bench/ann_peers.h"
#include "tools/bench/bench_flags.h"
#include "tools/bench/cookix_index.h"
#include "tools/bench/directory.h"
#include "tools/bench/report.h"
#include "tools/bench/vector_bench.h"
#include "tools/bench/vector_server_bench.h"

namespace cookix::bench {
namespace {

constexpr size_t kGraphVectors = 200'000;

const std::map<std::string, AnnFactory>& Peers() {
  static const auto* const peers = new std::map<std::string, AnnFactory>{
      {"hnswlib", HnswlibPeer()}, {"faiss", FaissFlatPeer()}, {"faiss_sq8", FaissCodesPeer()}};
  return *peers;
}

struct Flags {
  uint32_t objects = 1'000'000;
  std::set<std::string> scenarios = {"graph", "filter", "churn", "server"};
  std::vector<std::string> peers = {"hnswlib"};
  std::string data;
  std::string dir;
  std::string json;
  VectorBenchOptions options;
};

absl::Status ParseFlags(int argc, char** argv, Flags* flags) {
  BenchFlags parser;
  parser.Number("objects", &flags->objects, 1000u);
  parser.Number("seed", &flags->options.seed);
  parser.Number("rounds", &flags->options.rounds, 1, 1000);
  parser.Choice("scenarios", &flags->scenarios);
  parser.Names("peers", &flags->peers, Peers());
  parser.Text("data", &flags->data);
  parser.Text("dir", &flags->dir);
  parser.Text("json", &flags->json);
  return parser.Parse(argc, argv);
}

absl::Status Graphs(const Flags& flags, Report* report) {
  const VectorBenchOptions& options = flags.options;
  std::vector<AnnFactory> indexes = {
      [](const VectorData& data) { return std::make_unique<CookixIndex>(data); }};
  for (const std::string& peer : flags.peers) indexes.push_back(Peers().at(peer));
  {
    const VectorData data =
        MakeClusters("c128", std::min<size_t>(kGraphVectors, flags.objects), options.dimension,
                     options.clusters, options.queries, options.seed);
    COOKIX_RETURN_IF_ERROR(CompareGraphs(options, data, indexes, report));
  }
  if (flags.data.empty()) return absl::OkStatus();
  {
    COOKIX_ASSIGN_OR_RETURN(const VectorData data,
                            ReadMnist(flags.data + "/mnist784", options.queries));
    COOKIX_RETURN_IF_ERROR(CompareGraphs(options, data, indexes, report));
  }
  COOKIX_ASSIGN_OR_RETURN(const VectorData data,
                          ReadGlove(flags.data + "/glove10k_100d", options.queries));
  return CompareGraphs(options, data, indexes, report);
}

absl::Status Run(const Flags& flags, Report* report) {
  const VectorBenchOptions& options = flags.options;
  const size_t some = std::min<size_t>(kGraphVectors, flags.objects);
  auto wanted = [&](const char* scenario) { return flags.scenarios.count(scenario) > 0; };
  if (wanted("graph")) COOKIX_RETURN_IF_ERROR(Graphs(flags, report));
  if (wanted("filter")) {
    COOKIX_RETURN_IF_ERROR(FilteredSearch(options, some, report));
    if (flags.objects > some) {
      COOKIX_RETURN_IF_ERROR(FilteredSearch(options, flags.objects, report));
    }
  }
  if (wanted("churn")) COOKIX_RETURN_IF_ERROR(Churn(options, some, report));
  if (wanted("server")) {
    const VectorData data = MakeClusters("server", flags.objects, options.dimension,
                                         options.clusters, options.queries, options.seed);
    Directory directory(flags.dir);
    COOKIX_ASSIGN_OR_RETURN(auto bench,
                            VectorServerBench::Start(directory.path() + "/server", data));
    COOKIX_RETURN_IF_ERROR(bench->Insert(report));
    COOKIX_RETURN_IF_ERROR(bench->Search(options.rounds, report));
    COOKIX_RETURN_IF_ERROR(bench->Restart(/*kill=*/false, report));
    COOKIX_RETURN_IF_ERROR(bench->Restart(/*kill=*/true, report));
  }
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  Flags flags;
  const absl::Status parsed = ParseFlags(argc, argv, &flags);
  return RunBench(
      parsed, [&](Report* report) { return Run(flags, report); }, flags.json,
      absl::StrCat("{\"objects\": ", flags.objects, ", \"seed\": ", flags.options.seed,
                   ", \"rounds\": ", flags.options.rounds, "}"));
}

}  // namespace
}  // namespace cookix::bench

int main(int argc, char** argv) { return cookix::bench::Main(argc, argv); }
