// Searches by words, links and several lanes against models that look at every object:
// lanes, fusion, filters, groups, counts, snippets, stages.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/api/search_api.h"
#include "engine/test_database.h"
#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

constexpr const char* kCollection = "docs";
constexpr int kObjects = 150;
constexpr int kEverything = 10'000;

const std::vector<std::string> kWords = {"rain", "sun",  "storm", "cloud", "flood", "river",
                                         "coat", "roof", "mud",   "seed",  "crop",  "heat"};

v1::ObjectRef Ref(const std::string& key, const std::string& collection = kCollection) {
  v1::ObjectRef ref;
  ref.set_collection(collection);
  ref.set_key(key);
  return ref;
}

using Words = std::vector<std::string>;

Words SplitWords(const std::string& text) {
  std::istringstream in(text);
  Words words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

std::string JoinWords(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

struct Model {
  // By field: title, content.
  std::map<std::string, Words> texts;
  std::vector<float> place;
  int rank = 0;
  bool odd = false;
  std::vector<std::tuple<std::string, std::string, double>> edges;  // relation, target, weight
};

// What a lane must find: scores by key.
using Scores = std::map<std::string, double>;

class LaneSearchTest : public testing::TestWithParam<bool> {
 protected:
  LaneSearchTest()
      : database_([](DatabaseOptions& options) {
          if (!GetParam()) options.text.max_bytes = 0;
        }),
        random_(7) {}

  void SetUp() override {
    v1::CreateCollectionRequest create;
    create.mutable_collection()->set_name(kCollection);
    v1::VectorField* place = create.mutable_collection()->add_vector_fields();
    place->set_name("place");
    place->set_dimension(3);
    place->set_metric(v1::VECTOR_METRIC_L2);
    place->set_index(v1::VECTOR_INDEX_KIND_FLAT);
    place->set_quantization(v1::VECTOR_QUANTIZATION_NONE);
    v1::TextField* title = create.mutable_collection()->add_text_fields();
    title->set_name("title");
    title->set_boost(2);
    create.mutable_collection()->add_text_fields()->set_name("content");
    v1::TextField* tags = create.mutable_collection()->add_text_fields();
    tags->set_name("tags");
    tags->set_only_by_name(true);
    v1::CreateCollectionResponse created;
    absl::Status status = database_->catalog().CreateCollection(context_, create, &created);
    ASSERT_TRUE(status.ok()) << status;
    for (int i = 0; i < kObjects + 60; ++i) {
      // Some of them are put again, with other words.
      ASSERT_NO_FATAL_FAILURE(Put(absl::StrCat("k", i % kObjects)));
    }
    for (int i = 0; i < 12; ++i) {
      const std::string key = absl::StrCat("k", Below(kObjects));
      if (model_.erase(key) == 0) continue;
      v1::DeleteObjectRequest request;
      *request.mutable_delete_()->mutable_ref() = Ref(key);
      v1::DeleteObjectResponse response;
      ASSERT_TRUE(database_->objects().DeleteObject(context_, request, &response).ok());
      for (auto& [other, object] : model_) {
        std::erase_if(object.edges, [&](const auto& edge) { return std::get<1>(edge) == key; });
      }
    }
    // What must not be found: the same words in another collection.
    v1::PutObjectRequest elsewhere;
    *elsewhere.mutable_write()->mutable_object()->mutable_ref() = Ref("k1", "default");
    elsewhere.mutable_write()->mutable_object()->set_content("rain sun storm");
    v1::PutObjectResponse put;
    ASSERT_TRUE(database_->objects().PutObject(context_, elsewhere, &put).ok());
  }

  uint64_t Below(uint64_t n) { return random_() % n; }

  Words AnyWords(uint64_t most) {
    Words words;
    for (uint64_t i = Below(most + 1); i > 0; --i) {
      // The first words are frequent.
      words.push_back(kWords[std::min(Below(kWords.size()), Below(kWords.size()))]);
    }
    return words;
  }

  void Put(const std::string& key) {
    Model made;
    made.texts["title"] = AnyWords(4);
    made.texts["content"] = AnyWords(30);
    if (Below(6) != 0) {
      for (int i = 0; i < 3; ++i) made.place.push_back(static_cast<float>(Below(100)));
    }
    made.rank = static_cast<int>(Below(10));
    made.odd = Below(2) == 0;
    v1::PutObjectRequest request;
    request.mutable_write()->set_replace_edges(true);
    v1::Object* object = request.mutable_write()->mutable_object();
    *object->mutable_ref() = Ref(key);
    object->set_content(JoinWords(made.texts["content"]));
    (*object->mutable_properties())["title"].set_string_value(JoinWords(made.texts["title"]));
    (*object->mutable_properties())["rank"].set_int_value(made.rank);
    if (made.odd) object->add_labels("odd");
    for (const float value : made.place) (*object->mutable_vectors())["place"].add_values(value);
    std::set<std::string> targets;
    for (uint64_t e = Below(4); e > 0; --e) {
      const std::string target = absl::StrCat("k", Below(kObjects));
      if (target == key || !targets.insert(target).second) continue;
      const char* relation = Below(2) == 0 ? "causes" : "likes";
      const double weight = static_cast<double>(1 + Below(5));
      made.edges.emplace_back(relation, target, weight);
      v1::Edge* edge = request.mutable_write()->add_edges();
      edge->set_relation(relation);
      *edge->mutable_target() = Ref(target);
      edge->set_weight(weight);
    }
    v1::PutObjectResponse response;
    const absl::Status status = database_->objects().PutObject(context_, request, &response);
    ASSERT_TRUE(status.ok()) << status;
    model_[key] = std::move(made);
  }

  // --- The models ---

  // BM25 of the words, each in each field, straight from the formula.
  Scores NaiveWords(const Words& words, const std::vector<std::string>& fields, bool all,
                    const std::map<std::string, double>& boosts) const {
    Scores scores;
    std::map<std::string, std::set<std::string>> matched;
    for (const std::string& field : fields) {
      double n = 0, length = 0;
      for (const auto& [key, object] : model_) {
        const Words& text = object.texts.at(field);
        n += text.empty() ? 0 : 1;
        length += static_cast<double>(text.size());
      }
      for (const std::string& word : words) {
        const auto tf_of = [&](const Model& object) {
          const Words& text = object.texts.at(field);
          return static_cast<double>(std::count(text.begin(), text.end(), word));
        };
        double df = 0;
        for (const auto& [key, object] : model_) df += tf_of(object) > 0 ? 1 : 0;
        const double idf = std::log(1 + (n - df + 0.5) / (df + 0.5));
        for (const auto& [key, object] : model_) {
          const double tf = tf_of(object);
          if (tf == 0) continue;
          const double share = static_cast<double>(object.texts.at(field).size()) / (length / n);
          scores[key] += boosts.at(field) * idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * share));
          matched[key].insert(word);
        }
      }
    }
    if (all) {
      std::erase_if(scores,
                    [&](const auto& score) { return matched[score.first].size() < words.size(); });
    }
    return scores;
  }

  Scores NaivePlace(const v1::Vector& query) const {
    Scores scores;
    for (const auto& [key, object] : model_) {
      if (object.place.empty()) continue;
      double sum = 0;
      for (int i = 0; i < 3; ++i) {
        sum += std::pow(static_cast<double>(object.place[static_cast<size_t>(i)]) - query.values(i),
                        2);
      }
      scores[key] = -std::sqrt(sum);
    }
    return scores;
  }

  // The lightest ways of at most `hops` steps, hop by hop.
  Scores NaiveLinks(const std::vector<std::string>& anchors, const std::string& relation,
                    int hops) const {
    Scores weights;
    for (const std::string& anchor : anchors) weights[anchor] = 0;
    for (int hop = 0; hop < hops; ++hop) {
      Scores next = weights;
      for (const auto& [from, weight] : weights) {
        const auto object = model_.find(from);
        if (object == model_.end()) continue;
        for (const auto& [name, target, step] : object->second.edges) {
          if (!relation.empty() && name != relation) continue;
          const auto [at, inserted] = next.emplace(target, weight + step);
          if (!inserted) at->second = std::min(at->second, weight + step);
        }
      }
      weights = std::move(next);
    }
    Scores scores;
    for (const auto& [key, weight] : weights) {
      const bool is_anchor = std::find(anchors.begin(), anchors.end(), key) != anchors.end();
      if (!is_anchor && model_.count(key) > 0) scores[key] = -weight;
    }
    return scores;
  }

  // --- Requests ---

  struct Asked {
    v1::SearchLane lane;
    Scores expected;
  };

  Asked AskWords() {
    Asked asked;
    v1::TextQuery* query = asked.lane.mutable_text();
    std::set<std::string> words;
    for (uint64_t i = 1 + Below(3); i > 0; --i) words.insert(kWords[Below(kWords.size())]);
    const Words list(words.begin(), words.end());
    query->set_text(JoinWords(list));
    const bool all = Below(2) == 0;
    if (all) query->set_mode(v1::TEXT_QUERY_MODE_ALL_WORDS);
    std::vector<std::string> fields = {"title", "content"};
    if (const uint64_t only = Below(4); only < 2) {
      fields = {fields[only]};
      query->add_fields(fields.front());
    }
    std::map<std::string, double> boosts = {{"title", 2}, {"content", 1}};
    if (Below(3) == 0) {
      boosts["content"] = 0.5;
      (*query->mutable_boosts())["content"] = 0.5;
    }
    asked.expected = NaiveWords(list, fields, all, boosts);
    return asked;
  }

  Asked AskPlace() {
    Asked asked;
    asked.lane.mutable_vector()->set_exact(true);
    v1::Vector* vector = asked.lane.mutable_vector()->mutable_vector();
    for (int i = 0; i < 3; ++i) vector->add_values(static_cast<float>(Below(100)));
    asked.expected = NaivePlace(*vector);
    return asked;
  }

  Asked AskLinks() {
    Asked asked;
    v1::NeighbourhoodQuery* query = asked.lane.mutable_neighbourhood();
    std::vector<std::string> anchors;
    for (uint64_t i = 1 + Below(3); i > 0; --i) {
      anchors.push_back(
          std::next(model_.begin(), static_cast<int64_t>(Below(model_.size())))->first);
      *query->add_anchors() = Ref(anchors.back());
    }
    // Nothing follows from what is not known.
    *query->add_anchors() = Ref("nobody");
    std::string relation;
    if (Below(2) == 0) {
      relation = "likes";
      query->add_relations(relation);
    }
    const int hops = static_cast<int>(Below(5));
    query->set_max_hops(hops);
    asked.expected = NaiveLinks(anchors, relation, hops == 0 ? 2 : hops);
    return asked;
  }

  Asked AskAny() {
    Asked asked = Below(2) == 0 ? AskWords() : Below(2) == 0 ? AskPlace() : AskLinks();
    asked.lane.set_candidates(kEverything);
    if (Below(3) == 0) asked.lane.set_weight(static_cast<double>(1 + Below(8)) / 4);
    return asked;
  }

  // Sets some filter and takes from `expected` what it does not let through.
  void AddFilter(v1::SearchRequest* request, std::vector<Asked>* lanes) {
    if (Below(2) == 0) return;
    const int below = static_cast<int>(Below(11));
    v1::Comparison* comparison = request->mutable_filter()->mutable_comparison();
    comparison->set_field("rank");
    comparison->set_op(v1::COMPARISON_OPERATOR_LESS);
    comparison->mutable_value()->set_int_value(below);
    const bool labelled = Below(2) == 0;
    if (labelled) request->add_labels("odd");
    for (Asked& asked : *lanes) {
      std::erase_if(asked.expected, [&](const auto& score) {
        const Model& object = model_.at(score.first);
        return object.rank >= below || (labelled && !object.odd);
      });
    }
  }

  v1::SearchResponse Search(const v1::SearchRequest& request) {
    v1::SearchResponse response;
    const absl::Status status = database_->search().Search(context_, request, &response);
    EXPECT_TRUE(status.ok()) << status << "\n" << request.DebugString();
    return response;
  }

  Ordinal OrdinalOf(const v1::ObjectRef& ref) {
    const auto view = InNamespace(database_->Read(), "");
    EXPECT_TRUE(view.ok());
    const auto ordinal = view->FindOrdinal(ref, "ref");
    EXPECT_TRUE(ordinal.ok());
    return *ordinal;
  }

  // The list has what is expected, in order.
  void ExpectLane(const v1::LaneResult& lane, const Asked& asked) {
    Scores found;
    for (int i = 0; i < lane.hits_size(); ++i) {
      const v1::Hit& hit = lane.hits(i);
      ASSERT_EQ(hit.ref().collection(), kCollection);
      found[hit.ref().key()] = hit.score();
      ASSERT_EQ(hit.distance(), 0.0 - hit.score());
      if (asked.lane.has_neighbourhood()) {
        ASSERT_EQ(hit.path().steps_size(), hit.hops());
        ASSERT_GT(hit.hops(), 0);
        ASSERT_EQ(hit.path().weight(), hit.distance());
        ASSERT_EQ(hit.path().steps(hit.hops() - 1).target().key(), hit.ref().key());
      }
      if (i == 0) continue;
      const v1::Hit& before = lane.hits(i - 1);
      ASSERT_TRUE(std::make_tuple(-before.score(), before.hops(), OrdinalOf(before.ref())) <
                  std::make_tuple(-hit.score(), hit.hops(), OrdinalOf(hit.ref())));
    }
    ASSERT_EQ(found.size(), asked.expected.size()) << asked.lane.DebugString();
    for (const auto& [key, score] : asked.expected) {
      ASSERT_EQ(found.count(key), 1u) << key << "\n" << asked.lane.DebugString();
      ASSERT_NEAR(found[key], score, 1e-5 * (1 + std::abs(score))) << asked.lane.DebugString();
    }
  }

  struct Fused {
    double score = 0;
    Ordinal ordinal = 0;
    std::string key;
    std::map<std::string, std::pair<int, double>> lanes;  // rank and score
    bool operator<(const Fused& other) const {
      return score > other.score || (score == other.score && ordinal < other.ordinal);
    }
  };

  // From the lanes' own lists, by the formulas.
  std::vector<Fused> Fuse(const v1::SearchRequest& request, const v1::SearchResponse& response,
                          const std::map<std::string, double>& weights) {
    const bool normalized = request.fusion().method() == v1::FUSION_METHOD_NORMALIZED_SCORE;
    const double k = request.fusion().rank_constant() == 0 ? 60 : request.fusion().rank_constant();
    std::map<std::string, Fused> by_key;
    for (const v1::LaneResult& lane : response.lanes()) {
      if (lane.hits().empty()) continue;
      const double greatest = lane.hits(0).score();
      const double least = lane.hits(lane.hits_size() - 1).score();
      for (int i = 0; i < lane.hits_size(); ++i) {
        const v1::Hit& hit = lane.hits(i);
        Fused& fused = by_key[hit.ref().key()];
        fused.key = hit.ref().key();
        fused.ordinal = OrdinalOf(hit.ref());
        fused.lanes[lane.name()] = {i + 1, hit.score()};
        const double weight = weights.at(lane.name());
        if (normalized) {
          fused.score +=
              weight * (greatest == least ? 1.0 : (hit.score() - least) / (greatest - least));
        } else {
          fused.score += weight / (k + i + 1);
        }
      }
    }
    std::vector<Fused> all;
    for (const auto& [key, fused] : by_key) {
      const bool counts = std::any_of(fused.lanes.begin(), fused.lanes.end(),
                                      [&](const auto& lane) { return weights.at(lane.first) > 0; });
      if (counts) all.push_back(fused);
    }
    std::sort(all.begin(), all.end());
    return all;
  }

  void ExpectHit(const v1::Hit& hit, const Fused& expected) {
    ASSERT_EQ(hit.ref().key(), expected.key);
    ASSERT_NEAR(hit.score(), expected.score, 1e-12);
    ASSERT_EQ(hit.distance(), 0.0 - hit.score());
    ASSERT_EQ(hit.lane_ranks_size(), static_cast<int>(expected.lanes.size()));
    ASSERT_EQ(hit.components_size(), static_cast<int>(expected.lanes.size()));
    for (const auto& [name, lane] : expected.lanes) {
      ASSERT_EQ(hit.lane_ranks().at(name), lane.first);
      ASSERT_EQ(hit.components().at(name), lane.second);
    }
  }

  TestDatabase database_;
  std::mt19937_64 random_;
  std::map<std::string, Model> model_;
  CallContext context_;
};

