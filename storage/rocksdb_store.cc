#include "storage/rocksdb_store.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include "rocksdb/convenience.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/slice_transform.h"
#include "rocksdb/table.h"
#include "rocksdb/table_properties.h"
#include "rocksdb/wal_filter.h"
#include "rocksdb/write_buffer_manager.h"
#include "storage/base/status.h"
#include "storage/copy_install.h"
#include "storage/file_systems.h"
#include "storage/file_tree.h"
#include "storage/log_reader.h"
#include "storage/note_file.h"
#include "storage/rocksdb_held_files.h"
#include "storage/rocksdb_status.h"
#include "storage/store_copy.h"
#include "storage/table_footer.h"
#include "storage/wal_scanner.h"

namespace cookix::storage {
namespace {

// A group ends when its batches reach this many bytes, so that the first of it
// does not wait for ever.
constexpr size_t kMaxGroupBytes = 8 << 20;
// How many request ids are forgotten in one record of the log.
constexpr int64_t kForgetAtOnce = 10'000;
constexpr int64_t kAskDiskEveryMs = 1000;
constexpr int64_t kTryAgainEveryMs = 1000;
// Of RocksDB, whether a flush has begun or ended.
constexpr std::chrono::microseconds kLookAgain{200};

const rocksdb::IOOptions kIo;

// A batch whose bytes can be taken out again.
class TakeableBatch : public rocksdb::WriteBatch {
 public:
  explicit TakeableBatch(std::string bytes) : WriteBatch(std::move(bytes)) {}
  std::string Take() { return std::move(rep_); }
};

StoreId NewStoreId() {
  std::random_device device;
  StoreId id;
  for (size_t i = 0; i < id.size(); i += 4) {
    const uint32_t word = device();
    for (size_t k = 0; k < 4; ++k) id[i + k] = static_cast<uint8_t>(word >> (8 * k));
  }
  return id;
}

absl::Status NotAStore(const std::string& path, std::string_view why) {
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   path + " is not a CookiX store: " + std::string(why),
                   {"INTERNAL", "", "Choose an empty directory, or one that CookiX made.", false});
}

absl::Status RestoreUnfinished(const std::string& path) {
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   "the restore of a backup into " + path + " was not finished",
                   {"INTERNAL", "", "Run the restore again; it goes on where it was.", false});
}

absl::Status Damaged(std::string_view what) {
  return Corruption(what,
                    "Restore the store from a checkpoint, or seed it again from a replica; "
                    "nothing in it was changed.");
}

// Whether a name in the directory says nothing about whose the directory is.
bool IsNeutralName(std::string_view name) {
  return name == "." || name == ".." || name == "lost+found" || name == "LOCK" ||
         name == kStoreLockName || name == std::string(kStoreFileName) + ".new" ||
         name == "COOKIX.try" || name == kIncomingDirectory || name == kIncomingLockName ||
         name.starts_with(kReplicationNote) || name.starts_with(kMemberNote);
}

// Commits put the records of these families in key order.
bool IsPutInOrder(Family family) {
  return family == Family::kIdentity || family == Family::kObjects || family == Family::kEdges ||
         family == Family::kReverseEdges;
}

constexpr size_t kNamespaceBytes = 4;

// By namespace, RocksDB remembers where in a memory table the last record went, and looks
// from there. It does so for ranges to delete as well, which lie in a table of their own,
// and takes places in one table for places in the other: so nothing is remembered for what
// is no longer than a namespace, which no record is and every such range is.
class NamespaceOfRecord final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "cookix.NamespaceOfRecord"; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return rocksdb::Slice(key.data(), kNamespaceBytes);
  }
  bool InDomain(const rocksdb::Slice& key) const override { return key.size() > kNamespaceBytes; }
};

// Cuts a file down to `size` bytes, durably. By way of a handle: the operating
// system's file system of RocksDB has no call that takes a path.
rocksdb::IOStatus CutFile(rocksdb::FileSystem& fs, const std::string& path, uint64_t size) {
  std::unique_ptr<rocksdb::FSWritableFile> file;
  rocksdb::IOStatus status = fs.ReopenWritableFile(path, {}, &file, nullptr);
  if (!status.ok()) return status;
  status = file->Truncate(size, kIo, nullptr);
  if (status.ok()) status = file->Fsync(kIo, nullptr);
  const rocksdb::IOStatus closed = file->Close(kIo, nullptr);
  return status.ok() ? closed : status;
}

// Lets RocksDB open a database without what is in the log.
class IgnoreLog : public rocksdb::WalFilter {
 public:
  WalProcessingOption LogRecordFound(unsigned long long log_number, const std::string& log_name,
                                     const rocksdb::WriteBatch& batch,
                                     rocksdb::WriteBatch* new_batch, bool* batch_changed) override {
    return WalProcessingOption::kIgnoreCurrentRecord;
  }
  const char* Name() const override { return "CookixIgnoreLog"; }
};

}  // namespace

// A caller of Commit() that waits.
struct RocksDbStore::Pending final : CommitQueue::Waiter {
  Pending(const CommitOptions* the_options,
          absl::FunctionRef<absl::Status(CommitBatch&)> the_builder)
      : options(the_options), builder(the_builder) {}

  const CommitOptions* options;
  absl::FunctionRef<absl::Status(CommitBatch&)> builder;
  absl::StatusOr<CommitResult> result = absl::UnknownError("not served");
};

class RocksDbStore::Batch final : public CommitBatch {
 public:
  Batch(RocksDbStore* store, uint64_t commit, int64_t time_ms)
      : store_(store), commit_(commit), time_ms_(time_ms) {}

  uint64_t commit() const override { return commit_; }
  int64_t time_ms() const override { return time_ms_; }

  void Put(Family family, std::string_view key, std::string_view value) override {
    if (Allowed(family)) Note(operations.Put(store_->Handle(family), ToSlice(key), ToSlice(value)));
  }
  void Delete(Family family, std::string_view key) override {
    if (Allowed(family)) Note(operations.Delete(store_->Handle(family), ToSlice(key)));
  }
  void DeleteRange(Family family, std::string_view begin, std::string_view end) override {
    if (!Allowed(family) || begin >= end) return;
    if (IsPutInOrder(family) && begin.size() > kNamespaceBytes) {
      Note(rocksdb::Status::InvalidArgument("a range to delete begins inside a namespace"));
      return;
    }
    Note(operations.DeleteRange(store_->Handle(family), ToSlice(begin), ToSlice(end)));
  }
  absl::StatusOr<bool> Get(Family family, std::string_view key, std::string* value) override {
    return ReadKey(store_->db_.get(), store_->Handle(family), nullptr, key, value);
  }
  std::unique_ptr<Iterator> Scan(Family family, ScanBounds bounds) override {
    return NewIterator(store_->db_.get(), store_->Handle(family), nullptr, std::move(bounds));
  }
  void SetChange(std::string new_change) override {
    change = std::move(new_change);
    has_change = true;
  }
  void SetResponse(std::string new_response) override { response = std::move(new_response); }
  size_t ByteSize() const override { return operations.GetDataSize() + change.size(); }

  rocksdb::WriteBatch operations;
  std::string change;
  bool has_change = false;
  std::string response;
  absl::Status error;

 private:
  bool Allowed(Family family) {
    if (family != Family::kSystem && static_cast<int>(family) < kFamilyCount) return true;
    error = MakeError(absl::StatusCode::kInternal, "a commit wrote to a family that is not its own",
                      {"INTERNAL", "", "Report this with the program's log.", false});
    return false;
  }
  void Note(const rocksdb::Status& status) {
    if (!status.ok() && error.ok()) error = FromRocksDb(status, "building a commit");
  }

