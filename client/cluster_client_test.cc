// The client of several servers, against servers in this process.
#include "client/cluster_client.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/server.h"
#include "server/server_fixture.h"
#include "tests/support/status_matchers.h"

namespace cookix::client {
namespace {

using server::Eventually;
using tests::HasField;
using tests::HasReason;

// An address where nobody listens.
constexpr char kNowhere[] = "127.0.0.1:1";

absl::Status Put(Client& client, const std::string& key, v1::PutObjectResponse* response = nullptr,
                 const std::string& request_id = "") {
  v1::PutObjectRequest request;
  request.mutable_write()->mutable_object()->mutable_ref()->set_key(key);
  request.mutable_options()->set_request_id(request_id);
  v1::PutObjectResponse ignored;
  return client.PutObject(request, response == nullptr ? &ignored : response);
}

absl::Status Get(Client& client, const std::string& key) {
  v1::GetObjectRequest request;
  request.mutable_ref()->set_key(key);
  v1::GetObjectResponse response;
  return client.GetObject(request, &response);
}

int64_t Count(Client& client) {
  v1::CountObjectsResponse response;
  EXPECT_OK(client.CountObjects({}, &response));
  return response.count();
}

// One server, with a data directory of its own that survives restarts.
class Node {
 public:
  explicit Node(const std::string& name)
      : config_(server::SmallServerConfig(name)),
        log_(*server::Log::Open(server::LogLevel::kOff, "")) {
    config_.shutdown_grace_ms = 200;
  }
  ~Node() {
    Stop();
    std::filesystem::remove_all(directory());
  }

  server::Config& config() { return config_; }
  const std::string& directory() const { return config_.data_dir; }
  void Start() {
    auto started = server::Server::Start(config_, *log_);
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
    // Where it was is where it comes back.
    config_.listen = "127.0.0.1:" + std::to_string(server_->port());
    RemoteOptions options;
    options.target = address();
    options.retry.max_attempts = 1;
    direct_ = *ConnectRemote(options);
  }
  void Stop() { server_.reset(); }
  const std::string& address() const { return config_.listen; }
  // Calls of this server alone.
  Client& direct() { return *direct_; }

  v1::GetReplicationStatusResponse Status() {
    v1::GetReplicationStatusResponse response;
    const absl::Status status = direct().GetReplicationStatus({}, &response);
    EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kUnavailable) << status;
    return response;
  }
  void Follow(const std::string& leader) {
    v1::FollowRequest request;
    request.set_address(leader);
    v1::FollowResponse response;
    ASSERT_OK(direct().Follow(request, &response));
  }
  void Promote(bool force) {
    v1::PromoteRequest request;
    request.set_force(force);
    v1::PromoteResponse response;
    ASSERT_OK(direct().Promote(request, &response));
  }

 private:
  server::Config config_;
  std::unique_ptr<server::Log> log_;
  std::unique_ptr<server::Server> server_;
  std::unique_ptr<Client> direct_;
};

class ClusterClientTest : public testing::Test {
 protected:
  void StartPair() {
    primary_.Start();
    replica_.config().replica_of = primary_.address();
    replica_.Start();
    ASSERT_TRUE(Eventually([&] { return Follows(replica_); }));
  }

  static bool Follows(Node& node) { return node.Status().state() == v1::REPLICA_STATE_FOLLOWING; }
  // The replica has all that the primary has.
  bool CaughtUp() { return replica_.Status().commit() == primary_.Status().commit(); }
  // The replica goes on answering reads, and gets nothing new.
  void Detach() { replica_.Follow(kNowhere); }

  ClusterOptions Options() {
    ClusterOptions options;
    options.addresses = {primary_.address(), replica_.address()};
    options.replica_wait_ms = 20;
    return options;
  }
  static std::unique_ptr<ClusterClient> Connect(ClusterOptions options) {
    auto client = ConnectCluster(std::move(options));
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }

