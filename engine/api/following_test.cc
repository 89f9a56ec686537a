// A database that repeats another one's commits answers as that one does.
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/graph_service.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "cookix/v1/security_service.pb.h"
#include "engine/security/key_store.h"
#include "engine/test_database.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"
#include "storage/fault_injection_file_system.h"

namespace cookix::engine {
namespace {

using Fs = storage::FaultInjectionFileSystem;

std::string Reason(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() ? detail->reason : "";
}

class FollowingTest : public testing::Test {
 protected:
  FollowingTest() : fs_(Fs::InMemory()), primary_(Open(fs_, "/data/primary", false)) {
    CallContext context;
    v1::CreateCollectionRequest request;
    request.mutable_collection()->set_name("things");
    v1::VectorField& vector = *request.mutable_collection()->add_vector_fields();
    vector.set_name("v");
    vector.set_dimension(3);
    vector.set_metric(v1::VECTOR_METRIC_L2);
    request.mutable_collection()->add_text_fields()->set_name("words");
    v1::CreateCollectionResponse response;
    EXPECT_TRUE(Primary().catalog().CreateCollection(context, request, &response).ok());
  }

  static std::unique_ptr<TestDatabase> Open(std::shared_ptr<Fs> fs, const std::string& path,
                                            bool follower) {
    return std::make_unique<TestDatabase>([&](DatabaseOptions& options) {
      options.storage.in_memory = false;
      options.storage.file_system = fs;
      options.storage.path = path;
      options.storage.follower = follower;
      options.limits.default_wait_ms = 50;
    });
  }

  // Makes the follower, from a copy of the primary as it is now.
  void Follow() {
    ASSERT_TRUE(Primary().store().Checkpoint("/data/follower").ok());
    follower_fs_ = fs_->Clone("/data/follower");
    follower_ = Open(follower_fs_, "/data/follower", true);
  }

  Database& Primary() { return **primary_; }
  Database& Follower() { return **follower_; }

  static absl::Status CatchUp(Database& follower, Database& primary) {
    while (true) {
      storage::Store& store = follower.store();
      COOKIX_ASSIGN_OR_RETURN(auto reader, primary.store().ReadLog(store.Latest()->position()));
      COOKIX_ASSIGN_OR_RETURN(const auto commits, reader->Next(3, absl::ZeroDuration()));
      std::vector<std::string_view> records;
      for (const storage::LogCommitPtr& commit : commits) records.push_back(commit->batch);
      COOKIX_RETURN_IF_ERROR(store.Replicate(primary.store().Epochs(), records));
      if (commits.empty()) return absl::OkStatus();
    }
  }

  // One write of any kind.
  void Change(Database& database) {
    CallContext context;
    const auto key = [&] { return "k" + std::to_string(random_() % 60); };
    const std::string ns = random_() % 4 == 0 ? "other" : "";
    switch (random_() % 12) {
      case 0: {
        v1::DeleteNamespaceRequest request;
        request.set_namespace_("other");
        request.set_force(true);
        v1::DeleteNamespaceResponse response;
        database.catalog().DeleteNamespace(context, request, &response).IgnoreError();
        return;
      }
      case 1: {
        v1::CreateNamespaceRequest request;
        request.mutable_namespace_()->set_name("other");
        request.set_if_not_exists(true);
        v1::CreateNamespaceResponse response;
        ASSERT_TRUE(database.catalog().CreateNamespace(context, request, &response).ok());
        return;
      }
      case 2: {
        v1::PutRelationRequest request;
        request.mutable_relation()->set_name("r" + std::to_string(random_() % 5));
        request.mutable_relation()->set_symmetric(random_() % 2 == 0);
        v1::PutRelationResponse response;
        database.catalog().PutRelation(context, request, &response).IgnoreError();
        return;
      }
      case 3: {
        v1::DeleteObjectRequest request;
        request.set_namespace_(ns);
        request.mutable_delete_()->mutable_ref()->set_key(key());
        v1::DeleteObjectResponse response;
        database.objects().DeleteObject(context, request, &response).IgnoreError();
        return;
      }
      case 4: {
        v1::CreateKeyRequest request;
        request.set_name("key" + std::to_string(random_() % 100));
        v1::Grant& grant = *request.add_grants();
        grant.set_namespace_("*");
        grant.set_role(v1::ROLE_ADMIN);
        v1::CreateKeyResponse response;
        ASSERT_TRUE(database.security().CreateKey(context, request, &response).ok());
        secrets_.push_back(response.secret());
        return;
      }
      case 5:
        ASSERT_TRUE(database.RunMaintenance(5).ok());
        return;
      default: {
        v1::WriteRequest request;
        request.set_namespace_(ns);
        for (uint64_t i = random_() % 4 + 1; i > 0; --i) {
          v1::Mutation mutation = PutObjectMutation(
              key(), {"r" + std::to_string(random_() % 5) + ":" + key(), "causes:" + key()});
          v1::Object& object = *mutation.mutable_put_object()->mutable_object();
          object.set_content("words of " + key());
          (*object.mutable_properties())["n"].set_int_value(static_cast<int64_t>(random_() % 9));
          if (random_() % 3 == 0) object.set_expires_ms(primary_->now_ms() + 50 + random_() % 500);
          if (ns.empty() && random_() % 2 == 0) {
            object.mutable_ref()->set_collection("things");
            v1::Vector& vector = (*object.mutable_vectors())["v"];
            for (int d = 0; d < 3; ++d) vector.add_values(static_cast<float>(random_() % 100));
          }
          *request.add_mutations() = std::move(mutation);
        }
        v1::WriteResponse response;
        database.objects().Write(context, request, &response).IgnoreError();
      }
    }
  }