  RocksDbStore* const store_;
  const uint64_t commit_;
  const int64_t time_ms_;
};

absl::StatusOr<std::unique_ptr<Store>> Store::Open(Options options) {
  if (options.path.empty()) {
    if (!options.in_memory) {
      return InvalidField("path", "the store has no directory", "Say where the data is to live.");
    }
    options.path = "/memory";
  }
  // Memory has no working directory that a relative name could start from.
  if (options.in_memory && options.path.front() != '/') options.path.insert(0, "/memory/");
  auto store = std::make_unique<RocksDbStore>(std::move(options));
  COOKIX_RETURN_IF_ERROR(store->Open());
  return std::unique_ptr<Store>(std::move(store));
}

std::string RocksDbStore::WithoutTrailingSlash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

absl::StatusOr<LastCommitRecord> RocksDbStore::ReadLastCommit(rocksdb::DB* db,
                                                              rocksdb::ColumnFamilyHandle* system) {
  std::string value;
  COOKIX_ASSIGN_OR_RETURN(const bool found, ReadKey(db, system, nullptr, kLastCommitKey, &value));
  LastCommitRecord last;
  if (!found || !Decode(value, &last)) return Damaged("the record of the last commit is damaged");
  return last;
}

RocksDbStore::RocksDbStore(Options options)
    : options_(std::move(options)),
      path_(WithoutTrailingSlash(options_.path)),
      follower_(options_.follower) {}

RocksDbStore::~RocksDbStore() {
  if (sync_thread_.joinable()) {
    {
      const std::lock_guard lock(sync_mutex_);
      stopping_ = true;
    }
    sync_wake_.notify_all();
    sync_thread_.join();
  }
  if (db_ != nullptr && ring_ != nullptr && Failure().ok()) {
    rocksdb::WriteBatch operations;
    const bool weak = options_.sync_mode != SyncMode::kFull;
    operations.Put(Handle(Family::kSystem), ToSlice(kOpenStateKey),
                   Encode(OpenStateRecord{.clean = true, .weak = weak}));
    // The log is synced before the record says that it is.
    absl::Status status = SyncLog();
    if (status.ok()) status = WriteBookkeeping(LogKind::kBookkeeping, &operations, /*sync=*/true);
    if (!status.ok()) {
      Say("error", "closing the store: " + std::string(status.message()));
    }
  }
  latest_.reset();
  if (db_ != nullptr) {
    for (rocksdb::ColumnFamilyHandle* family : families_) {
      if (family != nullptr) db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();
    }
    db_->Close().PermitUncheckedError();
    db_.reset();
  }
  if (lock_ != nullptr) fs_->UnlockFile(lock_, kIo, nullptr).PermitUncheckedError();
}

absl::Status RocksDbStore::Open() {
  std::shared_ptr<rocksdb::FileSystem> base = options_.file_system;
  if (base == nullptr) {
    base = options_.in_memory ? NewMemoryFileSystem() : rocksdb::FileSystem::Default();
  }
  fs_ = std::make_shared<GuardedFileSystem>(std::move(base), path_);
  env_ = rocksdb::NewCompositeEnv(fs_);

  StoreFile file;
  bool has_database = false;
  COOKIX_RETURN_IF_ERROR(PrepareDirectory(&file, &has_database));
  id_ = file.id;
  if (has_database) COOKIX_RETURN_IF_ERROR(ScanLog());
  COOKIX_RETURN_IF_ERROR(OpenDatabase(has_database));
  bool initialised = false;
  COOKIX_RETURN_IF_ERROR(LoadState(&initialised));
  COOKIX_RETURN_IF_ERROR(BeginSession(file, initialised));

  view_files_ = std::make_unique<ViewFiles>(
      fs_, path_, static_cast<uint64_t>(std::max<int64_t>(options_.low_disk_bytes, 0)));
  view_files_->RemoveTemporary();
  // Copies that nobody reads any more.
  RemoveTree(*fs_, path_ + "/" + std::string(kCopyDirectory)).IgnoreError();
  latest_ = std::make_shared<RocksDbSnapshot>(
      db_.get(), families_, Position{id_, EpochOf(epochs_, last_.commit), last_.commit});
  ring_ = std::make_unique<LogRing>(std::max<int64_t>(options_.ring_bytes, 0), last_.commit);
  if (options_.sync_mode == SyncMode::kNormal) {
    sync_thread_ = std::thread([this] { SyncPeriodically(); });
  }
  return absl::OkStatus();
}

absl::Status RocksDbStore::PrepareDirectory(StoreFile* file, bool* has_database) {
  const auto missing = [&] {
    return NotFound("IO_ERROR", "path", "there is no store in " + path_,
                    "Check the path, or let the store be created.");
  };
  const rocksdb::IOStatus exists = fs_->FileExists(path_, kIo, nullptr);
  if (IsMissing(exists)) {
    if (options_.must_exist) return missing();
    COOKIX_RETURN_IF_ERROR(MakeDirectories(*fs_, path_));
  } else if (!exists.ok()) {
    return FromRocksDb(exists, "opening " + path_);
  } else {
    bool is_directory = false;
    const rocksdb::IOStatus status = fs_->IsDirectory(path_, kIo, &is_directory, nullptr);
    if (status.ok() && !is_directory) return NotAStore(path_, "it is a file");
  }

  std::vector<std::string> names;
  const rocksdb::IOStatus listed = fs_->GetChildren(path_, kIo, &names, nullptr);
  if (!listed.ok()) return FromRocksDb(listed, "listing " + path_);
  bool has_store_file = false;
  bool has_data = false;
  std::string foreign;
  for (const std::string& name : names) {
    if (name == kRestoreNote && !options_.restoring) return RestoreUnfinished(path_);
    if (name == kStoreFileName) {
      has_store_file = true;
    } else if (name == "CURRENT") {
      *has_database = true;
    } else if (!IsNeutralName(name)) {
      foreign = name;
      const std::string_view view = name;
      has_data |= view.ends_with(".sst") || view.ends_with(".log");
    }
  }
  if (!has_store_file) {
    COOKIX_ASSIGN_OR_RETURN(const bool installing, IsInstallPending(*fs_, path_));
    if (installing) return NotAStore(path_, "a copy is being put in place there");
    if (*has_database) {
      return NotAStore(path_, "it holds a database without the file COOKIX");
    }
    if (!foreign.empty()) return NotAStore(path_, "it holds other files, such as " + foreign);
    if (options_.must_exist) return missing();
    COOKIX_RETURN_IF_ERROR(LockDirectory());
    file->format_version = kFormatVersion;
    file->id = NewStoreId();
    return WriteStoreFile(*fs_, path_, *file);
  }
  // Before anything is written here.
  COOKIX_ASSIGN_OR_RETURN(*file, ReadStoreFile(*fs_, path_, kFormatVersion));
  if (!*has_database && has_data) {
    return Damaged("the store in " + path_ + " has data but no file CURRENT");
  }
  return LockDirectory();
}

