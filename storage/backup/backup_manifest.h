// What a backup consists of, as written beside its files. The bytes and the directory are
// described in storage/doc/backup_format.md.
#ifndef COOKIX_STORAGE_BACKUP_BACKUP_MANIFEST_H_
#define COOKIX_STORAGE_BACKUP_BACKUP_MANIFEST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/file_system.h"
#include "storage/epoch_history.h"
#include "storage/position.h"
#include "storage/store_copy.h"

namespace cookix::storage {

// Bytes of a file that have a checksum of their own: how exactly damage is located.
inline constexpr uint64_t kBackupBlock = 64 << 10;

// In the directory of backups.
inline constexpr std::string_view kBackupsNote = "BACKUPS";
inline constexpr std::string_view kBackupsLock = "LOCK";
inline constexpr std::string_view kBackupsDirectory = "backups";
inline constexpr std::string_view kSharedDirectory = "shared";
inline constexpr std::string_view kLogDirectory = "log";
// In that of one backup.
inline constexpr std::string_view kManifestName = "MANIFEST";
inline constexpr std::string_view kFilesDirectory = "files";

struct BackupFile {
  CopyFile file;
  // CRC-32C of each kBackupBlock bytes; the last block may be shorter.
  std::vector<uint32_t> blocks;
};

struct BackupManifest {
  // From 1, rising.
  uint64_t number = 0;
  // When it was made, Unix milliseconds.
  int64_t time_ms = 0;
  // Of the store: storage::kFormatVersion.
  uint32_t format_version = 0;
  // What it holds: every commit up to here.
  Position position;
  // When that commit was made.
  int64_t commit_time_ms = 0;
  // The store's epochs up to there.
  EpochHistory epochs;
  // Bytes that were copied for it; the rest was there.
  uint64_t new_bytes = 0;
  std::vector<BackupFile> files;

  uint64_t bytes() const;
};

// Sorted files, and those of the log that nobody appends to any more, never change: backups
// share them. All else is each backup's own.
bool IsShared(const CopyFile& file);

// Where a file of backup `number` lies, relative to the directory of backups.
std::string PlaceOf(uint64_t number, const CopyFile& file);
std::string DirectoryOfBackup(uint64_t number);
std::string ManifestPlace(uint64_t number);

CopyManifest ToCopyManifest(const BackupManifest& manifest);

// Writes it durably into `directory`: with that the backup exists. Leaves `keep_free_bytes`.
absl::Status WriteBackupManifest(rocksdb::FileSystem& fs, const std::string& directory,
                                 const BackupManifest& manifest, uint64_t keep_free_bytes);

// Reads the manifest of backup `number`. `damaged_at`, if not null, is set with kDataLoss.
// Errors:
//   kNotFound            BACKUP_NOT_FOUND
//   kDataLoss            CORRUPTION, naming file and offset; also what links lead to
//   kFailedPrecondition  FORMAT_MISMATCH: newer than this program
//   kInternal            IO_ERROR
absl::StatusOr<BackupManifest> ReadBackupManifest(rocksdb::FileSystem& fs,
                                                  const std::string& directory, uint64_t number,
                                                  uint64_t* damaged_at);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_BACKUP_BACKUP_MANIFEST_H_
