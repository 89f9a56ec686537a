#include "storage/backup/restore.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "storage/backup/archive_walk.h"
#include "storage/backup/backup_directory.h"
#include "storage/backup/backup_manifest.h"
#include "storage/backup/log_archive.h"
#include "storage/base/status.h"
#include "storage/copy_receiver.h"
#include "storage/file_tree.h"
#include "storage/note_file.h"
#include "storage/rocksdb_status.h"
#include "storage/store.h"

namespace cookix::storage {
namespace {

// What is given to Store::Replicate() at once.
constexpr size_t kRecordsAtOnce = 256;
constexpr uint64_t kBytesAtOnce = 1 << 20;

const rocksdb::IOOptions kIo;

std::shared_ptr<rocksdb::FileSystem> OrDefault(std::shared_ptr<rocksdb::FileSystem> fs) {
  return fs != nullptr ? std::move(fs) : rocksdb::FileSystem::Default();
}

std::string WithoutTrailingSlash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

absl::Status NotEmpty(const std::string& path, const std::string& why) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "nothing is restored into " + path + ": " + why,
      {"NOT_EMPTY", "to", "Choose a directory that does not exist or is empty.", false});
}

// Repeats commits in a store, some at a time.
class Replay {
 public:
  Replay(Store& store, const EpochHistory& history) : store_(store), history_(history) {}

  absl::Status Add(const ArchivedCommit& commit) {
    bytes_ += commit.record.size();
    records_.push_back(commit.record);
    ++count_;
    const bool full = records_.size() >= kRecordsAtOnce || bytes_ >= kBytesAtOnce;
    return full ? Flush() : absl::OkStatus();
  }

  absl::Status Flush() {
    const std::vector<std::string_view> views(records_.begin(), records_.end());
    COOKIX_RETURN_IF_ERROR(store_.Replicate(history_, views));
    records_.clear();
    bytes_ = 0;
    return absl::OkStatus();
  }

  uint64_t count() const { return count_; }

 private:
  Store& store_;
  const EpochHistory& history_;
  std::vector<std::string> records_;
  uint64_t bytes_ = 0;
  uint64_t count_ = 0;
};

class Restorer {
 public:
  Restorer(const RestoreOptions& options, StopCheck check)
      : from_(WithoutTrailingSlash(options.from)),
        to_(WithoutTrailingSlash(options.to)),
        options_(options),
        target_(options.target),
        from_fs_(OrDefault(options.from_file_system)),
        to_fs_(OrDefault(options.to_file_system)),
        archive_(*from_fs_, from_),
        check_(check) {}

  absl::StatusOr<RestoreReport> Run() {
    if (target_.commit.has_value() && target_.time_ms.has_value()) {
      return InvalidField("time", "both a commit and a time are to be restored",
                          "Say one of them.");
    }
    if (to_.empty()) return InvalidField("to", "no directory to restore into", "Say one.");
    COOKIX_RETURN_IF_ERROR(CheckTarget());
    COOKIX_RETURN_IF_ERROR(ReadManifests());
    COOKIX_RETURN_IF_ERROR(ChooseHistory());
    COOKIX_RETURN_IF_ERROR(ChooseBackup());
    COOKIX_RETURN_IF_ERROR(CheckFormat());
    RestoreReport report{
        .backup = base_.number, .position = base_.position, .commit_time_ms = base_.commit_time_ms};
    ArchiveWalkEnd end{.commit = base_.position.commit};
    if (uses_log()) {
      // Before anything is written: whether the archive has all that is asked for.
      COOKIX_ASSIGN_OR_RETURN(
          end, WalkArchive(archive_, Walk(), check_, [](const auto&) { return absl::OkStatus(); }));
    }
    COOKIX_RETURN_IF_ERROR(BeginTarget());
    COOKIX_RETURN_IF_ERROR(Install());
    if (end.commit > base_.position.commit) COOKIX_RETURN_IF_ERROR(Repeat(&report));
    report.at_end = !uses_log() || end.at_end;
    COOKIX_RETURN_IF_ERROR(EndTarget());
    return report;
  }

 private:
  // A backup that is named, and nothing else, is restored as it is.
  bool uses_log() const {
    return !target_.backup.has_value() || target_.commit.has_value() ||
           target_.time_ms.has_value() || target_.epoch.has_value();
  }

  ArchiveWalk Walk() const {
    return {history_, base_.position.commit, target_.commit, target_.time_ms};
  }

  // --- What is restored ---

