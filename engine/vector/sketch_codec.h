// Sketches of vectors: a bit or two for each component of a vector that was turned at
// random, and from these an estimate of its distance to a query that does not lean to one side
// (after Gao and Long, RaBitQ, 2024). All of some thousand sketches are compared in about a
// microsecond, which tells the few that may be near.
#ifndef COOKIX_ENGINE_VECTOR_SKETCH_CODEC_H_
#define COOKIX_ENGINE_VECTOR_SKETCH_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/vector/rotation.h"
#include "engine/vector/sketch_kernels.h"
#include "engine/vector/vector_codec.h"

namespace cookix::engine {

// A query, made ready. Reusable; not thread-safe.
struct SketchQuery {
  SketchSums sums;
  std::vector<uint8_t> tables;
  std::vector<float> components;
};

// Immutable, thread-safe.
class SketchCodec {
 public:
  // How many components can be sketched.
  static constexpr size_t kMostDimension = 4 * kMostGroups;

  // For cosine, dot or l2, with 1 or 2 bits a component. `centre` has `dimension` components or
  // none; it is subtracted before, and should be near the middle of what is sketched.
  // REQUIRES: dimension is 1 to kMostDimension.
  SketchCodec(Metric metric, size_t dimension, int bits, std::vector<float> centre,
              const SketchKernels& kernels = BestSketchKernels());

  static size_t BlockBytes(size_t dimension, int bits);
  size_t block_bytes() const { return block_bytes_; }
  Metric metric() const { return metric_; }
  // How many a turned vector has.
  size_t components() const { return components_; }
  const SketchKernels& kernels() const { return kernels_; }

  // The vector less the centre, turned, of components(); and the inner product of what is turned
  // with the centre, unless the pointer is null. For cosine, vectors and queries have length 1.
  void Turn(const float* vector, float* turned, float* with_centre = nullptr) const;
  // Writes a block in which all sketches are infinitely far from everything.
  void Clear(uint8_t* block) const;
  // Writes the i-th sketch of a block, of what Turn() made. It tells how the vector
  // lies to `from`, which is turned too. Returns the squared distance of the two.
  float Write(const float* turned, float with_centre, const float* from, size_t i,
              uint8_t* block) const;
  void Prepare(const float* vector, SketchQuery* query) const;

  // What is to be added to the distances (SketchKernels::distances) of sketches that tell how
  // vectors lie to a place, by the inner product of the query's components with it and its own
  // square. With it they are less than those of the vectors (VectorCodec) by about a number that
  // is the same for all of them.
  float AddedFrom(float product, float squares) const {
    return metric_ == Metric::kL2 ? squares - 2 * product : -product;
  }

 private:
  const Metric metric_;
  const size_t dimension_;
  const int bits_;
  const std::vector<float> centre_;
  const SketchKernels& kernels_;
  const Kernels& floats_ = BestKernels();
  const size_t groups_;
  // Bits of a sketch make so many components.
  const size_t components_;
  const size_t part_;
  const size_t block_bytes_;
  const Rotation rotation_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SKETCH_CODEC_H_
