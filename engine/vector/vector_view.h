// The view of all vector indexes: one for each vector field of each collection.
//
// Useful for: the nearest vectors, with or without a filter. Not useful for: the vectors
// themselves, which are in the store.
//
// Apply() makes a vector visible at once: it is written into its index and compared one by
// one until threads of the view have linked it. Writers wait when too many wait for that
// (HasRoom). See dense_index.h for how indexes answer, and how they answer readers of
// commits that the view has gone past.
//
// Saved: dense indexes whole, graphs included, and sparse ones. Cells lie in a database of
// their own, which is made durable when the view is saved. Files of version 1 have no sparse
// indexes; these are then filled from the store.
#ifndef COOKIX_ENGINE_VECTOR_VECTOR_VIEW_H_
#define COOKIX_ENGINE_VECTOR_VECTOR_VIEW_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/call_context.h"
#include "engine/vector/vector_search.h"
#include "engine/view/view.h"
#include "storage/store.h"

namespace cookix::engine {

struct VectorViewOptions {
  // Bytes that all indexes together may take. Writes of vectors beyond are refused.
  int64_t max_bytes = 4LL << 30;
  // Bytes that cells may take: half for their database, half for the centroids of a field.
  int64_t cell_bytes = 64LL << 20;
  // Vectors that may wait to be linked before writers wait, and the same during a bulk
  // load.
  int64_t tail_vectors = 20'000;
  int64_t bulk_tail_vectors = 2'000'000;
  // Threads that link vectors; 0 = one for each processor.
  int threads = 0;
};

class VectorView : public View {
 public:
  // `store` is borrowed: cells lie beside it.
  VectorView(VectorViewOptions options, storage::Store& store);
  // REQUIRES: no search is under way.
  ~VectorView() override;
  VectorView(const VectorView&) = delete;
  VectorView& operator=(const VectorView&) = delete;

  std::string_view name() const override { return "vectors"; }
  absl::Status Bootstrap(const ReadView& view, BootstrapMonitor& monitor) override;
  absl::Status Apply(const AppliedCommit& commit) override;
  void Drop() override;
  int64_t MemoryBytes() const override;
  bool HasRoom(bool bulk) const override;
  uint64_t indexed(uint64_t applied) const override;
  // indexes, vectors, waiting, dead.
  std::map<std::string, int64_t> Counters() const override;
  uint32_t checkpoint_version() const override { return 2; }
  std::unique_ptr<ViewSave> BeginSave() override;
  absl::Status Load(storage::CheckedFileReader& reader, uint64_t commit, const ReadView& newest,
                    BootstrapMonitor& monitor) override;

  // Answers as of view.commit(). False when the index cannot: then read the store.
  // REQUIRES: the view is visible up to view.commit() (ViewHost::WaitVisible).
  absl::StatusOr<bool> Search(const CallContext& context, const NamespaceView& view,
                              const VectorSearch& search, VectorSearchResult* result);

  // Fills in sizes; leaves `state` and `field` alone.
  void Describe(NamespaceId ns, CollectionId collection, std::string_view field,
                v1::DescribeIndexResponse* response) const;

  // RESOURCE_EXHAUSTED (MEMORY_LIMIT) when more vectors of `field`, of so many bytes
  // together as given, would not fit.
  absl::Status CheckRoom(const v1::VectorField& field, int64_t bytes) const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_VECTOR_VIEW_H_
