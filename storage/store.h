// The durable store: column families behind atomic, numbered commits.
//
// One Store owns one directory. All writes go through Commit(), which orders
// them, gives each the next commit number, writes one log record for each, syncs
// once for all that wait together, and only then shows and acknowledges them. So
// nobody reads what a crash could take back (in SyncMode::kFull).
//
// Threads: every method may be called from any thread unless it says otherwise.
// Lifetime: snapshots, iterators and log readers must be gone before the store.
#ifndef COOKIX_STORAGE_STORE_H_
#define COOKIX_STORAGE_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/checked_file.h"
#include "storage/column_families.h"
#include "storage/local_store.h"
#include "storage/log.h"
#include "storage/options.h"
#include "storage/position.h"
#include "storage/snapshot.h"
#include "storage/store_copy.h"

namespace cookix::storage {

// The version of everything on disk: key layouts, records, log headers. A store
// of a newer version is refused with FAILED_PRECONDITION.
inline constexpr uint32_t kFormatVersion = 1;

// The batch that a commit's builder fills. Only usable inside the builder.
class CommitBatch {
 public:
  virtual ~CommitBatch() = default;

  // The number this commit will have: the version of everything it writes.
  virtual uint64_t commit() const = 0;
  // The time of this commit, Unix milliseconds. Never less than the time of the
  // commit before.
  virtual int64_t time_ms() const = 0;

  virtual void Put(Family family, std::string_view key, std::string_view value) = 0;
  virtual void Delete(Family family, std::string_view key) = 0;
  // Deletes [begin, end). Costs one record whatever it covers. Of identity, objects and
  // edges, `begin` is at most 4 bytes long, as a namespace is.
  virtual void DeleteRange(Family family, std::string_view begin, std::string_view end) = 0;

  // Reads the state that this commit builds upon: every earlier commit, those
  // not yet acknowledged included, but not this batch's own writes.
  virtual absl::StatusOr<bool> Get(Family family, std::string_view key, std::string* value) = 0;
  virtual std::unique_ptr<Iterator> Scan(Family family, ScanBounds bounds) = 0;

  // The logical change for readers of the log. Required when anything is
  // written.
  virtual void SetChange(std::string change) = 0;
  // What Commit() returns as CommitResult::response, also when a request id is
  // replayed. Keep it small: it is stored with the request id.
  virtual void SetResponse(std::string response) = 0;

  // Bytes so far.
  virtual size_t ByteSize() const = 0;
};

struct CommitOptions {
  // Applies the commit once per id (scoped by the caller, for instance by
  // namespace). Empty = always applies.
  std::string request_id;
  // Hash of the request: the same id with another fingerprint is refused with
  // REQUEST_ID_REUSED.
  uint64_t request_fingerprint = 0;
  // Taken below the low-water mark of free disk and in the read-only mode that
  // it brings: for deletes and for the collector.
  bool reclaims_space = false;
};

struct CommitResult {
  // The commit; when nothing was written, the last commit the builder saw.
  Position position;
  // False when the builder wrote nothing, or the request was replayed.
  bool committed = false;
  // The request id had been applied before; `response` is the stored one.
  bool replayed = false;
  std::string response;
};

// Told about commits, in order, on the thread that leads the group and while no
// builder runs. Must be quick and must not call back into the store's Commit().
class CommitListener {
 public:
  virtual ~CommitListener() = default;
  // A group is durable. `snapshot` shows exactly up to its last commit. Called
  // before the group is acknowledged and before Latest() shows it.
  virtual void OnPublish(const std::vector<LogCommitPtr>& commits,
                         const std::shared_ptr<const Snapshot>& snapshot) = 0;
  // Commits whose builders ran were not written. What builders derived from
  // them must be read again from the store.
  virtual void OnAbort() = 0;
};

struct FamilyStats {
  std::string name;
  uint64_t keys = 0;
  uint64_t sst_bytes = 0;
  uint64_t sst_files = 0;
  uint64_t memtable_bytes = 0;
  std::vector<uint64_t> files_per_level;
  double compression_ratio = 0;
};

struct StoreStats {
  std::vector<FamilyStats> families;
  uint64_t wal_bytes = 0;
  uint64_t wal_files = 0;
  uint64_t block_cache_bytes = 0;
  uint64_t disk_free_bytes = 0;
  uint64_t commits = 0;
  uint64_t commit_groups = 0;
  // True below the low-water mark or after a failed write.
  bool read_only = false;
};

class Store {
 public:
  // Opens or creates a store. Before RocksDB sees the directory the log is
  // scanned: a torn tail is reported through Options::log and dropped; damage in
  // the middle is refused. Errors:
  //   kNotFound            missing and must_exist
  //   kFailedPrecondition  locked by another process; format newer than this
  //                        program; not a CookiX store
  //   kPermissionDenied    the directory cannot be written
  //   kDataLoss            damaged, saying which file and where
  static absl::StatusOr<std::unique_ptr<Store>> Open(Options options);

  // Waits for commits under way, syncs and closes. No call may be in progress.
  virtual ~Store() = default;

  // Runs `builder` in commit order and commits what it wrote. The builder may
  // run on another caller's thread; Commit() returns after it is durable (see
  // SyncMode) and visible. An error of the builder is returned unchanged and
  // nothing is written. Further errors:
  //   kAlreadyExists      REQUEST_ID_REUSED
  //   kInvalidArgument    LIMIT_EXCEEDED: the batch is too large
  //   kResourceExhausted  DISK_LOW, retryable
  //   kInternal           IO_ERROR: the write failed; the store takes no more
  //                       commits until it could resume, which every commit that
  //                       comes a second or more later lets it try
  //   kFailedPrecondition NOT_PRIMARY: the store is a follower
  virtual absl::StatusOr<CommitResult> Commit(
      const CommitOptions& options, absl::FunctionRef<absl::Status(CommitBatch&)> builder) = 0;

