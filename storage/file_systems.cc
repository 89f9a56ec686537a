#include "storage/file_systems.h"

#include <atomic>
#include <string>
#include <utility>

#include "rocksdb/env.h"

namespace cookix::storage {
namespace {

using rocksdb::DataVerificationInfo;
using rocksdb::FileOptions;
using rocksdb::FSWritableFile;
using rocksdb::FSWritableFileOwnerWrapper;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// RocksDB otherwise never writes again, even when the disk has recovered; the store
// itself decides when to try.
IOStatus Resumable(IOStatus status) {
  if (!status.ok() && !status.IsNotSupported()) status.SetRetryable(true);
  return status;
}

class ResumableFile : public FSWritableFileOwnerWrapper {
 public:
  explicit ResumableFile(std::unique_ptr<FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) override {
    return Resumable(FSWritableFileOwnerWrapper::Append(data, options, dbg));
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const DataVerificationInfo& info,
                  IODebugContext* dbg) override {
    return Resumable(FSWritableFileOwnerWrapper::Append(data, options, info, dbg));
  }
  IOStatus PositionedAppend(const Slice& data, uint64_t offset, const IOOptions& options,
                            IODebugContext* dbg) override {
    return Resumable(FSWritableFileOwnerWrapper::PositionedAppend(data, offset, options, dbg));
  }
  IOStatus PositionedAppend(const Slice& data, uint64_t offset, const IOOptions& options,
                            const DataVerificationInfo& info, IODebugContext* dbg) override {
    return Resumable(
        FSWritableFileOwnerWrapper::PositionedAppend(data, offset, options, info, dbg));
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* dbg) override {
    return Resumable(FSWritableFileOwnerWrapper::Truncate(size, options, dbg));
  }
  IOStatus Close(const IOOptions& options, IODebugContext* dbg) override {
    return Resumable(FSWritableFileOwnerWrapper::Close(options, dbg));
  }
  IOStatus Flush(const IOOptions& options, IODebugContext* dbg) override {
    return Resumable(FSWritableFileOwnerWrapper::Flush(options, dbg));
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* dbg) override {
    return Resumable(FSWritableFileOwnerWrapper::Sync(options, dbg));
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    return Resumable(FSWritableFileOwnerWrapper::Fsync(options, dbg));
  }
  IOStatus RangeSync(uint64_t offset, uint64_t bytes, const IOOptions& options,
                     IODebugContext* dbg) override {
    return Resumable(FSWritableFileOwnerWrapper::RangeSync(offset, bytes, options, dbg));
  }
};

IOStatus Wrapped(IOStatus status, std::unique_ptr<FSWritableFile>* result) {
  if (status.ok()) *result = std::make_unique<ResumableFile>(std::move(*result));
  // A file that cannot be created for now is no different from one that cannot be
  // written.
  return Resumable(std::move(status));
}

// In memory there is nothing to sync, which is safe at any time.
class MemoryFile : public FSWritableFileOwnerWrapper {
 public:
  using FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  bool IsSyncThreadSafe() const override { return true; }
};

class MemoryFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit MemoryFileSystem(std::unique_ptr<rocksdb::Env> env)
      : FileSystemWrapper(env->GetFileSystem()), env_(std::move(env)) {}

  const char* Name() const override { return "CookixMemoryFileSystem"; }
  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* result, IODebugContext* dbg) override {
    return InMemory(target()->NewWritableFile(name, options, result, dbg), result);
  }
  IOStatus ReopenWritableFile(const std::string& name, const FileOptions& options,
                              std::unique_ptr<FSWritableFile>* result,
                              IODebugContext* dbg) override {
    return InMemory(target()->ReopenWritableFile(name, options, result, dbg), result);
  }
  IOStatus ReuseWritableFile(const std::string& name, const std::string& old_name,
                             const FileOptions& options, std::unique_ptr<FSWritableFile>* result,
                             IODebugContext* dbg) override {
    return InMemory(target()->ReuseWritableFile(name, old_name, options, result, dbg), result);
  }

 private:
  static IOStatus InMemory(IOStatus status, std::unique_ptr<FSWritableFile>* result) {
    if (status.ok()) *result = std::make_unique<MemoryFile>(std::move(*result));
    return status;
  }

