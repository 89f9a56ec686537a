// Plans against doing the same by hand: every step on all the data, nothing pruned, no
// index asked.
#include "engine/api/plan_executor.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cookix/v1/catalog_service.pb.h"
#include "engine/test_database.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr int kObjects = 60;
constexpr const char* kRelations[] = {"leads_to", "cites", "beside"};

// An object of the model. Its number is the order in which it was first named.
struct Thing {
  std::string collection;
  std::string key;
  bool exists = false;
  std::optional<int> rank;
  std::optional<std::string> color;
  std::optional<std::vector<int>> place;
  bool labelled = false;
};

struct Link {
  int from, to, relation, weight;
};

struct ModelRow {
  int thing = 0;
  double weight = 0;
  std::vector<int> way;  // from where it began
  double seed_score = 0;
  double score = 0;
};

using Matches = std::function<bool(const Thing&)>;

class PlanExecutorTest : public testing::TestWithParam<uint64_t> {
 protected:
  PlanExecutorTest() : random_(GetParam()) {}

  void SetUp() override {
    v1::CreateCollectionRequest create;
    create.mutable_collection()->set_name("docs");
    v1::VectorField* field = create.mutable_collection()->add_vector_fields();
    field->set_name("place");
    field->set_dimension(2);
    field->set_metric(v1::VECTOR_METRIC_L2);
    v1::CreateCollectionResponse created;
    ASSERT_TRUE(database_->catalog().CreateCollection(context_, create, &created).ok());
    v1::PutRelationRequest relation;
    relation.mutable_relation()->set_name("beside");
    relation.mutable_relation()->set_symmetric(true);
    v1::PutRelationResponse registered;
    ASSERT_TRUE(database_->catalog().PutRelation(context_, relation, &registered).ok());
    for (int i = 0; i < kObjects; ++i) PutThing(i);
    for (int i = 0; i < 2 * kObjects; ++i) PutLink();
  }

  uint64_t Below(uint64_t n) { return random_() % n; }

  void PutThing(int number) {
    Thing thing;
    thing.collection = Below(4) == 0 ? "" : "docs";
    thing.key = "k" + std::to_string(number);
    thing.exists = true;
    if (Below(5) != 0) thing.rank = static_cast<int>(Below(8));
    if (Below(3) != 0) thing.color = std::string(1, static_cast<char>('a' + Below(3)));
    if (thing.collection == "docs" && Below(5) != 0) {
      thing.place = {static_cast<int>(Below(10)), static_cast<int>(Below(10))};
    }
    thing.labelled = Below(2) == 0;
    v1::PutObjectRequest put;
    v1::Object* object = put.mutable_write()->mutable_object();
    *object->mutable_ref() = RefOf(thing);
    object->set_content("content of " + thing.key);
    auto& properties = *object->mutable_properties();
    if (thing.rank.has_value()) {
      // Numbers compare by value, whatever they are written as.
      if (number % 2 == 0) {
        properties["rank"].set_int_value(*thing.rank);
      } else {
        properties["rank"].set_double_value(*thing.rank);
      }
    }
    if (thing.color.has_value()) properties["color"].set_string_value(*thing.color);
    if (thing.place.has_value()) {
      for (const int x : *thing.place) (*object->mutable_vectors())["place"].add_values(x);
    }
    if (thing.labelled) object->add_labels("marked");
    v1::PutObjectResponse response;
    const absl::Status status = database_->objects().PutObject(context_, put, &response);
    ASSERT_TRUE(status.ok()) << status;
    things_.push_back(thing);
  }

