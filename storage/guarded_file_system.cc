#include "storage/guarded_file_system.h"

#include <atomic>
#include <string>
#include <utility>

#include "storage/table_footer.h"

namespace cookix::storage {
namespace {

using rocksdb::DataVerificationInfo;
using rocksdb::DirFsyncOptions;
using rocksdb::FileOptions;
using rocksdb::FSDirectory;
using rocksdb::FSRandomAccessFile;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

const IOOptions kIo;

}  // namespace

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
    fs_->Keep(status);
    return IOStatus::OK();
  }

  GuardedFileSystem* const fs_;
  const std::unique_ptr<FSWritableFile> file_;
  // Written and synced from different threads.
  std::atomic<bool> broken_;
};

// A manifest, which outlives the file that RocksDB has of it.
class GuardedFileSystem::Manifest {
 public:
  Manifest(GuardedFileSystem* fs, std::string path, const FileOptions& options,
           std::unique_ptr<FSWritableFile> file)
      : fs_(fs), path_(std::move(path)), options_(options), file_(std::move(file)) {}

  // CURRENT names it from now on.
  void SetCurrent() {
    const std::lock_guard lock(mutex_);
    current_ = true;
  }

  // Whether it lacks something on the disk.
  bool behind() const { return behind_.load(); }

  uint64_t Size() const {
    const std::lock_guard lock(mutex_);
    return synced_ + unsynced_.size();
  }

  IOStatus Append(const Slice& data) {
    const std::lock_guard lock(mutex_);
    unsynced_.append(data.data(), data.size());
    return Guard([&] { return file_->Append(data, kIo, nullptr); });
  }
  IOStatus Flush() {
    const std::lock_guard lock(mutex_);
    return Guard([&] { return file_->Flush(kIo, nullptr); });
  }
  IOStatus Sync() {
    const std::lock_guard lock(mutex_);
    const IOStatus status = Guard([&] { return file_->Sync(kIo, nullptr); });
    if (status.ok() && !behind_.load()) Synced();
    return status;
  }
  IOStatus Close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    return file_ == nullptr ? IOStatus::OK() : std::exchange(file_, nullptr)->Close(kIo, nullptr);
  }

  // Writes what the file lacks.
  IOStatus CatchUp() {
    const std::lock_guard lock(mutex_);
    if (!behind_.load() || closed_) return IOStatus::OK();
    // An open file may have a size of its own to which it is cut when it is closed.
    if (file_ != nullptr) file_->Close(kIo, nullptr).PermitUncheckedError();
    file_ = nullptr;
    std::unique_ptr<FSWritableFile> file;
    IOStatus status = fs_->target()->ReopenWritableFile(path_, options_, &file, nullptr);
    if (!status.ok()) return status;
    // Of what was not synced nobody knows what the disk has.
    status = file->Truncate(synced_, kIo, nullptr);
    if (status.ok()) status = file->Append(unsynced_, kIo, nullptr);
    if (status.ok()) status = file->Sync(kIo, nullptr);
    if (!status.ok()) {
      file->Close(kIo, nullptr).PermitUncheckedError();
      return status;
    }
    file_ = std::move(file);
    Synced();
    behind_.store(false);
    return status;
  }

 private:
  template <typename Operation>
  IOStatus Guard(const Operation& operation) {
    if (behind_.load()) return IOStatus::OK();
    IOStatus status = fs_->directory_error();
    if (status.ok()) status = operation();
    if (status.ok() || status.IsNotSupported()) return status;
    if (!current_) return status;
    behind_.store(true);
    fs_->Keep(status);
    return IOStatus::OK();
  }
  void Synced() {
    synced_ += unsynced_.size();
    unsynced_.clear();
  }

  GuardedFileSystem* const fs_;
  const std::string path_;
  const FileOptions options_;
  mutable std::mutex mutex_;
  std::unique_ptr<FSWritableFile> file_;
  bool current_ = false;
  bool closed_ = false;
  // Bytes that the disk has for certain, and what comes after them. RocksDB syncs after every
  // few records.
  uint64_t synced_ = 0;
  std::string unsynced_;
  std::atomic<bool> behind_{false};
};

