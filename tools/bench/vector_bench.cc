#include "tools/bench/vector_bench.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "roaring/roaring.hh"
#include "storage/base/status.h"
#include "tools/bench/cookix_index.h"
#include "tools/bench/measure.h"

namespace cookix::bench {
namespace {

constexpr size_t kHits = 10;
// Parts in which all indexes are built by turns, so that what else the machine does hits
// all of them.
constexpr size_t kBuildTurns = 10;
constexpr size_t kEfs[] = {10, 12, 16,  20,  24,  32,  40,  48,  56,  64,
                           80, 96, 112, 128, 160, 192, 256, 320, 384, 512};
// No wider searches are timed once this much is found.
constexpr double kEnoughRecall = 0.9985;
// Recall that the widest search must reach, for an answer to be an answer at all.
constexpr double kSaneRecall = 0.9;
constexpr double kFloor = 0.95;

// Of this process, all threads.
double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  double size = 0;
  double resident = 0;
  file >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

std::vector<uint32_t> RowsOf(const std::vector<AnnHit>& hits) {
  std::vector<uint32_t> rows;
  for (const AnnHit& hit : hits) rows.push_back(hit.row);
  return rows;
}

// Rows that are there, once each, in order, at the distances that the vectors have.
absl::Status CheckHits(const AnnIndex& index, const VectorData& data, const float* query, size_t k,
                       const std::vector<AnnHit>& hits) {
  if (hits.size() != std::min(k, data.size())) return Wrong(index.name() + " found too few");
  std::set<uint32_t> rows;
  float before = -std::numeric_limits<float>::infinity();
  for (const AnnHit& hit : hits) {
    if (hit.row >= data.size()) return Wrong(index.name() + " found a row that is not there");
    if (!rows.insert(hit.row).second) return Wrong(index.name() + " found a row twice");
    if (hit.distance < before) return Wrong(index.name() + " has its answer in no order");
    before = hit.distance;
    if (!index.exact_distances()) continue;
    const float expected = data.Distance(query, data.Base(hit.row));
    if (std::abs(hit.distance - expected) > 2e-3f * (1 + std::abs(expected))) {
      return Wrong(absl::StrCat(index.name(), " says distance ", hit.distance, ", not ", expected));
    }
  }
  return absl::OkStatus();
}

struct Point {
  size_t ef = 0;
  double recall = 0;
  double rate = 0;
};

// One index and what was measured of it.
struct Contestant {
  std::unique_ptr<AnnIndex> index;
  double build_seconds = 0;
  double build_cpu = 0;
  double resident = 0;
  std::vector<Point> points;
  bool done = false;
};

// Queries a second at a recall, on the line between the points on either side. The first
// point where that finds more already; nothing where no point finds as much.
std::optional<double> RateAt(const std::vector<Point>& points, double recall) {
  for (size_t i = 0; i < points.size(); ++i) {
    if (points[i].recall < recall) continue;
    if (i == 0) return points[0].rate;
    const Point& low = points[i - 1];
    const Point& high = points[i];
    const double part = (recall - low.recall) / (high.recall - low.recall);
    return std::exp(std::log(low.rate) + part * (std::log(high.rate) - std::log(low.rate)));
  }
  return std::nullopt;
}

// The recall of one setting over all queries; checks every answer.
absl::StatusOr<double> CheckAll(const VectorData& data, const Truth& truth, size_t ef,
                                AnnIndex& index) {
  double recall = 0;
  std::vector<AnnHit> hits;
  for (size_t q = 0; q < data.query_count(); ++q) {
    COOKIX_RETURN_IF_ERROR(index.Search(q, kHits, ef, &hits));
    COOKIX_RETURN_IF_ERROR(CheckHits(index, data, data.Query(q), kHits, hits));
    recall += truth.Recall(data, data.Query(q), q, RowsOf(hits));
  }
  return recall / static_cast<double>(data.query_count());
}

// Keeps the best time of each query.
absl::Status TimeAll(size_t ef, AnnIndex& index, std::vector<double>* best) {
  std::vector<AnnHit> hits;
  for (size_t q = 0; q < best->size(); ++q) {
    const auto begin = Clock::now();
    COOKIX_RETURN_IF_ERROR(index.Search(q, kHits, ef, &hits));
    (*best)[q] = std::min((*best)[q], MicrosSince(begin));
  }
  return absl::OkStatus();
}

double Sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// As what the field index answers filters with.
class RoaringSet : public engine::OrdinalSet {
 public:
  explicit RoaringSet(const std::vector<uint32_t>& rows) : rows_(rows.size(), rows.data()) {
    rows_.runOptimize();
    count_ = rows_.cardinality();
  }
  bool Contains(engine::Ordinal ordinal) const override {
    return rows_.contains(static_cast<uint32_t>(ordinal));
  }
  uint64_t Count() const override { return count_; }
  void ForEach(absl::FunctionRef<void(engine::Ordinal)> each) const override {
    for (const uint32_t row : rows_) each(row);
  }

