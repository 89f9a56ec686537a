// The scanner against log files that are put together byte by byte.
#include "storage/wal_scanner.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "rocksdb/write_batch.h"
#include "storage/base/coding.h"
#include "storage/base/crc32c.h"
#include "storage/file_systems.h"

namespace cookix::storage {
namespace {

constexpr size_t kBlock = 32 * 1024;

std::string Physical(uint8_t type, std::string_view payload, bool recyclable = false,
                     uint32_t log_number = 1) {
  std::string covered(1, static_cast<char>(recyclable ? type + 4 : type));
  if (recyclable) PutFixed32(&covered, log_number);
  covered += payload;
  std::string bytes;
  PutFixed32(&bytes, MaskCrc32c(Crc32c(covered)));
  bytes.push_back(static_cast<char>(payload.size() & 0xff));
  bytes.push_back(static_cast<char>(payload.size() >> 8));
  return bytes + covered;
}

// Writes records as RocksDB's log writer does.
void AddRecord(std::string* log, std::string_view payload, bool recyclable = false) {
  const size_t header = recyclable ? 11 : 7;
  bool first = true;
  do {
    const size_t left = kBlock - log->size() % kBlock;
    if (left < header) {
      log->append(left, '\0');
      continue;
    }
    const size_t size = std::min(payload.size(), left - header);
    const bool last = size == payload.size();
    const uint8_t type = first && last ? 1 : first ? 2 : last ? 4 : 3;
    log->append(Physical(type, payload.substr(0, size), recyclable));
    payload.remove_prefix(size);
    first = false;
    if (last) break;
  } while (true);
}

class WalScannerTest : public testing::Test {
 protected:
  WalScannerTest() : fs_(NewMemoryFileSystem()) { store_[0] = 7; }

  // A commit whose batch has about `bytes` bytes; durable says up to which sequence.
  std::string Commit(uint64_t commit, uint64_t sequence, uint64_t durable, size_t bytes = 20,
                     LogKind kind = LogKind::kCommit) {
    rocksdb::WriteBatch operations;
    EXPECT_TRUE(operations.Put("k", std::string(bytes, 'v')).ok());
    LogHeader header;
    header.kind = kind;
    header.store = store_;
    header.epoch = 1;
    header.commit = commit;
    header.durable_sequence = durable;
    std::string record = EncodeLogRecord(header, operations.Data());
    std::string number;
    PutFixed64(&number, sequence);
    return record.replace(0, 8, number);
  }

  WalScan Scan(const std::vector<std::string>& logs) {
    for (size_t i = 0; i < logs.size(); ++i) {
      const std::string path = "/wal/00000" + std::to_string(i + 1) + ".log";
      EXPECT_TRUE(rocksdb::WriteStringToFile(fs_.get(), logs[i], path).ok());
    }
    const auto files = ListWalFiles(*fs_, "/wal");
    EXPECT_TRUE(files.ok());
    EXPECT_EQ(files->size(), logs.size());
    WalScanOptions options;
    options.store = store_;
    seen_.clear();
    options.on_record = [this](const LogRecord& record, std::string_view) {
      seen_.push_back(record.header.commit);
    };
    auto scan = ScanWal(*fs_, *files, options);
    EXPECT_TRUE(scan.ok()) << scan.status();
    return scan.ok() ? *scan : WalScan();
  }

