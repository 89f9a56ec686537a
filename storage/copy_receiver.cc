#include "storage/copy_receiver.h"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "rocksdb/file_system.h"
#include "storage/base/crc32c.h"
#include "storage/base/status.h"
#include "storage/copy_install.h"
#include "storage/file_tree.h"
#include "storage/rocksdb_status.h"
#include "storage/store_file.h"

namespace cookix::storage {
namespace {

const rocksdb::IOOptions kIo;

std::string WithoutTrailingSlash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::shared_ptr<rocksdb::FileSystem> OrDefault(std::shared_ptr<rocksdb::FileSystem> fs) {
  return fs != nullptr ? std::move(fs) : rocksdb::FileSystem::Default();
}

// What an earlier attempt may have left for this one.
class Leftovers {
 public:
  explicit Leftovers(const CopyManifest& manifest) : manifest_(manifest) {
    for (size_t i = 0; i < manifest.files.size(); ++i) {
      const std::string_view path = manifest.files[i].path;
      files_.emplace(path, i);
      for (size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
        directories_.insert(path.substr(0, slash));
      }
    }
  }

  // Removes from `directory`, named `prefix` in the manifest, what cannot be used; calls
  // `found` with number and size of every file that can.
  template <typename Found>
  absl::Status Tidy(rocksdb::FileSystem& fs, const std::string& directory,
                    const std::string& prefix, const Found& found) const {
    COOKIX_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(fs, directory));
    for (const std::string& name : names) {
      const std::string path = directory + "/" + name;
      const bool is_directory = IsDirectory(fs, path);
      if (is_directory && directories_.contains(prefix + name)) {
        COOKIX_RETURN_IF_ERROR(Tidy(fs, path, prefix + name + "/", found));
        continue;
      }
      const auto wanted = files_.find(prefix + name);
      uint64_t size = 0;
      if (!is_directory && !IsLink(path) && wanted != files_.end() &&
          fs.GetFileSize(path, kIo, &size, nullptr).ok() &&
          size <= manifest_.files[wanted->second].size) {
        found(wanted->second, size);
      } else {
        COOKIX_RETURN_IF_ERROR(RemoveTree(fs, path));
      }
    }
    return absl::OkStatus();
  }

 private:
  const CopyManifest& manifest_;
  std::unordered_map<std::string_view, size_t> files_;
  std::unordered_set<std::string_view> directories_;
};

}  // namespace

// The lock that an open store holds too.
class CopyReceiver::Lock {
 public:
  // Of the store, or of who receives.
  static absl::StatusOr<std::unique_ptr<Lock>> Take(std::shared_ptr<rocksdb::FileSystem> fs,
                                                    const std::string& path,
                                                    std::string_view lock) {
    rocksdb::FileLock* taken = nullptr;
    const std::string name = path + "/" + std::string(lock);
    const rocksdb::IOStatus status = fs->LockFile(name, kIo, &taken, nullptr);
    if (status.ok()) return std::unique_ptr<Lock>(new Lock(std::move(fs), taken));
    if (IsPermissionError(status) || status.IsNoSpace()) {
      return FromRocksDb(status, "locking " + path);
    }
    return MakeError(
        absl::StatusCode::kFailedPrecondition,
        lock == kStoreLockName ? "a store is open in " + path
                               : "a copy is being received into " + path,
        {"INTERNAL", "", "Close or stop the other, or choose another directory.", false});
  }
  ~Lock() { fs_->UnlockFile(lock_, kIo, nullptr).PermitUncheckedError(); }

 private:
  Lock(std::shared_ptr<rocksdb::FileSystem> fs, rocksdb::FileLock* lock)
      : fs_(std::move(fs)), lock_(lock) {}

  const std::shared_ptr<rocksdb::FileSystem> fs_;
  rocksdb::FileLock* const lock_;
};

CopyReceiver::CopyReceiver(std::shared_ptr<rocksdb::FileSystem> fs, const std::string& path,
                           CopyManifest manifest, uint64_t keep_free_bytes,
                           std::unique_ptr<Lock> lock)
    : fs_(std::move(fs)),
      path_(path),
      incoming_(path + "/" + std::string(kIncomingDirectory)),
      manifest_(std::move(manifest)),
      keep_free_bytes_(keep_free_bytes),
      lock_(std::move(lock)),
      files_(manifest_.files.size()) {}

CopyReceiver::~CopyReceiver() {
  // What could not be written out is found out when it is finished.
  CloseWriter().IgnoreError();
}

