#include "engine/view/field_index_view.h"

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/filter/test_values.h"
#include "engine/view/fake_store.h"
#include "engine/view/view_host.h"
#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

using internal::v1::ChangeRecord;
using internal::v1::ObjectRecord;

constexpr CollectionId kPlain = 1;    // "default"
constexpr CollectionId kPartial = 2;  // "partial": does not index "n" and "t"
constexpr CollectionId kDoomed = 3;   // "doomed": dropped by some tests

class NoMonitor : public BootstrapMonitor {
 public:
  void Report(double fraction) override { last_ = fraction; }
  bool cancelled() const override { return cancel_; }
  double last_ = 0;
  bool cancel_ = false;
};

// A store, a view that follows it by hand, and a model that answers by reading
// records.
class FieldIndexViewTest : public testing::Test {
 protected:
  FieldIndexViewTest() : view_(FieldIndexOptions()) {
    SetCatalog({}, {1, 2});
    Log(ChangeRecord(), {});
    Bootstrap(&view_);
  }

  void SetCatalog(const std::map<CollectionId, uint64_t>& dropped,
                  const std::set<NamespaceId>& namespaces) {
    auto catalog = std::make_shared<Catalog>();
    for (const NamespaceId id : namespaces) {
      auto ns = std::make_shared<NamespaceInfo>();
      ns->id = id;
      ns->record.set_id(id);
      ns->record.set_name("ns" + std::to_string(id));
      for (const auto& [collection_id, name] : std::vector<std::pair<CollectionId, std::string>>{
               {kPlain, "default"}, {kPartial, "partial"}, {kDoomed, "doomed"}}) {
        auto collection = std::make_shared<CollectionInfo>();
        collection->id = collection_id;
        collection->record.set_id(collection_id);
        collection->record.mutable_collection()->set_name(name);
        if (collection_id == kPartial) {
          collection->record.mutable_collection()->add_unindexed_fields("n");
          collection->record.mutable_collection()->add_unindexed_fields("t");
        }
        if (!dropped.contains(collection_id)) ns->collections[name] = collection;
        ns->collections_by_id[collection_id] = collection;
      }
      ns->dropped_collections.insert(dropped.begin(), dropped.end());
      catalog->namespaces[ns->record.name()] = ns;
      catalog->namespaces_by_id[id] = ns;
    }
    catalog_ = catalog;
    store_.SetCatalog(catalog_);
  }

  uint64_t Log(const ChangeRecord& change, const FakeStore::Writes& writes) {
    const uint64_t commit = store_.Write(writes, change.SerializeAsString());
    changes_[commit] = change;
    catalogs_[commit] = catalog_;
    return commit;
  }

  // Adds one object change to a commit in the making.
  void Change(NamespaceId ns, Ordinal ordinal, const ObjectRecord* after, ChangeRecord* change,
              FakeStore::Writes* writes) {
    auto* object = change->add_events()->mutable_object();
    object->set_namespace_id(ns);
    object->set_ordinal(ordinal);
    std::string& current = records_[{ns, ordinal}];
    object->set_before(current);
    current = after == nullptr ? "" : after->SerializeAsString();
    object->set_after(current);
    writes->emplace_back(ObjectKey(ns, ordinal),
                         after == nullptr ? std::nullopt : std::optional<std::string>(current));
  }
  uint64_t Put(NamespaceId ns, Ordinal ordinal, const ObjectRecord& record) {
    ChangeRecord change;
    FakeStore::Writes writes;
    Change(ns, ordinal, &record, &change, &writes);
    return Log(change, writes);
  }
  uint64_t Delete(NamespaceId ns, Ordinal ordinal) {
    ChangeRecord change;
    FakeStore::Writes writes;
    Change(ns, ordinal, nullptr, &change, &writes);
    return Log(change, writes);
  }

  ReadView At(uint64_t commit) { return {store_.At(commit), catalogs_.at(commit)}; }
  uint64_t latest() const { return changes_.rbegin()->first; }

  void BootstrapAt(FieldIndexView* view, uint64_t commit) {
    NoMonitor monitor;
    ASSERT_TRUE(view->Bootstrap(At(commit), monitor).ok());
    applied_[view] = commit;
  }
  void Bootstrap(FieldIndexView* view) { BootstrapAt(view, latest()); }
  void CatchUp(FieldIndexView* view) {
    while (applied_[view] < latest()) {
      AppliedCommit commit;
      commit.commit = ++applied_[view];
      commit.change = changes_.at(commit.commit);
      commit.catalog = catalogs_.at(commit.commit);
      ASSERT_TRUE(view->Apply(commit).ok());
    }
  }

