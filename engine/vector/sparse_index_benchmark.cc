// Exact search over 200,000 sparse vectors: the index beside plain scoring of every
// vector.
//
// Data, made with a fixed seed in the shape of what learned sparse encoders give: 30,000
// indices drawn with a probability that falls with their rank, about 120 to a vector and
// 30 to a query, weights lognormal, larger for rarer indices, and vectors in 1,000
// clusters that share half of their indices. Queries are made like vectors. Isolates the
// index: no server, no records read. Each query's answer is compared with that of plain
// scoring before anything is timed.
//
// Counters, for one search: postings added up, lookups in a single list, and windows
// passed over by their bound.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "benchmark/benchmark.h"
#include "engine/vector/sparse_index.h"

namespace cookix::engine {
namespace {

constexpr Slot kSlots = 200'000;
constexpr size_t kVocabulary = 30'000;
constexpr size_t kQueries = 64;
constexpr size_t kLimit = 10;
constexpr size_t kClusters = 1000;

struct Vector {
  std::vector<uint32_t> indices;
  std::vector<float> values;
};

class Generator {
 public:
  Generator() : cumulative_(kVocabulary) {
    double sum = 0;
    for (size_t i = 0; i < kVocabulary; ++i) {
      cumulative_[i] = sum += 1 / std::pow(static_cast<double>(i + 10), 0.8);
    }
    clusters_.resize(kClusters);
    for (std::vector<uint32_t>& cluster : clusters_) {
      for (int i = 0; i < 100; ++i) cluster.push_back(Index());
    }
  }

  Vector Make(size_t size) {
    const std::vector<uint32_t>& cluster = clusters_[random_() % kClusters];
    std::map<uint32_t, float> weights;
    for (size_t i = 0; i < size; ++i) {
      const uint32_t index = i % 2 == 0 ? Index() : cluster[random_() % cluster.size()];
      const float rarity = std::log2(2 + static_cast<float>(index)) / 15;
      weights[index] = rarity * std::lognormal_distribution<float>(-1, 0.6f)(random_);
    }
    Vector vector;
    for (const auto& [index, weight] : weights) {
      vector.indices.push_back(index);
      vector.values.push_back(weight);
    }
    return vector;
  }

 private:
  uint32_t Index() {
    const double at = std::uniform_real_distribution<double>(0, cumulative_.back())(random_);
    return static_cast<uint32_t>(std::lower_bound(cumulative_.begin(), cumulative_.end(), at) -
                                 cumulative_.begin());
  }

  std::mt19937_64 random_{7};
  std::vector<double> cumulative_;
  std::vector<std::vector<uint32_t>> clusters_;
};

struct Corpus {
  Corpus() {
    Generator generator;
    for (Slot slot = 0; slot < kSlots; ++slot) {
      vectors.push_back(generator.Make(150));
      index.Add(slot, vectors.back().indices, vectors.back().values);
    }
    for (size_t i = 0; i < kQueries; ++i) queries.push_back(generator.Make(34));
    std::mt19937_64 random(3);
    for (uint64_t& word : one_in_64) word = uint64_t{1} << (random() % 64);
    for (const Vector& query : queries) {
      const std::vector<SlotHit> expected = Scan(query, nullptr);
      Require(expected, index.Search(query.indices, query.values, kLimit, nullptr, 0, nullptr));
      Require(Scan(query, one_in_64.data()),
              index.Search(query.indices, query.values, kLimit, one_in_64.data(), one_in_64.size(),
                           nullptr));
    }
  }

  // Plain scoring: the query in an array, each vector by its indices.
  std::vector<SlotHit> Scan(const Vector& query, const uint64_t* accept) const {
    std::vector<double> dense(kVocabulary);
    for (size_t i = 0; i < query.indices.size(); ++i) dense[query.indices[i]] = query.values[i];
    std::vector<SlotHit> hits;
    auto better = [](const SlotHit& a, const SlotHit& b) {
      return a.score > b.score || (a.score == b.score && a.slot < b.slot);
    };
    for (Slot slot = 0; slot < kSlots; ++slot) {
      if (accept != nullptr && (accept[slot / 64] >> (slot % 64) & 1) == 0) continue;
      const Vector& vector = vectors[slot];
      double sum = 0;
      for (size_t i = 0; i < vector.indices.size(); ++i) {
        sum += dense[vector.indices[i]] * double{vector.values[i]};
      }
      if (sum == 0) continue;
      const SlotHit hit{slot, static_cast<float>(sum)};
      if (hits.size() == kLimit && !better(hit, hits.back())) continue;
      hits.insert(std::upper_bound(hits.begin(), hits.end(), hit, better), hit);
      if (hits.size() > kLimit) hits.pop_back();
    }
    return hits;
  }

