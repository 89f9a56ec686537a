#include "storage/backup/backup_manifest.h"

#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "storage/backup/backup_file.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"
#include "storage/checked_file.h"
#include "storage/file_tree.h"
#include "storage/rocksdb_checked_file.h"
#include "storage/store_file.h"

namespace cookix::storage {
namespace {

constexpr std::string_view kKind = "backup";
constexpr uint32_t kVersion = 1;
constexpr std::string_view kRemedy = "Use another backup, and check the disk.";

std::string NameOf(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

uint64_t BlocksOf(uint64_t size) { return size / kBackupBlock + (size % kBackupBlock != 0); }

absl::Status WriteFile(CheckedFileWriter& writer, const BackupFile& file) {
  COOKIX_RETURN_IF_ERROR(writer.AppendString(file.file.path));
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed(file.file.size));
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed(file.file.crc32c));
  for (const uint32_t block : file.blocks) COOKIX_RETURN_IF_ERROR(writer.AppendFixed(block));
  return absl::OkStatus();
}

absl::Status ReadFile(CheckedFileReader& reader, BackupFile* file) {
  COOKIX_RETURN_IF_ERROR(reader.ReadString(&file->file.path));
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&file->file.size));
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&file->file.crc32c));
  const uint64_t blocks = BlocksOf(file->file.size);
  if (blocks > reader.MaxLeft() / sizeof(uint32_t)) {
    return Corruption("the manifest of a backup names more blocks than it has", kRemedy);
  }
  file->blocks.resize(blocks);
  return blocks == 0 ? absl::OkStatus()
                     : reader.Read(file->blocks.data(), blocks * sizeof(uint32_t));
}

absl::Status ReadHistory(CheckedFileReader& reader, EpochHistory* history) {
  std::string text;
  COOKIX_RETURN_IF_ERROR(reader.ReadString(&text));
  std::string_view in = text;
  if (DecodeHistory(&in, history) && in.empty()) return absl::OkStatus();
  return Corruption("the manifest of a backup has no epochs", kRemedy);
}

absl::Status ReadContent(CheckedFileReader& reader, BackupManifest* manifest) {
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&manifest->number));
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&manifest->time_ms));
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&manifest->format_version));
  Position& position = manifest->position;
  COOKIX_RETURN_IF_ERROR(reader.Read(position.store.data(), position.store.size()));
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&position.epoch));
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&position.commit));
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&manifest->commit_time_ms));
  COOKIX_RETURN_IF_ERROR(ReadHistory(reader, &manifest->epochs));
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&manifest->new_bytes));
  while (true) {
    COOKIX_ASSIGN_OR_RETURN(const bool at_end, reader.AtEnd());
    if (at_end) break;
    COOKIX_RETURN_IF_ERROR(ReadFile(reader, &manifest->files.emplace_back()));
  }
  const absl::Status fit = CheckManifest(ToCopyManifest(*manifest));
  if (fit.ok()) return fit;
  return Corruption("the manifest of a backup names what no store has: " +
                        std::string(fit.message().data(), fit.message().size()),
                    kRemedy);
}

}  // namespace

uint64_t BackupManifest::bytes() const {
  uint64_t sum = 0;
  for (const BackupFile& file : files) sum += file.file.size;
  return sum;
}

bool IsShared(const CopyFile& file) {
  const std::string_view path = file.path;
  return path.ends_with(".sst") || path.substr(0, path.find('/')) == kArchiveDirectory;
}

std::string DirectoryOfBackup(uint64_t number) {
  return std::string(kBackupsDirectory) + "/" + std::to_string(number);
}

std::string ManifestPlace(uint64_t number) {
  return DirectoryOfBackup(number) + "/" + std::string(kManifestName);
}

std::string PlaceOf(uint64_t number, const CopyFile& file) {
  if (!IsShared(file)) {
    return DirectoryOfBackup(number) + "/" + std::string(kFilesDirectory) + "/" + file.path;
  }
  char crc[16];
  std::snprintf(crc, sizeof(crc), "%08x", file.crc32c);
  return std::string(kSharedDirectory) + "/" + crc + "-" + std::to_string(file.size) + "-" +
         NameOf(file.path);
}

CopyManifest ToCopyManifest(const BackupManifest& manifest) {
  CopyManifest copy{.position = manifest.position, .time_ms = manifest.commit_time_ms};
  for (const BackupFile& file : manifest.files) copy.files.push_back(file.file);
  return copy;
}

absl::Status WriteBackupManifest(rocksdb::FileSystem& fs, const std::string& directory,
                                 const BackupManifest& manifest, uint64_t keep_free_bytes) {
  COOKIX_ASSIGN_OR_RETURN(
      const std::unique_ptr<CheckedFileWriter> writer,
      CreateCheckedFile(fs, directory + "/" + ManifestPlace(manifest.number), kKind, kVersion,
                        {.block_bytes = kBackupBlock, .keep_free_bytes = keep_free_bytes}));
  COOKIX_RETURN_IF_ERROR(writer->AppendFixed(manifest.number));
  COOKIX_RETURN_IF_ERROR(writer->AppendFixed(manifest.time_ms));
  COOKIX_RETURN_IF_ERROR(writer->AppendFixed(manifest.format_version));
  const Position& position = manifest.position;
  COOKIX_RETURN_IF_ERROR(writer->Append(std::string_view(
      reinterpret_cast<const char*>(position.store.data()), position.store.size())));
  COOKIX_RETURN_IF_ERROR(writer->AppendFixed(position.epoch));
  COOKIX_RETURN_IF_ERROR(writer->AppendFixed(position.commit));
  COOKIX_RETURN_IF_ERROR(writer->AppendFixed(manifest.commit_time_ms));
  COOKIX_RETURN_IF_ERROR(writer->AppendString(EncodeHistory(manifest.epochs)));
  COOKIX_RETURN_IF_ERROR(writer->AppendFixed(manifest.new_bytes));
  for (const BackupFile& file : manifest.files) COOKIX_RETURN_IF_ERROR(WriteFile(*writer, file));
  return writer->Finish();
}

absl::StatusOr<BackupManifest> ReadBackupManifest(rocksdb::FileSystem& fs,
                                                  const std::string& directory, uint64_t number,
                                                  uint64_t* damaged_at) {
  if (damaged_at != nullptr) *damaged_at = 0;
  const std::string place = ManifestPlace(number);
  COOKIX_RETURN_IF_ERROR(CheckNoLinks(directory, place));
  COOKIX_ASSIGN_OR_RETURN(const bool exists, Exists(fs, directory + "/" + place));
  if (!exists) {
    return NotFound("BACKUP_NOT_FOUND", "backup", "there is no backup " + std::to_string(number),
                    "List the backups.");
  }
  COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<CheckedFileReader> reader,
                          OpenForBackup(fs, directory + "/" + place, kKind, kVersion));
  BackupManifest manifest;
  const absl::Status read = ReadContent(*reader, &manifest);
  if (!read.ok()) {
    if (damaged_at != nullptr) *damaged_at = reader->damaged_at();
    return ForBackup(read);
  }
  if (manifest.number != number) {
    return Corruption("the file " + directory + "/" + place + " is that of backup " +
                          std::to_string(manifest.number),
                      kRemedy);
  }
  return manifest;
}

}  // namespace cookix::storage