  // The answer by reading every record.
  std::set<Ordinal> Expected(const CompiledFilter& filter, const NamespaceView& view) {
    std::set<Ordinal> expected;
    auto it = view.snapshot->Scan(
        storage::Family::kObjects,
        storage::ScanBounds{NamespacePrefix(view.id()), NamespacePrefix(view.id() + 1), false});
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      std::string_view key = it->key();
      NamespaceId ns = 0;
      Ordinal ordinal = 0;
      EXPECT_TRUE(GetBigEndian32(&key, &ns) && GetBigEndian64(&key, &ordinal));
      ObjectRecord record;
      EXPECT_TRUE(record.ParseFromString(std::string(it->value())));
      const auto& collection = view.ns->collections_by_id.at(record.collection_id());
      if (record.exists() && !view.ns->dropped_collections.contains(record.collection_id()) &&
          filter.Matches(record, collection->record.collection().name())) {
        expected.insert(ordinal);
      }
    }
    return expected;
  }

  NamespaceView NamespaceAt(NamespaceId ns, uint64_t commit) {
    const ReadView view = At(commit);
    return {view.snapshot, view.catalog->namespaces_by_id.at(ns)};
  }

  std::shared_ptr<const CompiledFilter> Compile(const v1::Filter& filter) {
    auto compiled = CompiledFilter::Compile(filter, "filter", Limits());
    EXPECT_TRUE(compiled.ok()) << compiled.status();
    return *compiled;
  }

  // Compares with the model; false when the view declined.
  bool Check(FieldIndexView* view, NamespaceId ns, uint64_t commit, const v1::Filter& filter) {
    const NamespaceView at = NamespaceAt(ns, commit);
    const auto compiled = Compile(filter);
    CallContext context;
    const auto set = view->Evaluate(context, at, *compiled);
    EXPECT_TRUE(set.ok()) << set.status();
    if (!set.ok() || *set == nullptr) return false;
    const std::set<Ordinal> expected = Expected(*compiled, at);
    EXPECT_EQ((*set)->Count(), expected.size()) << filter.DebugString();
    for (const auto& [where, record] : records_) {
      if (where.first != ns) continue;
      EXPECT_EQ((*set)->Contains(where.second), expected.contains(where.second))
          << "ordinal " << where.second << " at " << commit << " of " << latest() << "\n"
          << filter.DebugString();
    }
    EXPECT_FALSE((*set)->Contains(999999999));
    return true;
  }

  static ObjectRecord Record(CollectionId collection) {
    ObjectRecord record;
    record.set_collection_id(collection);
    record.set_key("k");
    record.set_exists(true);
    return record;
  }

  // Random values that collide often, of every kind, with the traps among them.
  v1::Value RandomScalar() {
    v1::Value value;
    switch (random_() % 10) {
      case 0:
        value.set_bool_value(random_() % 2 == 0);
        break;
      case 1:
      case 2:
        value.set_int_value(static_cast<int64_t>(random_() % 20) - 10);
        break;
      case 3:
        value.set_double_value(static_cast<double>(random_() % 40) / 2 - 10);
        break;
      case 4:
        value.set_int_value((int64_t{1} << 53) + static_cast<int64_t>(random_() % 6) - 2);
        break;
      case 5:
        value.set_double_value(9007199254740992.0 + static_cast<double>(random_() % 3) * 2);
        break;
      case 6:
      case 7:
        value.set_string_value(std::string(random_() % 4, static_cast<char>('a' + random_() % 3)));
        break;
      case 8:
        // Too long to be indexed, some of them.
        value.set_string_value(std::string(255 + random_() % 3, 'a'));
        break;
      default:
        value.set_bytes_value(std::string(random_() % 3, static_cast<char>(0xfe + random_() % 2)));
        break;
    }
    return value;
  }
  v1::Value RandomValue(int depth) {
    v1::Value value;
    switch (depth > 2 ? 9 : random_() % 10) {
      case 0:
        value.set_null_value(v1::NULL_VALUE_UNSPECIFIED);
        return value;
      case 1:
        value.mutable_list_value();
        for (uint64_t i = random_() % 4; i > 0; --i) {
          *value.mutable_list_value()->add_values() = RandomValue(depth + 1);
        }
        return value;
      case 2:
        value.mutable_map_value();
        for (uint64_t i = random_() % 3; i > 0; --i) {
          (*value.mutable_map_value()->mutable_fields())[RandomName()] = RandomValue(depth + 1);
        }
        return value;
      default:
        return RandomScalar();
    }
  }
  std::string RandomName() {
    static const char* const kNames[] = {"n", "t", "x", "a", "a.b", "b"};
    return kNames[random_() % 6];
  }
  ObjectRecord RandomRecord(CollectionId collection) {
    ObjectRecord record = Record(collection);
    record.set_key("key" + std::to_string(random_() % 100));
    record.set_version(random_() % 50);
    if (random_() % 4 == 0) record.set_expires_ms(static_cast<int64_t>(random_() % 50));
    for (uint64_t i = random_() % 5; i > 0; --i) {
      (*record.mutable_properties())[RandomName()] = RandomValue(0);
    }
    for (const char* label : {"A", "B", "C"}) {
      if (random_() % 3 == 0) record.add_labels(label);
    }
    return record;
  }
  std::string RandomField() {
    static const char* const kFields[] = {"n",    "t",      "x",        "a",          "b",
                                          "a.b",  "a.b.n",  "n.x",      "missing",    "$label",
                                          "$key", "$label", "$version", "$collection"};
    return kFields[random_() % 14];
  }
  v1::Filter RandomLeaf() {
    v1::Filter filter;
    const std::string field = RandomField();
    const auto value = [&] {
      if (field == "$label") return Text(std::string(1, static_cast<char>('A' + random_() % 4)));
      if (field == "$collection") return Text(random_() % 2 == 0 ? "default" : "partial");
      return RandomScalar();
    };
    switch (random_() % 6) {
      case 0:
        return Exists(field);
      case 1:
        filter.mutable_membership()->set_field(field);
        for (uint64_t i = random_() % 4; i > 0; --i) {
          *filter.mutable_membership()->add_values() = value();
        }
        return filter;
      default: {
        v1::Value right = value();
        auto op = static_cast<v1::ComparisonOperator>(1 + random_() % 7);
        if (op == v1::COMPARISON_OPERATOR_PREFIX && !right.has_string_value()) {
          op = v1::COMPARISON_OPERATOR_EQUAL;
        }
        if (right.has_bool_value() || right.has_bytes_value()) {
          op = random_() % 2 == 0 ? v1::COMPARISON_OPERATOR_EQUAL
                                  : v1::COMPARISON_OPERATOR_NOT_EQUAL;
        }
        return Compare(field, op, right);
      }
    }
  }
  v1::Filter RandomFilter(int depth) {
    v1::Filter filter;
    switch (depth > 2 ? 9 : random_() % 8) {
      case 0:
        filter.mutable_all();
        for (uint64_t i = random_() % 4; i > 0; --i) {
          *filter.mutable_all()->add_operands() = RandomFilter(depth + 1);
        }
        return filter;
      case 1:
        filter.mutable_any();
        for (uint64_t i = random_() % 4; i > 0; --i) {
          *filter.mutable_any()->add_operands() = RandomFilter(depth + 1);
        }
        return filter;
      case 2:
        *filter.mutable_negation() = RandomFilter(depth + 1);
        return filter;
      default:
        return RandomLeaf();
    }
  }

  // A commit of a few puts, patches, deletes and dangling targets.
  uint64_t RandomCommit(uint64_t ordinals) {
    ChangeRecord change;
    FakeStore::Writes writes;
    std::set<Ordinal> used;
    for (uint64_t i = 1 + random_() % 4; i > 0; --i) {
      const NamespaceId ns = 1 + static_cast<NamespaceId>(random_() % 2);
      const Ordinal ordinal = 1 + random_() % ordinals;
      if (!used.insert(ordinal).second) continue;
      // An ordinal keeps its collection for life.
      const CollectionId collection = 1 + static_cast<CollectionId>(ordinal % 3);
      ObjectRecord record = RandomRecord(collection);
      switch (random_() % 6) {
        case 0:
          if (records_[{ns, ordinal}].empty()) break;
          Change(ns, ordinal, nullptr, &change, &writes);
          break;
        case 1: {
          ObjectRecord dangling;
          dangling.set_collection_id(collection);
          dangling.set_key("dangling");
          Change(ns, ordinal, &dangling, &change, &writes);
          break;
        }
        case 2: {
          // A patch: one property of what is there.
          ObjectRecord old;
          if (!old.ParseFromString(records_[{ns, ordinal}]) || !old.exists()) break;
          (*old.mutable_properties())[RandomName()] = RandomValue(0);
          Change(ns, ordinal, &old, &change, &writes);
          break;
        }
        default:
          Change(ns, ordinal, &record, &change, &writes);
          break;
      }
    }
    return Log(change, writes);
  }

  std::mt19937_64 random_{20240229};
  FakeStore store_;
  std::shared_ptr<const Catalog> catalog_;
  std::map<uint64_t, ChangeRecord> changes_;
  std::map<uint64_t, std::shared_ptr<const Catalog>> catalogs_;
  std::map<std::pair<NamespaceId, Ordinal>, std::string> records_;
  std::map<const FieldIndexView*, uint64_t> applied_;
  FieldIndexView view_;
};

