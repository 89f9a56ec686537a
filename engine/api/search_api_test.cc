// Searches by vector against brute force: every metric, filters, groups, scores, batches,
// keys; and every way to ask wrongly.
#include "engine/api/search_api.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/filter/ordinal_set.h"
#include "engine/test_database.h"
#include "engine/vector/record_search.h"
#include "engine/vector/vector_field.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr const char* kCollection = "docs";

v1::VectorField Field(const std::string& name, int dimension, v1::VectorMetric metric,
                      v1::VectorIndexKind index = v1::VECTOR_INDEX_KIND_UNSPECIFIED) {
  v1::VectorField field;
  field.set_name(name);
  field.set_dimension(dimension);
  field.set_metric(metric);
  field.set_index(index);
  // As they are given, so that only rounding is between an answer and the truth.
  if (dimension > 0) field.set_quantization(v1::VECTOR_QUANTIZATION_NONE);
  return field;
}

v1::VectorField MultiField(const std::string& name, v1::VectorAggregate aggregate) {
  v1::VectorField field = Field(name, 4, v1::VECTOR_METRIC_COSINE);
  field.set_multi(true);
  field.set_aggregate(aggregate);
  return field;
}

std::vector<v1::VectorField> AllFields() {
  return {Field("cosine", 8, v1::VECTOR_METRIC_COSINE),
          Field("l2", 5, v1::VECTOR_METRIC_L2),
          Field("dot", 6, v1::VECTOR_METRIC_DOT, v1::VECTOR_INDEX_KIND_FLAT),
          Field("bits", 19, v1::VECTOR_METRIC_HAMMING),
          Field("sparse", 0, v1::VECTOR_METRIC_DOT, v1::VECTOR_INDEX_KIND_SPARSE),
          MultiField("best", v1::VECTOR_AGGREGATE_MAX),
          MultiField("mean", v1::VECTOR_AGGREGATE_MEAN),
          MultiField("first", v1::VECTOR_AGGREGATE_FIRST)};
}

v1::Vector Dense(const std::vector<float>& values) {
  v1::Vector vector;
  for (const float value : values) vector.add_values(value);
  return vector;
}

class RandomVectors {
 public:
  explicit RandomVectors(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t n) { return random_() % n; }

  // One vector, or several for a field that takes several.
  v1::Vector Make(const v1::VectorField& field, bool stored) {
    v1::Vector vector;
    if (field.index() == v1::VECTOR_INDEX_KIND_SPARSE) {
      std::set<uint32_t> indices;
      for (uint64_t i = 1 + Below(6); i > 0; --i) {
        indices.insert(static_cast<uint32_t>(Below(30)) * 1000);
      }
      for (const uint32_t index : indices) {
        vector.add_indices(index);
        vector.add_values(normal_(random_));
      }
    } else if (field.metric() == v1::VECTOR_METRIC_HAMMING) {
      for (int bit = 0; bit < field.dimension(); bit += 8) {
        const int left = std::min(8, field.dimension() - bit);
        vector.mutable_bits()->push_back(static_cast<char>(Below(uint64_t{1} << left)));
      }
    } else {
      const int count = field.multi() && stored ? 1 + static_cast<int>(Below(4)) : 1;
      for (int i = 0; i < count * field.dimension(); ++i) vector.add_values(normal_(random_));
    }
    return vector;
  }

 private:
  std::mt19937_64 random_;
  std::normal_distribution<float> normal_;
};

// The distance between a query and one stored vector, from `at` on.
double NaiveDistance(v1::VectorMetric metric, int dimension, const v1::Vector& query,
                     const v1::Vector& stored, int at) {
  double dot = 0, a2 = 0, b2 = 0, l2 = 0;
  for (int i = 0; i < dimension; ++i) {
    const double a = query.values(i), b = stored.values(at + i);
    dot += a * b;
    a2 += a * a;
    b2 += b * b;
    l2 += (a - b) * (a - b);
  }
  switch (metric) {
    case v1::VECTOR_METRIC_L2:
      return std::sqrt(l2);
    case v1::VECTOR_METRIC_DOT:
      return -dot;
    default:
      return b2 == 0 ? 1 : 1 - dot / std::sqrt(a2) / std::sqrt(b2);
  }
}

std::optional<double> NaiveDistance(const v1::VectorField& field, v1::VectorMetric metric,
                                    const v1::Vector& query, const v1::Vector& stored) {
  if (field.index() == v1::VECTOR_INDEX_KIND_SPARSE) {
    std::map<uint32_t, float> weights;
    for (int i = 0; i < query.indices_size(); ++i) weights[query.indices(i)] = query.values(i);
    double dot = 0;
    bool shared = false;
    for (int i = 0; i < stored.indices_size(); ++i) {
      const auto it = weights.find(stored.indices(i));
      if (it == weights.end()) continue;
      shared = true;
      dot += static_cast<double>(it->second) * stored.values(i);
    }
    return shared ? std::optional<double>(-dot) : std::nullopt;
  }
  if (metric == v1::VECTOR_METRIC_HAMMING) {
    int differ = 0;
    for (int bit = 0; bit < field.dimension(); ++bit) {
      const size_t byte = static_cast<size_t>(bit / 8);
      differ += ((query.bits()[byte] ^ stored.bits()[byte]) >> (bit % 8)) & 1;
    }
    return differ;
  }
  std::vector<double> each;
  for (int at = 0; at < stored.values_size(); at += field.dimension()) {
    each.push_back(NaiveDistance(metric, field.dimension(), query, stored, at));
  }
  if (field.aggregate() == v1::VECTOR_AGGREGATE_FIRST) return each.front();
  if (field.aggregate() == v1::VECTOR_AGGREGATE_MEAN) {
    double sum = 0;
    for (const double distance : each) sum += distance;
    return sum / static_cast<double>(each.size());
  }
  return *std::min_element(each.begin(), each.end());
}

struct Model {
  // The order in which it was first put.
  int order = 0;
  int rank = 0;
  std::optional<int> topic;
  std::vector<std::string> labels;
  std::map<std::string, v1::Vector> vectors;
};

struct Expected {
  double distance;
  int order;
  std::string key;
  double score;
  bool operator<(const Expected& other) const {
    return std::tie(distance, order) < std::tie(other.distance, other.order);
  }
};

// What rounding to floats may make of a distance.
constexpr double kRounding = 2e-6;

