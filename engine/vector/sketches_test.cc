// Sketches against the distances that they estimate, and every table of kernels against plain
// loops.
#include "engine/vector/sketches.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
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
  for (const size_t groups : {1, 21, 22, 23, 43, 131, 512}) {
    constexpr size_t kBlocks = 3;
    const size_t bytes = (groups + 2 * sizeof(float)) * kSketchBlock;
    const auto blocks = hwy::AllocateAligned<uint8_t>(kBlocks * bytes);
    for (size_t b = 0; b < kBlocks; ++b) {
      uint8_t* const block = blocks.get() + b * bytes;
      for (size_t i = 0; i < groups * kSketchBlock; ++i) {
        block[i] = static_cast<uint8_t>(random_() % 64);
      }
      auto* const params = reinterpret_cast<float*>(block + groups * kSketchBlock);
      for (size_t i = 0; i < 2 * kSketchBlock; ++i) params[i] = normal_(random_);
      params[kSketchBlock + 7] = kInfinity;
    }
    const size_t part = std::min<size_t>(groups, kGroupsOfPart);
    // The most that fits.
    std::vector<uint8_t> tables(groups * kGroupTable);
    for (size_t i = 0; i < tables.size(); ++i) {
      const size_t most = 255 / part;
      tables[i] = static_cast<uint8_t>(i % kGroupTable < 16 ? random_() % (most / 2 + 1)
                                                            : random_() % (most - most / 2 + 1));
    }
    const SketchSums query = {tables.data(), groups, part, 0.01f, -0.7f};
    std::vector<uint64_t> masks(kBlocks * kSketchBlock / 64, ~uint64_t{0});
    masks[1] = random_();
    masks[5] = 0;
    std::vector<float> expected(kBlocks * kSketchBlock), made(expected.size());
    std::vector<float> expected_least(kBlocks * kSketchLanes), least(expected_least.size());
    plain_.distances(query, blocks.get(), kBlocks, masks.data(), expected.data(),
                     expected_least.data());
    kernels_.distances(query, blocks.get(), kBlocks, masks.data(), made.data(), least.data());
    for (size_t i = 0; i < made.size(); ++i) {
      const bool wanted = ((masks[i / 64] >> (i % 64)) & 1) != 0;
      EXPECT_TRUE(wanted || made[i] == kInfinity);
      if (expected[i] == kInfinity) {
        EXPECT_EQ(made[i], kInfinity);
      } else {
        EXPECT_NEAR(made[i], expected[i], 1e-4 * (1 + std::fabs(expected[i])))
            << kernels_.name << " " << groups << " " << i;
      }
    }
    for (size_t i = 0; i < least.size(); ++i) {
      float nearest = kInfinity;
      for (size_t k = i % kSketchLanes; k < kSketchBlock; k += kSketchLanes) {
        nearest = std::min(nearest, made[i / kSketchLanes * kSketchBlock + k]);
      }
      EXPECT_EQ(least[i], nearest) << kernels_.name;
    }
  }
}

TEST_P(SketchKernelsTest, TablesAreWhatBitsAdd) {
  constexpr size_t kGroups = 37;
  std::vector<float> weights(6 * kGroups);
  for (float& weight : weights) weight = 7 * normal_(random_);
  std::vector<uint8_t> tables(kGroups * kGroupTable);
  kernels_.tables(weights.data(), kGroups, tables.data());
  for (size_t g = 0; g < kGroups; ++g) {
    for (size_t bits = 0; bits < 64; ++bits) {
      // From the least on.
      double sum = 0;
      for (size_t k = 0; k < 6; ++k) {
        const double weight = weights[6 * g + k];
        sum += ((bits >> k) & 1) != 0 ? std::max(weight, 0.0) : std::max(-weight, 0.0);
      }
      const uint8_t* const table = &tables[g * kGroupTable];
      EXPECT_NEAR(table[bits & 15] + table[16 + (bits >> 4)], sum, 1.01) << kernels_.name;
    }
  }
}

