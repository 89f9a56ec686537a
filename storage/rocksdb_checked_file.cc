#include "storage/rocksdb_checked_file.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "storage/base/coding.h"
#include "storage/base/crc32c.h"
#include "storage/base/status.h"
#include "storage/rocksdb_status.h"

namespace cookix::storage {
namespace {

constexpr std::string_view kMagic = "CXV";
constexpr char kFormat = 1;
// Length and checksum before each block.
constexpr size_t kBlockHeader = 8;
// Content bytes and number of blocks.
constexpr size_t kFooter = 16;
// How often free space is asked for and written bytes are sent to the disk, so
// that neither the last sync nor those of commits meet all of them at once.
constexpr uint64_t kSendEvery = 4 << 20;

const rocksdb::IOOptions kIo;

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

class Writer final : public CheckedFileWriter {
 public:
  Writer(rocksdb::FileSystem& fs, std::string path, const CheckedFileOptions& options)
      : fs_(fs),
        path_(std::move(path)),
        temporary_(path_ + std::string(kTemporarySuffix)),
        block_bytes_(std::clamp<size_t>(options.block_bytes, 1, kCheckedFileBlock)),
        keep_free_bytes_(options.keep_free_bytes) {}

  ~Writer() override {
    if (in_place_ || !created_) return;
    if (file_ != nullptr) file_->Close(kIo, nullptr).PermitUncheckedError();
    file_.reset();
    fs_.DeleteFile(temporary_, kIo, nullptr).PermitUncheckedError();
  }

  absl::Status Begin(std::string_view kind, uint32_t version) {
    COOKIX_RETURN_IF_ERROR(CheckSpace());
    // A new file even where a crash has left an old one.
    const rocksdb::IOStatus status =
        fs_.NewWritableFile(temporary_, rocksdb::FileOptions(), &file_, nullptr);
    if (!status.ok()) return Failed(status);
    created_ = true;
    std::string header(kMagic);
    header.push_back(kFormat);
    PutFixed32(&header, version);
    PutLengthPrefixed(&header, kind);
    crc_ = Crc32c(header);
    PutFixed32(&header, MaskCrc32c(crc_));
    return Write(header);
  }

  absl::Status Append(std::string_view bytes) override {
    COOKIX_RETURN_IF_ERROR(status_);
    bytes_ += bytes.size();
    while (!bytes.empty()) {
      if (buffer_.empty() && bytes.size() >= block_bytes_) {
        COOKIX_RETURN_IF_ERROR(WriteBlock(bytes.substr(0, block_bytes_)));
        bytes.remove_prefix(block_bytes_);
        continue;
      }
      const size_t taken = std::min(bytes.size(), block_bytes_ - buffer_.size());
      buffer_.append(bytes.substr(0, taken));
      bytes.remove_prefix(taken);
      if (buffer_.size() == block_bytes_) COOKIX_RETURN_IF_ERROR(Flush());
    }
    return absl::OkStatus();
  }

  absl::Status Finish() override {
    COOKIX_RETURN_IF_ERROR(status_);
    if (!buffer_.empty()) COOKIX_RETURN_IF_ERROR(Flush());
    std::string footer;
    PutFixed64(&footer, bytes_);
    PutFixed64(&footer, blocks_);
    COOKIX_RETURN_IF_ERROR(WriteFramed(0, footer));
    rocksdb::IOStatus status = file_->Fsync(kIo, nullptr);
    const rocksdb::IOStatus closed = file_->Close(kIo, nullptr);
    file_.reset();
    if (status.ok()) status = closed;
    if (status.ok()) status = fs_.RenameFile(temporary_, path_, kIo, nullptr);
    if (!status.ok()) return Failed(status);
    in_place_ = true;
    std::unique_ptr<rocksdb::FSDirectory> directory;
    status = fs_.NewDirectory(DirectoryOf(path_), kIo, &directory, nullptr);
    if (status.ok()) {
      status = directory->FsyncWithDirOptions(kIo, nullptr, rocksdb::DirFsyncOptions(path_));
    }
    if (!status.ok()) return Failed(status);
    // Nothing can be appended any more.
    status_ = MakeError(absl::StatusCode::kInternal, "the file " + path_ + " is finished",
                        {"INTERNAL", "", "Report this with the program's log.", false});
    return absl::OkStatus();
  }