  // What a database says to many questions.
  std::vector<std::string> Answers(Database& database) {
    std::vector<std::string> answers;
    CallContext context;
    const auto note = [&](const absl::Status& status, const google::protobuf::Message& response) {
      answers.push_back(status.ToString() + "\n" + response.ShortDebugString());
    };
    {
      v1::ListNamespacesRequest request;
      v1::ListNamespacesResponse response;
      note(database.catalog().ListNamespaces(context, request, &response), response);
    }
    for (const char* ns : {"", "other"}) {
      for (const char* collection : {"", "things"}) {
        v1::ScanObjectsRequest request;
        request.set_namespace_(ns);
        request.set_collection(collection);
        request.set_page_size(1000);
        v1::ScanObjectsResponse response;
        note(database.objects().ScanObjects(context, request, &response), response);
        v1::CountObjectsRequest count;
        count.set_namespace_(ns);
        count.set_collection(collection);
        v1::CountObjectsResponse counted;
        note(database.objects().CountObjects(context, count, &counted), counted);
      }
      v1::ListRelationsRequest relations;
      relations.set_namespace_(ns);
      v1::ListRelationsResponse listed;
      note(database.catalog().ListRelations(context, relations, &listed), listed);
      for (int i = 0; i < 60; i += 7) {
        v1::ListNeighborsRequest request;
        request.set_namespace_(ns);
        request.mutable_ref()->set_key("k" + std::to_string(i));
        v1::ListNeighborsResponse response;
        note(database.graph().ListNeighbors(context, request, &response), response);
      }
    }
    for (const bool words : {false, true}) {
      v1::SearchRequest request;
      request.set_collection("things");
      request.set_limit(20);
      if (words) {
        request.mutable_text()->set_text("words k7 k1");
      } else {
        request.mutable_vector()->set_field("v");
        for (int d = 0; d < 3; ++d) request.mutable_vector()->mutable_vector()->add_values(50);
        request.mutable_vector()->set_exact(true);
      }
      v1::SearchResponse response;
      const absl::Status status = database.search().Search(context, request, &response);
      v1::SearchResponse hits;
      *hits.mutable_hits() = response.hits();
      note(status, hits);
    }
    for (const std::string& secret : secrets_) {
      answers.push_back(database.keys().Authenticate(secret).has_value() ? "key" : "no key");
    }
    return answers;
  }

  void ExpectSame(Database& follower, Database& primary) {
    const std::vector<std::string> expected = Answers(primary);
    const std::vector<std::string> actual = Answers(follower);
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < actual.size(); ++i) ASSERT_EQ(actual[i], expected[i]) << i;
  }

