#include "engine/graph/adjacency_view.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

using internal::v1::ChangeRecord;

constexpr NamespaceId kNs = 1;

using EdgeId = std::tuple<Ordinal, RelationId, Ordinal, std::string>;

// All that is stored in the namespace at one commit.
struct Graph {
  std::set<Ordinal> objects;
  std::map<EdgeId, std::string> edges;  // and in the order of incoming edges:
  std::map<EdgeId, std::string> reversed;
};

class RowIterator : public storage::Iterator {
 public:
  explicit RowIterator(std::vector<std::pair<std::string, std::string>> rows)
      : rows_(std::move(rows)) {}
  void SeekToFirst() override { at_ = 0; }
  void SeekToLast() override { at_ = rows_.empty() ? 0 : rows_.size() - 1; }
  void Seek(std::string_view key) override {
    for (at_ = 0; at_ < rows_.size() && rows_[at_].first < key;) ++at_;
  }
  void SeekForPrev(std::string_view key) override {
    for (at_ = rows_.size(); at_ > 0 && rows_[at_ - 1].first > key;) --at_;
    at_ = at_ == 0 ? rows_.size() : at_ - 1;
  }
  void Next() override { ++at_; }
  void Prev() override { at_ = at_ == 0 ? rows_.size() : at_ - 1; }
  bool Valid() const override { return at_ < rows_.size(); }
  std::string_view key() const override { return rows_[at_].first; }
  std::string_view value() const override { return rows_[at_].second; }
  absl::Status status() const override { return absl::OkStatus(); }

 private:
  const std::vector<std::pair<std::string, std::string>> rows_;
  size_t at_ = 0;
};

class GraphSnapshot : public storage::Snapshot {
 public:
  GraphSnapshot(uint64_t commit, std::shared_ptr<const Graph> graph) : graph_(std::move(graph)) {
    position_.commit = commit;
  }
  uint64_t commit() const override { return position_.commit; }
  const storage::Position& position() const override { return position_; }
  absl::StatusOr<bool> Get(storage::Family, std::string_view, std::string*) const override {
    return absl::UnimplementedError("only scanned");
  }
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      storage::Family, std::span<const std::string>) const override {
    return absl::UnimplementedError("only scanned");
  }
  std::unique_ptr<storage::Iterator> Scan(storage::Family family,
                                          storage::ScanBounds bounds) const override {
    std::vector<std::pair<std::string, std::string>> rows;
    if (family == storage::Family::kObjects) {
      for (const Ordinal ordinal : graph_->objects) rows.emplace_back(ObjectKey(kNs, ordinal), "");
    } else {
      for (const auto& [id, value] :
           family == storage::Family::kEdges ? graph_->edges : graph_->reversed) {
        const auto& [near, relation, far, discriminator] = id;
        rows.emplace_back(EncodeEdgeKey(kNs, near, relation, far, discriminator), value);
      }
    }
    std::erase_if(rows, [&](const auto& row) {
      return row.first < bounds.lower || (!bounds.upper.empty() && row.first >= bounds.upper);
    });
    return std::make_unique<RowIterator>(std::move(rows));
  }
  uint64_t ApproximateBytes(storage::Family, const storage::ScanBounds&) const override {
    return 0;
  }
  const Graph& graph() const { return *graph_; }

 private:
  const std::shared_ptr<const Graph> graph_;
  storage::Position position_;
};

std::vector<Arc> Expected(const NamespaceView& view, Ordinal ordinal, bool out) {
  const Graph& graph = static_cast<const GraphSnapshot&>(*view.snapshot).graph();
  const auto& edges = out ? graph.edges : graph.reversed;
  std::vector<Arc> arcs;
  for (auto it = edges.lower_bound({ordinal, 0, 0, ""});
       it != edges.end() && std::get<0>(it->first) == ordinal; ++it) {
    const auto& [near, relation, far, discriminator] = it->first;
    EdgeValue value;
    EXPECT_TRUE(DecodeEdgeValue(it->second, &value));
    if (view.ns->EdgeHidden(out ? near : far, out ? far : near, value.version)) continue;
    arcs.push_back(MakeArc(far, relation, value, !discriminator.empty()));
  }
  return arcs;
}