  void PutLink() {
    Link link{static_cast<int>(Below(kObjects)), static_cast<int>(Below(kObjects + 3)),
              static_cast<int>(Below(3)), static_cast<int>(Below(4))};
    // What was never put is numbered when something first points at it.
    if (link.to >= kObjects) link.to = Dangling("d" + std::to_string(link.to));
    for (const Link& other : links_) {
      if (std::tie(other.from, other.to, other.relation) ==
          std::tie(link.from, link.to, link.relation)) {
        return;
      }
    }
    v1::PutEdgeRequest put;
    *put.mutable_edge()->mutable_source() = RefOf(things_[link.from]);
    *put.mutable_edge()->mutable_target() = RefOf(things_[link.to]);
    put.mutable_edge()->set_relation(kRelations[link.relation]);
    put.mutable_edge()->set_weight(link.weight);
    v1::PutEdgeResponse response;
    ASSERT_TRUE(database_->graph().PutEdge(context_, put, &response).ok());
    links_.push_back(link);
  }

  int Dangling(const std::string& key) {
    for (size_t i = kObjects; i < things_.size(); ++i) {
      if (things_[i].key == key) return static_cast<int>(i);
    }
    Thing thing;
    thing.collection = "docs";
    thing.key = key;
    things_.push_back(thing);
    return static_cast<int>(things_.size()) - 1;
  }

  static v1::ObjectRef RefOf(const Thing& thing) {
    v1::ObjectRef ref;
    ref.set_collection(thing.collection);
    ref.set_key(thing.key);
    return ref;
  }

  // A filter, and the same by hand.
  Matches RandomFilter(v1::Filter* filter) {
    v1::Comparison* comparison = filter->mutable_comparison();
    const int rank = static_cast<int>(Below(8));
    switch (Below(4)) {
      case 0:
        comparison->set_field("rank");
        comparison->set_op(v1::COMPARISON_OPERATOR_GREATER_EQUAL);
        comparison->mutable_value()->set_int_value(rank);
        return [rank](const Thing& t) { return t.exists && t.rank.has_value() && *t.rank >= rank; };
      case 1:
        comparison->set_field("color");
        comparison->set_op(v1::COMPARISON_OPERATOR_NOT_EQUAL);
        comparison->mutable_value()->set_string_value("a");
        return [](const Thing& t) { return t.exists && t.color.has_value() && *t.color != "a"; };
      case 2:
        comparison->set_field("$label");
        comparison->set_op(v1::COMPARISON_OPERATOR_EQUAL);
        comparison->mutable_value()->set_string_value("marked");
        return [](const Thing& t) { return t.exists && t.labelled; };
      default:
        filter->mutable_negation()->mutable_existence()->set_field("rank");
        return [](const Thing& t) { return t.exists && !t.rank.has_value(); };
    }
  }

  // The steps from an object, by the rules of its relations.
  std::vector<std::pair<int, int>> Steps(int from, const std::set<int>& relations,
                                         v1::Direction direction) const {
    std::vector<std::pair<int, int>> steps;
    for (const Link& link : links_) {
      if (!relations.empty() && relations.count(link.relation) == 0) continue;
      const bool symmetric = link.relation == 2;
      const bool out = direction != v1::DIRECTION_IN || symmetric;
      const bool in = direction == v1::DIRECTION_IN || direction == v1::DIRECTION_BOTH || symmetric;
      if (link.from == from && out) steps.emplace_back(link.to, link.weight);
      if (link.to == from && in) steps.emplace_back(link.from, link.weight);
    }
    return steps;
  }

  static bool Better(const ModelRow& a, const ModelRow& b) {
    return std::make_tuple(a.weight, a.way.size(), a.way) <
           std::make_tuple(b.weight, b.way.size(), b.way);
  }