  std::mt19937_64 random_{7};
  std::vector<std::string> secrets_;
  std::shared_ptr<Fs> fs_, follower_fs_;
  std::unique_ptr<TestDatabase> primary_, follower_;
};

TEST_F(FollowingTest, AnswersAsThePrimaryDoes) {
  for (int i = 0; i < 30; ++i) Change(Primary());
  Follow();
  for (int round = 0; round < 60; ++round) {
    for (uint64_t i = random_() % 5; i > 0; --i) Change(Primary());
    if (round % 3 == 0) {
      primary_->AdvanceMs(40);
      follower_->AdvanceMs(40);
    }
    if (round % 20 == 19) follower_->Reopen();
    // The primary sweeps when it is read; so it is asked before.
    const std::vector<std::string> unused = Answers(Primary());
    ASSERT_TRUE(CatchUp(Follower(), Primary()).ok());
    ASSERT_NO_FATAL_FAILURE(ExpectSame(Follower(), Primary())) << round;
  }
}

TEST_F(FollowingTest, RemovesNothingByItsOwnClock) {
  CallContext context;
  v1::WriteRequest request;
  v1::Mutation mutation = PutObjectMutation("short");
  mutation.mutable_put_object()->mutable_object()->set_expires_ms(primary_->now_ms() + 1000);
  *request.add_mutations() = mutation;
  v1::WriteResponse written;
  ASSERT_TRUE(Primary().objects().Write(context, request, &written).ok());
  Follow();
  follower_->AdvanceMs(1'000'000);
  EXPECT_EQ(*Follower().RunMaintenance(100), 0);
  v1::GetObjectRequest get;
  get.mutable_ref()->set_key("short");
  v1::GetObjectResponse got;
  EXPECT_TRUE(Follower().objects().GetObject(context, get, &got).ok());
  primary_->AdvanceMs(2000);
  ASSERT_TRUE(Primary().RunMaintenance(100).ok());
  ASSERT_TRUE(CatchUp(Follower(), Primary()).ok());
  EXPECT_TRUE(absl::IsNotFound(Follower().objects().GetObject(context, get, &got)));
}

TEST_F(FollowingTest, RefusesWritesAndWaitsForPositions) {
  Follow();
  EXPECT_EQ(Reason(PutObject(Follower(), "a")), "NOT_PRIMARY");
  CallContext context;
  v1::CreateNamespaceRequest create;
  create.mutable_namespace_()->set_name("mine");
  v1::CreateNamespaceResponse created;
  EXPECT_EQ(Reason(Follower().catalog().CreateNamespace(context, create, &created)), "NOT_PRIMARY");

  ASSERT_TRUE(Primary().store().BeginEpoch(5).ok());
  v1::WriteRequest request;
  *request.add_mutations() = PutObjectMutation("a");
  v1::WriteResponse written;
  ASSERT_TRUE(Primary().objects().Write(context, request, &written).ok());
  v1::GetObjectRequest get;
  get.mutable_ref()->set_key("a");
  // Of an epoch that the follower has not heard of yet.
  get.mutable_options()->set_min_position(written.result().position());
  v1::GetObjectResponse got;
  EXPECT_EQ(Reason(Follower().objects().GetObject(context, get, &got)), "POSITION_NOT_REACHED");
  ASSERT_TRUE(CatchUp(Follower(), Primary()).ok());
  EXPECT_TRUE(Follower().objects().GetObject(context, get, &got).ok());
  // In the past of another history.
  get.mutable_options()->set_min_position(storage::EncodePosition({Primary().store().id(), 3, 1}));
  EXPECT_EQ(Reason(Follower().objects().GetObject(context, get, &got)), "POSITION_UNKNOWN");
}

TEST_F(FollowingTest, PositionsFromAnEpochWithoutCommitsAreKnownToAll) {
  ASSERT_TRUE(PutObject(Primary(), "a").ok());
  Follow();
  ASSERT_TRUE(Follower().store().BeginEpoch(5).ok());
  CallContext context;
  v1::GetObjectRequest get;
  get.mutable_ref()->set_key("a");
  v1::GetObjectResponse got;
  ASSERT_TRUE(Follower().objects().GetObject(context, get, &got).ok());
  // What was read there is here, and stays when that epoch gives way to a later one.
  get.mutable_options()->set_min_position(got.position());
  EXPECT_EQ(Reason(Primary().objects().GetObject(context, get, &got)), "");
  ASSERT_TRUE(Follower().store().BecomeFollower().ok());
  ASSERT_TRUE(Primary().store().BeginEpoch(6).ok());
  ASSERT_TRUE(PutObject(Primary(), "b").ok());
  ASSERT_TRUE(CatchUp(Follower(), Primary()).ok());
  EXPECT_EQ(Reason(Follower().objects().GetObject(context, get, &got)), "");
}

TEST_F(FollowingTest, GoesOnAsThePrimary) {
  for (int i = 0; i < 40; ++i) Change(Primary());
  Follow();
  for (int i = 0; i < 40; ++i) Change(Primary());
  ASSERT_TRUE(CatchUp(Follower(), Primary()).ok());
  ASSERT_TRUE(Follower().store().BeginEpoch(2).ok());
  ASSERT_TRUE(Primary().store().BecomeFollower().ok());
  EXPECT_EQ(Reason(PutObject(Primary(), "late")), "NOT_PRIMARY");
  // Ordinals, counters, relations and tombstones go on where they were.
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 10; ++i) Change(Follower());
    const std::vector<std::string> unused = Answers(Follower());
    ASSERT_TRUE(CatchUp(Primary(), Follower()).ok());
    ASSERT_NO_FATAL_FAILURE(ExpectSame(Primary(), Follower())) << round;
  }
}

}  // namespace
}  // namespace cookix::engine
