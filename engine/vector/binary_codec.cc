#include "engine/vector/binary_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "engine/vector/rotation.h"

namespace cookix::engine {
namespace {

constexpr size_t kLeastBits = 256;
// Greatest component of a query by planes.
constexpr int kGreatest = (1 << (kPlanes - 1)) - 1;

size_t BitsOf(size_t dimension) {
  if (dimension <= kLeastBits) return kLeastBits;
  // Whole cache lines.
  return (dimension + 511) / 512 * 512;
}

class BinaryCodec final : public VectorCodec {
 public:
  BinaryCodec(Metric metric, size_t dimension, std::vector<float> centre, const Kernels& kernels)
      : VectorCodec(metric, Quantization::kBinary, dimension, BinaryCodeBytes(dimension),
                    BinaryResidueBytes(dimension), centre, kernels),
        exact_(
            VectorCodec::Make(metric, Quantization::kInt8, dimension, std::move(centre), kernels)),
        rotation_(BitsOf(dimension)) {}

  // Residue: the int8 code, its residue, and its scale.
  void Encode(const void* vector, uint8_t* code, uint8_t* residue,
              CodeParams* params) const override {
    CodeParams kept;
    exact_->Encode(vector, residue, residue + exact_->code_bytes(), &kept);
    std::memcpy(residue + ScaleOffset(), &kept.scale, sizeof(float));
    const std::vector<float>& rotated = Rotated(static_cast<const float*>(vector));
    std::fill(code, code + code_bytes_, uint8_t{0});
    double squares = 0, sum = 0;
    for (size_t d = 0; d < rotated.size(); ++d) {
      squares += static_cast<double>(rotated[d]) * rotated[d];
      sum += std::fabs(rotated[d]);
      if (rotated[d] >= 0) code[d / 8] = static_cast<uint8_t>(code[d / 8] | 1 << (d % 8));
    }
    params->scale = sum > 0 ? static_cast<float>(squares / sum) : 0;
    params->norm = kept.norm;
  }

  void PrepareQuery(const void* vector, PreparedQuery* query) const override {
    exact_->PrepareQuery(vector, query);
    const std::vector<float>& rotated = Rotated(static_cast<const float*>(vector));
    float greatest = 0;
    for (const float x : rotated) greatest = std::max(greatest, std::fabs(x));
    query->plane_scale = greatest / kGreatest;
    const float inverse = query->plane_scale > 0 ? 1 / query->plane_scale : 0;
    query->planes.assign(kPlanes * code_bytes_, 0);
    query->plane_sum = 0;
    for (size_t d = 0; d < rotated.size(); ++d) {
      const auto c = static_cast<int>(
          std::clamp<float>(std::nearbyint(rotated[d] * inverse), -kGreatest, kGreatest));
      query->plane_sum += c;
      for (int p = 0; p < kPlanes; ++p) {
        uint8_t& byte = query->planes[static_cast<size_t>(p) * code_bytes_ + d / 8];
        byte = static_cast<uint8_t>(byte | ((c >> p) & 1) << (d % 8));
      }
    }
  }

  void PrepareCode(const uint8_t*, const uint8_t* residue, const CodeParams& params,
                   PreparedQuery* query) const override {
    exact_->PrepareCode(residue, nullptr, KeptParams(residue, params), query);
    query->by_residue = true;
  }

  void Distances(const PreparedQuery& query, const uint8_t* const* codes,
                 const CodeParams* const* params, size_t count, float* distances) const override {
    constexpr size_t kBlock = 64;
    CodeParams kept[kBlock];
    const CodeParams* kept_at[kBlock];
    int32_t sums[kBlock];
    for (size_t begin = 0; begin < count; begin += kBlock) {
      const size_t n = std::min(kBlock, count - begin);
      if (query.by_residue) {
        for (size_t i = 0; i < n; ++i) {
          kept[i] = KeptParams(codes[begin + i], *params[begin + i]);
          kept_at[i] = &kept[i];
        }
        exact_->Distances(query, codes + begin, kept_at, n, distances + begin);
        continue;
      }
      kernels_.dot_bits(codes + begin, n, query.planes.data(), code_bytes_, sums);
      for (size_t i = 0; i < n; ++i) {
        const CodeParams& p = *params[begin + i];
        // By signs: what is set counts for it, what is not against it.
        const auto sum = static_cast<float>(2 * sums[i] - query.plane_sum);
        distances[begin + i] = FromDot(p.scale * query.plane_scale * sum, query, p);
      }
    }
  }

  float Refine(const PreparedQuery& query, const uint8_t*, const uint8_t* residue,
               const CodeParams& params) const override {
    return exact_->Refine(query, residue, residue + exact_->code_bytes(),
                          KeptParams(residue, params));
  }

  void Decode(const uint8_t*, const uint8_t* residue, const CodeParams& params,
              void* vector) const override {
    exact_->Decode(residue, residue + exact_->code_bytes(), KeptParams(residue, params), vector);
  }

  size_t refine_factor() const override { return 16; }

  double RefineError(const PreparedQuery& query, const uint8_t* residue, const CodeParams& params,
                     float distance) const override {
    return exact_->RefineError(query, residue, KeptParams(residue, params), distance);
  }

 private:
  size_t ScaleOffset() const { return exact_->code_bytes() + dimension_; }

  CodeParams KeptParams(const uint8_t* residue, const CodeParams& params) const {
    CodeParams kept = params;
    std::memcpy(&kept.scale, residue + ScaleOffset(), sizeof(float));
    return kept;
  }

  // Until the thread's next call.
  const std::vector<float>& Rotated(const float* v) const {
    thread_local std::vector<float> rotated;
    rotated.assign(rotation_.size(), 0);
    for (size_t d = 0; d < dimension_; ++d) rotated[d] = At(v, d);
    rotation_.Apply(rotated.data());
    return rotated;
  }

  const std::unique_ptr<const VectorCodec> exact_;
  const Rotation rotation_;
};

}  // namespace

size_t BinaryCodeBytes(size_t dimension) { return BitsOf(dimension) / 8; }

size_t BinaryResidueBytes(size_t dimension) {
  return VectorCodec::BytesPerVector(Metric::kL2, Quantization::kInt8, dimension) + sizeof(float);
}

std::unique_ptr<const VectorCodec> MakeBinaryCodec(Metric metric, size_t dimension,
                                                   std::vector<float> centre,
                                                   const Kernels& kernels) {
  return std::make_unique<BinaryCodec>(metric, dimension, std::move(centre), kernels);
}

}  // namespace cookix::engine
