// Ingest, memory, recall and latency of the cell index, one thread, on the disk beneath the
// temporary directory.
//
//   cell_index_benchmark [vectors = 1000000] [dimension = 128] [clusters = 2000]
//                        [MiB of memory for the index = a tenth of the vectors]
//   cell_index_benchmark <file of byte vectors, one after the other> <dimension>
//
// Vectors: centres of `clusters` Gaussians, each component from N(0, 1), plus noise of
// sigma 0.6, scaled to unit length; without clusters from N(0, 1) alone. Seed 1; 300 queries
// from the same distribution, seed 2. Vectors are made while they are ingested and again
// for the exact answers, so that the memory of the process is that of the index. Of a file
// the last 300 vectors are the queries; it is in memory, and counted there.
//
// Every row's recall is measured against the exact answers before its time is taken.
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "engine/vector/cell_index.h"
#include "engine/vector/kernels.h"
#include "storage/local_store.h"

namespace cookix::engine {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::time_point since) {
  return std::chrono::duration<double>(Clock::now() - since).count();
}

// Of this thread, or of all.
double CpuSeconds(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Numbers that depend on seed and position alone.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 0x632be59bd9b4e019) {}
  uint64_t Next() {
    uint64_t x = (state_ += 0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }
  // About N(0, 1): a sum of twelve uniform numbers, of 16 bits each.
  float Gaussian() {
    uint64_t sum = 0;
    for (int i = 0; i < 3; ++i) {
      const uint64_t x = Next();
      sum += (x & 0xffff) + (x >> 16 & 0xffff) + (x >> 32 & 0xffff) + (x >> 48);
    }
    return static_cast<float>(sum) / 65536 - 6;
  }

 private:
  uint64_t state_;
};

struct Data {
  size_t dimension;
  size_t clusters;
  std::vector<float> centres;
  // Of a file; then there is nothing else.
  std::string bytes;

  Data(size_t dimension_in, size_t clusters_in) : dimension(dimension_in), clusters(clusters_in) {
    Random random(77);
    centres.resize(clusters * dimension);
    for (float& x : centres) x = random.Gaussian();
  }
  size_t Rows() const { return bytes.size() / dimension; }
  void Make(uint64_t seed, uint64_t i, float* out) const {
    if (!bytes.empty()) {
      const size_t row = seed == 1 ? i : Rows() - 1 - i;
      double squares = 0;
      for (size_t d = 0; d < dimension; ++d) {
        out[d] = static_cast<float>(static_cast<unsigned char>(bytes[row * dimension + d]));
        squares += static_cast<double>(out[d]) * out[d];
      }
      const auto inverse = static_cast<float>(squares > 0 ? 1 / std::sqrt(squares) : 0);
      for (size_t d = 0; d < dimension; ++d) out[d] *= inverse;
      return;
    }
    Random random(seed << 40 | i);
    const float* centre = clusters > 0 ? &centres[random.Next() % clusters * dimension] : nullptr;
    double squares = 0;
    for (size_t d = 0; d < dimension; ++d) {
      out[d] = centre != nullptr ? centre[d] + 0.6f * random.Gaussian() : random.Gaussian();
      squares += static_cast<double>(out[d]) * out[d];
    }
    const auto inverse = static_cast<float>(1 / std::sqrt(squares));
    for (size_t d = 0; d < dimension; ++d) out[d] *= inverse;
  }
};

class Share final : public OrdinalSet {
 public:
  Share(uint64_t count, uint64_t one_of) : count_(count), one_of_(one_of) {}
  bool Contains(Ordinal ordinal) const override { return Random(ordinal).Next() % one_of_ == 0; }
  uint64_t Count() const override { return count_ / one_of_; }
  void ForEach(absl::FunctionRef<void(Ordinal)> each) const override {
    for (uint64_t i = 0; i < count_; ++i) {
      if (Contains(i)) each(i);
    }
  }

 private:
  const uint64_t count_;
  const uint64_t one_of_;
};

double ProcessMiB(const char* what) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(what, 0) == 0)
      return std::atof(line.c_str() + std::string(what).size() + 1) / 1024;
  }
  return 0;
}

double MiB(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return 1;
}

constexpr size_t kQueries = 300;
constexpr size_t kLimit = 10;

