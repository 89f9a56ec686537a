// Walks, paths and questions against naive searches over the same random graphs:
// inverses, symmetric relations, parallel edges, dangling targets, validity, filters,
// hop limits; over the adjacency view and over the store.
#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/graph_service.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "cookix/v1/reasoning_service.pb.h"
#include "engine/test_database.h"
#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

constexpr int kKeys = 14;
constexpr int64_t kNow = 5000;

struct StoredEdge {
  int source, target;
  std::string relation;
  double weight;
  int64_t from_ms, until_ms;
};

// One step as the rules allow it.
struct NaiveStep {
  int to;
  const StoredEdge* edge;
  bool reversed;
  bool is_virtual;
};

struct Rules {
  v1::Direction direction = v1::DIRECTION_OUT;
  std::vector<std::string> relations;
  bool follow_inverses = false;
  int64_t valid_at_ms = 0;
};

// (weight, hops); the least first.
using Cost = std::pair<double, int>;

class Graph {
 public:
  explicit Graph(uint64_t seed) : random(seed) {}

  std::mt19937_64 random;
  std::vector<StoredEdge> edges;
  std::vector<bool> exists = std::vector<bool>(kKeys, false);

  uint64_t Below(uint64_t n) { return random() % n; }

  std::string InverseOf(const std::string& relation) const {
    if (relation == "owns") return "owned_by";
    if (relation == "owned_by") return "owns";
    return "";
  }

  std::vector<NaiveStep> Steps(int from, const Rules& rules) const {
    auto named = [&](const std::string& relation) {
      return rules.relations.empty() ||
             std::count(rules.relations.begin(), rules.relations.end(), relation) > 0;
    };
    std::vector<NaiveStep> steps;
    for (const StoredEdge& edge : edges) {
      if (rules.valid_at_ms != 0 && !(edge.from_ms <= rules.valid_at_ms &&
                                      (edge.until_ms == 0 || rules.valid_at_ms < edge.until_ms))) {
        continue;
      }
      const bool symmetric = edge.relation == "near";
      const std::string inverse = InverseOf(edge.relation);
      const bool other_way =
          (symmetric && named(edge.relation)) ||
          (!inverse.empty() && (rules.relations.empty() ? rules.follow_inverses : named(inverse)));
      const bool out = rules.direction != v1::DIRECTION_IN;
      const bool in = rules.direction != v1::DIRECTION_OUT;
      if (edge.source == from) {
        if (out && named(edge.relation)) {
          steps.push_back({edge.target, &edge, false, false});
        } else if (in && other_way) {
          steps.push_back({edge.target, &edge, false, true});
        }
      }
      if (edge.target == from) {
        if (in && named(edge.relation)) {
          steps.push_back({edge.source, &edge, true, true});
        } else if (out && other_way) {
          steps.push_back({edge.source, &edge, true, true});
        }
      }
    }
    return steps;
  }

  // Least cost of a walk of exactly each number of hops, by dynamic programming.
  // `onto`: objects that may be stepped onto, besides `target`.
  std::vector<std::map<int, double>> ByHops(int from, int max_hops, const Rules& rules,
                                            const std::set<int>* onto, int target) const {
    std::vector<std::map<int, double>> layers(1);
    layers[0][from] = 0;
    for (int hop = 1; hop <= max_hops; ++hop) {
      std::map<int, double> next;
      for (const auto& [node, weight] : layers.back()) {
        for (const NaiveStep& step : Steps(node, rules)) {
          if (onto != nullptr && onto->count(step.to) == 0 && step.to != target) continue;
          const double total = weight + step.edge->weight;
          auto [it, inserted] = next.emplace(step.to, total);
          if (!inserted) it->second = std::min(it->second, total);
        }
      }
      layers.push_back(std::move(next));
    }
    return layers;
  }

  std::map<int, Cost> Nearest(int from, int max_hops, const Rules& rules,
                              const std::set<int>* onto = nullptr, int target = -1) const {
    std::map<int, Cost> best;
    const auto layers = ByHops(from, max_hops, rules, onto, target);
    for (int hop = 0; hop <= max_hops; ++hop) {
      for (const auto& [node, weight] : layers[static_cast<size_t>(hop)]) {
        const Cost cost{weight, hop};
        auto [it, inserted] = best.emplace(node, cost);
        if (!inserted) it->second = std::min(it->second, cost);
      }
    }
    return best;
  }

