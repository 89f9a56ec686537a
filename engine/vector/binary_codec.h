// Vectors by one bit a component.
//
// The code is the signs of the vector, less the centre, after a fixed random rotation; a
// vector of fewer than 256 components is given zeros before, for 256 bits of it. Queries
// are not reduced to signs: their components are kept by kPlanes bits. The inner product
// with a vector x is then about
//
//   <q, x> = |x|^2 / |x|_1 * (sum over d of sign(x_d) q_d)
//
// which errs to neither side (the estimator of Gao and Long, "RaBitQ", 2024). The residue
// is what the int8 codec keeps, so that refined distances are as good as its are; stored
// vectors are compared with one another by it, for a graph linked by bits would be worse.
#ifndef COOKIX_ENGINE_VECTOR_BINARY_CODEC_H_
#define COOKIX_ENGINE_VECTOR_BINARY_CODEC_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "engine/vector/vector_codec.h"

namespace cookix::engine {

std::unique_ptr<const VectorCodec> MakeBinaryCodec(Metric metric, size_t dimension,
                                                   std::vector<float> centre,
                                                   const Kernels& kernels);
size_t BinaryCodeBytes(size_t dimension);
size_t BinaryResidueBytes(size_t dimension);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_BINARY_CODEC_H_