double Tolerance(double value) { return kRounding * (1 + std::abs(value)); }

// True when rounding may put these in another order.
bool AlmostTied(const v1::VectorField& field, const std::vector<Expected>& sorted) {
  if (field.metric() == v1::VECTOR_METRIC_HAMMING) return false;
  for (size_t i = 1; i < sorted.size(); ++i) {
    const double distance = sorted[i].distance;
    if (distance - sorted[i - 1].distance < 2 * Tolerance(distance)) return true;
  }
  return false;
}

struct Case {
  int64_t names_bytes;
  bool field_index;
};

class SearchApiTest : public testing::TestWithParam<Case> {
 protected:
  SearchApiTest()
      : database_([](DatabaseOptions& options) {
          options.names_bytes = GetParam().names_bytes;
          options.field_index = GetParam().field_index;
          options.limits.max_group_candidates = 400;
        }),
        random_(23),
        fields_(AllFields()) {}

  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Create(kCollection, fields_));
    // Fields of the same names, one of them of another shape.
    std::vector<v1::VectorField> others = fields_;
    others[1].set_dimension(7);
    ASSERT_NO_FATAL_FAILURE(Create("others", others));
    for (int i = 0; i < 260; ++i) {
      ASSERT_NO_FATAL_FAILURE(Put(kCollection, "k" + std::to_string(random_.Below(220)), fields_));
      if (i % 3 == 0) {
        ASSERT_NO_FATAL_FAILURE(Put("others", "o" + std::to_string(i), others));
      }
      if (random_.Below(8) == 0 && !model_.empty()) {
        auto it = std::next(model_.begin(), static_cast<int64_t>(random_.Below(model_.size())));
        v1::DeleteObjectRequest request;
        request.mutable_delete_()->mutable_ref()->set_collection(kCollection);
        request.mutable_delete_()->mutable_ref()->set_key(it->first);
        v1::DeleteObjectResponse response;
        ASSERT_TRUE(database_->objects().DeleteObject(context_, request, &response).ok());
        model_.erase(it);
      }
    }
  }

  void Create(const std::string& name, const std::vector<v1::VectorField>& fields) {
    v1::CreateCollectionRequest request;
    request.mutable_collection()->set_name(name);
    for (const v1::VectorField& field : fields) {
      *request.mutable_collection()->add_vector_fields() = field;
    }
    v1::CreateCollectionResponse response;
    const absl::Status status = database_->catalog().CreateCollection(context_, request, &response);
    ASSERT_TRUE(status.ok()) << status;
  }

  // An object with some of its vectors, and an edge to nothing.
  void Put(const std::string& collection, const std::string& key,
           const std::vector<v1::VectorField>& fields) {
    Model made;
    made.rank = static_cast<int>(random_.Below(100));
    if (random_.Below(5) != 0) made.topic = static_cast<int>(random_.Below(9));
    if (random_.Below(2) == 0) made.labels.push_back("odd");
    for (const v1::VectorField& field : fields) {
      if (random_.Below(6) != 0) made.vectors[field.name()] = random_.Make(field, true);
    }
    v1::PutObjectRequest request;
    v1::Object* object = request.mutable_write()->mutable_object();
    object->mutable_ref()->set_collection(collection);
    object->mutable_ref()->set_key(key);
    object->set_content("content of " + key);
    (*object->mutable_properties())["rank"].set_int_value(made.rank);
    if (made.topic.has_value()) {
      v1::Value* topic = &(
          *(*object->mutable_properties())["meta"].mutable_map_value()->mutable_fields())["topic"];
      // Numbers are the same by value.
      if (random_.Below(2) == 0) {
        topic->set_int_value(*made.topic);
      } else {
        topic->set_double_value(*made.topic);
      }
    }
    for (const std::string& label : made.labels) object->add_labels(label);
    for (const auto& [name, vector] : made.vectors) (*object->mutable_vectors())[name] = vector;
    v1::Edge* edge = request.mutable_write()->add_edges();
    edge->set_relation("likes");
    edge->mutable_target()->set_collection(collection);
    edge->mutable_target()->set_key("dangling-" + key);
    v1::PutObjectResponse response;
    const absl::Status status = database_->objects().PutObject(context_, request, &response);
    ASSERT_TRUE(status.ok()) << status;
    if (collection != kCollection) return;
    const auto it = model_.find(key);
    made.order = it != model_.end() ? it->second.order : next_order_++;
    model_[key] = std::move(made);
  }

  const v1::VectorField& AnyField() { return fields_[random_.Below(fields_.size())]; }

  // An exact search whose answer has one order.
  v1::SearchRequest Ask(const v1::VectorField& field,
                        v1::VectorMetric metric = v1::VECTOR_METRIC_UNSPECIFIED) {
    v1::SearchRequest request;
    request.set_collection(kCollection);
    request.mutable_vector()->set_field(field.name());
    request.mutable_vector()->set_exact(true);
    request.mutable_vector()->set_metric(metric);
    do {
      *request.mutable_vector()->mutable_vector() = random_.Make(field, false);
    } while (AlmostTied(field, Everything(request, field, 1000)));
    return request;
  }

  static void RankBelow(int rank, v1::Filter* filter) {
    v1::Comparison* comparison = filter->mutable_comparison();
    comparison->set_field("rank");
    comparison->set_op(v1::COMPARISON_OPERATOR_LESS);
    comparison->mutable_value()->set_int_value(rank);
  }

  // All that a request may find, best first. `rank_below` is its filter.
  std::vector<Expected> Everything(const v1::SearchRequest& request, const v1::VectorField& field,
                                   int rank_below) const {
    const v1::VectorQuery& query = request.vector();
    const v1::VectorMetric metric =
        query.metric() != v1::VECTOR_METRIC_UNSPECIFIED ? query.metric() : field.metric();
    v1::Vector vector = query.vector();
    if (!query.key().empty()) {
      vector = model_.at(query.key()).vectors.at(field.name());
      if (field.multi()) vector.mutable_values()->Truncate(field.dimension());
    }
    std::vector<Expected> all;
    for (const auto& [key, object] : model_) {
      if (key == query.key() || object.rank >= rank_below) continue;
      if (!request.labels().empty() && object.labels.empty()) continue;
      const auto it = object.vectors.find(field.name());
      if (it == object.vectors.end()) continue;
      const auto distance = NaiveDistance(field, metric, vector, it->second);
      if (!distance.has_value()) continue;
      const double score = metric == v1::VECTOR_METRIC_COSINE ? 1 - *distance : -*distance;
      all.push_back({*distance, object.order, key, score});
    }
    std::sort(all.begin(), all.end());
    return all;
  }

  // The score of one of them, or a little less.
  void SetMinScore(const std::vector<Expected>& all, v1::SearchRequest* request) {
    const Expected& last = all[random_.Below(all.size())];
    request->set_min_score(last.score - Tolerance(last.distance));
  }

  static void DropLow(const v1::SearchRequest& request, std::vector<Expected>* all) {
    if (!request.has_min_score()) return;
    std::erase_if(*all, [&](const Expected& e) { return e.score < request.min_score(); });
  }

  static void ExpectHit(const v1::Hit& hit, const Expected& expected) {
    ASSERT_EQ(hit.ref().collection(), kCollection);
    ASSERT_EQ(hit.ref().key(), expected.key);
    ASSERT_NEAR(hit.distance(), expected.distance, Tolerance(expected.distance));
    ASSERT_NEAR(hit.score(), expected.score, Tolerance(expected.distance));
    ASSERT_EQ(hit.components().at("vector"), hit.score());
  }

  v1::SearchResponse Search(const v1::SearchRequest& request) {
    v1::SearchResponse response;
    const absl::Status status = database_->search().Search(context_, request, &response);
    EXPECT_TRUE(status.ok()) << status << "\n" << request.DebugString();
    return response;
  }

  TestDatabase database_;
  RandomVectors random_;
  const std::vector<v1::VectorField> fields_;
  std::map<std::string, Model> model_;
  int next_order_ = 0;
  CallContext context_;
};

