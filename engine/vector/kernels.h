// Inner loops over vectors, in the best instructions that the processor has.
//
// The table is chosen once, at run time. Every table gives the same integers; sums of
// floats may differ in their last bits between tables, for they are added in another
// order.
#ifndef COOKIX_ENGINE_VECTOR_KERNELS_H_
#define COOKIX_ENGINE_VECTOR_KERNELS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace cookix::engine {

// Codes of a byte a component are padded to a multiple of this many bytes.
inline constexpr size_t kCodeAlignment = 64;
// Codes of bits are, to a multiple of this many.
inline constexpr size_t kBitAlignment = 32;
// Bits of a component that is compared with bits.
inline constexpr int kPlanes = 4;

// Codes that lie in lanes are in blocks of this many, all of one size: the first four bytes of
// each code of the block, then the next four of each. What is summed for one code stays in one
// lane, so that nothing is added across lanes at the end, which for short codes takes as long
// as all the rest.
inline constexpr size_t kLanes = 16;
inline constexpr size_t kLaneBytes = 4;

// Writes the at-th code of `bytes` bytes into lanes.
inline void WriteLane(const uint8_t* code, size_t bytes, size_t at, uint8_t* lanes) {
  uint8_t* const lane = lanes + at / kLanes * kLanes * bytes + at % kLanes * kLaneBytes;
  for (size_t d = 0; d < bytes; d += kLaneBytes)
    std::memcpy(lane + d * kLanes, code + d, kLaneBytes);
}

// A code may also be kept as two halves of kHalfBits of each byte, half as many bytes each. Upper
// halves lie in lanes: of eight bytes of a code, those of the first four in the lower bits of the
// lane's four bytes, the others in the upper bits. Lower halves lie one code behind the other:
// those of the first half of a code's bytes in the lower bits.
inline constexpr int kHalfBits = 4;

// Of the codes of a block, what their distances are made of.
struct LaneParams {
  float scales[kLanes] = {};
  float norms[kLanes] = {};
};
// Of a query, what its distances to codes are made of: for a code with the inner product `dot`,
//   base + norm_factor * norm - dot_factor * scale * (dot - sum).
struct LaneQuery {
  const int8_t* code = nullptr;
  int32_t sum = 0;
  float base = 0;
  float norm_factor = 0;
  float dot_factor = 0;

  float Distance(int32_t dot, float scale, float norm) const {
    return base + norm_factor * norm - dot_factor * scale * static_cast<float>(dot - sum);
  }
};

struct Kernels {
  // Name of the instruction set, such as "AVX3_DL".
  const char* name = nullptr;

  // out[i] = sum over d of codes[i][d] * query[d], for `count` codes of `bytes` bytes.
  // REQUIRES: bytes is a multiple of kCodeAlignment, at most 65,536.
  void (*dot_codes)(const uint8_t* const* codes, size_t count, const int8_t* query, size_t bytes,
                    int32_t* out) = nullptr;

  // Distances to `blocks` blocks of codes of `bytes` bytes that lie in lanes, kLanes of each.
  // REQUIRES: as dot_codes; the difference of dot and sum is below 2^31 as well.
  void (*lane_distances)(const LaneQuery& query, const uint8_t* lanes, const LaneParams* params,
                         size_t blocks, size_t bytes, float* out) = nullptr;

  // As lane_distances, by the upper halves of codes of `bytes` bytes, as if the lower halves were
  // 0.
  void (*upper_distances)(const LaneQuery& query, const uint8_t* lanes, const LaneParams* params,
                          size_t blocks, size_t bytes, float* out) = nullptr;
  // out[i] = sum over d of the lower halves of the numbers[i]-th code times query[d].
  // REQUIRES: as dot_codes.
  void (*lower_dots)(const uint8_t* lower, const uint32_t* numbers, size_t count,
                     const int8_t* query, size_t bytes, int32_t* out) = nullptr;

  // Sum of a[d] * b[d].
  float (*dot)(const float* a, const float* b, size_t n) = nullptr;

  // The sum of x[d]^2, in doubles.
  double (*squares)(const float* x, size_t n) = nullptr;

  // out[d] = a[d] - b[d]; x[d] *= factor.
  void (*subtract)(const float* a, const float* b, size_t n, float* out) = nullptr;
  void (*multiply)(float factor, size_t n, float* x) = nullptr;

  // Sum of (a[d] - b[d])^2.
  float (*squared_l2)(const float* a, const float* b, size_t n) = nullptr;

  // Sum of query[d] * (254 * (code[d] - 128) + (residual[d] - 128)): the inner product with
  // a code of two bytes a component, before its scale.
  float (*dot_refined)(const uint8_t* code, const uint8_t* residual, const float* query,
                       size_t n) = nullptr;

  // Writes each component as a number of steps, -127 to 127, rounded to the nearest, half to
  // even, and their sum; returns the step, which the greatest component has 127 of. It is 0
  // when all components are. REQUIRES: all are finite.
  float (*quantize)(const float* x, size_t n, int8_t* steps, int32_t* sum) = nullptr;

  // out[d] = code[d] - 128; returns their sum.
  int32_t (*signed_code)(const uint8_t* code, size_t n, int8_t* out) = nullptr;

  // Number of bits that differ in `bytes` bytes.
  uint32_t (*hamming)(const uint8_t* a, const uint8_t* b, size_t bytes) = nullptr;

  // out[i] = the sum of q[d] over the bits d that are set in codes[i], for numbers q of
  // kPlanes bits in two's complement, which are given by bits: planes[p * bytes ...] has bit
  // p of each.
  // REQUIRES: bytes is a multiple of kBitAlignment, at most 65,536.
  void (*dot_bits)(const uint8_t* const* codes, size_t count, const uint8_t* planes, size_t bytes,
                   int32_t* out) = nullptr;

  // out[k] = base[k] + the sum over j of x[j] * columns[256 * j + k], for k below 256 and j
  // below 4.
  void (*affine_256)(const float* base, const float* columns, const float* x, float* out) = nullptr;
  // The first k with the least of 256 numbers. REQUIRES: none is NaN.
  uint32_t (*least_256)(const float* values) = nullptr;

  // Sums over m of the squared length of query[4m...] - centroids[4 * (256 * m + code[m])...],
  // and of their inner products.
  float (*quads_l2)(const float* query, const float* centroids, const uint8_t* code,
                    size_t quads) = nullptr;
  float (*quads_dot)(const float* query, const float* centroids, const uint8_t* code,
                     size_t quads) = nullptr;
};

// The best table for this processor. Thread-safe.
const Kernels& BestKernels();

// All tables that this processor can run, the plain one (no vector instructions) first.
// For tests.
std::vector<Kernels> AllKernels();

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_KERNELS_H_
