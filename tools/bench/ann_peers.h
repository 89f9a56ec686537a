// Other libraries' graphs, from Debian's packages (kind `bench` in tools/packages.txt).
#ifndef COOKIX_TOOLS_BENCH_ANN_PEERS_H_
#define COOKIX_TOOLS_BENCH_ANN_PEERS_H_

#include <vector>

#include "tools/bench/ann_index.h"

namespace cookix::bench {

// hnswlib, compiled for this processor; first, for others are compared with it.
AnnFactory HnswlibPeer();
// faiss, as the distribution compiled it: floats, and codes of a byte a component.
AnnFactory FaissFlatPeer();
AnnFactory FaissCodesPeer();

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_ANN_PEERS_H_
