// The change feed over gRPC: who may watch, how a watch ends, and how another one goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cookix/v1/watch_service.grpc.pb.h"
#include "engine/database.h"
#include "server/server_fixture.h"

namespace cookix::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// One watch, read message by message.
class Watch {
 public:
  Watch(const std::shared_ptr<grpc::Channel>& channel, std::unique_ptr<grpc::ClientContext> context,
        const v1::WatchRequest& request)
      : context_(std::move(context)),
        stub_(v1::WatchService::NewStub(channel)),
        reader_(stub_->Watch(context_.get(), request)) {}
  ~Watch() { End(); }

  // False when there is no more.
  bool Next() { return reader_->Read(&message_); }
  // Reads until the changes of `commit` were told; their keys.
  std::vector<std::string> KeysUpTo(int64_t commit) {
    std::vector<std::string> keys;
    while (message_.commit() < commit && Next()) {
      for (const v1::CommitChanges& changes : message_.commits()) {
        for (const v1::Change& change : changes.changes()) {
          keys.push_back(change.object().ref().key());
        }
      }
    }
    return keys;
  }
  const v1::WatchResponse& message() const { return message_; }

  grpc::Status Status() {
    while (Next()) {
    }
    finished_ = true;
    return reader_->Finish();
  }
  void End() {
    if (finished_) return;
    context_->TryCancel();
    Status();
  }

 private:
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<v1::WatchService::Stub> stub_;
  std::unique_ptr<grpc::ClientReader<v1::WatchResponse>> reader_;
  v1::WatchResponse message_;
  bool finished_ = false;
};

class WatchServiceTest : public ServerFixture {
 protected:
  // The commit; 0 when it failed.
  int64_t Put(const std::string& key, const std::string& content = "",
              const std::string& secret = "") {
    v1::PutObjectRequest request;
    request.mutable_write()->mutable_object()->mutable_ref()->set_key(key);
    request.mutable_write()->mutable_object()->set_content(content);
    v1::PutObjectResponse response;
    const grpc::Status status =
        Stub<v1::ObjectService>()->PutObject(Context(secret).get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.result().commit();
  }

  std::unique_ptr<Watch> Open(const v1::WatchRequest& request, const std::string& secret = "") {
    return std::make_unique<Watch>(NewChannel(), Context(secret), request);
  }

  static v1::WatchRequest After(const std::string& position) {
    v1::WatchRequest request;
    request.set_after_position(position);
    return request;
  }
};

TEST_F(WatchServiceTest, TellsWritesAsTheyHappenAndGoesOn) {
  Config config = TestConfig();
  config.metrics_listen = "127.0.0.1:0";
  Start(config);
  Put("before");
  const auto watch = Open(v1::WatchRequest());
  ASSERT_TRUE(watch->Next());
  EXPECT_EQ(watch->message().commits_size(), 0);
  const std::string start = watch->message().position();
  const int64_t a = Put("a");
  EXPECT_THAT(watch->KeysUpTo(a), ElementsAre("a"));
  EXPECT_THAT(MetricsText(), HasSubstr("cookix_watches 1"));
  const std::string after_a = watch->message().position();
  const int64_t b = Put("b");
  EXPECT_THAT(watch->KeysUpTo(b), ElementsAre("b"));
  watch->End();
  // Elsewhere, from what was told.
  const int64_t c = Put("c");
  EXPECT_THAT(Open(After(after_a))->KeysUpTo(c), ElementsAre("b", "c"));
  EXPECT_THAT(Open(After(start))->KeysUpTo(c), ElementsAre("a", "b", "c"));
  ASSERT_TRUE(
      Eventually([&] { return MetricsText().find("cookix_watches 0") != std::string::npos; }));
  EXPECT_THAT(MetricsText(), HasSubstr("cookix_watch_changes_total 7"));
  EXPECT_THAT(MetricsText(), HasSubstr("cookix_watches_dropped_total 0"));
}

TEST_F(WatchServiceTest, RefusesWhatItCannotWatch) {
  Start(TestConfig());
  const auto refused = [&](const v1::WatchRequest& request, grpc::StatusCode code,
                           const std::string& reason, const std::string& field) {
    const grpc::Status status = Open(request)->Status();
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    const google::rpc::ErrorInfo info = ErrorInfoOf(status);
    EXPECT_EQ(info.reason(), reason);
    EXPECT_EQ(info.metadata().at("field"), field);
  };
  v1::WatchRequest request;
  request.set_namespace_("none");
  refused(request, grpc::StatusCode::NOT_FOUND, "NAMESPACE_NOT_FOUND", "namespace");
  request = {};
  request.mutable_objects()->add_collections("none");
  refused(request, grpc::StatusCode::NOT_FOUND, "COLLECTION_NOT_FOUND", "objects.collections");
  request = {};
  request.mutable_objects()->mutable_filter()->mutable_comparison()->set_field("x");
  refused(request, grpc::StatusCode::INVALID_ARGUMENT, "INVALID_FIELD",
          "objects.filter.comparison.value");
  request = After("junk");
  refused(request, grpc::StatusCode::INVALID_ARGUMENT, "INVALID_FIELD", "after_position");
  const auto watch = Open(v1::WatchRequest());
  ASSERT_TRUE(watch->Next());
  request = {};
  request.set_after_commit(watch->message().commit() + 1);
  request.set_wait_ms(1);
  refused(request, grpc::StatusCode::UNAVAILABLE, "POSITION_NOT_REACHED", "after_commit");
  const std::string position = watch->message().position();
  watch->End();
  // The same server with another store.
  Stop();
  Start(TestConfig());
  refused(After(position), grpc::StatusCode::FAILED_PRECONDITION, "POSITION_UNKNOWN",
          "after_position");
}

TEST_F(WatchServiceTest, SaysWhenThePositionHasLeftTheLog) {
  Config config = TestConfig();
  config.log_ring_mb = 1;
  config.wal_keep_mb = 1;
  Start(config);
  const int64_t first = Put("first");
  for (int i = 0; i < 8; ++i) {
    Put("k" + std::to_string(i), std::string(1'000'000, 'x'));
    ASSERT_TRUE(server_->database().store().Flush().ok());
  }
  Put("last");
  v1::WatchRequest request;
  request.set_after_commit(first);
  const grpc::Status status = Open(request)->Status();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE) << status.error_message();
  EXPECT_EQ(ErrorInfoOf(status).reason(), "POSITION_EXPIRED");
}