  // The newest durable state. Cheap.
  virtual std::shared_ptr<const Snapshot> Latest() const = 0;

  // At most one; set before the first Commit().
  virtual void SetListener(CommitListener* listener) = 0;

  // A reader of the commits after `after`. FAILED_PRECONDITION when the position
  // is not in this store's history.
  virtual absl::StatusOr<std::unique_ptr<LogReader>> ReadLog(const Position& after) = 0;

  // OK when `position` is in this store's history (it may still be in the
  // future of this epoch), FAILED_PRECONDITION POSITION_UNKNOWN otherwise.
  virtual absl::Status CheckPosition(const Position& position) const = 0;

  virtual const StoreId& id() const = 0;
  virtual uint64_t epoch() const = 0;
  // Rising; at least one.
  virtual std::vector<EpochStart> Epochs() const = 0;

  // Whether the store repeats commits instead of making them.
  virtual bool follower() const = 0;

  // Repeats commits of the store that this one follows: under their numbers, times and
  // request ids, published to the listener and to readers as the store's own are.
  // `records` are LogCommit::batch, one after the other without a gap; `history` are the
  // epochs of the other store. Returns when all are durable (see SyncMode). Epochs that begin
  // where the store now ends are taken over also when no commit of theirs came yet; own ones
  // in which nothing was committed give way to a later history. What comes before an error
  // stays. Errors:
  //   kDataLoss            a record is damaged
  //   kFailedPrecondition  HISTORY_DIVERGED: the records are not the continuation of what
  //                        the store holds: of another store, a commit missing or repeated,
  //                        or its last commits not in `history`. NOT_FOLLOWER: see follower()
  //   and those of a failed write, as Commit()
  virtual absl::Status Replicate(const std::vector<EpochStart>& history,
                                 const std::vector<std::string_view>& records) = 0;

  // Begins epoch `epoch` after the last commit, durably, and takes commits of its own from
  // then on. INVALID_ARGUMENT unless it is greater than epoch().
  virtual absl::Status BeginEpoch(uint64_t epoch) = 0;
  // Takes no commits of its own from now on, durably: those under way are done when it
  // returns.
  virtual absl::Status BecomeFollower() = 0;

  // Makes all acknowledged commits durable, whatever the sync mode.
  virtual absl::Status Sync() = 0;
  // Flushes memory tables to sorted files. Not while commits are refused after a failed
  // write, nor Compact().
  virtual absl::Status Flush() = 0;
  // Compacts one family, or all.
  virtual absl::Status Compact(std::optional<Family> family) = 0;
  // Writes a consistent copy that can be opened as a store into `path`, which
  // must not exist; returns the position it holds. Removes what it wrote when it
  // fails.
  virtual absl::StatusOr<Position> Checkpoint(const std::string& path) = 0;
  // Makes a copy that can be read file by file while this store goes on, and that is gone with
  // the object. It has the files that views have saved, none of them ahead of the copy, and
  // of the log what holds commits after `log_from`, so that ReadLog() from there works in a
  // store made of it; less when the log does not reach back so far, and nothing when
  // `log_from` is its last commit or a later one. Everything in it is durable here, whatever
  // the sync mode. Files are linked where the file system can, and each is read once. Must be
  // gone before the store. Errors:
  //   kResourceExhausted  DISK_LOW
  //   kInternal           IO_ERROR: it could not be written, or the store takes no commits
  virtual absl::StatusOr<std::unique_ptr<StoreCopy>> MakeCopy(uint64_t log_from) = 0;
  virtual StoreStats Stats() const = 0;
  // Reads every log file and checks it; does not disturb writers.
  virtual absl::StatusOr<LogScanReport> VerifyLog() const = 0;
  // Tries at once to take commits again after a write or a flush failed for want of space
  // or because of a passing error. Otherwise the store tries by itself with the next commits.
  virtual absl::Status TryResume() = 0;
  // Forgets request ids older than Options::request_id_keep_ms, at most `limit`
  // of them; returns how many.
  virtual absl::StatusOr<int64_t> ForgetRequestIds(int64_t limit) = 0;

  // Files in which views save themselves, one for each, in `views` beneath the
  // store's directory. They are no part of the store: a checkpoint has none, a copy has, and
  // whoever reads one must not believe it before CheckPosition() has accepted the
  // position in it. `view` is a name of lower-case letters, digits and underscores,
  // at most 64. One user at a time for each view. Readers and writers must be gone
  // before the store.

  // kNotFound when there is none; kDataLoss and kFailedPrecondition (content newer
  // than `newest_version`) as OpenCheckedFile.
  virtual absl::StatusOr<std::unique_ptr<CheckedFileReader>> OpenViewFile(
      std::string_view view, uint32_t newest_version) = 0;
  // Begins a new file, which replaces the old one when it is finished. Leaves
  // Options::low_disk_bytes free: kResourceExhausted DISK_LOW.
  virtual absl::StatusOr<std::unique_ptr<CheckedFileWriter>> CreateViewFile(std::string_view view,
                                                                            uint32_t version) = 0;
  // OK when there is none.
  virtual absl::Status DeleteViewFile(std::string_view view) = 0;

  // Databases of views whose state is larger than memory, with the same rules as their
  // files. Opened with errors as LocalStore::Open(); leaves Options::low_disk_bytes free.
  virtual absl::StatusOr<std::unique_ptr<LocalStore>> OpenLocalStore(std::string_view view,
                                                                     int64_t memory_bytes) = 0;
  // REQUIRES: it is not open. OK when there is none.
  virtual absl::Status DeleteLocalStore(std::string_view view) = 0;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_STORE_H_
