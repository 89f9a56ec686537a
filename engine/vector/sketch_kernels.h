// Inner loops over sketches (sketch_codec.h), in the best instructions that the processor has.
#ifndef COOKIX_ENGINE_VECTOR_SKETCH_KERNELS_H_
#define COOKIX_ENGINE_VECTOR_SKETCH_KERNELS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/vector/near_kernels.h"

namespace cookix::engine {

// Sketches lie in blocks of this many. A block has, for each group of eight bits, a byte of each
// of its sketches, then their factors and their norms, as floats.
inline constexpr size_t kSketchBlock = 64;
// So many blocks are compared at once.
inline constexpr size_t kBlocksAtOnce = 4;
// A table has what four bits add, for all they may be; a group has one for the lower bits of its
// byte and one for the upper ones.
inline constexpr size_t kTableBits = 4;
inline constexpr size_t kTable = 16;
inline constexpr size_t kMostGroups = 384;
// Least distances of so many are told together.
inline constexpr size_t kSketchLanes = kNearLanes;

// Where in each group of a block the byte of its i-th sketch is: sums of even bytes and of odd
// ones are taken apart.
inline constexpr size_t SketchPlace(size_t i) { return 2 * (i % 32) + i / 32; }

// Of a query, what its distances to sketches are made of: for a sketch with the sum `sum` of
// what its groups add, norm + factor * (scale * sum + offset).
struct SketchSums {
  // From the same kernels.
  const uint8_t* tables = nullptr;
  size_t groups = 0;
  // Sums of so many groups at a time are below 256.
  size_t part = 0;
  float scale = 0;
  float offset = 0;
};

struct SketchKernels {
  // As Kernels::name.
  const char* name = nullptr;

  // Distances to `count` blocks, each of (groups + 8) * kSketchBlock bytes that
  // begin at a multiple of 64, and for each block its `added` more. Infinite for those whose
  // bits in `masks` are not set, of which there is a word for each block.
  // least[kSketchLanes * k + i] is the least of those of the k-th kBlocksAtOnce blocks whose
  // number is i modulo kSketchLanes. REQUIRES: count is a multiple of kBlocksAtOnce.
  void (*distances)(const SketchSums& query, const uint8_t* const* blocks, const float* added,
                    size_t count, const uint64_t* masks, float* out, float* least) = nullptr;

  // The least of `n` values, and the sum of those that are not infinite. REQUIRES: n is a multiple
  // of kSketchLanes.
  void (*summary)(const float* values, size_t n, float* least, float* sum) = nullptr;

  // Makes the tables of `groups` groups, at most kMostGroups. Each component has so many bits, 1
  // or 2; the k-th of these, where it is set, adds 2^k times the component times `inverse`, and
  // what would take something away adds it where it is not set.
  void (*tables)(const float* components, int bits, float inverse, size_t groups,
                 uint8_t* tables) = nullptr;
};

// The k-th of some of n numbers, in no order that vectors may come in.
inline size_t Scattered(size_t k, size_t n) {
  return static_cast<size_t>((k * uint64_t{0x9e3779b97f4a7c15} >> 20) % n);
}

// The best table for this processor. Thread-safe.
const SketchKernels& BestSketchKernels();

// All tables that this processor can run, the plain one (no vector instructions) first.
// For tests.
std::vector<SketchKernels> AllSketchKernels();

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SKETCH_KERNELS_H_
