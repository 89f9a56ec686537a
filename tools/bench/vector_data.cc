#include "tools/bench/vector_data.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/vector/kernels.h"
#include "storage/base/status.h"

namespace cookix::bench {
namespace {

constexpr float kSigma = 0.6f;
// Rows that all queries are compared with before the next ones are read from memory.
constexpr size_t kRowsAtOnce = 128;

void Normalise(float* v, size_t n) {
  double sum = 0;
  for (size_t d = 0; d < n; ++d) sum += static_cast<double>(v[d]) * v[d];
  const double norm = std::sqrt(sum);
  if (norm == 0) return;
  for (size_t d = 0; d < n; ++d) v[d] = static_cast<float>(v[d] / norm);
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

}  // namespace

float VectorData::Distance(const float* a, const float* b) const {
  const engine::Kernels& kernels = engine::BestKernels();
  return metric == v1::VECTOR_METRIC_L2 ? kernels.squared_l2(a, b, dimension)
                                        : 1 - kernels.dot(a, b, dimension);
}

ClusterSource::ClusterSource(size_t dimension, size_t clusters, uint64_t seed)
    : dimension_(dimension), random_(seed), centres_(dimension * clusters) {
  for (float& x : centres_) x = normal_(random_);
}

void ClusterSource::Append(size_t count, std::vector<float>* out) {
  out->reserve(out->size() + count * dimension_);
  for (size_t i = 0; i < count; ++i) AppendOf(random_() % clusters(), 1, out);
}

void ClusterSource::AppendOf(size_t cluster, size_t count, std::vector<float>* out) {
  const float* centre = centres_.data() + cluster * dimension_;
  for (size_t i = 0; i < count; ++i) {
    for (size_t d = 0; d < dimension_; ++d) out->push_back(centre[d] + kSigma * normal_(random_));
    Normalise(out->data() + out->size() - dimension_, dimension_);
  }
}

VectorData MakeClusters(const std::string& name, size_t count, size_t dimension, size_t clusters,
                        size_t queries, uint64_t seed) {
  VectorData data;
  data.name = name;
  data.dimension = dimension;
  ClusterSource source(dimension, clusters, seed);
  source.Append(count, &data.base);
  source.Append(queries, &data.queries);
  return data;
}

absl::StatusOr<VectorData> ReadMnist(const std::string& dir, size_t queries) {
  VectorData data;
  data.name = "mnist784";
  data.dimension = 784;
  data.metric = v1::VECTOR_METRIC_L2;
  for (const bool test : {false, true}) {
    const std::string path = dir + (test ? "/test.u8" : "/train.u8");
    COOKIX_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
    if (bytes.empty() || bytes.size() % data.dimension != 0) {
      return absl::InvalidArgumentError(absl::StrCat(path, " has no rows of 784 bytes"));
    }
    std::vector<float>& rows = test ? data.queries : data.base;
    rows.reserve(bytes.size());
    for (const char byte : bytes) rows.push_back(static_cast<unsigned char>(byte));
  }
  data.queries.resize(std::min(data.queries.size(), queries * data.dimension));
  return data;
}

absl::StatusOr<VectorData> ReadGlove(const std::string& dir, size_t queries) {
  VectorData data;
  data.name = "glove";
  COOKIX_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(dir + "/base.fvecs"));
  for (size_t at = 0; at < bytes.size();) {
    int32_t dimension = 0;
    if (at + sizeof(dimension) > bytes.size()) return absl::InvalidArgumentError("a row is cut");
    std::memcpy(&dimension, bytes.data() + at, sizeof(dimension));
    at += sizeof(dimension);
    if (data.dimension == 0) data.dimension = static_cast<size_t>(std::max(0, dimension));
    const size_t size = data.dimension * sizeof(float);
    if (dimension <= 0 || static_cast<size_t>(dimension) != data.dimension ||
        at + size > bytes.size()) {
      return absl::InvalidArgumentError(absl::StrCat("no rows of one dimension in ", dir));
    }
    data.base.resize(data.base.size() + data.dimension);
    float* row = data.base.data() + data.base.size() - data.dimension;
    std::memcpy(row, bytes.data() + at, size);
    Normalise(row, data.dimension);
    at += size;
  }
  if (data.dimension == 0 || data.size() <= queries) {
    return absl::InvalidArgumentError(absl::StrCat("too few rows in ", dir));
  }
  const size_t kept = (data.size() - queries) * data.dimension;
  data.queries.assign(data.base.begin() + static_cast<std::ptrdiff_t>(kept), data.base.end());
  data.base.resize(kept);
  return data;
}

double Truth::Recall(const VectorData& data, const float* query, size_t number,
                     std::span<const uint32_t> found) const {
  const size_t wanted = rows[number].size();
  if (wanted == 0) return 1;
  // Rows at the same distance as the last are as good; sums of floats differ a little.
  const float bound = worst[number] + 1e-6f * (1 + std::abs(worst[number]));
  const auto near = std::count_if(found.begin(), found.end(), [&](uint32_t row) {
    return data.Distance(query, data.Base(row)) <= bound;
  });
  return std::min(1.0, static_cast<double>(near) / static_cast<double>(wanted));
}

Truth FindTruth(const VectorData& data, const float* queries, size_t count, size_t k,
                std::span<const uint32_t> among) {
  using Near = std::pair<float, uint32_t>;
  const size_t rows = among.empty() ? data.size() : among.size();
  const auto find = [&](size_t begin, size_t end, std::vector<std::vector<Near>>* best) {
    best->resize(count);
    for (size_t first = begin; first < end; first += kRowsAtOnce) {
      const size_t last = std::min(end, first + kRowsAtOnce);
      for (size_t q = 0; q < count; ++q) {
        const float* query = queries + q * data.dimension;
        std::vector<Near>& heap = (*best)[q];
        for (size_t i = first; i < last; ++i) {
          const uint32_t row = among.empty() ? static_cast<uint32_t>(i) : among[i];
          const Near near(data.Distance(query, data.Base(row)), row);
          if (heap.size() == k && near >= heap.front()) continue;
          if (heap.size() == k) {
            std::pop_heap(heap.begin(), heap.end());
            heap.pop_back();
          }
          heap.push_back(near);
          std::push_heap(heap.begin(), heap.end());
        }
      }
    }
  };
  std::vector<std::vector<Near>> low, high;
  std::thread second([&] { find(rows / 2, rows, &high); });
  find(0, rows / 2, &low);
  second.join();
  Truth truth;
  truth.k = k;
  for (size_t q = 0; q < count; ++q) {
    low[q].insert(low[q].end(), high[q].begin(), high[q].end());
    std::sort(low[q].begin(), low[q].end());
    if (low[q].size() > k) low[q].resize(k);
    std::vector<uint32_t>& nearest = truth.rows.emplace_back();
    for (const Near& near : low[q]) nearest.push_back(near.second);
    truth.worst.push_back(low[q].empty() ? 0 : low[q].back().first);
  }
  return truth;
}

}  // namespace cookix::bench
