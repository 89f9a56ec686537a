// Every table of kernels against plain loops, and those against what they are for.
#include "engine/vector/near_kernels.h"

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class NearKernelsTest : public testing::TestWithParam<size_t> {
 protected:
  const NearKernels plain_ = AllNearKernels()[0];
  const NearKernels kernels_ = AllNearKernels()[GetParam()];
  std::mt19937_64 random_{1};
  std::normal_distribution<float> normal_;
};

TEST_P(NearKernelsTest, BoundsLetThroughEnough) {
  const auto let_through = [](const std::vector<float>& values, float bound) {
    return static_cast<size_t>(
        std::count_if(values.begin(), values.end(), [&](float value) { return value <= bound; }));
  };
  for (const size_t n : {16, 64, 1024}) {
    std::vector<float> values(n);
    for (float& value : values) value = normal_(random_);
    values[5] = kInfinity;
    for (const size_t count : {size_t{1}, n / 4, n / 2, n - 1, n}) {
      const float bound = kernels_.bound(values.data(), n, count);
      const size_t found = let_through(values, bound);
      EXPECT_GE(found, std::min(count, n - 1));
      EXPECT_LE(found, count + std::max<size_t>(4, count / 5));
      EXPECT_LT(bound, kInfinity);
    }
    // However far apart they are.
    std::vector<float> far(n, 1);
    far[3] = -3e38f;
    far[4] = 3e38f;
    far[5] = kInfinity;
    EXPECT_LE(kernels_.bound(far.data(), n, n), 3e38f);
    EXPECT_LE(kernels_.bound(far.data(), n, n - 2), 3e38f);
    values.assign(n, 0.5f);
    EXPECT_EQ(kernels_.bound(values.data(), n, n / 2), 0.5f);
    values.assign(n, kInfinity);
    EXPECT_EQ(kernels_.bound(values.data(), n, 1), -kInfinity);
  }
  // Where a few are much less than the others, or much more.
  for (const float far : {-16'000.0f, -400.0f, 400.0f, 16'000.0f}) {
    constexpr size_t kMany = 16'384;
    std::vector<float> values(kMany);
    for (float& value : values) value = normal_(random_);
    for (size_t i = 0; i < 5; ++i) values[7 * i] = far;
    for (const size_t count : {10, 100}) {
      const size_t found = let_through(values, kernels_.bound(values.data(), kMany, count));
      EXPECT_GE(found, count);
      EXPECT_LE(found, 2 * count) << kernels_.name << " " << far;
    }
  }
}

TEST_P(NearKernelsTest, FindsWhatIsNear) {
  for (const size_t n : {16, 48, 64, 128, 64 * 64 + 32, 64 * 130}) {
    std::vector<float> values(n);
    for (float& value : values) value = normal_(random_);
    values[3] = kInfinity;
    for (const float bound : {-10.0f, -2.0f, 0.0f, values[n / 2], 10.0f}) {
      std::vector<uint32_t> at(n), expected(n);
      const size_t count = plain_.find_near(values.data(), n, bound, expected.data());
      EXPECT_EQ(kernels_.find_near(values.data(), n, bound, at.data()), count) << kernels_.name;
      at.resize(count);
      expected.resize(count);
      EXPECT_EQ(at, expected) << kernels_.name << " " << n << " " << bound;
      // The same, of some that have numbers.
      std::vector<float> kept = values;
      std::vector<uint32_t> numbers(n);
      for (size_t i = 0; i < n; ++i) numbers[i] = static_cast<uint32_t>(1000 + i);
      EXPECT_EQ(kernels_.keep_near(kept.data(), numbers.data(), n, bound), count);
      for (size_t i = 0; i < count; ++i) {
        EXPECT_EQ(numbers[i], 1000 + expected[i]) << kernels_.name << " " << n << " " << bound;
        EXPECT_EQ(kept[i], values[expected[i]]);
      }
    }
  }
}

