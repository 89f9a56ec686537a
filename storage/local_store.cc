#include "storage/local_store.h"

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "rocksdb/cache.h"
#include "rocksdb/convenience.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/merge_operator.h"
#include "rocksdb/options.h"
#include "rocksdb/slice_transform.h"
#include "rocksdb/table.h"
#include "rocksdb/write_batch.h"
#include "storage/base/status.h"
#include "storage/rocksdb_status.h"

namespace cookix::storage {
namespace {

const rocksdb::IOOptions kIo;

// Free space is asked for after so many bytes.
constexpr int64_t kSpaceCheckBytes = 4 << 20;

rocksdb::Slice ToSlice(std::string_view view) { return {view.data(), view.size()}; }

// The first key after all that begin with `prefix`.
std::string EndOf(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

absl::Status Damaged(std::string_view what) {
  return Corruption(what, "Nothing has to be done: what is kept here is built anew.");
}

absl::Status FromLocal(const rocksdb::Status& status, std::string_view doing) {
  if (status.IsCorruption()) return Damaged(std::string(doing) + " failed: " + status.ToString());
  return FromRocksDb(status, doing);
}

// Values are made of pieces, one behind the other.
class ConcatenateOperator final : public rocksdb::MergeOperator {
 public:
  const char* Name() const override { return "CookixConcatenate"; }

  bool FullMergeV2(const MergeOperationInput& in, MergeOperationOutput* out) const override {
    size_t bytes = in.existing_value != nullptr ? in.existing_value->size() : 0;
    for (const rocksdb::Slice& piece : in.operand_list) bytes += piece.size();
    out->new_value.clear();
    out->new_value.reserve(bytes);
    if (in.existing_value != nullptr) {
      out->new_value.append(in.existing_value->data(), in.existing_value->size());
    }
    for (const rocksdb::Slice& piece : in.operand_list) {
      out->new_value.append(piece.data(), piece.size());
    }
    return true;
  }

  bool PartialMergeMulti(const rocksdb::Slice&, const std::deque<rocksdb::Slice>& pieces,
                         std::string* value, rocksdb::Logger*) const override {
    value->clear();
    for (const rocksdb::Slice& piece : pieces) value->append(piece.data(), piece.size());
    return true;
  }
};

}  // namespace

// ---- batches and values -----------------------------------------------------

struct LocalBatch::Rep {
  rocksdb::WriteBatch batch;
};

LocalBatch::LocalBatch() : rep_(std::make_unique<Rep>()) {}
LocalBatch::~LocalBatch() = default;

// Batches are in memory: nothing in them can fail.
void LocalBatch::Put(std::string_view key, std::string_view value) {
  rep_->batch.Put(ToSlice(key), ToSlice(value)).PermitUncheckedError();
}
void LocalBatch::Append(std::string_view key, std::string_view piece) {
  rep_->batch.Merge(ToSlice(key), ToSlice(piece)).PermitUncheckedError();
}
void LocalBatch::Delete(std::string_view key) {
  rep_->batch.Delete(ToSlice(key)).PermitUncheckedError();
}
void LocalBatch::DeletePrefix(std::string_view prefix) {
  const std::string end = EndOf(prefix);
  rep_->batch.DeleteRange(ToSlice(prefix), ToSlice(end)).PermitUncheckedError();
}
size_t LocalBatch::bytes() const { return rep_->batch.GetDataSize(); }
void LocalBatch::Clear() { rep_->batch.Clear(); }

struct LocalValue::Rep {
  rocksdb::PinnableSlice slice;
};

LocalValue::LocalValue() : rep_(std::make_unique<Rep>()) {}
LocalValue::~LocalValue() = default;
std::string_view LocalValue::view() const { return {rep_->slice.data(), rep_->slice.size()}; }

// ---- snapshots --------------------------------------------------------------

class RocksDbLocalSnapshot final : public LocalSnapshot {
 public:
  explicit RocksDbLocalSnapshot(rocksdb::DB* db) : db_(db), snapshot_(db->GetSnapshot()) {
    options_.snapshot = snapshot_;
  }
  ~RocksDbLocalSnapshot() override { db_->ReleaseSnapshot(snapshot_); }

  absl::StatusOr<bool> Get(std::string_view key, LocalValue* value) const override {
    return Get(options_, key, value);
  }
  absl::StatusOr<bool> GetSelfChecked(std::string_view key, LocalValue* value) const override {
    rocksdb::ReadOptions options = options_;
    options.verify_checksums = false;
    return Get(options, key, value);
  }