TEST_P(LaneSearchTest, LanesFindWhatLookingAtAllFindsAndAreFusedByTheFormula) {
  int64_t hits = 0;
  int left_out = 0;
  for (int round = 0; round < 150; ++round) {
    v1::SearchRequest request;
    request.set_collection(kCollection);
    request.set_with_lanes(true);
    std::vector<Asked> lanes;
    std::map<std::string, double> weights;
    std::map<std::string, int> kinds;
    for (uint64_t i = 2 + Below(3); i > 0; --i) {
      lanes.push_back(AskAny());
      v1::SearchLane& lane = lanes.back().lane;
      std::string name = lane.has_text() ? "text" : lane.has_vector() ? "vector" : "neighbourhood";
      if (const int nth = ++kinds[name]; nth > 1) absl::StrAppend(&name, nth);
      if (Below(4) == 0) {
        name = absl::StrCat("lane ", i);
        lane.set_name(name);
      }
      weights[name] = lane.weight() == 0 ? 1 : lane.weight();
    }
    AddFilter(&request, &lanes);
    for (const Asked& asked : lanes) *request.add_lanes() = asked.lane;
    if (Below(2) == 0) request.mutable_fusion()->set_method(v1::FUSION_METHOD_NORMALIZED_SCORE);
    if (Below(2) == 0 && !request.has_fusion()) request.mutable_fusion()->set_rank_constant(7);
    const int limit = 1 + static_cast<int>(Below(40));
    request.set_limit(limit);
    v1::SearchResponse response = Search(request);
    ASSERT_EQ(response.lanes_size(), static_cast<int>(lanes.size()));
    for (int i = 0; i < response.lanes_size(); ++i) {
      ASSERT_NO_FATAL_FAILURE(ExpectLane(response.lanes(i), lanes[static_cast<size_t>(i)]));
    }
    std::vector<Fused> expected = Fuse(request, response, weights);
    if (!expected.empty() && Below(3) == 0) {
      const double least = expected[Below(expected.size())].score;
      request.set_min_score(least);
      response = Search(request);
      std::erase_if(expected, [&](const Fused& fused) { return fused.score < least; });
      left_out += response.diagnostics().hits_left_out() > 0 ? 1 : 0;
    }
    expected.resize(std::min(expected.size(), static_cast<size_t>(limit)));
    ASSERT_EQ(response.hits_size(), static_cast<int>(expected.size())) << request.DebugString();
    for (int i = 0; i < response.hits_size(); ++i) {
      ASSERT_NO_FATAL_FAILURE(ExpectHit(response.hits(i), expected[static_cast<size_t>(i)]));
      const bool linked = std::any_of(
          response.lanes().begin(), response.lanes().end(), [&](const v1::LaneResult& lane) {
            return std::any_of(lane.hits().begin(), lane.hits().end(), [&](const v1::Hit& hit) {
              return hit.has_path() && hit.ref().key() == response.hits(i).ref().key();
            });
          });
      ASSERT_EQ(response.hits(i).has_path(), linked);
      ++hits;
    }
  }
  EXPECT_GT(hits, 1000);
  EXPECT_GT(left_out, 5);
}

