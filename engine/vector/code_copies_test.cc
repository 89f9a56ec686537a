// Copies against the codes that they are of, for every codec and every table of kernels.
#include "engine/vector/code_copies.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/vector/kernels.h"
#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

using Case = std::tuple<Metric, Quantization>;

class CodeCopiesTest : public testing::TestWithParam<Case> {
 protected:
  Metric metric() const { return std::get<0>(GetParam()); }
  Quantization quantization() const { return std::get<1>(GetParam()); }
  size_t bytes_of_vector(size_t dimension) const {
    return metric() == Metric::kHamming ? (dimension + 7) / 8 : sizeof(float) * dimension;
  }

  // As many bytes as a vector has; the later, the longer.
  std::vector<uint8_t> Random(size_t dimension, float length) {
    std::vector<uint8_t> vector(bytes_of_vector(dimension));
    if (metric() == Metric::kHamming) {
      for (uint8_t& byte : vector) byte = static_cast<uint8_t>(random_());
      return vector;
    }
    std::vector<float> values(dimension);
    for (float& x : values) x = length * normal_(random_);
    const auto* const first = reinterpret_cast<const uint8_t*>(values.data());
    std::copy_n(first, vector.size(), vector.begin());
    return vector;
  }

  std::mt19937_64 random_{1};
  std::normal_distribution<float> normal_;
};

INSTANTIATE_TEST_SUITE_P(Codecs, CodeCopiesTest,
                         testing::Values(Case{Metric::kCosine, Quantization::kInt8},
                                         Case{Metric::kL2, Quantization::kInt8},
                                         Case{Metric::kDot, Quantization::kInt8},
                                         Case{Metric::kL2, Quantization::kNone},
                                         Case{Metric::kCosine, Quantization::kBinary},
                                         Case{Metric::kHamming, Quantization::kBits}));

TEST_P(CodeCopiesTest, AreAsFarAsTheCodes) {
  constexpr Slot kSlots = 500;
  for (const Kernels& kernels : AllKernels()) {
    for (const size_t dimension : {1, 24, 64, 100, 200}) {
      std::vector<float> centre;
      if (quantization() == Quantization::kInt8) centre.assign(dimension, 0.25f);
      VectorStorage storage(
          VectorCodec::Make(metric(), quantization(), dimension, centre, kernels));
      ASSERT_TRUE(storage.Grow(kSlots));
      for (Slot slot = 0; slot < kSlots; ++slot) {
        storage.Write(slot, Random(dimension, static_cast<float>(slot)).data());
      }
      PreparedQuery query;
      storage.codec().PrepareQuery(Random(dimension, 1).data(), &query);
      for (const size_t count : {0, 1, 15, 16, 17, 64, 65, 130, 300}) {
        SlotBits slots(kSlots);
        while (slots.Count() < count) slots.Set(static_cast<Slot>(random_() % kSlots));
        const auto copies = CodeCopies::Make(storage, slots);
        ASSERT_NE(copies, nullptr);
        EXPECT_EQ(copies->storage(), &storage);
        EXPECT_EQ(copies->Bytes(), CodeCopies::Bytes(storage.codec(), count));
        ASSERT_EQ(copies->slots().size(), count);
        size_t seen = 0;
        constexpr size_t kAtOnce = 9 * kLanes;
        float distances[kAtOnce];
        while (seen < count) {
          const size_t n = copies->Distances(query, seen, kAtOnce, distances);
          ASSERT_EQ(n, std::min(kAtOnce, count - seen));
          for (size_t i = 0; i < n; ++i) {
            const Slot slot = copies->slots()[seen + i];
            EXPECT_TRUE(slots.Test(slot));
            EXPECT_TRUE(seen + i == 0 || copies->slots()[seen + i - 1] < slot);
            EXPECT_LE(storage.Params(slot).scale, copies->widest().scale);
            const float expected = storage.Distance(query, slot);
            // Sums of floats in another order; their parts may be far greater than they are.
            const double length = query.length * storage.Params(slot).scale * 127 *
                                  std::sqrt(static_cast<double>(dimension));
            EXPECT_NEAR(distances[i], expected, 1e-6 * (1 + std::fabs(expected) + length))
                << kernels.name << " " << dimension << " " << count << " " << i;
          }
          seen += n;
        }
      }
    }
  }
}

}  // namespace
}  // namespace cookix::engine
