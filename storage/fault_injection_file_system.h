// A file system that fails on demand, for tests. Pass it as Options::file_system.
//
// It stands in front of another file system and can fail writes, report a chosen
// free space, flip bits, and lose what was not synced, as a power failure does.
#ifndef COOKIX_STORAGE_FAULT_INJECTION_FILE_SYSTEM_H_
#define COOKIX_STORAGE_FAULT_INJECTION_FILE_SYSTEM_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "rocksdb/file_system.h"

namespace cookix::storage {

// Thread-safe.
class FaultInjectionFileSystem : public rocksdb::FileSystemWrapper {
 public:
  // Operations, as bits.
  enum Operation : uint32_t {
    kCreate = 1,  // a file opened for writing
    kAppend = 2,
    kSync = 4,  // of a file
    kRename = 8,
    kDirectorySync = 16,
    kAnyWrite = 31,
    kDelete = 32,  // of a file or directory
  };
  enum class Fault { kIoError, kNoSpace };

  explicit FaultInjectionFileSystem(std::shared_ptr<rocksdb::FileSystem> base);
  // In front of the operating system's files.
  static std::shared_ptr<FaultInjectionFileSystem> OnDisk();
  // In front of a new, empty file system in memory, which lives as long as this.
  static std::shared_ptr<FaultInjectionFileSystem> InMemory();

  // The `nth` operation from now on, counted from 0 among those in `operations`,
  // fails, and with `sticky` every one after it, until Heal(). An append that fails
  // for want of space writes half of its bytes first, as disks do. With
  // `path_contains` only files whose path contains it count.
  void FailAt(uint32_t operations, int64_t nth, Fault fault, bool sticky,
              std::string path_contains = "");
  void Heal();
  // Operations of the kinds in `operations` seen since the last FailAt() or Heal(),
  // those that failed included.
  int64_t Count(uint32_t operations) const;
  // How many failed since then.
  int64_t Failures() const;

  // Everything that would write says that the file system is read-only.
  void SetReadOnly(bool read_only);

  // What GetFreeSpace() answers; nothing = what the base file system says.
  void SetFreeSpace(std::optional<uint64_t> bytes);

  // Flips bit `bit` (counted from the first byte's lowest) whenever it is read from
  // a file whose path contains `path_contains`; an empty string ends that.
  void FlipOnRead(std::string path_contains, uint64_t bit);
  // Flips it in the file itself.
  absl::Status FlipAtRest(const std::string& path, uint64_t bit);

  // Loses what was not synced: ends of files, and files whose directory was not
  // synced since they were created. With a seed other than 0, pages of the unsynced
  // ends survive, are zeroed or are cut off at random, as the order in which disks
  // write is. Renames and deletions survive. Call it when the store is gone, or
  // after Stop().
  void PowerFailure(uint64_t seed = 0);
  // A copy, in memory, of everything beneath `directory` as it is at this moment, and
  // of what of it is synced: the files as a crash of the process, or with
  // PowerFailure() of the machine, would leave them, while the store goes on.
  std::shared_ptr<FaultInjectionFileSystem> Clone(const std::string& directory) const;
  // Lets all writes fail from now on, so that a store that is closed changes
  // nothing any more; Heal() ends it.
  void Stop();

  // Implementation.
  const char* Name() const override { return "CookixFaultInjectionFileSystem"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* result,
                                       rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus ReuseWritableFile(const std::string& name, const std::string& old_name,
                                      const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* result,
                                      rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                      rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& name,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                        rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* result,
                                 rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus DeleteDir(const std::string& name, const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus Truncate(const std::string& name, size_t size,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus CreateDir(const std::string& name, const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus CreateDirIfMissing(const std::string& name, const rocksdb::IOOptions& options,
                                       rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus LockFile(const std::string& name, const rocksdb::IOOptions& options,
                             rocksdb::FileLock** lock, rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options,
                                 uint64_t* free, rocksdb::IODebugContext* dbg) override;

 private:
  class WritableFile;
  class SequentialFile;
  class RandomAccessFile;
  class Directory;

  // What a file has that may be lost.
  struct FileState {
    uint64_t size = 0;
    uint64_t synced = 0;
  };

  // REQUIRES: mutex_ is held.
  void CopyTo(const std::string& directory, FaultInjectionFileSystem* copy) const;
  // Counts an operation and says whether it is to fail.
  rocksdb::IOStatus Before(Operation operation, const std::string& path);
  void Appended(const std::string& path, uint64_t bytes);
  void Synced(const std::string& path);
  void Truncated(const std::string& path, uint64_t size);
  void DirectorySynced(const std::string& path);
  void Opened(const std::string& path, uint64_t size, bool created);
  // Applies FlipOnRead to bytes that were read at `offset`.
  void Damage(const std::string& path, uint64_t offset, rocksdb::Slice* read, char* scratch) const;

  mutable std::mutex mutex_;
  uint32_t fail_operations_ = 0;
  int64_t fail_at_ = -1;
  Fault fault_ = Fault::kIoError;
  bool sticky_ = false;
  bool stopped_ = false;
  bool read_only_ = false;
  std::string fail_path_;
  int64_t matching_ = 0;
  int64_t failures_ = 0;
  std::map<uint32_t, int64_t> counts_;
  std::optional<uint64_t> free_space_;
  std::string flip_path_;
  uint64_t flip_bit_ = 0;
  std::map<std::string, FileState> files_;
  // Created since their directory was last synced.
  std::set<std::string> created_;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_FAULT_INJECTION_FILE_SYSTEM_H_
