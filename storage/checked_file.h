// Files that are written once, front to back, and read the same way: what views
// save beside the store. Every byte is checked before it is handed out.
//
// The format is specified in storage/doc/view_file.md.
#ifndef COOKIX_STORAGE_CHECKED_FILE_H_
#define COOKIX_STORAGE_CHECKED_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cookix::storage {

// Writes one file. It appears under its name, whole and durable, when Finish()
// succeeds, in place of an older one; until then it is a temporary file, which is
// removed when the writer is destroyed. One thread at a time.
class CheckedFileWriter {
 public:
  virtual ~CheckedFileWriter() = default;

  // Keeps about 1 MiB in memory, whatever is appended. After an error every later
  // call returns it too. Errors:
  //   kResourceExhausted  DISK_LOW: no space, or less than the store must keep
  //   kInternal           IO_ERROR
  virtual absl::Status Append(std::string_view bytes) = 0;

  // Writes the end, syncs, puts the file in its place and syncs the directory.
  // At most once; nothing may be appended after it. When it fails, the older file
  // is there, or, if only the last sync failed, one of the two.
  virtual absl::Status Finish() = 0;

  // Appended so far.
  virtual uint64_t bytes() const = 0;

  // A number, little-endian.
  template <typename T>
  absl::Status AppendFixed(T value) {
    static_assert(std::is_arithmetic_v<T>);
    return Append(std::string_view(reinterpret_cast<const char*>(&value), sizeof(value)));
  }

  // Its length, in 4 bytes, and the text.
  // REQUIRES: less than 4 GiB.
  absl::Status AppendString(std::string_view text);
};

// Reads one file. One thread at a time.
class CheckedFileReader {
 public:
  virtual ~CheckedFileReader() = default;

  // Of the content, as it was given when the file was written.
  virtual uint32_t version() const = 0;

  // Fills `buffer` with exactly the next `n` bytes, which were checked. After an
  // error every later call returns it too, and what `buffer` holds means nothing.
  // Errors:
  //   kDataLoss  CORRUPTION: damaged or cut off, naming file and offset; or the
  //              content has ended
  //   kInternal  IO_ERROR
  virtual absl::Status Read(void* buffer, size_t n) = 0;

  // Whether everything was read. Only then is it sure that the file is whole.
  virtual absl::StatusOr<bool> AtEnd() = 0;

  // After kDataLoss: where in the file it is damaged or cut off, as far as that is known.
  virtual uint64_t damaged_at() const { return 0; }

  // No more than so many bytes can follow: a bound for numbers of elements, before
  // memory is taken for them.
  virtual uint64_t MaxLeft() const = 0;

  template <typename T>
  absl::Status ReadFixed(T* value) {
    static_assert(std::is_arithmetic_v<T>);
    return Read(value, sizeof(*value));
  }

  // What AppendString() wrote. kDataLoss too when more bytes are promised than can follow.
  absl::Status ReadString(std::string* text);
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_CHECKED_FILE_H_
