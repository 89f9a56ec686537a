#include "tools/bench/vector_server_bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"
#include "tools/bench/measure.h"
#include "tools/bench/vector_stream.h"

namespace cookix::bench {
namespace {

constexpr size_t kHits = 10;
constexpr double kFloor = 0.95;
constexpr char kCollection[] = "vectors";

}  // namespace

VectorServerBench::VectorServerBench(const VectorData& data)
    : data_(data), truth_(FindTruth(data, data.queries.data(), data.query_count(), kHits)) {}

absl::StatusOr<std::unique_ptr<VectorServerBench>> VectorServerBench::Start(
    const std::string& data_dir, const VectorData& data) {
  std::unique_ptr<VectorServerBench> bench(new VectorServerBench(data));
  tests::TestServerOptions options;
  options.data_dir = data_dir;
  options.flags = {"--sync_mode=full"};
  COOKIX_ASSIGN_OR_RETURN(bench->server_, tests::TestServer::Start(std::move(options)));
  std::unique_ptr<client::Client> client = bench->server_->Connect();
  v1::CreateCollectionRequest request;
  request.mutable_collection()->set_name(kCollection);
  v1::VectorField& field = *request.mutable_collection()->add_vector_fields();
  field.set_name("v");
  field.set_dimension(static_cast<int32_t>(data.dimension));
  field.set_metric(data.metric);
  field.set_index(v1::VECTOR_INDEX_KIND_HNSW);
  v1::CreateCollectionResponse response;
  COOKIX_RETURN_IF_ERROR(client->CreateCollection(request, &response));
  return bench;
}

absl::Status VectorServerBench::Insert(Report* report) {
  const auto begin = Clock::now();
  COOKIX_RETURN_IF_ERROR(
      InsertAll(server_->target(), kCollection, data_, [](size_t, v1::InsertVectorsRequest*) {}));
  const double seconds = SecondsSince(begin);
  const auto count = static_cast<double>(data_.size());
  report->Add({"server/insert", count / seconds, "vectors/s", Goal::kAtLeast, 50'000});

  std::unique_ptr<client::Client> client = server_->Connect();
  v1::DescribeIndexRequest request;
  request.set_collection(kCollection);
  v1::DescribeIndexResponse index;
  // What is not indexed yet is found all the same.
  double recall = 0;
  double micros = 0;
  std::string strategy;
  COOKIX_RETURN_IF_ERROR(Ask(*client, 0, 0, &recall, &micros, &strategy));
  report->Add({"server/first_search", micros, "us", Goal::kNone, 0, recall, 0, strategy});
  while (true) {
    COOKIX_RETURN_IF_ERROR(client->DescribeIndex(request, &index));
    if (index.indexed_vectors() == static_cast<int64_t>(data_.size())) break;
    if (SecondsSince(begin) > 3600) return absl::DeadlineExceededError("vectors were not indexed");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  report->Add("server/indexed", SecondsSince(begin), "s");
  report->Add("server/index_bytes", static_cast<double>(index.memory_bytes()) / count, "B/vector");
  return absl::OkStatus();
}

absl::Status VectorServerBench::Ask(client::Client& client, size_t query, int ef, double* recall,
                                    double* micros, std::string* strategy) {
  v1::SearchRequest request;
  request.set_collection(kCollection);
  request.set_limit(kHits);
  request.mutable_vector()->set_ef(ef);
  const float* values = data_.Query(query);
  request.mutable_vector()->mutable_vector()->mutable_values()->Add(values,
                                                                    values + data_.dimension);
  v1::SearchResponse response;
  const auto begin = Clock::now();
  COOKIX_RETURN_IF_ERROR(client.Search(request, &response));
  *micros = SecondsSince(begin) * 1e6;
  *strategy = response.diagnostics().strategy();
  std::vector<uint32_t> rows;
  double before = -1e30;
  for (const v1::Hit& hit : response.hits()) {
    const size_t row = RowOf(hit);
    if (row >= data_.size() || KeyOf(row) != hit.ref().key()) return Wrong("a key was not given");
    double expected = data_.Distance(values, data_.Base(row));
    if (data_.metric == v1::VECTOR_METRIC_L2) expected = std::sqrt(expected);
    if (std::abs(hit.distance() - expected) > 2e-3 * (1 + expected)) {
      return Wrong(absl::StrCat("a hit has distance ", hit.distance(), ", not ", expected));
    }
    if (hit.distance() < before) return Wrong("an answer is in no order");
    before = hit.distance();
    rows.push_back(static_cast<uint32_t>(row));
  }
  if (std::set<uint32_t>(rows.begin(), rows.end()).size() != kHits) return Wrong("too few hits");
  *recall += truth_.Recall(data_, values, query, rows);
  return absl::OkStatus();
}

absl::Status VectorServerBench::Search(int rounds, Report* report) {
  std::unique_ptr<client::Client> client = server_->Connect();
  const auto queries = static_cast<double>(data_.query_count());
  double recall = 0;
  double micros = 0;
  std::string strategy;
  for (const int ef : {64, 96, 128, 192, 256, 384, 512}) {
    recall = 0;
    ef_ = ef;
    for (size_t q = 0; q < data_.query_count(); ++q) {
      COOKIX_RETURN_IF_ERROR(Ask(*client, q, ef, &recall, &micros, &strategy));
    }
    recall /= queries;
    if (recall >= kFloor) break;
  }
  Times times;
  std::map<std::string, int> strategies;
  for (int round = 0; round < rounds; ++round) {
    for (size_t q = 0; q < data_.query_count(); ++q) {
      double again = 0;
      COOKIX_RETURN_IF_ERROR(Ask(*client, q, ef_, &again, &micros, &strategy));
      times.Add(micros);
      ++strategies[strategy];
    }
  }
  std::string note = absl::StrCat("ef ", ef_);
  for (const auto& [name, count] : strategies) absl::StrAppend(&note, ", ", name);
  report->Add(
      {"server/search_p50", times.Median(), "us", Goal::kAtMost, 1000, recall, kFloor, note});
  report->Add({"server/search_p99", times.Percentile(0.99), "us", Goal::kNone, 0, recall, 0, note});
  return absl::OkStatus();
}

absl::Status VectorServerBench::Restart(bool kill, Report* report) {
  const std::string prefix = kill ? "server/killed" : "server/restart";
  auto begin = Clock::now();
  if (kill) {
    server_->Kill();
  } else {
    if (server_->Terminate(600'000).code != 0) {
      return absl::InternalError("the server did not stop well");
    }
    report->Add(prefix + "/stopped", SecondsSince(begin), "s");
  }
  begin = Clock::now();
  COOKIX_RETURN_IF_ERROR(server_->Restart());
  report->Add(prefix + "/serving", SecondsSince(begin), "s");
  std::unique_ptr<client::Client> client = server_->Connect();
  double recall = 0;
  double micros = 0;
  std::string first, strategy;
  while (true) {
    recall = 0;
    COOKIX_RETURN_IF_ERROR(Ask(*client, 0, ef_, &recall, &micros, &strategy));
    if (first.empty()) {
      first = strategy;
      report->Add({prefix + "/first_answer", SecondsSince(begin), "s", Goal::kNone, 0, recall, 0,
                   strategy});
    }
    if (strategy != "records") break;
    if (SecondsSince(begin) > 3600) return absl::DeadlineExceededError("no index came back");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  report->Add({prefix + "/indexed_answer", SecondsSince(begin), "s", Goal::kAtMost, 10, recall, 0,
               strategy});
  recall = 0;
  for (size_t q = 0; q < data_.query_count(); ++q) {
    COOKIX_RETURN_IF_ERROR(Ask(*client, q, ef_, &recall, &micros, &strategy));
  }
  v1::GetStatsResponse stats;
  COOKIX_RETURN_IF_ERROR(client->GetStats(v1::GetStatsRequest(), &stats));
  for (const v1::ViewStats& view : stats.views()) {
    if (view.name() != "vectors") continue;
    report->Add({prefix + "/view_bytes",
                 static_cast<double>(view.memory_bytes()) / static_cast<double>(data_.size()),
                 "B/vector", Goal::kNone, 0, recall / static_cast<double>(data_.query_count())});
  }
  report->Add(prefix + "/resident", static_cast<double>(stats.resident_bytes()) / (1 << 20), "MiB");
  return absl::OkStatus();
}

}  // namespace cookix::bench