class GuardedFileSystem::ManifestFile : public FSWritableFile {
 public:
  explicit ManifestFile(std::shared_ptr<Manifest> manifest) : manifest_(std::move(manifest)) {}

  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    return manifest_->Append(data);
  }
  IOStatus Append(const Slice& data, const IOOptions&, const DataVerificationInfo&,
                  IODebugContext*) override {
    return manifest_->Append(data);
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return manifest_->Flush(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return manifest_->Sync(); }
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return manifest_->Sync(); }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return manifest_->Close(); }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return manifest_->Size(); }

 private:
  const std::shared_ptr<Manifest> manifest_;
};

class GuardedFileSystem::Directory : public FSDirectory {
 public:
  Directory(GuardedFileSystem* fs, std::unique_ptr<FSDirectory> directory)
      : fs_(fs), directory_(std::move(directory)) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    return directory_->Fsync(options, dbg);
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* dbg,
                               const DirFsyncOptions& why) override {
    IOStatus status = directory_->FsyncWithDirOptions(options, dbg, why);
    // A file that was renamed may be CURRENT: the manifest does not wait for that.
    if (status.ok() || why.reason != DirFsyncOptions::FsyncReason::kNewFileSynced) {
      return status;
    }
    fs_->KeepOfDirectory(status);
    return IOStatus::OK();
  }
  IOStatus Close(const IOOptions& options, IODebugContext* dbg) override {
    return directory_->Close(options, dbg);
  }
  size_t GetUniqueId(char* id, size_t max_size) const override {
    return directory_->GetUniqueId(id, max_size);
  }

 private:
  GuardedFileSystem* const fs_;
  const std::unique_ptr<FSDirectory> directory_;
};

GuardedFileSystem::GuardedFileSystem(std::shared_ptr<rocksdb::FileSystem> base,
                                     std::string directory)
    : FileSystemWrapper(std::move(base)), directory_(std::move(directory)) {}

IOStatus GuardedFileSystem::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

IOStatus GuardedFileSystem::Recover() {
  std::shared_ptr<Manifest> manifest;
  bool unsynced = false;
  {
    // Errors that come while this goes on are new ones.
    const std::lock_guard lock(mutex_);
    error_ = IOStatus::OK();
    unsynced = !std::exchange(directory_error_, IOStatus::OK()).ok();
    manifest = manifest_;
  }
  IOStatus status = unsynced ? SyncDirectory() : IOStatus::OK();
  if (!status.ok()) {
    KeepOfDirectory(status);
    return status;
  }
  if (manifest != nullptr) status = manifest->CatchUp();
  if (!status.ok()) Keep(status);
  return status;
}

IOStatus GuardedFileSystem::SyncDirectory() {
  std::unique_ptr<FSDirectory> directory;
  IOStatus status = FileSystemWrapper::NewDirectory(directory_, kIo, &directory, nullptr);
  if (status.ok()) status = directory->Fsync(kIo, nullptr);
  return status;
}

std::string GuardedFileSystem::NameInside(const std::string& path) const {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos || path.compare(0, slash, directory_) != 0) return "";
  return path.substr(slash + 1);
}

void GuardedFileSystem::Keep(const IOStatus& error) {
  const std::lock_guard lock(mutex_);
  if (error_.ok()) error_ = error;
}

void GuardedFileSystem::KeepOfDirectory(const IOStatus& error) {
  const std::lock_guard lock(mutex_);
  directory_error_ = error;
  if (error_.ok()) error_ = error;
}

IOStatus GuardedFileSystem::directory_error() const {
  const std::lock_guard lock(mutex_);
  return directory_error_;
}

