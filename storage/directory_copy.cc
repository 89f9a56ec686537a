#include "storage/directory_copy.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "storage/base/status.h"
#include "storage/file_tree.h"
#include "storage/rocksdb_status.h"

namespace cookix::storage {
namespace {

// Some readers, each in a file of its own, keep their files open.
constexpr size_t kOpenFiles = 16;

const rocksdb::IOOptions kIo;

// What RocksDB says to people, and its lock, are no part of a copy.
bool IsCopied(std::string_view path) { return !path.starts_with("LOG") && path != "LOCK"; }

absl::Status AddFiles(rocksdb::FileSystem& fs, const std::string& directory,
                      const std::string& prefix, std::vector<CopyFile>* files) {
  COOKIX_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(fs, directory));
  for (const std::string& name : names) {
    const std::string path = directory + "/" + name;
    if (!IsCopied(prefix + name)) continue;
    if (IsDirectory(fs, path)) {
      COOKIX_RETURN_IF_ERROR(AddFiles(fs, path, prefix + name + "/", files));
      continue;
    }
    CopyFile file{.path = prefix + name};
    const rocksdb::IOStatus sized = fs.GetFileSize(path, kIo, &file.size, nullptr);
    if (!sized.ok()) return FromRocksDb(sized, "reading " + path);
    COOKIX_ASSIGN_OR_RETURN(file.crc32c, FileCrc32c(fs, path, file.size));
    files->push_back(std::move(file));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CopyManifest> ManifestOf(rocksdb::FileSystem& fs, const std::string& directory,
                                        const Position& position) {
  CopyManifest manifest{.position = position};
  COOKIX_RETURN_IF_ERROR(AddFiles(fs, directory, "", &manifest.files));
  COOKIX_RETURN_IF_ERROR(CheckManifest(manifest));
  return manifest;
}

DirectoryCopy::DirectoryCopy(std::shared_ptr<rocksdb::FileSystem> fs, std::string directory,
                             CopyManifest manifest)
    : fs_(std::move(fs)), directory_(std::move(directory)), manifest_(std::move(manifest)) {}

DirectoryCopy::~DirectoryCopy() {
  open_.clear();
  // What stays goes when the store is opened next.
  RemoveTree(*fs_, directory_).IgnoreError();
}

absl::StatusOr<DirectoryCopy::OpenFile> DirectoryCopy::Open(size_t file) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(open_.begin(), open_.end(),
                                  [&](const auto& entry) { return entry.first == file; });
  if (found != open_.end()) {
    std::rotate(open_.begin(), found, std::next(found));
    return open_.front().second;
  }
  std::unique_ptr<rocksdb::FSRandomAccessFile> opened;
  const std::string path = directory_ + "/" + manifest_.files[file].path;
  const rocksdb::IOStatus status =
      fs_->NewRandomAccessFile(path, rocksdb::FileOptions(), &opened, nullptr);
  if (!status.ok()) return FromRocksDb(status, "opening " + path);
  open_.emplace_front(file, std::move(opened));
  if (open_.size() > kOpenFiles) open_.pop_back();
  return open_.front().second;
}

absl::Status DirectoryCopy::Read(size_t file, uint64_t offset, size_t n, std::string* bytes) {
  bytes->clear();
  if (file >= manifest_.files.size()) {
    return InvalidField("file", "the copy has no file " + std::to_string(file),
                        "Ask for one of its manifest.");
  }
  const CopyFile& entry = manifest_.files[file];
  if (offset > entry.size) {
    return InvalidField(
        "offset",
        "the file " + entry.path + " of the copy has only " + std::to_string(entry.size) + " bytes",
        "Ask for an offset of at most that.");
  }
  n = static_cast<size_t>(std::min<uint64_t>(n, entry.size - offset));
  if (n == 0) return absl::OkStatus();
  COOKIX_ASSIGN_OR_RETURN(const OpenFile opened, Open(file));
  bytes->resize(n);
  for (size_t done = 0; done < n;) {
    rocksdb::Slice piece;
    const rocksdb::IOStatus status =
        opened->Read(offset + done, n - done, kIo, &piece, bytes->data() + done, nullptr);
    if (!status.ok()) return FromRocksDb(status, "reading the file " + entry.path + " of the copy");
    if (piece.empty()) {
      return Corruption("the file " + entry.path + " of the copy has become shorter",
                        "Make another copy, and check the disk.");
    }
    // A file system may hand out its own memory.
    if (piece.data() != bytes->data() + done) {
      std::memmove(bytes->data() + done, piece.data(), piece.size());
    }
    done += piece.size();
  }
  return absl::OkStatus();
}

}  // namespace cookix::storage