absl::Status RocksDbStore::LockDirectory() {
  const auto acquire = [&](std::string_view name, rocksdb::FileLock** lock) -> absl::Status {
    const rocksdb::IOStatus status =
        fs_->LockFile(path_ + "/" + std::string(name), kIo, lock, nullptr);
    if (status.ok()) return absl::OkStatus();
    if (IsPermissionError(status) || IsNoSpaceError(status)) {
      return FromRocksDb(status, "locking the store");
    }
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "the store in " + path_ + " is in use by another process",
                     {"INTERNAL", "", "Stop that process, or choose another directory.", false});
  };
  COOKIX_RETURN_IF_ERROR(acquire(kStoreLockName, &lock_));
  // Tools of RocksDB lock this one. RocksDB takes it for itself when it opens, so
  // it is only tried here, before the log is looked at.
  rocksdb::FileLock* other = nullptr;
  COOKIX_RETURN_IF_ERROR(acquire("LOCK", &other));
  return FromRocksDb(fs_->UnlockFile(other, kIo, nullptr), "unlocking the store");
}

absl::Status RocksDbStore::ScanLog() {
  // The beginnings of the files that are kept for readers only.
  COOKIX_ASSIGN_OR_RETURN(const std::vector<WalFile> archived,
                          ListWalFiles(*fs_, path_ + "/" + std::string(kArchiveDirectory)));
  for (const WalFile& wal : archived) {
    const std::optional<WalBegin> begin = ReadWalBegin(*fs_, wal);
    if (begin.has_value()) index_.AddAlways(begin->commit, begin->sequence);
  }

  COOKIX_ASSIGN_OR_RETURN(const std::vector<WalFile> live, ListWalFiles(*fs_, path_));
  WalScanOptions options;
  options.store = id_;
  options.on_record = [this](const LogRecord& record, std::string_view batch) {
    if (record.header.kind == LogKind::kCommit) {
      index_.Add(record.header.commit, record.sequence, batch.size());
    } else if (record.header.kind == LogKind::kRestart) {
      index_.AddAlways(record.header.commit + 1, record.sequence);
    }
  };
  COOKIX_ASSIGN_OR_RETURN(WalScan scan, ScanWal(*fs_, live, options));
  if (!scan.report.damage.empty()) {
    for (const std::string& damage : scan.report.damage) Say("error", "damaged log: " + damage);
    return Damaged("the log of the store is damaged: " + scan.report.damage.front());
  }
  if (scan.report.torn_tail) {
    Say("warning", "the log ends in an incomplete record, as a crash leaves it; dropping it (" +
                       scan.report.torn_tail_detail + ", last commit " +
                       std::to_string(scan.report.last_commit) + ")");
  }
  for (const WalCut& cut : scan.cuts) {
    const rocksdb::IOStatus status = CutFile(*fs_, cut.path, cut.offset);
    if (!status.ok()) return FromRocksDb(status, "cutting the incomplete end off the log");
  }
  scan_report_ = std::move(scan.report);
  scan_next_sequence_ = scan.next_sequence;
  scan_durable_sequence_ = scan.durable_sequence;
  scan_base_commit_ = scan.base_commit;
  return absl::OkStatus();
}

rocksdb::DBOptions RocksDbStore::DatabaseOptions() {
  const auto budget = static_cast<size_t>(std::max<int64_t>(options_.memory_budget_bytes, 8 << 20));
  if (cache_ == nullptr) cache_ = rocksdb::NewLRUCache(budget, -1, false, 0.5);
  rocksdb::DBOptions db;
  db.env = env_.get();
  db.create_missing_column_families = true;
  // One flush at a time: one that waits for an earlier one does so for ever when that fails.
  db.max_background_flushes = 1;
  db.max_background_compactions = std::max(options_.background_jobs - 1, 1);
  // Memory tables take up to a third of the budget, charged to the cache.
  const size_t tables = std::max<size_t>(budget / 3, 4 << 20);
  db.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(tables, cache_);
  // Families that are seldom written would keep the log from being released.
  db.max_total_wal_size = std::max<uint64_t>(2 * tables, 64 << 20);
  db.WAL_ttl_seconds = static_cast<uint64_t>(std::max<int64_t>(options_.wal_keep_seconds, 0));
  db.WAL_size_limit_MB = (KeptLogBytes() + (1 << 20) - 1) >> 20;
  // The scan has cut off what is incomplete. Whatever else RocksDB finds must stop
  // it before it changes anything.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kAbsoluteConsistency;
  // Sorted files then always hold whole commits, even when the log has failed.
  db.atomic_flush = true;
  // One thread writes.
  db.allow_concurrent_memtable_write = false;
  db.enable_write_thread_adaptive_yield = false;
  db.avoid_unnecessary_blocking_io = true;
  // The store decides when to resume, not a thread of RocksDB's.
  db.max_bgerror_resume_count = 0;
  db.listeners.push_back(background_errors_);
  db.bytes_per_sync = 1 << 20;
  db.compaction_readahead_size = 2 << 20;
  db.skip_stats_update_on_db_open = true;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.keep_log_file_num = 4;
  db.max_log_file_size = 4 << 20;
  return db;
}

std::vector<rocksdb::ColumnFamilyDescriptor> RocksDbStore::FamilyDescriptors() {
  const auto budget = static_cast<size_t>(std::max<int64_t>(options_.memory_budget_bytes, 8 << 20));
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (int i = 0; i < kFamilyCount; ++i) {
    const auto family = static_cast<Family>(i);
    rocksdb::ColumnFamilyOptions options;
    options.write_buffer_size = std::clamp<size_t>(budget / 8, 1 << 20, 64 << 20);
    if (family == Family::kReverseEdges || family == Family::kEdges)
      options.write_buffer_size = std::min<size_t>(options.write_buffer_size, 32 << 20);
    options.max_write_buffer_number = 4;
    options.level_compaction_dynamic_level_bytes = true;
    options.target_file_size_base = 64 << 20;
    options.max_bytes_for_level_base = 256 << 20;
    switch (options_.compression) {
      case Compression::kLz4:
        options.compression = rocksdb::kLZ4Compression;
        break;
      case Compression::kZstd:
        options.compression = rocksdb::kLZ4Compression;
        options.bottommost_compression = rocksdb::kZSTD;
        options.bottommost_compression_opts.enabled = true;
        options.bottommost_compression_opts.level = options_.zstd_level;
        break;
      case Compression::kNone:
        options.compression = rocksdb::kNoCompression;
        break;
    }
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = cache_;
    table.format_version = kTableFormatVersion;
    table.checksum = kTableChecksum;
    table.cache_index_and_filter_blocks = true;
    table.cache_index_and_filter_blocks_with_high_priority = true;
    table.pin_l0_filter_and_index_blocks_in_cache = true;
    table.block_size = 8 << 10;
    switch (family) {
      case Family::kIdentity:
      case Family::kObjects:
      case Family::kVectors:
      case Family::kKeyValue:
      case Family::kSystem:
        // Asked for single keys, which often are not there.
        table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
        table.optimize_filters_for_memory = true;
        table.whole_key_filtering = true;
        table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
        break;
      default:
        break;
    }
    if (family == Family::kIdentity) {
      // A new object's key is looked for before it is put.
      options.memtable_prefix_bloom_size_ratio = 0.02;
      options.memtable_whole_key_filtering = true;
    }
    // Each one's place in the memory table is found from that of the one before.
    if (IsPutInOrder(family)) {
      options.memtable_insert_with_hint_prefix_extractor = std::make_shared<NamespaceOfRecord>();
    }
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    descriptors.emplace_back(std::string(FamilyName(family)), options);
  }
  return descriptors;
}

