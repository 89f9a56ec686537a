// The adjacency view: the edges of every object in memory, for walks.
//
// Useful for: everything that goes from object to object. A node's edges cost two
// cache misses and no allocation. Not useful for: edges' properties, exact
// validity and discriminators, which are in the store only.
//
// How it works. Each namespace has a table of pages of 4,096 nodes by ordinal; a
// node points to its outgoing and its incoming edges, each an immutable sorted
// block. A change makes a new block, which points to the one before while a reader
// lives that began earlier. Above 512 arcs a block is a directory of chunks of at
// most 1,024 arcs, so that one more edge on a hub copies one chunk and the
// directory; reading a hub copies its arcs into the reader.
//
// Exactness. A reader at commit N takes a node's newest block not above N. It asks
// the fallback for nodes that are not resident, whose older blocks are gone, or
// that a pending tombstone may touch; and for everything while a collection of the
// namespace is being dropped and at commits from before the view was built. So an
// answer is always that of the store at N.
//
// Memory. Sixteen bytes for each object, and for each of its two directions with
// edges a header of 24 and 16 bytes for each arc (an edge has two arcs), packed into
// slabs on large pages. Over the bound, pages that were not read lately are evicted; their
// nodes come back when the view is rebuilt. Blocks that running readers may see
// come on top, and room in slabs; when all is a quarter above the bound, changed nodes stop
// being resident instead of getting new blocks.
#ifndef COOKIX_ENGINE_GRAPH_ADJACENCY_VIEW_H_
#define COOKIX_ENGINE_GRAPH_ADJACENCY_VIEW_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "engine/graph/adjacency.h"
#include "engine/view/view.h"

namespace cookix::engine {

struct AdjacencyOptions {
  // Bytes that resident nodes may take.
  int64_t max_bytes = 1LL << 30;
};

class AdjacencyView : public View {
 public:
  explicit AdjacencyView(AdjacencyOptions options);
  // REQUIRES: no reader is left.
  ~AdjacencyView() override;
  AdjacencyView(const AdjacencyView&) = delete;
  AdjacencyView& operator=(const AdjacencyView&) = delete;

  std::string_view name() const override { return "adjacency"; }
  absl::Status Bootstrap(const ReadView& view, BootstrapMonitor& monitor) override;
  absl::Status Apply(const AppliedCommit& commit) override;
  void Drop() override;
  // All that is allocated, what waits for readers included.
  int64_t MemoryBytes() const override;
  // resident_bytes, retired_bytes, resident_pages, evicted_pages, pinned_readers;
  // and of the readers that ended, block_reads and fallback_reads.
  std::map<std::string, int64_t> Counters() const override;

  // A reader at `view`. It must not outlive the AdjacencyView, and keeps blocks
  // from being freed as long as it lives: hold it for a query. `fallback` makes
  // the reader that answers what this one cannot; it is called at most once, when
  // first needed. Thread-safe; may return the fallback itself.
  // REQUIRES: the view is visible up to view.commit() (ViewHost::WaitVisible).
  std::unique_ptr<ArcReader> NewReader(
      const NamespaceView& view,
      std::function<std::unique_ptr<ArcReader>(const NamespaceView&)> fallback);

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_GRAPH_ADJACENCY_VIEW_H_