  static void Require(const std::vector<SlotHit>& expected, const std::vector<SlotHit>& actual) {
    if (std::equal(expected.begin(), expected.end(), actual.begin(), actual.end(),
                   [](const SlotHit& a, const SlotHit& b) {
                     return a.slot == b.slot && a.score == b.score;
                   })) {
      return;
    }
    std::fprintf(stderr, "the index and plain scoring differ\n");
    std::exit(1);
  }

  std::vector<Vector> vectors;
  std::vector<Vector> queries;
  SparseIndex index;
  std::vector<uint64_t> one_in_64 = std::vector<uint64_t>((kSlots + 63) / 64);
};

const Corpus& TheCorpus() {
  static const Corpus* const corpus = new Corpus();
  return *corpus;
}

void RunIndex(benchmark::State& state, size_t limit, const uint64_t* accept, size_t words) {
  const Corpus& corpus = TheCorpus();
  size_t at = 0;
  SparseSearchStats all;
  for (auto _ : state) {
    const Vector& query = corpus.queries[at++ % kQueries];
    SparseSearchStats stats;
    benchmark::DoNotOptimize(
        corpus.index.Search(query.indices, query.values, limit, accept, words, &stats));
    all.postings += stats.postings;
    all.lookups += stats.lookups;
    all.windows_skipped += stats.windows_skipped;
  }
  const auto searches = static_cast<double>(state.iterations());
  state.counters["postings"] = static_cast<double>(all.postings) / searches;
  state.counters["lookups"] = static_cast<double>(all.lookups) / searches;
  state.counters["skipped"] = static_cast<double>(all.windows_skipped) / searches;
}

void Index(benchmark::State& state) {
  RunIndex(state, static_cast<size_t>(state.range(0)), nullptr, 0);
}
void IndexOneIn64(benchmark::State& state) {
  const Corpus& corpus = TheCorpus();
  RunIndex(state, kLimit, corpus.one_in_64.data(), corpus.one_in_64.size());
}
BENCHMARK(Index)->Arg(1)->Arg(10)->Arg(100)->Arg(kSlots)->Unit(benchmark::kMicrosecond);
BENCHMARK(IndexOneIn64)->Unit(benchmark::kMicrosecond);

// The same index as a restart gives it: loaded list by list.
void Loaded(benchmark::State& state) {
  const Corpus& corpus = TheCorpus();
  SlotBits slots(kSlots);
  for (Slot slot = 0; slot < kSlots; ++slot) slots.Set(slot);
  std::vector<std::string> parts;
  bool ok = corpus.index.TakeSnapshot(std::move(slots))
                ->Save([&parts](std::string_view part) {
                  parts.emplace_back(part);
                  return absl::OkStatus();
                })
                .ok();
  SparseIndex index;
  size_t part = 0;
  ok = ok && index
                 .Load(kSlots,
                       [&]() -> absl::StatusOr<std::string_view> {
                         return part < parts.size() ? std::string_view(parts[part++]) : "";
                       })
                 .ok();
  if (!ok) {
    state.SkipWithError("the index could not be loaded");
    return;
  }
  size_t at = 0;
  for (auto _ : state) {
    const Vector& query = corpus.queries[at++ % kQueries];
    benchmark::DoNotOptimize(
        index.Search(query.indices, query.values, kLimit, nullptr, 0, nullptr));
  }
}
BENCHMARK(Loaded)->Unit(benchmark::kMicrosecond);

void PlainScan(benchmark::State& state) {
  const Corpus& corpus = TheCorpus();
  size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(corpus.Scan(corpus.queries[at++ % kQueries], nullptr));
  }
}
BENCHMARK(PlainScan)->Unit(benchmark::kMicrosecond);

void Build(benchmark::State& state) {
  const Corpus& corpus = TheCorpus();
  for (auto _ : state) {
    SparseIndex index;
    for (Slot slot = 0; slot < 20'000; ++slot) {
      index.Add(slot, corpus.vectors[slot].indices, corpus.vectors[slot].values);
    }
    benchmark::DoNotOptimize(index.MemoryBytes());
  }
  state.SetItemsProcessed(state.iterations() * 20'000);
}
BENCHMARK(Build)->Unit(benchmark::kMillisecond);

// Not a time: what the index takes for each posting.
void Memory(benchmark::State& state) {
  const Corpus& corpus = TheCorpus();
  for (auto _ : state) benchmark::DoNotOptimize(corpus.index.MemoryBytes());
  state.counters["bytes_per_posting"] = static_cast<double>(corpus.index.MemoryBytes()) /
                                        static_cast<double>(corpus.index.postings());
}
BENCHMARK(Memory)->Iterations(1);

}  // namespace
}  // namespace cookix::engine

BENCHMARK_MAIN();
