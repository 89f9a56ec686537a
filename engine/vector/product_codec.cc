#include "engine/vector/product_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <utility>

namespace cookix::engine {
namespace {

constexpr size_t kQuad = 4;
constexpr size_t kCentroids = 256;
constexpr int kRounds = 10;

size_t Quads(size_t dimension) { return (dimension + kQuad - 1) / kQuad; }

// The centroids of one quad, as the kernels take them.
struct Columns {
  float squares[kCentroids];
  float columns[kQuad * kCentroids];

  void Set(const float* centroids) {
    for (size_t k = 0; k < kCentroids; ++k) {
      float sum = 0;
      for (size_t j = 0; j < kQuad; ++j) {
        const float x = centroids[kQuad * k + j];
        columns[kCentroids * j + k] = x;
        sum += x * x;
      }
      squares[k] = sum;
    }
  }

  // The nearest centroid. `scores`: squared distances less the length of `x`.
  uint32_t Nearest(const Kernels& kernels, const float* x, float* scores) const {
    const float twice[kQuad] = {-2 * x[0], -2 * x[1], -2 * x[2], -2 * x[3]};
    kernels.affine_256(squares, columns, twice, scores);
    return kernels.least_256(scores);
  }
};

class ProductCodec final : public VectorCodec {
 public:
  ProductCodec(Metric metric, size_t dimension, std::vector<float> centre,
               std::vector<float> centroids, const Kernels& kernels)
      : VectorCodec(metric, Quantization::kProduct, dimension, Quads(dimension), 0,
                    std::move(centre), kernels),
        quads_(Quads(dimension)),
        centroids_(std::move(centroids)),
        columns_(quads_) {
    for (size_t m = 0; m < quads_; ++m) {
      columns_[m].Set(centroids_.data() + kQuad * kCentroids * m);
    }
  }

  void Encode(const void* vector, uint8_t* code, uint8_t*, CodeParams* params) const override {
    const auto* v = static_cast<const float*>(vector);
    float scores[kCentroids];
    double error = 0, squares = 0, norm = 0;
    for (size_t m = 0; m < quads_; ++m) {
      float x[kQuad] = {};
      for (size_t d = kQuad * m; d < std::min(dimension_, kQuad * (m + 1)); ++d) {
        x[d - kQuad * m] = At(v, d);
        norm += static_cast<double>(NormPart(v, d));
      }
      code[m] = static_cast<uint8_t>(columns_[m].Nearest(kernels_, x, scores));
      const float* c = Centroid(m, code[m]);
      for (size_t j = 0; j < kQuad; ++j) {
        squares += static_cast<double>(c[j]) * c[j];
        error += (static_cast<double>(x[j]) - c[j]) * (static_cast<double>(x[j]) - c[j]);
      }
    }
    params->scale = static_cast<float>(std::sqrt(error));
    // Of products, which are rounded by their size.
    if (metric_ == Metric::kDot) {
      params->scale += static_cast<float>(2 * kRounding * std::sqrt(squares));
    }
    params->norm = static_cast<float>(norm);
  }

  void PrepareQuery(const void* vector, PreparedQuery* query) const override {
    const auto* v = static_cast<const float*>(vector);
    query->by_residue = false;
    query->values.assign(kQuad * quads_, 0);
    double squares = 0, norm = 0;
    for (size_t d = 0; d < dimension_; ++d) {
      const float x = At(v, d);
      query->values[d] = x;
      squares += static_cast<double>(x) * x;
      norm += static_cast<double>(NormPart(v, d));
    }
    query->length = std::sqrt(squares);
    query->norm = static_cast<float>(norm);
    query->scale = 0;
    query->table.resize(kCentroids * quads_);
    static constexpr float kZeros[kCentroids] = {};
    const bool dot = metric_ == Metric::kDot;
    const float factor = dot ? 1 : -2;
    for (size_t m = 0; m < quads_; ++m) {
      const float* q = query->values.data() + kQuad * m;
      const float x[kQuad] = {factor * q[0], factor * q[1], factor * q[2], factor * q[3]};
      kernels_.affine_256(dot ? kZeros : columns_[m].squares, columns_[m].columns, x,
                          query->table.data() + kCentroids * m);
    }
  }

