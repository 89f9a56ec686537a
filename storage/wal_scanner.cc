#include "storage/wal_scanner.h"

#include <algorithm>
#include <utility>

#include "storage/base/coding.h"
#include "storage/base/crc32c.h"
#include "storage/base/status.h"
#include "storage/rocksdb_status.h"

namespace cookix::storage {
namespace {

// RocksDB's log format: blocks of 32 KiB, filled with physical records
//   masked CRC-32C of type and payload (4), length (2), type (1), payload
// and, when log files are recycled, the low half of the file's number (4) between
// type and payload, inside the checksum. Less than 7 bytes at the end of a block
// are padding.
constexpr size_t kBlockSize = 32 * 1024;
constexpr size_t kHeaderSize = 7;
constexpr size_t kRecyclableHeaderSize = 11;

constexpr uint8_t kZeroType = 0;
constexpr uint8_t kFullType = 1;
constexpr uint8_t kFirstType = 2;
constexpr uint8_t kMiddleType = 3;
constexpr uint8_t kLastType = 4;
constexpr uint8_t kRecyclableFullType = 5;
constexpr uint8_t kRecyclableLastType = 8;
// Set by RocksDB as the first record of a file whose payload is compressed. We
// never ask for that.
constexpr uint8_t kSetCompressionType = 9;

// More places than this are not listed for one file.
constexpr size_t kMaxDamage = 100;

bool AllZero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

std::string BaseName(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

}  // namespace

WalFileReader::WalFileReader(std::unique_ptr<rocksdb::FSSequentialFile> file, uint64_t log_number)
    : file_(std::move(file)), log_number_(log_number), scratch_(kBlockSize, '\0') {}

absl::StatusOr<bool> WalFileReader::NextBlock() {
  block_offset_ += block_.size();
  block_.clear();
  at_ = 0;
  while (!end_of_file_ && block_.size() < kBlockSize) {
    rocksdb::Slice read;
    const rocksdb::IOStatus status = file_->Read(kBlockSize - block_.size(), rocksdb::IOOptions(),
                                                 &read, scratch_.data(), nullptr);
    if (!status.ok()) return FromRocksDb(status, "reading the log");
    if (read.empty()) {
      end_of_file_ = true;
      break;
    }
    block_.append(read.data(), read.size());
  }
  return !block_.empty();
}

WalFileReader::Fragment WalFileReader::Examine(size_t at) {
  const std::string_view rest = std::string_view(block_).substr(at);
  if (rest.size() < kHeaderSize) {
    next_ = block_.size();
    if (block_.size() == kBlockSize || rest.empty()) return Fragment::kVoid;
    why_ = "the header is cut off";
    return Fragment::kTruncated;
  }
  std::string_view in = rest;
  uint32_t checksum = 0;
  GetFixed32(&in, &checksum);
  const size_t length = static_cast<uint8_t>(in[0]) | (static_cast<uint8_t>(in[1]) << 8);
  const auto type = static_cast<uint8_t>(in[2]);
  if (type == kZeroType && length == 0 && checksum == 0 && AllZero(rest)) {
    next_ = block_.size();
    why_ = "the rest of the block is zero";
    return Fragment::kBad;
  }
  if (type == kZeroType || (type > kRecyclableLastType && type != kSetCompressionType)) {
    why_ = "the type of the record is invalid";
    return Fragment::kBad;
  }
  const bool recyclable = type >= kRecyclableFullType && type <= kRecyclableLastType;
  const size_t header = recyclable ? kRecyclableHeaderSize : kHeaderSize;
  if (header + length > rest.size()) {
    if (block_.size() < kBlockSize) {
      why_ = "the record is cut off";
      return Fragment::kTruncated;
    }
    why_ = "the length reaches past the block";
    return Fragment::kBad;
  }
  if (UnmaskCrc32c(checksum) != Crc32c(rest.substr(6, header + length - 6))) {
    why_ = "the checksum does not match";
    return Fragment::kBad;
  }
  if (recyclable) {
    std::string_view number = rest.substr(kHeaderSize);
    uint32_t log_number = 0;
    GetFixed32(&number, &log_number);
    if (log_number != static_cast<uint32_t>(log_number_)) {
      next_ = block_.size();
      return Fragment::kVoid;  // left over from the file's earlier life
    }
  }
  fragment_ = rest.substr(header, length);
  next_ = at + header + length;
  if (type == kSetCompressionType) {
    why_ = "the log is compressed, which this program never asks for";
    return Fragment::kBad;
  }
  switch (recyclable ? type - (kRecyclableFullType - kFullType) : type) {
    case kFullType:
      return Fragment::kFull;
    case kFirstType:
      return Fragment::kFirst;
    case kMiddleType:
      return Fragment::kMiddle;
    default:
      return Fragment::kLast;
  }
  static_assert(kMiddleType == 3 && kLastType == 4);
}

void WalFileReader::Resynchronise() {
  const std::string why = why_;
  for (++at_; at_ + kHeaderSize <= block_.size(); ++at_) {
    // Zeros are skipped up to where a header can begin: its last byte is not zero.
    const size_t nonzero = block_.find_first_not_of('\0', at_);
    if (nonzero == std::string::npos) break;
    if (nonzero >= kHeaderSize) at_ = std::max(at_, nonzero - (kHeaderSize - 1));
    if (at_ + kHeaderSize > block_.size()) break;
    const Fragment fragment = Examine(at_);
    if (fragment != Fragment::kBad && fragment != Fragment::kTruncated &&
        fragment != Fragment::kVoid) {
      why_ = why;
      return;
    }
  }
  at_ = block_.size();
  why_ = why;
}

absl::StatusOr<WalFileReader::Event> WalFileReader::Next() {
  while (true) {
    if (at_ >= block_.size()) {
      COOKIX_ASSIGN_OR_RETURN(const bool more, NextBlock());
      if (!more) {
        if (!assembling_) return Event::kEnd;
        assembling_ = false;
        offset_ = assembling_offset_;
        detail_ = "the record is cut off";
        return Event::kDamage;
      }
    }
    const uint64_t position = block_offset_ + at_;
    const Fragment fragment = Examine(at_);
    const auto damage = [&](std::string detail) {
      // The damage begins where the record began whose parts do not fit.
      offset_ = assembling_ ? assembling_offset_ : position;
      detail_ = std::move(detail);
      assembling_ = false;
      return Event::kDamage;
    };
    switch (fragment) {
      case Fragment::kVoid:
        at_ = next_;
        continue;
      case Fragment::kBad:
      case Fragment::kTruncated: {
        Resynchronise();
        return damage(why_);
      }
      case Fragment::kFull:
        if (assembling_) return damage("a record begins inside another");
        at_ = next_;
        payload_ = fragment_;
        offset_ = position;
        return Event::kRecord;
      case Fragment::kFirst:
        if (assembling_) return damage("a record begins inside another");
        assembling_ = true;
        assembling_offset_ = position;
        assembled_.assign(fragment_);
        at_ = next_;
        continue;
      case Fragment::kMiddle:
      case Fragment::kLast:
        at_ = next_;
        if (!assembling_) return damage("a part of a record has no beginning");
        assembled_.append(fragment_);
        if (fragment == Fragment::kMiddle) continue;
        assembling_ = false;
        payload_ = assembled_;
        offset_ = assembling_offset_;
        return Event::kRecord;
    }
  }
}

absl::StatusOr<std::vector<WalFile>> ListWalFiles(rocksdb::FileSystem& fs,
                                                  const std::string& directory) {
  std::vector<std::string> names;
  const rocksdb::IOStatus status = fs.GetChildren(directory, rocksdb::IOOptions(), &names, nullptr);
  if (IsMissing(status)) return std::vector<WalFile>();
  if (!status.ok()) return FromRocksDb(status, "listing the log");
  std::vector<WalFile> files;
  for (const std::string& name : names) {
    const std::string_view view = name;
    if (!view.ends_with(".log") || view.size() < 5 || view.size() > 24) continue;
    const std::string_view digits = view.substr(0, view.size() - 4);
    if (digits.find_first_not_of("0123456789") != std::string_view::npos) continue;
    WalFile file;
    for (const char digit : digits) file.number = file.number * 10 + (digit - '0');
    file.path = directory + "/" + name;
    const rocksdb::IOStatus size =
        fs.GetFileSize(file.path, rocksdb::IOOptions(), &file.size, nullptr);
    if (IsMissing(size)) continue;
    if (!size.ok()) return FromRocksDb(size, "listing the log");
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(),
            [](const WalFile& a, const WalFile& b) { return a.number < b.number; });
  return files;
}

std::optional<WalBegin> ReadWalBegin(rocksdb::FileSystem& fs, const WalFile& wal) {
  std::unique_ptr<rocksdb::FSSequentialFile> opened;
  if (!fs.NewSequentialFile(wal.path, rocksdb::FileOptions(), &opened, nullptr).ok()) {
    return std::nullopt;
  }
  WalFileReader reader(std::move(opened), wal.number);
  while (true) {
    const absl::StatusOr<WalFileReader::Event> event = reader.Next();
    if (!event.ok() || *event != WalFileReader::Event::kRecord) return std::nullopt;
    LogRecord record;
    if (DecodeLogRecord(reader.payload(), &record) != LogDecodeResult::kOk) return std::nullopt;
    if (!record.has_header) continue;
    const bool is_commit = record.header.kind == LogKind::kCommit;
    return WalBegin{record.header.commit + (is_commit ? 0 : 1), record.sequence};
  }
}

absl::StatusOr<WalScan> ScanWal(rocksdb::FileSystem& fs, const std::vector<WalFile>& files,
                                const WalScanOptions& options) {
  WalScan scan;
  LogScanReport& report = scan.report;

  // The first place that was not whole and what follows it.
  struct Suspect {
    bool present = false;
    size_t file = 0;
    uint64_t offset = 0;
    std::string detail;
  };
  Suspect pending;  // damaged bytes, nothing valid after them yet
  Suspect hole;     // records are missing from here on
  uint64_t hole_sequence = 0;
  bool hole_was_durable = false;
  bool have_commit = false;
  // Cuts of bytes that never were a record: what a failed write leaves when the
  // log goes on in the next file.
  std::vector<WalCut> scraps;

  for (size_t i = 0; i < files.size(); ++i) {
    std::unique_ptr<rocksdb::FSSequentialFile> file;
    const rocksdb::IOStatus opened =
        fs.NewSequentialFile(files[i].path, rocksdb::FileOptions(), &file, nullptr);
    if (!opened.ok()) return FromRocksDb(opened, "opening " + BaseName(files[i].path));
    WalFileReader reader(std::move(file), files[i].number);
    ++report.files;
    while (true) {
      COOKIX_ASSIGN_OR_RETURN(const WalFileReader::Event event, reader.Next());
      if (event == WalFileReader::Event::kEnd) break;
      std::string why;
      LogRecord record;
      if (event == WalFileReader::Event::kDamage) {
        if (!pending.present && !hole.present) {
          pending = {true, i, reader.offset(), reader.detail()};
        }
        continue;
      }
      // The bytes are those that were written, so what is wrong with them is no
      // torn tail.
      switch (DecodeLogRecord(reader.payload(), &record)) {
        case LogDecodeResult::kOk:
          if (record.has_header && record.header.store != options.store) {
            why = "the record belongs to another store";
          }
          break;
        case LogDecodeResult::kMalformed:
          why = "the record is not one of CookiX";
          break;
        case LogDecodeResult::kBadChecksum:
          why = "the record's own checksum is wrong";
          break;
        case LogDecodeResult::kNewerVersion:
          return MakeError(absl::StatusCode::kFailedPrecondition,
                           BaseName(files[i].path) + " was written by a newer version of CookiX",
                           {"INTERNAL", "", "Use that version, or a newer one.", false});
      }
      if (!why.empty()) {
        report.damage.push_back(BaseName(files[i].path) + " at byte " +
                                std::to_string(reader.offset()) + ": " + why);
        if (report.damage.size() >= kMaxDamage) break;
        continue;
      }
      if (record.has_header && record.header.kind == LogKind::kRestart) {
        // Whatever is missing before it was not needed.
        if (hole.present) hole = Suspect();
        hole_was_durable = false;
        scan.next_sequence = record.sequence;
      }
      const bool has_predecessor = scan.next_sequence != 0;
      if (has_predecessor && !hole.present && record.sequence > scan.next_sequence) {
        hole = pending.present ? pending : Suspect{true, i, reader.offset(), "records are missing"};
        hole_sequence = scan.next_sequence;
      }
      // Damage before the first record: its last operation is the one before this.
      if (!has_predecessor && pending.present && !hole.present) {
        hole = pending;
        hole_sequence = std::max<uint64_t>(record.sequence, 1) - 1;
      }
      if (hole.present) {
        // Nothing after a hole counts; it only shows whether the hole was durable.
        if (record.has_header && record.header.durable_sequence >= hole_sequence) {
          hole_was_durable = true;
        }
        continue;
      }
      if (pending.present) {
        if (pending.file != i) scraps.push_back({files[pending.file].path, pending.offset});
        pending = Suspect();
      }
      ++report.records;
      if (record.has_header) {
        scan.durable_sequence = std::max(scan.durable_sequence, record.header.durable_sequence);
      }
      if (record.count > 0) scan.next_sequence = record.sequence + record.count;
      if (scan.next_sequence == 0) scan.next_sequence = record.sequence;
      if (!record.has_header) continue;
      const LogHeader& header = record.header;
      scan.last_epoch = header.epoch;
      if (!scan.base_commit.has_value()) {
        const bool is_commit = header.kind == LogKind::kCommit;
        scan.base_commit = is_commit && header.commit > 0 ? header.commit - 1 : header.commit;
      }
      if (header.kind == LogKind::kCommit) {
        // Commits come twice after a restart.
        if (have_commit && header.commit > report.last_commit + 1) {
          report.damage.push_back(BaseName(files[i].path) + " at byte " +
                                  std::to_string(reader.offset()) + ": commit " +
                                  std::to_string(header.commit) + " follows commit " +
                                  std::to_string(report.last_commit));
        }
        if (!have_commit) report.first_commit = header.commit;
        have_commit = true;
        report.last_commit = std::max(report.last_commit, header.commit);
      } else if (!have_commit) {
        report.last_commit = header.commit;
      }
      if (options.on_record) options.on_record(record, reader.payload());
    }
    report.bytes += static_cast<int64_t>(reader.bytes());
  }

  const auto place = [&](const Suspect& suspect) {
    return BaseName(files[suspect.file].path) + " at byte " + std::to_string(suspect.offset) +
           ": " + suspect.detail;
  };
  const auto written_meanwhile = [&](const Suspect& suspect) {
    return options.written_before != 0 && suspect.file + 1 == files.size() &&
           scan.next_sequence >= options.written_before;
  };
  if (hole.present && hole_was_durable) {
    report.damage.push_back(place(hole) + ", and records that were durable are missing after it");
  } else if (hole.present || pending.present) {
    const Suspect& torn = hole.present ? hole : pending;
    if (!written_meanwhile(torn)) {
      report.torn_tail = true;
      report.torn_tail_detail = place(torn);
      scan.cuts = scraps;
      scan.cuts.push_back({files[torn.file].path, torn.offset});
      for (size_t i = torn.file + 1; i < files.size(); ++i) {
        if (files[i].size > 0) scan.cuts.push_back({files[i].path, 0});
      }
    }
  } else {
    scan.cuts = scraps;
  }
  if (!report.damage.empty()) scan.cuts.clear();
  return scan;
}

}  // namespace cookix::storage