TEST_P(SearchApiTest, FindsWhatComparingAllFinds) {
  int64_t hits = 0;
  for (int round = 0; round < 400; ++round) {
    const v1::VectorField& field = fields_[static_cast<size_t>(round) % fields_.size()];
    v1::SearchRequest request = Ask(field);
    const int limit = 1 + static_cast<int>(random_.Below(random_.Below(4) == 0 ? 300 : 15));
    request.set_limit(limit);
    int below = 1000;
    if (random_.Below(2) == 0) {
      below = static_cast<int>(random_.Below(110));
      RankBelow(below, request.mutable_filter());
    }
    if (random_.Below(3) == 0) request.add_labels("odd");
    std::vector<Expected> expected = Everything(request, field, below);
    if (!expected.empty() && random_.Below(3) == 0) SetMinScore(expected, &request);
    if (random_.Below(3) == 0) {
      request.mutable_vector()->set_exact(false);
      request.mutable_vector()->set_ef(300);
    }
    const v1::SearchResponse response = Search(request);
    const size_t candidates = std::min(expected.size(), static_cast<size_t>(limit));
    expected.resize(candidates);
    DropLow(request, &expected);
    const v1::SearchDiagnostics& diagnostics = response.diagnostics();
    EXPECT_TRUE(diagnostics.exact() || !request.vector().exact());
    ASSERT_EQ(response.hits_size(), static_cast<int>(expected.size())) << request.DebugString();
    for (int i = 0; i < response.hits_size(); ++i) {
      ASSERT_NO_FATAL_FAILURE(ExpectHit(response.hits(i), expected[static_cast<size_t>(i)]))
          << request.DebugString();
      ASSERT_EQ(response.hits(i).lane_ranks().at("vector"), i + 1);
      ASSERT_FALSE(response.hits(i).has_object());
      ++hits;
    }
    EXPECT_FALSE(diagnostics.strategy().empty());
    EXPECT_EQ(diagnostics.hits_left_out(), static_cast<int64_t>(candidates - expected.size()));
    int64_t matching = 0;
    for (const auto& [key, object] : model_) {
      matching += object.rank < below && (request.labels().empty() || !object.labels.empty());
    }
    EXPECT_EQ(diagnostics.filter_matches(),
              request.has_filter() || !request.labels().empty() ? matching : -1);
    EXPECT_FALSE(response.position().empty());
  }
  EXPECT_GT(hits, 1000);
}

TEST_P(SearchApiTest, GroupsAreThoseOfAllHits) {
  int truncated = 0;
  int64_t left_out = 0;
  for (int round = 0; round < 200; ++round) {
    const v1::VectorField& field = AnyField();
    v1::SearchRequest request = Ask(field);
    const bool by_rank = random_.Below(3) == 0;
    request.set_group_by(by_rank ? "rank" : "meta.topic");
    const int limit = 1 + static_cast<int>(random_.Below(12));
    const int group_limit = static_cast<int>(random_.Below(6));
    request.set_limit(limit);
    request.set_group_limit(group_limit);
    std::vector<Expected> all = Everything(request, field, 1000);
    if (random_.Below(4) == 0 && !all.empty()) SetMinScore(all, &request);
    DropLow(request, &all);
    std::vector<std::pair<int, std::vector<Expected>>> groups;
    for (const Expected& hit : all) {
      const Model& object = model_.at(hit.key);
      if (!by_rank && !object.topic.has_value()) continue;
      const int value = by_rank ? object.rank : *object.topic;
      auto it = std::find_if(groups.begin(), groups.end(),
                             [&](const auto& group) { return group.first == value; });
      if (it == groups.end()) {
        if (groups.size() == static_cast<size_t>(limit)) continue;
        it = groups.insert(groups.end(), {value, {}});
      }
      if (it->second.size() < static_cast<size_t>(std::max(group_limit, 1))) {
        it->second.push_back(hit);
      }
    }
    const v1::SearchResponse response = Search(request);
    EXPECT_EQ(response.hits_size(), 0);
    ASSERT_EQ(response.groups_size(), static_cast<int>(groups.size())) << request.DebugString();
    for (int i = 0; i < response.groups_size(); ++i) {
      const auto& [value, members] = groups[static_cast<size_t>(i)];
      const v1::SearchGroup& group = response.groups(i);
      const double got = group.value().kind_case() == v1::Value::kIntValue
                             ? static_cast<double>(group.value().int_value())
                             : group.value().double_value();
      ASSERT_EQ(got, value);
      ASSERT_EQ(group.hits_size(), static_cast<int>(members.size()));
      for (int j = 0; j < group.hits_size(); ++j) {
        ASSERT_NO_FATAL_FAILURE(ExpectHit(group.hits(j), members[static_cast<size_t>(j)]));
      }
    }
    truncated += response.diagnostics().truncated();
    left_out += response.diagnostics().hits_left_out();
  }
  EXPECT_EQ(truncated, 0);
  EXPECT_GT(left_out, 100);
}

