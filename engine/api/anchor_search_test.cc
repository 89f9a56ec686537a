// Questions that start from what a search finds: they answer as questions from each of the
// anchors would, put together.
#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "cookix/v1/reasoning_service.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/test_database.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr const char* kCollection = "docs";
constexpr int kObjects = 40;

v1::ObjectRef Ref(const std::string& key) {
  v1::ObjectRef ref;
  ref.set_collection(kCollection);
  ref.set_key(key);
  return ref;
}

class AnchorSearchTest : public testing::TestWithParam<uint64_t> {
 protected:
  AnchorSearchTest() : random_(GetParam()) {}

  void SetUp() override {
    v1::CreateCollectionRequest create;
    create.mutable_collection()->set_name(kCollection);
    v1::VectorField* field = create.mutable_collection()->add_vector_fields();
    field->set_name("place");
    field->set_dimension(3);
    field->set_metric(v1::VECTOR_METRIC_L2);
    create.mutable_collection()->add_text_fields()->set_name("content");
    v1::CreateCollectionResponse created;
    ASSERT_TRUE(database_->catalog().CreateCollection(context_, create, &created).ok());
    v1::PutRelationRequest relation;
    relation.mutable_relation()->set_name("near");
    relation.mutable_relation()->set_symmetric(true);
    v1::PutRelationResponse registered;
    ASSERT_TRUE(database_->catalog().PutRelation(context_, relation, &registered).ok());
    const std::vector<std::string> relations = {"causes", "likes", "near"};
    for (int i = 0; i < kObjects; ++i) {
      v1::WriteRequest request;
      v1::ObjectWrite* write = request.add_mutations()->mutable_put_object();
      *write->mutable_object()->mutable_ref() = Ref("k" + std::to_string(i));
      (*write->mutable_object()->mutable_properties())["even"].set_bool_value(i % 2 == 0);
      if (Below(4) != 0) *Vector(write->mutable_object()) = Somewhere();
      write->mutable_object()->set_content(SomeWords(6));
      for (uint64_t e = Below(4); e > 0; --e) {
        v1::Edge* edge = write->add_edges();
        edge->set_relation(relations[Below(relations.size())]);
        // The last of them dangle.
        *edge->mutable_target() = Ref("k" + std::to_string(Below(kObjects + 3)));
        edge->set_weight(static_cast<double>(Below(4)));
      }
      v1::WriteResponse response;
      const absl::Status status = database_->objects().Write(context_, request, &response);
      ASSERT_TRUE(status.ok()) << status;
    }
  }

  uint64_t Below(uint64_t n) { return random_() % n; }

  static v1::Vector* Vector(v1::Object* object) { return &(*object->mutable_vectors())["place"]; }

  v1::Vector Somewhere() {
    v1::Vector vector;
    for (int i = 0; i < 3; ++i) vector.add_values(static_cast<float>(Below(1000)));
    return vector;
  }

  std::string SomeWords(uint64_t most) {
    std::string text;
    for (uint64_t i = 1 + Below(most); i > 0; --i) {
      const char* const words[] = {"rain", "storm", "flood", "mud", "sun"};
      text += std::string(words[Below(5)]) + " ";
    }
    return text;
  }

  // By vector, by words, by both, or by both and by links.
  void AskForAnchors(v1::AnchorSearch* search) {
    search->set_collection(kCollection);
    const uint64_t kind = Below(4);
    if (kind == 0 || kind == 2) *search->mutable_vector()->mutable_vector() = Somewhere();
    if (kind == 1 || kind == 2) search->mutable_text()->set_text(SomeWords(3));
    if (kind == 2) search->mutable_fusion()->set_alpha(0.25);
    if (kind < 3) return;
    *search->add_lanes()->mutable_vector()->mutable_vector() = Somewhere();
    search->add_lanes()->mutable_text()->set_text(SomeWords(3));
    *search->add_lanes()->mutable_neighbourhood()->add_anchors() = Ref("k1");
    search->mutable_fusion()->set_method(v1::FUSION_METHOD_NORMALIZED_SCORE);
  }

