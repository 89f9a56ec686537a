#include "engine/vector/cell_split.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/vector/kernels.h"

namespace cookix::engine {
namespace {

constexpr int kRounds = 8;
constexpr size_t kLeastShare = 6;

CellShape ShapeOfSide(const CellVectors& vectors, const std::vector<uint8_t>* side, uint8_t which) {
  CellShape shape;
  std::vector<double> sum(vectors.dimension, 0);
  size_t count = 0;
  for (size_t i = 0; i < vectors.count; ++i) {
    if (side != nullptr && (*side)[i] != which) continue;
    ++count;
    const float* v = vectors.at(i);
    for (size_t d = 0; d < vectors.dimension; ++d) sum[d] += v[d];
  }
  shape.mean.resize(vectors.dimension);
  if (count == 0) return shape;
  for (size_t d = 0; d < vectors.dimension; ++d) {
    shape.mean[d] = static_cast<float>(sum[d] / static_cast<double>(count));
  }
  const Kernels& kernels = BestKernels();
  double squares = 0;
  for (size_t i = 0; i < vectors.count; ++i) {
    if (side != nullptr && (*side)[i] != which) continue;
    squares += kernels.squared_l2(vectors.at(i), shape.mean.data(), vectors.dimension);
  }
  shape.variance = squares / static_cast<double>(count);
  return shape;
}

size_t Farthest(const CellVectors& vectors, const float* from) {
  const Kernels& kernels = BestKernels();
  size_t farthest = 0;
  float greatest = -1;
  for (size_t i = 0; i < vectors.count; ++i) {
    const float distance = kernels.squared_l2(vectors.at(i), from, vectors.dimension);
    if (distance > greatest) {
      greatest = distance;
      farthest = i;
    }
  }
  return farthest;
}

}  // namespace

CellShape ShapeOf(const CellVectors& vectors) { return ShapeOfSide(vectors, nullptr, 0); }

double Drift(Metric metric, const std::vector<float>& from, const CellShape& to) {
  const Kernels& kernels = BestKernels();
  const size_t n = from.size();
  if (metric == Metric::kL2) {
    const double way = std::sqrt(kernels.squared_l2(from.data(), to.mean.data(), n));
    if (way == 0) return 0;
    return to.variance > 0 ? way / std::sqrt(to.variance) : HUGE_VAL;
  }
  const double a = std::sqrt(kernels.dot(from.data(), from.data(), n));
  const double b = std::sqrt(kernels.dot(to.mean.data(), to.mean.data(), n));
  if (a == 0 || b == 0) return a == b ? 0 : M_PI;
  // By the chord: the cosine of a small angle has no digits left.
  double squares = 0;
  for (size_t d = 0; d < n; ++d) {
    const double difference = from[d] / a - to.mean[d] / b;
    squares += difference * difference;
  }
  return 2 * std::asin(std::min(1.0, std::sqrt(squares) / 2));
}

std::vector<float> CentroidOf(Metric metric, const std::vector<float>& mean) {
  std::vector<float> centroid = mean;
  if (metric != Metric::kCosine) return centroid;
  const float length = std::sqrt(BestKernels().dot(mean.data(), mean.data(), mean.size()));
  if (length > 0) {
    for (float& x : centroid) x /= length;
  }
  return centroid;
}

Bisection Bisect(Metric metric, const CellVectors& vectors) {
  const Kernels& kernels = BestKernels();
  const size_t n = vectors.count;
  const size_t dimension = vectors.dimension;
  std::vector<float> centres[2];
  {
    const size_t a = Farthest(vectors, ShapeOf(vectors).mean.data());
    const size_t b = Farthest(vectors, vectors.at(a));
    centres[0].assign(vectors.at(a), vectors.at(a) + dimension);
    centres[1].assign(vectors.at(b), vectors.at(b) + dimension);
  }
  Bisection result;
  result.side.assign(n, 0);
  const size_t least = std::max<size_t>(1, n / kLeastShare);
  // How much nearer to centre 0.
  std::vector<std::pair<float, uint32_t>> preference(n);
  for (int round = 0; round < kRounds; ++round) {
    size_t second = 0;
    bool changed = round == 0;
    for (size_t i = 0; i < n; ++i) {
      const float* v = vectors.at(i);
      const float nearer = kernels.squared_l2(v, centres[0].data(), dimension) -
                           kernels.squared_l2(v, centres[1].data(), dimension);
      preference[i] = {nearer, static_cast<uint32_t>(i)};
      const uint8_t side = nearer > 0 ? 1 : 0;
      second += side;
      changed = changed || side != result.side[i];
      result.side[i] = side;
    }
    if (second < least || n - second < least) {
      // The least sure of the larger side go over.
      const size_t cut = second < least ? n - least : least;
      std::nth_element(preference.begin(), preference.begin() + static_cast<ptrdiff_t>(cut),
                       preference.end());
      for (size_t i = 0; i < n; ++i) result.side[preference[i].second] = i < cut ? 0 : 1;
      changed = true;
    }
    if (!changed) break;
    for (uint8_t side = 0; side < 2; ++side) {
      result.shapes[side] = ShapeOfSide(vectors, &result.side, side);
      centres[side] = CentroidOf(metric, result.shapes[side].mean);
    }
  }
  return result;
}

}  // namespace cookix::engine
