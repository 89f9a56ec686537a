// What the quantizations keep and find: recall of the ten nearest, with default settings,
// against comparing all vectors as floats.
//
// Data: 50,000 vectors of 128 components in 1,000 clusters (deviation 0.3 of that of the
// cluster centres), and in 100 wide ones (0.6), with a fixed seed; and, when COOKIX_DATA_DIR
// names a folder that has them, mnist784/{train,test}.u8 (60,000 images, l2) and
// glove10k_100d/base.fvecs (9,900 words, cosine; each hundredth is a query). Isolates the
// index: no server, and vectors that are read again are in memory.
//
//   quantization_benchmark [queries]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/common.pb.h"
#include "engine/call_context.h"
#include "engine/vector/dense_index.h"
#include "engine/vector/exact_distance.h"

namespace cookix::engine {
namespace {

constexpr size_t kLimit = 10;

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Data {
  std::string name;
  v1::VectorMetric metric = v1::VECTOR_METRIC_L2;
  std::vector<v1::Vector> base;
  std::vector<v1::Vector> queries;
};

Data Clustered(const std::string& name, size_t clusters, float deviation, size_t queries) {
  constexpr size_t kDimension = 128, kVectors = 50'000;
  Data data;
  data.name = name;
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> centres(clusters, std::vector<float>(kDimension));
  for (std::vector<float>& centre : centres) {
    for (float& x : centre) x = normal(random);
  }
  for (size_t i = 0; i < kVectors + queries; ++i) {
    v1::Vector vector;
    for (const float x : centres[random() % clusters]) {
      vector.add_values(x + deviation * normal(random));
    }
    (i < kVectors ? data.base : data.queries).push_back(std::move(vector));
  }
  return data;
}

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

// Vectors of bytes, one after another.
std::vector<v1::Vector> Bytes(const std::string& path, size_t dimension, size_t most) {
  const std::string content = Content(path);
  std::vector<v1::Vector> vectors(std::min(most, content.size() / dimension));
  for (size_t i = 0; i < vectors.size(); ++i) {
    for (size_t d = 0; d < dimension; ++d) {
      vectors[i].add_values(static_cast<unsigned char>(content[i * dimension + d]));
    }
  }
  return vectors;
}

// Vectors of floats, each after its dimension.
std::vector<v1::Vector> Fvecs(const std::string& path) {
  const std::string content = Content(path);
  std::vector<v1::Vector> vectors;
  for (size_t at = 0; at + 4 <= content.size();) {
    uint32_t dimension = 0;
    std::copy_n(content.data() + at, 4, reinterpret_cast<char*>(&dimension));
    at += 4;
    if (dimension > (content.size() - at) / 4) break;
    std::vector<float> values(dimension);
    std::copy_n(content.data() + at, 4 * size_t{dimension}, reinterpret_cast<char*>(values.data()));
    at += 4 * size_t{dimension};
    v1::Vector& vector = vectors.emplace_back();
    vector.mutable_values()->Add(values.begin(), values.end());
  }
  return vectors;
}

void Run(const Data& data, v1::VectorQuantization quantization, const std::vector<double>& tenth,
         const char* name) {
  v1::VectorField field;
  field.set_name("v");
  field.set_dimension(data.base[0].values_size());
  field.set_metric(data.metric);
  field.set_index(v1::VECTOR_INDEX_KIND_HNSW);
  field.set_quantization(quantization);
  field.mutable_hnsw()->set_m(16);
  field.mutable_hnsw()->set_ef_construction(200);
  field.mutable_hnsw()->set_ef_search(64);
  // With a graph, however few there are.
  DenseIndex index(field, /*most_sketched=*/0);
  std::vector<DenseIndex::Put> puts;
  for (size_t i = 0; i < data.base.size(); ++i) puts.push_back({i + 1, &data.base[i]});
  const double begin = Now();
  if (!index.Apply(puts, 1).ok()) std::abort();
  std::thread second([&] {
    while (index.IndexSome()) {
    }
  });
  while (index.IndexSome()) {
  }
  second.join();
  const double built = Now();
  size_t found = 0;
  double took = 0;
  int64_t reads = 0;
  for (size_t i = 0; i < data.queries.size(); ++i) {
    VectorSearch search;
    search.field = &index.field();
    search.vector = &data.queries[i];
    search.limit = kLimit;
    CallContext context;
    VectorSearchResult result;
    const double from = Now();
    const auto answered = index.Search(
        context, search, 1,
        [&](Ordinal ordinal, v1::Vector* vector) -> absl::StatusOr<bool> {
          *vector = data.base[ordinal - 1];
          ++reads;
          return true;
        },
        &result);
    took += Now() - from;
    if (!answered.ok() || !*answered) std::abort();
    for (const VectorHit& hit : result.hits) {
      // By its own distance: answers may say another one.
      const double distance = ObjectDistance(field, data.base[hit.ordinal - 1], data.queries[i]);
      if (distance <= tenth[i]) ++found;
    }
  }
  const auto queries = static_cast<double>(data.queries.size());
  const DenseIndex::Stats stats = index.stats();
  std::printf("| %s | %s | %.4f | %.0f | %.0f | %.1f | %.0f | %lld |\n", data.name.c_str(), name,
              static_cast<double>(found) / (queries * kLimit), 1e6 * took / queries,
              static_cast<double>(reads) / queries, built - begin,
              static_cast<double>(stats.memory_bytes) / static_cast<double>(stats.vectors),
              static_cast<long long>(stats.codec_recall_permille));
  std::fflush(stdout);
}

void RunAll(const Data& data) {
  if (data.base.empty() || data.queries.empty()) return;
  v1::VectorField field;
  field.set_dimension(data.base[0].values_size());
  field.set_metric(data.metric);
  std::vector<double> tenth;
  for (const v1::Vector& query : data.queries) {
    std::vector<double> distances;
    for (const v1::Vector& vector : data.base) {
      distances.push_back(ObjectDistance(field, vector, query));
    }
    std::nth_element(distances.begin(), distances.begin() + kLimit - 1, distances.end());
    tenth.push_back(distances[kLimit - 1]);
  }
  Run(data, v1::VECTOR_QUANTIZATION_NONE, tenth, "none");
  Run(data, v1::VECTOR_QUANTIZATION_INT8, tenth, "int8");
  Run(data, v1::VECTOR_QUANTIZATION_BINARY, tenth, "binary");
  Run(data, v1::VECTOR_QUANTIZATION_PRODUCT, tenth, "product");
}

}  // namespace
}  // namespace cookix::engine