  static void OnlyEven(v1::Filter* filter) {
    filter->mutable_comparison()->set_field("even");
    filter->mutable_comparison()->set_op(v1::COMPARISON_OPERATOR_EQUAL);
    filter->mutable_comparison()->mutable_value()->set_bool_value(true);
  }

  Ordinal OrdinalOf(const v1::ObjectRef& ref) {
    const auto view = InNamespace(database_->Read(), "");
    EXPECT_TRUE(view.ok());
    const auto ordinal = view->FindOrdinal(ref, "ref");
    EXPECT_TRUE(ordinal.ok());
    return *ordinal;
  }

  v1::QueryResponse Query(const v1::QueryRequest& request) {
    v1::QueryResponse response;
    const absl::Status status = database_->reasoning().Query(context_, request, &response);
    EXPECT_TRUE(status.ok()) << status << "\n" << request.DebugString();
    return response;
  }

  // The answers of single anchors, put together.
  std::vector<v1::Hit> Merge(v1::QueryRequest request,
                             const google::protobuf::RepeatedPtrField<v1::Hit>& anchors) {
    struct Best {
      std::tuple<double, double, Ordinal> cost;
      v1::Hit hit;
    };
    const int limit = request.limit();
    const bool by_hops = request.chain_size() > 0;
    request.clear_anchor_search();
    request.set_limit(10'000);
    std::map<Ordinal, Best> best;
    for (const v1::Hit& anchor : anchors) {
      *request.mutable_anchor() = anchor.ref();
      const Ordinal start = OrdinalOf(anchor.ref());
      const v1::QueryResponse response = Query(request);
      for (const v1::Hit& hit : response.hits()) {
        const double weight = hit.path().weight(), hops = hit.hops();
        Best candidate{{by_hops ? hops : weight, by_hops ? weight : hops, start}, hit};
        auto [it, inserted] = best.emplace(OrdinalOf(hit.ref()), candidate);
        if (!inserted && candidate.cost < it->second.cost) it->second = candidate;
      }
    }
    std::vector<std::tuple<double, double, Ordinal>> order;
    for (const auto& [ordinal, entry] : best) {
      order.emplace_back(std::get<0>(entry.cost), std::get<1>(entry.cost), ordinal);
    }
    std::sort(order.begin(), order.end());
    std::vector<v1::Hit> merged;
    for (const auto& [first, second, ordinal] : order) {
      if (static_cast<int>(merged.size()) == limit) break;
      merged.push_back(best.at(ordinal).hit);
      (*merged.back().mutable_lane_ranks())["graph"] = static_cast<int>(merged.size());
    }
    return merged;
  }

  TestDatabase database_;
  std::mt19937_64 random_;
  CallContext context_;
};

TEST_P(AnchorSearchTest, AnswersAsItsAnchorsDoTogether) {
  std::map<std::string, int> answered;
  int anchors_answered = 0;
  for (int round = 0; round < 600; ++round) {
    v1::QueryRequest request;
    v1::AnchorSearch* search = request.mutable_anchor_search();
    AskForAnchors(search);
    search->set_limit(static_cast<int>(Below(7)));
    if (Below(4) == 0) OnlyEven(search->mutable_filter());
    if (Below(5) == 0) search->set_min_score(-400);
    if (Below(3) == 0) OnlyEven(request.mutable_filter());
    request.set_limit(1 + static_cast<int>(Below(20)));
    request.set_max_hops(1 + static_cast<int>(Below(5)));
    request.set_reverse(Below(3) == 0);
    request.set_with_explanations(true);
    request.set_with_objects(Below(2) == 0);
    switch (Below(4)) {
      case 0:
        request.set_relation(Below(2) == 0 ? "near" : "causes");
        break;
      case 1:
        for (uint64_t hop = 1 + Below(3); hop > 0; --hop) {
          request.add_chain(Below(2) == 0 ? "" : "near");
        }
        request.set_chain_prefixes(Below(2) == 0);
        break;
      case 2:
        *request.mutable_target() = Ref("k" + std::to_string(Below(kObjects + 4)));
        if (Below(2) == 0) request.set_relation("near");
        break;
      default:
        break;
    }
    const v1::QueryResponse response = Query(request);

    v1::SearchRequest alone;
    alone.set_collection(kCollection);
    if (search->has_vector()) *alone.mutable_vector() = search->vector();
    if (search->has_text()) *alone.mutable_text() = search->text();
    *alone.mutable_lanes() = search->lanes();
    if (search->has_fusion()) *alone.mutable_fusion() = search->fusion();
    alone.set_limit(search->limit() == 0 ? 5 : search->limit());
    *alone.mutable_filter() = search->filter();
    if (search->has_min_score()) alone.set_min_score(search->min_score());
    v1::SearchResponse found;
    ASSERT_TRUE(database_->search().Search(context_, alone, &found).ok());
    const auto& anchors = response.diagnostics().anchors();
    ASSERT_EQ(anchors.size(), found.hits_size());
    for (int i = 0; i < anchors.size(); ++i) {
      ASSERT_EQ(anchors[i].DebugString(), found.hits(i).DebugString());
    }
    EXPECT_EQ(response.diagnostics().anchor_search().strategy(), found.diagnostics().strategy());
    EXPECT_EQ(response.diagnostics().anchor_search().filter_matches(),
              found.diagnostics().filter_matches());

    const std::vector<v1::Hit> expected = Merge(request, anchors);
    ASSERT_EQ(response.hits_size(), static_cast<int>(expected.size())) << request.DebugString();
    for (int i = 0; i < response.hits_size(); ++i) {
      const v1::Hit& hit = response.hits(i);
      ASSERT_EQ(hit.DebugString(), expected[static_cast<size_t>(i)].DebugString())
          << request.DebugString();
      anchors_answered += std::any_of(anchors.begin(), anchors.end(), [&](const v1::Hit& anchor) {
        return anchor.ref().key() == hit.ref().key();
      });
      ++answered[response.diagnostics().strategy()];
    }
  }
  EXPECT_GT(anchors_answered, 20);
  for (const char* strategy : {"direct", "chain", "target", "geodesic"}) {
    EXPECT_GT(answered[strategy], 20) << strategy;
  }
}

TEST_P(AnchorSearchTest, TheFiveBestMatchesAreFollowed) {
  v1::SearchRequest words;
  words.set_collection(kCollection);
  words.mutable_text()->set_text("rain flood");
  words.set_limit(5);
  v1::SearchResponse best;
  ASSERT_TRUE(database_->search().Search(context_, words, &best).ok());
  ASSERT_EQ(best.hits_size(), 5);
  v1::QueryRequest request;
  request.mutable_anchor_search()->set_collection(kCollection);
  *request.mutable_anchor_search()->mutable_text() = words.text();
  request.add_chain("causes");
  request.set_limit(100);
  const v1::QueryResponse response = Query(request);
  ASSERT_EQ(response.diagnostics().anchors_size(), 5);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(response.diagnostics().anchors(i).ref().key(), best.hits(i).ref().key());
    EXPECT_EQ(response.diagnostics().anchors(i).score(), best.hits(i).score());
  }
  for (const v1::Hit& hit : response.hits()) {
    ASSERT_EQ(hit.path().steps_size(), 1);
    EXPECT_EQ(hit.path().steps(0).relation(), "causes");
    EXPECT_TRUE(std::any_of(best.hits().begin(), best.hits().end(), [&](const v1::Hit& anchor) {
      return anchor.ref().key() == hit.path().steps(0).source().key();
    }));
  }
}

