#include "storage/backup/backup_directory.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <unordered_map>
#include <utility>

#include "storage/base/status.h"
#include "storage/file_tree.h"
#include "storage/note_file.h"
#include "storage/rocksdb_checked_file.h"
#include "storage/rocksdb_status.h"

namespace cookix::storage {
namespace {

const rocksdb::IOOptions kIo;

std::string StoreNote(const StoreId& store) { return "store " + StoreIdToHex(store) + "\n"; }

absl::Status NotOfStore(const std::string& why) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, why,
      {"STORE_MISMATCH", "", "Give each store a directory of backups of its own.", false});
}

// 0 when the name is no number of a backup.
uint64_t ParseNumber(const std::string& name) {
  uint64_t number = 0;
  std::from_chars(name.data(), name.data() + name.size(), number);
  return std::to_string(number) == name ? number : 0;
}

BackupSummary Summarise(const BackupManifest& manifest) {
  return {.number = manifest.number,
          .time_ms = manifest.time_ms,
          .position = manifest.position,
          .commit_time_ms = manifest.commit_time_ms,
          .files = manifest.files.size(),
          .bytes = manifest.bytes(),
          .new_bytes = manifest.new_bytes};
}

}  // namespace

class BackupDirectory::Lock {
 public:
  Lock(std::shared_ptr<rocksdb::FileSystem> fs, rocksdb::FileLock* lock)
      : fs_(std::move(fs)), lock_(lock) {}
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() { fs_->UnlockFile(lock_, kIo, nullptr).PermitUncheckedError(); }

 private:
  const std::shared_ptr<rocksdb::FileSystem> fs_;
  rocksdb::FileLock* const lock_;
};

// A backup that is being made.
struct BackupDirectory::Attempt {
  BackupManifest manifest;
  // The newest one that is there, and its shared files by their places.
  BackupManifest before;
  std::unordered_map<std::string, const BackupFile*> known;
  // Shared files that it brought, to be removed again if it fails.
  std::vector<std::string> brought;
};

BackupDirectory::BackupDirectory(BackupOptions options)
    : options_([&] {
        if (options.file_system == nullptr) options.file_system = rocksdb::FileSystem::Default();
        while (options.path.size() > 1 && options.path.back() == '/') options.path.pop_back();
        return std::move(options);
      }()) {}

std::string BackupDirectory::PathOf(std::string_view place) const {
  return options_.path + "/" + std::string(place);
}

int64_t BackupDirectory::Now() const {
  if (options_.clock_ms != nullptr) return options_.clock_ms();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

absl::StatusOr<std::shared_ptr<BackupDirectory::Lock>> BackupDirectory::LockDirectory() const {
  COOKIX_RETURN_IF_ERROR(MakeDirectories(fs(), options_.path));
  COOKIX_RETURN_IF_ERROR(CheckNoLinks(options_.path, std::string(kBackupsLock)));
  rocksdb::FileLock* taken = nullptr;
  const rocksdb::IOStatus status = fs().LockFile(PathOf(kBackupsLock), kIo, &taken, nullptr);
  if (status.ok()) return std::make_shared<Lock>(options_.file_system, taken);
  if (IsPermissionError(status) || status.IsNoSpace()) {
    return FromRocksDb(status, "locking " + options_.path);
  }
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   "somebody else makes or removes backups in " + options_.path,
                   {"BACKUP_BUSY", "", "Wait until that is done.", true});
}

absl::Status BackupDirectory::Claim(const StoreId& store) const {
  COOKIX_RETURN_IF_ERROR(CheckNoLinks(options_.path, std::string(kBackupsNote)));
  COOKIX_ASSIGN_OR_RETURN(const bool claimed, Exists(fs(), PathOf(kBackupsNote)));
  if (claimed) {
    const auto note = ReadNote(options_.file_system, options_.path, kBackupsNote);
    if (!note.ok()) return ForBackup(note.status());
    if (*note == StoreNote(store)) return absl::OkStatus();
    return NotOfStore(options_.path + " has the backups of another store");
  }
  COOKIX_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(fs(), options_.path));
  for (const std::string& name : names) {
    if (name == kBackupsLock || name == "lost+found" || name.starts_with(kBackupsNote)) continue;
    return NotOfStore(options_.path + " is no directory of backups: it has the file " + name);
  }
  COOKIX_RETURN_IF_ERROR(RemoveTree(fs(), PathOf(kBackupsNote) + ".new"));
  return WriteNote(options_.file_system, options_.path, kBackupsNote, StoreNote(store));
}

absl::Status BackupDirectory::MakePlace(const std::string& place) const {
  COOKIX_RETURN_IF_ERROR(CheckNoLinks(options_.path, place));
  return MakeDirectories(fs(), PathOf(place));
}