absl::Status RocksDbStore::CheckBase() {
  if (scan_base_commit_.value_or(0) == 0) return absl::OkStatus();
  IgnoreLog ignore;
  rocksdb::DBOptions options;
  options.env = env_.get();
  options.wal_filter = &ignore;
  options.info_log_level = rocksdb::ERROR_LEVEL;
  // Only one key is read, so most files need not be opened.
  options.max_open_files = 64;
  options.skip_stats_update_on_db_open = true;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  rocksdb::Status status = rocksdb::DB::OpenForReadOnly(
      options, path_, {{rocksdb::kDefaultColumnFamilyName, rocksdb::ColumnFamilyOptions()}},
      &handles, &opened);
  if (!status.ok()) return FromRocksDb(status, "opening the store");
  const std::unique_ptr<rocksdb::DB> db(opened);
  std::string value;
  const absl::StatusOr<bool> found = ReadKey(db.get(), handles[0], nullptr, kLastCommitKey, &value);
  db->DestroyColumnFamilyHandle(handles[0]).PermitUncheckedError();
  COOKIX_RETURN_IF_ERROR(found.status());
  LastCommitRecord base;
  if (*found && !Decode(value, &base)) {
    return Damaged("the record of the last commit is damaged");
  }
  if (base.commit < *scan_base_commit_) {
    return Damaged("a log file is missing: the sorted files end with commit " +
                   std::to_string(base.commit) + ", the log begins after commit " +
                   std::to_string(*scan_base_commit_));
  }
  return absl::OkStatus();
}

absl::Status RocksDbStore::OpenDatabase(bool has_database) {
  if (has_database) COOKIX_RETURN_IF_ERROR(CheckBase());
  rocksdb::DBOptions db_options = DatabaseOptions();
  db_options.create_if_missing = !has_database;
  const std::vector<rocksdb::ColumnFamilyDescriptor> descriptors = FamilyDescriptors();
  if (has_database) {
    std::vector<std::string> names;
    const rocksdb::Status status = rocksdb::DB::ListColumnFamilies(db_options, path_, &names);
    if (!status.ok()) return FromRocksDb(status, "opening the store");
    for (const std::string& name : names) {
      if (std::find(kFamilyNames.begin(), kFamilyNames.end(), name) == kFamilyNames.end()) {
        return NotAStore(path_, "it has an unknown family, " + name);
      }
    }
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(db_options, path_, descriptors, &handles, &db);
  if (!status.ok()) return FromRocksDb(status, "opening the store");
  db_.reset(db);
  for (size_t i = 0; i < handles.size(); ++i) families_[i] = handles[i];
  return absl::OkStatus();
}

absl::Status RocksDbStore::LoadState(bool* initialised) {
  std::string value;
  rocksdb::ColumnFamilyHandle* const system = Handle(Family::kSystem);
  COOKIX_ASSIGN_OR_RETURN(*initialised, ReadKey(db_.get(), system, nullptr, kIdentityKey, &value));
  if (!*initialised) {
    // The process ended while it created the store, or this is a new one.
    if (db_->GetLatestSequenceNumber() != 0) {
      return Damaged("the store in " + path_ + " has data but no identity");
    }
    return absl::OkStatus();
  }
  IdentityRecord identity;
  if (!Decode(value, &identity)) return Damaged("the identity of the store is damaged");
  if (identity.format_version > kFormatVersion) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition,
        "the data of the store has format " + std::to_string(identity.format_version) +
            ", this program knows up to " + std::to_string(kFormatVersion),
        {"INTERNAL", "", "Use the version of CookiX that wrote it, or a newer one.", false});
  }
  if (identity.id != id_) {
    return Damaged("the file COOKIX and the data in " + path_ + " belong to different stores");
  }
  COOKIX_ASSIGN_OR_RETURN(last_, ReadLastCommit(db_.get(), system));
  EpochHistory epochs;
  auto iterator = NewIterator(db_.get(), system, nullptr, PrefixBounds(kEpochPrefix));
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    EpochStart epoch_record;
    if (!ParseEpochKey(iterator->key(), &epoch_record.epoch) ||
        !Decode(iterator->value(), &epoch_record)) {
      return Damaged("the epochs of the store are damaged");
    }
    epochs.push_back(epoch_record);
  }
  COOKIX_RETURN_IF_ERROR(iterator->status());
  if (epochs.empty() || epochs.back().epoch != last_.epoch) {
    return Damaged("the epochs of the store do not reach to its last commit");
  }
  SetEpochs(std::move(epochs));
  const uint64_t sequence = db_->GetLatestSequenceNumber();
  if (last_.commit < scan_report_.last_commit || sequence < scan_durable_sequence_ ||
      sequence + 1 < scan_next_sequence_) {
    return Damaged("only commits up to " + std::to_string(last_.commit) +
                   " were recovered, but the log has commit " +
                   std::to_string(scan_report_.last_commit));
  }
  return absl::OkStatus();
}

absl::Status RocksDbStore::BeginSession(const StoreFile& file, bool initialised) {
  rocksdb::ColumnFamilyHandle* const system = Handle(Family::kSystem);
  rocksdb::WriteBatch operations;
  const int64_t now = std::max(Now(), last_.time_ms);
  const auto begin_epoch = [&](uint64_t number) {
    const EpochStart begun{number, last_.commit + 1, now};
    operations.Put(system, EpochKey(number), Encode(begun));
    EpochHistory epochs = epochs_;
    epochs.push_back(begun);
    SetEpochs(std::move(epochs));
    last_.epoch = number;
  };
  if (!initialised) {
    if (options_.follower) {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "there is no store in " + path_ + " that could follow another one",
                       {"NOT_FOLLOWER", "path", "Begin with a copy of the other store.", false});
    }
    operations.Put(system, ToSlice(kIdentityKey), Encode(IdentityRecord{kFormatVersion, id_}));
    last_.time_ms = now;
    begin_epoch(1);
  } else {
    std::string value;
    COOKIX_ASSIGN_OR_RETURN(const bool found,
                            ReadKey(db_.get(), system, nullptr, kOpenStateKey, &value));
    OpenStateRecord before;
    if (!found || !Decode(value, &before)) {
      return Damaged("the record of how the store was closed is damaged");
    }
    const bool may_have_lost = !before.clean && before.weak;
    // A follower gets again what it lost, and a copy that follows has its original's history.
    if ((may_have_lost || file.copy) && !options_.follower) {
      begin_epoch(epochs_.back().epoch + 1);
      Say("info", "epoch " + std::to_string(epoch()) + " begins after commit " +
                      std::to_string(last_.commit) +
                      (file.copy ? ": the store is a copy"
                                 : ": the last commits may have been lost in a crash"));
    }
  }
  const bool weak = options_.sync_mode != SyncMode::kFull;
  operations.Put(system, ToSlice(kOpenStateKey),
                 Encode(OpenStateRecord{.clean = false, .weak = weak}));
  COOKIX_RETURN_IF_ERROR(WriteBookkeeping(LogKind::kBookkeeping, &operations, /*sync=*/true));
  // A follower stays a copy: opened as anything else it begins an epoch.
  return file.copy == options_.follower ? absl::OkStatus() : MarkCopy(options_.follower);
}

absl::Status RocksDbStore::MarkCopy(bool copy) {
  return WriteStoreFile(*fs_, path_, {.format_version = kFormatVersion, .id = id_, .copy = copy});
}

