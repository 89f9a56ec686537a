// Every codec under every metric against distances of the vectors themselves.
#include "engine/vector/vector_codec.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "engine/vector/product_codec.h"
#include "engine/vector/rotation.h"
#include "engine/vector/vector_storage.h"
#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

using Floats = std::vector<float>;

double Dot(const Floats& a, const Floats& b) {
  double sum = 0;
  for (size_t d = 0; d < a.size(); ++d) sum += static_cast<double>(a[d]) * b[d];
  return sum;
}

double Distance(Metric metric, const Floats& a, const Floats& b) {
  if (metric == Metric::kL2) return Dot(a, a) + Dot(b, b) - 2 * Dot(a, b);
  return metric == Metric::kCosine ? 1 - Dot(a, b) : -Dot(a, b);
}

double Length(const Floats& a) { return std::sqrt(Dot(a, a)); }

Floats Minus(Floats a, const Floats& b) {
  for (size_t d = 0; d < a.size(); ++d) a[d] -= b[d];
  return a;
}

// One vector as a codec keeps it.
struct Kept {
  std::vector<uint8_t> code, residue;
  CodeParams params;
};

Kept Keep(const VectorCodec& codec, const Floats& vector) {
  Kept kept;
  // What is beyond is seen when it is written.
  kept.code.assign(codec.code_bytes() + 1, 0xa5);
  kept.residue.assign(codec.residue_bytes() + 1, 0xa5);
  codec.Encode(vector.data(), kept.code.data(), kept.residue.data(), &kept.params);
  EXPECT_EQ(kept.code.back(), 0xa5);
  EXPECT_EQ(kept.residue.back(), 0xa5);
  return kept;
}

class VectorCodecTest : public testing::TestWithParam<std::tuple<Metric, Quantization, size_t>> {
 protected:
  Metric metric() const { return std::get<0>(GetParam()); }
  Quantization quantization() const { return std::get<1>(GetParam()); }
  size_t dimension() const { return std::get<2>(GetParam()); }

  Floats Random(float offset = 1) {
    Floats vector(dimension());
    for (float& x : vector) x = offset + normal_(random_);
    if (metric() == Metric::kCosine) {
      const double length = Length(vector);
      for (float& x : vector) x = static_cast<float>(x / length);
    }
    return vector;
  }
  void SetUp() override {
    Floats centre(dimension());
    for (int i = 0; i < 300; ++i) {
      sample_.push_back(Random());
      for (size_t d = 0; d < dimension(); ++d) centre[d] += sample_.back()[d] / 300;
    }
    codec_ = Make(centre);
  }
  std::unique_ptr<const VectorCodec> Make(const Floats& centre) {
    if (quantization() != Quantization::kProduct) {
      return VectorCodec::Make(metric(), quantization(), dimension(), centre);
    }
    Floats all;
    for (const Floats& each : sample_) all.insert(all.end(), each.begin(), each.end());
    ProductTraining training(dimension(), centre, all.data(), sample_.size());
    while (training.Step()) {
    }
    return training.Finish(metric());
  }
  double Refined(const Floats& query, const Kept& kept) const {
    PreparedQuery prepared;
    codec_->PrepareQuery(query.data(), &prepared);
    return codec_->Refine(prepared, kept.code.data(), kept.residue.data(), kept.params);
  }
  double ByCode(const Floats& query, const Kept& kept) const {
    PreparedQuery prepared;
    codec_->PrepareQuery(query.data(), &prepared);
    const uint8_t* code = kept.code.data();
    const CodeParams* params = &kept.params;
    float distance = 0;
    codec_->Distances(prepared, &code, &params, 1, &distance);
    return distance;
  }
  // Of float arithmetic with vectors of such lengths.
  double Rounding(const Floats& a, const Floats& b) const {
    const double length = std::max({Length(a), Length(b), Length(codec_->centre())});
    return 2e-5 * length * length + 1e-30;
  }
  // Whether what the codec says of two vectors is within what it says itself, which is what
  // exact searches rely on.
  void ExpectWithinBounds(const Floats& query, const Floats& vector) {
    const Kept kept = Keep(*codec_, vector);
    PreparedQuery prepared;
    codec_->PrepareQuery(query.data(), &prepared);
    const float refined =
        codec_->Refine(prepared, kept.code.data(), kept.residue.data(), kept.params);
    ASSERT_TRUE(std::isfinite(refined));
    ASSERT_TRUE(std::isfinite(ByCode(query, kept)));
    EXPECT_NEAR(refined, Distance(metric(), query, vector),
                codec_->RefineError(prepared, kept.residue.data(), kept.params, refined) +
                    Rounding(query, vector));
  }

