#include "tools/bench/cookix_index.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>
#include <utility>

#include "storage/base/status.h"

namespace cookix::bench {
namespace {

constexpr size_t kCommit = 1000;

v1::VectorField FieldOf(const VectorData& data) {
  v1::VectorField field;
  field.set_name("v");
  field.set_dimension(static_cast<int32_t>(data.dimension));
  field.set_metric(data.metric);
  field.set_index(v1::VECTOR_INDEX_KIND_HNSW);
  field.set_quantization(v1::VECTOR_QUANTIZATION_INT8);
  field.set_aggregate(v1::VECTOR_AGGREGATE_MAX);
  field.mutable_hnsw()->set_m(kAnnM);
  field.mutable_hnsw()->set_ef_construction(kAnnEfConstruction);
  field.mutable_hnsw()->set_ef_search(64);
  return field;
}

}  // namespace

CookixIndex::CookixIndex(const VectorData& data) : data_(data), index_(FieldOf(data)) {}

void CookixIndex::ToWire(const float* values, v1::Vector* vector) const {
  vector->mutable_values()->Assign(values, values + data_.dimension);
}

absl::Status CookixIndex::Put(std::span<const uint32_t> rows) {
  std::vector<v1::Vector> vectors;
  std::vector<engine::DenseIndex::Put> puts;
  vectors.reserve(rows.size());
  for (const uint32_t row : rows) {
    ToWire(data_.Base(row), &vectors.emplace_back());
    puts.push_back({row, &vectors.back()});
  }
  return index_.Apply(puts, ++commit_);
}

void CookixIndex::IndexAll() {
  std::thread second([this] {
    while (index_.IndexSome()) {
    }
  });
  while (index_.IndexSome()) {
  }
  second.join();
}

absl::Status CookixIndex::Add(size_t begin, size_t end) {
  // One thread commits, the other links meanwhile, as in the server; then both link.
  std::atomic<bool> all_put{false};
  std::thread second([&] {
    while (true) {
      const bool last = all_put.load();
      if (index_.IndexSome()) continue;
      if (last) return;
      std::this_thread::yield();
    }
  });
  absl::Status status;
  std::vector<uint32_t> rows;
  for (size_t at = begin; at < end && status.ok(); at += rows.size()) {
    rows.resize(std::min(kCommit, end - at));
    std::iota(rows.begin(), rows.end(), static_cast<uint32_t>(at));
    status = Put(rows);
  }
  all_put.store(true);
  while (index_.IndexSome()) {
  }
  second.join();
  return status;
}

absl::Status CookixIndex::Find(size_t query, size_t k, size_t ef,
                               std::shared_ptr<const engine::OrdinalSet> accept, bool exact,
                               engine::VectorSearchResult* result) {
  engine::VectorSearch search;
  search.field = &index_.field();
  // Every contestant reads its queries from one array.
  ToWire(queries_ + query * data_.dimension, &query_);
  search.vector = &query_;
  search.limit = static_cast<int64_t>(k);
  search.ef = static_cast<int64_t>(ef);
  search.exact = exact;
  search.accept = std::move(accept);
  result->Clear();
  COOKIX_ASSIGN_OR_RETURN(const bool answered, index_.Search(
                                                   context_, search, commit_,
                                                   [&](engine::Ordinal ordinal,
                                                       v1::Vector* vector) -> absl::StatusOr<bool> {
                                                     ToWire(data_.Base(ordinal), vector);
                                                     return true;
                                                   },
                                                   result));
  return answered ? absl::OkStatus() : absl::InternalError("the index did not answer");
}

absl::Status CookixIndex::Search(size_t query, size_t k, size_t ef, std::vector<AnnHit>* hits) {
  COOKIX_RETURN_IF_ERROR(Find(query, k, ef, nullptr, false, &result_));
  hits->clear();
  for (const engine::VectorHit& hit : result_.hits) {
    const auto distance = static_cast<float>(hit.distance);
    hits->push_back({static_cast<uint32_t>(hit.ordinal),
                     data_.metric == v1::VECTOR_METRIC_L2 ? distance * distance : distance});
  }
  return absl::OkStatus();
}

}  // namespace cookix::bench