// Exact answers among the ordinals of each share.
std::vector<std::vector<std::vector<CellHit>>> ExactAnswers(const Data& data, size_t vectors,
                                                            const std::vector<float>& queries,
                                                            const std::vector<Share>& shares) {
  std::vector<std::vector<std::vector<CellHit>>> answers(
      shares.size(), std::vector<std::vector<CellHit>>(kQueries));
  std::vector<float> v(data.dimension);
  std::vector<char> is_in(shares.size());
  for (size_t i = 0; i < vectors; ++i) {
    data.Make(1, i, v.data());
    for (size_t s = 0; s < shares.size(); ++s) is_in[s] = shares[s].Contains(i) ? 1 : 0;
    for (size_t q = 0; q < kQueries; ++q) {
      const CellHit hit{
          i, 1 - BestKernels().dot(&queries[q * data.dimension], v.data(), data.dimension)};
      for (size_t s = 0; s < shares.size(); ++s) {
        std::vector<CellHit>& best = answers[s][q];
        if (is_in[s] == 0 || (best.size() == kLimit && best.front() < hit)) continue;
        best.push_back(hit);
        std::push_heap(best.begin(), best.end());
        if (best.size() <= kLimit) continue;
        std::pop_heap(best.begin(), best.end());
        best.pop_back();
      }
    }
  }
  return answers;
}

int Run(const Data& data, size_t vectors, int64_t memory) {
  const size_t dimension = data.dimension;
  const std::filesystem::path directory =
      std::filesystem::temp_directory_path() / ("cookix_cells_" + std::to_string(getpid()));
  std::filesystem::remove_all(directory);
  storage::LocalStoreOptions store_options;
  store_options.path = directory.string();
  store_options.memory_bytes = memory / 2;
  CellOptions options;
  options.dimension = dimension;
  options.memory_bytes = memory / 2;
  const double before = ProcessMiB("RssAnon");
  auto store = storage::LocalStore::Open(store_options);
  if (!store.ok()) return Fail(store.status());
  auto index = CellIndex::Open(**store, 1, options);
  if (!index.ok()) return Fail(index.status());

  constexpr size_t kBatch = 500;
  std::vector<float> batch(kBatch * dimension);
  std::vector<CellChange> changes;
  double apply_seconds = 0, maintain_seconds = 0;
  double cpu_seconds = 0, all_cpu_seconds = 0;
  int64_t most = 0;
  double most_process = 0;
  for (size_t begin = 0; begin < vectors; begin += kBatch) {
    const size_t n = std::min(kBatch, vectors - begin);
    changes.clear();
    for (size_t i = 0; i < n; ++i) {
      data.Make(1, begin + i, &batch[i * dimension]);
      changes.push_back({begin + i, &batch[i * dimension]});
    }
    const double cpu = CpuSeconds(CLOCK_THREAD_CPUTIME_ID);
    const double all_cpu = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID);
    auto start = Clock::now();
    if (const absl::Status status = (*index)->Apply(changes, begin / kBatch + 1); !status.ok()) {
      return Fail(status);
    }
    apply_seconds += Seconds(start);
    start = Clock::now();
    const auto done = (*index)->Maintain(1 << 30);
    if (!done.ok()) return Fail(done.status());
    maintain_seconds += Seconds(start);
    cpu_seconds += CpuSeconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
    all_cpu_seconds += CpuSeconds(CLOCK_PROCESS_CPUTIME_ID) - all_cpu;
    if (begin / kBatch % 20 == 0) most_process = std::max(most_process, ProcessMiB("RssAnon"));
    most = std::max(most, (*store)->MemoryBytes() + (*index)->Stats().memory_bytes);
  }
  auto start = Clock::now();
  if (const absl::Status status = (*store)->Flush(); !status.ok()) return Fail(status);
  const double flush_seconds = Seconds(start);
  CellIndexStats stats = (*index)->Stats();
  std::printf(
      "ingest      %.0f vectors/s (apply %.1f s, upkeep %.1f s, flush %.1f s); "
      "CPU %.1f s in this thread, %.1f s in all\n",
      static_cast<double>(vectors) / (apply_seconds + maintain_seconds + flush_seconds),
      apply_seconds, maintain_seconds, flush_seconds, cpu_seconds, all_cpu_seconds);
  std::printf(
      "cells       %lld; rewrites %lld, splits %lld, merges %lld, recentred %lld, moved %lld\n",
      static_cast<long long>(stats.cells), static_cast<long long>(stats.rewrites),
      static_cast<long long>(stats.splits), static_cast<long long>(stats.merges),
      static_cast<long long>(stats.recentred), static_cast<long long>(stats.moved));
  std::printf(
      "memory      reported %.1f MiB now, %.1f at most (centroids %.1f); process, without files, "
      "%.1f now, "
      "%.1f at most; raw vectors %.1f\n",
      MiB((*store)->MemoryBytes() + stats.memory_bytes), MiB(most), MiB(stats.memory_bytes),
      ProcessMiB("RssAnon") - before, most_process - before,
      MiB(static_cast<int64_t>(vectors * dimension * sizeof(float))));
  std::printf("disk        %.1f MiB\n", MiB((*store)->DiskBytes()));
  start = Clock::now();
  index->reset();
  store->reset();
  store = storage::LocalStore::Open(store_options);
  if (!store.ok()) return Fail(store.status());
  index = CellIndex::Open(**store, 1, options);
  if (!index.ok()) return Fail(index.status());
  std::printf("reopened    %.2f s, commit %llu\n", Seconds(start),
              static_cast<unsigned long long>((*index)->commit()));

  std::vector<float> queries(kQueries * dimension);
  for (size_t q = 0; q < kQueries; ++q) data.Make(2, q, &queries[q * dimension]);
  const std::vector<Share> shares = {
      {vectors, 1}, {vectors, 2}, {vectors, 10}, {vectors, 100}, {vectors, 1000}};
  const std::vector<double> percent = {100, 50, 10, 1, 0.1};
  const auto answers = ExactAnswers(data, vectors, queries, shares);
  std::printf("%8s %8s %10s %10s %10s %10s %10s %10s\n", "accepted", "probes", "recall@10",
              "p50 ms", "p99 ms", "CPU ms", "cells", "compared");
  const auto row = [&](size_t share, bool filtered, size_t probes, bool exact) -> absl::Status {
    double found = 0, wanted = 0, cells = 0, compared = 0;
    std::vector<double> times;
    const size_t count = exact ? 20 : kQueries;
    double cpu = 0;
    for (int round = 0; round < 2; ++round) {
      for (size_t q = 0; q < count; ++q) {
        CellQuery query;
        query.vector = &queries[q * dimension];
        query.limit = kLimit;
        query.cells_probed = probes;
        query.exact = exact;
        query.accept = filtered ? &shares[share] : nullptr;
        cpu -= CpuSeconds(CLOCK_THREAD_CPUTIME_ID);
        const auto begun = Clock::now();
        const auto result = (*index)->Search(query, nullptr);
        const double seconds = Seconds(begun);
        cpu += CpuSeconds(CLOCK_THREAD_CPUTIME_ID);
        if (!result.ok()) return result.status();
        if (round == 1) {
          times.push_back(seconds * 1e3);
          continue;
        }
        cells += static_cast<double>(result->cells_read);
        compared += static_cast<double>(result->distances);
        wanted += static_cast<double>(answers[share][q].size());
        for (const CellHit& hit : result->hits) {
          for (const CellHit& right : answers[share][q]) found += right.ordinal == hit.ordinal;
        }
      }
    }
    std::sort(times.begin(), times.end());
    const std::string label = exact      ? "exact"
                              : filtered ? std::to_string(percent[share]).substr(0, 5) + "%"
                                         : "all";
    std::printf("%8s %8lld %10.4f %10.3f %10.3f %10.3f %10.1f %10.0f\n", label.c_str(),
                probes > 0 ? static_cast<long long>(probes)
                           : static_cast<long long>((*index)->Stats().cells_probed),
                found / wanted, times[times.size() / 2], times[times.size() * 99 / 100],
                cpu * 1e3 / static_cast<double>(2 * count), cells / static_cast<double>(count),
                compared / static_cast<double>(count));
    return absl::OkStatus();
  };
  for (const size_t probes : {8, 32, 128, 512}) {
    if (const absl::Status status = row(0, false, probes, false); !status.ok()) return Fail(status);
  }
  // As many as the index found that it needs.
  for (size_t share = 0; share < shares.size(); ++share) {
    if (const absl::Status status = row(share, share > 0, 0, false); !status.ok()) {
      return Fail(status);
    }
  }
  if (const absl::Status status = row(0, false, 0, true); !status.ok()) return Fail(status);
  index->reset();
  store->reset();
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace cookix::engine

