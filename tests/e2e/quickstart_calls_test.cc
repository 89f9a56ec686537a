// What a newcomer does first, over the real wire.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/requests.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_server.h"

namespace cookix::tests {
namespace {

class QuickstartCallsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto server = TestServer::Start();
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(server).value();
  }
  static void TearDownTestSuite() { server_.reset(); }

  void SetUp() override {
    ASSERT_NE(server_, nullptr);
    client_ = server_->Connect();
    // A namespace for each test: they do not see each other.
    namespace_ =
        std::string("t-") + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    for (char& c : namespace_) c = static_cast<char>(std::tolower(c));
    v1::CreateNamespaceRequest request;
    request.mutable_namespace_()->set_name(namespace_);
    v1::CreateNamespaceResponse response;
    ASSERT_OK(client_->CreateNamespace(request, &response));
  }

  void Put(std::string_view key, std::string_view content = "") {
    v1::PutObjectRequest request = PutRequest(key, content);
    request.set_namespace_(namespace_);
    v1::PutObjectResponse response;
    ASSERT_OK(client_->PutObject(request, &response));
  }
  void Link(std::string_view source, std::string_view relation, std::string_view target,
            double weight = 1.0) {
    v1::PutEdgeRequest request = LinkRequest(source, relation, target, weight);
    request.set_namespace_(namespace_);
    v1::PutEdgeResponse response;
    ASSERT_OK(client_->PutEdge(request, &response));
  }

  static std::unique_ptr<TestServer> server_;
  std::unique_ptr<client::Client> client_;
  std::string namespace_;
};

std::unique_ptr<TestServer> QuickstartCallsTest::server_;

TEST_F(QuickstartCallsTest, PutGetPatchDelete) {
  v1::PutObjectRequest put = PutRequest("rain", "Water that falls");
  put.set_namespace_(namespace_);
  (*put.mutable_write()->mutable_object()->mutable_properties())["wet"].set_bool_value(true);
  put.mutable_write()->mutable_object()->add_labels("weather");
  v1::PutObjectResponse put_response;
  ASSERT_OK(client_->PutObject(put, &put_response));
  EXPECT_TRUE(put_response.created());
  EXPECT_GT(put_response.result().commit(), 0);
  EXPECT_FALSE(put_response.result().position().empty());

  v1::GetObjectRequest get = GetRequest("rain");
  get.set_namespace_(namespace_);
  get.mutable_options()->set_min_position(put_response.result().position());
  v1::GetObjectResponse got;
  ASSERT_OK(client_->GetObject(get, &got));
  EXPECT_EQ(got.object().content(), "Water that falls");
  EXPECT_TRUE(got.object().properties().at("wet").bool_value());
  EXPECT_EQ(got.object().version(), put_response.result().commit());
  EXPECT_THAT(got.object().labels(), ::testing::ElementsAre("weather"));

  v1::PatchObjectRequest patch;
  patch.set_namespace_(namespace_);
  *patch.mutable_patch()->mutable_ref() = Ref("rain");
  patch.mutable_patch()->set_content("Falling water");
  patch.mutable_patch()->add_remove_properties("wet");
  patch.mutable_patch()->mutable_condition()->set_version(got.object().version());
  v1::PatchObjectResponse patched;
  ASSERT_OK(client_->PatchObject(patch, &patched));
  EXPECT_GT(patched.result().commit(), put_response.result().commit());
  // The same condition no longer holds.
  EXPECT_TRUE(HasReason(client_->PatchObject(patch, &patched), absl::StatusCode::kAborted,
                        "CONDITION_FAILED"));
  ASSERT_OK(client_->GetObject(get, &got));
  EXPECT_EQ(got.object().content(), "Falling water");
  EXPECT_EQ(got.object().properties_size(), 0);

  v1::DeleteObjectRequest deletion;
  deletion.set_namespace_(namespace_);
  *deletion.mutable_delete_()->mutable_ref() = Ref("rain");
  v1::DeleteObjectResponse deleted;
  ASSERT_OK(client_->DeleteObject(deletion, &deleted));
  EXPECT_TRUE(deleted.existed());
  ASSERT_OK(client_->DeleteObject(deletion, &deleted));
  EXPECT_FALSE(deleted.existed());
  EXPECT_TRUE(
      HasReason(client_->GetObject(get, &got), absl::StatusCode::kNotFound, "OBJECT_NOT_FOUND"));
}

