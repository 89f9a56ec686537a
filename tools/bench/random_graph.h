// The random typed graph of the benchmarks: the same seed gives the same graph
// everywhere, so that answers can be checked against a second implementation.
#ifndef COOKIX_TOOLS_BENCH_RANDOM_GRAPH_H_
#define COOKIX_TOOLS_BENCH_RANDOM_GRAPH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "cookix/v1/object_service.pb.h"

namespace cookix::bench {

// `objects` nodes with `degree` edges each to uniformly random targets, weights
// uniform in [0.1, 1), relations uniform over eight names without algebra.
struct RandomGraph {
  uint32_t objects = 0;
  uint32_t degree = 0;
  // Edge e of node n is at n * degree + e. Targets of one node are distinct and
  // never the node itself.
  std::vector<uint32_t> targets;
  std::vector<double> weights;
  std::vector<uint8_t> relations;
};

RandomGraph MakeRandomGraph(uint32_t objects, uint32_t degree, uint64_t seed);

// "n0000042".
std::string NodeKey(uint32_t node);
// The inverse of NodeKey.
uint32_t NodeOfKey(const std::string& key);

// Nodes [first, last) as one atomic write: objects with short content, an
// integer property "rank" (a permutation of the nodes, so that rank < n/2 matches
// half) and "group" (node % 1000), and their edges.
v1::WriteRequest MakeWrite(const RandomGraph& graph, uint32_t first, uint32_t last);

// The rank of a node: (node * 2654435761) mod objects is not a permutation for
// every size, so this is a multiplicative permutation by a unit modulo objects.
uint32_t RankOf(uint32_t node, uint32_t objects);

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_RANDOM_GRAPH_H_
