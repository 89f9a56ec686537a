// A primary, a replica and backups of both, all at once and over the scripted network: what the
// thread sanitizer has to see together. No gRPC.
#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cookix/v1/backup_service.pb.h"
#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/graph_service.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/database.h"
#include "gtest/gtest.h"
#include "server/replication/replication.h"
#include "server/replication/scripted_cluster.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

constexpr char kCollection[] = "notes";

class BackupThreadsTest : public testing::Test {
 protected:
  BackupThreadsTest() : directory_(testing::TempDir() + "/backups_of_servers") {
    std::filesystem::remove_all(directory_);
  }
  ~BackupThreadsTest() override { std::filesystem::remove_all(directory_); }

  // "a" is the primary, "b" follows it.
  void StartPair() {
    for (const char* name : {"a", "b"}) {
      cluster_.Add(name).SetBackupDirectory(directory_ + "/" + name);
      ASSERT_TRUE(cluster_[name].Start(name == std::string("a") ? "" : "a").ok());
    }
    engine::CallContext context;
    v1::CreateCollectionRequest create;
    v1::Collection& collection = *create.mutable_collection();
    collection.set_name(kCollection);
    collection.add_text_fields()->set_name("content");
    v1::VectorField& place = *collection.add_vector_fields();
    place.set_name("place");
    place.set_dimension(2);
    place.set_metric(v1::VECTOR_METRIC_L2);
    v1::CreateCollectionResponse created;
    const auto database = cluster_["a"].database();
    ASSERT_TRUE(database->catalog().CreateCollection(context, create, &created).ok());
    ASSERT_TRUE(Put("a", 0).ok());
    ASSERT_TRUE(Soon([&] { return Same(); }));
  }

  bool Same() {
    return cluster_["a"].commit() == cluster_["b"].commit() &&
           cluster_["a"].Content() == cluster_["b"].Content();
  }

  // One of a hundred objects, with words, a vector and an edge.
  absl::Status Put(const std::string& node, int number) {
    COOKIX_RETURN_IF_ERROR(cluster_[node].replication().CheckPrimary());
    const auto database = cluster_[node].database();
    if (database == nullptr) return absl::UnavailableError("there is no store");
    v1::PutObjectRequest request;
    v1::Object& object = *request.mutable_write()->mutable_object();
    object.mutable_ref()->set_collection(kCollection);
    object.mutable_ref()->set_key("k" + std::to_string(number % 100));
    object.set_content("rain number " + std::to_string(number));
    for (const int part : {number % 7, number % 11}) {
      (*object.mutable_vectors())["place"].add_values(static_cast<float>(part));
    }
    v1::Edge& edge = *request.mutable_write()->add_edges();
    edge.set_relation("causes");
    edge.mutable_target()->set_key("hub");
    engine::CallContext context;
    v1::PutObjectResponse response;
    return database->objects().PutObject(context, request, &response);
  }

  // Reads by every view.
  void Read(const std::string& node) {
    const auto database = cluster_[node].database();
    if (database == nullptr) return;
    engine::CallContext context;
    v1::SearchRequest search;
    search.set_collection(kCollection);
    search.mutable_text()->set_text("rain");
    v1::SearchResponse found;
    absl::Status status = database->search().Search(context, search, &found);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_GT(found.hits_size(), 0);
    search.clear_text();
    for (const float part : {1.0F, 2.0F}) {
      search.mutable_vector()->mutable_vector()->add_values(part);
    }
    status = database->search().Search(context, search, &found);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_GT(found.hits_size(), 0);
    v1::ListNeighborsRequest list;
    list.mutable_ref()->set_key("hub");
    list.set_direction(v1::DIRECTION_IN);
    v1::ListNeighborsResponse neighbors;
    status = database->graph().ListNeighbors(context, list, &neighbors);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_GT(neighbors.neighbors_size(), 0);
  }

  // Takes one, checks all that there are, and removes those but the last two.
  void BackUp(const std::string& node, bool full) {
    const auto database = cluster_[node].database();
    if (database == nullptr) return;
    engine::CallContext context;
    v1::CreateBackupRequest create;
    create.set_full(full);
    v1::CreateBackupResponse created;
    absl::Status status = database->backup().CreateBackup(context, create, &created);
    ASSERT_TRUE(status.ok()) << status;
    v1::VerifyBackupsResponse verified;
    status = database->backup().VerifyBackups(context, {}, &verified);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(verified.damage_size(), 0) << verified.ShortDebugString();
    v1::PruneBackupsRequest prune;
    prune.set_keep(2);
    v1::PruneBackupsResponse pruned;
    status = database->backup().PruneBackups(context, prune, &pruned);
    ASSERT_TRUE(status.ok()) << status;
  }

  void Flush(const std::string& node) {
    const auto database = cluster_[node].database();
    if (database == nullptr) return;
    EXPECT_TRUE(database->store().Flush().ok());
  }

  const std::string directory_;
  ScriptedCluster cluster_;
};

TEST_F(BackupThreadsTest, PrimaryReplicaAndBackupsAtOnce) {
  StartPair();
  std::atomic<bool> stop{false};
  std::atomic<int> written{0};
  std::atomic<int> backups{0};
  std::vector<std::thread> threads;
  const auto run = [&](const std::function<void(int)>& work) {
    threads.emplace_back([&stop, work] {
      for (int i = 0; !stop; ++i) work(i);
    });
  };
  // Whichever of them is the primary now.
  run([&](int i) {
    for (const char* node : {"a", "b"}) written += Put(node, i).ok() ? 1 : 0;
  });
  for (const char* node : {"a", "b"}) {
    run([&, node](int) { Read(node); });
    run([&, node](int i) {
      BackUp(node, i % 2 == 0);
      Flush(node);
      ++backups;
    });
  }
  const auto both_go_on = [&](int more) {
    const int writes = written + 20 * more;
    const int taken = backups + more;
    return Soon([&] { return written >= writes && backups >= taken; });
  };
  EXPECT_TRUE(both_go_on(4));
  for (const char* next : {"b", "a"}) {
    v1::PromoteResponse promoted;
    EXPECT_TRUE(Soon([&] { return cluster_[next].replication().Promote({}, &promoted).ok(); }));
    EXPECT_TRUE(both_go_on(2));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(Soon([&] { return Same(); }));
  for (const char* node : {"a", "b"}) BackUp(node, false);
}

}  // namespace
}  // namespace cookix::server