TEST_F(QuickstartCallsTest, AnswersComeWithTheirPath) {
  for (const char* key : {"rain", "wet street", "slippery street", "umbrella"}) Put(key);
  Link("rain", "causes", "wet street", 0.5);
  Link("wet street", "causes", "slippery street", 0.25);
  Link("umbrella", "protects_from", "rain", 1.0);

  v1::QueryRequest query;
  query.set_namespace_(namespace_);
  *query.mutable_anchor() = Ref("rain");
  query.set_with_explanations(true);
  query.set_with_objects(true);
  v1::QueryResponse answer;
  ASSERT_OK(client_->Query(query, &answer));
  ASSERT_EQ(answer.hits_size(), 2);
  EXPECT_EQ(answer.hits(0).ref().key(), "wet street");
  EXPECT_EQ(answer.hits(1).ref().key(), "slippery street");
  EXPECT_EQ(answer.hits(1).hops(), 2);
  EXPECT_EQ(PathText(answer.hits(1).path()),
            "rain -[causes]-> wet street -[causes]-> slippery street");
  EXPECT_DOUBLE_EQ(answer.hits(1).path().weight(), 0.75);
  EXPECT_THAT(answer.hits(1).explanation(),
              ::testing::HasSubstr("rain --[causes]--> wet street --[causes]--> slippery street"));
  EXPECT_GE(answer.hits(0).score(), answer.hits(1).score());

  v1::FindPathRequest find;
  find.set_namespace_(namespace_);
  *find.mutable_source() = Ref("umbrella");
  *find.mutable_target() = Ref("slippery street");
  find.set_metric(v1::PATH_METRIC_WEIGHT);
  v1::FindPathResponse path;
  ASSERT_OK(client_->FindPath(find, &path));
  ASSERT_TRUE(path.found());
  EXPECT_EQ(path.path().steps_size(), 3);
  EXPECT_DOUBLE_EQ(path.path().weight(), 1.75);

  std::swap(*find.mutable_source(), *find.mutable_target());
  ASSERT_OK(client_->FindPath(find, &path));
  EXPECT_FALSE(path.found());
  EXPECT_FALSE(path.reason().empty());
}

TEST_F(QuickstartCallsTest, ContradictionsInEitherDirection) {
  for (const char* key : {"sunny", "cloudy", "dark"}) Put(key);
  Link("sunny", "contradicts", "cloudy", 0.5);
  Link("dark", "contradicts", "sunny", 0.2);
  v1::FindContradictionsRequest request;
  request.set_namespace_(namespace_);
  *request.mutable_ref() = Ref("sunny");
  v1::FindContradictionsResponse response;
  ASSERT_OK(client_->FindContradictions(request, &response));
  ASSERT_EQ(response.hits_size(), 2);
  EXPECT_EQ(response.hits(0).ref().key(), "dark");
  EXPECT_EQ(response.hits(1).ref().key(), "cloudy");
  EXPECT_EQ(response.hits(0).path().steps_size(), 1);
}

TEST_F(QuickstartCallsTest, DanglingTargetsAreReachableButNotListed) {
  Put("a");
  Link("a", "causes", "ghost");
  v1::TraverseRequest walk;
  walk.set_namespace_(namespace_);
  *walk.mutable_start() = Ref("a");
  walk.set_with_objects(true);
  v1::TraverseResponse visits;
  ASSERT_OK(client_->Traverse(walk, &visits));
  ASSERT_EQ(visits.visits_size(), 2);
  EXPECT_EQ(visits.visits(1).ref().key(), "ghost");
  EXPECT_TRUE(visits.visits(1).object().dangling());
  v1::CountObjectsRequest count;
  count.set_namespace_(namespace_);
  v1::CountObjectsResponse counted;
  ASSERT_OK(client_->CountObjects(count, &counted));
  EXPECT_EQ(counted.count(), 1);
}

