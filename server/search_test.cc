// Searches over the wire.
#include <string>
#include <vector>

#include "server/server_fixture.h"

namespace cookix::server {
namespace {

class SearchTest : public ServerFixture {
 protected:
  void SetUp() override {
    Start(TestConfig());
    v1::CreateCollectionRequest create;
    create.mutable_collection()->set_name("places");
    v1::VectorField* field = create.mutable_collection()->add_vector_fields();
    field->set_name("at");
    field->set_dimension(2);
    field->set_metric(v1::VECTOR_METRIC_L2);
    v1::CreateCollectionResponse created;
    ASSERT_TRUE(
        Stub<v1::CatalogService>()->CreateCollection(Context().get(), create, &created).ok());
    for (int i = 0; i < 5; ++i) {
      v1::PutObjectRequest put;
      v1::ObjectWrite* write = put.mutable_write();
      write->mutable_object()->mutable_ref()->set_collection("places");
      write->mutable_object()->mutable_ref()->set_key("p" + std::to_string(i));
      *(*write->mutable_object()->mutable_vectors())["at"].mutable_values() = Values(i, 0);
      v1::Edge* edge = write->add_edges();
      edge->set_relation("causes");
      edge->mutable_target()->set_key("effect of p" + std::to_string(i));
      v1::PutObjectResponse done;
      ASSERT_TRUE(Stub<v1::ObjectService>()->PutObject(Context().get(), put, &done).ok());
    }
  }

  static google::protobuf::RepeatedField<float> Values(int x, int y) {
    google::protobuf::RepeatedField<float> values;
    values.Add(static_cast<float>(x));
    values.Add(static_cast<float>(y));
    return values;
  }

  static v1::SearchRequest Near(int x, int limit) {
    v1::SearchRequest request;
    request.set_collection("places");
    *request.mutable_vector()->mutable_vector()->mutable_values() = Values(x, 0);
    request.set_limit(limit);
    return request;
  }