// What the store would answer.
class ModelReader : public ArcReader {
 public:
  explicit ModelReader(const NamespaceView& view) : view_(view) {}
  absl::StatusOr<std::span<const Arc>> Out(Ordinal ordinal) override {
    arcs_ = Expected(view_, ordinal, true);
    return std::span<const Arc>(arcs_);
  }
  absl::StatusOr<std::span<const Arc>> In(Ordinal ordinal) override {
    arcs_ = Expected(view_, ordinal, false);
    return std::span<const Arc>(arcs_);
  }

 private:
  const NamespaceView view_;
  std::vector<Arc> arcs_;
};

std::unique_ptr<ArcReader> Model(const NamespaceView& view) {
  return std::make_unique<ModelReader>(view);
}
std::unique_ptr<ArcReader> Never(const NamespaceView&) {
  ADD_FAILURE() << "the view should have answered";
  return nullptr;
}

class Monitor : public BootstrapMonitor {
 public:
  explicit Monitor(bool cancel = false) : cancel_(cancel) {}
  void Report(double fraction) override {
    EXPECT_GE(fraction, 0);
    EXPECT_LE(fraction, 1);
  }
  bool cancelled() const override { return cancel_; }

 private:
  const bool cancel_;
};

// A graph that changes, and what its changes look like in the log.
class Writer {
 public:
  Writer() : graph_(std::make_shared<Graph>()), ns_(std::make_shared<NamespaceInfo>()) {
    ns_->id = kNs;
  }

  Ordinal AddObject() {
    const Ordinal ordinal = ++last_;
    graph_->objects.insert(ordinal);
    auto* event = change_.add_events()->mutable_object();
    event->set_namespace_id(kNs);
    event->set_ordinal(ordinal);
    event->set_after("x");
    return ordinal;
  }
  void SkipOrdinals(Ordinal count) { last_ += count; }
  void PutEdge(Ordinal source, RelationId relation, Ordinal target, std::string discriminator,
               double weight, int64_t until = 0) {
    EdgeValue value;
    value.weight = weight;
    value.version = commit_ + 1;
    value.valid_until_ms = until;
    std::string bytes;
    EncodeEdgeValue(value, &bytes);
    SetEdge({source, relation, target, discriminator}, bytes);
  }
  void DeleteEdge(const EdgeId& id) { SetEdge(id, ""); }
  void DeleteObject(Ordinal ordinal) {
    std::vector<EdgeId> ids;
    for (const auto& [id, value] : graph_->edges) {
      if (std::get<0>(id) == ordinal || std::get<2>(id) == ordinal) ids.push_back(id);
    }
    for (const EdgeId& id : ids) DeleteEdge(id);
    Forget(ordinal);
  }
  // The record goes, its edges wait for the collector.
  void Entomb(Ordinal ordinal) {
    auto ns = std::make_shared<NamespaceInfo>(*ns_);
    ns->tombstones_both[ordinal] = commit_;
    ns_ = ns;
    auto* record = change_.add_events()->mutable_tombstone();
    record->mutable_edges()->set_namespace_id(kNs);
    record->mutable_edges()->set_ordinal(ordinal);
    record->set_commit(commit_);
    Forget(ordinal);
  }
  void Clear(Ordinal ordinal) {
    auto ns = std::make_shared<NamespaceInfo>(*ns_);
    ns->tombstones_both.erase(ordinal);
    ns_ = ns;
  }
  void SetNamespace(std::shared_ptr<NamespaceInfo> ns) { ns_ = std::move(ns); }

