// Random writes against a model: objects, edges, vectors, dangling targets, conditions,
// deletions large enough for tombstones, a collector that stops half-way, repeated
// request ids, and reopening.
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/graph_service.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/test_database.h"
#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

struct ModelObject {
  int64_t version = 0;
  std::string content;
  std::optional<int64_t> rank;
  std::map<std::string, std::vector<float>> vectors;  // by field
};

std::vector<float> ValuesOf(const v1::Vector& vector) {
  return {vector.values().begin(), vector.values().end()};
}

struct ModelEdge {
  double weight = 1;
  int64_t version = 0;
  bool operator==(const ModelEdge&) const = default;
};
using EdgeName = std::tuple<std::string, std::string, std::string, std::string>;
EdgeName NameOf(const std::string& source, const std::string& relation, const std::string& target,
                const std::string& discriminator) {
  return {source, relation, target, discriminator};
}

struct Model {
  std::map<std::string, ModelObject> objects;
  std::map<EdgeName, ModelEdge> edges;

  void PutEdge(const std::string& source, const v1::Edge& edge, int64_t commit) {
    edges[NameOf(source, edge.relation(), edge.target().key(), edge.discriminator())] = {
        edge.has_weight() ? edge.weight() : 1.0, commit};
  }
  bool Meets(const std::string& key, const v1::Condition& condition) const {
    auto it = objects.find(key);
    if (condition.requirement_case() == v1::Condition::kExists) {
      return condition.exists() == (it != objects.end());
    }
    if (condition.requirement_case() == v1::Condition::kVersion) {
      return condition.version() == (it == objects.end() ? 0 : it->second.version);
    }
    return true;
  }

  // Applies one mutation. Nothing: it fails.
  std::optional<bool> Apply(const v1::Mutation& mutation, int64_t commit) {
    switch (mutation.action_case()) {
      case v1::Mutation::kPutObject: {
        const v1::ObjectWrite& write = mutation.put_object();
        const std::string& key = write.object().ref().key();
        if (!Meets(key, write.condition())) return std::nullopt;
        const bool existed = objects.count(key) > 0;
        ModelObject object{commit, write.object().content(), std::nullopt, {}};
        for (const auto& [name, vector] : write.object().vectors()) {
          object.vectors[name] = ValuesOf(vector);
        }
        if (auto it = write.object().properties().find("rank");
            it != write.object().properties().end()) {
          object.rank = it->second.int_value();
        }
        objects[key] = object;
        if (write.replace_edges()) {
          std::erase_if(edges, [&](const auto& e) { return std::get<0>(e.first) == key; });
        }
        for (const v1::Edge& edge : write.edges()) PutEdge(key, edge, commit);
        return !existed;
      }
      case v1::Mutation::kPatchObject: {
        const v1::ObjectPatch& patch = mutation.patch_object();
        auto it = objects.find(patch.ref().key());
        if (it == objects.end() || !Meets(it->first, patch.condition())) return std::nullopt;
        it->second.version = commit;
        if (patch.has_content()) it->second.content = patch.content();
        if (patch.remove_properties_size() > 0) it->second.rank.reset();
        for (const auto& [name, vector] : patch.set_vectors()) {
          it->second.vectors[name] = ValuesOf(vector);
        }
        for (const std::string& name : patch.remove_vectors()) it->second.vectors.erase(name);
        for (const v1::Edge& edge : patch.add_edges()) PutEdge(it->first, edge, commit);
        return false;
      }
      case v1::Mutation::kDeleteObject: {
        const v1::ObjectDelete& request = mutation.delete_object();
        const std::string& key = request.ref().key();
        if (!Meets(key, request.condition())) return std::nullopt;
        if (objects.erase(key) == 0) return false;
        std::erase_if(edges, [&](const auto& e) {
          return std::get<0>(e.first) == key ||
                 (!request.leave_dangling() && std::get<2>(e.first) == key);
        });
        return true;
      }
      case v1::Mutation::kPutEdge: {
        const v1::Edge& edge = mutation.put_edge();
        if (objects.count(edge.source().key()) == 0) return std::nullopt;
        const bool existed = edges.count(NameOf(edge.source().key(), edge.relation(),
                                                edge.target().key(), edge.discriminator())) > 0;
        PutEdge(edge.source().key(), edge, commit);
        return !existed;
      }
      case v1::Mutation::kDeleteEdge: {
        const v1::EdgeDelete& edge = mutation.delete_edge();
        return edges.erase(NameOf(edge.source().key(), edge.relation(), edge.target().key(),
                                  edge.discriminator())) > 0;
      }
      case v1::Mutation::kCheck:
        if (!Meets(mutation.check().ref().key(), mutation.check().condition())) {
          return std::nullopt;
        }
        return false;
      case v1::Mutation::ACTION_NOT_SET:
        break;
    }
    return std::nullopt;
  }
};

