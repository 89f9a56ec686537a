#include "storage/backup/backup_file.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "storage/base/crc32c.h"
#include "storage/base/status.h"
#include "storage/file_tree.h"
#include "storage/rocksdb_checked_file.h"
#include "storage/rocksdb_status.h"

namespace cookix::storage {
namespace {

// Whole blocks at a time.
constexpr size_t kPiece = 1 << 20;
static_assert(kPiece % kBackupBlock == 0);

const rocksdb::IOOptions kIo;

std::string Text(absl::string_view text) { return std::string(text.data(), text.size()); }

absl::Status CheckSpace(rocksdb::FileSystem& fs, const std::string& path, uint64_t bytes,
                        uint64_t keep_free_bytes) {
  uint64_t free = 0;
  const std::string directory = path.substr(0, path.find_last_of('/'));
  if (keep_free_bytes == 0 || !fs.GetFreeSpace(directory, kIo, &free, nullptr).ok() ||
      (free >= keep_free_bytes && free - keep_free_bytes >= bytes)) {
    return absl::OkStatus();
  }
  return MakeError(absl::StatusCode::kResourceExhausted,
                   "only " + std::to_string(free) + " bytes are free on the disk of the backups",
                   {"DISK_LOW", "", "Prune old backups or free space, then try again.", true});
}

// Checksums of a file that comes piece by piece, whole blocks each but for the last.
void AddChecksums(std::string_view piece, BackupFile* file) {
  file->file.crc32c = ExtendCrc32c(file->file.crc32c, piece);
  file->file.size += piece.size();
  for (; !piece.empty(); piece.remove_prefix(std::min<size_t>(piece.size(), kBackupBlock))) {
    file->blocks.push_back(Crc32c(piece.substr(0, kBackupBlock)));
  }
}

// Fills `piece` with `n` bytes of the file, or with fewer at its end.
absl::Status ReadPiece(rocksdb::FSSequentialFile& file, const std::string& path, size_t n,
                       std::string* piece) {
  piece->resize(n);
  size_t done = 0;
  while (done < n) {
    rocksdb::Slice part;
    const rocksdb::IOStatus status = file.Read(n - done, kIo, &part, piece->data() + done, nullptr);
    if (!status.ok()) return FromRocksDb(status, "reading " + path);
    if (part.empty()) break;
    if (part.data() != piece->data() + done) {
      std::copy_n(part.data(), part.size(), piece->data() + done);
    }
    done += part.size();
  }
  piece->resize(done);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<rocksdb::FSSequentialFile>> OpenFile(rocksdb::FileSystem& fs,
                                                                    const std::string& path) {
  std::unique_ptr<rocksdb::FSSequentialFile> file;
  const rocksdb::IOStatus status =
      fs.NewSequentialFile(path, rocksdb::FileOptions(), &file, nullptr);
  if (!status.ok()) return FromRocksDb(status, "opening " + path);
  return file;
}

absl::Status CheckPlain(const std::string& path, const std::string& place) {
  std::error_code ignored;
  switch (std::filesystem::symlink_status(path, ignored).type()) {
    case std::filesystem::file_type::regular:
    case std::filesystem::file_type::directory:
    case std::filesystem::file_type::not_found:
    case std::filesystem::file_type::none:
      return absl::OkStatus();
    default:
      return Corruption(place + " in the directory of backups is no plain file or directory",
                        "Find out who put it there, and use another backup.");
  }
}

}  // namespace

absl::Status CheckNoLinks(const std::string& directory, const std::string& place) {
  for (size_t slash = place.find('/'); slash != place.npos; slash = place.find('/', slash + 1)) {
    const std::string parent = place.substr(0, slash);
    COOKIX_RETURN_IF_ERROR(CheckPlain(directory + "/" + parent, parent));
  }
  return CheckPlain(directory + "/" + place, place);
}

absl::Status ForBackup(const absl::Status& status) {
  if (status.code() == absl::StatusCode::kDataLoss) {
    return Corruption(Text(status.message()), "Use another backup, and check the disk.");
  }
  if (status.code() == absl::StatusCode::kFailedPrecondition) {
    return MakeError(
        status.code(), Text(status.message()),
        {"FORMAT_MISMATCH", "", "Use the version of CookiX that wrote it, or a newer one.", false});
  }
  return status;
}

absl::StatusOr<std::unique_ptr<CheckedFileReader>> OpenForBackup(rocksdb::FileSystem& fs,
                                                                 const std::string& path,
                                                                 std::string_view kind,
                                                                 uint32_t newest_version) {
  auto reader = OpenCheckedFile(fs, path, kind, newest_version);
  if (!reader.ok()) return ForBackup(reader.status());
  return reader;
}

absl::Status CopyToBackup(StoreCopy& copy, size_t index, rocksdb::FileSystem& fs,
                          const std::string& to, uint64_t keep_free_bytes, StopCheck check,
                          BackupFile* file) {
  const CopyFile& wanted = copy.manifest().files[index];
  *file = {.file = {.path = wanted.path}};
  std::unique_ptr<rocksdb::FSWritableFile> writer;
  rocksdb::IOStatus status = fs.NewWritableFile(to, rocksdb::FileOptions(), &writer, nullptr);
  std::string piece;
  while (status.ok() && file->file.size < wanted.size) {
    COOKIX_RETURN_IF_ERROR(check());
    COOKIX_RETURN_IF_ERROR(CheckSpace(fs, to, kPiece, keep_free_bytes));
    COOKIX_RETURN_IF_ERROR(copy.Read(index, file->file.size, kPiece, &piece));
    AddChecksums(piece, file);
    status = writer->Append(rocksdb::Slice(piece), kIo, nullptr);
  }
  if (status.ok()) status = writer->Sync(kIo, nullptr);
  if (status.ok()) status = writer->Close(kIo, nullptr);
  if (!status.ok()) return FromRocksDb(status, "writing " + to);
  if (file->file == wanted) return absl::OkStatus();
  return Corruption("the file " + wanted.path + " of the store changed while it was backed up",
                    "Check the disk of the store, then try again.");
}

absl::StatusOr<BackupFile> ReadChecksums(rocksdb::FileSystem& fs, const std::string& path,
                                         const CopyFile& file, StopCheck check) {
  COOKIX_ASSIGN_OR_RETURN(const auto reader, OpenFile(fs, path));
  BackupFile found{.file = {.path = file.path}};
  std::string piece;
  do {
    COOKIX_RETURN_IF_ERROR(check());
    COOKIX_RETURN_IF_ERROR(ReadPiece(*reader, path, kPiece, &piece));
    AddChecksums(piece, &found);
  } while (piece.size() == kPiece && found.file.size <= file.size);
  if (found.file == file) return found;
  return Corruption(path + " is not what its name says", "It is written again.");
}

absl::StatusOr<std::optional<BackupDamage>> ReadBackupFile(
    rocksdb::FileSystem& fs, const std::string& directory, uint64_t number, const BackupFile& file,
    StopCheck check, absl::FunctionRef<absl::Status(std::string_view)> take) {
  const std::string place = PlaceOf(number, file.file);
  const std::string path = directory + "/" + place;
  const auto damaged = [&](uint64_t offset, std::string what) {
    return BackupDamage{place, offset, std::move(what)};
  };
  if (const absl::Status plain = CheckNoLinks(directory, place); !plain.ok()) {
    return damaged(0, Text(plain.message()));
  }
  COOKIX_ASSIGN_OR_RETURN(const bool exists, Exists(fs, path));
  if (!exists) return damaged(0, "the file is gone");
  COOKIX_ASSIGN_OR_RETURN(const auto reader, OpenFile(fs, path));
  std::string piece;
  uint64_t offset = 0;
  uint32_t crc = 0;
  for (size_t block = 0; block < file.blocks.size(); ++block) {
    COOKIX_RETURN_IF_ERROR(check());
    const uint64_t n = std::min<uint64_t>(kBackupBlock, file.file.size - offset);
    COOKIX_RETURN_IF_ERROR(ReadPiece(*reader, path, n, &piece));
    if (piece.size() < n) return damaged(offset + piece.size(), "the file ends too early");
    if (Crc32c(piece) != file.blocks[block]) return damaged(offset, "a checksum does not match");
    crc = ExtendCrc32c(crc, piece);
    COOKIX_RETURN_IF_ERROR(take(piece));
    offset += n;
  }
  COOKIX_RETURN_IF_ERROR(ReadPiece(*reader, path, 1, &piece));
  if (!piece.empty()) return damaged(offset, "bytes follow its end");
  if (crc != file.file.crc32c) return damaged(0, "the checksum of the whole does not match");
  return std::nullopt;
}

absl::Status ToStatus(const BackupDamage& damage) {
  return Corruption("the file " + damage.file + " of the backups is damaged at offset " +
                        std::to_string(damage.offset) + ": " + damage.what,
                    "Use another backup, and check the disk.");
}

}  // namespace cookix::storage
