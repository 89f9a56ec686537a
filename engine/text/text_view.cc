#include "engine/text/text_view.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "engine/text/text_builder.h"
#include "engine/text/text_collection.h"
#include "engine/text/text_field.h"
#include "engine/text/text_fill.h"
#include "engine/text/text_work.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

// Bytes that an index takes for each byte of its texts while they are in a buffer, about.
constexpr int64_t kIndexBytesPerTextByte = 6;

constexpr uint64_t kCommitsPerLook = 256;
// Of recent changes, kept of each index when memory is short.
constexpr size_t kLeastChangeBytes = 1 << 20;

absl::Status MalformedFile() {
  return Corruption("a saved text index is malformed", "It is built again from the store");
}

std::vector<v1::TextField> FieldsOf(const v1::Collection& definition) {
  return {definition.text_fields().begin(), definition.text_fields().end()};
}

bool SameFields(const std::vector<v1::TextField>& fields, const v1::Collection& definition) {
  return std::equal(fields.begin(), fields.end(), definition.text_fields().begin(),
                    definition.text_fields().end(), SamePostings);
}

}  // namespace

struct TextView::Impl {
  using Key = TextKey;
  // A build that waits or runs, or what it failed with.
  struct Wanted {
    TextBuildPtr build;
    absl::Status failed;
  };

  Impl(TextViewOptions o, storage::Store& store)
      : options(std::move(o)),
        workers(options.threads, options.quiet),
        builder(store,
                {.gate = &gate,
                 .applied = &applied,
                 .memory = &memory,
                 .max_bytes = options.max_bytes,
                 .workers = &workers,
                 .publish = [this](const auto& build,
                                   const auto& entry) { return Publish(build, entry); },
                 .fail = [this](const auto& build, const auto& status) { Fail(build, status); }}) {}

  void Say(std::string_view level, std::string_view message) const {
    if (options.log) options.log(level, message);
  }

  TextEntryPtr Find(const Key& key) const {
    std::shared_lock<std::shared_mutex> lock(mutex);
    const auto it = entries.find(key);
    return it == entries.end() ? nullptr : it->second;
  }
  TextBuildPtr FindBuild(const Key& key) const {
    std::shared_lock<std::shared_mutex> lock(mutex);
    const auto it = wanted.find(key);
    return it == wanted.end() ? nullptr : it->second.build;
  }
  void Cancel(const TextBuildPtr& build) {
    build->cancelled.store(true);
    std::unique_lock<std::shared_mutex> lock(mutex);
    wanted.erase(build->key);
  }
  std::vector<TextEntryPtr> All() const {
    std::shared_lock<std::shared_mutex> lock(mutex);
    std::vector<TextEntryPtr> all;
    for (const auto& [key, entry] : entries) all.push_back(entry);
    return all;
  }

  // Makes an index without a text; null when its analyzers cannot be made, which is noted.
  TextEntryPtr MakeEmpty(const Key& key, const CollectionInfo& collection, std::string name) {
    absl::StatusOr<std::shared_ptr<TextCollection>> texts =
        TextCollection::Create(FieldsOf(collection.record.collection()));
    if (!texts.ok()) {
      auto build = MakeBuild(key, collection, std::move(name));
      std::unique_lock<std::shared_mutex> lock(mutex);
      wanted[key] = {std::move(build), texts.status()};
      return nullptr;
    }
    auto entry = std::make_shared<TextEntry>(*std::move(texts), memory);
    entry->published.store(true);
    std::unique_lock<std::shared_mutex> lock(mutex);
    entries[key] = entry;
    return entry;
  }

  TextBuildPtr MakeBuild(const Key& key, const CollectionInfo& collection, std::string name) const {
    auto build = std::make_shared<TextBuild>();
    build->key = key;
    build->fields = FieldsOf(collection.record.collection());
    build->name = std::move(name);
    build->asked_at = applied.load();
    return build;
  }

