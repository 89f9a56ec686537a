#include <omp.h>

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

#include "faiss/IndexHNSW.h"
#include "tools/bench/ann_peers.h"

namespace cookix::bench {
namespace {

class FaissIndex : public AnnIndex {
 public:
  // Of normalised vectors the squared Euclidean distance is 2 (1 - cosine).
  FaissIndex(const VectorData& data, bool codes)
      : data_(data), codes_(codes), factor_(data.metric == v1::VECTOR_METRIC_L2 ? 1 : 0.5f) {
    const auto dimension = static_cast<int>(data.dimension);
    if (codes) {
      index_ = std::make_unique<faiss::IndexHNSWSQ>(dimension, faiss::ScalarQuantizer::QT_8bit,
                                                    kAnnM, faiss::METRIC_L2);
    } else {
      index_ = std::make_unique<faiss::IndexHNSWFlat>(dimension, kAnnM, faiss::METRIC_L2);
    }
    index_->hnsw.efConstruction = kAnnEfConstruction;
  }

  std::string name() const override { return codes_ ? "faiss_sq8" : "faiss"; }
  bool exact_distances() const override { return !codes_; }

  absl::Status Add(size_t begin, size_t end) override {
    try {
      omp_set_num_threads(2);
      if (!index_->is_trained) {
        index_->train(static_cast<faiss::Index::idx_t>(data_.size()), data_.base.data());
      }
      index_->add(static_cast<faiss::Index::idx_t>(end - begin), data_.Base(begin));
      omp_set_num_threads(1);
    } catch (const std::exception& error) {
      return absl::InternalError(error.what());
    }
    return absl::OkStatus();
  }

  void SetQueries(const float* queries, size_t count) override { queries_ = queries; }

  absl::Status Search(size_t query, size_t k, size_t ef, std::vector<AnnHit>* hits) override {
    index_->hnsw.efSearch = static_cast<int>(std::max(k, ef));
    rows_.resize(k);
    distances_.resize(k);
    index_->search(1, queries_ + query * data_.dimension, static_cast<faiss::Index::idx_t>(k),
                   distances_.data(), rows_.data());
    hits->clear();
    for (size_t i = 0; i < k && rows_[i] >= 0; ++i) {
      hits->push_back({static_cast<uint32_t>(rows_[i]), distances_[i] * factor_});
    }
    return absl::OkStatus();
  }

  int64_t Bytes() const override {
    const faiss::HNSW& graph = index_->hnsw;
    const size_t code = codes_ ? data_.dimension : data_.dimension * sizeof(float);
    return static_cast<int64_t>(static_cast<size_t>(index_->ntotal) * code +
                                graph.neighbors.size() * sizeof(graph.neighbors[0]) +
                                graph.offsets.size() * sizeof(graph.offsets[0]) +
                                graph.levels.size() * sizeof(graph.levels[0]));
  }

 private:
  const VectorData& data_;
  const bool codes_;
  const float factor_;
  std::unique_ptr<faiss::IndexHNSW> index_;
  const float* queries_ = nullptr;
  std::vector<faiss::Index::idx_t> rows_;
  std::vector<float> distances_;
};

}  // namespace

AnnFactory FaissFlatPeer() {
  return [](const VectorData& data) { return std::make_unique<FaissIndex>(data, false); };
}

AnnFactory FaissCodesPeer() {
  return [](const VectorData& data) { return std::make_unique<FaissIndex>(data, true); };
}

}  // namespace cookix::bench