  uint64_t bytes() const override { return bytes_; }

 private:
  absl::Status Failed(const rocksdb::IOStatus& status) {
    status_ = FromRocksDb(status, "writing " + path_);
    return status_;
  }

  absl::Status CheckSpace() {
    uint64_t free = 0;
    if (keep_free_bytes_ == 0 || !fs_.GetFreeSpace(DirectoryOf(path_), kIo, &free, nullptr).ok() ||
        free >= keep_free_bytes_) {
      return absl::OkStatus();
    }
    status_ = MakeError(absl::StatusCode::kResourceExhausted,
                        "only " + std::to_string(free) + " bytes are free on the disk, too few " +
                            "to write " + path_,
                        {"DISK_LOW", "", "Free space on the disk.", true});
    return status_;
  }

  absl::Status Write(std::string_view bytes) {
    const rocksdb::IOStatus status = file_->Append(ToSlice(bytes), kIo, nullptr);
    if (!status.ok()) return Failed(status);
    written_ += bytes.size();
    return absl::OkStatus();
  }

  static rocksdb::Slice ToSlice(std::string_view bytes) {
    return rocksdb::Slice(bytes.data(), bytes.size());
  }

  // Writes `bytes` behind a length and the checksum of all up to here.
  absl::Status WriteFramed(uint32_t length, std::string_view bytes) {
    std::string frame;
    PutFixed32(&frame, length);
    crc_ = ExtendCrc32c(ExtendCrc32c(crc_, frame), bytes);
    PutFixed32(&frame, MaskCrc32c(crc_));
    COOKIX_RETURN_IF_ERROR(Write(frame));
    return Write(bytes);
  }

  absl::Status WriteBlock(std::string_view bytes) {
    COOKIX_RETURN_IF_ERROR(WriteFramed(static_cast<uint32_t>(bytes.size()), bytes));
    ++blocks_;
    if (written_ - sent_ < kSendEvery) return absl::OkStatus();
    const rocksdb::IOStatus status = file_->RangeSync(sent_, written_ - sent_, kIo, nullptr);
    if (!status.ok() && !status.IsNotSupported()) return Failed(status);
    sent_ = written_;
    return CheckSpace();
  }

  absl::Status Flush() {
    COOKIX_RETURN_IF_ERROR(WriteBlock(buffer_));
    buffer_.clear();
    return absl::OkStatus();
  }

  rocksdb::FileSystem& fs_;
  const std::string path_;
  const std::string temporary_;
  const size_t block_bytes_;
  const uint64_t keep_free_bytes_;
  std::unique_ptr<rocksdb::FSWritableFile> file_;
  bool created_ = false;
  bool in_place_ = false;
  absl::Status status_;
  // What is not written yet, less than a block.
  std::string buffer_;
  // Of the whole file up to here, checksums left out.
  uint32_t crc_ = 0;
  uint64_t bytes_ = 0;
  uint64_t blocks_ = 0;
  // Bytes of the file, and up to where the system was told to write them.
  uint64_t written_ = 0;
  uint64_t sent_ = 0;
};

class Reader final : public CheckedFileReader {
 public:
  Reader(std::string path, uint64_t size, std::unique_ptr<rocksdb::FSSequentialFile> file)
      : path_(std::move(path)), size_(size), file_(std::move(file)) {}