  // Each object by its best way of at most `hops` steps from any of `from`.
  std::vector<ModelRow> Follow(const std::vector<ModelRow>& from, const std::set<int>& relations,
                               v1::Direction direction, int hops) const {
    std::map<int, ModelRow> best;
    for (const ModelRow& start : from) {
      std::map<int, ModelRow> layer = {{start.thing, start}};
      for (int hop = 0; hop < hops; ++hop) {
        std::map<int, ModelRow> next;
        for (const auto& [thing, row] : layer) {
          for (const auto& [to, weight] : Steps(thing, relations, direction)) {
            ModelRow reached = row;
            reached.thing = to;
            reached.weight += weight;
            reached.way.push_back(to);
            auto [at, inserted] = next.try_emplace(to, reached);
            if (!inserted && Better(reached, at->second)) at->second = reached;
          }
        }
        for (const auto& [thing, row] : next) {
          if (thing == start.thing) continue;
          auto [at, inserted] = best.try_emplace(thing, row);
          if (!inserted && Better(row, at->second)) at->second = row;
        }
        layer = std::move(next);
      }
    }
    std::vector<ModelRow> rows;
    for (auto& [thing, row] : best) {
      row.score = -row.weight;
      rows.push_back(row);
    }
    std::stable_sort(rows.begin(), rows.end(), [](const ModelRow& a, const ModelRow& b) {
      return std::make_tuple(a.weight, a.way.size(), a.thing) <
             std::make_tuple(b.weight, b.way.size(), b.thing);
    });
    return rows;
  }

  std::vector<ModelRow> Seed(v1::BuilderQuery* query, const Matches& matches) {
    std::vector<ModelRow> rows;
    const auto add = [&](int number, double score) {
      ModelRow& row = rows.emplace_back();
      row.thing = number;
      row.way = {number};
      row.score = row.seed_score = score;
    };
    const auto fits = [&](int number) {
      const Thing& thing = things_[static_cast<size_t>(number)];
      return thing.exists && thing.collection == query->collection() && matches(thing);
    };
    if (query->keys_size() > 0) {
      std::set<std::string> seen;
      for (const std::string& key : query->keys()) {
        for (int i = 0; i < static_cast<int>(things_.size()); ++i) {
          if (things_[static_cast<size_t>(i)].key != key || !fits(i)) continue;
          if (seen.insert(key).second) add(i, 0);
        }
      }
      return rows;
    }
    for (int i = 0; i < static_cast<int>(things_.size()); ++i) {
      if (!fits(i)) continue;
      if (!query->has_search()) {
        add(i, 0);
        continue;
      }
      const auto& place = things_[static_cast<size_t>(i)].place;
      if (!place.has_value()) continue;
      const auto& target = query->search().vector().vector();
      add(i, -std::hypot((*place)[0] - target.values(0), (*place)[1] - target.values(1)));
    }
    if (query->has_search()) {
      std::stable_sort(rows.begin(), rows.end(),
                       [](const ModelRow& a, const ModelRow& b) { return a.score > b.score; });
      if (query->search().limit() > 0 &&
          rows.size() > static_cast<size_t>(query->search().limit())) {
        rows.resize(static_cast<size_t>(query->search().limit()));
      }
    }
    return rows;
  }

  // A query, and its rows by hand, not yet cut.
  std::vector<ModelRow> RandomRows(v1::BuilderQuery* query) {
    query->set_collection("docs");
    const uint64_t kind = Below(4);
    if (kind == 0) {
      for (uint64_t n = 1 + Below(8); n > 0; --n) {
        query->add_keys("k" + std::to_string(Below(kObjects + 5)));
      }
    } else if (kind == 1) {
      v1::VectorQuery* vector = query->mutable_search()->mutable_vector();
      vector->mutable_vector()->add_values(static_cast<float>(Below(10)));
      vector->mutable_vector()->add_values(static_cast<float>(Below(10)));
      vector->set_exact(true);
      query->mutable_search()->set_limit(static_cast<int32_t>(1 + Below(20)));
    } else if (kind == 2) {
      query->set_collection("");
    }
    Matches matches = [](const Thing&) { return true; };
    if (Below(2) == 0) matches = RandomFilter(query->mutable_where());
    std::vector<ModelRow> rows = Seed(query, matches);
    for (uint64_t n = Below(3); n > 0; --n) {
      v1::FollowStep* step = query->add_follow();
      std::set<int> relations;
      for (uint64_t r = Below(3); r > 0; --r) relations.insert(static_cast<int>(Below(3)));
      for (const int relation : relations) step->add_relations(kRelations[relation]);
      step->set_direction(static_cast<v1::Direction>(Below(4)));
      step->set_max_hops(static_cast<int32_t>(1 + Below(3)));
      rows = Follow(rows, relations, step->direction(), step->max_hops());
      if (Below(3) == 0) {
        const Matches keep = RandomFilter(step->mutable_where());
        std::erase_if(rows, [&](const ModelRow& row) {
          return !keep(things_[static_cast<size_t>(row.thing)]);
        });
      }
    }
    return rows;
  }

