// Mean, variance and bisection of the vectors of one cell.
#ifndef COOKIX_ENGINE_VECTOR_CELL_SPLIT_H_
#define COOKIX_ENGINE_VECTOR_CELL_SPLIT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/vector/vector_codec.h"

namespace cookix::engine {

// `count` vectors of `dimension` floats, one after the other.
struct CellVectors {
  const float* values = nullptr;
  size_t count = 0;
  size_t dimension = 0;
  const float* at(size_t i) const { return values + i * dimension; }
};

struct CellShape {
  std::vector<float> mean;
  // Mean squared Euclidean distance from the mean.
  double variance = 0;
};

// REQUIRES: vectors.count > 0.
CellShape ShapeOf(const CellVectors& vectors);

// By how much a centroid has moved. For kCosine and kDot the angle in radians; for kL2 the
// way in units of the cell's standard deviation, which for vectors of unit length is more
// than the angle.
double Drift(Metric metric, const std::vector<float>& from, const CellShape& to);

// The mean as a centroid: of unit length for kCosine.
std::vector<float> CentroidOf(Metric metric, const std::vector<float>& mean);

struct Bisection {
  // For each vector 0 or 1.
  std::vector<uint8_t> side;
  CellShape shapes[2];
};

// Bisecting k-means: two centres, begun far from each other, moved until they stay. Each
// side gets at least a sixth of the vectors. The outcome depends on the vectors alone.
// REQUIRES: vectors.count >= 2.
Bisection Bisect(Metric metric, const CellVectors& vectors);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_CELL_SPLIT_H_
