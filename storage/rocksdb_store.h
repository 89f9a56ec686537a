// The implementation of Store over RocksDB.
#ifndef COOKIX_STORAGE_ROCKSDB_STORE_H_
#define COOKIX_STORAGE_ROCKSDB_STORE_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"
#include "storage/background_errors.h"
#include "storage/commit_queue.h"
#include "storage/epoch_history.h"
#include "storage/guarded_file_system.h"
#include "storage/log_header.h"
#include "storage/log_index.h"
#include "storage/log_ring.h"
#include "storage/rocksdb_snapshot.h"
#include "storage/store.h"
#include "storage/store_file.h"
#include "storage/system_records.h"
#include "storage/view_files.h"

namespace cookix::storage {

class RocksDbStore : public Store {
 public:
  // Call Open() next; nothing else before it has succeeded.
  explicit RocksDbStore(Options options);
  ~RocksDbStore() override;

  absl::Status Open();

  absl::StatusOr<CommitResult> Commit(
      const CommitOptions& options, absl::FunctionRef<absl::Status(CommitBatch&)> builder) override;
  std::shared_ptr<const Snapshot> Latest() const override;
  void SetListener(CommitListener* listener) override { listener_ = listener; }
  absl::StatusOr<std::unique_ptr<LogReader>> ReadLog(const Position& after) override;
  absl::Status CheckPosition(const Position& position) const override;
  const StoreId& id() const override { return id_; }
  uint64_t epoch() const override { return epoch_.load(); }
  EpochHistory Epochs() const override;
  bool follower() const override { return follower_.load(); }
  absl::Status Replicate(const EpochHistory& history,
                         const std::vector<std::string_view>& records) override;
  absl::Status BeginEpoch(uint64_t epoch) override;
  absl::Status BecomeFollower() override;
  absl::Status Sync() override;
  absl::Status Flush() override;
  absl::Status Compact(std::optional<Family> family) override;
  absl::StatusOr<Position> Checkpoint(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<StoreCopy>> MakeCopy(uint64_t log_from) override;
  StoreStats Stats() const override;
  absl::StatusOr<LogScanReport> VerifyLog() const override;
  absl::Status TryResume() override;
  absl::StatusOr<int64_t> ForgetRequestIds(int64_t limit) override;
  absl::StatusOr<std::unique_ptr<CheckedFileReader>> OpenViewFile(std::string_view view,
                                                                  uint32_t newest_version) override;
  absl::StatusOr<std::unique_ptr<CheckedFileWriter>> CreateViewFile(std::string_view view,
                                                                    uint32_t version) override;
  absl::Status DeleteViewFile(std::string_view view) override;
  absl::StatusOr<std::unique_ptr<LocalStore>> OpenLocalStore(std::string_view view,
                                                             int64_t memory_bytes) override;
  absl::Status DeleteLocalStore(std::string_view view) override;

 private:
  struct Pending;
  class Batch;

  // A checkpoint: what it holds, RocksDB's number of its last operation, and when its last
  // commit was made.
  struct Checkpointed {
    Position position;
    uint64_t sequence = 0;
    int64_t time_ms = 0;
  };

  static std::string WithoutTrailingSlash(std::string path);
  // Reads the record of the last commit of a database.
  static absl::StatusOr<LastCommitRecord> ReadLastCommit(rocksdb::DB* db,
                                                         rocksdb::ColumnFamilyHandle* system);

  // Opening, in this order.
  absl::Status PrepareDirectory(StoreFile* file, bool* has_database);
  absl::Status LockDirectory();
  absl::Status ScanLog();
  // Checks that the log begins where the sorted files end.
  absl::Status CheckBase();
  absl::Status OpenDatabase(bool has_database);
  absl::Status LoadState(bool* initialised);
  absl::Status BeginSession(const StoreFile& file, bool initialised);

  // The rest runs while leading the queue, or before the store is shared.

  size_t Lead(const std::vector<CommitQueue::Waiter*>& waiting);
  absl::StatusOr<CommitResult> RunOne(const CommitOptions& options,
                                      absl::FunctionRef<absl::Status(CommitBatch&)> builder,
                                      size_t* bytes);
  // Makes the commits in unsettled_ durable as the mode demands, and shows them.
  absl::Status Settle();
  // Shows the commits in unsettled_.
  void Publish();
  // Writes one record of the log, given as RocksDB's representation of a batch, and
  // puts what is in the log, sequence number included, back. After an error the
  // record may be in the memory tables nevertheless: then *applied is true.
  absl::Status WriteRecord(std::string* record, bool* applied);
  // Like it, whatever failed before.
  rocksdb::Status ApplyRecord(std::string* record);
  std::string BookkeepingRecord(LogKind kind, rocksdb::WriteBatch* operations) const;
  // Writes a record of the store's own, and syncs it if asked.
  absl::Status WriteBookkeeping(LogKind kind, rocksdb::WriteBatch* operations, bool sync);
  absl::Status ResumeInLead();
  // REQUIRES: leading the queue.
  absl::Status BeginFlush();
  // While RocksDB says that `property` of any family is not 0, and no flush has failed.
  void WaitWhile(const std::string& property);
  // After a failed write or flush the disk is tried again by itself, from time to time.
  void ResumeByItself();
  // Repeats one commit, without settling it. `bytes` of the log are added to.
  absl::Status ReplicateOne(const EpochHistory& history, std::string_view record, size_t* bytes);
  // Takes over the epochs of `history` that begin right after the last commit, and gives up
  // those of its own that are not in it. REQUIRES: CheckHistory().
  absl::Status TakeOverEpochs(const EpochHistory& history);
  // OK when what this store holds is a part of `history`.
  absl::Status CheckHistory(const EpochHistory& history) const;
  // Keeps the first `kept` epochs and adds `begun`, in one record of the log. It is not synced.
  absl::Status WriteEpochs(size_t kept, const EpochHistory& begun);
  // Says in the file COOKIX whether the store is a copy.
  absl::Status MarkCopy(bool copy);
  void SetEpochs(EpochHistory epochs);
  // Tells readers and the listener of a commit that was written.
  void AddUnsettled(LogCommitPtr commit);
  // Whether as much can be written as resuming may need.
  absl::Status TryDisk();
  void Abort();

  // Copies of the store. What they wrote stays when they fail.

  // Writes a checkpoint and makes durable here what it holds.
  absl::StatusOr<Checkpointed> WriteCheckpoint(const std::string& target);
  // Puts what MakeCopy() gives out into `target`.
  absl::StatusOr<CopyManifest> WriteCopy(uint64_t log_from, const std::string& target);
  // Links the files that views have saved into `directory`, made if there are any.
  absl::Status LinkViews(const std::string& directory);
  // Links the files of the log with commits after `log_from` that the checkpoint in `target`
  // lacks into its archive. While no file of the log is deleted or moved.
  absl::Status LinkLog(uint64_t log_from, const Checkpointed& made, const std::string& target);

  // Deletes the oldest files of the archive while it is larger than it may be, once
  // enough was written since the last time.
  void TrimArchive();
  uint64_t KeptLogBytes() const;
  // Makes everything written so far durable.
  absl::Status SyncLog();
  void SyncPeriodically();

  // OK, or why no commits are taken.
  absl::Status Failure() const;
  // What who was writing then is told.
  absl::Status Outcome() const;
  // Returns Outcome().
  absl::Status SetFailure(const rocksdb::Status& cause);
  // The error of what RocksDB did, or of what was kept from it meanwhile.
  absl::Status AfterWriting(const rocksdb::Status& status, std::string_view doing);
  // Free bytes, asked at most once a second; nothing when it cannot be known.
  std::optional<uint64_t> FreeSpace();
  bool DiskIsLow();
  int64_t Now() const;
  void Say(std::string_view level, std::string_view message) const;
  rocksdb::ColumnFamilyHandle* Handle(Family family) const {
    return families_[static_cast<size_t>(family)];
  }
  // Families and settings of the database, the same for a store and a checkpoint.
  rocksdb::DBOptions DatabaseOptions();
  std::vector<rocksdb::ColumnFamilyDescriptor> FamilyDescriptors();

  const Options options_;
  const std::string path_;
  std::shared_ptr<GuardedFileSystem> fs_;
  std::unique_ptr<rocksdb::Env> env_;
  const std::shared_ptr<BackgroundErrors> background_errors_ = std::make_shared<BackgroundErrors>();
  std::unique_ptr<ViewFiles> view_files_;
  rocksdb::FileLock* lock_ = nullptr;
  std::shared_ptr<rocksdb::Cache> cache_;
  std::unique_ptr<rocksdb::DB> db_;
  FamilyHandles families_{};

  StoreId id_{};
  // Rising; never empty after Open(). Changes while leading only.
  mutable std::mutex epochs_mutex_;
  EpochHistory epochs_;
  // The last of them.
  std::atomic<uint64_t> epoch_{0};
  // Changes while leading only.
  std::atomic<bool> follower_;

  // What the scan before opening found, until Open() has checked it.
  LogScanReport scan_report_;
  uint64_t scan_next_sequence_ = 0;
  uint64_t scan_durable_sequence_ = 0;
  std::optional<uint64_t> scan_base_commit_;

  CommitListener* listener_ = nullptr;
  CommitQueue queue_;
  LogIndex index_;
  std::unique_ptr<LogRing> ring_;

  // Of the last commit written, which may not be published yet. Only while
  // leading.
  LastCommitRecord last_;
  // Applied, not yet published. Between leads only after a failure.
  std::vector<LogCommitPtr> unsettled_;
  uint64_t logged_since_trim_ = 0;
  // Held while files of the archive are deleted, or must not be.
  mutable std::mutex archive_mutex_;

  // Held around every write and sync of the log, so that what one does after an
  // error of the other cannot be mistaken for success.
  std::mutex log_mutex_;
  // Everything up to here is written / known to be on the disk.
  std::atomic<uint64_t> written_sequence_{0};
  std::atomic<uint64_t> durable_sequence_{0};

  std::atomic<uint64_t> copies_made_{0};
  std::atomic<uint64_t> commits_{0};
  std::atomic<uint64_t> commit_groups_{0};

  mutable std::mutex latest_mutex_;
  std::shared_ptr<const Snapshot> latest_;

  mutable std::mutex state_mutex_;
  absl::Status failure_;
  absl::Status outcome_;
  bool failure_is_no_space_ = false;
  // When a write failed, or resuming was last tried.
  int64_t last_failure_ms_ = 0;
  bool disk_low_ = false;
  std::optional<uint64_t> free_space_;
  int64_t free_space_asked_ms_ = -1;

  std::thread sync_thread_;
  std::mutex sync_mutex_;
  std::condition_variable sync_wake_;
  bool stopping_ = false;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_ROCKSDB_STORE_H_