  Node primary_{"primary"};
  Node replica_{"replica"};
};

TEST_F(ClusterClientTest, LearnsTheOthersFromOne) {
  StartPair();
  ClusterOptions options = Options();
  // By another name than the one that the server tells others.
  const std::string port = replica_.address().substr(replica_.address().find(':'));
  options.addresses = {"localhost" + port};
  auto client = Connect(options);
  ASSERT_OK(Put(*client, "a"));
  EXPECT_OK(Get(*client, "a"));
  EXPECT_TRUE(Eventually([&] { return client->Servers().size() == 2; }));
  int primaries = 0;
  for (const ServerSummary& server : client->Servers()) {
    EXPECT_OK(server.status);
    if (server.primary) {
      ++primaries;
      EXPECT_EQ(server.address, primary_.address());
    }
  }
  EXPECT_EQ(primaries, 1);
}

TEST_F(ClusterClientTest, ReadsItsOwnWritesWhicheverServerLags) {
  StartPair();
  Detach();
  for (const ReadFrom read_from : {ReadFrom::kAll, ReadFrom::kReplicas, ReadFrom::kPrimary}) {
    ClusterOptions options = Options();
    options.read_from = read_from;
    options.rest_ms = 0;
    auto client = Connect(options);
    for (int i = 0; i < 10; ++i) {
      const std::string key = "k" + std::to_string(static_cast<int>(read_from) * 10 + i);
      ASSERT_OK(Put(*client, key));
      EXPECT_OK(Get(*client, key));
    }
    EXPECT_FALSE(client->position().empty());
  }
  // It did lag.
  EXPECT_EQ(Get(replica_.direct(), "k0").code(), absl::StatusCode::kNotFound);
}

TEST_F(ClusterClientTest, SpreadsReadsAsToldTo) {
  StartPair();
  Detach();
  ASSERT_OK(Put(primary_.direct(), "new"));
  // Who answers shows in what it has.
  const auto found = [&](ReadFrom read_from) {
    ClusterOptions options = Options();
    options.session = false;
    options.read_from = read_from;
    auto client = Connect(options);
    EXPECT_TRUE(Eventually([&] {
      int known = 0;
      for (const auto& server : client->Servers()) known += server.status.ok() && server.epoch > 0;
      return known == 2;
    }));
    int count = 0;
    for (int i = 0; i < 60; ++i) count += Get(*client, "new").ok() ? 1 : 0;
    return count;
  };
  EXPECT_EQ(found(ReadFrom::kPrimary), 60);
  EXPECT_EQ(found(ReadFrom::kReplicas), 0);
  const int spread = found(ReadFrom::kAll);
  EXPECT_GT(spread, 0);
  EXPECT_LT(spread, 60);
}

TEST_F(ClusterClientTest, NeverReadsAnEarlierStateThanBefore) {
  StartPair();
  Detach();
  ASSERT_OK(Put(primary_.direct(), "new"));
  ClusterOptions options = Options();
  options.rest_ms = 0;
  auto client = Connect(options);
  bool seen = false;
  for (int i = 0; i < 40; ++i) {
    const absl::Status status = Get(*client, "new");
    EXPECT_TRUE(status.ok() || (!seen && status.code() == absl::StatusCode::kNotFound)) << status;
    seen = seen || status.ok();
  }
  EXPECT_TRUE(seen);
  // Another client goes on from there.
  auto other = Connect(options);
  ASSERT_OK(other->Continue(client->position()));
  for (int i = 0; i < 10; ++i) EXPECT_OK(Get(*other, "new"));
  EXPECT_EQ(other->Continue("no position").code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ClusterClientTest, GoesOnReadingWithoutThePrimary) {
  StartPair();
  auto client = Connect(Options());
  ASSERT_OK(Put(*client, "a"));
  v1::CreateCollectionRequest create;
  create.mutable_collection()->set_name("things");
  v1::CreateCollectionResponse created;
  ASSERT_OK(client->CreateCollection(create, &created));
  ASSERT_TRUE(Eventually([&] { return CaughtUp(); }));
  primary_.Stop();
  for (int i = 0; i < 10; ++i) EXPECT_OK(Get(*client, "a"));
  // Calls without a position too.
  v1::GetCollectionRequest get;
  get.set_collection("things");
  v1::GetCollectionResponse got;
  EXPECT_OK(client->GetCollection(get, &got));
}

TEST_F(ClusterClientTest, ReadsOfTheCatalogWaitForAServerThatIsAsFar) {
  StartPair();
  Detach();
  ClusterOptions options = Options();
  options.failover_ms = 300;
  auto client = Connect(options);
  v1::CreateCollectionRequest create;
  create.mutable_collection()->set_name("things");
  v1::CreateCollectionResponse created;
  ASSERT_OK(client->CreateCollection(create, &created));
  v1::GetCollectionRequest get;
  get.set_collection("things");
  v1::GetCollectionResponse got;
  EXPECT_OK(client->GetCollection(get, &got));
  primary_.Stop();
  // Rather no answer than that there is no such collection.
  EXPECT_EQ(client->GetCollection(get, &got).code(), absl::StatusCode::kUnavailable);
}

TEST_F(ClusterClientTest, WritesFindThePrimaryAfterAPlannedPromotion) {
  StartPair();
  auto client = Connect(Options());
  v1::PutObjectResponse first;
  ASSERT_OK(Put(*client, "a", &first, "write-1"));
  replica_.Promote(/*force=*/false);
  ASSERT_OK(Put(*client, "b"));
  EXPECT_OK(Get(*client, "a"));
  EXPECT_OK(Get(*client, "b"));
  // The same write, at another primary: once.
  v1::PutObjectResponse again;
  ASSERT_OK(Put(*client, "a", &again, "write-1"));
  EXPECT_TRUE(again.result().replayed());
  EXPECT_EQ(again.result().commit(), first.result().commit());
  EXPECT_EQ(Count(*client), 2);
}

TEST_F(ClusterClientTest, WritesFindThePrimaryAfterTheDeathOfTheOneBefore) {
  StartPair();
  ClusterOptions options = Options();
  options.addresses = {primary_.address()};
  auto client = Connect(options);
  ASSERT_OK(Put(*client, "a"));
  ASSERT_TRUE(Eventually([&] { return client->Servers().size() == 2 && CaughtUp(); }));
  primary_.Stop();
  // Begun while there is no primary.
  absl::Status written = absl::UnknownError("not yet");
  std::thread writer([&] { written = Put(*client, "b"); });
  replica_.Promote(/*force=*/true);
  writer.join();
  EXPECT_OK(written);
  EXPECT_OK(Get(*client, "a"));
  EXPECT_OK(Get(*client, "b"));
  // The one before comes back as a replica.
  primary_.Start();
  ASSERT_OK(Put(*client, "c"));
  EXPECT_TRUE(Eventually([&] { return CaughtUp(); }));
  for (int i = 0; i < 10; ++i) EXPECT_OK(Get(*client, "c"));
}

TEST_F(ClusterClientTest, SaysOnceThatWhatItSawIsLost) {
  StartPair();
  Detach();
  auto client = Connect(Options());
  ASSERT_OK(Put(*client, "lost"));
  primary_.Stop();
  replica_.Promote(/*force=*/true);
  EXPECT_TRUE(
      HasReason(Get(*client, "lost"), absl::StatusCode::kFailedPrecondition, "POSITION_UNKNOWN"));
  EXPECT_EQ(Get(*client, "lost").code(), absl::StatusCode::kNotFound);
  ASSERT_OK(Put(*client, "lost"));
  EXPECT_OK(Get(*client, "lost"));
}

TEST_F(ClusterClientTest, SaysWhatIsWrongWhenNoServerAnswers) {
  ClusterOptions options;
  options.addresses = {kNowhere, "127.0.0.1:2"};
  options.failover_ms = 100;
  auto client = Connect(options);
  for (const absl::Status& status : {Put(*client, "a"), Get(*client, "a")}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_NE(status.message().find(kNowhere), std::string::npos) << status;
    EXPECT_NE(status.message().find("127.0.0.1:2"), std::string::npos) << status;
    EXPECT_TRUE(GetErrorDetail(status)->retryable);
  }
  auto writer = client->OpenBulkWriter(2);
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ((*writer)->Write({}).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ((*writer)->Finish().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ClusterClientTest, SaysThatOnlyReplicasAnswer) {
  StartPair();
  ClusterOptions options = Options();
  options.failover_ms = 100;
  primary_.Stop();
  auto client = Connect(options);
  const absl::Status status = Put(*client, "a");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(status.message().find("is a replica"), std::string::npos) << status;
  EXPECT_EQ(Get(*client, "a").code(), absl::StatusCode::kNotFound);
}

TEST_F(ClusterClientTest, AWrongKeyIsSaidAtOnce) {
  primary_.config().auth = "on";
  primary_.config().bootstrap_admin_key_file = primary_.directory() + ".admin";
  primary_.Start();
  std::string key;
  std::ifstream(primary_.config().bootstrap_admin_key_file) >> key;
  std::filesystem::remove(primary_.config().bootstrap_admin_key_file);
  ClusterOptions options;
  options.addresses = {primary_.address(), kNowhere};
  options.remote.timeout_ms = 0;
  // Longer than the test may take: no time is spent on what does not pass.
  options.failover_ms = 3'600'000;
  EXPECT_TRUE(HasReason(Put(*Connect(options), "a"), absl::StatusCode::kUnauthenticated,
                        "UNAUTHENTICATED"));
  options.remote.api_key = "cookix_wrong";
  auto wrong = Connect(options);
  EXPECT_EQ(Put(*wrong, "a").code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Get(*wrong, "a").code(), absl::StatusCode::kUnauthenticated);
  options.remote.api_key = key;
  EXPECT_OK(Put(*Connect(options), "a"));
}

TEST_F(ClusterClientTest, AKeyThatAReplicaDoesNotKnowYetIsGood) {
  primary_.config().auth = "on";
  primary_.config().bootstrap_admin_key_file = primary_.directory() + ".admin";
  primary_.Start();
  std::string admin;
  std::ifstream(primary_.config().bootstrap_admin_key_file) >> admin;
  std::filesystem::remove(primary_.config().bootstrap_admin_key_file);
  primary_.config().bootstrap_admin_key_file.clear();
  ClusterOptions options = Options();
  options.addresses = {primary_.address()};
  options.remote.api_key = admin;
  auto administrator = Connect(options);
  const auto make_key = [&](v1::Role role) {
    v1::CreateKeyRequest request;
    request.set_name("key");
    v1::Grant& grant = *request.add_grants();
    grant.set_namespace_("*");
    grant.set_role(role);
    v1::CreateKeyResponse response;
    EXPECT_OK(administrator->CreateKey(request, &response));
    return response.secret();
  };
  const std::string key_file = replica_.directory() + ".key";
  std::ofstream(key_file) << make_key(v1::ROLE_REPLICA);
  replica_.config().auth = "on";
  replica_.config().replica_of = primary_.address();
  replica_.config().replication_key_file = key_file;
  replica_.Start();
  RemoteOptions direct;
  direct.target = replica_.address();
  direct.api_key = admin;
  auto on_replica = *ConnectRemote(direct);
  ASSERT_TRUE(Eventually([&] {
    v1::GetReplicationStatusResponse status;
    return on_replica->GetReplicationStatus({}, &status).ok() &&
           status.state() == v1::REPLICA_STATE_FOLLOWING;
  }));
  v1::FollowRequest nobody;
  nobody.set_address(kNowhere);
  v1::FollowResponse detached;
  ASSERT_OK(on_replica->Follow(nobody, &detached));
  options.remote.api_key = make_key(v1::ROLE_WRITE);
  options.addresses = {replica_.address(), primary_.address()};
  options.read_from = ReadFrom::kReplicas;
  auto client = Connect(options);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Get(*client, "a").code(), absl::StatusCode::kNotFound);
  ASSERT_OK(Put(*client, "a"));
  EXPECT_OK(Get(*client, "a"));
  std::filesystem::remove(key_file);
}

TEST_F(ClusterClientTest, PassesOverAReplicaWithoutAStore) {
  primary_.Start();
  // It waits for its copy.
  replica_.config().replica_of = kNowhere;
  replica_.Start();
  for (const ReadFrom read_from : {ReadFrom::kAll, ReadFrom::kReplicas}) {
    ClusterOptions options = Options();
    options.read_from = read_from;
    auto client = Connect(options);
    ASSERT_OK(Put(*client, "a"));
    for (int i = 0; i < 20; ++i) EXPECT_OK(Get(*client, "a"));
  }
}

TEST_F(ClusterClientTest, PassesOverServersOfAnotherStore) {
  StartPair();
  Node stranger("stranger");
  stranger.Start();
  ClusterOptions options = Options();
  options.addresses = {replica_.address(), primary_.address(), stranger.address()};
  auto client = Connect(options);
  ASSERT_OK(Put(*client, "a"));
  const std::string chosen = Get(stranger.direct(), "a").ok() ? stranger.address() : "";
  // Whichever answered first is the client's, and stays it.
  for (int i = 0; i < 30; ++i) EXPECT_OK(Get(*client, "a"));
  for (int i = 0; i < 5; ++i) EXPECT_OK(Put(*client, "more" + std::to_string(i)));
  const int64_t there = Count(stranger.direct());
  EXPECT_EQ(there, chosen.empty() ? 0 : 6);
}

TEST_F(ClusterClientTest, PagesComeFromOneServer) {
  StartPair();
  auto client = Connect(Options());
  for (int i = 0; i < 20; ++i) ASSERT_OK(Put(*client, "k" + std::to_string(100 + i)));
  auto other = Connect(Options());
  for (int round = 0; round < 5; ++round) {
    v1::ScanObjectsRequest request;
    request.set_page_size(3);
    std::vector<std::string> keys;
    int pages = 0;
    do {
      v1::ScanObjectsResponse page;
      // Tokens are good in any client of the servers, once it knows them.
      Client& reader = pages++ % 2 == 0 ? *client : *other;
      ASSERT_OK(reader.ScanObjects(request, &page));
      for (const v1::Object& object : page.objects()) keys.push_back(object.ref().key());
      request.set_page_token(page.next_page_token());
      // Each page of the position of the first, whatever is written meanwhile.
      ASSERT_OK(Put(*client, "z" + std::to_string(round) + std::to_string(pages)));
    } while (!request.page_token().empty());
    ASSERT_GE(keys.size(), 20u);
    EXPECT_EQ(keys[19], "k119");
  }
  v1::ScanObjectsRequest request;
  v1::ScanObjectsResponse page;
  for (const std::string token : {"x", "x@", "x@127.0.0.1:1"}) {
    request.set_page_token(token);
    EXPECT_TRUE(HasField(client->ScanObjects(request, &page), absl::StatusCode::kOutOfRange,
                         "POSITION_EXPIRED", "page_token"));
  }
}

TEST_F(ClusterClientTest, BulkStreamsOutliveAChangeOfPrimary) {
  StartPair();
  auto client = Connect(Options());
  auto writer = client->OpenBulkWriter(4);
  ASSERT_TRUE(writer.ok()) << writer.status();
  const auto write = [&](int from, int to) {
    for (int i = from; i < to; ++i) {
      v1::WriteRequest request;
      v1::ObjectWrite* put = request.add_mutations()->mutable_put_object();
      put->mutable_object()->mutable_ref()->set_key("k" + std::to_string(i));
      put->mutable_condition()->set_exists(false);
      ASSERT_OK((*writer)->Write(std::move(request)));
    }
  };
  write(0, 50);
  replica_.Promote(/*force=*/false);
  write(50, 100);
  ASSERT_OK((*writer)->Finish());
  // Each of them once, or the condition would have failed.
  EXPECT_EQ((*writer)->acknowledged(), 100);
  EXPECT_EQ(Count(*client), 100);
  EXPECT_FALSE((*writer)->Write({}).ok());
  EXPECT_EQ(client->OpenBulkWriter(0).status().code(), absl::StatusCode::kInvalidArgument);
  // A refused write is not sent again.
  auto refused = client->OpenBulkWriter(4);
  ASSERT_TRUE(refused.ok());
  v1::WriteRequest request;
  v1::ObjectWrite* put = request.add_mutations()->mutable_put_object();
  put->mutable_object()->mutable_ref()->set_key("k1");
  put->mutable_condition()->set_exists(false);
  static_cast<void>((*refused)->Write(std::move(request)));
  EXPECT_TRUE(HasReason((*refused)->Finish(), absl::StatusCode::kAborted, "CONDITION_FAILED"));
  EXPECT_EQ((*refused)->acknowledged(), 0);
}

TEST_F(ClusterClientTest, StreamsOfVectorsOutliveAChangeOfPrimary) {
  StartPair();
  auto client = Connect(Options());
  v1::CreateCollectionRequest create;
  create.mutable_collection()->set_name("things");
  v1::VectorField* field = create.mutable_collection()->add_vector_fields();
  field->set_name("v");
  field->set_dimension(2);
  v1::CreateCollectionResponse created;
  ASSERT_OK(client->CreateCollection(create, &created));
  auto writer = client->OpenVectorWriter(2);
  ASSERT_TRUE(writer.ok()) << writer.status();
  const auto write = [&](int from, int to) {
    for (int i = from; i < to; ++i) {
      v1::InsertVectorsRequest request;
      request.set_collection("things");
      request.set_field("v");
      request.add_keys("k" + std::to_string(i));
      request.add_values(1);
      request.add_values(static_cast<float>(i));
      ASSERT_OK((*writer)->Write(std::move(request)));
    }
  };
  write(0, 20);
  replica_.Promote(/*force=*/false);
  write(20, 40);
  ASSERT_OK((*writer)->Finish());
  EXPECT_EQ((*writer)->acknowledged(), 40);
  EXPECT_EQ((*writer)->created(), 40);
}

TEST_F(ClusterClientTest, StreamsObjectsWithItsOwnWrites) {
  StartPair();
  Detach();
  ClusterOptions options = Options();
  options.rest_ms = 0;
  auto client = Connect(options);
  ASSERT_OK(Put(*client, "a"));
  ASSERT_OK(Put(*client, "b"));
  for (int i = 0; i < 10; ++i) {
    int objects = 0;
    EXPECT_OK(client->StreamObjects({}, [&](v1::StreamObjectsResponse&& chunk) {
      objects += chunk.objects_size();
      return true;
    }));
    EXPECT_EQ(objects, 2);
  }
}

TEST_F(ClusterClientTest, AWatchGoesOnAtAnotherServer) {
  StartPair();
  ClusterOptions options = Options();
  options.read_from = ReadFrom::kReplicas;
  auto client = Connect(options);
  ASSERT_OK(Put(*client, "before"));
  std::vector<std::string> told;
  std::vector<std::string> written;
  // Each write when the one before was told.
  const absl::Status watched = client->Watch({}, [&](v1::WatchResponse&& message) {
    for (const v1::CommitChanges& commit : message.commits()) {
      for (const v1::Change& change : commit.changes()) told.push_back(change.object().ref().key());
    }
    if (told.size() < written.size()) return true;
    if (told.size() == 10) return false;
    if (told.size() == 5) replica_.Stop();
    written.push_back("k" + std::to_string(written.size()));
    EXPECT_OK(Put(primary_.direct(), written.back()));
    return true;
  });
  EXPECT_OK(watched);
  EXPECT_EQ(told, written);
}

TEST_F(ClusterClientTest, CallsAboutOneServerNeedItsName) {
  StartPair();
  auto client = Connect(Options());
  v1::PromoteResponse promoted;
  EXPECT_TRUE(HasField(client->Promote({}, &promoted), absl::StatusCode::kInvalidArgument,
                       "INVALID_FIELD", "server"));
  v1::FollowResponse followed;
  EXPECT_TRUE(HasField(client->Follow({}, &followed), absl::StatusCode::kInvalidArgument,
                       "INVALID_FIELD", "server"));
  v1::GetReplicationStatusResponse status;
  ASSERT_OK(client->GetReplicationStatus({}, &status));
  EXPECT_EQ(status.role(), v1::REPLICATION_ROLE_PRIMARY);
}

TEST_F(ClusterClientTest, RefusesOptionsThatCannotWork) {
  EXPECT_TRUE(HasField(ConnectCluster({}).status(), absl::StatusCode::kInvalidArgument,
                       "INVALID_FIELD", "addresses"));
  ClusterOptions options;
  options.addresses = {"db.example.org:7625"};
  options.refresh_ms = 0;
  EXPECT_TRUE(HasField(ConnectCluster(options).status(), absl::StatusCode::kInvalidArgument,
                       "INVALID_FIELD", "refresh_ms"));
  options.refresh_ms = 1;
  options.rest_ms = -1;
  EXPECT_TRUE(HasField(ConnectCluster(options).status(), absl::StatusCode::kInvalidArgument,
                       "INVALID_FIELD", "rest_ms"));
  options.rest_ms = 0;
  options.remote.keepalive_ms = 1;
  EXPECT_TRUE(HasField(ConnectCluster(options).status(), absl::StatusCode::kInvalidArgument,
                       "INVALID_FIELD", "keepalive_ms"));
  options.remote.keepalive_ms = 0;
  options.remote.api_key = "secret";
  EXPECT_TRUE(HasField(ConnectCluster(options).status(), absl::StatusCode::kInvalidArgument,
                       "INVALID_FIELD", "api_key"));
}

TEST_F(ClusterClientTest, ThreadsReadTheirWritesWhileThePrimaryChanges) {
  StartPair();
  auto client = Connect(Options());
  constexpr int kThreads = 4;
  std::atomic<bool> stop{false};
  std::atomic<int> written{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; !stop.load(); ++i) {
        const std::string key = std::to_string(thread) + "-" + std::to_string(i);
        const absl::Status put = Put(*client, key);
        EXPECT_OK(put);
        EXPECT_OK(Get(*client, key));
        ++written;
        if (!put.ok()) return;
      }
    });
  }
  const auto progress = [&] {
    const int before = written.load();
    EXPECT_TRUE(Eventually([&] { return written.load() >= before + 20; }));
  };
  progress();
  replica_.Promote(/*force=*/false);
  progress();
  primary_.Promote(/*force=*/false);
  progress();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Count(*client), written.load());
}