// Applies what InsertVectors does; returns how many objects it made.
int64_t Insert(const v1::InsertVectorsRequest& request, int64_t commit, Model* model) {
  int64_t created = 0;
  for (int i = 0; i < request.keys_size(); ++i) {
    auto [it, inserted] = model->objects.try_emplace(request.keys(i));
    if (inserted) ++created;
    it->second.version = commit;
    it->second.vectors[request.field()] = {request.values(2 * i), request.values(2 * i + 1)};
    if (request.properties_size() > 0 && request.properties(i).fields_size() > 0) {
      it->second.rank = request.properties(i).fields().at("rank").int_value();
    }
  }
  return created;
}

class Writes {
 public:
  explicit Writes(uint64_t seed) : random_(seed) {}
  uint64_t Below(uint64_t n) { return random_() % n; }
  // Few keys, so that everything meets; the first ones get most edges.
  std::string Key() { return "k" + std::to_string(Below(3) == 0 ? Below(4) : Below(24)); }
  v1::Edge Edge() {
    v1::Edge edge;
    edge.set_relation(Below(2) == 0 ? "r" : "s");
    edge.mutable_target()->set_key(Key());
    if (Below(3) == 0) edge.set_discriminator("d" + std::to_string(Below(2)));
    if (Below(2) == 0) edge.set_weight(static_cast<double>(Below(10)));
    return edge;
  }
  std::string Field() { return Below(2) == 0 ? "a" : "b"; }
  v1::Vector Vector() {
    v1::Vector vector;
    vector.add_values(static_cast<float>(1 + Below(100)));
    vector.add_values(static_cast<float>(Below(100)));
    return vector;
  }
  v1::InsertVectorsRequest Insertion() {
    v1::InsertVectorsRequest request;
    request.set_field(Field());
    const bool ranked = Below(3) == 0;
    for (uint64_t i = 1 + Below(6); i > 0; --i) {
      request.add_keys(Key());
      request.mutable_values()->MergeFrom(Vector().values());
      if (!ranked) continue;
      auto& fields = *request.add_properties()->mutable_fields();
      if (Below(2) == 0) fields["rank"].set_int_value(static_cast<int64_t>(Below(100)));
    }
    return request;
  }
  v1::Mutation Mutation(const Model& model) {
    v1::Mutation mutation;
    const std::string key = Key();
    auto condition = [&](v1::Condition* out) {
      if (Below(5) != 0) return;
      auto it = model.objects.find(key);
      const bool right = Below(3) != 0;
      if (Below(2) == 0) {
        out->set_exists((it != model.objects.end()) == right);
      } else {
        out->set_version((it == model.objects.end() ? 0 : it->second.version) + (right ? 0 : 7));
      }
    };
    switch (Below(12)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        v1::ObjectWrite* write = mutation.mutable_put_object();
        write->mutable_object()->mutable_ref()->set_key(key);
        write->mutable_object()->set_content("c" + std::to_string(Below(1000)));
        if (Below(2) == 0) {
          (*write->mutable_object()->mutable_properties())["rank"].set_int_value(
              static_cast<int64_t>(Below(100)));
        }
        for (uint64_t i = Below(3); i > 0; --i) {
          (*write->mutable_object()->mutable_vectors())[Field()] = Vector();
        }
        for (uint64_t i = Below(6); i > 0; --i) *write->add_edges() = Edge();
        write->set_replace_edges(Below(4) == 0);
        condition(write->mutable_condition());
        break;
      }
      case 4: {
        v1::ObjectPatch* patch = mutation.mutable_patch_object();
        patch->mutable_ref()->set_key(key);
        if (Below(2) == 0) patch->set_content("p" + std::to_string(Below(1000)));
        if (Below(2) == 0) patch->add_remove_properties("rank");
        if (Below(2) == 0) *patch->add_add_edges() = Edge();
        if (Below(2) == 0) (*patch->mutable_set_vectors())[Field()] = Vector();
        if (Below(3) == 0) patch->add_remove_vectors(Field());
        condition(patch->mutable_condition());
        break;
      }
      case 5:
      case 6: {
        v1::ObjectDelete* remove = mutation.mutable_delete_object();
        remove->mutable_ref()->set_key(key);
        remove->set_leave_dangling(Below(2) == 0);
        condition(remove->mutable_condition());
        break;
      }
      case 7:
      case 8:
        *mutation.mutable_put_edge() = Edge();
        mutation.mutable_put_edge()->mutable_source()->set_key(key);
        break;
      case 9:
      case 10: {
        v1::EdgeDelete* remove = mutation.mutable_delete_edge();
        if (!model.edges.empty() && Below(4) != 0) {
          auto it = model.edges.begin();
          std::advance(it, Below(model.edges.size()));
          remove->mutable_source()->set_key(std::get<0>(it->first));
          remove->set_relation(std::get<1>(it->first));
          remove->mutable_target()->set_key(std::get<2>(it->first));
          remove->set_discriminator(std::get<3>(it->first));
        } else {
          const v1::Edge edge = Edge();
          remove->mutable_source()->set_key(key);
          remove->set_relation(edge.relation());
          *remove->mutable_target() = edge.target();
        }
        break;
      }
      default:
        mutation.mutable_check()->mutable_ref()->set_key(key);
        condition(mutation.mutable_check()->mutable_condition());
        break;
    }
    return mutation;
  }

 private:
  std::mt19937_64 random_;
};

