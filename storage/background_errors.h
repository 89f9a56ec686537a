// What fails in RocksDB's own threads.
#ifndef COOKIX_STORAGE_BACKGROUND_ERRORS_H_
#define COOKIX_STORAGE_BACKGROUND_ERRORS_H_

#include <atomic>
#include <mutex>

#include "rocksdb/listener.h"

namespace cookix::storage {

// Decides what an error there means, and remembers it.
//
// After a failed flush RocksDB stops writing until it is resumed. Left to itself it stops only
// flushes and compactions when it believes that the error may pass, and a flush that is asked
// for meanwhile is then not undone when it fails, and is waited for for ever; or it never
// resumes; or, when the disk is full, it resumes on a thread of its own while the store does
// too. Thread-safe.
class BackgroundErrors final : public rocksdb::EventListener {
 public:
  // Whether there was one since Forget().
  bool any() const { return any_.load(); }
  // The last of them; OK when there was none.
  rocksdb::Status last() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return last_;
  }
  void Note(const rocksdb::Status& error) {
    const std::lock_guard<std::mutex> lock(mutex_);
    last_ = error;
    any_.store(true);
  }
  void Forget() { any_.store(false); }

  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override {
    if (reason == rocksdb::BackgroundErrorReason::kCompaction && error->IsIOError()) {
      // Begun again by RocksDB.
      *error = rocksdb::Status::OK();
      return;
    }
    if (error->IsIOError()) *error = rocksdb::Status(*error, rocksdb::Status::kHardError);
    Note(*error);
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason reason, rocksdb::Status error,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }

 private:
  std::atomic<bool> any_{false};
  mutable std::mutex mutex_;
  rocksdb::Status last_;  // guarded by mutex_
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_BACKGROUND_ERRORS_H_
