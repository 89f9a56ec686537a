#include "engine/vector/vector_view.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <span>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "engine/records.h"
#include "engine/vector/cell_field.h"
#include "engine/vector/dense_index.h"
#include "engine/vector/sparse_field.h"
#include "engine/vector/vector_field.h"
#include "engine/vector/waiting_commits.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"
#include "storage/commit_writes.h"

namespace cookix::engine {
namespace {

// Vectors handed to an index at a time while it is filled from the store.
constexpr size_t kLoadBatch = 1024;
// Times that a thread links some vectors before it looks at other indexes.
constexpr int kRoundsOfWork = 16;
constexpr std::string_view kLocalName = "vectors";
constexpr std::chrono::milliseconds kLocalPoll(1);
// Of what is saved: sparse indexes are there from this version on.
constexpr uint32_t kSparseSavedVersion = 2;

absl::Status Malformed(std::string_view what) {
  return Corruption(absl::StrCat(ToAbsl(what), " is malformed"),
                    "Restore the store from a checkpoint");
}

bool IsCells(const v1::VectorField& field) { return field.index() == v1::VECTOR_INDEX_KIND_CELLS; }

// Namespace, ordinal and field name of a key of the family `vectors`.
bool ParseVectorKey(std::string_view key, NamespaceId* ns, Ordinal* ordinal,
                    std::string_view* field) {
  if (!GetBigEndian32(&key, ns) || !GetBigEndian64(&key, ordinal)) return false;
  *field = key;
  return true;
}

// Whether an index of `a` answers for `b`.
bool SameVectors(const v1::VectorField& a, const v1::VectorField& b) {
  return a.dimension() == b.dimension() && a.metric() == b.metric() && a.multi() == b.multi() &&
         a.aggregate() == b.aggregate();
}

// Null when the catalog has no such field.
const v1::VectorField* FieldOf(const Catalog& catalog, NamespaceId ns, CollectionId collection,
                               std::string_view name) {
  const auto info = catalog.namespaces_by_id.find(ns);
  if (info == catalog.namespaces_by_id.end()) return nullptr;
  const CollectionInfo* found = info->second->FindCollection(collection);
  return found == nullptr ? nullptr : FindVectorField(found->record.collection(), name);
}

}  // namespace

struct VectorView::Impl {
  using Key = std::tuple<NamespaceId, CollectionId, std::string>;

  struct Entry {
    explicit Entry(v1::VectorField f) : field(std::move(f)) {
      if (IsCells(field)) return;
      if (IsSparse(field)) {
        sparse = std::make_unique<SparseField>();
      } else {
        dense = std::make_unique<DenseIndex>(field);
      }
    }
    const v1::VectorField field;
    std::unique_ptr<DenseIndex> dense;
    std::unique_ptr<SparseField> sparse;
    // Where `cells` lie: it goes after them.
    std::shared_ptr<storage::LocalStore> local;
    std::unique_ptr<CellField> cells;
    // What went wrong while cells were searched or brought into shape. Guarded by work_mutex.
    absl::Status cells_status;
    // Commits up to here are in already. The writer's.
    uint64_t filled_to = 0;
    WaitingCommits waiting;
    // In Impl::work. Guarded by work_mutex.
    bool queued = false;

    // `position` is that of `commit`.
    absl::Status Apply(std::span<const VectorPut> puts, uint64_t commit,
                       std::string_view position) {
      if (cells != nullptr) return cells->Apply(puts, commit, position);
      return dense != nullptr ? dense->Apply(puts, commit) : sparse->Apply(puts, commit);
    }
    // After these were applied.
    void NoteWaiting(uint64_t commit, std::span<const VectorPut> puts) {
      const auto count = std::count_if(puts.begin(), puts.end(),
                                       [](const VectorPut& put) { return put.vector != nullptr; });
      NoteWaiting(commit, static_cast<size_t>(count));
    }
    void NoteWaiting(uint64_t commit, size_t count) {
      if (dense != nullptr && count > 0) waiting.Added(commit, count, dense->backlog());
    }
    int64_t MemoryBytes() const {
      if (cells != nullptr) return cells->Stats().memory_bytes;
      return dense != nullptr ? dense->MemoryBytes() : sparse->MemoryBytes();
    }
  };
  using EntryPtr = std::shared_ptr<Entry>;