void ExpectEqual(Database& database, const Model& model) {
  CallContext context;
  v1::ScanObjectsRequest scan;
  scan.set_page_size(7);
  scan.mutable_mask()->set_with_vectors(true);
  std::map<std::string, ModelObject> got;
  do {
    v1::ScanObjectsResponse page;
    ASSERT_TRUE(database.objects().ScanObjects(context, scan, &page).ok());
    for (const v1::Object& object : page.objects()) {
      ModelObject& one = got[object.ref().key()];
      one = {object.version(), object.content(), std::nullopt, {}};
      for (const auto& [name, vector] : object.vectors()) one.vectors[name] = ValuesOf(vector);
      if (auto it = object.properties().find("rank"); it != object.properties().end()) {
        one.rank = it->second.int_value();
      }
    }
    scan.set_page_token(page.next_page_token());
  } while (!scan.page_token().empty());
  ASSERT_EQ(got.size(), model.objects.size());
  for (const auto& [key, object] : model.objects) {
    ASSERT_TRUE(got.count(key)) << key;
    EXPECT_EQ(got[key].version, object.version) << key;
    EXPECT_EQ(got[key].content, object.content) << key;
    EXPECT_EQ(got[key].rank, object.rank) << key;
    EXPECT_EQ(got[key].vectors, object.vectors) << key;
  }
  // No vector is left of what is gone.
  size_t vectors = 0, stored_vectors = 0;
  for (const auto& [key, object] : model.objects) vectors += object.vectors.size();
  const ReadView read = database.Read();
  auto stored = read.snapshot->Scan(storage::Family::kVectors, {});
  for (stored->SeekToFirst(); stored->Valid(); stored->Next()) ++stored_vectors;
  EXPECT_EQ(stored_vectors, vectors);
  v1::CountObjectsResponse count;
  ASSERT_TRUE(database.objects().CountObjects(context, {}, &count).ok());
  EXPECT_EQ(count.count(), static_cast<int64_t>(model.objects.size()));

  v1::GetNamespaceRequest get;
  get.set_namespace_("default");
  v1::GetNamespaceResponse stats;
  ASSERT_TRUE(database.catalog().GetNamespace(context, get, &stats).ok());
  EXPECT_EQ(stats.namespace_().object_count(), static_cast<int64_t>(model.objects.size()));
  if (database.pending_tombstones() == 0) {
    ASSERT_EQ(stats.namespace_().edge_count(), static_cast<int64_t>(model.edges.size()));
  }

  std::set<std::string> known;
  for (const auto& [key, object] : model.objects) known.insert(key);
  for (const auto& [name, edge] : model.edges) known.insert(std::get<2>(name));
  for (int k = 0; k < 24; ++k) {
    const std::string key = "k" + std::to_string(k);
    for (const bool in : {false, true}) {
      v1::ListNeighborsRequest request;
      request.mutable_ref()->set_key(key);
      request.set_direction(in ? v1::DIRECTION_IN : v1::DIRECTION_OUT);
      v1::ListNeighborsResponse response;
      const absl::Status status = database.graph().ListNeighbors(context, request, &response);
      if (known.count(key) == 0) {
        // What a tombstone hides keeps its target until it is collected.
        if (status.ok() && database.pending_tombstones() > 0) {
          ASSERT_EQ(response.neighbors_size(), 0) << key;
        } else {
          ASSERT_EQ(status.code(), absl::StatusCode::kNotFound) << key;
        }
        continue;
      }
      ASSERT_TRUE(status.ok()) << status;
      std::map<EdgeName, ModelEdge> expected, listed;
      for (const auto& [name, edge] : model.edges) {
        if ((in ? std::get<2>(name) : std::get<0>(name)) == key) expected[name] = edge;
      }
      for (const v1::Neighbor& neighbor : response.neighbors()) {
        const v1::Edge& edge = neighbor.edge();
        listed[NameOf(edge.source().key(), edge.relation(), edge.target().key(),
                      edge.discriminator())] = {edge.weight(), edge.version()};
      }
      ASSERT_EQ(static_cast<size_t>(response.neighbors_size()), listed.size());
      ASSERT_EQ(listed, expected) << key << (in ? " in" : " out");
      // The same through the graph's arcs.
      v1::TraverseRequest walk;
      walk.mutable_start()->set_key(key);
      walk.set_direction(request.direction());
      walk.set_max_depth(1);
      v1::TraverseResponse walked;
      const absl::Status walk_status = database.graph().Traverse(context, walk, &walked);
      ASSERT_TRUE(walk_status.ok()) << walk_status;
      std::set<std::string> around, reached;
      for (const auto& [name, edge] : expected) {
        around.insert(in ? std::get<0>(name) : std::get<2>(name));
      }
      around.insert(key);
      for (const v1::Visit& visit : walked.visits()) reached.insert(visit.ref().key());
      ASSERT_EQ(reached, around) << key;
    }
  }
}

