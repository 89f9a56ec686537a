// Arcs read from the store: the truth, and what answers where the adjacency view
// cannot.
#ifndef COOKIX_ENGINE_GRAPH_STORE_ARC_READER_H_
#define COOKIX_ENGINE_GRAPH_STORE_ARC_READER_H_

#include <memory>

#include "engine/graph/adjacency.h"
#include "engine/read_view.h"

namespace cookix::engine {

// Arcs of `view`, without edges that tombstones hide and without those that lead to
// objects of a collection being dropped. The reader holds the view.
std::unique_ptr<ArcReader> NewStoreArcReader(const NamespaceView& view);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_GRAPH_STORE_ARC_READER_H_