absl::Status RocksDbStore::WriteRecord(std::string* record, bool* applied) {
  const std::lock_guard lock(log_mutex_);
  *applied = false;
  COOKIX_RETURN_IF_ERROR(Failure());
  rocksdb::Status status = ApplyRecord(record);
  if (!status.ok()) return SetFailure(status);
  *applied = true;
  status = fs_->error();
  return status.ok() ? absl::OkStatus() : SetFailure(status);
}

rocksdb::Status RocksDbStore::ApplyRecord(std::string* record) {
  TakeableBatch batch(std::move(*record));
  const rocksdb::Status status = db_->Write(rocksdb::WriteOptions(), &batch);
  if (!status.ok()) return status;
  // RocksDB has put the sequence number into the batch.
  *record = batch.Take();
  written_sequence_.store(BatchSequence(*record) + BatchCount(*record) - 1);
  return status;
}

std::string RocksDbStore::BookkeepingRecord(LogKind kind, rocksdb::WriteBatch* operations) const {
  operations->Put(Handle(Family::kSystem), ToSlice(kLastCommitKey), Encode(last_));
  LogHeader header;
  header.kind = kind;
  header.store = id_;
  header.epoch = last_.epoch;
  header.commit = last_.commit;
  // Those come again.
  if (kind == LogKind::kRestart) header.commit -= unsettled_.size();
  header.time_ms = last_.time_ms;
  header.durable_sequence = durable_sequence_.load();
  return EncodeLogRecord(header, operations->Data());
}

absl::Status RocksDbStore::WriteBookkeeping(LogKind kind, rocksdb::WriteBatch* operations,
                                            bool sync) {
  std::string record = BookkeepingRecord(kind, operations);
  bool applied = false;
  COOKIX_RETURN_IF_ERROR(WriteRecord(&record, &applied));
  if (kind == LogKind::kRestart) {
    index_.AddAlways(last_.commit - unsettled_.size() + 1, BatchSequence(record));
  }
  return sync ? SyncLog() : absl::OkStatus();
}

absl::StatusOr<CommitResult> RocksDbStore::Commit(
    const CommitOptions& options, absl::FunctionRef<absl::Status(CommitBatch&)> builder) {
  Pending pending(&options, builder);
  queue_.Submit(&pending,
                [this](const std::vector<CommitQueue::Waiter*>& waiting) { return Lead(waiting); });
  return std::move(pending.result);
}

size_t RocksDbStore::Lead(const std::vector<CommitQueue::Waiter*>& waiting) {
  ResumeByItself();
  if (const absl::Status failure = Failure(); !failure.ok()) {
    for (CommitQueue::Waiter* waiter : waiting) static_cast<Pending&>(*waiter).result = failure;
    return waiting.size();
  }
  size_t bytes = 0;
  size_t served = 0;
  while (served < waiting.size() && (served == 0 || bytes < kMaxGroupBytes)) {
    auto& pending = static_cast<Pending&>(*waiting[served++]);
    pending.result = RunOne(*pending.options, pending.builder, &bytes);
  }
  if (unsettled_.empty()) return served;
  absl::Status settled = Outcome();
  if (settled.ok()) settled = Settle();
  if (!settled.ok()) {
    // Whoever relied on the group, by reading what it wrote, is not told either.
    for (size_t i = 0; i < served; ++i) {
      auto& pending = static_cast<Pending&>(*waiting[i]);
      if (pending.result.ok()) pending.result = settled;
    }
    Abort();
  }
  return served;
}

absl::StatusOr<CommitResult> RocksDbStore::RunOne(
    const CommitOptions& options, absl::FunctionRef<absl::Status(CommitBatch&)> builder,
    size_t* bytes) {
  COOKIX_RETURN_IF_ERROR(Failure());
  if (follower()) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "the store follows another one and takes no writes",
                     {"NOT_PRIMARY", "", "Write to the primary.", false});
  }
  rocksdb::ColumnFamilyHandle* const system = Handle(Family::kSystem);
  CommitResult result;
  std::string request_key;
  if (!options.request_id.empty()) {
    request_key = RequestKey(options.request_id);
    std::string value;
    COOKIX_ASSIGN_OR_RETURN(const bool known,
                            ReadKey(db_.get(), system, nullptr, request_key, &value));
    if (known) {
      RequestRecord request;
      if (!Decode(value, &request)) return Damaged("the record of a request id is damaged");
      if (request.fingerprint != options.request_fingerprint) {
        return MakeError(
            absl::StatusCode::kAlreadyExists, "the request id was used before, for another request",
            {"REQUEST_ID_REUSED", "request_id",
             "Give every request an id of its own; repeat one only unchanged.", false});
      }
      result.position = {id_, request.epoch, request.commit};
      result.replayed = true;
      result.response = std::move(request.response);
      return result;
    }
  }
  if (!options.reclaims_space && DiskIsLow()) {
    return MakeError(
        absl::StatusCode::kResourceExhausted, "the disk is nearly full, so only deletes are taken",
        {"DISK_LOW", "", "Free space on the disk, or delete data, then try again.", true});
  }

  const int64_t time_ms = std::max(Now(), last_.time_ms);
  Batch batch(this, last_.commit + 1, time_ms);
  COOKIX_RETURN_IF_ERROR(builder(batch));
  const auto refuse = [&](absl::Status status) {
    // The builder does not know that what it did came to nothing.
    if (listener_ != nullptr) listener_->OnAbort();
    return status;
  };
  if (!batch.error.ok()) return refuse(batch.error);
  // A request id is remembered also when its request changed nothing: repeated later it
  // might change something.
  if (batch.operations.Count() == 0 && request_key.empty()) {
    result.position = {id_, EpochOf(epochs_, last_.commit), last_.commit};
    result.response = std::move(batch.response);
    return result;
  }
  if (!batch.has_change && batch.operations.Count() > 0) {
    return refuse(MakeError(absl::StatusCode::kInternal, "a commit does not say what it changes",
                            {"INTERNAL", "", "Report this with the program's log.", false}));
  }
  if (batch.ByteSize() > static_cast<size_t>(std::max<int64_t>(options_.max_commit_bytes, 0))) {
    return refuse(LimitExceeded("",
                                "the write takes " + std::to_string(batch.ByteSize()) +
                                    " bytes, the limit is " +
                                    std::to_string(options_.max_commit_bytes),
                                "Split it into several writes."));
  }

  const LastCommitRecord next{last_.commit + 1, epoch(), time_ms};
  if (!options.request_id.empty()) {
    const RequestRecord request{next.commit, next.epoch, time_ms, options.request_fingerprint,
                                batch.response};
    batch.operations.Put(system, request_key, Encode(request));
    batch.operations.Put(system, RequestTimeKey(time_ms, options.request_id), "");
  }
  batch.operations.Put(system, ToSlice(kLastCommitKey), Encode(next));

  LogHeader header;
  header.kind = LogKind::kCommit;
  header.store = id_;
  header.epoch = next.epoch;
  header.commit = next.commit;
  header.time_ms = time_ms;
  header.durable_sequence = durable_sequence_.load();
  header.request_id = options.request_id;
  header.change = batch.change;
  auto entry = std::make_shared<LogCommit>();
  entry->batch = EncodeLogRecord(header, batch.operations.Data());
  bool applied = false;
  const absl::Status status = WriteRecord(&entry->batch, &applied);
  if (!applied) {
    // When earlier commits of the group are unsettled, Lead() aborts for all.
    if (unsettled_.empty()) Abort();
    return status;
  }
  entry->store = id_;
  entry->epoch = next.epoch;
  entry->commit = next.commit;
  entry->time_ms = time_ms;
  entry->request_id = options.request_id;
  entry->change = std::move(batch.change);
  last_ = next;
  *bytes += entry->batch.size();
  AddUnsettled(std::move(entry));
  COOKIX_RETURN_IF_ERROR(status);

  result.position = {id_, next.epoch, next.commit};
  result.committed = true;
  result.response = std::move(batch.response);
  return result;
}