TEST_F(FieldIndexViewTest, AnswersLikeTheRecordsAtAnyLag) {
  int answered = 0;
  int asked = 0;
  for (int round = 0; round < 400; ++round) {
    for (int i = 0; i < 3; ++i) RandomCommit(60);
    CatchUp(&view_);
    for (int i = 0; i < 12; ++i) {
      const uint64_t lag = random_() % 3 == 0 ? random_() % std::min<uint64_t>(latest(), 40) : 0;
      ++asked;
      if (Check(&view_, 1 + random_() % 2, latest() - lag, RandomFilter(0))) ++answered;
      if (HasFailure()) return;
    }
  }
  EXPECT_EQ(answered, asked);
}

TEST_F(FieldIndexViewTest, BootstrapAndApplyLeadToTheSameState) {
  for (int i = 0; i < 200; ++i) RandomCommit(80);
  CatchUp(&view_);
  std::vector<v1::Filter> filters;
  for (int i = 0; i < 40; ++i) filters.push_back(RandomFilter(0));
  for (int i = 0; i < 10; ++i) {
    FieldIndexView other{FieldIndexOptions()};
    BootstrapAt(&other, 1 + random_() % latest());
    CatchUp(&other);
    EXPECT_EQ(other.Counters()["objects"], view_.Counters()["objects"]);
    EXPECT_EQ(other.Counters()["fields"], view_.Counters()["fields"]);
    for (const v1::Filter& filter : filters) {
      EXPECT_TRUE(Check(&other, 1, latest(), filter));
      EXPECT_TRUE(Check(&view_, 1, latest(), filter));
      if (HasFailure()) return;
    }
  }
}

