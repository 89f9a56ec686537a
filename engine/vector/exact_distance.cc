#include "engine/vector/exact_distance.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

namespace cookix::engine {
namespace {

double SparseDot(const v1::Vector& a, const v1::Vector& b) {
  double sum = 0;
  for (int i = 0, j = 0; i < a.indices_size() && j < b.indices_size();) {
    if (a.indices(i) < b.indices(j)) {
      ++i;
    } else if (a.indices(i) > b.indices(j)) {
      ++j;
    } else {
      sum += static_cast<double>(a.values(i++)) * b.values(j++);
    }
  }
  return sum;
}

double DenseDistance(v1::VectorMetric metric, const float* a, const float* b, size_t n) {
  double dot = 0, squares = 0, aa = 0, bb = 0;
  for (size_t d = 0; d < n; ++d) {
    const double x = a[d], y = b[d];
    dot += x * y;
    squares += (x - y) * (x - y);
    aa += x * x;
    bb += y * y;
  }
  if (metric == v1::VECTOR_METRIC_L2) return std::sqrt(squares);
  if (metric == v1::VECTOR_METRIC_DOT) return 0 - dot;
  // Zeros, which only another metric's field holds, are at right angles to everything.
  if (aa == 0 || bb == 0) return 1;
  return 1 - std::clamp(dot / std::sqrt(aa * bb), -1.0, 1.0);
}

double BitDistance(const char* a, const char* b, size_t bytes) {
  int64_t count = 0;
  for (size_t i = 0; i < bytes; ++i) {
    count += std::popcount(static_cast<unsigned char>(a[i] ^ b[i]));
  }
  return static_cast<double>(count);
}

}  // namespace

double ObjectDistance(const v1::VectorField& field, const v1::Vector& stored,
                      const v1::Vector& query) {
  if (field.dimension() == 0) return 0 - SparseDot(stored, query);
  const auto dimension = static_cast<size_t>(field.dimension());
  const bool bits = field.metric() == v1::VECTOR_METRIC_HAMMING;
  const size_t bytes = (dimension + 7) / 8;
  const size_t count =
      bits ? stored.bits().size() / bytes : static_cast<size_t>(stored.values_size()) / dimension;
  double least = 0, sum = 0;
  for (size_t i = 0; i < count; ++i) {
    const double distance =
        bits ? BitDistance(stored.bits().data() + i * bytes, query.bits().data(), bytes)
             : DenseDistance(field.metric(), stored.values().data() + i * dimension,
                             query.values().data(), dimension);
    least = i == 0 ? distance : std::min(least, distance);
    sum += distance;
    if (field.aggregate() == v1::VECTOR_AGGREGATE_FIRST) return distance;
  }
  return field.aggregate() == v1::VECTOR_AGGREGATE_MEAN ? sum / static_cast<double>(count) : least;
}

}  // namespace cookix::engine