// A server that says what it is told to say.
class ScriptedServer : public v1::ObjectService::Service {
 public:
  ScriptedServer() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    builder.RegisterService(&replication_);
    builder.RegisterService(&security_);
    server_ = builder.BuildAndStart();
    address = "127.0.0.1:" + std::to_string(port);
    replication_.status.set_store_id("store");
  }
  ~ScriptedServer() override { server_->Shutdown(std::chrono::system_clock::now()); }

  void Become(v1::ReplicationRole role, int64_t epoch) {
    const std::lock_guard<std::mutex> lock(replication_.mutex);
    replication_.status.set_role(role);
    replication_.status.set_epoch(epoch);
  }

  grpc::Status GetObject(grpc::ServerContext*, const v1::GetObjectRequest*,
                         v1::GetObjectResponse*) override {
    ++reads;
    return read_status();
  }
  grpc::Status PutObject(grpc::ServerContext*, const v1::PutObjectRequest* request,
                         v1::PutObjectResponse*) override {
    const std::lock_guard<std::mutex> lock(mutex);
    request_ids.push_back(request->options().request_id());
    return write_status(static_cast<int>(request_ids.size()));
  }

  struct Replication : v1::ReplicationService::Service {
    grpc::Status GetReplicationStatus(grpc::ServerContext*, const v1::GetReplicationStatusRequest*,
                                      v1::GetReplicationStatusResponse* response) override {
      const std::lock_guard<std::mutex> lock(mutex);
      *response = status;
      return grpc::Status::OK;
    }
    std::mutex mutex;
    v1::GetReplicationStatusResponse status;
  };
  struct Security : v1::SecurityService::Service {
    grpc::Status CreateKey(grpc::ServerContext*, const v1::CreateKeyRequest*,
                           v1::CreateKeyResponse*) override {
      ++calls;
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "who knows");
    }
    std::atomic<int> calls{0};
  };

  std::string address;
  std::function<grpc::Status()> read_status = [] { return grpc::Status::OK; };
  // By how many writes there were, this one included.
  std::function<grpc::Status(int)> write_status = [](int) { return grpc::Status::OK; };
  std::atomic<int> reads{0};
  std::mutex mutex;
  std::vector<std::string> request_ids;
  Replication replication_;
  Security security_;

 private:
  std::unique_ptr<grpc::Server> server_;
};

