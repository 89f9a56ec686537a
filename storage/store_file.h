// The file COOKIX in a store's directory: what can be known about the store
// before RocksDB touches anything.
#ifndef COOKIX_STORAGE_STORE_FILE_H_
#define COOKIX_STORAGE_STORE_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/file_system.h"
#include "storage/position.h"

namespace cookix::storage {

inline constexpr std::string_view kStoreFileName = "COOKIX";
// Locked by whoever uses the directory: an open store, or what puts one there.
inline constexpr std::string_view kStoreLockName = "COOKIX.LOCK";

// Directories of a store: log files kept for readers, and copies that are being read.
inline constexpr std::string_view kArchiveDirectory = "archive";
inline constexpr std::string_view kCopyDirectory = "copies";

struct StoreFile {
  uint32_t format_version = 0;
  StoreId id{};
  // Set in a checkpoint until it is first opened: its history may go another way
  // than that of the store it was taken from, so it starts a new epoch.
  bool copy = false;
};

// Lines of text; the last one is a checksum of those before it.
std::string EncodeStoreFile(const StoreFile& file);

// kFailedPrecondition when the text says that its format is newer than
// `newest_format`, whatever the rest looks like; kDataLoss when it is damaged.
absl::StatusOr<StoreFile> DecodeStoreFile(std::string_view text, uint32_t newest_format);

// Reads the file of the store in `directory`. kNotFound when there is none.
absl::StatusOr<StoreFile> ReadStoreFile(rocksdb::FileSystem& fs, const std::string& directory,
                                        uint32_t newest_format);

// Replaces the file: a temporary one, synced, renamed, directory synced.
absl::Status WriteStoreFile(rocksdb::FileSystem& fs, const std::string& directory,
                            const StoreFile& file);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_STORE_FILE_H_
