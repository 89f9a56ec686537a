#include "storage/fault_injection_file_system.h"

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include "storage/file_systems.h"
#include "storage/rocksdb_status.h"

namespace cookix::storage {

using rocksdb::DataVerificationInfo;
using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

namespace {

constexpr uint64_t kPage = 4096;

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

// "a//b/" and "a/b" are the same.
std::string Normalised(const std::string& path) {
  std::string normal;
  for (const char c : path) {
    if (c == '/' && !normal.empty() && normal.back() == '/') continue;
    normal.push_back(c);
  }
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

}  // namespace

class FaultInjectionFileSystem::WritableFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  WritableFile(FaultInjectionFileSystem* fs, std::string path,
               std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)), fs_(fs), path_(std::move(path)) {}

  // The store may sync while it writes, whatever the file beneath says.
  bool IsSyncThreadSafe() const override { return true; }

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) override {
    return DoAppend(data, options, dbg);
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const DataVerificationInfo& info,
                  IODebugContext* dbg) override {
    return DoAppend(data, options, dbg);
  }
  IOStatus PositionedAppend(const Slice& data, uint64_t offset, const IOOptions& options,
                            IODebugContext* dbg) override {
    return IOStatus::NotSupported("direct I/O");
  }
  IOStatus PositionedAppend(const Slice& data, uint64_t offset, const IOOptions& options,
                            const DataVerificationInfo& info, IODebugContext* dbg) override {
    return IOStatus::NotSupported("direct I/O");
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* dbg) override {
    const IOStatus status = FSWritableFileOwnerWrapper::Truncate(size, options, dbg);
    if (status.ok()) fs_->Truncated(path_, size);
    return status;
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* dbg) override {
    IOStatus status = fs_->Before(kSync, path_);
    if (status.ok()) status = FSWritableFileOwnerWrapper::Sync(options, dbg);
    if (status.ok()) fs_->Synced(path_);
    return status;
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    return Sync(options, dbg);
  }

 private:
  IOStatus DoAppend(const Slice& data, const IOOptions& options, IODebugContext* dbg) {
    const IOStatus status = fs_->Before(kAppend, path_);
    if (status.ok()) {
      const IOStatus appended = FSWritableFileOwnerWrapper::Append(data, options, dbg);
      if (appended.ok()) fs_->Appended(path_, data.size());
      return appended;
    }
    if (status.IsNoSpace() && data.size() > 1) {
      const Slice half(data.data(), data.size() / 2);
      if (FSWritableFileOwnerWrapper::Append(half, options, dbg).ok()) {
        fs_->Appended(path_, half.size());
      }
    }
    return status;
  }

  FaultInjectionFileSystem* const fs_;
  const std::string path_;
};

class FaultInjectionFileSystem::SequentialFile : public rocksdb::FSSequentialFileOwnerWrapper {
 public:
  SequentialFile(const FaultInjectionFileSystem* fs, std::string path,
                 std::unique_ptr<rocksdb::FSSequentialFile> file)
      : FSSequentialFileOwnerWrapper(std::move(file)), fs_(fs), path_(std::move(path)) {}

  IOStatus Read(size_t n, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* dbg) override {
    const IOStatus status = FSSequentialFileOwnerWrapper::Read(n, options, result, scratch, dbg);
    if (status.ok()) {
      fs_->Damage(path_, offset_, result, scratch);
      offset_ += result->size();
    }
    return status;
  }
  IOStatus Skip(uint64_t n) override {
    offset_ += n;
    return FSSequentialFileOwnerWrapper::Skip(n);
  }
  IOStatus PositionedRead(uint64_t offset, size_t n, const IOOptions& options, Slice* result,
                          char* scratch, IODebugContext* dbg) override {
    const IOStatus status =
        FSSequentialFileOwnerWrapper::PositionedRead(offset, n, options, result, scratch, dbg);
    if (status.ok()) fs_->Damage(path_, offset, result, scratch);
    return status;
  }

 private:
  const FaultInjectionFileSystem* const fs_;
  const std::string path_;
  uint64_t offset_ = 0;
};

