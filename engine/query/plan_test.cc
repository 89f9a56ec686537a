// Compiling: three forms of a query have one plan, and plans say what they say in one way.
#include "engine/query/plan.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/query/bring_query.h"
#include "engine/query/random_query.h"
#include "engine/query/search_parser.h"
#include "engine/query/search_writer.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

std::string Bytes(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

absl::StatusOr<v1::Plan> Compile(const v1::BuilderQuery& query) {
  return CompileQuery(query, Limits(), "query.builder", false);
}

v1::Plan PlanOfSearch(const std::string& text) {
  const auto query = ParseSearch(text, Limits(), "query.search_text");
  EXPECT_TRUE(query.ok()) << text << "\n" << query.status();
  if (!query.ok()) return {};
  const auto plan = Compile(*query);
  EXPECT_TRUE(plan.ok()) << text << "\n" << plan.status();
  return plan.ok() ? *plan : v1::Plan();
}

v1::Plan PlanOfBring(const std::string& text) {
  const auto query = ParseBringQuery(text, Limits(), "query.bring_text");
  EXPECT_TRUE(query.ok()) << text << "\n" << query.status();
  if (!query.ok()) return {};
  const auto plan = Compile(*query);
  EXPECT_TRUE(plan.ok()) << text << "\n" << plan.status();
  return plan.ok() ? *plan : v1::Plan();
}

TEST(PlanTest, ThreeFormsOfAQueryHaveOnePlan) {
  constexpr int kQueries = 1500;
  RandomQuery random(1);
  for (int i = 0; i < kQueries; ++i) {
    const v1::BuilderQuery query = random.Make(/*plain=*/true);
    const auto plan = Compile(query);
    ASSERT_TRUE(plan.ok()) << query.DebugString() << plan.status();
    const std::optional<std::string> search = WriteSearch(query);
    ASSERT_TRUE(search.has_value()) << query.DebugString();
    const std::optional<std::string> bring = WriteBring(query);
    ASSERT_TRUE(bring.has_value()) << query.DebugString();
    ASSERT_EQ(Bytes(PlanOfSearch(*search)), Bytes(*plan)) << *search << plan->DebugString();
    ASSERT_EQ(Bytes(PlanOfBring(*bring)), Bytes(*plan)) << *bring << plan->DebugString();
  }
}

TEST(PlanTest, BringSaysWhateverBuildersSay) {
  constexpr int kQueries = 1500;
  RandomQuery random(2);
  int beyond_search = 0;
  for (int i = 0; i < kQueries; ++i) {
    const v1::BuilderQuery query = random.Make(/*plain=*/false);
    const auto plan = Compile(query);
    ASSERT_TRUE(plan.ok()) << query.DebugString() << plan.status();
    const std::optional<std::string> bring = WriteBring(query);
    ASSERT_TRUE(bring.has_value()) << query.DebugString();
    ASSERT_EQ(Bytes(PlanOfBring(*bring)), Bytes(*plan)) << *bring << plan->DebugString();
    const std::optional<std::string> search = WriteSearch(query);
    beyond_search += !search.has_value();
    // What is written means the same; what cannot be written is not written otherwise.
    if (search.has_value()) {
      ASSERT_EQ(Bytes(PlanOfSearch(*search)), Bytes(*plan)) << *search;
    }
  }
  EXPECT_GT(beyond_search, 0);
}

TEST(PlanTest, PlansAreGoodPlans) {
  RandomQuery random(3);
  for (int i = 0; i < 2000; ++i) {
    const auto plan = Compile(random.Make(i % 2 == 0));
    ASSERT_TRUE(plan.ok());
    const absl::Status status = CheckPlan(*plan, Limits(), "plan");
    ASSERT_TRUE(status.ok()) << plan->DebugString() << status;
    ASSERT_FALSE(PlanText(*plan).empty());
  }
}

TEST(PlanTest, WrittenByHandTheFormsAreOneToo) {
  const std::string search =
      "SEARCH papers ALL 'wet coat' IN title TOP 5 WHERE year >= 2020 AND (draft = FALSE OR "
      "reviewer IS NULL) FOLLOW causes, prevents HOPS 2 WHERE $label = 'claim' "
      "RETURN title, $content ORDER BY year DESC, $key LIMIT 20 OFFSET 5";
  const std::string bring = R"(
    # What wet coats lead to.
    bring papers {
      search = "wet coat" @mode="all" @fields=["title"]
      top = 5
      where {
        year = { gte = 2020 }
        any = [{ draft = false }, { reviewer = null }]
      }
      follow { relations = ["prevents", "causes"] hops = 2 where { $label = "claim" } }
      select = ["title", "$content"]
      order = ["year" @desc=true, "$key"]
      limit = 20
      offset = 5
    })";
  EXPECT_EQ(Bytes(PlanOfSearch(search)), Bytes(PlanOfBring(bring)));
  EXPECT_EQ(PlanText(PlanOfSearch(search)),
            "seed      papers: all words of 'wet coat' in title; where year >= 2020 AND (draft = "
            "FALSE OR reviewer IS NULL); the best 5\n"
            "expand    causes, prevents out, 2 hops\n"
            "filter    $label = 'claim'\n"
            "order     year DESC, $key\n"
            "project   title, $content; after the first 5; at most 20\n");
}

