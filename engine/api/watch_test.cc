// What a watch tells, applied to nothing, gives what the store holds at every position.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/graph_service.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "cookix/v1/watch_service.pb.h"
#include "engine/test_database.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

std::string Reason(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() ? detail->reason : "";
}
std::string Field(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() ? detail->field : "";
}

// What one watch told.
struct Told {
  // One for each commit with changes.
  std::vector<v1::CommitChanges> commits;
  std::vector<v1::WatchResponse> messages;
  absl::Status status;
  int64_t last_commit = 0;
};

// Watches until everything that is committed now was told.
Told Watch(Database& database, const v1::WatchRequest& request) {
  const auto present = static_cast<int64_t>(database.Read().commit());
  CallContext context(CallContext::Clock::now() + std::chrono::minutes(1));
  Told told;
  bool continues = false;
  told.status = database.watch().Watch(context, request, [&](v1::WatchResponse&& message) {
    EXPECT_GE(message.commit(), told.last_commit);
    EXPECT_GE(message.latest_commit(), message.commit());
    for (const v1::CommitChanges& commit : message.commits()) {
      if (continues) {
        EXPECT_EQ(commit.commit(), told.commits.back().commit());
        told.commits.back().mutable_changes()->MergeFrom(commit.changes());
      } else {
        EXPECT_GT(commit.commit(), told.commits.empty() ? 0 : told.commits.back().commit());
        told.commits.push_back(commit);
        told.commits.back().clear_continued();
      }
      continues = commit.continued();
      EXPECT_GT(commit.commit(), told.last_commit);
      EXPECT_EQ(commit.commit() > message.commit(), continues);
    }
    told.last_commit = message.commit();
    told.messages.push_back(std::move(message));
    return told.last_commit < present;
  });
  if (told.last_commit >= present && Reason(told.status) == "QUERY_CANCELLED") {
    told.status = absl::OkStatus();
  }
  return told;
}

std::string RefText(const v1::ObjectRef& ref) {
  return (ref.collection().empty() ? "default" : ref.collection()) + "/" + ref.key();
}
std::string EdgeText(const v1::ObjectRef& source, const std::string& relation,
                     const v1::ObjectRef& target, const std::string& discriminator) {
  return RefText(source) + " " + relation + " " + RefText(target) + " " + discriminator;
}

// Objects and edges by their names, as text that says all of them.
struct Contents {
  std::map<std::string, std::string> objects;
  std::map<std::string, std::string> edges;
  bool operator==(const Contents&) const = default;
};

// What a client that watches makes of what it is told.
class Mirror {
 public:
  void Apply(const v1::CommitChanges& commit) {
    for (const v1::Change& change : commit.changes()) {
      SCOPED_TRACE(change.DebugString());
      switch (change.change_case()) {
        case v1::Change::kObject:
          ApplyObject(change.object());
          break;
        case v1::Change::kEdge:
          ApplyEdge(change.edge());
          break;
        case v1::Change::kEdgesDropped:
          ApplyDrop(change.edges_dropped());
          break;
        case v1::Change::kCollectionDropped:
          DropCollection(change.collection_dropped().collection());
          break;
        case v1::Change::kNamespaceDropped:
          objects_.clear();
          edges_.clear();
          break;
        case v1::Change::kCollection:
          KeepVectors(change.collection());
          break;
        default:
          break;
      }
    }
  }

  Contents contents() const {
    Contents contents;
    for (const auto& [name, object] : objects_) contents.objects[name] = object.DebugString();
    for (const auto& [name, edge] : edges_) contents.edges[name] = edge.DebugString();
    return contents;
  }

