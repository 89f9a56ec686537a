// Reading backups and archived log from end to end.
#include <utility>

#include "storage/backup/backup_directory.h"
#include "storage/base/status.h"
#include "storage/file_tree.h"
#include "storage/note_file.h"

namespace cookix::storage {
namespace {

std::string Text(absl::string_view text) { return std::string(text.data(), text.size()); }

// What is wrong with a file, as opposed to why it could not be read. A byte that says which
// format a file has may be damaged too.
bool IsDamage(const absl::Status& status) {
  return status.code() == absl::StatusCode::kDataLoss ||
         status.code() == absl::StatusCode::kFailedPrecondition;
}

}  // namespace

absl::StatusOr<VerifyReport> BackupDirectory::Verify(std::optional<uint64_t> number,
                                                     StopCheck check) const {
  VerifyReport report;
  Seen seen;
  if (number.has_value()) {
    COOKIX_RETURN_IF_ERROR(VerifyBackup(*number, &seen, check, &report));
    return report;
  }
  COOKIX_ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers, Numbers());
  for (const uint64_t each : numbers) {
    const absl::Status verified = VerifyBackup(each, &seen, check, &report);
    // One that was pruned meanwhile is none.
    if (!verified.ok() && verified.code() != absl::StatusCode::kNotFound) return verified;
  }
  COOKIX_RETURN_IF_ERROR(VerifyLog(check, &report));
  COOKIX_ASSIGN_OR_RETURN(const bool claimed, Exists(fs(), PathOf(kBackupsNote)));
  if (!claimed && !numbers.empty()) {
    report.damage.push_back({std::string(kBackupsNote), 0, "the file is gone", {}});
  }
  if (!claimed) return report;
  const auto note = ReadNote(options_.file_system, options_.path, kBackupsNote);
  if (!note.ok() && !IsDamage(note.status())) return note.status();
  if (!note.ok()) {
    report.damage.push_back({std::string(kBackupsNote), 0, "its checksum does not match", {}});
  }
  return report;
}

absl::Status BackupDirectory::VerifyBackup(uint64_t number, Seen* seen, StopCheck check,
                                           VerifyReport* report) const {
  uint64_t damaged_at = 0;
  const auto manifest = ReadBackupManifest(fs(), options_.path, number, &damaged_at);
  if (!manifest.ok() && !IsDamage(manifest.status())) return manifest.status();
  ++report->backups;
  if (!manifest.ok()) {
    report->damage.push_back(
        {ManifestPlace(number), damaged_at, Text(manifest.status().message()), {number}});
    return absl::OkStatus();
  }
  for (const BackupFile& file : manifest->files) {
    const auto [entry, is_new] = seen->try_emplace(PlaceOf(number, file.file));
    if (is_new) {
      COOKIX_ASSIGN_OR_RETURN(std::optional<BackupDamage> damage,
                              ReadBackupFile(fs(), options_.path, number, file, check,
                                             [](std::string_view) { return absl::OkStatus(); }));
      ++report->files;
      report->bytes += file.file.size;
      if (damage.has_value()) {
        COOKIX_ASSIGN_OR_RETURN(const bool there, Exists(fs(), PathOf(ManifestPlace(number))));
        if (!there) return ReadBackupManifest(fs(), options_.path, number, nullptr).status();
        entry->second = report->damage.size();
        report->damage.push_back(*std::move(damage));
      }
    }
    if (entry->second.has_value()) report->damage[*entry->second].backups.push_back(number);
  }
  return absl::OkStatus();
}

absl::Status BackupDirectory::VerifyLog(StopCheck check, VerifyReport* report) const {
  COOKIX_ASSIGN_OR_RETURN(const std::vector<LogSegment> segments,
                          LogArchive(fs(), options_.path).List());
  for (const LogSegment& segment : segments) {
    COOKIX_RETURN_IF_ERROR(VerifySegment(segment, check, report));
  }
  return absl::OkStatus();
}

absl::Status BackupDirectory::VerifySegment(const LogSegment& segment, StopCheck check,
                                            VerifyReport* report) const {
  const std::string place = LogArchive::PlaceOf(segment);
  COOKIX_ASSIGN_OR_RETURN(const bool there, Exists(fs(), PathOf(place)));
  if (!there) return absl::OkStatus();  // pruned meanwhile
  ++report->files;
  const auto reader = LogArchive(fs(), options_.path).Open(segment);
  if (!reader.ok()) {
    if (!IsDamage(reader.status())) return reader.status();
    report->damage.push_back({place, 0, Text(reader.status().message()), {}});
    return absl::OkStatus();
  }
  ArchivedCommit commit;
  while (true) {
    COOKIX_RETURN_IF_ERROR(check());
    const absl::StatusOr<bool> more = (*reader)->Next(&commit);
    if (!more.ok()) {
      if (!IsDamage(more.status())) return more.status();
      report->damage.push_back({place, (*reader)->damaged_at(), Text(more.status().message()), {}});
      return absl::OkStatus();
    }
    if (!*more) return absl::OkStatus();
    report->bytes += commit.record.size();
  }
}

}  // namespace cookix::storage
