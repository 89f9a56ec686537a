#include "engine/vector/sketch_codec.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace cookix::engine {
namespace {

constexpr size_t kBitsOfGroup = 2 * kTableBits;
// Vectors of few components get more: the more there are, the better is the estimate.
constexpr size_t kLeastBits = 128;
// Of normally distributed components, which is what a random turn leaves, the width of one of
// four levels that keeps most of them, in standard deviations (Max, Quantizing for minimum
// distortion, 1960).
constexpr double kWidth = 0.9957;
// A sum of so many groups fits a byte, and is not rounded too much.
constexpr size_t kGroupsOfPart = 16;

size_t GroupsOf(size_t dimension, int bits) {
  const size_t all = std::max(kLeastBits, dimension * static_cast<size_t>(bits));
  return (all + kBitsOfGroup - 1) / kBitsOfGroup;
}

// From the least level to the greatest.
float RangeOf(int bits) { return static_cast<float>((1 << bits) - 1); }

// Groups of a part, where all parts are about as long.
size_t PartOf(size_t groups) {
  const size_t parts = (groups + kGroupsOfPart - 1) / kGroupsOfPart;
  return (groups + parts - 1) / parts;
}

// Their sum. Several sums do not wait for one another.
float Magnitudes(const float* values, size_t n) {
  constexpr size_t kSums = 16;
  float sums[kSums] = {};
  size_t i = 0;
  for (; i + kSums <= n; i += kSums) {
    for (size_t k = 0; k < kSums; ++k) sums[k] += std::fabs(values[i + k]);
  }
  for (; i < n; ++i) sums[0] += std::fabs(values[i]);
  return std::accumulate(sums, sums + kSums, 0.0f);
}

}  // namespace

SketchCodec::SketchCodec(Metric metric, size_t dimension, int bits, std::vector<float> centre,
                         const SketchKernels& kernels)
    : metric_(metric),
      dimension_(dimension),
      bits_(bits),
      centre_(std::move(centre)),
      kernels_(kernels),
      groups_(GroupsOf(dimension, bits)),
      components_(groups_ * kBitsOfGroup / static_cast<size_t>(bits)),
      part_(PartOf(groups_)),
      block_bytes_(BlockBytes(dimension, bits)),
      rotation_(components_) {}

size_t SketchCodec::BlockBytes(size_t dimension, int bits) {
  return (GroupsOf(dimension, bits) + 2 * sizeof(float)) * kSketchBlock;
}

void SketchCodec::Clear(uint8_t* block) const {
  std::fill(block, block + block_bytes_, uint8_t{0});
  auto* const norms = reinterpret_cast<float*>(block + groups_ * kSketchBlock) + kSketchBlock;
  std::fill_n(norms, kSketchBlock, std::numeric_limits<float>::infinity());
}

void SketchCodec::Turn(const float* vector, float* turned, float* with_centre) const {
  if (with_centre != nullptr) *with_centre = 0;
  if (centre_.empty()) {
    std::copy_n(vector, dimension_, turned);
  } else {
    floats_.subtract(vector, centre_.data(), dimension_, turned);
    if (with_centre != nullptr) *with_centre = floats_.dot(turned, centre_.data(), dimension_);
  }
  std::fill(turned + dimension_, turned + components_, 0.0f);
  rotation_.Apply(turned);
}

float SketchCodec::Write(const float* turned, float with_centre, const float* from, size_t i,
                         uint8_t* block) const {
  float left[kMostDimension];
  float levels[kMostDimension];
  for (size_t d = 0; d < components_; ++d) left[d] = turned[d] - from[d];
  const float squares = floats_.dot(left, left, components_);
  const float with_from = floats_.dot(left, from, components_);
  auto* const factors = reinterpret_cast<float*>(block + groups_ * kSketchBlock);
  float* const norms = factors + kSketchBlock;
  factors[i] = 0;
  norms[i] = std::numeric_limits<float>::infinity();
  // Beyond what floats hold there are no sketches.
  if (!std::isfinite(squares + with_from + with_centre)) return squares;
  // Levels: -0.5 and 0.5, or -1.5 to 1.5, times a width.
  const double width = kWidth * std::sqrt(squares / static_cast<double>(components_));
  const float inverse = width > 1e-30 ? static_cast<float>(1 / width) : 0;
  const float most = RangeOf(bits_) / 2;
  for (size_t d = 0; d < components_; ++d) {
    levels[d] = std::clamp(std::floor(left[d] * inverse) + 0.5f, -most, most);
  }
  const float product = floats_.dot(left, levels, components_);
  const size_t of_group = components_ / groups_;
  for (size_t g = 0; g < groups_; ++g) {
    unsigned byte = 0;
    for (size_t k = 0; k < of_group; ++k) {
      const auto level = static_cast<unsigned>(levels[g * of_group + k] + most);
      byte |= level << (k * static_cast<size_t>(bits_));
    }
    block[kSketchBlock * g + SketchPlace(i)] = static_cast<uint8_t>(byte);
  }
  // The vector's part in the direction of its levels counts for all of it.
  const float factor = product > 0 ? squares / product : 0;
  const bool l2 = metric_ == Metric::kL2;
  factors[i] = l2 ? -2 * factor : -factor;
  norms[i] = l2 ? squares + 2 * with_from : -with_centre;
  return squares;
}

void SketchCodec::Prepare(const float* vector, SketchQuery* query) const {
  query->components.resize(components_);
  query->tables.resize(2 * kTable * groups_);
  float* const turned = query->components.data();
  Turn(vector, turned);
  const float range = RangeOf(bits_);
  const size_t of_part = part_ * kBitsOfGroup / static_cast<size_t>(bits_);
  float all = 0, most = 0;
  for (size_t begin = 0; begin < components_; begin += of_part) {
    const float sum = Magnitudes(turned + begin, std::min(of_part, components_ - begin));
    all += sum;
    most = std::max(most, sum);
  }
  // Beyond what floats hold all are as near.
  if (!std::isfinite(range * all)) {
    std::fill_n(turned, components_, 0.0f);
    all = most = 0;
  }
  // What is looked up is rounded, twice a group.
  const float step = range * most / static_cast<float>(255 - part_ - 1);
  const float inverse = step > 0 ? std::min(1 / step, std::numeric_limits<float>::max()) : 0;
  kernels_.tables(turned, bits_, inverse, groups_, query->tables.data());
  query->sums = {query->tables.data(), groups_, part_, step, -0.5f * range * all};
}

}  // namespace cookix::engine
