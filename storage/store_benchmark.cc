// What the store does by itself, on the disk beneath the temporary directory.
//
// BulkPut: one writer, ten puts an object (record, identity, four edges forward and
// reverse), 500 objects a commit, full sync: the storage share of a bulk import.
// SmallCommit: commits of one put each from 1, 4 and 16 threads; the counter
// commits_per_sync shows the grouping.
// GetHit: one key of a snapshot, from memory tables and sorted files.
#include <atomic>
#include <filesystem>
#include <memory>
#include <random>
#include <string>

#include "benchmark/benchmark.h"
#include "storage/base/coding.h"
#include "storage/store.h"

namespace cookix::storage {
namespace {

std::unique_ptr<Store> OpenFresh(const std::string& name) {
  Options options;
  options.path = (std::filesystem::temp_directory_path() / ("cookix_benchmark_" + name)).string();
  std::filesystem::remove_all(options.path);
  auto store = Store::Open(options);
  return store.ok() ? std::move(*store) : nullptr;
}

void Remove(const std::string& name) {
  std::filesystem::remove_all(std::filesystem::temp_directory_path() /
                              ("cookix_benchmark_" + name));
}

std::string Key(uint64_t a, uint64_t b = 0) {
  std::string key;
  PutBigEndian32(&key, 1);
  PutBigEndian64(&key, a);
  if (b != 0) PutBigEndian64(&key, b);
  return key;
}

void BulkPut(benchmark::State& state) {
  constexpr uint64_t kObjects = 200'000;
  constexpr uint64_t kPerCommit = 500;
  for (auto _ : state) {
    state.PauseTiming();
    auto store = OpenFresh("bulk");
    if (store == nullptr) return state.SkipWithError("cannot open the store");
    std::mt19937_64 random(1);
    const std::string record(120, 'r');
    state.ResumeTiming();
    for (uint64_t begin = 1; begin <= kObjects; begin += kPerCommit) {
      const auto result = store->Commit({}, [&](CommitBatch& batch) {
        for (uint64_t i = begin; i < begin + kPerCommit; ++i) {
          batch.Put(Family::kObjects, Key(i), record);
          batch.Put(Family::kIdentity, "object-" + std::to_string(i), Key(i));
          for (int e = 0; e < 4; ++e) {
            const uint64_t target = 1 + random() % kObjects;
            batch.Put(Family::kEdges, Key(i, target), "12345678");
            batch.Put(Family::kReverseEdges, Key(target, i), "");
          }
        }
        batch.SetChange(std::string(kPerCommit * 100, 'c'));
        return absl::OkStatus();
      });
      if (!result.ok()) return state.SkipWithError(std::string(result.status().message()).c_str());
    }
    state.PauseTiming();
    store.reset();
    Remove("bulk");
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * kObjects);
}
BENCHMARK(BulkPut)->Unit(benchmark::kMillisecond)->UseRealTime();

class Shared : public benchmark::Fixture {
 public:
  void SetUp(const benchmark::State& state) override {
    if (state.thread_index() == 0) store = OpenFresh("small");
  }
  void TearDown(const benchmark::State& state) override {
    if (state.thread_index() != 0) return;
    store.reset();
    Remove("small");
  }
  std::unique_ptr<Store> store;
};

BENCHMARK_DEFINE_F(Shared, SmallCommit)(benchmark::State& state) {
  uint64_t i = static_cast<uint64_t>(state.thread_index()) << 40;
  for (auto _ : state) {
    const auto result = store->Commit({}, [&](CommitBatch& batch) {
      batch.Put(Family::kObjects, Key(++i), "value");
      batch.SetChange("change");
      return absl::OkStatus();
    });
    if (!result.ok()) return state.SkipWithError("a commit failed");
  }
  state.SetItemsProcessed(state.iterations());
  if (state.thread_index() == 0) {
    const StoreStats stats = store->Stats();
    state.counters["commits_per_sync"] =
        static_cast<double>(stats.commits) / static_cast<double>(stats.commit_groups);
  }
}
BENCHMARK_REGISTER_F(Shared, SmallCommit)->Threads(1)->Threads(4)->Threads(16)->UseRealTime();

void GetHit(benchmark::State& state) {
  constexpr uint64_t kKeys = 100'000;
  auto store = OpenFresh("get");
  if (store == nullptr) return state.SkipWithError("cannot open the store");
  for (uint64_t begin = 0; begin < kKeys; begin += 1000) {
    const auto result = store->Commit({}, [&](CommitBatch& batch) {
      for (uint64_t i = begin; i < begin + 1000; ++i) {
        batch.Put(Family::kObjects, Key(i), std::string(120, 'v'));
      }
      batch.SetChange("change");
      return absl::OkStatus();
    });
    if (!result.ok()) return state.SkipWithError("a commit failed");
  }
  if (state.range(0) == 1 && !store->Flush().ok()) return state.SkipWithError("cannot flush");
  std::mt19937_64 random(1);
  std::string value;
  for (auto _ : state) {
    const auto snapshot = store->Latest();
    const auto found = snapshot->Get(Family::kObjects, Key(random() % kKeys), &value);
    if (!found.ok() || !*found) return state.SkipWithError("a key is missing");
  }
  state.SetItemsProcessed(state.iterations());
  store.reset();
  Remove("get");
}
BENCHMARK(GetHit)->Arg(0)->Arg(1)->ArgName("flushed");

}  // namespace
}  // namespace cookix::storage

BENCHMARK_MAIN();