  static std::vector<std::string> Keys(const v1::SearchResponse& response) {
    std::vector<std::string> keys;
    for (const v1::Hit& hit : response.hits()) keys.push_back(hit.ref().key());
    return keys;
  }
};

TEST_F(SearchTest, Searches) {
  v1::SearchResponse response;
  const grpc::Status status =
      Stub<v1::SearchService>()->Search(Context().get(), Near(3, 3), &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(Keys(response), (std::vector<std::string>{"p3", "p2", "p4"}));
  EXPECT_EQ(response.hits(1).distance(), 1.0);
  EXPECT_EQ(response.hits(1).score(), -1.0);
  EXPECT_FALSE(response.position().empty());
  EXPECT_FALSE(response.diagnostics().strategy().empty());
}

TEST_F(SearchTest, SearchesInBatches) {
  v1::BatchSearchRequest request;
  *request.add_searches() = Near(0, 2);
  *request.add_searches() = Near(4, 1);
  v1::BatchSearchResponse response;
  const grpc::Status status =
      Stub<v1::SearchService>()->BatchSearch(Context().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.results_size(), 2);
  EXPECT_EQ(Keys(response.results(0)), (std::vector<std::string>{"p0", "p1"}));
  EXPECT_EQ(Keys(response.results(1)), (std::vector<std::string>{"p4"}));
}

TEST_F(SearchTest, DescribesIndexes) {
  v1::DescribeIndexRequest request;
  request.set_collection("places");
  v1::DescribeIndexResponse response;
  const grpc::Status status =
      Stub<v1::SearchService>()->DescribeIndex(Context().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.field().name(), "at");
  EXPECT_EQ(response.field().index(), v1::VECTOR_INDEX_KIND_HNSW);
  EXPECT_EQ(response.vectors(), 5);
}

TEST_F(SearchTest, SearchesByWordsAndVectorsTogether) {
  v1::CreateCollectionRequest create;
  create.mutable_collection()->set_name("notes");
  create.mutable_collection()->add_text_fields()->set_name("content");
  v1::VectorField* field = create.mutable_collection()->add_vector_fields();
  field->set_name("at");
  field->set_dimension(2);
  v1::CreateCollectionResponse created;
  ASSERT_TRUE(Stub<v1::CatalogService>()->CreateCollection(Context().get(), create, &created).ok());
  const char* texts[] = {"heavy rain", "rain and sun", "sun"};
  for (int i = 0; i < 3; ++i) {
    v1::PutObjectRequest put;
    v1::Object* object = put.mutable_write()->mutable_object();
    object->mutable_ref()->set_collection("notes");
    object->mutable_ref()->set_key("n" + std::to_string(i));
    object->set_content(texts[i]);
    *(*object->mutable_vectors())["at"].mutable_values() = Values(i, 1);
    v1::PutObjectResponse done;
    ASSERT_TRUE(Stub<v1::ObjectService>()->PutObject(Context().get(), put, &done).ok());
  }
  v1::SearchRequest request;
  request.set_collection("notes");
  request.mutable_text()->set_text("rain");
  request.set_count_matches(true);
  request.mutable_snippets();
  v1::SearchResponse response;
  ASSERT_TRUE(Stub<v1::SearchService>()->Search(Context().get(), request, &response).ok());
  EXPECT_EQ(response.hits_size(), 2);
  EXPECT_EQ(response.total_matches(), 2);
  EXPECT_EQ(response.hits(0).snippets(0).highlights_size(), 1);
  *request.mutable_vector()->mutable_vector()->mutable_values() = Values(0, 1);
  request.mutable_fusion()->set_alpha(0.5);
  request.set_with_lanes(true);
  request.set_explain(true);
  response.Clear();
  ASSERT_TRUE(Stub<v1::SearchService>()->Search(Context().get(), request, &response).ok());
  EXPECT_EQ(Keys(response), (std::vector<std::string>{"n0", "n1", "n2"}));
  EXPECT_EQ(response.lanes_size(), 2);
  EXPECT_GE(response.stages_size(), 4);
  v1::DescribeIndexRequest describe;
  describe.set_collection("notes");
  describe.set_text(true);
  v1::DescribeIndexResponse described;
  ASSERT_TRUE(Stub<v1::SearchService>()->DescribeIndex(Context().get(), describe, &described).ok());
  EXPECT_EQ(described.text_fields_size(), 1);
}

TEST_F(SearchTest, QuestionsStartFromWhatIsFound) {
  v1::QueryRequest request;
  request.mutable_anchor_search()->set_collection("places");
  *request.mutable_anchor_search()->mutable_vector() = Near(0, 0).vector();
  request.mutable_anchor_search()->set_limit(2);
  request.set_relation("causes");
  v1::QueryResponse response;
  const grpc::Status status =
      Stub<v1::ReasoningService>()->Query(Context().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.hits_size(), 2);
  EXPECT_EQ(response.hits(0).ref().key(), "effect of p0");
  EXPECT_EQ(response.hits(1).path().steps(0).source().key(), "p1");
  EXPECT_EQ(response.diagnostics().anchors_size(), 2);
}

TEST_F(SearchTest, ErrorsNameTheField) {
  v1::BatchSearchRequest request;
  *request.add_searches() = Near(0, 2);
  *request.add_searches() = Near(0, 2);
  request.mutable_searches(1)->mutable_vector()->mutable_vector()->add_values(1);
  v1::BatchSearchResponse response;
  const grpc::Status status =
      Stub<v1::SearchService>()->BatchSearch(Context().get(), request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const google::rpc::ErrorInfo info = ErrorInfoOf(status);
  EXPECT_EQ(info.reason(), "INVALID_FIELD");
  EXPECT_EQ(info.metadata().at("field"), "searches[1].vector.vector");
}

}  // namespace
}  // namespace cookix::server
