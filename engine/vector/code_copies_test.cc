// Copies against the codes that they are of, for every codec and every table of kernels.
#include "engine/vector/code_copies.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
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
  // Of which as many as are halved, where they are.
  const bool halves = quantization() == Quantization::kInt8;
  const Slot all = halves ? 8300 : 500;
  constexpr size_t kAtOnce = 9 * kLanes;
  for (const Kernels& kernels : AllKernels()) {
    for (const size_t dimension : {1, 24, 64, 100, 200}) {
      std::vector<float> centre;
      if (quantization() == Quantization::kInt8) centre.assign(dimension, 0.25f);
      VectorStorage storage(
          VectorCodec::Make(metric(), quantization(), dimension, centre, kernels));
      ASSERT_TRUE(storage.Grow(all));
      for (Slot slot = 0; slot < all; ++slot) {
        storage.Write(slot, Random(dimension, static_cast<float>(slot)).data());
      }
      PreparedQuery query;
      storage.codec().PrepareQuery(Random(dimension, 1).data(), &query);
      for (const size_t count : {size_t{0}, size_t{1}, size_t{15}, size_t{16}, size_t{17},
                                 size_t{130}, size_t{all - 100}}) {
        SlotBits slots(all);
        while (slots.Count() < count) slots.Set(static_cast<Slot>(random_() % all));
        const auto copies = CodeCopies::Make(storage, slots);
        ASSERT_NE(copies, nullptr);
        EXPECT_EQ(copies->storage(), &storage);
        EXPECT_EQ(copies->Bytes(), CodeCopies::Bytes(storage.codec(), count));
        ASSERT_EQ(copies->slots().size(), count);
        EXPECT_EQ(copies->halved() != nullptr, halves && count > 8000);
        std::vector<float> distances(count + kLanes);
        std::vector<uint32_t> places(count);
        std::iota(places.begin(), places.end(), 0u);
        for (size_t begin = 0; begin < count; begin += kAtOnce) {
          const size_t some = std::min(kAtOnce, count - begin);
          float* const from = &distances[begin];
          if (const HalvedCodes* const halved = copies->halved(); halved != nullptr) {
            const HalvedQuery halved_query = halved->Prepare(storage.codec().LaneQueryOf(query));
            halved->Distances(halved_query, begin, some, from);
            halved->Complete(halved_query, &places[begin], some, from);
          } else {
            copies->Distances(query, begin, some, from);
          }
        }
        for (size_t i = 0; i < count; ++i) {
          const Slot slot = copies->slots()[i];
          EXPECT_TRUE(slots.Test(slot));
          EXPECT_TRUE(i == 0 || copies->slots()[i - 1] < slot);
          EXPECT_EQ(copies->scale(i), storage.Params(slot).scale);
          EXPECT_LE(copies->scale(i), copies->widest().scale);
          const float expected = storage.Distance(query, slot);
          // Sums of floats in another order; their parts may be far greater than they are.
          const double length = query.length * storage.Params(slot).scale * 127 *
                                std::sqrt(static_cast<double>(dimension));
          EXPECT_NEAR(distances[i], expected, 1e-6 * (1 + std::fabs(expected) + length))
              << kernels.name << " " << dimension << " " << count << " " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace cookix::engine
