#include "storage/backup/log_archive.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>

#include "storage/backup/backup_file.h"
#include "storage/base/crc32c.h"
#include "storage/base/status.h"
#include "storage/file_tree.h"
#include "storage/log_header.h"
#include "storage/rocksdb_checked_file.h"

namespace cookix::storage {
namespace {

constexpr std::string_view kKind = "log archive";
constexpr uint32_t kVersion = 1;
constexpr std::string_view kSuffix = ".segment";

template <typename Number>
bool TakeNumber(std::string_view* text, int base, Number* number) {
  const auto [end, error] =
      std::from_chars(text->data(), text->data() + text->size(), *number, base);
  if (error != std::errc()) return false;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return true;
}

// False for names of other files.
bool ParseName(std::string_view name, LogSegment* segment) {
  std::string_view text = name;
  const auto dash = [&] {
    if (!text.starts_with('-')) return false;
    text.remove_prefix(1);
    return true;
  };
  return TakeNumber(&text, 10, &segment->first) && dash() &&
         TakeNumber(&text, 10, &segment->last) && dash() &&
         TakeNumber(&text, 10, &segment->epoch) && dash() &&
         TakeNumber(&text, 16, &segment->history) && text == kSuffix && segment->Name() == name &&
         segment->first > 0 && segment->first <= segment->last;
}

}  // namespace

std::string LogSegment::Name() const {
  char name[96];
  std::snprintf(name, sizeof(name), "%020llu-%020llu-%llu-%08x",
                static_cast<unsigned long long>(first), static_cast<unsigned long long>(last),
                static_cast<unsigned long long>(epoch), history);
  return name + std::string(kSuffix);
}

absl::Status LogSegmentReader::Damaged(std::string_view what) const {
  return Corruption("the file " + place_ + " of the backups is damaged: " + std::string(what),
                    "Use a backup that is later than its commits, and check the disk.");
}

absl::Status LogSegmentReader::ReadHeader() {
  COOKIX_RETURN_IF_ERROR(reader_->Read(header_.store.data(), header_.store.size()));
  std::string epochs;
  COOKIX_RETURN_IF_ERROR(reader_->ReadString(&epochs));
  std::string_view in = epochs;
  if (!DecodeHistory(&in, &header_.epochs) || !in.empty()) return Damaged("it has no epochs");
  if (Crc32c(epochs) != segment_.history) return Damaged("its epochs are not those of its name");
  return absl::OkStatus();
}

absl::StatusOr<bool> LogSegmentReader::Next(ArchivedCommit* commit) {
  COOKIX_ASSIGN_OR_RETURN(const bool at_end, reader_->AtEnd());
  if (at_end) {
    if (next_ == segment_.last + 1) return false;
    return Damaged("it ends after commit " + std::to_string(next_ - 1));
  }
  COOKIX_RETURN_IF_ERROR(reader_->ReadString(&commit->record));
  LogRecord record;
  if (DecodeLogRecord(commit->record, &record) != LogDecodeResult::kOk || !record.has_header ||
      record.header.kind != LogKind::kCommit || record.header.store != header_.store) {
    return Damaged("its record after commit " + std::to_string(next_ - 1) + " is none");
  }
  commit->epoch = record.header.epoch;
  commit->commit = record.header.commit;
  commit->time_ms = record.header.time_ms;
  if (commit->commit != next_ || next_ > segment_.last) {
    return Damaged("commit " + std::to_string(commit->commit) + " is where " +
                   std::to_string(next_) + " should be");
  }
  ++next_;
  return true;
}

std::string LogArchive::PlaceOf(const LogSegment& segment) {
  return std::string(kLogDirectory) + "/" + segment.Name();
}

absl::StatusOr<std::vector<LogSegment>> LogArchive::List() const {
  const std::string directory = backups_ + "/" + std::string(kLogDirectory);
  COOKIX_RETURN_IF_ERROR(CheckNoLinks(backups_, std::string(kLogDirectory)));
  std::vector<LogSegment> segments;
  COOKIX_ASSIGN_OR_RETURN(const bool exists, Exists(fs_, directory));
  if (!exists) return segments;
  COOKIX_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(fs_, directory));
  for (const std::string& name : names) {
    LogSegment segment;
    if (ParseName(name, &segment)) segments.push_back(segment);
  }
  return segments;
}

absl::StatusOr<std::unique_ptr<LogSegmentReader>> LogArchive::Open(
    const LogSegment& segment) const {
  const std::string place = PlaceOf(segment);
  COOKIX_RETURN_IF_ERROR(CheckNoLinks(backups_, place));
  COOKIX_ASSIGN_OR_RETURN(std::unique_ptr<CheckedFileReader> file,
                          OpenForBackup(fs_, backups_ + "/" + place, kKind, kVersion));
  std::unique_ptr<LogSegmentReader> reader(new LogSegmentReader(place, segment, std::move(file)));
  COOKIX_RETURN_IF_ERROR(reader->ReadHeader());
  return reader;
}

absl::Status LogArchive::Write(const EpochHistory& epochs, const std::vector<LogCommitPtr>& commits,
                               uint64_t keep_free_bytes) {
  const LogCommit& last = *commits.back();
  const std::string history = EncodeHistory(UpTo(epochs, last.epoch));
  const LogSegment segment{commits.front()->commit, last.commit, last.epoch, Crc32c(history)};
  COOKIX_ASSIGN_OR_RETURN(
      const std::unique_ptr<CheckedFileWriter> writer,
      CreateCheckedFile(fs_, backups_ + "/" + PlaceOf(segment), kKind, kVersion,
                        {.block_bytes = kBackupBlock, .keep_free_bytes = keep_free_bytes}));
  COOKIX_RETURN_IF_ERROR(writer->Append(
      std::string_view(reinterpret_cast<const char*>(last.store.data()), last.store.size())));
  COOKIX_RETURN_IF_ERROR(writer->AppendString(history));
  for (const LogCommitPtr& commit : commits) {
    COOKIX_RETURN_IF_ERROR(writer->AppendString(commit->batch));
  }
  return writer->Finish();
}

}  // namespace cookix::storage
