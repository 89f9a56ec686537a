// Files and directories beneath a rocksdb::FileSystem, beyond what it does itself.
//
// Nothing here follows links, as long as what leads to `path` is none. File systems of
// RocksDB know no links, so the operating system is asked whether a path is one; in memory
// there are none.
#ifndef COOKIX_STORAGE_FILE_TREE_H_
#define COOKIX_STORAGE_FILE_TREE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/file_system.h"

namespace cookix::storage {

bool IsLink(const std::string& path);

// False for links. In memory an empty directory looks like an empty file.
bool IsDirectory(rocksdb::FileSystem& fs, const std::string& path);

// False when there is nothing of that name; an error when that cannot be known.
absl::StatusOr<bool> Exists(rocksdb::FileSystem& fs, const std::string& path);

// Names in the directory, sorted.
absl::StatusOr<std::vector<std::string>> ListDirectory(rocksdb::FileSystem& fs,
                                                       const std::string& path);

// Creates the directory and those above it that are missing.
absl::Status MakeDirectories(rocksdb::FileSystem& fs, const std::string& path);

// Makes names that came, went or changed in the directory durable.
absl::Status SyncDirectory(rocksdb::FileSystem& fs, const std::string& path);

// Removes a file, a link, or a directory with everything in it. OK when there is none. After
// an error it goes on, and returns the first one.
absl::Status RemoveTree(rocksdb::FileSystem& fs, const std::string& path);

// Another name for the same file; a copy of it, not synced, where the file system has no
// such thing. `to` does not exist.
absl::Status LinkOrCopy(rocksdb::FileSystem& fs, const std::string& from, const std::string& to);

// Checksum of the first `bytes` bytes. kDataLoss CORRUPTION when the file is shorter.
absl::StatusOr<uint32_t> FileCrc32c(rocksdb::FileSystem& fs, const std::string& path,
                                    uint64_t bytes);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_FILE_TREE_H_
