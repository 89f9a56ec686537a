#include "storage/log_header.h"

#include <cstring>
#include <limits>

#include "storage/base/coding.h"
#include "storage/base/crc32c.h"

namespace cookix::storage {
namespace {

// RocksDB's batch: sequence (8 bytes), count (4 bytes), entries.
constexpr size_t kBatchHeader = 12;
constexpr size_t kCountOffset = 8;
// The tag of a PutLogData entry in a batch.
constexpr char kLogDataTag = 0x3;

constexpr std::string_view kMagic = "CXL";
constexpr char kVersion = 1;
// Magic, version, checksum.
constexpr size_t kPrefix = 3 + 1 + 4;

uint32_t Checksum(std::string_view covered, std::string_view count, std::string_view operations) {
  return MaskCrc32c(ExtendCrc32c(ExtendCrc32c(Crc32c(covered), count), operations));
}

}  // namespace

uint64_t BatchSequence(std::string_view batch) {
  uint64_t sequence = 0;
  std::memcpy(&sequence, batch.data(), sizeof(sequence));
  return sequence;
}

uint32_t BatchCount(std::string_view batch) {
  uint32_t count = 0;
  std::memcpy(&count, batch.data() + kCountOffset, sizeof(count));
  return count;
}

std::string EncodeLogRecord(const LogHeader& header, std::string_view operations) {
  std::string covered;
  covered.reserve(80 + header.request_id.size() + header.change.size());
  covered.push_back(static_cast<char>(header.kind));
  covered.append(reinterpret_cast<const char*>(header.store.data()), header.store.size());
  PutVarint64(&covered, header.epoch);
  PutVarint64(&covered, header.commit);
  PutVarint64(&covered, static_cast<uint64_t>(header.time_ms));
  PutVarint64(&covered, header.durable_sequence);
  PutLengthPrefixed(&covered, header.request_id);
  PutLengthPrefixed(&covered, header.change);

  const std::string_view count = operations.substr(kCountOffset, 4);
  const std::string_view entries = operations.substr(kBatchHeader);
  std::string record;
  record.reserve(operations.size() + covered.size() + kPrefix + 8);
  record.append(operations.substr(0, kBatchHeader));
  record.push_back(kLogDataTag);
  PutVarint64(&record, kPrefix + covered.size());
  record.append(kMagic);
  record.push_back(kVersion);
  PutFixed32(&record, Checksum(covered, count, entries));
  record.append(covered);
  record.append(entries);
  return record;
}

std::string LogRecordOperations(std::string_view batch) {
  std::string_view entries = batch.substr(kBatchHeader);
  if (!entries.empty()) {
    entries.remove_prefix(1);
    std::string_view blob;
    GetLengthPrefixed(&entries, &blob);
  }
  std::string operations(batch.substr(0, kBatchHeader));
  operations.append(entries);
  return operations;
}

LogDecodeResult DecodeLogRecord(std::string_view batch, LogRecord* record) {
  if (batch.size() < kBatchHeader) return LogDecodeResult::kMalformed;
  record->sequence = BatchSequence(batch);
  record->count = BatchCount(batch);
  record->has_header = false;
  const std::string_view count = batch.substr(kCountOffset, 4);
  std::string_view in = batch.substr(kBatchHeader);
  if (in.empty()) {
    return record->count == 0 ? LogDecodeResult::kOk : LogDecodeResult::kMalformed;
  }
  if (in.front() != kLogDataTag) return LogDecodeResult::kMalformed;
  in.remove_prefix(1);
  std::string_view blob;
  if (!GetLengthPrefixed(&in, &blob) || blob.size() < kPrefix || !blob.starts_with(kMagic)) {
    return LogDecodeResult::kMalformed;
  }
  const std::string_view entries = in;
  if (blob[kMagic.size()] != kVersion) {
    return blob[kMagic.size()] > kVersion ? LogDecodeResult::kNewerVersion
                                          : LogDecodeResult::kMalformed;
  }
  std::string_view checksum_bytes = blob.substr(kMagic.size() + 1, 4);
  uint32_t checksum = 0;
  GetFixed32(&checksum_bytes, &checksum);
  std::string_view covered = blob.substr(kPrefix);
  if (checksum != Checksum(covered, count, entries)) return LogDecodeResult::kBadChecksum;

  LogHeader& header = record->header;
  if (covered.size() < 1 + header.store.size()) return LogDecodeResult::kMalformed;
  const auto kind = static_cast<uint8_t>(covered.front());
  if (kind < static_cast<uint8_t>(LogKind::kCommit) ||
      kind > static_cast<uint8_t>(LogKind::kRestart)) {
    return LogDecodeResult::kMalformed;
  }
  header.kind = static_cast<LogKind>(kind);
  covered.remove_prefix(1);
  std::memcpy(header.store.data(), covered.data(), header.store.size());
  covered.remove_prefix(header.store.size());
  uint64_t time_ms = 0;
  if (!GetVarint64(&covered, &header.epoch) || !GetVarint64(&covered, &header.commit) ||
      !GetVarint64(&covered, &time_ms) || !GetVarint64(&covered, &header.durable_sequence) ||
      !GetLengthPrefixed(&covered, &header.request_id) ||
      !GetLengthPrefixed(&covered, &header.change) || !covered.empty() ||
      time_ms > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return LogDecodeResult::kMalformed;
  }
  header.time_ms = static_cast<int64_t>(time_ms);
  record->has_header = true;
  return LogDecodeResult::kOk;
}

}  // namespace cookix::storage