TEST_P(LaneSearchTest, ALaneAloneKeepsItsOwnScores) {
  for (int round = 0; round < 60; ++round) {
    std::vector<Asked> lanes = {AskAny()};
    v1::SearchRequest request;
    request.set_collection(kCollection);
    request.set_limit(1 + static_cast<int>(Below(30)));
    AddFilter(&request, &lanes);
    const v1::SearchLane& lane = lanes.front().lane;
    v1::SearchRequest whole = request;
    *whole.add_lanes() = lane;
    whole.set_with_lanes(true);
    const v1::SearchResponse list = Search(whole);
    ASSERT_NO_FATAL_FAILURE(ExpectLane(list.lanes(0), lanes.front()));
    if (lane.has_text()) {
      *request.mutable_text() = lane.text();
    } else if (lane.has_vector()) {
      *request.mutable_vector() = lane.vector();
    } else {
      *request.add_lanes() = lane;
    }
    const v1::SearchResponse response = Search(request);
    ASSERT_EQ(response.hits_size(), std::min(request.limit(), list.lanes(0).hits_size()));
    for (int i = 0; i < response.hits_size(); ++i) {
      const v1::Hit& expected = list.lanes(0).hits(i);
      ASSERT_EQ(response.hits(i).ref().key(), expected.ref().key());
      ASSERT_EQ(response.hits(i).score(), expected.score());
      ASSERT_EQ(response.hits(i).distance(), expected.distance());
      ASSERT_EQ(response.hits(i).hops(), expected.hops());
      ASSERT_EQ(response.hits(i).lane_ranks().at(list.lanes(0).name()), i + 1);
      ASSERT_EQ(response.hits(i).components().at(list.lanes(0).name()), expected.score());
    }
    EXPECT_TRUE(response.diagnostics().exact());
    EXPECT_FALSE(response.diagnostics().strategy().empty());
  }
}