TEST_F(FieldIndexViewTest, ManyValuesAndManyObjectsPerValue) {
  // More values than a block holds, more ordinals than a list holds.
  constexpr Ordinal kObjects = 5000;
  ChangeRecord change;
  FakeStore::Writes writes;
  for (Ordinal ordinal = 1; ordinal <= kObjects; ++ordinal) {
    ObjectRecord record = Record(kPlain);
    auto& properties = *record.mutable_properties();
    properties["unique"].set_int_value(static_cast<int64_t>(ordinal * 7919 % kObjects));
    properties["name"].set_string_value("object " + std::to_string(ordinal * 7919 % kObjects));
    properties["few"].set_int_value(static_cast<int64_t>(ordinal % 3));
    properties["some"].set_double_value(static_cast<double>(ordinal % 40) / 4);
    properties["big"].set_int_value(static_cast<int64_t>(ordinal + (uint64_t{1} << 55)));
    Change(1, ordinal, &record, &change, &writes);
  }
  Log(change, writes);
  CatchUp(&view_);
  for (int round = 0; round < 3; ++round) {
    for (const auto op : {v1::COMPARISON_OPERATOR_EQUAL, v1::COMPARISON_OPERATOR_NOT_EQUAL,
                          v1::COMPARISON_OPERATOR_LESS, v1::COMPARISON_OPERATOR_LESS_EQUAL,
                          v1::COMPARISON_OPERATOR_GREATER, v1::COMPARISON_OPERATOR_GREATER_EQUAL}) {
      EXPECT_TRUE(Check(&view_, 1, latest(), Compare("unique", op, Int(1234))));
      EXPECT_TRUE(Check(&view_, 1, latest(), Compare("unique", op, Int(4321))));
      EXPECT_TRUE(Check(&view_, 1, latest(), Compare("few", op, Int(1))));
      EXPECT_TRUE(Check(&view_, 1, latest(), Compare("some", op, Int(5))));
      EXPECT_TRUE(Check(&view_, 1, latest(),
                        Compare("big", op, Int(static_cast<int64_t>((uint64_t{1} << 55) + 99)))));
      EXPECT_TRUE(Check(&view_, 1, latest(), Compare("name", op, Text("object 3"))));
    }
    EXPECT_TRUE(Check(&view_, 1, latest(),
                      Compare("name", v1::COMPARISON_OPERATOR_PREFIX, Text("object 4"))));
    // Delete in the middle, then from the front.
    ChangeRecord deletes;
    FakeStore::Writes removed;
    for (Ordinal ordinal = 1; ordinal <= kObjects; ++ordinal) {
      if (records_[{1, ordinal}].empty()) continue;
      if (round == 0 ? ordinal % 3 == 1 : ordinal < 4900) {
        Change(1, ordinal, nullptr, &deletes, &removed);
      }
    }
    Log(deletes, removed);
    CatchUp(&view_);
  }
}

