#include "engine/vector/sketch_centres.h"

#include <algorithm>
#include <bit>
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

size_t RoundUp(size_t n, size_t to) { return (n + to - 1) / to * to; }

}  // namespace

SketchCentres::SketchCentres(const SketchCodec& codec)
    : SketchCentres(codec, std::vector<float>(codec.components())) {}

SketchCentres::SketchCentres(const SketchCodec& codec, std::vector<float> places)
    : codec_(codec), places_(std::move(places)) {
  const size_t components = codec_.components();
  const size_t count = places_.size() / components;
  room_ = RoundUp(count, kCentresAtOnce);
  rows_.resize(room_ / 2 * components);
  orders_.assign(room_, kInfinity);
  for (float& place : places_) place = RoundToBfloat16(place);
  std::vector<float> middle;
  if (codec_.metric() == Metric::kDot) {
    // From there the origin lies the other way.
    middle.resize(components);
    codec_.Turn(std::vector<float>(components).data(), middle.data());
    for (float& x : middle) x = -x;
  }
  for (size_t k = 0; k < count; ++k) {
    const float* const place = &places_[k * components];
    squares_.push_back(BestKernels().dot(place, place, components));
    orders_[k] =
        middle.empty() ? squares_[k] : -2 * BestKernels().dot(place, middle.data(), components);
    const size_t word = k / kCentresAtOnce * kSketchLanes + k % kSketchLanes;
    const int shift = k % kCentresAtOnce < kSketchLanes ? 16 : 0;
    for (size_t d = 0; d < components; ++d) {
      rows_[d * room_ / 2 + word] |= std::bit_cast<uint32_t>(place[d]) >> shift;
    }
  }
}

std::shared_ptr<const SketchCentres> SketchCentres::Learn(const SketchCodec& codec,
                                                          std::span<const float> turned,
                                                          size_t count) {
  const size_t components = codec.components();
  const size_t vectors = turned.size() / components;
  count = std::min(count, vectors);
  if (count < 2) return std::make_shared<const SketchCentres>(codec);
  std::vector<float> places, products;
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
      const size_t nearest = centres->Nearest(vector, &products);
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
  return static_cast<int64_t>(
      (places_.size() + squares_.size() + orders_.size() + rows_.size() + spread_.size()) *
      sizeof(float));
}

void SketchCentres::Products(const float* turned, float* products) const {
  codec_.kernels().products(rows_.data(), turned, codec_.components(), room_, products);
}

size_t SketchCentres::Nearest(const float* turned, std::vector<float>* products) const {
  if (count() == 1) return 0;
  products->resize(room_);
  Products(turned, products->data());
  size_t nearest = 0;
  float least = kInfinity;
  for (size_t k = 0; k < count(); ++k) {
    const float distance = squares_[k] - 2 * (*products)[k];
    if (distance >= least) continue;
    least = distance;
    nearest = k;
  }
  return nearest;
}

void SketchCentres::LearnSpread(std::span<const float> turned) {
  const size_t components = codec_.components();
  const size_t vectors = turned.size() / components;
  const size_t asking = std::min(kAsking, vectors);
  std::vector<float> products(room_), order(room_), all;
  for (size_t i = 0; i < asking; ++i) {
    const float* const vector = &turned[Scattered(i, vectors) * components];
    Products(vector, products.data());
    float nearest = kInfinity;
    for (size_t k = 0; k < count(); ++k) nearest = std::min(nearest, squares_[k] - 2 * products[k]);
    const float squares = BestKernels().dot(vector, vector, components) + nearest;
    mean_squares_ += std::max(0.0f, squares) / static_cast<double>(asking);
    float least, sum;
    codec_.kernels().orders(orders_.data(), products.data(), room_, order.data(), &least, &sum);
    const float mean = sum / static_cast<float>(count());
    if (!(mean > least) || !std::isfinite(mean)) continue;
    for (size_t k = 0; k < count(); ++k) all.push_back((order[k] - least) / (mean - least));
  }
  std::sort(all.begin(), all.end());
  spread_.assign(kSpread + 1, 0);
  for (size_t i = 0; i <= kSpread && !all.empty(); ++i) {
    spread_[i] = all[std::min(all.size() - 1, i * all.size() / kSpread)];
  }
}

size_t SketchCentres::FindNear(const SketchQuery& query, double part, Scratch* scratch) const {
  if (scratch->near.size() < room_) {
    scratch->products.resize(room_);
    scratch->order.resize(room_);
    scratch->near.resize(room_);
  }
  if (count() == 1) {
    scratch->products[0] = 0;
    scratch->near[0] = 0;
    return 1;
  }
  Products(query.components.data(), scratch->products.data());
  size_t found = 0;
  if (part < 1) {
    float* const order = scratch->order.data();
    float least, sum;
    codec_.kernels().orders(orders_.data(), scratch->products.data(), room_, order, &least, &sum);
    const double at = kSpread * std::max(0.0, part);
    const auto before = static_cast<size_t>(at);
    const float next = spread_[before + 1] - spread_[before];
    const float far = spread_[before] + next * static_cast<float>(at - static_cast<double>(before));
    const float mean = sum / static_cast<float>(count());
    // Beyond what floats hold all are as near.
    const float bound = std::isfinite(mean) ? std::max(least, least + far * (mean - least))
                                            : std::numeric_limits<float>::max();
    // What kernels look at beyond count() is infinite.
    found = BestNearKernels().find_near(
        order, room_, std::min(bound, std::numeric_limits<float>::max()), scratch->near.data());
  }
  if (found > 0) return found;
  // All, also where beyond what floats hold none is nearer than another.
  std::iota(scratch->near.begin(), scratch->near.end(), 0u);
  return count();
}

}  // namespace cookix::engine