  // Builds an index in place of the one there is, if any, which goes on serving what it can
  // as long as there is memory for both.
  void StartBuild(const Key& key, const CollectionInfo& collection, std::string name) {
    TextBuildPtr build = MakeBuild(key, collection, std::move(name));
    Say("info", absl::StrCat("the text index of ", build->name, " is being built"));
    if (const TextEntryPtr old = Find(key);
        old != nullptr && memory.load() + old->texts().MemoryBytes() > options.max_bytes) {
      Erase([&](const Key& each) { return each == key; });
    }
    {
      std::unique_lock<std::shared_mutex> lock(mutex);
      wanted[key] = {build, absl::OkStatus()};
    }
    builder.Start(std::move(build));
  }

  bool Publish(const TextBuildPtr& build, const TextEntryPtr& entry) {
    TextEntryPtr old;
    {
      std::unique_lock<std::shared_mutex> lock(mutex);
      const auto it = wanted.find(build->key);
      if (it == wanted.end() || it->second.build != build) return false;
      wanted.erase(it);
      entry->published.store(true);
      old = std::exchange(entries[build->key], entry);
    }
    if (old != nullptr) workers.Remove(old.get());
    Say("info", absl::StrCat("the text index of ", build->name, " is built"));
    return true;
  }

  void Fail(const TextBuildPtr& build, const absl::Status& status) {
    {
      std::unique_lock<std::shared_mutex> lock(mutex);
      const auto it = wanted.find(build->key);
      if (it == wanted.end() || it->second.build != build) return;
      it->second.failed = status;
    }
    Say("warning",
        absl::StrCat("the text index of ", build->name, " cannot be built: ", status.message()));
  }

  // Drops the indexes and builds that `gone` says.
  void Erase(absl::FunctionRef<bool(const Key&)> gone) {
    std::vector<TextEntryPtr> erased;
    {
      std::unique_lock<std::shared_mutex> lock(mutex);
      std::erase_if(entries, [&](const auto& each) {
        if (!gone(each.first)) return false;
        erased.push_back(each.second);
        return true;
      });
      std::erase_if(wanted, [&](const auto& each) {
        if (!gone(each.first)) return false;
        each.second.build->cancelled.store(true);
        return true;
      });
    }
    for (const TextEntryPtr& entry : erased) workers.Remove(entry.get());
  }

  // Brings the indexes in line with a namespace of the catalog. A collection that the view
  // has not heard of before has no objects at this commit.
  void Reconcile(const NamespaceInfo& ns);
  void Reconcile(const NamespaceInfo& ns, const CollectionInfo& collection, bool is_new);
  // After a change of namespace `changed`; 0: there may be new ones.
  void Reconcile(const Catalog& catalog, NamespaceId changed);

  absl::Status ApplyObjects(const AppliedCommit& commit);

  const TextViewOptions options;
  // Bytes of all indexes, those being built included.
  std::atomic<int64_t> memory{0};
  // The last commit applied.
  std::atomic<uint64_t> applied{0};
  // Held while a commit is applied, and while an index that was built beside is taken over.
  std::mutex gate;

  mutable std::shared_mutex mutex;
  std::map<Key, TextEntryPtr> entries;  // guarded by mutex
  std::map<Key, Wanted> wanted;         // guarded by mutex
  // The next collection id of each namespace, as far as the view has heard. The writer's.
  std::map<NamespaceId, CollectionId> heard;

  TextWorkers workers;
  TextBuilder builder;
};

void TextView::Impl::Reconcile(const NamespaceInfo& ns) {
  CollectionId& next = heard[ns.id];
  for (const auto& [id, collection] : ns.collections_by_id) {
    Reconcile(ns, *collection, id >= next);
  }
  next = std::max(next, ns.record.next_collection_id());
}

void TextView::Impl::Reconcile(const Catalog& catalog, NamespaceId changed) {
  if (changed != 0) {
    if (const auto ns = catalog.Find(changed); ns != nullptr) Reconcile(*ns);
    return;
  }
  for (const auto& [id, ns] : catalog.namespaces_by_id) {
    if (heard.count(id) == 0) Reconcile(*ns);
  }
}

