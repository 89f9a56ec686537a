#include "client/remote_client.h"

#include <grpcpp/server_posix.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "client/request_id.h"
#include "client/retry.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"

namespace cookix::client {
namespace {

grpc::Status RichError(grpc::StatusCode code, const std::string& message, const std::string& reason,
                       const std::string& field, const std::string& remedy, bool retryable) {
  google::rpc::ErrorInfo info;
  info.set_domain("cookix");
  info.set_reason(reason);
  (*info.mutable_metadata())["field"] = field;
  (*info.mutable_metadata())["remedy"] = remedy;
  (*info.mutable_metadata())["retryable"] = retryable ? "true" : "false";
  google::rpc::Status status;
  status.set_code(code);
  status.set_message(message);
  status.add_details()->PackFrom(info);
  return grpc::Status(code, message, status.SerializeAsString());
}

// A server with switches: it fails the first `failures` calls of each method and
// remembers what it was asked.
class FakeServer : public v1::ObjectService::Service {
 public:
  FakeServer() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    builder.RegisterService(&admin);
    builder.RegisterService(&search);
    builder.RegisterService(&watch);
    server_ = builder.BuildAndStart();
    target = "127.0.0.1:" + std::to_string(port);
  }
  // Serves a connection that somebody else accepted.
  void Adopt(int connection) { grpc::AddInsecureChannelFromFd(server_.get(), connection); }

