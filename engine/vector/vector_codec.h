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
#include <memory>
#include <span>
#include <vector>

#include "engine/vector/kernels.h"

namespace cookix::engine {

enum class Metric : uint8_t { kCosine = 1, kL2 = 2, kDot = 3, kHamming = 4 };
enum class Quantization : uint8_t { kNone = 1, kInt8 = 2, kBits = 5 };

// What is kept beside a code.
struct CodeParams {
  // Size of a step.
  float scale = 0;
  // What does not depend on the other vector: for l2 the squared length of the vector less
  // the centre, otherwise its inner product with the centre.
  float norm = 0;
};

// A query, made ready. Reusable; not thread-safe.
struct PreparedQuery {
  std::vector<float> values;  // as compared with refined codes
  std::vector<uint8_t> code;  // as compared with codes
  float scale = 0;
  float norm = 0;
  int32_t sum = 0;  // 128 * the sum of the code's components
};

// Immutable, thread-safe.
class VectorCodec {
 public:
  // `dimension` counts components, bits for kHamming. `centre` has `dimension` components
  // or none; it is used for kInt8 only.
  static std::unique_ptr<const VectorCodec> Make(Metric metric, Quantization quantization,
                                                 size_t dimension, std::vector<float> centre,
                                                 const Kernels& kernels = BestKernels());
  virtual ~VectorCodec() = default;

  Metric metric() const { return metric_; }
  Quantization quantization() const { return quantization_; }
  size_t dimension() const { return dimension_; }
  const std::vector<float>& centre() const { return centre_; }
  // A multiple of kCodeAlignment.
  size_t code_bytes() const { return code_bytes_; }
  size_t residue_bytes() const { return residue_bytes_; }

  // `vector` has `dimension` floats (for kHamming: dimension / 8 bytes, rounded up).
  virtual void Encode(const void* vector, uint8_t* code, uint8_t* residue,
                      CodeParams* params) const = 0;
  virtual void PrepareQuery(const void* vector, PreparedQuery* query) const = 0;
  // Makes a stored code a query: for comparing stored vectors with each other. Refine()
  // may not be used with it.
  virtual void PrepareCode(const uint8_t* code, const CodeParams& params,
                           PreparedQuery* query) const = 0;

  // Distances to `count` codes.
  virtual void Distances(const PreparedQuery& query, const uint8_t* const* codes,
                         const CodeParams* const* params, size_t count, float* distances) const = 0;
  // The distance by code and residue, which is as good as what is kept allows.
  virtual float Refine(const PreparedQuery& query, const uint8_t* code, const uint8_t* residue,
                       const CodeParams& params) const = 0;
  // Writes the vector back, as well as code and residue hold it.
  virtual void Decode(const uint8_t* code, const uint8_t* residue, const CodeParams& params,
                      void* vector) const = 0;

 protected:
  VectorCodec(Metric metric, Quantization quantization, size_t dimension, size_t code_bytes,
              size_t residue_bytes, std::vector<float> centre, const Kernels& kernels);

  const Metric metric_;
  const Quantization quantization_;
  const size_t dimension_;
  const size_t code_bytes_;
  const size_t residue_bytes_;
  const std::vector<float> centre_;
  const Kernels& kernels_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_VECTOR_CODEC_H_