 private:
  void ApplyObject(const v1::ObjectChange& change) {
    const std::string name = RefText(change.ref());
    const auto it = objects_.find(name);
    EXPECT_EQ(it != objects_.end(), change.kind() != v1::CHANGE_KIND_CREATED);
    EXPECT_EQ(change.has_before(), change.kind() != v1::CHANGE_KIND_CREATED);
    EXPECT_EQ(change.has_after(), change.kind() != v1::CHANGE_KIND_DELETED);
    google::protobuf::Map<std::string, v1::Vector> vectors;
    if (it != objects_.end()) {
      vectors = it->second.vectors();
      it->second.clear_vectors();
      EXPECT_EQ(it->second.DebugString(), change.before().DebugString());
      objects_.erase(it);
    }
    if (change.kind() == v1::CHANGE_KIND_DELETED) return;
    for (const std::string& removed : change.removed_vectors()) vectors.erase(removed);
    for (const auto& [field, vector] : change.after().vectors()) vectors[field] = vector;
    v1::Object& object = objects_[name] = change.after();
    *object.mutable_vectors() = vectors;
  }

  void ApplyEdge(const v1::EdgeChange& change) {
    const std::string name =
        EdgeText(change.source(), change.relation(), change.target(), change.discriminator());
    const auto it = edges_.find(name);
    // An edge that was dropped with many may be named too.
    if (change.kind() != v1::CHANGE_KIND_DELETED) {
      EXPECT_EQ(it != edges_.end(), change.kind() == v1::CHANGE_KIND_UPDATED);
    }
    if (it != edges_.end()) {
      EXPECT_EQ(it->second.DebugString(), change.before().DebugString());
      edges_.erase(it);
    }
    if (change.has_after()) edges_[name] = change.after();
  }

  void ApplyDrop(const v1::EdgesDropped& drop) {
    const std::string name = RefText(drop.ref());
    std::erase_if(edges_, [&](const auto& entry) {
      return RefText(entry.second.source()) == name ||
             (drop.incoming() && RefText(entry.second.target()) == name);
    });
  }

  void DropCollection(const std::string& name) {
    const auto in = [&](const v1::ObjectRef& ref) { return ref.collection() == name; };
    std::erase_if(objects_, [&](const auto& entry) { return in(entry.second.ref()); });
    std::erase_if(edges_, [&](const auto& entry) {
      return in(entry.second.source()) || in(entry.second.target());
    });
  }

  void KeepVectors(const v1::Collection& collection) {
    std::set<std::string> fields;
    for (const v1::VectorField& field : collection.vector_fields()) fields.insert(field.name());
    for (auto& [name, object] : objects_) {
      if (object.ref().collection() != collection.name()) continue;
      auto& vectors = *object.mutable_vectors();
      for (auto it = vectors.begin(); it != vectors.end();) {
        it = fields.contains(it->first) ? ++it : vectors.erase(it);
      }
    }
  }

  std::map<std::string, v1::Object> objects_;
  std::map<std::string, v1::Edge> edges_;
};

class WatchTest : public testing::Test {
 protected:
  WatchTest()
      : database_([](DatabaseOptions& options) {
          options.limits.max_edges_deleted_inline = 4;
          options.limits.default_wait_ms = 20;
        }) {}

  Database& db() { return *database_; }

  static v1::WatchRequest Everything(const std::string& ns, int64_t after) {
    v1::WatchRequest request;
    request.set_namespace_(ns);
    request.set_after_commit(after);
    request.mutable_objects()->mutable_mask()->set_with_vectors(true);
    request.mutable_edges();
    request.set_with_before(true);
    request.set_with_definitions(true);
    return request;
  }

  // Collection "things" with the vector fields "v" and "w"; OK when it is there.
  void MakeThings(const std::string& ns) {
    CallContext context;
    v1::CreateCollectionRequest request;
    request.set_namespace_(ns);
    request.mutable_collection()->set_name("things");
    for (const char* name : {"v", "w"}) {
      v1::VectorField& field = *request.mutable_collection()->add_vector_fields();
      field.set_name(name);
      field.set_dimension(2);
      field.set_metric(v1::VECTOR_METRIC_L2);
    }
    v1::CreateCollectionResponse response;
    db().catalog().CreateCollection(context, request, &response).IgnoreError();
  }

