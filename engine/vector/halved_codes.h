// Int8 codes side by side, their upper and their lower halves apart: what is not near by the upper
// halves need not be read any further.
#ifndef COOKIX_ENGINE_VECTOR_HALVED_CODES_H_
#define COOKIX_ENGINE_VECTOR_HALVED_CODES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/vector/kernels.h"
#include "engine/vector/vector_codec.h"
#include "hwy/aligned_allocator.h"

namespace cookix::engine {

// A query that is compared with halves of codes, by HalvedCodes::Prepare(). Points to the code of
// the query that it was made of.
struct HalvedQuery {
  // Lower halves count as what they are in the mean.
  LaneQuery upper;
  // Their inner product with the query, in the mean.
  int32_t lower_mean = 0;
  // By so much distances by upper halves are wrong, as a standard deviation, for a code of scale 1:
  // the spread is proportional to it.
  float spread = 0;
};

// Thread-safe once all codes are set.
class HalvedCodes {
 public:
  // Has room for `count` codes of `bytes` bytes, a multiple of kCodeAlignment.
  HalvedCodes(const Kernels& kernels, size_t bytes, size_t count);
  // False without memory: then nothing else may be called.
  bool allocated() const { return upper_ != nullptr && lower_ != nullptr; }

  // Of `count` codes, each once; then Finish().
  void Set(size_t at, const uint8_t* code, const CodeParams& params);
  void Finish();

  HalvedQuery Prepare(const LaneQuery& query) const;
  // Distances by the upper halves of `count` codes from `begin` on; `distances` has room for that,
  // rounded up to a multiple of kLanes. REQUIRES: begin is such a multiple.
  void Distances(const HalvedQuery& query, size_t begin, size_t count, float* distances) const;
  // Makes distances by upper halves of `count` codes, whose places are `at`, those by both halves;
  // returns by how much they were wrong, as the root of the mean square, next to what is expected.
  float Complete(const HalvedQuery& query, const uint32_t* at, size_t count,
                 float* distances) const;

  float scale(size_t at) const { return params_[at / kLanes].scales[at % kLanes]; }

 private:
  // Means and variances are kept as so many parts of one.
  static constexpr float kParts = 16;

  const Kernels& kernels_;
  const size_t bytes_;
  hwy::AlignedFreeUniquePtr<uint8_t[]> upper_;
  hwy::AlignedFreeUniquePtr<uint8_t[]> lower_;
  std::vector<LaneParams> params_;
  // Of lower halves, for each byte of a code.
  std::vector<int16_t> means_;
  std::vector<int16_t> variances_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_HALVED_CODES_H_
