#include "engine/vector/vector_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace cookix::engine {
namespace {

size_t Padded(size_t bytes) {
  return (bytes + kCodeAlignment - 1) / kCodeAlignment * kCodeAlignment;
}

// ---- int8 -------------------------------------------------------------------

class Int8Codec final : public VectorCodec {
 public:
  Int8Codec(Metric metric, size_t dimension, std::vector<float> centre, const Kernels& kernels)
      : VectorCodec(metric, Quantization::kInt8, dimension, Padded(dimension), dimension,
                    std::move(centre), kernels) {
    double sum = 0;
    for (const float x : centre_) sum += static_cast<double>(x) * x;
    centre_norm_ = static_cast<float>(sum);
  }

  void Encode(const void* vector, uint8_t* code, uint8_t* residue,
              CodeParams* params) const override {
    const auto* v = static_cast<const float*>(vector);
    float greatest = 0;
    for (size_t d = 0; d < dimension_; ++d) greatest = std::max(greatest, std::fabs(At(v, d)));
    const float scale = greatest / 127;
    const float inverse = scale > 0 ? 1 / scale : 0;
    double norm = 0;
    for (size_t d = 0; d < dimension_; ++d) {
      const float x = At(v, d);
      const float steps = x * inverse;
      const float c = std::clamp(std::nearbyint(steps), -127.0f, 127.0f);
      const float r = std::clamp(std::nearbyint((steps - c) * 254), -127.0f, 127.0f);
      code[d] = static_cast<uint8_t>(static_cast<int>(c) + 128);
      residue[d] = static_cast<uint8_t>(static_cast<int>(r) + 128);
      const float kept = scale * (c + r / 254);
      norm += static_cast<double>(kept) * Factor(kept, d);
    }
    // A component that is 0 whatever it is multiplied with.
    for (size_t d = dimension_; d < code_bytes_; ++d) code[d] = 128;
    params->scale = scale;
    params->norm = static_cast<float>(norm);
  }

  void PrepareQuery(const void* vector, PreparedQuery* query) const override {
    const auto* v = static_cast<const float*>(vector);
    query->values.resize(dimension_);
    query->code.assign(code_bytes_, 0);
    float greatest = 0;
    double norm = 0;
    for (size_t d = 0; d < dimension_; ++d) {
      const float x = At(v, d);
      query->values[d] = x;
      greatest = std::max(greatest, std::fabs(x));
      norm += static_cast<double>(x) * Factor(x, d);
    }
    query->scale = greatest / 127;
    query->norm = static_cast<float>(norm);
    const float inverse = query->scale > 0 ? 1 / query->scale : 0;
    int32_t sum = 0;
    for (size_t d = 0; d < dimension_; ++d) {
      const auto c = static_cast<int8_t>(
          std::clamp(std::nearbyint(query->values[d] * inverse), -127.0f, 127.0f));
      query->code[d] = static_cast<uint8_t>(c);
      sum += c;
    }
    query->sum = 128 * sum;
  }

  void PrepareCode(const uint8_t* code, const CodeParams& params,
                   PreparedQuery* query) const override {
    query->code.resize(code_bytes_);
    int32_t sum = 0;
    for (size_t d = 0; d < code_bytes_; ++d) {
      query->code[d] = code[d] ^ 0x80;
      sum += code[d];
    }
    query->scale = params.scale;
    query->norm = params.norm;
    query->sum = 128 * (sum - 128 * static_cast<int32_t>(code_bytes_));
  }

  void Distances(const PreparedQuery& query, const uint8_t* const* codes,
                 const CodeParams* const* params, size_t count, float* distances) const override {
    constexpr size_t kBlock = 64;
    int32_t dots[kBlock];
    const auto* code = reinterpret_cast<const int8_t*>(query.code.data());
    for (size_t begin = 0; begin < count; begin += kBlock) {
      const size_t n = std::min(kBlock, count - begin);
      kernels_.dot_codes(codes + begin, n, code, code_bytes_, dots);
      for (size_t i = 0; i < n; ++i) {
        const CodeParams& p = *params[begin + i];
        distances[begin + i] =
            FromDot(query.scale * p.scale * static_cast<float>(dots[i] - query.sum), query, p);
      }
    }
  }

  float Refine(const PreparedQuery& query, const uint8_t* code, const uint8_t* residue,
               const CodeParams& params) const override {
    const float dot =
        kernels_.dot_refined(code, residue, query.values.data(), dimension_) * (params.scale / 254);
    return FromDot(dot, query, params);
  }

  void Decode(const uint8_t* code, const uint8_t* residue, const CodeParams& params,
              void* vector) const override {
    auto* v = static_cast<float*>(vector);
    for (size_t d = 0; d < dimension_; ++d) {
      v[d] = params.scale * (static_cast<float>(code[d]) - 128 +
                             (static_cast<float>(residue[d]) - 128) / 254) +
             (centre_.empty() ? 0 : centre_[d]);
    }
  }

 private:
  float At(const float* v, size_t d) const { return centre_.empty() ? v[d] : v[d] - centre_[d]; }

