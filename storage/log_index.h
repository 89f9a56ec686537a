// Where in the log a commit is to be found: a sparse map from commit numbers to
// RocksDB's sequence numbers.
#ifndef COOKIX_STORAGE_LOG_INDEX_H_
#define COOKIX_STORAGE_LOG_INDEX_H_

#include <cstdint>
#include <mutex>
#include <vector>

namespace cookix::storage {

// Thread-safe.
class LogIndex {
 public:
  // Notes that `commit` is at or after `sequence`. Commits come in rising order.
  // Most are not kept: one in `kEvery` commits, or one in `kEveryBytes` of log.
  void Add(uint64_t commit, uint64_t sequence, uint64_t bytes);
  // Notes it whatever the distance, and forgets what was noted of later commits: for the
  // beginnings of files, which may have again what could not be read in the file before.
  void AddAlways(uint64_t commit, uint64_t sequence);

  // The largest known sequence at or before `commit`. False when none is known:
  // the log does not reach back so far.
  bool Find(uint64_t commit, uint64_t* sequence) const;

 private:
  struct Entry {
    uint64_t commit;
    uint64_t sequence;
  };
  static constexpr uint64_t kEvery = 128;
  static constexpr uint64_t kEveryBytes = 1 << 20;
  // Above this, every other entry goes: 4 MiB.
  static constexpr size_t kMaxEntries = 1 << 18;

  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
  uint64_t bytes_since_ = 0;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_LOG_INDEX_H_
