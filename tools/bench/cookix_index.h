// The engine's index of a dense vector field, driven directly.
#ifndef COOKIX_TOOLS_BENCH_COOKIX_INDEX_H_
#define COOKIX_TOOLS_BENCH_COOKIX_INDEX_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/call_context.h"
#include "engine/vector/dense_index.h"
#include "tools/bench/ann_index.h"

namespace cookix::bench {

class CookixIndex : public AnnIndex {
 public:
  explicit CookixIndex(const VectorData& data);

  std::string name() const override { return "cookix"; }
  absl::Status Add(size_t begin, size_t end) override;
  void SetQueries(const float* queries, size_t count) override { queries_ = queries; }
  absl::Status Search(size_t query, size_t k, size_t ef, std::vector<AnnHit>* hits) override;
  int64_t Bytes() const override { return index_.MemoryBytes(); }

  // As Search(), among `accept` unless it is null. The whole result.
  absl::Status Find(size_t query, size_t k, size_t ef,
                    std::shared_ptr<const engine::OrdinalSet> accept, bool exact,
                    engine::VectorSearchResult* result);
  // Sets the vectors of some rows, as one commit, to the vectors of the data as they are now.
  absl::Status Put(std::span<const uint32_t> rows);
  // Links what waits, in two threads.
  void IndexAll();
  engine::DenseIndex& index() { return index_; }

 private:
  void ToWire(const float* values, v1::Vector* vector) const;

  const VectorData& data_;
  engine::DenseIndex index_;
  engine::CallContext context_;
  uint64_t commit_ = 0;
  const float* queries_ = nullptr;
  v1::Vector query_;
  engine::VectorSearchResult result_;
};

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_COOKIX_INDEX_H_
