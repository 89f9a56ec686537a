// The header that every record of the log carries, and the records themselves.
//
// A record of the write-ahead log is one RocksDB batch. Ours start with a
// PutLogData entry that holds the header; the operations follow. The bytes are
// specified in storage/doc/log_format.md.
#ifndef COOKIX_STORAGE_LOG_HEADER_H_
#define COOKIX_STORAGE_LOG_HEADER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/position.h"

namespace cookix::storage {

// Persistent values.
enum class LogKind : uint8_t {
  // A commit: has the number after the one before it.
  kCommit = 1,
  // The store's own records (epochs, open state, forgotten request ids). Has the
  // number of the last commit before it and is not shown to readers.
  kBookkeeping = 2,
  // Like kBookkeeping, and: everything before this record is in sorted files. What
  // the log lacks before it, because a write failed, is no loss. Commits that were
  // not acknowledged then follow once more, under the numbers that they had.
  kRestart = 3,
};

struct LogHeader {
  LogKind kind = LogKind::kCommit;
  StoreId store{};
  uint64_t epoch = 0;
  uint64_t commit = 0;
  int64_t time_ms = 0;
  // RocksDB's sequence number up to which the log was known to be on the disk
  // when this record was written. A hole in the log at or below it means that
  // something durable was lost; a hole above it is what a crash may leave.
  uint64_t durable_sequence = 0;
  std::string_view request_id;
  std::string_view change;
};

// Puts `header` in front of the operations of a batch, given in RocksDB's
// representation, and returns the whole batch in that representation.
// REQUIRES: `operations` is the representation of a batch (12 bytes or more).
std::string EncodeLogRecord(const LogHeader& header, std::string_view operations);

// The operations of a record that DecodeLogRecord() accepted, as a batch without the header.
std::string LogRecordOperations(std::string_view batch);

// A record of the log, taken apart. Views point into what was decoded.
struct LogRecord {
  // RocksDB's number of the first operation, and how many there are: the next
  // record starts at sequence + count.
  uint64_t sequence = 0;
  uint32_t count = 0;
  // False for the empty batches that RocksDB itself writes when it opens; then
  // `header` is meaningless.
  bool has_header = false;
  LogHeader header;
};

enum class LogDecodeResult {
  kOk,
  // Too short, or not laid out as a record of ours.
  kMalformed,
  // Laid out as one, but the checksum does not match.
  kBadChecksum,
  // Made by a newer version of the format.
  kNewerVersion,
};

// Takes a batch in RocksDB's representation apart. Strict: reads nothing past
// the end, accepts no trailing bytes in the header, checks the checksum, which
// covers header, count and operations.
LogDecodeResult DecodeLogRecord(std::string_view batch, LogRecord* record);

// The sequence number and count in the first 12 bytes of a batch.
// REQUIRES: batch.size() >= 12.
uint64_t BatchSequence(std::string_view batch);
uint32_t BatchCount(std::string_view batch);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_LOG_HEADER_H_
