// Objects with words, places and links, and models of searches that look at every object.
#ifndef COOKIX_ENGINE_API_LANE_SEARCH_FIXTURE_H_
#define COOKIX_ENGINE_API_LANE_SEARCH_FIXTURE_H_

#include <algorithm>
#include <cmath>
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
#include "engine/test_database.h"
#include "gtest/gtest.h"

namespace cookix::engine {

inline constexpr const char* kCollection = "docs";
inline constexpr int kObjects = 150;
inline constexpr int kEverything = 10'000;

inline const std::vector<std::string> kWords = {"rain", "sun",  "storm", "cloud", "flood", "river",
                                                "coat", "roof", "mud",   "seed",  "crop",  "heat"};

inline v1::ObjectRef Ref(const std::string& key, const std::string& collection = kCollection) {
  v1::ObjectRef ref;
  ref.set_collection(collection);
  ref.set_key(key);
  return ref;
}

using Words = std::vector<std::string>;

inline Words SplitWords(const std::string& text) {
  std::istringstream in(text);
  Words words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

inline std::string JoinWords(const Words& words) {
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

// The parameter: with an index of texts, or from the store.
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

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_LANE_SEARCH_FIXTURE_H_