class FaultInjectionFileSystem::RandomAccessFile : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  RandomAccessFile(const FaultInjectionFileSystem* fs, std::string path,
                   std::unique_ptr<rocksdb::FSRandomAccessFile> file)
      : FSRandomAccessFileOwnerWrapper(std::move(file)), fs_(fs), path_(std::move(path)) {}

  IOStatus Read(uint64_t offset, size_t n, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* dbg) const override {
    const IOStatus status =
        FSRandomAccessFileOwnerWrapper::Read(offset, n, options, result, scratch, dbg);
    if (status.ok()) fs_->Damage(path_, offset, result, scratch);
    return status;
  }
  IOStatus MultiRead(rocksdb::FSReadRequest* requests, size_t count, const IOOptions& options,
                     IODebugContext* dbg) override {
    const IOStatus status =
        FSRandomAccessFileOwnerWrapper::MultiRead(requests, count, options, dbg);
    for (size_t i = 0; i < count; ++i) {
      if (requests[i].status.ok()) {
        fs_->Damage(path_, requests[i].offset, &requests[i].result, requests[i].scratch);
      }
    }
    return status;
  }

 private:
  const FaultInjectionFileSystem* const fs_;
  const std::string path_;
};

class FaultInjectionFileSystem::Directory : public rocksdb::FSDirectoryWrapper {
 public:
  Directory(FaultInjectionFileSystem* fs, std::string path,
            std::unique_ptr<rocksdb::FSDirectory> directory)
      : FSDirectoryWrapper(std::move(directory)), fs_(fs), path_(std::move(path)) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    IOStatus status = fs_->Before(kDirectorySync, path_);
    if (status.ok()) status = FSDirectoryWrapper::Fsync(options, dbg);
    if (status.ok()) fs_->DirectorySynced(path_);
    return status;
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* dbg,
                               const rocksdb::DirFsyncOptions& how) override {
    IOStatus status = fs_->Before(kDirectorySync, path_);
    if (status.ok()) status = FSDirectoryWrapper::FsyncWithDirOptions(options, dbg, how);
    if (status.ok()) fs_->DirectorySynced(path_);
    return status;
  }

 private:
  FaultInjectionFileSystem* const fs_;
  const std::string path_;
};

FaultInjectionFileSystem::FaultInjectionFileSystem(std::shared_ptr<rocksdb::FileSystem> base)
    : FileSystemWrapper(std::move(base)) {}

std::shared_ptr<FaultInjectionFileSystem> FaultInjectionFileSystem::OnDisk() {
  return std::make_shared<FaultInjectionFileSystem>(rocksdb::FileSystem::Default());
}

std::shared_ptr<FaultInjectionFileSystem> FaultInjectionFileSystem::InMemory() {
  return std::make_shared<FaultInjectionFileSystem>(NewMemoryFileSystem());
}

void FaultInjectionFileSystem::FailAt(uint32_t operations, int64_t nth, Fault fault, bool sticky,
                                      std::string path_contains) {
  const std::lock_guard lock(mutex_);
  fail_operations_ = operations;
  fail_at_ = nth;
  fault_ = fault;
  sticky_ = sticky;
  fail_path_ = std::move(path_contains);
  matching_ = 0;
  failures_ = 0;
  counts_.clear();
}

void FaultInjectionFileSystem::Heal() {
  const std::lock_guard lock(mutex_);
  fail_at_ = -1;
  stopped_ = false;
  failures_ = 0;
  counts_.clear();
}

int64_t FaultInjectionFileSystem::Count(uint32_t operations) const {
  const std::lock_guard lock(mutex_);
  int64_t total = 0;
  for (const auto& [operation, count] : counts_) {
    if ((operation & operations) != 0) total += count;
  }
  return total;
}

int64_t FaultInjectionFileSystem::Failures() const {
  const std::lock_guard lock(mutex_);
  return failures_;
}

void FaultInjectionFileSystem::SetReadOnly(bool read_only) {
  const std::lock_guard lock(mutex_);
  read_only_ = read_only;
}

void FaultInjectionFileSystem::SetFreeSpace(std::optional<uint64_t> bytes) {
  const std::lock_guard lock(mutex_);
  free_space_ = bytes;
}

void FaultInjectionFileSystem::FlipOnRead(std::string path_contains, uint64_t bit) {
  const std::lock_guard lock(mutex_);
  flip_path_ = std::move(path_contains);
  flip_bit_ = bit;
}

