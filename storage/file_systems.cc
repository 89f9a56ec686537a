#include "storage/file_systems.h"

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

class ResumableFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit ResumableFileSystem(std::shared_ptr<rocksdb::FileSystem> base)
      : FileSystemWrapper(std::move(base)) {}

  const char* Name() const override { return "CookixResumableFileSystem"; }

  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* result,
                           IODebugContext* dbg) override {
    return Wrapped(FileSystemWrapper::NewWritableFile(name, options, result, dbg), result);
  }
  IOStatus ReopenWritableFile(const std::string& name, const FileOptions& options,
                              std::unique_ptr<FSWritableFile>* result,
                              IODebugContext* dbg) override {
    return Wrapped(FileSystemWrapper::ReopenWritableFile(name, options, result, dbg), result);
  }
  IOStatus ReuseWritableFile(const std::string& name, const std::string& old_name,
                             const FileOptions& options, std::unique_ptr<FSWritableFile>* result,
                             IODebugContext* dbg) override {
    return Wrapped(FileSystemWrapper::ReuseWritableFile(name, old_name, options, result, dbg),
                   result);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* dbg) override {
    return Resumable(FileSystemWrapper::RenameFile(from, to, options, dbg));
  }

 private:
  static IOStatus Wrapped(IOStatus status, std::unique_ptr<FSWritableFile>* result) {
    if (status.ok()) *result = std::make_unique<ResumableFile>(std::move(*result));
    // A file that cannot be created for now is no different from one that cannot
    // be written.
    return Resumable(std::move(status));
  }
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> NewMemoryFileSystem() {
  std::shared_ptr<rocksdb::Env> env(rocksdb::NewMemEnv(rocksdb::Env::Default()));
  const std::shared_ptr<rocksdb::FileSystem>& fs = env->GetFileSystem();
  // The pointer keeps the environment that owns it alive.
  return std::shared_ptr<rocksdb::FileSystem>(env, fs.get());
}

std::shared_ptr<rocksdb::FileSystem> NewResumableFileSystem(
    std::shared_ptr<rocksdb::FileSystem> base) {
  return std::make_shared<ResumableFileSystem>(std::move(base));
}

}  // namespace cookix::storage