absl::StatusOr<std::vector<uint64_t>> BackupDirectory::Numbers() const {
  std::vector<uint64_t> numbers;
  COOKIX_RETURN_IF_ERROR(CheckNoLinks(options_.path, std::string(kBackupsDirectory)));
  COOKIX_ASSIGN_OR_RETURN(const bool any, Exists(fs(), PathOf(kBackupsDirectory)));
  if (!any) return numbers;
  COOKIX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                          ListDirectory(fs(), PathOf(kBackupsDirectory)));
  for (const std::string& name : names) {
    const uint64_t number = ParseNumber(name);
    if (number == 0) continue;
    COOKIX_ASSIGN_OR_RETURN(const bool whole, Exists(fs(), PathOf(ManifestPlace(number))));
    if (whole) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

absl::Status BackupDirectory::RemoveTemporary(std::string_view place) const {
  COOKIX_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(fs(), PathOf(place)));
  for (const std::string& name : names) {
    if (!name.ends_with(kTemporarySuffix)) continue;
    COOKIX_RETURN_IF_ERROR(RemoveTree(fs(), PathOf(place) + "/" + name));
  }
  return absl::OkStatus();
}

absl::Status BackupDirectory::TidyUp() const {
  for (const std::string_view place : {kBackupsDirectory, kSharedDirectory, kLogDirectory}) {
    COOKIX_RETURN_IF_ERROR(MakePlace(std::string(place)));
  }
  COOKIX_RETURN_IF_ERROR(RemoveTemporary(kSharedDirectory));
  COOKIX_RETURN_IF_ERROR(RemoveTemporary(kLogDirectory));
  COOKIX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                          ListDirectory(fs(), PathOf(kBackupsDirectory)));
  for (const std::string& name : names) {
    const uint64_t number = ParseNumber(name);
    if (number == 0) continue;
    COOKIX_ASSIGN_OR_RETURN(const bool whole, Exists(fs(), PathOf(ManifestPlace(number))));
    if (!whole) COOKIX_RETURN_IF_ERROR(RemoveTree(fs(), PathOf(DirectoryOfBackup(number))));
  }
  return absl::OkStatus();
}

absl::StatusOr<BackupManifest> BackupDirectory::NewestManifest() const {
  COOKIX_ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers, Numbers());
  for (auto number = numbers.rbegin(); number != numbers.rend(); ++number) {
    auto manifest = ReadBackupManifest(fs(), options_.path, *number, nullptr);
    if (manifest.ok() || manifest.status().code() != absl::StatusCode::kDataLoss) return manifest;
  }
  return BackupManifest();
}

// --- Making one ---

absl::StatusOr<BackupReport> BackupDirectory::Create(Store& store, uint64_t log_from, bool full,
                                                     StopCheck check) {
  COOKIX_ASSIGN_OR_RETURN(const std::shared_ptr<Lock> lock, LockDirectory());
  COOKIX_RETURN_IF_ERROR(Claim(store.id()));
  COOKIX_RETURN_IF_ERROR(TidyUp());
  COOKIX_ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers, Numbers());
  Attempt attempt;
  COOKIX_ASSIGN_OR_RETURN(attempt.before, NewestManifest());
  for (const BackupFile& file : attempt.before.files) {
    if (IsShared(file.file))
      attempt.known.emplace(PlaceOf(attempt.before.number, file.file), &file);
  }
  BackupManifest& manifest = attempt.manifest;
  manifest.number = numbers.empty() ? 1 : numbers.back() + 1;
  {
    COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<StoreCopy> copy, store.MakeCopy(log_from));
    manifest.format_version = kFormatVersion;
    manifest.position = copy->manifest().position;
    manifest.commit_time_ms = copy->manifest().time_ms;
    manifest.epochs = UpTo(store.Epochs(), manifest.position.epoch);
    absl::Status made = CopyFiles(*copy, full, check, &attempt);
    manifest.time_ms = Now();
    if (made.ok()) made = SyncPlaces(manifest);
    if (made.ok()) {
      made = WriteBackupManifest(fs(), options_.path, manifest, options_.keep_free_bytes);
    }
    if (!made.ok()) {
      // The manifest may be there even so, when only its directory could not be synced.
      RemoveTree(fs(), PathOf(ManifestPlace(manifest.number))).IgnoreError();
      RemoveTree(fs(), PathOf(DirectoryOfBackup(manifest.number))).IgnoreError();
      for (const std::string& place : attempt.brought) {
        RemoveTree(fs(), PathOf(place)).IgnoreError();
      }
      return made;
    }
  }
  BackupReport report{.backup = Summarise(manifest)};
  absl::StatusOr<ArchiveReport> archived = Archive(store, check);
  if (archived.ok()) {
    report.log = *archived;
  } else {
    report.log_status = archived.status();
  }
  return report;
}

absl::Status BackupDirectory::CopyFiles(StoreCopy& copy, bool full, StopCheck check,
                                        Attempt* attempt) const {
  const std::vector<CopyFile>& files = copy.manifest().files;
  for (size_t i = 0; i < files.size(); ++i) {
    COOKIX_RETURN_IF_ERROR(check());
    COOKIX_RETURN_IF_ERROR(IsShared(files[i]) ? TakeShared(copy, i, full, check, attempt)
                                              : TakeOwn(copy, i, check, attempt));
  }
  return absl::OkStatus();
}

