// A small database of its own, for views whose state is larger than memory.
//
// What it holds is derived from the store and can always be made again. So it has no log:
// after a crash it shows exactly the batches up to some point, in the order in which they
// were written, and none after it; what must survive is written by Flush(). A view writes
// its watermark with each batch, and reads there what it is to apply again.
//
// Threads: every method may be called from any thread. Batches of one writer are kept in
// its order.
#ifndef COOKIX_STORAGE_LOCAL_STORE_H_
#define COOKIX_STORAGE_LOCAL_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rocksdb {
class FileSystem;
}  // namespace rocksdb

namespace cookix::storage {

struct LocalStoreOptions {
  // Directory. Created if missing, its parent not.
  std::string path;
  // Null = the operating system's files.
  std::shared_ptr<rocksdb::FileSystem> file_system;
  // Memory for tables that are being written and for what is kept of the files, bytes; at
  // least 4 MiB. While files are compacted some MiB come on top of it.
  int64_t memory_bytes = 24 << 20;
  // Values from so many bytes on are kept apart from the keys, so that rewriting the
  // files does not copy them each time.
  int64_t large_value_bytes = 4 << 10;
  // Free bytes that must stay on the disk. 0 = no matter.
  int64_t keep_free_bytes = 0;
};

// Changes that become visible, and survive a crash, together. Not thread-safe.
class LocalBatch {
 public:
  LocalBatch();
  ~LocalBatch();
  LocalBatch(const LocalBatch&) = delete;
  LocalBatch& operator=(const LocalBatch&) = delete;

  void Put(std::string_view key, std::string_view value);
  // Adds to the end of the key's value; a key that is not there has an empty one. Costs
  // what is added, not what is there; reading puts the pieces together.
  void Append(std::string_view key, std::string_view piece);
  void Delete(std::string_view key);
  // Deletes every key that begins with `prefix`, which is not empty.
  void DeletePrefix(std::string_view prefix);

  size_t bytes() const;
  void Clear();

 private:
  friend class LocalStore;
  friend class RocksDbLocalStore;
  struct Rep;
  const std::unique_ptr<Rep> rep_;
};

// A value as it was read; valid while this lives. Reusable. Not thread-safe.
class LocalValue {
 public:
  LocalValue();
  ~LocalValue();
  LocalValue(const LocalValue&) = delete;
  LocalValue& operator=(const LocalValue&) = delete;

  std::string_view view() const;

 private:
  friend class RocksDbLocalSnapshot;
  struct Rep;
  const std::unique_ptr<Rep> rep_;
};

// A state of a LocalStore that does not change. Must be gone before the store.
class LocalSnapshot {
 public:
  virtual ~LocalSnapshot() = default;

  // False when there is none. kDataLoss CORRUPTION when it is damaged.
  virtual absl::StatusOr<bool> Get(std::string_view key, LocalValue* value) const = 0;
  // The same for a value that carries checksums of its own, which the caller compares: a
  // large one is then read several times as fast.
  virtual absl::StatusOr<bool> GetSelfChecked(std::string_view key, LocalValue* value) const = 0;
  // Calls `each` for every key that begins with `prefix`, ascending, until it returns an
  // error, which is returned.
  virtual absl::Status Scan(
      std::string_view prefix,
      absl::FunctionRef<absl::Status(std::string_view key, std::string_view value)> each) const = 0;
};

class LocalStore {
 public:
  // Opens it, or creates an empty one. Errors:
  //   kDataLoss            CORRUPTION: damaged; Destroy() it and fill it again
  //   kPermissionDenied, kResourceExhausted, kInternal   as for stores
  static absl::StatusOr<std::unique_ptr<LocalStore>> Open(const LocalStoreOptions& options);
  // Removes the directory. OK when there is none.
  static absl::Status Destroy(const std::shared_ptr<rocksdb::FileSystem>& file_system,
                              const std::string& path);

  // Writes out what is in memory, as far as it can.
  virtual ~LocalStore() = default;

  // All of `batch` or nothing. Errors:
  //   kResourceExhausted  DISK_LOW
  //   kInternal           IO_ERROR: files cannot be written; later batches fail too until
  //                       it is opened anew
  virtual absl::Status Write(const LocalBatch& batch) = 0;
  virtual std::shared_ptr<const LocalSnapshot> Latest() const = 0;
  // When it returns, everything that was written survives crashes.
  virtual absl::Status Flush() = 0;

  // Memory that it holds now, bytes.
  virtual int64_t MemoryBytes() const = 0;
  // Of its files.
  virtual int64_t DiskBytes() const = 0;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_LOCAL_STORE_H_