  v1::ExecuteResponse Execute(const v1::BuilderQuery& query, bool explain = false) {
    v1::ExecuteRequest request;
    *request.mutable_query()->mutable_builder() = query;
    request.set_explain(explain);
    v1::ExecuteResponse response;
    const absl::Status status = database_->query().Execute(context_, request, &response);
    EXPECT_TRUE(status.ok()) << status << "\n" << query.DebugString();
    return response;
  }

  absl::Status Fail(const v1::ExecuteRequest& request) {
    v1::ExecuteResponse response;
    return database_->query().Execute(context_, request, &response);
  }

  void ExpectRow(const ModelRow& row, const v1::Hit& hit) {
    const Thing& thing = things_[static_cast<size_t>(row.thing)];
    ASSERT_EQ(hit.ref().key(), thing.key);
    ASSERT_EQ(hit.ref().collection(), thing.collection);
    EXPECT_NEAR(hit.score(), row.score, 1e-5);
    EXPECT_EQ(hit.hops(), static_cast<int>(row.way.size()) - 1);
    EXPECT_EQ(hit.path().weight(), row.weight);
    EXPECT_EQ(hit.object().dangling(), !thing.exists);
    EXPECT_EQ(hit.object().content(), thing.exists ? "content of " + thing.key : "");
    std::string at = things_[static_cast<size_t>(row.way[0])].key;
    for (const v1::PathStep& step : hit.path().steps()) {
      ASSERT_TRUE(step.source().key() == at || step.target().key() == at);
      at = step.source().key() == at ? step.target().key() : step.source().key();
    }
    EXPECT_EQ(at, thing.key);
    if (row.way.size() > 1 && hit.components().count("seed_score") > 0) {
      EXPECT_NEAR(hit.components().at("seed_score"), row.seed_score, 1e-5);
    }
  }

  TestDatabase database_;
  CallContext context_;
  std::mt19937_64 random_;
  std::vector<Thing> things_;
  std::vector<Link> links_;
};

TEST_P(PlanExecutorTest, RowsAreThoseOfTheModel) {
  for (int i = 0; i < 150; ++i) {
    v1::BuilderQuery query;
    std::vector<ModelRow> rows = RandomRows(&query);
    const uint64_t order = Below(4);
    const bool descending = Below(2) == 0;
    if (order == 1 || order == 2) {
      query.add_order_by()->set_field(order == 1 ? "rank" : "$hops");
      query.mutable_order_by(0)->set_descending(descending);
      std::sort(rows.begin(), rows.end(), [&](const ModelRow& a, const ModelRow& b) {
        const auto key = [&](const ModelRow& row) {
          const Thing& thing = things_[static_cast<size_t>(row.thing)];
          const bool missing = order == 1 && !thing.rank.has_value();
          const int value = order == 2 ? static_cast<int>(row.way.size()) : thing.rank.value_or(0);
          return std::make_tuple(missing, descending ? -value : value, row.thing);
        };
        return key(a) < key(b);
      });
    }
    query.set_limit(static_cast<int32_t>(1 + Below(30)));
    query.set_offset(static_cast<int32_t>(Below(5)));
    const v1::ExecuteResponse response = Execute(query);
    const size_t begin = std::min(rows.size(), static_cast<size_t>(query.offset()));
    const size_t end = std::min(rows.size(), begin + static_cast<size_t>(query.limit()));
    ASSERT_EQ(static_cast<size_t>(response.hits_size()), end - begin) << query.DebugString();
    for (size_t at = begin; at < end; ++at) {
      ExpectRow(rows[at], response.hits(static_cast<int>(at - begin)));
      if (HasFatalFailure()) FAIL() << query.DebugString();
    }
  }
}

