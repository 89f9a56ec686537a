// Every table against plain loops, on random and on extreme inputs.
#include "engine/vector/kernels.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

// Bytes that begin `shift` bytes after an aligned address.
class Bytes {
 public:
  Bytes(size_t size, size_t shift) : data_(size + shift + 64), size_(size) {
    begin_ = (64 - reinterpret_cast<uintptr_t>(data_.data()) % 64) % 64 + shift;
    data_.resize(begin_ + size);
    begin_ = (64 - reinterpret_cast<uintptr_t>(data_.data()) % 64) % 64 + shift;
    data_.resize(begin_ + size);
  }
  uint8_t* get() { return data_.data() + begin_; }
  const uint8_t* get() const { return data_.data() + begin_; }
  int8_t* as_signed() { return reinterpret_cast<int8_t*>(get()); }
  void Fill(std::mt19937_64& random) {
    for (size_t i = 0; i < size_; ++i) get()[i] = static_cast<uint8_t>(random());
  }
  void Set(uint8_t value) { std::fill(get(), get() + size_, value); }

 private:
  std::vector<uint8_t> data_;
  size_t size_;
  size_t begin_ = 0;
};

class KernelsTest : public testing::TestWithParam<size_t> {
 protected:
  const Kernels plain_ = AllKernels()[0];
  const Kernels kernels_ = AllKernels()[GetParam()];
  std::mt19937_64 random_{1};
  std::normal_distribution<float> normal_;

  std::vector<float> Floats(size_t n, float scale = 1) {
    std::vector<float> values(n);
    for (float& x : values) x = scale * normal_(random_);
    return values;
  }
};

TEST_P(KernelsTest, HasAllFunctions) {
  EXPECT_NE(kernels_.name, nullptr);
  for (const bool there :
       {kernels_.dot_codes != nullptr, kernels_.lane_distances != nullptr,
        kernels_.upper_distances != nullptr, kernels_.lower_dots != nullptr,
        kernels_.dot != nullptr, kernels_.squares != nullptr, kernels_.subtract != nullptr,
        kernels_.multiply != nullptr, kernels_.squared_l2 != nullptr,
        kernels_.dot_refined != nullptr, kernels_.quantize != nullptr,
        kernels_.signed_code != nullptr, kernels_.hamming != nullptr, kernels_.dot_bits != nullptr,
        kernels_.affine_256 != nullptr, kernels_.least_256 != nullptr, kernels_.quads_l2 != nullptr,
        kernels_.quads_dot != nullptr}) {
    EXPECT_TRUE(there) << kernels_.name;
  }
}

TEST_P(KernelsTest, SubtractsAndMultipliesEachComponent) {
  for (size_t n = 0; n < 70; ++n) {
    const std::vector<float> a = Floats(n), b = Floats(n);
    // What lies behind stays as it is.
    std::vector<float> out(n + 1, 7);
    kernels_.subtract(a.data(), b.data(), n, out.data());
    for (size_t d = 0; d < n; ++d) EXPECT_EQ(out[d], a[d] - b[d]) << kernels_.name << " " << n;
    EXPECT_EQ(out[n], 7);
    kernels_.multiply(3, n, out.data());
    for (size_t d = 0; d < n; ++d) EXPECT_EQ(out[d], 3 * (a[d] - b[d])) << kernels_.name;
    EXPECT_EQ(out[n], 7);
    const double squares = kernels_.squares(a.data(), n);
    EXPECT_NEAR(squares, plain_.squares(a.data(), n), 1e-12 * (1 + squares)) << kernels_.name;
  }
  const std::vector<float> far(3, 3e38f);
  EXPECT_NEAR(kernels_.squares(far.data(), 3) / 2.7e77, 1, 1e-6);
}

TEST_P(KernelsTest, QuantizeRoundsToTheNearest) {
  for (const size_t n : {1, 3, 15, 16, 17, 64, 100, 784}) {
    for (const float scale : {1e-44f, 1e-30f, 1.0f, 1e30f}) {
      const std::vector<float> x = Floats(n, scale);
      std::vector<int8_t> steps(n), expected(n);
      int32_t sum = 0, expected_sum = 0;
      const float step = kernels_.quantize(x.data(), n, steps.data(), &sum);
      EXPECT_EQ(step, plain_.quantize(x.data(), n, expected.data(), &expected_sum));
      EXPECT_EQ(steps, expected) << kernels_.name << " " << n << " " << scale;
      EXPECT_EQ(sum, expected_sum);
      // Among the least of floats a step itself is rounded.
      if (scale < 1e-40f) continue;
      for (size_t d = 0; d < n; ++d) {
        EXPECT_LE(std::fabs(steps[d] * step - x[d]), step * 0.5001f) << kernels_.name << " " << n;
      }
    }
  }
}

