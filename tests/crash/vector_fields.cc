#include "tests/crash/vector_fields.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <set>

namespace cookix::tests {
namespace {

constexpr int kDimension = 8;
constexpr uint64_t kCentres = 16;
constexpr uint32_t kSparseIndices = 200;
constexpr int kSparseEntries = 6;

double Dot(const v1::Vector& a, const v1::Vector& b) {
  double dot = 0;
  for (int i = 0; i < a.values_size(); ++i) dot += double{a.values(i)} * double{b.values(i)};
  return dot;
}

}  // namespace

v1::UpdateCollectionRequest AddVectorFields() {
  v1::UpdateCollectionRequest request;
  const auto add = [&](const char* name, int dimension, v1::VectorMetric metric,
                       v1::VectorIndexKind kind) {
    v1::VectorField* field = request.add_put_vector_fields();
    field->set_name(name);
    field->set_dimension(dimension);
    field->set_metric(metric);
    field->set_index(kind);
    return field;
  };
  add("graph", kDimension, v1::VECTOR_METRIC_L2, v1::VECTOR_INDEX_KIND_HNSW);
  // Small cells, so that they are split and merged under load.
  add("cells", kDimension, v1::VECTOR_METRIC_COSINE, v1::VECTOR_INDEX_KIND_CELLS)
      ->mutable_cells()
      ->set_max_cell_size(64);
  add("sparse", 0, v1::VECTOR_METRIC_DOT, v1::VECTOR_INDEX_KIND_SPARSE);
  return request;
}

v1::Vector RandomVector(const std::string& field, std::mt19937_64& random) {
  v1::Vector vector;
  std::normal_distribution<float> normal;
  if (field == "sparse") {
    std::set<uint32_t> indices;
    while (indices.size() < kSparseEntries) {
      indices.insert(static_cast<uint32_t>(random() % kSparseIndices));
    }
    for (const uint32_t index : indices) {
      vector.add_indices(index);
      vector.add_values(0.1f + std::fabs(normal(random)));
    }
    return vector;
  }
  std::mt19937_64 centre(random() % kCentres);
  for (int i = 0; i < kDimension; ++i) {
    std::normal_distribution<float> of_centre;
    vector.add_values(of_centre(centre) + 0.5f * normal(random));
  }
  return vector;
}

bool Distance(const std::string& field, const v1::Vector& a, const v1::Vector& b,
              double* distance) {
  if (field == "sparse") {
    double dot = 0;
    bool shared = false;
    for (int i = 0, j = 0; i < a.indices_size() && j < b.indices_size();) {
      if (a.indices(i) == b.indices(j)) {
        dot += double{a.values(i++)} * double{b.values(j++)};
        shared = true;
      } else {
        a.indices(i) < b.indices(j) ? ++i : ++j;
      }
    }
    *distance = -dot;
    return shared;
  }
  if (field == "cells") {
    *distance = 1 - Dot(a, b) / std::sqrt(Dot(a, a) * Dot(b, b));
    return true;
  }
  double squares = 0;
  for (int i = 0; i < a.values_size(); ++i) {
    const double difference = double{a.values(i)} - double{b.values(i)};
    squares += difference * difference;
  }
  *distance = std::sqrt(squares);
  return true;
}

}  // namespace cookix::tests