TEST_P(LaneSearchTest, LanesLookAtTheirCandidatesOnly) {
  for (int round = 0; round < 40; ++round) {
    v1::SearchRequest request;
    request.set_collection(kCollection);
    request.set_with_lanes(true);
    request.set_limit(3);
    *request.add_lanes() = AskAny().lane;
    *request.add_lanes() = AskAny().lane;
    const v1::SearchResponse whole = Search(request);
    const int most = 3 + static_cast<int>(Below(20));
    for (v1::SearchLane& lane : *request.mutable_lanes()) lane.set_candidates(most);
    const v1::SearchResponse response = Search(request);
    std::map<std::string, double> weights;
    for (int i = 0; i < 2; ++i) {
      const v1::LaneResult& lane = response.lanes(i);
      ASSERT_EQ(lane.hits_size(), std::min(most, whole.lanes(i).hits_size()));
      for (int j = 0; j < lane.hits_size(); ++j) {
        ASSERT_EQ(lane.hits(j).ref().key(), whole.lanes(i).hits(j).ref().key());
        ASSERT_EQ(lane.hits(j).score(), whole.lanes(i).hits(j).score());
      }
      weights[lane.name()] = request.lanes(i).weight() == 0 ? 1 : request.lanes(i).weight();
    }
    std::vector<Fused> expected = Fuse(request, response, weights);
    expected.resize(std::min(expected.size(), size_t{3}));
    ASSERT_EQ(response.hits_size(), static_cast<int>(expected.size()));
    for (int i = 0; i < response.hits_size(); ++i) {
      ASSERT_NO_FATAL_FAILURE(ExpectHit(response.hits(i), expected[static_cast<size_t>(i)]));
    }
  }
}