absl::StatusOr<std::unique_ptr<CopyReceiver>> CopyReceiver::Open(
    std::shared_ptr<rocksdb::FileSystem> file_system, const std::string& path,
    CopyManifest manifest, uint64_t keep_free_bytes) {
  COOKIX_RETURN_IF_ERROR(CheckManifest(manifest));
  const std::shared_ptr<rocksdb::FileSystem> fs = OrDefault(std::move(file_system));
  const std::string directory = WithoutTrailingSlash(path);
  COOKIX_RETURN_IF_ERROR(MakeDirectories(*fs, directory));
  COOKIX_ASSIGN_OR_RETURN(std::unique_ptr<Lock> lock, Lock::Take(fs, directory, kIncomingLockName));
  COOKIX_RETURN_IF_ERROR(CompleteInstall(fs, directory));
  std::unique_ptr<CopyReceiver> receiver(
      new CopyReceiver(fs, directory, std::move(manifest), keep_free_bytes, std::move(lock)));
  COOKIX_RETURN_IF_ERROR(receiver->TidyUp());
  return receiver;
}

absl::Status CopyReceiver::TidyUp() {
  if (IsLink(incoming_)) COOKIX_RETURN_IF_ERROR(RemoveTree(*fs_, incoming_));
  COOKIX_RETURN_IF_ERROR(MakeDirectories(*fs_, incoming_));
  return Leftovers(manifest_).Tidy(*fs_, incoming_, "",
                                   [&](size_t file, uint64_t size) { files_[file].have = size; });
}

absl::Status CopyReceiver::CheckRange(size_t file) const {
  if (installing_) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "the copy is being installed already",
                     {"INTERNAL", "", "Report this with the program's log.", false});
  }
  if (file < files_.size()) return absl::OkStatus();
  return InvalidField("file", "the copy has no file " + std::to_string(file),
                      "Send the files of its manifest.");
}

absl::Status CopyReceiver::CheckSpace(uint64_t bytes) const {
  uint64_t free = 0;
  if (keep_free_bytes_ == 0 || !fs_->GetFreeSpace(path_, kIo, &free, nullptr).ok()) {
    return absl::OkStatus();
  }
  if (free >= keep_free_bytes_ && free - keep_free_bytes_ >= bytes) return absl::OkStatus();
  return MakeError(absl::StatusCode::kResourceExhausted,
                   "only " + std::to_string(free) + " bytes are free on the disk, too few to " +
                       "receive more of the copy",
                   {"DISK_LOW", "", "Free space on the disk, then go on.", true});
}

absl::Status CopyReceiver::Append(size_t file, uint64_t offset, std::string_view bytes) {
  COOKIX_RETURN_IF_ERROR(CheckRange(file));
  File& state = files_[file];
  const CopyFile& entry = manifest_.files[file];
  if (offset != state.have) {
    return InvalidField("offset",
                        "the bytes of the file " + entry.path + " at " + std::to_string(offset) +
                            " do not follow the " + std::to_string(state.have) + " that are there",
                        "Go on where the file ends.");
  }
  if (bytes.size() > entry.size - state.have) {
    return InvalidField(
        "bytes", "the file " + entry.path + " has only " + std::to_string(entry.size) + " bytes",
        "Send what the manifest says.");
  }
  if (bytes.empty()) return absl::OkStatus();
  COOKIX_RETURN_IF_ERROR(CheckSpace(bytes.size()));
  COOKIX_RETURN_IF_ERROR(OpenWriter(file));
  const rocksdb::IOStatus status =
      writer_->Append(rocksdb::Slice(bytes.data(), bytes.size()), kIo, nullptr);
  if (!status.ok()) {
    Recount(file);
    return FromRocksDb(status, "writing the file " + entry.path + " of the copy");
  }
  if (state.checked == state.have) {
    state.crc = ExtendCrc32c(state.crc, bytes);
    state.checked += bytes.size();
  }
  state.have += bytes.size();
  return absl::OkStatus();
}

absl::Status CopyReceiver::Finish(size_t file) {
  COOKIX_RETURN_IF_ERROR(CheckRange(file));
  File& state = files_[file];
  const CopyFile& entry = manifest_.files[file];
  if (state.finished) return absl::OkStatus();
  if (state.have != entry.size) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "only " + std::to_string(state.have) + " of the " +
                         std::to_string(entry.size) + " bytes of the file " + entry.path +
                         " are there",
                     {"INTERNAL", "", "Send the rest of it.", true});
  }
  // Also what earlier attempts wrote, and files of no bytes. It is read only when written out.
  COOKIX_RETURN_IF_ERROR(OpenWriter(file));
  rocksdb::IOStatus status = writer_->Sync(kIo, nullptr);
  if (status.ok()) status = writer_->Close(kIo, nullptr);
  if (!status.ok()) {
    // What a failed sync was to write is forgotten by the system, and may look written.
    Forget(file);
    return FromRocksDb(status, "syncing the file " + entry.path + " of the copy");
  }
  writer_.reset();
  open_file_ = kNone;
  if (state.checked != state.have) {
    COOKIX_ASSIGN_OR_RETURN(state.crc, FileCrc32c(*fs_, PathOf(file), state.have));
    state.checked = state.have;
  }
  if (state.crc != entry.crc32c) {
    Forget(file);
    return Corruption("the file " + entry.path + " of the copy is not what its manifest says",
                      "Send it again; if that does not help, make another copy.");
  }
  state.finished = true;
  return absl::OkStatus();
}

