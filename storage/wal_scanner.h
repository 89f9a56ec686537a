// Reads the files of RocksDB's write-ahead log without RocksDB, and says whether
// they are whole.
//
// RocksDB stops at the first damaged record, or skips it, and cannot say whether
// something durable is missing. This scan can: sequence numbers show holes, and
// every record says up to where the log was on the disk when it was written
// (LogHeader::durable_sequence).
#ifndef COOKIX_STORAGE_WAL_SCANNER_H_
#define COOKIX_STORAGE_WAL_SCANNER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/file_system.h"
#include "storage/log.h"
#include "storage/log_header.h"

namespace cookix::storage {

// Walks the logical records of one log file. Not thread-safe.
class WalFileReader {
 public:
  enum class Event {
    kRecord,  // payload() and offset() are valid
    kDamage,  // offset() and detail() say what; reading goes on after it
    kEnd,
  };

  WalFileReader(std::unique_ptr<rocksdb::FSSequentialFile> file, uint64_t log_number);

  // An error means that the file could not be read, which says nothing about its
  // bytes.
  absl::StatusOr<Event> Next();

  // The record, until the next call.
  std::string_view payload() const { return payload_; }
  // Where the record, or the damage, begins in the file.
  uint64_t offset() const { return offset_; }
  const std::string& detail() const { return detail_; }
  // Bytes read so far.
  uint64_t bytes() const { return block_offset_ + block_.size(); }

 private:
  enum class Fragment { kFull, kFirst, kMiddle, kLast, kVoid, kBad, kTruncated };

  // Reads the next block; false at the end of the file.
  absl::StatusOr<bool> NextBlock();
  // Looks at the physical record at `at_`. Fills fragment_ and next_.
  Fragment Examine(size_t at);
  // Moves at_ to the next byte of the block where a valid record begins, or to
  // the end of the block.
  void Resynchronise();

  std::unique_ptr<rocksdb::FSSequentialFile> file_;
  uint64_t log_number_;
  std::string block_;
  std::string scratch_;
  uint64_t block_offset_ = 0;
  size_t at_ = 0;
  bool end_of_file_ = false;

  std::string_view fragment_;
  size_t next_ = 0;
  std::string why_;

  bool assembling_ = false;
  uint64_t assembling_offset_ = 0;
  std::string assembled_;

  std::string_view payload_;
  uint64_t offset_ = 0;
  std::string detail_;
};

// One log file on disk.
struct WalFile {
  uint64_t number = 0;
  std::string path;
  uint64_t size = 0;
};

// Where to cut a torn tail off: everything at and after the offset.
struct WalCut {
  std::string path;
  uint64_t offset = 0;
};

// What ScanWal found.
struct WalScan {
  LogScanReport report;
  // The commit that has to be in the sorted files already, because the first valid
  // record builds upon it; nothing when there was none.
  std::optional<uint64_t> base_commit;
  // The sequence after the last valid record; 0 when there was none.
  uint64_t next_sequence = 0;
  // Of the last record with a header.
  uint64_t last_epoch = 0;
  // The largest that a record names: RocksDB has to recover at least this much.
  uint64_t durable_sequence = 0;
  // Cuts that leave exactly the valid records, in the order of the files. Empty
  // when the files are whole or damaged beyond what may be cut.
  std::vector<WalCut> cuts;
};

struct WalScanOptions {
  // Whose log it is.
  StoreId store{};
  // Damage in the last file after this sequence is somebody writing right now.
  // 0 = nobody writes.
  uint64_t written_before = 0;
  // Called for every record with a header, in order; may be null.
  std::function<void(const LogRecord&, std::string_view batch)> on_record;
};

// The files of the log in `directory`, by number.
absl::StatusOr<std::vector<WalFile>> ListWalFiles(rocksdb::FileSystem& fs,
                                                  const std::string& directory);

// How a log file begins.
struct WalBegin {
  // The first commit that it can hold.
  uint64_t commit = 0;
  // RocksDB's number of its first operation.
  uint64_t sequence = 0;
};

// Nothing when the file is empty, or its first record cannot be read.
std::optional<WalBegin> ReadWalBegin(rocksdb::FileSystem& fs, const WalFile& wal);

// Reads `files` in order and judges them. Damage is in the report; an error is
// returned only when a file cannot be read at all (kFailedPrecondition when a
// record is of a newer format).
absl::StatusOr<WalScan> ScanWal(rocksdb::FileSystem& fs, const std::vector<WalFile>& files,
                                const WalScanOptions& options);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_WAL_SCANNER_H_