TEST_P(LaneSearchTest, AlphaWeighsVectorAgainstWords) {
  for (const double alpha : {0.0, 0.3, 1.0}) {
    for (const auto method :
         {v1::FUSION_METHOD_RECIPROCAL_RANK, v1::FUSION_METHOD_NORMALIZED_SCORE}) {
      v1::SearchRequest request;
      request.set_collection(kCollection);
      *request.mutable_vector() = AskPlace().lane.vector();
      request.mutable_text()->set_text("rain storm");
      request.mutable_fusion()->set_alpha(alpha);
      request.mutable_fusion()->set_method(method);
      request.set_with_lanes(true);
      request.set_limit(50);
      const v1::SearchResponse response = Search(request);
      const std::vector<Fused> expected =
          Fuse(request, response, {{"vector", alpha}, {"text", 1 - alpha}});
      ASSERT_EQ(response.hits_size(), std::min(50, static_cast<int>(expected.size())));
      for (int i = 0; i < response.hits_size(); ++i) {
        ASSERT_NO_FATAL_FAILURE(ExpectHit(response.hits(i), expected[static_cast<size_t>(i)]));
        // Alone, a lane keeps its order.
        if (alpha == 1) {
          ASSERT_EQ(response.hits(i).lane_ranks().at("vector"), i + 1);
        } else if (alpha == 0) {
          ASSERT_EQ(response.hits(i).lane_ranks().at("text"), i + 1);
        }
      }
    }
  }
}

TEST_P(LaneSearchTest, GroupsAreThoseOfTheFusedHits) {
  for (int round = 0; round < 40; ++round) {
    std::vector<Asked> lanes = {AskAny(), AskAny()};
    v1::SearchRequest request;
    request.set_collection(kCollection);
    AddFilter(&request, &lanes);
    for (const Asked& asked : lanes) *request.add_lanes() = asked.lane;
    request.set_limit(1000);
    const v1::SearchResponse hits = Search(request);
    request.set_limit(1 + static_cast<int>(Below(8)));
    request.set_group_by("rank");
    request.set_group_limit(1 + static_cast<int>(Below(4)));
    const v1::SearchResponse response = Search(request);
    std::vector<std::pair<int, std::vector<v1::Hit>>> groups;
    for (const v1::Hit& hit : hits.hits()) {
      const int rank = model_.at(hit.ref().key()).rank;
      auto at = std::find_if(groups.begin(), groups.end(),
                             [&](const auto& group) { return group.first == rank; });
      if (at == groups.end()) {
        if (groups.size() == static_cast<size_t>(request.limit())) continue;
        at = groups.insert(groups.end(), {rank, {}});
      }
      if (at->second.size() < static_cast<size_t>(request.group_limit())) {
        at->second.push_back(hit);
      }
    }
    ASSERT_EQ(response.groups_size(), static_cast<int>(groups.size()));
    for (int i = 0; i < response.groups_size(); ++i) {
      const auto& [rank, members] = groups[static_cast<size_t>(i)];
      ASSERT_EQ(response.groups(i).value().int_value(), rank);
      ASSERT_EQ(response.groups(i).hits_size(), static_cast<int>(members.size()));
      for (int j = 0; j < response.groups(i).hits_size(); ++j) {
        ASSERT_EQ(response.groups(i).hits(j).SerializeAsString().size(),
                  members[static_cast<size_t>(j)].SerializeAsString().size());
        ASSERT_EQ(response.groups(i).hits(j).ref().key(),
                  members[static_cast<size_t>(j)].ref().key());
      }
    }
    EXPECT_FALSE(response.diagnostics().truncated());
  }
}