  std::map<int, int> Depths(int from, int max_hops, const Rules& rules, const std::set<int>* onto,
                            int target = -1) const {
    std::map<int, int> depths;
    const auto layers = ByHops(from, max_hops, rules, onto, target);
    for (int hop = max_hops; hop >= 0; --hop) {
      for (const auto& [node, weight] : layers[static_cast<size_t>(hop)]) depths[node] = hop;
    }
    return depths;
  }
};

std::string Key(int node) { return "n" + std::to_string(node); }
int NodeOf(const v1::ObjectRef& ref) { return std::stoi(ref.key().substr(1)); }

struct Case {
  uint64_t seed;
  int64_t adjacency_bytes;
};

class GraphOracleTest : public testing::TestWithParam<Case> {
 protected:
  GraphOracleTest()
      : database_(
            [](DatabaseOptions& options) { options.adjacency_bytes = GetParam().adjacency_bytes; }),
        graph_(GetParam().seed) {}

  void Build() {
    CallContext context;
    for (const auto& [name, inverse, symmetric] :
         {std::tuple("owns", "owned_by", false), std::tuple("near", "", true)}) {
      v1::PutRelationRequest request;
      request.mutable_relation()->set_name(name);
      request.mutable_relation()->set_inverse(inverse);
      request.mutable_relation()->set_symmetric(symmetric);
      v1::PutRelationResponse response;
      const absl::Status status = database_->catalog().PutRelation(context, request, &response);
      ASSERT_TRUE(status.ok()) << status;
    }
    const std::vector<std::string> relations = {"likes", "owns", "owned_by", "near"};
    std::vector<int> order(kKeys);
    for (int i = 0; i < kKeys; ++i) order[static_cast<size_t>(i)] = i;
    std::shuffle(order.begin(), order.end(), graph_.random);
    // The last two are never put: they dangle, or nothing knows them.
    for (int i = 0; i < kKeys; ++i) {
      const int node = order[static_cast<size_t>(i)];
      if (node >= kKeys - 2) continue;
      graph_.exists[static_cast<size_t>(node)] = true;
      v1::WriteRequest request;
      v1::ObjectWrite* write = request.add_mutations()->mutable_put_object();
      write->mutable_object()->mutable_ref()->set_key(Key(node));
      (*write->mutable_object()->mutable_properties())["even"].set_bool_value(node % 2 == 0);
      for (uint64_t e = graph_.Below(5); e > 0; --e) {
        StoredEdge edge;
        edge.source = node;
        edge.target = static_cast<int>(graph_.Below(kKeys));
        edge.relation = relations[graph_.Below(relations.size())];
        edge.weight = static_cast<double>(graph_.Below(5));
        edge.from_ms = graph_.Below(4) == 0 ? kNow + 1 - static_cast<int64_t>(graph_.Below(3)) : 0;
        edge.until_ms = graph_.Below(4) == 0 ? kNow + static_cast<int64_t>(graph_.Below(3)) : 0;
        if (edge.until_ms != 0 && edge.until_ms <= edge.from_ms) edge.until_ms = 0;
        v1::Edge* out = write->add_edges();
        out->set_relation(edge.relation);
        out->mutable_target()->set_key(Key(edge.target));
        out->set_weight(edge.weight);
        out->set_valid_from_ms(edge.from_ms);
        out->set_valid_until_ms(edge.until_ms);
        // Each edge is one of its own, parallel ones too.
        if (graph_.Below(2) == 0) out->set_discriminator("d" + std::to_string(e));
        std::erase_if(graph_.edges, [&](const StoredEdge& other) {
          return out->discriminator().empty() && other.source == edge.source &&
                 other.target == edge.target && other.relation == edge.relation &&
                 plain_.count(&other - graph_.edges.data()) > 0;
        });
        graph_.edges.push_back(edge);
        RecountPlain(*write, node);
      }
      v1::WriteResponse response;
      const absl::Status status = database_->objects().Write(context, request, &response);
      ASSERT_TRUE(status.ok()) << status;
    }
    // Some objects go, and leave what points at them dangling.
    for (int i = 0; i < 2; ++i) {
      const int node = static_cast<int>(graph_.Below(kKeys - 2));
      v1::DeleteObjectRequest request;
      request.mutable_delete_()->mutable_ref()->set_key(Key(node));
      request.mutable_delete_()->set_leave_dangling(true);
      v1::DeleteObjectResponse response;
      ASSERT_TRUE(database_->objects().DeleteObject(context, request, &response).ok());
      graph_.exists[static_cast<size_t>(node)] = false;
      std::erase_if(graph_.edges, [&](const StoredEdge& edge) { return edge.source == node; });
    }
    for (int node = 0; node < kKeys; ++node) {
      if (node % 2 == 0 && graph_.exists[static_cast<size_t>(node)]) even_.insert(node);
    }
  }