  AppliedCommit Commit() {
    AppliedCommit commit;
    commit.commit = ++commit_;
    commit.change.Swap(&change_);
    snapshot_ = std::make_shared<GraphSnapshot>(commit_, std::make_shared<Graph>(*graph_));
    return commit;
  }
  NamespaceView View() const { return {snapshot_, ns_}; }
  ReadView Read() const {
    auto catalog = std::make_shared<Catalog>();
    catalog->namespaces_by_id[kNs] = ns_;
    return {snapshot_, catalog};
  }
  const Graph& graph() const { return *graph_; }
  Ordinal last() const { return last_; }
  ChangeRecord& change() { return change_; }

 private:
  void SetEdge(const EdgeId& id, const std::string& value) {
    const auto& [source, relation, target, discriminator] = id;
    auto* event = change_.add_events()->mutable_edge();
    event->set_namespace_id(kNs);
    event->set_source(source);
    event->set_relation_id(relation);
    event->set_target(target);
    event->set_discriminator(discriminator);
    if (auto it = graph_->edges.find(id); it != graph_->edges.end()) event->set_before(it->second);
    event->set_after(value);
    const EdgeId reversed{target, relation, source, discriminator};
    if (value.empty()) {
      graph_->edges.erase(id);
      graph_->reversed.erase(reversed);
    } else {
      graph_->edges[id] = value;
      graph_->reversed[reversed] = value;
    }
  }
  void Forget(Ordinal ordinal) {
    graph_->objects.erase(ordinal);
    auto* event = change_.add_events()->mutable_object();
    event->set_namespace_id(kNs);
    event->set_ordinal(ordinal);
    event->set_before("x");
  }

  const std::shared_ptr<Graph> graph_;
  std::shared_ptr<NamespaceInfo> ns_;
  std::shared_ptr<const GraphSnapshot> snapshot_;
  ChangeRecord change_;
  uint64_t commit_ = 0;
  Ordinal last_ = 0;
};

void RandomChange(Writer& writer, std::mt19937_64& random, bool deletes_objects) {
  static const char* const kDiscriminators[] = {"", "", "", "a", "b", "\xff", "longer one"};
  const int events = 1 + static_cast<int>(random() % 8);
  for (int i = 0; i < events; ++i) {
    const auto& objects = writer.graph().objects;
    const uint64_t dice = random() % 100;
    if (objects.size() < 3 || dice < 10) {
      writer.AddObject();
      continue;
    }
    auto pick = [&] {
      return *std::next(objects.begin(), static_cast<int>(random() % objects.size()));
    };
    if (dice < 70) {
      writer.PutEdge(pick(), 1 + static_cast<RelationId>(random() % 3), pick(),
                     kDiscriminators[random() % 7], static_cast<double>(random() % 5),
                     random() % 4 == 0 ? 77 : 0);
    } else if (dice < 95) {
      const auto& edges = writer.graph().edges;
      if (edges.empty()) continue;
      writer.DeleteEdge(std::next(edges.begin(), static_cast<int>(random() % edges.size()))->first);
    } else if (deletes_objects) {
      writer.DeleteObject(pick());
    }
  }
}

void ExpectSame(std::span<const Arc> got, const std::vector<Arc>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_EQ(got[i].packed, want[i].packed) << i;
    ASSERT_EQ(got[i].weight, want[i].weight) << i;
  }
}

void ExpectReads(ArcReader& reader, const NamespaceView& view, Ordinal last) {
  for (Ordinal ordinal = 1; ordinal <= last; ++ordinal) {
    SCOPED_TRACE(testing::Message() << "object " << ordinal << " at " << view.commit());
    reader.Prefetch(ordinal, true);
    auto out = reader.Out(ordinal);
    ASSERT_TRUE(out.ok());
    ASSERT_NO_FATAL_FAILURE(ExpectSame(*out, Expected(view, ordinal, true)));
    reader.Prefetch(ordinal, false);
    auto in = reader.In(ordinal);
    ASSERT_TRUE(in.ok());
    ASSERT_NO_FATAL_FAILURE(ExpectSame(*in, Expected(view, ordinal, false)));
  }
}

