#include "tools/bench/text_bench.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <thread>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"
#include "tools/bench/measure.h"
#include "tools/bench/text_truth.h"

namespace cookix::bench {
namespace {

// Documents whose texts are made at once, outside what is timed.
constexpr size_t kBatch = 10'000;
// Documents whose analysis is compared with what the corpus says.
constexpr size_t kAnalysisChecks = 1000;
constexpr double kIndexGoal = 30'000;
constexpr double kSizeGoal = 0.3;

struct Scenario {
  TextQueryKind kind = TextQueryKind::kAnyWords;
  size_t k = 10;
  // How many times as fast as a peer, by its name.
  std::map<std::string, double> goals;
};

const std::map<std::string, Scenario>& Scenarios() {
  static const auto* const scenarios = new std::map<std::string, Scenario>{
      {"or", {TextQueryKind::kAnyWords, 10, {{"xapian", 10}, {"fts5", 100}}}},
      {"and", {TextQueryKind::kAllWords, 10, {{"xapian", 5}}}},
      {"phrase", {TextQueryKind::kPhrase, 10, {{"xapian", 3}}}},
      {"top100", {TextQueryKind::kAnyWords, 100, {}}}};
  return *scenarios;
}

double MedianOf(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// How many of the best `k` are among `hits`; equal ones are as good.
double ShareOfBest(const std::vector<RankedDocument>& all, size_t k,
                   const std::vector<RankedDocument>& hits) {
  const size_t wanted = std::min(k, all.size());
  if (wanted == 0) return 1;
  const double least = all[wanted - 1].score * (1 - 1e-9);
  std::unordered_set<uint32_t> best;
  for (size_t i = 0; i < all.size() && all[i].score >= least; ++i) best.insert(all[i].document);
  const auto found = std::count_if(hits.begin(), hits.end(), [&](const RankedDocument& hit) {
    return best.count(hit.document) > 0;
  });
  return static_cast<double>(found) / static_cast<double>(wanted);
}

}  // namespace

TextBench::TextBench(const TextBenchOptions& options, std::string directory)
    : options_(options), directory_(std::move(directory)), corpus_(options.corpus) {}

absl::StatusOr<double> TextBench::IndexAll(TextContestant& index) const {
  double seconds = 0;
  for (size_t first = 0; first < corpus_.size(); first += kBatch) {
    std::vector<std::string> texts;
    for (size_t i = first; i < std::min(corpus_.size(), first + kBatch); ++i) {
      texts.push_back(corpus_.Text(i));
    }
    const auto begin = Clock::now();
    COOKIX_RETURN_IF_ERROR(index.Add(first, texts));
    seconds += SecondsSince(begin);
  }
  const auto begin = Clock::now();
  COOKIX_RETURN_IF_ERROR(index.Finish());
  return static_cast<double>(corpus_.size()) / (seconds + SecondsSince(begin));
}

absl::Status TextBench::Index(const std::vector<TextContestantFactory>& peers, Report* report) {
  report->Add("corpus/documents", static_cast<double>(corpus_.size()), "");
  report->Add("corpus/words", static_cast<double>(corpus_.total_words()), "");
  report->Add("corpus/different_words", static_cast<double>(corpus_.distinct_words()), "");
  report->Add("corpus/text", static_cast<double>(corpus_.text_bytes()) / (1 << 20), "MiB");

  COOKIX_ASSIGN_OR_RETURN(std::unique_ptr<CookixText> ours,
                          CookixText::Create(corpus_, /*positions=*/true));
  for (size_t i = 0; i < std::min(kAnalysisChecks, corpus_.size()); ++i) {
    COOKIX_RETURN_IF_ERROR(ours->CheckAnalysis(i));
  }
  ours_ = ours.get();
  contestants_.push_back({std::move(ours), {}, 0});
  COOKIX_ASSIGN_OR_RETURN(const double rate, IndexAll(*ours_));
  report->Add({"index/cookix", rate, "documents/s", Goal::kAtLeast, kIndexGoal, std::nullopt, 0,
               absl::StrCat("analysis and postings, ", ours_->segments(), " segments")});

  for (size_t i = 0; i < peers.size(); ++i) {
    const std::string directory = absl::StrCat(directory_, "/peer", i);
    std::filesystem::create_directories(directory);
    COOKIX_ASSIGN_OR_RETURN(auto peer, peers[i](corpus_, directory));
    contestants_.push_back({std::move(peer), {}, 0});
  }
  std::vector<absl::StatusOr<double>> rates(contestants_.size(), 0.0);
  std::vector<std::thread> threads;
  for (size_t i = 1; i < contestants_.size(); ++i) {
    threads.emplace_back([&, i] { rates[i] = IndexAll(*contestants_[i].index); });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 1; i < contestants_.size(); ++i) {
    COOKIX_RETURN_IF_ERROR(rates[i].status());
    report->Add({absl::StrCat("index/", contestants_[i].index->name()), *rates[i], "documents/s",
                 Goal::kNone, 0, std::nullopt, 0, "beside the other peers"});
  }
  return absl::OkStatus();
}

absl::Status TextBench::Verify(const std::vector<WordQuery>& queries, size_t k) {
  const TextTruth truth(corpus_, queries);
  for (Contestant& one : contestants_) one.found = 0;
  std::vector<RankedDocument> hits;
  for (const WordQuery& query : queries) {
    const std::vector<RankedDocument> all = truth.SearchAll(query);
    COOKIX_RETURN_IF_ERROR(ours_->SearchBothWays(query, k, &hits));
    const absl::Status right = TextTruth::Check(all, k, hits);
    if (!right.ok()) {
      return absl::InternalError(absl::StrCat("\"", WordsOf(query, corpus_.vocabulary()),
                                              "\": ", std::string(right.message())));
    }
    for (Contestant& one : contestants_) {
      COOKIX_RETURN_IF_ERROR(one.index->Search(query, k, &hits));
      one.found += ShareOfBest(all, k, hits) / static_cast<double>(queries.size());
    }
  }
  return absl::OkStatus();
}

absl::Status TextBench::Time(const std::vector<WordQuery>& queries, size_t k,
                             Contestant* contestant) {
  std::vector<RankedDocument> hits;
  for (size_t q = 0; q < queries.size(); ++q) {
    const auto begin = Clock::now();
    COOKIX_RETURN_IF_ERROR(contestant->index->Search(queries[q], k, &hits));
    contestant->micros[q].push_back(SecondsSince(begin) * 1e6);
  }
  return absl::OkStatus();
}

absl::Status TextBench::Search(const std::string& name, Report* report) {
  const Scenario& scenario = Scenarios().at(name);
  const std::vector<WordQuery> queries =
      MakeQueries(corpus_, scenario.kind, options_.queries, options_.corpus.seed);
  COOKIX_RETURN_IF_ERROR(Verify(queries, scenario.k));
  for (Contestant& one : contestants_) one.micros.assign(queries.size(), {});
  for (int round = 0; round < options_.rounds; ++round) {
    for (Contestant& one : contestants_) {
      COOKIX_RETURN_IF_ERROR(Time(queries, scenario.k, &one));
    }
  }

  double our_median = 0;
  double our_mean = 0;
  for (const Contestant& one : contestants_) {
    Times times;
    for (const std::vector<double>& rounds : one.micros) times.Add(MedianOf(rounds));
    const double median = times.Median();
    const double mean = times.Sum() / static_cast<double>(times.size());
    const std::string peer = one.index->name();
    const std::string row = absl::StrCat(name, "/", peer);
    report->Add({row + "/p50", median, "us", Goal::kNone, 0, one.found});
    report->Add({row + "/mean", mean, "us", Goal::kNone, 0, one.found});
    report->Add({row + "/p99", times.Percentile(0.99), "us", Goal::kNone, 0, one.found});
    if (one.index.get() == ours_) {
      our_median = median;
      our_mean = mean;
      continue;
    }
    const auto goal = scenario.goals.find(peer);
    const bool has_goal = goal != scenario.goals.end();
    report->Add({absl::StrCat(name, "/than_", peer, "/p50"), median / our_median, "times as fast",
                 has_goal ? Goal::kAtLeast : Goal::kNone, has_goal ? goal->second : 0});
    report->Add(absl::StrCat(name, "/than_", peer, "/mean"), mean / our_mean, "times as fast");
  }
  return absl::OkStatus();
}

absl::Status TextBench::Size(Report* report) {
  const auto of_text = [this](int64_t bytes) {
    return static_cast<double>(bytes) / static_cast<double>(corpus_.text_bytes());
  };
  for (const Contestant& one : contestants_) {
    COOKIX_ASSIGN_OR_RETURN(const int64_t bytes, one.index->Bytes());
    report->Add(absl::StrCat("size/", one.index->name()), of_text(bytes), "of text");
  }
  ours_->Compact();
  COOKIX_ASSIGN_OR_RETURN(const int64_t compact, ours_->Bytes());
  report->Add("size/cookix/compact", of_text(compact), "of text");
  // What is kept for readers of older commits has a bound of its own, whatever the texts.
  engine::TextIndex::Options options;
  options.change_bytes = 0;
  for (const bool positions : {true, false}) {
    COOKIX_ASSIGN_OR_RETURN(std::unique_ptr<CookixText> index,
                            CookixText::Create(corpus_, positions, options));
    COOKIX_RETURN_IF_ERROR(IndexAll(*index).status());
    index->Compact();
    COOKIX_ASSIGN_OR_RETURN(const int64_t bytes, index->Bytes());
    report->Add({absl::StrCat("size/cookix/", positions ? "" : "no_", "positions"), of_text(bytes),
                 "of text", positions ? Goal::kNone : Goal::kAtMost, positions ? 0 : kSizeGoal});
  }
  return absl::OkStatus();
}

}  // namespace cookix::bench