  // Which of graph_.edges have no discriminator: those of `node` are the last ones.
  void RecountPlain(const v1::ObjectWrite& write, int node) {
    std::set<std::ptrdiff_t> plain;
    std::ptrdiff_t own = 0;
    for (const StoredEdge& edge : graph_.edges) own += edge.source == node;
    const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(graph_.edges.size()) - own;
    for (const std::ptrdiff_t at : plain_) {
      if (at < first) plain.insert(at);
    }
    // Of edges put twice the later one counts, in the place of its own.
    std::vector<const v1::Edge*> last;
    for (const v1::Edge& edge : write.edges()) {
      std::erase_if(last, [&](const v1::Edge* other) {
        return edge.discriminator().empty() && other->discriminator().empty() &&
               other->relation() == edge.relation() && other->target().key() == edge.target().key();
      });
      last.push_back(&edge);
    }
    for (size_t i = 0; i < last.size(); ++i) {
      if (last[i]->discriminator().empty()) plain.insert(first + static_cast<std::ptrdiff_t>(i));
    }
    plain_ = std::move(plain);
  }

  bool Known(int node) const {
    if (graph_.exists[static_cast<size_t>(node)]) return true;
    return std::any_of(graph_.edges.begin(), graph_.edges.end(),
                       [node](const StoredEdge& edge) { return edge.target == node; });
  }

  Rules AnyRules() {
    Rules rules;
    const v1::Direction directions[] = {v1::DIRECTION_OUT, v1::DIRECTION_IN, v1::DIRECTION_BOTH};
    rules.direction = directions[graph_.Below(3)];
    const std::vector<std::vector<std::string>> some = {
        {}, {}, {"likes"}, {"owns"}, {"owned_by", "near"}, {"near"}, {"nothing"}};
    rules.relations = some[graph_.Below(some.size())];
    rules.follow_inverses = graph_.Below(2) == 0;
    rules.valid_at_ms = graph_.Below(2) == 0 ? kNow : 0;
    return rules;
  }

  void Fill(const Rules& rules, bool only_even, v1::StepFilter* steps) {
    for (const std::string& relation : rules.relations) steps->add_relations(relation);
    steps->set_follow_inverses(rules.follow_inverses);
    steps->set_valid_at_ms(rules.valid_at_ms);
    if (only_even) *steps->mutable_filter() = Even();
  }
  static v1::Filter Even() {
    v1::Filter filter;
    filter.mutable_comparison()->set_field("even");
    filter.mutable_comparison()->set_op(v1::COMPARISON_OPERATOR_EQUAL);
    filter.mutable_comparison()->mutable_value()->set_bool_value(true);
    return filter;
  }

  // The step is one that the rules allow from `from`; gives where it leads, or -1.
  int Follow(int from, const v1::PathStep& step, const Rules& rules) const {
    for (const NaiveStep& naive : graph_.Steps(from, rules)) {
      const int source = naive.reversed ? naive.to : from;
      const int target = naive.reversed ? from : naive.to;
      if (NodeOf(step.source()) == source && NodeOf(step.target()) == target &&
          step.relation() == naive.edge->relation && step.weight() == naive.edge->weight &&
          step.virtual_() == naive.is_virtual) {
        return naive.to;
      }
    }
    return -1;
  }
  void ExpectPath(int from, int to, const v1::Path& path, const Rules& rules) const {
    int at = from;
    double weight = 0;
    for (const v1::PathStep& step : path.steps()) {
      at = Follow(at, step, rules);
      ASSERT_GE(at, 0) << step.DebugString();
      weight += step.weight();
    }
    ASSERT_EQ(at, to);
    ASSERT_EQ(path.weight(), weight);
  }

  TestDatabase database_;
  Graph graph_;
  std::set<std::ptrdiff_t> plain_;
  std::set<int> even_;
};

