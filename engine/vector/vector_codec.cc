#include "engine/vector/vector_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "engine/vector/binary_codec.h"
#include "engine/vector/product_codec.h"

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
                    std::move(centre), kernels),
        root_(std::sqrt(static_cast<float>(dimension))) {}

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
      norm += static_cast<double>(metric_ == Metric::kL2 ? kept : x) * NormFactor(kept, d);
    }
    std::fill(code + dimension_, code + code_bytes_, kSpare);
    params->scale = scale;
    params->norm = static_cast<float>(norm);
  }

  void PrepareQuery(const void* vector, PreparedQuery* query) const override {
    const auto* v = static_cast<const float*>(vector);
    query->values.resize(dimension_);
    float* const values = query->values.data();
    if (centre_.empty()) {
      std::copy_n(v, dimension_, values);
    } else {
      kernels_.subtract(v, centre_.data(), dimension_, values);
    }
    const float squares = kernels_.dot(values, values, dimension_);
    query->length =
        std::sqrt(std::isfinite(squares) ? squares : kernels_.squares(values, dimension_));
    if (metric_ == Metric::kL2) {
      query->norm = squares;
    } else {
      query->norm = centre_.empty() ? 0 : kernels_.dot(values, centre_.data(), dimension_);
    }
    query->code.assign(code_bytes_, 0);
    int32_t sum = 0;
    query->scale =
        kernels_.quantize(values, dimension_, reinterpret_cast<int8_t*>(query->code.data()), &sum);
    query->sum = 128 * sum;
    query->by_residue = false;
  }

  void PrepareCode(const uint8_t* code, const uint8_t*, const CodeParams& params,
                   PreparedQuery* query) const override {
    query->by_residue = false;
    // What is multiplied with what comes behind the components is 0.
    query->code.assign(code_bytes_, 0);
    query->scale = params.scale;
    query->norm = params.norm;
    query->sum =
        128 * kernels_.signed_code(code, dimension_, reinterpret_cast<int8_t*>(query->code.data()));
  }

  void Distances(const PreparedQuery& query, const uint8_t* const* codes,
                 const CodeParams* const* params, size_t count, float* distances) const override {
    constexpr size_t kBlock = 64;
    int32_t dots[kBlock];
    const LaneQuery from = LaneQueryOf(query);
    for (size_t begin = 0; begin < count; begin += kBlock) {
      const size_t n = std::min(kBlock, count - begin);
      kernels_.dot_codes(codes + begin, n, from.code, code_bytes_, dots);
      for (size_t i = 0; i < n; ++i) {
        const CodeParams& p = *params[begin + i];
        distances[begin + i] = from.Distance(dots[i], p.scale, p.norm);
      }
    }
  }

  bool spares_bytes() const override { return code_bytes_ - dimension_ >= sizeof(CodeParams); }
  bool fits_lanes() const override { return true; }
  // FromDot(), what is the same for all codes that a query is compared with taken together.
  LaneQuery LaneQueryOf(const PreparedQuery& query) const override {
    const bool l2 = metric_ == Metric::kL2;
    LaneQuery made;
    made.code = reinterpret_cast<const int8_t*>(query.code.data());
    made.sum = query.sum;
    made.base = l2 ? query.norm : (metric_ == Metric::kCosine) - query.norm - centre_norm_;
    made.norm_factor = l2 ? 1 : -1;
    made.dot_factor = l2 ? 2 * query.scale : query.scale;
    return made;
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

  float CodeSpread(const PreparedQuery& query, const CodeParams& params) const override {
    // Both are rounded, neither as the other is: the vector, by up to half a step in each
    // component, and the query. Of the vector's length it is only known what it is at most; half
    // of that is above what it mostly is.
    constexpr float kRoundingOfStep = 0.2887f;  // 1 / sqrt(12)
    const float vector = params.scale * static_cast<float>(query.length);
    const float length = 63.5f * params.scale * root_;
    const float of_query = query.scale * length;
    const float spread = kRoundingOfStep * std::sqrt(vector * vector + of_query * of_query);
    return metric_ == Metric::kL2 ? 2 * spread : spread;
  }

  double RefineError(const PreparedQuery& query, const uint8_t*, const CodeParams& params,
                     float) const override {
    const double root = std::sqrt(static_cast<double>(dimension_));
    // Half a step of the residue in every component.
    const double step = params.scale / 508 * root;
    if (metric_ != Metric::kL2) {
      return query.length * step + kRounding * query.length * params.scale * 127 * root;
    }
    // Of the squared distance.
    const double norm = std::sqrt(std::max(0.0f, params.norm));
    const double length = std::max(query.length, norm);
    return 2 * step * (query.length + norm + step) + kRounding * (length * length + 1e-30);
  }

 private:
  const float root_;
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
    query->by_residue = false;
  }
  void PrepareCode(const uint8_t* code, const uint8_t*, const CodeParams&,
                   PreparedQuery* query) const override {
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
  bool exact() const override { return true; }

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
    query->by_residue = false;
  }
  void PrepareCode(const uint8_t* code, const uint8_t*, const CodeParams&,
                   PreparedQuery* query) const override {
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
  bool exact() const override { return true; }

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
      kernels_(kernels) {
  double sum = 0;
  for (const float x : centre_) sum += static_cast<double>(x) * x;
  centre_norm_ = static_cast<float>(sum);
}

std::unique_ptr<const VectorCodec> VectorCodec::Make(Metric metric, Quantization quantization,
                                                     size_t dimension, std::vector<float> centre,
                                                     const Kernels& kernels) {
  if (metric == Metric::kHamming) return std::make_unique<BitCodec>(dimension, kernels);
  if (quantization == Quantization::kNone) {
    return std::make_unique<FloatCodec>(metric, dimension, kernels);
  }
  if (quantization == Quantization::kBinary) {
    return MakeBinaryCodec(metric, dimension, std::move(centre), kernels);
  }
  return std::make_unique<Int8Codec>(metric, dimension, std::move(centre), kernels);
}

std::unique_ptr<const VectorCodec> VectorCodec::LoadModel(Metric metric, Quantization quantization,
                                                          size_t dimension, std::string_view model,
                                                          const Kernels& kernels) {
  std::vector<float> values(model.size() / sizeof(float));
  if (values.size() * sizeof(float) != model.size()) return nullptr;
  if (!model.empty()) std::memcpy(values.data(), model.data(), model.size());
  if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); })) {
    return nullptr;
  }
  switch (quantization) {
    case Quantization::kNone:
    case Quantization::kBits:
      if (!values.empty()) return nullptr;
      break;
    case Quantization::kInt8:
    case Quantization::kBinary:
      if (!values.empty() && values.size() != dimension) return nullptr;
      break;
    case Quantization::kProduct:
      return LoadProductCodec(metric, dimension, std::move(values), kernels);
    default:
      return nullptr;
  }
  if ((metric == Metric::kHamming) != (quantization == Quantization::kBits)) return nullptr;
  return Make(metric, quantization, dimension, std::move(values), kernels);
}

void VectorCodec::SaveModel(std::string* model) const {
  model->assign(reinterpret_cast<const char*>(centre_.data()), centre_.size() * sizeof(float));
}

size_t VectorCodec::BytesPerVector(Metric metric, Quantization quantization, size_t dimension) {
  if (metric == Metric::kHamming) return Padded((dimension + 7) / 8);
  switch (quantization) {
    case Quantization::kNone:
      return Padded(4 * dimension);
    case Quantization::kProduct:
      return ProductCodeBytes(dimension);
    case Quantization::kBinary:
      return BinaryCodeBytes(dimension) + BinaryResidueBytes(dimension);
    default:
      return Padded(dimension) + dimension;
  }
}

}  // namespace cookix::engine