  absl::Status Begin(std::string_view kind, uint32_t newest_version) {
    // Magic, format, version, and the length of the kind, which has one byte.
    std::string header;
    COOKIX_RETURN_IF_ERROR(Extend(&header, 4));
    if (!header.starts_with(kMagic) || header[3] == 0) {
      return Damaged(0, "it does not begin as one");
    }
    if (header[3] != kFormat) {
      return Newer("format " + std::to_string(static_cast<uint8_t>(header[3])));
    }
    COOKIX_RETURN_IF_ERROR(Extend(&header, 5));
    const size_t length = static_cast<uint8_t>(header.back());
    if (length == 0 || length > kMaxCheckedFileKind) {
      return Damaged(0, "its beginning is damaged");
    }
    COOKIX_RETURN_IF_ERROR(Extend(&header, length + 4));
    std::string_view checksum = std::string_view(header).substr(header.size() - 4);
    std::string_view covered = std::string_view(header).substr(0, header.size() - 4);
    uint32_t expected = 0;
    GetFixed32(&checksum, &expected);
    crc_ = Crc32c(covered);
    if (expected != MaskCrc32c(crc_)) return Damaged(0, "its beginning is damaged");
    covered.remove_prefix(4);
    GetFixed32(&covered, &version_);
    if (covered.substr(1) != kind) {
      return Damaged(0, "it is of another kind, " + std::string(covered.substr(1)));
    }
    if (version_ > newest_version) return Newer("version " + std::to_string(version_));
    return absl::OkStatus();
  }

  uint32_t version() const override { return version_; }