TEST_P(GraphOracleTest, WalksReachWhatTheModelReaches) {
  ASSERT_NO_FATAL_FAILURE(Build());
  for (int round = 0; round < 150; ++round) {
    const int start = static_cast<int>(graph_.Below(kKeys));
    const Rules rules = AnyRules();
    const bool only_even = graph_.Below(3) == 0;
    const bool depth_first = graph_.Below(2) == 0;
    const int depth = static_cast<int>(graph_.Below(6));
    v1::TraverseRequest request;
    request.mutable_start()->set_key(Key(start));
    request.set_direction(rules.direction);
    request.set_order(depth_first ? v1::TRAVERSAL_ORDER_DEPTH_FIRST
                                  : v1::TRAVERSAL_ORDER_BREADTH_FIRST);
    request.set_max_depth(depth);
    Fill(rules, only_even, request.mutable_steps());
    CallContext context;
    v1::TraverseResponse response;
    const absl::Status status = database_->graph().Traverse(context, request, &response);
    if (!Known(start)) {
      ASSERT_EQ(status.code(), absl::StatusCode::kNotFound);
      continue;
    }
    ASSERT_TRUE(status.ok()) << status;
    const auto expected = graph_.Depths(start, depth, rules, only_even ? &even_ : nullptr);
    std::map<int, int> got;
    for (const v1::Visit& visit : response.visits()) {
      const int node = NodeOf(visit.ref());
      ASSERT_TRUE(got.emplace(node, visit.depth()).second) << "visited twice";
      if (visit.parent() < 0) {
        ASSERT_EQ(node, start);
        continue;
      }
      // Preorder: right below the parent, or after others that are.
      ASSERT_LT(visit.parent(), static_cast<int>(got.size()) - 1);
      const v1::Visit& parent = response.visits(visit.parent());
      ASSERT_EQ(parent.depth() + 1, visit.depth());
      ASSERT_EQ(Follow(NodeOf(parent.ref()), visit.via(), rules), node);
    }
    ASSERT_EQ(got, expected) << request.DebugString();
    // With a limit there are fewer, each with its way all the same.
    request.set_limit(1 + static_cast<int>(graph_.Below(6)));
    v1::TraverseResponse few;
    ASSERT_TRUE(database_->graph().Traverse(context, request, &few).ok());
    ASSERT_EQ(few.visits_size(), std::min(request.limit(), response.visits_size()));
    ASSERT_EQ(few.truncated(), request.limit() < response.visits_size());
    std::set<int> cut;
    for (int i = 0; i < few.visits_size(); ++i) {
      const v1::Visit& visit = few.visits(i);
      ASSERT_TRUE(cut.insert(NodeOf(visit.ref())).second);
      if (!depth_first) {
        ASSERT_EQ(visit.SerializeAsString(), response.visits(i).SerializeAsString());
      }
      ASSERT_LE(visit.depth(), depth);
      if (i == 0) continue;
      ASSERT_LT(visit.parent(), i);
      const v1::Visit& parent = few.visits(visit.parent());
      ASSERT_EQ(parent.depth() + 1, visit.depth());
      ASSERT_EQ(Follow(NodeOf(parent.ref()), visit.via(), rules), NodeOf(visit.ref()));
    }
  }
}