void TextView::Impl::Reconcile(const NamespaceInfo& ns, const CollectionInfo& collection,
                               bool is_new) {
  const Key key(ns.id, collection.id);
  const v1::Collection& definition = collection.record.collection();
  const TextEntryPtr entry = Find(key);
  const TextBuildPtr build = FindBuild(key);
  if (entry == nullptr && build == nullptr && definition.text_fields().empty()) return;
  if (definition.text_fields().empty()) return Erase([&](const Key& each) { return each == key; });
  if (build != nullptr) {
    if (SameFields(build->fields, definition)) return;
    Cancel(build);
  }
  if (entry != nullptr && entry->texts().Serves(definition)) return;
  std::string name = absl::StrCat("collection \"", definition.name(), "\" of namespace \"",
                                  ns.record.name(), "\"");
  if (is_new && entry == nullptr) {
    MakeEmpty(key, collection, std::move(name));
  } else {
    StartBuild(key, collection, std::move(name));
  }
}

TextView::TextView(TextViewOptions options, storage::Store& store)
    : impl_(std::make_unique<Impl>(std::move(options), store)) {}
TextView::~TextView() { Drop(); }

// ---- the writer --------------------------------------------------------------

absl::Status TextView::Bootstrap(const ReadView& view, BootstrapMonitor& monitor) {
  Impl& impl = *impl_;
  impl.applied.store(view.commit());
  const auto step = [&](const TextEntryPtr& filled) -> absl::Status {
    if (monitor.cancelled()) return absl::CancelledError("the build was cancelled");
    if (filled == nullptr) return absl::OkStatus();
    return SettleTexts(filled, impl.workers, impl.options.max_bytes);
  };
  double done = 0;
  const double share =
      1.0 / static_cast<double>(std::max<size_t>(1, view.catalog->namespaces_by_id.size()));
  for (const auto& [ns, info] : view.catalog->namespaces_by_id) {
    impl.Reconcile(*info);
    std::map<CollectionId, TextEntryPtr> filled;
    for (const auto& [collection, unused] : info->collections_by_id) {
      TextEntryPtr entry = impl.Find({ns, collection});
      if (entry == nullptr) continue;
      entry->texts().set_oldest_commit(view.commit());
      entry->filled_to = view.commit();
      filled[collection] = std::move(entry);
    }
    COOKIX_RETURN_IF_ERROR(FillTexts(
        *view.snapshot, ns,
        [&](CollectionId collection) {
          const auto it = filled.find(collection);
          return it == filled.end() ? nullptr : it->second;
        },
        step));
    done += share;
    monitor.Report(std::min(done, 1.0));
  }
  return absl::OkStatus();
}

absl::Status TextView::Impl::ApplyObjects(const AppliedCommit& commit) {
  std::map<Key, TextEntryPtr> touched;
  for (const auto& event : commit.change.events()) {
    if (!event.has_object()) continue;
    const auto& object = event.object();
    COOKIX_ASSIGN_OR_RETURN(const CollectionId collection, CollectionOf(object));
    const Key key(object.namespace_id(), collection);
    auto it = touched.find(key);
    if (it == touched.end()) it = touched.emplace(key, Find(key)).first;
    const TextEntryPtr& entry = it->second;
    if (entry == nullptr || entry->filled_to >= commit.commit) continue;
    COOKIX_RETURN_IF_ERROR(entry->texts().Add(object.ordinal(), object.before(), object.after()));
  }
  for (const auto& [key, entry] : touched) {
    if (entry == nullptr || entry->filled_to >= commit.commit) continue;
    COOKIX_RETURN_IF_ERROR(entry->texts().Flush(commit.commit));
    entry->CountMemory();
    // Of what memory is needed for, what readers of older commits use goes first.
    if (memory.load() > options.max_bytes / 4 * 3) {
      entry->texts().TrimChanges(kLeastChangeBytes);
      entry->CountMemory();
    }
    // Merges are looked for now and then, for deletions make them worth while too.
    if (commit.commit % kCommitsPerLook == 0) {
      workers.Queue(entry);
    } else {
      workers.QueueIfFilled(entry);
    }
  }
  return absl::OkStatus();
}

