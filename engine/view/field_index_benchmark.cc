// Filters over 1,000,000 objects: how long the field index takes to evaluate one.
//
// Data: 1,000,000 objects in one namespace, made with a fixed seed, each with an
// integer uniform over 64 bits ("wide": every object its own value), one uniform
// over 0..999 ("narrow"), a text of its own ("name") and one of 16 labels.
// Isolates the view: no server, no records read. Every count is compared with
// one made by the record matcher before anything is timed.
//
// Cold: the evaluation itself, nothing kept. Cached: the same filter again.
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "engine/view/fake_store.h"
#include "engine/view/field_index_view.h"

namespace cookix::engine {
namespace {

constexpr Ordinal kObjects = 1'000'000;
constexpr NamespaceId kNamespace = 1;

v1::Filter Compare(const std::string& field, v1::ComparisonOperator op, int64_t value) {
  v1::Filter filter;
  filter.mutable_comparison()->set_field(field);
  filter.mutable_comparison()->set_op(op);
  filter.mutable_comparison()->mutable_value()->set_int_value(value);
  return filter;
}

std::vector<std::pair<std::string, v1::Filter>> MakeFilters() {
  std::vector<std::pair<std::string, v1::Filter>> filters;
  filters.emplace_back("half_of_distinct_values",
                       Compare("wide", v1::COMPARISON_OPERATOR_GREATER_EQUAL, 0));
  filters.emplace_back("half_of_1000_values", Compare("narrow", v1::COMPARISON_OPERATOR_LESS, 500));
  filters.emplace_back("one_of_1000_values", Compare("narrow", v1::COMPARISON_OPERATOR_EQUAL, 17));
  filters.emplace_back("not_one_of_1000_values",
                       Compare("narrow", v1::COMPARISON_OPERATOR_NOT_EQUAL, 17));
  v1::Filter labels;
  labels.mutable_membership()->set_field("$label");
  for (int i = 0; i < 8; ++i) {
    labels.mutable_membership()->add_values()->set_string_value("L" + std::to_string(i));
  }
  filters.emplace_back("half_by_8_labels", labels);
  v1::Filter prefix = Compare("name", v1::COMPARISON_OPERATOR_PREFIX, 0);
  prefix.mutable_comparison()->mutable_value()->set_string_value("object 1");
  filters.emplace_back("prefix_of_distinct_names", prefix);
  v1::Filter both;
  *both.mutable_all()->add_operands() = filters[0].second;
  *both.mutable_all()->add_operands()->mutable_negation() = filters[4].second;
  filters.emplace_back("half_of_values_and_not_half_of_labels", both);
  return filters;
}

// The view with all objects, and the reader's view of them.
struct Corpus {
  Corpus() : cold(FieldIndexOptions{0}), warm(FieldIndexOptions()) {
    auto catalog = std::make_shared<Catalog>();
    auto ns = std::make_shared<NamespaceInfo>();
    ns->id = kNamespace;
    auto collection = std::make_shared<CollectionInfo>();
    collection->id = kDefaultCollectionId;
    collection->record.mutable_collection()->set_name("default");
    ns->collections_by_id[collection->id] = collection;
    catalog->namespaces_by_id[ns->id] = ns;
    store.SetCatalog(catalog);
    store.Write({}, "");

    class Monitor : public BootstrapMonitor {
      void Report(double) override {}
      bool cancelled() const override { return false; }
    } monitor;
    Require(cold.Bootstrap(store.Read(), monitor).ok());
    Require(warm.Bootstrap(store.Read(), monitor).ok());

    for (const auto& [name, filter] : MakeFilters()) {
      auto compiled = CompiledFilter::Compile(filter, "filter", Limits());
      Require(compiled.ok());
      filters.emplace_back(name, *compiled);
    }
    std::vector<uint64_t> expected(filters.size());
    std::mt19937_64 random(7);
    AppliedCommit commit;
    commit.commit = 1;
    commit.catalog = catalog;
    for (Ordinal ordinal = 1; ordinal <= kObjects; ++ordinal) {
      internal::v1::ObjectRecord record;
      record.set_collection_id(kDefaultCollectionId);
      record.set_key(std::to_string(ordinal));
      record.set_exists(true);
      auto& properties = *record.mutable_properties();
      properties["wide"].set_int_value(static_cast<int64_t>(random()));
      properties["narrow"].set_int_value(static_cast<int64_t>(random() % 1000));
      properties["name"].set_string_value("object " + std::to_string(ordinal * 7919 % kObjects));
      record.add_labels("L" + std::to_string(random() % 16));
      for (size_t i = 0; i < filters.size(); ++i) {
        if (filters[i].second->Matches(record, "default")) ++expected[i];
      }
      auto* object = commit.change.add_events()->mutable_object();
      object->set_namespace_id(kNamespace);
      object->set_ordinal(ordinal);
      record.SerializeToString(object->mutable_after());
      if (ordinal % 10'000 == 0) {
        commit.commit = store.Write({}, "");
        Require(cold.Apply(commit).ok());
        Require(warm.Apply(commit).ok());
        commit.change.Clear();
      }
    }
    reader = {store.Latest(), ns};
    for (size_t i = 0; i < filters.size(); ++i) {
      for (FieldIndexView* view : {&cold, &warm}) {
        CallContext context;
        const auto set = view->Evaluate(context, reader, *filters[i].second);
        Require(set.ok() && *set != nullptr);
        if ((*set)->Count() != expected[i]) {
          std::fprintf(stderr, "%s: %llu objects match, the index says %llu\n",
                       filters[i].first.c_str(), static_cast<unsigned long long>(expected[i]),
                       static_cast<unsigned long long>((*set)->Count()));
          std::exit(1);
        }
      }
    }
    matching = std::move(expected);
  }