TEST_P(NearKernelsTest, TellTheLeastOfGroups) {
  for (const size_t groups : {0, 1, 5}) {
    std::vector<float> values(groups * kNearGroup), least(groups * kNearLanes);
    for (float& value : values) value = normal_(random_);
    kernels_.least(values.data(), groups, least.data());
    for (size_t k = 0; k < least.size(); ++k) {
      float expected = kInfinity;
      for (size_t i = 0; i < kNearLanes; ++i) {
        const size_t at = k / kNearLanes * kNearGroup + i * kNearLanes + k % kNearLanes;
        expected = std::min(expected, values[at]);
      }
      EXPECT_EQ(least[k], expected) << kernels_.name;
    }
  }
}

// Whatever of them lies side by side.
TEST_P(NearKernelsTest, BoundsOfManyLetThroughEnough) {
  std::vector<float> room;
  for (const size_t n : {16, 320, 512, 10'000}) {
    std::vector<float> values(n);
    for (float& value : values) value = normal_(random_);
    for (const bool sorted : {false, true}) {
      if (sorted) std::sort(values.begin(), values.end());
      for (const size_t count : {1, 10, 182, 400}) {
        if (count > n) continue;
        const float bound = BoundOfMany(kernels_, values.data(), n, count, &room);
        const auto found = static_cast<size_t>(std::count_if(
            values.begin(), values.end(), [&](float value) { return value <= bound; }));
        EXPECT_GE(found, count) << kernels_.name << " " << n;
        // In order, all of the nearest groups are let through.
        EXPECT_LE(found, (sorted ? kNearLanes * count : 2 * count) + kNearGroup) << kernels_.name;
      }
    }
    // Where there are not as many.
    std::fill(values.begin() + 3, values.end(), kInfinity);
    EXPECT_LT(BoundOfMany(kernels_, values.data(), n, 10, &room), kInfinity);
  }
}

TEST(KeepNearTest, LeavesWhatMayBeNear) {
  std::vector<float> room;
  const auto keep = [&](size_t near, float of_scale, std::vector<float>* distances,
                        std::vector<uint32_t>* numbers) {
    const size_t count = distances->size();
    distances->resize(count + kNearLanes);
    numbers->resize(count + kNearLanes);
    const auto scale_of = [](uint32_t number) { return number == 190 ? 3.0f : 1.0f; };
    const size_t kept =
        KeepNear(near, of_scale, 3, scale_of, count, distances->data(), numbers->data(), &room);
    distances->resize(kept);
    numbers->resize(kept);
  };
  // The farther away, the less its number; 200 is the nearest.
  std::vector<float> far;
  std::vector<uint32_t> all;
  for (uint32_t number = 101; number <= 200; ++number) {
    all.push_back(number);
    far.push_back(static_cast<float>(200 - number));
  }
  std::vector<float> distances = far;
  std::vector<uint32_t> numbers = all;
  keep(3, 0, &distances, &numbers);
  ASSERT_GE(numbers.size(), 3u);
  EXPECT_LE(numbers.size(), 10u);
  for (size_t i = 0; i < numbers.size(); ++i) EXPECT_EQ(numbers[i] + distances[i], 200);
  // Each is wrong by as much as its scale.
  for (const float of_scale : {1.0f, 4.0f}) {
    distances = far;
    numbers = all;
    keep(3, of_scale, &distances, &numbers);
    for (const uint32_t number : all) {
      const float far_away = static_cast<float>(200 - number);
      const float wrong = of_scale * (number == 190 ? 3 : 1);
      const auto kept = std::count(numbers.begin(), numbers.end(), number);
      // The third nearest is at 2.
      if (far_away <= 2 + wrong) {
        EXPECT_EQ(kept, 1) << number;
      }
      // A few more than are wanted may count as near.
      if (far_away > 10 + wrong) {
        EXPECT_EQ(kept, 0) << number;
      }
    }
  }
  // There are no more, or none is nearer than another.
  for (const float of_scale : {0.0f, kInfinity}) {
    distances = far;
    numbers = all;
    keep(of_scale == 0 ? 100 : 3, of_scale, &distances, &numbers);
    EXPECT_EQ(numbers, all);
    EXPECT_EQ(distances, far);
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, NearKernelsTest,
                         testing::Range(size_t{0}, AllNearKernels().size()));

}  // namespace
}  // namespace cookix::engine