  v1::ObjectRef RandomRef() {
    v1::ObjectRef ref;
    if (random_() % 3 == 0) ref.set_collection("things");
    ref.set_key("k" + std::to_string(random_() % 12));
    return ref;
  }

  v1::Edge RandomEdge() {
    v1::Edge edge;
    edge.set_relation("r" + std::to_string(random_() % 4));
    *edge.mutable_target() = RandomRef();
    edge.set_weight(static_cast<double>(random_() % 5));
    if (random_() % 4 == 0) edge.set_discriminator("d");
    if (random_() % 2 == 0) {
      (*edge.mutable_properties())["n"].set_int_value(static_cast<int64_t>(random_() % 4));
    }
    return edge;
  }

  void SetRandomVectors(google::protobuf::Map<std::string, v1::Vector>* vectors) {
    for (const char* name : {"v", "w"}) {
      if (random_() % 2 == 0) continue;
      for (int i = 0; i < 2; ++i) {
        (*vectors)[name].add_values(static_cast<float>(random_() % 100));
      }
    }
  }

  v1::Mutation RandomMutation() {
    v1::Mutation mutation;
    switch (random_() % 8) {
      case 0: {
        v1::ObjectPatch& patch = *mutation.mutable_patch_object();
        *patch.mutable_ref() = RandomRef();
        (*patch.mutable_set_properties())["n"].set_int_value(static_cast<int64_t>(random_() % 4));
        if (patch.ref().collection().empty()) break;
        SetRandomVectors(patch.mutable_set_vectors());
        if (patch.set_vectors().empty()) patch.add_remove_vectors("v");
        break;
      }
      case 1:
      case 2:
        *mutation.mutable_delete_object()->mutable_ref() = RandomRef();
        mutation.mutable_delete_object()->set_leave_dangling(random_() % 2 == 0);
        break;
      case 3: {
        v1::Edge edge = RandomEdge();
        v1::EdgeDelete& request = *mutation.mutable_delete_edge();
        *request.mutable_source() = RandomRef();
        request.set_relation(edge.relation());
        *request.mutable_target() = edge.target();
        break;
      }
      case 4:
        *mutation.mutable_put_edge() = RandomEdge();
        *mutation.mutable_put_edge()->mutable_source() = RandomRef();
        break;
      default: {
        v1::ObjectWrite& write = *mutation.mutable_put_object();
        v1::Object& object = *write.mutable_object();
        *object.mutable_ref() = RandomRef();
        object.set_content("content " + std::to_string(random_() % 100));
        (*object.mutable_properties())["n"].set_int_value(static_cast<int64_t>(random_() % 4));
        if (random_() % 2 == 0) object.add_labels("a");
        if (random_() % 6 == 0) object.set_expires_ms(database_.now_ms() + 1 + random_() % 40);
        if (!object.ref().collection().empty()) SetRandomVectors(object.mutable_vectors());
        for (uint64_t i = random_() % 7; i > 0; --i) *write.add_edges() = RandomEdge();
        write.set_replace_edges(random_() % 3 == 0);
      }
    }
    return mutation;
  }