grpc::Status Failure(grpc::StatusCode code, const std::string& reason) {
  google::rpc::ErrorInfo info;
  info.set_domain("cookix");
  info.set_reason(reason);
  google::rpc::Status status;
  status.set_code(code);
  status.add_details()->PackFrom(info);
  return grpc::Status(code, reason, status.SerializeAsString());
}

TEST(ScriptedClusterTest, APrimaryOfAnEarlierEpochDoesNotEndTheSession) {
  ScriptedServer former;
  ScriptedServer present;
  former.Become(v1::REPLICATION_ROLE_PRIMARY, 1);
  former.read_status = [&] {
    // Only now is it known that somebody took over.
    present.Become(v1::REPLICATION_ROLE_PRIMARY, 2);
    return Failure(grpc::StatusCode::FAILED_PRECONDITION, "POSITION_UNKNOWN");
  };
  ClusterOptions options;
  options.addresses = {former.address, present.address};
  options.read_from = ReadFrom::kPrimary;
  auto client = ConnectCluster(options);
  ASSERT_TRUE(client.ok());
  const std::string seen = storage::EncodePosition({storage::StoreId{}, 2, 7});
  ASSERT_OK((*client)->Continue(seen));
  EXPECT_OK(Get(**client, "a"));
  EXPECT_EQ((*client)->position(), seen);
  EXPECT_GE(former.reads, 1);
  EXPECT_EQ(present.reads, 1);
}

