// File systems that the store puts together.
#ifndef COOKIX_STORAGE_FILE_SYSTEMS_H_
#define COOKIX_STORAGE_FILE_SYSTEMS_H_

#include <memory>

#include "rocksdb/file_system.h"

namespace cookix::storage {

// A new, empty file system in memory.
std::shared_ptr<rocksdb::FileSystem> NewMemoryFileSystem();

// Marks every I/O error of `base` while writing as one that may pass. RocksDB
// otherwise never takes writes again after one, even when the disk has recovered;
// the store itself decides when to try (Store::TryResume).
std::shared_ptr<rocksdb::FileSystem> NewResumableFileSystem(
    std::shared_ptr<rocksdb::FileSystem> base);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_FILE_SYSTEMS_H_
