// Places near which sketched vectors lie: of these a search takes the nearest, and passes over
// what lies near the others.
#ifndef COOKIX_ENGINE_VECTOR_SKETCH_CENTRES_H_
#define COOKIX_ENGINE_VECTOR_SKETCH_CENTRES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/vector/kernels.h"
#include "engine/vector/sketch_codec.h"

namespace cookix::engine {

// All are of vectors as SketchCodec::Turn() leaves them. Immutable, thread-safe.
class SketchCentres {
 public:
  // A single one, the codec's own centre.
  explicit SketchCentres(const SketchCodec& codec);
  // Learns at most `count`, and at least 1, by k-means (Lloyd, Least squares quantization in PCM,
  // 1982) from vectors that lie one behind the other.
  static std::shared_ptr<const SketchCentres> Learn(const SketchCodec& codec,
                                                    std::span<const float> turned, size_t count);

  size_t count() const { return squares_.size(); }
  const float* at(size_t centre) const { return &places_[centre * codec_.components()]; }
  int64_t Bytes() const;
  // Of some vectors like those that were learned from, the mean squared distance to the nearest.
  double mean_squares() const { return mean_squares_; }

  // Kept for the next search.
  struct Scratch {
    // The query, rounded to steps.
    std::vector<int8_t> steps;
    // Half of how far each centre is, less what is the same for all.
    std::vector<float> order;
    std::vector<uint32_t> near;
  };

  // The one with the least squared distance; the first where there is none, or beyond what floats
  // hold.
  size_t Nearest(const float* turned, Scratch* scratch) const;
  // Puts the nearest to a query into scratch.near, in no order, and fills scratch.order; returns
  // how many, at least one. Of queries like what was learned from that is `part` of all in the
  // mean: more where many are about as near as the nearest, and few where some are much nearer
  // than most.
  size_t FindNear(const SketchQuery& query, double part, Scratch* scratch) const;
  // SketchCodec::AddedFrom() a centre, after FindNear().
  float Added(size_t centre, const Scratch& scratch) const {
    if (count() == 1) return codec_.AddedFrom(0, squares_[0]);
    const LaneParams& block = params_[centre / kLanes];
    const float product = 0.5f * block.norms[centre % kLanes] - scratch.order[centre];
    return codec_.AddedFrom(product, squares_[centre]);
  }

 private:
  SketchCentres(const SketchCodec& codec, std::vector<float> places);
  // Writes the codes of a centre, and makes its place what they stand for.
  void Encode(size_t centre);
  // scratch.order[k] = norm_factor * the norm of the k-th centre - the inner product with it, for
  // room() of them; beyond count() not a number where norm_factor is 0. REQUIRES: all that is
  // turned is finite.
  void Compare(const float* turned, float norm_factor, Scratch* scratch) const;
  void LearnSpread(std::span<const float> turned);
  // The count, rounded up to what kernels do at once.
  size_t room() const { return params_.size() * kLanes; }

  const SketchCodec& codec_;
  std::vector<float> places_;
  std::vector<float> squares_;
  // The same places in lanes, rounded to bytes: each is a code of code_bytes_, of which kernels
  // read the same kLaneBytes of kLanes together.
  static constexpr size_t kRowBytes = kLanes * kLaneBytes;
  struct alignas(kRowBytes) LaneRow {
    uint8_t bytes[kRowBytes] = {};
  };
  const size_t code_bytes_;
  std::vector<LaneRow> rows_;
  // Norms are what, less twice the product with a query, says which are nearer: the squares; for
  // Dot the nearest have the greatest product, also with the codec's centre. Where vectors have
  // length 1, too, they are mostly nearest in the sense of squares. Infinite beyond count().
  std::vector<LaneParams> params_;
  // How far centres are from queries, where the nearest is at 0 and the mean of all at 1, for
  // each part of kSpread. From the nearest to the farthest.
  static constexpr size_t kSpread = 64;
  std::vector<float> spread_;
  double mean_squares_ = 0;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SKETCH_CENTRES_H_
