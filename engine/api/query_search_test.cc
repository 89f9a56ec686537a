// Queries that start from searches by words and of several lanes: their rows are the hits
// of SearchApi, and what follows from there is what ReasoningApi answers.
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/query_service.pb.h"
#include "cookix/v1/reasoning_service.pb.h"
#include "engine/test_database.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr int kObjects = 120;

class QuerySearchTest : public testing::Test {
 protected:
  void SetUp() override {
    v1::CreateCollectionRequest create;
    create.mutable_collection()->set_name("docs");
    create.mutable_collection()->add_text_fields()->set_name("content");
    v1::VectorField* place = create.mutable_collection()->add_vector_fields();
    place->set_name("place");
    place->set_dimension(2);
    place->set_metric(v1::VECTOR_METRIC_L2);
    v1::CreateCollectionResponse created;
    const absl::Status status = database_->catalog().CreateCollection(context_, create, &created);
    ASSERT_TRUE(status.ok()) << status;
    const std::vector<std::string> words = {"rain", "coat", "storm", "roof", "seed", "mud"};
    std::mt19937_64 random(11);
    for (int i = 0; i < kObjects; ++i) {
      v1::PutObjectRequest put;
      v1::Object* object = put.mutable_write()->mutable_object();
      object->mutable_ref()->set_collection("docs");
      object->mutable_ref()->set_key("k" + std::to_string(i));
      std::string text;
      for (uint64_t n = 1 + random() % 6; n > 0; --n) text += words[random() % 6] + " ";
      object->set_content(text);
      (*object->mutable_properties())["rank"].set_int_value(static_cast<int64_t>(random() % 9));
      for (int x = 0; x < 2; ++x) {
        (*object->mutable_vectors())["place"].add_values(static_cast<float>(random() % 50));
      }
      v1::Edge* edge = put.mutable_write()->add_edges();
      edge->set_relation("causes");
      edge->mutable_target()->set_collection("docs");
      edge->mutable_target()->set_key("k" + std::to_string(random() % kObjects));
      edge->set_weight(static_cast<double>(random() % 4));
      v1::PutObjectResponse response;
      ASSERT_TRUE(database_->objects().PutObject(context_, put, &response).ok());
    }
  }

  v1::ExecuteResponse Execute(const std::string& statement) {
    v1::ExecuteRequest request;
    request.mutable_query()->set_search_text(statement);
    request.set_explain(true);
    v1::ExecuteResponse response;
    const absl::Status status = database_->query().Execute(context_, request, &response);
    EXPECT_TRUE(status.ok()) << statement << "\n" << status;
    return response;
  }

  v1::SearchResponse Search(const v1::SearchRequest& request) {
    v1::SearchResponse response;
    const absl::Status status = database_->search().Search(context_, request, &response);
    EXPECT_TRUE(status.ok()) << status;
    return response;
  }

  static v1::SearchRequest Words(const std::string& text, int limit) {
    v1::SearchRequest request;
    request.set_collection("docs");
    request.mutable_text()->set_text(text);
    request.set_limit(limit);
    return request;
  }

  static void ExpectSame(const v1::ExecuteResponse& answer, const v1::SearchResponse& found) {
    ASSERT_EQ(answer.hits_size(), found.hits_size());
    EXPECT_GT(answer.hits_size(), 0);
    for (int i = 0; i < found.hits_size(); ++i) {
      EXPECT_EQ(answer.hits(i).ref().key(), found.hits(i).ref().key());
      EXPECT_EQ(answer.hits(i).score(), found.hits(i).score());
      EXPECT_FALSE(answer.hits(i).object().content().empty());
    }
  }

  TestDatabase database_;
  CallContext context_;
};

TEST_F(QuerySearchTest, WordsFindWhatSearchesFind) {
  ExpectSame(Execute("SEARCH docs 'rain coat' LIMIT 7"), Search(Words("rain coat", 7)));
  v1::SearchRequest all = Words("rain coat", 7);
  all.mutable_text()->set_mode(v1::TEXT_QUERY_MODE_ALL_WORDS);
  ExpectSame(Execute("SEARCH docs ALL 'rain coat' IN content LIMIT 7"), Search(all));
  v1::SearchRequest filtered = Words("storm", 5);
  filtered.mutable_filter()->mutable_comparison()->set_field("rank");
  filtered.mutable_filter()->mutable_comparison()->set_op(v1::COMPARISON_OPERATOR_LESS);
  filtered.mutable_filter()->mutable_comparison()->mutable_value()->set_int_value(4);
  ExpectSame(Execute("SEARCH docs 'storm' WHERE rank < 4 LIMIT 5"), Search(filtered));
}