  absl::Status Scan(
      std::string_view prefix,
      absl::FunctionRef<absl::Status(std::string_view, std::string_view)> each) const override {
    const std::string end = EndOf(prefix);
    const rocksdb::Slice bound = ToSlice(end);
    rocksdb::ReadOptions options = options_;
    if (!end.empty()) options.iterate_upper_bound = &bound;
    options.fill_cache = false;
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(options));
    for (at->Seek(ToSlice(prefix)); at->Valid(); at->Next()) {
      COOKIX_RETURN_IF_ERROR(
          each({at->key().data(), at->key().size()}, {at->value().data(), at->value().size()}));
    }
    return FromLocal(at->status(), "reading a view's local files");
  }

 private:
  absl::StatusOr<bool> Get(const rocksdb::ReadOptions& options, std::string_view key,
                           LocalValue* value) const {
    value->rep_->slice.Reset();
    const rocksdb::Status status =
        db_->Get(options, db_->DefaultColumnFamily(), ToSlice(key), &value->rep_->slice);
    if (status.IsNotFound()) return false;
    if (!status.ok()) return FromLocal(status, "reading a view's local files");
    return true;
  }

  rocksdb::DB* const db_;
  const rocksdb::Snapshot* const snapshot_;
  rocksdb::ReadOptions options_;
};

// ---- the store --------------------------------------------------------------

class RocksDbLocalStore final : public LocalStore {
 public:
  explicit RocksDbLocalStore(const LocalStoreOptions& options)
      : options_(options),
        fs_(options.file_system != nullptr ? options.file_system : rocksdb::FileSystem::Default()),
        env_(rocksdb::NewCompositeEnv(fs_)) {}

  absl::Status Open() {
    const auto memory = static_cast<size_t>(std::max<int64_t>(options_.memory_bytes, 4 << 20));
    cache_ = rocksdb::NewLRUCache(memory / 2, 2, false, 0.5);
    rocksdb::Options db;
    db.env = env_.get();
    db.create_if_missing = true;
    db.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
    // One is filled while the other is written out.
    db.write_buffer_size = memory / 4;
    db.max_write_buffer_number = 2;
    db.arena_block_size = std::min<size_t>(memory / 64, 1 << 20);
    db.merge_operator = std::make_shared<ConcatenateOperator>();
    db.max_open_files = 256;
    db.max_background_jobs = 2;
    db.max_bgerror_resume_count = 0;
    db.avoid_unnecessary_blocking_io = true;
    db.allow_concurrent_memtable_write = false;
    db.enable_write_thread_adaptive_yield = false;
    db.bytes_per_sync = 1 << 20;
    db.writable_file_max_buffer_size = 256 << 10;
    db.compaction_readahead_size = 256 << 10;
    db.target_file_size_base = 16 << 20;
    db.max_bytes_for_level_base = 64 << 20;
    db.level_compaction_dynamic_level_bytes = true;
    db.compression = rocksdb::kLZ4Compression;
    db.skip_stats_update_on_db_open = true;
    db.stats_dump_period_sec = 0;
    db.stats_persist_period_sec = 0;
    db.keep_log_file_num = 2;
    db.max_log_file_size = 1 << 20;
    db.max_manifest_file_size = 8 << 20;
    db.enable_blob_files = true;
    db.min_blob_size = static_cast<uint64_t>(std::max<int64_t>(options_.large_value_bytes, 1));
    db.blob_file_size = 64 << 20;
    db.enable_blob_garbage_collection = true;
    db.blob_garbage_collection_age_cutoff = 0.5;
    db.blob_garbage_collection_force_threshold = 0.5;
    // What a compaction moves lies scattered: reading ahead would be for nothing.
    db.blob_compaction_readahead_size = 0;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = cache_;
    table.format_version = 5;
    table.checksum = rocksdb::kXXH3;
    // Read, and checked, when the file is opened. Most keys that are asked for are there:
    // the last level, which has nearly all, needs no filter.
    table.cache_index_and_filter_blocks = false;
    db.optimize_filters_for_hits = true;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    db.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    const bool existed = fs_->FileExists(options_.path + "/CURRENT", kIo, nullptr).ok();
    rocksdb::DB* opened = nullptr;
    const rocksdb::Status status = rocksdb::DB::Open(db, options_.path, &opened);
    const std::string doing = "opening the view's local files in " + options_.path;
    if (!status.ok()) {
      // What it names as missing was there when the files were whole.
      if (existed && (IsMissing(status) || status.IsInvalidArgument())) {
        return Damaged(doing + " failed: " + status.ToString());
      }
      return FromLocal(status, doing);
    }
    db_.reset(opened);
    return absl::OkStatus();
  }