struct Held {
  NamespaceView view;
  std::unique_ptr<ArcReader> reader;
};

// Applies random commits and reads everything at every commit, by readers that
// begin then and by some that began earlier.
void Churn(AdjacencyView& view, uint64_t seed, int commits, bool resident) {
  std::mt19937_64 random(seed);
  Writer writer;
  writer.AddObject();
  writer.Commit();
  Monitor monitor;
  ASSERT_TRUE(view.Bootstrap(writer.Read(), monitor).ok());
  std::vector<Held> held;
  std::vector<NamespaceView> past;
  for (int i = 0; i < commits; ++i) {
    RandomChange(writer, random, !resident);
    ASSERT_TRUE(view.Apply(writer.Commit()).ok());
    past.push_back(writer.View());
    auto reader = view.NewReader(writer.View(), resident ? Never : Model);
    ASSERT_NO_FATAL_FAILURE(ExpectReads(*reader, writer.View(), writer.last()));
    if (random() % 4 == 0) held.push_back({writer.View(), std::move(reader)});
    if (held.size() > 6) held.erase(held.begin() + static_cast<int>(random() % held.size()));
    for (Held& old : held) {
      ASSERT_NO_FATAL_FAILURE(ExpectReads(*old.reader, old.view, writer.last()));
    }
    // A snapshot that is older than the reader.
    const NamespaceView& old = past[random() % past.size()];
    auto late = view.NewReader(old, Model);
    ASSERT_NO_FATAL_FAILURE(ExpectReads(*late, old, writer.last()));
  }
  held.clear();
  writer.AddObject();
  ASSERT_TRUE(view.Apply(writer.Commit()).ok());
  EXPECT_EQ(view.Counters().at("retired_bytes"), 0);
  EXPECT_EQ(view.Counters().at("pinned_readers"), 0);
  view.Drop();
  EXPECT_EQ(view.MemoryBytes(), 0);
}

TEST(AdjacencyViewTest, EveryCommitReadsAsTheModel) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    AdjacencyView view{AdjacencyOptions()};
    ASSERT_NO_FATAL_FAILURE(Churn(view, seed, 120, true));
  }
}

TEST(AdjacencyViewTest, DeletedObjectsReadAsTheModel) {
  for (uint64_t seed = 11; seed <= 16; ++seed) {
    AdjacencyView view{AdjacencyOptions()};
    ASSERT_NO_FATAL_FAILURE(Churn(view, seed, 120, false));
  }
}

TEST(AdjacencyViewTest, TinyMemoryReadsAsTheModel) {
  for (const int64_t bytes : {0, 1000, 66'000, 72'000}) {
    AdjacencyOptions options;
    options.max_bytes = bytes;
    AdjacencyView view(options);
    ASSERT_NO_FATAL_FAILURE(Churn(view, 21, 120, false));
  }
}

