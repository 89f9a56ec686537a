// BulkWrite, InsertVectors and StreamObjects.
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "server/server_fixture.h"

namespace cookix::server {
namespace {

class StreamTest : public ServerFixture {
 protected:
  static v1::BulkWriteRequest PutOf(const std::string& key, int64_t sequence,
                                    const std::string& content = "") {
    v1::BulkWriteRequest request;
    request.set_sequence(sequence);
    auto& object =
        *request.mutable_write()->add_mutations()->mutable_put_object()->mutable_object();
    object.mutable_ref()->set_key(key);
    object.set_content(content);
    return request;
  }

  // Gives the default collection a field "v" of two components.
  void AddVectorField() {
    v1::UpdateCollectionRequest request;
    v1::VectorField* field = request.add_put_vector_fields();
    field->set_name("v");
    field->set_dimension(2);
    v1::UpdateCollectionResponse response;
    const grpc::Status status =
        Stub<v1::CatalogService>()->UpdateCollection(Context().get(), request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(response.collection().vector_fields_size(), 1);
  }

  static v1::InsertVectorsRequest VectorsOf(const std::vector<std::string>& keys,
                                            int64_t sequence) {
    v1::InsertVectorsRequest request;
    request.set_sequence(sequence);
    for (const std::string& key : keys) {
      request.add_keys(key);
      request.add_values(static_cast<float>(sequence));
      request.add_values(1);
    }
    return request;
  }

  int64_t Count(const std::string& secret = "") {
    v1::CountObjectsResponse response;
    const grpc::Status status = Stub<v1::ObjectService>()->CountObjects(
        Context(secret).get(), v1::CountObjectsRequest(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.count();
  }

  size_t RunningStreams() {
    v1::ListQueriesResponse response;
    EXPECT_TRUE(Stub<v1::AdminService>()
                    ->ListQueries(Context().get(), v1::ListQueriesRequest(), &response)
                    .ok());
    return static_cast<size_t>(response.queries_size());
  }

  // More than the transport holds for a client that does not read.
  void PutMuch() {
    auto stub = Stub<v1::ObjectService>();
    auto context = Context();
    auto stream = stub->BulkWrite(context.get());
    std::thread reader([&] {
      v1::BulkWriteResponse response;
      while (stream->Read(&response)) {
      }
    });
    for (int i = 0; i < 64; ++i) {
      ASSERT_TRUE(stream->Write(PutOf("big" + std::to_string(i), i, std::string(512 << 10, 'x'))));
    }
    stream->WritesDone();
    reader.join();
    const grpc::Status status = stream->Finish();
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
};

TEST_F(StreamTest, BulkWritesAreAnsweredInOrder) {
  Start(TestConfig());
  auto context = Context();
  auto stream = Stub<v1::ObjectService>()->BulkWrite(context.get());
  constexpr int kWrites = 300;
  std::thread writer([&] {
    for (int i = 0; i < kWrites; ++i) {
      if (!stream->Write(PutOf("k" + std::to_string(i), 1000 + i))) break;
    }
    stream->WritesDone();
  });
  v1::BulkWriteResponse response;
  int64_t commit = 0;
  for (int i = 0; i < kWrites; ++i) {
    ASSERT_TRUE(stream->Read(&response)) << i;
    EXPECT_EQ(response.sequence(), 1000 + i);
    EXPECT_GT(response.result().commit(), commit);
    commit = response.result().commit();
  }
  EXPECT_FALSE(stream->Read(&response));
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(Count(), kWrites);
}

TEST_F(StreamTest, NothingAfterTheFirstFailureIsApplied) {
  Start(TestConfig());
  auto context = Context();
  auto stream = Stub<v1::ObjectService>()->BulkWrite(context.get());
  for (int i = 0; i < 5; ++i) stream->Write(PutOf("good" + std::to_string(i), i));
  stream->Write(PutOf("", 5));
  for (int i = 6; i < 12; ++i) stream->Write(PutOf("late" + std::to_string(i), i));
  stream->WritesDone();
  v1::BulkWriteResponse response;
  int answers = 0;
  while (stream->Read(&response)) EXPECT_EQ(response.sequence(), answers++);
  EXPECT_EQ(answers, 5);
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "INVALID_FIELD");
  EXPECT_EQ(Count(), 5);
}

TEST_F(StreamTest, AnEmptyStreamIsFine) {
  Start(TestConfig());
  auto context = Context();
  auto stream = Stub<v1::ObjectService>()->BulkWrite(context.get());
  stream->WritesDone();
  v1::BulkWriteResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(StreamTest, VectorsAreInsertedInOrder) {
  Start(TestConfig());
  AddVectorField();
  auto context = Context();
  auto stream = Stub<v1::SearchService>()->InsertVectors(context.get());
  constexpr int kRequests = 50;
  std::thread writer([&] {
    for (int i = 0; i < kRequests; ++i) {
      if (!stream->Write(VectorsOf({"same", "k" + std::to_string(i)}, 100 + i))) break;
    }
    stream->WritesDone();
  });
  v1::InsertVectorsResponse response;
  int64_t commit = 0;
  for (int i = 0; i < kRequests; ++i) {
    ASSERT_TRUE(stream->Read(&response)) << i;
    EXPECT_EQ(response.sequence(), 100 + i);
    EXPECT_GT(response.result().commit(), commit);
    EXPECT_EQ(response.created_count(), i == 0 ? 2 : 1);
    commit = response.result().commit();
  }
  EXPECT_FALSE(stream->Read(&response));
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(Count(), kRequests + 1);
  v1::GetObjectRequest get;
  get.mutable_ref()->set_key("same");
  get.mutable_mask()->set_with_vectors(true);
  v1::GetObjectResponse got;
  ASSERT_TRUE(Stub<v1::ObjectService>()->GetObject(Context().get(), get, &got).ok());
  EXPECT_EQ(got.object().version(), commit);
  EXPECT_EQ(got.object().vectors().at("v").values(0), 100 + kRequests - 1);
}

TEST_F(StreamTest, NoVectorsAreInsertedAfterTheFirstFailure) {
  Start(TestConfig());
  AddVectorField();
  auto context = Context();
  auto stream = Stub<v1::SearchService>()->InsertVectors(context.get());
  for (int i = 0; i < 3; ++i) stream->Write(VectorsOf({"good" + std::to_string(i)}, i));
  v1::InsertVectorsRequest bad = VectorsOf({"bad"}, 3);
  bad.add_values(1);
  stream->Write(bad);
  for (int i = 4; i < 8; ++i) stream->Write(VectorsOf({"late" + std::to_string(i)}, i));
  stream->WritesDone();
  v1::InsertVectorsResponse response;
  int answers = 0;
  while (stream->Read(&response)) EXPECT_EQ(response.sequence(), answers++);
  EXPECT_EQ(answers, 3);
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("field"), "values");
  EXPECT_EQ(Count(), 3);
}

TEST_F(StreamTest, VectorsNeedTheRoleOnTheirNamespace) {
  Start(TestConfig());
  AddVectorField();
  MakeKey("*", v1::ROLE_ADMIN);
  const std::string writer = MakeKey("default", v1::ROLE_WRITE);
  auto context = Context(writer);
  auto stream = Stub<v1::SearchService>()->InsertVectors(context.get());
  stream->Write(VectorsOf({"a"}, 1));
  v1::InsertVectorsResponse response;
  ASSERT_TRUE(stream->Read(&response));
  v1::InsertVectorsRequest elsewhere = VectorsOf({"b"}, 2);
  elsewhere.set_namespace_("other");
  stream->Write(elsewhere);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(StreamTest, RolesAreCheckedForEachWrite) {
  Start(TestConfig());
  const std::string admin = MakeKey("*", v1::ROLE_ADMIN);
  std::string id;
  const std::string writer = MakeKey("default", v1::ROLE_WRITE, 0, &id);
  {
    auto context = Context(writer);
    auto stream = Stub<v1::ObjectService>()->BulkWrite(context.get());
    stream->Write(PutOf("a", 1));
    v1::BulkWriteResponse response;
    ASSERT_TRUE(stream->Read(&response));
    auto elsewhere = PutOf("b", 2);
    elsewhere.mutable_write()->set_namespace_("other");
    stream->Write(elsewhere);
    EXPECT_FALSE(stream->Read(&response));
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::PERMISSION_DENIED);
  }
  {
    // A key that is revoked stops its open streams.
    auto context = Context(writer);
    auto stream = Stub<v1::ObjectService>()->BulkWrite(context.get());
    stream->Write(PutOf("c", 1));
    v1::BulkWriteResponse response;
    ASSERT_TRUE(stream->Read(&response));
    ASSERT_TRUE(server_->database().keys().Revoke(id).ok());
    stream->Write(PutOf("d", 2));
    EXPECT_FALSE(stream->Read(&response));
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  }
  EXPECT_EQ(Count(admin), 2);
}

TEST_F(StreamTest, EachWriteCountsAgainstTheRate) {
  Start(TestConfig());
  MakeKey("*", v1::ROLE_ADMIN);
  const std::string slow = MakeKey("default", v1::ROLE_WRITE, 3);
  auto context = Context(slow);
  auto stream = Stub<v1::ObjectService>()->BulkWrite(context.get());
  for (int i = 0; i < 6; ++i) stream->Write(PutOf("k" + std::to_string(i), i));
  stream->WritesDone();
  v1::BulkWriteResponse response;
  int answers = 0;
  while (stream->Read(&response)) ++answers;
  EXPECT_EQ(answers, 3);
  EXPECT_EQ(ErrorInfoOf(stream->Finish()).reason(), "RATE_LIMITED");
}

TEST_F(StreamTest, ShutdownEndsOpenBulkStreamsAndKeepsWhatWasAnswered) {
  Start(TestConfig());
  auto context = Context();
  auto stream = Stub<v1::ObjectService>()->BulkWrite(context.get());
  stream->Write(PutOf("a", 1));
  v1::BulkWriteResponse response;
  ASSERT_TRUE(stream->Read(&response));
  // The stream is open and idle; the server does not wait for its grace to end.
  const auto start = std::chrono::steady_clock::now();
  server_->Shutdown();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(8));
  EXPECT_FALSE(stream->Read(&response));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "SHUTTING_DOWN");
}

TEST_F(StreamTest, MoreStreamsThanThreadsAllGetOn) {
  Config config = TestConfig();
  config.stream_threads = 2;
  Start(config);
  std::vector<std::thread> clients;
  std::atomic<int> finished{0};
  for (int t = 0; t < 8; ++t) {
    clients.emplace_back([&, t] {
      auto context = Context();
      auto stream = v1::ObjectService::NewStub(NewChannel())->BulkWrite(context.get());
      std::thread reader([&] {
        v1::BulkWriteResponse response;
        while (stream->Read(&response)) {
        }
      });
      for (int i = 0; i < 50; ++i) {
        if (!stream->Write(PutOf(std::to_string(t) + "-" + std::to_string(i), i))) break;
      }
      stream->WritesDone();
      reader.join();
      if (stream->Finish().ok()) ++finished;
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(finished, 8);
  EXPECT_EQ(Count(), 8 * 50);
}

TEST_F(StreamTest, MoreStreamsThanAllowedAreRefused) {
  Config config = TestConfig();
  config.max_streams = 2;
  Start(config);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<
      std::unique_ptr<grpc::ClientReaderWriter<v1::BulkWriteRequest, v1::BulkWriteResponse>>>
      streams;
  auto stub = Stub<v1::ObjectService>();
  for (int i = 0; i < 2; ++i) {
    contexts.push_back(Context());
    streams.push_back(stub->BulkWrite(contexts.back().get()));
    streams.back()->Write(PutOf("k" + std::to_string(i), i));
    v1::BulkWriteResponse response;
    ASSERT_TRUE(streams.back()->Read(&response));
  }
  auto context = Context();
  auto refused = stub->BulkWrite(context.get());
  v1::BulkWriteResponse response;
  EXPECT_FALSE(refused->Read(&response));
  EXPECT_EQ(ErrorInfoOf(refused->Finish()).reason(), "OVERLOADED");
  for (auto& stream : streams) {
    stream->WritesDone();
    EXPECT_TRUE(stream->Finish().ok());
  }
}

TEST_F(StreamTest, StreamsEveryObject) {
  Start(TestConfig());
  PutCompleteGraph(20);
  v1::StreamObjectsRequest request;
  request.set_with_edges(true);
  auto context = Context();
  auto reader = Stub<v1::ObjectService>()->StreamObjects(context.get(), request);
  v1::StreamObjectsResponse response;
  std::string last;
  int objects = 0;
  int edges = 0;
  while (reader->Read(&response)) {
    EXPECT_FALSE(response.position().empty());
    for (const auto& write : response.objects()) {
      EXPECT_GT(write.object().ref().key(), last);
      last = write.object().ref().key();
      ++objects;
      edges += write.edges_size();
    }
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(objects, 20);
  EXPECT_EQ(edges, 400);
}

TEST_F(StreamTest, AClientThatDoesNotReadHoldsTheScanBack) {
  Config config = TestConfig();
  config.limits.max_content_bytes = 1 << 20;
  Start(config);
  PutMuch();
  auto channel = NewChannel();
  auto context = Context();
  auto reader =
      v1::ObjectService::NewStub(channel)->StreamObjects(context.get(), v1::StreamObjectsRequest());
  ASSERT_TRUE(Eventually([&] { return RunningStreams() == 1; }));
  // Still there after the time it takes others to do work: it waits for the client.
  for (int i = 0; i < 50; ++i) EXPECT_EQ(Count(), 64);
  EXPECT_EQ(RunningStreams(), 1u);
  // And goes on when the client does.
  v1::StreamObjectsResponse response;
  int objects = 0;
  while (reader->Read(&response)) objects += response.objects_size();
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(objects, 64);
}

TEST_F(StreamTest, AStalledStreamIsEnded) {
  Config config = TestConfig();
  config.stream_stall_ms = 200;
  Start(config);
  PutMuch();
  auto channel = NewChannel();
  auto context = Context();
  auto reader =
      v1::ObjectService::NewStub(channel)->StreamObjects(context.get(), v1::StreamObjectsRequest());
  ASSERT_TRUE(Eventually([&] { return RunningStreams() == 1; }));
  EXPECT_TRUE(Eventually([&] { return RunningStreams() == 0; }));
  v1::StreamObjectsResponse response;
  while (reader->Read(&response)) {
  }
  EXPECT_FALSE(reader->Finish().ok());
}

TEST_F(StreamTest, StreamsCanBeCancelledFromBothSides) {
  Start(TestConfig());
  PutMuch();
  auto channel = NewChannel();
  {
    auto context = Context();
    auto reader = v1::ObjectService::NewStub(channel)->StreamObjects(context.get(),
                                                                     v1::StreamObjectsRequest());
    ASSERT_TRUE(Eventually([&] { return RunningStreams() == 1; }));
    context->TryCancel();
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
    EXPECT_TRUE(Eventually([&] { return RunningStreams() == 0; }));
  }
  {
    auto context = Context();
    auto reader = v1::ObjectService::NewStub(channel)->StreamObjects(context.get(),
                                                                     v1::StreamObjectsRequest());
    ASSERT_TRUE(Eventually([&] { return RunningStreams() == 1; }));
    v1::ListQueriesResponse queries;
    auto admin = Stub<v1::AdminService>();
    ASSERT_TRUE(admin->ListQueries(Context().get(), v1::ListQueriesRequest(), &queries).ok());
    v1::CancelQueryRequest cancel;
    v1::CancelQueryResponse cancelled;
    cancel.set_id(queries.queries(0).id());
    ASSERT_TRUE(admin->CancelQuery(Context().get(), cancel, &cancelled).ok());
    EXPECT_TRUE(Eventually([&] { return RunningStreams() == 0; }));
    v1::StreamObjectsResponse response;
    while (reader->Read(&response)) {
    }
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
}

}  // namespace
}  // namespace cookix::server