absl::Status TextView::Apply(const AppliedCommit& commit) {
  Impl& impl = *impl_;
  std::lock_guard<std::mutex> gate(impl.gate);
  for (const auto& event : commit.change.events()) {
    if (event.has_catalog()) impl.Reconcile(*commit.catalog, event.catalog().namespace_id());
  }
  COOKIX_RETURN_IF_ERROR(impl.ApplyObjects(commit));
  for (const auto& event : commit.change.events()) {
    if (!event.has_tombstone()) continue;
    const auto& tombstone = event.tombstone();
    if (tombstone.has_namespace_()) {
      const NamespaceId ns = tombstone.namespace_().namespace_id();
      impl.Erase([&](const TextKey& key) { return key.first == ns; });
      impl.heard.erase(ns);
    } else if (tombstone.has_collection()) {
      const TextKey gone(tombstone.collection().namespace_id(),
                         tombstone.collection().collection_id());
      impl.Erase([&](const TextKey& key) { return key == gone; });
    }
  }
  impl.applied.store(commit.commit);
  return absl::OkStatus();
}

void TextView::Drop() {
  Impl& impl = *impl_;
  impl.Erase([](const TextKey&) { return true; });
  impl.workers.Remove(nullptr);
  std::lock_guard<std::mutex> gate(impl.gate);
  impl.heard.clear();
  impl.applied.store(0);
}

int64_t TextView::MemoryBytes() const { return impl_->memory.load(); }

bool TextView::HasRoom(bool bulk) const {
  return impl_->workers.Backlog() <=
         static_cast<size_t>(bulk ? impl_->options.bulk_tail_texts : impl_->options.tail_texts);
}

uint64_t TextView::indexed(uint64_t applied) const {
  // What Apply() was given is in inverted lists at once; what is being built is not there.
  uint64_t indexed = applied;
  std::shared_lock<std::shared_mutex> lock(impl_->mutex);
  for (const auto& [key, wanted] : impl_->wanted) {
    indexed = std::min(indexed, wanted.build->asked_at);
  }
  return indexed;
}

std::map<std::string, int64_t> TextView::Counters() const {
  std::map<std::string, int64_t> counters;
  for (const TextEntryPtr& entry : impl_->All()) {
    const TextIndex::Stats stats = entry->texts().stats();
    ++counters["indexes"];
    counters["documents"] += stats.documents;
    counters["waiting"] += static_cast<int64_t>(entry->texts().backlog());
    counters["dead"] += stats.dead;
    counters["segments"] += stats.segments;
  }
  std::shared_lock<std::shared_mutex> lock(impl_->mutex);
  for (const auto& [key, wanted] : impl_->wanted) {
    ++counters[wanted.failed.ok() ? "building" : "failed"];
  }
  return counters;
}

// ---- queries ----------------------------------------------------------------

absl::StatusOr<bool> TextView::Search(const CallContext& context, const NamespaceView& view,
                                      const TextSearch& search, TextSearchResult* result) {
  const TextEntryPtr entry = impl_->Find({view.id(), search.collection});
  if (entry == nullptr) return false;
  return entry->texts().Search(context, search, view.commit(), result);
}