TEST(AdjacencyViewTest, BootstrapEqualsApply) {
  std::mt19937_64 random(31);
  Writer writer;
  writer.AddObject();
  writer.Commit();
  AdjacencyView applied{AdjacencyOptions()};
  Monitor monitor;
  ASSERT_TRUE(applied.Bootstrap(writer.Read(), monitor).ok());
  for (int i = 0; i < 200; ++i) {
    RandomChange(writer, random, false);
    // Several pages, most of whose nodes never were.
    if (i % 50 == 0) writer.SkipOrdinals(5000);
    ASSERT_TRUE(applied.Apply(writer.Commit()).ok());
  }
  AdjacencyView built{AdjacencyOptions()};
  ASSERT_TRUE(built.Bootstrap(writer.Read(), monitor).ok());
  auto a = applied.NewReader(writer.View(), Never);
  auto b = built.NewReader(writer.View(), Never);
  for (const Ordinal ordinal : writer.graph().objects) {
    for (const bool out : {true, false}) {
      auto x = out ? a->Out(ordinal) : a->In(ordinal);
      auto y = out ? b->Out(ordinal) : b->In(ordinal);
      ASSERT_TRUE(x.ok() && y.ok());
      const std::vector<Arc> want = Expected(writer.View(), ordinal, out);
      ASSERT_NO_FATAL_FAILURE(ExpectSame(*x, want));
      ASSERT_NO_FATAL_FAILURE(ExpectSame(*y, want));
    }
  }
  a.reset();
  b.reset();
  // And both go on alike.
  for (int i = 0; i < 50; ++i) {
    RandomChange(writer, random, false);
    const AppliedCommit commit = writer.Commit();
    ASSERT_TRUE(applied.Apply(commit).ok());
    ASSERT_TRUE(built.Apply(commit).ok());
  }
  auto c = built.NewReader(writer.View(), Never);
  for (const Ordinal ordinal : writer.graph().objects) {
    auto out = c->Out(ordinal);
    ASSERT_TRUE(out.ok());
    ASSERT_NO_FATAL_FAILURE(ExpectSame(*out, Expected(writer.View(), ordinal, true)));
  }
}

TEST(AdjacencyViewTest, HubsGrowAndShrink) {
  std::mt19937_64 random(41);
  Writer writer;
  const Ordinal hub = writer.AddObject();
  for (int i = 0; i < 1500; ++i) writer.AddObject();
  writer.Commit();
  AdjacencyView view{AdjacencyOptions()};
  Monitor monitor;
  ASSERT_TRUE(view.Bootstrap(writer.Read(), monitor).ok());
  std::vector<Held> held;
  auto check = [&] {
    auto reader = view.NewReader(writer.View(), Never);
    for (const Ordinal ordinal : {hub, Ordinal{2}, Ordinal{700}}) {
      auto out = reader->Out(ordinal);
      ASSERT_TRUE(out.ok());
      ASSERT_NO_FATAL_FAILURE(ExpectSame(*out, Expected(writer.View(), ordinal, true)));
      auto in = reader->In(ordinal);
      ASSERT_TRUE(in.ok());
      ASSERT_NO_FATAL_FAILURE(ExpectSame(*in, Expected(writer.View(), ordinal, false)));
    }
    held.push_back({writer.View(), std::move(reader)});
  };
  auto put = [&](size_t edges) {
    for (size_t i = 0; i < edges; ++i) {
      const Ordinal other = 2 + random() % 1500;
      // One pair of objects has many edges that only the discriminator tells apart.
      const bool parallel = random() % 4 == 0;
      writer.PutEdge(hub, 1 + static_cast<RelationId>(random() % 3), parallel ? 700 : other,
                     parallel ? "d" + std::to_string(random() % 5000) : "", 1.5);
      writer.PutEdge(other, 1, hub, "", static_cast<double>(random() % 3));
    }
  };
  auto remove = [&](size_t edges) {
    std::vector<EdgeId> ids;
    for (const auto& [id, value] : writer.graph().edges) ids.push_back(id);
    std::shuffle(ids.begin(), ids.end(), random);
    for (size_t i = 0; i < std::min(edges, ids.size()); ++i) writer.DeleteEdge(ids[i]);
  };
  for (int i = 0; i < 60; ++i) {
    put(i % 10 == 0 ? 600 : 20);
    remove(random() % 20);
    ASSERT_TRUE(view.Apply(writer.Commit()).ok());
    ASSERT_NO_FATAL_FAILURE(check());
  }
  EXPECT_GT(Expected(writer.View(), hub, true).size(), 3000u);
  // Built at once it is the same.
  {
    AdjacencyView built{AdjacencyOptions()};
    ASSERT_TRUE(built.Bootstrap(writer.Read(), monitor).ok());
    auto reader = built.NewReader(writer.View(), Never);
    auto out = reader->Out(hub);
    ASSERT_TRUE(out.ok());
    ASSERT_NO_FATAL_FAILURE(ExpectSame(*out, Expected(writer.View(), hub, true)));
  }
  // Readers of all sizes still read theirs.
  for (Held& old : held) {
    auto out = old.reader->Out(hub);
    ASSERT_TRUE(out.ok());
    ASSERT_NO_FATAL_FAILURE(ExpectSame(*out, Expected(old.view, hub, true)));
  }
  held.clear();
  while (!writer.graph().edges.empty()) {
    remove(random() % 4 == 0 ? 500 : 100);
    ASSERT_TRUE(view.Apply(writer.Commit()).ok());
    ASSERT_NO_FATAL_FAILURE(check());
    if (held.size() > 10) held.erase(held.begin());
  }
  held.clear();
  view.Drop();
  EXPECT_EQ(view.MemoryBytes(), 0);
}