TEST_P(KernelsTest, QuantizeRoundsHalvesToEven) {
  const std::vector<float> x = {127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, -127};
  std::vector<int8_t> steps(x.size());
  int32_t sum = 1;
  EXPECT_EQ(kernels_.quantize(x.data(), x.size(), steps.data(), &sum), 1);
  EXPECT_EQ(steps, (std::vector<int8_t>{127, 0, 2, 2, 0, -2, -2, -127}));
  EXPECT_EQ(sum, 0);
}

TEST_P(KernelsTest, QuantizesNothing) {
  const std::vector<float> x(40, 0.0f);
  std::vector<int8_t> steps(x.size(), 1);
  int32_t sum = 1;
  EXPECT_EQ(kernels_.quantize(x.data(), x.size(), steps.data(), &sum), 0);
  EXPECT_EQ(steps, std::vector<int8_t>(x.size(), 0));
  EXPECT_EQ(sum, 0);
}

TEST_P(KernelsTest, SignedCodesAreAroundTheMiddle) {
  for (const size_t n : {0, 1, 15, 16, 17, 64, 100, 784, 65'536}) {
    for (const bool greatest : {false, true}) {
      std::vector<uint8_t> code(n);
      for (uint8_t& c : code) c = greatest ? 255 : static_cast<uint8_t>(random_());
      // Nothing is written behind them.
      std::vector<int8_t> out(n + 1, 77);
      const int32_t sum = kernels_.signed_code(code.data(), n, out.data());
      int32_t expected = 0;
      for (size_t d = 0; d < n; ++d) {
        ASSERT_EQ(out[d], static_cast<int>(code[d]) - 128) << kernels_.name;
        expected += out[d];
      }
      EXPECT_EQ(sum, expected) << kernels_.name << " " << n;
      EXPECT_EQ(out[n], 77);
    }
  }
}

TEST_P(KernelsTest, DotCodesIsTheSum) {
  for (const size_t bytes : {64, 128, 192, 832, 4096}) {
    for (const size_t count : {1, 2, 3, 4, 5, 9}) {
      std::vector<Bytes> codes;
      std::vector<const uint8_t*> at;
      for (size_t i = 0; i < count; ++i) {
        codes.emplace_back(bytes, i % 3);
        codes.back().Fill(random_);
      }
      for (const Bytes& code : codes) at.push_back(code.get());
      Bytes query(bytes, count % 2);
      query.Fill(random_);
      std::vector<int32_t> sums(count);
      kernels_.dot_codes(at.data(), count, query.as_signed(), bytes, sums.data());
      for (size_t i = 0; i < count; ++i) {
        int32_t sum = 0;
        for (size_t d = 0; d < bytes; ++d) sum += at[i][d] * query.as_signed()[d];
        EXPECT_EQ(sums[i], sum) << kernels_.name << " " << bytes;
      }
    }
  }
}

TEST_P(KernelsTest, LaneDistancesAreOfTheSums) {
  for (const size_t bytes : {64, 128, 192, 832, 4096}) {
    for (const size_t blocks : {0, 1, 2, 5}) {
      // From an address that no vector instruction likes.
      Bytes lanes(blocks * kLanes * bytes, blocks % 3);
      lanes.Fill(random_);
      Bytes code(bytes, blocks % 2);
      code.Fill(random_);
      std::vector<LaneParams> params(blocks);
      for (LaneParams& each : params) {
        for (float& x : each.scales) x = std::fabs(normal_(random_));
        for (float& x : each.norms) x = normal_(random_);
      }
      LaneQuery query;
      query.code = code.as_signed();
      query.sum = static_cast<int32_t>(random_() % 100'000) - 50'000;
      query.base = 3;
      query.norm_factor = -2;
      query.dot_factor = 0.001f;
      std::vector<float> out(blocks * kLanes + 1, 7);
      kernels_.lane_distances(query, lanes.get(), params.data(), blocks, bytes, out.data());
      for (size_t i = 0; i < blocks * kLanes; ++i) {
        const uint8_t* const block = lanes.get() + i / kLanes * kLanes * bytes;
        int32_t dot = 0;
        for (size_t d = 0; d < bytes; ++d) {
          const size_t four = d / kLaneBytes * kLanes + i % kLanes;
          dot += block[four * kLaneBytes + d % kLaneBytes] * code.as_signed()[d];
        }
        const double scale = params[i / kLanes].scales[i % kLanes];
        const double norm = params[i / kLanes].norms[i % kLanes];
        const double part = double{query.dot_factor} * scale * (dot - query.sum);
        EXPECT_NEAR(out[i], 3 - 2 * norm - part, 1e-6 * (3 + std::fabs(2 * norm) + std::fabs(part)))
            << kernels_.name << " " << bytes << " " << i;
      }
      EXPECT_EQ(out.back(), 7);
    }
  }
}

TEST_P(KernelsTest, LaneDistancesHoldTheGreatestSums) {
  constexpr size_t kBytes = 65'536;
  Bytes lanes(kLanes * kBytes, 0), code(kBytes, 0);
  LaneParams params;
  std::fill_n(params.scales, kLanes, 1.0f);
  for (const int c : {0, 1, 128, 255}) {
    for (const int q : {-127, -1, 0, 127}) {
      lanes.Set(static_cast<uint8_t>(c));
      code.Set(static_cast<uint8_t>(q));
      LaneQuery query;
      query.code = code.as_signed();
      query.dot_factor = -1;
      float out[kLanes];
      kernels_.lane_distances(query, lanes.get(), &params, 1, kBytes, out);
      for (const float distance : out) {
        EXPECT_EQ(distance, static_cast<float>(int64_t{c} * q * int64_t{kBytes})) << kernels_.name;
      }
    }
  }
}

// Of byte d of a code whose upper halves are in lanes.
int UpperHalf(const uint8_t* lanes, size_t bytes, size_t code, size_t d) {
  const uint8_t* const block = lanes + code / kLanes * kLanes * bytes / 2;
  const size_t four = d / 8 * kLanes + code % kLanes;
  return d % 8 < 4 ? block[four * 4 + d % 4] & 15 : block[four * 4 + d % 4] >> 4;
}

TEST_P(KernelsTest, UpperDistancesAreOfTheSums) {
  for (const size_t bytes : {64, 128, 192, 832, 4096}) {
    for (const size_t blocks : {0, 1, 2, 5}) {
      Bytes lanes(blocks * kLanes * bytes / 2, blocks % 3);
      lanes.Fill(random_);
      Bytes code(bytes, blocks % 2);
      code.Fill(random_);
      std::vector<LaneParams> params(blocks);
      for (LaneParams& each : params) {
        for (float& x : each.scales) x = std::fabs(normal_(random_));
        for (float& x : each.norms) x = normal_(random_);
      }
      LaneQuery query;
      query.code = code.as_signed();
      query.sum = static_cast<int32_t>(random_() % 100'000) - 50'000;
      query.base = 3;
      query.norm_factor = -2;
      query.dot_factor = 0.001f;
      std::vector<float> out(blocks * kLanes + 1, 7);
      kernels_.upper_distances(query, lanes.get(), params.data(), blocks, bytes, out.data());
      for (size_t i = 0; i < blocks * kLanes; ++i) {
        int32_t dot = 0;
        for (size_t d = 0; d < bytes; ++d) {
          dot += 16 * UpperHalf(lanes.get(), bytes, i, d) * code.as_signed()[d];
        }
        const double scale = params[i / kLanes].scales[i % kLanes];
        const double norm = params[i / kLanes].norms[i % kLanes];
        const double part = double{query.dot_factor} * scale * (dot - query.sum);
        EXPECT_NEAR(out[i], 3 - 2 * norm - part, 1e-6 * (3 + std::fabs(2 * norm) + std::fabs(part)))
            << kernels_.name << " " << bytes << " " << i;
      }
      EXPECT_EQ(out.back(), 7);
    }
  }
}

TEST_P(KernelsTest, LowerDotsAreTheSums) {
  for (const size_t bytes : {64, 128, 192, 832, 4096}) {
    constexpr size_t kCodes = 9;
    const size_t half = bytes / 2;
    Bytes lower(kCodes * half, 1);
    lower.Fill(random_);
    Bytes query(bytes, 3);
    query.Fill(random_);
    for (size_t count = 0; count <= 2 * kCodes; ++count) {
      std::vector<uint32_t> numbers(count);
      for (uint32_t& number : numbers) number = random_() % kCodes;
      std::vector<int32_t> dots(count + 1, 7);
      kernels_.lower_dots(lower.get(), numbers.data(), count, query.as_signed(), bytes,
                          dots.data());
      for (size_t i = 0; i < count; ++i) {
        int32_t dot = 0;
        for (size_t d = 0; d < bytes; ++d) {
          const uint8_t both = lower.get()[numbers[i] * half + d % half];
          dot += (d < half ? both & 15 : both >> 4) * query.as_signed()[d];
        }
        EXPECT_EQ(dots[i], dot) << kernels_.name << " " << bytes << " " << i;
      }
      EXPECT_EQ(dots.back(), 7);
    }
  }
}

TEST_P(KernelsTest, HalvesHoldTheGreatestSums) {
  constexpr size_t kBytes = 65'536;
  Bytes halves(kLanes * kBytes / 2, 0), code(kBytes, 0);
  LaneParams params;
  std::fill_n(params.scales, kLanes, 1.0f);
  for (const int both : {0, 0x11, 0x88, 0xff}) {
    for (const int q : {-127, -1, 0, 127}) {
      halves.Set(static_cast<uint8_t>(both));
      code.Set(static_cast<uint8_t>(q));
      const int64_t sum = int64_t{both & 15} * q * int64_t{kBytes};
      LaneQuery query;
      query.code = code.as_signed();
      query.dot_factor = -1;
      float out[kLanes];
      kernels_.upper_distances(query, halves.get(), &params, 1, kBytes, out);
      for (const float distance : out) {
        EXPECT_EQ(distance, static_cast<float>(16 * sum)) << kernels_.name;
      }
      const uint32_t number = 3;
      int32_t dot = 0;
      kernels_.lower_dots(halves.get(), &number, 1, code.as_signed(), kBytes, &dot);
      EXPECT_EQ(dot, sum) << kernels_.name;
    }
  }
}

TEST_P(KernelsTest, DotCodesHoldsTheGreatestSums) {
  constexpr size_t kBytes = 65'536;
  Bytes code(kBytes, 0), query(kBytes, 0);
  for (const int c : {0, 1, 128, 255}) {
    for (const int q : {-127, -1, 0, 127}) {
      code.Set(static_cast<uint8_t>(c));
      query.Set(static_cast<uint8_t>(q));
      const uint8_t* at = code.get();
      int32_t sum = 0;
      kernels_.dot_codes(&at, 1, query.as_signed(), kBytes, &sum);
      EXPECT_EQ(sum, int64_t{c} * q * int64_t{kBytes}) << kernels_.name;
    }
  }
}

TEST_P(KernelsTest, HammingCountsBits) {
  for (size_t bytes = 1; bytes <= 300; ++bytes) {
    for (const size_t shift : {0, 1, 7}) {
      Bytes a(bytes, shift), b(bytes, 3);
      a.Fill(random_);
      b.Fill(random_);
      uint32_t count = 0;
      for (size_t i = 0; i < bytes; ++i) {
        count +=
            static_cast<uint32_t>(std::popcount(static_cast<unsigned>(a.get()[i] ^ b.get()[i])));
      }
      EXPECT_EQ(kernels_.hamming(a.get(), b.get(), bytes), count) << kernels_.name << " " << bytes;
    }
  }
  Bytes none(65'536, 0), all(65'536, 1);
  none.Set(0);
  all.Set(255);
  EXPECT_EQ(kernels_.hamming(none.get(), all.get(), 65'536), 8u * 65'536);
  EXPECT_EQ(kernels_.hamming(all.get(), all.get(), 65'536), 0u);
}

TEST_P(KernelsTest, DotBitsIsTheSum) {
  for (const size_t bytes : {32, 64, 96, 128, 256, 8192, 65'536}) {
    const size_t bits = 8 * bytes;
    for (int extreme = 0; extreme < 4; ++extreme) {
      std::vector<int> values(bits);
      Bytes planes(kPlanes * bytes, 1);
      planes.Set(0);
      for (size_t d = 0; d < bits; ++d) {
        const int greatest = (1 << (kPlanes - 1)) - 1;
        values[d] = extreme == 1   ? greatest
                    : extreme == 2 ? -greatest - 1
                                   : static_cast<int>(random_() % (1 << kPlanes)) - greatest - 1;
        for (int p = 0; p < kPlanes; ++p) {
          uint8_t& byte = planes.get()[static_cast<size_t>(p) * bytes + d / 8];
          byte = static_cast<uint8_t>(byte | ((values[d] >> p) & 1) << (d % 8));
        }
      }
      Bytes code(bytes, 5), second(bytes, 0);
      code.Fill(random_);
      second.Set(255);
      const uint8_t* const codes[] = {code.get(), second.get()};
      int32_t sums[2];
      kernels_.dot_bits(codes, 2, planes.get(), bytes, sums);
      for (int i = 0; i < 2; ++i) {
        int32_t sum = 0;
        for (size_t d = 0; d < bits; ++d) {
          if ((codes[i][d / 8] >> (d % 8) & 1) != 0) sum += values[d];
        }
        EXPECT_EQ(sums[i], sum) << kernels_.name << " " << bytes;
      }
    }
  }
}

// Float sums may be added in any order.
void ExpectClose(double value, double truth, double size, const char* name, size_t n) {
  EXPECT_NEAR(value, truth, 1e-6 * size + 1e-30) << name << " " << n;
}

TEST_P(KernelsTest, FloatSumsAreClose) {
  for (size_t n = 1; n <= 300; ++n) {
    for (const float scale : {1e-15f, 1.0f, 1e15f}) {
      // From an address that no vector instruction likes.
      std::vector<float> a = Floats(n + 1, scale), b = Floats(n + 3, scale);
      const float* x = a.data() + 1;
      const float* y = b.data() + 3;
      double dot = 0, size = 0, square = 0;
      for (size_t d = 0; d < n; ++d) {
        const double difference = static_cast<double>(x[d]) - y[d];
        dot += static_cast<double>(x[d]) * y[d];
        size += std::fabs(static_cast<double>(x[d]) * y[d]);
        square += difference * difference;
      }
      ExpectClose(kernels_.dot(x, y, n), dot, size, kernels_.name, n);
      ExpectClose(kernels_.squared_l2(x, y, n), square, square, kernels_.name, n);
    }
  }
}

TEST_P(KernelsTest, RefinedSumsAreClose) {
  for (size_t n = 1; n <= 300; ++n) {
    Bytes code(n, 1), residue(n, 2);
    code.Fill(random_);
    residue.Fill(random_);
    if (n % 10 == 0) code.Set(255);
    if (n % 10 == 1) residue.Set(0);
    const std::vector<float> query = Floats(n + 1);
    const float* q = query.data() + 1;
    double sum = 0, size = 0;
    for (size_t d = 0; d < n; ++d) {
      const double term = q[d] * (254.0 * (code.get()[d] - 128) + (residue.get()[d] - 128));
      sum += term;
      size += std::fabs(term);
    }
    ExpectClose(kernels_.dot_refined(code.get(), residue.get(), q, n), sum, size, kernels_.name, n);
  }
}

TEST_P(KernelsTest, AffineAndLeast) {
  for (int round = 0; round < 100; ++round) {
    const std::vector<float> base = Floats(257), columns = Floats(1027), x = Floats(4);
    std::vector<float> out(258);
    kernels_.affine_256(base.data() + 1, columns.data() + 3, x.data(), out.data() + 1);
    EXPECT_EQ(out[0], 0);
    EXPECT_EQ(out[257], 0);
    for (size_t k = 0; k < 256; ++k) {
      double sum = base[k + 1], size = std::fabs(base[k + 1]);
      for (size_t j = 0; j < 4; ++j) {
        const double term = static_cast<double>(x[j]) * columns[3 + 256 * j + k];
        sum += term;
        size += std::fabs(term);
      }
      ExpectClose(out[k + 1], sum, size, kernels_.name, k);
    }
    EXPECT_EQ(kernels_.least_256(out.data() + 1), plain_.least_256(out.data() + 1));
  }
  // The first of several, wherever it is.
  std::vector<float> values(256, 5);
  EXPECT_EQ(kernels_.least_256(values.data()), 0u);
  for (size_t k = 256; k-- > 0;) {
    values[k] = -3;
    EXPECT_EQ(kernels_.least_256(values.data()), k);
  }
}

TEST_P(KernelsTest, QuadSumsAreClose) {
  constexpr size_t kQuads = 75;
  const std::vector<float> centroids = Floats(4 * 256 * kQuads + 1);
  for (size_t quads = 1; quads <= kQuads; ++quads) {
    Bytes code(quads, 1);
    code.Fill(random_);
    if (quads % 10 == 0) code.Set(255);
    const std::vector<float> query = Floats(4 * quads + 1);
    double square = 0, dot = 0, size = 0;
    for (size_t d = 0; d < 4 * quads; ++d) {
      const double q = query[d + 1];
      const double c = centroids[1 + 4 * (256 * (d / 4) + code.get()[d / 4]) + d % 4];
      square += (q - c) * (q - c);
      dot += q * c;
      size += std::fabs(q * c);
    }
    ExpectClose(kernels_.quads_l2(query.data() + 1, centroids.data() + 1, code.get(), quads),
                square, square, kernels_.name, quads);
    ExpectClose(kernels_.quads_dot(query.data() + 1, centroids.data() + 1, code.get(), quads), dot,
                size, kernels_.name, quads);
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, KernelsTest, testing::Range<size_t>(0, AllKernels().size()));

}  // namespace
}  // namespace cookix::engine