TEST_F(QuerySearchTest, WordsAndAVectorAreFused) {
  v1::SearchRequest both = Words("mud", 6);
  both.mutable_vector()->mutable_vector()->add_values(10);
  both.mutable_vector()->mutable_vector()->add_values(20);
  both.mutable_fusion()->set_alpha(0.25);
  const v1::ExecuteResponse answer =
      Execute("SEARCH docs 'mud' NEAR VECTOR [10, 20] ALPHA 0.25 LIMIT 6");
  ExpectSame(answer, Search(both));
  // The search inside the seed tells its own stages.
  EXPECT_GT(answer.stages(0).stages_size(), 1);
}

TEST_F(QuerySearchTest, CountsAndOrdersAllThatMatches) {
  v1::SearchRequest all = Words("rain coat", 10'000);
  const v1::SearchResponse found = Search(all);
  const v1::ExecuteResponse counted = Execute("SEARCH docs 'rain coat' RETURN COUNT(*)");
  EXPECT_EQ(counted.rows(0).values(0).int_value(), found.hits_size());
  const v1::ExecuteResponse ordered =
      Execute("SEARCH docs 'rain coat' ORDER BY rank DESC, $score DESC LIMIT 20");
  ASSERT_EQ(ordered.hits_size(), 20);
  for (int i = 1; i < ordered.hits_size(); ++i) {
    const auto rank = [&](int at) {
      return ordered.hits(at).object().properties().at("rank").int_value();
    };
    EXPECT_GE(rank(i - 1), rank(i));
    if (rank(i - 1) == rank(i)) {
      EXPECT_GE(ordered.hits(i - 1).score(), ordered.hits(i).score());
    }
  }
}

// More than a search returns are still counted.
TEST(QueryCountTest, CountsAllThatHasTheWords) {
  TestDatabase database([](DatabaseOptions& options) { options.limits.max_search_limit = 5; });
  CallContext context;
  for (int i = 0; i < 12; ++i) {
    v1::PutObjectRequest put;
    v1::Object* object = put.mutable_write()->mutable_object();
    object->mutable_ref()->set_key("k" + std::to_string(i));
    object->set_content(i < 8 ? "heavy rain" : "sun");
    (*object->mutable_properties())["odd"].set_bool_value(i % 2 == 1);
    v1::PutObjectResponse done;
    ASSERT_TRUE(database->objects().PutObject(context, put, &done).ok());
  }
  const auto execute = [&](const std::string& statement, v1::ExecuteResponse* response) {
    v1::ExecuteRequest request;
    request.mutable_query()->set_search_text(statement);
    request.set_explain(true);
    return database->query().Execute(context, request, response);
  };
  v1::ExecuteResponse all;
  absl::Status status = execute("SEARCH default 'rain' RETURN COUNT(*), COUNT(*) AS n", &all);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(all.rows_size(), 1);
  EXPECT_EQ(all.rows(0).values(0).int_value(), 8);
  EXPECT_EQ(all.rows(0).values(1).int_value(), 8);
  EXPECT_EQ(all.stages(0).output(), 8);
  v1::ExecuteResponse some;
  status = execute("SEARCH default 'rain' WHERE odd = TRUE RETURN COUNT(*)", &some);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(some.rows(0).values(0).int_value(), 4);
  // What needs the objects is refused rather than answered for some of them.
  v1::ExecuteResponse unused;
  for (const char* statement :
       {"SEARCH default 'rain' RETURN COUNT(odd)", "SEARCH default 'rain' GROUP BY odd",
        "SEARCH default 'rain' MIN SCORE 0 RETURN COUNT(*)"}) {
    status = execute(statement, &unused);
    EXPECT_EQ(GetErrorDetail(status).value_or(ErrorDetail{}).reason, "LIMIT_EXCEEDED")
        << statement << ": " << status;
  }
  v1::ExecuteResponse top;
  status = execute("SEARCH default 'rain' TOP 3 RETURN COUNT(*)", &top);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(top.rows(0).values(0).int_value(), 3);
}

// Paths may be many times as large as what they lead to.
TEST(QueryPathTest, LongPathsCountAsBytesOfTheAnswer) {
  constexpr int kHops = 12;
  TestDatabase database([](DatabaseOptions& options) { options.limits.max_search_bytes = 40'000; });
  CallContext context;
  const auto key = [](const std::string& name) { return name + std::string(900, 'x'); };
  v1::WriteRequest write;
  const auto link = [&](const std::string& from, const std::string& to) {
    v1::Edge* edge = write.add_mutations()->mutable_put_edge();
    edge->mutable_source()->set_key(key(from));
    edge->set_relation("leads");
    edge->mutable_target()->set_key(key(to));
  };
  for (int i = 0; i <= kHops + 3; ++i) {
    const std::string name = i < kHops ? "c" + std::to_string(i) : "leaf" + std::to_string(i);
    write.add_mutations()->mutable_put_object()->mutable_object()->mutable_ref()->set_key(
        key(name));
  }
  for (int i = 1; i < kHops; ++i) link("c" + std::to_string(i - 1), "c" + std::to_string(i));
  for (int i = kHops; i <= kHops + 3; ++i) {
    link("c" + std::to_string(kHops - 1), "leaf" + std::to_string(i));
  }
  v1::WriteResponse written;
  absl::Status status = database->objects().Write(context, write, &written);
  ASSERT_TRUE(status.ok()) << status;
  const auto reason = [](const absl::Status& error) {
    return GetErrorDetail(error).value_or(ErrorDetail{}).reason;
  };
  v1::ExecuteRequest execute;
  v1::BuilderQuery* builder = execute.mutable_query()->mutable_builder();
  builder->add_keys(key("c0"));
  builder->add_follow()->set_max_hops(kHops);
  builder->add_select("$key");
  v1::ExecuteResponse executed;
  builder->set_limit(3);
  ASSERT_TRUE(database->query().Execute(context, execute, &executed).ok());
  builder->set_limit(100);
  EXPECT_EQ(reason(database->query().Execute(context, execute, &executed)), "LIMIT_EXCEEDED");

  v1::SearchRequest search;
  v1::NeighbourhoodQuery* around = search.add_lanes()->mutable_neighbourhood();
  around->add_anchors()->set_key(key("c0"));
  around->set_max_hops(kHops);
  v1::SearchResponse found;
  search.set_limit(3);
  ASSERT_TRUE(database->search().Search(context, search, &found).ok());
  // The list of the lane has all that it found.
  search.set_with_lanes(true);
  status = database->search().Search(context, search, &found);
  EXPECT_EQ(GetErrorDetail(status).value_or(ErrorDetail{}).field, "with_lanes") << status;
  search.set_with_lanes(false);
  search.set_limit(100);
  EXPECT_EQ(reason(database->search().Search(context, search, &found)), "LIMIT_EXCEEDED");
}

TEST_F(QuerySearchTest, FollowingIsAskingFromAnchors) {
  v1::QueryRequest question;
  question.mutable_anchor_search()->set_collection("docs");
  question.mutable_anchor_search()->mutable_vector()->mutable_vector()->add_values(10);
  question.mutable_anchor_search()->mutable_vector()->mutable_vector()->add_values(20);
  question.mutable_anchor_search()->set_limit(4);
  question.set_max_hops(3);
  question.set_limit(9);
  v1::QueryResponse asked;
  ASSERT_TRUE(database_->reasoning().Query(context_, question, &asked).ok());
  const v1::ExecuteResponse answer =
      Execute("SEARCH docs NEAR VECTOR [10, 20] TOP 4 FOLLOW * HOPS 3 LIMIT 9");
  ASSERT_EQ(answer.hits_size(), asked.hits_size());
  ASSERT_GT(answer.hits_size(), 0);
  for (int i = 0; i < answer.hits_size(); ++i) {
    EXPECT_EQ(answer.hits(i).ref().key(), asked.hits(i).ref().key());
    EXPECT_EQ(answer.hits(i).path().SerializeAsString(), asked.hits(i).path().SerializeAsString());
  }
}

TEST_F(QuerySearchTest, SnippetsComeAlong) {
  v1::ExecuteRequest request;
  request.mutable_query()->set_bring_text(
      "bring docs { search = \"rain\" snippets { max_words = 3 } limit = 2 }");
  v1::ExecuteResponse response;
  ASSERT_TRUE(database_->query().Execute(context_, request, &response).ok());
  ASSERT_EQ(response.hits_size(), 2);
  EXPECT_GT(response.hits(0).snippets_size(), 0);
}

TEST_F(QuerySearchTest, ErrorsOfTheSearchNameTheStep) {
  v1::ExecuteRequest request;
  v1::ExecuteResponse response;
  request.mutable_query()->set_search_text("SEARCH docs 'rain' IN nowhere");
  absl::Status status = database_->query().Execute(context_, request, &response);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(GetErrorDetail(status)->field.rfind("plan.steps[0].seed.search.query.text", 0), 0u)
      << GetErrorDetail(status)->field;
  request.mutable_query()->set_search_text("SEARCH docs RAW 'rain AND'");
  status = database_->query().Execute(context_, request, &response);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("line 1, column"), std::string::npos) << status;
}

// A number alone would not say which of the numbers of a statement is wrong.
TEST_F(QuerySearchTest, ErrorsOfStatementsNameTheirPart) {
  const std::pair<const char*, const char*> table[] = {
      {"SEARCH docs LIMIT 10001", "limit: "},
      {"SEARCH docs 'rain' TOP 10001", "search.limit: "},
      {"SEARCH docs FOLLOW * HOPS 1000", "follow[0].max_hops: "},
      {"SEARCH docs WHERE $score > 1", "where.comparison.field: "},
  };
  for (const auto& [statement, begin] : table) {
    v1::ExecuteRequest request;
    request.mutable_query()->set_search_text(statement);
    v1::ExecuteResponse response;
    const absl::Status status = database_->query().Execute(context_, request, &response);
    EXPECT_EQ(status.message().find(begin), 0u) << statement << ": " << status;
    const ErrorDetail detail = GetErrorDetail(status).value_or(ErrorDetail{});
    EXPECT_EQ(detail.field, "query.search_text") << statement;
    EXPECT_FALSE(detail.remedy.empty()) << statement;
  }
}

// A plan that is returned can be executed, whatever the data.
TEST_F(QuerySearchTest, CompilingRefusesWhatExecutingDoes) {
  for (const char* statement :
       {"SEARCH docs 'rain' ALPHA 0.5", "SEARCH docs 'rain' NEAR KEY 'k1' ALPHA 2"}) {
    v1::CompileRequest compile;
    compile.mutable_query()->set_search_text(statement);
    v1::CompileResponse compiled;
    const absl::Status refused = database_->query().Compile(context_, compile, &compiled);
    v1::ExecuteRequest execute;
    *execute.mutable_query() = compile.query();
    v1::ExecuteResponse executed;
    EXPECT_FALSE(refused.ok()) << statement;
    EXPECT_EQ(refused, database_->query().Execute(context_, execute, &executed)) << statement;
  }
}

TEST_F(QuerySearchTest, LanesThatLookAtSomeCannotBeCounted) {
  v1::ExecuteRequest request;
  v1::ExecuteResponse response;
  request.mutable_query()->set_bring_text(
      "bring docs { lanes = [{ search = \"rain\" candidates = 50 }] aggregates = [\"count\"] }");
  const absl::Status status = database_->query().Execute(context_, request, &response);
  EXPECT_EQ(status.message().find("search.lanes[0].candidates: all hits are needed"), 0u) << status;
  request.mutable_query()->set_bring_text(
      "bring docs { lanes = [{ search = \"rain\" candidates = 50 }] top = 20 aggregates = "
      "[\"count\"] }");
  ASSERT_TRUE(database_->query().Execute(context_, request, &response).ok());
  EXPECT_EQ(response.rows(0).values(0).int_value(), 20);
}

}  // namespace
}  // namespace cookix::engine
