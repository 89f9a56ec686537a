// Sketches of what a filter lets through, against comparing all of it.
#include "engine/vector/sketched_matches.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/vector/dense_index_world.h"
#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

constexpr size_t kDimension = 96;
// More than sketches take to be made, and to be tried.
constexpr int kUses = 24;

class SketchedMatchesTest : public testing::Test {
 protected:
  SketchedMatchesTest()
      : storage_(VectorCodec::Make(Metric::kL2, Quantization::kInt8, kDimension, {})) {}

  std::vector<float> Random(float spread) {
    std::vector<float> vector(kDimension);
    for (float& x : vector) x = spread * normal_(random_);
    return vector;
  }
  // Every other slot holds what `next` gives.
  template <typename F>
  std::unique_ptr<SketchedMatches> Make(Slot count, F&& next) {
    EXPECT_TRUE(storage_.Grow(2 * count));
    SlotBits slots(2 * count);
    for (Slot i = 0; i < count; ++i) {
      storage_.Write(2 * i + 1, next().data());
      slots.Set(2 * i + 1);
    }
    copies_ = CodeCopies::Make(storage_, slots);
    return std::make_unique<SketchedMatches>(storage_, copies_);
  }
  std::vector<Slot> Nearest(const std::vector<float>& asking, size_t count) {
    PreparedQuery query;
    storage_.codec().PrepareQuery(asking.data(), &query);
    std::vector<std::pair<float, Slot>> order;
    for (const Slot slot : copies_->slots()) order.push_back({storage_.Refine(query, slot), slot});
    std::sort(order.begin(), order.end());
    std::vector<Slot> nearest;
    for (size_t i = 0; i < count; ++i) nearest.push_back(order[i].second);
    return nearest;
  }

  VectorStorage storage_;
  std::shared_ptr<const CodeCopies> copies_;
  std::mt19937_64 random_{3};
  std::normal_distribution<float> normal_;
};

TEST_F(SketchedMatchesTest, AreUsedWhereTheyFindWhatIsNear) {
  std::vector<std::vector<float>> centres;
  for (int i = 0; i < 100; ++i) centres.push_back(Random(1));
  const auto next = [&] {
    std::vector<float> vector = Random(0.5f);
    const std::vector<float>& centre = centres[random_() % centres.size()];
    for (size_t d = 0; d < kDimension; ++d) vector[d] += centre[d];
    return vector;
  };
  const auto sketched = Make(5000, next);
  int before = 0;
  for (; before < kUses && !sketched->good(); ++before) {
    const std::vector<float> asking = next();
    // Nothing is tried while sketches are being made.
    if (sketched->Prepare()) sketched->Try(asking.data(), 64, Nearest(asking, 10));
  }
  ASSERT_TRUE(sketched->good());
  EXPECT_GT(before, 8);
  EXPECT_GT(sketched->Bytes(), static_cast<int64_t>(5000 * kDimension / 4));
  SketchQuery query;
  Sketches::Scratch scratch;
  size_t found = 0;
  for (int i = 0; i < 50; ++i) {
    const std::vector<float> asking = next();
    const size_t count = sketched->FindNear(asking.data(), 64, &query, &scratch);
    EXPECT_LT(count, 1000u);
    const std::set<Slot> near(scratch.near.begin(),
                              scratch.near.begin() + static_cast<ptrdiff_t>(count));
    for (const Slot slot : Nearest(asking, 10)) found += near.count(slot);
    // A wider search gets more of them.
    EXPECT_GT(sketched->FindNear(asking.data(), 256, &query, &scratch), count);
  }
  EXPECT_GE(found, 490u);
}

// All lie so close together that their sketches are about the same.
TEST_F(SketchedMatchesTest, AreNotUsedWhereTheyDoNot) {
  const std::vector<float> place = Random(100);
  const auto next = [&] {
    std::vector<float> vector = Random(0.1f);
    for (size_t d = 0; d < kDimension; ++d) vector[d] += place[d];
    return vector;
  };
  const auto sketched = Make(5000, next);
  for (int i = 0; i < kUses; ++i) {
    const std::vector<float> asking = next();
    if (sketched->Prepare()) sketched->Try(asking.data(), 64, Nearest(asking, 10));
    EXPECT_FALSE(sketched->good());
  }
  EXPECT_FALSE(sketched->Prepare());
  // What is not used is not kept.
  EXPECT_EQ(sketched->Bytes(), 0);
}

