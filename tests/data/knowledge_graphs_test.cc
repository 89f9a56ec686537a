// Real knowledge graphs, imported whole through the CLI and judged against a
// plain computation over the same files.
//
// COOKIX_DATA_DIR names the folder with wn18rr/ and fb15k-237/ (train.txt,
// valid.txt, test.txt, entity2text.txt). Without it the test says "data absent"
// and passes.
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "tests/support/requests.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_server.h"

namespace cookix::tests {
namespace {

using Triple = std::tuple<std::string, std::string, std::string>;

class KnowledgeGraphsTest : public ::testing::TestWithParam<const char*> {};

TEST_P(KnowledgeGraphsTest, LoadsWholeAndAnswersWithShortestPaths) {
  const char* root = std::getenv("COOKIX_DATA_DIR");
  const std::string dir = root == nullptr ? "" : std::string(root) + "/" + GetParam();
  if (root == nullptr || !std::filesystem::exists(dir + "/train.txt")) {
    std::printf("data absent: set COOKIX_DATA_DIR to a folder with %s/train.txt\n", GetParam());
    return;
  }
  auto started = TestServer::Start();
  ASSERT_TRUE(started.ok()) << started.status();
  TestServer& server = **started;

  // The plain computation.
  std::set<Triple> triples;
  std::map<std::string, int64_t> relations;
  for (const char* part : {"train", "valid", "test"}) {
    const std::string path = dir + "/" + part + ".txt";
    const ProgramResult imported =
        RunProgram({RunfilePath("tools/cli/cookix"), "import", path, "--names",
                    dir + "/entity2text.txt", "--server", server.target()},
                   {}, 280'000);
    ASSERT_EQ(imported.exit.code, 0) << imported.output;
    std::ifstream in(path);
    std::string line;
    while (std::getline(in, line)) {
      const size_t first = line.find('\t');
      const size_t second = line.find('\t', first + 1);
      ASSERT_NE(second, std::string::npos) << line;
      std::string tail = line.substr(second + 1);
      while (!tail.empty() && tail.back() == '\r') tail.pop_back();
      Triple triple(line.substr(0, first), line.substr(first + 1, second - first - 1), tail);
      if (triples.insert(triple).second) ++relations[std::get<1>(triple)];
    }
  }
  std::unordered_map<std::string, std::vector<std::string>> out;
  std::set<std::string> entities;
  for (const auto& [head, relation, tail] : triples) {
    out[head].push_back(tail);
    entities.insert(head);
    entities.insert(tail);
  }

  const auto client = server.Connect();
  v1::GetNamespaceResponse space;
  ASSERT_OK(client->GetNamespace({}, &space));
  EXPECT_EQ(space.namespace_().object_count(), static_cast<int64_t>(entities.size()));
  EXPECT_EQ(space.namespace_().edge_count(), static_cast<int64_t>(triples.size()));
  v1::ListRelationsResponse vocabulary;
  ASSERT_OK(client->ListRelations({}, &vocabulary));
  std::map<std::string, int64_t> counted;
  for (const v1::Relation& relation : vocabulary.relations()) {
    if (relation.edge_count() > 0) counted[relation.name()] = relation.edge_count();
  }
  EXPECT_EQ(counted, relations);

  // Shortest paths between sampled entities, and their steps.
  std::vector<std::string> names(entities.begin(), entities.end());
  std::mt19937_64 random(7);
  int found = 0;
  for (int sample = 0; sample < 200; ++sample) {
    const std::string& source = names[random() % names.size()];
    std::map<std::string, int> depth = {{source, 0}};
    std::deque<std::string> queue = {source};
    while (!queue.empty()) {
      const std::string here = queue.front();
      queue.pop_front();
      const auto next = out.find(here);
      if (next == out.end()) continue;
      for (const std::string& tail : next->second) {
        if (depth.emplace(tail, depth[here] + 1).second) queue.push_back(tail);
      }
    }
    // Half of the targets can be reached, half are any entity.
    std::string target = names[random() % names.size()];
    if (sample % 2 == 0) {
      target = std::next(depth.begin(), static_cast<long>(random() % depth.size()))->first;
    }
    v1::FindPathRequest request;
    *request.mutable_source() = Ref(source);
    *request.mutable_target() = Ref(target);
    v1::FindPathResponse response;
    ASSERT_OK(client->FindPath(request, &response));
    const auto expected = depth.find(target);
    ASSERT_EQ(response.found(), expected != depth.end()) << source << " to " << target;
    if (!response.found()) continue;
    ++found;
    ASSERT_EQ(response.path().steps_size(), expected->second) << source << " to " << target;
    std::string here = source;
    for (const v1::PathStep& step : response.path().steps()) {
      EXPECT_EQ(step.source().key(), here);
      EXPECT_TRUE(triples.count({step.source().key(), step.relation(), step.target().key()}));
      here = step.target().key();
    }
    EXPECT_EQ(here, target);
  }
  EXPECT_GT(found, 50);

  // Neighbours of sampled entities, in both directions.
  std::unordered_map<std::string, int> in_degree;
  for (const Triple& triple : triples) ++in_degree[std::get<2>(triple)];
  for (int sample = 0; sample < 100; ++sample) {
    const std::string& name = names[random() % names.size()];
    for (const bool outward : {true, false}) {
      v1::ListNeighborsRequest request;
      *request.mutable_ref() = Ref(name);
      request.set_direction(outward ? v1::DIRECTION_OUT : v1::DIRECTION_IN);
      request.set_page_size(10'000);
      v1::ListNeighborsResponse response;
      ASSERT_OK(client->ListNeighbors(request, &response));
      const size_t expected = outward ? out[name].size() : static_cast<size_t>(in_degree[name]);
      EXPECT_EQ(static_cast<size_t>(response.neighbors_size()), expected) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Graphs, KnowledgeGraphsTest, ::testing::Values("wn18rr", "fb15k-237"),
                         [](const auto& item) {
                           return std::string(item.param) == "wn18rr" ? "Wn18rr" : "Fb15k237";
                         });

}  // namespace
}  // namespace cookix::tests
