#include "storage/file_tree.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>

#include "absl/functional/function_ref.h"
#include "storage/base/crc32c.h"
#include "storage/base/status.h"
#include "storage/rocksdb_status.h"

namespace cookix::storage {
namespace {

constexpr uint64_t kReadAtOnce = 1 << 20;

const rocksdb::IOOptions kIo;

// Gives the first `bytes` bytes of a file to `take`, piece by piece; returns how many there
// were.
absl::StatusOr<uint64_t> ReadThrough(rocksdb::FileSystem& fs, const std::string& path,
                                     uint64_t bytes,
                                     absl::FunctionRef<absl::Status(std::string_view)> take) {
  std::unique_ptr<rocksdb::FSSequentialFile> file;
  rocksdb::IOStatus status = fs.NewSequentialFile(path, rocksdb::FileOptions(), &file, nullptr);
  std::string buffer(std::min(bytes, kReadAtOnce), '\0');
  uint64_t done = 0;
  while (status.ok() && done < bytes) {
    rocksdb::Slice piece;
    const uint64_t wanted = std::min<uint64_t>(buffer.size(), bytes - done);
    status = file->Read(wanted, kIo, &piece, buffer.data(), nullptr);
    if (!status.ok() || piece.empty()) break;
    COOKIX_RETURN_IF_ERROR(take(std::string_view(piece.data(), piece.size())));
    done += piece.size();
  }
  if (!status.ok()) return FromRocksDb(status, "reading " + path);
  return done;
}

absl::Status CopyFile(rocksdb::FileSystem& fs, const std::string& from, const std::string& to) {
  std::unique_ptr<rocksdb::FSWritableFile> file;
  const rocksdb::IOStatus created = fs.NewWritableFile(to, rocksdb::FileOptions(), &file, nullptr);
  if (!created.ok()) return FromRocksDb(created, "creating " + to);
  uint64_t size = 0;
  const rocksdb::IOStatus sized = fs.GetFileSize(from, kIo, &size, nullptr);
  if (!sized.ok()) return FromRocksDb(sized, "reading " + from);
  const auto write = [&](std::string_view piece) {
    return FromRocksDb(file->Append(rocksdb::Slice(piece.data(), piece.size()), kIo, nullptr),
                       "writing " + to);
  };
  COOKIX_RETURN_IF_ERROR(ReadThrough(fs, from, size, write).status());
  return FromRocksDb(file->Close(kIo, nullptr), "writing " + to);
}

}  // namespace

bool IsLink(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_symlink(path, ignored);
}

bool IsDirectory(rocksdb::FileSystem& fs, const std::string& path) {
  if (IsLink(path)) return false;
  bool is_directory = false;
  const rocksdb::IOStatus status = fs.IsDirectory(path, kIo, &is_directory, nullptr);
  if (!status.IsNotSupported()) return status.ok() && is_directory;
  // The file system in memory does not say.
  const absl::StatusOr<std::vector<std::string>> names = ListDirectory(fs, path);
  return names.ok() && !names->empty();
}

absl::StatusOr<bool> Exists(rocksdb::FileSystem& fs, const std::string& path) {
  const rocksdb::IOStatus status = fs.FileExists(path, kIo, nullptr);
  if (status.ok()) return true;
  if (IsMissing(status)) return false;
  return FromRocksDb(status, "looking at " + path);
}

absl::StatusOr<std::vector<std::string>> ListDirectory(rocksdb::FileSystem& fs,
                                                       const std::string& path) {
  std::vector<std::string> names;
  const rocksdb::IOStatus status = fs.GetChildren(path, kIo, &names, nullptr);
  if (!status.ok()) return FromRocksDb(status, "listing " + path);
  std::erase_if(names, [](const std::string& name) { return name == "." || name == ".."; });
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status MakeDirectories(rocksdb::FileSystem& fs, const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string parent = path.substr(0, slash);
    if (fs.FileExists(parent, kIo, nullptr).ok()) continue;
    const rocksdb::IOStatus status = fs.CreateDirIfMissing(parent, kIo, nullptr);
    if (!status.ok()) return FromRocksDb(status, "creating " + parent);
  }
  return FromRocksDb(fs.CreateDirIfMissing(path, kIo, nullptr), "creating " + path);
}

absl::Status SyncDirectory(rocksdb::FileSystem& fs, const std::string& path) {
  std::unique_ptr<rocksdb::FSDirectory> handle;
  rocksdb::IOStatus status = fs.NewDirectory(path, kIo, &handle, nullptr);
  if (status.ok()) status = handle->Fsync(kIo, nullptr);
  return FromRocksDb(status, "syncing " + path);
}

absl::Status RemoveTree(rocksdb::FileSystem& fs, const std::string& path) {
  const auto removed = [&](const rocksdb::IOStatus& status) {
    return IsMissing(status) ? absl::OkStatus() : FromRocksDb(status, "removing " + path);
  };
  if (!IsDirectory(fs, path)) return removed(fs.DeleteFile(path, kIo, nullptr));
  const absl::StatusOr<std::vector<std::string>> names = ListDirectory(fs, path);
  absl::Status first = names.status();
  if (names.ok()) {
    for (const std::string& name : *names) first.Update(RemoveTree(fs, path + "/" + name));
  }
  first.Update(removed(fs.DeleteDir(path, kIo, nullptr)));
  return first;
}

absl::Status LinkOrCopy(rocksdb::FileSystem& fs, const std::string& from, const std::string& to) {
  const rocksdb::IOStatus status = fs.LinkFile(from, to, kIo, nullptr);
  if (status.IsNotSupported()) return CopyFile(fs, from, to);
  return FromRocksDb(status, "linking " + from);
}

absl::StatusOr<uint32_t> FileCrc32c(rocksdb::FileSystem& fs, const std::string& path,
                                    uint64_t bytes) {
  uint32_t crc = 0;
  COOKIX_ASSIGN_OR_RETURN(const uint64_t read,
                          ReadThrough(fs, path, bytes, [&](std::string_view piece) {
                            crc = ExtendCrc32c(crc, piece);
                            return absl::OkStatus();
                          }));
  if (read == bytes) return crc;
  return Corruption(
      path + " ends after " + std::to_string(read) + " of " + std::to_string(bytes) + " bytes",
      "Check the disk.");
}

}  // namespace cookix::storage