  void PrepareCode(const uint8_t* code, const uint8_t*, const CodeParams& params,
                   PreparedQuery* query) const override {
    query->by_residue = false;
    query->table.clear();
    query->norm = params.norm;
    query->scale = params.scale;
    query->values.resize(kQuad * quads_);
    for (size_t m = 0; m < quads_; ++m) {
      std::memcpy(query->values.data() + kQuad * m, Centroid(m, code[m]), kQuad * sizeof(float));
    }
  }

  void Distances(const PreparedQuery& query, const uint8_t* const* codes,
                 const CodeParams* const* params, size_t count, float* distances) const override {
    for (size_t i = 0; i < count; ++i) distances[i] = Distance(query, codes[i], *params[i]);
  }

  float Refine(const PreparedQuery& query, const uint8_t* code, const uint8_t*,
               const CodeParams& params) const override {
    return Distance(query, code, params);
  }

  void Decode(const uint8_t* code, const uint8_t*, const CodeParams&, void* vector) const override {
    auto* v = static_cast<float*>(vector);
    for (size_t d = 0; d < dimension_; ++d) {
      v[d] = Centroid(d / kQuad, code[d / kQuad])[d % kQuad] + (centre_.empty() ? 0 : centre_[d]);
    }
  }

  bool ranks_by_stored() const override { return true; }
  // Inner products are told apart worse than distances.
  size_t refine_factor() const override { return metric_ == Metric::kDot ? 24 : 10; }

  double RefineError(const PreparedQuery& query, const uint8_t*, const CodeParams& params,
                     float distance) const override {
    const double error = params.scale;
    if (metric_ == Metric::kDot) return query.length * error + kRounding * std::fabs(distance);
    const bool cosine = metric_ == Metric::kCosine;
    // What the square of the distance was taken for, which is at least that to the code.
    const double square =
        cosine ? 2 * (static_cast<double>(distance) - 1) + query.norm + params.norm : distance;
    const double length = query.length + std::sqrt(std::max(0.0, square));
    const double bound = error * (2 * std::sqrt(std::max(0.0, square)) + error) +
                         kRounding * (length * length + 1e-30);
    return cosine ? bound / 2 + kRounding : bound;
  }

  void SaveModel(std::string* model) const override {
    VectorCodec::SaveModel(model);
    model->append(reinterpret_cast<const char*>(centroids_.data()),
                  centroids_.size() * sizeof(float));
  }

 private:
  const float* Centroid(size_t m, uint8_t k) const {
    return centroids_.data() + kQuad * (kCentroids * m + k);
  }

  // What a component adds to CodeParams::norm.
  float NormPart(const float* v, size_t d) const {
    switch (metric_) {
      case Metric::kCosine:
        return v[d] * v[d];
      case Metric::kDot:
        return NormFactor(0, d) * At(v, d);
      default:
        return 0;
    }
  }

  float Distance(const PreparedQuery& query, const uint8_t* code, const CodeParams& params) const {
    const bool dot = metric_ == Metric::kDot;
    const float* values = query.values.data();
    float sum = 0;
    if (query.table.empty()) {
      sum = dot ? kernels_.quads_dot(values, centroids_.data(), code, quads_)
                : kernels_.quads_l2(values, centroids_.data(), code, quads_);
    } else {
      const float* table = query.table.data();
      float sums[4] = {};
      size_t m = 0;
      for (; m + 4 <= quads_; m += 4, table += 4 * kCentroids) {
        sums[0] += table[code[m]];
        sums[1] += table[kCentroids + code[m + 1]];
        sums[2] += table[2 * kCentroids + code[m + 2]];
        sums[3] += table[3 * kCentroids + code[m + 3]];
      }
      for (; m < quads_; ++m, table += kCentroids) sums[0] += table[code[m]];
      sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
      if (!dot) sum += static_cast<float>(query.length * query.length);
    }
    if (dot) return FromDot(sum, query, params);
    // A centroid is the mean of what it stands for: what is lost is, on the average, at right
    // angles to the way there.
    sum += params.scale * params.scale + query.scale * query.scale;
    if (metric_ == Metric::kL2) return sum;
    return 1 - (query.norm + params.norm - sum) / 2;
  }

