// Receives a copy of a store and puts it in place: the other end of store_copy.h.
//
// Files come into `incoming` beneath the directory of the store-to-be, in any order and over
// as many attempts as it takes. When all are there and right, Install() replaces the store
// in the directory by them. A crash at any point leaves the one store, the other, or what
// CompleteInstall() makes the other one of; never a mixture that opens. The steps are
// described in storage/doc/log_format.md.
#ifndef COOKIX_STORAGE_COPY_RECEIVER_H_
#define COOKIX_STORAGE_COPY_RECEIVER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/store_copy.h"

namespace rocksdb {
class FileSystem;
class FSWritableFile;
}  // namespace rocksdb

namespace cookix::storage {

// One thread at a time. Nobody else receives into the directory meanwhile. The store that is
// there may be open until Install().
class CopyReceiver {
 public:
  // Begins, or goes on: of what an earlier attempt left, files that `manifest` names, with at
  // most the size that it gives them, are kept, and all else is removed. An install that was
  // interrupted is completed first. `path` is created if missing. Leaves
  // `keep_free_bytes` free on the disk. Null = the operating system's files. Errors:
  //   kInvalidArgument     the manifest: see CheckManifest()
  //   kFailedPrecondition  locked: somebody else receives, or an install was interrupted and
  //                        the store is open
  //   kPermissionDenied, kResourceExhausted, kInternal   as for stores
  static absl::StatusOr<std::unique_ptr<CopyReceiver>> Open(
      std::shared_ptr<rocksdb::FileSystem> file_system, const std::string& path,
      CopyManifest manifest, uint64_t keep_free_bytes);

  // Unlocks the directory; what was received stays.
  ~CopyReceiver();
  CopyReceiver(const CopyReceiver&) = delete;
  CopyReceiver& operator=(const CopyReceiver&) = delete;

  const CopyManifest& manifest() const { return manifest_; }

  // Bytes that are there of the file manifest().files[file]: where to go on. All of them may
  // be there before Finish() was called.
  // REQUIRES: there is such a file.
  uint64_t Have(size_t file) const { return files_[file].have; }
  // Whether Finish() has accepted it.
  bool Finished(size_t file) const { return files_[file].finished; }

  // Adds to the end of a file. After an error ask Have() again, which may be more, or less.
  // Errors:
  //   kInvalidArgument    no such file, `offset` is not Have(), or more than its size
  //   kResourceExhausted  DISK_LOW; it can go on when there is room
  //   kInternal           IO_ERROR
  absl::Status Append(size_t file, uint64_t offset, std::string_view bytes);

  // Checks a file against its size and checksum, and makes it durable. What was there before
  // this attempt is read back; what Append() wrote in it is not. Errors:
  //   kFailedPrecondition  not all of it is there
  //   kDataLoss            CORRUPTION: it is another one; it was removed, begin it again
  //   kInternal            IO_ERROR: it may have been removed, see Have()
  absl::Status Finish(size_t file);

  // Replaces the store in the directory, if there is one, by what was received, durably, and
  // unlocks the directory. After an error that is not kFailedPrecondition it may be called
  // again; once it was, the directory will have the new store. Errors:
  //   kFailedPrecondition  a file is not finished, it is installed already, or the store is
  //                        open
  //   kResourceExhausted, kInternal
  absl::Status Install();

  // Completes an install in `path` that a crash has interrupted. To be called before the
  // store there is opened. OK when there is none: what was received in part stays. Errors:
  //   kFailedPrecondition  the store is open
  //   kDataLoss            what was received is damaged, or files are gone: receive it again
  //   kInternal
  static absl::Status CompleteInstall(const std::shared_ptr<rocksdb::FileSystem>& file_system,
                                      const std::string& path);

 private:
  class Lock;
  struct File {
    uint64_t have = 0;
    bool finished = false;
    // Of the first `checked` bytes.
    uint32_t crc = 0;
    uint64_t checked = 0;
  };
  static constexpr size_t kNone = static_cast<size_t>(-1);

  CopyReceiver(std::shared_ptr<rocksdb::FileSystem> fs, const std::string& path,
               CopyManifest manifest, uint64_t keep_free_bytes, std::unique_ptr<Lock> lock);

  // Keeps what can be used of an earlier attempt.
  absl::Status TidyUp();
  absl::Status CheckRange(size_t file) const;
  absl::Status CheckSpace(uint64_t bytes) const;
  std::string PathOf(size_t file) const { return incoming_ + "/" + manifest_.files[file].path; }
  // Opens a file to be appended to, and closes the one before.
  absl::Status OpenWriter(size_t file);
  absl::Status CloseWriter();
  // After an error: sees how much of a file is there.
  void Recount(size_t file);
  // Begins a file again.
  void Forget(size_t file);

  const std::shared_ptr<rocksdb::FileSystem> fs_;
  const std::string path_;
  const std::string incoming_;
  const CopyManifest manifest_;
  const uint64_t keep_free_bytes_;
  // Null when the copy is installed.
  std::unique_ptr<Lock> lock_;
  std::vector<File> files_;
  // From here on the files belong to the install.
  bool installing_ = false;

  // The file that was appended to last.
  size_t open_file_ = kNone;
  std::unique_ptr<rocksdb::FSWritableFile> writer_;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_COPY_RECEIVER_H_