  std::mt19937_64 random_{3};
  std::normal_distribution<float> normal_;
  std::vector<Floats> sample_;
  std::unique_ptr<const VectorCodec> codec_;
};

TEST_P(VectorCodecTest, RefinedDistancesAreWithinTheirBounds) {
  for (int i = 0; i < 50; ++i) ExpectWithinBounds(Random(), Random());
  for (int i = 0; i < 10; ++i) {
    const Floats same = Random();
    ExpectWithinBounds(same, same);
  }
}

TEST_P(VectorCodecTest, RefinedDistancesAreGood) {
  double error = 0, size = 0;
  for (int i = 0; i < 100; ++i) {
    const Floats query = Random(), vector = Random();
    error += std::fabs(Refined(query, Keep(*codec_, vector)) - Distance(metric(), query, vector));
    size +=
        Length(Minus(query, codec_->centre().empty() ? Floats(dimension()) : codec_->centre())) *
        Length(Minus(vector, codec_->centre().empty() ? Floats(dimension()) : codec_->centre()));
  }
  // Of 16 bits a component; of 2 with product quantization, where few components have the same
  // few centroids.
  const double product = dimension() < 4 ? 0.5 : 0.25;
  EXPECT_LE(error / size, quantization() == Quantization::kProduct ? product : 2e-4);
}

TEST_P(VectorCodecTest, DistancesByCodeAreGood) {
  double error = 0, bias = 0, size = 0;
  for (int i = 0; i < 400; ++i) {
    const Floats query = Random(), vector = sample_[static_cast<size_t>(i) % sample_.size()];
    const double off = ByCode(query, Keep(*codec_, vector)) - Distance(metric(), query, vector);
    error += std::fabs(off);
    bias += off;
    size +=
        Length(Minus(query, codec_->centre().empty() ? Floats(dimension()) : codec_->centre())) *
        Length(Minus(vector, codec_->centre().empty() ? Floats(dimension()) : codec_->centre()));
  }
  // An estimate by 256 bits at least errs by about 1 / sqrt(256) of the product of the lengths,
  // and l2 has that twice.
  const double bound = quantization() == Quantization::kNone      ? 1e-5
                       : quantization() == Quantization::kInt8    ? 0.02
                       : quantization() == Quantization::kProduct ? 0.25
                                                                  : 0.12;
  EXPECT_LE(error / size, bound);
  EXPECT_LE(std::fabs(bias / size), bound / 4);
}

TEST_P(VectorCodecTest, DecodeGivesBackWhatIsKept) {
  for (int i = 0; i < 20; ++i) {
    const Floats vector = Random();
    const Kept kept = Keep(*codec_, vector);
    Floats decoded(dimension() + 1, 77);
    codec_->Decode(kept.code.data(), kept.residue.data(), kept.params, decoded.data());
    EXPECT_EQ(decoded.back(), 77);
    decoded.pop_back();
    if (quantization() == Quantization::kNone) {
      EXPECT_EQ(decoded, vector);
    } else if (quantization() == Quantization::kProduct) {
      EXPECT_LE(Length(Minus(decoded, vector)), kept.params.scale * 1.001 + 1e-5 * Length(vector));
    } else {
      float greatest = 0;
      const Floats rest = Minus(vector, codec_->centre());
      for (const float x : rest) greatest = std::max(greatest, std::fabs(x));
      for (size_t d = 0; d < dimension(); ++d) {
        EXPECT_NEAR(decoded[d], vector[d], greatest / 127 / 500 + 1e-6 * std::fabs(vector[d]));
      }
    }
    // What is kept of what was kept is the same, nearly.
    if (quantization() != Quantization::kProduct) {
      EXPECT_NEAR(Refined(vector, Keep(*codec_, decoded)), Refined(vector, kept),
                  2e-3 * (1 + Dot(vector, vector)));
    }
  }
}

