#include "storage/log_reader.h"

#include <algorithm>
#include <string>
#include <utility>

#include "storage/base/status.h"
#include "storage/log_header.h"
#include "storage/rocksdb_status.h"

namespace cookix::storage {
namespace {

// One call delivers about so much from files.
constexpr size_t kMaxBytes = 4 << 20;

}  // namespace

StoreLogReader::StoreLogReader(rocksdb::DB* db, const StoreId& store, const LogIndex* index,
                               LogRing* ring, uint64_t next)
    : db_(db), store_(store), index_(index), ring_(ring), next_(next) {}

void StoreLogReader::Cancel() { ring_->Cancel(&cancelled_); }

absl::Status StoreLogReader::Expired() const {
  return MakeError(
      absl::StatusCode::kOutOfRange, "the log no longer holds commit " + std::to_string(next_),
      {"POSITION_EXPIRED", "",
       "Start again from a snapshot; keep more of the log if this happens often.", false});
}

absl::StatusOr<std::vector<LogCommitPtr>> StoreLogReader::Next(size_t max_commits,
                                                               absl::Duration timeout) {
  max_commits = std::max<size_t>(max_commits, 1);
  std::vector<LogCommitPtr> out;
  switch (ring_->Take(next_, max_commits, timeout, cancelled_, &out)) {
    case LogRing::Outcome::kCancelled:
      return MakeError(absl::StatusCode::kCancelled, "the reader of the log was cancelled",
                       {"QUERY_CANCELLED", "", "", false});
    case LogRing::Outcome::kTimeout:
      return out;
    case LogRing::Outcome::kTaken:
      iterator_.reset();
      break;
    case LogRing::Outcome::kTooOld:
      COOKIX_RETURN_IF_ERROR(ReadFiles(max_commits, &out));
      break;
  }
  next_ = out.back()->commit + 1;
  next_sequence_ = BatchSequence(out.back()->batch) + BatchCount(out.back()->batch);
  return out;
}

absl::Status StoreLogReader::ReadFiles(size_t max_commits, std::vector<LogCommitPtr>* out) {
  const uint64_t published = ring_->last_published();
  uint64_t wanted = next_;
  size_t bytes = 0;
  bool any = false;
  // The sequence after the last record that was passed over.
  uint64_t passed = 0;
  // The second time with a new iterator: the old one does not see what was written
  // after it reached the end, files may have moved to the archive, and it does not get over
  // the place where the log ended for a failed write and began anew.
  for (int attempt = 0; attempt < 2 && out->empty(); ++attempt) {
    bool fresh = false;
    if (iterator_ == nullptr) {
      uint64_t sequence = std::max(next_sequence_, passed);
      if (sequence == 0 && !index_->Find(wanted, &sequence)) return Expired();
      const rocksdb::Status status = db_->GetUpdatesSince(sequence, &iterator_);
      if (!status.ok()) {
        iterator_.reset();
        // A file that is deleted at this moment is one of those that are too old.
        if (IsMissing(status)) return Expired();
        return FromRocksDb(status, "reading the log");
      }
      fresh = passed == 0;
    }
    for (; iterator_->Valid(); iterator_->Next()) {
      rocksdb::BatchResult result = iterator_->GetBatch();
      const std::string& batch = result.writeBatchPtr->Data();
      LogRecord record;
      const LogDecodeResult decoded = DecodeLogRecord(batch, &record);
      if (decoded != LogDecodeResult::kOk || (record.has_header && record.header.store != store_)) {
        iterator_.reset();
        return Corruption(
            "a record of the log near commit " + std::to_string(wanted) + " is damaged",
            "Start again from a snapshot, and check the disk.");
      }
      const bool is_commit = record.has_header && record.header.kind == LogKind::kCommit;
      const uint64_t commit = record.header.commit;
      any |= is_commit;
      if (!is_commit || commit < wanted) {
        if (is_commit) fresh = false;
        passed = record.sequence + record.count;
        continue;
      }
      if (commit > published) break;
      if (commit > wanted) {
        iterator_.reset();
        // The log begins later than asked: its beginning was deleted.
        if (fresh && out->empty()) return Expired();
        return Corruption("commit " + std::to_string(wanted) + " is missing in the log",
                          "Start again from a snapshot, and check the disk.");
      }
      auto entry = std::make_shared<LogCommit>();
      entry->store = record.header.store;
      entry->epoch = record.header.epoch;
      entry->commit = commit;
      entry->time_ms = record.header.time_ms;
      entry->request_id = record.header.request_id;
      entry->change = record.header.change;
      entry->batch = batch;
      bytes += batch.size();
      out->push_back(std::move(entry));
      ++wanted;
      if (out->size() >= max_commits || bytes >= kMaxBytes) {
        iterator_->Next();
        return absl::OkStatus();
      }
    }
    iterator_.reset();
  }
  if (!out->empty()) return absl::OkStatus();
  // All of it was deleted.
  if (!any) return Expired();
  return Corruption("commit " + std::to_string(wanted) + " is missing in the log",
                    "Start again from a snapshot, and check the disk.");
}

}  // namespace cookix::storage