  absl::Status Write(const LocalBatch& batch) override {
    COOKIX_RETURN_IF_ERROR(CheckSpace(static_cast<int64_t>(batch.bytes())));
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    // The batch stays its owner's, who may write it again when this fails.
    rocksdb::WriteBatch copy = batch.rep_->batch;
    return FromLocal(db_->Write(options, &copy), "writing a view's local files");
  }

  std::shared_ptr<const LocalSnapshot> Latest() const override {
    return std::make_shared<RocksDbLocalSnapshot>(db_.get());
  }

  absl::Status Flush() override {
    rocksdb::FlushOptions options;
    options.wait = true;
    options.allow_write_stall = true;
    return FromLocal(db_->Flush(options), "writing out a view's local files");
  }

  int64_t MemoryBytes() const override {
    uint64_t tables = 0, readers = 0;
    db_->GetIntProperty(rocksdb::DB::Properties::kSizeAllMemTables, &tables);
    db_->GetIntProperty(rocksdb::DB::Properties::kEstimateTableReadersMem, &readers);
    return static_cast<int64_t>(tables + readers + cache_->GetUsage());
  }

  int64_t DiskBytes() const override {
    uint64_t sorted = 0, blobs = 0;
    db_->GetIntProperty(rocksdb::DB::Properties::kTotalSstFilesSize, &sorted);
    db_->GetIntProperty(rocksdb::DB::Properties::kTotalBlobFileSize, &blobs);
    return static_cast<int64_t>(sorted + blobs);
  }

 private:
  absl::Status CheckSpace(int64_t bytes) {
    if (options_.keep_free_bytes <= 0) return absl::OkStatus();
    if (unchecked_.fetch_add(bytes) + bytes < kSpaceCheckBytes && !low_.load()) {
      return absl::OkStatus();
    }
    unchecked_.store(0);
    uint64_t free = 0;
    const rocksdb::IOStatus status = fs_->GetFreeSpace(options_.path, kIo, &free, nullptr);
    // Where that is not known nothing is kept free.
    const bool low = status.ok() && free < static_cast<uint64_t>(options_.keep_free_bytes + bytes);
    low_.store(low);
    if (!low) return absl::OkStatus();
    return MakeError(
        absl::StatusCode::kResourceExhausted,
        "the disk has less free space than the store must keep",
        {"DISK_LOW", "", "Free space on the disk, or delete data, then try again.", true});
  }

  const LocalStoreOptions options_;
  const std::shared_ptr<rocksdb::FileSystem> fs_;
  const std::unique_ptr<rocksdb::Env> env_;
  std::shared_ptr<rocksdb::Cache> cache_;
  std::atomic<int64_t> unchecked_{kSpaceCheckBytes};
  std::atomic<bool> low_{false};
  std::unique_ptr<rocksdb::DB> db_;
};

absl::StatusOr<std::unique_ptr<LocalStore>> LocalStore::Open(const LocalStoreOptions& options) {
  auto store = std::make_unique<RocksDbLocalStore>(options);
  COOKIX_RETURN_IF_ERROR(store->Open());
  return store;
}

absl::Status LocalStore::Destroy(const std::shared_ptr<rocksdb::FileSystem>& file_system,
                                 const std::string& path) {
  const std::shared_ptr<rocksdb::FileSystem> fs =
      file_system != nullptr ? file_system : rocksdb::FileSystem::Default();
  const std::string doing = "removing the view's local files in " + path;
  std::vector<std::string> names;
  const rocksdb::IOStatus listed = fs->GetChildren(path, kIo, &names, nullptr);
  if (IsMissing(listed)) return absl::OkStatus();
  if (!listed.ok()) return FromRocksDb(listed, doing);
  // Without its CURRENT nothing of it is believed, should the rest stay.
  std::partition(names.begin(), names.end(), [](const auto& name) { return name == "CURRENT"; });
  for (const std::string& name : names) {
    if (name == "." || name == "..") continue;
    const rocksdb::IOStatus status = fs->DeleteFile(path + "/" + name, kIo, nullptr);
    if (!status.ok() && !IsMissing(status)) return FromRocksDb(status, doing);
  }
  const rocksdb::IOStatus status = fs->DeleteDir(path, kIo, nullptr);
  if (!status.ok() && !IsMissing(status)) return FromRocksDb(status, doing);
  return absl::OkStatus();
}

}  // namespace cookix::storage
