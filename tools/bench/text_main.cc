// Measures text search beside other libraries, which are Debian packages that nothing else
// needs (tools/packages.txt, kind `bench`).
//
//   bazel run --config=release //tools/bench:text_bench -- [--documents=1000000] [--seed=1]
//       [--rounds=3] [--queries=200] [--peers=xapian,fts5] [--data=DIR] [--dir=DIR]
//       [--scenarios=index,or,and,phrase,top100,size,quality,log,hybrid] [--json=FILE]
//
// All but quality, log and hybrid index a made-up corpus of --documents documents in this process;
// log and hybrid run a server with as many objects. quality needs DIR/cacm, DIR/cisi and
// DIR/cranfield, and says so where they are not. Exit code: 0, 1 when an answer was wrong or
// something failed, 2 on bad flags, 3 when a figure misses its target.
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"
#include "tests/support/judged_collection.h"
#include "tools/bench/bench_flags.h"
#include "tools/bench/directory.h"
#include "tools/bench/hybrid_server_bench.h"
#include "tools/bench/report.h"
#include "tools/bench/text_bench.h"
#include "tools/bench/text_peers.h"
#include "tools/bench/text_server_bench.h"
#include "tools/bench/vector_data.h"

namespace cookix::bench {
namespace {

constexpr double kQualityGoal = 0.005;
// Of the server scenario.
constexpr size_t kDimension = 128;
constexpr size_t kClusters = 2000;
constexpr size_t kWordsOfObject = 20;

const std::map<std::string, TextContestantFactory>& Peers() {
  static const auto* const peers = new std::map<std::string, TextContestantFactory>{
      {"xapian", XapianPeer()}, {"fts5", Fts5Peer()}};
  return *peers;
}

struct Flags {
  std::set<std::string> scenarios = {"index", "or",      "and", "phrase", "top100",
                                     "size",  "quality", "log", "hybrid"};
  std::vector<std::string> peers = {"xapian", "fts5"};
  std::string data;
  std::string dir;
  std::string json;
  TextBenchOptions options;
};

absl::Status ParseFlags(int argc, char** argv, Flags* flags) {
  BenchFlags parser;
  TextBenchOptions& options = flags->options;
  using Documents = decltype(options.corpus.documents);
  using Queries = decltype(options.queries);
  parser.Number("documents", &options.corpus.documents, Documents{10'000}, Documents{100'000'000});
  parser.Number("seed", &options.corpus.seed);
  parser.Number("rounds", &options.rounds, 1, 1000);
  parser.Number("queries", &options.queries, Queries{1}, Queries{100'000});
  parser.Choice("scenarios", &flags->scenarios);
  parser.Names("peers", &flags->peers, Peers());
  parser.Text("data", &flags->data);
  parser.Text("dir", &flags->dir);
  parser.Text("json", &flags->json);
  return parser.Parse(argc, argv);
}

absl::Status Quality(const std::string& data, Report* report) {
  for (const char* name : {"cacm", "cisi", "cranfield"}) {
    const std::string directory = absl::StrCat(data, "/", name);
    const auto collection = tests::JudgedCollection::Read(name, directory);
    if (absl::IsNotFound(collection.status())) {
      std::printf("%s is absent: --data=DIR names the folder that has it\n", name);
      continue;
    }
    COOKIX_RETURN_IF_ERROR(collection.status());
    COOKIX_ASSIGN_OR_RETURN(const tests::RankingQuality quality,
                            tests::MeasureRankings(*collection));
    const std::string prefix = absl::StrCat("quality/", name);
    report->Add(prefix + "/cookix", quality.engine, "nDCG@10");
    report->Add(prefix + "/reference", quality.reference, "nDCG@10");
    report->Add({prefix + "/difference", std::abs(quality.engine - quality.reference), "nDCG@10",
                 Goal::kAtMost, kQualityGoal});
  }
  return absl::OkStatus();
}

absl::Status InProcess(const Flags& flags, Report* report) {
  const auto wanted = [&](const char* scenario) { return flags.scenarios.count(scenario) > 0; };
  std::vector<std::string> searches;
  for (const char* scenario : {"or", "and", "phrase", "top100"}) {
    if (wanted(scenario)) searches.emplace_back(scenario);
  }
  if (searches.empty() && !wanted("index") && !wanted("size")) return absl::OkStatus();
  std::vector<TextContestantFactory> peers;
  for (const std::string& peer : flags.peers) peers.push_back(Peers().at(peer));
  const Directory directory(flags.dir);
  TextBench bench(flags.options, directory.path());
  COOKIX_RETURN_IF_ERROR(bench.Index(peers, report));
  for (const std::string& scenario : searches) {
    COOKIX_RETURN_IF_ERROR(bench.Search(scenario, report));
  }
  return wanted("size") ? bench.Size(report) : absl::OkStatus();
}

absl::Status IndexLog(const Flags& flags, Report* report) {
  const TextCorpus texts(flags.options.corpus);
  const Directory directory(flags.dir);
  return RunTextServerBench(directory.path() + "/server", texts, flags.options.queries, report);
}

absl::Status Hybrid(const Flags& flags, Report* report) {
  TextCorpusOptions options = flags.options.corpus;
  options.mean_words = kWordsOfObject;
  const TextCorpus texts(options);
  const VectorData vectors = MakeClusters("hybrid", options.documents, kDimension, kClusters,
                                          flags.options.queries, options.seed);
  const Directory directory(flags.dir);
  COOKIX_ASSIGN_OR_RETURN(auto bench,
                          HybridServerBench::Start(directory.path() + "/server", vectors, texts));
  COOKIX_RETURN_IF_ERROR(bench->Insert(report));
  return bench->Search(flags.options.rounds, report);
}

absl::Status Run(const Flags& flags, Report* report) {
  if (flags.scenarios.count("quality") > 0) {
    COOKIX_RETURN_IF_ERROR(Quality(flags.data, report));
  }
  COOKIX_RETURN_IF_ERROR(InProcess(flags, report));
  if (flags.scenarios.count("log") > 0) {
    COOKIX_RETURN_IF_ERROR(IndexLog(flags, report));
  }
  return flags.scenarios.count("hybrid") > 0 ? Hybrid(flags, report) : absl::OkStatus();
}

int Main(int argc, char** argv) {
  Flags flags;
  const absl::Status parsed = ParseFlags(argc, argv, &flags);
  return RunBench(
      parsed, [&](Report* report) { return Run(flags, report); }, flags.json,
      absl::StrCat("{\"documents\": ", flags.options.corpus.documents, ", \"seed\": ",
                   flags.options.corpus.seed, ", \"rounds\": ", flags.options.rounds,
                   ", \"queries\": ", flags.options.queries, "}"));
}

}  // namespace
}  // namespace cookix::bench

int main(int argc, char** argv) { return cookix::bench::Main(argc, argv); }
