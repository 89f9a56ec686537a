// Servers of one store: a primary, its replicas, and what becomes of them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cookix/internal/v1/replication.grpc.pb.h"
#include "cookix/v1/replication_service.grpc.pb.h"
#include "cookix/v1/watch_service.grpc.pb.h"
#include "engine/database.h"
#include "server/server_fixture.h"

namespace cookix::server {
namespace {

// One server, with a data directory of its own that survives restarts.
class Node {
 public:
  explicit Node(const std::string& name)
      : name_(name), config_(SmallServerConfig(name)), log_(*Log::Open(LogLevel::kOff, "")) {
    config_.max_replicas = 4;
  }
  ~Node() {
    Stop();
    std::filesystem::remove_all(directory());
  }

  Config& config() { return config_; }
  absl::Status TryStart() {
    auto started = Server::Start(config_, *log_);
    if (!started.ok()) return started.status();
    server_ = *std::move(started);
    // Where it was is where it comes back.
    config_.listen = address();
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(-1);
    channel_ = grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), arguments);
    return absl::OkStatus();
  }
  void Start() {
    const absl::Status started = TryStart();
    ASSERT_TRUE(started.ok()) << started;
  }
  void Stop() {
    channel_.reset();
    server_.reset();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port()); }
  const std::string& directory() const { return config_.data_dir; }

  template <typename Service>
  std::unique_ptr<typename Service::Stub> Stub() {
    return Service::NewStub(channel_);
  }

  std::unique_ptr<grpc::ClientContext> Context() {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    if (!key.empty()) context->AddMetadata("authorization", "Bearer " + key);
    return context;
  }

  grpc::Status Put(const std::string& object, std::string* position = nullptr) {
    v1::PutObjectRequest request;
    request.mutable_write()->mutable_object()->mutable_ref()->set_key(object);
    request.mutable_write()->mutable_object()->set_content("words of " + object);
    v1::PutObjectResponse response;
    const auto status = Stub<v1::ObjectService>()->PutObject(Context().get(), request, &response);
    if (position != nullptr) *position = response.result().position();
    return status;
  }

  // Whether the object is there, at `position` or later.
  grpc::Status Get(const std::string& object, const std::string& position = "") {
    v1::GetObjectRequest request;
    request.mutable_ref()->set_key(object);
    request.mutable_options()->set_min_position(position);
    request.mutable_options()->set_wait_ms(2'000);
    v1::GetObjectResponse response;
    return Stub<v1::ObjectService>()->GetObject(Context().get(), request, &response);
  }

  v1::GetReplicationStatusResponse Status() {
    v1::GetReplicationStatusResponse response;
    const auto status = Stub<v1::ReplicationService>()->GetReplicationStatus(
        Context().get(), v1::GetReplicationStatusRequest(), &response);
    EXPECT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::UNAVAILABLE)
        << status.error_message();
    return response;
  }

  bool Follows() { return Status().state() == v1::REPLICA_STATE_FOLLOWING; }

  grpc::Status Promote(bool force, v1::PromoteResponse* response) {
    v1::PromoteRequest request;
    request.set_force(force);
    return Stub<v1::ReplicationService>()->Promote(Context().get(), request, response);
  }

  grpc::Status Follow(const std::string& address) {
    v1::FollowRequest request;
    request.set_address(address);
    v1::FollowResponse response;
    return Stub<v1::ReplicationService>()->Follow(Context().get(), request, &response);
  }

  // Every key, in order.
  std::vector<std::string> Keys() {
    v1::ScanObjectsRequest request;
    request.set_page_size(10'000);
    v1::ScanObjectsResponse response;
    const auto status = Stub<v1::ObjectService>()->ScanObjects(Context().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> keys;
    for (const v1::Object& object : response.objects()) keys.push_back(object.ref().key());
    return keys;
  }

  std::string key;

 private:
  const std::string name_;
  Config config_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

class ReplicationTest : public testing::Test {
 protected:
  void StartPair() {
    primary_.Start();
    replica_.config().replica_of = primary_.address();
    replica_.Start();
    ASSERT_TRUE(Eventually([&] { return replica_.Follows(); }));
  }

  // Puts an object of 200,000 bytes on the primary.
  void PutLarge(const std::string& name) {
    v1::PutObjectRequest request;
    v1::Object& object = *request.mutable_write()->mutable_object();
    object.mutable_ref()->set_key(name);
    object.set_content(std::string(200'000, 'x'));
    v1::PutObjectResponse response;
    const auto put =
        primary_.Stub<v1::ObjectService>()->PutObject(primary_.Context().get(), request, &response);
    ASSERT_TRUE(put.ok()) << put.error_message();
  }

  // Starts both, and stops the replica, which has 16 MB by then; then the primary makes so much
  // log that it no longer reaches back to what the replica has. `position` is of its last
  // commit, which put "last".
  void LetTheLogGoWhileTheReplicaIsAway(std::string* position) {
    primary_.config().wal_keep_mb = 1;
    primary_.config().log_ring_mb = 1;
    StartPair();
    for (int i = 0; i < 80; ++i) PutLarge("kept" + std::to_string(i));
    ASSERT_TRUE(primary_.Put("also kept", position).ok());
    ASSERT_TRUE(Eventually([&] { return replica_.Get("also kept", *position).ok(); }));
    replica_.Stop();
    for (int i = 0; i < 60; ++i) {
      PutLarge("large" + std::to_string(i));
      if (i % 10 == 9) {
        v1::CompactRequest compact;
        v1::CompactResponse compacted;
        ASSERT_TRUE(primary_.Stub<v1::AdminService>()
                        ->Compact(primary_.Context().get(), compact, &compacted)
                        .ok());
      }
    }
    ASSERT_TRUE(primary_.Put("last", position).ok());
  }

  // Watches a server after `position`, or from now on, until `told` returns true; how that ended.
  static grpc::Status Watch(Node& node, const std::string& position,
                            const std::function<bool(const v1::WatchResponse&)>& told) {
    v1::WatchRequest request;
    if (!position.empty()) request.set_after_position(position);
    const auto context = node.Context();
    const auto stub = node.Stub<v1::WatchService>();
    const auto reader = stub->Watch(context.get(), request);
    v1::WatchResponse message;
    while (reader->Read(&message)) {
      if (told(message)) context->TryCancel();
    }
    return reader->Finish();
  }

  Node primary_{"primary"};
  Node replica_{"replica"};
};

TEST_F(ReplicationTest, BeginsWithACopyAndFollows) {
  primary_.Start();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(primary_.Put("before" + std::to_string(i)).ok());
  replica_.config().replica_of = primary_.address();
  replica_.Start();
  ASSERT_TRUE(Eventually([&] { return replica_.Follows(); }));
  std::string position;
  for (int i = 0; i < 20; ++i) {
    const std::string object = "after" + std::to_string(i);
    ASSERT_TRUE(primary_.Put(object, &position).ok());
    // What a client wrote there it reads here.
    const auto read = replica_.Get(object, position);
    ASSERT_TRUE(read.ok()) << read.error_message();
  }
  EXPECT_EQ(replica_.Keys(), primary_.Keys());
  EXPECT_EQ(replica_.Status().seeds(), 1);
  EXPECT_EQ(replica_.Status().primary_address(), primary_.address());
  const auto status = primary_.Status();
  EXPECT_EQ(status.role(), v1::REPLICATION_ROLE_PRIMARY);
  ASSERT_EQ(status.replicas_size(), 1);
  EXPECT_EQ(status.replicas(0).name(), "replica");
  EXPECT_EQ(status.replicas(0).address(), replica_.address());
}

TEST_F(ReplicationTest, RefusesWritesAndNamesThePrimary) {
  StartPair();
  const auto refused = replica_.Put("a");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ErrorInfoOf(refused).reason(), "NOT_PRIMARY");
  EXPECT_NE(refused.error_message().find(primary_.address()), std::string::npos)
      << refused.error_message();
  v1::CreateKeyRequest request;
  v1::CreateKeyResponse response;
  const auto key =
      replica_.Stub<v1::SecurityService>()->CreateKey(replica_.Context().get(), request, &response);
  EXPECT_EQ(ErrorInfoOf(key).reason(), "NOT_PRIMARY");
}

TEST_F(ReplicationTest, ServesWhileThePrimaryIsAwayAndCatchesUp) {
  StartPair();
  std::string position;
  ASSERT_TRUE(primary_.Put("a", &position).ok());
  ASSERT_TRUE(replica_.Get("a", position).ok());
  primary_.Stop();
  ASSERT_TRUE(Eventually([&] { return !replica_.Follows(); }));
  EXPECT_TRUE(replica_.Get("a").ok());
  EXPECT_FALSE(replica_.Status().last_error().empty());
  primary_.Start();
  ASSERT_TRUE(primary_.Put("b", &position).ok());
  ASSERT_TRUE(Eventually([&] { return replica_.Follows(); }));
  EXPECT_TRUE(replica_.Get("b", position).ok());
  EXPECT_EQ(replica_.Status().seeds(), 1);
}

TEST_F(ReplicationTest, GoesOnWhereItWasAfterARestart) {
  StartPair();
  std::string position;
  ASSERT_TRUE(primary_.Put("a", &position).ok());
  ASSERT_TRUE(replica_.Get("a", position).ok());
  replica_.Stop();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(primary_.Put("b" + std::to_string(i), &position).ok());
  replica_.Start();
  EXPECT_TRUE(Eventually([&] { return replica_.Get("b49", position).ok(); }));
  EXPECT_EQ(replica_.Status().seeds(), 0);
  EXPECT_EQ(replica_.Keys(), primary_.Keys());
}

TEST_F(ReplicationTest, TheRateOfCallsDoesNotHoldReplicasUp) {
  primary_.config().requests_per_minute = 1;
  StartPair();
  // Everybody else has one call.
  EXPECT_TRUE(primary_.Put("a").ok());
  EXPECT_EQ(ErrorInfoOf(primary_.Put("b")).reason(), "RATE_LIMITED");
}

TEST_F(ReplicationTest, BeginsAgainWhenTheLogNoLongerReachesBack) {
  std::string position;
  LetTheLogGoWhileTheReplicaIsAway(&position);
  replica_.Start();
  // It answers with what it had until the copy is there.
  EXPECT_TRUE(Eventually([&] { return replica_.Get("last", position).ok(); }));
  EXPECT_EQ(replica_.Status().seeds(), 1);
  EXPECT_EQ(replica_.Keys(), primary_.Keys());
}

TEST_F(ReplicationTest, AWatchMakesWayForACopy) {
  std::string position;
  LetTheLogGoWhileTheReplicaIsAway(&position);
  primary_.Stop();
  replica_.Start();
  bool began = false;
  const auto ended = Watch(replica_, "", [&](const v1::WatchResponse&) {
    if (!std::exchange(began, true)) primary_.Start();
    return false;
  });
  EXPECT_EQ(ended.error_code(), grpc::StatusCode::UNAVAILABLE) << ended.error_message();
  EXPECT_EQ(ErrorInfoOf(ended).reason(), "SEEDING");
  EXPECT_TRUE(Eventually([&] { return replica_.Get("last", position).ok(); }));
}

TEST_F(ReplicationTest, AnUnfinishedReadMakesWayForACopyAndMayBeRepeated) {
  std::string position;
  LetTheLogGoWhileTheReplicaIsAway(&position);
  primary_.Stop();
  replica_.Start();
  const auto context = replica_.Context();
  const auto stub = replica_.Stub<v1::ObjectService>();
  const auto reader = stub->StreamObjects(context.get(), v1::StreamObjectsRequest());
  v1::StreamObjectsResponse message;
  ASSERT_TRUE(reader->Read(&message));
  // The rest is more than what is under way when nobody reads.
  primary_.Start();
  ASSERT_TRUE(Eventually([&] { return replica_.Get("last", position).ok(); }));
  while (reader->Read(&message)) {
  }
  const auto ended = reader->Finish();
  EXPECT_EQ(ended.error_code(), grpc::StatusCode::UNAVAILABLE) << ended.error_message();
  EXPECT_EQ(ErrorInfoOf(ended).reason(), "SEEDING");
}

TEST_F(ReplicationTest, WatchesGoOnAtTheNextPrimary) {
  StartPair();
  std::string before, after;
  ASSERT_TRUE(primary_.Put("a", &before).ok());
  v1::PromoteResponse promoted;
  ASSERT_TRUE(replica_.Promote(false, &promoted).ok());
  ASSERT_TRUE(replica_.Put("b", &after).ok());
  for (Node* node : {&primary_, &replica_}) {
    std::string told;
    Watch(*node, before, [&](const v1::WatchResponse& message) {
      for (const v1::CommitChanges& commit : message.commits()) told += commit.DebugString();
      return message.position() == after;
    });
    EXPECT_NE(told.find("\"b\""), std::string::npos) << told;
    EXPECT_EQ(told.find("\"a\""), std::string::npos) << told;
  }
  // What only a former primary had, nobody knows any more.
  primary_.Stop();
  std::string lost;
  ASSERT_TRUE(replica_.Put("lost", &lost).ok());
  replica_.Stop();
  primary_.Start();
  ASSERT_TRUE(primary_.Promote(true, &promoted).ok());
  ASSERT_TRUE(primary_.Put("c").ok());
  const auto refused = Watch(primary_, lost, [](const v1::WatchResponse&) { return true; });
  EXPECT_EQ(ErrorInfoOf(refused).reason(), "POSITION_UNKNOWN") << refused.error_message();
}

TEST_F(ReplicationTest, ReplicasFollowReplicas) {
  StartPair();
  Node third("third");
  third.config().replica_of = replica_.address();
  third.Start();
  ASSERT_TRUE(Eventually([&] { return third.Follows(); }));
  std::string position;
  ASSERT_TRUE(primary_.Put("a", &position).ok());
  EXPECT_TRUE(third.Get("a", position).ok());
  EXPECT_EQ(third.Status().primary_address(), primary_.address());
  // A circle is noticed.
  ASSERT_TRUE(replica_.Follow(third.address()).ok());
  EXPECT_TRUE(Eventually([&] { return replica_.Status().state() == v1::REPLICA_STATE_FAILED; }));
  EXPECT_NE(replica_.Status().last_error().find("this one"), std::string::npos);
  ASSERT_TRUE(replica_.Follow(primary_.address()).ok());
  EXPECT_TRUE(Eventually([&] { return replica_.Follows(); }));
  ASSERT_TRUE(primary_.Put("b", &position).ok());
  EXPECT_TRUE(third.Get("b", position).ok());
}

TEST_F(ReplicationTest, ChangesPlacesAsPlanned) {
  StartPair();
  std::string position;
  ASSERT_TRUE(primary_.Put("a", &position).ok());
  v1::PromoteResponse promoted;
  const auto status = replica_.Promote(false, &promoted);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(promoted.former_primary_told());
  ASSERT_TRUE(replica_.Get("a").ok());
  ASSERT_TRUE(replica_.Put("b", &position).ok());
  // The former primary follows by itself, without a copy.
  EXPECT_EQ(ErrorInfoOf(primary_.Put("c")).reason(), "NOT_PRIMARY");
  EXPECT_TRUE(primary_.Get("b", position).ok());
  EXPECT_EQ(primary_.Status().role(), v1::REPLICATION_ROLE_REPLICA);
  EXPECT_EQ(primary_.Status().seeds(), 0);
  EXPECT_EQ(primary_.Status().epoch(), promoted.epoch());
  EXPECT_EQ(primary_.Keys(), replica_.Keys());
  // Parts outlive restarts, whatever the settings said before.
  replica_.Stop();
  primary_.Stop();
  replica_.Start();
  primary_.Start();
  ASSERT_TRUE(replica_.Put("d", &position).ok());
  EXPECT_TRUE(Eventually([&] { return primary_.Get("d", position).ok(); }));
  EXPECT_EQ(ErrorInfoOf(primary_.Put("e")).reason(), "NOT_PRIMARY");
}

TEST_F(ReplicationTest, AFormerPrimaryThatComesBackTakesNoWritesAndRejoins) {
  StartPair();
  std::string position;
  ASSERT_TRUE(primary_.Put("both", &position).ok());
  ASSERT_TRUE(replica_.Get("both", position).ok());
  const std::string old_address = primary_.address();
  replica_.Stop();
  ASSERT_TRUE(primary_.Put("lost").ok());
  primary_.Stop();
  replica_.Start();
  // Nobody knows what the primary has.
  v1::PromoteResponse promoted;
  EXPECT_EQ(ErrorInfoOf(replica_.Promote(false, &promoted)).reason(), "REPLICA_BEHIND");
  ASSERT_TRUE(replica_.Promote(true, &promoted).ok());
  EXPECT_FALSE(promoted.former_primary_told());
  ASSERT_TRUE(replica_.Put("new", &position).ok());
  primary_.Start();
  // It is told by the new one, and what only it had is given up with a new copy.
  EXPECT_TRUE(Eventually([&] { return primary_.Get("new", position).ok(); }));
  EXPECT_EQ(primary_.Status().seeds(), 1);
  EXPECT_EQ(ErrorInfoOf(primary_.Put("a")).reason(), "NOT_PRIMARY");
  EXPECT_EQ(primary_.Keys(), (std::vector<std::string>{"both", "new"}));
}

TEST_F(ReplicationTest, WritesWaitForReplicas) {
  for (Node* node : {&primary_, &replica_}) node->config().sync_mode = "full";
  primary_.config().sync_replicas = 1;
  primary_.config().sync_timeout_ms = 200;
  primary_.Start();
  const auto alone = primary_.Put("a");
  EXPECT_EQ(alone.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ErrorInfoOf(alone).reason(), "NOT_REPLICATED");
  // It is there nevertheless.
  EXPECT_TRUE(primary_.Get("a").ok());
  replica_.config().replica_of = primary_.address();
  replica_.Start();
  ASSERT_TRUE(Eventually([&] { return replica_.Follows(); }));
  EXPECT_TRUE(Eventually([&] { return primary_.Put("b").ok(); }));
  // Without waiting: it was acknowledged.
  EXPECT_TRUE(replica_.Get("b").ok());
}

TEST_F(ReplicationTest, RefusesAnotherStoreAndItself) {
  StartPair();
  ASSERT_TRUE(primary_.Put("mine").ok());
  Node other("other");
  other.Start();
  ASSERT_TRUE(other.Put("theirs").ok());
  ASSERT_TRUE(replica_.Follow(other.address()).ok());
  EXPECT_TRUE(Eventually([&] { return replica_.Status().state() == v1::REPLICA_STATE_FAILED; }));
  EXPECT_NE(replica_.Status().last_error().find("the store here is"), std::string::npos);
  EXPECT_EQ(replica_.Get("theirs").error_code(), grpc::StatusCode::NOT_FOUND);
  ASSERT_TRUE(replica_.Follow(replica_.address()).ok());
  EXPECT_TRUE(Eventually(
      [&] { return replica_.Status().last_error().find("this one") != std::string::npos; }));
  EXPECT_EQ(replica_.Follow("nowhere").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(replica_.Follow("").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ReplicationTest, NeedsAKeyWithTheRoleReplica) {
  primary_.config().auth = "on";
  primary_.config().bootstrap_admin_key_file = primary_.directory() + ".admin";
  primary_.Start();
  std::ifstream file(primary_.config().bootstrap_admin_key_file);
  std::getline(file, primary_.key);
  std::filesystem::remove(primary_.config().bootstrap_admin_key_file);
  primary_.config().bootstrap_admin_key_file.clear();
  const auto make_key = [&](v1::Role role) {
    v1::CreateKeyRequest request;
    request.set_name("key");
    v1::Grant& grant = *request.add_grants();
    grant.set_namespace_("*");
    grant.set_role(role);
    v1::CreateKeyResponse response;
    const auto status = primary_.Stub<v1::SecurityService>()->CreateKey(primary_.Context().get(),
                                                                        request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.secret();
  };
  const std::string writer = make_key(v1::ROLE_WRITE);
  const std::string follower = make_key(v1::ROLE_REPLICA);
  const std::string key_file = replica_.directory() + ".key";
  const auto write_key = [&](const std::string& secret) { std::ofstream(key_file) << secret; };
  replica_.config().replica_of = primary_.address();
  replica_.config().replication_key_file = key_file;
  write_key(writer);
  replica_.Start();
  replica_.key = primary_.key;
  EXPECT_EQ(replica_.Get("a").error_code(), grpc::StatusCode::UNAVAILABLE);
  write_key(follower);
  // Then it has the keys of the primary too.
  EXPECT_TRUE(Eventually([&] { return replica_.Follows(); }));
  // The role gives no other right.
  primary_.key = follower;
  EXPECT_EQ(primary_.Get("a").error_code(), grpc::StatusCode::PERMISSION_DENIED);
  std::filesystem::remove(key_file);
}

}  // namespace
}  // namespace cookix::server