TEST_P(LaneSearchTest, GroupsOfWordsLookAtAsManyAsTheyNeed) {
  const Scores all =
      NaiveWords({"rain"}, {"title", "content"}, false, {{"title", 2}, {"content", 1}});
  std::map<int, double> best;
  for (const auto& [key, score] : all) {
    double& least = best.emplace(model_.at(key).rank, score).first->second;
    least = std::max(least, score);
  }
  v1::SearchRequest request;
  request.set_collection(kCollection);
  request.mutable_text()->set_text("rain");
  request.set_group_by("rank");
  request.set_limit(10);
  request.set_group_limit(20);
  const v1::SearchResponse response = Search(request);
  ASSERT_EQ(response.groups_size(), static_cast<int>(best.size()));
  int64_t hits = 0;
  for (const v1::SearchGroup& group : response.groups()) {
    ASSERT_NEAR(group.hits(0).score(), best[static_cast<int>(group.value().int_value())], 1e-9);
    hits += group.hits_size();
  }
  EXPECT_EQ(hits + response.diagnostics().hits_left_out(), static_cast<int64_t>(all.size()));
}

TEST_P(LaneSearchTest, CountsAllThatMatch) {
  for (int round = 0; round < 60; ++round) {
    std::vector<Asked> lanes;
    for (uint64_t i = 1 + Below(3); i > 0; --i) lanes.push_back(AskWords());
    if (Below(2) == 0) lanes.push_back(AskPlace());
    v1::SearchRequest request;
    request.set_collection(kCollection);
    request.set_limit(1);
    request.set_count_matches(true);
    AddFilter(&request, &lanes);
    std::set<std::string> matching;
    for (const Asked& asked : lanes) {
      *request.add_lanes() = asked.lane;
      if (!asked.lane.has_text()) continue;
      for (const auto& [key, score] : asked.expected) matching.insert(key);
    }
    EXPECT_EQ(Search(request).total_matches(), static_cast<int64_t>(matching.size()))
        << request.DebugString();
    if (lanes.size() > 1) continue;
    v1::SearchRequest alone = request;
    alone.clear_lanes();
    *alone.mutable_text() = lanes.front().lane.text();
    EXPECT_EQ(Search(alone).total_matches(), static_cast<int64_t>(matching.size()));
    alone.set_count_matches(false);
    EXPECT_EQ(Search(alone).total_matches(), 0);
  }
}

TEST_P(LaneSearchTest, ModesDecideWhatMatches) {
  const auto found = [&](const std::string& text, v1::TextQueryMode mode,
                         const std::string& field = "") {
    v1::SearchRequest request;
    request.set_collection(kCollection);
    request.mutable_text()->set_text(text);
    request.mutable_text()->set_mode(mode);
    if (!field.empty()) request.mutable_text()->add_fields(field);
    request.set_limit(kEverything);
    const v1::SearchResponse response = Search(request);
    std::set<std::string> keys;
    for (const v1::Hit& hit : response.hits()) keys.insert(hit.ref().key());
    return keys;
  };
  using Matches = std::function<bool(const Model&)>;
  const auto expected = [&](const Matches& test) {
    std::set<std::string> keys;
    for (const auto& [key, object] : model_) {
      if (test(object)) keys.insert(key);
    }
    EXPECT_FALSE(keys.empty());
    return keys;
  };
  const auto has = [](const Model& object, const std::string& field, const std::string& word) {
    const Words& text = object.texts.at(field);
    return std::find(text.begin(), text.end(), word) != text.end();
  };
  const auto follows = [](const Model& object, const std::string& field) {
    const Words& text = object.texts.at(field);
    for (size_t i = 1; i < text.size(); ++i) {
      if (text[i - 1] == "rain" && text[i] == "sun") return true;
    }
    return false;
  };
  const auto either = [&](const Model& object, const std::string& word) {
    return has(object, "title", word) || has(object, "content", word);
  };
  EXPECT_EQ(found("rain sun", v1::TEXT_QUERY_MODE_PHRASE), expected([&](const Model& object) {
              return follows(object, "title") || follows(object, "content");
            }));
  EXPECT_EQ(found("rain AND NOT sun", v1::TEXT_QUERY_MODE_RAW), expected([&](const Model& object) {
              return either(object, "rain") && !either(object, "sun");
            }));
  EXPECT_EQ(found("title:(storm OR mud) content:ra*", v1::TEXT_QUERY_MODE_RAW),
            expected([&](const Model& object) {
              return (has(object, "title", "storm") || has(object, "title", "mud")) &&
                     has(object, "content", "rain");
            }));
  EXPECT_EQ(found("clovd~1", v1::TEXT_QUERY_MODE_RAW, "content"),
            expected([&](const Model& object) { return has(object, "content", "cloud"); }));
  // Operators are words like others unless the query is raw, and no text is an error.
  EXPECT_EQ(found("rain) AND NOT (\"sun", v1::TEXT_QUERY_MODE_ALL_WORDS), std::set<std::string>());
  EXPECT_EQ(found("rain:)(", v1::TEXT_QUERY_MODE_UNSPECIFIED),
            expected([&](const Model& object) { return either(object, "rain"); }));
  // Without words nothing is found.
  for (const char* nothing : {"", "  ", "…!", "()"}) {
    EXPECT_TRUE(found(nothing, v1::TEXT_QUERY_MODE_ANY_WORDS).empty());
    EXPECT_TRUE(found(nothing, v1::TEXT_QUERY_MODE_PHRASE).empty());
  }
  EXPECT_TRUE(found("", v1::TEXT_QUERY_MODE_RAW).empty());
}