int main(int argc, char** argv) {
  const auto argument = [&](int i, int64_t otherwise) {
    return argc > i ? std::atoll(argv[i]) : otherwise;
  };
  using cookix::engine::Data;
  if (argc == 3 && std::filesystem::exists(argv[1])) {
    Data data(static_cast<size_t>(std::max<int64_t>(argument(2, 1), 1)), 0);
    std::ifstream file(argv[1], std::ios::binary);
    data.bytes.assign(std::istreambuf_iterator<char>(file), {});
    if (data.Rows() <= cookix::engine::kQueries) {
      std::fprintf(stderr, "%s has too few vectors\n", argv[1]);
      return 2;
    }
    const size_t vectors = data.Rows() - cookix::engine::kQueries;
    return cookix::engine::Run(data, vectors,
                               static_cast<int64_t>(vectors * data.dimension * sizeof(float) / 10));
  }
  const int64_t vectors = argument(1, 1'000'000);
  const int64_t dimension = argument(2, 128);
  const int64_t clusters = argument(3, 2000);
  if (vectors < 1 || dimension < 1 || clusters < 0) {
    std::fprintf(stderr, "usage: %s [vectors] [dimension] [clusters] [MiB]\n", argv[0]);
    return 2;
  }
  const int64_t memory =
      argument(4, 0) > 0 ? argument(4, 0) << 20 : vectors * dimension * int64_t{sizeof(float)} / 10;
  const Data data(static_cast<size_t>(dimension), static_cast<size_t>(clusters));
  return cookix::engine::Run(data, static_cast<size_t>(vectors), memory);
}