TEST_P(GraphOracleTest, ShortestPathsAreShortest) {
  ASSERT_NO_FATAL_FAILURE(Build());
  int found = 0;
  for (int round = 0; round < 300; ++round) {
    const int source = static_cast<int>(graph_.Below(kKeys));
    const int target = static_cast<int>(graph_.Below(kKeys));
    const Rules rules = AnyRules();
    const bool only_even = graph_.Below(3) == 0;
    const bool by_weight = graph_.Below(2) == 0;
    const int max_hops = graph_.Below(2) == 0 ? 0 : 1 + static_cast<int>(graph_.Below(4));
    v1::FindPathRequest request;
    request.mutable_source()->set_key(Key(source));
    request.mutable_target()->set_key(Key(target));
    request.set_direction(rules.direction);
    request.set_metric(by_weight ? v1::PATH_METRIC_WEIGHT : v1::PATH_METRIC_HOPS);
    request.set_max_hops(max_hops);
    Fill(rules, only_even, request.mutable_steps());
    CallContext context;
    v1::FindPathResponse response;
    const absl::Status status = database_->graph().FindPath(context, request, &response);
    if (!Known(source) || !Known(target)) {
      ASSERT_EQ(status.code(), absl::StatusCode::kNotFound);
      continue;
    }
    ASSERT_TRUE(status.ok()) << status;
    const int hops = max_hops == 0 ? kKeys : max_hops;
    const std::set<int>* onto = only_even ? &even_ : nullptr;
    const auto nearest = graph_.Nearest(source, hops, rules, onto, target);
    const auto depths = graph_.Depths(source, hops, rules, onto, target);
    ASSERT_EQ(response.found(), nearest.count(target) > 0) << request.DebugString();
    if (!response.found()) {
      ASSERT_FALSE(response.reason().empty());
      continue;
    }
    ++found;
    ASSERT_NO_FATAL_FAILURE(ExpectPath(source, target, response.path(), rules))
        << request.DebugString();
    if (by_weight) {
      ASSERT_EQ(response.path().weight(), nearest.at(target).first) << request.DebugString();
      ASSERT_EQ(response.path().steps_size(), nearest.at(target).second) << request.DebugString();
    } else {
      ASSERT_EQ(response.path().steps_size(), depths.at(target)) << request.DebugString();
    }
    v1::FindPathResponse again;
    ASSERT_TRUE(database_->graph().FindPath(context, request, &again).ok());
    ASSERT_EQ(again.path().SerializeAsString(), response.path().SerializeAsString());
  }
  EXPECT_GT(found, 20);
}

TEST_P(GraphOracleTest, QuestionsFindWhatIsNearest) {
  ASSERT_NO_FATAL_FAILURE(Build());
  for (int round = 0; round < 300; ++round) {
    const int anchor = static_cast<int>(graph_.Below(kKeys));
    Rules rules = AnyRules();
    if (rules.direction == v1::DIRECTION_BOTH) rules.direction = v1::DIRECTION_OUT;
    // With a relation and no target it would be a direct lookup.
    rules.relations.clear();
    const int max_hops = 1 + static_cast<int>(graph_.Below(5));
    const bool only_even = graph_.Below(3) == 0;
    const int target = graph_.Below(3) == 0 ? static_cast<int>(graph_.Below(kKeys)) : -1;
    v1::QueryRequest request;
    request.mutable_anchor()->set_key(Key(anchor));
    if (target >= 0) request.mutable_target()->set_key(Key(target));
    request.set_reverse(rules.direction == v1::DIRECTION_IN);
    request.set_follow_inverses(rules.follow_inverses);
    request.set_valid_at_ms(rules.valid_at_ms);
    request.set_max_hops(max_hops);
    request.set_limit(1 + static_cast<int>(graph_.Below(kKeys)));
    if (only_even) *request.mutable_filter() = Even();
    request.set_with_explanations(true);
    CallContext context;
    v1::QueryResponse response;
    const absl::Status status = database_->reasoning().Query(context, request, &response);
    ASSERT_TRUE(status.ok()) << status;
    std::vector<Cost> expected;
    const auto nearest = graph_.Nearest(anchor, max_hops, rules);
    for (const auto& [node, cost] : nearest) {
      if (node == anchor || (target >= 0 && node != target)) continue;
      if (only_even && even_.count(node) == 0) continue;
      expected.push_back(cost);
    }
    std::sort(expected.begin(), expected.end());
    if (expected.size() > static_cast<size_t>(request.limit())) {
      expected.resize(static_cast<size_t>(request.limit()));
    }
    std::vector<Cost> got;
    std::set<int> seen;
    for (const v1::Hit& hit : response.hits()) {
      const int node = NodeOf(hit.ref());
      ASSERT_TRUE(seen.insert(node).second);
      ASSERT_NO_FATAL_FAILURE(ExpectPath(anchor, node, hit.path(), rules));
      ASSERT_EQ((Cost{hit.path().weight(), hit.path().steps_size()}), nearest.at(node))
          << request.DebugString();
      ASSERT_EQ(hit.hops(), hit.path().steps_size());
      ASSERT_EQ(hit.distance(), 0.5 * hit.path().weight());
      ASSERT_EQ(hit.score(), hit.distance() == 0 ? 0.0 : -hit.distance());
      ASSERT_FALSE(hit.explanation().empty());
      got.push_back(nearest.at(node));
    }
    ASSERT_EQ(got, expected) << request.DebugString();
  }
}