void TextView::Describe(NamespaceId ns, CollectionId collection, const v1::Collection& definition,
                        v1::DescribeIndexResponse* response) const {
  const TextKey key(ns, collection);
  std::optional<absl::Status> wanted;
  TextEntryPtr filling;
  {
    std::shared_lock<std::shared_mutex> lock(impl_->mutex);
    if (const auto it = impl_->wanted.find(key); it != impl_->wanted.end()) {
      wanted = it->second.failed;
      filling = it->second.build->filling();
    }
  }
  TextEntryPtr entry = impl_->Find(key);
  const bool serves = entry != nullptr && entry->texts().Serves(definition);
  response->set_state(serves                                    ? "ready"
                      : !wanted.value_or(absl::OkStatus()).ok() ? "failed"
                                                                : "building");
  if (!serves && wanted.has_value()) response->set_error(std::string(wanted->message()));
  // What is being built tells how far it is.
  if (!serves && filling != nullptr) entry = std::move(filling);
  if (entry == nullptr) return;
  const TextIndex::Stats stats = entry->texts().stats();
  response->set_vectors(stats.documents);
  response->set_indexed_vectors(stats.indexed);
  response->set_dead_vectors(stats.dead);
  response->set_segments(stats.segments);
  response->set_memory_bytes(stats.memory_bytes);
  for (v1::TextFieldStats& shown : *response->mutable_text_fields()) {
    for (size_t i = 0; i < entry->texts().fields().size() && i < stats.fields.size(); ++i) {
      if (!SamePostings(entry->texts().fields()[i], shown.field())) continue;
      shown.set_objects(stats.fields[i].totals.documents);
      shown.set_words(stats.fields[i].totals.words);
      shown.set_terms(stats.fields[i].terms);
    }
  }
}

absl::Status TextView::CheckRoom(int64_t bytes) const {
  const int64_t needed = bytes * kIndexBytesPerTextByte;
  const int64_t taken = impl_->memory.load();
  if (taken + needed <= impl_->options.max_bytes) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kResourceExhausted,
      absl::StrCat("the text indexes take ", taken, " of ", impl_->options.max_bytes,
                   " bytes, and these texts some ", needed),
      {"MEMORY_LIMIT", "", "Raise text_mb, delete objects, or remove a text field", false});
}

// ---- saving -----------------------------------------------------------------

namespace {

// What a file says of an index before the index itself.
struct SavedIndex {
  uint32_t ns = 0;
  uint32_t collection = 0;
  // Commits up to here are in; an index may be ahead of its view.
  uint64_t filled_to = 0;
  std::vector<v1::TextField> fields;
  std::string version;

  absl::Status Write(storage::CheckedFileWriter& writer) const {
    COOKIX_RETURN_IF_ERROR(writer.AppendFixed(ns));
    COOKIX_RETURN_IF_ERROR(writer.AppendFixed(collection));
    COOKIX_RETURN_IF_ERROR(writer.AppendFixed(filled_to));
    COOKIX_RETURN_IF_ERROR(writer.AppendFixed(static_cast<uint32_t>(fields.size())));
    for (const v1::TextField& field : fields) {
      COOKIX_RETURN_IF_ERROR(writer.AppendString(field.SerializeAsString()));
    }
    return writer.AppendString(version);
  }

  absl::Status Read(storage::CheckedFileReader& reader) {
    uint32_t count = 0;
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&ns));
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&collection));
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&filled_to));
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&count));
    if (count == 0 || count > kMaxTextFields) return MalformedFile();
    std::string bytes;
    for (uint32_t i = 0; i < count; ++i) {
      COOKIX_RETURN_IF_ERROR(reader.ReadString(&bytes));
      v1::TextField& field = fields.emplace_back();
      if (!field.ParseFromString(bytes)) return MalformedFile();
      const absl::StatusOr<v1::TextField> resolved = ResolveTextField(field, "");
      if (!resolved.ok() || resolved->SerializeAsString() != bytes) return MalformedFile();
    }
    return reader.ReadString(&version);
  }
};

class TextSave : public ViewSave {
 public:
  void AddNamespace(NamespaceId ns, CollectionId next) { heard_.emplace_back(ns, next); }
  void AddIndex(const TextKey& key, const TextEntry& entry) {
    const TextCollection& texts = entry.texts();
    parts_.push_back({{key.first, key.second, entry.filled_to, texts.fields(), texts.version()},
                      TextCollection::TakeSnapshot(entry.shared_texts())});
  }

