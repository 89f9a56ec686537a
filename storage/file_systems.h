// File systems that the store puts together.
#ifndef COOKIX_STORAGE_FILE_SYSTEMS_H_
#define COOKIX_STORAGE_FILE_SYSTEMS_H_

#include <memory>
#include <mutex>
#include <string>

#include "rocksdb/file_system.h"

namespace cookix::storage {

// A new, empty file system in memory.
std::shared_ptr<rocksdb::FileSystem> NewMemoryFileSystem();

// Stands between RocksDB and the files of one store.
//
// RocksDB cannot go on after an error in its log: from some it never resumes, and
// builds with assertions end the process when the file is touched again. So it is
// not told. The first error in a log file of the store is kept here, the file takes
// no more bytes, and RocksDB believes that all is well; the store asks after every
// write and sync, takes no more commits, and starts a new log before it does
// (Store::TryResume). Errors in other files are passed on, as ones that may pass.
//
// Thread-safe.
class GuardedFileSystem : public rocksdb::FileSystemWrapper {
 public:
  // Guards the log files directly in `directory`.
  GuardedFileSystem(std::shared_ptr<rocksdb::FileSystem> base, std::string directory);

  // The first error in a log file since ForgetLogError().
  rocksdb::IOStatus log_error() const;
  // Before a new log file is started; the old one takes nothing any more.
  void ForgetLogError();

  // Implementation.
  const char* Name() const override { return "CookixGuardedFileSystem"; }
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
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;

 private:
  class LogFile;

  void KeepLogError(const rocksdb::IOStatus& error);

  const std::string directory_;
  mutable std::mutex mutex_;
  rocksdb::IOStatus log_error_;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_FILE_SYSTEMS_H_
