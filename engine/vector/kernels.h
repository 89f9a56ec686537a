// Inner loops over vectors, in the best instructions that the processor has.
//
// The table is chosen once, at run time. Every table gives the same integers; sums of
// floats may differ in their last bits between tables, for they are added in another
// order.
#ifndef COOKIX_ENGINE_VECTOR_KERNELS_H_
#define COOKIX_ENGINE_VECTOR_KERNELS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace cookix::engine {

// Codes are padded to a multiple of this many bytes.
inline constexpr size_t kCodeAlignment = 64;

struct Kernels {
  // Name of the instruction set, such as "AVX3_DL".
  const char* name = nullptr;

  // out[i] = sum over d of codes[i][d] * query[d], for `count` codes of `bytes` bytes.
  // REQUIRES: bytes is a multiple of kCodeAlignment, at most 65,536.
  void (*dot_codes)(const uint8_t* const* codes, size_t count, const int8_t* query, size_t bytes,
                    int32_t* out) = nullptr;

  // Sum of a[d] * b[d].
  float (*dot)(const float* a, const float* b, size_t n) = nullptr;

  // Sum of (a[d] - b[d])^2.
  float (*squared_l2)(const float* a, const float* b, size_t n) = nullptr;

  // Sum of query[d] * (254 * (code[d] - 128) + (residual[d] - 128)): the inner product with
  // a code of two bytes a component, before its scale.
  float (*dot_refined)(const uint8_t* code, const uint8_t* residual, const float* query,
                       size_t n) = nullptr;

  // Number of bits that differ in `bytes` bytes.
  uint32_t (*hamming)(const uint8_t* a, const uint8_t* b, size_t bytes) = nullptr;
};

// The best table for this processor. Thread-safe.
const Kernels& BestKernels();

// All tables that this processor can run, the plain one (no vector instructions) first.
// For tests.
std::vector<Kernels> AllKernels();

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_KERNELS_H_