  // One change of any kind.
  void Change(const std::string& ns) {
    CallContext context;
    switch (random_() % 24) {
      case 0: {
        v1::DeleteCollectionRequest request;
        request.set_namespace_(ns);
        request.set_collection("things");
        request.set_force(true);
        v1::DeleteCollectionResponse response;
        db().catalog().DeleteCollection(context, request, &response).IgnoreError();
        break;
      }
      case 1: {
        v1::DeleteNamespaceRequest request;
        request.set_namespace_("other");
        request.set_force(true);
        v1::DeleteNamespaceResponse response;
        if (random_() % 3 == 0) {
          db().catalog().DeleteNamespace(context, request, &response).IgnoreError();
        }
        break;
      }
      case 2: {
        v1::UpdateCollectionRequest request;
        request.set_namespace_(ns);
        request.set_collection("things");
        request.add_remove_vector_fields("w");
        v1::UpdateCollectionResponse response;
        db().catalog().UpdateCollection(context, request, &response).IgnoreError();
        break;
      }
      case 3: {
        v1::PutRelationRequest request;
        request.set_namespace_(ns);
        request.mutable_relation()->set_name("r" + std::to_string(random_() % 4));
        request.mutable_relation()->set_transitive(random_() % 2 == 0);
        v1::PutRelationResponse response;
        db().catalog().PutRelation(context, request, &response).IgnoreError();
        break;
      }
      case 4:
      case 5:
        database_.AdvanceMs(10);
        ASSERT_TRUE(db().RunMaintenance(static_cast<int64_t>(random_() % 8)).ok());
        break;
      case 6:
        MakeThings(ns);
        break;
      case 7: {
        v1::CreateNamespaceRequest request;
        request.mutable_namespace_()->set_name("other");
        request.set_if_not_exists(true);
        v1::CreateNamespaceResponse response;
        ASSERT_TRUE(db().catalog().CreateNamespace(context, request, &response).ok());
        break;
      }
      default: {
        v1::WriteRequest request;
        request.set_namespace_(ns);
        for (uint64_t i = random_() % 3 + 1; i > 0; --i) {
          *request.add_mutations() = RandomMutation();
        }
        v1::WriteResponse response;
        db().objects().Write(context, request, &response).IgnoreError();
      }
    }
  }

  // What the store holds now; `commit` is when that is.
  Contents Read(const std::string& ns, int64_t* commit) {
    Contents contents;
    CallContext context;
    // Has what is due deleted.
    EXPECT_TRUE(db().Read(context, v1::ReadOptions()).ok());
    *commit = static_cast<int64_t>(db().Read().commit());
    for (const char* collection : {"", "things"}) {
      v1::StreamObjectsRequest request;
      request.set_namespace_(ns);
      request.set_collection(collection);
      request.set_with_edges(true);
      request.mutable_mask()->set_with_vectors(true);
      db().objects()
          .StreamObjects(context, request,
                         [&](v1::StreamObjectsResponse&& chunk) {
                           for (v1::ObjectWrite& write : *chunk.mutable_objects()) {
                             const v1::ObjectRef& ref = write.object().ref();
                             contents.objects[RefText(ref)] = write.object().DebugString();
                             for (v1::Edge& edge : *write.mutable_edges()) {
                               *edge.mutable_source() = ref;
                               contents.edges[EdgeText(ref, edge.relation(), edge.target(),
                                                       edge.discriminator())] = edge.DebugString();
                             }
                           }
                           return true;
                         })
          .IgnoreError();
    }
    EXPECT_EQ(*commit, static_cast<int64_t>(db().Read().commit()));
    return contents;
  }

  // Everything about a namespace from `after` on, over its drops; and no error but that it is
  // not there.
  std::vector<v1::CommitChanges> WatchOn(const std::string& ns, int64_t after) {
    std::vector<v1::CommitChanges> commits;
    while (true) {
      Told told = Watch(db(), Everything(ns, after));
      commits.insert(commits.end(), told.commits.begin(), told.commits.end());
      if (told.status.ok()) return commits;
      EXPECT_EQ(Reason(told.status), "NAMESPACE_NOT_FOUND") << told.status;
      const bool dropped =
          !told.commits.empty() && told.commits.back().changes().rbegin()->has_namespace_dropped();
      if (!dropped) return commits;
      EXPECT_EQ(told.last_commit, told.commits.back().commit());
      after = told.last_commit;
    }
  }

  static std::string Text(const std::vector<v1::CommitChanges>& commits, int64_t after) {
    std::string text;
    for (const v1::CommitChanges& commit : commits) {
      if (commit.commit() > after) text += commit.DebugString();
    }
    return text;
  }

  void Fill(int changes) {
    for (int i = 0; i < changes; ++i) Change(random_() % 3 == 0 ? "other" : "");
  }

  TestDatabase database_;
  std::mt19937_64 random_{5};
};

