#include "engine/vector/cell_field.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>
#include <vector>

#include "engine/stopwatch.h"
#include "engine/vector/exact_distance.h"
#include "engine/vector/index_support.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr size_t kKeptChanges = 1 << 16;
// Objects that changed after a reader's commit and are read from the store for it.
constexpr size_t kMostRead = 1000;
constexpr int64_t kStepsAtATime = 8;

}  // namespace

absl::StatusOr<std::unique_ptr<CellField>> CellField::Open(storage::LocalStore& store,
                                                           uint32_t number, v1::VectorField field,
                                                           int64_t memory_bytes) {
  CellOptions options;
  options.metric = MetricOf(field.metric());
  options.quantization = field.quantization() == v1::VECTOR_QUANTIZATION_NONE ? Quantization::kNone
                                                                              : Quantization::kInt8;
  options.dimension = static_cast<size_t>(field.dimension());
  options.max_variance = field.cells().max_variance();
  options.max_cell_size = static_cast<size_t>(field.cells().max_cell_size());
  options.max_drift = field.cells().max_drift();
  options.memory_bytes = memory_bytes;
  COOKIX_ASSIGN_OR_RETURN(std::unique_ptr<CellIndex> cells,
                          CellIndex::Open(store, number, options));
  return std::unique_ptr<CellField>(
      new CellField(store, number, std::move(field), std::move(cells)));
}

CellField::CellField(storage::LocalStore& store, uint32_t number, v1::VectorField field,
                     std::unique_ptr<CellIndex> cells)
    : store_(store),
      number_(number),
      field_(std::move(field)),
      cells_(std::move(cells)),
      forgotten_(cells_->commit()) {}

CellField::~CellField() {
  cells_.reset();
  // What stays is found and removed when the number is given again.
  if (discarded_) CellIndex::Drop(store_, number_).IgnoreError();
}

absl::Status CellField::Apply(std::span<const Put> puts, uint64_t commit,
                              std::string_view position) {
  std::vector<CellChange> changes;
  changes.reserve(puts.size());
  for (const Put& put : puts) {
    changes.push_back({put.ordinal, put.vector == nullptr ? nullptr : put.vector->values().data()});
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const Put& put : puts) changes_.emplace_back(commit, put.ordinal);
    for (; changes_.size() > kKeptChanges; changes_.pop_front()) {
      forgotten_ = changes_.front().first;
    }
  }
  std::lock_guard<std::mutex> lock(change_mutex_);
  return cells_->Apply(changes, commit, position);
}

bool CellField::Reshape(const v1::VectorField& field) {
  const v1::CellSettings& now = field.cells();
  std::lock_guard<std::mutex> lock(change_mutex_);
  const CellOptions& was = cells_->options();
  const auto max_cell_size = static_cast<size_t>(now.max_cell_size());
  if (was.max_variance == now.max_variance() && was.max_cell_size == max_cell_size &&
      was.max_drift == now.max_drift()) {
    return false;
  }
  cells_->Reshape(now.max_variance(), max_cell_size, now.max_drift());
  return true;
}

absl::StatusOr<bool> CellField::Maintain() {
  std::lock_guard<std::mutex> lock(change_mutex_);
  COOKIX_ASSIGN_OR_RETURN(const bool done, cells_->Maintain(kStepsAtATime));
  return !done;
}

absl::StatusOr<bool> CellField::Search(const CallContext& context, const VectorSearch& search,
                                       uint64_t commit, const ReadStored& stored,
                                       VectorSearchResult* result) const {
  if (search.exact) return false;
  const Stopwatch watch;
  result->strategy = "cells";
  size_t want = static_cast<size_t>(search.limit);
  std::unordered_set<Ordinal> changed;
  CellSearchResult found;
  for (int round = 0;; ++round) {
    CellQuery query;
    query.vector = search.vector->values().data();
    query.limit = want;
    query.cells_probed = static_cast<size_t>(
        search.cells_probed > 0 ? search.cells_probed : search.field->cells().cells_probed());
    query.accept = search.accept.get();
    COOKIX_ASSIGN_OR_RETURN(found, cells_->Search(query, &context));
    result->candidates_considered += found.distances;
    result->cells_read += found.cells_read;
    changed.clear();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (forgotten_ > commit) return false;
      for (auto it = changes_.rbegin(); it != changes_.rend() && it->first > commit; ++it) {
        changed.insert(it->second);
        if (changed.size() > kMostRead) return false;
      }
    }
    const size_t before = found.hits.size();
    std::erase_if(found.hits, [&](const CellHit& hit) { return changed.count(hit.ordinal) > 0; });
    if (found.hits.size() >= static_cast<size_t>(search.limit) || before < want) break;
    if (round == 3) return false;
    want += changed.size();
  }
  result->hits.clear();
  for (const CellHit& hit : found.hits) {
    const double distance = field_.metric() == v1::VECTOR_METRIC_L2
                                ? std::sqrt(std::max(0.0, static_cast<double>(hit.distance)))
                                : hit.distance;
    result->hits.push_back({hit.ordinal, distance});
  }
  // What these were at the reader's commit.
  v1::Vector vector;
  for (const Ordinal ordinal : changed) {
    if (search.accept != nullptr && !search.accept->Contains(ordinal)) continue;
    COOKIX_ASSIGN_OR_RETURN(const bool had, stored(ordinal, &vector));
    if (had) result->hits.push_back({ordinal, ObjectDistance(field_, vector, *search.vector)});
  }
  std::sort(result->hits.begin(), result->hits.end());
  if (result->hits.size() > static_cast<size_t>(search.limit)) {
    result->hits.resize(static_cast<size_t>(search.limit));
  }
  result->search_us = watch.Elapsed();
  return true;
}

}  // namespace cookix::engine
