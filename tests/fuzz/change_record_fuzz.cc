// Changes read back from the log, applied to views and told to those who watch. A damaged
// one must stop the view or the watch with an error or leave it usable, never bring the
// process down.
#include "cookix/internal/v1/records.pb.h"
#include "engine/catalog/catalog.h"
#include "engine/records.h"
#include "engine/view/field_index_view.h"
#include "engine/watch/commit_feed.h"
#include "storage/store.h"
#include "tests/fuzz/fuzz_target.h"

namespace {

namespace engine = cookix::engine;
namespace records = cookix::internal::v1;

class NoMonitor : public engine::BootstrapMonitor {
 public:
  void Report(double) override {}
  bool cancelled() const override { return false; }
};

// An empty store whose snapshot views start from.
const engine::ReadView& EmptyView() {
  static const auto* const view = [] {
    cookix::storage::Options options;
    options.path = "/fuzz";
    options.in_memory = true;
    auto store = cookix::storage::Store::Open(options);
    FUZZ_CHECK(store.ok());
    // Kept until the process ends: the snapshot must not outlive it.
    static cookix::storage::Store* const kept = store->release();
    auto catalog = std::make_shared<engine::Catalog>();
    auto info = std::make_shared<engine::NamespaceInfo>();
    info->id = engine::kDefaultNamespaceId;
    info->record.set_id(info->id);
    info->record.set_name("default");
    auto collection = std::make_shared<engine::CollectionInfo>();
    collection->id = engine::kDefaultCollectionId;
    collection->record.set_id(collection->id);
    collection->record.mutable_collection()->set_name("default");
    info->collections["default"] = collection;
    info->collections_by_id[collection->id] = collection;
    catalog->namespaces["default"] = info;
    catalog->namespaces_by_id[info->id] = info;
    return new engine::ReadView{kept->Latest(), catalog};
  }();
  return *view;
}

// Tells everything that a watch can ask for.
void Tell(std::string change, const engine::Catalog& catalog) {
  cookix::v1::WatchRequest request;
  request.set_with_before(true);
  request.set_with_definitions(true);
  request.mutable_objects()->mutable_mask()->set_with_vectors(true);
  request.mutable_objects()->mutable_filter()->mutable_negation()->mutable_existence()->set_field(
      "n");
  request.mutable_edges()->mutable_filter()->mutable_negation()->mutable_existence()->set_field(
      "n");
  auto selection = engine::WatchSelection::Compile(request, engine::Limits());
  FUZZ_CHECK(selection.ok());
  engine::CommitFeed feed(*std::move(selection));
  cookix::storage::LogCommit commit;
  commit.change = std::move(change);
  (void)feed.Translate(commit, catalog, [](cookix::v1::Change&& told) {
    FUZZ_CHECK(told.change_case() != cookix::v1::Change::CHANGE_NOT_SET);
    return absl::OkStatus();
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  engine::AppliedCommit commit;
  if (!commit.change.ParseFromArray(data, static_cast<int>(size))) return 0;
  const engine::ReadView& view = EmptyView();
  Tell(std::string(reinterpret_cast<const char*>(data), size), *view.catalog);
  commit.commit = view.commit() + 1;
  commit.catalog = view.catalog;
  engine::FieldIndexView index{engine::FieldIndexOptions()};
  NoMonitor monitor;
  FUZZ_CHECK(index.Bootstrap(view, monitor).ok());
  if (index.Apply(commit).ok()) {
    ++commit.commit;
    (void)index.Apply(commit);
  }
  FUZZ_CHECK(index.MemoryBytes() >= 0);
  index.Drop();
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  records::ObjectRecord record;
  record.set_collection_id(engine::kDefaultCollectionId);
  record.set_key("rain");
  record.set_exists(true);
  record.set_version(1);
  record.add_labels("weather");
  (*record.mutable_properties())["n"].set_int_value(3);
  (*record.mutable_properties())["t"].set_string_value("text");
  (*record.mutable_properties())["l"].mutable_list_value()->add_values()->set_double_value(0.5);
  records::ChangeRecord change;
  records::ObjectChange* object = change.add_events()->mutable_object();
  object->set_namespace_id(engine::kDefaultNamespaceId);
  object->set_ordinal(1);
  object->set_after(record.SerializeAsString());
  std::vector<std::string> seeds = {change.SerializeAsString()};
  object = change.add_events()->mutable_object();
  object->set_namespace_id(engine::kDefaultNamespaceId);
  object->set_ordinal(1);
  object->set_before(record.SerializeAsString());
  record.clear_labels();
  (*record.mutable_properties())["n"].set_double_value(-2.5);
  object->set_after(record.SerializeAsString());
  records::EdgeChange* edge = change.add_events()->mutable_edge();
  edge->set_namespace_id(engine::kDefaultNamespaceId);
  edge->set_source(1);
  edge->set_relation_id(2);
  edge->set_target(3);
  engine::EdgeValue value;
  engine::EncodeEdgeValue(value, edge->mutable_after());
  for (const engine::Ordinal ordinal : std::initializer_list<engine::Ordinal>{1, 3}) {
    records::OrdinalName* ref = change.add_refs();
    ref->set_namespace_id(engine::kDefaultNamespaceId);
    ref->set_ordinal(ordinal);
    ref->set_collection_id(engine::kDefaultCollectionId);
    ref->set_key("rain");
  }
  records::CatalogName* name = change.add_names();
  name->set_namespace_id(engine::kDefaultNamespaceId);
  name->set_relation_id(2);
  name->set_name("causes");
  records::TombstoneRecord* tombstone = change.add_events()->mutable_tombstone();
  tombstone->mutable_edges()->set_namespace_id(engine::kDefaultNamespaceId);
  tombstone->mutable_edges()->set_ordinal(1);
  tombstone->mutable_edges()->set_scope(records::TOMBSTONE_SCOPE_BOTH);
  tombstone->set_commit(2);
  change.add_events()->mutable_collected()->mutable_namespace_()->set_namespace_id(9);
  change.add_events()->mutable_catalog()->set_namespace_id(1);
  seeds.push_back(change.SerializeAsString());
  return seeds;
}