TEST_F(WatchTest, ToldChangesGiveTheStoreAtEveryPosition) {
  std::map<std::string, std::map<int64_t, Contents>> at;  // by namespace, by commit
  for (int i = 0; i < 1500; ++i) {
    Change(random_() % 3 == 0 ? "other" : "");
    int64_t commit = 0;
    for (const char* ns : {"", "other"}) {
      Contents contents = Read(ns, &commit);
      at[ns][commit] = std::move(contents);
    }
  }
  std::set<v1::Change::ChangeCase> seen;
  for (const auto& [ns, states] : at) {
    const std::vector<v1::CommitChanges> commits = WatchOn(ns, 0);
    ASSERT_GT(commits.size(), 100U);
    for (const v1::CommitChanges& commit : commits) {
      for (const v1::Change& change : commit.changes()) seen.insert(change.change_case());
    }
    Mirror mirror;
    auto next = commits.begin();
    for (const auto& [commit, contents] : states) {
      for (; next != commits.end() && next->commit() <= commit; ++next) {
        SCOPED_TRACE("commit " + std::to_string(next->commit()));
        mirror.Apply(*next);
        ASSERT_FALSE(HasFailure());
      }
      const Contents mirrored = mirror.contents();
      ASSERT_EQ(mirrored.objects, contents.objects) << "commit " << commit;
      ASSERT_EQ(mirrored.edges, contents.edges) << "commit " << commit;
    }
    EXPECT_EQ(next, commits.end());
  }
  EXPECT_EQ(seen.size(), 7U) << "not every kind of change happened";
}

TEST_F(WatchTest, GoesOnFromEveryPosition) {
  Fill(300);
  for (const char* ns : {"", "other"}) {
    const std::vector<v1::CommitChanges> all = WatchOn(ns, 0);
    const auto last = static_cast<int64_t>(db().Read().commit());
    for (int64_t after = 0; after <= last; ++after) {
      ASSERT_EQ(Text(WatchOn(ns, after), 0), Text(all, after)) << "after " << after;
    }
  }
  // By positions as they were told, too.
  const Told told = Watch(db(), Everything("", 0));
  const std::vector<v1::CommitChanges> all = told.commits;
  for (const v1::WatchResponse& message : told.messages) {
    v1::WatchRequest request = Everything("", 0);
    request.set_after_position(message.position());
    EXPECT_EQ(Text(Watch(db(), request).commits, 0), Text(all, message.commit()));
  }
}

// Changes that `keeps` lets through, and of those that only move with regard to a filter, so.
std::string Chosen(const std::vector<v1::CommitChanges>& commits,
                   const std::function<bool(v1::Change*)>& keeps) {
  std::string text;
  for (const v1::CommitChanges& commit : commits) {
    v1::CommitChanges chosen = commit;
    chosen.clear_changes();
    for (v1::Change change : commit.changes()) {
      if (keeps(&change)) *chosen.add_changes() = std::move(change);
    }
    if (chosen.changes_size() > 0) text += chosen.DebugString();
  }
  return text;
}

template <typename Changed>
bool Matching(bool before, bool after, Changed* change) {
  if (change->kind() == v1::CHANGE_KIND_CREATED) return after;
  if (change->kind() == v1::CHANGE_KIND_DELETED) return before;
  if (before != after) {
    change->set_transition(after ? v1::FILTER_TRANSITION_ENTERED : v1::FILTER_TRANSITION_LEFT);
  }
  return before || after;
}

template <typename Thing>
bool AtLeast(const Thing& thing, int64_t n) {
  const auto it = thing.properties().find("n");
  return it != thing.properties().end() && it->second.int_value() >= n;
}

v1::Filter AtLeastFilter(int64_t n) {
  v1::Filter filter;
  filter.mutable_comparison()->set_field("n");
  filter.mutable_comparison()->set_op(v1::COMPARISON_OPERATOR_GREATER_EQUAL);
  filter.mutable_comparison()->mutable_value()->set_int_value(n);
  return filter;
}