TEST_F(SketchedMatchesTest, FitWhereScansTakeLong) {
  const auto fit = [](Metric metric, Quantization quantization, size_t dimension, size_t matches) {
    return SketchedMatches::Fit(*VectorCodec::Make(metric, quantization, dimension, {}), matches);
  };
  EXPECT_TRUE(fit(Metric::kCosine, Quantization::kInt8, 128, 10'000));
  EXPECT_FALSE(fit(Metric::kCosine, Quantization::kInt8, 128, 1000));
  EXPECT_FALSE(fit(Metric::kCosine, Quantization::kInt8, 65'536, 10'000));
  EXPECT_FALSE(fit(Metric::kCosine, Quantization::kNone, 128, 10'000));
  EXPECT_FALSE(fit(Metric::kHamming, Quantization::kBits, 128, 10'000));
}

// As searches with a filter use them.
class SketchedFilterTest : public testing::Test {
 protected:
  SketchedFilterTest()
      : world_(Field(kDimension, v1::VECTOR_METRIC_COSINE, v1::VECTOR_INDEX_KIND_HNSW,
                     v1::VECTOR_QUANTIZATION_INT8),
               21) {
    world_.Fill(1, 12'000);
    std::set<Ordinal> matches;
    for (Ordinal ordinal = 1; ordinal < 20'000; ordinal += 3) matches.insert(ordinal);
    accept_ = std::make_shared<Set>(std::move(matches));
  }
  std::string Use(int times) {
    std::string strategy;
    for (int i = 0; i < times; ++i) {
      strategy = world_.Search(world_.RandomVector(), 10, accept_).strategy;
    }
    return strategy;
  }

  World world_;
  std::shared_ptr<Set> accept_;
};

TEST_F(SketchedFilterTest, WhatMatchesIsFoundByThem) {
  EXPECT_EQ(Use(8), "scan");
  const int64_t before = world_.index_.stats().memory_bytes;
  EXPECT_EQ(Use(kUses), "sketch");
  EXPECT_GT(world_.index_.stats().memory_bytes, before);
  EXPECT_GE(world_.Recall(50, 10, accept_), 0.98);
  EXPECT_GE(world_.Recall(20, 100, accept_), 0.98);
  const v1::Vector query = world_.RandomVector();
  EXPECT_FALSE(world_.Search(query, 10, accept_).exact);
  const auto exact = world_.Search(query, 10, accept_, true);
  EXPECT_TRUE(exact.exact);
  ExpectSame(exact.hits, world_.Truth(query, 10, accept_.get()), 1e-5);
}

TEST_F(SketchedFilterTest, WhatCameIsFoundToo) {
  EXPECT_EQ(Use(kUses), "sketch");
  v1::Vector late = world_.RandomVector();
  world_.Put(12'001, late);
  world_.Commit();
  EXPECT_EQ(world_.Search(late, 1, accept_).hits[0].ordinal, 12'001u);
  EXPECT_EQ(Use(kUses), "sketch");
  EXPECT_EQ(world_.Search(late, 1, accept_).hits[0].ordinal, 12'001u);
}

// Deaths leave sketches as they are, until most of what they find is dead.
TEST_F(SketchedFilterTest, TheDeadAreNotFound) {
  EXPECT_EQ(Use(kUses), "sketch");
  world_.RemoveEach(1, 12'000, 30);
  EXPECT_EQ(Use(1), "sketch");
  EXPECT_GE(world_.Recall(50, 10, accept_), 0.98);
  world_.RemoveEach(4, 12'000, 6);
  world_.RemoveEach(7, 11'900, 3);
  EXPECT_EQ(Use(1), "scan");
  EXPECT_GE(world_.Recall(50, 10, accept_), 0.99);
}

TEST_F(SketchedFilterTest, ReadersSeeTheirCommit) {
  EXPECT_EQ(Use(kUses), "sketch");
  const v1::Vector query = world_.RandomVector();
  const auto before = world_.Truth(query, 10, accept_.get());
  const uint64_t commit = world_.commit_;
  for (const VectorHit& hit : before) world_.Remove(hit.ordinal);
  world_.Commit();
  VectorSearch search = world_.Asking(query, 10);
  search.accept = accept_;
  VectorSearchResult result;
  const auto answered = world_.SearchAt(commit, search, &result);
  ASSERT_TRUE(answered.ok() && *answered);
  EXPECT_EQ(result.strategy, "sketch");
  ExpectSame(result.hits, before, 1e-4);
}

using SketchedFilterThreadsTest = SketchedFilterTest;

// Several searches make and try them at the same time.
TEST_F(SketchedFilterThreadsTest, ManyMayUseThemAtOnce) {
  Beside beside(world_, [](Ordinal, v1::Vector*) { return false; });
  std::vector<v1::Vector> queries;
  for (int i = 0; i < 16; ++i) queries.push_back(world_.RandomVector());
  std::atomic<int> by_sketch{0};
  for (int t = 0; t < 2; ++t) {
    beside.Repeat([&, next = size_t{0}]() mutable {
      CallContext context;
      VectorSearch search = world_.Asking(queries[next++ % queries.size()], 10);
      search.accept = accept_;
      VectorSearchResult result;
      const auto answered = world_.index_.Search(
          context, search, world_.commit_, [](Ordinal, v1::Vector*) { return false; }, &result);
      EXPECT_TRUE(answered.ok() && *answered);
      EXPECT_EQ(result.hits.size(), 10u);
      if (result.strategy == "sketch") by_sketch.fetch_add(1);
    });
  }
  while (by_sketch.load() < 100) std::this_thread::yield();
  beside.Stop();
  EXPECT_GE(world_.Recall(20, 10, accept_), 0.98);
}

}  // namespace
}  // namespace cookix::engine