TEST_F(FieldIndexViewTest, KeepsEvaluatedFiltersUntilObjectsChange) {
  ObjectRecord record = Record(kPlain);
  (*record.mutable_properties())["x"] = Int(1);
  Put(1, 1, record);
  CatchUp(&view_);
  const v1::Filter filter = Compare("x", v1::COMPARISON_OPERATOR_EQUAL, Int(1));
  EXPECT_TRUE(Check(&view_, 1, latest(), filter));
  EXPECT_EQ(view_.Counters()["cache_hits"], 0);
  EXPECT_TRUE(Check(&view_, 1, latest(), filter));
  EXPECT_EQ(view_.Counters()["cache_hits"], 1);
  // Another namespace, and a commit that changes no object, do not matter.
  Put(2, 1, record);
  Log(ChangeRecord(), {});
  CatchUp(&view_);
  EXPECT_TRUE(Check(&view_, 1, latest(), filter));
  EXPECT_EQ(view_.Counters()["cache_hits"], 2);
  Put(1, 2, record);
  CatchUp(&view_);
  EXPECT_TRUE(Check(&view_, 1, latest(), filter));
  EXPECT_EQ(view_.Counters()["cache_hits"], 2);
  // An older reader may use what is kept, too.
  EXPECT_TRUE(Check(&view_, 1, latest() - 1, filter));
  EXPECT_EQ(view_.Counters()["cache_hits"], 3);
}

TEST_F(FieldIndexViewTest, TheCacheIsBounded) {
  FieldIndexOptions options;
  options.cache_bytes = 2000;
  FieldIndexView small(options);
  ObjectRecord record = Record(kPlain);
  (*record.mutable_properties())["x"] = Int(1);
  Put(1, 1, record);
  Bootstrap(&small);
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(Check(&small, 1, latest(), Compare("x", v1::COMPARISON_OPERATOR_LESS, Int(i))));
    EXPECT_LE(small.Counters()["cache_bytes"], 2000);
  }
  EXPECT_GT(small.Counters()["cache_bytes"], 0);
}

TEST_F(FieldIndexViewTest, DroppedCollectionsAreHiddenFromTheirCommitOn) {
  for (Ordinal ordinal = 1; ordinal <= 30; ++ordinal) {
    ObjectRecord record = Record(1 + static_cast<CollectionId>(ordinal % 3));
    (*record.mutable_properties())["x"] = Int(static_cast<int64_t>(ordinal));
    Put(1, ordinal, record);
  }
  const uint64_t before = latest();
  SetCatalog({{kDoomed, before + 1}}, {1, 2});
  ChangeRecord drop;
  auto* tombstone = drop.add_events()->mutable_tombstone();
  tombstone->mutable_collection()->set_namespace_id(1);
  tombstone->mutable_collection()->set_collection_id(kDoomed);
  tombstone->set_commit(before + 1);
  Log(drop, {});
  CatchUp(&view_);
  const std::vector<v1::Filter> filters = {
      v1::Filter(), Compare("x", v1::COMPARISON_OPERATOR_GREATER, Int(10)),
      Compare("$collection", v1::COMPARISON_OPERATOR_EQUAL, Text("doomed")),
      Compare("$version", v1::COMPARISON_OPERATOR_LESS, Int(100))};
  for (int round = 0; round < 2; ++round) {
    for (const v1::Filter& filter : filters) {
      EXPECT_TRUE(Check(&view_, 1, latest(), filter));
      EXPECT_TRUE(Check(&view_, 1, before, filter));
    }
    // The collector works; older readers still see what it takes away.
    ChangeRecord collected;
    FakeStore::Writes writes;
    for (Ordinal ordinal = 2; ordinal <= 30; ordinal += 3) {
      if (!records_[{1, ordinal}].empty() && (round == 1 || ordinal < 15)) {
        Change(1, ordinal, nullptr, &collected, &writes);
      }
    }
    Log(collected, writes);
    CatchUp(&view_);
  }
}