absl::Status FaultInjectionFileSystem::FlipAtRest(const std::string& path, uint64_t bit) {
  std::string bytes;
  IOStatus status = rocksdb::ReadFileToString(target_.get(), path, &bytes);
  if (status.ok() && bit / 8 >= bytes.size()) {
    return absl::OutOfRangeError("the file has only " + std::to_string(bytes.size()) + " bytes");
  }
  if (status.ok()) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    status = rocksdb::WriteStringToFile(target_.get(), bytes, path);
  }
  return FromRocksDb(status, "flipping a bit");
}

void FaultInjectionFileSystem::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
}

void FaultInjectionFileSystem::PowerFailure(uint64_t seed) {
  const std::lock_guard lock(mutex_);
  std::mt19937_64 random(seed);
  const IOOptions io;
  for (const std::string& path : created_) {
    target_->DeleteFile(path, io, nullptr).PermitUncheckedError();
    files_.erase(path);
  }
  created_.clear();
  for (auto& [path, state] : files_) {
    if (state.synced >= state.size) continue;
    std::string bytes;
    if (!rocksdb::ReadFileToString(target_.get(), path, &bytes).ok()) continue;
    uint64_t end = std::min<uint64_t>(state.synced, bytes.size());
    if (seed != 0) {
      const uint64_t unsynced = bytes.size() - end;
      const uint64_t keep = end + random() % (unsynced + 1);
      for (uint64_t at = end; at < keep;) {
        const uint64_t next = std::min(keep, (at / kPage + 1) * kPage);
        if (random() % 2 == 0) std::fill(bytes.begin() + at, bytes.begin() + next, '\0');
        at = next;
      }
      end = keep;
    }
    bytes.resize(end);
    rocksdb::WriteStringToFile(target_.get(), bytes, path).PermitUncheckedError();
    state.size = end;
    state.synced = end;
  }
}

std::shared_ptr<FaultInjectionFileSystem> FaultInjectionFileSystem::Clone(
    const std::string& directory) const {
  auto copy = InMemory();
  // Nothing begins to write meanwhile.
  const std::lock_guard lock(mutex_);
  CopyTo(Normalised(directory), copy.get());
  copy->files_ = files_;
  copy->created_ = created_;
  copy->free_space_ = free_space_;
  return copy;
}

void FaultInjectionFileSystem::CopyTo(const std::string& directory,
                                      FaultInjectionFileSystem* copy) const {
  const IOOptions io;
  copy->target_->CreateDirIfMissing(directory, io, nullptr).PermitUncheckedError();
  std::vector<std::string> names;
  target_->GetChildren(directory, io, &names, nullptr).PermitUncheckedError();
  for (const std::string& name : names) {
    if (name == "." || name == "..") continue;
    const std::string path = directory + "/" + name;
    bool is_directory = false;
    if (!target_->IsDirectory(path, io, &is_directory, nullptr).ok()) {
      // The file system in memory does not say; what has children is one.
      std::vector<std::string> children;
      is_directory = target_->GetChildren(path, io, &children, nullptr).ok() && !children.empty();
    }
    std::string bytes;
    if (is_directory) {
      CopyTo(path, copy);
    } else if (rocksdb::ReadFileToString(target_.get(), path, &bytes).ok()) {
      rocksdb::WriteStringToFile(copy->target_.get(), bytes, path).PermitUncheckedError();
    }
  }
}

IOStatus FaultInjectionFileSystem::Before(Operation operation, const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (read_only_) return IOStatus::IOError(path, "Read-only file system");
  if (stopped_) return IOStatus::IOError(path, "the power is gone");
  ++counts_[operation];
  if (fail_at_ < 0 || (fail_operations_ & operation) == 0 ||
      path.find(fail_path_) == std::string::npos) {
    return IOStatus::OK();
  }
  const int64_t index = matching_++;
  if (index < fail_at_ || (index > fail_at_ && !sticky_)) return IOStatus::OK();
  ++failures_;
  if (fault_ == Fault::kNoSpace) return IOStatus::NoSpace(path, "No space left on device");
  return IOStatus::IOError(path, "Input/output error");
}

void FaultInjectionFileSystem::Appended(const std::string& path, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  files_[path].size += bytes;
}

void FaultInjectionFileSystem::Synced(const std::string& path) {
  const std::lock_guard lock(mutex_);
  FileState& state = files_[path];
  state.synced = state.size;
}

