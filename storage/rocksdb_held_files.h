// Keeps RocksDB from deleting and moving the files of a database.
#ifndef COOKIX_STORAGE_ROCKSDB_HELD_FILES_H_
#define COOKIX_STORAGE_ROCKSDB_HELD_FILES_H_

#include <memory>

#include "absl/status/statusor.h"
#include "rocksdb/db.h"

namespace cookix::storage {

// While one of these lives, every file that the database has, those of the log included,
// stays where it is.
class RocksDbHeldFiles {
 public:
  // Waits for deletions under way.
  static absl::StatusOr<std::unique_ptr<RocksDbHeldFiles>> Hold(rocksdb::DB* db);
  ~RocksDbHeldFiles();
  RocksDbHeldFiles(const RocksDbHeldFiles&) = delete;
  RocksDbHeldFiles& operator=(const RocksDbHeldFiles&) = delete;

 private:
  explicit RocksDbHeldFiles(rocksdb::DB* db) : db_(db) {}

  rocksdb::DB* const db_;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_ROCKSDB_HELD_FILES_H_