  const std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> NewMemoryFileSystem() {
  return std::make_shared<MemoryFileSystem>(
      std::unique_ptr<rocksdb::Env>(rocksdb::NewMemEnv(rocksdb::Env::Default())));
}

// A file of the log. Without a file beneath when it could not be created.
class GuardedFileSystem::LogFile : public FSWritableFile {
 public:
  LogFile(GuardedFileSystem* fs, std::unique_ptr<FSWritableFile> file)
      : fs_(fs), file_(std::move(file)), broken_(file_ == nullptr) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) override {
    return Guard([&] { return file_->Append(data, options, dbg); });
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const DataVerificationInfo& info,
                  IODebugContext* dbg) override {
    return Guard([&] { return file_->Append(data, options, info, dbg); });
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* dbg) override {
    return Guard([&] { return file_->Truncate(size, options, dbg); });
  }
  IOStatus Close(const IOOptions& options, IODebugContext* dbg) override {
    // Closed even when it is broken, so that nothing leaks.
    if (file_ == nullptr) return IOStatus::OK();
    const IOStatus status = file_->Close(options, dbg);
    return Guard([&] { return status; });
  }
  IOStatus Flush(const IOOptions& options, IODebugContext* dbg) override {
    return Guard([&] { return file_->Flush(options, dbg); });
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* dbg) override {
    return Guard([&] { return file_->Sync(options, dbg); });
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    return Guard([&] { return file_->Fsync(options, dbg); });
  }
  IOStatus RangeSync(uint64_t offset, uint64_t bytes, const IOOptions& options,
                     IODebugContext* dbg) override {
    return Guard([&] { return file_->RangeSync(offset, bytes, options, dbg); });
  }
  IOStatus Allocate(uint64_t offset, uint64_t size, const IOOptions& options,
                    IODebugContext* dbg) override {
    return Guard([&] { return file_->Allocate(offset, size, options, dbg); });
  }
  bool IsSyncThreadSafe() const override { return file_ == nullptr || file_->IsSyncThreadSafe(); }
  uint64_t GetFileSize(const IOOptions& options, IODebugContext* dbg) override {
    return file_ == nullptr ? 0 : file_->GetFileSize(options, dbg);
  }
  void SetWriteLifeTimeHint(rocksdb::Env::WriteLifeTimeHint hint) override {
    if (file_ != nullptr) file_->SetWriteLifeTimeHint(hint);
  }
  void SetPreallocationBlockSize(size_t size) override {
    if (file_ != nullptr) file_->SetPreallocationBlockSize(size);
  }
  void PrepareWrite(size_t offset, size_t size, const IOOptions& options,
                    IODebugContext* dbg) override {
    if (file_ != nullptr && !broken_.load()) file_->PrepareWrite(offset, size, options, dbg);
  }

 private:
  template <typename Operation>
  IOStatus Guard(const Operation& operation) {
    if (broken_.load()) return IOStatus::OK();
    const IOStatus status = operation();
    if (status.ok() || status.IsNotSupported()) return status;
    // First broken, then known: who sees the error may rely on it.
    broken_.store(true);
    fs_->KeepLogError(status);
    return IOStatus::OK();
  }

  GuardedFileSystem* const fs_;
  const std::unique_ptr<FSWritableFile> file_;
  // Written and synced from different threads.
  std::atomic<bool> broken_;
};

GuardedFileSystem::GuardedFileSystem(std::shared_ptr<rocksdb::FileSystem> base,
                                     std::string directory)
    : FileSystemWrapper(std::move(base)), directory_(std::move(directory)) {}

IOStatus GuardedFileSystem::log_error() const {
  const std::lock_guard lock(mutex_);
  return log_error_;
}

void GuardedFileSystem::ForgetLogError() {
  const std::lock_guard lock(mutex_);
  log_error_ = IOStatus::OK();
}

void GuardedFileSystem::KeepLogError(const IOStatus& error) {
  const std::lock_guard lock(mutex_);
  if (log_error_.ok()) log_error_ = error;
}

IOStatus GuardedFileSystem::NewWritableFile(const std::string& name, const FileOptions& options,
                                            std::unique_ptr<FSWritableFile>* result,
                                            IODebugContext* dbg) {
  const size_t slash = name.find_last_of('/');
  const bool is_log = name.ends_with(".log") && slash != std::string::npos &&
                      name.compare(0, slash, directory_) == 0;
  if (!is_log) {
    return Wrapped(FileSystemWrapper::NewWritableFile(name, options, result, dbg), result);
  }
  std::unique_ptr<FSWritableFile> file;
  const IOStatus status = FileSystemWrapper::NewWritableFile(name, options, &file, dbg);
  if (!status.ok()) {
    KeepLogError(status);
    file.reset();
  }
  *result = std::make_unique<LogFile>(this, std::move(file));
  return IOStatus::OK();
}

IOStatus GuardedFileSystem::ReopenWritableFile(const std::string& name, const FileOptions& options,
                                               std::unique_ptr<FSWritableFile>* result,
                                               IODebugContext* dbg) {
  return Wrapped(FileSystemWrapper::ReopenWritableFile(name, options, result, dbg), result);
}

IOStatus GuardedFileSystem::ReuseWritableFile(const std::string& name, const std::string& old_name,
                                              const FileOptions& options,
                                              std::unique_ptr<FSWritableFile>* result,
                                              IODebugContext* dbg) {
  return Wrapped(FileSystemWrapper::ReuseWritableFile(name, old_name, options, result, dbg),
                 result);
}

IOStatus GuardedFileSystem::RenameFile(const std::string& from, const std::string& to,
                                       const IOOptions& options, IODebugContext* dbg) {
  return Resumable(FileSystemWrapper::RenameFile(from, to, options, dbg));
}

}  // namespace cookix::storage
