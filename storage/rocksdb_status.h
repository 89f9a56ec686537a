// Translates what RocksDB reports into the project's errors.
#ifndef COOKIX_STORAGE_ROCKSDB_STATUS_H_
#define COOKIX_STORAGE_ROCKSDB_STATUS_H_

#include <string_view>

#include "absl/status/status.h"
#include "rocksdb/status.h"

namespace cookix::storage {

// The only table from RocksDB's errors to ours. `doing` says what was under way,
// such as "writing a commit". OK stays OK.
//   no space          kResourceExhausted DISK_LOW, retryable
//   corruption        kDataLoss CORRUPTION
//   no permission     kPermissionDenied PERMISSION_DENIED
//   no such file      kNotFound IO_ERROR
//   other I/O errors  kInternal IO_ERROR
//   busy, try again   kUnavailable IO_ERROR, retryable
//   everything else   kInternal INTERNAL
absl::Status FromRocksDb(const rocksdb::Status& status, std::string_view doing);

// True when the operating system said that the caller may not write.
bool IsPermissionError(const rocksdb::Status& status);

// True when the disk is full, also where only the text of an error still says so.
bool IsNoSpaceError(const rocksdb::Status& status);

// True for files and directories that are not there.
bool IsMissing(const rocksdb::Status& status);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_ROCKSDB_STATUS_H_
