// Checked files on a file system of RocksDB's.
#ifndef COOKIX_STORAGE_ROCKSDB_CHECKED_FILE_H_
#define COOKIX_STORAGE_ROCKSDB_CHECKED_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "rocksdb/file_system.h"
#include "storage/checked_file.h"

namespace cookix::storage {

// What a temporary file is called until it is finished.
inline constexpr std::string_view kTemporarySuffix = ".tmp";
// The largest block; also the default.
inline constexpr size_t kCheckedFileBlock = 1 << 20;
inline constexpr size_t kMaxCheckedFileKind = 64;

struct CheckedFileOptions {
  // Payload of a block, 1 to kCheckedFileBlock bytes.
  size_t block_bytes = kCheckedFileBlock;
  // Free bytes that must stay on the disk.
  uint64_t keep_free_bytes = 0;
};

// Begins `path`. `kind` says what the content is, 1 to kMaxCheckedFileKind bytes;
// `version` is that of the content. `fs` must outlive the writer. The directory
// must exist.
absl::StatusOr<std::unique_ptr<CheckedFileWriter>> CreateCheckedFile(
    rocksdb::FileSystem& fs, const std::string& path, std::string_view kind, uint32_t version,
    const CheckedFileOptions& options);

// Opens `path`. `fs` must outlive the reader. Errors:
//   kNotFound            there is no such file
//   kDataLoss            the beginning is damaged, or the content is of another kind
//   kFailedPrecondition  format or content newer than this program
absl::StatusOr<std::unique_ptr<CheckedFileReader>> OpenCheckedFile(rocksdb::FileSystem& fs,
                                                                   const std::string& path,
                                                                   std::string_view kind,
                                                                   uint32_t newest_version);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_ROCKSDB_CHECKED_FILE_H_