 private:
  Roaring rows_;
  uint64_t count_;
};

enum class Lie { kRandom, kWith, kAgainst };

const char* NameOf(Lie lie) {
  switch (lie) {
    case Lie::kRandom:
      return "random";
    case Lie::kWith:
      return "with";
    case Lie::kAgainst:
      return "against";
  }
  return "";
}

// `matches` rows: random ones, those nearest to `towards`, or those farthest from it.
std::vector<uint32_t> Choose(const VectorData& data, Lie lie, const float* towards, size_t matches,
                             std::mt19937_64& random) {
  std::vector<uint32_t> rows(data.size());
  std::iota(rows.begin(), rows.end(), 0u);
  if (matches < rows.size()) {
    const auto middle = rows.begin() + static_cast<std::ptrdiff_t>(matches);
    if (lie == Lie::kRandom) {
      for (size_t i = 0; i < matches; ++i) {
        std::swap(rows[i], rows[i + random() % (rows.size() - i)]);
      }
    } else {
      std::vector<float> distances(data.size());
      for (size_t i = 0; i < data.size(); ++i) {
        distances[i] = data.Distance(towards, data.Base(i));
        if (lie == Lie::kAgainst) distances[i] = -distances[i];
      }
      std::nth_element(rows.begin(), middle, rows.end(),
                       [&](uint32_t a, uint32_t b) { return distances[a] < distances[b]; });
    }
    rows.resize(matches);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

// What was measured of one share.
struct Share {
  double micros = 0;
  double first = 0;
  double recall = 0;
  size_t queries = 0;
  size_t filters = 0;
  std::map<std::string, size_t> strategies;
};

}  // namespace

absl::Status CompareGraphs(const VectorBenchOptions& options, const VectorData& data,
                           const std::vector<AnnFactory>& indexes, Report* report) {
  const Truth truth = FindTruth(data, data.queries.data(), data.query_count(), kHits);
  std::vector<Contestant> all;
  for (const AnnFactory& make : indexes) {
    const double before = ResidentBytes();
    all.push_back(Contestant{make(data)});
    all.back().resident += ResidentBytes() - before;
  }
  for (size_t turn = 0; turn < kBuildTurns; ++turn) {
    for (Contestant& one : all) {
      const double resident = ResidentBytes();
      const double cpu = CpuSeconds();
      const auto begin = Clock::now();
      COOKIX_RETURN_IF_ERROR(
          one.index->Add(data.size() * turn / kBuildTurns, data.size() * (turn + 1) / kBuildTurns));
      one.build_seconds += MicrosSince(begin) / 1e6;
      one.build_cpu += CpuSeconds() - cpu;
      one.resident += ResidentBytes() - resident;
    }
  }
  for (Contestant& one : all) one.index->SetQueries(data.queries.data(), data.query_count());

  for (const size_t ef : kEfs) {
    std::vector<std::vector<double>> best(all.size());
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].done) continue;
      COOKIX_ASSIGN_OR_RETURN(const double recall, CheckAll(data, truth, ef, *all[i].index));
      all[i].points.push_back({ef, recall});
      best[i].assign(data.query_count(), std::numeric_limits<double>::infinity());
    }
    for (int round = 0; round < options.rounds; ++round) {
      for (size_t i = 0; i < all.size(); ++i) {
        if (!all[i].done) COOKIX_RETURN_IF_ERROR(TimeAll(ef, *all[i].index, &best[i]));
      }
    }
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].done) continue;
      Point& point = all[i].points.back();
      point.rate = static_cast<double>(data.query_count()) * 1e6 / Sum(best[i]);
      all[i].done = point.recall >= kEnoughRecall;
    }
  }

  const auto count = static_cast<double>(data.size());
  const Contestant* yardstick = all.size() > 1 ? &all[1] : nullptr;
  for (const Contestant& one : all) {
    const std::string prefix = absl::StrCat(data.name, "/", one.index->name());
    if (one.points.back().recall < kSaneRecall) {
      return Wrong(
          absl::StrCat(prefix, " finds ", one.points.back().recall, " of what is nearest"));
    }
    for (const Point& point : one.points) {
      report->Add({absl::StrCat(prefix, "/ef_", point.ef), point.rate, "queries/s", Goal::kNone, 0,
                   point.recall});
    }
    report->Add(prefix + "/build", one.build_seconds, "s");
    report->Add(prefix + "/build_cpu", one.build_cpu, "s");
    report->Add(prefix + "/bytes", static_cast<double>(one.index->Bytes()) / count, "B/vector");
    report->Add(prefix + "/resident", one.resident / count, "B/vector");
  }
  for (const double recall : {0.95, 0.985, 0.995}) {
    for (const Contestant& one : all) {
      const std::optional<double> rate = RateAt(one.points, recall);
      if (!rate.has_value()) continue;
      report->Add({absl::StrCat(data.name, "/", one.index->name(), "/at_", recall), *rate,
                   "queries/s", Goal::kNone, 0, std::max(recall, one.points[0].recall)});
    }
  }
  if (yardstick == nullptr) return absl::OkStatus();
  for (const Contestant& one : all) {
    if (&one == yardstick) continue;
    const bool ours = &one == &all[0];
    const std::string prefix =
        absl::StrCat(data.name, "/", one.index->name(), "_to_", yardstick->index->name());
    for (const double recall : {0.95, 0.985, 0.995}) {
      const std::optional<double> rate = RateAt(one.points, recall);
      const std::optional<double> other = RateAt(yardstick->points, recall);
      if (!other.has_value() || (!rate.has_value() && !ours)) continue;
      report->Add({absl::StrCat(prefix, "/at_", recall), rate.value_or(0) / *other, "times",
                   ours ? Goal::kAtLeast : Goal::kNone, 3.5, recall});
    }
    report->Add({prefix + "/build", one.build_seconds / yardstick->build_seconds, "times",
                 ours ? Goal::kAtMost : Goal::kNone, 0.4});
    report->Add(prefix + "/build_cpu", one.build_cpu / yardstick->build_cpu, "times");
    report->Add(
        {prefix + "/bytes",
         static_cast<double>(one.index->Bytes()) / static_cast<double>(yardstick->index->Bytes()),
         "times", ours && data.dimension == 128 ? Goal::kAtMost : Goal::kNone, 0.65});
  }
  return absl::OkStatus();
}

