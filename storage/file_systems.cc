#include "storage/file_systems.h"

#include <string>
#include <utility>

#include "rocksdb/env.h"

namespace cookix::storage {
namespace {

using rocksdb::FileOptions;
using rocksdb::FSWritableFile;
using rocksdb::FSWritableFileOwnerWrapper;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

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

}  // namespace cookix::storage
