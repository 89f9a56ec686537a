// File systems that the store puts together.
#ifndef COOKIX_STORAGE_FILE_SYSTEMS_H_
#define COOKIX_STORAGE_FILE_SYSTEMS_H_

#include <memory>

#include "rocksdb/file_system.h"

namespace cookix::storage {

// A new, empty file system in memory.
std::shared_ptr<rocksdb::FileSystem> NewMemoryFileSystem();

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_FILE_SYSTEMS_H_
