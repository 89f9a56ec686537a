// What fails in RocksDB's own threads.
#ifndef COOKIX_STORAGE_BACKGROUND_ERRORS_H_
#define COOKIX_STORAGE_BACKGROUND_ERRORS_H_

#include <atomic>

#include "rocksdb/listener.h"

namespace cookix::storage {

// Remembers that a flush failed, after which RocksDB flushes and compacts nothing until it is
// resumed, and keeps it from resuming by itself. Thread-safe.
class BackgroundErrors final : public rocksdb::EventListener {
 public:
  // Whether there was one since Forget().
  bool any() const { return any_.load(); }
  void Note() { any_.store(true); }
  void Forget() { any_.store(false); }

  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override {
    // A compaction that could not write is begun again by RocksDB.
    if (reason == rocksdb::BackgroundErrorReason::kCompaction && error->IsIOError()) return;
    Note();
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason reason, rocksdb::Status error,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }

 private:
  std::atomic<bool> any_{false};
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_BACKGROUND_ERRORS_H_