TEST_P(SearchApiTest, GroupsThatNeedTooManyCandidatesAreTruncated) {
  // The nearest all share a value; the only other one is beyond the candidates.
  for (int i = 0; i < 500; ++i) {
    v1::PutObjectRequest request;
    v1::Object* object = request.mutable_write()->mutable_object();
    object->mutable_ref()->set_collection(kCollection);
    object->mutable_ref()->set_key("crowd" + std::to_string(i));
    (*object->mutable_properties())["crowd"].set_string_value(i < 499 ? "all" : "one");
    (*object->mutable_vectors())["l2"] = Dense({1000, 0, 0, 0, static_cast<float>(i)});
    v1::PutObjectResponse response;
    ASSERT_TRUE(database_->objects().PutObject(context_, request, &response).ok());
  }
  v1::SearchRequest request = Ask(fields_[1]);
  *request.mutable_vector()->mutable_vector() = Dense({1000, 0, 0, 0, 0});
  request.set_group_by("crowd");
  request.set_limit(2);
  v1::SearchResponse response = Search(request);
  EXPECT_TRUE(response.diagnostics().truncated());
  ASSERT_EQ(response.groups_size(), 1);
  EXPECT_EQ(response.groups(0).value().string_value(), "all");
  EXPECT_EQ(response.groups(0).hits(0).ref().key(), "crowd0");
  // A rare property is found however far its objects are: first all, then those that have it.
  *request.mutable_vector()->mutable_vector() = Dense({-1000, 0, 0, 0, 0});
  request.set_limit(1);
  response = Search(request);
  EXPECT_FALSE(response.diagnostics().truncated());
  ASSERT_EQ(response.groups_size(), 1);
  EXPECT_EQ(response.groups(0).hits(0).ref().key(), "crowd0");
  EXPECT_EQ(response.diagnostics().filter_matches(), -1);
}

TEST_P(SearchApiTest, OtherMetricsCompareExactly) {
  const v1::VectorMetric metrics[] = {v1::VECTOR_METRIC_COSINE, v1::VECTOR_METRIC_L2,
                                      v1::VECTOR_METRIC_DOT};
  for (int round = 0; round < 60; ++round) {
    const v1::VectorField& field = fields_[random_.Below(3)];
    v1::SearchRequest request = Ask(field, metrics[random_.Below(3)]);
    request.mutable_vector()->set_exact(random_.Below(2) == 0);
    request.set_limit(7);
    const std::vector<Expected> expected = Everything(request, field, 1000);
    const v1::SearchResponse response = Search(request);
    ASSERT_EQ(response.hits_size(), 7);
    for (int i = 0; i < 7; ++i) {
      ASSERT_NO_FATAL_FAILURE(ExpectHit(response.hits(i), expected[static_cast<size_t>(i)]));
    }
    EXPECT_TRUE(response.diagnostics().exact());
  }
}

TEST_P(SearchApiTest, KeysStandForTheirVectorsAndAreNoHits) {
  int asked = 0;
  for (const auto& [key, object] : model_) {
    const v1::VectorField& field = AnyField();
    if (object.vectors.count(field.name()) == 0) continue;
    v1::SearchRequest request;
    request.set_collection(kCollection);
    request.mutable_vector()->set_field(field.name());
    request.mutable_vector()->set_key(key);
    request.mutable_vector()->set_exact(true);
    request.set_limit(1 + static_cast<int>(random_.Below(9)));
    std::vector<Expected> expected = Everything(request, field, 1000);
    if (AlmostTied(field, expected)) continue;
    expected.resize(std::min(expected.size(), static_cast<size_t>(request.limit())));
    const v1::SearchResponse response = Search(request);
    ASSERT_EQ(response.hits_size(), static_cast<int>(expected.size()));
    for (int i = 0; i < response.hits_size(); ++i) {
      ASSERT_NO_FATAL_FAILURE(ExpectHit(response.hits(i), expected[static_cast<size_t>(i)]));
      ASSERT_EQ(response.hits(i).lane_ranks().at("vector"), i + 1);
    }
    ++asked;
  }
  EXPECT_GT(asked, 50);
}

TEST_P(SearchApiTest, ABatchAnswersAsItsSearchesDo) {
  for (int round = 0; round < 10; ++round) {
    v1::BatchSearchRequest batch;
    for (int i = 0; i < 20; ++i) {
      v1::SearchRequest* search = batch.add_searches();
      *search = Ask(AnyField());
      search->set_namespace_("ignored");
      search->set_limit(1 + static_cast<int>(random_.Below(9)));
      if (random_.Below(2) == 0) {
        RankBelow(static_cast<int>(random_.Below(3)) * 30, search->mutable_filter());
      }
      if (random_.Below(4) == 0) search->set_group_by("rank");
    }
    v1::BatchSearchResponse response;
    const absl::Status status = database_->search().BatchSearch(context_, batch, &response);
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_EQ(response.results_size(), batch.searches_size());
    EXPECT_FALSE(response.position().empty());
    for (int i = 0; i < batch.searches_size(); ++i) {
      v1::SearchRequest alone = batch.searches(i);
      alone.clear_namespace_();
      v1::SearchResponse expected = Search(alone);
      v1::SearchResponse got = response.results(i);
      EXPECT_EQ(got.position(), response.position());
      expected.clear_diagnostics();
      got.clear_diagnostics();
      ASSERT_EQ(got.SerializeAsString().size(), expected.SerializeAsString().size());
      ASSERT_EQ(got.DebugString(), expected.DebugString());
    }
  }
}

