// Checked files in memory, for tests of what views save.
#ifndef COOKIX_STORAGE_MEMORY_CHECKED_FILE_H_
#define COOKIX_STORAGE_MEMORY_CHECKED_FILE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/checked_file.h"

namespace cookix::storage {

class MemoryFileWriter : public CheckedFileWriter {
 public:
  absl::Status Append(std::string_view bytes) override {
    contents.append(bytes);
    return absl::OkStatus();
  }
  absl::Status Finish() override { return absl::OkStatus(); }
  uint64_t bytes() const override { return contents.size(); }

  std::string contents;
};

// Reads what was written, or something else: nothing is checked. Borrows `contents`.
class MemoryFileReader : public CheckedFileReader {
 public:
  explicit MemoryFileReader(std::string_view contents) : left_(contents) {}
  uint32_t version() const override { return 1; }
  absl::Status Read(void* buffer, size_t n) override {
    if (n > left_.size()) return absl::DataLossError("it has ended");
    if (n > 0) std::memcpy(buffer, left_.data(), n);
    left_.remove_prefix(n);
    return absl::OkStatus();
  }
  absl::StatusOr<bool> AtEnd() override { return left_.empty(); }
  uint64_t MaxLeft() const override { return left_.size(); }

 private:
  std::string_view left_;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_MEMORY_CHECKED_FILE_H_