TEST(AdjacencyViewTest, DiscriminatorsTellEdgesApart) {
  Writer writer;
  const Ordinal a = writer.AddObject(), b = writer.AddObject();
  for (int i = 0; i < 4; ++i) writer.PutEdge(a, 1, b, "d" + std::to_string(i), i);
  writer.PutEdge(a, 1, b, "", 9);
  writer.Commit();
  AdjacencyView view{AdjacencyOptions()};
  Monitor monitor;
  ASSERT_TRUE(view.Bootstrap(writer.Read(), monitor).ok());
  writer.DeleteEdge({a, 1, b, "d2"});
  writer.PutEdge(a, 1, b, "d1", 7);
  ASSERT_TRUE(view.Apply(writer.Commit()).ok());
  auto reader = view.NewReader(writer.View(), Never);
  auto out = reader->Out(a);
  ASSERT_TRUE(out.ok());
  ASSERT_EQ(out->size(), 4u);
  const double weights[] = {9, 0, 7, 3};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ((*out)[i].weight, weights[i]);
    EXPECT_EQ((*out)[i].has_discriminator(), i > 0);
  }
}

TEST(AdjacencyViewTest, TombstonesHideUntilCollected) {
  std::mt19937_64 random(51);
  Writer writer;
  for (int i = 0; i < 10; ++i) writer.AddObject();
  for (int i = 0; i < 60; ++i) {
    writer.PutEdge(1 + random() % 10, 1, 1 + random() % 10, "", 1);
  }
  writer.Commit();
  AdjacencyView view{AdjacencyOptions()};
  Monitor monitor;
  ASSERT_TRUE(view.Bootstrap(writer.Read(), monitor).ok());
  const NamespaceView before = writer.View();
  auto old = view.NewReader(before, Model);
  writer.Entomb(3);
  ASSERT_TRUE(view.Apply(writer.Commit()).ok());
  ExpectReads(*view.NewReader(writer.View(), Model), writer.View(), 10);
  writer.PutEdge(4, 1, 5, "", 2);
  ASSERT_TRUE(view.Apply(writer.Commit()).ok());
  ExpectReads(*view.NewReader(writer.View(), Model), writer.View(), 10);
  EXPECT_GT(view.Counters().at("block_reads"), 0);
  EXPECT_GT(view.Counters().at("fallback_reads"), 0);
  std::vector<EdgeId> hidden;
  for (const auto& [id, value] : writer.graph().edges) {
    if (std::get<0>(id) == 3 || std::get<2>(id) == 3) hidden.push_back(id);
  }
  ASSERT_FALSE(hidden.empty());
  for (const EdgeId& id : hidden) writer.DeleteEdge(id);
  writer.Clear(3);
  ASSERT_TRUE(view.Apply(writer.Commit()).ok());
  ExpectReads(*view.NewReader(writer.View(), Model), writer.View(), 10);
  ExpectReads(*old, before, 10);
}

