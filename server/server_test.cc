// The daemon as its clients and operators meet it.
#include "server/server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "server/server_fixture.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using ::testing::HasSubstr;
using ::testing::Not;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

class ServerTest : public ServerFixture {
 protected:
  grpc::Status Put(const std::string& key, const std::string& content,
                   const std::string& secret = "") {
    v1::PutObjectRequest request;
    v1::PutObjectResponse response;
    auto& object = *request.mutable_write()->mutable_object();
    object.mutable_ref()->set_key(key);
    object.set_content(content);
    return Stub<v1::ObjectService>()->PutObject(Context(secret).get(), request, &response);
  }

  grpc::Status Get(const std::string& key, v1::GetObjectResponse* response,
                   const std::string& secret = "") {
    v1::GetObjectRequest request;
    request.mutable_ref()->set_key(key);
    return Stub<v1::ObjectService>()->GetObject(Context(secret).get(), request, response);
  }

  std::vector<v1::RunningQuery> Queries() {
    v1::ListQueriesResponse response;
    const grpc::Status status =
        Stub<v1::AdminService>()->ListQueries(Context().get(), v1::ListQueriesRequest(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return {response.queries().begin(), response.queries().end()};
  }

  // A question that keeps the engine busy for far longer than a test may take.
  static Config SlowQueryConfig() {
    Config config = TestConfig();
    config.limits.max_chain_length = kSlowSteps;
    config.limits.max_edges_examined = INT64_MAX;
    return config;
  }
  v1::QueryRequest SlowQuery() {
    v1::QueryRequest request;
    request.mutable_anchor()->set_key("k0");
    for (int i = 0; i < kSlowSteps; ++i) request.add_chain("r");
    return request;
  }
  static constexpr int kSlowGraph = 120;
  static constexpr int kSlowSteps = 40'000;
};

TEST_F(ServerTest, PutsAndGets) {
  Start(TestConfig());
  ASSERT_TRUE(Put("a", "text").ok());
  v1::GetObjectResponse response;
  ASSERT_TRUE(Get("a", &response).ok());
  EXPECT_EQ(response.object().content(), "text");
}

TEST_F(ServerTest, ErrorsReachTheClientWhole) {
  Start(TestConfig());
  v1::GetObjectResponse response;
  const grpc::Status missing = Get("nobody", &response);
  EXPECT_EQ(missing.error_code(), grpc::StatusCode::NOT_FOUND);
  const auto info = ErrorInfoOf(missing);
  EXPECT_EQ(info.domain(), "cookix");
  EXPECT_EQ(info.reason(), "OBJECT_NOT_FOUND");
  EXPECT_EQ(info.metadata().at("retryable"), "false");
  EXPECT_FALSE(info.metadata().at("remedy").empty());
  const grpc::Status invalid = Get("", &response);
  EXPECT_EQ(invalid.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ErrorInfoOf(invalid).metadata().at("field"), "ref.key");
}

TEST_F(ServerTest, RequestIdsAreKeptWhenTheyAreSane) {
  Start(TestConfig());
  const auto id_of = [&](const std::string& given) {
    auto context = Context();
    if (!given.empty()) context->AddMetadata("x-request-id", given);
    v1::GetInfoResponse response;
    EXPECT_TRUE(
        Stub<v1::AdminService>()->GetInfo(context.get(), v1::GetInfoRequest(), &response).ok());
    const auto& metadata = context->GetServerInitialMetadata();
    const auto it = metadata.find("x-request-id");
    return it == metadata.end() ? std::string() : std::string(it->second.data(), it->second.size());
  };
  EXPECT_EQ(id_of("Order-17_b.2"), "Order-17_b.2");
  const std::string made = id_of("");
  EXPECT_EQ(made.size(), 16u);
  EXPECT_NE(made, id_of(""));
  EXPECT_EQ(id_of("has space").size(), 16u);
  EXPECT_EQ(id_of(std::string(65, 'x')).size(), 16u);
}

TEST_F(ServerTest, UnknownMethodsAndBadMessagesAreRefused) {
  Start(TestConfig());
  const grpc::Status unknown = CallRaw("cookix.v1.ObjectService/Nothing", "", Context().get());
  EXPECT_EQ(unknown.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(ErrorInfoOf(unknown).reason(), "UNKNOWN_METHOD");
  const grpc::Status reflection =
      CallRaw("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "", Context().get());
  EXPECT_EQ(reflection.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  for (const char* method :
       {"cookix.v1.ObjectService/GetObject", "cookix.v1.ObjectService/Write",
        "cookix.v1.ObjectService/StreamObjects", "cookix.v1.ObjectService/BulkWrite"}) {
    // A length that runs past the end; a key that is not UTF-8.
    for (const std::string& bytes : {std::string("\x0a\x7fx"), std::string("\x0a\x02\xff\xfe")}) {
      const grpc::Status bad = CallRaw(method, bytes, Context().get());
      EXPECT_EQ(bad.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << method;
      EXPECT_EQ(ErrorInfoOf(bad).reason(), "INVALID_FIELD") << method;
    }
  }
}

TEST_F(ServerTest, DeepNestingIsAnErrorNotACrash) {
  Start(TestConfig());
  v1::CountObjectsRequest request;
  v1::Filter* filter = request.mutable_filter();
  for (int i = 0; i < 200; ++i) filter = filter->mutable_negation();
  filter->mutable_existence()->set_field("x");
  v1::CountObjectsResponse response;
  EXPECT_EQ(
      Stub<v1::ObjectService>()->CountObjects(Context().get(), request, &response).error_code(),
      grpc::StatusCode::INVALID_ARGUMENT);
  // Deeper than any parser would go.
  std::string bytes;
  for (int i = 0; i < 20'000; ++i) {
    std::string header(1, '\x1a');  // Filter.negation
    size_t length = bytes.size();
    do {
      header.push_back(static_cast<char>((length & 0x7f) | (length > 0x7f ? 0x80 : 0)));
      length >>= 7;
    } while (length > 0);
    bytes.insert(0, header);
    if (bytes.size() > 60'000) break;
  }
  EXPECT_EQ(CallRaw("cookix.v1.ObjectService/CountObjects", bytes, Context().get()).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServerTest, TooLargeMessagesAreRefused) {
  Config config = TestConfig();
  config.max_message_mb = 1;
  config.limits.max_content_bytes = 64 << 20;
  Start(config);
  const grpc::Status somewhat = Put("a", std::string(1500 << 10, 'x'));
  EXPECT_EQ(somewhat.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ErrorInfoOf(somewhat).reason(), "LIMIT_EXCEEDED");
  const grpc::Status far = Put("a", std::string(8 << 20, 'x'));
  EXPECT_EQ(far.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  v1::GetObjectResponse response;
  EXPECT_EQ(Get("a", &response).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(Put("a", std::string(500 << 10, 'x')).ok());
}

TEST_F(ServerTest, CompressedMessagesAreRefusedUnread) {
  Start(TestConfig());
  auto context = Context();
  context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
  v1::GetObjectRequest request;
  v1::GetObjectResponse response;
  request.mutable_ref()->set_key(std::string(4 << 20, 'x'));
  EXPECT_EQ(Stub<v1::ObjectService>()->GetObject(context.get(), request, &response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(ServerTest, RatesHoldPerKey) {
  Start(TestConfig());
  const std::string admin = MakeKey("*", v1::ROLE_ADMIN);
  const std::string slow = MakeKey("default", v1::ROLE_READ, 3);
  v1::GetObjectResponse response;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Get("x", &response, slow).error_code(), grpc::StatusCode::NOT_FOUND);
  }
  v1::GetObjectRequest request;
  request.mutable_ref()->set_key("x");
  auto context = Context(slow);
  const grpc::Status limited =
      Stub<v1::ObjectService>()->GetObject(context.get(), request, &response);
  EXPECT_EQ(limited.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ErrorInfoOf(limited).reason(), "RATE_LIMITED");
  EXPECT_EQ(ErrorInfoOf(limited).metadata().at("retryable"), "true");
  EXPECT_EQ(context->GetServerTrailingMetadata().count("retry-after"), 1u);
  google::rpc::Status details;
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(details.ParseFromString(limited.error_details()));
  ASSERT_EQ(details.details_size(), 2);
  ASSERT_TRUE(details.details(1).UnpackTo(&retry));
  EXPECT_GE(retry.retry_delay().seconds(), 10);
  EXPECT_LE(retry.retry_delay().seconds(), 20);
  // Others are not touched.
  EXPECT_EQ(Get("x", &response, admin).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, ReadOnlyModeRefusesWritesAndNothingElse) {
  Start(TestConfig());
  ASSERT_TRUE(Put("a", "1").ok());
  auto admin = Stub<v1::AdminService>();
  const auto set = [&](bool on) {
    v1::SetReadOnlyRequest request;
    v1::SetReadOnlyResponse response;
    request.set_read_only(on);
    EXPECT_TRUE(admin->SetReadOnly(Context().get(), request, &response).ok());
    EXPECT_EQ(response.read_only(), on);
  };
  set(true);
  const grpc::Status refused = Put("a", "2");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ErrorInfoOf(refused).reason(), "READ_ONLY");
  v1::GetObjectResponse response;
  ASSERT_TRUE(Get("a", &response).ok());
  EXPECT_EQ(response.object().content(), "1");
  v1::GetInfoResponse info;
  ASSERT_TRUE(admin->GetInfo(Context().get(), v1::GetInfoRequest(), &info).ok());
  EXPECT_TRUE(info.read_only());
  EXPECT_GT(info.started_ms(), 0);
  set(false);
  EXPECT_TRUE(Put("a", "2").ok());
}

TEST_F(ServerTest, ACancelledCallStopsItsQuery) {
  Start(SlowQueryConfig());
  PutCompleteGraph(kSlowGraph);
  auto context = Context();
  std::future<grpc::Status> call = std::async(std::launch::async, [&] {
    v1::QueryResponse response;
    return Stub<v1::ReasoningService>()->Query(context.get(), SlowQuery(), &response);
  });
  ASSERT_TRUE(Eventually([&] { return !Queries().empty(); }));
  const auto running = Queries();
  ASSERT_EQ(running.size(), 1u);
  EXPECT_EQ(running[0].method(), "cookix.v1.ReasoningService/Query");
  context->TryCancel();
  EXPECT_EQ(call.get().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([&] { return Queries().empty(); }));
}

TEST_F(ServerTest, ADeadlineStopsItsQuery) {
  Start(SlowQueryConfig());
  PutCompleteGraph(kSlowGraph);
  v1::QueryResponse response;
  const grpc::Status status = Stub<v1::ReasoningService>()->Query(
      Context("", /*timeout_ms=*/300).get(), SlowQuery(), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Eventually([&] { return Queries().empty(); }));
}

TEST_F(ServerTest, TheServersOwnLimitStopsAQuery) {
  Config config = SlowQueryConfig();
  config.limits.max_query_ms = 200;
  Start(config);
  PutCompleteGraph(kSlowGraph);
  v1::QueryResponse response;
  const grpc::Status status =
      Stub<v1::ReasoningService>()->Query(Context().get(), SlowQuery(), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "QUERY_TIMEOUT");
}

TEST_F(ServerTest, AnOperatorCanStopAQuery) {
  Start(SlowQueryConfig());
  PutCompleteGraph(kSlowGraph);
  std::future<grpc::Status> call = std::async(std::launch::async, [&] {
    v1::QueryResponse response;
    return Stub<v1::ReasoningService>()->Query(Context().get(), SlowQuery(), &response);
  });
  ASSERT_TRUE(Eventually([&] { return !Queries().empty(); }));
  v1::CancelQueryRequest request;
  v1::CancelQueryResponse response;
  request.set_id(Queries().at(0).id());
  ASSERT_TRUE(Stub<v1::AdminService>()->CancelQuery(Context().get(), request, &response).ok());
  const grpc::Status status = call.get();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "QUERY_CANCELLED");
  const grpc::Status gone =
      Stub<v1::AdminService>()->CancelQuery(Context().get(), request, &response);
  EXPECT_EQ(ErrorInfoOf(gone).reason(), "QUERY_NOT_FOUND");
}

TEST_F(ServerTest, MoreCallsThanAllowedAreRefused) {
  Config config = TestConfig();
  config.max_concurrent_calls = 1;
  Start(config);
  // Open, idle, and one call. Nothing else is called before it has begun.
  auto stream_context = Context();
  auto stream = Stub<v1::ObjectService>()->BulkWrite(stream_context.get());
  v1::BulkWriteRequest request;
  request.mutable_write()
      ->add_mutations()
      ->mutable_put_object()
      ->mutable_object()
      ->mutable_ref()
      ->set_key("a");
  v1::BulkWriteResponse answer;
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&answer));
  v1::GetObjectResponse response;
  const grpc::Status status = Get("a", &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "OVERLOADED");
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_TRUE(Get("a", &response).ok());
}

TEST_F(ServerTest, HealthIsCheckedAndWatched) {
  Start(TestConfig());
  auto stub = Stub<grpc::health::v1::Health>();
  HealthCheckRequest request;
  HealthCheckResponse response;
  ASSERT_TRUE(stub->Check(Context().get(), request, &response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  request.set_service("cookix.v1.ObjectService");
  EXPECT_TRUE(stub->Check(Context().get(), request, &response).ok());
  request.set_service("no.such.Service");
  EXPECT_EQ(stub->Check(Context().get(), request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
  auto unknown_context = Context();
  auto unknown = stub->Watch(unknown_context.get(), request);
  ASSERT_TRUE(unknown->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);

  request.clear_service();
  auto context = Context();
  auto watch = stub->Watch(context.get(), request);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  std::thread stopping([&] { server_->Shutdown(); });
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  stopping.join();
}

TEST_F(ServerTest, ShutdownLetsCallsUnderWayFinish) {
  Config config = SlowQueryConfig();
  config.shutdown_grace_ms = 60'000;
  // The query ends by itself while the server waits for it.
  config.limits.max_query_ms = 1500;
  Start(config);
  PutCompleteGraph(kSlowGraph);
  std::future<grpc::Status> call = std::async(std::launch::async, [&] {
    v1::QueryResponse response;
    return Stub<v1::ReasoningService>()->Query(Context().get(), SlowQuery(), &response);
  });
  ASSERT_TRUE(Eventually([&] { return !Queries().empty(); }));
  server_->Shutdown();
  EXPECT_EQ(ErrorInfoOf(call.get()).reason(), "QUERY_TIMEOUT");
}

TEST_F(ServerTest, ShutdownCancelsWhatOutlastsTheGrace) {
  Config config = SlowQueryConfig();
  config.shutdown_grace_ms = 100;
  Start(config);
  PutCompleteGraph(kSlowGraph);
  std::future<grpc::Status> call = std::async(std::launch::async, [&] {
    v1::QueryResponse response;
    return Stub<v1::ReasoningService>()->Query(Context().get(), SlowQuery(), &response);
  });
  ASSERT_TRUE(Eventually([&] { return !Queries().empty(); }));
  server_->Shutdown();
  const grpc::StatusCode code = call.get().error_code();
  EXPECT_TRUE(code == grpc::StatusCode::CANCELLED || code == grpc::StatusCode::UNAVAILABLE) << code;
  // Nobody listens any more.
  v1::GetObjectResponse response;
  auto context = Context("", 2000);
  v1::GetObjectRequest request;
  EXPECT_FALSE(Stub<v1::ObjectService>()->GetObject(context.get(), request, &response).ok());
}

TEST_F(ServerTest, ManyClientsThenShutdown) {
  Start(TestConfig());
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> clients;
  for (int t = 0; t < 4; ++t) {
    clients.emplace_back([&, t] {
      auto stub = v1::ObjectService::NewStub(NewChannel());
      for (int i = 0; !stop; ++i) {
        const std::string key = std::to_string(t) + "-" + std::to_string(i);
        v1::PutObjectRequest put;
        v1::PutObjectResponse put_response;
        put.mutable_write()->mutable_object()->mutable_ref()->set_key(key);
        if (!stub->PutObject(Context("", 5000).get(), put, &put_response).ok()) break;
        v1::GetObjectRequest get;
        v1::GetObjectResponse response;
        get.mutable_ref()->set_key(key);
        const grpc::Status status = stub->GetObject(Context("", 5000).get(), get, &response);
        if (status.error_code() == grpc::StatusCode::UNAVAILABLE ||
            status.error_code() == grpc::StatusCode::CANCELLED) {
          break;
        }
        // What was acknowledged can be read.
        if (!status.ok() || response.object().ref().key() != key) ++wrong;
        ++answered;
      }
    });
  }
  EXPECT_TRUE(Eventually([&] { return answered > 200; }));
  server_->Shutdown();
  stop = true;
  for (auto& client : clients) client.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(ServerTest, MetricsCountCallsAndShowTheStore) {
  Config config = TestConfig();
  config.metrics_listen = "127.0.0.1:0";
  Start(config);
  ASSERT_TRUE(Put("a", "1").ok());
  v1::GetObjectResponse response;
  ASSERT_TRUE(Get("a", &response).ok());
  ASSERT_FALSE(Get("b", &response).ok());
  EXPECT_EQ(Get("a", &response, "wrong").error_code(), grpc::StatusCode::UNAUTHENTICATED);
  const std::string text = MetricsText();
  EXPECT_THAT(text, HasSubstr("200 OK"));
  for (const char* line :
       {"cookix_rpc_calls_total{code=\"OK\",method=\"cookix.v1.ObjectService/GetObject\"} 1",
        "cookix_rpc_calls_total{code=\"NOT_FOUND\",method=\"cookix.v1.ObjectService/GetObject\"} 1",
        "cookix_rpc_duration_seconds_count{method=\"cookix.v1.ObjectService/GetObject\"} 2",
        "cookix_rpc_in_flight 0", "cookix_auth_failures_total 1", "cookix_rate_limited_total 0",
        "cookix_store_commits_total ", "cookix_store_wal_bytes ",
        "cookix_store_family_sst_bytes{family=\"objects\"}", "cookix_build_info{",
        "cookix_view_visible_commit{view=\"adjacency\"}", "process_resident_memory_bytes ",
        "process_open_fds ", "process_start_time_seconds ", "process_cpu_seconds_total "}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(HttpGet(server_->metrics_port(), "GET / HTTP/1.0\r\n\r\n"), HasSubstr("404"));
}

TEST_F(ServerTest, MetricsTellSearchesByLaneAndStrategy) {
  Config config = TestConfig();
  config.metrics_listen = "127.0.0.1:0";
  Start(config);
  ASSERT_TRUE(Put("a", "heavy rain").ok());
  v1::SearchRequest request;
  request.add_lanes()->mutable_text()->set_text("rain");
  request.add_lanes()->mutable_text()->set_text("heavy");
  request.add_lanes()->mutable_neighbourhood()->add_anchors()->set_key("a");
  v1::SearchResponse response;
  ASSERT_TRUE(Stub<v1::SearchService>()->Search(Context().get(), request, &response).ok());
  EXPECT_EQ(response.diagnostics().strategy(), "inverted + inverted + paths");
  // What starts from a search is told too.
  v1::ExecuteRequest execute;
  execute.mutable_query()->set_search_text("SEARCH default 'rain'");
  v1::ExecuteResponse executed;
  ASSERT_TRUE(Stub<v1::QueryService>()->Execute(Context().get(), execute, &executed).ok());
  const std::string text = MetricsText();
  const std::string count = "cookix_search_duration_seconds_count";
  EXPECT_THAT(text, HasSubstr(count + "{lane=\"text\",strategy=\"inverted\"} 3\n"));
  EXPECT_THAT(text, HasSubstr(count + "{lane=\"neighbourhood\",strategy=\"paths\"} 1\n"));
  EXPECT_THAT(text, HasSubstr(count + "{lane=\"vector\",strategy=\"graph\"} 0\n"));
}

TEST_F(ServerTest, MetricsAskForThePassword) {
  const std::string file = testing::TempDir() + "/metrics_password";
  std::ofstream(file) << "s3cret\n";
  Config config = TestConfig();
  config.metrics_listen = "127.0.0.1:0";
  config.metrics_password_file = file;
  Start(config);
  const auto get = [&](const std::string& header) {
    return HttpGet(server_->metrics_port(),
                   "GET /metrics HTTP/1.0\r\nHost: x\r\n" + header + "\r\n");
  };
  EXPECT_THAT(get(""), HasSubstr("401"));
  EXPECT_THAT(get(""), Not(HasSubstr("cookix_")));
  // metrics:wrong, metrics:s3cret
  EXPECT_THAT(get("Authorization: Basic bWV0cmljczp3cm9uZw==\r\n"), HasSubstr("401"));
  EXPECT_THAT(get("Authorization: Basic bWV0cmljczpzM2NyZXQ=\r\n"), HasSubstr("cookix_rpc"));
}

// --- Starting, or not ---

class StartTest : public ServerFixture {
 protected:
  absl::Status StartError(const Config& config) {
    auto server = Server::Start(config, *log_);
    EXPECT_FALSE(server.ok());
    return server.status();
  }
  static std::string FieldOf(const absl::Status& status) {
    const auto detail = GetErrorDetail(status);
    EXPECT_TRUE(detail.has_value() && !detail->remedy.empty()) << status;
    return detail.has_value() ? detail->field : "";
  }
};

TEST_F(StartTest, ReachBeyondTheMachineNeedsKeysAndTls) {
  Config config = TestConfig();
  config.listen = "0.0.0.0:0";
  absl::Status status = StartError(config);
  EXPECT_EQ(FieldOf(status), "listen");
  EXPECT_THAT(std::string(status.message()), HasSubstr("TLS"));
  config.allow_plaintext = true;
  status = StartError(config);
  EXPECT_EQ(FieldOf(status), "listen");
  EXPECT_THAT(std::string(status.message()), HasSubstr("without keys"));
  config.insecure = true;
  Start(config);
  EXPECT_GT(server_->port(), 0);
  Stop();
  config.insecure = false;
  config.auth = "on";
  config.bootstrap_admin_key_file = testing::TempDir() + "/reach.key";
  std::filesystem::remove(config.bootstrap_admin_key_file);
  Start(config);
  EXPECT_GT(server_->port(), 0);
}

TEST_F(StartTest, MetricsBeyondTheMachineNeedAPassword) {
  Config config = TestConfig();
  config.metrics_listen = "0.0.0.0:0";
  EXPECT_EQ(FieldOf(StartError(config)), "metrics_listen");
  config.allow_anonymous_metrics = true;
  Start(config);
  EXPECT_GT(server_->metrics_port(), 0);
}

TEST_F(StartTest, TheFirstKeyIsWrittenForItsOwnerOnly) {
  Config config = TestConfig();
  config.bootstrap_admin_key_file = testing::TempDir() + "/first.key";
  std::filesystem::remove(config.bootstrap_admin_key_file);
  const std::string log_file = testing::TempDir() + "/first.log";
  std::filesystem::remove(log_file);
  log_ = *Log::Open(LogLevel::kDebug, log_file);
  Start(config);
  std::string secret = ReadFile(config.bootstrap_admin_key_file);
  ASSERT_FALSE(secret.empty());
  EXPECT_EQ(secret.back(), '\n');
  secret.pop_back();
  struct stat info {};
  ASSERT_EQ(stat(config.bootstrap_admin_key_file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  v1::ListKeysResponse keys;
  auto stub = Stub<v1::SecurityService>();
  ASSERT_TRUE(stub->ListKeys(Context(secret).get(), v1::ListKeysRequest(), &keys).ok());
  ASSERT_EQ(keys.keys_size(), 1);
  EXPECT_EQ(stub->ListKeys(Context().get(), v1::ListKeysRequest(), &keys).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(stub->ListKeys(Context(secret + "x").get(), v1::ListKeysRequest(), &keys).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  Stop();
  log_->Flush();
  // The log names the key, never its secret, not even a wrong one.
  const std::string log_text = ReadFile(log_file);
  EXPECT_THAT(log_text, HasSubstr(keys.keys(0).id()));
  EXPECT_THAT(log_text, Not(HasSubstr(secret.substr(21, 16))));
  // An existing file is never overwritten.
  EXPECT_EQ(FieldOf(StartError(config)), "bootstrap_admin_key_file");
  EXPECT_EQ(ReadFile(config.bootstrap_admin_key_file), secret + "\n");
}

TEST_F(StartTest, RequiredKeysNeedAFirstOne) {
  Config config = TestConfig();
  config.auth = "on";
  EXPECT_EQ(FieldOf(StartError(config)), "bootstrap_admin_key_file");
}

TEST_F(StartTest, PortsInUseAreNamed) {
  Config config = TestConfig();
  config.metrics_listen = "127.0.0.1:0";
  Start(config);
  Config second = TestConfig();
  second.listen = target();
  absl::Status status = StartError(second);
  EXPECT_EQ(FieldOf(status), "listen");
  EXPECT_THAT(std::string(status.message()), HasSubstr(target()));
  second = TestConfig();
  second.metrics_listen = "127.0.0.1:" + std::to_string(server_->metrics_port());
  EXPECT_EQ(FieldOf(StartError(second)), "metrics_listen");
}

TEST_F(StartTest, DataDirectoriesThatDoNotWorkAreNamed) {
  const std::string directory = testing::TempDir() + "/data_dirs";
  std::filesystem::remove_all(directory);
  Config config = TestConfig();
  config.in_memory = false;
  config.data_dir = directory;
  config.create_data_dir = false;
  EXPECT_EQ(FieldOf(StartError(config)), "data_dir");
  config.create_data_dir = true;
  Start(config);
  // Locked by the first.
  EXPECT_EQ(FieldOf(StartError(config)), "data_dir");
  Stop();
  config.data_dir = directory + "/file";
  std::ofstream(config.data_dir) << "x";
  EXPECT_EQ(FieldOf(StartError(config)), "data_dir");
  std::filesystem::remove_all(directory);
}

TEST_F(StartTest, DataOutlivesTheServer) {
  const std::string directory = testing::TempDir() + "/outlives";
  std::filesystem::remove_all(directory);
  Config config = TestConfig();
  config.in_memory = false;
  config.data_dir = directory;
  config.port_file = testing::TempDir() + "/outlives.port";
  config.pid_file = testing::TempDir() + "/outlives.pid";
  Start(config);
  EXPECT_EQ(ReadFile(config.port_file), std::to_string(server_->port()) + "\n");
  EXPECT_EQ(ReadFile(config.pid_file), std::to_string(getpid()) + "\n");
  v1::PutObjectRequest put;
  v1::PutObjectResponse put_response;
  put.mutable_write()->mutable_object()->mutable_ref()->set_key("kept");
  ASSERT_TRUE(Stub<v1::ObjectService>()->PutObject(Context().get(), put, &put_response).ok());
  const std::string secret = MakeKey("*", v1::ROLE_ADMIN);
  Stop();
  EXPECT_FALSE(std::filesystem::exists(config.port_file));
  Start(config);
  v1::GetObjectRequest get;
  v1::GetObjectResponse response;
  get.mutable_ref()->set_key("kept");
  EXPECT_EQ(Stub<v1::ObjectService>()->GetObject(Context().get(), get, &response).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(Stub<v1::ObjectService>()->GetObject(Context(secret).get(), get, &response).ok());
  Stop();
  std::filesystem::remove_all(directory);
}

TEST_F(StartTest, UnixSockets) {
  // The tests' own directory may have a longer name than a socket can.
  std::string directory = "/tmp/cookix-socket-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string path = directory + "/s.sock";
  Config config = TestConfig();
  config.listen = "unix:" + path;
  Start(config);
  EXPECT_EQ(server_->port(), 0);
  channel_ = grpc::CreateChannel(config.listen, grpc::InsecureChannelCredentials());
  v1::GetInfoResponse info;
  EXPECT_TRUE(Stub<v1::AdminService>()->GetInfo(Context().get(), v1::GetInfoRequest(), &info).ok());
  Stop();
  std::filesystem::remove_all(directory);
}

TEST_F(StartTest, ReflectionDescribesTheServerWhenSwitchedOn) {
  Config config = TestConfig();
  config.reflection = true;
  Start(config);
  const std::string secret = MakeKey("default", v1::ROLE_READ);
  const std::string list("\x3a\x01*", 3);  // list_services = "*"
  for (const char* version : {"v1", "v1alpha"}) {
    const std::string method =
        std::string("grpc.reflection.") + version + ".ServerReflection/ServerReflectionInfo";
    std::string answer;
    CallRaw(method, list, Context(secret).get(), &answer);
    EXPECT_THAT(answer, HasSubstr("cookix.v1.ObjectService"));
    EXPECT_THAT(answer, HasSubstr("grpc.health.v1.Health"));
    answer.clear();
    const std::string symbol = "cookix.v1.GraphService";
    CallRaw(method, "\x22" + std::string(1, static_cast<char>(symbol.size())) + symbol,
            Context(secret).get(), &answer);
    EXPECT_THAT(answer, HasSubstr("TraverseRequest"));
    answer.clear();
    const std::string internal = "cookix.internal.v1.KeyRecord";
    CallRaw(method, "\x22" + std::string(1, static_cast<char>(internal.size())) + internal,
            Context(secret).get(), &answer);
    EXPECT_THAT(answer, Not(HasSubstr("previous_hash")));
    // With keys in force it needs one like everything else.
    EXPECT_EQ(CallRaw(method, list, Context().get()).error_code(),
              grpc::StatusCode::UNAUTHENTICATED);
  }
}

}  // namespace
}  // namespace cookix::server