void FaultInjectionFileSystem::Truncated(const std::string& path, uint64_t size) {
  const std::lock_guard lock(mutex_);
  const auto found = files_.find(path);
  if (found == files_.end()) return;
  found->second.size = std::min(found->second.size, size);
  found->second.synced = std::min(found->second.synced, size);
}

void FaultInjectionFileSystem::DirectorySynced(const std::string& path) {
  const std::lock_guard lock(mutex_);
  std::erase_if(created_, [&](const std::string& file) { return DirectoryOf(file) == path; });
}

void FaultInjectionFileSystem::Opened(const std::string& path, uint64_t size, bool created) {
  const std::lock_guard lock(mutex_);
  files_[path] = {size, size};
  if (created) created_.insert(path);
}

void FaultInjectionFileSystem::Damage(const std::string& path, uint64_t offset, Slice* read,
                                      char* scratch) const {
  const std::lock_guard lock(mutex_);
  if (flip_path_.empty() || path.find(flip_path_) == std::string::npos) return;
  const uint64_t byte = flip_bit_ / 8;
  if (byte < offset || byte >= offset + read->size()) return;
  // The bytes read may be the file's own.
  if (read->data() != scratch) {
    std::copy(read->data(), read->data() + read->size(), scratch);
    *read = Slice(scratch, read->size());
  }
  scratch[byte - offset] = static_cast<char>(scratch[byte - offset] ^ (1 << (flip_bit_ % 8)));
}

IOStatus FaultInjectionFileSystem::NewWritableFile(const std::string& name,
                                                   const FileOptions& options,
                                                   std::unique_ptr<rocksdb::FSWritableFile>* result,
                                                   IODebugContext* dbg) {
  const std::string path = Normalised(name);
  IOStatus status = Before(kCreate, path);
  if (!status.ok()) return status;
  const bool existed = target_->FileExists(name, IOOptions(), nullptr).ok();
  status = target_->NewWritableFile(name, options, result, dbg);
  if (!status.ok()) return status;
  Opened(path, 0, !existed);
  *result = std::make_unique<WritableFile>(this, path, std::move(*result));
  return status;
}

IOStatus FaultInjectionFileSystem::ReopenWritableFile(
    const std::string& name, const FileOptions& options,
    std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* dbg) {
  const std::string path = Normalised(name);
  IOStatus status = Before(kCreate, path);
  if (!status.ok()) return status;
  uint64_t size = 0;
  const bool existed = target_->GetFileSize(name, IOOptions(), &size, nullptr).ok();
  status = target_->ReopenWritableFile(name, options, result, dbg);
  if (!status.ok()) return status;
  Opened(path, size, !existed);
  *result = std::make_unique<WritableFile>(this, path, std::move(*result));
  return status;
}

IOStatus FaultInjectionFileSystem::ReuseWritableFile(
    const std::string& name, const std::string& old_name, const FileOptions& options,
    std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* dbg) {
  const std::string path = Normalised(name);
  IOStatus status = Before(kCreate, path);
  if (!status.ok()) return status;
  status = target_->ReuseWritableFile(name, old_name, options, result, dbg);
  if (!status.ok()) return status;
  Opened(path, 0, true);
  *result = std::make_unique<WritableFile>(this, path, std::move(*result));
  return status;
}

IOStatus FaultInjectionFileSystem::NewSequentialFile(
    const std::string& name, const FileOptions& options,
    std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext* dbg) {
  const IOStatus status = target_->NewSequentialFile(name, options, result, dbg);
  if (status.ok()) *result = std::make_unique<SequentialFile>(this, name, std::move(*result));
  return status;
}

IOStatus FaultInjectionFileSystem::NewRandomAccessFile(
    const std::string& name, const FileOptions& options,
    std::unique_ptr<rocksdb::FSRandomAccessFile>* result, IODebugContext* dbg) {
  const IOStatus status = target_->NewRandomAccessFile(name, options, result, dbg);
  if (status.ok()) *result = std::make_unique<RandomAccessFile>(this, name, std::move(*result));
  return status;
}

IOStatus FaultInjectionFileSystem::NewDirectory(const std::string& name, const IOOptions& options,
                                                std::unique_ptr<rocksdb::FSDirectory>* result,
                                                IODebugContext* dbg) {
  const IOStatus status = target_->NewDirectory(name, options, result, dbg);
  if (status.ok()) {
    *result = std::make_unique<Directory>(this, Normalised(name), std::move(*result));
  }
  return status;
}