  ~FakeServer() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status PutObject(grpc::ServerContext*, const v1::PutObjectRequest* request,
                         v1::PutObjectResponse* response) override {
    std::lock_guard lock(mutex);
    request_ids.push_back(request->options().request_id());
    if (failures-- > 0) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "busy");
    response->set_created(applied.insert(request->options().request_id()).second);
    return grpc::Status::OK;
  }
  grpc::Status GetObject(grpc::ServerContext* context, const v1::GetObjectRequest* request,
                         v1::GetObjectResponse* response) override {
    std::lock_guard lock(mutex);
    ++gets;
    for (const auto& [name, value] : context->client_metadata()) {
      if (name == "authorization") authorization.assign(value.data(), value.size());
    }
    if (request->ref().key() == "slow") {
      while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return grpc::Status(grpc::StatusCode::CANCELLED, "stopped");
    }
    if (request->ref().key() == "missing") {
      return RichError(grpc::StatusCode::NOT_FOUND, "no object \"missing\"", "OBJECT_NOT_FOUND",
                       "ref.key", "put it first", false);
    }
    if (failures-- > 0) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "busy");
    response->mutable_object()->mutable_ref()->set_key(request->ref().key());
    return grpc::Status::OK;
  }
  grpc::Status BulkWrite(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::BulkWriteResponse, v1::BulkWriteRequest>* stream) override {
    v1::BulkWriteRequest request;
    while (stream->Read(&request)) {
      if (request.write().namespace_() == "bad") {
        return RichError(grpc::StatusCode::INVALID_ARGUMENT, "bad", "INVALID_FIELD",
                         "write.namespace", "another one", false);
      }
      v1::BulkWriteResponse response;
      response.set_sequence(request.sequence());
      if (!stream->Write(response)) break;
    }
    return grpc::Status::OK;
  }
  grpc::Status StreamObjects(grpc::ServerContext*, const v1::StreamObjectsRequest*,
                             grpc::ServerWriter<v1::StreamObjectsResponse>* writer) override {
    {
      std::lock_guard lock(mutex);
      if (failures-- > 0) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "busy");
    }
    for (int i = 0; i < 1000; ++i) {
      v1::StreamObjectsResponse response;
      response.add_objects()->mutable_object()->mutable_ref()->set_key(std::to_string(i));
      if (!writer->Write(response)) break;
    }
    return grpc::Status::OK;
  }

  struct Admin : v1::AdminService::Service {
    std::atomic<int> compactions{0};
    grpc::Status Compact(grpc::ServerContext*, const v1::CompactRequest*,
                         v1::CompactResponse*) override {
      ++compactions;
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "busy");
    }
  } admin;

  // Each unary method is unavailable the first time.
  struct Searcher : v1::SearchService::Service {
    std::atomic<int> searches{0}, batches{0}, descriptions{0};
    static grpc::Status SecondTime(std::atomic<int>* calls) {
      return ++*calls > 1 ? grpc::Status::OK : grpc::Status(grpc::StatusCode::UNAVAILABLE, "busy");
    }
    grpc::Status Search(grpc::ServerContext*, const v1::SearchRequest* request,
                        v1::SearchResponse* response) override {
      response->add_hits()->mutable_ref()->set_key(request->vector().key());
      return SecondTime(&searches);
    }
    grpc::Status BatchSearch(grpc::ServerContext*, const v1::BatchSearchRequest* request,
                             v1::BatchSearchResponse* response) override {
      for (int i = 0; i < request->searches_size(); ++i) response->add_results();
      return SecondTime(&batches);
    }
    grpc::Status DescribeIndex(grpc::ServerContext*, const v1::DescribeIndexRequest* request,
                               v1::DescribeIndexResponse* response) override {
      response->mutable_field()->set_name(request->field());
      return SecondTime(&descriptions);
    }
    // Each request creates as many objects as it has keys.
    grpc::Status InsertVectors(
        grpc::ServerContext*,
        grpc::ServerReaderWriter<v1::InsertVectorsResponse, v1::InsertVectorsRequest>* stream)
        override {
      v1::InsertVectorsRequest request;
      while (stream->Read(&request)) {
        if (request.field() == "bad") {
          return RichError(grpc::StatusCode::NOT_FOUND, "bad", "FIELD_NOT_FOUND", "field",
                           "another one", false);
        }
        v1::InsertVectorsResponse response;
        response.set_sequence(request.sequence());
        response.set_created_count(request.keys_size());
        if (!stream->Write(response)) break;
      }
      return grpc::Status::OK;
    }
  } search;

  // Tells of the commits after the one asked for, up to 9, and fails after two of them, until
  // there are none.
  struct Watcher : v1::WatchService::Service {
    std::atomic<int> watches{0};
    grpc::Status Watch(grpc::ServerContext*, const v1::WatchRequest* request,
                       grpc::ServerWriter<v1::WatchResponse>* writer) override {
      ++watches;
      int commit = request->has_after_position() ? std::stoi(request->after_position()) : 0;
      for (int i = 0; i < 2 && commit < 9; ++i) {
        v1::WatchResponse response;
        response.set_commit(++commit);
        response.set_position(std::to_string(commit));
        if (!writer->Write(response)) break;
      }
      if (commit < 9) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "busy");
      return RichError(grpc::StatusCode::OUT_OF_RANGE, "gone", "POSITION_EXPIRED", "", "read",
                       false);
    }
  } watch;

  std::mutex mutex;
  int failures = 0;
  int gets = 0;
  std::string authorization;
  std::vector<std::string> request_ids;
  std::set<std::string> applied;
  std::string target;

 private:
  std::unique_ptr<grpc::Server> server_;
};

std::unique_ptr<Client> Connect(const FakeServer& server, RemoteOptions options = {}) {
  options.target = server.target;
  options.retry.initial_backoff_ms = 1;
  auto client = ConnectRemote(options);
  EXPECT_TRUE(client.ok()) << client.status();
  return std::move(client).value();
}

TEST(RemoteClientTest, RepeatsReadsWhileTheServerIsUnavailable) {
  FakeServer server;
  server.failures = 3;
  auto client = Connect(server);
  v1::GetObjectRequest request;
  request.mutable_ref()->set_key("a");
  v1::GetObjectResponse response;
  ASSERT_TRUE(client->GetObject(request, &response).ok());
  EXPECT_EQ(response.object().ref().key(), "a");
  EXPECT_EQ(server.gets, 4);
}

