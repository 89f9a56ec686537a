#include "engine/vector/cell_index.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "storage/base/status.h"
#include "storage/fault_injection_file_system.h"
#include "storage/local_store.h"

namespace cookix::engine {
namespace {

using storage::FaultInjectionFileSystem;
using storage::LocalStore;
using storage::LocalStoreOptions;

using Vector = std::vector<float>;
using Model = std::map<uint64_t, Vector>;

constexpr size_t kDimension = 24;

// Vectors around some centres.
class Source {
 public:
  explicit Source(uint64_t seed, size_t clusters = 40, float sigma = 0.4f)
      : random_(seed), sigma_(sigma), centres_(clusters, Vector(kDimension)) {
    for (Vector& centre : centres_) {
      for (float& x : centre) x = normal_(random_);
    }
  }
  Vector Next() { return Near(random_() % centres_.size()); }
  Vector Near(size_t cluster) {
    Vector v = centres_[cluster];
    for (float& x : v) x += sigma_ * normal_(random_);
    return v;
  }
  uint64_t Below(uint64_t n) { return random_() % n; }

 private:
  std::mt19937_64 random_;
  std::normal_distribution<float> normal_;
  const float sigma_;
  std::vector<Vector> centres_;
};

double DistanceOf(Metric metric, const Vector& a, const Vector& b) {
  double dot = 0, aa = 0, bb = 0, l2 = 0;
  for (size_t d = 0; d < a.size(); ++d) {
    dot += static_cast<double>(a[d]) * b[d];
    aa += static_cast<double>(a[d]) * a[d];
    bb += static_cast<double>(b[d]) * b[d];
    l2 += (static_cast<double>(a[d]) - b[d]) * (static_cast<double>(a[d]) - b[d]);
  }
  if (metric == Metric::kCosine) return 1 - dot / std::sqrt(aa * bb);
  return metric == Metric::kL2 ? l2 : -dot;
}

// The nearest of the model, with `accept` among its ordinals.
std::vector<uint64_t> BruteForce(const Model& model, Metric metric, const Vector& query,
                                 size_t limit, const std::set<uint64_t>* accept = nullptr) {
  std::vector<std::pair<double, uint64_t>> all;
  for (const auto& [ordinal, v] : model) {
    if (accept == nullptr || accept->contains(ordinal)) {
      all.emplace_back(DistanceOf(metric, query, v), ordinal);
    }
  }
  std::sort(all.begin(), all.end());
  all.resize(std::min(limit, all.size()));
  std::vector<uint64_t> nearest;
  for (const auto& [distance, ordinal] : all) nearest.push_back(ordinal);
  return nearest;
}

class Accepted final : public OrdinalSet {
 public:
  explicit Accepted(const std::set<uint64_t>& set) : set_(set) {}
  bool Contains(Ordinal ordinal) const override { return set_.contains(ordinal); }
  uint64_t Count() const override { return set_.size(); }
  void ForEach(absl::FunctionRef<void(Ordinal)> each) const override {
    for (const uint64_t ordinal : set_) each(ordinal);
  }

 private:
  const std::set<uint64_t>& set_;
};

CellOptions SmallCells() {
  CellOptions options;
  options.dimension = kDimension;
  options.max_cell_size = 128;
  return options;
}

// A local store and one index in it, with what it should hold.
class Fixture {
 public:
  explicit Fixture(CellOptions options, std::shared_ptr<FaultInjectionFileSystem> fs = nullptr)
      : options_(options), fs_(fs != nullptr ? fs : FaultInjectionFileSystem::InMemory()) {
    Open();
  }

  void Open() {
    index_.reset();
    store_.reset();
    LocalStoreOptions local;
    local.path = "/cells";
    local.file_system = fs_;
    local.memory_bytes = 4 << 20;
    auto store = LocalStore::Open(local);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = std::move(*store);
    auto index = CellIndex::Open(*store_, 7, options_);
    ASSERT_TRUE(index.ok()) << index.status();
    index_ = std::move(*index);
  }