IOStatus FaultInjectionFileSystem::DeleteFile(const std::string& name, const IOOptions& options,
                                              IODebugContext* dbg) {
  IOStatus status = Before(kDelete, Normalised(name));
  if (!status.ok()) return status;
  status = target_->DeleteFile(name, options, dbg);
  if (status.ok()) {
    const std::lock_guard lock(mutex_);
    files_.erase(Normalised(name));
    created_.erase(Normalised(name));
  }
  return status;
}

IOStatus FaultInjectionFileSystem::DeleteDir(const std::string& name, const IOOptions& options,
                                             IODebugContext* dbg) {
  const IOStatus status = Before(kDelete, Normalised(name));
  return status.ok() ? target_->DeleteDir(name, options, dbg) : status;
}

IOStatus FaultInjectionFileSystem::RenameFile(const std::string& from, const std::string& to,
                                              const IOOptions& options, IODebugContext* dbg) {
  IOStatus status = Before(kRename, Normalised(to));
  if (!status.ok()) return status;
  status = target_->RenameFile(from, to, options, dbg);
  if (!status.ok()) return status;
  const std::lock_guard lock(mutex_);
  // Directories too: everything beneath moves along.
  const std::string old_path = Normalised(from);
  const std::string new_path = Normalised(to);
  std::vector<std::pair<std::string, FileState>> moved;
  for (const auto& [path, state] : files_) {
    if (path == old_path || path.starts_with(old_path + "/")) moved.emplace_back(path, state);
  }
  for (const auto& [path, state] : moved) {
    files_.erase(path);
    created_.erase(path);
    files_[new_path + path.substr(old_path.size())] = state;
  }
  created_.erase(new_path);
  return status;
}

IOStatus FaultInjectionFileSystem::LinkFile(const std::string& from, const std::string& to,
                                            const IOOptions& options, IODebugContext* dbg) {
  IOStatus status = Before(kCreate, Normalised(to));
  if (!status.ok()) return status;
  status = target_->LinkFile(from, to, options, dbg);
  if (!status.ok()) return status;
  const std::lock_guard lock(mutex_);
  const auto found = files_.find(Normalised(from));
  if (found != files_.end()) files_[Normalised(to)] = found->second;
  return status;
}

IOStatus FaultInjectionFileSystem::Truncate(const std::string& name, size_t size,
                                            const IOOptions& options, IODebugContext* dbg) {
  IOStatus status = Before(kAppend, Normalised(name));
  if (status.ok()) status = target_->Truncate(name, size, options, dbg);
  if (status.ok()) Truncated(Normalised(name), size);
  return status;
}

IOStatus FaultInjectionFileSystem::CreateDir(const std::string& name, const IOOptions& options,
                                             IODebugContext* dbg) {
  const IOStatus status = Before(kCreate, Normalised(name));
  return status.ok() ? target_->CreateDir(name, options, dbg) : status;
}

IOStatus FaultInjectionFileSystem::CreateDirIfMissing(const std::string& name,
                                                      const IOOptions& options,
                                                      IODebugContext* dbg) {
  if (target_->FileExists(name, options, nullptr).ok()) return IOStatus::OK();
  const IOStatus status = Before(kCreate, Normalised(name));
  return status.ok() ? target_->CreateDirIfMissing(name, options, dbg) : status;
}

IOStatus FaultInjectionFileSystem::LockFile(const std::string& name, const IOOptions& options,
                                            rocksdb::FileLock** lock, IODebugContext* dbg) {
  {
    const std::lock_guard guard(mutex_);
    if (read_only_) return IOStatus::IOError(name, "Read-only file system");
  }
  return target_->LockFile(name, options, lock, dbg);
}

IOStatus FaultInjectionFileSystem::GetFreeSpace(const std::string& path, const IOOptions& options,
                                                uint64_t* free, IODebugContext* dbg) {
  {
    const std::lock_guard lock(mutex_);
    if (free_space_.has_value()) {
      *free = *free_space_;
      return IOStatus::OK();
    }
  }
  return target_->GetFreeSpace(path, options, free, dbg);
}

}  // namespace cookix::storage