TEST(ScriptedClusterTest, AWriteIsSentAgainUnderItsId) {
  ScriptedServer server;
  server.Become(v1::REPLICATION_ROLE_PRIMARY, 1);
  server.write_status = [](int count) {
    if (count == 1) return Failure(grpc::StatusCode::UNAVAILABLE, "NOT_REPLICATED");
    if (count == 2) return Failure(grpc::StatusCode::FAILED_PRECONDITION, "NOT_PRIMARY");
    if (count == 3) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "cut");
    if (count == 5) return Failure(grpc::StatusCode::ABORTED, "CONDITION_FAILED");
    return grpc::Status::OK;
  };
  ClusterOptions options;
  options.addresses = {server.address};
  auto client = ConnectCluster(options);
  ASSERT_TRUE(client.ok());
  EXPECT_OK(Put(**client, "a"));
  EXPECT_EQ(Put(**client, "b").code(), absl::StatusCode::kAborted);
  ASSERT_EQ(server.request_ids.size(), 5u);
  EXPECT_FALSE(server.request_ids[0].empty());
  for (int i = 1; i < 4; ++i) EXPECT_EQ(server.request_ids[i], server.request_ids[0]);
  EXPECT_NE(server.request_ids[4], server.request_ids[0]);
}

TEST(ScriptedClusterTest, WhatMayHaveHappenedIsNotRepeatedWithoutAnId) {
  ScriptedServer server;
  server.Become(v1::REPLICATION_ROLE_PRIMARY, 1);
  ClusterOptions options;
  options.addresses = {server.address};
  auto client = ConnectCluster(options);
  ASSERT_TRUE(client.ok());
  v1::CreateKeyResponse response;
  EXPECT_EQ((*client)->CreateKey({}, &response).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(server.security_.calls, 1);
}

TEST(ClusterSessionTest, KeepsTheLatestPosition) {
  storage::StoreId store{};
  store[0] = 1;
  const auto at = [&](uint64_t epoch, uint64_t commit) {
    return storage::EncodePosition({store, epoch, commit});
  };
  ClusterSession session;
  EXPECT_OK(session.Observe(""));
  EXPECT_EQ(session.token(), "");
  EXPECT_OK(session.Observe(at(1, 5)));
  EXPECT_OK(session.Observe(at(1, 4)));
  EXPECT_EQ(session.token(), at(1, 5));
  // A later epoch goes on where the one before ended, be it earlier than was seen.
  EXPECT_OK(session.Observe(at(2, 4)));
  EXPECT_OK(session.Observe(at(1, 9)));
  EXPECT_EQ(session.token(), at(2, 4));
  store[0] = 2;
  EXPECT_OK(session.Observe(at(9, 9)));
  store[0] = 1;
  EXPECT_EQ(session.token(), at(2, 4));
  EXPECT_FALSE(session.Forget(at(1, 5)));
  EXPECT_TRUE(session.Forget(at(2, 4)));
  EXPECT_EQ(session.token(), "");
  EXPECT_FALSE(session.Observe("x").ok());
}

}  // namespace
}  // namespace cookix::client