TEST_F(WatchTest, SelectsAsBruteForceDoes) {
  Fill(600);
  const std::vector<v1::CommitChanges> all = Watch(db(), Everything("", 0)).commits;
  int64_t entered = 0, left = 0;
  for (int64_t n = 0; n < 4; ++n) {
    v1::WatchRequest request = Everything("", 0);
    request.set_with_definitions(false);
    *request.mutable_objects()->mutable_filter() = AtLeastFilter(n);
    *request.mutable_edges()->mutable_filter() = AtLeastFilter(n);
    const std::vector<v1::CommitChanges> told = Watch(db(), request).commits;
    EXPECT_EQ(Text(told, 0), Chosen(all, [n](v1::Change* change) {
                if (change->has_object()) {
                  auto* object = change->mutable_object();
                  return Matching(AtLeast(object->before(), n), AtLeast(object->after(), n),
                                  object);
                }
                if (change->has_edge()) {
                  auto* edge = change->mutable_edge();
                  return Matching(AtLeast(edge->before(), n), AtLeast(edge->after(), n), edge);
                }
                return !change->has_collection() && !change->has_relation();
              }));
    for (const v1::CommitChanges& commit : told) {
      for (const v1::Change& change : commit.changes()) {
        entered += change.object().transition() == v1::FILTER_TRANSITION_ENTERED;
        left += change.edge().transition() == v1::FILTER_TRANSITION_LEFT;
      }
    }
  }
  EXPECT_GT(entered, 0);
  EXPECT_GT(left, 0);

  for (const v1::ChangeKind kind :
       {v1::CHANGE_KIND_CREATED, v1::CHANGE_KIND_UPDATED, v1::CHANGE_KIND_DELETED}) {
    v1::WatchRequest request = Everything("", 0);
    request.set_with_definitions(false);
    request.mutable_objects()->add_kinds(kind);
    request.mutable_objects()->add_collections("things");
    request.mutable_edges()->add_kinds(kind);
    request.mutable_edges()->add_relations("r1");
    request.mutable_edges()->add_relations("no edge has it");
    request.mutable_edges()->add_collections("default");
    const bool deleted = kind == v1::CHANGE_KIND_DELETED;
    EXPECT_EQ(Text(Watch(db(), request).commits, 0), Chosen(all, [&](v1::Change* change) {
                if (change->has_object()) {
                  return change->object().kind() == kind &&
                         change->object().ref().collection() == "things";
                }
                if (change->has_edge()) {
                  return change->edge().kind() == kind && change->edge().relation() == "r1" &&
                         change->edge().source().collection().empty();
                }
                if (change->has_edges_dropped()) {
                  return deleted && (change->edges_dropped().incoming() ||
                                     change->edges_dropped().ref().collection().empty());
                }
                return deleted && change->has_collection_dropped();
              }));
  }

  v1::WatchRequest bare = Everything("", 0);
  bare.mutable_objects()->clear_mask();
  bare.mutable_objects()->mutable_mask()->set_without_content(true);
  bare.mutable_objects()->mutable_mask()->set_without_properties(true);
  bare.clear_edges();
  bare.clear_with_before();
  bare.set_with_definitions(false);
  EXPECT_EQ(Text(Watch(db(), bare).commits, 0), Chosen(all, [](v1::Change* change) {
              if (change->has_collection_dropped()) return true;
              if (!change->has_object()) return false;
              change->mutable_object()->clear_before();
              change->mutable_object()->clear_removed_vectors();
              if (change->object().has_after()) {
                change->mutable_object()->mutable_after()->clear_content();
                change->mutable_object()->mutable_after()->clear_properties();
                change->mutable_object()->mutable_after()->clear_vectors();
              }
              return true;
            }));
}