absl::Status BackupDirectory::TakeShared(StoreCopy& copy, size_t index, bool full, StopCheck check,
                                         Attempt* attempt) const {
  const CopyFile& wanted = copy.manifest().files[index];
  const std::string place = PlaceOf(attempt->manifest.number, wanted);
  const std::string path = PathOf(place);
  COOKIX_RETURN_IF_ERROR(CheckNoLinks(options_.path, place));
  COOKIX_ASSIGN_OR_RETURN(const bool there, Exists(fs(), path));
  uint64_t size = 0;
  if (there && !full && fs().GetFileSize(path, kIo, &size, nullptr).ok() && size == wanted.size) {
    if (const auto known = attempt->known.find(place); known != attempt->known.end()) {
      attempt->manifest.files.push_back(*known->second);
      attempt->manifest.files.back().file.path = wanted.path;
      return absl::OkStatus();
    }
    // Of an older backup, or of an attempt that was interrupted.
    absl::StatusOr<BackupFile> read = ReadChecksums(fs(), path, wanted, check);
    if (read.ok()) {
      attempt->manifest.files.push_back(*std::move(read));
      return absl::OkStatus();
    }
    if (read.status().code() != absl::StatusCode::kDataLoss) return read.status();
  }
  const std::string temporary = path + std::string(kTemporarySuffix);
  BackupFile taken;
  const absl::Status copied =
      CopyToBackup(copy, index, fs(), temporary, options_.keep_free_bytes, check, &taken);
  if (!copied.ok()) {
    RemoveTree(fs(), temporary).IgnoreError();
    return copied;
  }
  const rocksdb::IOStatus renamed = fs().RenameFile(temporary, path, kIo, nullptr);
  if (!renamed.ok()) {
    RemoveTree(fs(), temporary).IgnoreError();
    return FromRocksDb(renamed, "writing " + path);
  }
  if (!there) attempt->brought.push_back(place);
  attempt->manifest.new_bytes += taken.file.size;
  attempt->manifest.files.push_back(std::move(taken));
  return absl::OkStatus();
}

absl::Status BackupDirectory::TakeOwn(StoreCopy& copy, size_t index, StopCheck check,
                                      Attempt* attempt) const {
  const std::string path = PathOf(PlaceOf(attempt->manifest.number, copy.manifest().files[index]));
  COOKIX_RETURN_IF_ERROR(MakeDirectories(fs(), path.substr(0, path.find_last_of('/'))));
  BackupFile& taken = attempt->manifest.files.emplace_back();
  COOKIX_RETURN_IF_ERROR(
      CopyToBackup(copy, index, fs(), path, options_.keep_free_bytes, check, &taken));
  attempt->manifest.new_bytes += taken.file.size;
  return absl::OkStatus();
}

absl::Status BackupDirectory::SyncPlaces(const BackupManifest& manifest) const {
  std::set<std::string> directories{std::string(kSharedDirectory),
                                    DirectoryOfBackup(manifest.number)};
  for (const BackupFile& file : manifest.files) {
    const std::string place = PlaceOf(manifest.number, file.file);
    for (size_t slash = place.find('/'); slash != place.npos; slash = place.find('/', slash + 1)) {
      directories.insert(place.substr(0, slash));
    }
  }
  for (const std::string& directory : directories) {
    COOKIX_RETURN_IF_ERROR(SyncDirectory(fs(), PathOf(directory)));
  }
  return SyncDirectory(fs(), options_.path);
}

// --- Looking ---

absl::StatusOr<BackupList> BackupDirectory::List() const {
  BackupList list;
  COOKIX_ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers, Numbers());
  for (const uint64_t number : numbers) {
    const auto manifest = ReadBackupManifest(fs(), options_.path, number, nullptr);
    if (manifest.ok()) {
      list.backups.push_back(Summarise(*manifest));
    } else if (manifest.status().code() != absl::StatusCode::kNotFound) {
      const absl::string_view why = manifest.status().message();
      list.backups.push_back({.number = number, .damage = std::string(why.data(), why.size())});
    }
  }
  COOKIX_ASSIGN_OR_RETURN(const std::vector<LogSegment> segments,
                          LogArchive(fs(), options_.path).List());
  for (const LogSegment& segment : segments) {
    uint64_t size = 0;
    if (fs().GetFileSize(PathOf(LogArchive::PlaceOf(segment)), kIo, &size, nullptr).ok()) {
      list.log_bytes += size;
    }
    if (!list.log.empty() && segment.first <= list.log.back().last + 1) {
      list.log.back().last = std::max(list.log.back().last, segment.last);
    } else {
      list.log.push_back({segment.first, segment.last});
    }
  }
  return list;
}

}  // namespace cookix::storage