IOStatus GuardedFileSystem::HoldBack(const std::string& path) const {
  const std::string name = NameInside(path);
  if (!name.ends_with(".sst") && !name.ends_with(".log") && !name.starts_with("MANIFEST-")) {
    return IOStatus::OK();
  }
  const std::lock_guard lock(mutex_);
  if (directory_error_.ok() && (manifest_ == nullptr || !manifest_->behind())) {
    return IOStatus::OK();
  }
  return IOStatus::IOError(path, "is kept while the manifest cannot be written");
}

IOStatus GuardedFileSystem::NewWritableFile(const std::string& name, const FileOptions& options,
                                            std::unique_ptr<FSWritableFile>* result,
                                            IODebugContext* dbg) {
  const std::string inside = NameInside(name);
  std::unique_ptr<FSWritableFile> file;
  const IOStatus status = FileSystemWrapper::NewWritableFile(name, options, &file, dbg);
  if (inside.ends_with(".log")) {
    if (!status.ok()) {
      Keep(status);
      file.reset();
    }
    *result = std::make_unique<LogFile>(this, std::move(file));
    return IOStatus::OK();
  }
  if (status.ok() && inside.starts_with("MANIFEST-")) {
    auto manifest = std::make_shared<Manifest>(this, name, options, std::move(file));
    *result = std::make_unique<ManifestFile>(manifest);
    const std::lock_guard lock(mutex_);
    next_manifest_ = std::move(manifest);
    return status;
  }
  *result = std::move(file);
  return status;
}

IOStatus GuardedFileSystem::NewRandomAccessFile(const std::string& name, const FileOptions& options,
                                                std::unique_ptr<FSRandomAccessFile>* result,
                                                IODebugContext* dbg) {
  IOStatus status = FileSystemWrapper::NewRandomAccessFile(name, options, result, dbg);
  if (!status.ok() || !NameInside(name).ends_with(".sst")) return status;
  uint64_t size = 0;
  status = GetFileSize(name, options.io_options, &size, dbg);
  if (status.ok()) status = CheckTableFooter(**result, size, name);
  if (!status.ok()) result->reset();
  return status;
}

IOStatus GuardedFileSystem::NewDirectory(const std::string& name, const IOOptions& options,
                                         std::unique_ptr<FSDirectory>* result,
                                         IODebugContext* dbg) {
  const IOStatus status = FileSystemWrapper::NewDirectory(name, options, result, dbg);
  const bool guarded = name == directory_ || name == directory_ + "/";
  if (status.ok() && guarded) *result = std::make_unique<Directory>(this, std::move(*result));
  return status;
}

IOStatus GuardedFileSystem::RenameFile(const std::string& from, const std::string& to,
                                       const IOOptions& options, IODebugContext* dbg) {
  // A log goes to the archive so.
  if (const IOStatus held = HoldBack(from); !held.ok()) return held;
  if (NameInside(to) != "CURRENT") {
    return FileSystemWrapper::RenameFile(from, to, options, dbg);
  }
  // The manifest must not be missing where CURRENT names it, in whatever order the disk
  // remembers what was done to the directory.
  IOStatus status = SyncDirectory();
  if (status.ok()) status = FileSystemWrapper::RenameFile(from, to, options, dbg);
  if (!status.ok()) return status;
  std::shared_ptr<Manifest> manifest;
  {
    const std::lock_guard lock(mutex_);
    if (next_manifest_ != nullptr) manifest_ = std::move(next_manifest_);
    manifest = manifest_;
  }
  if (manifest != nullptr) manifest->SetCurrent();
  return status;
}

IOStatus GuardedFileSystem::DeleteFile(const std::string& name, const IOOptions& options,
                                       IODebugContext* dbg) {
  if (const IOStatus held = HoldBack(name); !held.ok()) return held;
  return FileSystemWrapper::DeleteFile(name, options, dbg);
}

}  // namespace cookix::storage
