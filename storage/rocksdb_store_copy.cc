// How a store copies itself.
#include <algorithm>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "rocksdb/utilities/checkpoint.h"
#include "storage/base/status.h"
#include "storage/directory_copy.h"
#include "storage/file_tree.h"
#include "storage/rocksdb_held_files.h"
#include "storage/rocksdb_status.h"
#include "storage/rocksdb_store.h"
#include "storage/wal_scanner.h"

namespace cookix::storage {
namespace {

const rocksdb::IOOptions kIo;

std::string NameOf(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

}  // namespace

absl::StatusOr<RocksDbStore::Checkpointed> RocksDbStore::WriteCheckpoint(
    const std::string& target) {
  COOKIX_RETURN_IF_ERROR(Flush());
  rocksdb::Checkpoint* made = nullptr;
  rocksdb::Status status = rocksdb::Checkpoint::Create(db_.get(), &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  // What was written since the flush is in the log that comes along.
  constexpr auto kNoFlush = std::numeric_limits<uint64_t>::max();
  uint64_t first_log = 0;
  db_->GetIntProperty(rocksdb::DB::Properties::kMinLogNumberToKeep, &first_log);
  if (status.ok()) status = checkpoint->CreateCheckpoint(target, kNoFlush);
  if (!status.ok()) return AfterWriting(status, "writing the checkpoint");
  // Without a flush of its own RocksDB takes along what it has not put away yet.
  COOKIX_ASSIGN_OR_RETURN(const std::vector<WalFile> logs, ListWalFiles(*fs_, target));
  for (const WalFile& log : logs) {
    if (log.number < first_log) fs_->DeleteFile(log.path, kIo, nullptr).PermitUncheckedError();
  }
  COOKIX_RETURN_IF_ERROR(
      WriteStoreFile(*fs_, target, {.format_version = kFormatVersion, .id = id_, .copy = true}));

  // It counts once it can be read.
  rocksdb::DBOptions options;
  options.env = env_.get();
  options.info_log_level = rocksdb::ERROR_LEVEL;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  status = rocksdb::DB::OpenForReadOnly(options, target, FamilyDescriptors(), &handles, &opened);
  if (!status.ok()) return FromRocksDb(status, "reading the checkpoint back");
  const std::unique_ptr<rocksdb::DB> copy(opened);
  const absl::StatusOr<LastCommitRecord> last = ReadLastCommit(copy.get(), handles[0]);
  const uint64_t sequence = copy->GetLatestSequenceNumber();
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    copy->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  COOKIX_RETURN_IF_ERROR(last.status());
  // The copy must hold nothing that this store could still lose.
  COOKIX_RETURN_IF_ERROR(SyncLog());
  return Checkpointed{{id_, last->epoch, last->commit}, sequence, last->time_ms};
}

absl::StatusOr<Position> RocksDbStore::Checkpoint(const std::string& path) {
  const std::string target = WithoutTrailingSlash(path);
  if (target.empty()) {
    return InvalidField("path", "the checkpoint has no directory",
                        "Say where it is to be written.");
  }
  COOKIX_RETURN_IF_ERROR(Failure());
  COOKIX_ASSIGN_OR_RETURN(const bool exists, Exists(*fs_, target));
  if (exists) {
    return MakeError(absl::StatusCode::kAlreadyExists, target + " exists already",
                     {"ALREADY_EXISTS", "path", "Choose a directory that does not exist.", false});
  }
  const absl::StatusOr<Checkpointed> made = WriteCheckpoint(target);
  if (made.ok()) return made->position;
  RemoveTree(*fs_, target).IgnoreError();
  RemoveTree(*fs_, target + ".tmp").IgnoreError();
  return made.status();
}

absl::StatusOr<std::unique_ptr<StoreCopy>> RocksDbStore::MakeCopy(uint64_t log_from) {
  COOKIX_RETURN_IF_ERROR(Failure());
  const std::string all = path_ + "/" + std::string(kCopyDirectory);
  COOKIX_RETURN_IF_ERROR(MakeDirectories(*fs_, all));
  const std::string target = all + "/" + std::to_string(++copies_made_);
  absl::StatusOr<CopyManifest> manifest = WriteCopy(log_from, target);
  if (!manifest.ok()) {
    for (const char* suffix : {"", ".tmp", ".views"}) {
      RemoveTree(*fs_, target + suffix).IgnoreError();
    }
    return manifest.status();
  }
  return std::make_unique<DirectoryCopy>(fs_, target, *std::move(manifest));
}

absl::StatusOr<CopyManifest> RocksDbStore::WriteCopy(uint64_t log_from, const std::string& target) {
  // Views save what is published only, and that is in every later checkpoint: so none of
  // them is ahead of this one.
  const std::string views = target + ".views";
  COOKIX_RETURN_IF_ERROR(LinkViews(views));
  Checkpointed made;
  {
    // The files of the log stay where they are until they are linked.
    const std::lock_guard lock(archive_mutex_);
    COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<RocksDbHeldFiles> held,
                            RocksDbHeldFiles::Hold(db_.get()));
    COOKIX_ASSIGN_OR_RETURN(made, WriteCheckpoint(target));
    COOKIX_RETURN_IF_ERROR(LinkLog(log_from, made, target));
  }
  COOKIX_ASSIGN_OR_RETURN(const bool any_view, Exists(*fs_, views));
  if (any_view) {
    const std::string place = target + "/" + std::string(kViewDirectory);
    const rocksdb::IOStatus moved = fs_->RenameFile(views, place, kIo, nullptr);
    if (!moved.ok()) return FromRocksDb(moved, "writing " + place);
  }
  COOKIX_ASSIGN_OR_RETURN(CopyManifest manifest, ManifestOf(*fs_, target, made.position));
  manifest.time_ms = made.time_ms;
  return manifest;
}

absl::Status RocksDbStore::LinkViews(const std::string& directory) {
  const std::string from = path_ + "/" + std::string(kViewDirectory);
  COOKIX_ASSIGN_OR_RETURN(const bool exists, Exists(*fs_, from));
  if (!exists) return absl::OkStatus();
  COOKIX_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(*fs_, from));
  bool made = false;
  for (const std::string& name : names) {
    if (!name.ends_with(kViewFileSuffix)) continue;
    if (!made) COOKIX_RETURN_IF_ERROR(MakeDirectories(*fs_, directory));
    made = true;
    const absl::Status linked = LinkOrCopy(*fs_, from + "/" + name, directory + "/" + name);
    if (linked.ok()) continue;
    // It may have been deleted meanwhile.
    COOKIX_ASSIGN_OR_RETURN(const bool still_there, Exists(*fs_, from + "/" + name));
    if (still_there) return linked;
  }
  return absl::OkStatus();
}

absl::Status RocksDbStore::LinkLog(uint64_t log_from, const Checkpointed& made,
                                   const std::string& target) {
  if (log_from >= made.position.commit) return absl::OkStatus();
  const std::string archive = "/" + std::string(kArchiveDirectory);
  COOKIX_ASSIGN_OR_RETURN(std::vector<WalFile> files, ListWalFiles(*fs_, path_ + archive));
  COOKIX_ASSIGN_OR_RETURN(const std::vector<WalFile> live, ListWalFiles(*fs_, path_));
  COOKIX_ASSIGN_OR_RETURN(const std::vector<WalFile> copied, ListWalFiles(*fs_, target));
  files.insert(files.end(), live.begin(), live.end());
  std::set<uint64_t> in_checkpoint;
  for (const WalFile& file : copied) in_checkpoint.insert(file.number);
  bool made_archive = false;
  // From the newest back to the one that holds the first commit wanted.
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    const std::optional<WalBegin> begin = ReadWalBegin(*fs_, *file);
    // Empty, or begun after the checkpoint was made.
    if (!begin.has_value() || begin->sequence > made.sequence) continue;
    if (!in_checkpoint.contains(file->number)) {
      if (!made_archive) COOKIX_RETURN_IF_ERROR(MakeDirectories(*fs_, target + archive));
      made_archive = true;
      COOKIX_RETURN_IF_ERROR(
          LinkOrCopy(*fs_, file->path, target + archive + "/" + NameOf(file->path)));
    }
    if (begin->commit <= log_from + 1) break;
  }
  return absl::OkStatus();
}

}  // namespace cookix::storage