TEST_P(VectorCodecTest, StoredVectorsAreComparedAlike) {
  double error = 0, size = 0;
  PreparedQuery prepared;
  for (int i = 0; i < 200; ++i) {
    const Floats a = sample_[random_() % 300], b = sample_[random_() % 300];
    const Kept x = Keep(*codec_, a), y = Keep(*codec_, b);
    const auto compare = [&](const Kept& from, const Kept& to) {
      codec_->PrepareCode(from.code.data(), from.residue.data(), from.params, &prepared);
      const uint8_t* code = prepared.by_residue ? to.residue.data() : to.code.data();
      const CodeParams* params = &to.params;
      float distance = 0;
      codec_->Distances(prepared, &code, &params, 1, &distance);
      return static_cast<double>(distance);
    };
    EXPECT_NEAR(compare(x, y), compare(y, x), Rounding(a, b));
    error += std::fabs(compare(x, y) - Distance(metric(), a, b));
    size += Length(Minus(a, codec_->centre().empty() ? Floats(dimension()) : codec_->centre())) *
            Length(Minus(b, codec_->centre().empty() ? Floats(dimension()) : codec_->centre()));
  }
  const double bound = quantization() == Quantization::kNone      ? 1e-5
                       : quantization() == Quantization::kProduct ? 0.35
                                                                  : 0.03;
  EXPECT_LE(error / size, bound);
}

TEST_P(VectorCodecTest, PreparingAgainLeavesNothing) {
  const Floats query = Random(), vector = Random();
  const Kept kept = Keep(*codec_, vector);
  const double expected = ByCode(query, kept);
  PreparedQuery prepared;
  const uint8_t* code = kept.code.data();
  const CodeParams* params = &kept.params;
  float distance = 0;
  codec_->PrepareCode(code, kept.residue.data(), kept.params, &prepared);
  codec_->PrepareQuery(query.data(), &prepared);
  codec_->Distances(prepared, &code, &params, 1, &distance);
  EXPECT_EQ(distance, expected);
}

TEST_P(VectorCodecTest, ManyAtOnceAreTheSame) {
  std::vector<Kept> kept;
  for (int i = 0; i < 150; ++i) kept.push_back(Keep(*codec_, Random()));
  std::vector<const uint8_t*> codes;
  std::vector<const CodeParams*> params;
  for (const Kept& each : kept) {
    codes.push_back(each.code.data());
    params.push_back(&each.params);
  }
  const Floats query = Random();
  PreparedQuery prepared;
  codec_->PrepareQuery(query.data(), &prepared);
  Floats distances(150);
  codec_->Distances(prepared, codes.data(), params.data(), 150, distances.data());
  for (size_t i = 0; i < 150; ++i) {
    EXPECT_FLOAT_EQ(distances[i], static_cast<float>(ByCode(query, kept[i])));
  }
}

TEST_P(VectorCodecTest, OddVectors) {
  Floats zero(dimension()), constant(dimension(), 1), spike(dimension());
  spike[dimension() / 2] = 1;
  if (metric() == Metric::kCosine) {
    for (float& x : constant) x = static_cast<float>(1 / std::sqrt(dimension()));
  }
  for (const Floats& a :
       {zero, constant, spike, codec_->centre().empty() ? zero : codec_->centre()}) {
    for (const Floats& b : {zero, constant, spike}) {
      ExpectWithinBounds(a, b);
      ExpectWithinBounds(b, Random());
    }
  }
  if (metric() == Metric::kCosine) return;
  for (const float scale : {1e-20f, 1e-10f, 1e10f, 1e12f}) {
    Floats a = Random(), b = Random();
    for (float& x : a) x *= scale;
    for (float& x : b) x *= scale;
    ExpectWithinBounds(a, b);
  }
}

TEST_P(VectorCodecTest, WithoutACentre) {
  codec_ = Make({});
  for (int i = 0; i < 20; ++i) ExpectWithinBounds(Random(0), Random(0));
}

TEST_P(VectorCodecTest, ModelsAreLoadedAgain) {
  std::string model;
  codec_->SaveModel(&model);
  const auto again = VectorCodec::LoadModel(metric(), quantization(), dimension(), model);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->quantization(), quantization());
  EXPECT_EQ(again->code_bytes() + again->residue_bytes(),
            VectorCodec::BytesPerVector(metric(), quantization(), dimension()));
  for (int i = 0; i < 5; ++i) {
    const Floats vector = Random();
    const Kept a = Keep(*codec_, vector), b = Keep(*again, vector);
    EXPECT_EQ(a.code, b.code);
    EXPECT_EQ(a.residue, b.residue);
    EXPECT_EQ(a.params.scale, b.params.scale);
    EXPECT_EQ(a.params.norm, b.params.norm);
  }
  // What cannot be.
  EXPECT_EQ(VectorCodec::LoadModel(metric(), quantization(), dimension(), model + "x"), nullptr);
  EXPECT_EQ(VectorCodec::LoadModel(metric(), quantization(), dimension(), model + "four"), nullptr);
  EXPECT_EQ(VectorCodec::LoadModel(Metric::kHamming, quantization(), dimension(), model), nullptr);
  EXPECT_EQ(VectorCodec::LoadModel(metric(), static_cast<Quantization>(9), dimension(), model),
            nullptr);
  if (quantization() == Quantization::kNone) return;
  EXPECT_EQ(VectorCodec::LoadModel(metric(), quantization(), dimension() + 8, model), nullptr);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::string bad = model;
  bad.replace(0, sizeof(nan), reinterpret_cast<const char*>(&nan), sizeof(nan));
  EXPECT_EQ(VectorCodec::LoadModel(metric(), quantization(), dimension(), bad), nullptr);
}