  absl::Status ReadManifests() {
    const BackupDirectory backups({.file_system = from_fs_, .path = from_});
    COOKIX_ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers, backups.Numbers());
    for (const uint64_t number : numbers) {
      if (target_.backup.has_value() && !uses_log() && number != *target_.backup) continue;
      auto manifest = ReadBackupManifest(*from_fs_, from_, number, nullptr);
      manifests_.emplace(number, std::move(manifest));
    }
    if (target_.backup.has_value() && !manifests_.contains(*target_.backup)) {
      return NotFound("BACKUP_NOT_FOUND", "backup",
                      "there is no backup " + std::to_string(*target_.backup) + " in " + from_,
                      "List the backups.");
    }
    if (!manifests_.empty()) return absl::OkStatus();
    return NotFound("BACKUP_NOT_FOUND", "from", "there is no backup in " + from_,
                    "Check the directory.");
  }

  void Consider(const EpochHistory& of) {
    EpochHistory history = of;
    if (target_.epoch.has_value()) {
      history = UpTo(of, *target_.epoch);
      if (history.empty() || history.back().epoch != *target_.epoch) return;
    }
    if (IsNewer(history, history_)) history_ = std::move(history);
  }

  absl::Status ChooseHistory() {
    if (!uses_log()) return absl::OkStatus();
    for (const auto& [number, manifest] : manifests_) {
      if (manifest.ok()) Consider(manifest->epochs);
    }
    COOKIX_ASSIGN_OR_RETURN(const std::vector<LogSegment> segments, archive_.List());
    std::set<uint32_t> seen;
    for (const LogSegment& segment : segments) {
      if (seen.contains(segment.history)) continue;
      const auto reader = archive_.Open(segment);
      if (!reader.ok() && reader.status().code() != absl::StatusCode::kDataLoss) {
        return reader.status();
      }
      if (!reader.ok()) continue;  // seen when its commits are wanted
      seen.insert(segment.history);
      Consider((*reader)->header().epochs);
    }
    if (!history_.empty()) return absl::OkStatus();
    if (target_.epoch.has_value()) {
      return NotFound("BACKUP_NOT_FOUND", "epoch",
                      "no backup has the epoch " + std::to_string(*target_.epoch),
                      "Leave it out for the history that was begun last.");
    }
    return manifests_.rbegin()->second.status();
  }

  bool Fits(const BackupManifest& manifest) const {
    const Position& position = manifest.position;
    return WhyDiverged(manifest.epochs, position.commit, history_).empty() &&
           (!target_.commit.has_value() || position.commit <= *target_.commit) &&
           (!target_.time_ms.has_value() || manifest.commit_time_ms <= *target_.time_ms);
  }

  absl::Status ChooseBackup() {
    if (target_.backup.has_value()) {
      const absl::StatusOr<BackupManifest>& manifest = manifests_.at(*target_.backup);
      COOKIX_RETURN_IF_ERROR(manifest.status());
      base_ = *manifest;
      if (!uses_log() || Fits(base_)) return absl::OkStatus();
      return InvalidField("backup",
                          "backup " + std::to_string(base_.number) +
                              " is later than what is to be restored, or of another history",
                          "Leave it out, or name an earlier one.");
    }
    for (auto entry = manifests_.rbegin(); entry != manifests_.rend(); ++entry) {
      const absl::StatusOr<BackupManifest>& manifest = entry->second;
      // Up to a commit that is named, any earlier one does as well. Otherwise it is not known
      // what would be left out.
      if (!manifest.ok() && target_.commit.has_value()) continue;
      if (!manifest.ok()) return manifest.status();
      if (!Fits(*manifest)) continue;
      base_ = *manifest;
      return absl::OkStatus();
    }
    return NotFound("BACKUP_NOT_FOUND", target_.commit.has_value() ? "commit" : "time",
                    "no backup is as early as what is to be restored",
                    "List the backups; restore a later commit.");
  }

  absl::Status CheckFormat() const {
    if (base_.format_version <= kFormatVersion) return absl::OkStatus();
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "backup " + std::to_string(base_.number) + " is of a store of format " +
                         std::to_string(base_.format_version) + ", this program knows " +
                         std::to_string(kFormatVersion),
                     {"FORMAT_MISMATCH", "", "Use the version of CookiX that made it.", false});
  }

  // --- Where it goes ---

  absl::Status CheckTarget() {
    if (IsLink(to_)) return NotEmpty(to_, "it is a link");
    COOKIX_ASSIGN_OR_RETURN(const bool exists, Exists(*to_fs_, to_));
    if (!exists) return absl::OkStatus();
    bool is_directory = true;
    const rocksdb::IOStatus asked = to_fs_->IsDirectory(to_, kIo, &is_directory, nullptr);
    if (asked.ok() && !is_directory) return NotEmpty(to_, "it is a file");
    COOKIX_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(*to_fs_, to_));
    interrupted_ = std::find(names.begin(), names.end(), kRestoreNote) != names.end();
    for (const std::string& name : names) {
      if (IsLink(to_ + "/" + name)) return NotEmpty(to_, name + " in it is a link");
      // Written before the note is in its place.
      const bool harmless = name == "lost+found" || name == std::string(kRestoreNote) + ".new";
      if (!interrupted_ && !harmless) return NotEmpty(to_, "it has the file " + name);
    }
    return absl::OkStatus();
  }

  absl::Status BeginTarget() {
    COOKIX_RETURN_IF_ERROR(MakeDirectories(*to_fs_, to_));
    if (interrupted_) return absl::OkStatus();
    return WriteNote(to_fs_, to_, kRestoreNote, "from " + from_ + "\n");
  }

  absl::Status EndTarget() {
    const std::string note = to_ + "/" + std::string(kRestoreNote);
    const rocksdb::IOStatus deleted = to_fs_->DeleteFile(note, kIo, nullptr);
    if (!deleted.ok()) return FromRocksDb(deleted, "removing " + note);
    return SyncDirectory(*to_fs_, to_);
  }

  absl::Status Install() {
    COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<CopyReceiver> receiver,
                            CopyReceiver::Open(to_fs_, to_, ToCopyManifest(base_), KeepFree()));
    for (size_t i = 0; i < base_.files.size(); ++i) {
      COOKIX_RETURN_IF_ERROR(ReceiveFile(i, *receiver));
    }
    return receiver->Install();
  }

  uint64_t KeepFree() const {
    return static_cast<uint64_t>(std::max<int64_t>(options_.keep_free_bytes, 0));
  }

  absl::Status ReceiveFile(size_t index, CopyReceiver& receiver) {
    uint64_t offset = 0;
    const auto append = [&](std::string_view block) -> absl::Status {
      const uint64_t have = receiver.Have(index);
      const uint64_t end = offset + block.size();
      const uint64_t begin = std::exchange(offset, end);
      if (have >= end) return absl::OkStatus();
      return receiver.Append(index, have, block.substr(have - begin));
    };
    COOKIX_ASSIGN_OR_RETURN(
        const std::optional<BackupDamage> damage,
        ReadBackupFile(*from_fs_, from_, base_.number, base_.files[index], check_, append));
    if (damage.has_value()) return ToStatus(*damage);
    return receiver.Finish(index);
  }

  absl::Status Repeat(RestoreReport* report) {
    Options options;
    options.path = to_;
    options.file_system = to_fs_;
    options.must_exist = true;
    options.follower = true;
    options.restoring = true;
    options.sync_mode = SyncMode::kOff;  // all of it is synced in the end
    options.memory_budget_bytes = options_.memory_budget_bytes;
    options.low_disk_bytes = options_.keep_free_bytes;
    COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::Open(std::move(options)));
    Replay replay(*store, history_);
    COOKIX_ASSIGN_OR_RETURN(
        const ArchiveWalkEnd end,
        WalkArchive(archive_, Walk(), check_,
                    [&](const ArchivedCommit& commit) { return replay.Add(commit); }));
    COOKIX_RETURN_IF_ERROR(replay.Flush());
    COOKIX_RETURN_IF_ERROR(store->Sync());
    report->position = {store->id(), store->epoch(), store->Latest()->commit()};
    report->commit_time_ms = end.time_ms;
    report->replayed = replay.count();
    return absl::OkStatus();
  }

  const std::string from_;
  const std::string to_;
  const RestoreOptions& options_;
  const RestoreTarget& target_;
  const std::shared_ptr<rocksdb::FileSystem> from_fs_;
  const std::shared_ptr<rocksdb::FileSystem> to_fs_;
  const LogArchive archive_;
  const StopCheck check_;

  std::map<uint64_t, absl::StatusOr<BackupManifest>> manifests_;
  EpochHistory history_;
  BackupManifest base_;
  // The target has what an earlier attempt left.
  bool interrupted_ = false;
};

}  // namespace

absl::StatusOr<RestoreReport> Restore(const RestoreOptions& options, StopCheck check) {
  return Restorer(options, check).Run();
}

}  // namespace cookix::storage