TEST_P(SearchApiTest, ReturnsObjectsByTheMask) {
  v1::SearchRequest request = Ask(fields_[0]);
  request.set_with_objects(true);
  v1::SearchResponse response = Search(request);
  ASSERT_EQ(response.hits_size(), 10);
  for (const v1::Hit& hit : response.hits()) {
    EXPECT_EQ(hit.object().ref().key(), hit.ref().key());
    EXPECT_EQ(hit.object().content(), "content of " + hit.ref().key());
    EXPECT_EQ(hit.object().properties().at("rank").int_value(), model_.at(hit.ref().key()).rank);
    EXPECT_EQ(hit.object().vectors_size(), 0);
  }
  request.mutable_mask()->set_without_content(true);
  request.mutable_mask()->set_without_properties(true);
  request.mutable_mask()->set_with_vectors(true);
  response = Search(request);
  for (const v1::Hit& hit : response.hits()) {
    EXPECT_EQ(hit.object().content(), "");
    EXPECT_EQ(hit.object().properties_size(), 0);
    const auto& vectors = model_.at(hit.ref().key()).vectors;
    ASSERT_EQ(hit.object().vectors_size(), static_cast<int>(vectors.size()));
    for (const auto& [name, vector] : vectors) {
      EXPECT_EQ(hit.object().vectors().at(name).SerializeAsString(), vector.SerializeAsString());
    }
  }
}

TEST_P(SearchApiTest, DescribesFields) {
  for (const v1::VectorField& field : fields_) {
    int64_t objects = 0;
    int64_t vectors = 0;
    for (const auto& [key, object] : model_) {
      const auto it = object.vectors.find(field.name());
      if (it == object.vectors.end()) continue;
      ++objects;
      vectors += field.multi() ? it->second.values_size() / field.dimension() : 1;
    }
    v1::DescribeIndexRequest request;
    request.set_collection(kCollection);
    request.set_field(field.name());
    v1::DescribeIndexResponse response;
    const absl::Status status = database_->search().DescribeIndex(context_, request, &response);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(response.field().name(), field.name());
    EXPECT_EQ(response.field().metric(), field.metric());
    EXPECT_NE(response.field().index(), v1::VECTOR_INDEX_KIND_UNSPECIFIED);
    // An index may keep one vector for several.
    EXPECT_GE(response.vectors(), objects) << field.name();
    EXPECT_LE(response.vectors(), vectors) << field.name();
    EXPECT_LE(response.indexed_vectors(), response.vectors());
    EXPECT_GT(response.visible_commit(), 0);
    EXPECT_TRUE(response.state() == "building" || response.state() == "ready");
  }
}

// Some ordinals, which say that they are more than they are, or not.
class SomeOrdinals : public OrdinalSet {
 public:
  SomeOrdinals(std::set<Ordinal> ordinals, uint64_t more)
      : ordinals_(std::move(ordinals)), more_(more) {}
  bool Contains(Ordinal ordinal) const override { return ordinals_.count(ordinal) > 0; }
  uint64_t Count() const override { return ordinals_.size() + more_; }
  void ForEach(absl::FunctionRef<void(Ordinal)> each) const override {
    for (const Ordinal ordinal : ordinals_) each(ordinal);
  }

 private:
  const std::set<Ordinal> ordinals_;
  const uint64_t more_;
};

TEST_P(SearchApiTest, TheStoreAnswersWithoutAnIndex) {
  const auto view = InNamespace(database_->Read(), "");
  ASSERT_TRUE(view.ok());
  const CollectionInfo* collection = view->ns->FindCollection(kCollection);
  ASSERT_NE(collection, nullptr);
  for (int round = 0; round < 80; ++round) {
    const v1::VectorField& field = fields_[static_cast<size_t>(round) % fields_.size()];
    const v1::SearchRequest request = Ask(field);
    std::vector<Expected> expected = Everything(request, field, 1000);
    VectorSearch search;
    search.collection = collection->id;
    search.field = FindVectorField(collection->record.collection(), field.name());
    search.vector = &request.vector().vector();
    search.limit = 1 + static_cast<int64_t>(random_.Below(40));
    if (const uint64_t how = random_.Below(3); how > 0) {
      // Looked up one by one, or looked for among all.
      std::set<Ordinal> accept;
      for (const auto& [key, object] : model_) {
        if (random_.Below(2) == 0) continue;
        v1::ObjectRef ref;
        ref.set_collection(kCollection);
        ref.set_key(key);
        const auto ordinal = view->FindOrdinal(ref, "ref");
        ASSERT_TRUE(ordinal.ok());
        accept.insert(*ordinal);
      }
      search.accept = std::make_shared<SomeOrdinals>(accept, how == 1 ? 0 : 1'000'000);
      std::erase_if(expected, [&](const Expected& e) {
        v1::ObjectRef ref;
        ref.set_collection(kCollection);
        ref.set_key(e.key);
        return accept.count(*view->FindOrdinal(ref, "ref")) == 0;
      });
    }
    expected.resize(std::min(expected.size(), static_cast<size_t>(search.limit)));
    VectorSearchResult result;
    ASSERT_TRUE(SearchRecords(context_, *view, search, &result).ok());
    EXPECT_EQ(result.strategy, "records");
    EXPECT_TRUE(result.exact);
    ASSERT_EQ(result.hits.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      v1::ObjectRef ref;
      ASSERT_TRUE(view->FillRef(result.hits[i].ordinal, &ref).ok());
      ASSERT_EQ(ref.key(), expected[i].key);
      ASSERT_NEAR(result.hits[i].distance, expected[i].distance, 1e-12);
    }
  }
  for (const v1::VectorField& field : fields_) {
    int64_t vectors = 0;
    for (const auto& [key, object] : model_) {
      const auto it = object.vectors.find(field.name());
      if (it == object.vectors.end()) continue;
      vectors += field.multi() ? it->second.values_size() / field.dimension() : 1;
    }
    const auto count = CountVectorRecords(context_, *view, collection->id, field);
    ASSERT_TRUE(count.ok());
    EXPECT_EQ(*count, vectors) << field.name();
  }
  CallContext cancelled;
  cancelled.Cancel();
  const v1::SearchRequest request = Ask(fields_[0]);
  VectorSearch search;
  search.collection = collection->id;
  search.field = &fields_[0];
  search.vector = &request.vector().vector();
  search.limit = 1;
  VectorSearchResult result;
  EXPECT_EQ(SearchRecords(cancelled, *view, search, &result).code(), absl::StatusCode::kCancelled);
}