  static void Require(bool holds) {
    if (holds) return;
    std::fprintf(stderr, "the corpus could not be made\n");
    std::exit(1);
  }

  FakeStore store;
  FieldIndexView cold;
  FieldIndexView warm;
  NamespaceView reader;
  std::vector<std::pair<std::string, std::shared_ptr<const CompiledFilter>>> filters;
  std::vector<uint64_t> matching;
};

Corpus& TheCorpus() {
  static Corpus* const corpus = new Corpus();
  return *corpus;
}

void Evaluate(benchmark::State& state, bool cached) {
  Corpus& corpus = TheCorpus();
  const auto index = static_cast<size_t>(state.range(0));
  const auto& [name, filter] = corpus.filters[index];
  FieldIndexView& view = cached ? corpus.warm : corpus.cold;
  CallContext context;
  for (auto _ : state) {
    auto set = view.Evaluate(context, corpus.reader, *filter);
    benchmark::DoNotOptimize(set);
  }
  state.SetLabel(name);
  state.counters["matching"] = static_cast<double>(corpus.matching[index]);
}

void Cold(benchmark::State& state) { Evaluate(state, false); }
void Cached(benchmark::State& state) { Evaluate(state, true); }
BENCHMARK(Cold)->DenseRange(0, 6)->Unit(benchmark::kMicrosecond);
BENCHMARK(Cached)->DenseRange(0, 6)->Unit(benchmark::kMicrosecond);

// A filter asked of every object of a traversal.
void Contains(benchmark::State& state) {
  Corpus& corpus = TheCorpus();
  CallContext context;
  const auto set = *corpus.warm.Evaluate(context, corpus.reader, *corpus.filters[0].second);
  std::mt19937_64 random(3);
  std::vector<Ordinal> ordinals(1 << 16);
  for (Ordinal& ordinal : ordinals) ordinal = 1 + random() % kObjects;
  size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(set->Contains(ordinals[i++ & 0xffff]));
  }
}
BENCHMARK(Contains);

// Not a time: what the index takes for each object.
void Memory(benchmark::State& state) {
  Corpus& corpus = TheCorpus();
  int64_t bytes = 0;
  for (auto _ : state) bytes = corpus.cold.MemoryBytes();
  state.counters["bytes_per_object"] = static_cast<double>(bytes) / static_cast<double>(kObjects);
}
BENCHMARK(Memory)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace cookix::engine

BENCHMARK_MAIN();