TEST_P(PlanExecutorTest, AggregatesAreThoseOfTheModel) {
  for (int i = 0; i < 100; ++i) {
    v1::BuilderQuery query;
    const std::vector<ModelRow> rows = RandomRows(&query);
    const bool groups = Below(2) == 0;
    if (groups) query.add_group_by("color");
    const auto add = [&](v1::AggregateFunction function, const char* field) {
      query.add_aggregates()->set_function(function);
      query.mutable_aggregates()->rbegin()->set_field(field);
    };
    add(v1::AGGREGATE_FUNCTION_COUNT, "");
    if (Below(2) == 0) {
      add(v1::AGGREGATE_FUNCTION_COUNT, "rank");
      add(v1::AGGREGATE_FUNCTION_SUM, "rank");
      add(v1::AGGREGATE_FUNCTION_MAX, "rank");
    }
    struct Group {
      int64_t count = 0, ranked = 0, sum = 0;
      int max = -1;
    };
    // What has no color comes last.
    std::map<std::pair<bool, std::string>, Group> expected;
    if (!groups) expected[{false, ""}];
    for (const ModelRow& row : rows) {
      const Thing& thing = things_[static_cast<size_t>(row.thing)];
      Group& group = groups ? expected[{!thing.color.has_value(), thing.color.value_or("")}]
                            : expected.begin()->second;
      ++group.count;
      if (!thing.rank.has_value()) continue;
      ++group.ranked;
      group.sum += *thing.rank;
      group.max = std::max(group.max, *thing.rank);
    }
    const v1::ExecuteResponse response = Execute(query);
    ASSERT_EQ(static_cast<size_t>(response.rows_size()), expected.size()) << query.DebugString();
    int at = 0;
    for (const auto& [key, group] : expected) {
      const v1::AggregateRow& row = response.rows(at++);
      int column = 0;
      if (groups) {
        EXPECT_EQ(row.values(column).has_null_value(), key.first);
        EXPECT_EQ(row.values(column++).string_value(), key.second);
      }
      EXPECT_EQ(row.values(column++).int_value(), group.count) << query.DebugString();
      if (query.aggregates_size() == 1) continue;
      EXPECT_EQ(row.values(column++).int_value(), group.ranked);
      const auto number = [](const v1::Value& value) {
        return value.has_int_value() ? static_cast<double>(value.int_value())
                                     : value.double_value();
      };
      EXPECT_EQ(number(row.values(column)), static_cast<double>(group.sum));
      EXPECT_EQ(row.values(column++).has_null_value(), group.ranked == 0);
      EXPECT_EQ(row.values(column).has_null_value(), group.ranked == 0);
      if (group.ranked > 0) {
        EXPECT_EQ(number(row.values(column)), group.max);
      }
    }
  }
}