TEST(AdjacencyViewTest, DroppedCollectionsAreLeftToTheStore) {
  Writer writer;
  writer.AddObject();
  auto ns = std::make_shared<NamespaceInfo>();
  ns->id = kNs;
  ns->dropped_collections[2] = 1;
  writer.SetNamespace(ns);
  writer.Commit();
  AdjacencyView view{AdjacencyOptions()};
  Monitor monitor;
  ASSERT_TRUE(view.Bootstrap(writer.Read(), monitor).ok());
  auto reader = view.NewReader(writer.View(), Model);
  EXPECT_NE(dynamic_cast<ModelReader*>(reader.get()), nullptr);
}

TEST(AdjacencyViewTest, DroppedNamespacesAreFreed) {
  Writer writer;
  const Ordinal a = writer.AddObject();
  writer.PutEdge(a, 1, a, "", 1);
  writer.Commit();
  AdjacencyView view{AdjacencyOptions()};
  Monitor monitor;
  ASSERT_TRUE(view.Bootstrap(writer.Read(), monitor).ok());
  const NamespaceView before = writer.View();
  auto old = view.NewReader(before, Never);
  writer.change().add_events()->mutable_tombstone()->mutable_namespace_()->set_namespace_id(kNs);
  ASSERT_TRUE(view.Apply(writer.Commit()).ok());
  EXPECT_EQ(view.Counters().at("resident_pages"), 0);
  EXPECT_GT(view.MemoryBytes(), 0);
  ExpectReads(*old, before, 1);
  EXPECT_NE(dynamic_cast<ModelReader*>(view.NewReader(before, Model).get()), nullptr);
  old.reset();
  ASSERT_TRUE(view.Apply(writer.Commit()).ok());
  EXPECT_EQ(view.MemoryBytes(), 0);
}