absl::Status CopyReceiver::Install() {
  if (lock_ == nullptr) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "the copy is installed already",
                     {"INTERNAL", "", "Report this with the program's log.", false});
  }
  if (!installing_) {
    for (size_t i = 0; i < files_.size(); ++i) {
      if (files_[i].finished) continue;
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "the file " + manifest_.files[i].path + " of the copy is not finished",
                       {"INTERNAL", "", "Finish every file first.", false});
    }
    COOKIX_RETURN_IF_ERROR(CloseWriter());
  }
  COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<Lock> store,
                          Lock::Take(fs_, path_, kStoreLockName));
  if (!installing_) {
    const absl::Status begun = BeginInstall(*fs_, path_, manifest_.files);
    COOKIX_ASSIGN_OR_RETURN(installing_, IsInstallPending(*fs_, path_));
    COOKIX_RETURN_IF_ERROR(begun);
  }
  COOKIX_RETURN_IF_ERROR(FinishInstall(*fs_, path_));
  lock_.reset();
  return absl::OkStatus();
}

absl::Status CopyReceiver::CompleteInstall(const std::shared_ptr<rocksdb::FileSystem>& file_system,
                                           const std::string& path) {
  const std::shared_ptr<rocksdb::FileSystem> fs = OrDefault(file_system);
  const std::string directory = WithoutTrailingSlash(path);
  COOKIX_ASSIGN_OR_RETURN(const bool pending, IsInstallPending(*fs, directory));
  if (!pending) return absl::OkStatus();
  COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<Lock> lock,
                          Lock::Take(fs, directory, kStoreLockName));
  return FinishInstall(*fs, directory);
}

absl::Status CopyReceiver::OpenWriter(size_t file) {
  if (writer_ != nullptr && open_file_ == file) return absl::OkStatus();
  COOKIX_RETURN_IF_ERROR(CloseWriter());
  const std::string path = PathOf(file);
  COOKIX_RETURN_IF_ERROR(MakeDirectories(*fs_, path.substr(0, path.find_last_of('/'))));
  const rocksdb::IOStatus status =
      files_[file].have == 0
          ? fs_->NewWritableFile(path, rocksdb::FileOptions(), &writer_, nullptr)
          : fs_->ReopenWritableFile(path, rocksdb::FileOptions(), &writer_, nullptr);
  if (!status.ok()) {
    writer_.reset();
    return FromRocksDb(status, "opening " + path);
  }
  open_file_ = file;
  return absl::OkStatus();
}

absl::Status CopyReceiver::CloseWriter() {
  if (writer_ == nullptr) return absl::OkStatus();
  const rocksdb::IOStatus status = writer_->Close(kIo, nullptr);
  writer_.reset();
  const size_t file = std::exchange(open_file_, kNone);
  if (status.ok()) return absl::OkStatus();
  Recount(file);
  return FromRocksDb(status, "closing the file " + manifest_.files[file].path + " of the copy");
}

void CopyReceiver::Recount(size_t file) {
  if (writer_ != nullptr) {
    writer_->Close(kIo, nullptr).PermitUncheckedError();
    writer_.reset();
    open_file_ = kNone;
  }
  uint64_t size = 0;
  const bool known = fs_->GetFileSize(PathOf(file), kIo, &size, nullptr).ok();
  if (!known || size > manifest_.files[file].size) {
    Forget(file);
    return;
  }
  // What of it is right is seen when it is finished.
  files_[file] = File{.have = size};
}

void CopyReceiver::Forget(size_t file) {
  if (writer_ != nullptr && open_file_ == file) {
    writer_->Close(kIo, nullptr).PermitUncheckedError();
    writer_.reset();
    open_file_ = kNone;
  }
  // If it stays, it is written anew from its beginning.
  fs_->DeleteFile(PathOf(file), kIo, nullptr).PermitUncheckedError();
  files_[file] = File();
}

}  // namespace cookix::storage