TEST_F(FieldIndexViewTest, ForgetsDroppedNamespaces) {
  ObjectRecord record = Record(kPlain);
  (*record.mutable_properties())["x"] = Int(1);
  Put(1, 1, record);
  Put(2, 1, record);
  const uint64_t before = latest();
  SetCatalog({}, {1});
  ChangeRecord drop;
  drop.add_events()->mutable_tombstone()->mutable_namespace_()->set_namespace_id(2);
  Log(drop, {});
  CatchUp(&view_);
  EXPECT_TRUE(Check(&view_, 1, latest(), Exists("x")));
  // Who still sees it reads the records.
  EXPECT_FALSE(Check(&view_, 2, before, Exists("x")));
  EXPECT_EQ(view_.Counters()["objects"], 1);
}

TEST_F(FieldIndexViewTest, DeclinesWhatItCannotAnswer) {
  for (Ordinal ordinal = 1; ordinal <= 1500; ++ordinal) Put(1, ordinal, Record(kPlain));
  FieldIndexView late{FieldIndexOptions()};
  const v1::Filter filter = Exists("x");
  // Not built.
  EXPECT_FALSE(Check(&late, 1, latest(), filter));
  Bootstrap(&late);
  EXPECT_TRUE(Check(&late, 1, latest(), filter));
  // Older than its bootstrap.
  EXPECT_FALSE(Check(&late, 1, latest() - 1, filter));
  // Too much to read.
  EXPECT_FALSE(
      Check(&late, 1, latest(), Compare("$key", v1::COMPARISON_OPERATOR_EQUAL, Text("k"))));
  EXPECT_EQ(late.Counters()["declined"], 3);
  // Not applied yet.
  Put(1, 1, Record(kPlain));
  EXPECT_FALSE(Check(&late, 1, latest(), filter));
  late.Drop();
  EXPECT_FALSE(Check(&late, 1, latest(), filter));
}

TEST_F(FieldIndexViewTest, DeclinesReadersOlderThanItsRecordOfChanges) {
  ObjectRecord record = Record(kPlain);
  const uint64_t first = Put(1, 1, record);
  for (int i = 0; i < 70000; ++i) {
    AppliedCommit commit;
    (*record.mutable_properties())["x"] = Int(i % 2);
    Put(1, 1, record);
  }
  CatchUp(&view_);
  EXPECT_FALSE(Check(&view_, 1, first, Exists("x")));
  EXPECT_TRUE(Check(&view_, 1, latest() - 60000, Exists("x")));
}

TEST_F(FieldIndexViewTest, AnswersWithMoreNamesThanItKeeps) {
  ChangeRecord change;
  FakeStore::Writes writes;
  for (Ordinal ordinal = 1; ordinal <= 70; ++ordinal) {
    ObjectRecord record = Record(kPlain);
    for (int i = 0; i < 1000; ++i) {
      (*record.mutable_properties())["p" + std::to_string(ordinal * 1000 + i)] = Int(1);
    }
    Change(1, ordinal, &record, &change, &writes);
  }
  Log(change, writes);
  CatchUp(&view_);
  EXPECT_EQ(view_.Counters()["fields"], 65536);
  for (const char* name : {"p1000", "p66999", "p70999"}) {
    EXPECT_TRUE(Check(&view_, 1, latest(), Exists(name))) << name;
  }
  // Fewer names make room, and names that did not fit keep being found.
  for (Ordinal ordinal = 1; ordinal <= 10; ++ordinal) Delete(1, ordinal);
  ObjectRecord record = Record(kPlain);
  (*record.mutable_properties())["p70999"] = Int(2);
  Put(1, 100, record);
  CatchUp(&view_);
  for (const char* name : {"p1000", "p66999", "p70999"}) {
    EXPECT_TRUE(Check(&view_, 1, latest(), Exists(name))) << name;
    EXPECT_TRUE(
        Check(&view_, 1, latest(), Compare(name, v1::COMPARISON_OPERATOR_NOT_EQUAL, Int(1))));
  }
}

