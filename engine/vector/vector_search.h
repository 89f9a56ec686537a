// What a search by vector asks of the vector indexes, and what it gets.
#ifndef COOKIX_ENGINE_VECTOR_VECTOR_SEARCH_H_
#define COOKIX_ENGINE_VECTOR_VECTOR_SEARCH_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/common.pb.h"
#include "engine/filter/ordinal_set.h"
#include "engine/records.h"

namespace cookix::engine {

// Distances are those of the wire (search_service.proto): 1 - cosine, minus the inner
// product, Euclidean, number of bits.
struct VectorHit {
  Ordinal ordinal = 0;
  double distance = 0;
  bool operator<(const VectorHit& other) const {
    return distance < other.distance || (distance == other.distance && ordinal < other.ordinal);
  }
};

// A vector that an object has from now on.
struct VectorPut {
  Ordinal ordinal = 0;
  // Borrowed. Null: the object has none any more.
  const v1::Vector* vector = nullptr;
};

struct VectorSearch {
  CollectionId collection = 0;
  // The field as the catalog has it, defaults filled in. Borrowed.
  const v1::VectorField* field = nullptr;
  // Checked: right kind and dimension, finite, not zero under cosine. Borrowed.
  const v1::Vector* vector = nullptr;
  // Compares by this metric (cosine, l2 or dot) instead of the field's; the answer is then
  // exact. UNSPECIFIED = the field's.
  v1::VectorMetric metric = v1::VECTOR_METRIC_UNSPECIFIED;
  // Hits wanted, after aggregation over an object's vectors.
  int64_t limit = 0;
  // 0 = the field's.
  int64_t ef = 0;
  int64_t cells_probed = 0;
  bool exact = false;
  // Only these. Null = all.
  std::shared_ptr<const OrdinalSet> accept;
};

struct VectorSearchResult {
  // For the next search: keeps the memory of the hits.
  void Clear() {
    std::vector<VectorHit> room = std::move(hits);
    room.clear();
    *this = VectorSearchResult();
    hits = std::move(room);
  }

  // Ascending.
  std::vector<VectorHit> hits;
  // As SearchDiagnostics.strategy.
  std::string strategy;
  bool exact = false;
  int64_t candidates_considered = 0;
  int64_t tail_scanned = 0;
  int64_t cells_read = 0;
  int64_t search_us = 0;
  int64_t rerank_us = 0;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_VECTOR_SEARCH_H_