TEST(PlanTest, LimitsMoveToWhereTheyDo) {
  EXPECT_EQ(PlanText(PlanOfSearch("SEARCH c 'a'")),
            "seed      c: any word of 'a'; the best 10\nproject   *, $content; at most 10\n");
  EXPECT_EQ(PlanText(PlanOfSearch("SEARCH c 'a' LIMIT 7 OFFSET 3 ORDER BY $score DESC")),
            "seed      c: any word of 'a'; the best 10\n"
            "project   *, $content; after the first 3; at most 7\n");
  EXPECT_EQ(PlanText(PlanOfSearch("SEARCH c 'a' ORDER BY price")),
            "seed      c: any word of 'a'; all, fewer than 10000\norder     price\n"
            "project   *, $content; at most 10\n");
  EXPECT_EQ(PlanText(PlanOfSearch("SEARCH c 'a' RETURN COUNT(*) AS n")),
            "seed      c: any word of 'a'; all, counted\naggregate COUNT(*) AS n\n"
            "project   all\n");
  EXPECT_EQ(PlanText(PlanOfSearch("SEARCH c 'a' FOLLOW * LIMIT 3")),
            "seed      c: any word of 'a'; the best 5\n"
            "expand    any relation out, 1 hop, the nearest 3\n"
            "project   *, $content; at most 3\n");
  EXPECT_EQ(PlanText(PlanOfSearch("SEARCH c RETURN COUNT(*), SUM(price) GROUP BY year")),
            "seed      c: all\naggregate COUNT(*) AS count, SUM(price) AS \"sum(price)\" by year\n"
            "project   all\n");
  EXPECT_EQ(PlanText(PlanOfSearch("SEARCH c KEYS ('b', 'a', 'b') WHERE x = 1")),
            "seed      c: keys 'b', 'a'\nfilter    x = 1\nproject   *, $content; at most 10\n");
}

TEST(PlanTest, FiltersAreSaidInOneWay) {
  const auto same = [](const std::string& a, const std::string& b) {
    EXPECT_EQ(PlanText(PlanOfSearch("SEARCH c WHERE " + a)),
              PlanText(PlanOfSearch("SEARCH c WHERE " + b)))
        << a;
  };
  same("a = 1 AND (b = 2 AND c = 3)", "a = 1 AND b = 2 AND c = 3");
  same("((a = 1) OR b = 2) OR (c = 3)", "a = 1 OR b = 2 OR c = 3");
  same("NOT NOT a = 1", "a = 1");
  same("a NOT IN (1)", "NOT a IN (1)");
  same("a LIKE 'b'", "a = 'b'");
  v1::Filter filter;
  filter.mutable_all()->add_operands()->mutable_all();
  EXPECT_EQ(NormalizeFilter(filter).expression_case(), v1::Filter::EXPRESSION_NOT_SET);
  filter.mutable_negation()->mutable_all();
  EXPECT_TRUE(NormalizeFilter(filter).has_any());
  EXPECT_EQ(NormalizeFilter(filter).any().operands_size(), 0);
}

struct BadQuery {
  std::string name;
  std::function<void(v1::BuilderQuery*)> spoil;
  std::string reason;
  std::string field;
};

