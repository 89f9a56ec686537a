#include "tools/bench/engine_bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/filter/filter.h"
#include "engine/graph/geodesic.h"
#include "engine/graph/steps.h"
#include "google/protobuf/arena.h"
#include "storage/base/status.h"
#include "tools/bench/measure.h"

namespace cookix::bench {
namespace {

constexpr uint32_t kBatch = 1000;
constexpr int kHops = 4;

bool Near(double a, double b) { return std::abs(a - b) <= 1e-9 * std::max(1.0, std::abs(a)); }

int Checks(int rounds) { return std::max(20, rounds / 10); }

v1::QueryRequest SearchFrom(uint32_t anchor, int limit) {
  v1::QueryRequest request;
  request.mutable_anchor()->set_key(NodeKey(anchor));
  request.set_max_hops(kHops);
  request.set_limit(limit);
  return request;
}

v1::FindPathRequest PathBetween(uint32_t source, uint32_t target, bool by_weight) {
  v1::FindPathRequest request;
  request.mutable_source()->set_key(NodeKey(source));
  request.mutable_target()->set_key(NodeKey(target));
  request.set_metric(by_weight ? v1::PATH_METRIC_WEIGHT : v1::PATH_METRIC_HOPS);
  return request;
}

v1::Filter RankBelow(int64_t rank) {
  v1::Filter filter;
  filter.mutable_comparison()->set_field("rank");
  filter.mutable_comparison()->set_op(v1::COMPARISON_OPERATOR_LESS);
  filter.mutable_comparison()->mutable_value()->set_int_value(rank);
  return filter;
}

// A path's edges are in the graph, in a row, and of the weight that it says.
absl::Status CheckSteps(const RandomGraph& graph, uint32_t source, uint32_t target,
                        const v1::Path& path) {
  double weight = 0;
  uint32_t at = source;
  for (const v1::PathStep& step : path.steps()) {
    if (NodeOfKey(step.source().key()) != at) return Wrong("a path has a gap");
    const uint32_t next = NodeOfKey(step.target().key());
    bool found = false;
    for (uint32_t e = 0; e < graph.degree; ++e) {
      const size_t edge = static_cast<size_t>(at) * graph.degree + e;
      found |= graph.targets[edge] == next && Near(graph.weights[edge], step.weight());
    }
    if (!found) return Wrong("a path has an edge that the graph does not have");
    weight += step.weight();
    at = next;
  }
  if (at != target) return Wrong("a path ends elsewhere");
  if (!Near(weight, path.weight())) return Wrong("a path's weight is not its steps' sum");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<EngineBench>> EngineBench::Open(const std::string& path,
                                                               const RandomGraph& graph) {
  std::unique_ptr<EngineBench> bench(new EngineBench(graph));
  engine::DatabaseOptions options;
  options.storage.path = path;
  options.limits.max_query_results = 1'000'000;
  COOKIX_ASSIGN_OR_RETURN(bench->database_, engine::Database::Open(std::move(options)));
  engine::Database& database = *bench->database_;
  const auto begin = Clock::now();
  engine::CallContext context;
  for (uint32_t first = 0; first < graph.objects; first += kBatch) {
    v1::WriteResponse response;
    COOKIX_RETURN_IF_ERROR(database.objects().Write(
        context, MakeWrite(graph, first, std::min(first + kBatch, graph.objects)), &response));
  }
  bench->load_seconds_ = MicrosSince(begin) / 1e6;
  for (const engine::ViewStatus& view : database.views().Status()) {
    COOKIX_RETURN_IF_ERROR(database.views().WaitBuilt(view.name, context));
  }
  if (!database.views().WaitAllVisible(database.Read().commit(),
                                       Clock::now() + std::chrono::minutes(5))) {
    return absl::InternalError("the views did not catch up");
  }
  return bench;
}

absl::StatusOr<engine::NamespaceView> EngineBench::View() {
  return engine::InNamespace(database_->Read(), engine::kDefaultName);
}

absl::Status EngineBench::Get(int rounds, Report* report) {
  std::mt19937_64 random(1);
  engine::CallContext context;
  Times times;
  for (int i = -Checks(rounds); i < rounds; ++i) {
    const uint32_t node = static_cast<uint32_t>(random() % graph_.objects);
    v1::GetObjectRequest request;
    request.mutable_ref()->set_key(NodeKey(node));
    v1::GetObjectResponse response;
    const auto begin = Clock::now();
    COOKIX_RETURN_IF_ERROR(database_->objects().GetObject(context, request, &response));
    if (i >= 0) times.Add(MicrosSince(begin));
    const v1::Object& object = response.object();
    if (object.content() != absl::StrCat("node number ", node) ||
        object.properties().at("rank").int_value() != RankOf(node, graph_.objects)) {
      return Wrong("an object has other content");
    }
  }
  report->Add({"get/median", times.Median(), "us", Goal::kAtMost, 20});
  report->Add("get/p99", times.Percentile(0.99), "us");
  return absl::OkStatus();
}

absl::Status EngineBench::CheckSearch(uint32_t anchor) {
  engine::CallContext context;
  v1::QueryResponse response;
  COOKIX_RETURN_IF_ERROR(
      database_->reasoning().Query(context, SearchFrom(anchor, 1'000'000), &response));
  const auto expected = baseline_.Search(anchor, kHops);
  if (static_cast<size_t>(response.hits_size()) != expected.size()) {
    return Wrong(
        absl::StrCat("a search found ", response.hits_size(), " objects, not ", expected.size()));
  }
  for (int i = 0; i < response.hits_size(); ++i) {
    const v1::Hit& hit = response.hits(i);
    const auto& [distance, node] = expected[static_cast<size_t>(i)];
    if (NodeOfKey(hit.ref().key()) != node || !Near(hit.path().weight(), distance)) {
      return Wrong(absl::StrCat("a search has ", hit.ref().key(), " at place ", i));
    }
    if (hit.path().steps_size() > kHops) return Wrong("a path has too many hops");
    COOKIX_RETURN_IF_ERROR(CheckSteps(graph_, anchor, node, hit.path()));
  }
  return absl::OkStatus();
}

absl::Status EngineBench::Search(int rounds, const std::string& prefix, bool goals,
                                 Report* report) {
  std::mt19937_64 random(2);
  for (int i = 0; i < Checks(rounds); ++i) {
    COOKIX_RETURN_IF_ERROR(CheckSearch(static_cast<uint32_t>(random() % graph_.objects)));
  }
  Times search, call, best, csr;
  double reached = 0;
  engine::CallContext context;
  for (int i = 0; i < rounds; ++i) {
    const uint32_t anchor = static_cast<uint32_t>(random() % graph_.objects);
    {
      const auto begin = Clock::now();
      reached += static_cast<double>(baseline_.Search(anchor, kHops).size());
      csr.Add(MicrosSince(begin));
    }
    // A different anchor, so that nobody finds the other's rows in the cache.
    const uint32_t other = static_cast<uint32_t>(random() % graph_.objects);
    {
      const auto begin = Clock::now();
      COOKIX_ASSIGN_OR_RETURN(const engine::NamespaceView view, View());
      v1::ObjectRef ref;
      ref.set_key(NodeKey(other));
      engine::GeodesicRequest request;
      COOKIX_ASSIGN_OR_RETURN(request.anchor, view.FindOrdinal(ref, "anchor"));
      request.max_hops = kHops;
      request.limit = 1'000'000;
      const auto arcs = database_->Arcs(context, view);
      engine::StepExpander steps(context, view, *arcs, engine::StepRules(), INT64_MAX);
      COOKIX_ASSIGN_OR_RETURN(const engine::GeodesicResult result,
                              engine::Geodesic(steps, request));
      search.Add(MicrosSince(begin));
    }
    const uint32_t third = static_cast<uint32_t>(random() % graph_.objects);
    {
      google::protobuf::Arena arena;
      auto* response = google::protobuf::Arena::CreateMessage<v1::QueryResponse>(&arena);
      const v1::QueryRequest request = SearchFrom(third, 1'000'000);
      const auto begin = Clock::now();
      engine::CallContext call_context;
      COOKIX_RETURN_IF_ERROR(database_->reasoning().Query(call_context, request, response));
      call.Add(MicrosSince(begin));
    }
    const uint32_t fourth = static_cast<uint32_t>(random() % graph_.objects);
    {
      v1::QueryResponse response;
      const v1::QueryRequest request = SearchFrom(fourth, 10);
      const auto begin = Clock::now();
      engine::CallContext call_context;
      COOKIX_RETURN_IF_ERROR(database_->reasoning().Query(call_context, request, &response));
      best.Add(MicrosSince(begin));
    }
  }
  const double per_search = reached / rounds;
  report->Add(prefix + "/objects_reached", per_search, "objects");
  if (goals) {
    report->Add({prefix + "/median", search.Median(), "us", Goal::kAtMost, 100});
  } else {
    report->Add(prefix + "/median", search.Median(), "us");
  }
  report->Add(prefix + "/p99", search.Percentile(0.99), "us");
  report->Add(prefix + "/csr_median", csr.Median(), "us");
  report->Add(prefix + "/ratio_to_csr", search.Median() / csr.Median(), "times");
  report->Add(prefix + "/per_object", search.Median() * 1000 / per_search, "ns");
  report->Add(prefix + "/csr_per_object", csr.Median() * 1000 / per_search, "ns");
  report->Add(prefix + "/call_all_median", call.Median(), "us");
  report->Add(prefix + "/call_best_10_median", best.Median(), "us");
  return absl::OkStatus();
}

absl::Status EngineBench::CheckPath(uint32_t source, uint32_t target, bool by_weight) {
  engine::CallContext context;
  v1::FindPathResponse response;
  COOKIX_RETURN_IF_ERROR(
      database_->graph().FindPath(context, PathBetween(source, target, by_weight), &response));
  if (by_weight) {
    const auto expected = baseline_.Weight(source, target);
    if (response.found() != expected.has_value()) return Wrong("a path is there or is not");
    if (!response.found()) return absl::OkStatus();
    if (!Near(response.path().weight(), *expected)) return Wrong("a path is not the lightest");
  } else {
    const auto expected = baseline_.Hops(source, target);
    if (response.found() != expected.has_value()) return Wrong("a path is there or is not");
    if (!response.found()) return absl::OkStatus();
    if (response.path().steps_size() != *expected) return Wrong("a path is not the shortest");
  }
  return CheckSteps(graph_, source, target, response.path());
}

absl::Status EngineBench::Paths(int rounds, Report* report) {
  for (const bool by_weight : {false, true}) {
    const std::string name = by_weight ? "path_weight" : "path_hops";
    const int timed = by_weight ? std::max(1, rounds / 4) : rounds;
    std::mt19937_64 random(3);
    auto any = [&] { return static_cast<uint32_t>(random() % graph_.objects); };
    for (int i = 0; i < Checks(timed); ++i) {
      COOKIX_RETURN_IF_ERROR(CheckPath(any(), any(), by_weight));
    }
    Times times, csr;
    for (int i = 0; i < timed; ++i) {
      const v1::FindPathRequest request = PathBetween(any(), any(), by_weight);
      v1::FindPathResponse response;
      auto begin = Clock::now();
      engine::CallContext context;
      COOKIX_RETURN_IF_ERROR(database_->graph().FindPath(context, request, &response));
      times.Add(MicrosSince(begin));
      const uint32_t source = any();
      const uint32_t target = any();
      begin = Clock::now();
      by_weight ? static_cast<void>(baseline_.Weight(source, target))
                : static_cast<void>(baseline_.Hops(source, target));
      csr.Add(MicrosSince(begin));
    }
    report->Add({name + "/rate", times.size() * 1e6 / times.Sum(), "pairs/s", Goal::kAtLeast,
                 by_weight ? 1000.0 : 10'000.0});
    report->Add(name + "/p99", times.Percentile(0.99), "us");
    report->Add(name + "/csr_rate", csr.size() * 1e6 / csr.Sum(), "pairs/s");
    // What the wanted rates are to those of bare rows on a quiet machine.
    report->Add({name + "/ratio_to_csr", times.Sum() / csr.Sum(), "times", Goal::kAtMost,
                 by_weight ? 1.15 : 1.8});
  }
  return absl::OkStatus();
}

absl::Status EngineBench::Filter(int rounds, Report* report) {
  engine::CallContext context;
  COOKIX_ASSIGN_OR_RETURN(const engine::NamespaceView view, View());
  Times cold, cached;
  for (int i = 0; i < rounds; ++i) {
    // Each a filter that was not seen before, and matches half.
    const int64_t half = graph_.objects / 2 + i;
    COOKIX_ASSIGN_OR_RETURN(
        const std::shared_ptr<const engine::CompiledFilter> filter,
        engine::CompiledFilter::Compile(RankBelow(half), "filter", database_->limits()));
    auto begin = Clock::now();
    COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<const engine::OrdinalSet> set,
                            database_->Evaluate(context, view, *filter));
    cold.Add(MicrosSince(begin));
    if (static_cast<int64_t>(set->Count()) != std::min<int64_t>(half, graph_.objects)) {
      return Wrong("a filter matches another number of objects");
    }
    begin = Clock::now();
    COOKIX_ASSIGN_OR_RETURN(set, database_->Evaluate(context, view, *filter));
    cached.Add(MicrosSince(begin));
  }
  report->Add({"filter_half/cold_median", cold.Median(), "us", Goal::kAtMost, 2000});
  report->Add({"filter_half/cached_median", cached.Median(), "us", Goal::kAtMost, 50});
  return absl::OkStatus();
}

}  // namespace cookix::bench