  // What a component is multiplied with in CodeParams::norm.
  float Factor(float x, size_t d) const {
    if (metric_ == Metric::kL2) return x;
    return centre_.empty() ? 0 : centre_[d];
  }

  float FromDot(float dot, const PreparedQuery& query, const CodeParams& params) const {
    if (metric_ == Metric::kL2) return query.norm + params.norm - 2 * dot;
    const float product = dot + query.norm + params.norm + centre_norm_;
    return metric_ == Metric::kCosine ? 1 - product : -product;
  }

  float centre_norm_ = 0;
};

// ---- floats -----------------------------------------------------------------

class FloatCodec final : public VectorCodec {
 public:
  FloatCodec(Metric metric, size_t dimension, const Kernels& kernels)
      : VectorCodec(metric, Quantization::kNone, dimension, Padded(4 * dimension), 0, {}, kernels) {
  }

  void Encode(const void* vector, uint8_t* code, uint8_t*, CodeParams*) const override {
    std::memcpy(code, vector, 4 * dimension_);
  }
  void PrepareQuery(const void* vector, PreparedQuery* query) const override {
    const auto* v = static_cast<const float*>(vector);
    query->values.assign(v, v + dimension_);
  }
  void PrepareCode(const uint8_t* code, const CodeParams&, PreparedQuery* query) const override {
    PrepareQuery(code, query);
  }
  void Distances(const PreparedQuery& query, const uint8_t* const* codes, const CodeParams* const*,
                 size_t count, float* distances) const override {
    for (size_t i = 0; i < count; ++i) distances[i] = Distance(query, codes[i]);
  }
  float Refine(const PreparedQuery& query, const uint8_t* code, const uint8_t*,
               const CodeParams&) const override {
    return Distance(query, code);
  }
  void Decode(const uint8_t* code, const uint8_t*, const CodeParams&, void* vector) const override {
    std::memcpy(vector, code, 4 * dimension_);
  }

 private:
  float Distance(const PreparedQuery& query, const uint8_t* code) const {
    const auto* v = reinterpret_cast<const float*>(code);
    if (metric_ == Metric::kL2) return kernels_.squared_l2(query.values.data(), v, dimension_);
    const float dot = kernels_.dot(query.values.data(), v, dimension_);
    return metric_ == Metric::kCosine ? 1 - dot : -dot;
  }
};

// ---- bits -------------------------------------------------------------------

class BitCodec final : public VectorCodec {
 public:
  BitCodec(size_t dimension, const Kernels& kernels)
      : VectorCodec(Metric::kHamming, Quantization::kBits, dimension, Padded((dimension + 7) / 8),
                    0, {}, kernels) {}

  void Encode(const void* vector, uint8_t* code, uint8_t*, CodeParams*) const override {
    std::memcpy(code, vector, (dimension_ + 7) / 8);
  }
  void PrepareQuery(const void* vector, PreparedQuery* query) const override {
    query->code.assign(code_bytes_, 0);
    std::memcpy(query->code.data(), vector, (dimension_ + 7) / 8);
  }
  void PrepareCode(const uint8_t* code, const CodeParams&, PreparedQuery* query) const override {
    PrepareQuery(code, query);
  }
  void Distances(const PreparedQuery& query, const uint8_t* const* codes, const CodeParams* const*,
                 size_t count, float* distances) const override {
    for (size_t i = 0; i < count; ++i) distances[i] = Distance(query, codes[i]);
  }
  float Refine(const PreparedQuery& query, const uint8_t* code, const uint8_t*,
               const CodeParams&) const override {
    return Distance(query, code);
  }
  void Decode(const uint8_t* code, const uint8_t*, const CodeParams&, void* vector) const override {
    std::memcpy(vector, code, (dimension_ + 7) / 8);
  }

 private:
  float Distance(const PreparedQuery& query, const uint8_t* code) const {
    return static_cast<float>(kernels_.hamming(query.code.data(), code, (dimension_ + 7) / 8));
  }
};

}  // namespace

VectorCodec::VectorCodec(Metric metric, Quantization quantization, size_t dimension,
                         size_t code_bytes, size_t residue_bytes, std::vector<float> centre,
                         const Kernels& kernels)
    : metric_(metric),
      quantization_(quantization),
      dimension_(dimension),
      code_bytes_(code_bytes),
      residue_bytes_(residue_bytes),
      centre_(std::move(centre)),
      kernels_(kernels) {}

std::unique_ptr<const VectorCodec> VectorCodec::Make(Metric metric, Quantization quantization,
                                                     size_t dimension, std::vector<float> centre,
                                                     const Kernels& kernels) {
  if (metric == Metric::kHamming) return std::make_unique<BitCodec>(dimension, kernels);
  if (quantization == Quantization::kNone) {
    return std::make_unique<FloatCodec>(metric, dimension, kernels);
  }
  return std::make_unique<Int8Codec>(metric, dimension, std::move(centre), kernels);
}

}  // namespace cookix::engine
