#include <memory>
#include <string>
#include <utility>

#include "client/client.h"
#include "engine/database.h"
#include "gtest/gtest.h"

namespace cookix::client {
namespace {

class EmbeddedClientTest : public testing::Test {
 protected:
  void SetUp() override {
    engine::DatabaseOptions options;
    options.storage.path = "embedded_client_test";
    options.storage.in_memory = true;
    auto database = engine::Database::Open(std::move(options));
    ASSERT_TRUE(database.ok()) << database.status();
    database_ = *std::move(database);
    client_ = ConnectEmbedded(*database_);
  }

  void Put(const std::string& key, const std::string& target = "") {
    v1::PutObjectRequest request;
    request.mutable_write()->mutable_object()->mutable_ref()->set_key(key);
    if (!target.empty()) {
      v1::Edge* edge = request.mutable_write()->add_edges();
      edge->set_relation("r");
      edge->mutable_target()->set_key(target);
    }
    v1::PutObjectResponse response;
    ASSERT_TRUE(client_->PutObject(request, &response).ok());
  }

  std::unique_ptr<engine::Database> database_;
  std::unique_ptr<Client> client_;
};

TEST_F(EmbeddedClientTest, ReadsWhatItWrites) {
  Put("a", "b");
  v1::GetObjectRequest request;
  request.mutable_ref()->set_key("a");
  v1::GetObjectResponse response;
  ASSERT_TRUE(client_->GetObject(request, &response).ok());
  EXPECT_GT(response.object().version(), 0);
  v1::FindPathRequest path;
  path.mutable_source()->set_key("a");
  path.mutable_target()->set_key("b");
  v1::FindPathResponse found;
  ASSERT_TRUE(client_->FindPath(path, &found).ok());
  EXPECT_TRUE(found.found());
}

TEST_F(EmbeddedClientTest, SearchesByVector) {
  v1::CreateCollectionRequest create;
  create.mutable_collection()->set_name("places");
  v1::VectorField* field = create.mutable_collection()->add_vector_fields();
  field->set_name("at");
  field->set_dimension(1);
  field->set_metric(v1::VECTOR_METRIC_L2);
  v1::CreateCollectionResponse created;
  ASSERT_TRUE(client_->CreateCollection(create, &created).ok());
  for (int i = 0; i < 3; ++i) {
    v1::PutObjectRequest put;
    v1::Object* object = put.mutable_write()->mutable_object();
    object->mutable_ref()->set_collection("places");
    object->mutable_ref()->set_key("p" + std::to_string(i));
    (*object->mutable_vectors())["at"].add_values(static_cast<float>(i));
    v1::PutObjectResponse done;
    ASSERT_TRUE(client_->PutObject(put, &done).ok());
  }
  v1::BatchSearchRequest batch;
  v1::SearchRequest* search = batch.add_searches();
  search->set_collection("places");
  search->mutable_vector()->set_key("p2");
  search->set_limit(1);
  v1::SearchResponse found;
  ASSERT_TRUE(client_->Search(*search, &found).ok());
  ASSERT_EQ(found.hits_size(), 1);
  EXPECT_EQ(found.hits(0).ref().key(), "p1");
  v1::BatchSearchResponse batched;
  ASSERT_TRUE(client_->BatchSearch(batch, &batched).ok());
  ASSERT_EQ(batched.results_size(), 1);
  EXPECT_EQ(batched.results(0).hits(0).ref().key(), "p1");
  v1::DescribeIndexRequest describe;
  describe.set_collection("places");
  v1::DescribeIndexResponse described;
  ASSERT_TRUE(client_->DescribeIndex(describe, &described).ok());
  EXPECT_EQ(described.vectors(), 3);
}

TEST_F(EmbeddedClientTest, SearchesByWordsAndLinks) {
  Put("rain", "flood");
  for (const auto& [key, content] : {std::pair{"flood", "heavy rain"}, {"sun", "dry weather"}}) {
    v1::PutObjectRequest put;
    put.mutable_write()->mutable_object()->mutable_ref()->set_key(key);
    put.mutable_write()->mutable_object()->set_content(content);
    v1::PutObjectResponse done;
    ASSERT_TRUE(client_->PutObject(put, &done).ok());
  }
  v1::SearchRequest search;
  search.add_lanes()->mutable_text()->set_text("heavy rain");
  search.add_lanes()->mutable_neighbourhood()->add_anchors()->set_key("rain");
  search.mutable_snippets();
  search.set_explain(true);
  v1::SearchResponse found;
  ASSERT_TRUE(client_->Search(search, &found).ok());
  ASSERT_EQ(found.hits_size(), 1);
  EXPECT_EQ(found.hits(0).ref().key(), "flood");
  EXPECT_EQ(found.hits(0).lane_ranks().at("text"), 1);
  EXPECT_EQ(found.hits(0).path().steps_size(), 1);
  EXPECT_EQ(found.hits(0).snippets(0).highlights_size(), 2);
  EXPECT_GT(found.stages_size(), 2);
}

TEST_F(EmbeddedClientTest, KeepsErrorDetails) {
  v1::GetObjectRequest request;
  request.mutable_ref()->set_key("missing");
  v1::GetObjectResponse response;
  const absl::Status status = client_->GetObject(request, &response);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(GetErrorDetail(status).has_value());
  EXPECT_EQ(GetErrorDetail(status)->reason, "OBJECT_NOT_FOUND");
}

TEST_F(EmbeddedClientTest, BulkWriterStopsAtTheFirstError) {
  auto writer = client_->OpenBulkWriter();
  ASSERT_TRUE(writer.ok());
  v1::WriteRequest good;
  good.add_mutations()->mutable_put_object()->mutable_object()->mutable_ref()->set_key("a");
  v1::WriteRequest bad = good;
  bad.set_namespace_("no_such_namespace");
  EXPECT_TRUE((*writer)->Write(v1::WriteRequest(good)).ok());
  EXPECT_EQ((*writer)->Write(std::move(bad)).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ((*writer)->Write(std::move(good)).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ((*writer)->Finish().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ((*writer)->acknowledged(), 1);
}

TEST_F(EmbeddedClientTest, StoppingAStreamIsNoError) {
  for (int i = 0; i < 10; ++i) Put("k" + std::to_string(i));
  int chunks = 0;
  EXPECT_TRUE(client_
                  ->StreamObjects({},
                                  [&](v1::StreamObjectsResponse&&) {
                                    ++chunks;
                                    return false;
                                  })
                  .ok());
  EXPECT_EQ(chunks, 1);
}

TEST_F(EmbeddedClientTest, WatchesFromTheBeginning) {
  for (int i = 0; i < 3; ++i) Put("k" + std::to_string(i));
  v1::WatchRequest request;
  request.set_after_commit(0);
  std::vector<std::string> keys;
  EXPECT_TRUE(client_
                  ->Watch(request,
                          [&](v1::WatchResponse&& message) {
                            for (const v1::CommitChanges& commit : message.commits()) {
                              keys.push_back(commit.changes(0).object().ref().key());
                            }
                            return keys.size() < 3;
                          })
                  .ok());
  EXPECT_EQ(keys, (std::vector<std::string>{"k0", "k1", "k2"}));
  request.set_namespace_("none");
  const absl::Status status = client_->Watch(request, [](v1::WatchResponse&&) { return true; });
  EXPECT_EQ(GetErrorDetail(status)->reason, "NAMESPACE_NOT_FOUND");
}

TEST_F(EmbeddedClientTest, ServerCallsAreUnimplemented) {
  v1::ListQueriesResponse queries;
  EXPECT_EQ(client_->ListQueries({}, &queries).code(), absl::StatusCode::kUnimplemented);
  v1::SetReadOnlyResponse read_only;
  EXPECT_EQ(client_->SetReadOnly({}, &read_only).code(), absl::StatusCode::kUnimplemented);
  v1::GetInfoResponse info;
  ASSERT_TRUE(client_->GetInfo({}, &info).ok());
  EXPECT_TRUE(info.in_memory());
  EXPECT_GT(info.started_ms(), 0);
}

}  // namespace
}  // namespace cookix::client