TEST_F(QuickstartCallsTest, WriteIsAllOrNothing) {
  v1::WriteRequest write;
  write.set_namespace_(namespace_);
  *write.add_mutations()->mutable_put_object() = MakeObject("a");
  *write.add_mutations()->mutable_put_object() = MakeObject("b");
  *write.add_mutations()->mutable_put_edge() = MakeEdge("a", "causes", "b");
  v1::WriteResponse response;
  ASSERT_OK(client_->Write(write, &response));
  ASSERT_EQ(response.results_size(), 3);
  EXPECT_TRUE(response.results(2).changed_existence());

  v1::WriteRequest half;
  half.set_namespace_(namespace_);
  *half.add_mutations()->mutable_put_object() = MakeObject("c");
  *half.add_mutations()->mutable_patch_object()->mutable_ref() = Ref("missing");
  EXPECT_TRUE(
      HasReason(client_->Write(half, &response), absl::StatusCode::kNotFound, "OBJECT_NOT_FOUND"));
  v1::GetObjectRequest get = GetRequest("c");
  get.set_namespace_(namespace_);
  v1::GetObjectResponse got;
  EXPECT_TRUE(
      HasReason(client_->GetObject(get, &got), absl::StatusCode::kNotFound, "OBJECT_NOT_FOUND"));
}

TEST_F(QuickstartCallsTest, ARequestIdAppliesOnce) {
  v1::PutObjectRequest put = PutRequest("once", "first");
  put.set_namespace_(namespace_);
  put.mutable_options()->set_request_id("id-1");
  v1::PutObjectResponse first, second;
  ASSERT_OK(client_->PutObject(put, &first));
  EXPECT_FALSE(first.result().replayed());
  ASSERT_OK(client_->PutObject(put, &second));
  EXPECT_TRUE(second.result().replayed());
  EXPECT_EQ(second.result().commit(), first.result().commit());
  EXPECT_EQ(second.result().position(), first.result().position());
  EXPECT_EQ(second.created(), first.created());
  put.mutable_write()->mutable_object()->set_content("second");
  EXPECT_TRUE(HasField(client_->PutObject(put, &second), absl::StatusCode::kAlreadyExists,
                       "REQUEST_ID_REUSED", "options.request_id"));
}

TEST_F(QuickstartCallsTest, PagesComeFromOnePosition) {
  v1::BatchPutObjectsRequest batch;
  batch.set_namespace_(namespace_);
  for (int i = 0; i < 100; ++i) {
    *batch.add_writes() = MakeObject("k" + std::to_string(100 + i), "before");
  }
  v1::BatchPutObjectsResponse put;
  ASSERT_OK(client_->BatchPutObjects(batch, &put));
  EXPECT_EQ(put.created_count(), 100);

  v1::ScanObjectsRequest scan;
  scan.set_namespace_(namespace_);
  scan.set_page_size(7);
  v1::ScanObjectsResponse page;
  std::vector<std::string> keys;
  std::string position;
  int pages = 0;
  do {
    ASSERT_OK(client_->ScanObjects(scan, &page));
    if (pages == 0) position = page.position();
    EXPECT_EQ(page.position(), position);
    for (const v1::Object& object : page.objects()) {
      EXPECT_EQ(object.content(), "before");
      keys.push_back(object.ref().key());
    }
    scan.set_page_token(page.next_page_token());
    // Meanwhile others write, before and behind the cursor.
    Put("k" + std::to_string(100 + (pages * 13) % 100), "after");
    Put("zz" + std::to_string(pages), "new");
    v1::DeleteObjectRequest deletion;
    deletion.set_namespace_(namespace_);
    *deletion.mutable_delete_()->mutable_ref() = Ref("k" + std::to_string(199 - pages));
    v1::DeleteObjectResponse deleted;
    ASSERT_OK(client_->DeleteObject(deletion, &deleted));
    ++pages;
  } while (!page.next_page_token().empty() && pages < 100);
  ASSERT_EQ(keys.size(), 100u);
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  EXPECT_EQ(pages, 15);
}

