// How a store is opened. Each option says its default and unit; none changes
// while the store is open unless it says so.
#ifndef COOKIX_STORAGE_OPTIONS_H_
#define COOKIX_STORAGE_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace rocksdb {
class FileSystem;
}  // namespace rocksdb

namespace cookix::storage {

// When an acknowledged commit is on the disk.
enum class SyncMode {
  // Before it is acknowledged. Commits that wait together share one sync.
  kFull,
  // At the latest `normal_sync_interval_ms` later, and at checkpoints. A crash of
  // the machine may lose the last commits; a crash of the process loses none.
  kNormal,
  // Whenever the operating system writes. Same caveat, without a bound.
  kOff,
};

enum class Compression { kLz4, kZstd, kNone };

struct Options {
  // Directory of the store. Created if missing unless `must_exist`. In memory
  // mode it is only a name.
  std::string path;
  bool must_exist = false;

  // Everything lives in memory and is gone when the store closes.
  bool in_memory = false;

  // The one seam through which every file is touched. Null = the operating
  // system's (or memory's). Tests pass a FaultInjectionFileSystem.
  std::shared_ptr<rocksdb::FileSystem> file_system;

  // The store repeats the commits of another one, given to Store::Replicate(), and takes none
  // of its own until Store::BeginEpoch(). A copy of a store is opened without a new epoch
  // then: its history goes on as the original's.
  bool follower = false;

  // Opens a store that a restore has not finished yet, which is refused otherwise: for the
  // restore itself.
  bool restoring = false;

  SyncMode sync_mode = SyncMode::kFull;
  int64_t normal_sync_interval_ms = 1000;

  Compression compression = Compression::kLz4;
  // Level for kZstd, 1 to 22.
  int zstd_level = 3;

  // Memory for block cache and memory tables together, bytes. The cache gets
  // what the tables do not use. 512 MiB suits two cores and a few GiB.
  int64_t memory_budget_bytes = 512 << 20;
  // Background threads for flushes and compactions together.
  int background_jobs = 2;

  // Bytes of recent commits kept in memory for readers of the log.
  int64_t ring_bytes = 32 << 20;
  // How much of the log is kept on disk for readers that fall behind: files that are
  // no longer needed for recovery go when they are older than `wal_keep_seconds` or
  // when they add up to more than `wal_keep_bytes`, the oldest first. In memory mode
  // they get a quarter of the memory budget at most. 0 = no limit of that kind; both
  // 0 = they go at once.
  int64_t wal_keep_bytes = 1LL << 30;
  int64_t wal_keep_seconds = 3600;

  // Free bytes on the disk below which only commits that reclaim space are
  // taken. 0 switches the check off.
  int64_t low_disk_bytes = 256 << 20;

  // A commit larger than this is refused with LIMIT_EXCEEDED.
  int64_t max_commit_bytes = 64 << 20;

  // How long request ids are remembered.
  int64_t request_id_keep_ms = 24LL * 3600 * 1000;

  // The clock, Unix milliseconds. Null = the system's.
  std::function<int64_t()> clock_ms;

  // Receives what a person should know: recoveries, torn tails, low disk. Called
  // from any thread. Null = dropped. `level` is "info", "warning" or "error".
  std::function<void(std::string_view level, std::string_view message)> log;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_OPTIONS_H_
