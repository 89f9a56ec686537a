// Stopping, restarting, cancelling.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/support/requests.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_server.h"

namespace cookix::tests {
namespace {

using ::testing::AnyOf;
using ::testing::Eq;
using Clock = std::chrono::steady_clock;

std::unique_ptr<TestServer> StartServer(std::vector<std::string> flags = {}) {
  TestServerOptions options;
  options.flags = std::move(flags);
  auto server = TestServer::Start(options);
  EXPECT_TRUE(server.ok()) << server.status();
  return server.ok() ? std::move(server).value() : nullptr;
}

int64_t Count(client::Client& client) {
  v1::CountObjectsResponse response;
  EXPECT_OK(client.CountObjects({}, &response));
  return response.count();
}

// Everyone knows everyone: walks without end.
void PutDenseGraph(client::Client& client, int objects) {
  for (int i = 0; i < objects; ++i) {
    v1::PutObjectRequest request = PutRequest(absl::StrCat("n", i));
    for (int j = 0; j < objects; ++j) {
      if (i == j) continue;
      *request.mutable_write()->add_edges() =
          MakeEdge(absl::StrCat("n", i), "similar_to", absl::StrCat("n", j), 1.0 + j % 7);
    }
    v1::PutObjectResponse response;
    ASSERT_OK(client.PutObject(request, &response));
  }
}

TEST(LifecycleTest, DataOutlivesTheServer) {
  auto server = StartServer();
  ASSERT_NE(server, nullptr);
  v1::PutObjectResponse put;
  ASSERT_OK(server->Connect()->PutObject(PutRequest("a", "kept"), &put));
  EXPECT_EQ(server->Terminate().code, 0);
  ASSERT_OK(server->Restart());
  v1::GetObjectRequest get = GetRequest("a");
  get.mutable_options()->set_min_position(put.result().position());
  v1::GetObjectResponse got;
  ASSERT_OK(server->Connect()->GetObject(get, &got));
  EXPECT_EQ(got.object().content(), "kept");
  EXPECT_EQ(got.object().version(), put.result().commit());
}

TEST(LifecycleTest, InterruptEndsItToo) {
  auto server = StartServer();
  ASSERT_NE(server, nullptr);
  server->Signal(SIGINT);
  EXPECT_EQ(server->Wait().code, 0);
}

TEST(LifecycleTest, TerminatedInTheMiddleOfAnImport) {
  auto server = StartServer();
  ASSERT_NE(server, nullptr);
  const auto client = server->Connect();
  auto writer = client->OpenBulkWriter(8);
  ASSERT_TRUE(writer.ok()) << writer.status();
  std::atomic<int64_t> sent{0};
  std::thread stopper([&] {
    while (sent.load() < 200) std::this_thread::yield();
    server->Signal(SIGTERM);
  });
  // Two objects a write, so that a half-applied one would show.
  absl::Status status;
  for (int i = 0; status.ok() && i < 1'000'000; ++i) {
    v1::WriteRequest write;
    *write.add_mutations()->mutable_put_object() = MakeObject(absl::StrCat("a", i));
    *write.add_mutations()->mutable_put_object() = MakeObject(absl::StrCat("b", i));
    status = (*writer)->Write(std::move(write));
    ++sent;
  }
  stopper.join();
  EXPECT_FALSE(status.ok());
  EXPECT_FALSE((*writer)->Finish().ok());
  const int64_t acknowledged = (*writer)->acknowledged();
  EXPECT_EQ(server->Wait().code, 0) << server->Output();
  ASSERT_OK(server->Restart());
  const auto again = server->Connect();
  const int64_t count = Count(*again);
  EXPECT_EQ(count % 2, 0);
  EXPECT_GE(count / 2, acknowledged);
  for (const char* side : {"a", "b"}) {
    v1::GetObjectResponse got;
    if (acknowledged > 0) {
      EXPECT_OK(again->GetObject(GetRequest(absl::StrCat(side, acknowledged - 1)), &got));
    }
    EXPECT_EQ(again->GetObject(GetRequest(absl::StrCat(side, count / 2)), &got).code(),
              absl::StatusCode::kNotFound);
  }
}

TEST(LifecycleTest, DeadlinesStopLongWalks) {
  auto server = StartServer();
  ASSERT_NE(server, nullptr);
  PutDenseGraph(*server->Connect(), 300);
  // A chain of any relations has no settled set to end it early.
  v1::QueryRequest query;
  *query.mutable_anchor() = Ref("n0");
  for (int i = 0; i < 16; ++i) query.add_chain("");
  query.set_limit(10'000);
  const auto hurried = server->Connect("", 1, /*timeout_ms=*/30);
  const auto begin = Clock::now();
  v1::QueryResponse answer;
  const absl::Status status = hurried->Query(query, &answer);
  EXPECT_THAT(status.code(),
              AnyOf(Eq(absl::StatusCode::kDeadlineExceeded), Eq(absl::StatusCode::kOk)))
      << status;
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(5));
  // The server is free again soon: nothing runs on.
  const auto client = server->Connect();
  for (int attempt = 0;; ++attempt) {
    v1::ListQueriesResponse queries;
    ASSERT_OK(client->ListQueries({}, &queries));
    int others = 0;
    for (const v1::RunningQuery& running : queries.queries()) {
      if (running.method().find("ReasoningService") != std::string::npos) ++others;
    }
    if (others == 0) break;
    ASSERT_LT(attempt, 500) << "a query runs on after its deadline";
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

TEST(LifecycleTest, ReadOnlyModeRefusesWritesAndAnswersReads) {
  auto server = StartServer();
  ASSERT_NE(server, nullptr);
  const auto client = server->Connect();
  v1::PutObjectResponse put;
  ASSERT_OK(client->PutObject(PutRequest("a"), &put));
  v1::SetReadOnlyRequest mode;
  mode.set_read_only(true);
  v1::SetReadOnlyResponse now;
  ASSERT_OK(client->SetReadOnly(mode, &now));
  EXPECT_TRUE(HasReason(client->PutObject(PutRequest("b"), &put),
                        absl::StatusCode::kFailedPrecondition, "READ_ONLY"));
  EXPECT_EQ(Count(*client), 1);
  mode.set_read_only(false);
  ASSERT_OK(client->SetReadOnly(mode, &now));
  EXPECT_OK(client->PutObject(PutRequest("b"), &put));
}

TEST(LifecycleTest, EverySyncModeKeepsDataOverAKill) {
  for (const char* mode : {"full", "normal", "off"}) {
    auto server = StartServer({absl::StrCat("--sync_mode=", mode)});
    ASSERT_NE(server, nullptr);
    v1::GetInfoResponse info;
    ASSERT_OK(server->Connect()->GetInfo({}, &info));
    EXPECT_EQ(info.sync_mode(), mode);
    for (int i = 0; i < 20; ++i) {
      v1::PutObjectResponse put;
      ASSERT_OK(server->Connect()->PutObject(PutRequest(absl::StrCat("k", i)), &put));
    }
    server->Kill();
    ASSERT_OK(server->Restart());
    EXPECT_EQ(Count(*server->Connect()), 20) << mode;
  }
}

TEST(LifecycleTest, ACheckpointIsAStore) {
  auto server = StartServer();
  ASSERT_NE(server, nullptr);
  const auto client = server->Connect();
  for (int i = 0; i < 10; ++i) {
    v1::PutObjectResponse put;
    ASSERT_OK(client->PutObject(PutRequest(absl::StrCat("k", i)), &put));
  }
  v1::CreateCheckpointRequest request;
  request.set_name("first");
  v1::CreateCheckpointResponse checkpoint;
  ASSERT_OK(client->CreateCheckpoint(request, &checkpoint));
  v1::CreateCheckpointResponse second;
  EXPECT_TRUE(HasField(client->CreateCheckpoint(request, &second), absl::StatusCode::kAlreadyExists,
                       "ALREADY_EXISTS", "name"));
  v1::PutObjectResponse put;
  ASSERT_OK(client->PutObject(PutRequest("later"), &put));
  TestServerOptions options;
  options.data_dir = checkpoint.path();
  auto copy = TestServer::Start(options);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(Count(*(*copy)->Connect()), 10);
}

TEST(LifecycleTest, InMemoryServersForgetAndSaySo) {
  auto server = StartServer({"--in_memory"});
  ASSERT_NE(server, nullptr);
  v1::PutObjectResponse put;
  ASSERT_OK(server->Connect()->PutObject(PutRequest("a"), &put));
  v1::GetInfoResponse info;
  ASSERT_OK(server->Connect()->GetInfo({}, &info));
  EXPECT_TRUE(info.in_memory());
  EXPECT_EQ(server->Terminate().code, 0);
  ASSERT_OK(server->Restart());
  EXPECT_EQ(Count(*server->Connect()), 0);
}

}  // namespace
}  // namespace cookix::tests
