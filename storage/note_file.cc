#include "storage/note_file.h"

#include <cstdint>
#include <cstring>

#include "rocksdb/file_system.h"
#include "storage/base/crc32c.h"
#include "storage/base/status.h"
#include "storage/rocksdb_status.h"

namespace cookix::storage {
namespace {

rocksdb::FileSystem& Or(const std::shared_ptr<rocksdb::FileSystem>& fs) {
  return fs != nullptr ? *fs : *rocksdb::FileSystem::Default();
}

std::string Checksum(std::string_view text) {
  return "checksum " + std::to_string(MaskCrc32c(Crc32c(text))) + "\n";
}

}  // namespace

absl::Status WriteDurably(rocksdb::FileSystem& fs, const std::string& directory,
                          std::string_view name, std::string_view text) {
  const std::string path = directory + "/" + std::string(name);
  const std::string temporary = path + ".new";
  const std::string what = "writing the file " + std::string(name);
  const rocksdb::IOOptions io;
  rocksdb::IOStatus status = rocksdb::WriteStringToFile(
      &fs, rocksdb::Slice(text.data(), text.size()), temporary, /*should_sync=*/true);
  if (status.ok()) status = fs.RenameFile(temporary, path, io, nullptr);
  if (!status.ok()) {
    fs.DeleteFile(temporary, io, nullptr).PermitUncheckedError();
    return FromRocksDb(status, what);
  }
  std::unique_ptr<rocksdb::FSDirectory> handle;
  status = fs.NewDirectory(directory, io, &handle, nullptr);
  if (status.ok()) {
    status = handle->FsyncWithDirOptions(io, nullptr, rocksdb::DirFsyncOptions(path));
  }
  return FromRocksDb(status, "syncing the directory of the store");
}

absl::Status WriteNote(const std::shared_ptr<rocksdb::FileSystem>& fs, const std::string& directory,
                       std::string_view name, std::string_view text) {
  const rocksdb::IOStatus made = Or(fs).CreateDirIfMissing(directory, {}, nullptr);
  if (!made.ok()) return FromRocksDb(made, "making the directory of the store");
  return WriteDurably(Or(fs), directory, name, std::string(text) + Checksum(text));
}

absl::StatusOr<std::string> ReadNote(const std::shared_ptr<rocksdb::FileSystem>& fs,
                                     const std::string& directory, std::string_view name) {
  std::string text;
  const rocksdb::IOStatus read =
      rocksdb::ReadFileToString(&Or(fs), directory + "/" + std::string(name), &text);
  if (!read.ok()) return FromRocksDb(read, "reading the file " + std::string(name));
  const size_t end = text.rfind("checksum ");
  if (end == std::string::npos || text.substr(end) != Checksum(text.substr(0, end))) {
    return Corruption(
        "the file " + std::string(name) + " of the store is damaged",
        "Set replica_of to the present primary, if this server is not it, and then remove the "
        "file: the server has the part that its settings say.");
  }
  text.resize(end);
  return text;
}

}  // namespace cookix::storage