  const size_t quads_;
  const std::vector<float> centroids_;
  std::vector<Columns> columns_;
};

}  // namespace

size_t ProductCodeBytes(size_t dimension) { return Quads(dimension); }

size_t TrainedVectors(size_t vectors, size_t dimension) {
  return std::min(vectors, std::clamp(kMostTrainedFloats / dimension, kLeastTrained, kMostTrained));
}

std::unique_ptr<const VectorCodec> LoadProductCodec(Metric metric, size_t dimension,
                                                    std::vector<float> model,
                                                    const Kernels& kernels) {
  const size_t centroids = Quads(dimension) * kQuad * kCentroids;
  if (metric == Metric::kHamming ||
      (model.size() != centroids && model.size() != dimension + centroids)) {
    return nullptr;
  }
  const auto begin = model.end() - static_cast<ptrdiff_t>(centroids);
  return std::make_unique<ProductCodec>(metric, dimension, std::vector<float>(model.begin(), begin),
                                        std::vector<float>(begin, model.end()), kernels);
}

ProductTraining::ProductTraining(size_t dimension, std::vector<float> centre, const float* vectors,
                                 size_t count, const Kernels& kernels)
    : dimension_(dimension),
      centre_(std::move(centre)),
      vectors_(vectors),
      count_(count),
      kernels_(kernels),
      centroids_(Quads(dimension) * kQuad * kCentroids) {}

bool ProductTraining::Step() {
  const size_t quad = next_.fetch_add(1);
  if (quad >= Quads(dimension_)) return false;
  Learn(quad);
  return true;
}

std::unique_ptr<const VectorCodec> ProductTraining::Finish(Metric metric) {
  return std::make_unique<ProductCodec>(metric, dimension_, std::move(centre_),
                                        std::move(centroids_), kernels_);
}

void ProductTraining::Learn(size_t quad) {
  float* const centroids = centroids_.data() + kQuad * kCentroids * quad;
  const size_t begin = kQuad * quad;
  const size_t end = std::min(dimension_, begin + kQuad);
  std::vector<float> points(kQuad * count_);
  for (size_t i = 0; i < count_; ++i) {
    for (size_t d = begin; d < end; ++d) {
      points[kQuad * i + d - begin] =
          vectors_[i * dimension_ + d] - (centre_.empty() ? 0 : centre_[d]);
    }
  }
  std::mt19937_64 random(quad);
  for (size_t k = 0; k < kCentroids; ++k) {
    std::copy_n(points.begin() + static_cast<ptrdiff_t>(kQuad * (random() % count_)), kQuad,
                centroids + kQuad * k);
  }
  struct Cluster {
    double sums[kQuad] = {};
    size_t count = 0;
    // The point that is farthest from the centroid.
    size_t farthest = 0;
    float error = 0;
  };
  Columns columns;
  float scores[kCentroids];
  std::vector<Cluster> clusters(kCentroids);
  for (int round = 0; round < kRounds; ++round) {
    columns.Set(centroids);
    std::fill(clusters.begin(), clusters.end(), Cluster());
    for (size_t i = 0; i < count_; ++i) {
      const float* x = points.data() + kQuad * i;
      const uint32_t k = columns.Nearest(kernels_, x, scores);
      Cluster& cluster = clusters[k];
      float square = 0;
      for (size_t j = 0; j < kQuad; ++j) {
        cluster.sums[j] += x[j];
        square += x[j] * x[j];
      }
      ++cluster.count;
      if (scores[k] + square > cluster.error) {
        cluster.error = scores[k] + square;
        cluster.farthest = i;
      }
    }
    for (size_t k = 0; k < kCentroids; ++k) {
      for (size_t j = 0; j < kQuad && clusters[k].count > 0; ++j) {
        centroids[kQuad * k + j] =
            static_cast<float>(clusters[k].sums[j] / static_cast<double>(clusters[k].count));
      }
    }
    if (round + 1 == kRounds) break;
    // A centroid that is nobody's goes to the point that is farthest from its own.
    for (size_t k = 0; k < kCentroids; ++k) {
      if (clusters[k].count > 0) continue;
      const auto worst =
          std::max_element(clusters.begin(), clusters.end(),
                           [](const Cluster& a, const Cluster& b) { return a.error < b.error; });
      if (worst->error <= 0) break;
      std::copy_n(points.begin() + static_cast<ptrdiff_t>(kQuad * worst->farthest), kQuad,
                  centroids + kQuad * k);
      worst->error = 0;
    }
  }
}

}  // namespace cookix::engine
