#include "engine/vector/cell_split.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

constexpr size_t kDimension = 8;

std::vector<float> Around(const std::vector<float>& centre, size_t count, float sigma,
                          uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0, sigma);
  std::vector<float> values;
  for (size_t i = 0; i < count * kDimension; ++i) {
    values.push_back(centre[i % kDimension] + normal(random));
  }
  return values;
}

TEST(CellSplitTest, ShapeIsMeanAndMeanSquaredDistance) {
  const std::vector<float> values = {0, 0, 2, 0, 2, 2, 0, 2};
  const CellShape shape = ShapeOf({values.data(), 4, 2});
  EXPECT_FLOAT_EQ(shape.mean[0], 1);
  EXPECT_FLOAT_EQ(shape.mean[1], 1);
  EXPECT_DOUBLE_EQ(shape.variance, 2);
  EXPECT_EQ(ShapeOf({values.data(), 1, 2}).variance, 0);
}

TEST(CellSplitTest, DriftIsTheAngle) {
  const std::vector<float> from = {2, 0};
  for (const double angle : {0.0, 1e-4, 0.03, 1.0, M_PI}) {
    const CellShape to{{static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))},
                       1};
    EXPECT_NEAR(Drift(Metric::kCosine, from, to), angle, 1e-5);
    EXPECT_NEAR(Drift(Metric::kDot, from, to), angle, 1e-5);
  }
  // For l2 the way, in standard deviations.
  EXPECT_NEAR(Drift(Metric::kL2, from, {{2, 0.5f}, 4}), 0.25, 1e-6);
  EXPECT_EQ(Drift(Metric::kL2, from, {{2, 0}, 0}), 0);
  EXPECT_GT(Drift(Metric::kL2, from, {{2, 1}, 0}), 1e6);
  EXPECT_NEAR(Drift(Metric::kCosine, from, {{0, 0}, 1}), M_PI, 1e-6);
}

TEST(CellSplitTest, CentroidsOfCosineHaveUnitLength) {
  EXPECT_EQ(CentroidOf(Metric::kL2, {3, 4}), (std::vector<float>{3, 4}));
  const std::vector<float> centroid = CentroidOf(Metric::kCosine, {3, 4});
  EXPECT_FLOAT_EQ(centroid[0], 0.6f);
  EXPECT_FLOAT_EQ(centroid[1], 0.8f);
  EXPECT_EQ(CentroidOf(Metric::kCosine, {0, 0}), (std::vector<float>{0, 0}));
}

TEST(CellSplitTest, FindsTwoClusters) {
  std::vector<float> a(kDimension, 0), b(kDimension, 0);
  a[0] = 1;
  b[1] = 1;
  std::vector<float> values = Around(a, 60, 0.05f, 1);
  const std::vector<float> second = Around(b, 30, 0.05f, 2);
  values.insert(values.end(), second.begin(), second.end());
  for (const Metric metric : {Metric::kCosine, Metric::kL2, Metric::kDot}) {
    const CellVectors vectors{values.data(), 90, kDimension};
    const Bisection halves = Bisect(metric, vectors);
    for (size_t i = 0; i < 90; ++i) {
      EXPECT_EQ(halves.side[i] == halves.side[0], i < 60) << i;
    }
    const CellShape& first = halves.shapes[halves.side[0]];
    EXPECT_NEAR(first.mean[0], 1, 0.05);
    EXPECT_LT(first.variance, ShapeOf(vectors).variance / 4);
    EXPECT_EQ(Bisect(metric, vectors).side, halves.side);
  }
}

// Whatever the vectors are, both sides get enough.
TEST(CellSplitTest, NoSideIsStarved) {
  const std::vector<float> equal(100 * kDimension, 1.0f);
  std::vector<float> outlier = Around(equal, 100, 0.01f, 3);
  std::fill(outlier.begin(), outlier.begin() + kDimension, -50.0f);
  for (const std::vector<float>& values : {equal, outlier}) {
    for (const size_t count : {2, 3, 7, 100}) {
      const Bisection halves = Bisect(Metric::kL2, {values.data(), count, kDimension});
      const auto ones =
          static_cast<size_t>(std::count(halves.side.begin(), halves.side.end(), uint8_t{1}));
      EXPECT_GE(ones, std::max<size_t>(1, count / 6));
      EXPECT_LE(ones, count - std::max<size_t>(1, count / 6));
      for (const CellShape& shape : halves.shapes) EXPECT_EQ(shape.mean.size(), kDimension);
    }
  }
}

}  // namespace
}  // namespace cookix::engine
