// Dense indexes that are small enough to go without a graph, against comparing everything.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/vector/dense_index.h"
#include "engine/vector/dense_index_world.h"
#include "gtest/gtest.h"
#include "storage/memory_checked_file.h"

namespace cookix::engine {
namespace {

v1::VectorField Hnsw(int dimension, v1::VectorMetric metric,
                     v1::VectorQuantization quantization = v1::VECTOR_QUANTIZATION_INT8) {
  return Field(dimension, metric, v1::VECTOR_INDEX_KIND_HNSW, quantization);
}

std::string StrategyOf(World& world) { return world.Search(world.RandomVector(), 10).strategy; }

TEST(DenseSketchesTest, FindWhatIsNearest) {
  for (const auto metric :
       {v1::VECTOR_METRIC_COSINE, v1::VECTOR_METRIC_L2, v1::VECTOR_METRIC_DOT}) {
    for (const auto quantization : {v1::VECTOR_QUANTIZATION_INT8, v1::VECTOR_QUANTIZATION_NONE}) {
      for (const int dimension : {24, 100, 200}) {
        World world(Hnsw(dimension, metric, quantization), 2, std::nullopt);
        world.Fill(1, 5000);
        EXPECT_EQ(StrategyOf(world), "scan");
        world.IndexAll();
        const auto result = world.Search(world.RandomVector(), 10);
        EXPECT_EQ(result.strategy, "sketch") << metric << " " << dimension;
        EXPECT_FALSE(result.exact);
        EXPECT_EQ(result.tail_scanned, 0);
        EXPECT_LT(result.candidates_considered, 2500);
        const DenseIndex::Stats stats = world.index_.stats();
        EXPECT_EQ(stats.indexed, 4999);
        EXPECT_GE(stats.sketch_recall_permille, 990);
        EXPECT_EQ(world.index_.backlog(), 0u);
        EXPECT_GE(world.Recall(100, 10), 0.98) << metric << " " << quantization << " " << dimension;
        // More is found where more is asked for.
        EXPECT_GE(world.Recall(20, 100), 0.98);
        // Exactly means exactly.
        const v1::Vector query = world.RandomVector();
        const auto exact = world.Search(query, 20, nullptr, true);
        EXPECT_EQ(exact.strategy, "scan");
        EXPECT_TRUE(exact.exact);
        ExpectSame(exact.hits, world.Truth(query, 20, nullptr), 1e-5);
      }
    }
  }
}

// Those near few of the centres are enough to find what few candidates find.
TEST(DenseSketchesTest, SearchesForFewPassOverMost) {
  for (const auto metric :
       {v1::VECTOR_METRIC_COSINE, v1::VECTOR_METRIC_L2, v1::VECTOR_METRIC_DOT}) {
    World world(Hnsw(100, metric), 21, std::nullopt);
    world.Fill(1, 12'000);
    world.IndexAll();
    EXPECT_EQ(StrategyOf(world), "sketch");
    EXPECT_GE(world.Recall(100, 10, nullptr, 10), 0.7) << metric;
    EXPECT_GE(world.Recall(100, 10, nullptr, 20), 0.85) << metric;
    // What was passed over is looked at where there is not enough: nothing is left out then.
    const auto all = world.Search(world.RandomVector(), 11'999, nullptr, false, 1);
    EXPECT_EQ(all.hits.size(), 11'999u);
  }
}

TEST(DenseSketchesTest, WhatDiesIsHiddenAtOnce) {
  World world(Hnsw(100, v1::VECTOR_METRIC_COSINE), 22, std::nullopt);
  world.Fill(1, 6000);
  world.IndexAll();
  for (int round = 0; round < 5; ++round) {
    const v1::Vector query = world.RandomVector();
    // More than a search compares by codes.
    for (const VectorHit& hit : world.Truth(query, 600, nullptr)) world.Remove(hit.ordinal);
    world.Commit();
    const auto truth = world.Truth(query, 10, nullptr);
    const auto result = world.Search(query, 10);
    EXPECT_EQ(result.strategy, "sketch");
    ASSERT_EQ(result.hits.size(), 10u);
    std::set<Ordinal> near;
    for (const VectorHit& hit : truth) near.insert(hit.ordinal);
    size_t found = 0;
    for (const VectorHit& hit : result.hits) {
      EXPECT_EQ(world.held_.count(hit.ordinal), 1u);
      found += near.count(hit.ordinal);
    }
    // Those that are next are about as far as many.
    EXPECT_GE(found, 5u) << round;
    // What comes next may be sketched while others die.
    world.Fill(10'000 + static_cast<Ordinal>(round) * 100,
               10'100 + static_cast<Ordinal>(round) * 100);
    world.IndexAll();
  }
}

// Where what there was gives way to what lies elsewhere, centres are learned anew, or a graph is
// built.
TEST(DenseSketchesTest, FollowWhatMovesAway) {
  World world(Hnsw(64, v1::VECTOR_METRIC_L2), 23, std::nullopt);
  constexpr Ordinal kObjects = 8000;
  world.Fill(1, kObjects);
  world.IndexAll();
  for (std::vector<float>& centre : world.centres_) {
    for (float& x : centre) x = 4 + world.normal_(world.rng_);
  }
  for (int round = 0; round < 4; ++round) {
    for (Ordinal ordinal = 1; ordinal < kObjects; ++ordinal) {
      if (static_cast<int>(ordinal % 4) == round) world.Put(ordinal, world.RandomVector());
    }
    world.Commit();
    world.IndexAll();
    while (world.index_.Maintain()) {
    }
    EXPECT_GE(world.Recall(100, 10), 0.85) << round;
  }
}

// Vectors of two kinds that lie far apart, as of titles and of bodies, come in turn.
TEST(DenseSketchesTest, TheOrderInWhichTheyComeDoesNotMatter) {
  for (const auto metric : {v1::VECTOR_METRIC_L2, v1::VECTOR_METRIC_COSINE}) {
    World world(Hnsw(64, metric), 24, std::nullopt);
    std::vector<float> shift(64);
    for (float& x : shift) x = 12 * world.normal_(world.rng_);
    const auto make = [&](bool shifted) {
      v1::Vector vector = world.RandomVector();
      for (int d = 0; d < 64 && shifted; ++d) {
        vector.set_values(d, vector.values(d) + shift[static_cast<size_t>(d)]);
      }
      return vector;
    };
    for (Ordinal ordinal = 1; ordinal < 16'000; ++ordinal) world.Put(ordinal, make(ordinal % 2));
    world.Commit();
    world.IndexAll();
    for (const bool shifted : {false, true}) {
      EXPECT_GE(world.Recall(50, 10, nullptr, 0, [&] { return make(shifted); }), 0.98) << metric;
    }
  }
}

// As placeholders are: the nearest are those that are the same, not the few that were not sketched.
TEST(DenseSketchesTest, ManyMayBeTheSame) {
  for (const auto metric :
       {v1::VECTOR_METRIC_COSINE, v1::VECTOR_METRIC_L2, v1::VECTOR_METRIC_DOT}) {
    World world(Hnsw(100, metric), 25, std::nullopt);
    const v1::Vector same = world.RandomVector();
    for (Ordinal ordinal = 1; ordinal < 8000; ++ordinal) {
      world.Put(ordinal, ordinal < 4 ? world.RandomVector() : same);
    }
    world.Commit();
    world.IndexAll();
    world.Fill(20'000, 20'030);
    for (int i = 0; i < 50; ++i) {
      v1::Vector query = same;
      for (float& x : *query.mutable_values()) x += 0.05f * world.normal_(world.rng_);
      const auto result = world.Search(query, 5, nullptr, false, 10);
      const double farthest = world.Truth(query, 5, nullptr)[4].distance;
      ASSERT_EQ(result.hits.size(), 5u);
      EXPECT_NEAR(result.hits[4].distance, farthest, 1e-2 * std::fabs(farthest) + 1e-3) << metric;
    }
  }
}

TEST(DenseSketchesTest, TheCheckIsOfWhatLives) {
  World gone(Hnsw(48, v1::VECTOR_METRIC_COSINE), 26, std::nullopt);
  gone.Fill(1, 4000);
  gone.RemoveEach(1, 4000);
  gone.IndexAll();
  gone.index_.Maintain(true);
  gone.Fill(1, 4000);
  gone.IndexAll();
  EXPECT_EQ(StrategyOf(gone), "sketch");
  EXPECT_GE(gone.Recall(20, 10), 0.98);

  // Codes of a byte would not tell these apart.
  World few(Hnsw(32, v1::VECTOR_METRIC_L2, v1::VECTOR_QUANTIZATION_NONE), 27, std::nullopt);
  std::vector<float> places[4];
  for (std::vector<float>& place : places) {
    for (int d = 0; d < 32; ++d) place.push_back(100 * few.normal_(few.rng_));
  }
  const auto make = [&] {
    v1::Vector vector;
    for (const float x : places[few.rng_() % 4]) vector.add_values(x + few.normal_(few.rng_));
    return vector;
  };
  few.Fill(1, 7000);
  few.RemoveEach(50, 7000);
  few.IndexAll();
  for (Ordinal ordinal = 1; ordinal < 6900; ++ordinal) few.Put(ordinal, make());
  few.Commit();
  few.IndexAll();
  EXPECT_GE(few.Recall(50, 10, nullptr, 0, make), 0.95);
}

TEST(DenseSketchesTest, VectorsMayBeLong) {
  for (const float length : {1e15f, 1e17f}) {
    World world(Hnsw(16, v1::VECTOR_METRIC_L2), 28, std::nullopt);
    for (Ordinal ordinal = 1; ordinal < 9000; ++ordinal) {
      v1::Vector vector = world.RandomVector();
      for (float& x : *vector.mutable_values()) x *= ordinal % 300 == 0 ? length : 1;
      world.Put(ordinal, std::move(vector));
    }
    world.Commit();
    world.IndexAll();
    for (Ordinal ordinal = 300; ordinal < 9000; ordinal += 300) {
      EXPECT_EQ(world.Search(world.held_[ordinal], 3).hits.size(), 3u);
    }
  }
}

TEST(DenseSketchesTest, WhatComesIsFoundBeforeItIsSketched) {
  World world(Hnsw(100, v1::VECTOR_METRIC_COSINE), 3, std::nullopt);
  world.Fill(1, 3000);
  world.IndexAll();
  const v1::Vector late = world.RandomVector();
  world.Put(20000, late);
  world.Commit();
  auto result = world.Search(late, 1);
  ASSERT_EQ(result.hits.size(), 1u);
  EXPECT_EQ(result.hits[0].ordinal, 20000u);
  EXPECT_EQ(result.strategy, "sketch");
  EXPECT_EQ(result.tail_scanned, 1);
  world.IndexAll();
  result = world.Search(late, 1);
  EXPECT_EQ(result.hits[0].ordinal, 20000u);
  EXPECT_EQ(result.tail_scanned, 0);
}

// What the check says of all vectors need not hold for some of them.
TEST(DenseSketchesTest, MatchesOfFiltersHaveSketchesOfTheirOwn) {
  World world(Hnsw(100, v1::VECTOR_METRIC_COSINE), 4, std::nullopt);
  world.Fill(1, 8000);
  world.IndexAll();
  for (const Ordinal step : {2, 10, 500}) {
    std::set<Ordinal> some;
    for (Ordinal ordinal = 1; ordinal < 8000; ordinal += step) some.insert(ordinal);
    const auto accept = std::make_shared<Set>(some);
    for (int use = 0; use < 4; ++use) EXPECT_GE(world.Recall(10, 10, accept), 0.98) << step;
    EXPECT_EQ(world.Search(world.RandomVector(), 10, accept).strategy,
              step == 2 ? "sketch" : "scan");
  }
}

// Where many are as good as equally near, signs cannot tell them apart: a graph is built then.
TEST(DenseSketchesTest, GiveWayToAGraphWhereTheyDoNotTellWhatIsNear) {
  World world(Hnsw(32, v1::VECTOR_METRIC_L2), 5, std::nullopt);
  std::vector<float> places[4];
  for (std::vector<float>& place : places) {
    for (int d = 0; d < 32; ++d) place.push_back(100 * world.normal_(world.rng_));
  }
  for (Ordinal ordinal = 1; ordinal < 6000; ++ordinal) {
    v1::Vector vector;
    for (const float x : places[ordinal % 4]) vector.add_values(x + world.normal_(world.rng_));
    world.Put(ordinal, std::move(vector));
  }
  world.Commit();
  world.IndexAll();
  EXPECT_EQ(StrategyOf(world), "graph");
  EXPECT_EQ(world.index_.stats().indexed, 5999);
  EXPECT_EQ(world.index_.stats().sketch_recall_permille, -1);
}

// What comes later may lie otherwise than what there was.
TEST(DenseSketchesTest, AreLookedAtAgainWhenThereIsTwiceAsMuch) {
  World world(Hnsw(64, v1::VECTOR_METRIC_L2), 6, std::nullopt);
  world.Fill(1, 3000);
  world.IndexAll();
  EXPECT_EQ(StrategyOf(world), "sketch");
  const v1::Vector place = world.RandomVector();
  for (Ordinal ordinal = 3000; ordinal < 8000; ++ordinal) {
    v1::Vector vector;
    for (const float x : place.values()) {
      vector.add_values(x + 0.001f * world.normal_(world.rng_));
    }
    world.Put(ordinal, std::move(vector));
  }
  world.Commit();
  world.IndexAll();
  EXPECT_EQ(StrategyOf(world), "graph");
  EXPECT_GE(world.Recall(50, 10), 0.95);
}

TEST(DenseSketchesTest, GiveWayToAGraphWhenThereAreMany) {
  World world(Hnsw(48, v1::VECTOR_METRIC_COSINE), 7, 4000);
  world.Fill(1, 4000);
  world.IndexAll();
  EXPECT_EQ(StrategyOf(world), "sketch");
  const int64_t memory = world.index_.stats().memory_bytes;
  world.Fill(4000, 4100);
  // Nothing is missed on the way.
  EXPECT_GE(world.Recall(20, 10), 0.99);
  EXPECT_EQ(world.index_.backlog(), 4099u);
  while (world.index_.IndexSome()) {
    const v1::Vector query = world.RandomVector();
    if (world.rng_() % 8 != 0) continue;
    EXPECT_EQ(world.Search(query, 1).hits[0].ordinal, world.Truth(query, 1, nullptr)[0].ordinal);
  }
  EXPECT_EQ(StrategyOf(world), "graph");
  EXPECT_EQ(world.index_.stats().indexed, 4099);
  EXPECT_GT(world.index_.stats().memory_bytes, memory);
  EXPECT_GE(world.Recall(100, 10), 0.95);
  // It stays, whatever goes.
  world.RemoveEach(1, 4100, 3);
  world.IndexAll();
  EXPECT_EQ(StrategyOf(world), "graph");
}

TEST(DenseSketchesTest, AreNotMadeOfWhatIsNotSketched) {
  for (const auto quantization :
       {v1::VECTOR_QUANTIZATION_PRODUCT, v1::VECTOR_QUANTIZATION_BINARY}) {
    World world(Hnsw(32, v1::VECTOR_METRIC_L2, quantization), 8, std::nullopt);
    world.Fill(1, 5000);
    world.IndexAll();
    EXPECT_EQ(StrategyOf(world), "graph");
  }
  World bits(Hnsw(64, v1::VECTOR_METRIC_HAMMING, v1::VECTOR_QUANTIZATION_NONE), 8, std::nullopt);
  bits.Fill(1, 3000);
  bits.IndexAll();
  EXPECT_EQ(StrategyOf(bits), "graph");
  World flat(
      Field(32, v1::VECTOR_METRIC_L2, v1::VECTOR_INDEX_KIND_FLAT, v1::VECTOR_QUANTIZATION_INT8), 8,
      std::nullopt);
  flat.Fill(1, 3000);
  flat.IndexAll();
  EXPECT_EQ(StrategyOf(flat), "scan");
}

TEST(DenseSketchesTest, RecallDoesNotDecay) {
  World world(Hnsw(64, v1::VECTOR_METRIC_L2), 9, std::nullopt);
  constexpr Ordinal kObjects = 6000;
  world.Fill(1, kObjects);
  world.IndexAll();
  for (int round = 0; round < 6; ++round) {
    world.ReplaceSome(1, kObjects);
    EXPECT_EQ(StrategyOf(world), "sketch");
    EXPECT_GE(world.Recall(50, 10), 0.98);
  }
  EXPECT_LT(world.index_.stats().dead, 2000);
  EXPECT_TRUE(world.index_.Maintain(true) || world.index_.stats().dead == 0);
  EXPECT_EQ(world.index_.stats().dead, 0);
  EXPECT_GE(world.Recall(50, 10), 0.98);
  // Slots that were sketched once are used again by what is linked into a graph.
  world.Fill(kObjects, 20'000);
  world.IndexAll();
  EXPECT_EQ(StrategyOf(world), "graph");
  EXPECT_EQ(world.index_.stats().indexed, 19'999);
  EXPECT_GE(world.Recall(50, 10), 0.95);
}

TEST(DenseSketchesTest, EverythingMayGoAndComeBack) {
  World world(Hnsw(48, v1::VECTOR_METRIC_COSINE), 10, std::nullopt);
  for (int round = 0; round < 3; ++round) {
    world.Fill(1, 4000);
    world.IndexAll();
    EXPECT_GE(world.Recall(20, 10), 0.98);
    world.RemoveEach(1, 4000);
    EXPECT_TRUE(world.Search(world.RandomVector(), 10).hits.empty());
    world.index_.Maintain(true);
    EXPECT_TRUE(world.Search(world.RandomVector(), 10).hits.empty());
  }
}

TEST(DenseSketchesTest, ReadersSeeTheirCommit) {
  World world(Hnsw(64, v1::VECTOR_METRIC_L2, v1::VECTOR_QUANTIZATION_NONE), 11, std::nullopt);
  world.Fill(1, 3000);
  world.IndexAll();
  const v1::Vector query = world.RandomVector();
  const auto before = world.Truth(query, 30, nullptr);
  const uint64_t commit = world.commit_;
  // The nearest go, or move away; others come to the place itself.
  for (size_t i = 0; i < 10; ++i) world.Remove(before[i].ordinal);
  for (size_t i = 10; i < 20; ++i) world.Put(before[i].ordinal, world.RandomVector());
  for (Ordinal ordinal = 5000; ordinal < 5500; ++ordinal) world.Put(ordinal, query);
  world.Commit();
  world.IndexAll();
  const uint64_t now = world.commit_;
  world.commit_ = commit;
  const auto result = world.Search(query, 30);
  EXPECT_EQ(result.strategy, "sketch");
  ExpectSame(result.hits, before, 1e-4);
  world.commit_ = now;
  EXPECT_NEAR(world.Search(query, 30).hits[29].distance, 0, 1e-4);
}

TEST(DenseSketchesTest, OfSeveralVectorsOfAnObjectTheAggregateCounts) {
  for (const auto aggregate :
       {v1::VECTOR_AGGREGATE_MAX, v1::VECTOR_AGGREGATE_MEAN, v1::VECTOR_AGGREGATE_FIRST}) {
    auto field = Hnsw(48, v1::VECTOR_METRIC_COSINE);
    field.set_multi(true);
    field.set_aggregate(aggregate);
    World world(field, 12, std::nullopt);
    for (Ordinal ordinal = 1; ordinal < 4000; ++ordinal) {
      world.Put(ordinal, world.RandomVector(1 + static_cast<int>(ordinal % 3)));
    }
    world.Commit();
    world.IndexAll();
    EXPECT_EQ(StrategyOf(world), "sketch");
    EXPECT_GE(world.Recall(50, 10), 0.97) << aggregate;
  }
}

TEST(DenseSketchesTest, AreMadeAgainAfterALoad) {
  World world(Hnsw(100, v1::VECTOR_METRIC_COSINE), 13, std::nullopt);
  world.Fill(1, 5000);
  world.IndexAll();
  world.RemoveEach(1, 5000, 9);
  storage::MemoryFileWriter file;
  const auto snapshot = world.index_.TakeSnapshot();
  ASSERT_TRUE(world.index_.Save(*snapshot, file).ok());
  World again(world.index_.field(), 13, std::nullopt);
  storage::MemoryFileReader reader(file.contents);
  ASSERT_TRUE(again.index_.Load(reader).ok());
  again.held_ = world.held_;
  EXPECT_GE(again.Recall(20, 10), 0.98);
  again.IndexAll();
  EXPECT_EQ(StrategyOf(again), "sketch");
  EXPECT_GE(again.Recall(50, 10), 0.98);
  // A file of an index that had a graph brings the graph.
  World graph(world.index_.field(), 13);
  graph.Fill(1, 5000);
  graph.IndexAll();
  storage::MemoryFileWriter linked;
  ASSERT_TRUE(graph.index_.Save(*graph.index_.TakeSnapshot(), linked).ok());
  World kept(world.index_.field(), 13, std::nullopt);
  storage::MemoryFileReader second(linked.contents);
  ASSERT_TRUE(kept.index_.Load(second).ok());
  kept.held_ = graph.held_;
  EXPECT_EQ(StrategyOf(kept), "graph");
}

// Searches, writes, sketches, repairs, and in the end a graph.
TEST(DenseSketchesThreadsTest, SearchesGoOnBesideEverything) {
  World world(Hnsw(48, v1::VECTOR_METRIC_COSINE), 14, 4000);
  world.Fill(1, 2500);
  world.IndexAll();
  Beside beside(world, [](Ordinal, v1::Vector*) { return false; });
  for (int t = 0; t < 2; ++t) {
    beside.Repeat([&] {
      if (!world.index_.IndexSome()) std::this_thread::yield();
    });
  }
  beside.Repeat([&] {
    if (!world.index_.Maintain()) std::this_thread::yield();
  });
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 100; ++i) world.Put(1 + world.rng_() % 2499, world.RandomVector());
    beside.Commit();
  }
  while (beside.answered() < 100) std::this_thread::yield();
  EXPECT_EQ(StrategyOf(world), "sketch");
  for (Ordinal ordinal = 2500; ordinal < 4500; ordinal += 50) {
    for (Ordinal each = ordinal; each < ordinal + 50; ++each) world.Put(each, world.RandomVector());
    beside.Commit();
  }
  beside.Stop();
  world.IndexAll();
  EXPECT_EQ(StrategyOf(world), "graph");
  EXPECT_EQ(world.index_.stats().indexed, world.index_.stats().vectors);
  EXPECT_GE(world.Recall(50, 10), 0.95);
}

// Also just when it goes from the tail to the sketches.
TEST(DenseSketchesThreadsTest, WhatWasPutIsAlwaysFound) {
  World world(Hnsw(48, v1::VECTOR_METRIC_COSINE), 15, std::nullopt);
  world.Fill(1, 2500);
  world.IndexAll();
  std::atomic<bool> over{false};
  std::thread indexing([&] {
    while (!over.load()) {
      if (!world.index_.IndexSome()) std::this_thread::yield();
    }
  });
  size_t missed = 0;
  for (int round = 0; round < 4000; ++round) {
    const Ordinal ordinal = 2500 + static_cast<Ordinal>(round % 500);
    const v1::Vector vector = world.RandomVector();
    world.Put(ordinal, vector);
    world.Commit();
    for (bool in_tail = true; in_tail;) {
      const VectorSearchResult result = world.Search(vector, 1);
      missed += result.hits.size() == 1 && result.hits[0].ordinal == ordinal ? 0 : 1;
      in_tail = result.tail_scanned > 0;
    }
  }
  over.store(true);
  indexing.join();
  EXPECT_EQ(missed, 0u);
  EXPECT_EQ(StrategyOf(world), "sketch");
}

}  // namespace
}  // namespace cookix::engine