TEST_P(LaneSearchTest, SnippetsShowTheWordsWhereTheyStand) {
  int highlights = 0;
  for (int round = 0; round < 30; ++round) {
    const Asked asked = AskWords();
    const Words words = SplitWords(asked.lane.text().text());
    v1::SearchRequest request;
    request.set_collection(kCollection);
    *request.mutable_text() = asked.lane.text();
    request.mutable_snippets()->set_max_words(1 + static_cast<int>(Below(8)));
    request.mutable_snippets()->set_max_snippets(1 + static_cast<int>(Below(3)));
    const v1::SearchResponse response = Search(request);
    for (const v1::Hit& hit : response.hits()) {
      ASSERT_FALSE(hit.has_object());
      ASSERT_GT(hit.snippets_size(), 0);
      std::map<std::string, int> of_field;
      for (const v1::Snippet& snippet : hit.snippets()) {
        const Words& text_words = model_.at(hit.ref().key()).texts.at(snippet.field());
        const std::string text = JoinWords(text_words);
        const auto offset = static_cast<size_t>(snippet.offset());
        ASSERT_EQ(text.substr(offset, snippet.text().size()), snippet.text());
        ASSERT_EQ(snippet.cut_before(), offset > 0);
        ASSERT_EQ(snippet.cut_after(), offset + snippet.text().size() < text.size());
        ASSERT_LE(SplitWords(snippet.text()).size(),
                  static_cast<size_t>(request.snippets().max_words()));
        ASSERT_LE(++of_field[snippet.field()], request.snippets().max_snippets());
        // All words searched for are marked, and nothing else.
        const Words shown = SplitWords(snippet.text());
        int64_t wanted = 0;
        for (const std::string& word : words)
          wanted += std::count(shown.begin(), shown.end(), word);
        ASSERT_EQ(snippet.highlights_size(), wanted) << snippet.DebugString();
        for (const v1::ByteRange& range : snippet.highlights()) {
          const std::string marked = snippet.text().substr(
              static_cast<size_t>(range.begin()), static_cast<size_t>(range.end() - range.begin()));
          ASSERT_TRUE(std::find(words.begin(), words.end(), marked) != words.end()) << marked;
          ++highlights;
        }
      }
      const bool one = !asked.lane.text().fields().empty();
      ASSERT_TRUE(of_field.size() == 1 || !one);
    }
  }
  EXPECT_GT(highlights, 100);
}

TEST_P(LaneSearchTest, SnippetsOfListsAndFuzzyWords) {
  v1::UpdateCollectionRequest update;
  update.set_collection(kCollection);
  v1::TextField* notes = update.add_put_text_fields();
  notes->set_name("notes");
  notes->mutable_analyzer()->set_language("en");
  v1::UpdateCollectionResponse updated;
  absl::Status status = database_->catalog().UpdateCollection(context_, update, &updated);
  ASSERT_TRUE(status.ok()) << status;
  v1::PutObjectRequest put;
  *put.mutable_write()->mutable_object()->mutable_ref() = Ref("listed");
  auto* list =
      (*put.mutable_write()->mutable_object()->mutable_properties())["notes"].mutable_list_value();
  for (const char* text : {"Nothing here", "The quick foxes jumped", "Foxes, again"}) {
    list->add_values()->set_string_value(text);
  }
  v1::PutObjectResponse done;
  ASSERT_TRUE(database_->objects().PutObject(context_, put, &done).ok());
  v1::SearchRequest request;
  request.set_collection(kCollection);
  request.mutable_text()->set_text("notes:fox^2 notes:quik~1");
  request.mutable_text()->set_mode(v1::TEXT_QUERY_MODE_RAW);
  request.mutable_snippets()->set_max_snippets(5);
  const v1::SearchResponse response = Search(request);
  ASSERT_EQ(response.hits_size(), 1);
  const v1::Hit& hit = response.hits(0);
  ASSERT_EQ(hit.snippets_size(), 2) << hit.DebugString();
  EXPECT_EQ(hit.snippets(0).text(), "The quick foxes jumped");
  EXPECT_EQ(hit.snippets(0).highlights_size(), 2);
  EXPECT_EQ(hit.snippets(0).offset(), 0);
  EXPECT_EQ(hit.snippets(1).text(), "Foxes, again");
  // A field that has none of the words shows its beginning.
  request.mutable_text()->set_text("notes:quick");
  request.mutable_snippets()->add_fields("content");
  request.mutable_snippets()->add_fields("notes");
  const v1::SearchResponse again = Search(request);
  ASSERT_EQ(again.hits_size(), 1);
  ASSERT_EQ(again.hits(0).snippets_size(), 1);
  EXPECT_EQ(again.hits(0).snippets(0).field(), "notes");
}

