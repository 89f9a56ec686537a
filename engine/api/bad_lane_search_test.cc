// Searches by words and of several lanes that are asked wrongly: each is refused by code,
// reason and field, alone and in a batch.
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/api/search_api.h"
#include "engine/test_database.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr const char* kCollection = "docs";
constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr absl::StatusCode kNotFound = absl::StatusCode::kNotFound;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct BadSearch {
  std::string name;
  absl::StatusCode code;
  std::string reason;
  std::string field;
  // Of a search for words and a vector.
  std::function<void(v1::SearchRequest*)> change;
  // Part of the message.
  std::string says;
};

void Raw(v1::SearchRequest* request, const std::string& text) {
  request->mutable_text()->set_text(text);
  request->mutable_text()->set_mode(v1::TEXT_QUERY_MODE_RAW);
}

// The two queries as lanes.
void AsLanes(v1::SearchRequest* request) {
  *request->add_lanes()->mutable_vector() = request->vector();
  *request->add_lanes()->mutable_text() = request->text();
  request->clear_vector();
  request->clear_text();
}

std::string ManyWords(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) absl::StrAppend(&text, "word", i, " ");
  return text;
}

std::vector<BadSearch> BadText() {
  return {
      {"BrokenUtf8", kInvalid, "INVALID_FIELD", "text.text",
       [](v1::SearchRequest* r) { r->mutable_text()->set_text("rain \xff"); }, "5"},
      {"TextTooLong", kInvalid, "LIMIT_EXCEEDED", "text.text",
       [](v1::SearchRequest* r) { r->mutable_text()->set_text(std::string(65'537, 'x')); },
       "65536"},
      {"TooManyWords", kInvalid, "LIMIT_EXCEEDED", "text.text",
       [](v1::SearchRequest* r) { r->mutable_text()->set_text(ManyWords(65)); }, "64"},
      {"PhraseTooLong", kInvalid, "LIMIT_EXCEEDED", "text.text",
       [](v1::SearchRequest* r) {
         r->mutable_text()->set_text(ManyWords(33));
         r->mutable_text()->set_mode(v1::TEXT_QUERY_MODE_PHRASE);
         r->mutable_text()->add_fields("content");
       },
       "33"},
      {"UnknownMode", kInvalid, "INVALID_FIELD", "text.mode",
       [](v1::SearchRequest* r) {
         r->mutable_text()->set_mode(static_cast<v1::TextQueryMode>(99));
       },
       ""},
      {"UnknownField", kNotFound, "FIELD_NOT_FOUND", "text.fields[1]",
       [](v1::SearchRequest* r) {
         r->mutable_text()->add_fields("content");
         r->mutable_text()->add_fields("nothing");
       },
       "nothing"},
      {"UnknownBoostedField", kNotFound, "FIELD_NOT_FOUND", "text.boosts[nothing]",
       [](v1::SearchRequest* r) { (*r->mutable_text()->mutable_boosts())["nothing"] = 1; }, ""},
      {"BoostOfZero", kInvalid, "INVALID_FIELD", "text.boosts[content]",
       [](v1::SearchRequest* r) { (*r->mutable_text()->mutable_boosts())["content"] = 0; }, ""},
      {"BoostIsNotANumber", kInvalid, "INVALID_FIELD", "text.boosts[content]",
       [](v1::SearchRequest* r) { (*r->mutable_text()->mutable_boosts())["content"] = kNan; }, ""},
      {"BoostTooLarge", kInvalid, "INVALID_FIELD", "text.boosts[content]",
       [](v1::SearchRequest* r) { (*r->mutable_text()->mutable_boosts())["content"] = 1.1e6; }, ""},
      {"RawNotClosed", kInvalid, "INVALID_FIELD", "text.text",
       [](v1::SearchRequest* r) { Raw(r, "rain AND\n (storm"); }, "line 2"},
      {"RawOperatorAlone", kInvalid, "INVALID_FIELD", "text.text",
       [](v1::SearchRequest* r) { Raw(r, "rain OR"); }, "column"},
      {"RawOnlyNot", kInvalid, "INVALID_FIELD", "text.text",
       [](v1::SearchRequest* r) { Raw(r, "NOT rain"); }, ""},
      {"RawQuoteNotClosed", kInvalid, "INVALID_FIELD", "text.text",
       [](v1::SearchRequest* r) { Raw(r, "\"rain storm"); }, "column"},
      {"RawUnknownField", kInvalid, "INVALID_FIELD", "text.text",
       [](v1::SearchRequest* r) { Raw(r, "nothing:rain"); }, "nothing"},
      {"RawTooManyEdits", kInvalid, "INVALID_FIELD", "text.text",
       [](v1::SearchRequest* r) { Raw(r, "rain~3"); }, ""},
      {"PhraseWithoutPositions", kInvalid, "INVALID_FIELD", "text.text",
       [](v1::SearchRequest* r) { Raw(r, "tags:\"rain storm\""); }, "tags"},
      {"TooManyExpansions", kInvalid, "LIMIT_EXCEEDED", "text.text",
       [](v1::SearchRequest* r) { Raw(r, "content:many*"); }, ""},
      {"OnlyFieldsByName", kInvalid, "INVALID_FIELD", "text.fields",
       [](v1::SearchRequest* r) {
         r->set_collection("named");
         r->clear_vector();
       },
       ""},
      {"NoTextFields", kNotFound, "FIELD_NOT_FOUND", "text.fields",
       [](v1::SearchRequest* r) {
         r->set_collection("bare");
         r->clear_vector();
       },
       "no text fields"},
  };
}

std::vector<BadSearch> BadLanes() {
  const auto neighbourhood = [](v1::SearchRequest* request) {
    AsLanes(request);
    return request->add_lanes()->mutable_neighbourhood();
  };
  return {
      {"Nothing", kInvalid, "INVALID_FIELD", "vector",
       [](v1::SearchRequest* r) {
         r->clear_vector();
         r->clear_text();
       },
       ""},
      {"LanesAndText", kInvalid, "INVALID_FIELD", "lanes",
       [](v1::SearchRequest* r) {
         r->clear_vector();
         r->add_lanes()->mutable_text()->set_text("rain");
       },
       "text"},
      {"LanesAndVector", kInvalid, "INVALID_FIELD", "lanes",
       [](v1::SearchRequest* r) {
         r->clear_text();
         r->add_lanes()->mutable_text()->set_text("rain");
       },
       "vector"},
      {"TooManyLanes", kInvalid, "LIMIT_EXCEEDED", "lanes",
       [](v1::SearchRequest* r) {
         AsLanes(r);
         while (r->lanes_size() < 17) *r->add_lanes() = r->lanes(0);
       },
       "16"},
      {"EmptyLane", kInvalid, "INVALID_FIELD", "lanes[2]",
       [](v1::SearchRequest* r) {
         AsLanes(r);
         r->add_lanes();
       },
       ""},
      {"TextOfALane", kInvalid, "INVALID_FIELD", "lanes[1].text.text",
       [](v1::SearchRequest* r) {
         AsLanes(r);
         r->mutable_lanes(1)->mutable_text()->set_text("\xc0");
       },
       ""},
      {"VectorOfALane", kInvalid, "INVALID_FIELD", "lanes[0].vector.vector",
       [](v1::SearchRequest* r) {
         AsLanes(r);
         r->mutable_lanes(0)->mutable_vector()->mutable_vector()->add_values(1);
       },
       ""},
      {"TwoOfAName", kInvalid, "INVALID_FIELD", "lanes[1].name",
       [](v1::SearchRequest* r) {
         AsLanes(r);
         r->mutable_lanes(0)->set_name("text");
       },
       "text"},
      {"NameTooLong", kInvalid, "LIMIT_EXCEEDED", "lanes[0].name",
       [](v1::SearchRequest* r) {
         AsLanes(r);
         r->mutable_lanes(0)->set_name(std::string(257, 'n'));
       },
       "256"},
      {"NegativeWeight", kInvalid, "INVALID_FIELD", "lanes[0].weight",
       [](v1::SearchRequest* r) {
         AsLanes(r);
         r->mutable_lanes(0)->set_weight(-1);
       },
       ""},
      {"WeightIsNotANumber", kInvalid, "INVALID_FIELD", "lanes[0].weight",
       [](v1::SearchRequest* r) {
         AsLanes(r);
         r->mutable_lanes(0)->set_weight(kNan);
       },
       ""},
      {"WeightTooLarge", kInvalid, "INVALID_FIELD", "lanes[0].weight",
       [](v1::SearchRequest* r) {
         AsLanes(r);
         r->mutable_lanes(0)->set_weight(1.1e6);
       },
       ""},
      {"FewerCandidatesThanHits", kInvalid, "INVALID_FIELD", "lanes[1].candidates",
       [](v1::SearchRequest* r) {
         AsLanes(r);
         r->set_limit(20);
         r->mutable_lanes(1)->set_candidates(19);
       },
       "19"},
      {"TooManyCandidates", kInvalid, "LIMIT_EXCEEDED", "lanes[1].candidates",
       [](v1::SearchRequest* r) {
         AsLanes(r);
         r->mutable_lanes(1)->set_candidates(10'001);
       },
       "10000"},
      {"NegativeCandidates", kInvalid, "INVALID_FIELD", "lanes[1].candidates",
       [](v1::SearchRequest* r) {
         AsLanes(r);
         r->mutable_lanes(1)->set_candidates(-1);
       },
       ""},
      {"ListsTooLong", kInvalid, "LIMIT_EXCEEDED", "with_lanes",
       [](v1::SearchRequest* r) {
         AsLanes(r);
         while (r->lanes_size() < 11) *r->add_lanes() = r->lanes(0);
         for (v1::SearchLane& lane : *r->mutable_lanes()) lane.set_candidates(10'000);
         r->set_with_lanes(true);
       },
       "100000"},
      {"FusionOfOne", kInvalid, "INVALID_FIELD", "fusion",
       [](v1::SearchRequest* r) {
         r->clear_vector();
         r->mutable_fusion();
       },
       ""},
      {"UnknownFusion", kInvalid, "INVALID_FIELD", "fusion.method",
       [](v1::SearchRequest* r) {
         r->mutable_fusion()->set_method(static_cast<v1::FusionMethod>(9));
       },
       ""},
      {"NegativeRankConstant", kInvalid, "INVALID_FIELD", "fusion.rank_constant",
       [](v1::SearchRequest* r) { r->mutable_fusion()->set_rank_constant(-1); }, ""},
      {"RankConstantTooLarge", kInvalid, "LIMIT_EXCEEDED", "fusion.rank_constant",
       [](v1::SearchRequest* r) { r->mutable_fusion()->set_rank_constant(1'000'001); }, ""},
      {"RankConstantOfScores", kInvalid, "INVALID_FIELD", "fusion.rank_constant",
       [](v1::SearchRequest* r) {
         r->mutable_fusion()->set_method(v1::FUSION_METHOD_NORMALIZED_SCORE);
         r->mutable_fusion()->set_rank_constant(60);
       },
       ""},
      {"AlphaAboveOne", kInvalid, "INVALID_FIELD", "fusion.alpha",
       [](v1::SearchRequest* r) { r->mutable_fusion()->set_alpha(1.5); }, ""},
      {"AlphaIsNotANumber", kInvalid, "INVALID_FIELD", "fusion.alpha",
       [](v1::SearchRequest* r) { r->mutable_fusion()->set_alpha(kNan); }, ""},
      {"AlphaOfTwoTexts", kInvalid, "INVALID_FIELD", "fusion.alpha",
       [](v1::SearchRequest* r) {
         AsLanes(r);
         *r->mutable_lanes(0)->mutable_text() = r->lanes(1).text();
         r->mutable_fusion()->set_alpha(0.5);
       },
       ""},
      {"AlphaOfThree", kInvalid, "INVALID_FIELD", "fusion.alpha",
       [](v1::SearchRequest* r) {
         AsLanes(r);
         *r->add_lanes() = r->lanes(0);
         r->mutable_fusion()->set_alpha(0.5);
       },
       ""},
      {"AlphaAndWeights", kInvalid, "INVALID_FIELD", "fusion.alpha",
       [](v1::SearchRequest* r) {
         AsLanes(r);
         r->mutable_lanes(0)->set_weight(2);
         r->mutable_fusion()->set_alpha(0.5);
       },
       "weight"},
      {"NoAnchors", kInvalid, "INVALID_FIELD", "lanes[2].neighbourhood.anchors",
       [=](v1::SearchRequest* r) { neighbourhood(r); }, ""},
      {"TooManyAnchors", kInvalid, "LIMIT_EXCEEDED", "lanes[2].neighbourhood.anchors",
       [=](v1::SearchRequest* r) {
         v1::NeighbourhoodQuery* query = neighbourhood(r);
         for (int i = 0; i < 1001; ++i) query->add_anchors()->set_key("a");
       },
       "1000"},
      {"EmptyAnchor", kInvalid, "INVALID_FIELD", "lanes[2].neighbourhood.anchors[0].key",
       [=](v1::SearchRequest* r) { neighbourhood(r)->add_anchors(); }, ""},
      {"AnchorOfNoCollection", kNotFound, "COLLECTION_NOT_FOUND",
       "lanes[2].neighbourhood.anchors[0].collection",
       [=](v1::SearchRequest* r) {
         v1::ObjectRef* anchor = neighbourhood(r)->add_anchors();
         anchor->set_collection("nowhere");
         anchor->set_key("a");
       },
       "nowhere"},
      {"NegativeHops", kInvalid, "INVALID_FIELD", "lanes[2].neighbourhood.max_hops",
       [=](v1::SearchRequest* r) {
         v1::NeighbourhoodQuery* query = neighbourhood(r);
         query->add_anchors()->set_key("a");
         query->set_max_hops(-1);
       },
       ""},
      {"TooManyHops", kInvalid, "LIMIT_EXCEEDED", "lanes[2].neighbourhood.max_hops",
       [=](v1::SearchRequest* r) {
         v1::NeighbourhoodQuery* query = neighbourhood(r);
         query->add_anchors()->set_key("a");
         query->set_max_hops(17);
       },
       "16"},
      {"EmptyRelation", kInvalid, "INVALID_FIELD", "lanes[2].neighbourhood.relations[0]",
       [=](v1::SearchRequest* r) {
         v1::NeighbourhoodQuery* query = neighbourhood(r);
         query->add_anchors()->set_key("a");
         query->add_relations("");
       },
       ""},
      {"SnippetsOfVectors", kInvalid, "INVALID_FIELD", "snippets",
       [](v1::SearchRequest* r) {
         r->clear_text();
         r->mutable_snippets();
       },
       ""},
      {"SnippetsOfAnUnknownField", kNotFound, "FIELD_NOT_FOUND", "snippets.fields[0]",
       [](v1::SearchRequest* r) { r->mutable_snippets()->add_fields("nothing"); }, "nothing"},
      {"SnippetsOfAnUnknownFieldWithoutHits", kNotFound, "FIELD_NOT_FOUND", "snippets.fields[0]",
       [](v1::SearchRequest* r) {
         r->clear_vector();
         r->mutable_text()->set_text("nowhere");
         r->mutable_snippets()->add_fields("nothing");
       },
       "nothing"},
      {"SnippetsTooLong", kInvalid, "LIMIT_EXCEEDED", "snippets.max_words",
       [](v1::SearchRequest* r) { r->mutable_snippets()->set_max_words(1001); }, "1000"},
      {"NegativeSnippets", kInvalid, "INVALID_FIELD", "snippets.max_snippets",
       [](v1::SearchRequest* r) { r->mutable_snippets()->set_max_snippets(-1); }, ""},
      {"TooManySnippets", kInvalid, "LIMIT_EXCEEDED", "snippets.max_snippets",
       [](v1::SearchRequest* r) { r->mutable_snippets()->set_max_snippets(11); }, "10"},
      {"CountOfVectors", kInvalid, "INVALID_FIELD", "count_matches",
       [](v1::SearchRequest* r) {
         r->clear_text();
         r->set_count_matches(true);
       },
       ""},
  };
}

class BadLaneSearchTest : public testing::Test {
 protected:
  void SetUp() override {
    Create("bare", {});
    Create("named", {"title"});
    Create(kCollection, {"content", "tags"});
    v1::WriteRequest write;
    for (int i = 0; i < 1100; ++i) {
      v1::Object* object = write.add_mutations()->mutable_put_object()->mutable_object();
      object->mutable_ref()->set_collection(kCollection);
      object->mutable_ref()->set_key(absl::StrCat("k", i));
      object->set_content(absl::StrCat("rain many", i));
      for (const float value : {1.0f, 2.0f}) {
        (*object->mutable_vectors())["place"].add_values(value);
      }
    }
    v1::WriteResponse response;
    const absl::Status status = database_->objects().Write(context_, write, &response);
    ASSERT_TRUE(status.ok()) << status;
    good_.set_collection(kCollection);
    good_.mutable_text()->set_text("rain");
    good_.mutable_vector()->mutable_vector()->add_values(1);
    good_.mutable_vector()->mutable_vector()->add_values(1);
  }

  void Create(const std::string& name, const std::vector<std::string>& texts) {
    v1::CreateCollectionRequest request;
    request.mutable_collection()->set_name(name);
    v1::VectorField* place = request.mutable_collection()->add_vector_fields();
    place->set_name("place");
    place->set_dimension(2);
    for (const std::string& text : texts) {
      v1::TextField* field = request.mutable_collection()->add_text_fields();
      field->set_name(text);
      field->set_no_positions(text == "tags");
      field->set_only_by_name(text != "content");
    }
    v1::CreateCollectionResponse response;
    const absl::Status status = database_->catalog().CreateCollection(context_, request, &response);
    ASSERT_TRUE(status.ok()) << status;
  }

  static void Expect(const absl::Status& status, const BadSearch& bad, const std::string& field) {
    EXPECT_EQ(status.code(), bad.code) << bad.name << ": " << status;
    const auto detail = GetErrorDetail(status);
    ASSERT_TRUE(detail.has_value()) << bad.name;
    EXPECT_EQ(detail->reason, bad.reason) << bad.name << ": " << status;
    EXPECT_EQ(detail->field, field) << bad.name << ": " << status;
    EXPECT_FALSE(detail->remedy.empty()) << bad.name;
    const std::string message(status.message());
    EXPECT_NE(message.find(bad.says), std::string::npos) << bad.name << ": " << message;
  }

  void ExpectRefused(const std::vector<BadSearch>& table) {
    for (const BadSearch& bad : table) {
      v1::BatchSearchRequest batch;
      *batch.add_searches() = good_;
      *batch.add_searches() = good_;
      bad.change(batch.mutable_searches(1));
      v1::SearchResponse alone;
      Expect(database_->search().Search(context_, batch.searches(1), &alone), bad, bad.field);
      v1::BatchSearchResponse together;
      Expect(database_->search().BatchSearch(context_, batch, &together), bad,
             "searches[1]." + bad.field);
    }
  }

  TestDatabase database_;
  CallContext context_;
  v1::SearchRequest good_;
};

TEST_F(BadLaneSearchTest, TheGoodOneIsAnswered) {
  v1::SearchResponse response;
  ASSERT_TRUE(database_->search().Search(context_, good_, &response).ok());
  EXPECT_EQ(response.hits_size(), 10);
  AsLanes(&good_);
  v1::SearchResponse by_lanes;
  ASSERT_TRUE(database_->search().Search(context_, good_, &by_lanes).ok());
  EXPECT_EQ(by_lanes.hits_size(), 10);
}

TEST_F(BadLaneSearchTest, BadTextIsRefusedNamingTheField) { ExpectRefused(BadText()); }

TEST_F(BadLaneSearchTest, BadLanesAreRefusedNamingTheField) { ExpectRefused(BadLanes()); }

TEST_F(BadLaneSearchTest, ListsOfLanesCountInABatch) {
  v1::BatchSearchRequest batch;
  for (int i = 0; i < 6; ++i) {
    v1::SearchRequest* search = batch.add_searches();
    *search = good_;
    AsLanes(search);
    for (v1::SearchLane& lane : *search->mutable_lanes()) lane.set_candidates(9'000);
    search->set_with_lanes(true);
  }
  v1::BatchSearchResponse response;
  Expect(database_->search().BatchSearch(context_, batch, &response),
         {"lists", kInvalid, "LIMIT_EXCEEDED", "", nullptr, "100000"}, "searches");
}

TEST_F(BadLaneSearchTest, DescribingTextNeedsTextFields) {
  v1::DescribeIndexRequest request;
  request.set_text(true);
  request.set_collection("bare");
  v1::DescribeIndexResponse response;
  Expect(database_->search().DescribeIndex(context_, request, &response),
         {"bare", kNotFound, "FIELD_NOT_FOUND", "", nullptr, ""}, "text");
  request.set_collection(kCollection);
  request.set_field("content");
  Expect(database_->search().DescribeIndex(context_, request, &response),
         {"field", kInvalid, "INVALID_FIELD", "", nullptr, ""}, "field");
}

}  // namespace
}  // namespace cookix::engine