  Impl(VectorViewOptions o, storage::Store& s) : store(s), options(o) {
    const int count = options.threads > 0
                          ? options.threads
                          : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    for (int i = 0; i < count; ++i) threads.emplace_back([this] { Work(); });
  }
  ~Impl() {
    {
      std::lock_guard<std::mutex> lock(work_mutex);
      stopping = true;
    }
    work_wake.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

  EntryPtr Find(const Key& key) const {
    std::shared_lock<std::shared_mutex> lock(mutex);
    const auto it = entries.find(key);
    return it == entries.end() ? nullptr : it->second;
  }
  std::vector<EntryPtr> All() const {
    std::shared_lock<std::shared_mutex> lock(mutex);
    std::vector<EntryPtr> all;
    for (const auto& [key, entry] : entries) all.push_back(entry);
    return all;
  }
  void NoteFailure(const EntryPtr& entry, const absl::Status& status) {
    std::lock_guard<std::mutex> lock(work_mutex);
    entry->cells_status = status;
    cells_failed.store(true);
  }
  // What went wrong with cells that are still there.
  absl::Status CellsStatus() const {
    if (!cells_failed.load()) return absl::OkStatus();
    const std::vector<EntryPtr> all = All();
    std::lock_guard<std::mutex> lock(work_mutex);
    for (const EntryPtr& entry : all) COOKIX_RETURN_IF_ERROR(entry->cells_status);
    return absl::OkStatus();
  }
  absl::StatusOr<EntryPtr> Make(const Key& key, const v1::VectorField& field) {
    auto entry = std::make_shared<Entry>(field);
    if (IsCells(field)) {
      COOKIX_ASSIGN_OR_RETURN(const uint32_t number, NumberOf(key));
      entry->local = local;
      COOKIX_ASSIGN_OR_RETURN(entry->cells,
                              CellField::Open(*local, number, field, options.cell_bytes / 2));
    }
    std::unique_lock<std::shared_mutex> lock(mutex);
    return entries.emplace(key, std::move(entry)).first->second;
  }
  // Opens the database of cells if it is not open.
  absl::Status OpenLocal() {
    if (local != nullptr) return absl::OkStatus();
    COOKIX_ASSIGN_OR_RETURN(local, store.OpenLocalStore(kLocalName, options.cell_bytes / 2));
    return absl::OkStatus();
  }
  // The number of a field's index in the database of cells, given if need be. Number 0 is
  // not an index: under it are the numbers given, "n" field, and the next, "c".
  absl::StatusOr<uint32_t> NumberOf(const Key& key) {
    COOKIX_RETURN_IF_ERROR(OpenLocal());
    uint32_t number = 0;
    COOKIX_ASSIGN_OR_RETURN(const bool known, ReadNumber(NumberKey(key), &number));
    if (known) return number;
    return GiveNumber(key);
  }
  // Gives a field another number and throws away what is under the one it had: of a field of
  // the same name that went, whose readers may not all have gone.
  absl::StatusOr<uint32_t> GiveNumber(const Key& key) {
    COOKIX_RETURN_IF_ERROR(OpenLocal());
    const std::string record = NumberKey(key);
    std::string next_key;
    PutBigEndian32(&next_key, 0);
    next_key.push_back('c');
    uint32_t number = 1, old = 0;
    COOKIX_RETURN_IF_ERROR(ReadNumber(next_key, &number).status());
    COOKIX_ASSIGN_OR_RETURN(const bool had, ReadNumber(record, &old));
    storage::LocalBatch batch;
    std::string encoded, next, prefix;
    PutBigEndian32(&encoded, number);
    PutBigEndian32(&next, number + 1);
    batch.Put(record, encoded);
    batch.Put(next_key, next);
    if (had) {
      PutBigEndian32(&prefix, old);
      batch.DeletePrefix(prefix);
    }
    COOKIX_RETURN_IF_ERROR(local->Write(batch));
    return number;
  }
  static std::string NumberKey(const Key& key) {
    std::string record;
    PutBigEndian32(&record, 0);
    record.push_back('n');
    PutBigEndian32(&record, std::get<0>(key));
    PutBigEndian32(&record, std::get<1>(key));
    return record + std::get<2>(key);
  }
  // False, and `number` as it was, when there is none.
  absl::StatusOr<bool> ReadNumber(const std::string& record, uint32_t* number) const {
    storage::LocalValue value;
    COOKIX_ASSIGN_OR_RETURN(const bool found, local->Latest()->Get(record, &value));
    std::string_view bytes = value.view();
    if (found && !GetBigEndian32(&bytes, number)) {
      return Malformed("the number of a cell index");
    }
    return found;
  }
  // Throws what an index of cells holds away.
  absl::Status DropCells(const Key& key) {
    COOKIX_ASSIGN_OR_RETURN(const uint32_t number, NumberOf(key));
    return CellIndex::Drop(*local, number);
  }

  // Gives cells the settings that their fields have now.
  void ReshapeCells(const Catalog& catalog) {
    std::vector<EntryPtr> changed;
    {
      std::shared_lock<std::shared_mutex> lock(mutex);
      for (const auto& [key, entry] : entries) {
        if (entry->cells == nullptr) continue;
        const auto& [ns, collection, name] = key;
        const v1::VectorField* field = FieldOf(catalog, ns, collection, name);
        if (field != nullptr && IsCells(*field) && entry->cells->Reshape(*field)) {
          changed.push_back(entry);
        }
      }
    }
    for (const EntryPtr& entry : changed) Queue(entry);
  }

  // Drops the entries that `gone` says; readers of commits before `commit` must go to the
  // store.
  void Erase(uint64_t commit, absl::FunctionRef<bool(const Key&)> gone) {
    // What only they hold is freed outside the locks.
    std::vector<EntryPtr> erased;
    {
      std::unique_lock<std::shared_mutex> lock(mutex);
      std::erase_if(entries, [&](const auto& entry) {
        if (!gone(entry.first)) return false;
        erased.push_back(entry.second);
        return true;
      });
      if (!erased.empty()) erased_at.store(commit);
    }
    std::lock_guard<std::mutex> lock(work_mutex);
    for (const EntryPtr& entry : erased) {
      if (entry->cells != nullptr) entry->cells->Discard();
      // Nobody waits for it to be linked.
      if (entry->queued) std::erase(work, entry);
      entry->queued = false;
    }
  }

  // The entry for a field as the catalog has it, made if need be; null when the catalog
  // has no such field.
  absl::StatusOr<EntryPtr> EntryFor(const Catalog& catalog, NamespaceId ns, CollectionId collection,
                                    std::string_view name) {
    const Key key(ns, collection, name);
    if (EntryPtr entry = Find(key); entry != nullptr) return entry;
    const v1::VectorField* field = FieldOf(catalog, ns, collection, name);
    if (field == nullptr) return EntryPtr();
    // It has no vectors yet. What cells hold under its name is of one that went.
    if (IsCells(*field)) COOKIX_RETURN_IF_ERROR(GiveNumber(key).status());
    return Make(key, *field);
  }

  void Queue(const EntryPtr& entry) {
    if (entry->sparse != nullptr && !entry->sparse->NeedsMaintenance()) return;
    {
      std::lock_guard<std::mutex> lock(work_mutex);
      ++work_added;
      if (!entry->queued) {
        entry->queued = true;
        work.push_back(entry);
      }
    }
    work_wake.notify_all();
  }

  // Links vectors, takes dead ones out and numbers anew, until the view goes.
  void Work() {
    std::unique_lock<std::mutex> lock(work_mutex);
    while (!stopping) {
      if (work.empty()) {
        work_wake.wait(lock);
        continue;
      }
      const EntryPtr entry = work.front();
      const uint64_t seen = work_added;
      lock.unlock();
      bool worked = false;
      absl::Status failed;
      if (entry->cells != nullptr) {
        const absl::StatusOr<bool> more = entry->cells->Maintain();
        worked = more.ok() && *more;
        failed = more.status();
      } else if (entry->sparse != nullptr) {
        worked = entry->sparse->Maintain();
      } else {
        for (int i = 0; i < kRoundsOfWork && entry->dense->IndexSome(); ++i) worked = true;
        if (entry->dense->Maintain()) worked = true;
      }
      // Told when the next commit is applied.
      if (!failed.ok()) NoteFailure(entry, failed);
      lock.lock();
      const bool first = !work.empty() && work.front() == entry;
      if (worked) {
        // Others get their turn.
        if (first && work.size() > 1) {
          work.pop_front();
          work.push_back(entry);
        }
        continue;
      }
      // Something may have been added since it was found to have no work.
      if (work_added != seen) continue;
      if (first) {
        work.pop_front();
        entry->queued = false;
      }
    }
  }

  int64_t Backlog() const {
    std::lock_guard<std::mutex> lock(work_mutex);
    int64_t backlog = 0;
    for (const EntryPtr& entry : work) {
      if (entry->dense != nullptr) backlog += static_cast<int64_t>(entry->dense->backlog());
    }
    return backlog;
  }

  // Opens the indexes of cells that `catalog` has and whose state `good` accepts; empties
  // the others.
  absl::Status OpenCells(const Catalog& catalog, absl::FunctionRef<bool(const CellField&)> good);
  // Throws away what cells hold of fields that are not `known`: those that went when the
  // server did not stop in order.
  absl::Status ForgetCells(const std::set<Key>& known);

  // Fills the entries that `wanted` accepts with what `view` holds.
  absl::Status Fill(const ReadView& view, BootstrapMonitor& monitor,
                    absl::FunctionRef<bool(const v1::VectorField&)> wanted);

  int64_t MemoryBytes() const {
    int64_t bytes = 0;
    std::shared_ptr<storage::LocalStore> of_cells;
    for (const EntryPtr& entry : All()) {
      bytes += entry->MemoryBytes();
      if (entry->local != nullptr) of_cells = entry->local;
    }
    return of_cells != nullptr ? bytes + of_cells->MemoryBytes() : bytes;
  }

  storage::Store& store;
  const VectorViewOptions options;
  // Where cells are. Null until there is a field of that kind. The writer's; others use that
  // of an entry.
  std::shared_ptr<storage::LocalStore> local;
  mutable std::shared_mutex mutex;
  std::map<Key, EntryPtr> entries;  // guarded by mutex; changed by the writer only
  // Readers of commits before these go to the store.
  std::atomic<uint64_t> erased_at{0};
  std::atomic<uint64_t> begins_at{0};
  std::atomic<int64_t> memory{0};
  // What waited when the view was made: writers do not wait for that.
  std::atomic<int64_t> excused{0};

  mutable std::mutex work_mutex;
  std::condition_variable work_wake;
  std::deque<EntryPtr> work;  // guarded by work_mutex
  // Some entry's cells_status is, or was, not OK.
  std::atomic<bool> cells_failed{false};
  uint64_t work_added = 0;  // guarded by work_mutex
  bool stopping = false;    // guarded by work_mutex
  std::vector<std::thread> threads;
};

absl::Status VectorView::Impl::Fill(const ReadView& view, BootstrapMonitor& monitor,
                                    absl::FunctionRef<bool(const v1::VectorField&)> wanted) {
  struct Loading {
    EntryPtr entry;
    std::vector<std::pair<Ordinal, v1::Vector>> vectors;
  };
  std::map<Key, Loading> loading;
  const std::string position = storage::EncodePosition(view.snapshot->position());
  const auto flush = [&](Loading& each) -> absl::Status {
    std::vector<VectorPut> puts;
    for (const auto& [ordinal, vector] : each.vectors) puts.push_back({ordinal, &vector});
    COOKIX_RETURN_IF_ERROR(each.entry->Apply(puts, view.commit(), position));
    each.entry->NoteWaiting(view.commit(), puts);
    each.vectors.clear();
    if (MemoryBytes() > options.max_bytes) {
      return MakeError(
          absl::StatusCode::kResourceExhausted,
          absl::StrCat("the vector indexes need more than ", options.max_bytes, " bytes"),
          {"MEMORY_LIMIT", "", "Raise vectors_mb", false});
    }
    return absl::OkStatus();
  };
  double done = 0;
  const double share =
      1.0 / static_cast<double>(std::max<size_t>(1, view.catalog->namespaces_by_id.size()));
  for (const auto& [ns, info] : view.catalog->namespaces_by_id) {
    auto bounds = storage::PrefixBounds(NamespacePrefix(ns));
    bounds.bypass_cache = true;
    auto vectors = view.snapshot->Scan(storage::Family::kVectors, bounds);
    auto objects = view.snapshot->Scan(storage::Family::kObjects, bounds);
    int64_t count = 0;
    Ordinal named = 0;
    CollectionId collection = 0;
    std::string key;
    for (vectors->SeekToFirst(); vectors->Valid(); vectors->Next()) {
      if ((++count & 1023) == 0 && monitor.cancelled()) {
        return absl::CancelledError("the build was cancelled");
      }
      NamespaceId id = 0;
      Ordinal ordinal = 0;
      std::string_view field;
      if (!ParseVectorKey(vectors->key(), &id, &ordinal, &field)) return Malformed("a vector key");
      if (ordinal != named) {
        // Both families go by ordinal.
        objects->Seek(ObjectKey(ns, ordinal));
        if (!objects->Valid() || objects->key() != ObjectKey(ns, ordinal)) {
          COOKIX_RETURN_IF_ERROR(objects->status());
          continue;
        }
        if (!DecodeObjectName(objects->value(), &collection, &key)) {
          return Malformed("an object record");
        }
        named = ordinal;
      }
      const Key place(ns, collection, std::string(field));
      auto it = loading.find(place);
      if (it == loading.end()) {
        COOKIX_ASSIGN_OR_RETURN(EntryPtr entry, EntryFor(*view.catalog, ns, collection, field));
        if (entry != nullptr && !wanted(entry->field)) entry = nullptr;
        // Cells that were found as they should be.
        if (entry != nullptr && entry->cells != nullptr && entry->filled_to > 0) entry = nullptr;
        if (entry != nullptr) entry->filled_to = view.commit();
        it = loading.emplace(place, Loading{std::move(entry), {}}).first;
      }
      if (it->second.entry == nullptr) continue;
      auto& [at, vector] = it->second.vectors.emplace_back();
      at = ordinal;
      const std::string_view value = vectors->value();
      if (!vector.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
        return Malformed("a stored vector");
      }
      if (it->second.vectors.size() >= kLoadBatch) COOKIX_RETURN_IF_ERROR(flush(it->second));
    }
    COOKIX_RETURN_IF_ERROR(vectors->status());
    done += share;
    monitor.Report(std::min(done, 1.0));
  }
  for (auto& [place, each] : loading) {
    if (each.entry == nullptr) continue;
    COOKIX_RETURN_IF_ERROR(flush(each));
    Queue(each.entry);
  }
  memory.store(MemoryBytes());
  excused.store(Backlog());
  return absl::OkStatus();
}

absl::Status VectorView::Impl::ForgetCells(const std::set<Key>& known) {
  if (local == nullptr && known.empty()) return store.DeleteLocalStore(kLocalName);
  COOKIX_RETURN_IF_ERROR(OpenLocal());
  std::string records, prefix;
  PutBigEndian32(&records, 0);
  records.push_back('n');
  storage::LocalBatch batch;
  COOKIX_RETURN_IF_ERROR(local->Latest()->Scan(
      records, [&](std::string_view record, std::string_view value) -> absl::Status {
        std::string_view left = record.substr(records.size());
        NamespaceId ns = 0;
        CollectionId collection = 0;
        uint32_t number = 0;
        if (!GetBigEndian32(&left, &ns) || !GetBigEndian32(&left, &collection) ||
            !GetBigEndian32(&value, &number)) {
          return Malformed("the number of a cell index");
        }
        if (known.count(Key(ns, collection, left)) > 0) return absl::OkStatus();
        batch.Delete(record);
        prefix.clear();
        PutBigEndian32(&prefix, number);
        batch.DeletePrefix(prefix);
        return absl::OkStatus();
      }));
  return batch.bytes() > 0 ? local->Write(batch) : absl::OkStatus();
}

absl::Status VectorView::Impl::OpenCells(const Catalog& catalog,
                                         absl::FunctionRef<bool(const CellField&)> good) {
  std::set<Key> known;
  for (const auto& [ns, info] : catalog.namespaces_by_id) {
    for (const auto& [collection, found] : info->collections_by_id) {
      for (const v1::VectorField& field : found->record.collection().vector_fields()) {
        if (!IsCells(field)) continue;
        const Key key(ns, collection, field.name());
        known.insert(key);
        absl::StatusOr<EntryPtr> entry = Make(key, field);
        if (entry.ok() && good(*(*entry)->cells)) {
          (*entry)->filled_to = (*entry)->cells->commit();
          Queue(*entry);
          continue;
        }
        // Damaged, or of another time: from nothing.
        {
          std::unique_lock<std::shared_mutex> lock(mutex);
          entries.erase(key);
        }
        if (entry.ok()) entry->reset();
        COOKIX_RETURN_IF_ERROR(DropCells(key));
      }
    }
  }
  return ForgetCells(known);
}

VectorView::VectorView(VectorViewOptions options, storage::Store& store)
    : impl_(std::make_unique<Impl>(options, store)) {}

VectorView::~VectorView() = default;

absl::Status VectorView::Bootstrap(const ReadView& view, BootstrapMonitor& monitor) {
  // What cells of an earlier run hold is not believed: it cannot be brought to `view`, and may
  // be damaged.
  if (impl_->local == nullptr) {
    COOKIX_RETURN_IF_ERROR(impl_->store.DeleteLocalStore(kLocalName));
  }
  COOKIX_RETURN_IF_ERROR(impl_->OpenCells(*view.catalog, [](const CellField&) { return false; }));
  COOKIX_RETURN_IF_ERROR(impl_->Fill(view, monitor, [](const v1::VectorField&) { return true; }));
  impl_->begins_at.store(view.commit());
  return absl::OkStatus();
}

absl::Status VectorView::Apply(const AppliedCommit& commit) {
  Impl& impl = *impl_;
  // Whatever this commit is about: nobody may ever write to what is damaged again.
  COOKIX_RETURN_IF_ERROR(impl.CellsStatus());
  // Which collections the objects of this commit are in.
  std::map<std::pair<NamespaceId, Ordinal>, CollectionId> collections;
  bool drops = false;
  bool settings = false;
  for (const auto& event : commit.change.events()) {
    if (event.has_object()) {
      const auto& object = event.object();
      CollectionId collection = 0;
      std::string key;
      if (!DecodeObjectName(object.after().empty() ? object.before() : object.after(), &collection,
                            &key)) {
        return Malformed("an object record");
      }
      collections[{object.namespace_id(), object.ordinal()}] = collection;
    }
    drops = drops || event.has_tombstone();
    settings = settings || event.has_catalog();
  }

  const std::string position =
      storage::EncodePosition({commit.logged->store, commit.logged->epoch, commit.commit});
  struct Batch {
    Impl::EntryPtr entry;
    // The last write of an object holds.
    std::map<Ordinal, std::optional<v1::Vector>> vectors;
  };
  std::map<Impl::Key, Batch> batches;
  absl::Status status;
  COOKIX_RETURN_IF_ERROR(storage::ForEachWrite(
      commit.logged->batch, storage::Family::kVectors,
      [&](std::string_view key, const std::string_view* value) {
        NamespaceId ns = 0;
        Ordinal ordinal = 0;
        std::string_view field;
        if (!ParseVectorKey(key, &ns, &ordinal, &field)) {
          status = Malformed("a vector key");
          return;
        }
        const auto collection = collections.find({ns, ordinal});
        // The collector deletes vectors of objects that the index dropped long ago.
        if (collection == collections.end()) return;
        const Impl::Key place(ns, collection->second, std::string(field));
        auto it = batches.find(place);
        if (it == batches.end()) {
          absl::StatusOr<Impl::EntryPtr> entry =
              impl.EntryFor(*commit.catalog, ns, collection->second, field);
          if (!entry.ok()) {
            status = entry.status();
            return;
          }
          it = batches.emplace(place, Batch{*std::move(entry), {}}).first;
        }
        const Impl::EntryPtr& entry = it->second.entry;
        if (entry == nullptr || entry->filled_to >= commit.commit) return;
        std::optional<v1::Vector>& vector = it->second.vectors[ordinal];
        vector.reset();
        if (value == nullptr) return;
        vector.emplace();
        if (!vector->ParseFromArray(value->data(), static_cast<int>(value->size()))) {
          status = Malformed("a vector");
        }
        // The catalog may be a later one, in which another field has this name.
        if (VectorsIn(entry->field, *vector) == 0) vector.reset();
      }));
  COOKIX_RETURN_IF_ERROR(status);
  for (auto& [place, batch] : batches) {
    if (batch.entry == nullptr || batch.vectors.empty()) continue;
    std::vector<VectorPut> puts;
    puts.reserve(batch.vectors.size());
    for (const auto& [ordinal, vector] : batch.vectors) {
      puts.push_back({ordinal, vector.has_value() ? &*vector : nullptr});
    }
    COOKIX_RETURN_IF_ERROR(batch.entry->Apply(puts, commit.commit, position));
    batch.entry->NoteWaiting(commit.commit, puts);
    impl.Queue(batch.entry);
  }
  if (drops) {
    for (const auto& event : commit.change.events()) {
      if (!event.has_tombstone()) continue;
      const auto& tombstone = event.tombstone();
      impl.Erase(commit.commit, [&](const Impl::Key& key) {
        const auto& [ns, collection, field] = key;
        if (tombstone.has_namespace_()) return tombstone.namespace_().namespace_id() == ns;
        if (tombstone.has_collection()) {
          return tombstone.collection().namespace_id() == ns &&
                 tombstone.collection().collection_id() == collection;
        }
        return tombstone.has_vector_field() && tombstone.vector_field().namespace_id() == ns &&
               tombstone.vector_field().collection_id() == collection &&
               tombstone.vector_field().field() == field;
      });
    }
  }
  if (settings) impl.ReshapeCells(*commit.catalog);
  if (!batches.empty() || drops) impl.memory.store(impl.MemoryBytes());
  return absl::OkStatus();
}

void VectorView::Drop() {
  Impl& impl = *impl_;
  // Before anything is missed: readers that were told that the view is there go to the store.
  impl.begins_at.store(std::numeric_limits<uint64_t>::max());
  std::map<Impl::Key, Impl::EntryPtr> entries;
  {
    std::unique_lock<std::shared_mutex> lock(impl.mutex);
    entries.swap(impl.entries);
  }
  {
    std::lock_guard<std::mutex> lock(impl.work_mutex);
    for (const auto& entry : impl.work) entry->queued = false;
    impl.work.clear();
  }
  impl.memory.store(0);
  impl.excused.store(0);
  // The database of cells may be what is damaged: what comes next opens or makes its own. That
  // cannot be before the last search or thread has left this one.
  entries.clear();
  impl.cells_failed.store(false);
  while (impl.local.use_count() > 1) std::this_thread::sleep_for(kLocalPoll);
  impl.local.reset();
}

int64_t VectorView::MemoryBytes() const { return impl_->MemoryBytes(); }

bool VectorView::HasRoom(bool bulk) const {
  const int64_t backlog = impl_->Backlog();
  // What waited from the beginning is excused until it is worked off.
  int64_t excused = impl_->excused.load();
  while (backlog < excused && !impl_->excused.compare_exchange_weak(excused, backlog)) {
  }
  excused = std::min(excused, backlog);
  return backlog - excused <=
         (bulk ? impl_->options.bulk_tail_vectors : impl_->options.tail_vectors);
}

uint64_t VectorView::indexed(uint64_t applied) const {
  uint64_t indexed = applied;
  std::lock_guard<std::mutex> lock(impl_->work_mutex);
  for (const Impl::EntryPtr& entry : impl_->work) {
    if (entry->dense == nullptr) continue;
    const uint64_t oldest = entry->waiting.Oldest(entry->dense->backlog());
    if (oldest > 0) indexed = std::min(indexed, oldest - 1);
  }
  return indexed;
}

std::map<std::string, int64_t> VectorView::Counters() const {
  std::map<std::string, int64_t> counters;
  for (const Impl::EntryPtr& entry : impl_->All()) {
    ++counters["indexes"];
    if (entry->dense != nullptr) {
      const DenseIndex::Stats stats = entry->dense->stats();
      counters["vectors"] += stats.vectors;
      counters["waiting"] += stats.vectors - stats.indexed;
      counters["dead"] += stats.dead;
      // The least of all fields.
      for (const auto& [name, recall] :
           {std::pair("codec_recall_permille", stats.codec_recall_permille),
            std::pair("sketch_recall_permille", stats.sketch_recall_permille)}) {
        if (recall < 0) continue;
        int64_t& least = counters.try_emplace(name, recall).first->second;
        least = std::min(least, recall);
      }
    } else if (entry->cells != nullptr) {
      const CellIndexStats stats = entry->cells->Stats();
      counters["vectors"] += stats.vectors;
      counters["cells"] += stats.cells;
    } else {
      const SparseField::Stats stats = entry->sparse->stats();
      counters["vectors"] += stats.vectors;
      counters["dead"] += stats.dead;
    }
  }
  return counters;
}

// ---- queries ----------------------------------------------------------------

absl::StatusOr<bool> VectorView::Search(const CallContext& context, const NamespaceView& view,
                                        const VectorSearch& search, VectorSearchResult* result) {
  const uint64_t commit = view.commit();
  const Impl::EntryPtr entry = impl_->Find({view.id(), search.collection, search.field->name()});
  if (commit < impl_->begins_at.load() || commit < impl_->erased_at.load()) return false;
  if (entry == nullptr || (search.accept != nullptr && search.accept->Count() == 0)) {
    // It has no vectors, or none of them may be found.
    result->strategy = IsSparse(*search.field) ? "inverted" : "scan";
    result->exact = true;
    return true;
  }
  // Of another field of the name, which the reader does not see yet or any more.
  if (!SameVectors(entry->field, *search.field)) return false;
  if (entry->sparse != nullptr) return entry->sparse->Search(context, search, commit, result);
  const auto stored = [&](Ordinal ordinal, v1::Vector* vector) -> absl::StatusOr<bool> {
    std::string value;
    COOKIX_ASSIGN_OR_RETURN(
        const bool found,
        view.snapshot->Get(storage::Family::kVectors,
                           ObjectKey(view.id(), ordinal) + search.field->name(), &value));
    if (found && !vector->ParseFromString(value)) return Malformed("a stored vector");
    return found;
  };
  if (entry->cells != nullptr) {
    const absl::StatusOr<bool> answered =
        entry->cells->Search(context, search, commit, stored, result);
    if (!absl::IsDataLoss(answered.status())) return answered;
    // The store has what the cells have lost. The next commit makes the damage known.
    impl_->NoteFailure(entry, answered.status());
    return false;
  }
  return entry->dense->Search(context, search, commit, stored, result);
}

void VectorView::Describe(NamespaceId ns, CollectionId collection, std::string_view field,
                          v1::DescribeIndexResponse* response) const {
  const Impl::EntryPtr entry = impl_->Find({ns, collection, std::string(field)});
  if (entry == nullptr) return;
  if (entry->dense != nullptr) {
    const DenseIndex::Stats stats = entry->dense->stats();
    response->set_vectors(stats.vectors);
    response->set_indexed_vectors(stats.indexed);
    response->set_dead_vectors(stats.dead);
    response->set_memory_bytes(stats.memory_bytes);
  } else if (entry->cells != nullptr) {
    const CellIndexStats stats = entry->cells->Stats();
    response->set_vectors(stats.vectors);
    response->set_indexed_vectors(stats.vectors);
    response->set_cells(stats.cells);
    const int32_t probed = response->field().cells().cells_probed();
    response->set_cells_probed(probed > 0 ? probed : stats.cells_probed);
    // The database is that of all fields with cells.
    response->set_memory_bytes(stats.memory_bytes + entry->local->MemoryBytes());
    response->set_disk_bytes(entry->local->DiskBytes());
  } else {
    const SparseField::Stats stats = entry->sparse->stats();
    response->set_vectors(stats.vectors);
    response->set_indexed_vectors(stats.vectors);
    response->set_dead_vectors(stats.dead);
    response->set_memory_bytes(stats.memory_bytes);
  }
}

absl::Status VectorView::CheckRoom(const v1::VectorField& field, int64_t bytes) const {
  if (IsCells(field)) return absl::OkStatus();
  int64_t needed = bytes;
  if (!IsSparse(field)) {
    const int64_t given =
        IsBits(field) ? static_cast<int64_t>(BitBytes(field)) : int64_t{4} * field.dimension();
    needed = (bytes / given + 1) * DenseIndex::BytesPerVector(field);
  }
  const int64_t taken = impl_->memory.load();
  if (taken + needed <= impl_->options.max_bytes) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kResourceExhausted,
      absl::StrCat("the vector indexes take ", taken, " of ", impl_->options.max_bytes,
                   " bytes, and these vectors some ", needed),
      {"MEMORY_LIMIT", "", "Raise vectors_mb, delete vectors, or use a CELLS index", false});
}

// ---- saving -----------------------------------------------------------------

std::unique_ptr<ViewSave> VectorView::BeginSave() {
  struct Part {
    Impl::Key key;
    Impl::EntryPtr entry;
    // One of them.
    std::shared_ptr<const DenseIndex::Snapshot> dense;
    std::shared_ptr<const SparseField::Snapshot> sparse;
  };
  class Save : public ViewSave {
   public:
    Save(std::vector<Part> parts, storage::LocalStore* local)
        : parts_(std::move(parts)), local_(local) {}
    absl::Status Write(storage::CheckedFileWriter& writer) override {
      // What cells have must survive before a file says that it is there.
      if (local_ != nullptr) COOKIX_RETURN_IF_ERROR(local_->Flush());
      COOKIX_RETURN_IF_ERROR(writer.AppendFixed(static_cast<uint32_t>(parts_.size())));
      for (const Part& part : parts_) {
        const auto& [ns, collection, name] = part.key;
        COOKIX_RETURN_IF_ERROR(writer.AppendFixed<uint32_t>(ns));
        COOKIX_RETURN_IF_ERROR(writer.AppendFixed<uint32_t>(collection));
        COOKIX_RETURN_IF_ERROR(writer.AppendString(part.entry->field.SerializeAsString()));
        COOKIX_RETURN_IF_ERROR(part.dense != nullptr ? part.entry->dense->Save(*part.dense, writer)
                                                     : SparseField::Save(*part.sparse, writer));
      }
      return absl::OkStatus();
    }

   private:
    // Snapshots go before their entries.
    std::vector<Part> parts_;
    storage::LocalStore* const local_;
  };
  std::vector<Part> parts;
  std::shared_lock<std::shared_mutex> lock(impl_->mutex);
  for (const auto& [key, entry] : impl_->entries) {
    if (entry->dense != nullptr) {
      parts.push_back({key, entry, entry->dense->TakeSnapshot(), nullptr});
    } else if (entry->sparse != nullptr) {
      parts.push_back({key, entry, nullptr, entry->sparse->TakeSnapshot()});
    }
  }
  return std::make_unique<Save>(std::move(parts), impl_->local.get());
}

absl::Status VectorView::Load(storage::CheckedFileReader& reader, uint64_t commit,
                              const ReadView& newest, BootstrapMonitor& monitor) {
  Impl& impl = *impl_;
  const bool sparse_saved = reader.version() >= kSparseSavedVersion;
  uint32_t count = 0;
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&count));
  std::vector<Impl::EntryPtr> loaded;
  for (uint32_t i = 0; i < count; ++i) {
    if (monitor.cancelled()) return absl::CancelledError("loading was cancelled");
    uint32_t ns = 0, collection = 0;
    std::string bytes;
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&ns));
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&collection));
    COOKIX_RETURN_IF_ERROR(reader.ReadString(&bytes));
    v1::VectorField field;
    if (!field.ParseFromString(bytes)) return Malformed("a saved vector index");
    const absl::StatusOr<v1::VectorField> resolved = ResolveVectorField(field, "");
    const Impl::Key key(ns, collection, field.name());
    if (!resolved.ok() || resolved->SerializeAsString() != field.SerializeAsString() ||
        (IsSparse(field) && !sparse_saved) || IsCells(field) || impl.Find(key) != nullptr) {
      return Malformed("a saved vector index");
    }
    COOKIX_ASSIGN_OR_RETURN(const Impl::EntryPtr entry, impl.Make(key, field));
    COOKIX_RETURN_IF_ERROR(entry->sparse != nullptr ? entry->sparse->Load(reader)
                                                    : entry->dense->Load(reader));
    entry->filled_to = commit;
    if (entry->dense != nullptr) entry->NoteWaiting(commit, entry->dense->backlog());
    loaded.push_back(entry);
    monitor.Report(static_cast<double>(i + 1) / static_cast<double>(count));
  }
  COOKIX_ASSIGN_OR_RETURN(const bool end, reader.AtEnd());
  if (!end) return Malformed("a saved vector index");
  // Cells keep themselves. They must be at the commit of this file or later, or commits
  // between would be missing.
  COOKIX_RETURN_IF_ERROR(impl.OpenCells(*newest.catalog, [&](const CellField& cells) {
    const auto position = storage::DecodePosition(cells.position());
    return position.ok() && position->commit >= commit && position->commit <= newest.commit() &&
           impl.store.CheckPosition(*position).ok();
  }));
  // Cells that were emptied, and what an older file does not hold. They are ahead of the
  // rest, and commits up to there are passed over.
  COOKIX_RETURN_IF_ERROR(impl.Fill(newest, monitor, [&](const v1::VectorField& wanted) {
    return IsCells(wanted) || (IsSparse(wanted) && !sparse_saved);
  }));
  impl.begins_at.store(newest.commit());
  for (const Impl::EntryPtr& entry : loaded) impl.Queue(entry);
  impl.memory.store(impl.MemoryBytes());
  impl.excused.store(impl.Backlog());
  return absl::OkStatus();
}

}  // namespace cookix::engine