TEST_P(LaneSearchTest, StagesSayWhatHappened) {
  v1::SearchRequest request;
  request.set_collection(kCollection);
  *request.mutable_vector() = AskPlace().lane.vector();
  request.mutable_text()->set_text("rain storm mud");
  request.add_labels("odd");
  request.mutable_snippets();
  request.set_with_objects(true);
  request.set_with_lanes(true);
  request.set_limit(5);
  EXPECT_EQ(Search(request).stages_size(), 0);
  request.set_explain(true);
  const v1::SearchResponse response = Search(request);
  std::vector<std::string> names;
  for (const v1::PlanStage& stage : response.stages()) {
    names.push_back(stage.name());
    EXPECT_FALSE(stage.detail().empty()) << stage.name();
    int64_t inside = 0;
    for (const v1::PlanStage& part : stage.stages()) inside += part.elapsed_us();
    EXPECT_LE(inside, stage.elapsed_us()) << stage.DebugString();
  }
  ASSERT_EQ(names,
            (std::vector<std::string>{"filter", "vector", "text", "fuse", "fetch", "lanes"}));
  int64_t odd = 0;
  for (const auto& [key, object] : model_) odd += object.odd ? 1 : 0;
  EXPECT_EQ(response.stages(0).output(), odd);
  std::set<std::string> together;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(response.stages(1 + i).output(), response.lanes(i).hits_size());
    for (const v1::Hit& hit : response.lanes(i).hits()) together.insert(hit.ref().key());
  }
  EXPECT_EQ(response.stages(3).input(),
            response.lanes(0).hits_size() + response.lanes(1).hits_size());
  EXPECT_EQ(response.stages(3).output(), static_cast<int64_t>(together.size()));
  EXPECT_EQ(response.stages(4).output(), 5);
  const v1::PlanStage& text = response.stages(2);
  ASSERT_EQ(text.stages_size(), 2);
  EXPECT_EQ(text.stages(0).name(), "analyze");
  // Three words in two fields.
  EXPECT_EQ(text.stages(0).output(), 6);
  EXPECT_EQ(text.stages(1).name(), "match");
  EXPECT_GE(text.stages(1).input(), text.output());
  ASSERT_EQ(response.stages(4).stages_size(), 1);
  int64_t snippets = 0;
  for (const v1::Hit& hit : response.hits()) snippets += hit.snippets_size();
  EXPECT_EQ(response.stages(4).stages(0).output(), snippets);
  EXPECT_NE(response.diagnostics().strategy().find(" + "), std::string::npos);
}

TEST_P(LaneSearchTest, ABatchAnswersAsItsSearchesDo) {
  v1::BatchSearchRequest batch;
  for (int i = 0; i < 30; ++i) {
    v1::SearchRequest* search = batch.add_searches();
    search->set_collection(kCollection);
    std::vector<Asked> lanes = {AskAny(), AskAny()};
    AddFilter(search, &lanes);
    for (Asked& asked : lanes) {
      asked.lane.set_candidates(0);
      *search->add_lanes() = asked.lane;
    }
    search->set_with_lanes(i % 3 == 0);
  }
  v1::BatchSearchResponse response;
  const absl::Status status = database_->search().BatchSearch(context_, batch, &response);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(response.results_size(), batch.searches_size());
  for (int i = 0; i < batch.searches_size(); ++i) {
    v1::SearchResponse expected = Search(batch.searches(i));
    v1::SearchResponse got = response.results(i);
    expected.clear_diagnostics();
    got.clear_diagnostics();
    ASSERT_EQ(got.DebugString(), expected.DebugString());
  }
}

TEST_P(LaneSearchTest, TheTextIndexIsDescribed) {
  v1::DescribeIndexRequest request;
  request.set_collection(kCollection);
  request.set_text(true);
  v1::DescribeIndexResponse response;
  const absl::Status status = database_->search().DescribeIndex(context_, request, &response);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(response.text_fields_size(), 3);
  EXPECT_EQ(response.text_fields(0).field().name(), "title");
  EXPECT_EQ(response.text_fields(0).field().boost(), 2);
  EXPECT_EQ(response.text_fields(1).field().source(), "$content");
}

INSTANTIATE_TEST_SUITE_P(IndexAndStore, LaneSearchTest, testing::Values(true, false),
                         [](const auto& test) {
                           return test.param ? std::string("Index") : std::string("Store");
                         });

}  // namespace
}  // namespace cookix::engine
