#include "engine/vector/sketch_centres.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "engine/vector/kernels.h"

namespace cookix::engine {
namespace {

constexpr int kRounds = 8;
// Vectors that tell how far centres are.
constexpr size_t kAsking = 256;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// What lanes hold is looked through as sketches are.
static_assert(kLanes == kSketchLanes);

size_t RoundUp(size_t n, size_t to) { return (n + to - 1) / to * to; }

}  // namespace

SketchCentres::SketchCentres(const SketchCodec& codec)
    : SketchCentres(codec, std::vector<float>(codec.components())) {}

SketchCentres::SketchCentres(const SketchCodec& codec, std::vector<float> places)
    : codec_(codec),
      places_(std::move(places)),
      code_bytes_(RoundUp(codec.components(), kCodeAlignment)) {
  const size_t components = codec_.components();
  const size_t count = places_.size() / components;
  params_.resize(RoundUp(count, kLanes) / kLanes);
  rows_.resize(params_.size() * code_bytes_ / kLaneBytes);
  for (LaneParams& block : params_) std::fill_n(block.norms, kLanes, kInfinity);
  std::vector<float> middle;
  if (codec_.metric() == Metric::kDot) {
    // From there the origin lies the other way.
    middle.resize(components);
    codec_.Turn(std::vector<float>(components).data(), middle.data());
    for (float& x : middle) x = -x;
  }
  for (size_t k = 0; k < count; ++k) {
    Encode(k);
    const float* const place = &places_[k * components];
    squares_.push_back(BestKernels().dot(place, place, components));
    params_[k / kLanes].norms[k % kLanes] =
        middle.empty() ? squares_[k] : -2 * BestKernels().dot(place, middle.data(), components);
  }
}

void SketchCentres::Encode(size_t centre) {
  const size_t components = codec_.components();
  float* const place = &places_[centre * components];
  std::vector<int8_t> steps(components);
  int32_t sum;
  const float step = BestKernels().quantize(place, components, steps.data(), &sum);
  params_[centre / kLanes].scales[centre % kLanes] = step;
  std::vector<uint8_t> code(code_bytes_);
  for (size_t d = 0; d < components; ++d) {
    place[d] = step * steps[d];
    code[d] = static_cast<uint8_t>(steps[d] + 128);
  }
  WriteLane(code.data(), code_bytes_, centre, reinterpret_cast<uint8_t*>(rows_.data()));
}

void SketchCentres::Compare(const float* turned, float norm_factor, Scratch* scratch) const {
  const Kernels& kernels = BestKernels();
  const size_t components = codec_.components();
  if (scratch->order.size() < room()) scratch->order.resize(room());
  if (scratch->steps.size() < code_bytes_) scratch->steps.resize(code_bytes_);
  int8_t* const steps = scratch->steps.data();
  int32_t sum;
  const float step = kernels.quantize(turned, components, steps, &sum);
  std::fill(steps + components, steps + code_bytes_, int8_t{0});
  const LaneQuery query = {steps, 128 * sum, 0, norm_factor, step};
  kernels.lane_distances(query, reinterpret_cast<const uint8_t*>(rows_.data()), params_.data(),
                         params_.size(), code_bytes_, scratch->order.data());
}

std::shared_ptr<const SketchCentres> SketchCentres::Learn(const SketchCodec& codec,
                                                          std::span<const float> turned,
                                                          size_t count) {
  const size_t components = codec.components();
  const size_t vectors = turned.size() / components;
  count = std::min(count, vectors);
  if (count < 2) return std::make_shared<const SketchCentres>(codec);
  std::vector<float> places;
  Scratch scratch;
  for (size_t k = 0; k < count; ++k) {
    const float* const first = &turned[Scattered(k, vectors) * components];
    places.insert(places.end(), first, first + components);
  }
  std::shared_ptr<SketchCentres> centres;
  for (int round = 0;; ++round) {
    centres.reset(new SketchCentres(codec, places));
    if (round == kRounds) break;
    std::vector<double> sums(places.size());
    std::vector<size_t> members(centres->count());
    for (size_t i = 0; i < vectors; ++i) {
      const float* const vector = &turned[i * components];
      const size_t nearest = centres->Nearest(vector, &scratch);
      ++members[nearest];
      for (size_t d = 0; d < components; ++d) sums[nearest * components + d] += vector[d];
    }
    // One that nothing is near is left out.
    places.clear();
    for (size_t k = 0; k < members.size(); ++k) {
      if (members[k] == 0) continue;
      for (size_t d = 0; d < components; ++d) {
        const double mean = sums[k * components + d] / static_cast<double>(members[k]);
        places.push_back(static_cast<float>(mean));
      }
    }
  }
  centres->LearnSpread(turned);
  return centres;
}

int64_t SketchCentres::Bytes() const {
  return static_cast<int64_t>((places_.size() + squares_.size() + spread_.size()) * sizeof(float) +
                              rows_.size() * sizeof(LaneRow) + params_.size() * sizeof(LaneParams));
}

size_t SketchCentres::Nearest(const float* turned, Scratch* scratch) const {
  if (count() == 1 || !std::isfinite(BestKernels().dot(turned, turned, codec_.components()))) {
    return 0;
  }
  Compare(turned, 0, scratch);
  size_t nearest = 0;
  float least = kInfinity;
  for (size_t k = 0; k < count(); ++k) {
    const float distance = squares_[k] + 2 * scratch->order[k];
    if (!(distance < least)) continue;
    least = distance;
    nearest = k;
  }
  return nearest;
}

void SketchCentres::LearnSpread(std::span<const float> turned) {
  const size_t components = codec_.components();
  const size_t vectors = turned.size() / components;
  const size_t asking = std::min(kAsking, vectors);
  Scratch scratch;
  std::vector<float> all;
  for (size_t i = 0; i < asking; ++i) {
    const float* const vector = &turned[Scattered(i, vectors) * components];
    const float* const place = at(Nearest(vector, &scratch));
    mean_squares_ +=
        BestKernels().squared_l2(vector, place, components) / static_cast<double>(asking);
    Compare(vector, 0.5f, &scratch);
    float least, sum;
    codec_.kernels().summary(scratch.order.data(), room(), &least, &sum);
    const float mean = sum / static_cast<float>(count());
    if (!(mean > least) || !std::isfinite(mean)) continue;
    for (size_t k = 0; k < count(); ++k) all.push_back((scratch.order[k] - least) / (mean - least));
  }
  std::sort(all.begin(), all.end());
  spread_.assign(kSpread + 1, 0);
  for (size_t i = 0; i <= kSpread && !all.empty(); ++i) {
    spread_[i] = all[std::min(all.size() - 1, i * all.size() / kSpread)];
  }
}

size_t SketchCentres::FindNear(const SketchQuery& query, double part, Scratch* scratch) const {
  if (scratch->near.size() < room()) scratch->near.resize(room());
  if (count() == 1) {
    scratch->near[0] = 0;
    return 1;
  }
  Compare(query.components.data(), 0.5f, scratch);
  size_t found = 0;
  if (part < 1) {
    float least, sum;
    codec_.kernels().summary(scratch->order.data(), room(), &least, &sum);
    const double at = kSpread * std::max(0.0, part);
    const auto before = static_cast<size_t>(at);
    const float next = spread_[before + 1] - spread_[before];
    const float far = spread_[before] + next * static_cast<float>(at - static_cast<double>(before));
    const float mean = sum / static_cast<float>(count());
    // Beyond what floats hold all are as near.
    const float bound = std::isfinite(mean) ? std::max(least, least + far * (mean - least))
                                            : std::numeric_limits<float>::max();
    // What kernels look at beyond count() is infinite.
    found = BestNearKernels().find_near(scratch->order.data(), room(),
                                        std::min(bound, std::numeric_limits<float>::max()),
                                        scratch->near.data());
  }
  if (found > 0) return found;
  // All, also where beyond what floats hold none is nearer than another.
  std::iota(scratch->near.begin(), scratch->near.end(), 0u);
  return count();
}

}  // namespace cookix::engine