  std::shared_ptr<rocksdb::FileSystem> fs_;
  StoreId store_{};
  std::vector<uint64_t> seen_;
};

TEST_F(WalScannerTest, RecordsOfEverySizeAcrossBlocks) {
  for (const bool recyclable : {false, true}) {
    std::string log;
    const std::vector<size_t> sizes = {0,      1,      100,     32'500, 32'600, 32'640, 32'650,
                                       32'768, 70'000, 200'000, 5,      32'700, 32'690, 32'680};
    for (size_t i = 0; i < sizes.size(); ++i) {
      AddRecord(&log, Commit(i + 1, i + 1, i, sizes[i]), recyclable);
    }
    const WalScan scan = Scan({log});
    EXPECT_TRUE(scan.report.damage.empty());
    EXPECT_FALSE(scan.report.torn_tail) << scan.report.torn_tail_detail;
    EXPECT_TRUE(scan.cuts.empty());
    EXPECT_EQ(scan.report.records, static_cast<int64_t>(sizes.size()));
    EXPECT_EQ(scan.report.first_commit, 1u);
    EXPECT_EQ(scan.report.last_commit, sizes.size());
    EXPECT_EQ(scan.next_sequence, sizes.size() + 1);
    EXPECT_EQ(scan.report.bytes, static_cast<int64_t>(log.size()));
  }
}

TEST_F(WalScannerTest, HeadersThatJustFitTheBlock) {
  // A first record that ends at every distance from the end of its block, so that
  // padding and parts without bytes occur. The length of its value takes three bytes.
  const size_t overhead = 7 + Commit(1, 1, 0, 20'000).size() - 20'000;
  for (size_t gap = 0; gap <= 24; ++gap) {
    std::string log;
    AddRecord(&log, Commit(1, 1, 0, kBlock - overhead - gap));
    ASSERT_EQ(log.size(), kBlock - gap);
    for (uint64_t i = 2; i <= 4; ++i) AddRecord(&log, Commit(i, i, i - 1, 30));
    const WalScan scan = Scan({log});
    EXPECT_EQ(scan.report.last_commit, 4u) << gap;
    EXPECT_FALSE(scan.report.torn_tail) << gap;
    EXPECT_TRUE(scan.report.damage.empty()) << gap;
  }
}

TEST_F(WalScannerTest, EveryCutIsATornTail) {
  std::string log;
  AddRecord(&log, Commit(1, 1, 0));
  AddRecord(&log, Commit(2, 2, 1));
  const size_t whole = log.size();
  AddRecord(&log, Commit(3, 3, 2, 40'000));
  for (size_t size = whole + 1; size < log.size(); size += size < whole + 300 ? 1 : 997) {
    const WalScan scan = Scan({log.substr(0, size)});
    EXPECT_TRUE(scan.report.torn_tail) << size;
    EXPECT_TRUE(scan.report.damage.empty()) << size;
    EXPECT_EQ(scan.report.last_commit, 2u) << size;
    ASSERT_EQ(scan.cuts.size(), 1u) << size;
    EXPECT_EQ(scan.cuts[0].offset, whole) << size;
  }
}

TEST_F(WalScannerTest, ZerosAtTheEndAreATornTail) {
  std::string log;
  AddRecord(&log, Commit(1, 1, 0));
  const size_t whole = log.size();
  log.append(100'000, '\0');
  const WalScan scan = Scan({log});
  EXPECT_TRUE(scan.report.torn_tail);
  ASSERT_EQ(scan.cuts.size(), 1u);
  EXPECT_EQ(scan.cuts[0].offset, whole);
}

TEST_F(WalScannerTest, AFlippedBitBeforeADurableRecordIsDamage) {
  std::string log;
  for (uint64_t i = 1; i <= 30; ++i) AddRecord(&log, Commit(i, i, i - 1, i * 300));
  const size_t before_last = log.size();
  AddRecord(&log, Commit(31, 31, 30));
  for (size_t bit = 3; bit < before_last * 8; bit += 1237) {
    std::string damaged = log;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    const WalScan scan = Scan({damaged});
    // Bits of padding carry nothing.
    if (scan.report.last_commit == 31) continue;
    ASSERT_FALSE(scan.report.damage.empty()) << bit;
    EXPECT_NE(scan.report.damage[0].find("000001.log at byte "), std::string::npos);
    EXPECT_TRUE(scan.cuts.empty());
  }
}

TEST_F(WalScannerTest, AHoleThatWasNeverDurableIsATornTail) {
  // Three commits of one group: the disk wrote the last, not the first.
  std::string log;
  AddRecord(&log, Commit(1, 1, 0));
  const size_t durable = log.size();
  AddRecord(&log, Commit(2, 2, 1));
  AddRecord(&log, Commit(3, 3, 1));
  AddRecord(&log, Commit(4, 4, 1));
  std::string torn = log;
  torn[durable + 12] ^= 1;
  WalScan scan = Scan({torn});
  EXPECT_TRUE(scan.report.damage.empty());
  EXPECT_TRUE(scan.report.torn_tail);
  EXPECT_EQ(scan.report.last_commit, 1u);
  ASSERT_EQ(scan.cuts.size(), 1u);
  EXPECT_EQ(scan.cuts[0].offset, durable);
  EXPECT_EQ(seen_, std::vector<uint64_t>{1});

  // The next group proves that it was durable.
  AddRecord(&torn, Commit(5, 5, 4));
  scan = Scan({torn});
  EXPECT_FALSE(scan.report.damage.empty());
  EXPECT_TRUE(scan.cuts.empty());
}

TEST_F(WalScannerTest, AnUnsyncedTailAcrossFilesIsCutInBoth) {
  std::string first, second;
  AddRecord(&first, Commit(1, 1, 0));
  const size_t durable = first.size();
  AddRecord(&first, Commit(2, 2, 1));
  AddRecord(&second, Commit(3, 3, 1));
  WalScan scan = Scan({first.substr(0, first.size() - 1), second});
  EXPECT_TRUE(scan.report.torn_tail);
  ASSERT_EQ(scan.cuts.size(), 2u);
  EXPECT_EQ(scan.cuts[0].offset, durable);
  EXPECT_EQ(scan.cuts[1].path, "/wal/000002.log");
  EXPECT_EQ(scan.cuts[1].offset, 0u);
  // A record of the second file that was written after the first was synced.
  AddRecord(&second, Commit(4, 4, 3));
  scan = Scan({first.substr(0, first.size() - 1), second});
  EXPECT_FALSE(scan.report.damage.empty());
}

TEST_F(WalScannerTest, WhatAFailedWriteLeftIsCutOff) {
  // A piece of a record, then the log goes on in the next file without a hole.
  std::string first, second;
  AddRecord(&first, Commit(1, 1, 0));
  const size_t whole = first.size();
  first += std::string("\x01\x02\x03\x04\x05", 5);
  AddRecord(&second, Commit(2, 2, 1));
  const WalScan scan = Scan({first, second});
  EXPECT_TRUE(scan.report.damage.empty());
  EXPECT_FALSE(scan.report.torn_tail);
  EXPECT_EQ(scan.report.last_commit, 2u);
  ASSERT_EQ(scan.cuts.size(), 1u);
  EXPECT_EQ(scan.cuts[0].path, "/wal/000001.log");
  EXPECT_EQ(scan.cuts[0].offset, whole);
}

TEST_F(WalScannerTest, ARestartForgivesAHole) {
  // Commit 2 took sequence 2 but never reached the log; it comes again after the
  // restart, under its number.
  std::string first, second;
  AddRecord(&first, Commit(1, 1, 0));
  AddRecord(&second, Commit(1, 3, 2, 0, LogKind::kRestart));
  AddRecord(&second, Commit(2, 4, 2));
  AddRecord(&second, Commit(3, 5, 4));
  WalScan scan = Scan({first, second});
  EXPECT_TRUE(scan.report.damage.empty());
  EXPECT_FALSE(scan.report.torn_tail);
  EXPECT_EQ(scan.report.last_commit, 3u);
  EXPECT_EQ(scan.next_sequence, 6u);
  // Commit 2 had reached it after all.
  AddRecord(&first, Commit(2, 2, 1));
  scan = Scan({first, second});
  EXPECT_TRUE(scan.report.damage.empty());
  EXPECT_EQ(seen_, (std::vector<uint64_t>{1, 2, 1, 2, 3}));
}

TEST_F(WalScannerTest, MissingCommitsAndForeignRecordsAreDamage) {
  std::string log;
  AddRecord(&log, Commit(1, 1, 0));
  AddRecord(&log, Commit(3, 2, 1));
  EXPECT_FALSE(Scan({log}).report.damage.empty());

  std::string foreign;
  AddRecord(&foreign, Commit(1, 1, 0));
  store_[0] = 8;
  WalScan scan = Scan({foreign});
  EXPECT_FALSE(scan.report.damage.empty());
  EXPECT_TRUE(scan.cuts.empty());

  std::string other;
  rocksdb::WriteBatch batch;
  ASSERT_TRUE(batch.Put("a", "b").ok());
  AddRecord(&other, batch.Data());
  scan = Scan({other});
  EXPECT_FALSE(scan.report.damage.empty());
  EXPECT_TRUE(scan.cuts.empty());
}

TEST_F(WalScannerTest, LeftoversOfARecycledFileAreSkipped) {
  std::string log = Physical(1, Commit(1, 1, 0), /*recyclable=*/true, /*log_number=*/1);
  log += Physical(1, Commit(9, 9, 8), /*recyclable=*/true, /*log_number=*/77);
  const WalScan scan = Scan({log});
  EXPECT_EQ(scan.report.last_commit, 1u);
  EXPECT_TRUE(scan.report.damage.empty());
}

TEST_F(WalScannerTest, NoFilesNoRecords) {
  EXPECT_EQ(Scan({""}).report.records, 0);
  EXPECT_FALSE(Scan({""}).report.torn_tail);
  EXPECT_TRUE(ListWalFiles(*fs_, "/nowhere")->empty());
}

}  // namespace
}  // namespace cookix::storage
