#include "storage/copy_install.h"

#include <memory>
#include <set>

#include "storage/base/status.h"
#include "storage/file_tree.h"
#include "storage/rocksdb_checked_file.h"
#include "storage/rocksdb_status.h"
#include "storage/store_file.h"

namespace cookix::storage {
namespace {

// One file in `incoming` says how far the install is, by its name, and lists the files. No
// path of a manifest can be one of these.
constexpr std::string_view kEmptying = "INSTALL.emptying";
constexpr std::string_view kMoving = "INSTALL.moving";
constexpr std::string_view kKind = "install";
constexpr uint32_t kVersion = 1;

const rocksdb::IOOptions kIo;

std::string IncomingOf(const std::string& path) {
  return path + "/" + std::string(kIncomingDirectory);
}

std::string MarkerOf(const std::string& path, std::string_view marker) {
  return IncomingOf(path) + "/" + std::string(marker);
}

// Calls `each` for every directory above a relative path, the outermost first.
template <typename Each>
absl::Status ForEachParent(const std::string& path, const Each& each) {
  for (size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
    COOKIX_RETURN_IF_ERROR(each(path.substr(0, slash)));
  }
  return absl::OkStatus();
}

// The directories in which `files` lie, relative, "" included.
std::set<std::string> DirectoriesOf(const std::vector<std::string>& files) {
  std::set<std::string> directories{""};
  for (const std::string& file : files) {
    ForEachParent(file, [&](const std::string& parent) {
      directories.insert(parent);
      return absl::OkStatus();
    }).IgnoreError();
  }
  return directories;
}

absl::Status SyncDirectories(rocksdb::FileSystem& fs, const std::string& root,
                             const std::vector<std::string>& files) {
  for (const std::string& directory : DirectoriesOf(files)) {
    COOKIX_RETURN_IF_ERROR(SyncDirectory(fs, directory.empty() ? root : root + "/" + directory));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ReadMarker(rocksdb::FileSystem& fs,
                                                    const std::string& marker) {
  COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<CheckedFileReader> reader,
                          OpenCheckedFile(fs, marker, kKind, kVersion));
  std::vector<std::string> files;
  while (true) {
    COOKIX_ASSIGN_OR_RETURN(const bool at_end, reader->AtEnd());
    if (at_end) return files;
    COOKIX_RETURN_IF_ERROR(reader->ReadString(&files.emplace_back()));
  }
}

// Deletes the store. Without the file COOKIX, which goes first, the rest is refused when
// somebody opens it.
absl::Status RemoveStore(rocksdb::FileSystem& fs, const std::string& path) {
  COOKIX_RETURN_IF_ERROR(RemoveTree(fs, path + "/" + std::string(kStoreFileName)));
  COOKIX_RETURN_IF_ERROR(SyncDirectory(fs, path));
  COOKIX_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(fs, path));
  for (const std::string& name : names) {
    if (IsStoreEntry(name)) COOKIX_RETURN_IF_ERROR(RemoveTree(fs, path + "/" + name));
  }
  return SyncDirectory(fs, path);
}

// Moves a file from `incoming` to its place, unless it is there already.
absl::Status MoveFile(rocksdb::FileSystem& fs, const std::string& path, const std::string& file) {
  const std::string from = IncomingOf(path) + "/" + file;
  const std::string to = path + "/" + file;
  COOKIX_ASSIGN_OR_RETURN(const bool waits, Exists(fs, from));
  if (waits) return FromRocksDb(fs.RenameFile(from, to, kIo, nullptr), "installing " + to);
  COOKIX_ASSIGN_OR_RETURN(const bool moved, Exists(fs, to));
  if (moved) return absl::OkStatus();
  return Corruption("the file " + file + " of a copy that is being installed is gone",
                    "Remove the directory " + IncomingOf(path) + " and receive the copy again.");
}

// The file COOKIX comes last, when all else is durable: it makes a store of them.
absl::Status MoveFiles(rocksdb::FileSystem& fs, const std::string& path,
                       const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    if (file == kStoreFileName) continue;
    COOKIX_RETURN_IF_ERROR(ForEachParent(file, [&](const std::string& parent) {
      const std::string directory = path + "/" + parent;
      return FromRocksDb(fs.CreateDirIfMissing(directory, kIo, nullptr), "creating " + directory);
    }));
    COOKIX_RETURN_IF_ERROR(MoveFile(fs, path, file));
  }
  COOKIX_RETURN_IF_ERROR(SyncDirectories(fs, path, files));
  return MoveFile(fs, path, std::string(kStoreFileName));
}

}  // namespace

absl::Status BeginInstall(rocksdb::FileSystem& fs, const std::string& path,
                          const std::vector<CopyFile>& files) {
  std::vector<std::string> paths;
  for (const CopyFile& file : files) paths.push_back(file.path);
  COOKIX_RETURN_IF_ERROR(SyncDirectories(fs, IncomingOf(path), paths));
  COOKIX_RETURN_IF_ERROR(SyncDirectory(fs, path));
  COOKIX_ASSIGN_OR_RETURN(
      const std::unique_ptr<CheckedFileWriter> writer,
      CreateCheckedFile(fs, MarkerOf(path, kEmptying), kKind, kVersion, CheckedFileOptions()));
  for (const std::string& file : paths) COOKIX_RETURN_IF_ERROR(writer->AppendString(file));
  return writer->Finish();
}

absl::StatusOr<bool> IsInstallPending(rocksdb::FileSystem& fs, const std::string& path) {
  if (IsLink(IncomingOf(path))) return false;
  COOKIX_ASSIGN_OR_RETURN(const bool emptying, Exists(fs, MarkerOf(path, kEmptying)));
  if (emptying) return true;
  return Exists(fs, MarkerOf(path, kMoving));
}

absl::Status FinishInstall(rocksdb::FileSystem& fs, const std::string& path) {
  const std::string incoming = IncomingOf(path);
  const std::string emptying = MarkerOf(path, kEmptying);
  const std::string moving = MarkerOf(path, kMoving);
  COOKIX_ASSIGN_OR_RETURN(const bool pending, IsInstallPending(fs, path));
  if (!pending) return absl::OkStatus();
  // The crash may have come before this was durable.
  COOKIX_RETURN_IF_ERROR(SyncDirectory(fs, incoming));
  COOKIX_ASSIGN_OR_RETURN(const bool full, Exists(fs, emptying));
  // Read before anything is deleted for it.
  COOKIX_ASSIGN_OR_RETURN(const std::vector<std::string> files,
                          ReadMarker(fs, full ? emptying : moving));
  if (full) {
    COOKIX_RETURN_IF_ERROR(RemoveStore(fs, path));
    const rocksdb::IOStatus renamed = fs.RenameFile(emptying, moving, kIo, nullptr);
    if (!renamed.ok()) return FromRocksDb(renamed, "installing a copy in " + path);
    COOKIX_RETURN_IF_ERROR(SyncDirectory(fs, incoming));
  }
  // Once the last file is in place the store may be in use, and rid of some of the others.
  const std::string last = "/" + std::string(kStoreFileName);
  COOKIX_ASSIGN_OR_RETURN(const bool waits, Exists(fs, incoming + last));
  COOKIX_ASSIGN_OR_RETURN(const bool in_place, Exists(fs, path + last));
  if (waits || !in_place) COOKIX_RETURN_IF_ERROR(MoveFiles(fs, path, files));
  COOKIX_RETURN_IF_ERROR(SyncDirectory(fs, path));
  COOKIX_RETURN_IF_ERROR(RemoveTree(fs, incoming));
  return SyncDirectory(fs, path);
}

}  // namespace cookix::storage
