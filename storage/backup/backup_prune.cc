// Removing old backups. Whatever is interrupted, no manifest ever names a file that is gone.
#include <algorithm>
#include <utility>

#include "storage/backup/backup_directory.h"
#include "storage/base/status.h"
#include "storage/file_tree.h"
#include "storage/rocksdb_status.h"

namespace cookix::storage {
namespace {

const rocksdb::IOOptions kIo;

std::string NameOf(const std::string& place) { return place.substr(place.find_last_of('/') + 1); }

}  // namespace

absl::StatusOr<PruneReport> BackupDirectory::Prune(uint64_t keep, StopCheck check) {
  if (keep == 0) {
    return InvalidField("keep", "no backup would be kept",
                        "Keep at least one; delete the directory to have none.");
  }
  PruneReport report;
  COOKIX_ASSIGN_OR_RETURN(const bool exists, Exists(fs(), PathOf(kBackupsNote)));
  if (!exists) return report;
  COOKIX_ASSIGN_OR_RETURN(const std::shared_ptr<Lock> lock, LockDirectory());
  COOKIX_RETURN_IF_ERROR(TidyUp());
  COOKIX_ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers, Numbers());

  std::set<std::string> used;
  uint64_t kept = 0;
  uint64_t oldest_kept = 0;
  uint64_t oldest_commit = 0;
  for (auto number = numbers.rbegin(); number != numbers.rend() && kept < keep; ++number) {
    COOKIX_RETURN_IF_ERROR(check());
    const auto manifest = ReadBackupManifest(fs(), options_.path, *number, nullptr);
    if (manifest.status().code() == absl::StatusCode::kDataLoss) {
      report.kept_for_damaged = true;
      continue;
    }
    COOKIX_RETURN_IF_ERROR(manifest.status());
    for (const BackupFile& file : manifest->files) {
      if (IsShared(file.file)) used.insert(NameOf(PlaceOf(*number, file.file)));
    }
    oldest_commit =
        kept == 0 ? manifest->position.commit : std::min(oldest_commit, manifest->position.commit);
    oldest_kept = *number;
    ++kept;
  }
  for (const uint64_t number : numbers) {
    if (number >= oldest_kept) break;
    COOKIX_RETURN_IF_ERROR(check());
    COOKIX_RETURN_IF_ERROR(RemoveBackup(number, &report));
  }
  if (kept == 0) return report;  // none can be read: nothing tells what is used

  COOKIX_ASSIGN_OR_RETURN(const std::vector<LogSegment> segments,
                          LogArchive(fs(), options_.path).List());
  std::set<std::string> wanted;
  for (const LogSegment& segment : segments) {
    if (segment.last > oldest_commit) wanted.insert(segment.Name());
  }
  COOKIX_RETURN_IF_ERROR(RemoveUnused(kLogDirectory, wanted, check, &report));
  if (!report.kept_for_damaged) {
    COOKIX_RETURN_IF_ERROR(RemoveUnused(kSharedDirectory, used, check, &report));
  }
  return report;
}

absl::Status BackupDirectory::RemoveBackup(uint64_t number, PruneReport* report) const {
  const std::string directory = DirectoryOfBackup(number);
  uint64_t own = 0;
  if (const auto manifest = ReadBackupManifest(fs(), options_.path, number, nullptr);
      manifest.ok()) {
    for (const BackupFile& file : manifest->files) {
      if (!IsShared(file.file)) own += file.file.size;
    }
  }
  // From here on it is no backup, whatever of it is left.
  if (!IsLink(PathOf(directory))) {
    const std::string path = PathOf(ManifestPlace(number));
    const rocksdb::IOStatus deleted = fs().DeleteFile(path, kIo, nullptr);
    if (!deleted.ok()) return FromRocksDb(deleted, "removing " + path);
    COOKIX_RETURN_IF_ERROR(SyncDirectory(fs(), PathOf(directory)));
  }
  report->removed.push_back(number);
  COOKIX_RETURN_IF_ERROR(RemoveTree(fs(), PathOf(directory)));
  report->removed_bytes += own;
  return absl::OkStatus();
}

absl::Status BackupDirectory::RemoveUnused(std::string_view place,
                                           const std::set<std::string>& used, StopCheck check,
                                           PruneReport* report) const {
  const std::string directory = PathOf(place);
  COOKIX_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(fs(), directory));
  for (const std::string& name : names) {
    if (used.contains(name)) continue;
    COOKIX_RETURN_IF_ERROR(check());
    uint64_t size = 0;
    const bool sized = fs().GetFileSize(directory + "/" + name, kIo, &size, nullptr).ok();
    COOKIX_RETURN_IF_ERROR(RemoveTree(fs(), directory + "/" + name));
    if (sized) report->removed_bytes += size;
  }
  return SyncDirectory(fs(), directory);
}

}  // namespace cookix::storage