INSTANTIATE_TEST_SUITE_P(
    All, VectorCodecTest,
    testing::Combine(testing::Values(Metric::kCosine, Metric::kL2, Metric::kDot),
                     testing::Values(Quantization::kNone, Quantization::kInt8,
                                     Quantization::kProduct, Quantization::kBinary),
                     testing::Values(1, 3, 64, 100, 784)));

// Of the greatest dimension; little of it, for it takes time.
TEST(VectorCodecSizeTest, TheGreatestDimension) {
  constexpr size_t kDimension = 65'536;
  std::mt19937_64 random(5);
  std::normal_distribution<float> normal;
  std::vector<Floats> vectors(4, Floats(kDimension));
  for (Floats& vector : vectors) {
    for (float& x : vector) x = 1 + normal(random);
  }
  Floats centroids(kDimension * 256);
  for (float& x : centroids) x = normal(random);
  const Floats centre(kDimension, 1);
  std::string model(reinterpret_cast<const char*>(centre.data()), 4 * kDimension);
  model.append(reinterpret_cast<const char*>(centroids.data()), 4 * centroids.size());
  for (const Quantization quantization :
       {Quantization::kNone, Quantization::kInt8, Quantization::kProduct, Quantization::kBinary}) {
    const auto codec = quantization == Quantization::kProduct
                           ? VectorCodec::LoadModel(Metric::kL2, quantization, kDimension, model)
                           : VectorCodec::Make(Metric::kL2, quantization, kDimension, centre);
    ASSERT_NE(codec, nullptr);
    PreparedQuery query;
    codec->PrepareQuery(vectors[0].data(), &query);
    for (const Floats& vector : vectors) {
      const Kept kept = Keep(*codec, vector);
      const double truth = Distance(Metric::kL2, vectors[0], vector);
      const uint8_t* code = kept.code.data();
      const CodeParams* params = &kept.params;
      float distance = 0;
      codec->Distances(query, &code, &params, 1, &distance);
      // Two of such vectors are 2 * 65,536 apart. Product quantization is too far from the
      // vector itself by twice what the code lost.
      const double same = &vector == &vectors[0] && quantization == Quantization::kProduct
                              ? 2 * kept.params.scale * kept.params.scale
                              : 0;
      EXPECT_NEAR(
          distance, truth + same,
          quantization == Quantization::kNone || quantization == Quantization::kInt8 ? 100 : 4000);
      const float refined =
          codec->Refine(query, kept.code.data(), kept.residue.data(), kept.params);
      EXPECT_NEAR(refined, truth,
                  codec->RefineError(query, kept.residue.data(), kept.params, refined) + 2);
    }
  }
}