int main(int argc, char** argv) {
  using cookix::engine::Data;
  const size_t queries = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 200;
  std::printf(
      "| data | quantization | recall@10 | us a search | stored vectors read | build s | "
      "bytes a vector | codec recall |\n|---|---|---|---|---|---|---|---|\n");
  cookix::engine::RunAll(cookix::engine::Clustered("clustered 128", 1000, 0.3f, queries));
  cookix::engine::RunAll(cookix::engine::Clustered("wide clusters 128", 100, 0.6f, queries));
  const char* folder = std::getenv("COOKIX_DATA_DIR");
  if (folder == nullptr) {
    std::printf("COOKIX_DATA_DIR is not set: no mnist784, no glove10k\n");
    return 0;
  }
  Data mnist;
  mnist.name = "mnist784";
  mnist.base = cookix::engine::Bytes(std::string(folder) + "/mnist784/train.u8", 784, 60'000);
  mnist.queries = cookix::engine::Bytes(std::string(folder) + "/mnist784/test.u8", 784, queries);
  cookix::engine::RunAll(mnist);
  Data glove;
  glove.name = "glove10k";
  glove.metric = cookix::v1::VECTOR_METRIC_COSINE;
  const auto words = cookix::engine::Fvecs(std::string(folder) + "/glove10k_100d/base.fvecs");
  for (size_t i = 0; i < words.size(); ++i) {
    (i % 100 == 0 ? glove.queries : glove.base).push_back(words[i]);
  }
  cookix::engine::RunAll(glove);
  return 0;
}
