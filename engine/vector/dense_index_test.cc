// The index of a dense field against comparing everything, with fixed seeds.
#include "engine/vector/dense_index.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/vector/dense_index_world.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/memory_checked_file.h"
#include "storage/store.h"

namespace cookix::engine {
namespace {

struct Kind {
  v1::VectorMetric metric;
  v1::VectorQuantization quantization;
};

class DenseIndexTest : public testing::TestWithParam<Kind> {};

// Exactly means by what is stored, but only what may be among the nearest is read.
TEST(DenseIndexManyTest, ExactSearchReadsFewObjects) {
  for (const auto metric :
       {v1::VECTOR_METRIC_COSINE, v1::VECTOR_METRIC_DOT, v1::VECTOR_METRIC_L2}) {
    for (const auto aggregate : {v1::VECTOR_AGGREGATE_MAX, v1::VECTOR_AGGREGATE_MEAN}) {
      v1::VectorField field =
          Field(24, metric, v1::VECTOR_INDEX_KIND_FLAT, v1::VECTOR_QUANTIZATION_INT8);
      field.set_multi(true);
      field.set_aggregate(aggregate);
      World world(field, 17);
      for (int count = 1; count <= 4; ++count) {
        world.Fill(static_cast<Ordinal>(1000 * count), static_cast<Ordinal>(1000 * count + 500),
                   count);
      }
      world.Fill(1100, 1200, 3);
      for (int i = 0; i < 5; ++i) {
        const v1::Vector query = world.RandomVector();
        world.stored_read_ = 0;
        const auto result = world.Search(query, 10, nullptr, true);
        EXPECT_TRUE(result.exact);
        ExpectSame(result.hits, world.Truth(query, 10, nullptr), 1e-5);
        EXPECT_GE(world.stored_read_, 10);
        EXPECT_LT(world.stored_read_, 200) << metric << " " << aggregate;
      }
    }
  }
}

// Whatever is kept in its slots, and in no other.
TEST(DenseIndexManyTest, FewerVectorsThanWantedAreAnAnswer) {
  for (const auto metric : {v1::VECTOR_METRIC_L2, v1::VECTOR_METRIC_HAMMING}) {
    World world(Field(24, metric, v1::VECTOR_INDEX_KIND_FLAT, v1::VECTOR_QUANTIZATION_NONE), 19);
    for (Ordinal ordinal = 1; ordinal < 4; ++ordinal) {
      world.Fill(ordinal, ordinal + 1);
      const auto result = world.Search(world.RandomVector(), 10);
      EXPECT_EQ(result.hits.size(), ordinal);
      EXPECT_EQ(result.candidates_considered, static_cast<int64_t>(ordinal));
    }
  }
}

TEST(DenseIndexManyTest, WhereNothingMatchesNothingIsMissed) {
  for (const auto kind : {v1::VECTOR_INDEX_KIND_FLAT, v1::VECTOR_INDEX_KIND_HNSW}) {
    World world(Field(24, v1::VECTOR_METRIC_L2, kind, v1::VECTOR_QUANTIZATION_INT8), 18);
    world.Fill(1, 3000);
    world.IndexAll();
    const v1::Vector query = world.RandomVector();
    // Nothing at all, and only what has no vectors.
    for (const std::set<Ordinal>& ordinals : {std::set<Ordinal>{}, std::set<Ordinal>{5000}}) {
      const auto result = world.Search(query, 10, std::make_shared<Set>(ordinals));
      EXPECT_TRUE(result.hits.empty());
      EXPECT_TRUE(result.exact);
    }
    EXPECT_FALSE(world.Search(query, 10).exact);
  }
}

TEST_P(DenseIndexTest, ExactSearchIsBruteForce) {
  for (const auto kind : {v1::VECTOR_INDEX_KIND_FLAT, v1::VECTOR_INDEX_KIND_HNSW}) {
    World world(Field(40, GetParam().metric, kind, GetParam().quantization), 1);
    // Enough for codebooks.
    world.Fill(1, 5000);
    world.IndexAll();
    world.RemoveEach(1, 5000, 7);
    world.Fill(100, 200);
    std::set<Ordinal> odd;
    for (Ordinal ordinal = 1; ordinal < 6000; ordinal += 2) odd.insert(ordinal);
    const auto accept = std::make_shared<Set>(odd);
    for (int i = 0; i < 10; ++i) {
      const v1::Vector query = world.RandomVector();
      auto result = world.Search(query, 20, nullptr, true);
      EXPECT_TRUE(result.exact);
      ExpectSame(result.hits, world.Truth(query, 20, nullptr), 1e-5);
      result = world.Search(query, 20, accept, true);
      ExpectSame(result.hits, world.Truth(query, 20, accept.get()), 1e-5);
    }
  }
}

TEST_P(DenseIndexTest, GraphFindsTheNearest) {
  World world(Field(40, GetParam().metric, v1::VECTOR_INDEX_KIND_HNSW, GetParam().quantization), 2);
  world.Fill(1, 10000);
  EXPECT_GE(world.Recall(20, 10), 0.95);
  world.IndexAll();
  EXPECT_EQ(world.index_.stats().indexed, 9999);
  EXPECT_EQ(world.Search(world.RandomVector(), 10).strategy, "graph");
  // Many queries, for the order in which two threads link differs from run to run.
  EXPECT_GE(world.Recall(200, 10), 0.975);
  // What comes later is found before it is linked.
  const v1::Vector late = world.RandomVector();
  world.Put(20000, late);
  world.Commit();
  const auto result = world.Search(late, 1);
  ASSERT_EQ(result.hits.size(), 1u);
  EXPECT_EQ(result.hits[0].ordinal, world.Truth(late, 1, nullptr)[0].ordinal);
  EXPECT_EQ(result.tail_scanned, 1);
}

TEST_P(DenseIndexTest, ComesBackFromAFile) {
  storage::Options options;
  options.in_memory = true;
  options.path = "/memory/dense_index";
  auto store = storage::Store::Open(options);
  ASSERT_TRUE(store.ok()) << store.status();
  // Before codebooks are learned, and after.
  for (const Ordinal objects : {500, 6000}) {
    World world(Field(40, GetParam().metric, v1::VECTOR_INDEX_KIND_HNSW, GetParam().quantization),
                9);
    world.Fill(1, objects);
    world.IndexAll();
    world.RemoveEach(1, objects, 9);
    world.Fill(objects, objects + 20);
    auto writer = (*store)->CreateViewFile("vectors", 1);
    ASSERT_TRUE(writer.ok()) << writer.status();
    const auto snapshot = world.index_.TakeSnapshot();
    ASSERT_TRUE(world.index_.Save(*snapshot, **writer).ok());
    ASSERT_TRUE((*writer)->Finish().ok());

    World again(world.index_.field(), 9);
    auto reader = (*store)->OpenViewFile("vectors", 1);
    ASSERT_TRUE(reader.ok()) << reader.status();
    const absl::Status loaded = again.index_.Load(**reader);
    ASSERT_TRUE(loaded.ok()) << loaded;
    EXPECT_TRUE(*(*reader)->AtEnd());
    again.held_ = world.held_;
    EXPECT_EQ(again.index_.stats().vectors, world.index_.stats().vectors);
    EXPECT_EQ(again.index_.stats().codec_recall_permille,
              world.index_.stats().codec_recall_permille);
    // The same codes: the same distances.
    for (int i = 0; i < 5; ++i) {
      const v1::Vector query = world.RandomVector();
      ExpectSame(again.Search(query, 10, nullptr, true).hits,
                 world.Search(query, 10, nullptr, true).hits, 0);
    }
    again.IndexAll();
    EXPECT_GE(again.Recall(30, 10), 0.95);
    // And it goes on.
    again.Fill(10000, 10000 + 5000);
    again.IndexAll();
    EXPECT_EQ(again.index_.backlog(), 0u);
    EXPECT_EQ(again.Search(again.RandomVector(), 10).strategy, "graph");
    EXPECT_GE(again.Recall(30, 10), 0.95);
  }
}

// Checksums do not help against a file that was made by others, or by a faulty program.
TEST(DenseIndexFileTest, ListsThatAreNotListsAreRefused) {
  auto field =
      Field(4, v1::VECTOR_METRIC_L2, v1::VECTOR_INDEX_KIND_FLAT, v1::VECTOR_QUANTIZATION_NONE);
  field.set_multi(true);
  World world(field, 3);
  for (Ordinal ordinal = 1; ordinal <= 2; ++ordinal) world.Put(ordinal, world.RandomVector(3));
  world.Commit();
  storage::MemoryFileWriter file;
  const auto snapshot = world.index_.TakeSnapshot();
  ASSERT_TRUE(world.index_.Save(*snapshot, file).ok());
  const auto load = [&](const std::vector<uint32_t>& lists) {
    std::string contents = file.contents;
    const size_t bytes = lists.size() * sizeof(uint32_t);
    std::memcpy(contents.data() + contents.size() - bytes, lists.data(), bytes);
    storage::MemoryFileReader reader(contents);
    DenseIndex index(field);
    return index.Load(reader);
  };
  const uint32_t none = kNoSlot;
  EXPECT_TRUE(load({1, 2, none, 4, 5, none}).ok());
  for (const std::vector<uint32_t>& lists :
       std::vector<std::vector<uint32_t>>{{1, 2, 0, 4, 5, none},     // without an end
                                          {1, 2, 2, 4, 5, none},     // leads to itself
                                          {1, 2, none, 4, 4, none},  // a slot that nothing leads to
                                          {1, 2, 3, 4, 5, none},     // goes on with another object
                                          {1, none, none, 4, 5, none},
                                          {1, 2, 6, 4, 5, none}}) {
    EXPECT_TRUE(absl::IsDataLoss(load(lists))) << testing::PrintToString(lists);
  }
}

TEST(DenseIndexFileTest, ObjectsThatAreThereTwiceAreRefused) {
  World world(
      Field(4, v1::VECTOR_METRIC_L2, v1::VECTOR_INDEX_KIND_FLAT, v1::VECTOR_QUANTIZATION_NONE), 3);
  world.Fill(7, 9);
  storage::MemoryFileWriter file;
  const auto snapshot = world.index_.TakeSnapshot();
  ASSERT_TRUE(world.index_.Save(*snapshot, file).ok());
  std::string contents = file.contents;
  const Ordinal second = 8, first = 7;
  const size_t at =
      contents.rfind(std::string_view(reinterpret_cast<const char*>(&second), sizeof(second)));
  ASSERT_NE(at, std::string::npos);
  std::memcpy(contents.data() + at, &first, sizeof(first));
  storage::MemoryFileReader reader(contents);
  DenseIndex index(world.index_.field());
  EXPECT_TRUE(absl::IsDataLoss(index.Load(reader)));
}

TEST_P(DenseIndexTest, MemoryIsWhatIsSaid) {
  if (GetParam().metric != v1::VECTOR_METRIC_L2) return;
  World world(Field(128, GetParam().metric, v1::VECTOR_INDEX_KIND_HNSW, GetParam().quantization),
              10);
  world.Fill(1, 6001);
  world.IndexAll();
  const auto memory = static_cast<double>(world.index_.stats().memory_bytes) / 6000;
  const auto said = static_cast<double>(DenseIndex::BytesPerVector(world.index_.field()));
  EXPECT_NEAR(memory, said, 0.2 * said);
  if (GetParam().quantization == v1::VECTOR_QUANTIZATION_PRODUCT) {
    // 32 bytes of codes; the rest is the graph.
    EXPECT_LT(memory, 250);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, DenseIndexTest,
    testing::Values(Kind{v1::VECTOR_METRIC_COSINE, v1::VECTOR_QUANTIZATION_INT8},
                    Kind{v1::VECTOR_METRIC_L2, v1::VECTOR_QUANTIZATION_INT8},
                    Kind{v1::VECTOR_METRIC_DOT, v1::VECTOR_QUANTIZATION_INT8},
                    Kind{v1::VECTOR_METRIC_COSINE, v1::VECTOR_QUANTIZATION_PRODUCT},
                    Kind{v1::VECTOR_METRIC_L2, v1::VECTOR_QUANTIZATION_PRODUCT},
                    Kind{v1::VECTOR_METRIC_DOT, v1::VECTOR_QUANTIZATION_PRODUCT},
                    Kind{v1::VECTOR_METRIC_COSINE, v1::VECTOR_QUANTIZATION_BINARY},
                    Kind{v1::VECTOR_METRIC_L2, v1::VECTOR_QUANTIZATION_BINARY},
                    Kind{v1::VECTOR_METRIC_DOT, v1::VECTOR_QUANTIZATION_BINARY},
                    Kind{v1::VECTOR_METRIC_COSINE, v1::VECTOR_QUANTIZATION_NONE},
                    Kind{v1::VECTOR_METRIC_L2, v1::VECTOR_QUANTIZATION_NONE},
                    Kind{v1::VECTOR_METRIC_DOT, v1::VECTOR_QUANTIZATION_NONE},
                    Kind{v1::VECTOR_METRIC_HAMMING, v1::VECTOR_QUANTIZATION_NONE}));

TEST(DenseIndexFilterTest, RecallHoldsAtEverySelectivity) {
  World world(
      Field(24, v1::VECTOR_METRIC_COSINE, v1::VECTOR_INDEX_KIND_HNSW, v1::VECTOR_QUANTIZATION_INT8),
      3);
  constexpr Ordinal kObjects = 30000;
  world.Fill(1, kObjects);
  world.IndexAll();
  for (const double share : {0.0002, 0.001, 0.01, 0.05, 0.2, 0.3, 0.5, 0.8, 0.99, 1.0}) {
    std::set<Ordinal> some;
    for (Ordinal ordinal = 1; ordinal < kObjects; ++ordinal) {
      if (static_cast<double>(world.rng_() % 100000) < share * 100000) some.insert(ordinal);
    }
    EXPECT_GE(world.Recall(20, 10, std::make_shared<Set>(some)), 0.95) << "any " << share;
    // With the query: the objects nearest to it match. Against it: the farthest do.
    for (const bool with : {true, false}) {
      size_t found = 0;
      for (int i = 0; i < 10; ++i) {
        const v1::Vector query = world.RandomVector();
        auto order = world.Truth(query, kObjects, nullptr);
        if (!with) std::reverse(order.begin(), order.end());
        order.resize(std::max<size_t>(10, static_cast<size_t>(share * kObjects)));
        std::set<Ordinal> matching;
        for (const VectorHit& hit : order) matching.insert(hit.ordinal);
        const auto accept = std::make_shared<Set>(matching);
        const auto truth = world.Truth(query, 10, accept.get());
        for (const VectorHit& hit : world.Search(query, 10, accept).hits) {
          found += static_cast<size_t>(
              std::count_if(truth.begin(), truth.end(),
                            [&](const VectorHit& near) { return near.ordinal == hit.ordinal; }));
        }
      }
      EXPECT_GE(static_cast<double>(found) / 100, 0.95) << (with ? "with " : "against ") << share;
    }
  }
}

// From its second use on, a filter's matches are scanned where their codes were copied to.
TEST(DenseIndexFilterTest, AFilterUsedAgainSeesWhatChanged) {
  for (const auto quantization : {v1::VECTOR_QUANTIZATION_INT8, v1::VECTOR_QUANTIZATION_NONE,
                                  v1::VECTOR_QUANTIZATION_BINARY}) {
    World world(Field(48, v1::VECTOR_METRIC_L2, v1::VECTOR_INDEX_KIND_HNSW, quantization), 23);
    world.Fill(0, 4000);
    world.IndexAll();
    std::set<Ordinal> matches;
    for (Ordinal ordinal = 0; ordinal < 5000; ordinal += 4) matches.insert(ordinal);
    const auto accept = std::make_shared<Set>(matches);
    const auto check = [&] {
      for (int i = 0; i < 3; ++i) EXPECT_GE(world.Recall(20, 10, accept), 0.99);
    };
    check();
    // Deaths leave the copies as they are.
    world.RemoveEach(0, 2000, 8);
    check();
    // What comes is not in them, and may take the place of what is.
    world.Fill(3000, 5000);
    check();
    world.IndexAll();
    world.index_.Maintain(true);
    check();
    // Of what matches, next to nothing lives.
    world.RemoveEach(0, 4980, 4);
    check();
  }
}

// Where most of what matches is farther away than floats hold.
TEST(DenseIndexFilterTest, WhatIsInfinitelyFarAwayComesLast) {
  World world(
      Field(48, v1::VECTOR_METRIC_L2, v1::VECTOR_INDEX_KIND_HNSW, v1::VECTOR_QUANTIZATION_NONE),
      24);
  std::set<Ordinal> matches;
  const auto at = [](float place) {
    v1::Vector vector;
    for (int d = 0; d < 48; ++d) vector.add_values(place);
    return vector;
  };
  for (Ordinal ordinal = 0; ordinal < 4000; ++ordinal) {
    const bool near = ordinal % 800 == 0;
    world.Put(ordinal, at(near ? static_cast<float>(ordinal) * 1e14f : 1e19f));
    if (ordinal % 4 == 0) matches.insert(ordinal);
  }
  world.Commit();
  world.IndexAll();
  const auto accept = std::make_shared<Set>(matches);
  for (int i = 0; i < 3; ++i) {
    for (const int64_t limit : {3, 20, 200}) {
      const auto result = world.Search(at(1e13f), limit, accept);
      ASSERT_EQ(result.hits.size(), static_cast<size_t>(limit));
      for (size_t k = 0; k < result.hits.size(); ++k) {
        const Ordinal ordinal = result.hits[k].ordinal;
        EXPECT_TRUE(k < 5 ? ordinal == 800 * k : matches.count(ordinal) > 0) << ordinal;
      }
    }
  }
}

// Many codes are copied in halves, and what is far by the upper ones is not looked at again:
// whatever the lower ones are like.
TEST(DenseIndexFilterTest, CopiesFindWhatAScanFinds) {
  enum class Data { kAny, kTwoValues, kMostlyNothing, kOneComponent, kOfAnyLength, kSteps };
  constexpr int kDimension = 200;
  for (const Data data : {Data::kAny, Data::kTwoValues, Data::kMostlyNothing, Data::kOneComponent,
                          Data::kOfAnyLength, Data::kSteps}) {
    for (const auto metric : {v1::VECTOR_METRIC_L2, v1::VECTOR_METRIC_COSINE}) {
      World world(
          Field(kDimension, metric, v1::VECTOR_INDEX_KIND_HNSW, v1::VECTOR_QUANTIZATION_INT8), 26);
      std::normal_distribution<float> normal;
      const auto at_random = [&] {
        v1::Vector vector;
        const float length = std::exp(normal(world.rng_));
        for (int d = 0; d < kDimension; ++d) {
          const float x = normal(world.rng_);
          switch (data) {
            case Data::kAny:
              vector.add_values(x);
              break;
            case Data::kTwoValues:
              vector.add_values(x > 0 ? 1 : -0.86f);
              break;
            case Data::kMostlyNothing:
              vector.add_values(x > 1.5f ? x : 0);
              break;
            case Data::kOneComponent:
              vector.add_values(d == 7 ? 20 : x);
              break;
            case Data::kOfAnyLength:
              vector.add_values(length * x);
              break;
            case Data::kSteps:
              vector.add_values(std::round(4 * x) / 8);
              break;
          }
        }
        return vector;
      };
      std::set<Ordinal> matches;
      for (Ordinal ordinal = 0; ordinal < 12'000; ++ordinal) {
        world.Put(ordinal, at_random());
        if (ordinal % 3 == 0) matches.insert(ordinal);
      }
      world.Commit();
      world.IndexAll();
      size_t found[3] = {}, wanted = 0;
      for (int i = 0; i < 30; ++i) {
        const auto accept = std::make_shared<Set>(matches);
        const v1::Vector query = at_random();
        const auto truth = world.Truth(query, 10, accept.get());
        wanted += truth.size();
        // The second makes the copies.
        for (size_t& each : found) {
          const auto result = world.Search(query, 10, accept);
          ASSERT_EQ(result.hits.size(), truth.size());
          EXPECT_EQ(result.strategy, "scan");
          const double farthest = truth.back().distance;
          for (const VectorHit& hit : result.hits) each += hit.distance <= farthest * 1.0001 + 1e-6;
        }
      }
      for (const size_t each : found) {
        EXPECT_GE(each, found[0] - wanted / 100) << static_cast<int>(data);
        EXPECT_GE(each, wanted * 98 / 100) << static_cast<int>(data);
      }
    }
  }
}

// Nothing is nearer than anything else: what is found is as good as what is not. Of so many, codes
// are halved; of fewer, they are not.
TEST(DenseIndexFilterTest, AllMayBeInfinitelyFarAway) {
  for (const Ordinal count : {Ordinal{2000}, Ordinal{9000}}) {
    World world(
        Field(64, v1::VECTOR_METRIC_L2, v1::VECTOR_INDEX_KIND_FLAT, v1::VECTOR_QUANTIZATION_INT8),
        27);
    const auto at_random = [&] {
      v1::Vector vector = world.RandomVector();
      for (float& x : *vector.mutable_values()) x *= 1e19f;
      return vector;
    };
    std::set<Ordinal> matches;
    for (Ordinal ordinal = 0; ordinal < count; ++ordinal) {
      world.Put(ordinal, at_random());
      matches.insert(ordinal);
    }
    world.Commit();
    const v1::Vector query = at_random();
    const auto accept = std::make_shared<Set>(matches);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(world.Search(query, 1, accept).hits.size(), 1u) << count;
  }
}

// Where many are as near as the last that is wanted.
TEST(DenseIndexFilterTest, ManyMayBeTheSame) {
  for (const auto quantization : {v1::VECTOR_QUANTIZATION_INT8, v1::VECTOR_QUANTIZATION_NONE}) {
    World world(Field(48, v1::VECTOR_METRIC_L2, v1::VECTOR_INDEX_KIND_HNSW, quantization), 25);
    world.Fill(0, 12'000);
    const v1::Vector same = world.RandomVector();
    std::set<Ordinal> matches;
    for (Ordinal ordinal = 0; ordinal < 12'000; ordinal += 3) {
      if (ordinal % 999 != 0) world.Put(ordinal, same);
      matches.insert(ordinal);
    }
    world.Commit();
    world.IndexAll();
    const auto accept = std::make_shared<Set>(matches);
    const v1::Vector query = world.RandomVector();
    for (int i = 0; i < 3; ++i) {
      for (const int64_t limit : {3, 20, 200}) {
        const auto truth = world.Truth(query, static_cast<size_t>(limit), accept.get());
        const auto result = world.Search(query, limit, accept);
        ASSERT_EQ(result.hits.size(), truth.size());
        for (size_t k = 0; k < truth.size(); ++k) {
          EXPECT_NEAR(result.hits[k].distance, truth[k].distance, 1e-3);
        }
      }
    }
  }
}

TEST(DenseIndexChurnTest, RecallDoesNotDecay) {
  const auto field =
      Field(32, v1::VECTOR_METRIC_L2, v1::VECTOR_INDEX_KIND_HNSW, v1::VECTOR_QUANTIZATION_INT8);
  World world(field, 4);
  constexpr Ordinal kObjects = 8000;
  world.Fill(1, kObjects);
  world.IndexAll();
  for (int round = 0; round < 6; ++round) world.ReplaceSome(1, kObjects);
  World fresh(field, 4);
  fresh.rng_ = world.rng_;
  for (const auto& [ordinal, vector] : world.held_) fresh.Put(ordinal, vector);
  fresh.Commit();
  fresh.IndexAll();
  const double wanted = fresh.Recall(200, 10, nullptr, 20);
  EXPECT_GE(world.Recall(200, 10, nullptr, 20), wanted - 0.01);
  // Dead slots are used again.
  EXPECT_LT(world.index_.stats().dead, 2100);
  EXPECT_TRUE(world.index_.Maintain(true) || world.index_.stats().dead == 0);
  EXPECT_EQ(world.index_.stats().dead, 0);
  EXPECT_GE(world.Recall(200, 10, nullptr, 20), wanted - 0.01);
}

TEST(DenseIndexChurnTest, QuantizedRecallDoesNotDecay) {
  for (const auto quantization :
       {v1::VECTOR_QUANTIZATION_PRODUCT, v1::VECTOR_QUANTIZATION_BINARY}) {
    World world(Field(32, v1::VECTOR_METRIC_L2, v1::VECTOR_INDEX_KIND_HNSW, quantization), 11);
    constexpr Ordinal kObjects = 6000;
    world.Fill(1, kObjects);
    world.IndexAll();
    for (int round = 0; round < 4; ++round) world.ReplaceSome(1, kObjects);
    EXPECT_GE(world.Recall(100, 10), 0.95);
    EXPECT_GE(world.index_.stats().codec_recall_permille, 950);
  }
}

TEST(DenseIndexChurnTest, SlotsAreUsedAgainBeforeCodebooks) {
  World world(
      Field(16, v1::VECTOR_METRIC_L2, v1::VECTOR_INDEX_KIND_HNSW, v1::VECTOR_QUANTIZATION_PRODUCT),
      12);
  for (int round = 0; round < 10; ++round) {
    world.Fill(1, 3000);
    world.index_.Maintain(true);
    EXPECT_EQ(world.index_.stats().dead, 0);
  }
  EXPECT_EQ(world.index_.backlog(), 0u);
  EXPECT_EQ(world.index_.stats().codec_recall_permille, -1);
  EXPECT_GE(world.Recall(20, 10), 0.99);
  world.Fill(3000, 6000);
  EXPECT_EQ(world.index_.backlog(), 5999u);
  world.IndexAll();
  EXPECT_EQ(world.index_.stats().indexed, 5999);
  EXPECT_EQ(world.Search(world.RandomVector(), 10).strategy, "graph");
  EXPECT_GE(world.Recall(20, 10), 0.95);
}

// Searches and writes go on while codes are written anew.
TEST(DenseIndexThreadsTest, CodebooksAreLearnedBesideEverything) {
  World world(Field(64, v1::VECTOR_METRIC_COSINE, v1::VECTOR_INDEX_KIND_HNSW,
                    v1::VECTOR_QUANTIZATION_PRODUCT),
              13);
  world.Fill(1, 4000);
  Beside beside(world, [held = world.held_](Ordinal ordinal, v1::Vector* vector) {
    *vector = held.at(1 + ordinal % 3999);
    return true;
  });
  for (int t = 0; t < 2; ++t) {
    beside.Repeat([&] {
      if (!world.index_.IndexSome()) std::this_thread::yield();
      world.index_.Maintain();
    });
  }
  for (Ordinal ordinal = 4000; ordinal < 7000; ordinal += 25) {
    for (Ordinal each = ordinal; each < ordinal + 25; ++each) {
      world.Put(each, world.RandomVector());
      world.Put(each - 3999, world.RandomVector());
    }
    beside.Commit();
  }
  while (world.index_.backlog() > 0) std::this_thread::yield();
  beside.Stop();
  EXPECT_EQ(world.index_.stats().indexed, world.index_.stats().vectors);
  EXPECT_GE(world.Recall(50, 10), 0.95);
  // Whatever was written while codes were: all of it is there.
  const v1::Vector query = world.RandomVector();
  ExpectSame(world.Search(query, 100, nullptr, true).hits, world.Truth(query, 100, nullptr), 1e-5);
}

TEST(DenseIndexChurnTest, EverythingMayGoAndComeBack) {
  World world(
      Field(16, v1::VECTOR_METRIC_COSINE, v1::VECTOR_INDEX_KIND_HNSW, v1::VECTOR_QUANTIZATION_INT8),
      5);
  for (int round = 0; round < 3; ++round) {
    world.Fill(1, 4000);
    world.IndexAll();
    EXPECT_GE(world.Recall(20, 10), 0.95);
    world.RemoveEach(1, 4000);
    EXPECT_TRUE(world.Search(world.RandomVector(), 10).hits.empty());
    world.index_.Maintain(true);
    EXPECT_TRUE(world.Search(world.RandomVector(), 10).hits.empty());
  }
}

TEST(DenseIndexMultiTest, AggregatesAreThoseOfTheTruth) {
  for (const auto metric : {v1::VECTOR_METRIC_COSINE, v1::VECTOR_METRIC_L2, v1::VECTOR_METRIC_DOT,
                            v1::VECTOR_METRIC_HAMMING}) {
    for (const auto aggregate :
         {v1::VECTOR_AGGREGATE_MAX, v1::VECTOR_AGGREGATE_MEAN, v1::VECTOR_AGGREGATE_FIRST}) {
      auto field = Field(16, metric, v1::VECTOR_INDEX_KIND_FLAT, v1::VECTOR_QUANTIZATION_NONE);
      field.set_multi(true);
      field.set_aggregate(aggregate);
      World world(field, 6);
      for (Ordinal ordinal = 1; ordinal < 300; ++ordinal) {
        world.Put(ordinal, world.RandomVector(1 + static_cast<int>(ordinal % 4)));
      }
      world.Commit();
      for (Ordinal ordinal = 1; ordinal < 300; ordinal += 5) {
        world.Put(ordinal, world.RandomVector(3));
      }
      world.Commit();
      for (int i = 0; i < 10; ++i) {
        const v1::Vector query = world.RandomVector();
        const auto truth = world.Truth(query, 10, nullptr);
        const auto hits = world.Search(query, 10).hits;
        ASSERT_EQ(hits.size(), 10u);
        for (size_t k = 0; k < 10; ++k) {
          EXPECT_NEAR(hits[k].distance, truth[k].distance,
                      1e-4 * (1 + std::fabs(truth[k].distance)))
              << v1::VectorMetric_Name(metric) << v1::VectorAggregate_Name(aggregate);
        }
      }
    }
  }
}

// What is linked while all that the graph has is dead finds nobody to be linked to.
TEST(DenseIndexChurnTest, EverythingMayBeReplacedAtOnce) {
  for (const bool in_one_commit : {false, true}) {
    World world(Field(16, v1::VECTOR_METRIC_COSINE, v1::VECTOR_INDEX_KIND_HNSW,
                      v1::VECTOR_QUANTIZATION_INT8),
                5);
    world.Fill(1, 5000);
    world.IndexAll();
    for (Ordinal ordinal = 1; ordinal < 5000; ++ordinal) world.Remove(ordinal);
    if (!in_one_commit) world.Commit();
    world.Fill(5000, 10'000);
    // As threads of the view do: some vectors are linked, then dead ones are taken out.
    bool worked = true;
    while (worked) {
      worked = false;
      for (int i = 0; i < 16 && world.index_.IndexSome(); ++i) worked = true;
      if (world.index_.Maintain()) worked = true;
    }
    EXPECT_EQ(world.Search(world.RandomVector(), 10).strategy, "graph");
    EXPECT_GE(world.Recall(50, 10), 0.95);
  }
}

// An object of which all vectors are at a middling distance, among many of which one vector
// is near and the other far: by the mean it is the nearest, by single vectors the last.
TEST(DenseIndexMultiTest, MeansAreNotThoseOfTheNearestVectors) {
  for (const auto kind : {v1::VECTOR_INDEX_KIND_FLAT, v1::VECTOR_INDEX_KIND_HNSW}) {
    auto field = Field(2, v1::VECTOR_METRIC_L2, kind, v1::VECTOR_QUANTIZATION_NONE);
    field.set_multi(true);
    field.set_aggregate(v1::VECTOR_AGGREGATE_MEAN);
    World world(field, 6);
    const auto put = [&](Ordinal ordinal, std::initializer_list<float> values) {
      v1::Vector vector;
      for (const float value : values) vector.add_values(value);
      world.Put(ordinal, std::move(vector));
    };
    for (Ordinal ordinal = 1; ordinal <= 500; ++ordinal) {
      put(ordinal, {0.001f * static_cast<float>(ordinal), 0, 100, 0});
    }
    put(501, {10, 0, 10, 0});
    world.Commit();
    v1::Vector query;
    query.add_values(0);
    query.add_values(0);
    for (const bool exact : {false, true}) {
      const VectorSearchResult result = world.Search(query, 1, nullptr, exact);
      ASSERT_EQ(result.hits.size(), 1u);
      EXPECT_EQ(result.hits[0].ordinal, 501u);
      EXPECT_NEAR(result.hits[0].distance, 10, 1e-5);
      EXPECT_TRUE(result.exact);
    }
  }
}

// What a search can choose itself may be changed while the index lives.
TEST(DenseIndexSettingsTest, TheWidthIsThatOfTheFieldAsItIsNow) {
  World world(
      Field(16, v1::VECTOR_METRIC_L2, v1::VECTOR_INDEX_KIND_HNSW, v1::VECTOR_QUANTIZATION_NONE), 7);
  world.Fill(1, 4000);
  world.IndexAll();
  const v1::Vector query = world.RandomVector();
  const auto distances = [&](int ef_search, int64_t ef) {
    v1::VectorField field = world.index_.field();
    field.mutable_hnsw()->set_ef_search(ef_search);
    VectorSearch search = world.Asking(query, 10);
    search.field = &field;
    search.ef = ef;
    VectorSearchResult result;
    const auto answered = world.SearchAt(world.commit_, search, &result);
    EXPECT_TRUE(answered.ok() && *answered);
    return result.candidates_considered;
  };
  EXPECT_EQ(distances(500, 0), distances(64, 500));
  EXPECT_GT(distances(500, 0), 2 * distances(64, 0));
}

// Reading stored vectors one by one takes long; who no longer waits is not kept waiting.
TEST(DenseIndexDeadlineTest, CancelledCallsStopReading) {
  for (const auto quantization : {v1::VECTOR_QUANTIZATION_INT8, v1::VECTOR_QUANTIZATION_PRODUCT}) {
    auto field = Field(8, v1::VECTOR_METRIC_COSINE, v1::VECTOR_INDEX_KIND_HNSW, quantization);
    field.set_multi(true);
    World world(field, 7);
    world.Fill(1, 6000);
    world.IndexAll();
    const v1::Vector query = world.RandomVector();
    VectorSearch search = world.Asking(query, 500);
    search.exact = quantization == v1::VECTOR_QUANTIZATION_INT8;
    CallContext context;
    int read = 0;
    VectorSearchResult result;
    const auto answered = world.index_.Search(
        context, search, world.commit_,
        [&](Ordinal ordinal, v1::Vector* vector) {
          if (++read == 10) context.Cancel();
          *vector = world.held_.at(ordinal);
          return true;
        },
        &result);
    EXPECT_EQ(answered.status().code(), absl::StatusCode::kCancelled);
    EXPECT_LT(read, 200);
  }
}

// Calls `meanwhile` once, when it is asked for the first time.
class Interrupting : public OrdinalSet {
 public:
  Interrupting(Ordinal end, Ordinal at, std::function<void()> meanwhile)
      : end_(end), at_(at), meanwhile_(std::move(meanwhile)) {}
  bool Contains(Ordinal ordinal) const override {
    if (ordinal == at_ && meanwhile_) std::exchange(meanwhile_, nullptr)();
    return ordinal < end_;
  }
  uint64_t Count() const override { return end_; }
  void ForEach(absl::FunctionRef<void(Ordinal)> each) const override {
    if (meanwhile_) std::exchange(meanwhile_, nullptr)();
    for (Ordinal ordinal = 0; ordinal < end_; ++ordinal) each(ordinal);
  }

 private:
  const Ordinal end_;
  const Ordinal at_;
  mutable std::function<void()> meanwhile_;
};

// A commit comes while a search puts back what the one before took away.
TEST(DenseIndexHistoryTest, CommitsDuringTheLastStepAreNotSeen) {
  for (const bool mean : {false, true}) {
    auto field =
        Field(16, v1::VECTOR_METRIC_L2, v1::VECTOR_INDEX_KIND_FLAT, v1::VECTOR_QUANTIZATION_NONE);
    if (mean) {
      field.set_multi(true);
      field.set_aggregate(v1::VECTOR_AGGREGATE_MEAN);
    }
    World world(field, 7);
    world.Fill(1, 200, mean ? 3 : 1);
    const v1::Vector query = world.RandomVector();
    const auto before = world.Truth(query, 10, nullptr);
    const uint64_t commit = world.commit_;
    world.Remove(before[0].ordinal);
    world.Commit();
    const auto accept = std::make_shared<Interrupting>(200, before[0].ordinal, [&] {
      world.Remove(before[1].ordinal);
      world.Put(before[2].ordinal, world.RandomVector(mean ? 2 : 1));
      world.Commit();
    });
    VectorSearch search = world.Asking(query, 10);
    search.accept = accept;
    VectorSearchResult result;
    const auto answered = world.SearchAt(commit, search, &result);
    ASSERT_TRUE(answered.ok() && *answered);
    ASSERT_EQ(world.commit_, commit + 2);
    ExpectSame(result.hits, before, 1e-4);
  }
}

// What was far away moves next to the query before all is compared: it takes the place of what is
// to be found, and is put back to where it was.
TEST(DenseIndexHistoryTest, CommitsBeforeTheScanTakeNoPlaces) {
  for (const int moving : {1, 30}) {
    World world(
        Field(16, v1::VECTOR_METRIC_L2, v1::VECTOR_INDEX_KIND_FLAT, v1::VECTOR_QUANTIZATION_NONE),
        12);
    constexpr Ordinal kObjects = 3000;
    world.Fill(0, kObjects);
    const v1::Vector query = world.RandomVector();
    const auto expected = world.Truth(query, 10, nullptr);
    const auto order = world.Truth(query, kObjects, nullptr);
    VectorSearch search = world.Asking(query, 10);
    search.accept = std::make_shared<Interrupting>(kObjects, kObjects, [&] {
      for (int i = 1; i <= moving; ++i) world.Put(order[kObjects - i].ordinal, query);
      world.Commit();
    });
    VectorSearchResult result;
    const auto answered = world.SearchAt(world.commit_, search, &result);
    ASSERT_TRUE(answered.ok() && *answered);
    ExpectSame(result.hits, expected, 1e-5);
  }
}

TEST(DenseIndexHistoryTest, ReadersSeeTheirCommit) {
  World world(
      Field(16, v1::VECTOR_METRIC_L2, v1::VECTOR_INDEX_KIND_HNSW, v1::VECTOR_QUANTIZATION_NONE), 7);
  world.Fill(1, 3000);
  world.IndexAll();
  const v1::Vector query = world.RandomVector();
  const auto before = world.Truth(query, 50, nullptr);
  const uint64_t commit = world.commit_;
  const auto held = world.held_;
  // The nearest go, or move away; others come to the place itself.
  for (int i = 0; i < 20; ++i) world.Remove(before[static_cast<size_t>(i)].ordinal);
  for (int i = 20; i < 40; ++i) {
    world.Put(before[static_cast<size_t>(i)].ordinal, world.RandomVector());
  }
  for (Ordinal ordinal = 5000; ordinal < 5100; ++ordinal) world.Put(ordinal, query);
  world.Commit();
  world.IndexAll();
  const uint64_t now = world.commit_;
  world.commit_ = commit;
  ExpectSame(world.Search(query, 50).hits, before, 1e-4);
  world.commit_ = now;
  EXPECT_EQ(world.Search(query, 50).hits[0].ordinal, 5000u);
  // Once dead slots are used again, nothing is said of that commit.
  world.index_.Maintain(true);
  VectorSearchResult result;
  const auto answered = world.SearchAt(commit, world.Asking(query, 10), &result);
  ASSERT_TRUE(answered.ok());
  EXPECT_FALSE(*answered);
}

TEST(DenseIndexThreadsTest, SearchesGoOnBesideEverything) {
  World world(
      Field(8, v1::VECTOR_METRIC_COSINE, v1::VECTOR_INDEX_KIND_HNSW, v1::VECTOR_QUANTIZATION_INT8),
      8);
  world.Fill(1, 2500);
  Beside beside(world, [](Ordinal, v1::Vector*) { return false; });
  beside.Repeat([&] {
    if (!world.index_.IndexSome()) std::this_thread::yield();
  });
  beside.Repeat([&] {
    if (!world.index_.Maintain()) std::this_thread::yield();
  });
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 100; ++i) {
      world.Put(1 + world.rng_() % 2499, world.RandomVector());
    }
    beside.Commit();
  }
  while (beside.answered() < 100) std::this_thread::yield();
  beside.Stop();
  world.IndexAll();
  EXPECT_GE(world.Recall(50, 10), 0.95);
}

}  // namespace
}  // namespace cookix::engine