TEST_P(SketchKernelsTest, FindsWhatIsNear) {
  for (const size_t n : {64, 128, 64 * 64, 64 * 130}) {
    std::vector<float> values(n);
    for (float& value : values) value = normal_(random_);
    values[3] = kInfinity;
    for (const float bound : {-10.0f, -2.0f, 0.0f, values[n / 2], 10.0f}) {
      std::vector<uint32_t> at(n), expected(n);
      const size_t count = plain_.find_near(values.data(), n, bound, expected.data());
      EXPECT_EQ(kernels_.count_near(values.data(), n, bound), count) << kernels_.name;
      EXPECT_EQ(kernels_.find_near(values.data(), n, bound, at.data()), count);
      at.resize(count);
      expected.resize(count);
      EXPECT_EQ(at, expected) << kernels_.name << " " << n << " " << bound;
    }
    float least, greatest, expected_least, expected_greatest;
    kernels_.range(values.data(), n, &least, &greatest);
    plain_.range(values.data(), n, &expected_least, &expected_greatest);
    EXPECT_EQ(least, expected_least);
    EXPECT_EQ(greatest, expected_greatest);
    EXPECT_LT(greatest, kInfinity);
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

  std::mt19937_64 random_{2};
  std::normal_distribution<float> normal_;
};

// What sketches tell differs from the distance by about the same for all, and leans to no side.
TEST_F(SketchesTest, TellHowFarVectorsAre) {
  constexpr size_t kVectors = 1500;
  for (const Metric metric : {Metric::kCosine, Metric::kL2, Metric::kDot}) {
    for (const int bits : {1, 2}) {
      for (const size_t dimension : {5, 100, 128, 300}) {
        std::vector<std::vector<float>> vectors;
        std::vector<float> mean(dimension);
        for (size_t i = 0; i < kVectors; ++i) {
          vectors.push_back(Random(dimension, metric == Metric::kCosine));
          for (size_t d = 0; d < dimension; ++d) mean[d] += vectors.back()[d] / kVectors;
        }
        const SketchCodec codec(metric, dimension, bits, mean);
        Sketches sketches(codec);
        for (size_t i = 0; i < kVectors; ++i) ASSERT_TRUE(sketches.Write(i, vectors[i].data()));
        SketchQuery query;
        Sketches::Scratch scratch;
        scratch.masks.assign(sketches.end() / 64, ~uint64_t{0});
        double spread = 0, error = 0;
        for (int q = 0; q < 5; ++q) {
          const std::vector<float> asking = Random(dimension, metric == Metric::kCosine);
          codec.Prepare(asking.data(), &query);
          // As many as there are: all of them, and not what was never written.
          ASSERT_EQ(sketches.FindNear(query, 5000, &scratch), kVectors);
          double sum = 0, squares = 0, told = 0, told_squares = 0, both = 0;
          for (size_t i = 0; i < kVectors; ++i) {
            const double distance = Distance(metric, asking, vectors[i]);
            const double estimate = scratch.distances[i];
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
              << dimension << " " << bits;
          spread += variance;
          error += variance + told_squares / n - told / n * (told / n) - 2 * covariance;
        }
        // Of normally distributed components, whose distances lie close together.
        EXPECT_LT(error, (bits == 1 ? 0.8 : 0.2) * spread) << dimension << " " << bits;
      }
    }
  }
}

TEST_F(SketchesTest, TheNearestAreFoundFirst) {
  constexpr size_t kDimension = 64;
  const SketchCodec codec(Metric::kL2, kDimension, 2, {});
  Sketches sketches(codec);
  std::vector<std::vector<float>> vectors;
  for (size_t i = 0; i < 3000; ++i) {
    vectors.push_back(Random(kDimension, false));
    ASSERT_TRUE(sketches.Write(i, vectors.back().data()));
  }
  SketchQuery query;
  codec.Prepare(vectors[77].data(), &query);
  Sketches::Scratch scratch;
  scratch.masks.assign(sketches.end() / 64, ~uint64_t{0});
  for (const size_t count : {1, 10, 100, 1000}) {
    const size_t found = sketches.FindNear(query, count, &scratch);
    ASSERT_GE(found, count);
    ASSERT_LE(found, 2 * count);
    std::vector<uint32_t> near(scratch.near.begin(),
                               scratch.near.begin() + static_cast<ptrdiff_t>(found));
    EXPECT_EQ(std::count(near.begin(), near.end(), 77u), 1);
    // No other is nearer than any of them.
    float farthest = -kInfinity;
    for (const uint32_t each : near) farthest = std::max(farthest, scratch.distances[each]);
    std::sort(near.begin(), near.end());
    for (uint32_t i = 0; i < 3000; ++i) {
      if (std::binary_search(near.begin(), near.end(), i)) continue;
      EXPECT_GE(scratch.distances[i], farthest) << i;
    }
  }
  // What is not looked for is not found.
  scratch.masks[1] = 0;
  const size_t found = sketches.FindNear(query, 10, &scratch);
  for (size_t i = 0; i < found; ++i) EXPECT_NE(scratch.near[i] / 64, 1u);
  scratch.masks.assign(scratch.masks.size(), 0);
  EXPECT_EQ(sketches.FindNear(query, 10, &scratch), 0u);
}

TEST_F(SketchesTest, ManyThatAreTheSameAreNotAllFound) {
  const SketchCodec codec(Metric::kCosine, 32, 1, {});
  Sketches sketches(codec);
  const std::vector<float> same = Random(32, true), other = Random(32, true);
  for (size_t i = 0; i < 2000; ++i) ASSERT_TRUE(sketches.Write(i, same.data()));
  ASSERT_TRUE(sketches.Write(1999, other.data()));
  SketchQuery query;
  codec.Prepare(other.data(), &query);
  Sketches::Scratch scratch;
  scratch.masks.assign(sketches.end() / 64, ~uint64_t{0});
  const size_t found = sketches.FindNear(query, 20, &scratch);
  EXPECT_EQ(found, 20u);
  EXPECT_EQ(std::count(scratch.near.begin(), scratch.near.begin() + 20, 1999u), 1);
}

TEST_F(SketchesTest, CopiesAreTheirOwn) {
  const SketchCodec codec(Metric::kCosine, 32, 1, {});
  Sketches first(codec);
  const std::vector<float> a = Random(32, true), b = Random(32, true);
  // The first chunk is empty.
  ASSERT_TRUE(first.Write(Sketches::kChunk + 5, a.data()));
  Sketches second = first;
  ASSERT_TRUE(second.Write(Sketches::kChunk + 5, b.data()));
  ASSERT_TRUE(second.Write(2, a.data()));
  SketchQuery query;
  codec.Prepare(a.data(), &query);
  Sketches::Scratch scratch;
  scratch.masks.assign(first.end() / 64, ~uint64_t{0});
  ASSERT_EQ(first.FindNear(query, 3, &scratch), 1u);
  EXPECT_EQ(scratch.near[0], Sketches::kChunk + 5);
  const float near = scratch.distances[Sketches::kChunk + 5];
  ASSERT_EQ(second.FindNear(query, 3, &scratch), 2u);
  EXPECT_EQ(scratch.distances[2], near);
  EXPECT_GT(scratch.distances[Sketches::kChunk + 5], near);
  EXPECT_EQ(first.Bytes(), second.Bytes());
}

// A query at the centre is as far from all by what is known of it.
TEST_F(SketchesTest, QueriesMayBeTheCentre) {
  for (const Metric metric : {Metric::kCosine, Metric::kL2, Metric::kDot}) {
    const std::vector<float> centre = Random(48, true);
    const SketchCodec codec(metric, 48, 1, centre);
    Sketches sketches(codec);
    ASSERT_TRUE(sketches.Write(0, centre.data()));
    ASSERT_TRUE(sketches.Write(1, Random(48, true).data()));
    SketchQuery query;
    codec.Prepare(centre.data(), &query);
    Sketches::Scratch scratch;
    scratch.masks.assign(sketches.end() / 64, ~uint64_t{0});
    EXPECT_EQ(sketches.FindNear(query, 5, &scratch), 2u);
    EXPECT_TRUE(std::isfinite(scratch.distances[0]));
  }
}

}  // namespace
}  // namespace cookix::engine
