#include "tools/bench/hybrid_server_bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"
#include "tools/bench/measure.h"
#include "tools/bench/vector_stream.h"

namespace cookix::bench {
namespace {

constexpr size_t kHits = 10;
// What a lane looks at when nothing is said.
constexpr size_t kCandidates = 100;
constexpr double kRankConstant = 60;
constexpr size_t kBuckets = 100;
constexpr double kGoalMicros = 3000;
// Of the vector lane's best ten, for an answer to be an answer at all.
constexpr double kFloor = 0.9;
constexpr char kCollection[] = "hybrid";

bool Passes(size_t row, int percent) { return row % kBuckets < static_cast<size_t>(percent); }

const v1::LaneResult* LaneOf(const v1::SearchResponse& response, const std::string& name) {
  for (const v1::LaneResult& lane : response.lanes()) {
    if (lane.name() == name) return &lane;
  }
  return nullptr;
}

}  // namespace

HybridServerBench::HybridServerBench(const VectorData& vectors, const TextCorpus& texts)
    : vectors_(vectors),
      texts_(texts),
      queries_(MakeQueries(texts, TextQueryKind::kAnyWords, vectors.query_count(), 1)),
      truth_(texts, queries_) {}

absl::StatusOr<std::unique_ptr<HybridServerBench>> HybridServerBench::Start(
    const std::string& data_dir, const VectorData& vectors, const TextCorpus& texts) {
  std::unique_ptr<HybridServerBench> bench(new HybridServerBench(vectors, texts));
  tests::TestServerOptions options;
  options.data_dir = data_dir;
  options.flags = {"--sync_mode=full"};
  COOKIX_ASSIGN_OR_RETURN(bench->server_, tests::TestServer::Start(std::move(options)));
  v1::CreateCollectionRequest request;
  request.mutable_collection()->set_name(kCollection);
  v1::VectorField& vector = *request.mutable_collection()->add_vector_fields();
  vector.set_name("v");
  vector.set_dimension(static_cast<int32_t>(vectors.dimension));
  vector.set_metric(vectors.metric);
  vector.set_index(v1::VECTOR_INDEX_KIND_HNSW);
  request.mutable_collection()->add_text_fields()->set_name("text");
  v1::CreateCollectionResponse response;
  COOKIX_RETURN_IF_ERROR(bench->server_->Connect()->CreateCollection(request, &response));
  return bench;
}

absl::Status HybridServerBench::WaitUntilIndexed(client::Client& client) {
  const auto begin = Clock::now();
  for (const bool text : {true, false}) {
    v1::DescribeIndexRequest request;
    request.set_collection(kCollection);
    request.set_text(text);
    v1::DescribeIndexResponse index;
    while (true) {
      COOKIX_RETURN_IF_ERROR(client.DescribeIndex(request, &index));
      // The last texts stay in the buffer, where they are found as well.
      const int64_t indexed = text ? index.vectors() : index.indexed_vectors();
      if (index.state() == "ready" && indexed == static_cast<int64_t>(vectors_.size())) break;
      if (SecondsSince(begin) > 3600) return absl::DeadlineExceededError("nothing was indexed");
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
  return absl::OkStatus();
}

absl::Status HybridServerBench::Insert(Report* report) {
  const auto begin = Clock::now();
  COOKIX_RETURN_IF_ERROR(InsertAll(
      server_->target(), kCollection, vectors_, [&](size_t row, v1::InsertVectorsRequest* request) {
        auto& fields = *request->add_properties()->mutable_fields();
        fields["text"].set_string_value(texts_.Text(row));
        fields["bucket"].set_int_value(static_cast<int64_t>(row % kBuckets));
      }));
  report->Add("hybrid/insert", static_cast<double>(vectors_.size()) / SecondsSince(begin),
              "objects/s");
  COOKIX_RETURN_IF_ERROR(WaitUntilIndexed(*server_->Connect()));
  report->Add("hybrid/indexed", SecondsSince(begin), "s");
  return absl::OkStatus();
}

v1::SearchRequest HybridServerBench::RequestOf(size_t query, int percent) const {
  v1::SearchRequest request;
  request.set_collection(kCollection);
  request.set_limit(kHits);
  const float* values = vectors_.Query(query);
  request.add_lanes()->mutable_vector()->mutable_vector()->mutable_values()->Add(
      values, values + vectors_.dimension);
  request.add_lanes()->mutable_text()->set_text(WordsOf(queries_[query], texts_.vocabulary()));
  if (percent < 100) {
    v1::Comparison& comparison = *request.mutable_filter()->mutable_comparison();
    comparison.set_field("bucket");
    comparison.set_op(v1::COMPARISON_OPERATOR_LESS);
    comparison.mutable_value()->set_int_value(percent);
  }
  return request;
}

absl::Status HybridServerBench::CheckTextLane(size_t query, int percent,
                                              const v1::LaneResult& lane) const {
  std::vector<RankedDocument> all = truth_.SearchAll(queries_[query]);
  std::erase_if(all, [&](const RankedDocument& one) { return !Passes(one.document, percent); });
  std::vector<RankedDocument> hits;
  for (const v1::Hit& hit : lane.hits()) {
    hits.push_back({static_cast<uint32_t>(RowOf(hit)), hit.score()});
  }
  return TextTruth::Check(all, kCandidates, hits);
}

absl::Status HybridServerBench::Check(size_t query, int percent,
                                      const v1::SearchResponse& response) const {
  std::map<size_t, double> scores;
  for (const v1::LaneResult& lane : response.lanes()) {
    for (int rank = 1; rank <= lane.hits_size(); ++rank) {
      scores[RowOf(lane.hits(rank - 1))] += 1 / (kRankConstant + rank);
    }
  }
  std::vector<double> expected;
  for (const auto& [row, score] : scores) expected.push_back(score);
  std::sort(expected.rbegin(), expected.rend());
  if (static_cast<size_t>(response.hits_size()) != std::min(kHits, expected.size())) {
    return Wrong("too few hits");
  }
  std::set<size_t> rows;
  for (int i = 0; i < response.hits_size(); ++i) {
    const v1::Hit& hit = response.hits(i);
    const size_t row = RowOf(hit);
    if (row >= vectors_.size() || KeyOf(row) != hit.ref().key()) return Wrong("an unknown key");
    if (!Passes(row, percent)) return Wrong("a hit that the filter does not let through");
    if (!rows.insert(row).second) return Wrong("a hit twice");
    if (std::abs(hit.score() - expected[static_cast<size_t>(i)]) > 1e-12 ||
        std::abs(hit.score() - scores[row]) > 1e-12) {
      return Wrong(absl::StrCat("hit ", i, " has score ", hit.score(), ", not ",
                                expected[static_cast<size_t>(i)]));
    }
  }
  return absl::OkStatus();
}

absl::Status HybridServerBench::CheckAll(client::Client& client, int percent, double* recall) {
  std::vector<uint32_t> among;
  for (uint32_t row = 0; row < vectors_.size(); ++row) {
    if (Passes(row, percent)) among.push_back(row);
  }
  const Truth nearest =
      FindTruth(vectors_, vectors_.queries.data(), vectors_.query_count(), kHits, among);
  *recall = 0;
  for (size_t q = 0; q < queries_.size(); ++q) {
    v1::SearchRequest request = RequestOf(q, percent);
    request.set_with_lanes(true);
    v1::SearchResponse response;
    COOKIX_RETURN_IF_ERROR(client.Search(request, &response));
    COOKIX_RETURN_IF_ERROR(Check(q, percent, response));
    const v1::LaneResult* const text = LaneOf(response, "text");
    const v1::LaneResult* const vector = LaneOf(response, "vector");
    if (text == nullptr || vector == nullptr) return Wrong("a lane is missing");
    COOKIX_RETURN_IF_ERROR(CheckTextLane(q, percent, *text));
    std::vector<uint32_t> rows;
    for (int i = 0; i < std::min<int>(kHits, vector->hits_size()); ++i) {
      rows.push_back(static_cast<uint32_t>(RowOf(vector->hits(i))));
    }
    *recall += nearest.Recall(vectors_, vectors_.Query(q), q, rows);
  }
  *recall /= static_cast<double>(queries_.size());
  return absl::OkStatus();
}

absl::Status HybridServerBench::Search(int rounds, Report* report) {
  std::unique_ptr<client::Client> client = server_->Connect();
  for (const int percent : {1, 10, 100}) {
    double recall = 0;
    COOKIX_RETURN_IF_ERROR(CheckAll(*client, percent, &recall));
    Times times;
    for (int round = 0; round < rounds; ++round) {
      for (size_t q = 0; q < queries_.size(); ++q) {
        const v1::SearchRequest request = RequestOf(q, percent);
        v1::SearchResponse response;
        const auto begin = Clock::now();
        COOKIX_RETURN_IF_ERROR(client->Search(request, &response));
        times.Add(SecondsSince(begin) * 1e6);
      }
    }
    const std::string name = absl::StrCat("hybrid/filter_", percent);
    report->Add({name + "/p50", times.Median(), "us", Goal::kAtMost, kGoalMicros, recall, kFloor,
                 "recall of the vector lane"});
    report->Add({name + "/p99", times.Percentile(0.99), "us", Goal::kNone, 0, recall});
  }
  return absl::OkStatus();
}

}  // namespace cookix::bench