  absl::Status Write(storage::CheckedFileWriter& writer) override {
    COOKIX_RETURN_IF_ERROR(writer.AppendFixed(static_cast<uint32_t>(heard_.size())));
    for (const auto& [ns, next] : heard_) {
      COOKIX_RETURN_IF_ERROR(writer.AppendFixed<uint32_t>(ns));
      COOKIX_RETURN_IF_ERROR(writer.AppendFixed<uint32_t>(next));
    }
    COOKIX_RETURN_IF_ERROR(writer.AppendFixed(static_cast<uint32_t>(parts_.size())));
    for (const auto& [saved, snapshot] : parts_) {
      COOKIX_RETURN_IF_ERROR(saved.Write(writer));
      COOKIX_RETURN_IF_ERROR(snapshot.Write(writer));
    }
    return absl::OkStatus();
  }

 private:
  std::vector<std::pair<NamespaceId, CollectionId>> heard_;
  std::vector<std::pair<SavedIndex, TextCollection::Snapshot>> parts_;
};

}  // namespace

std::unique_ptr<ViewSave> TextView::BeginSave() {
  auto save = std::make_unique<TextSave>();
  std::lock_guard<std::mutex> gate(impl_->gate);
  std::shared_lock<std::shared_mutex> lock(impl_->mutex);
  for (const auto& [ns, next] : impl_->heard) save->AddNamespace(ns, next);
  for (const auto& [key, entry] : impl_->entries) save->AddIndex(key, *entry);
  return save;
}

absl::Status TextView::Load(storage::CheckedFileReader& reader, uint64_t commit,
                            const ReadView& newest, BootstrapMonitor& monitor) {
  Impl& impl = *impl_;
  impl.applied.store(commit);
  uint32_t count = 0;
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&count));
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t ns = 0, next = 0;
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&ns));
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&next));
    impl.heard[ns] = next;
  }
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&count));
  std::vector<TextEntryPtr> loaded;
  for (uint32_t i = 0; i < count; ++i) {
    if (monitor.cancelled()) return absl::CancelledError("loading was cancelled");
    SavedIndex saved;
    COOKIX_RETURN_IF_ERROR(saved.Read(reader));
    const TextKey key(saved.ns, saved.collection);
    if (saved.filled_to > newest.commit() || impl.Find(key) != nullptr) return MalformedFile();
    COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<TextCollection> texts,
                            TextCollection::Create(saved.fields));
    COOKIX_RETURN_IF_ERROR(texts->Load(reader));
    monitor.Report(static_cast<double>(i + 1) / static_cast<double>(count));
    if (texts->version() != saved.version) {
      impl.Say("warning", absl::StrCat("the analysis of texts has changed since the index of "
                                       "collection ",
                                       saved.collection, " of namespace ", saved.ns,
                                       " was saved, so it is built again"));
      monitor.LeaveOut();
      continue;
    }
    const auto entry = std::make_shared<TextEntry>(std::move(texts), impl.memory);
    entry->filled_to = std::max(saved.filled_to, commit);
    entry->texts().set_oldest_commit(entry->filled_to);
    entry->published.store(true);
    entry->CountMemory();
    loaded.push_back(entry);
    std::unique_lock<std::shared_mutex> lock(impl.mutex);
    impl.entries[key] = entry;
  }
  COOKIX_ASSIGN_OR_RETURN(const bool end, reader.AtEnd());
  if (!end) return MalformedFile();
  // Collections may have gone, come and changed since; what was being built is not there.
  impl.Erase([&](const TextKey& key) {
    const auto ns = newest.catalog->namespaces_by_id.find(key.first);
    return ns == newest.catalog->namespaces_by_id.end() ||
           ns->second->FindCollection(key.second) == nullptr;
  });
  for (const auto& [ns, info] : newest.catalog->namespaces_by_id) impl.Reconcile(*info);
  for (const TextEntryPtr& entry : loaded) impl.workers.Queue(entry);
  return absl::OkStatus();
}

}  // namespace cookix::engine