TEST_P(PlanExecutorTest, ExplainTellsWhatEachStepPassedOn) {
  for (int i = 0; i < 30; ++i) {
    v1::BuilderQuery query;
    RandomRows(&query);
    query.set_limit(10'000);
    const v1::ExecuteResponse response = Execute(query, true);
    ASSERT_EQ(response.stages_size(), response.plan().steps_size());
    EXPECT_EQ(response.stages(0).name(), "seed");
    EXPECT_EQ(response.stages(0).input(), -1);
    for (int s = 1; s < response.stages_size(); ++s) {
      EXPECT_EQ(response.stages(s).input(), response.stages(s - 1).output());
      EXPECT_FALSE(response.stages(s).detail().empty());
    }
    EXPECT_EQ(response.stages().rbegin()->output(), response.hits_size());
    // The plan, executed, is the query, executed.
    v1::ExecuteRequest again;
    *again.mutable_plan() = response.plan();
    v1::ExecuteResponse same;
    ASSERT_TRUE(database_->query().Execute(context_, again, &same).ok());
    ASSERT_EQ(same.hits_size(), response.hits_size());
    for (int h = 0; h < same.hits_size(); ++h) {
      EXPECT_EQ(same.hits(h).ref().key(), response.hits(h).ref().key());
    }
    EXPECT_EQ(same.stages_size(), 0);
    EXPECT_FALSE(same.has_plan());
  }
}

TEST_P(PlanExecutorTest, SelectsParts) {
  v1::BuilderQuery query;
  query.set_collection("docs");
  query.set_limit(100);
  query.mutable_where()->mutable_existence()->set_field("rank");
  query.add_select("color");
  const v1::ExecuteResponse colors = Execute(query);
  ASSERT_GT(colors.hits_size(), 0);
  for (const v1::Hit& hit : colors.hits()) {
    EXPECT_EQ(hit.object().content(), "");
    EXPECT_EQ(hit.object().properties().count("rank"), 0u);
    EXPECT_EQ(hit.object().vectors_size(), 0);
    EXPECT_EQ(hit.object().ref().key(), hit.ref().key());
  }
  query.clear_select();
  query.add_select("*");
  query.add_select("$vectors");
  bool vectors = false;
  const v1::ExecuteResponse whole = Execute(query);
  for (const v1::Hit& hit : whole.hits()) {
    EXPECT_EQ(hit.object().content(), "");
    EXPECT_EQ(hit.object().properties().count("rank"), 1u);
    vectors |= hit.object().vectors_size() > 0;
  }
  EXPECT_TRUE(vectors);
  query.clear_select();
  query.add_select("$key");
  const v1::ExecuteResponse bare = Execute(query);
  ASSERT_GT(bare.hits_size(), 0);
  for (const v1::Hit& hit : bare.hits()) EXPECT_FALSE(hit.has_object());
}

TEST_P(PlanExecutorTest, ErrorsNameTheStep) {
  v1::ExecuteRequest request;
  EXPECT_EQ(GetErrorDetail(Fail(request))->field, "query");
  request.mutable_query()->set_search_text("SEARCH nowhere");
  EXPECT_EQ(GetErrorDetail(Fail(request))->field, "plan.steps[0].seed.collection");
  EXPECT_EQ(Fail(request).code(), absl::StatusCode::kNotFound);
  request.mutable_query()->set_search_text("SEARCH docs NEAR KEY 'nobody'");
  EXPECT_EQ(GetErrorDetail(Fail(request))->field, "plan.steps[0].seed.search.query.vector.key");
  request.mutable_query()->set_search_text("SEARCH docs LIMIT 20000");
  EXPECT_EQ(GetErrorDetail(Fail(request))->field, "query.search_text");
  request.mutable_plan();
  EXPECT_EQ(GetErrorDetail(Fail(request))->field, "plan.steps");
  request.mutable_query()->set_search_text("SEARCH docs");
  request.set_namespace_("nowhere");
  EXPECT_EQ(GetErrorDetail(Fail(request))->reason, "NAMESPACE_NOT_FOUND");
}

TEST_P(PlanExecutorTest, StopsWhenItIsCancelled) {
  v1::ExecuteRequest request;
  request.mutable_query()->set_search_text("SEARCH docs FOLLOW * HOPS 5 ORDER BY rank");
  CallContext cancelled;
  cancelled.Cancel();
  v1::ExecuteResponse response;
  EXPECT_EQ(database_->query().Execute(cancelled, request, &response).code(),
            absl::StatusCode::kCancelled);
  CallContext late(CallContext::Clock::now());
  EXPECT_EQ(database_->query().Execute(late, request, &response).code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_P(PlanExecutorTest, CompileSaysTheQueryInEveryForm) {
  v1::CompileRequest request;
  request.mutable_query()->set_search_text("search docs where rank >= 3 follow cites limit 2");
  v1::CompileResponse response;
  ASSERT_TRUE(database_->query().Compile(context_, request, &response).ok());
  EXPECT_EQ(response.search_text(), "SEARCH docs WHERE rank >= 3 FOLLOW cites LIMIT 2");
  EXPECT_EQ(response.text(),
            "seed      docs: where rank >= 3\nexpand    cites out, 1 hop, the nearest 2\n"
            "project   *, $content; at most 2\n");
  v1::CompileRequest bring;
  bring.mutable_query()->set_bring_text(response.bring_text());
  v1::CompileResponse again;
  ASSERT_TRUE(database_->query().Compile(context_, bring, &again).ok());
  EXPECT_EQ(again.plan().SerializeAsString(), response.plan().SerializeAsString());
}

INSTANTIATE_TEST_SUITE_P(Seeds, PlanExecutorTest, testing::Values(1, 2, 3, 4));

TEST(PlanLimitsTest, WhatIsTooMuchIsAnError) {
  TestDatabase database([](DatabaseOptions& options) {
    options.limits.max_query_rows = 20;
    options.limits.max_query_results = 15;
    options.limits.max_search_limit = 10;
  });
  CallContext context;
  v1::CreateCollectionRequest create;
  create.mutable_collection()->set_name("docs");
  v1::VectorField* field = create.mutable_collection()->add_vector_fields();
  field->set_name("place");
  field->set_dimension(1);
  v1::CreateCollectionResponse created;
  ASSERT_TRUE(database->catalog().CreateCollection(context, create, &created).ok());
  const auto put = [&](const std::string& key, const std::string& target) {
    v1::PutObjectRequest request;
    v1::Object* object = request.mutable_write()->mutable_object();
    object->mutable_ref()->set_collection("docs");
    object->mutable_ref()->set_key(key);
    (*object->mutable_properties())["own"].set_string_value(key);
    (*object->mutable_vectors())["place"].add_values(1);
    if (!target.empty()) {
      v1::Edge* edge = request.mutable_write()->add_edges();
      edge->set_relation("to");
      edge->mutable_target()->set_collection("docs");
      edge->mutable_target()->set_key(target);
    }
    v1::PutObjectResponse response;
    ASSERT_TRUE(database->objects().PutObject(context, request, &response).ok());
  };
  for (int i = 0; i < 18; ++i) put("k" + std::to_string(i), "hub");
  const auto execute = [&](const std::string& text) {
    v1::ExecuteRequest request;
    request.mutable_query()->set_search_text(text);
    v1::ExecuteResponse response;
    const absl::Status status = database->query().Execute(context, request, &response);
    if (status.ok()) return std::string("OK");
    return GetErrorDetail(status)->reason + " " + GetErrorDetail(status)->field;
  };
  EXPECT_EQ(execute("SEARCH docs FOLLOW to"), "OK");
  EXPECT_EQ(execute("SEARCH docs RETURN COUNT(*) GROUP BY own"),
            "LIMIT_EXCEEDED plan.steps[2].project.limit");
  EXPECT_EQ(execute("SEARCH docs RETURN COUNT(*) GROUP BY own LIMIT 15"), "OK");
  EXPECT_EQ(execute("SEARCH docs NEAR VECTOR [1] ORDER BY own"),
            "LIMIT_EXCEEDED plan.steps[0].seed.search.query.limit");
  EXPECT_EQ(execute("SEARCH docs NEAR VECTOR [1] TOP 10 ORDER BY own"), "OK");
  EXPECT_EQ(execute("SEARCH docs KEYS ('k1') FOLLOW to FOLLOW to IN"), "OK");
  for (int i = 18; i < 30; ++i) put("k" + std::to_string(i), "hub");
  EXPECT_EQ(execute("SEARCH docs KEYS ('k1') FOLLOW to FOLLOW to IN ORDER BY own"),
            "LIMIT_EXCEEDED plan.steps[2].expand");
  EXPECT_EQ(execute("SEARCH docs FOLLOW to"), "LIMIT_EXCEEDED plan.steps[1].expand");
  // What is ordered or counted need not be held.
  EXPECT_EQ(execute("SEARCH docs ORDER BY own"), "OK");
  EXPECT_EQ(execute("SEARCH docs RETURN COUNT(own)"), "OK");
}

}  // namespace
}  // namespace cookix::engine