TEST(RemoteClientTest, GivesUpAfterTheLastAttempt) {
  FakeServer server;
  server.failures = 100;
  auto client = Connect(server);
  v1::GetObjectRequest request;
  v1::GetObjectResponse response;
  EXPECT_EQ(client->GetObject(request, &response).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(server.gets, 4);
}

TEST(RemoteClientTest, RepeatsAWriteUnderOneGeneratedId) {
  FakeServer server;
  server.failures = 2;
  auto client = Connect(server);
  v1::PutObjectRequest request;
  v1::PutObjectResponse response;
  ASSERT_TRUE(client->PutObject(request, &response).ok());
  ASSERT_EQ(server.request_ids.size(), 3u);
  EXPECT_EQ(server.request_ids[0].size(), 32u);
  EXPECT_EQ(server.request_ids[0], server.request_ids[2]);
  ASSERT_TRUE(client->PutObject(request, &response).ok());
  EXPECT_NE(server.request_ids[3], server.request_ids[0]);
}

TEST(RemoteClientTest, KeepsTheCallersId) {
  FakeServer server;
  auto client = Connect(server);
  v1::PutObjectRequest request;
  request.mutable_options()->set_request_id("mine");
  v1::PutObjectResponse response;
  ASSERT_TRUE(client->PutObject(request, &response).ok());
  EXPECT_EQ(server.request_ids.at(0), "mine");
}

TEST(RemoteClientTest, DoesNotRepeatAWriteThatCannotCarryAnId) {
  FakeServer server;
  auto client = Connect(server);
  v1::CompactResponse response;
  EXPECT_EQ(client->Compact({}, &response).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(server.admin.compactions, 1);
}

TEST(RemoteClientTest, RepeatsSearches) {
  FakeServer server;
  auto client = Connect(server);
  v1::SearchRequest search;
  search.mutable_vector()->set_key("a");
  v1::SearchResponse found;
  ASSERT_TRUE(client->Search(search, &found).ok());
  ASSERT_EQ(found.hits_size(), 1);
  EXPECT_EQ(found.hits(0).ref().key(), "a");
  v1::BatchSearchRequest batch;
  batch.add_searches();
  v1::BatchSearchResponse batched;
  ASSERT_TRUE(client->BatchSearch(batch, &batched).ok());
  EXPECT_EQ(batched.results_size(), 1);
  v1::DescribeIndexRequest describe;
  describe.set_field("f");
  v1::DescribeIndexResponse described;
  ASSERT_TRUE(client->DescribeIndex(describe, &described).ok());
  EXPECT_EQ(described.field().name(), "f");
}

TEST(RemoteClientTest, EndsACallAtItsDeadline) {
  FakeServer server;
  RemoteOptions options;
  options.timeout_ms = 50;
  auto client = Connect(server, options);
  v1::GetObjectRequest request;
  request.mutable_ref()->set_key("slow");
  v1::GetObjectResponse response;
  EXPECT_EQ(client->GetObject(request, &response).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(RemoteClientTest, ReadsTheDetailOfAnError) {
  FakeServer server;
  auto client = Connect(server);
  v1::GetObjectRequest request;
  request.mutable_ref()->set_key("missing");
  v1::GetObjectResponse response;
  const absl::Status status = client->GetObject(request, &response);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "no object \"missing\"");
  const auto detail = GetErrorDetail(status);
  ASSERT_TRUE(detail.has_value());
  EXPECT_EQ(detail->reason, "OBJECT_NOT_FOUND");
  EXPECT_EQ(detail->field, "ref.key");
  EXPECT_EQ(detail->remedy, "put it first");
  EXPECT_FALSE(detail->retryable);
  EXPECT_EQ(server.gets, 1);
}

TEST(RemoteClientTest, SaysWhichServerCannotBeReached) {
  RemoteOptions options;
  options.target = "127.0.0.1:1";
  options.retry.max_attempts = 1;
  auto client = ConnectRemote(options);
  ASSERT_TRUE(client.ok());
  v1::GetInfoResponse response;
  const absl::Status status = (*client)->GetInfo({}, &response);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(std::string(status.message()).find("127.0.0.1:1"), std::string::npos);
  ASSERT_TRUE(GetErrorDetail(status).has_value());
  EXPECT_FALSE(GetErrorDetail(status)->remedy.empty());
}

TEST(RemoteClientTest, SendsTheKeyAsABearerToken) {
  FakeServer server;
  RemoteOptions options;
  options.api_key = "ck_abc";
  auto client = Connect(server, options);
  v1::GetObjectResponse response;
  ASSERT_TRUE(client->GetObject({}, &response).ok());
  EXPECT_EQ(server.authorization, "Bearer ck_abc");
}

TEST(RemoteClientTest, RefusesToSendAKeyInPlainTextToAnotherMachine) {
  RemoteOptions options;
  options.api_key = "ck_abc";
  options.target = "db.example.org:7625";
  auto client = ConnectRemote(options);
  ASSERT_FALSE(client.ok());
  EXPECT_EQ(GetErrorDetail(client.status())->field, "api_key");
  EXPECT_EQ(std::string(client.status().message()).find("ck_abc"), std::string::npos);
  options.allow_plaintext_key = true;
  EXPECT_TRUE(ConnectRemote(options).ok());
  options.allow_plaintext_key = false;
  options.tls = true;
  EXPECT_TRUE(ConnectRemote(options).ok());
}

TEST(RemoteClientTest, RefusesAKeyThatCannotBeSent) {
  RemoteOptions options;
  options.api_key = "two\nlines";
  EXPECT_FALSE(ConnectRemote(options).ok());
}

TEST(RemoteClientTest, KnowsWhichTargetsAreThisMachine) {
  for (const char* local : {"127.0.0.1:7625", "localhost:1", "[::1]:7625", "unix:/run/x.sock",
                            "127.9.9.9", "dns:///localhost:7625"}) {
    EXPECT_TRUE(IsLocalTarget(local)) << local;
  }
  for (const char* remote : {"10.0.0.1:7625", "localhost.example.org:1", "127.example.org:7625",
                             "[2001:db8::1]:7625", "example.org"}) {
    EXPECT_FALSE(IsLocalTarget(remote)) << remote;
  }
}

TEST(RemoteClientTest, CountsAcknowledgedBulkWrites) {
  FakeServer server;
  auto client = Connect(server);
  auto writer = client->OpenBulkWriter(3);
  ASSERT_TRUE(writer.ok());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE((*writer)->Write(v1::WriteRequest()).ok());
    EXPECT_GE((*writer)->acknowledged(), i + 1 - 3);
  }
  ASSERT_TRUE((*writer)->Finish().ok());
  EXPECT_EQ((*writer)->acknowledged(), 20);
}

TEST(RemoteClientTest, EndsABulkStreamWithItsFirstError) {
  FakeServer server;
  auto client = Connect(server);
  auto writer = client->OpenBulkWriter(2);
  ASSERT_TRUE(writer.ok());
  absl::Status status;
  for (int i = 0; i < 10 && status.ok(); ++i) {
    v1::WriteRequest request;
    if (i == 5) request.set_namespace_("bad");
    status = (*writer)->Write(std::move(request));
  }
  if (status.ok()) status = (*writer)->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(GetErrorDetail(status)->field, "write.namespace");
  EXPECT_EQ((*writer)->acknowledged(), 5);
}

TEST(RemoteClientTest, CountsAcknowledgedVectors) {
  FakeServer server;
  auto client = Connect(server);
  auto writer = client->OpenVectorWriter(3);
  ASSERT_TRUE(writer.ok());
  v1::InsertVectorsRequest request;
  request.add_keys("a");
  request.add_keys("b");
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE((*writer)->Write(v1::InsertVectorsRequest(request)).ok());
    EXPECT_GE((*writer)->acknowledged(), i + 1 - 3);
  }
  ASSERT_TRUE((*writer)->Finish().ok());
  EXPECT_EQ((*writer)->acknowledged(), 20);
  EXPECT_EQ((*writer)->created(), 40);
  EXPECT_EQ(client->OpenVectorWriter(0).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(RemoteClientTest, EndsAStreamOfVectorsWithItsFirstError) {
  FakeServer server;
  auto client = Connect(server);
  auto writer = client->OpenVectorWriter(2);
  ASSERT_TRUE(writer.ok());
  absl::Status status;
  for (int i = 0; i < 10 && status.ok(); ++i) {
    v1::InsertVectorsRequest request;
    request.add_keys("a");
    if (i == 5) request.set_field("bad");
    status = (*writer)->Write(std::move(request));
  }
  if (status.ok()) status = (*writer)->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(GetErrorDetail(status)->reason, "FIELD_NOT_FOUND");
  EXPECT_EQ((*writer)->acknowledged(), 5);
  EXPECT_EQ((*writer)->created(), 5);
}

// As over a long way, or from a busy machine.
TEST(RemoteClientTest, TakesTimeToConnect) {
  FakeServer server;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 4), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  std::thread slow([&] {
    while (true) {
      const int connection = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (connection < 0) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
      server.Adopt(connection);
    }
  });
  RemoteOptions options;
  options.target = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  options.retry.max_attempts = 1;
  auto client = ConnectRemote(options);
  ASSERT_TRUE(client.ok());
  v1::GetObjectRequest request;
  request.mutable_ref()->set_key("a");
  v1::GetObjectResponse response;
  const absl::Status status = (*client)->GetObject(request, &response);
  EXPECT_TRUE(status.ok()) << status;
  shutdown(listener, SHUT_RDWR);
  slow.join();
  close(listener);
}

TEST(RemoteClientTest, StopsAStreamWhenAsked) {
  FakeServer server;
  server.failures = 1;
  auto client = Connect(server);
  int seen = 0;
  ASSERT_TRUE(
      client->StreamObjects({}, [&](v1::StreamObjectsResponse&&) { return ++seen < 10; }).ok());
  EXPECT_EQ(seen, 10);
}

TEST(RemoteClientTest, WatchesOnWhereItWasCut) {
  FakeServer server;
  auto client = Connect(server);
  std::vector<int64_t> told;
  const absl::Status status = client->Watch({}, [&](v1::WatchResponse&& message) {
    told.push_back(message.commit());
    return true;
  });
  EXPECT_EQ(GetErrorDetail(status)->reason, "POSITION_EXPIRED");
  EXPECT_EQ(told, (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
  // More failures than attempts, but each after a success.
  EXPECT_EQ(server.watch.watches, 5);
  told.clear();
  EXPECT_TRUE(client
                  ->Watch({},
                          [&](v1::WatchResponse&& message) {
                            told.push_back(message.commit());
                            return told.size() < 3;
                          })
                  .ok());
  EXPECT_EQ(told, (std::vector<int64_t>{1, 2, 3}));
}

TEST(RetryPolicyTest, PausesGrowWithinBounds) {
  RetryOptions options;
  options.max_attempts = 6;
  options.initial_backoff_ms = 100;
  options.max_backoff_ms = 400;
  RetryPolicy policy(options, true, 7);
  const absl::Status unavailable = absl::UnavailableError("x");
  for (int64_t step : {100, 200, 400, 400, 400}) {
    const int64_t pause = policy.NextPauseMs(unavailable);
    EXPECT_GE(pause, step / 2);
    EXPECT_LE(pause, step);
  }
  EXPECT_EQ(policy.NextPauseMs(unavailable), -1);
  EXPECT_EQ(RetryPolicy(options, true, 7).NextPauseMs(absl::AbortedError("x")), -1);
  EXPECT_EQ(RetryPolicy(options, false, 7).NextPauseMs(unavailable), -1);
}

TEST(RequestIdTest, IsRandom) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(NewRequestId());
  EXPECT_EQ(ids.size(), 1000u);
}

}  // namespace
}  // namespace cookix::client
