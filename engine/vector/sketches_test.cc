// Sketches against the distances that they estimate, and every table of kernels against plain
// loops.
#include "engine/vector/sketches.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "engine/vector/sketch_codec.h"
#include "engine/vector/sketch_kernels.h"
#include "gtest/gtest.h"
#include "hwy/aligned_allocator.h"

namespace cookix::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class SketchKernelsTest : public testing::TestWithParam<size_t> {
 protected:
  const SketchKernels plain_ = AllSketchKernels()[0];
  const SketchKernels kernels_ = AllSketchKernels()[GetParam()];
  std::mt19937_64 random_{1};
  std::normal_distribution<float> normal_;
};

TEST_P(SketchKernelsTest, DistancesAreThoseOfPlainLoops) {
  for (const size_t groups : {size_t{1}, size_t{16}, size_t{17}, size_t{43}, kMostGroups}) {
    constexpr size_t kBlocks = 3 * kBlocksAtOnce;
    const size_t bytes = (groups + 2 * sizeof(float)) * kSketchBlock;
    const auto memory = hwy::AllocateAligned<uint8_t>(kBlocks * bytes);
    // They may lie anywhere, also twice.
    std::vector<const uint8_t*> blocks;
    std::vector<float> added;
    for (size_t b = 0; b < kBlocks; ++b) {
      uint8_t* const block = memory.get() + b * bytes;
      blocks.push_back(b == 4 ? blocks[1] : block);
      added.push_back(normal_(random_));
      for (size_t i = 0; i < groups * kSketchBlock; ++i) {
        block[i] = static_cast<uint8_t>(random_());
      }
      auto* const params = reinterpret_cast<float*>(block + groups * kSketchBlock);
      for (size_t i = 0; i < 2 * kSketchBlock; ++i) params[i] = normal_(random_);
      params[kSketchBlock + 7] = kInfinity;
    }
    std::swap(blocks[0], blocks[7]);
    const size_t part = std::min<size_t>(groups, 16);
    // The most that fits.
    std::vector<uint8_t> tables(2 * kTable * groups);
    for (uint8_t& added_by : tables)
      added_by = static_cast<uint8_t>(random_() % (255 / part / 2 + 1));
    const SketchSums query = {tables.data(), groups, part, 0.01f, -0.7f};
    std::vector<uint64_t> masks(kBlocks, ~uint64_t{0});
    masks[1] = random_();
    masks[5] = 0;
    constexpr size_t kTold = kBlocks / kBlocksAtOnce * kSketchLanes;
    std::vector<float> expected(kBlocks * kSketchBlock), made(expected.size());
    std::vector<float> expected_least(kTold), least(kTold);
    plain_.distances(query, blocks.data(), added.data(), kBlocks, masks.data(), expected.data(),
                     expected_least.data());
    kernels_.distances(query, blocks.data(), added.data(), kBlocks, masks.data(), made.data(),
                       least.data());
    for (size_t i = 0; i < made.size(); ++i) {
      const bool wanted = ((masks[i / kSketchBlock] >> (i % kSketchBlock)) & 1) != 0;
      EXPECT_TRUE(wanted || made[i] == kInfinity);
      if (expected[i] == kInfinity) {
        EXPECT_EQ(made[i], kInfinity);
      } else {
        EXPECT_NEAR(made[i], expected[i], 1e-4 * (1 + std::fabs(expected[i])))
            << kernels_.name << " " << groups << " " << i;
      }
    }
    for (size_t i = 0; i < least.size(); ++i) {
      constexpr size_t kOfAll = kBlocksAtOnce * kSketchBlock;
      float nearest = kInfinity;
      for (size_t k = i % kSketchLanes; k < kOfAll; k += kSketchLanes) {
        nearest = std::min(nearest, made[i / kSketchLanes * kOfAll + k]);
      }
      EXPECT_EQ(least[i], nearest) << kernels_.name;
    }
  }
}

TEST_P(SketchKernelsTest, SummariesAreOfWhatIsFinite) {
  for (const size_t n : {16, 32, 96}) {
    std::vector<float> values(n);
    for (float& value : values) value = normal_(random_);
    values[n - 1] = values[3] = kInfinity;
    double expected_sum = 0;
    for (const float value : values) expected_sum += value < kInfinity ? value : 0;
    float least, sum;
    kernels_.summary(values.data(), n, &least, &sum);
    EXPECT_EQ(least, *std::min_element(values.begin(), values.end())) << kernels_.name;
    EXPECT_NEAR(sum, expected_sum, 1e-3) << kernels_.name;
  }
}