TEST_P(SearchApiTest, WhatIsGoneIsNotFound) {
  v1::SearchRequest request = Ask(fields_[0]);
  request.set_limit(1000);
  const int before = Search(request).hits_size();
  // A vector left out by a put is gone with the object's old state.
  const auto it = std::find_if(model_.begin(), model_.end(), [](const auto& entry) {
    return entry.second.vectors.count("cosine") > 0;
  });
  v1::PutObjectRequest put;
  put.mutable_write()->mutable_object()->mutable_ref()->set_collection(kCollection);
  put.mutable_write()->mutable_object()->mutable_ref()->set_key(it->first);
  v1::PutObjectResponse done;
  ASSERT_TRUE(database_->objects().PutObject(context_, put, &done).ok());
  EXPECT_EQ(Search(request).hits_size(), before - 1);
  v1::DeleteCollectionRequest drop;
  drop.set_collection(kCollection);
  drop.set_force(true);
  v1::DeleteCollectionResponse dropped;
  ASSERT_TRUE(database_->catalog().DeleteCollection(context_, drop, &dropped).ok());
  v1::SearchResponse response;
  EXPECT_EQ(database_->search().Search(context_, request, &response).code(),
            absl::StatusCode::kNotFound);
  // Made again, it is empty, collected or not.
  ASSERT_NO_FATAL_FAILURE(Create(kCollection, fields_));
  EXPECT_EQ(Search(request).hits_size(), 0);
  v1::SearchRequest elsewhere = request;
  elsewhere.set_collection("others");
  EXPECT_GT(Search(elsewhere).hits_size(), 20);
}

TEST_P(SearchApiTest, StopsWhenAsked) {
  const v1::SearchRequest request = Ask(fields_[0]);
  v1::SearchResponse response;
  CallContext cancelled;
  cancelled.Cancel();
  EXPECT_EQ(database_->search().Search(cancelled, request, &response).code(),
            absl::StatusCode::kCancelled);
  CallContext late(CallContext::Clock::now() - std::chrono::seconds(1));
  EXPECT_EQ(database_->search().Search(late, request, &response).code(),
            absl::StatusCode::kDeadlineExceeded);
}

INSTANTIATE_TEST_SUITE_P(All, SearchApiTest,
                         testing::Values(Case{1 << 20, true}, Case{0, true}, Case{1 << 20, false},
                                         Case{0, false}));

// --- Bad input ---

using Change = std::function<void(v1::SearchRequest*)>;

struct BadSearch {
  std::string name;
  absl::StatusCode code;
  std::string reason;
  std::string field;
  Change change;
  // Part of the message.
  std::string says;
};

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

void SetVector(v1::SearchRequest* request, const std::string& field, const v1::Vector& vector) {
  request->mutable_vector()->set_field(field);
  *request->mutable_vector()->mutable_vector() = vector;
}

Change Ask(const std::string& field, const v1::Vector& vector) {
  return [field, vector](v1::SearchRequest* request) { SetVector(request, field, vector); };
}

v1::Vector Bits(const std::string& bytes) {
  v1::Vector vector;
  vector.set_bits(bytes);
  return vector;
}

v1::Vector Sparse(const std::vector<uint32_t>& indices, const std::vector<float>& weights) {
  v1::Vector vector = Dense(weights);
  for (const uint32_t index : indices) vector.add_indices(index);
  return vector;
}

