// Consistent copies of a store, to be read file by file: what replicas begin with and
// backups are made of.
//
// A copy is a list of files with sizes and checksums (the manifest) and their bytes. Put in
// place somewhere else (CopyReceiver in copy_receiver.h), it opens as a store that holds
// exactly the commits up to the manifest's position.
#ifndef COOKIX_STORAGE_STORE_COPY_H_
#define COOKIX_STORAGE_STORE_COPY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "storage/position.h"

namespace cookix::storage {

inline constexpr size_t kMaxCopyFiles = 1'000'000;
// Bytes of a path, and of each part between its '/'.
inline constexpr size_t kMaxCopyPath = 1024;
inline constexpr size_t kMaxCopyPathPart = 255;

// In the directory of a store: what is being received of a copy, and the lock of who receives.
inline constexpr std::string_view kIncomingDirectory = "incoming";
inline constexpr std::string_view kIncomingLockName = "INCOMING.LOCK";

struct CopyFile {
  // Relative to the directory of the store, '/' between parts.
  std::string path;
  uint64_t size = 0;
  // CRC-32C of the whole file, not masked.
  uint32_t crc32c = 0;

  bool operator==(const CopyFile&) const = default;
};

struct CopyManifest {
  // What the copy holds: every commit up to here.
  Position position;
  // When that commit was made, Unix milliseconds; 0 when whoever made the manifest did not say.
  int64_t time_ms = 0;
  // Each path once, in no particular order.
  std::vector<CopyFile> files;
};

// OK when the files of `manifest`, which may come from anywhere, can be put into the directory
// of a store and will be nothing but a store's: relative paths that lead nowhere else, each
// of them once and none beneath another, no more than kMaxCopyFiles, sizes whose sum is less
// than 2^63, and the file COOKIX among them. INVALID_ARGUMENT INVALID_FIELD or LIMIT_EXCEEDED
// otherwise, naming the file.
absl::Status CheckManifest(const CopyManifest& manifest);

// Whether a name directly in the directory of a store is one of the store's own files and
// directories, other than its lock. Whatever else lies there is left alone.
bool IsStoreEntry(std::string_view name);

// A copy that stays as it is while this lives, whatever happens to its origin. It takes up
// space on the disk for what the store has rewritten since. Thread-safe.
class StoreCopy {
 public:
  // Gives the space back.
  virtual ~StoreCopy() = default;

  virtual const CopyManifest& manifest() const = 0;

  // Replaces `bytes` by the `n` bytes at `offset` of the file manifest().files[file]; by
  // fewer only at its end. They are not checked against the checksum, which is of the whole
  // file. Errors:
  //   kInvalidArgument  there is no such file, or `offset` is beyond its end
  //   kDataLoss         CORRUPTION: the file has become shorter than it was
  //   kInternal         IO_ERROR
  virtual absl::Status Read(size_t file, uint64_t offset, size_t n, std::string* bytes) = 0;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_STORE_COPY_H_
