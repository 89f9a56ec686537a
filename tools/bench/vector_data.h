// Vectors to search, questions, and the true answers.
#ifndef COOKIX_TOOLS_BENCH_VECTOR_DATA_H_
#define COOKIX_TOOLS_BENCH_VECTOR_DATA_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cookix/v1/catalog_service.pb.h"

namespace cookix::bench {

// Rows of `dimension` floats, one after the other. Under COSINE all are normalised.
struct VectorData {
  std::string name;
  size_t dimension = 0;
  v1::VectorMetric metric = v1::VECTOR_METRIC_COSINE;
  std::vector<float> base;
  std::vector<float> queries;

  size_t size() const { return base.size() / dimension; }
  size_t query_count() const { return queries.size() / dimension; }
  const float* Base(size_t row) const { return base.data() + row * dimension; }
  const float* Query(size_t row) const { return queries.data() + row * dimension; }

  // 1 - cosine, or the squared Euclidean distance.
  float Distance(const float* a, const float* b) const;
};

// Points around normally distributed centres, with a standard deviation of 0.6, then
// normalised. The same arguments give the same points everywhere.
class ClusterSource {
 public:
  ClusterSource(size_t dimension, size_t clusters, uint64_t seed);

  size_t clusters() const { return centres_.size() / dimension_; }
  // `count` points of random clusters.
  void Append(size_t count, std::vector<float>* out);
  // `count` points of one.
  void AppendOf(size_t cluster, size_t count, std::vector<float>* out);

 private:
  const size_t dimension_;
  std::mt19937_64 random_;
  std::normal_distribution<float> normal_;
  std::vector<float> centres_;
};

VectorData MakeClusters(const std::string& name, size_t count, size_t dimension, size_t clusters,
                        size_t queries, uint64_t seed);

// Images of digits, 784 bytes a row, from DIR/train.u8 and DIR/test.u8; metric l2. The first
// `queries` of the second file are the questions.
absl::StatusOr<VectorData> ReadMnist(const std::string& dir, size_t queries);
// Word vectors from DIR/base.fvecs; metric cosine. The last `queries` rows are taken out to
// be the questions.
absl::StatusOr<VectorData> ReadGlove(const std::string& dir, size_t queries);

// What is nearest to each query.
struct Truth {
  size_t k = 0;
  // Of each query, ascending by distance; fewer than k where there are fewer rows.
  std::vector<std::vector<uint32_t>> rows;
  // The distance of the last of them.
  std::vector<float> worst;

  // The share of `found` (rows without repetition) that are as near as the k nearest, of
  // all that could be found.
  double Recall(const VectorData& data, const float* query, size_t number,
                std::span<const uint32_t> found) const;
};

// Compares every one of `count` queries with every row, or with those of `among` if it is not
// empty. In two threads.
Truth FindTruth(const VectorData& data, const float* queries, size_t count, size_t k,
                std::span<const uint32_t> among = {});

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_VECTOR_DATA_H_
