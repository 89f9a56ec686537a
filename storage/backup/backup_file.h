// The bytes of the files in a directory of backups.
#ifndef COOKIX_STORAGE_BACKUP_BACKUP_FILE_H_
#define COOKIX_STORAGE_BACKUP_BACKUP_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/file_system.h"
#include "storage/backup/backup_manifest.h"
#include "storage/checked_file.h"
#include "storage/store_copy.h"

namespace cookix::storage {

// Asked between pieces of work; what it returns other than OK ends the work. Must be quick.
using StopCheck = absl::FunctionRef<absl::Status()>;

// A place where a backup is not what it was.
struct BackupDamage {
  // Relative to the directory of backups.
  std::string file;
  // Where it begins: the beginning of a block of kBackupBlock bytes, or the end of what is
  // there.
  uint64_t offset = 0;
  std::string what;
  // The backups that have the file, as far as they were looked at; none for the archived log.
  std::vector<uint64_t> backups;
};

// OK when nothing on the way from `directory` to `place` beneath it is a link, nor what lies
// there, if anything, other than a plain file or directory. kDataLoss otherwise, naming it:
// nobody who makes backups put it there.
absl::Status CheckNoLinks(const std::string& directory, const std::string& place);

// The same error with a remedy that fits backups.
absl::Status ForBackup(const absl::Status& status);

// OpenCheckedFile() with errors that fit backups.
absl::StatusOr<std::unique_ptr<CheckedFileReader>> OpenForBackup(rocksdb::FileSystem& fs,
                                                                 const std::string& path,
                                                                 std::string_view kind,
                                                                 uint32_t newest_version);

// Copies file number `index` of `copy` to `to`, durably but for its name, in place of what is
// there, and fills the checksums of `file`. The directory exists. `keep_free_bytes` stay free.
// kDataLoss when it is not what the copy's manifest says.
absl::Status CopyToBackup(StoreCopy& copy, size_t index, rocksdb::FileSystem& fs,
                          const std::string& to, uint64_t keep_free_bytes, StopCheck check,
                          BackupFile* file);

// Reads a file from end to end and returns its checksums. kDataLoss when size or checksum is
// another than `file` says.
absl::StatusOr<BackupFile> ReadChecksums(rocksdb::FileSystem& fs, const std::string& path,
                                         const CopyFile& file, StopCheck check);

// Gives a file's bytes to `take`, block by block, each of them checked before. What is found
// damaged ends it, and is returned; an error of reading is an error.
absl::StatusOr<std::optional<BackupDamage>> ReadBackupFile(
    rocksdb::FileSystem& fs, const std::string& directory, uint64_t number, const BackupFile& file,
    StopCheck check, absl::FunctionRef<absl::Status(std::string_view)> take);

// The error for damage.
absl::Status ToStatus(const BackupDamage& damage);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_BACKUP_BACKUP_FILE_H_
