// Inserting vectors: how many a second become durable through InsertVectors.
//
// Data: vectors of 128 components, each uniform over [-1, 1) with a fixed seed, 1,000 in
// each request, on disk, synced at every commit, one caller that waits for each answer.
// Isolates writing: no server, no vector indexes; the views of objects (adjacency,
// names, field index), which follow in threads of their own, are on or off as each line
// says. Vectors are inserted, read back and compared before anything is timed, and read
// back and compared again after each run.
//
// new: keys that were not there. again: the same keys with other vectors.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "engine/test_database.h"

namespace cookix::engine {
namespace {

constexpr int kDimension = 128;
constexpr int kRows = 1000;
constexpr int kRequests = 50;

void OrDie(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::abort();
}

class Corpus {
 public:
  explicit Corpus(bool views) : path_(std::filesystem::temp_directory_path() / "vector_writes") {
    std::filesystem::remove_all(path_);
    database_ = std::make_unique<TestDatabase>([&](DatabaseOptions& options) {
      options.storage.in_memory = false;
      options.storage.path = path_.string();
      options.storage.memory_budget_bytes = 512 << 20;
      options.vectors.max_bytes = 0;
      if (views) return;
      options.adjacency_bytes = 0;
      options.names_bytes = 0;
      options.field_index = false;
    });
    CallContext context;
    v1::UpdateCollectionRequest update;
    update.add_put_vector_fields()->set_name("v");
    update.mutable_put_vector_fields(0)->set_dimension(kDimension);
    v1::UpdateCollectionResponse updated;
    OrDie((*database_)->catalog().UpdateCollection(context, update, &updated));
    std::mt19937_64 random(7);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (int i = 0; i < kRequests; ++i) {
      v1::InsertVectorsRequest request;
      request.mutable_options()->set_bulk(true);
      for (int j = 0; j < kRows; ++j) request.add_keys("document-" + std::to_string(i * kRows + j));
      request.mutable_values()->Reserve(kRows * kDimension);
      for (int j = 0; j < kRows * kDimension; ++j) request.add_values(uniform(random));
      requests_.push_back(std::move(request));
    }
  }
  ~Corpus() {
    database_.reset();
    std::filesystem::remove_all(path_);
  }

  void Insert(const v1::InsertVectorsRequest& request, int64_t created) {
    CallContext context;
    v1::InsertVectorsResponse response;
    OrDie((*database_)->objects().InsertVectors(context, request, &response));
    if (response.created_count() != created) OrDie(absl::InternalError("created too many or few"));
  }
  void InsertAll(int64_t created) {
    for (const v1::InsertVectorsRequest& request : requests_) Insert(request, created);
  }

  // Makes other vectors of the same keys.
  void Negate() {
    for (v1::InsertVectorsRequest& request : requests_) {
      for (float& value : *request.mutable_values()) value = -value;
    }
  }

  void Verify() {
    const v1::InsertVectorsRequest& request = requests_.front();
    CallContext context;
    v1::BatchGetObjectsRequest get;
    for (const std::string& key : request.keys()) get.add_refs()->set_key(key);
    get.mutable_mask()->set_with_vectors(true);
    v1::BatchGetObjectsResponse got;
    OrDie((*database_)->objects().BatchGetObjects(context, get, &got));
    for (int i = 0; i < kRows; ++i) {
      const auto& values = got.results(i).object().vectors().at("v").values();
      if (values.size() != kDimension ||
          !std::equal(values.begin(), values.end(), request.values().begin() + i * kDimension)) {
        OrDie(absl::InternalError("a vector came back different"));
      }
    }
  }

 private:
  const std::filesystem::path path_;
  std::unique_ptr<TestDatabase> database_;
  std::vector<v1::InsertVectorsRequest> requests_;
};

void Insert(benchmark::State& state, bool views, bool again) {
  {
    Corpus corpus(views);
    corpus.InsertAll(kRows);
    corpus.Verify();
  }
  int64_t vectors = 0;
  for (auto _ : state) {
    state.PauseTiming();
    auto corpus = std::make_unique<Corpus>(views);
    if (again) {
      corpus->InsertAll(kRows);
      corpus->Negate();
    }
    state.ResumeTiming();
    corpus->InsertAll(again ? 0 : kRows);
    state.PauseTiming();
    corpus->Verify();
    corpus.reset();
    state.ResumeTiming();
    vectors += static_cast<int64_t>(kRows) * kRequests;
  }
  state.SetItemsProcessed(vectors);
}

BENCHMARK_CAPTURE(Insert, new_without_views, false, false)
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();
BENCHMARK_CAPTURE(Insert, again_without_views, false, true)
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();
BENCHMARK_CAPTURE(Insert, new_with_views, true, false)
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();
BENCHMARK_CAPTURE(Insert, again_with_views, true, true)
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

}  // namespace
}  // namespace cookix::engine

BENCHMARK_MAIN();