void RocksDbStore::AddUnsettled(LogCommitPtr commit) {
  logged_since_trim_ += commit->batch.size();
  index_.Add(commit->commit, BatchSequence(commit->batch), commit->batch.size());
  unsettled_.push_back(std::move(commit));
}

absl::Status RocksDbStore::Settle() {
  if (options_.sync_mode == SyncMode::kFull) COOKIX_RETURN_IF_ERROR(SyncLog());
  Publish();
  return absl::OkStatus();
}

void RocksDbStore::Publish() {
  const auto snapshot = std::make_shared<const RocksDbSnapshot>(
      db_.get(), families_, Position{id_, unsettled_.back()->epoch, unsettled_.back()->commit});
  commits_ += unsettled_.size();
  ++commit_groups_;
  if (listener_ != nullptr) listener_->OnPublish(unsettled_, snapshot);
  std::shared_ptr<const Snapshot> before;  // freed outside the lock
  {
    const std::lock_guard lock(latest_mutex_);
    before = std::exchange(latest_, snapshot);
  }
  ring_->Push(unsettled_);
  unsettled_.clear();
  TrimArchive();
}

void RocksDbStore::TrimArchive() {
  // RocksDB does it too, but looks only every ten minutes.
  const uint64_t keep = KeptLogBytes();
  if (keep == 0 || logged_since_trim_ < std::max<uint64_t>(keep / 8, 1 << 20)) return;
  // Commits do not wait for who reads or copies the files: the next one tries again.
  const std::unique_lock lock(archive_mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return;
  logged_since_trim_ = 0;
  const absl::StatusOr<std::vector<WalFile>> files =
      ListWalFiles(*fs_, path_ + "/" + std::string(kArchiveDirectory));
  if (!files.ok()) return;
  uint64_t total = 0;
  for (const WalFile& file : *files) total += file.size;
  for (const WalFile& file : *files) {
    if (total <= keep) break;
    if (!fs_->DeleteFile(file.path, kIo, nullptr).ok()) break;
    total -= file.size;
  }
}

uint64_t RocksDbStore::KeptLogBytes() const {
  int64_t keep = std::max<int64_t>(options_.wal_keep_bytes, 0);
  // In memory the log takes from what there is for everything.
  if (options_.in_memory) keep = std::min(keep, options_.memory_budget_bytes / 4);
  return static_cast<uint64_t>(std::max<int64_t>(keep, 0));
}

void RocksDbStore::Abort() {
  if (listener_ != nullptr) listener_->OnAbort();
}

absl::Status RocksDbStore::SyncLog() {
  // Nothing survives the process anyway.
  if (options_.in_memory && options_.file_system == nullptr) return absl::OkStatus();
  const std::lock_guard lock(log_mutex_);
  // The system forgets what a failed sync was to write: another that succeeds says
  // nothing about it.
  COOKIX_RETURN_IF_ERROR(Failure());
  const uint64_t written = written_sequence_.load();
  rocksdb::Status status = db_->SyncWAL();
  if (status.ok()) status = fs_->error();
  if (!status.ok()) return SetFailure(status);
  durable_sequence_.store(written);
  return absl::OkStatus();
}

void RocksDbStore::SyncPeriodically() {
  const auto interval =
      std::chrono::milliseconds(std::max<int64_t>(options_.normal_sync_interval_ms, 1));
  std::unique_lock lock(sync_mutex_);
  while (!sync_wake_.wait_for(lock, interval, [&] { return stopping_; })) {
    if (written_sequence_.load() == durable_sequence_.load() || !Failure().ok()) continue;
    lock.unlock();
    const absl::Status status = SyncLog();
    if (!status.ok()) Say("error", std::string(status.message()));
    lock.lock();
  }
}

std::shared_ptr<const Snapshot> RocksDbStore::Latest() const {
  const std::lock_guard lock(latest_mutex_);
  return latest_;
}

absl::Status RocksDbStore::CheckPosition(const Position& position) const {
  const auto unknown = [&](std::string_view why) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "the position is not in the history of this store: " + std::string(why),
                     {"POSITION_UNKNOWN", "position",
                      "Read again without it; what it stood for may have been lost.", false});
  };
  if (position.store != id_) return unknown("it belongs to another store");
  const std::lock_guard lock(epochs_mutex_);
  const auto found =
      std::lower_bound(epochs_.begin(), epochs_.end(), position.epoch,
                       [](const EpochStart& e, uint64_t number) { return e.epoch < number; });
  if (found == epochs_.end() || found->epoch != position.epoch) {
    return unknown("its epoch is unknown");
  }
  const auto next = std::next(found);
  if (next != epochs_.end() && position.commit >= next->first_commit) {
    return unknown("its epoch ended before that commit");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<LogReader>> RocksDbStore::ReadLog(const Position& after) {
  COOKIX_RETURN_IF_ERROR(CheckPosition(after));
  return std::make_unique<StoreLogReader>(db_.get(), id_, &index_, ring_.get(), after.commit + 1);
}

absl::Status RocksDbStore::Sync() {
  COOKIX_RETURN_IF_ERROR(Failure());
  return SyncLog();
}

absl::Status RocksDbStore::Flush() {
  // What was not acknowledged stays out of sorted files until the log has it too.
  COOKIX_RETURN_IF_ERROR(Failure());
  absl::Status status;
  queue_.RunExclusive([&] { status = BeginFlush(); });
  COOKIX_RETURN_IF_ERROR(status);
  WaitWhile(rocksdb::DB::Properties::kNumImmutableMemTable);
  // It also puts away the log that is not needed any more.
  WaitWhile(rocksdb::DB::Properties::kNumRunningFlushes);
  if (!background_errors_->any()) return absl::OkStatus();
  return AfterWriting(background_errors_->last(), "flushing the store");
}

// RocksDB notes for each family why it is flushed, and aborts the process (7.8, mended in 8.0)
// when families of one flush have different reasons as it begins. So no other flush may be
// wanted from the moment that one is asked for until it has begun; leading the queue keeps
// writers from wanting one.
absl::Status RocksDbStore::BeginFlush() {
  WaitWhile(rocksdb::DB::Properties::kMemTableFlushPending);
  rocksdb::FlushOptions options;
  options.wait = false;
  options.allow_write_stall = true;
  const std::vector<rocksdb::ColumnFamilyHandle*> all(families_.begin(), families_.end());
  COOKIX_RETURN_IF_ERROR(AfterWriting(db_->Flush(options, all), "flushing the store"));
  WaitWhile(rocksdb::DB::Properties::kMemTableFlushPending);
  return absl::OkStatus();
}

void RocksDbStore::WaitWhile(const std::string& property) {
  const auto any = [&] {
    return std::any_of(families_.begin(), families_.end(), [&](rocksdb::ColumnFamilyHandle* f) {
      uint64_t value = 0;
      return db_->GetIntProperty(f, property, &value) && value > 0;
    });
  };
  // A flush that failed does not go on until the store resumes.
  while (!background_errors_->any() && any()) std::this_thread::sleep_for(kLookAgain);
}

absl::Status RocksDbStore::Compact(std::optional<Family> family) {
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  for (int i = 0; i < kFamilyCount; ++i) {
    if (family.has_value() && *family != static_cast<Family>(i)) continue;
    // Of what there is to flush RocksDB then finds next to nothing: see BeginFlush().
    COOKIX_RETURN_IF_ERROR(Flush());
    const rocksdb::Status status = db_->CompactRange(options, families_[i], nullptr, nullptr);
    COOKIX_RETURN_IF_ERROR(AfterWriting(status, "compacting the store"));
  }
  return absl::OkStatus();
}

StoreStats RocksDbStore::Stats() const {
  StoreStats stats;
  for (int i = 0; i < kFamilyCount; ++i) {
    rocksdb::ColumnFamilyHandle* const handle = families_[i];
    FamilyStats family;
    family.name = kFamilyNames[i];
    const auto number = [&](const std::string& property) {
      uint64_t value = 0;
      db_->GetIntProperty(handle, property, &value);
      return value;
    };
    family.keys = number(rocksdb::DB::Properties::kEstimateNumKeys);
    family.memtable_bytes = number(rocksdb::DB::Properties::kCurSizeAllMemTables);
    rocksdb::ColumnFamilyMetaData meta;
    db_->GetColumnFamilyMetaData(handle, &meta);
    family.sst_bytes = meta.size;
    family.sst_files = meta.file_count;
    for (const rocksdb::LevelMetaData& level : meta.levels) {
      family.files_per_level.push_back(level.files.size());
    }
    std::map<std::string, std::string> properties;
    if (db_->GetMapProperty(handle, rocksdb::DB::Properties::kAggregatedTableProperties,
                            &properties)) {
      const double raw = std::atof(properties["raw_key_size"].c_str()) +
                         std::atof(properties["raw_value_size"].c_str());
      const double data = std::atof(properties["data_size"].c_str());
      if (data > 0) family.compression_ratio = raw / data;
    }
    stats.families.push_back(std::move(family));
  }
  rocksdb::VectorLogPtr logs;
  if (db_->GetSortedWalFiles(logs).ok()) {
    for (const auto& log : logs) stats.wal_bytes += log->SizeFileBytes();
    stats.wal_files = logs.size();
  }
  stats.block_cache_bytes = cache_->GetUsage();
  uint64_t free = 0;
  if (fs_->GetFreeSpace(path_, kIo, &free, nullptr).ok()) stats.disk_free_bytes = free;
  stats.commits = commits_.load();
  stats.commit_groups = commit_groups_.load();
  const std::lock_guard lock(state_mutex_);
  stats.read_only = disk_low_ || !failure_.ok();
  return stats;
}

absl::StatusOr<LogScanReport> RocksDbStore::VerifyLog() const {
  // Files stay where they are while they are read.
  const std::lock_guard lock(archive_mutex_);
  COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<RocksDbHeldFiles> held,
                          RocksDbHeldFiles::Hold(db_.get()));
  WalScanOptions options;
  options.store = id_;
  options.written_before = written_sequence_.load() + 1;
  COOKIX_ASSIGN_OR_RETURN(std::vector<WalFile> files,
                          ListWalFiles(*fs_, path_ + "/" + std::string(kArchiveDirectory)));
  COOKIX_ASSIGN_OR_RETURN(const std::vector<WalFile> live, ListWalFiles(*fs_, path_));
  files.insert(files.end(), live.begin(), live.end());
  COOKIX_ASSIGN_OR_RETURN(WalScan result, ScanWal(*fs_, files, options));
  return std::move(result.report);
}

