// How vectors are kept in memory, and how distances are taken from that.
//
// Distances are ordered as the metric orders objects, the nearer the less:
//   cosine   1 - cos (vectors are normalised before they come here)
//   dot      -<x, y>
//   l2       |x - y|^2 (squared: the root is taken when answers are made)
//   hamming  the number of bits that differ
//
// A vector has a code, which searches read by the thousand, and a residue, which only the
// few best are compared by. What each quantization keeps:
//
//   none    code: the floats.                                     residue: nothing
//   int8    code: a byte for each component, c = round(x / s), s = max|x| / 127 of this
//           vector.                                               residue: a second byte,
//           which divides a step by 254 again: about 16 bits a component in all
//   bits    code: the bits (metric hamming).                      residue: nothing
//   product code: a byte for four components (product_codec.h).   residue: nothing
//   binary  code: a bit for each component (binary_codec.h).      residue: what int8 keeps
//
// Each vector has its own step s, so no value is ever out of range, and what arrives later
// may look otherwise than what came first. A centre, such as the mean of the first vectors,
// is subtracted before: distances do not change by it, and data that lies far from the
// origin (most embeddings have a part in common) uses its bits for what differs.
//
//   l2           |x - y|^2 = |x'|^2 + |y'|^2 - 2 <x', y'>         x' = x - centre
//   cosine, dot  <x, y> = <x', y'> + <c, x'> + <c, y'> + |c|^2
#ifndef COOKIX_ENGINE_VECTOR_VECTOR_CODEC_H_
#define COOKIX_ENGINE_VECTOR_VECTOR_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/vector/kernels.h"

namespace cookix::engine {

enum class Metric : uint8_t { kCosine = 1, kL2 = 2, kDot = 3, kHamming = 4 };
enum class Quantization : uint8_t { kNone = 1, kInt8 = 2, kProduct = 3, kBinary = 4, kBits = 5 };

// What is kept beside a code.
struct CodeParams {
  // int8: size of a step. binary: what the sum over the bits is multiplied with. product: how
  // far the code may be from the vector.
  float scale = 0;
  // What does not depend on the other vector: for l2 the squared length of the vector less
  // the centre, otherwise its inner product with the centre. product, for cosine: the
  // squared length of the vector.
  float norm = 0;
};

// A query, made ready. Reusable; not thread-safe.
struct PreparedQuery {
  std::vector<float> values;  // as compared with refined codes
  std::vector<uint8_t> code;  // as compared with codes
  float scale = 0;
  float norm = 0;
  int32_t sum = 0;  // 128 * the sum of the code's components
  // A stored vector, of a codec whose codes are too coarse to compare two of them: it is
  // compared with residues.
  bool by_residue = false;
  // binary: the components by bits, and their size.
  std::vector<uint8_t> planes;
  float plane_scale = 0;
  int32_t plane_sum = 0;
  // Length of the vector that is compared with codes; not of stored vectors.
  double length = 0;
  // product: what each centroid adds to the distance. Empty for stored vectors.
  std::vector<float> table;
};

// Immutable, thread-safe.
class VectorCodec {
 public:
  // `dimension` counts components, bits for kHamming. `centre` has `dimension` components
  // or none; it is used for kInt8 and kBinary only. For kProduct: ProductTraining.
  static std::unique_ptr<const VectorCodec> Make(Metric metric, Quantization quantization,
                                                 size_t dimension, std::vector<float> centre,
                                                 const Kernels& kernels = BestKernels());
  // From what SaveModel() gave; null when it cannot be of such a codec.
  static std::unique_ptr<const VectorCodec> LoadModel(Metric metric, Quantization quantization,
                                                      size_t dimension, std::string_view model,
                                                      const Kernels& kernels = BestKernels());
  // Bytes of code and residue of such a codec.
  static size_t BytesPerVector(Metric metric, Quantization quantization, size_t dimension);
  virtual ~VectorCodec() = default;