TEST_F(WatchTest, WithNoSelectionTellsObjectsAndEdges) {
  ASSERT_TRUE(PutObject(db(), "a", {"causes:b"}).ok());
  v1::WatchRequest request;
  request.set_after_commit(static_cast<int64_t>(db().Read().commit()) - 1);
  request.set_without_after(true);
  const Told told = Watch(db(), request);
  ASSERT_EQ(told.commits.size(), 1U) << told.status;
  ASSERT_EQ(told.commits[0].changes_size(), 2);
  EXPECT_EQ(told.commits[0].changes(0).object().ref().key(), "a");
  EXPECT_EQ(told.commits[0].changes(0).object().kind(), v1::CHANGE_KIND_CREATED);
  EXPECT_FALSE(told.commits[0].changes(0).object().has_after());
  EXPECT_EQ(told.commits[0].changes(1).edge().target().key(), "b");
  EXPECT_FALSE(told.commits[0].changes(1).edge().has_after());
  EXPECT_EQ(told.commits[0].time_ms(), database_.now_ms());
}

TEST_F(WatchTest, BeginsNowAndGivesSignsOfLife) {
  ASSERT_TRUE(PutObject(db(), "before").ok());
  v1::WatchRequest request;
  request.mutable_objects()->mutable_filter()->mutable_existence()->set_field("never");
  request.set_heartbeat_ms(100);
  CallContext context(CallContext::Clock::now() + std::chrono::minutes(1));
  const auto start = static_cast<int64_t>(db().Read().commit());
  std::vector<v1::WatchResponse> messages;
  db().watch()
      .Watch(context, request,
             [&](v1::WatchResponse&& message) {
               EXPECT_EQ(message.commits_size(), 0);
               if (messages.empty()) {
                 EXPECT_TRUE(PutObject(db(), "after").ok());
               }
               messages.push_back(std::move(message));
               return messages.back().commit() == start;
             })
      .IgnoreError();
  ASSERT_GE(messages.size(), 2U);
  EXPECT_EQ(messages.front().commit(), start);
  // Nothing matched, and yet the position moved on.
  EXPECT_EQ(messages.back().commit(), start + 1);
  EXPECT_EQ(messages.back().position(), db().PositionToken(static_cast<uint64_t>(start) + 1));
}