absl::Status RocksDbStore::TryResume() {
  absl::Status status;
  queue_.RunExclusive([&] { status = ResumeInLead(); });
  return status;
}

void RocksDbStore::ResumeByItself() {
  {
    const std::lock_guard lock(state_mutex_);
    if (failure_.ok() && !background_errors_->any()) return;
    if (std::abs(Now() - last_failure_ms_) < kTryAgainEveryMs) return;
  }
  if (DiskIsLow()) return;
  const absl::Status status = ResumeInLead();
  if (!status.ok()) Say("warning", "the disk still fails: " + std::string(status.message()));
}

absl::Status RocksDbStore::ResumeInLead() {
  rocksdb::Status status = fs_->error();
  if (!status.ok()) SetFailure(status).IgnoreError();
  const bool failed = !Failure().ok();
  if (!failed && !background_errors_->any()) return absl::OkStatus();
  {
    const std::lock_guard lock(state_mutex_);
    last_failure_ms_ = Now();
  }
  COOKIX_RETURN_IF_ERROR(TryDisk());
  if (failed) {
    // After a sync under way has seen what it is about to forget.
    const std::lock_guard lock(log_mutex_);
    status = fs_->Recover();
  }
  if (!status.ok()) return FromRocksDb(status, "writing what the manifest lacks");
  background_errors_->Forget();
  status = db_->Resume();
  if (!status.ok()) {
    background_errors_->Note(status);
    return FromRocksDb(status, "resuming after a failed write");
  }
  // Only a flush had failed.
  if (!failed) return absl::OkStatus();
  // The log is not to be trusted after a failed write or sync: what the memory
  // tables hold, commits that were not acknowledged included, goes to sorted files,
  // all families at once, and a new log begins.
  // RocksDB begins a new one only when it believes that there is something in the old one.
  rocksdb::WriteBatch nothing_new;
  // An epoch whose record failed may be in them too, and the store goes on without it.
  rocksdb::ColumnFamilyHandle* const system = Handle(Family::kSystem);
  nothing_new.DeleteRange(system, EpochKey(0), EpochKey(std::numeric_limits<uint64_t>::max()));
  for (const EpochStart& one : epochs_) nothing_new.Put(system, EpochKey(one.epoch), Encode(one));
  std::string record = BookkeepingRecord(LogKind::kBookkeeping, &nothing_new);
  status = ApplyRecord(&record);
  if (!status.ok()) return FromRocksDb(status, "beginning a new log");
  const std::vector<rocksdb::ColumnFamilyHandle*> all(families_.begin(), families_.end());
  WaitWhile(rocksdb::DB::Properties::kMemTableFlushPending);
  status = db_->Flush(rocksdb::FlushOptions(), all);
  COOKIX_RETURN_IF_ERROR(AfterWriting(status, "flushing the store"));
  // Files that were kept for the manifest are looked for again.
  COOKIX_RETURN_IF_ERROR(RocksDbHeldFiles::Hold(db_.get()).status());
  durable_sequence_.store(written_sequence_.load());
  bool was_no_space = false;
  {
    const std::lock_guard lock(state_mutex_);
    failure_ = absl::OkStatus();
    outcome_ = absl::OkStatus();
    was_no_space = std::exchange(failure_is_no_space_, false);
    free_space_asked_ms_ = -1;
  }
  // Whatever fails from here on is a new failure.
  rocksdb::WriteBatch none;
  COOKIX_RETURN_IF_ERROR(WriteBookkeeping(LogKind::kRestart, &none, /*sync=*/false));
  // Commits that were not acknowledged are in the store, so readers of the log need
  // them, and it is not known which are in the old one. To write them again changes
  // nothing else: they are the last.
  for (LogCommitPtr& commit : unsettled_) {
    auto again = std::make_shared<LogCommit>(*commit);
    bool applied = false;
    COOKIX_RETURN_IF_ERROR(WriteRecord(&again->batch, &applied));
    commit = std::move(again);
  }
  COOKIX_RETURN_IF_ERROR(SyncLog());
  if (!unsettled_.empty()) Publish();
  Say("info", std::string("the store takes commits again, from commit ") +
                  std::to_string(last_.commit + 1) + (was_no_space ? ": the disk has room" : ""));
  return absl::OkStatus();
}

