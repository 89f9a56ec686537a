#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

#include "hnswlib/hnswlib.h"
#include "tools/bench/ann_peers.h"

namespace cookix::bench {
namespace {

class HnswlibIndex : public AnnIndex {
 public:
  explicit HnswlibIndex(const VectorData& data)
      : data_(data),
        l2_(data.dimension),
        product_(data.dimension),
        graph_(data.metric == v1::VECTOR_METRIC_L2
                   ? static_cast<hnswlib::SpaceInterface<float>*>(&l2_)
                   : &product_,
               data.size(), kAnnM, kAnnEfConstruction) {}

  std::string name() const override { return "hnswlib"; }

  absl::Status Add(size_t begin, size_t end) override {
    if (begin == 0 && end > 0) graph_.addPoint(data_.Base(begin++), 0);
    std::atomic<size_t> next{begin};
    std::atomic<bool> failed{false};
    const auto add = [&] {
      try {
        for (size_t row = next++; row < end; row = next++) graph_.addPoint(data_.Base(row), row);
      } catch (const std::exception&) {
        failed.store(true);
      }
    };
    std::thread second(add);
    add();
    second.join();
    return failed.load() ? absl::InternalError("hnswlib could not add a vector") : absl::OkStatus();
  }

  void SetQueries(const float* queries, size_t count) override { queries_ = queries; }

  absl::Status Search(size_t query, size_t k, size_t ef, std::vector<AnnHit>* hits) override {
    graph_.setEf(std::max(k, ef));
    auto found = graph_.searchKnn(queries_ + query * data_.dimension, k);
    hits->resize(found.size());
    for (size_t at = found.size(); at-- > 0; found.pop()) {
      (*hits)[at] = {static_cast<uint32_t>(found.top().second), found.top().first};
    }
    return absl::OkStatus();
  }

  // What a vector takes on level 0, and the links above: the size of its file.
  int64_t Bytes() const override {
    size_t bytes = 0;
    for (size_t row = 0; row < graph_.cur_element_count; ++row) {
      bytes += graph_.size_data_per_element_ +
               static_cast<size_t>(graph_.element_levels_[row]) * graph_.size_links_per_element_;
    }
    return static_cast<int64_t>(bytes);
  }

 private:
  const VectorData& data_;
  hnswlib::L2Space l2_;
  hnswlib::InnerProductSpace product_;
  hnswlib::HierarchicalNSW<float> graph_;
  const float* queries_ = nullptr;
};

}  // namespace

AnnFactory HnswlibPeer() {
  return [](const VectorData& data) { return std::make_unique<HnswlibIndex>(data); };
}

}  // namespace cookix::bench