TEST_P(SketchKernelsTest, TablesAreWhatBitsAdd) {
  for (const size_t groups : {size_t{1}, size_t{2}, size_t{37}, kMostGroups}) {
    for (const int bits : {1, 2}) {
      const size_t of_component = static_cast<size_t>(bits);
      std::vector<float> components(8 * groups / of_component);
      for (float& component : components) component = 2 * normal_(random_);
      std::vector<uint8_t> tables(2 * kTable * groups);
      kernels_.tables(components.data(), bits, 0.5f, groups, tables.data());
      for (size_t t = 0; t < 2 * groups; ++t) {
        for (size_t set = 0; set < kTable; ++set) {
          // From the least on.
          double sum = 0;
          for (size_t k = 0; k < kTableBits; ++k) {
            const size_t bit = kTableBits * t + k;
            const double weight =
                0.5 * components[bit / of_component] * (size_t{1} << (bit % of_component));
            sum += ((set >> k) & 1) != 0 ? std::max(weight, 0.0) : std::max(-weight, 0.0);
          }
          EXPECT_NEAR(tables[kTable * t + set], sum, 0.51) << kernels_.name << " " << bits;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, SketchKernelsTest,
                         testing::Range(size_t{0}, AllSketchKernels().size()));

class SketchesTest : public testing::Test {
 protected:
  // Around one place, so that there is something to subtract.
  std::vector<float> Random(size_t dimension, bool normalised) {
    std::vector<float> vector(dimension);
    double squares = 0;
    for (float& x : vector) {
      x = 0.3f + normal_(random_);
      squares += static_cast<double>(x) * x;
    }
    if (normalised) {
      for (float& x : vector) x /= static_cast<float>(std::sqrt(squares));
    }
    return vector;
  }
  static double Distance(Metric metric, const std::vector<float>& a, const std::vector<float>& b) {
    double dot = 0, squares = 0;
    for (size_t d = 0; d < a.size(); ++d) {
      dot += static_cast<double>(a[d]) * b[d];
      squares += static_cast<double>(a[d] - b[d]) * (a[d] - b[d]);
    }
    return metric == Metric::kL2 ? squares : metric == Metric::kDot ? -dot : 1 - dot;
  }

  // With numbers in their order, and centres that are learned from them.
  static Sketches Make(const SketchCodec& codec, const std::vector<std::vector<float>>& vectors,
                       size_t centres) {
    std::vector<float> turned(vectors.size() * codec.components());
    for (size_t i = 0; i < vectors.size(); ++i) {
      codec.Turn(vectors[i].data(), &turned[i * codec.components()]);
    }
    Sketches sketches(codec, SketchCentres::Learn(codec, turned, centres));
    Sketches::WriteScratch room;
    for (size_t i = 0; i < vectors.size(); ++i) {
      EXPECT_TRUE(sketches.Write(static_cast<uint32_t>(i), vectors[i].data(), &room));
    }
    return sketches;
  }
  static std::vector<uint32_t> Found(const Sketches::Scratch& scratch, size_t count) {
    std::vector<uint32_t> near(scratch.near.begin(),
                               scratch.near.begin() + static_cast<ptrdiff_t>(count));
    std::sort(near.begin(), near.end());
    return near;
  }

  std::mt19937_64 random_{2};
  std::normal_distribution<float> normal_;
};

// What sketches tell differs from the distance by about the same for all, and leans to no side,
// near whatever centre they are.
TEST_F(SketchesTest, TellHowFarVectorsAre) {
  constexpr size_t kVectors = 1500;
  for (const Metric metric : {Metric::kCosine, Metric::kL2, Metric::kDot}) {
    for (const int bits : {1, 2}) {
      for (const size_t dimension : {5, 100, 128, 300}) {
        for (const size_t centres : {1, 16}) {
          std::vector<std::vector<float>> vectors;
          std::vector<float> mean(dimension);
          for (size_t i = 0; i < kVectors; ++i) {
            vectors.push_back(Random(dimension, metric == Metric::kCosine));
            for (size_t d = 0; d < dimension; ++d) mean[d] += vectors.back()[d] / kVectors;
          }
          const SketchCodec codec(metric, dimension, bits, mean);
          Sketches sketches = Make(codec, vectors, centres);
          SketchQuery query;
          Sketches::Scratch scratch;
          double spread = 0, error = 0;
          for (int q = 0; q < 5; ++q) {
            const std::vector<float> asking = Random(dimension, metric == Metric::kCosine);
            codec.Prepare(asking.data(), &query);
            // As many as there are: all of them, and not what was never written.
            ASSERT_EQ(sketches.FindNear(query, 5000, 1, &scratch), kVectors);
            EXPECT_FALSE(scratch.passed_over);
            double sum = 0, squares = 0, told = 0, told_squares = 0, both = 0;
            for (size_t i = 0; i < kVectors; ++i) {
              const double distance = Distance(metric, asking, vectors[scratch.near[i]]);
              const double estimate = scratch.distances[scratch.at[i]];
              sum += distance;
              squares += distance * distance;
              told += estimate;
              told_squares += estimate * estimate;
              both += distance * estimate;
            }
            const double n = kVectors;
            const double variance = squares / n - sum / n * (sum / n);
            const double covariance = both / n - sum / n * (told / n);
            // By one step of distance the estimate goes on by one.
            EXPECT_NEAR(covariance / variance, 1, dimension < 100 ? 0.1 : 0.15)
                << dimension << " " << bits << " " << centres;
            spread += variance;
            error += variance + told_squares / n - told / n * (told / n) - 2 * covariance;
          }
          // Of normally distributed components, whose distances lie close together.
          EXPECT_LT(error, (bits == 1 ? 0.8 : 0.2) * spread) << dimension << " " << bits;
        }
      }
    }
  }
}

// Also where the sums of a query, times the range of its levels, are beyond what floats hold.
TEST_F(SketchesTest, QueriesOfAnyLengthFindSomething) {
  for (const Metric metric : {Metric::kCosine, Metric::kL2, Metric::kDot}) {
    for (const int bits : {1, 2}) {
      for (const size_t dimension : {1, 16, 64}) {
        const SketchCodec codec(metric, dimension, bits, {});
        std::vector<std::vector<float>> vectors;
        for (size_t i = 0; i < 300; ++i) vectors.push_back(Random(dimension, false));
        const Sketches sketches = Make(codec, vectors, 1);
        SketchQuery query;
        Sketches::Scratch scratch;
        for (const float length : {0.0f, 1e-40f, 1e-30f, 1e10f, 2e37f, 1e38f, 3e38f}) {
          std::vector<float> asking(dimension);
          asking[0] = length;
          codec.Prepare(asking.data(), &query);
          EXPECT_GE(sketches.FindNear(query, 20, 1, &scratch), 20u)
              << static_cast<int>(metric) << " " << bits << " " << dimension << " " << length;
        }
      }
    }
  }
}

TEST_F(SketchesTest, TheNearestAreFoundFirst) {
  constexpr size_t kDimension = 64;
  const SketchCodec codec(Metric::kL2, kDimension, 2, {});
  std::vector<std::vector<float>> vectors;
  for (size_t i = 0; i < 3000; ++i) vectors.push_back(Random(kDimension, false));
  Sketches sketches = Make(codec, vectors, 16);
  SketchQuery query;
  codec.Prepare(vectors[77].data(), &query);
  Sketches::Scratch scratch;
  std::vector<float> estimates(3000);
  ASSERT_EQ(sketches.FindNear(query, 3000, 1, &scratch), 3000u);
  for (size_t i = 0; i < 3000; ++i) estimates[scratch.near[i]] = scratch.distances[scratch.at[i]];
  for (const size_t count : {1, 10, 100, 1000}) {
    const size_t found = sketches.FindNear(query, count, 1, &scratch);
    ASSERT_GE(found, count);
    ASSERT_LE(found, 2 * count);
    std::vector<uint32_t> near = Found(scratch, found);
    EXPECT_EQ(std::count(near.begin(), near.end(), 77u), 1);
    // No other is nearer than any of them.
    float farthest = -kInfinity;
    for (const uint32_t each : near) farthest = std::max(farthest, estimates[each]);
    for (uint32_t i = 0; i < 3000; ++i) {
      if (std::binary_search(near.begin(), near.end(), i)) continue;
      EXPECT_GE(estimates[i], farthest) << i;
    }
  }
}

// Of places far from one another those are looked at that the query is near to.
TEST_F(SketchesTest, WhatLiesElsewhereIsPassedOver) {
  constexpr size_t kPlaces = 8;
  for (const Metric metric : {Metric::kCosine, Metric::kL2, Metric::kDot}) {
    std::vector<std::vector<float>> places, vectors;
    for (size_t p = 0; p < kPlaces; ++p) places.push_back(Random(32, true));
    for (size_t i = 0; i < 400 * kPlaces; ++i) {
      vectors.push_back(places[i % kPlaces]);
      for (float& x : vectors.back()) x += 0.02f * normal_(random_);
    }
    const SketchCodec codec(metric, 32, 1, {});
    const Sketches sketches = Make(codec, vectors, 16);
    SketchQuery query;
    Sketches::Scratch scratch;
    for (size_t p = 0; p < kPlaces; ++p) {
      codec.Prepare(places[p].data(), &query);
      const size_t found = sketches.FindNear(query, 40, 0.25, &scratch);
      EXPECT_TRUE(scratch.passed_over);
      EXPECT_GE(found, 40u);
      for (const uint32_t each : Found(scratch, found)) EXPECT_EQ(each % kPlaces, p);
    }
    // Never nothing, and never more than there is.
    EXPECT_GE(sketches.FindNear(query, 1, 0, &scratch), 1u);
    EXPECT_EQ(sketches.FindNear(query, 5000, 7, &scratch), vectors.size());
    EXPECT_FALSE(scratch.passed_over);
  }
}

TEST_F(SketchesTest, ManyThatAreTheSameAreNotAllFound) {
  const SketchCodec codec(Metric::kCosine, 32, 1, {});
  std::vector<std::vector<float>> vectors(2000, Random(32, true));
  vectors[1999] = Random(32, true);
  for (const size_t centres : {1, 16}) {
    const Sketches sketches = Make(codec, vectors, centres);
    SketchQuery query;
    codec.Prepare(vectors[1999].data(), &query);
    Sketches::Scratch scratch;
    const size_t found = sketches.FindNear(query, 20, 1, &scratch);
    EXPECT_EQ(found, 20u);
    EXPECT_EQ(std::count(scratch.near.begin(), scratch.near.begin() + 20, 1999u), 1);
  }
}

TEST_F(SketchesTest, CopiesAreTheirOwn) {
  const SketchCodec codec(Metric::kCosine, 32, 1, {});
  Sketches first = Make(codec, {}, 1);
  Sketches::WriteScratch room;
  const std::vector<float> a = Random(32, true), b = Random(32, true);
  // Numbers may be left out.
  ASSERT_TRUE(first.Write(1029, a.data(), &room));
  Sketches second = first;
  ASSERT_TRUE(second.Write(1029, b.data(), &room));
  ASSERT_TRUE(second.Write(2, a.data(), &room));
  first.Forget(2);
  first.Forget(5000);
  SketchQuery query;
  codec.Prepare(a.data(), &query);
  Sketches::Scratch scratch;
  ASSERT_EQ(first.FindNear(query, 3, 1, &scratch), 1u);
  EXPECT_EQ(scratch.near[0], 1029u);
  const float near = scratch.distances[scratch.at[0]];
  ASSERT_EQ(second.FindNear(query, 3, 1, &scratch), 2u);
  const size_t of_a = scratch.near[0] == 2 ? 0 : 1;
  EXPECT_EQ(scratch.near[of_a], 2u);
  EXPECT_EQ(scratch.near[1 - of_a], 1029u);
  EXPECT_EQ(scratch.distances[scratch.at[of_a]], near);
  EXPECT_GT(scratch.distances[scratch.at[1 - of_a]], near);
}

// Whatever is written, written again and forgotten, what is left is found, once, as it is now.
TEST_F(SketchesTest, AreWhatWasWrittenLast) {
  constexpr size_t kNumbers = 700;
  const SketchCodec codec(Metric::kL2, 24, 2, {});
  std::vector<std::vector<float>> vectors;
  for (size_t i = 0; i < 600; ++i) vectors.push_back(Random(24, false));
  auto sketches = std::make_unique<Sketches>(Make(codec, vectors, 16));
  vectors.resize(kNumbers);
  Sketches::WriteScratch room;
  Sketches::Scratch scratch;
  SketchQuery query;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 100; ++i) {
      const auto number = static_cast<uint32_t>(random_() % kNumbers);
      if (random_() % 3 == 0) {
        vectors[number].clear();
        sketches->Forget(number);
      } else {
        vectors[number] = Random(24, false);
        ASSERT_TRUE(sketches->Write(number, vectors[number].data(), &room));
      }
    }
    if (round % 4 == 1) sketches = std::make_unique<Sketches>(*sketches);
    std::vector<uint32_t> left, listed;
    for (uint32_t number = 0; number < kNumbers; ++number) {
      if (!vectors[number].empty()) left.push_back(number);
    }
    sketches->ForEach([&](uint32_t number) { listed.push_back(number); });
    EXPECT_EQ(listed, left);
    const uint32_t asks = left[random_() % left.size()];
    codec.Prepare(vectors[asks].data(), &query);
    EXPECT_EQ(Found(scratch, sketches->FindNear(query, kNumbers, 1, &scratch)), left);
    const size_t found = sketches->FindNear(query, 5, 0.3, &scratch);
    const std::vector<uint32_t> near = Found(scratch, found);
    EXPECT_EQ(std::count(near.begin(), near.end(), asks), 1) << round;
    // As if it had been made of what is left.
    EXPECT_LE(sketches->Bytes(), 3 * Make(codec, std::vector(kNumbers, vectors[asks]), 16).Bytes());
  }
}

// Fields take lengths whose squares are up to a fourth of what a float holds.
TEST_F(SketchesTest, VectorsMayBeLong) {
  for (const Metric metric : {Metric::kL2, Metric::kDot}) {
    for (const size_t centres : {1, 80}) {
      const SketchCodec codec(metric, 16, 1, std::vector<float>(16));
      std::vector<std::vector<float>> vectors;
      for (size_t i = 0; i < 2000; ++i) {
        vectors.push_back(Random(16, true));
        for (float& x : vectors.back()) x *= i % 2 == 0 ? 9e18f : 1;
      }
      const Sketches sketches = Make(codec, vectors, centres);
      for (uint32_t i = 0; i < 2000; i += 5) sketches.Forget(i);
      SketchQuery query;
      Sketches::Scratch scratch;
      for (size_t i = 0; i < 20; ++i) {
        codec.Prepare(vectors[i].data(), &query);
        const size_t found = sketches.FindNear(query, 40, 0.5, &scratch);
        EXPECT_GE(found, 40u);
        const std::vector<uint32_t> near = Found(scratch, found);
        EXPECT_EQ(std::set<uint32_t>(near.begin(), near.end()).size(), found);
        for (const uint32_t each : near) {
          EXPECT_LT(each, 2000u);
          EXPECT_NE(each % 5, 0u);
        }
      }
    }
  }
}

// A query at the centre is as far from all by what is known of it.
TEST_F(SketchesTest, QueriesMayBeTheCentre) {
  for (const Metric metric : {Metric::kCosine, Metric::kL2, Metric::kDot}) {
    const std::vector<float> centre = Random(48, true);
    const SketchCodec codec(metric, 48, 1, centre);
    const Sketches sketches = Make(codec, {centre, Random(48, true)}, 1);
    SketchQuery query;
    codec.Prepare(centre.data(), &query);
    Sketches::Scratch scratch;
    EXPECT_EQ(sketches.FindNear(query, 5, 1, &scratch), 2u);
    for (const size_t i : {0, 1}) EXPECT_TRUE(std::isfinite(scratch.distances[scratch.at[i]]));
  }
}

TEST_F(SketchesTest, TheNearestCentresAreFound) {
  // Also where codes of bytes go on behind the components.
  for (const size_t dimension : {40, 100, 200}) {
    for (const Metric metric : {Metric::kL2, Metric::kCosine, Metric::kDot}) {
      const SketchCodec codec(metric, dimension, 1, Random(dimension, false));
      const bool unit = metric == Metric::kCosine;
      std::vector<float> turned, one(codec.components());
      for (size_t i = 0; i < 600; ++i) {
        codec.Turn(Random(dimension, unit).data(), one.data());
        turned.insert(turned.end(), one.begin(), one.end());
      }
      const auto centres = SketchCentres::Learn(codec, turned, 45);
      const std::vector<float> vector = Random(dimension, unit);
      SketchQuery query;
      codec.Prepare(vector.data(), &query);
      SketchCentres::Scratch scratch;
      const size_t found = centres->FindNear(query, 0.2, &scratch);
      ASSERT_GE(found, 1u);
      ASSERT_LT(found, centres->count());
      double length = 0;
      for (const float x : query.components) length += static_cast<double>(x) * x;
      // Of each, half of how far it is, less what is the same for all.
      std::vector<double> order(centres->count()), error(centres->count());
      codec.Turn(std::vector<float>(dimension).data(), one.data());
      for (size_t k = 0; k < centres->count(); ++k) {
        double square = 0, product = 0, middle = 0;
        for (size_t d = 0; d < query.components.size(); ++d) {
          const double x = centres->at(k)[d];
          square += x * x;
          product += x * query.components[d];
          middle += x * one[d];
        }
        order[k] = (metric == Metric::kDot ? middle : square / 2) - product;
        error[k] = 0.01 * std::sqrt(length * square);
        EXPECT_NEAR(scratch.order[k], order[k], error[k]);
        EXPECT_NEAR(centres->Added(k, scratch),
                    codec.AddedFrom(static_cast<float>(product), static_cast<float>(square)),
                    error[k] + 1e-3);
      }
      std::set<size_t> near(scratch.near.begin(),
                            scratch.near.begin() + static_cast<ptrdiff_t>(found));
      EXPECT_EQ(near.size(), found);
      double farthest = -kInfinity;
      for (const size_t k : near) farthest = std::max(farthest, order[k] - error[k]);
      for (size_t k = 0; k < centres->count(); ++k) {
        EXPECT_TRUE(near.count(k) > 0 || order[k] + error[k] > farthest) << k;
      }
    }
  }
}

// What lies as far from the codec's centre as may be is still told apart.
TEST_F(SketchesTest, CentresMayBeFar) {
  for (const size_t dimension : {16, 100}) {
    const float length = 8.3e18f;
    const std::vector<float> way = Random(dimension, true);
    const auto along = [&](float factor) {
      std::vector<float> vector = Random(dimension, true);
      for (size_t d = 0; d < dimension; ++d) {
        vector[d] = length * (0.05f * vector[d] + 0.93f * factor * way[d]);
      }
      return vector;
    };
    const SketchCodec codec(Metric::kDot, dimension, 1, along(1));
    std::vector<float> turned, one(codec.components());
    for (size_t i = 0; i < 600; ++i) {
      codec.Turn((i % 4 == 0 ? along(-1) : along(1)).data(), one.data());
      turned.insert(turned.end(), one.begin(), one.end());
    }
    const auto centres = SketchCentres::Learn(codec, turned, 16);
    EXPECT_GT(centres->count(), 1u);
    SketchQuery query;
    SketchCentres::Scratch scratch;
    for (size_t i = 0; i < 20; ++i) {
      codec.Prepare(along(-1).data(), &query);
      centres->FindNear(query, 0.5, &scratch);
      for (size_t k = 0; k < centres->count(); ++k) {
        EXPECT_TRUE(std::isfinite(centres->Added(k, scratch))) << dimension << " " << k;
      }
    }
  }
}

TEST_F(SketchesTest, CentresAreNearWhatTheyAreLearnedFrom) {
  constexpr size_t kPlaces = 5;
  const SketchCodec codec(Metric::kL2, 32, 1, {});
  std::vector<std::vector<float>> places;
  for (size_t p = 0; p < kPlaces; ++p) places.push_back(Random(32, false));
  std::vector<float> turned, one(codec.components());
  SketchCentres::Scratch scratch;
  for (size_t i = 0; i < 40 * kPlaces; ++i) {
    std::vector<float> vector = places[i / 40];
    for (float& x : vector) x += 0.01f * normal_(random_);
    codec.Turn(vector.data(), one.data());
    turned.insert(turned.end(), one.begin(), one.end());
  }
  // With some more than places, so that none is left out by chance.
  const auto centres = SketchCentres::Learn(codec, turned, 4 * kPlaces);
  EXPECT_LE(centres->count(), 4 * kPlaces);
  std::set<size_t> nearest;
  for (const std::vector<float>& place : places) {
    codec.Turn(place.data(), one.data());
    const size_t centre = centres->Nearest(one.data(), &scratch);
    nearest.insert(centre);
    for (size_t d = 0; d < one.size(); ++d) EXPECT_NEAR(centres->at(centre)[d], one[d], 0.02);
  }
  EXPECT_EQ(nearest.size(), kPlaces);
  // No more than there is to learn from, and at least one.
  EXPECT_LE(SketchCentres::Learn(codec, turned, 1000)->count(), 40 * kPlaces);
  EXPECT_EQ(SketchCentres::Learn(codec, {}, 16)->count(), 1u);
  // The same vector many times makes one.
  for (size_t i = 0; i < turned.size(); ++i) turned[i] = one[i % one.size()];
  EXPECT_EQ(SketchCentres::Learn(codec, turned, 16)->count(), 1u);
}

}  // namespace
}  // namespace cookix::engine