TEST_P(AnchorSearchTest, WithoutAnchorsThereAreNoAnswers) {
  v1::QueryRequest request;
  request.mutable_anchor_search()->set_collection(kCollection);
  *request.mutable_anchor_search()->mutable_vector()->mutable_vector() = Somewhere();
  request.mutable_anchor_search()->set_min_score(1);
  const v1::QueryResponse response = Query(request);
  EXPECT_EQ(response.hits_size(), 0);
  EXPECT_EQ(response.diagnostics().anchors_size(), 0);
  EXPECT_EQ(response.diagnostics().anchor_search().hits_left_out(), 5);
  EXPECT_FALSE(response.position().empty());
}

TEST_P(AnchorSearchTest, IsRefusedNamingTheField) {
  struct Bad {
    std::function<void(v1::QueryRequest*)> change;
    absl::StatusCode code;
    std::string reason;
    std::string field;
  };
  constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
  const std::vector<Bad> table = {
      {[](v1::QueryRequest* r) { *r->mutable_anchor() = Ref("k1"); }, kInvalid, "INVALID_FIELD",
       "anchor_search"},
      {[](v1::QueryRequest* r) { r->clear_anchor_search(); }, kInvalid, "INVALID_FIELD",
       "anchor.key"},
      {[](v1::QueryRequest* r) { r->mutable_anchor_search()->clear_vector(); }, kInvalid,
       "INVALID_FIELD", "anchor_search.vector"},
      {[](v1::QueryRequest* r) { r->mutable_anchor_search()->set_limit(101); }, kInvalid,
       "LIMIT_EXCEEDED", "anchor_search.limit"},
      {[](v1::QueryRequest* r) { r->mutable_anchor_search()->set_limit(-1); }, kInvalid,
       "INVALID_FIELD", "anchor_search.limit"},
      {[](v1::QueryRequest* r) { r->mutable_anchor_search()->set_collection("nowhere"); },
       absl::StatusCode::kNotFound, "COLLECTION_NOT_FOUND", "anchor_search.collection"},
      {[](v1::QueryRequest* r) {
         r->mutable_anchor_search()->mutable_vector()->set_field("nothing");
       },
       absl::StatusCode::kNotFound, "FIELD_NOT_FOUND", "anchor_search.vector.field"},
      {[](v1::QueryRequest* r) {
         r->mutable_anchor_search()->mutable_vector()->mutable_vector()->add_values(1);
       },
       kInvalid, "INVALID_FIELD", "anchor_search.vector.vector"},
      {[](v1::QueryRequest* r) {
         r->mutable_anchor_search()->mutable_text()->set_text("(rain");
         r->mutable_anchor_search()->mutable_text()->set_mode(v1::TEXT_QUERY_MODE_RAW);
       },
       kInvalid, "INVALID_FIELD", "anchor_search.text.text"},
      {[](v1::QueryRequest* r) { r->mutable_anchor_search()->add_lanes(); }, kInvalid,
       "INVALID_FIELD", "anchor_search.lanes"},
      {[](v1::QueryRequest* r) { r->mutable_anchor_search()->mutable_fusion(); }, kInvalid,
       "INVALID_FIELD", "anchor_search.fusion"},
      {[](v1::QueryRequest* r) {
         r->mutable_anchor_search()->mutable_filter()->mutable_comparison()->set_field("even");
       },
       kInvalid, "INVALID_FIELD", "anchor_search.filter.comparison.value"},
  };
  for (const Bad& bad : table) {
    v1::QueryRequest request;
    request.mutable_anchor_search()->set_collection(kCollection);
    *request.mutable_anchor_search()->mutable_vector()->mutable_vector() = Somewhere();
    ASSERT_GT(Query(request).diagnostics().anchors_size(), 0);
    bad.change(&request);
    v1::QueryResponse response;
    const absl::Status status = database_->reasoning().Query(context_, request, &response);
    EXPECT_EQ(status.code(), bad.code) << bad.field << ": " << status;
    ASSERT_TRUE(GetErrorDetail(status).has_value()) << bad.field;
    EXPECT_EQ(GetErrorDetail(status)->reason, bad.reason) << bad.field;
    EXPECT_EQ(GetErrorDetail(status)->field, bad.field) << status;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, AnchorSearchTest, testing::Values(1, 2, 3));

}  // namespace
}  // namespace cookix::engine
