// Puts the files in `incoming` in place of the store in a directory, in steps that survive
// a crash at any point; see storage/doc/log_format.md.
#ifndef COOKIX_STORAGE_COPY_INSTALL_H_
#define COOKIX_STORAGE_COPY_INSTALL_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/file_system.h"
#include "storage/store_copy.h"

namespace cookix::storage {

// All of it while the directory is locked.

// Decides for the files in `incoming`: from now on they are the store. They are whole and
// durable; the names of their directories are made so.
absl::Status BeginInstall(rocksdb::FileSystem& fs, const std::string& path,
                          const std::vector<CopyFile>& files);

// Whether BeginInstall() has been and FinishInstall() has not.
absl::StatusOr<bool> IsInstallPending(rocksdb::FileSystem& fs, const std::string& path);

// Does what is left to do of an install; nothing when none is pending.
absl::Status FinishInstall(rocksdb::FileSystem& fs, const std::string& path);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_COPY_INSTALL_H_
