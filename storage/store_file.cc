#include "storage/store_file.h"

#include <charconv>

#include "storage/base/crc32c.h"
#include "storage/base/status.h"
#include "storage/note_file.h"
#include "storage/rocksdb_status.h"

namespace cookix::storage {
namespace {

constexpr std::string_view kTitle = "CookiX store\n";

std::string Hex32(uint32_t value) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (int shift = 28; shift >= 0; shift -= 4) hex.push_back(kDigits[(value >> shift) & 15]);
  return hex;
}

// Takes "name value\n" off the front.
bool TakeLine(std::string_view* in, std::string_view name, std::string_view* value) {
  const size_t end = in->find('\n');
  if (end == std::string_view::npos || !in->starts_with(name)) return false;
  std::string_view line = in->substr(0, end);
  line.remove_prefix(name.size());
  if (line.empty() || line.front() != ' ') return false;
  *value = line.substr(1);
  in->remove_prefix(end + 1);
  return true;
}

bool ParseNumber(std::string_view text, uint32_t* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseId(std::string_view hex, StoreId* id) {
  if (hex.size() != 2 * id->size()) return false;
  for (size_t i = 0; i < id->size(); ++i) {
    const auto [end, error] =
        std::from_chars(hex.data() + 2 * i, hex.data() + 2 * i + 2, (*id)[i], 16);
    if (error != std::errc() || end != hex.data() + 2 * i + 2) return false;
  }
  return true;
}

}  // namespace

std::string EncodeStoreFile(const StoreFile& file) {
  std::string text(kTitle);
  text += "format " + std::to_string(file.format_version) + "\n";
  text += "id " + StoreIdToHex(file.id) + "\n";
  text += std::string("copy ") + (file.copy ? "yes" : "no") + "\n";
  text += "checksum " + Hex32(MaskCrc32c(Crc32c(text))) + "\n";
  return text;
}

absl::StatusOr<StoreFile> DecodeStoreFile(std::string_view text, uint32_t newest_format) {
  const auto damaged = [] {
    return Corruption("the file COOKIX of the store is damaged",
                      "Restore the store from a checkpoint; nothing in it was changed.");
  };
  StoreFile file;
  std::string_view in = text;
  std::string_view value;
  if (!in.starts_with(kTitle)) return damaged();
  in.remove_prefix(kTitle.size());
  if (!TakeLine(&in, "format", &value) || !ParseNumber(value, &file.format_version)) {
    return damaged();
  }
  if (file.format_version > newest_format) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition,
        "the store has format " + std::to_string(file.format_version) +
            ", this program knows up to " + std::to_string(newest_format),
        {"INTERNAL", "", "Use the version of CookiX that wrote it, or a newer one.", false});
  }
  if (!TakeLine(&in, "id", &value) || !ParseId(value, &file.id)) return damaged();
  if (!TakeLine(&in, "copy", &value) || (value != "yes" && value != "no")) return damaged();
  file.copy = value == "yes";
  // The text is exactly what this program writes, checksum included.
  if (EncodeStoreFile(file) != text || file.format_version == 0) return damaged();
  return file;
}

absl::StatusOr<StoreFile> ReadStoreFile(rocksdb::FileSystem& fs, const std::string& directory,
                                        uint32_t newest_format) {
  std::string text;
  const rocksdb::IOStatus status =
      rocksdb::ReadFileToString(&fs, directory + "/" + std::string(kStoreFileName), &text);
  if (!status.ok()) return FromRocksDb(status, "reading the file COOKIX");
  return DecodeStoreFile(text, newest_format);
}

absl::Status WriteStoreFile(rocksdb::FileSystem& fs, const std::string& directory,
                            const StoreFile& file) {
  return WriteDurably(fs, directory, kStoreFileName, EncodeStoreFile(file));
}

}  // namespace cookix::storage