absl::Status FilteredSearch(const VectorBenchOptions& options, size_t count, Report* report) {
  constexpr double kShares[] = {1, 0.5, 0.1, 0.01, 0.001};
  constexpr size_t kQueriesOfFilter = 10;
  const size_t filters = std::max<size_t>(2, options.queries / 50);
  VectorData data;
  data.name = absl::StrCat("filter_", count);
  data.dimension = options.dimension;
  ClusterSource source(options.dimension, options.clusters, options.seed);
  source.Append(count, &data.base);
  CookixIndex index(data);
  COOKIX_RETURN_IF_ERROR(index.Add(0, count));

  std::mt19937_64 random(options.seed + 1);
  engine::VectorSearchResult result;
  for (const Lie lie : {Lie::kRandom, Lie::kWith, Lie::kAgainst}) {
    std::vector<Share> shares(std::size(kShares));
    for (size_t f = 0; f < filters; ++f) {
      // The questions about one filter come from one place, towards or away from which the
      // filter may lie.
      data.queries.clear();
      source.AppendOf(random() % source.clusters(), kQueriesOfFilter, &data.queries);
      index.SetQueries(data.queries.data(), data.query_count());
      std::vector<std::shared_ptr<const engine::OrdinalSet>> sets;
      for (size_t s = 0; s < shares.size(); ++s) {
        Share& share = shares[s];
        const auto matches = static_cast<size_t>(kShares[s] * static_cast<double>(count));
        const std::vector<uint32_t> rows = Choose(data, lie, data.Query(0), matches, random);
        sets.push_back(kShares[s] == 1 ? nullptr : std::make_shared<RoaringSet>(rows));
        const Truth truth = FindTruth(data, data.queries.data(), data.query_count(), kHits, rows);
        ++share.filters;
        COOKIX_RETURN_IF_ERROR(index.Find(0, kHits, 0, sets[s], true, &result));
        std::vector<uint32_t> exact;
        for (const engine::VectorHit& hit : result.hits) {
          exact.push_back(static_cast<uint32_t>(hit.ordinal));
        }
        if (exact.size() != truth.rows[0].size() ||
            truth.Recall(data, data.Query(0), 0, exact) < 1) {
          return Wrong("an exact search did not find what is nearest");
        }
        for (size_t q = 0; q < data.query_count(); ++q) {
          const auto begin = Clock::now();
          COOKIX_RETURN_IF_ERROR(index.Find(q, kHits, 0, sets[s], false, &result));
          if (q == 0) share.first += MicrosSince(begin);
          std::vector<AnnHit> hits;
          for (const engine::VectorHit& hit : result.hits) {
            hits.push_back({static_cast<uint32_t>(hit.ordinal), static_cast<float>(hit.distance)});
            if (sets[s] != nullptr && !sets[s]->Contains(hit.ordinal)) {
              return Wrong("a search has a hit that the filter does not let through");
            }
          }
          if (hits.size() == std::min(kHits, matches)) {
            COOKIX_RETURN_IF_ERROR(CheckHits(index, data, data.Query(q), hits.size(), hits));
          }
          share.recall += truth.Recall(data, data.Query(q), q, RowsOf(hits));
          ++share.queries;
          ++share.strategies[result.strategy];
        }
      }
      // All shares by turns. The index keeps what few filters let through, so each is asked
      // all of its questions before the next one.
      std::vector<std::vector<double>> best(
          shares.size(),
          std::vector<double>(data.query_count(), std::numeric_limits<double>::infinity()));
      for (int round = 0; round < options.rounds; ++round) {
        for (size_t s = 0; s < shares.size(); ++s) {
          for (size_t q = 0; q < data.query_count(); ++q) {
            const auto begin = Clock::now();
            COOKIX_RETURN_IF_ERROR(index.Find(q, kHits, 0, sets[s], false, &result));
            best[s][q] = std::min(best[s][q], MicrosSince(begin));
          }
        }
      }
      for (size_t s = 0; s < shares.size(); ++s) shares[s].micros += Sum(best[s]);
    }
    const double unfiltered = shares[0].micros / static_cast<double>(shares[0].queries);
    for (size_t s = 0; s < shares.size(); ++s) {
      const Share& share = shares[s];
      const auto queries = static_cast<double>(share.queries);
      std::string note;
      for (const auto& [strategy, times] : share.strategies) {
        absl::StrAppend(&note, note.empty() ? "" : ", ", strategy, " ",
                        absl::StrFormat("%.0f %%", 100 * static_cast<double>(times) / queries));
      }
      absl::StrAppend(&note, absl::StrFormat("; first %.0f us",
                                             share.first / static_cast<double>(share.filters)));
      report->Add({absl::StrCat(data.name, "/", NameOf(lie), "/", kShares[s] * 100, "%"),
                   share.micros / queries, "us", kShares[s] == 0.01 ? Goal::kAtMost : Goal::kNone,
                   unfiltered, share.recall / queries, kFloor, note});
    }
  }
  return absl::OkStatus();
}