TEST_P(GraphOracleTest, ChainsAreExactByHop) {
  ASSERT_NO_FATAL_FAILURE(Build());
  const std::vector<std::string> names = {"likes", "owns", "owned_by", "near", "", "nothing"};
  int hits = 0;
  for (int round = 0; round < 300; ++round) {
    const int anchor = static_cast<int>(graph_.Below(kKeys));
    v1::QueryRequest request;
    request.mutable_anchor()->set_key(Key(anchor));
    request.set_limit(100);
    const bool direct = graph_.Below(4) == 0;
    std::map<int, double> layer = {{anchor, 0.0}};
    std::vector<Rules> rules;
    for (uint64_t i = direct ? 1 : 1 + graph_.Below(4); i > 0; --i) {
      Rules hop;
      const std::string name = names[graph_.Below(direct ? 4 : names.size())];
      if (!name.empty()) hop.relations = {name};
      if (direct) {
        request.set_relation(name);
      } else {
        request.add_chain(name);
      }
      std::map<int, double> next;
      for (const auto& [node, weight] : layer) {
        for (const NaiveStep& step : graph_.Steps(node, hop)) {
          auto [it, inserted] = next.emplace(step.to, weight + step.edge->weight);
          if (!inserted) it->second = std::min(it->second, weight + step.edge->weight);
        }
      }
      layer = std::move(next);
      rules.push_back(std::move(hop));
    }
    layer.erase(anchor);
    CallContext context;
    v1::QueryResponse response;
    const absl::Status status = database_->reasoning().Query(context, request, &response);
    ASSERT_TRUE(status.ok()) << status;
    std::map<int, double> got;
    for (const v1::Hit& hit : response.hits()) {
      got[NodeOf(hit.ref())] = hit.path().weight();
      ASSERT_EQ(hit.path().steps_size(), static_cast<int>(rules.size()));
      int at = anchor;
      for (size_t i = 0; i < rules.size(); ++i) {
        at = Follow(at, hit.path().steps(static_cast<int>(i)), rules[i]);
        ASSERT_GE(at, 0) << request.DebugString();
      }
      ASSERT_EQ(at, NodeOf(hit.ref()));
      if (direct) {
        ASSERT_EQ(hit.score(), 0);
      }
      ++hits;
    }
    ASSERT_EQ(got, layer) << request.DebugString();
  }
  EXPECT_GT(hits, 20);
}

// A hub has many edges of several relations; a walk pays for those that it follows.
TEST_P(GraphOracleTest, HubsCostWhatIsFollowed) {
  const std::map<std::string, int> fans = {{"a", 700}, {"b", 1}, {"c", 300}, {"d", 2}, {"e", 33}};
  v1::WriteRequest request;
  v1::ObjectWrite* hub = request.add_mutations()->mutable_put_object();
  hub->mutable_object()->mutable_ref()->set_key("hub");
  for (const auto& [relation, count] : fans) {
    for (int i = 0; i < count; ++i) {
      v1::Edge* edge = hub->add_edges();
      edge->set_relation(relation);
      edge->mutable_target()->set_key(relation + std::to_string(i));
    }
  }
  CallContext context;
  v1::WriteResponse written;
  ASSERT_TRUE(database_->objects().Write(context, request, &written).ok());
  for (int chosen = 1; chosen < 32; ++chosen) {
    v1::TraverseRequest walk;
    walk.mutable_start()->set_key("hub");
    walk.set_max_depth(1);
    walk.set_limit(10'000);
    int expected = 1;
    int bit = 1;
    for (const auto& [relation, count] : fans) {
      if (chosen & bit) {
        walk.mutable_steps()->add_relations(relation);
        expected += count;
      }
      bit *= 2;
    }
    v1::TraverseResponse walked;
    ASSERT_TRUE(database_->graph().Traverse(context, walk, &walked).ok());
    ASSERT_EQ(walked.visits_size(), expected) << chosen;
    EXPECT_LE(walked.edges_examined(), expected + 4) << chosen;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, GraphOracleTest,
                         testing::Values(Case{1, 1 << 20}, Case{2, 1 << 20}, Case{3, 0},
                                         Case{4, 100'000}, Case{5, 1 << 20}, Case{6, 0}));

}  // namespace
}  // namespace cookix::engine
