// Inner loops over sketches (sketch_codec.h), in the best instructions that the processor has.
#ifndef COOKIX_ENGINE_VECTOR_SKETCH_KERNELS_H_
#define COOKIX_ENGINE_VECTOR_SKETCH_KERNELS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cookix::engine {

// Sketches lie in blocks of this many. A block has, for each group of six bits, a byte
// of each of its sketches, then their factors and their norms, as floats.
inline constexpr size_t kSketchBlock = 64;
// So many blocks are compared at once.
inline constexpr size_t kBlocksAtOnce = 4;
// The plain table of a group: what its first four bits add, and what its last two do, four times.
inline constexpr size_t kGroupTable = 32;
// A sum of so many groups fits a byte.
inline constexpr size_t kGroupsOfPart = 22;
inline constexpr size_t kMostGroups = 512;
// Least distances of so many are told together.
inline constexpr size_t kSketchLanes = 16;

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

  // Bytes of a group's table: kGroupTable, or 64 that have what all its bits add.
  size_t table_bytes = 0;

  // Distances to `count` blocks, each of groups * kSketchBlock + 8 * kSketchBlock bytes that
  // begin at a multiple of 64, and for each block its `added` more. Infinite for those whose
  // bits in `masks` are not set, of which there is a word for each block.
  // least[kSketchLanes * k + i] is the least of those of the k-th kBlocksAtOnce blocks whose
  // number is i modulo kSketchLanes. REQUIRES: count is a multiple of kBlocksAtOnce.
  void (*distances)(const SketchSums& query, const uint8_t* const* blocks, const float* added,
                    size_t count, const uint64_t* masks, float* out, float* least) = nullptr;

  // out[k] = the sum over i below n of x[i] * rows[i * count + k], for k below `count`.
  // REQUIRES: count is a multiple of kSketchLanes.
  void (*products)(const float* rows, const float* x, size_t n, size_t count, float* out) = nullptr;

  // Makes the tables of `groups` groups, at most kMostGroups, of what each bit adds where it is
  // set, six for a group; where all that is added is less than 0 is where the sums begin.
  void (*tables)(const float* weights, size_t groups, uint8_t* tables) = nullptr;

  // The least of `n` values and the greatest that is not infinite; infinity and its opposite
  // where there is none. How many are at most `bound`, and their places. REQUIRES: n is a
  // multiple of kSketchLanes, of 64 for the last; `at` has room for n.
  void (*range)(const float* values, size_t n, float* least, float* greatest) = nullptr;
  size_t (*count_near)(const float* values, size_t n, float bound) = nullptr;
  size_t (*find_near)(const float* values, size_t n, float bound, uint32_t* at) = nullptr;
};

// So that at least `count` of `n` values are at most as much, and not many more; at most the
// greatest finite one. REQUIRES: n is a multiple of kSketchLanes.
float BoundOf(const SketchKernels& kernels, const float* values, size_t n, size_t count);

// Leaves of `n` distances and their numbers at least the `count` nearest, and not many more, in
// their order; all where that cannot be told. Returns how many. `distances` has room for
// kSketchLanes more.
size_t KeepNear(const SketchKernels& kernels, size_t count, size_t n, float* distances,
                uint32_t* numbers);

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