TEST_F(WatchTest, CutsALargeCommitAndSaysSo) {
  const auto start = static_cast<int64_t>(db().Read().commit());
  v1::WriteRequest write;
  for (int i = 0; i < 9; ++i) {
    v1::Mutation mutation = PutObjectMutation("k" + std::to_string(i));
    mutation.mutable_put_object()->mutable_object()->set_content(std::string(400'000, 'x'));
    *write.add_mutations() = std::move(mutation);
  }
  CallContext context;
  v1::WriteResponse response;
  ASSERT_TRUE(db().objects().Write(context, write, &response).ok());
  ASSERT_TRUE(PutObject(db(), "small").ok());
  v1::WatchRequest request;
  request.set_after_commit(start);
  const Told told = Watch(db(), request);
  ASSERT_TRUE(told.status.ok()) << told.status;
  ASSERT_EQ(told.commits.size(), 2U);
  EXPECT_EQ(told.commits[0].changes_size(), 9);
  int cut = 0;
  for (const v1::WatchResponse& message : told.messages) {
    EXPECT_LT(message.ByteSizeLong(), 2U << 20);
    if (message.commits_size() == 0 || !message.commits().rbegin()->continued()) continue;
    ++cut;
    EXPECT_EQ(message.commit(), start);
    // Who goes on from there is told the commit whole.
    v1::WatchRequest again = request;
    again.set_after_position(message.position());
    EXPECT_EQ(Text(Watch(db(), again).commits, 0), Text(told.commits, 0));
  }
  EXPECT_EQ(cut, 2);
}

TEST_F(WatchTest, RefusesWhatMakesNoSense) {
  const auto refused = [&](v1::WatchRequest request, const std::string& reason,
                           const std::string& field) {
    const Told told = Watch(db(), request);
    EXPECT_EQ(Reason(told.status), reason) << told.status;
    EXPECT_EQ(Field(told.status), field) << told.status;
  };
  v1::WatchRequest request;
  request.set_namespace_("none");
  refused(request, "NAMESPACE_NOT_FOUND", "namespace");
  request = {};
  request.mutable_objects()->add_collections("none");
  refused(request, "COLLECTION_NOT_FOUND", "objects.collections");
  // Also after the past was looked through, for it may have had one of that name.
  request.set_after_commit(0);
  refused(request, "COLLECTION_NOT_FOUND", "objects.collections");
  request = {};
  request.mutable_edges()->add_collections("none");
  refused(request, "COLLECTION_NOT_FOUND", "edges.collections");
  request = {};
  request.mutable_objects()->mutable_filter()->mutable_comparison();
  refused(request, "INVALID_FIELD", "objects.filter.comparison.field");
  request = {};
  request.mutable_edges()->mutable_filter()->mutable_existence()->set_field("$key");
  refused(request, "INVALID_FIELD", "edges.filter");
  request = {};
  request.mutable_edges()->add_relations("");
  refused(request, "INVALID_FIELD", "edges.relations");
  request = {};
  for (int i = 0; i <= 1000; ++i) request.mutable_edges()->add_relations(std::to_string(i));
  refused(request, "LIMIT_EXCEEDED", "edges.relations");
  request = {};
  request.mutable_objects()->add_kinds(v1::CHANGE_KIND_UNSPECIFIED);
  refused(request, "INVALID_FIELD", "objects.kinds[0]");
  request = {};
  request.set_heartbeat_ms(99);
  refused(request, "INVALID_FIELD", "heartbeat_ms");
  request = {};
  request.set_after_commit(-1);
  refused(request, "INVALID_FIELD", "after_commit");
  request = {};
  request.set_wait_ms(-1);
  refused(request, "INVALID_FIELD", "wait_ms");
  request = {};
  request.set_after_position("");
  refused(request, "INVALID_FIELD", "after_position");
  request.set_after_position("no position");
  refused(request, "INVALID_FIELD", "after_position");
  // Ahead of the store, of another store, of an epoch that never was.
  const storage::Position now = db().store().Latest()->position();
  const auto after = [&](storage::Position position) {
    request.set_after_position(storage::EncodePosition(position));
    return request;
  };
  refused(after({now.store, now.epoch, now.commit + 1}), "POSITION_NOT_REACHED", "after_position");
  refused(after({now.store, now.epoch + 1, now.commit}), "POSITION_UNKNOWN", "after_position");
  storage::Position foreign = now;
  foreign.store[0] ^= 1;
  refused(after(foreign), "POSITION_UNKNOWN", "after_position");
}

TEST_F(WatchTest, SaysWhenTheLogDoesNotReachBack) {
  TestDatabase small([](DatabaseOptions& options) {
    options.storage.ring_bytes = 0;
    options.storage.wal_keep_bytes = 0;
    options.storage.wal_keep_seconds = 0;
  });
  ASSERT_TRUE(PutObject(*small, "a").ok());
  const auto start = static_cast<int64_t>(small->Read().commit());
  ASSERT_TRUE(PutObject(*small, "b").ok());
  ASSERT_TRUE(small->store().Flush().ok());
  ASSERT_TRUE(PutObject(*small, "c").ok());
  ASSERT_TRUE(small->store().Flush().ok());
  ASSERT_TRUE(PutObject(*small, "d").ok());
  v1::WatchRequest request;
  request.set_after_commit(start);
  const Told told = Watch(*small, request);
  EXPECT_EQ(told.status.code(), absl::StatusCode::kOutOfRange) << told.status;
  EXPECT_EQ(Reason(told.status), "POSITION_EXPIRED");
  EXPECT_EQ(Field(told.status), "after_commit");
}

TEST_F(WatchTest, EndsWhenItsCallerCancels) {
  CallContext context;
  v1::WatchRequest request;
  const absl::Status status = db().watch().Watch(context, request, [&](v1::WatchResponse&&) {
    context.Cancel();
    return true;
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace cookix::engine