absl::Status RocksDbStore::TryDisk() {
  // RocksDB does not recover from every failure while it resumes. So the disk has to
  // show first that it can take what that will write.
  uint64_t needed = 1 << 20;
  for (rocksdb::ColumnFamilyHandle* family : families_) {
    uint64_t bytes = 0;
    db_->GetIntProperty(family, rocksdb::DB::Properties::kCurSizeAllMemTables, &bytes);
    needed += bytes;
  }
  const std::string name = path_ + "/COOKIX.try";
  const auto write = [&]() -> rocksdb::Status {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    rocksdb::IOStatus status = fs_->NewWritableFile(name, rocksdb::FileOptions(), &file, nullptr);
    const std::string zeros(256 << 10, '\0');
    for (uint64_t written = 0; status.ok() && written < needed; written += zeros.size()) {
      status = file->Append(zeros, kIo, nullptr);
    }
    if (status.ok()) status = file->Sync(kIo, nullptr);
    if (status.ok()) status = file->Close(kIo, nullptr);
    return status;
  };
  const rocksdb::Status status = write();
  fs_->DeleteFile(name, kIo, nullptr).PermitUncheckedError();
  return FromRocksDb(status, "trying the disk after a failed write");
}

absl::StatusOr<int64_t> RocksDbStore::ForgetRequestIds(int64_t limit) {
  int64_t forgotten = 0;
  absl::Status status;
  while (status.ok() && forgotten < limit) {
    int64_t found = 0;
    queue_.RunExclusive([&] {
      status = Failure();
      if (!status.ok()) return;
      rocksdb::ColumnFamilyHandle* const system = Handle(Family::kSystem);
      const int64_t before = Now() - options_.request_id_keep_ms;
      rocksdb::WriteBatch operations;
      auto iterator = NewIterator(db_.get(), system, nullptr, PrefixBounds(kRequestTimePrefix));
      for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
        int64_t time_ms = 0;
        std::string_view request_id;
        if (!ParseRequestTimeKey(iterator->key(), &time_ms, &request_id)) {
          status = Damaged("the index of request ids is damaged");
          return;
        }
        if (time_ms >= before || found == std::min(kForgetAtOnce, limit - forgotten)) break;
        operations.Delete(system, ToSlice(iterator->key()));
        operations.Delete(system, RequestKey(request_id));
        ++found;
      }
      status = iterator->status();
      if (status.ok() && found > 0) {
        status = WriteBookkeeping(LogKind::kBookkeeping, &operations, /*sync=*/false);
      }
    });
    if (!status.ok()) return status;
    if (found == 0) break;
    forgotten += found;
  }
  return forgotten;
}

absl::StatusOr<std::unique_ptr<CheckedFileReader>> RocksDbStore::OpenViewFile(
    std::string_view view, uint32_t newest_version) {
  return view_files_->Open(view, newest_version);
}

absl::StatusOr<std::unique_ptr<CheckedFileWriter>> RocksDbStore::CreateViewFile(
    std::string_view view, uint32_t version) {
  return view_files_->Create(view, version);
}

absl::Status RocksDbStore::DeleteViewFile(std::string_view view) {
  return view_files_->Delete(view);
}

absl::StatusOr<std::unique_ptr<LocalStore>> RocksDbStore::OpenLocalStore(std::string_view view,
                                                                         int64_t memory_bytes) {
  return view_files_->OpenLocal(view, memory_bytes);
}

absl::Status RocksDbStore::DeleteLocalStore(std::string_view view) {
  return view_files_->DeleteLocal(view);
}

absl::Status RocksDbStore::Failure() const {
  const std::lock_guard lock(state_mutex_);
  return failure_;
}

absl::Status RocksDbStore::SetFailure(const rocksdb::Status& cause) {
  absl::Status outcome;
  {
    const std::lock_guard lock(state_mutex_);
    if (!failure_.ok()) return outcome_;
    failure_is_no_space_ = IsNoSpaceError(cause);
    last_failure_ms_ = Now();
    const std::string unknown = ", and whether the write will take effect is not known yet";
    if (failure_is_no_space_) {
      failure_ = MakeError(absl::StatusCode::kResourceExhausted,
                           "the disk is full, so the store takes no writes",
                           {"DISK_LOW", "", "Free space on the disk, then try again.", true});
      outcome_ =
          MakeError(absl::StatusCode::kResourceExhausted, "the disk is full" + unknown,
                    {"DISK_LOW", "",
                     "Free space on the disk, then repeat the write with its request id.", true});
    } else {
      failure_ =
          MakeError(absl::StatusCode::kInternal,
                    "the store takes no writes since one failed: " + cause.ToString(),
                    {"IO_ERROR", "", "Check the disk; the store tries it again by itself.", false});
      outcome_ = MakeError(absl::StatusCode::kInternal,
                           "the log could not be written" + unknown + ": " + cause.ToString(),
                           {"IO_ERROR", "",
                            "Check the disk; the store tries it again by itself. Then repeat the "
                            "write with its request id.",
                            false});
    }
    outcome = outcome_;
  }
  Say("error", "a write failed, the store takes no more: " + cause.ToString());
  return outcome;
}

absl::Status RocksDbStore::AfterWriting(const rocksdb::Status& status, std::string_view doing) {
  const rocksdb::Status kept = fs_->error();
  if (kept.ok()) return FromRocksDb(status, doing);
  SetFailure(kept).IgnoreError();
  return FromRocksDb(kept, doing);
}

absl::Status RocksDbStore::Outcome() const {
  const std::lock_guard lock(state_mutex_);
  return outcome_;
}

std::optional<uint64_t> RocksDbStore::FreeSpace() {
  const int64_t now = Now();
  {
    const std::lock_guard lock(state_mutex_);
    if (free_space_asked_ms_ >= 0 && std::abs(now - free_space_asked_ms_) < kAskDiskEveryMs) {
      return free_space_;
    }
  }
  uint64_t free = 0;
  const bool known = fs_->GetFreeSpace(path_, kIo, &free, nullptr).ok();
  const std::lock_guard lock(state_mutex_);
  free_space_asked_ms_ = now;
  free_space_ = known ? std::optional<uint64_t>(free) : std::nullopt;
  return free_space_;
}

bool RocksDbStore::DiskIsLow() {
  if (options_.low_disk_bytes <= 0) return false;
  const std::optional<uint64_t> free = FreeSpace();
  const bool low = free.has_value() && *free < static_cast<uint64_t>(options_.low_disk_bytes);
  bool changed = false;
  {
    const std::lock_guard lock(state_mutex_);
    changed = std::exchange(disk_low_, low) != low;
  }
  if (changed && low) {
    Say("warning", "only " + std::to_string(*free) +
                       " bytes are free on the disk: the store takes only deletes");
  } else if (changed) {
    Say("info", "the disk has room again: the store takes writes");
  }
  return low;
}

int64_t RocksDbStore::Now() const {
  if (options_.clock_ms) return std::max<int64_t>(options_.clock_ms(), 0);
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void RocksDbStore::Say(std::string_view level, std::string_view message) const {
  if (options_.log) options_.log(level, message);
}

}  // namespace cookix::storage
