// Vectors by one byte for four components: product quantization (Jegou, Douze and Schmid
// 2011).
//
// The vector is cut into quads, sub-vectors of four components (the last filled up with
// zeros). For every quad 256 centroids are learned; the code has the number of the nearest
// one. A distance is a sum over the quads: queries have a table of what each centroid adds
// to it; stored vectors are compared with one another as their centroids put together. For
// cosine and l2 what is summed up is squared distances, to which the square of what the code
// lost is added: of vectors that are near each other that errs less than inner products do.
// There is no residue: what an object's stored vectors say decides on answers.
#ifndef COOKIX_ENGINE_VECTOR_PRODUCT_CODEC_H_
#define COOKIX_ENGINE_VECTOR_PRODUCT_CODEC_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/vector/vector_codec.h"

namespace cookix::engine {

// Vectors to learn from: at most so many, and at most so many floats where they are long.
inline constexpr size_t kMostTrained = 20'000;
inline constexpr size_t kMostTrainedFloats = size_t{1} << 24;
inline constexpr size_t kLeastTrained = 1024;

// How many of `vectors` are enough to learn from.
size_t TrainedVectors(size_t vectors, size_t dimension);

// Learns by k-means from `count` vectors, at least 1, of `dimension` components, one after
// another. Gives the same from the same vectors on one kind of processor, however many
// threads take part.
class ProductTraining {
 public:
  // `vectors` are borrowed and outlive this.
  // `centre`: as for VectorCodec::Make().
  ProductTraining(size_t dimension, std::vector<float> centre, const float* vectors, size_t count,
                  const Kernels& kernels = BestKernels());
  // Learns the centroids of some quads; false when there are none left. Any thread.
  bool Step();
  // When all threads are done with Step().
  std::unique_ptr<const VectorCodec> Finish(Metric metric);

 private:
  void Learn(size_t quad);

  const size_t dimension_;
  std::vector<float> centre_;
  const float* const vectors_;
  const size_t count_;
  const Kernels& kernels_;
  std::vector<float> centroids_;
  std::atomic<size_t> next_{0};
};

// From a centre, or none, and 256 centroids of four components for each quad. Null when
// there are more or fewer.
std::unique_ptr<const VectorCodec> LoadProductCodec(Metric metric, size_t dimension,
                                                    std::vector<float> model,
                                                    const Kernels& kernels);
size_t ProductCodeBytes(size_t dimension);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_PRODUCT_CODEC_H_
