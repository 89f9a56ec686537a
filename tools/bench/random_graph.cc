#include "tools/bench/random_graph.h"

#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>

namespace cookix::bench {

RandomGraph MakeRandomGraph(uint32_t objects, uint32_t degree, uint64_t seed) {
  RandomGraph graph{objects, degree, {}, {}, {}};
  const size_t edges = static_cast<size_t>(objects) * degree;
  graph.targets.reserve(edges);
  graph.weights.reserve(edges);
  graph.relations.reserve(edges);
  std::mt19937_64 random(seed);
  for (uint32_t node = 0; node < objects; ++node) {
    const size_t begin = graph.targets.size();
    while (graph.targets.size() < begin + degree) {
      const uint32_t target = static_cast<uint32_t>(random() % objects);
      bool usable = target != node;
      for (size_t i = begin; i < graph.targets.size(); ++i) usable &= graph.targets[i] != target;
      if (!usable) continue;
      graph.targets.push_back(target);
      graph.weights.push_back(0.1 + 0.9 * static_cast<double>(random() >> 11) * 0x1.0p-53);
      graph.relations.push_back(static_cast<uint8_t>(random() % 8));
    }
  }
  return graph;
}

std::string NodeKey(uint32_t node) {
  char buffer[16];
  std::snprintf(buffer, sizeof(buffer), "n%07u", node);
  return buffer;
}

uint32_t NodeOfKey(const std::string& key) {
  return static_cast<uint32_t>(std::strtoul(key.c_str() + 1, nullptr, 10));
}

uint32_t RankOf(uint32_t node, uint32_t objects) {
  uint64_t factor = 2654435761u % objects;
  while (std::gcd(factor, static_cast<uint64_t>(objects)) != 1) ++factor;
  return static_cast<uint32_t>(node * factor % objects);
}

v1::WriteRequest MakeWrite(const RandomGraph& graph, uint32_t first, uint32_t last) {
  static constexpr const char* kRelations[] = {"knows", "cites", "likes", "owns",
                                               "uses",  "feeds", "joins", "sees"};
  v1::WriteRequest request;
  request.mutable_mutations()->Reserve(static_cast<int>(last - first));
  for (uint32_t node = first; node < last; ++node) {
    v1::ObjectWrite* write = request.add_mutations()->mutable_put_object();
    v1::Object* object = write->mutable_object();
    object->mutable_ref()->set_key(NodeKey(node));
    object->set_content("node number " + std::to_string(node));
    (*object->mutable_properties())["rank"].set_int_value(RankOf(node, graph.objects));
    (*object->mutable_properties())["group"].set_int_value(node % 1000);
    for (uint32_t e = 0; e < graph.degree; ++e) {
      const size_t at = static_cast<size_t>(node) * graph.degree + e;
      v1::Edge* edge = write->add_edges();
      edge->set_relation(kRelations[graph.relations[at]]);
      edge->mutable_target()->set_key(NodeKey(graph.targets[at]));
      edge->set_weight(graph.weights[at]);
    }
  }
  return request;
}

}  // namespace cookix::bench
