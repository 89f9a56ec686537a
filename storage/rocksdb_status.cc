#include "storage/rocksdb_status.h"

#include <string>

#include "storage/base/status.h"

namespace cookix::storage {

bool IsPermissionError(const rocksdb::Status& status) {
  if (!status.IsIOError()) return false;
  // RocksDB keeps the operating system's error only as text.
  const std::string text = status.ToString();
  return text.find("Permission denied") != std::string::npos ||
         text.find("Read-only file system") != std::string::npos ||
         text.find("Operation not permitted") != std::string::npos;
}

bool IsNoSpaceError(const rocksdb::Status& status) {
  return status.IsNoSpace() ||
         (!status.ok() && status.ToString().find("No space left on device") != std::string::npos);
}

bool IsMissing(const rocksdb::Status& status) {
  return status.IsNotFound() || status.IsPathNotFound();
}

absl::Status FromRocksDb(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = std::string(doing) + " failed: " + status.ToString();
  if (IsNoSpaceError(status)) {
    return MakeError(
        absl::StatusCode::kResourceExhausted, message,
        {"DISK_LOW", "", "Free space on the disk, or delete data, then try again.", true});
  }
  if (status.IsCorruption()) {
    return Corruption(message,
                      "Restore the store from a checkpoint, or seed it again from a replica.");
  }
  if (IsPermissionError(status)) {
    return MakeError(
        absl::StatusCode::kPermissionDenied, message,
        {"PERMISSION_DENIED", "",
         "Let the user that runs this program read and write the data directory.", false});
  }
  if (IsMissing(status)) {
    return MakeError(
        absl::StatusCode::kNotFound, message,
        {"IO_ERROR", "", "Check that the files of the store are all in place.", false});
  }
  if (status.IsBusy() || status.IsTryAgain() || status.IsTimedOut()) {
    return MakeError(absl::StatusCode::kUnavailable, message, {"IO_ERROR", "", "Try again.", true});
  }
  if (status.IsIOError()) {
    return MakeError(absl::StatusCode::kInternal, message,
                     {"IO_ERROR", "", "Check the disk and the system's log, then restart.", false});
  }
  return MakeError(absl::StatusCode::kInternal, message,
                   {"INTERNAL", "", "Report this with the program's log.", false});
}

}  // namespace cookix::storage
