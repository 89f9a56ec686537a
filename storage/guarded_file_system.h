// Between RocksDB and the files of one store.
#ifndef COOKIX_STORAGE_GUARDED_FILE_SYSTEM_H_
#define COOKIX_STORAGE_GUARDED_FILE_SYSTEM_H_

#include <memory>
#include <mutex>
#include <string>

#include "rocksdb/file_system.h"

namespace cookix::storage {

// Keeps from RocksDB the errors of the disk that it does not get over.
//
// Of a log it cannot be told: from some errors it never resumes, and builds with assertions
// end the process when the file is touched again. The first error in a log file is kept
// here, and the file takes no more bytes.
//
// Of the manifest, and of the directory when new files in it are to be made durable, neither:
// a flush that was under way then is not undone, and is waited for for ever. What the
// manifest should have had is kept here until it can be written, and until then no file that
// the manifest on the disk still names goes away. A manifest counts from when CURRENT names
// it; before that RocksDB gives it up by itself.
//
// RocksDB believes that all is well: so the store asks for error() after every write and sync,
// takes no more commits, and calls Recover() and begins a new log before it does
// (Store::TryResume). Errors in other files are passed on: see BackgroundErrors.
//
// Nor is it shown sorted files whose footers are damaged where it does not look
// (table_footer.h).
//
// docs/adr/0021 says why. Thread-safe.
class GuardedFileSystem : public rocksdb::FileSystemWrapper {
 public:
  // Guards the logs and the manifest directly in `directory`, and it.
  GuardedFileSystem(std::shared_ptr<rocksdb::FileSystem> base, std::string directory);

  // The first error since Recover() that RocksDB was not told of.
  rocksdb::IOStatus error() const;
  // Makes up for what the directory and the manifest lack, then forgets the error. A log file
  // that had one takes nothing any more.
  rocksdb::IOStatus Recover();

  // Implementation.
  const char* Name() const override { return "CookixGuardedFileSystem"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& name,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                        rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* result,
                                 rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;

 private:
  class LogFile;
  class Manifest;
  class ManifestFile;
  class Directory;

  // The part of `path` after the guarded directory; empty when it is not directly in it.
  std::string NameInside(const std::string& path) const;
  void Keep(const rocksdb::IOStatus& error);
  void KeepOfDirectory(const rocksdb::IOStatus& error);
  // Why the manifest must not name new files; OK when it may.
  rocksdb::IOStatus directory_error() const;
  rocksdb::IOStatus SyncDirectory();
  // An error while the manifest on the disk may still name the file `path`.
  rocksdb::IOStatus HoldBack(const std::string& path) const;

  const std::string directory_;
  mutable std::mutex mutex_;
  rocksdb::IOStatus error_;
  // Of the last sync of the directory.
  rocksdb::IOStatus directory_error_;
  // The one that CURRENT names, and one begun since.
  std::shared_ptr<Manifest> manifest_;
  std::shared_ptr<Manifest> next_manifest_;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_GUARDED_FILE_SYSTEM_H_