TEST(AdjacencyViewTest, DropAndRebuildLeaveReadersTheirs) {
  Writer writer;
  for (int i = 0; i < 5; ++i) writer.AddObject();
  writer.PutEdge(1, 1, 2, "", 1);
  writer.Commit();
  const NamespaceView first = writer.View();
  AdjacencyView view{AdjacencyOptions()};
  EXPECT_FALSE(view.Apply(AppliedCommit()).ok());
  EXPECT_NE(dynamic_cast<ModelReader*>(view.NewReader(first, Model).get()), nullptr);
  Monitor monitor;
  ASSERT_TRUE(view.Bootstrap(writer.Read(), monitor).ok());
  auto old = view.NewReader(first, Never);
  writer.PutEdge(1, 1, 3, "", 1);
  ASSERT_TRUE(view.Apply(writer.Commit()).ok());
  ASSERT_TRUE(view.Bootstrap(writer.Read(), monitor).ok());
  ExpectReads(*old, first, 5);
  // From before the build: the store knows.
  EXPECT_NE(dynamic_cast<ModelReader*>(view.NewReader(first, Model).get()), nullptr);
  ExpectReads(*view.NewReader(writer.View(), Never), writer.View(), 5);
  old.reset();
  Monitor cancel(true);
  EXPECT_EQ(view.Bootstrap(writer.Read(), cancel).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(view.MemoryBytes(), 0);
}

TEST(AdjacencyViewTest, EvictsWhatIsNotRead) {
  Writer writer;
  for (int i = 0; i < 40'000; ++i) writer.AddObject();
  writer.Commit();
  AdjacencyOptions options;
  options.max_bytes = 1 << 20;
  AdjacencyView view(options);
  Monitor monitor;
  ASSERT_TRUE(view.Bootstrap(writer.Read(), monitor).ok());
  EXPECT_EQ(view.Counters().at("resident_pages"), 10);
  std::mt19937_64 random(61);
  for (int i = 0; i < 400; ++i) {
    for (int j = 0; j < 40; ++j) {
      writer.PutEdge(10'000 + random() % 30'000, 1, 10'000 + random() % 30'000, "", 1);
    }
    AppliedCommit commit = writer.Commit();
    ASSERT_TRUE(view.Apply(commit).ok());
    EXPECT_LE(view.Counters().at("resident_bytes"), options.max_bytes);
    EXPECT_LE(view.MemoryBytes(), options.max_bytes * 3 / 2 + (2 << 20));
    auto reader = view.NewReader(writer.View(), Model);
    ASSERT_TRUE(reader->Out(5).ok());
  }
  EXPECT_GT(view.Counters().at("evicted_pages"), 0);
  // What was read all the time stayed.
  auto reader = view.NewReader(writer.View(), Never);
  ASSERT_TRUE(reader->Out(5).ok());
  reader.reset();
  // A long reader keeps what it may see, but not without bound.
  auto held = view.NewReader(writer.View(), Model);
  const NamespaceView then = writer.View();
  for (int i = 0; i < 40; ++i) {
    for (int j = 0; j < 500; ++j) {
      writer.PutEdge(1 + random() % 3, 1, 1 + random() % 3000, "", 1);
    }
    ASSERT_TRUE(view.Apply(writer.Commit()).ok());
  }
  EXPECT_LE(view.MemoryBytes(), options.max_bytes * 3 / 2 + (2 << 20));
  for (const Ordinal ordinal : {1, 2, 3}) {
    auto out = held->Out(ordinal);
    ASSERT_TRUE(out.ok());
    ASSERT_NO_FATAL_FAILURE(ExpectSame(*out, Expected(then, ordinal, true)));
  }
}

TEST(AdjacencyViewTest, ReadersRunBesideChanges) {
  for (const int64_t bytes : {int64_t{1} << 30, int64_t{70'000}}) {
    AdjacencyOptions options;
    options.max_bytes = bytes;
    AdjacencyView view(options);
    std::mt19937_64 random(71);
    Writer writer;
    for (int i = 0; i < 20; ++i) writer.AddObject();
    for (Ordinal i = 0; i < 600; ++i) writer.PutEdge(1, 2, 1 + i % 20, std::to_string(i), 1);
    writer.Commit();
    Monitor monitor;
    ASSERT_TRUE(view.Bootstrap(writer.Read(), monitor).ok());
    std::mutex mutex;
    NamespaceView shown = writer.View();  // guarded by mutex
    std::atomic<bool> stop{false};
    std::atomic<int> reads{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        while (!stop.load()) {
          NamespaceView at;
          {
            std::lock_guard<std::mutex> lock(mutex);
            at = shown;
          }
          auto reader = view.NewReader(at, Model);
          for (int i = 0; i < 3 && !testing::Test::HasFatalFailure(); ++i) {
            ExpectReads(*reader, at, 30);
          }
          reads.fetch_add(1);
        }
      });
    }
    for (int i = 0; i < 400 || reads.load() < 20; ++i) {
      RandomChange(writer, random, i % 10 == 0);
      ASSERT_TRUE(view.Apply(writer.Commit()).ok());
      {
        std::lock_guard<std::mutex> lock(mutex);
        shown = writer.View();
      }
      if (i % 150 != 149) continue;
      ASSERT_TRUE(view.Bootstrap(writer.Read(), monitor).ok());
    }
    stop.store(true);
    for (std::thread& thread : threads) thread.join();
    view.Drop();
    EXPECT_EQ(view.MemoryBytes(), 0);
  }
}

TEST(AdjacencyViewTest, MalformedChangesAreRefused) {
  Writer writer;
  writer.AddObject();
  writer.Commit();
  AdjacencyView view{AdjacencyOptions()};
  Monitor monitor;
  ASSERT_TRUE(view.Bootstrap(writer.Read(), monitor).ok());
  AppliedCommit commit;
  commit.commit = 2;
  auto* edge = commit.change.add_events()->mutable_edge();
  edge->set_namespace_id(kNs);
  edge->set_source(1);
  edge->set_target(1);
  edge->set_after("?");
  EXPECT_EQ(view.Apply(commit).code(), absl::StatusCode::kDataLoss);
  edge->clear_after();
  edge->set_target(Ordinal{1} << kOrdinalBits);
  EXPECT_EQ(view.Apply(commit).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace cookix::engine