  Metric metric() const { return metric_; }
  Quantization quantization() const { return quantization_; }
  size_t dimension() const { return dimension_; }
  const std::vector<float>& centre() const { return centre_; }
  size_t code_bytes() const { return code_bytes_; }
  size_t residue_bytes() const { return residue_bytes_; }
  // Whether nothing depends on the last sizeof(CodeParams) bytes of a code, which are kSpare
  // then, as Encode() leaves them: there is room for the params.
  virtual bool spares_bytes() const { return false; }
  static constexpr uint8_t kSpare = 128;

  // `vector` has `dimension` floats (for kHamming: dimension / 8 bytes, rounded up).
  virtual void Encode(const void* vector, uint8_t* code, uint8_t* residue,
                      CodeParams* params) const = 0;
  virtual void PrepareQuery(const void* vector, PreparedQuery* query) const = 0;
  // Makes a stored vector a query: for comparing stored vectors with each other. Refine()
  // may not be used with it.
  virtual void PrepareCode(const uint8_t* code, const uint8_t* residue, const CodeParams& params,
                           PreparedQuery* query) const = 0;

  // Distances to `count` codes; to residues when query.by_residue.
  virtual void Distances(const PreparedQuery& query, const uint8_t* const* codes,
                         const CodeParams* const* params, size_t count, float* distances) const = 0;
  // Whether codes may also lie in lanes and be halved, so that a scan compares them faster.
  virtual bool fits_lanes() const { return false; }
  // What a query is there; points to its code. REQUIRES: fits_lanes().
  virtual LaneQuery LaneQueryOf(const PreparedQuery& query) const { return {}; }
  const Kernels& kernels() const { return kernels_; }
  // The distance by code and residue, which is as good as what is kept allows.
  virtual float Refine(const PreparedQuery& query, const uint8_t* code, const uint8_t* residue,
                       const CodeParams& params) const = 0;
  // Writes the vector back, as well as code and residue hold it.
  virtual void Decode(const uint8_t* code, const uint8_t* residue, const CodeParams& params,
                      void* vector) const = 0;

  // Whether distances by codes are those of the vectors: there is nothing to refine.
  virtual bool exact() const { return false; }
  // Whether refined distances are too coarse to rank answers by: what is stored decides.
  virtual bool ranks_by_stored() const { return false; }
  // For each hit wanted, so many of the best by code are compared again at least.
  virtual size_t refine_factor() const { return 1; }
  // Refine() gave `distance`: by how much it may be wrong, rounding included.
  virtual double RefineError(const PreparedQuery& query, const uint8_t* residue,
                             const CodeParams& params, float distance) const {
    return 0;
  }
  // The distance by code differs from the refined one by about so much, as a standard
  // deviation; infinite where that is not known. Of params only scale counts: the spread is
  // proportional to it.
  virtual float CodeSpread(const PreparedQuery& query, const CodeParams& params) const {
    return std::numeric_limits<float>::infinity();
  }
  // What vectors have in common, for LoadModel().
  virtual void SaveModel(std::string* model) const;

 protected:
  // Of float arithmetic, relative to the lengths of the vectors.
  static constexpr double kRounding = 1e-5;

  VectorCodec(Metric metric, Quantization quantization, size_t dimension, size_t code_bytes,
              size_t residue_bytes, std::vector<float> centre, const Kernels& kernels);

  float At(const float* v, size_t d) const { return centre_.empty() ? v[d] : v[d] - centre_[d]; }
  // What a component, less the centre, is multiplied with in CodeParams::norm.
  float NormFactor(float x, size_t d) const {
    if (metric_ == Metric::kL2) return x;
    return centre_.empty() ? 0 : centre_[d];
  }
  // The distance by the inner product of what is left of both vectors without the centre.
  float FromDot(float dot, const PreparedQuery& query, const CodeParams& params) const {
    if (metric_ == Metric::kL2) return query.norm + params.norm - 2 * dot;
    const float product = dot + query.norm + params.norm + centre_norm_;
    return metric_ == Metric::kCosine ? 1 - product : -product;
  }

  const Metric metric_;
  const Quantization quantization_;
  const size_t dimension_;
  const size_t code_bytes_;
  const size_t residue_bytes_;
  const std::vector<float> centre_;
  const Kernels& kernels_;
  float centre_norm_ = 0;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_VECTOR_CODEC_H_