TEST(BitCodecTest, DistancesCountBits) {
  std::mt19937_64 random(6);
  for (const size_t dimension : {1, 3, 64, 100, 784, 65'536}) {
    const auto codec = VectorCodec::Make(Metric::kHamming, Quantization::kNone, dimension, {});
    const size_t bytes = (dimension + 7) / 8;
    EXPECT_TRUE(codec->exact());
    for (int i = 0; i < 20; ++i) {
      std::vector<uint8_t> a(bytes), b(bytes);
      uint32_t differ = 0;
      for (size_t d = 0; d < dimension; ++d) {
        const uint64_t bits = random();
        if ((bits & 1) != 0) a[d / 8] = static_cast<uint8_t>(a[d / 8] | 1 << (d % 8));
        if ((bits & 2) != 0) b[d / 8] = static_cast<uint8_t>(b[d / 8] | 1 << (d % 8));
        differ += (bits & 1) != (bits >> 1 & 1);
      }
      std::vector<uint8_t> code(codec->code_bytes()), back(bytes);
      CodeParams params;
      codec->Encode(b.data(), code.data(), nullptr, &params);
      PreparedQuery query;
      codec->PrepareQuery(a.data(), &query);
      EXPECT_EQ(codec->Refine(query, code.data(), nullptr, params), static_cast<float>(differ));
      codec->Decode(code.data(), nullptr, params, back.data());
      EXPECT_EQ(back, b);
    }
  }
}

TEST(RotationTest, KeepsLengthsAndSpreads) {
  std::mt19937_64 random(7);
  std::normal_distribution<float> normal;
  for (const size_t size : {1, 2, 3, 5, 64, 100, 256, 784, 1536}) {
    const Rotation rotation(size);
    Floats a(size), b(size), spike(size);
    for (float& x : a) x = normal(random);
    for (float& x : b) x = normal(random);
    spike[size / 3] = 1;
    const double dot = Dot(a, b), length = Length(a), other = Length(b);
    rotation.Apply(a.data());
    rotation.Apply(b.data());
    rotation.Apply(spike.data());
    EXPECT_NEAR(Length(a), length, 1e-5 * length);
    EXPECT_NEAR(Dot(a, b), dot, 1e-5 * length * other);
    EXPECT_NEAR(Length(spike), 1, 1e-5);
    if (size < 64) continue;
    for (const float x : spike) EXPECT_LT(std::fabs(x), 6 / std::sqrt(static_cast<float>(size)));
  }
}

TEST(ProductTrainingTest, FewPointsAreTheirOwnCentroids) {
  // Fewer different ones than there are centroids: nothing is lost.
  std::mt19937_64 random(8);
  constexpr size_t kDimension = 10, kCount = 2000;
  Floats vectors;
  for (size_t i = 0; i < kCount; ++i) {
    for (size_t d = 0; d < kDimension; ++d) vectors.push_back(static_cast<float>(random() % 3));
  }
  ProductTraining training(kDimension, {}, vectors.data(), kCount);
  while (training.Step()) {
  }
  const auto codec = training.Finish(Metric::kL2);
  EXPECT_EQ(codec->code_bytes(), 3u);
  EXPECT_EQ(codec->residue_bytes(), 0u);
  double lost = 0;
  for (size_t i = 0; i < kCount; ++i) {
    const auto from = vectors.begin() + static_cast<ptrdiff_t>(i * kDimension);
    lost += Keep(*codec, Floats(from, from + kDimension)).params.scale;
  }
  EXPECT_LT(lost / kCount, 0.05);
}

// Where a code has room behind its components its params lie there, and nothing changes by it.
TEST(VectorStorageTest, ParamsMayLieBehindTheirCode) {
  std::mt19937_64 random(9);
  std::normal_distribution<float> normal;
  for (const size_t dimension : {1, 55, 56, 57, 63, 64, 100, 120, 121}) {
    const auto codec = VectorCodec::Make(Metric::kL2, Quantization::kInt8, dimension, {});
    VectorStorage storage(VectorCodec::Make(Metric::kL2, Quantization::kInt8, dimension, {}));
    ASSERT_TRUE(storage.Grow(3));
    EXPECT_EQ(storage.spare_bytes(), codec->code_bytes() - dimension >= 8 ? 8u : 0u) << dimension;
    std::vector<std::vector<float>> vectors(3, std::vector<float>(dimension));
    for (std::vector<float>& vector : vectors) {
      for (float& x : vector) x = normal(random);
    }
    for (Slot slot = 0; slot < 3; ++slot) storage.Write(slot, vectors[slot].data());
    PreparedQuery query, of_stored, of_code;
    codec->PrepareQuery(vectors[0].data(), &query);
    for (Slot slot = 0; slot < 3; ++slot) {
      std::vector<uint8_t> code(codec->code_bytes()), residue(codec->residue_bytes());
      CodeParams params;
      codec->Encode(vectors[slot].data(), code.data(), residue.data(), &params);
      EXPECT_EQ(storage.Params(slot).scale, params.scale);
      EXPECT_EQ(storage.Params(slot).norm, params.norm);
      const uint8_t* const at = code.data();
      const CodeParams* const beside = &params;
      float expected;
      codec->Distances(query, &at, &beside, 1, &expected);
      EXPECT_EQ(storage.Distance(query, slot), expected) << dimension;
      EXPECT_EQ(storage.Refine(query, slot),
                codec->Refine(query, code.data(), residue.data(), params));
      storage.Prepare(slot, &of_stored);
      codec->PrepareCode(code.data(), residue.data(), params, &of_code);
      EXPECT_EQ(of_stored.code, of_code.code) << dimension;
      EXPECT_EQ(of_stored.sum, of_code.sum);
    }
  }
}

}  // namespace
}  // namespace cookix::engine