absl::Status Churn(const VectorBenchOptions& options, size_t count, Report* report) {
  constexpr size_t kCommit = 1000;
  VectorData data = MakeClusters("churn", count, options.dimension, options.clusters,
                                 options.queries, options.seed);
  CookixIndex used(data);
  COOKIX_RETURN_IF_ERROR(used.Add(0, count));
  const auto bytes_before = static_cast<double>(used.Bytes());

  // Half of the rows, in no order, get new vectors of the same kind.
  std::vector<float> news;
  ClusterSource source(options.dimension, options.clusters, options.seed);
  source.Append(count + options.queries, &news);  // those that are there already
  news.clear();
  source.Append(count / 2, &news);
  std::vector<uint32_t> rows(count);
  std::iota(rows.begin(), rows.end(), 0u);
  std::mt19937_64 random(options.seed + 2);
  std::shuffle(rows.begin(), rows.end(), random);
  rows.resize(count / 2);
  const auto begin = Clock::now();
  double maintaining = 0;
  for (size_t at = 0; at < rows.size(); at += kCommit) {
    const size_t end = std::min(rows.size(), at + kCommit);
    for (size_t i = at; i < end; ++i) {
      std::copy_n(news.begin() + static_cast<std::ptrdiff_t>(i * data.dimension), data.dimension,
                  data.base.begin() + static_cast<std::ptrdiff_t>(rows[i] * data.dimension));
    }
    COOKIX_RETURN_IF_ERROR(used.Put(std::span(rows).subspan(at, end - at)));
    used.IndexAll();
    const auto maintain = Clock::now();
    used.index().Maintain();
    maintaining += MicrosSince(maintain) / 1e6;
  }
  const double seconds = MicrosSince(begin) / 1e6;
  const auto dead = static_cast<double>(used.index().stats().dead);

  CookixIndex fresh(data);
  COOKIX_RETURN_IF_ERROR(fresh.Add(0, count));
  const Truth truth = FindTruth(data, data.queries.data(), data.query_count(), kHits);
  report->Add("churn/replaced", static_cast<double>(rows.size()) / seconds, "vectors/s");
  report->Add("churn/maintenance", maintaining, "s");
  report->Add("churn/dead_left", dead, "vectors");
  report->Add("churn/bytes_grown", static_cast<double>(used.Bytes()) / bytes_before, "times");
  for (const size_t ef : {64, 128}) {
    double recall[2];
    std::vector<double> best[2];
    CookixIndex* const both[2] = {&used, &fresh};
    for (int i = 0; i < 2; ++i) {
      both[i]->SetQueries(data.queries.data(), data.query_count());
      COOKIX_ASSIGN_OR_RETURN(recall[i], CheckAll(data, truth, ef, *both[i]));
      best[i].assign(data.query_count(), std::numeric_limits<double>::infinity());
    }
    for (int round = 0; round < options.rounds; ++round) {
      for (int i = 0; i < 2; ++i) COOKIX_RETURN_IF_ERROR(TimeAll(ef, *both[i], &best[i]));
    }
    const auto queries = static_cast<double>(data.query_count());
    const std::string prefix = absl::StrCat("churn/ef_", ef);
    report->Add({prefix + "/fresh", Sum(best[1]) / queries, "us", Goal::kNone, 0, recall[1]});
    report->Add({prefix + "/used", Sum(best[0]) / queries, "us", Goal::kNone, 0, recall[0],
                 recall[1] - 0.01});
    report->Add({prefix + "/ratio", Sum(best[0]) / Sum(best[1]), "times", Goal::kAtMost, 1.2});
  }
  return absl::OkStatus();
}

}  // namespace cookix::bench