// Each changes a search that works.
std::vector<BadSearch> BadSearches() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinite = std::numeric_limits<float>::infinity();
  const std::vector<float> good(8, 1.0f);
  std::vector<float> with_nan = good, with_infinite = good;
  with_nan[3] = nan;
  with_infinite[7] = -infinite;
  const auto collection = [](const std::string& name) {
    return [name](v1::SearchRequest* request) { request->set_collection(name); };
  };
  return {
      {"NoQuery", kInvalid, "INVALID_FIELD", "vector",
       [](v1::SearchRequest* request) { request->clear_vector(); }, ""},
      {"NoTarget", kInvalid, "INVALID_FIELD", "vector",
       [](v1::SearchRequest* request) { request->mutable_vector()->clear_target(); }, ""},
      {"UnknownNamespace", absl::StatusCode::kNotFound, "NAMESPACE_NOT_FOUND", "namespace",
       [](v1::SearchRequest* request) { request->set_namespace_("nowhere"); }, ""},
      {"UnknownCollection", absl::StatusCode::kNotFound, "COLLECTION_NOT_FOUND", "collection",
       collection("nowhere"), "nowhere"},
      {"UnknownField", absl::StatusCode::kNotFound, "FIELD_NOT_FOUND", "vector.field",
       Ask("nothing", Dense(good)), "nothing"},
      {"NoFieldAtAll", absl::StatusCode::kNotFound, "FIELD_NOT_FOUND", "vector.field",
       [](v1::SearchRequest* request) {
         request->set_collection("default");
         request->mutable_vector()->clear_field();
       },
       ""},
      {"ManyFieldsAndNoName", kInvalid, "INVALID_FIELD", "vector.field", Ask("", Dense(good)), ""},
      {"WrongDimension", kInvalid, "INVALID_FIELD", "vector.vector",
       Ask("cosine", Dense({1, 2, 3})), "3 components"},
      {"WrongDimensionSaysExpected", kInvalid, "INVALID_FIELD", "vector.vector",
       Ask("l2", Dense(good)), "5"},
      {"SeveralVectors", kInvalid, "INVALID_FIELD", "vector.vector", Ask("best", Dense(good)), "8"},
      {"EmptyVector", kInvalid, "INVALID_FIELD", "vector.vector", Ask("cosine", v1::Vector()), ""},
      {"NotANumber", kInvalid, "INVALID_FIELD", "vector.vector", Ask("cosine", Dense(with_nan)),
       ""},
      {"Infinite", kInvalid, "INVALID_FIELD", "vector.vector", Ask("cosine", Dense(with_infinite)),
       ""},
      {"ZeroUnderCosine", kInvalid, "INVALID_FIELD", "vector.vector",
       Ask("cosine", Dense(std::vector<float>(8))), ""},
      {"ZeroUnderCosineOfAnotherField", kInvalid, "INVALID_FIELD", "vector.vector",
       [](v1::SearchRequest* request) {
         SetVector(request, "l2", Dense(std::vector<float>(5)));
         request->mutable_vector()->set_metric(v1::VECTOR_METRIC_COSINE);
       },
       ""},
      {"BitsForADenseField", kInvalid, "INVALID_FIELD", "vector.vector", Ask("cosine", Bits("a")),
       ""},
      {"SparseForADenseField", kInvalid, "INVALID_FIELD", "vector.vector",
       Ask("cosine", Sparse({0, 1, 2, 3, 4, 5, 6, 7}, good)), ""},
      {"DenseForBits", kInvalid, "INVALID_FIELD", "vector.vector",
       Ask("bits", Dense(std::vector<float>(19, 1.0f))), ""},
      {"TooFewBits", kInvalid, "INVALID_FIELD", "vector.vector", Ask("bits", Bits("ab")), ""},
      {"BitsBeyondTheDimension", kInvalid, "INVALID_FIELD", "vector.vector",
       Ask("bits", Bits("ab\x08")), ""},
      {"DenseForSparse", kInvalid, "INVALID_FIELD", "vector.vector", Ask("sparse", Dense(good)),
       ""},
      {"SparseNotAscending", kInvalid, "INVALID_FIELD", "vector.vector",
       Ask("sparse", Sparse({3, 3}, {1, 1})), ""},
      {"SparseNotANumber", kInvalid, "INVALID_FIELD", "vector.vector",
       Ask("sparse", Sparse({3, 4}, {1, nan})), ""},
      {"EmptyKey", kInvalid, "INVALID_FIELD", "vector.key",
       [](v1::SearchRequest* request) { request->mutable_vector()->set_key(""); }, ""},
      {"UnknownKey", absl::StatusCode::kNotFound, "OBJECT_NOT_FOUND", "vector.key",
       [](v1::SearchRequest* request) { request->mutable_vector()->set_key("nobody"); }, "nobody"},
      {"DanglingKey", absl::StatusCode::kNotFound, "OBJECT_NOT_FOUND", "vector.key",
       [](v1::SearchRequest* request) { request->mutable_vector()->set_key("dangling"); }, ""},
      {"KeyWithoutVector", kInvalid, "INVALID_FIELD", "vector.key",
       [](v1::SearchRequest* request) {
         request->mutable_vector()->set_field("dot");
         request->mutable_vector()->set_key("a");
       },
       "dot"},
      {"NegativeEf", kInvalid, "INVALID_FIELD", "vector.ef",
       [](v1::SearchRequest* request) { request->mutable_vector()->set_ef(-1); }, ""},
      {"EfTooLarge", kInvalid, "LIMIT_EXCEEDED", "vector.ef",
       [](v1::SearchRequest* request) { request->mutable_vector()->set_ef(10'001); }, "10000"},
      {"NegativeCells", kInvalid, "INVALID_FIELD", "vector.cells_probed",
       [](v1::SearchRequest* request) { request->mutable_vector()->set_cells_probed(-1); }, ""},
      {"TooManyCells", kInvalid, "LIMIT_EXCEEDED", "vector.cells_probed",
       [](v1::SearchRequest* request) { request->mutable_vector()->set_cells_probed(10'001); }, ""},
      {"UnknownMetric", kInvalid, "INVALID_FIELD", "vector.metric",
       [](v1::SearchRequest* request) {
         request->mutable_vector()->set_metric(static_cast<v1::VectorMetric>(77));
       },
       ""},
      {"HammingOfFloats", kInvalid, "INVALID_FIELD", "vector.metric",
       [](v1::SearchRequest* request) {
         request->mutable_vector()->set_metric(v1::VECTOR_METRIC_HAMMING);
       },
       ""},
      {"CosineOfBits", kInvalid, "INVALID_FIELD", "vector.metric",
       [](v1::SearchRequest* request) {
         SetVector(request, "bits", Bits(std::string("ab\0", 3)));
         request->mutable_vector()->set_metric(v1::VECTOR_METRIC_COSINE);
       },
       ""},
      {"CosineOfSparse", kInvalid, "INVALID_FIELD", "vector.metric",
       [](v1::SearchRequest* request) {
         SetVector(request, "sparse", Sparse({1}, {1}));
         request->mutable_vector()->set_metric(v1::VECTOR_METRIC_COSINE);
       },
       ""},
      {"NegativeLimit", kInvalid, "INVALID_FIELD", "limit",
       [](v1::SearchRequest* request) { request->set_limit(-1); }, ""},
      {"LimitTooLarge", kInvalid, "LIMIT_EXCEEDED", "limit",
       [](v1::SearchRequest* request) { request->set_limit(10'001); }, "10000"},
      {"NegativeGroupLimit", kInvalid, "INVALID_FIELD", "group_limit",
       [](v1::SearchRequest* request) {
         request->set_group_by("rank");
         request->set_group_limit(-1);
       },
       ""},
      {"GroupLimitTooLarge", kInvalid, "LIMIT_EXCEEDED", "group_limit",
       [](v1::SearchRequest* request) {
         request->set_group_by("rank");
         request->set_group_limit(101);
       },
       "100"},
      {"GroupsOfTooManyHits", kInvalid, "LIMIT_EXCEEDED", "group_limit",
       [](v1::SearchRequest* request) {
         request->set_group_by("rank");
         request->set_limit(10'000);
         request->set_group_limit(100);
       },
       "100000"},
      {"GroupLimitWithoutGroups", kInvalid, "INVALID_FIELD", "group_limit",
       [](v1::SearchRequest* request) { request->set_group_limit(2); }, ""},
      {"GroupsBySystemField", kInvalid, "INVALID_FIELD", "group_by",
       [](v1::SearchRequest* request) { request->set_group_by("$key"); }, ""},
      {"GroupsByTooLongAName", kInvalid, "LIMIT_EXCEEDED", "group_by",
       [](v1::SearchRequest* request) { request->set_group_by(std::string(100'000, 'g')); }, ""},
      {"ScoreIsNotANumber", kInvalid, "INVALID_FIELD", "min_score",
       [](v1::SearchRequest* request) {
         request->set_min_score(std::numeric_limits<double>::quiet_NaN());
       },
       ""},
      {"BadFilter", kInvalid, "INVALID_FIELD", "filter.comparison.op",
       [](v1::SearchRequest* request) {
         request->mutable_filter()->mutable_comparison()->set_field("rank");
         request->mutable_filter()->mutable_comparison()->mutable_value()->set_int_value(1);
       },
       ""},
      {"NegativeWait", kInvalid, "INVALID_FIELD", "options.wait_ms",
       [](v1::SearchRequest* request) { request->mutable_options()->set_wait_ms(-1); }, ""},
  };
}

class BadSearchTest : public testing::Test {
 protected:
  BadSearchTest()
      : database_([](DatabaseOptions& options) { options.limits.max_search_bytes = 2000; }) {
    v1::CreateCollectionRequest request;
    request.mutable_collection()->set_name(kCollection);
    for (const v1::VectorField& field : AllFields()) {
      *request.mutable_collection()->add_vector_fields() = field;
    }
    v1::CreateCollectionResponse response;
    EXPECT_TRUE(database_->catalog().CreateCollection(context_, request, &response).ok());
    for (const char* key : {"a", "b", "c"}) {
      v1::PutObjectRequest put;
      v1::Object* object = put.mutable_write()->mutable_object();
      object->mutable_ref()->set_collection(kCollection);
      object->mutable_ref()->set_key(key);
      object->set_content(std::string(900, 'x'));
      (*object->mutable_vectors())["cosine"] = Dense(std::vector<float>(8, 1.0f));
      v1::Edge* edge = put.mutable_write()->add_edges();
      edge->set_relation("likes");
      edge->mutable_target()->set_collection(kCollection);
      edge->mutable_target()->set_key("dangling");
      v1::PutObjectResponse done;
      EXPECT_TRUE(database_->objects().PutObject(context_, put, &done).ok());
    }
    good_.set_collection(kCollection);
    SetVector(&good_, "cosine", Dense(std::vector<float>(8, 1.0f)));
  }

  static void Expect(const absl::Status& status, const BadSearch& bad, const std::string& field) {
    EXPECT_EQ(status.code(), bad.code) << bad.name << ": " << status;
    const auto detail = GetErrorDetail(status);
    ASSERT_TRUE(detail.has_value()) << bad.name;
    EXPECT_EQ(detail->reason, bad.reason) << bad.name;
    EXPECT_EQ(detail->field, field) << bad.name;
    EXPECT_FALSE(detail->remedy.empty()) << bad.name;
    const std::string message(status.message());
    EXPECT_NE(message.find(bad.says), std::string::npos) << bad.name << ": " << message;
  }

  TestDatabase database_;
  CallContext context_;
  v1::SearchRequest good_;
};

TEST_F(BadSearchTest, IsRefusedNamingTheField) {
  v1::SearchResponse response;
  ASSERT_TRUE(database_->search().Search(context_, good_, &response).ok());
  ASSERT_EQ(response.hits_size(), 3);
  for (const BadSearch& bad : BadSearches()) {
    v1::SearchRequest request = good_;
    bad.change(&request);
    v1::SearchResponse ignored;
    Expect(database_->search().Search(context_, request, &ignored), bad, bad.field);
  }
}

TEST_F(BadSearchTest, IsRefusedInABatchToo) {
  for (const BadSearch& bad : BadSearches()) {
    v1::BatchSearchRequest batch;
    *batch.add_searches() = good_;
    *batch.add_searches() = good_;
    bad.change(batch.mutable_searches(1));
    v1::BatchSearchResponse response;
    const absl::Status status = database_->search().BatchSearch(context_, batch, &response);
    // The batch has its own.
    if (bad.field == "namespace" || bad.field.rfind("options", 0) == 0) {
      EXPECT_TRUE(status.ok()) << bad.name << ": " << status;
    } else {
      Expect(status, bad, "searches[1]." + bad.field);
    }
  }
}

TEST_F(BadSearchTest, BatchesAreBounded) {
  const auto refused = [&](const v1::BatchSearchRequest& batch, const std::string& reason) {
    v1::BatchSearchResponse response;
    Expect(database_->search().BatchSearch(context_, batch, &response),
           {"batch", kInvalid, reason, "", nullptr, ""}, "searches");
  };
  v1::BatchSearchRequest batch;
  refused(batch, "INVALID_FIELD");
  for (int i = 0; i < 11; ++i) {
    *batch.add_searches() = good_;
    batch.mutable_searches(i)->set_limit(10'000);
  }
  refused(batch, "LIMIT_EXCEEDED");
  batch.mutable_searches()->RemoveLast();
  v1::BatchSearchResponse response;
  EXPECT_TRUE(database_->search().BatchSearch(context_, batch, &response).ok());
  batch.clear_searches();
  for (int i = 0; i < 1001; ++i) *batch.add_searches() = good_;
  refused(batch, "LIMIT_EXCEEDED");
}

TEST_F(BadSearchTest, BytesOfObjectsAreBounded) {
  good_.set_with_objects(true);
  good_.set_limit(2);
  v1::SearchResponse response;
  ASSERT_TRUE(database_->search().Search(context_, good_, &response).ok());
  const BadSearch bad = {"bytes", kInvalid, "LIMIT_EXCEEDED", "", nullptr, "2000"};
  v1::SearchRequest more = good_;
  more.set_limit(3);
  response.Clear();
  Expect(database_->search().Search(context_, more, &response), bad, "with_objects");
  // All searches of a batch count together.
  v1::BatchSearchRequest batch;
  *batch.add_searches() = good_;
  *batch.add_searches() = good_;
  v1::BatchSearchResponse batched;
  Expect(database_->search().BatchSearch(context_, batch, &batched), bad,
         "searches[1].with_objects");
  more.mutable_mask()->set_without_content(true);
  response.Clear();
  EXPECT_TRUE(database_->search().Search(context_, more, &response).ok());
  EXPECT_EQ(response.hits_size(), 3);
}

TEST_F(BadSearchTest, DescribingNeedsAField) {
  const auto refused = [&](const v1::DescribeIndexRequest& request, absl::StatusCode code,
                           const std::string& reason, const std::string& field) {
    v1::DescribeIndexResponse response;
    Expect(database_->search().DescribeIndex(context_, request, &response),
           {"describe", code, reason, "", nullptr, ""}, field);
  };
  v1::DescribeIndexRequest request;
  refused(request, absl::StatusCode::kNotFound, "FIELD_NOT_FOUND", "field");
  request.set_collection(kCollection);
  refused(request, kInvalid, "INVALID_FIELD", "field");
  request.set_field("nothing");
  refused(request, absl::StatusCode::kNotFound, "FIELD_NOT_FOUND", "field");
  request.set_collection("nowhere");
  refused(request, absl::StatusCode::kNotFound, "COLLECTION_NOT_FOUND", "collection");
  request.set_namespace_("nowhere");
  refused(request, absl::StatusCode::kNotFound, "NAMESPACE_NOT_FOUND", "namespace");
}

}  // namespace
}  // namespace cookix::engine