  void Put(uint64_t ordinal, Vector v) { pending_[ordinal] = std::move(v); }
  void Remove(uint64_t ordinal) { pending_[ordinal] = {}; }
  absl::Status TryCommit() {
    std::vector<CellChange> changes;
    for (const auto& [ordinal, v] : pending_) {
      changes.push_back({ordinal, v.empty() ? nullptr : v.data()});
    }
    return index_->Apply(changes, commit_ + 1);
  }
  void Commit() {
    const absl::Status status = TryCommit();
    ASSERT_TRUE(status.ok()) << status;
    ++commit_;
    for (auto& [ordinal, v] : pending_) {
      if (v.empty()) {
        model_.erase(ordinal);
      } else {
        model_[ordinal] = v;
      }
    }
    pending_.clear();
  }
  void Maintain() {
    const auto done = index_->Maintain(100'000);
    ASSERT_TRUE(done.ok()) << done.status();
    ASSERT_TRUE(*done);
  }
  void Fill(Source& source, uint64_t count, size_t batch = 200) {
    for (uint64_t begin = 0; begin < count; begin += batch) {
      for (uint64_t i = begin; i < std::min<uint64_t>(count, begin + batch); ++i) {
        Put(i, source.Next());
      }
      Commit();
      Maintain();
    }
  }

  std::vector<CellHit> Search(const Vector& query, size_t limit, bool exact,
                              const std::set<uint64_t>* accept = nullptr,
                              CellSearchResult* all = nullptr, size_t probed = 0) const {
    CellQuery asked;
    asked.vector = query.data();
    asked.limit = limit;
    asked.cells_probed = probed;
    asked.exact = exact;
    std::unique_ptr<Accepted> set;
    if (accept != nullptr) {
      set = std::make_unique<Accepted>(*accept);
      asked.accept = set.get();
    }
    const auto result = index_->Search(asked, nullptr);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return {};
    if (all != nullptr) *all = *result;
    EXPECT_TRUE(std::is_sorted(result->hits.begin(), result->hits.end()));
    return result->hits;
  }

  double Recall(Source& source, int queries, bool exact, const std::set<uint64_t>* accept = nullptr,
                size_t probed = 0) const {
    double found = 0, wanted = 0;
    for (int i = 0; i < queries; ++i) {
      const Vector query = source.Next();
      const auto right = BruteForce(model_, options_.metric, query, 10, accept);
      wanted += static_cast<double>(right.size());
      for (const CellHit& hit : Search(query, 10, exact, accept, nullptr, probed)) {
        found += static_cast<double>(std::count(right.begin(), right.end(), hit.ordinal));
      }
    }
    return wanted > 0 ? found / wanted : 1;
  }

  // The index holds the model and nothing else.
  void ExpectHolds(const Model& model) const {
    const absl::Status status = index_->CheckIntegrity();
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_EQ(index_->Stats().vectors, static_cast<int64_t>(model.size()));
    const Vector query(kDimension, 0.5f);
    const auto hits = Search(query, model.size() + 10, true);
    ASSERT_EQ(hits.size(), model.size());
    for (const CellHit& hit : hits) {
      const auto found = model.find(hit.ordinal);
      ASSERT_NE(found, model.end()) << hit.ordinal;
      ASSERT_NEAR(hit.distance, DistanceOf(options_.metric, query, found->second), 2e-3)
          << hit.ordinal;
    }
  }

  CellIndex& index() { return *index_; }
  LocalStore& store() { return *store_; }
  const Model& model() const { return model_; }
  FaultInjectionFileSystem& fs() { return *fs_; }
  const CellOptions& options() const { return options_; }
  void Close() {
    index_.reset();
    store_.reset();
  }

 private:
  const CellOptions options_;
  const std::shared_ptr<FaultInjectionFileSystem> fs_;
  std::unique_ptr<LocalStore> store_;
  std::unique_ptr<CellIndex> index_;
  uint64_t commit_ = 0;
  Model model_;
  // No vector = to be removed.
  Model pending_;
};

struct Kind {
  Metric metric;
  Quantization quantization;
};

class CellIndexKindTest : public testing::TestWithParam<Kind> {};

TEST_P(CellIndexKindTest, FindsWhatBruteForceFinds) {
  CellOptions options = SmallCells();
  options.metric = GetParam().metric;
  options.quantization = GetParam().quantization;
  Fixture fixture(options);
  Source source(1);
  fixture.Fill(source, 4000);
  EXPECT_GT(fixture.index().Stats().cells, 60);
  EXPECT_GE(fixture.Recall(source, 60, false), 0.95);
  EXPECT_GE(fixture.Recall(source, 20, true), 0.999);
  fixture.ExpectHolds(fixture.model());
  fixture.Open();
  EXPECT_EQ(fixture.index().commit(), 20u);
  EXPECT_GE(fixture.Recall(source, 60, false), 0.95);
  fixture.ExpectHolds(fixture.model());
}

INSTANTIATE_TEST_SUITE_P(Kinds, CellIndexKindTest,
                         testing::Values(Kind{Metric::kCosine, Quantization::kInt8},
                                         Kind{Metric::kL2, Quantization::kInt8},
                                         Kind{Metric::kDot, Quantization::kInt8},
                                         Kind{Metric::kCosine, Quantization::kNone},
                                         Kind{Metric::kL2, Quantization::kNone}));

// Clusters of four are smaller than any cell: what is near lies in many.
TEST(CellIndexTest, LearnsHowManyCellsToRead) {
  Fixture fixture(SmallCells());
  Source source(31, 3000, 0.7f);
  EXPECT_EQ(fixture.index().Stats().cells_probed, 32);
  fixture.Fill(source, 12'000, 500);
  const int64_t learned = fixture.index().Stats().cells_probed;
  EXPECT_GT(learned, 32);
  EXPECT_LT(fixture.Recall(source, 100, false, nullptr, 32), 0.9);
  EXPECT_GE(fixture.Recall(source, 100, false), 0.95);
  fixture.Open();
  EXPECT_EQ(fixture.index().Stats().cells_probed, learned);
  // What takes their place has as many neighbours in a cell as there are.
  Source close(32, 10, 0.4f);
  for (int round = 0; round < 2; ++round) fixture.Fill(close, 12'000, 500);
  EXPECT_LT(fixture.index().Stats().cells_probed, learned / 2);
  EXPECT_GE(fixture.Recall(close, 100, false), 0.95);
}

TEST(CellIndexTest, LearnsAgainForAnotherShape) {
  Fixture fixture(SmallCells());
  Source source(33, 3000, 0.7f);
  fixture.Fill(source, 12'000, 500);
  fixture.index().Reshape(0.15, 65'536, 0.03);
  fixture.Maintain();
  const int64_t of_large = fixture.index().Stats().cells_probed;
  EXPECT_GE(fixture.Recall(source, 100, false), 0.95);
  // Smaller cells hold less.
  fixture.index().Reshape(0.15, 64, 0.03);
  fixture.Maintain();
  EXPECT_GT(fixture.index().Stats().cells_probed, of_large);
  EXPECT_GE(fixture.Recall(source, 100, false), 0.95);
}

TEST(CellIndexTest, IsEmptyAtFirst) {
  Fixture fixture(SmallCells());
  CellSearchResult result;
  EXPECT_TRUE(fixture.Search(Vector(kDimension, 1.0f), 10, false, nullptr, &result).empty());
  EXPECT_TRUE(result.exact);
  // Removing what is not there is no error, and counts as applied.
  fixture.Remove(5);
  fixture.Commit();
  fixture.Maintain();
  EXPECT_EQ(fixture.index().commit(), 1u);
  fixture.Open();
  EXPECT_EQ(fixture.index().commit(), 1u);
  fixture.Put(5, Vector(kDimension, 1.0f));
  fixture.Commit();
  EXPECT_EQ(fixture.Search(Vector(kDimension, 1.0f), 10, false).size(), 1u);
  fixture.Remove(5);
  fixture.Commit();
  EXPECT_TRUE(fixture.Search(Vector(kDimension, 1.0f), 10, false).empty());
  fixture.Maintain();
  fixture.ExpectHolds({});
  EXPECT_EQ(fixture.index().Stats().cells, 0);
  // And from nothing again.
  Source source(2);
  fixture.Fill(source, 500);
  fixture.ExpectHolds(fixture.model());
}

TEST(CellIndexTest, HidesAndMovesAtOnce) {
  Fixture fixture(SmallCells());
  Source source(3);
  fixture.Fill(source, 3000);
  for (uint64_t i = 0; i < 3000; i += 100) {
    const Vector before = fixture.model().at(i);
    ASSERT_EQ(fixture.Search(before, 1, false).at(0).ordinal, i);
    const Vector after = source.Next();
    fixture.Put(i, after);
    fixture.Remove(i + 1);
    fixture.Commit();
    // Without any upkeep.
    EXPECT_EQ(fixture.Search(after, 1, false).at(0).ordinal, i);
    for (const CellHit& hit : fixture.Search(before, 20, true)) {
      EXPECT_FALSE(hit.ordinal == i && hit.distance < 1e-4);
      EXPECT_NE(hit.ordinal, i + 1);
    }
  }
  fixture.ExpectHolds(fixture.model());
  fixture.Maintain();
  fixture.ExpectHolds(fixture.model());
}

TEST(CellIndexTest, TheLastChangeOfAnOrdinalCounts) {
  Fixture fixture(SmallCells());
  const Vector a(kDimension, 1.0f);
  Vector b(kDimension, 1.0f);
  b[0] = -5;
  const std::vector<CellChange> changes = {{1, a.data()}, {2, nullptr},  {1, nullptr},
                                           {2, a.data()}, {3, a.data()}, {3, b.data()}};
  ASSERT_TRUE(fixture.index().Apply(changes, 1).ok());
  fixture.ExpectHolds({{2, a}, {3, b}});
  ASSERT_TRUE(fixture.index().Apply(changes, 1).ok());
  fixture.ExpectHolds({{2, a}, {3, b}});
}

// Replacing and removing at random, with other clusters all the time.
TEST(CellIndexTest, KeepsItsShapeUnderChurn) {
  const CellOptions options = SmallCells();
  Fixture fixture(options);
  {
    Source source(4);
    fixture.Fill(source, 3000);
  }
  const auto recall = [&](uint64_t seed) {
    // Queries near to what is there.
    Source noise(seed, 1, 0.4f);
    double found = 0, wanted = 0;
    for (int i = 0; i < 15; ++i) {
      auto near = fixture.model().begin();
      std::advance(near, static_cast<ptrdiff_t>(noise.Below(fixture.model().size())));
      Vector query = noise.Next();
      for (size_t d = 0; d < kDimension; ++d) query[d] = near->second[d] + 0.2f * query[d];
      const auto right = BruteForce(fixture.model(), options.metric, query, 10);
      wanted += static_cast<double>(right.size());
      for (const CellHit& hit : fixture.Search(query, 10, false)) {
        found += static_cast<double>(std::count(right.begin(), right.end(), hit.ordinal));
      }
    }
    return found / wanted;
  };
  for (int round = 0; round < 12; ++round) {
    Source source(static_cast<uint64_t>(100 + round), 40);
    for (int i = 0; i < 500; ++i) {
      const uint64_t ordinal = source.Below(4000);
      if (round >= 6 || source.Below(3) == 0) {
        fixture.Remove(ordinal);
      } else {
        fixture.Put(ordinal, source.Next());
      }
    }
    fixture.Commit();
    fixture.Maintain();
    if (round % 4 == 3) fixture.Open();
    const absl::Status status = fixture.index().CheckIntegrity();
    ASSERT_TRUE(status.ok()) << round << ": " << status;
    ASSERT_GE(recall(static_cast<uint64_t>(round)), 0.95) << round;

    const auto reports = fixture.index().ReportForTest();
    ASSERT_TRUE(reports.ok());
    size_t settled = 0;
    for (const auto& report : *reports) {
      EXPECT_GT(report.size, 0u);
      EXPECT_LE(report.size, options.max_cell_size);
      // The floor is 32, an eighth of it is 4.
      EXPECT_GE(report.size, 4u);
      EXPECT_LT(report.pending, std::max<size_t>(16, report.size / 4));
      if (report.pending > 0) continue;
      ++settled;
      EXPECT_LE(Drift(options.metric, report.centroid, report.shape), options.max_drift + 1e-3);
      if (report.size > 32) {
        EXPECT_LE(report.shape.variance, options.max_variance + 1e-4);
      }
    }
    EXPECT_GT(settled, 0u);
  }
  fixture.ExpectHolds(fixture.model());
}

TEST(CellIndexTest, SplitsMergesAndRecentres) {
  Fixture fixture(SmallCells());
  Source source(5);
  fixture.Fill(source, 3000);
  const CellIndexStats full = fixture.index().Stats();
  EXPECT_EQ(full.vectors, 3000);
  EXPECT_GT(full.splits, 40);
  EXPECT_GT(full.recentred, 0);
  EXPECT_GT(full.rewrites, 0);
  EXPECT_GT(full.moved, 0);
  for (uint64_t i = 0; i < 2900; ++i) fixture.Remove(i);
  fixture.Commit();
  fixture.Maintain();
  const CellIndexStats few = fixture.index().Stats();
  EXPECT_EQ(few.vectors, 100);
  EXPECT_GT(few.merges, full.cells / 2);
  EXPECT_LT(few.cells, full.cells / 3);
  fixture.ExpectHolds(fixture.model());
}

TEST(CellIndexTest, DriftMovesTheCentroid) {
  CellOptions options = SmallCells();
  options.max_variance = 10;
  Fixture fixture(options);
  Source source(6, 1, 0.1f);
  for (uint64_t i = 0; i < 20; ++i) fixture.Put(i, source.Next());
  fixture.Commit();
  Vector shift = source.Next();
  std::rotate(shift.begin(), shift.begin() + 1, shift.end());
  for (uint64_t i = 20; i < 60; ++i) {
    Vector v = source.Next();
    for (size_t d = 0; d < kDimension; ++d) v[d] += shift[d];
    fixture.Put(i, v);
  }
  fixture.Commit();
  auto reports = fixture.index().ReportForTest();
  ASSERT_EQ(reports->size(), 1u);
  EXPECT_GT(Drift(Metric::kCosine, reports->front().centroid, reports->front().shape), 0.03);
  fixture.Maintain();
  EXPECT_EQ(fixture.index().Stats().recentred, 1);
  reports = fixture.index().ReportForTest();
  ASSERT_EQ(reports->size(), 1u);
  EXPECT_LT(Drift(Metric::kCosine, reports->front().centroid, reports->front().shape), 1e-3);
}

TEST(CellIndexTest, EqualVectorsAreSplitBySize) {
  Fixture fixture(SmallCells());
  for (uint64_t i = 0; i < 2000; ++i) fixture.Put(i, Vector(kDimension, 1.0f));
  fixture.Commit();
  fixture.Maintain();
  EXPECT_GE(fixture.index().Stats().cells, 2000 / 128);
  fixture.ExpectHolds(fixture.model());
}

TEST(CellIndexTest, TakesALargeCommitIntoAnEmptyIndex) {
  Fixture fixture(SmallCells());
  Source source(7);
  for (uint64_t i = 0; i < 7000; ++i) fixture.Put(i, source.Next());
  fixture.Commit();
  fixture.Maintain();
  fixture.ExpectHolds(fixture.model());
  EXPECT_GE(fixture.Recall(source, 40, false), 0.95);
  EXPECT_EQ(fixture.index().commit(), 1u);
}

// Whenever the process or the machine stops, what is found afterwards is the state of the
// watermark found with it, and applying the rest leads to the state of the end.
TEST(CellIndexTest, SurvivesACrashAtEveryStep) {
  const auto fs = FaultInjectionFileSystem::InMemory();
  const CellOptions options = SmallCells();
  Fixture fixture(options, fs);
  Source source(8);
  // By commit.
  std::vector<std::vector<std::pair<uint64_t, Vector>>> commits(1);
  std::vector<Model> models(1);
  std::vector<std::shared_ptr<FaultInjectionFileSystem>> crashed;
  int step = 0;
  const auto crash = [&] {
    ++step;
    if (step % 3 == 0) {
      ASSERT_TRUE(fixture.store().Flush().ok());
    }
    if (step % 3 == 1) return;
    crashed.push_back(fs->Clone("/cells"));
    if (step % 2 == 0) crashed.back()->PowerFailure(static_cast<uint64_t>(step));
  };
  for (int commit = 1; commit <= 12; ++commit) {
    std::vector<std::pair<uint64_t, Vector>> changes;
    for (int i = 0; i < 150; ++i) {
      const uint64_t ordinal = source.Below(1200);
      changes.emplace_back(ordinal, source.Below(5) == 0 ? Vector() : source.Next());
    }
    for (const auto& [ordinal, v] : changes) {
      if (v.empty()) {
        fixture.Remove(ordinal);
      } else {
        fixture.Put(ordinal, v);
      }
    }
    fixture.Commit();
    commits.push_back(changes);
    models.push_back(fixture.model());
    crash();
    for (bool done = false; !done;) {
      const auto more = fixture.index().Maintain(1);
      ASSERT_TRUE(more.ok()) << more.status();
      done = *more;
      crash();
    }
  }
  EXPECT_GT(fixture.index().Stats().splits, 15);
  std::set<uint64_t> seen;
  for (size_t i = 0; i < crashed.size(); i += 2) {
    Fixture recovered(options, crashed[i]);
    const uint64_t found = recovered.index().commit();
    seen.insert(found);
    ASSERT_LT(found, models.size());
    ASSERT_NO_FATAL_FAILURE(recovered.ExpectHolds(models[found])) << "crash " << i;
    // The last one that it has too: that changes nothing.
    for (uint64_t commit = std::max<uint64_t>(found, 1); commit < commits.size(); ++commit) {
      std::vector<CellChange> changes;
      for (const auto& [ordinal, v] : commits[commit]) {
        changes.push_back({ordinal, v.empty() ? nullptr : v.data()});
      }
      ASSERT_TRUE(recovered.index().Apply(changes, commit).ok());
      ASSERT_TRUE(recovered.index().Maintain(3).ok());
      if (commit == found) {
        ASSERT_NO_FATAL_FAILURE(recovered.ExpectHolds(models[found]));
      }
    }
    ASSERT_NO_FATAL_FAILURE(recovered.ExpectHolds(models.back())) << "crash " << i;
  }
  EXPECT_GT(seen.size(), 6u);
}

TEST(CellIndexTest, FindsAmongAcceptedOnes) {
  Fixture fixture(SmallCells());
  Source source(9);
  fixture.Fill(source, 6000);
  std::mt19937_64 random(10);
  // Uncorrelated with anything.
  for (const double share : {1.0, 0.5, 0.1, 0.01, 0.001}) {
    std::set<uint64_t> accept;
    for (uint64_t i = 0; i < 6000; ++i) {
      if (static_cast<double>(random() % 1'000'000) < share * 1'000'000) accept.insert(i);
    }
    // Ordinals that the index does not have are none of its business.
    accept.insert(1'000'000);
    EXPECT_GE(fixture.Recall(source, 30, false, &accept), 0.95) << share;
    EXPECT_GE(fixture.Recall(source, 5, true, &accept), 0.999) << share;
  }
  // Only what is near to the query, and only what is far from it.
  for (const bool near : {true, false}) {
    double found = 0, wanted = 0;
    for (int i = 0; i < 20; ++i) {
      const Vector query = source.Next();
      const auto order = BruteForce(fixture.model(), Metric::kCosine, query, 6000);
      const std::set<uint64_t> accept = near
                                            ? std::set<uint64_t>(order.begin(), order.begin() + 600)
                                            : std::set<uint64_t>(order.end() - 600, order.end());
      const auto right = BruteForce(fixture.model(), Metric::kCosine, query, 10, &accept);
      wanted += 10;
      for (const CellHit& hit : fixture.Search(query, 10, false, &accept)) {
        found += static_cast<double>(std::count(right.begin(), right.end(), hit.ordinal));
      }
    }
    EXPECT_GE(found / wanted, 0.95) << near;
  }
  CellSearchResult result;
  const std::set<uint64_t> none;
  EXPECT_TRUE(fixture.Search(source.Next(), 10, false, &none, &result).empty());
  EXPECT_TRUE(result.exact);
  EXPECT_EQ(result.cells_read, 0);
}

TEST(CellIndexTest, GivesAsManyAsAreAskedFor) {
  Fixture fixture(SmallCells());
  Source source(11);
  fixture.Fill(source, 2000);
  for (const size_t limit : {1, 100, 1500, 5000}) {
    EXPECT_EQ(fixture.Search(source.Next(), limit, false).size(), std::min<size_t>(limit, 2000));
  }
}

// Readers see one state each, while cells are split, merged and moved.
TEST(CellIndexTest, ReadersAndAWriterDoNotDisturbEachOther) {
  Fixture fixture(SmallCells());
  Source source(12);
  fixture.Fill(source, 1500);
  std::atomic<bool> stop{false};
  std::atomic<int> searches{0};
  std::vector<std::thread> readers;
  std::vector<std::string> errors(2);
  for (size_t r = 0; r < 2; ++r) {
    readers.emplace_back([&, r] {
      Source mine(200 + r);
      while (!stop.load() || searches.load() < 20) {
        const Vector query = mine.Next();
        CellQuery asked;
        asked.vector = query.data();
        asked.limit = 10'000;
        asked.exact = true;
        const auto all = fixture.index().Search(asked, nullptr);
        if (!all.ok()) {
          errors[r] = std::string(all.status().message());
          return;
        }
        // Ordinals below 500 are never touched.
        std::set<uint64_t> seen;
        size_t stable = 0;
        for (const CellHit& hit : all->hits) {
          if (!seen.insert(hit.ordinal).second) errors[r] = "an ordinal was found twice";
          stable += hit.ordinal < 500 ? 1 : 0;
        }
        if (stable != 500) errors[r] = "found " + std::to_string(stable) + " of 500";
        asked.exact = false;
        asked.limit = 10;
        if (const auto some = fixture.index().Search(asked, nullptr);
            !some.ok() || some->hits.size() != 10) {
          errors[r] = "an approximate search failed";
        }
        searches.fetch_add(1);
      }
    });
  }
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 100; ++i) {
      const uint64_t ordinal = 500 + source.Below(2000);
      if (source.Below(3) == 0) {
        fixture.Remove(ordinal);
      } else {
        fixture.Put(ordinal, source.Next());
      }
    }
    fixture.Commit();
    fixture.Maintain();
  }
  stop.store(true);
  for (std::thread& reader : readers) reader.join();
  for (const std::string& error : errors) EXPECT_EQ(error, "");
  EXPECT_GE(searches.load(), 20);
  fixture.ExpectHolds(fixture.model());
}

TEST(CellIndexTest, HoldsTheMemoryItMay) {
  CellOptions options = SmallCells();
  Source source(13);
  Fixture unbounded(options);
  unbounded.Fill(source, 5000);
  options.memory_bytes = unbounded.index().Stats().memory_bytes / 3;
  Fixture bounded(options);
  Source again(13);
  // One half after the other of the clusters, so that early cells do not grow with the rest.
  for (uint64_t i = 0; i < 5000; ++i) {
    bounded.Put(i, again.Near(i / 2500 * 20 + again.Below(20)));
    if (i % 250 != 249) continue;
    bounded.Commit();
    bounded.Maintain();
    ASSERT_LE(bounded.index().Stats().memory_bytes, options.memory_bytes) << i;
  }
  EXPECT_LT(bounded.index().Stats().cells, unbounded.index().Stats().cells);
  EXPECT_GE(bounded.Recall(again, 40, false), 0.95);
  bounded.ExpectHolds(bounded.model());
}

TEST(CellIndexTest, SaysDamageAndIsBuiltAnew) {
  CellOptions options = SmallCells();
  Fixture fixture(options);
  Source source(14);
  fixture.Fill(source, 3000);
  ASSERT_TRUE(fixture.store().Flush().ok());
  const Vector query = source.Next();
  // Bytes of cells in the files.
  fixture.fs().FlipOnRead(".blob", 8 * 3000);
  CellQuery asked;
  asked.vector = query.data();
  asked.exact = true;
  const auto damaged = fixture.index().Search(asked, nullptr);
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(GetErrorDetail(damaged.status())->reason, "CORRUPTION");
  EXPECT_EQ(fixture.index().CheckIntegrity().code(), absl::StatusCode::kDataLoss);
  fixture.fs().FlipOnRead("", 0);
  EXPECT_TRUE(fixture.index().Search(asked, nullptr).ok());
  // A compaction may have read the damage too: the store takes no writes then until it is opened
  // again.
  fixture.Open();

  // A number of cells to read that no index finds is learned again.
  storage::LocalBatch batch;
  batch.Put(std::string("\0\0\0\7p", 5), std::string(20, '\0'));
  ASSERT_TRUE(fixture.store().Write(batch).ok());
  fixture.Open();
  EXPECT_EQ(fixture.index().Stats().cells_probed, 32);

  // Another shape is as bad as damage.
  LocalStore& store = fixture.store();
  options.dimension = kDimension + 1;
  EXPECT_EQ(CellIndex::Open(store, 7, options).status().code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(CellIndex::Drop(store, 7).ok());
  const auto fresh = CellIndex::Open(store, 7, fixture.options());
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_EQ((*fresh)->commit(), 0u);
  EXPECT_EQ((*fresh)->Stats().vectors, 0);
}

TEST(CellIndexTest, IndexesShareAStore) {
  Fixture fixture(SmallCells());
  Source source(15);
  fixture.Fill(source, 500);
  auto other = CellIndex::Open(fixture.store(), 8, fixture.options());
  ASSERT_TRUE(other.ok());
  const Vector v = source.Next();
  const std::vector<CellChange> changes = {{3, v.data()}};
  ASSERT_TRUE((*other)->Apply(changes, 9, "position of 9").ok());
  EXPECT_EQ((*other)->Stats().vectors, 1);
  EXPECT_EQ((*other)->commit(), 9u);
  // What is older is applied, too, but the watermark stays.
  ASSERT_TRUE((*other)->Apply(changes, 8, "position of 8").ok());
  EXPECT_EQ((*other)->Stats().vectors, 1);
  other->reset();
  other = CellIndex::Open(fixture.store(), 8, fixture.options());
  ASSERT_TRUE(other.ok());
  EXPECT_EQ((*other)->commit(), 9u);
  EXPECT_EQ((*other)->position(), "position of 9");
  EXPECT_EQ((*other)->Stats().vectors, 1);
  other->reset();
  ASSERT_TRUE(CellIndex::Drop(fixture.store(), 8).ok());
  fixture.Open();
  fixture.ExpectHolds(fixture.model());
}

TEST(CellIndexTest, AFailedWriteChangesNothing) {
  const auto fs = FaultInjectionFileSystem::InMemory();
  fs->SetFreeSpace(uint64_t{1} << 30);
  LocalStoreOptions local;
  local.path = "/cells";
  local.file_system = fs;
  local.keep_free_bytes = 1 << 20;
  const auto store = LocalStore::Open(local);
  ASSERT_TRUE(store.ok());
  const auto index = CellIndex::Open(**store, 1, SmallCells());
  ASSERT_TRUE(index.ok());
  Source source(16);
  const auto apply = [&](uint64_t begin, uint64_t end, uint64_t commit) {
    std::vector<Vector> vectors;
    std::vector<CellChange> changes;
    for (uint64_t i = begin; i < end; ++i) vectors.push_back(source.Next());
    for (uint64_t i = begin; i < end; ++i) changes.push_back({i, vectors[i - begin].data()});
    return (*index)->Apply(changes, commit);
  };
  ASSERT_TRUE(apply(0, 200, 1).ok());
  fs->SetFreeSpace(1000);
  absl::Status status;
  uint64_t end = 200;
  uint64_t commit = 1;
  // The space is not asked for with each small batch.
  while (status.ok() && end < 200'000) {
    status = apply(end, end + 1000, commit + 1);
    if (!status.ok()) break;
    end += 1000;
    ++commit;
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ((*index)->commit(), commit);
  EXPECT_EQ((*index)->Stats().vectors, static_cast<int64_t>(end));
  EXPECT_TRUE((*index)->CheckIntegrity().ok());
  fs->SetFreeSpace(uint64_t{1} << 30);
  EXPECT_TRUE(apply(end, end + 1000, commit + 1).ok());
  EXPECT_EQ((*index)->Stats().vectors, static_cast<int64_t>(end + 1000));
  EXPECT_TRUE((*index)->CheckIntegrity().ok());
}

TEST(CellIndexTest, StopsWhenTheCallIsOver) {
  Fixture fixture(SmallCells());
  Source source(17);
  fixture.Fill(source, 500);
  CallContext context;
  context.Cancel();
  const Vector query = source.Next();
  CellQuery asked;
  asked.vector = query.data();
  EXPECT_EQ(fixture.index().Search(asked, &context).status().code(), absl::StatusCode::kCancelled);
}

TEST(CellIndexTest, RefusesBits) {
  Fixture fixture(SmallCells());
  CellOptions options = SmallCells();
  options.metric = Metric::kHamming;
  EXPECT_EQ(CellIndex::Open(fixture.store(), 9, options).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cookix::engine