TEST_F(WatchServiceTest, NeedsAKeyForTheNamespace) {
  Start(TestConfig());
  const std::string admin = MakeKey("*", v1::ROLE_ADMIN);
  const std::string other = MakeKey("other", v1::ROLE_READ);
  std::string id;
  const std::string reader = MakeKey("default", v1::ROLE_READ, 0, &id);
  EXPECT_EQ(Open(v1::WatchRequest())->Status().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Open(v1::WatchRequest(), other)->Status().error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  const auto watch = Open(v1::WatchRequest(), reader);
  ASSERT_TRUE(watch->Next());
  EXPECT_THAT(watch->KeysUpTo(Put("a", "", admin)), ElementsAre("a"));
  // Nothing is told any more once the key is revoked.
  ASSERT_TRUE(server_->database().keys().Revoke(id).ok());
  Put("b", "", admin);
  EXPECT_FALSE(watch->Next());
  EXPECT_EQ(watch->Status().error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(WatchServiceTest, LimitsHowManyWatch) {
  Config config = TestConfig();
  config.max_watches = 2;
  Start(config);
  auto first = Open(v1::WatchRequest());
  const auto second = Open(v1::WatchRequest());
  ASSERT_TRUE(first->Next());
  ASSERT_TRUE(second->Next());
  const grpc::Status status = Open(v1::WatchRequest())->Status();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "OVERLOADED");
  first->End();
  EXPECT_TRUE(Eventually([&] { return Open(v1::WatchRequest())->Next(); }));
}

TEST_F(WatchServiceTest, DropsASlowClientAndSaysSo) {
  Config config = TestConfig();
  // It has as long again to take why it was dropped.
  config.stream_stall_ms = 2000;
  config.metrics_listen = "127.0.0.1:0";
  // So that what it missed is still there.
  config.log_ring_mb = 512;
  Start(config);
  // More than the connection takes in while nobody reads.
  v1::WatchRequest request;
  request.set_after_commit(Put("before"));
  std::vector<std::string> keys;
  int64_t last = 0;
  for (int i = 0; i < 48; ++i) {
    keys.push_back("k" + std::to_string(i));
    last = Put(keys.back(), std::string(1'000'000, 'x'));
  }
  const auto watch = Open(request);
  ASSERT_TRUE(watch->Next());
  ASSERT_EQ(watch->message().commits_size(), 0);
  const auto dropped = [&] {
    return MetricsText().find("cookix_watches_dropped_total 1") != std::string::npos;
  };
  ASSERT_TRUE(Eventually(dropped));
  // What was sent arrives, then why it ends.
  std::vector<std::string> told = watch->KeysUpTo(last);
  EXPECT_LT(told.size(), keys.size());
  const std::string position = watch->message().position();
  const grpc::Status status = watch->Status();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
  EXPECT_EQ(ErrorInfoOf(status).reason(), "WATCH_TOO_SLOW");
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("retryable"), "true");
  for (std::string& key : Open(After(position))->KeysUpTo(last)) told.push_back(std::move(key));
  EXPECT_EQ(told, keys);
}

TEST_F(WatchServiceTest, BreaksOffWhenASlowClientStaysSo) {
  Config config = TestConfig();
  config.stream_stall_ms = 100;
  Start(config);
  const auto watch = Open(v1::WatchRequest());
  ASSERT_TRUE(watch->Next());
  for (int i = 0; i < 48; ++i) Put("k" + std::to_string(i), std::string(1'000'000, 'x'));
  // Its thread is free in the end, though it never reads.
  ASSERT_TRUE(Eventually([&] {
    v1::ListQueriesResponse response;
    const grpc::Status status =
        Stub<v1::AdminService>()->ListQueries(Context().get(), v1::ListQueriesRequest(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.queries_size() == 0;
  }));
  Stop();
}

TEST_F(WatchServiceTest, CanBeStoppedByAnOperator) {
  Start(TestConfig());
  const auto watch = Open(v1::WatchRequest());
  ASSERT_TRUE(watch->Next());
  v1::ListQueriesResponse running;
  ASSERT_TRUE(Stub<v1::AdminService>()
                  ->ListQueries(Context().get(), v1::ListQueriesRequest(), &running)
                  .ok());
  ASSERT_EQ(running.queries_size(), 1);
  EXPECT_EQ(running.queries(0).method(), "cookix.v1.WatchService/Watch");
  v1::CancelQueryRequest request;
  request.set_id(running.queries(0).id());
  v1::CancelQueryResponse response;
  ASSERT_TRUE(Stub<v1::AdminService>()->CancelQuery(Context().get(), request, &response).ok());
  const grpc::Status status = watch->Status();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "QUERY_CANCELLED");
}

TEST_F(WatchServiceTest, EndsWithTheServerAndGoesOnAfterARestart) {
  const std::string directory = testing::TempDir() + "/watch-restart-" + std::to_string(getpid());
  std::filesystem::remove_all(directory);
  Config config = TestConfig();
  config.in_memory = false;
  config.data_dir = directory;
  Start(config);
  const auto watch = Open(v1::WatchRequest());
  ASSERT_TRUE(watch->Next());
  const int64_t a = Put("a");
  EXPECT_THAT(watch->KeysUpTo(a), ElementsAre("a"));
  const std::string position = watch->message().position();
  Put("b");
  server_->Shutdown();
  const grpc::Status status = watch->Status();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  EXPECT_EQ(ErrorInfoOf(status).reason(), "SHUTTING_DOWN");
  Stop();
  Start(config);
  const int64_t c = Put("c");
  EXPECT_THAT(Open(After(position))->KeysUpTo(c), ElementsAre("b", "c"));
  Stop();
  std::filesystem::remove_all(directory);
}

TEST_F(WatchServiceTest, ReplicasTellTheSameAtTheSamePositions) {
  const std::string directory = testing::TempDir() + "/watch-replica-" + std::to_string(getpid());
  std::filesystem::remove_all(directory);
  Config config = TestConfig();
  config.in_memory = false;
  config.data_dir = directory + "/primary";
  config.sync_mode = "normal";
  Start(config);
  const int64_t before = Put("before");
  Config replica_config = config;
  replica_config.data_dir = directory + "/replica";
  replica_config.replica_of = target();
  auto replica = Server::Start(replica_config, *log_);
  ASSERT_TRUE(replica.ok()) << replica.status();
  const auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string((*replica)->port()),
                                           grpc::InsecureChannelCredentials());
  const auto on_replica = [&](v1::WatchRequest request) {
    request.set_wait_ms(30'000);
    return std::make_unique<Watch>(channel, Context(), request);
  };
  // A primary's position: the replica waits until it is there.
  const auto there = Open(v1::WatchRequest());
  ASSERT_TRUE(there->Next());
  std::unique_ptr<Watch> here;
  ASSERT_TRUE(Eventually([&] {
    here = on_replica(After(there->message().position()));
    return here->Next();
  }));
  EXPECT_EQ(here->message().position(), there->message().position());
  int64_t last = 0;
  for (int i = 0; i < 50; ++i) last = Put("k" + std::to_string(i), "content");
  const auto messages = [&](Watch& watch) {
    std::string text;
    while (watch.message().commit() < last && watch.Next()) {
      for (const v1::CommitChanges& commit : watch.message().commits()) {
        text += commit.DebugString();
      }
    }
    return text;
  };
  const std::string told = messages(*there);
  EXPECT_THAT(told, HasSubstr("\"k49\""));
  EXPECT_EQ(messages(*here), told);
  EXPECT_EQ(here->message().position(), there->message().position());
  EXPECT_GT(last, before);
  here.reset();
  there->End();
  replica->reset();
  Stop();
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace cookix::server
