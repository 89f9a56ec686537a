#include "storage/view_files.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "rocksdb/file_system.h"
#include "storage/base/status.h"
#include "storage/file_tree.h"
#include "storage/rocksdb_checked_file.h"
#include "storage/rocksdb_status.h"

namespace cookix::storage {
namespace {

constexpr std::string_view kLocalSuffix = ".local";

const rocksdb::IOOptions kIo;

}  // namespace

ViewFiles::ViewFiles(std::shared_ptr<rocksdb::FileSystem> fs, const std::string& store,
                     uint64_t keep_free_bytes)
    : fs_(std::move(fs)),
      store_(store),
      directory_(store + "/" + std::string(kViewDirectory)),
      keep_free_bytes_(keep_free_bytes) {}

absl::StatusOr<std::string> ViewFiles::PathOf(std::string_view view,
                                              std::string_view suffix) const {
  const bool usable = !view.empty() && view.size() <= kMaxCheckedFileKind &&
                      std::all_of(view.begin(), view.end(), [](char c) {
                        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
                      });
  if (!usable) {
    return InvalidField("name", "no file can be named after the view \"" + std::string(view) + "\"",
                        "Use lower-case letters, digits and underscores, at most 64.");
  }
  return directory_ + "/" + std::string(view) + std::string(suffix);
}

absl::StatusOr<std::unique_ptr<CheckedFileReader>> ViewFiles::Open(std::string_view view,
                                                                   uint32_t newest_version) {
  COOKIX_ASSIGN_OR_RETURN(const std::string path, PathOf(view, kViewFileSuffix));
  return OpenCheckedFile(*fs_, path, view, newest_version);
}

absl::StatusOr<std::unique_ptr<CheckedFileWriter>> ViewFiles::Create(std::string_view view,
                                                                     uint32_t version) {
  COOKIX_ASSIGN_OR_RETURN(const std::string path, PathOf(view, kViewFileSuffix));
  COOKIX_RETURN_IF_ERROR(MakeDirectory());
  return CreateCheckedFile(*fs_, path, view, version, {.keep_free_bytes = keep_free_bytes_});
}

absl::Status ViewFiles::Delete(std::string_view view) {
  COOKIX_ASSIGN_OR_RETURN(const std::string path, PathOf(view, kViewFileSuffix));
  if (IsMissing(fs_->FileExists(path, kIo, nullptr))) return absl::OkStatus();
  const rocksdb::IOStatus status = fs_->DeleteFile(path, kIo, nullptr);
  if (!status.ok()) return FromRocksDb(status, "deleting " + path);
  return SyncDirectory(*fs_, directory_);
}

absl::Status ViewFiles::MakeDirectory() {
  if (fs_->FileExists(directory_, kIo, nullptr).ok()) return absl::OkStatus();
  const rocksdb::IOStatus status = fs_->CreateDirIfMissing(directory_, kIo, nullptr);
  if (!status.ok()) return FromRocksDb(status, "creating " + directory_);
  return SyncDirectory(*fs_, store_);
}

absl::StatusOr<std::unique_ptr<LocalStore>> ViewFiles::OpenLocal(std::string_view view,
                                                                 int64_t memory_bytes) {
  LocalStoreOptions options;
  COOKIX_ASSIGN_OR_RETURN(options.path, PathOf(view, kLocalSuffix));
  COOKIX_RETURN_IF_ERROR(MakeDirectory());
  options.file_system = fs_;
  options.memory_bytes = memory_bytes;
  options.keep_free_bytes = static_cast<int64_t>(keep_free_bytes_);
  return LocalStore::Open(options);
}

absl::Status ViewFiles::DeleteLocal(std::string_view view) {
  COOKIX_ASSIGN_OR_RETURN(const std::string path, PathOf(view, kLocalSuffix));
  return LocalStore::Destroy(fs_, path);
}

void ViewFiles::RemoveTemporary() {
  std::vector<std::string> names;
  fs_->GetChildren(directory_, kIo, &names, nullptr).PermitUncheckedError();
  for (const std::string& name : names) {
    if (!name.ends_with(kTemporarySuffix)) continue;
    fs_->DeleteFile(directory_ + "/" + name, kIo, nullptr).PermitUncheckedError();
  }
}

}  // namespace cookix::storage