TEST_F(QuickstartCallsTest, StreamsAndFiltersAgreeWithTheCount) {
  v1::BatchPutObjectsRequest batch;
  batch.set_namespace_(namespace_);
  for (int i = 0; i < 500; ++i) {
    v1::ObjectWrite* write = batch.add_writes();
    *write = MakeObject("k" + std::to_string(1000 + i), std::string(100, 'c'));
    (*write->mutable_object()->mutable_properties())["color"].set_string_value(i % 3 == 0 ? "red"
                                                                                          : "blue");
    *write->add_edges() = MakeEdge("", "similar_to", "hub");
    write->mutable_edges(0)->clear_source();
  }
  v1::BatchPutObjectsResponse put;
  ASSERT_OK(client_->BatchPutObjects(batch, &put));

  v1::StreamObjectsRequest stream;
  stream.set_namespace_(namespace_);
  *stream.mutable_filter() = Equals("color", "red");
  stream.set_with_edges(true);
  int64_t streamed = 0;
  ASSERT_OK(client_->StreamObjects(stream, [&](v1::StreamObjectsResponse&& chunk) {
    for (const v1::ObjectWrite& write : chunk.objects()) {
      ++streamed;
      EXPECT_EQ(write.edges_size(), 1);
    }
    return true;
  }));
  v1::CountObjectsRequest count;
  count.set_namespace_(namespace_);
  *count.mutable_filter() = Equals("color", "red");
  v1::CountObjectsResponse counted;
  ASSERT_OK(client_->CountObjects(count, &counted));
  EXPECT_EQ(streamed, 167);
  EXPECT_EQ(counted.count(), 167);

  // A reader may go away in the middle.
  int64_t before_stop = 0;
  stream.clear_filter();
  const absl::Status stopped = client_->StreamObjects(stream, [&](v1::StreamObjectsResponse&&) {
    ++before_stop;
    return false;
  });
  EXPECT_TRUE(stopped.ok() || stopped.code() == absl::StatusCode::kCancelled) << stopped;
  EXPECT_EQ(before_stop, 1);
}

TEST_F(QuickstartCallsTest, BulkWritesAreAnsweredInOrder) {
  auto writer = client_->OpenBulkWriter(4);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (int i = 0; i < 50; ++i) {
    v1::WriteRequest write;
    write.set_namespace_(namespace_);
    *write.add_mutations()->mutable_put_object() = MakeObject("b" + std::to_string(i));
    ASSERT_OK((*writer)->Write(std::move(write)));
  }
  ASSERT_OK((*writer)->Finish());
  EXPECT_EQ((*writer)->acknowledged(), 50);

  // The first failing write ends the stream; those before it stand.
  auto failing = client_->OpenBulkWriter(4);
  ASSERT_TRUE(failing.ok()) << failing.status();
  for (int i = 0; i < 20; ++i) {
    v1::WriteRequest write;
    write.set_namespace_(namespace_);
    *write.add_mutations()->mutable_put_object() =
        MakeObject(i == 10 ? "" : "c" + std::to_string(i));
    if (!(*failing)->Write(std::move(write)).ok()) break;
  }
  const absl::Status finished = (*failing)->Finish();
  EXPECT_TRUE(HasReason(finished, absl::StatusCode::kInvalidArgument, "INVALID_FIELD"));
  EXPECT_EQ((*failing)->acknowledged(), 10);
  v1::CountObjectsRequest count;
  count.set_namespace_(namespace_);
  v1::CountObjectsResponse counted;
  ASSERT_OK(client_->CountObjects(count, &counted));
  EXPECT_EQ(counted.count(), 60);
}

TEST_F(QuickstartCallsTest, PositionsFromElsewhereAreRefused) {
  auto other = TestServer::Start();
  ASSERT_TRUE(other.ok()) << other.status();
  v1::PutObjectResponse put;
  ASSERT_OK((*other)->Connect()->PutObject(PutRequest("a"), &put));
  v1::GetObjectRequest get = GetRequest("a");
  get.mutable_options()->set_min_position(put.result().position());
  v1::GetObjectResponse got;
  EXPECT_TRUE(HasField(client_->GetObject(get, &got), absl::StatusCode::kFailedPrecondition,
                       "POSITION_UNKNOWN", "options.min_position"));
  get.mutable_options()->set_min_position("not a position");
  EXPECT_TRUE(HasField(client_->GetObject(get, &got), absl::StatusCode::kInvalidArgument,
                       "INVALID_FIELD", "options.min_position"));
}

}  // namespace
}  // namespace cookix::tests