struct Case {
  uint64_t seed;
  bool on_disk;
  int64_t adjacency_bytes;
};

class WriteModelTest : public testing::TestWithParam<Case> {};

TEST_P(WriteModelTest, DatabaseEqualsModel) {
  TestDatabase database([](DatabaseOptions& options) {
    options.limits.max_edges_deleted_inline = 3;
    options.adjacency_bytes = GetParam().adjacency_bytes;
    if (GetParam().on_disk) {
      options.storage.in_memory = false;
      options.storage.path = testing::TempDir() + "/write_model_" + std::to_string(GetParam().seed);
      options.storage.sync_mode = storage::SyncMode::kOff;
    }
  });
  Writes writes(GetParam().seed);
  Model model;
  CallContext context;
  int64_t tombstones = 0;
  std::optional<std::pair<v1::WriteRequest, v1::WriteResponse>> previous;
  v1::UpdateCollectionRequest fields;
  for (const char* name : {"a", "b"}) {
    v1::VectorField* field = fields.add_put_vector_fields();
    field->set_name(name);
    field->set_dimension(2);
  }
  v1::UpdateCollectionResponse updated;
  ASSERT_TRUE(database->catalog().UpdateCollection(context, fields, &updated).ok());
  const int steps = GetParam().on_disk ? 400 : 1500;
  for (int step = 0; step < steps; ++step) {
    v1::WriteRequest request;
    for (uint64_t i = 1 + writes.Below(4); i > 0; --i) {
      *request.add_mutations() = writes.Mutation(model);
    }
    if (writes.Below(3) == 0) {
      request.mutable_options()->set_request_id("id" + std::to_string(step));
    }
    v1::WriteResponse response;
    const uint64_t before = database->Read().commit();
    const absl::Status status = database->objects().Write(context, request, &response);
    Model after = model;
    const int64_t commit =
        status.ok() ? response.result().commit() : static_cast<int64_t>(before) + 1;
    bool works = true;
    std::vector<bool> results;
    for (const v1::Mutation& mutation : request.mutations()) {
      const std::optional<bool> result = after.Apply(mutation, commit);
      works = works && result.has_value();
      if (!works) break;
      results.push_back(*result);
    }
    ASSERT_EQ(status.ok(), works) << status << "\n" << request.DebugString();
    if (works) {
      model = std::move(after);
      ASSERT_EQ(static_cast<size_t>(response.results_size()), results.size());
      for (int i = 0; i < response.results_size(); ++i) {
        ASSERT_EQ(response.results(i).changed_existence(), results[static_cast<size_t>(i)])
            << request.mutations(i).DebugString();
      }
      if (!request.options().request_id().empty()) previous.emplace(request, response);
    } else {
      ASSERT_EQ(database->Read().commit(), before) << "a write that failed left a commit";
    }
    if (previous.has_value() && writes.Below(5) == 0) {
      v1::WriteResponse again;
      ASSERT_TRUE(database->objects().Write(context, previous->first, &again).ok());
      EXPECT_TRUE(again.result().replayed());
      EXPECT_EQ(again.result().commit(), previous->second.result().commit());
      EXPECT_EQ(again.results_size(), previous->second.results_size());
      v1::WriteRequest other = previous->first;
      other.add_mutations()->mutable_check()->mutable_ref()->set_key("k0");
      EXPECT_EQ(database->objects().Write(context, other, &again).code(),
                absl::StatusCode::kAlreadyExists);
    }
    if (writes.Below(4) == 0) {
      v1::InsertVectorsRequest insertion = writes.Insertion();
      insertion.mutable_options()->set_request_id("insert" + std::to_string(step));
      v1::InsertVectorsResponse inserted;
      const absl::Status done = database->objects().InsertVectors(context, insertion, &inserted);
      ASSERT_TRUE(done.ok()) << done;
      EXPECT_EQ(inserted.created_count(), Insert(insertion, inserted.result().commit(), &model));
      insertion.set_sequence(7);
      v1::InsertVectorsResponse again;
      ASSERT_TRUE(database->objects().InsertVectors(context, insertion, &again).ok());
      EXPECT_TRUE(again.result().replayed());
      EXPECT_EQ(again.sequence(), 7);
      EXPECT_EQ(again.created_count(), inserted.created_count());
      insertion.set_values(0, 1000);
      EXPECT_EQ(database->objects().InsertVectors(context, insertion, &again).code(),
                absl::StatusCode::kAlreadyExists);
    }
    tombstones += database->pending_tombstones();
    if (writes.Below(6) == 0) {
      ASSERT_TRUE(database->RunMaintenance(1).ok());
    }
    if (writes.Below(40) == 0) {
      ASSERT_TRUE(database->RunMaintenance(1000).ok());
    }
    if (GetParam().on_disk && writes.Below(60) == 0) database.Reopen();
    if (step % 20 == 0) {
      SCOPED_TRACE(step);
      ASSERT_NO_FATAL_FAILURE(ExpectEqual(*database, model));
    }
  }
  EXPECT_GT(tombstones, 0) << "no deletion was large";
  while (database->pending_tombstones() > 0) ASSERT_TRUE(database->RunMaintenance(100).ok());
  ASSERT_NO_FATAL_FAILURE(ExpectEqual(*database, model));
}

INSTANTIATE_TEST_SUITE_P(Seeds, WriteModelTest,
                         testing::Values(Case{1, false, 1 << 20}, Case{2, false, 0},
                                         Case{3, false, 100'000}, Case{4, false, 1 << 20},
                                         Case{5, true, 1 << 20}, Case{6, true, 0}));

}  // namespace
}  // namespace cookix::engine