TEST(PlanTest, BadQueriesNameTheirField) {
  const std::vector<BadQuery> cases = {
      {"keys and search",
       [](auto* q) {
         q->add_keys("a");
         q->mutable_search()->mutable_text()->set_text("b");
       },
       "INVALID_FIELD", "query.builder.keys"},
      {"empty search", [](auto* q) { q->mutable_search(); }, "INVALID_FIELD",
       "query.builder.search"},
      {"too many of a search",
       [](auto* q) {
         q->mutable_search()->mutable_text()->set_text("b");
         q->mutable_search()->set_limit(10'001);
       },
       "LIMIT_EXCEEDED", "query.builder.search.limit"},
      {"too deep in a search",
       [](auto* q) {
         q->mutable_search()->mutable_text()->set_text("b");
         q->set_offset(9'995);
       },
       "LIMIT_EXCEEDED", "query.builder.offset"},
      {"negative limit", [](auto* q) { q->set_limit(-1); }, "INVALID_FIELD", "query.builder.limit"},
      {"great limit", [](auto* q) { q->set_limit(10'001); }, "LIMIT_EXCEEDED",
       "query.builder.limit"},
      {"great offset", [](auto* q) { q->set_offset(1'000'001); }, "LIMIT_EXCEEDED",
       "query.builder.offset"},
      {"hops", [](auto* q) { q->add_follow()->set_max_hops(33); }, "LIMIT_EXCEEDED",
       "query.builder.follow[0].max_hops"},
      {"direction", [](auto* q) { q->add_follow()->set_direction(static_cast<v1::Direction>(9)); },
       "INVALID_FIELD", "query.builder.follow[0].direction"},
      {"relation", [](auto* q) { q->add_follow()->add_relations(""); }, "INVALID_FIELD",
       "query.builder.follow[0].relations[0]"},
      {"select with groups",
       [](auto* q) {
         q->add_select("a");
         q->add_group_by("b");
       },
       "INVALID_FIELD", "query.builder.select"},
      {"unknown part", [](auto* q) { q->add_select("$nothing"); }, "INVALID_FIELD",
       "query.builder.select[0]"},
      {"unknown function", [](auto* q) { q->add_aggregates(); }, "INVALID_FIELD",
       "query.builder.aggregates[0].function"},
      {"sum of nothing",
       [](auto* q) { q->add_aggregates()->set_function(v1::AGGREGATE_FUNCTION_SUM); },
       "INVALID_FIELD", "query.builder.aggregates[0].field"},
      {"a column twice",
       [](auto* q) {
         q->add_group_by("count");
         q->add_aggregates()->set_function(v1::AGGREGATE_FUNCTION_COUNT);
       },
       "INVALID_FIELD", "query.builder.aggregates[0]"},
      {"order by no column",
       [](auto* q) {
         q->add_group_by("a");
         q->add_order_by()->set_field("b");
       },
       "INVALID_FIELD", "query.builder.order_by[0].field"},
      {"order by no system field", [](auto* q) { q->add_order_by()->set_field("$nothing"); },
       "INVALID_FIELD", "query.builder.order_by[0].field"},
      {"where", [](auto* q) { q->mutable_where()->mutable_comparison()->set_field("a"); },
       "INVALID_FIELD", "query.builder.where.comparison.value"},
      {"time", [](auto* q) { q->set_valid_at_ms(-1); }, "INVALID_FIELD",
       "query.builder.valid_at_ms"},
      {"time of no edges", [](auto* q) { q->set_valid_at_ms(1); }, "INVALID_FIELD",
       "query.builder.valid_at_ms"},
      {"snippets of nothing",
       [](auto* q) {
         q->mutable_search()->mutable_text()->set_text("b");
         q->mutable_search()->mutable_snippets();
         q->add_follow();
       },
       "INVALID_FIELD", "query.builder.search.snippets"},
  };
  for (const BadQuery& bad : cases) {
    v1::BuilderQuery query;
    bad.spoil(&query);
    const auto plan = Compile(query);
    ASSERT_FALSE(plan.ok()) << bad.name;
    EXPECT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument) << bad.name;
    const auto detail = GetErrorDetail(plan.status());
    ASSERT_TRUE(detail.has_value()) << bad.name;
    EXPECT_EQ(detail->reason, bad.reason) << bad.name;
    EXPECT_EQ(detail->field, bad.field) << bad.name;
  }
}

TEST(PlanTest, TooManyPartsAreTooMany) {
  const Limits limits;
  const auto refused = [](const v1::BuilderQuery& query) {
    const auto plan = Compile(query);
    return !plan.ok() && GetErrorDetail(plan.status())->reason == "LIMIT_EXCEEDED";
  };
  v1::BuilderQuery follow, order, group, aggregates, select, keys;
  for (int64_t i = 0; i <= limits.max_follow_steps; ++i) follow.add_follow();
  for (int64_t i = 0; i <= limits.max_order_fields; ++i) order.add_order_by()->set_field("a");
  for (int64_t i = 0; i <= limits.max_group_fields; ++i) group.add_group_by("a");
  for (int64_t i = 0; i <= limits.max_aggregates; ++i) {
    aggregates.add_aggregates()->set_function(v1::AGGREGATE_FUNCTION_COUNT);
  }
  for (int64_t i = 0; i <= limits.max_select_fields; ++i) select.add_select("a");
  for (int64_t i = 0; i <= limits.max_batch_objects; ++i) keys.add_keys("a");
  for (const auto* query : {&follow, &order, &group, &aggregates, &select, &keys}) {
    EXPECT_TRUE(refused(*query)) << query->ShortDebugString().substr(0, 50);
  }
}

// Messages nest at most 100 deep wherever they are read.
TEST(PlanTest, PlansCanBeReadByWhoGetsThem) {
  std::string nested = "a = 1";
  int good = 0;
  for (int depth = 1; depth <= 60; ++depth) {
    nested = "(" + nested + (depth % 2 == 1 ? ") OR b = 1" : ") AND b = 1");
    for (const std::string& statement :
         {"SEARCH c WHERE " + nested, "SEARCH c 'word' WHERE " + nested,
          "SEARCH c FOLLOW * WHERE " + nested}) {
      v1::Query query;
      query.set_search_text(statement);
      const absl::StatusOr<v1::BuilderQuery> builder = ParseQuery(query, Limits(), "query");
      ASSERT_TRUE(builder.ok()) << builder.status();
      const absl::StatusOr<v1::Plan> plan = CompileQuery(*builder, Limits(), "query", true);
      if (!plan.ok()) {
        EXPECT_EQ(GetErrorDetail(plan.status()).value_or(ErrorDetail{}).reason, "LIMIT_EXCEEDED");
        EXPECT_GT(depth, 40);
        continue;
      }
      ++good;
      v1::CompileResponse answer;
      *answer.mutable_plan() = *plan;
      v1::CompileResponse read;
      EXPECT_TRUE(read.ParseFromString(answer.SerializeAsString())) << depth << " " << statement;
    }
  }
  EXPECT_LT(good, 3 * 60);
}

TEST(PlanTest, PlansOutOfOrderAreRefused) {
  const v1::Plan good = PlanOfSearch(
      "SEARCH c FOLLOW x WHERE a = 1 RETURN COUNT(*) GROUP BY b "
      "ORDER BY b");
  ASSERT_EQ(good.steps_size(), 6);
  ASSERT_TRUE(CheckPlan(good, Limits(), "plan").ok());
  for (int a = 0; a < good.steps_size(); ++a) {
    for (int b = a + 1; b < good.steps_size(); ++b) {
      // An expansion and a filter may come either way round.
      if (a == 1 && b == 2) continue;
      v1::Plan swapped = good;
      swapped.mutable_steps()->SwapElements(a, b);
      EXPECT_FALSE(CheckPlan(swapped, Limits(), "plan").ok()) << a << " and " << b;
    }
    for (const int again : {0, 3, 4, 5}) {
      if (a != again) continue;
      v1::Plan twice = good;
      *twice.add_steps() = good.steps(again);
      EXPECT_FALSE(CheckPlan(twice, Limits(), "plan").ok()) << again;
    }
  }
  v1::Plan endless = good;
  endless.mutable_steps()->RemoveLast();
  EXPECT_FALSE(CheckPlan(endless, Limits(), "plan").ok());
  EXPECT_FALSE(CheckPlan(v1::Plan(), Limits(), "plan").ok());
  v1::Plan unset = good;
  unset.mutable_steps(1)->clear_action();
  EXPECT_FALSE(CheckPlan(unset, Limits(), "plan").ok());
  v1::Plan hops = good;
  hops.mutable_steps(1)->mutable_expand()->set_max_hops(0);
  EXPECT_EQ(GetErrorDetail(CheckPlan(hops, Limits(), "plan"))->field,
            "plan.steps[1].expand.max_hops");
}

TEST(PlanTest, LimitsOfTextAreErrors) {
  Limits limits;
  limits.max_query_text_bytes = 20;
  v1::Query query;
  query.set_search_text("SEARCH c 'aaaaaaaaaaaaaaaaaaaaaa'");
  EXPECT_EQ(GetErrorDetail(ParseQuery(query, limits, "query").status())->reason, "LIMIT_EXCEEDED");
  query.set_bring_text("bring c { search = \"aaaaaaaaaaa\" }");
  EXPECT_EQ(GetErrorDetail(ParseQuery(query, limits, "query").status())->field, "query.bring_text");
  EXPECT_EQ(GetErrorDetail(ParseQuery(v1::Query(), limits, "query").status())->field, "query");
}

}  // namespace
}  // namespace cookix::engine
