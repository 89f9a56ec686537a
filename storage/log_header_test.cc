#include "storage/log_header.h"

#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "rocksdb/write_batch.h"

namespace cookix::storage {
namespace {

LogHeader Sample() {
  LogHeader header;
  header.kind = LogKind::kCommit;
  for (size_t i = 0; i < header.store.size(); ++i) header.store[i] = static_cast<uint8_t>(i);
  header.epoch = 3;
  header.commit = 123456;
  header.time_ms = 1'700'000'000'000;
  header.durable_sequence = 99;
  header.request_id = "request";
  header.change = "what changed";
  return header;
}

rocksdb::WriteBatch Operations() {
  rocksdb::WriteBatch batch;
  EXPECT_TRUE(batch.Put("key", "value").ok());
  EXPECT_TRUE(batch.Delete("gone").ok());
  return batch;
}

// Collects what RocksDB reads from a batch.
class Reader : public rocksdb::WriteBatch::Handler {
 public:
  void Put(const rocksdb::Slice& key, const rocksdb::Slice& value) override {
    operations += "+" + key.ToString() + "=" + value.ToString();
  }
  void Delete(const rocksdb::Slice& key) override { operations += "-" + key.ToString(); }
  void LogData(const rocksdb::Slice& blob) override { blobs += blob.ToString(); }
  std::string operations;
  std::string blobs;
};

TEST(LogHeaderTest, RocksDbReadsTheRecord) {
  const rocksdb::WriteBatch operations = Operations();
  const rocksdb::WriteBatch batch(EncodeLogRecord(Sample(), operations.Data()));
  Reader reader;
  ASSERT_TRUE(batch.Iterate(&reader).ok());
  EXPECT_EQ(reader.operations, "+key=value-gone");
  EXPECT_NE(reader.blobs.find("what changed"), std::string::npos);
  EXPECT_EQ(batch.Count(), 2u);
}

TEST(LogHeaderTest, RoundTrip) {
  const rocksdb::WriteBatch operations = Operations();
  for (const LogKind kind : {LogKind::kCommit, LogKind::kBookkeeping, LogKind::kRestart}) {
    LogHeader header = Sample();
    header.kind = kind;
    header.commit = kind == LogKind::kCommit ? std::numeric_limits<uint64_t>::max() : 0;
    const std::string bytes = EncodeLogRecord(header, operations.Data());
    LogRecord record;
    ASSERT_EQ(DecodeLogRecord(bytes, &record), LogDecodeResult::kOk);
    ASSERT_TRUE(record.has_header);
    EXPECT_EQ(record.count, 2u);
    EXPECT_EQ(record.sequence, 0u);
    EXPECT_EQ(record.header.kind, kind);
    EXPECT_EQ(record.header.store, header.store);
    EXPECT_EQ(record.header.epoch, header.epoch);
    EXPECT_EQ(record.header.commit, header.commit);
    EXPECT_EQ(record.header.time_ms, header.time_ms);
    EXPECT_EQ(record.header.durable_sequence, header.durable_sequence);
    EXPECT_EQ(record.header.request_id, header.request_id);
    EXPECT_EQ(record.header.change, header.change);
  }
}

// The worked example of storage/doc/log_format.md.
TEST(LogHeaderTest, TheBytesAreThoseOfTheDocument) {
  const std::string_view hex =
      "0900000000000000"
      "01000000"
      "0324"
      "43584c01"
      "bb91a73a"
      "01"
      "00112233445566778899aabbccddeeff"
      "01"
      "05"
      "904e"
      "08"
      "027231"
      "026869"
      "01016304"
      "0501904e";
  std::string expected;
  for (size_t i = 0; i < hex.size(); i += 2) {
    expected.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  rocksdb::WriteBatch operations;
  ASSERT_TRUE(operations.Put("c", std::string("\x05\x01\x90\x4e", 4)).ok());
  LogHeader header;
  for (size_t i = 0; i < header.store.size(); ++i) {
    header.store[i] = static_cast<uint8_t>(0x11 * i);
  }
  header.epoch = 1;
  header.commit = 5;
  header.time_ms = 10'000;
  header.durable_sequence = 8;
  header.request_id = "r1";
  header.change = "hi";
  std::string bytes = EncodeLogRecord(header, operations.Data());
  bytes[0] = 9;  // as RocksDB does while it writes
  EXPECT_EQ(bytes, expected);
  LogRecord record;
  ASSERT_EQ(DecodeLogRecord(expected, &record), LogDecodeResult::kOk);
  EXPECT_EQ(record.sequence, 9u);
  EXPECT_EQ(record.header.commit, 5u);
}

TEST(LogHeaderTest, EveryFlippedBitAfterTheSequenceIsSeen) {
  const rocksdb::WriteBatch operations = Operations();
  const std::string bytes = EncodeLogRecord(Sample(), operations.Data());
  LogRecord record;
  for (size_t bit = 8 * 8; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_NE(DecodeLogRecord(damaged, &record), LogDecodeResult::kOk) << bit;
  }
  // The sequence is RocksDB's, which sets it while it writes.
  std::string numbered = bytes;
  numbered[0] = 7;
  EXPECT_EQ(DecodeLogRecord(numbered, &record), LogDecodeResult::kOk);
  EXPECT_EQ(record.sequence, 7u);
}

TEST(LogHeaderTest, EveryCutAndEveryExtraByteIsSeen) {
  const rocksdb::WriteBatch operations = Operations();
  const std::string bytes = EncodeLogRecord(Sample(), operations.Data());
  LogRecord record;
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_NE(DecodeLogRecord(std::string_view(bytes).substr(0, size), &record),
              LogDecodeResult::kOk)
        << size;
  }
  EXPECT_NE(DecodeLogRecord(bytes + "x", &record), LogDecodeResult::kOk);
}

TEST(LogHeaderTest, TheEmptyBatchOfRocksDbHasNoHeader) {
  const rocksdb::WriteBatch empty;
  LogRecord record;
  EXPECT_EQ(DecodeLogRecord(empty.Data(), &record), LogDecodeResult::kOk);
  EXPECT_FALSE(record.has_header);
  EXPECT_EQ(DecodeLogRecord(Operations().Data(), &record), LogDecodeResult::kMalformed);
}

TEST(LogHeaderTest, ANewerVersionIsNamed) {
  std::string bytes = EncodeLogRecord(Sample(), Operations().Data());
  const size_t magic = bytes.find("CXL");
  ASSERT_NE(magic, std::string::npos);
  bytes[magic + 3] = 2;
  LogRecord record;
  EXPECT_EQ(DecodeLogRecord(bytes, &record), LogDecodeResult::kNewerVersion);
}

}  // namespace
}  // namespace cookix::storage
