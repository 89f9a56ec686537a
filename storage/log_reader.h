// Reads commits from the ring, and from the files of the log when the ring does
// not reach back far enough.
#ifndef COOKIX_STORAGE_LOG_READER_H_
#define COOKIX_STORAGE_LOG_READER_H_

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "rocksdb/db.h"
#include "storage/log.h"
#include "storage/log_index.h"
#include "storage/log_ring.h"

namespace cookix::storage {

class StoreLogReader : public LogReader {
 public:
  // Delivers commits from number `next` on. Everything must outlive the reader.
  StoreLogReader(rocksdb::DB* db, const StoreId& store, const LogIndex* index, LogRing* ring,
                 uint64_t next);
  ~StoreLogReader() override = default;

  absl::StatusOr<std::vector<LogCommitPtr>> Next(size_t max_commits,
                                                 absl::Duration timeout) override;
  void Cancel() override;

 private:
  absl::Status ReadFiles(size_t max_commits, std::vector<LogCommitPtr>* out);
  absl::Status Expired() const;

  rocksdb::DB* const db_;
  const StoreId store_;
  const LogIndex* const index_;
  LogRing* const ring_;
  uint64_t next_;
  // RocksDB's sequence number after the last commit delivered; 0 = not known.
  uint64_t next_sequence_ = 0;
  // Kept from one call to the next while reading from files.
  std::unique_ptr<rocksdb::TransactionLogIterator> iterator_;
  bool cancelled_ = false;  // guarded by ring_
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_LOG_READER_H_
