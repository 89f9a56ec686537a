// A copy whose files lie in a directory.
#ifndef COOKIX_STORAGE_DIRECTORY_COPY_H_
#define COOKIX_STORAGE_DIRECTORY_COPY_H_

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/file_system.h"
#include "storage/store_copy.h"

namespace cookix::storage {

// The manifest of the files in `directory`: all that a copy may have, but for RocksDB's own
// messages. Reads every one of them from end to end.
absl::StatusOr<CopyManifest> ManifestOf(rocksdb::FileSystem& fs, const std::string& directory,
                                        const Position& position);

// Thread-safe.
class DirectoryCopy final : public StoreCopy {
 public:
  // Owns `directory`, which holds what `manifest` says, and removes it in the end.
  DirectoryCopy(std::shared_ptr<rocksdb::FileSystem> fs, std::string directory,
                CopyManifest manifest);
  ~DirectoryCopy() override;

  const CopyManifest& manifest() const override { return manifest_; }
  absl::Status Read(size_t file, uint64_t offset, size_t n, std::string* bytes) override;

 private:
  using OpenFile = std::shared_ptr<rocksdb::FSRandomAccessFile>;

  absl::StatusOr<OpenFile> Open(size_t file);

  const std::shared_ptr<rocksdb::FileSystem> fs_;
  const std::string directory_;
  const CopyManifest manifest_;

  // The files read last, the newest in front.
  std::mutex mutex_;
  std::deque<std::pair<size_t, OpenFile>> open_;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_DIRECTORY_COPY_H_