TEST_F(FieldIndexViewTest, StopsWhenTheCallEndsAndReportsDamage) {
  Put(1, 1, Record(kPlain));
  CatchUp(&view_);
  CallContext cancelled;
  cancelled.Cancel();
  const auto filter = Compile(Exists("x"));
  EXPECT_EQ(view_.Evaluate(cancelled, NamespaceAt(1, latest()), *filter).status().code(),
            absl::StatusCode::kCancelled);
  const uint64_t commit = Log(ChangeRecord(), {{ObjectKey(1, 2), "\xff\xff"}});
  NoMonitor monitor;
  FieldIndexView other{FieldIndexOptions()};
  EXPECT_EQ(other.Bootstrap(At(commit), monitor).code(), absl::StatusCode::kDataLoss);
}

TEST_F(FieldIndexViewTest, UniqueTextCostsLittle) {
  ChangeRecord change;
  FakeStore::Writes writes;
  constexpr int kObjects = 20000;
  for (Ordinal ordinal = 1; ordinal <= kObjects; ++ordinal) {
    ObjectRecord record = Record(kPlain);
    (*record.mutable_properties())["name"] = Text("name of " + std::to_string(ordinal * 7919));
    Change(1, ordinal, &record, &change, &writes);
  }
  Log(change, writes);
  const int64_t before = view_.MemoryBytes();
  CatchUp(&view_);
  const int64_t recent = kObjects * 8 * 2;
  EXPECT_LT(view_.MemoryBytes() - before - recent, kObjects * 64);
  EXPECT_GT(view_.MemoryBytes() - before, kObjects * 20);
  view_.Drop();
  EXPECT_LT(view_.MemoryBytes(), 10000);
}

TEST_F(FieldIndexViewTest, AnswersWhileTheHostRebuildsIt) {
  ViewHost host(
      store_, [this] { return store_.Read(); }, ViewHostOptions());
  FieldIndexView* view = host.Add(std::make_unique<FieldIndexView>(FieldIndexOptions()));
  ASSERT_TRUE(host.Start().ok());
  std::vector<v1::Filter> filters;
  for (int i = 0; i < 30; ++i) filters.push_back(RandomFilter(0));
  std::atomic<bool> done{false};
  std::atomic<int> answers{0};
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back([&, r] {
      std::mt19937 random(static_cast<uint32_t>(r));
      while (!done) {
        const ReadView now = store_.Read();
        const NamespaceView at{now.snapshot, now.catalog->namespaces_by_id.at(1)};
        const auto filter = Compile(filters[random() % filters.size()]);
        if (!host.WaitVisible(view, at.commit(),
                              CallContext::Clock::now() + std::chrono::seconds(30))) {
          continue;
        }
        CallContext context;
        const auto set = view->Evaluate(context, at, *filter);
        ASSERT_TRUE(set.ok());
        if (*set == nullptr) continue;
        const std::set<Ordinal> expected = Expected(*filter, at);
        ASSERT_EQ((*set)->Count(), expected.size()) << filter->filter().DebugString();
        for (const Ordinal ordinal : expected) ASSERT_TRUE((*set)->Contains(ordinal));
        ++answers;
      }
    });
  }
  CallContext context;
  for (int i = 0; i < 600 || answers < 50; ++i) {
    RandomCommit(60);
    if (i % 100 == 50) {
      ASSERT_TRUE(host.Rebuild("field_index").ok());
      ASSERT_TRUE(host.WaitBuilt("field_index", context).ok());
    }
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  ASSERT_TRUE(host.WaitAllVisible(latest(), CallContext::Clock::now() + std::chrono::seconds(30)));
  for (const v1::Filter& filter : filters) EXPECT_TRUE(Check(view, 1, latest(), filter));
}

}  // namespace
}  // namespace cookix::engine