  absl::Status Read(void* buffer, size_t n) override {
    COOKIX_RETURN_IF_ERROR(status_);
    char* out = static_cast<char*>(buffer);
    while (n > 0) {
      if (block_left_.empty()) {
        if (!at_end_) COOKIX_RETURN_IF_ERROR(NextBlock());
        if (at_end_) return Damaged(offset_, "its content ends too early");
      }
      const size_t taken = std::min(n, block_left_.size());
      std::memcpy(out, block_left_.data(), taken);
      block_left_.remove_prefix(taken);
      out += taken;
      n -= taken;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<bool> AtEnd() override {
    COOKIX_RETURN_IF_ERROR(status_);
    if (block_left_.empty() && !at_end_) COOKIX_RETURN_IF_ERROR(NextBlock());
    return at_end_;
  }

  uint64_t damaged_at() const override { return damaged_at_; }

  uint64_t MaxLeft() const override {
    return block_left_.size() + (size_ > offset_ ? size_ - offset_ : 0);
  }

 private:
  absl::Status Damaged(uint64_t offset, std::string_view what) {
    damaged_at_ = offset;
    status_ = Corruption("the file " + path_ + " is damaged at offset " + std::to_string(offset) +
                             ": " + std::string(what),
                         "Check the disk; what the file held is built again from the store.");
    return status_;
  }

  absl::Status Newer(const std::string& what) {
    status_ = MakeError(
        absl::StatusCode::kFailedPrecondition,
        "the file " + path_ + " has " + what + ", which this program does not know",
        {"INTERNAL", "", "Use the version of CookiX that wrote it, or a newer one.", false});
    return status_;
  }

  // Reads `n` bytes, or fewer at the end of the file.
  absl::StatusOr<size_t> ReadSome(char* buffer, size_t n) {
    size_t got = 0;
    while (got < n) {
      rocksdb::Slice part;
      const rocksdb::IOStatus status = file_->Read(n - got, kIo, &part, buffer + got, nullptr);
      if (!status.ok()) {
        status_ = FromRocksDb(status, "reading " + path_ + " at " + std::to_string(offset_));
        return status_;
      }
      if (part.empty()) break;
      if (part.data() != buffer + got) std::memmove(buffer + got, part.data(), part.size());
      got += part.size();
      offset_ += part.size();
    }
    return got;
  }

  absl::Status ReadExactly(char* buffer, size_t n) {
    COOKIX_ASSIGN_OR_RETURN(const size_t got, ReadSome(buffer, n));
    return got == n ? absl::OkStatus() : Damaged(offset_, "it is cut off");
  }

  absl::Status Extend(std::string* bytes, size_t n) {
    const size_t before = bytes->size();
    bytes->resize(before + n);
    return ReadExactly(bytes->data() + before, n);
  }

  // Reads and checks the next block, or the end.
  absl::Status NextBlock() {
    const uint64_t start = offset_;
    char head[kBlockHeader];
    COOKIX_RETURN_IF_ERROR(ReadExactly(head, sizeof(head)));
    std::string_view in(head, sizeof(head));
    uint32_t length = 0;
    uint32_t expected = 0;
    GetFixed32(&in, &length);
    GetFixed32(&in, &expected);
    if (length > kCheckedFileBlock) return Damaged(start, "a block is too long");
    block_.resize(length == 0 ? kFooter : length);
    if (const absl::Status read = ReadExactly(block_.data(), block_.size()); !read.ok()) {
      damaged_at_ = start;  // its length may be what is wrong
      return read;
    }
    crc_ = ExtendCrc32c(ExtendCrc32c(crc_, std::string_view(head, 4)), block_);
    if (expected != MaskCrc32c(crc_)) return Damaged(start, "a checksum does not match");
    if (length != 0) {
      ++blocks_;
      bytes_ += length;
      block_left_ = block_;
      return absl::OkStatus();
    }
    in = block_;
    uint64_t bytes = 0;
    uint64_t blocks = 0;
    GetFixed64(&in, &bytes);
    GetFixed64(&in, &blocks);
    if (bytes != bytes_ || blocks != blocks_) return Damaged(start, "its lengths do not match");
    char more = 0;
    COOKIX_ASSIGN_OR_RETURN(const size_t got, ReadSome(&more, 1));
    if (got != 0) return Damaged(offset_ - 1, "bytes follow its end");
    at_end_ = true;
    return absl::OkStatus();
  }

  const std::string path_;
  const uint64_t size_;
  const std::unique_ptr<rocksdb::FSSequentialFile> file_;
  absl::Status status_;
  uint32_t version_ = 0;
  // The block that is being handed out, and what is left of it.
  std::string block_;
  std::string_view block_left_;
  bool at_end_ = false;
  uint32_t crc_ = 0;
  // Of the file, up to where it was read.
  uint64_t offset_ = 0;
  uint64_t damaged_at_ = 0;
  uint64_t bytes_ = 0;
  uint64_t blocks_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CheckedFileWriter>> CreateCheckedFile(
    rocksdb::FileSystem& fs, const std::string& path, std::string_view kind, uint32_t version,
    const CheckedFileOptions& options) {
  if (kind.empty() || kind.size() > kMaxCheckedFileKind) {
    return InvalidField("kind", "the kind of a file has 1 to 64 bytes", "Choose another.");
  }
  auto writer = std::make_unique<Writer>(fs, path, options);
  COOKIX_RETURN_IF_ERROR(writer->Begin(kind, version));
  return std::unique_ptr<CheckedFileWriter>(std::move(writer));
}

absl::StatusOr<std::unique_ptr<CheckedFileReader>> OpenCheckedFile(rocksdb::FileSystem& fs,
                                                                   const std::string& path,
                                                                   std::string_view kind,
                                                                   uint32_t newest_version) {
  // The directory may be missing too, which not every file system tells apart from
  // other errors.
  rocksdb::IOStatus status = fs.FileExists(path, kIo, nullptr);
  uint64_t size = 0;
  if (status.ok()) status = fs.GetFileSize(path, kIo, &size, nullptr);
  std::unique_ptr<rocksdb::FSSequentialFile> file;
  if (status.ok()) status = fs.NewSequentialFile(path, rocksdb::FileOptions(), &file, nullptr);
  if (!status.ok()) return FromRocksDb(status, "opening " + path);
  auto reader = std::make_unique<Reader>(path, size, std::move(file));
  COOKIX_RETURN_IF_ERROR(reader->Begin(kind, newest_version));
  return std::unique_ptr<CheckedFileReader>(std::move(reader));
}

}  // namespace cookix::storage
