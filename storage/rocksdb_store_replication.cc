// What a store does as a follower of another one.
#include <algorithm>
#include <string>
#include <utility>

#include "storage/base/status.h"
#include "storage/rocksdb_status.h"
#include "storage/rocksdb_store.h"

namespace cookix::storage {
namespace {

absl::Status Diverged(const std::string& how) {
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   "the commits do not continue this store: " + how,
                   {"HISTORY_DIVERGED", "", "Begin again with a copy of the other store.", false});
}

absl::Status NotFollower() {
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   "the store takes commits of its own and repeats none",
                   {"NOT_FOLLOWER", "", "Make it a follower first.", false});
}

std::string Name(uint64_t epoch, uint64_t commit) {
  return "commit " + std::to_string(commit) + " of epoch " + std::to_string(epoch);
}

}  // namespace

EpochHistory RocksDbStore::Epochs() const {
  const std::lock_guard lock(epochs_mutex_);
  return epochs_;
}

void RocksDbStore::SetEpochs(EpochHistory epochs) {
  const std::lock_guard lock(epochs_mutex_);
  epochs_ = std::move(epochs);
  epoch_.store(epochs_.back().epoch);
}

absl::Status RocksDbStore::WriteEpochs(size_t kept, const EpochHistory& begun) {
  // Only the leader changes epochs_.
  EpochHistory epochs(epochs_.begin(), epochs_.begin() + static_cast<ptrdiff_t>(kept));
  epochs.insert(epochs.end(), begun.begin(), begun.end());
  rocksdb::WriteBatch operations;
  for (size_t i = kept; i < epochs_.size(); ++i) {
    operations.Delete(Handle(Family::kSystem), EpochKey(epochs_[i].epoch));
  }
  for (const EpochStart& one : begun) {
    operations.Put(Handle(Family::kSystem), EpochKey(one.epoch), Encode(one));
  }
  const LastCommitRecord before = last_;
  last_.epoch = epochs.back().epoch;
  const absl::Status status = WriteBookkeeping(LogKind::kBookkeeping, &operations, /*sync=*/false);
  if (!status.ok()) {
    // It may have been written even so: resuming undoes it.
    last_ = before;
    return status;
  }
  SetEpochs(std::move(epochs));
  return absl::OkStatus();
}

absl::Status RocksDbStore::CheckHistory(const EpochHistory& history) const {
  for (size_t i = 1; i < history.size(); ++i) {
    if (history[i].epoch <= history[i - 1].epoch ||
        history[i].first_commit < history[i - 1].first_commit) {
      return Diverged("its epochs are not in order");
    }
  }
  const std::string why = WhyDiverged(epochs_, last_.commit, history);
  return why.empty() ? absl::OkStatus() : Diverged(why);
}

absl::Status RocksDbStore::TakeOverEpochs(const EpochHistory& history) {
  const size_t common = CommonEpochs(epochs_, history);
  EpochHistory begun;
  for (size_t i = common; i < history.size(); ++i) {
    if (history[i].first_commit != last_.commit + 1) break;
    begun.push_back(history[i]);
  }
  const bool unchanged = begun.empty() && common == epochs_.size();
  return unchanged ? absl::OkStatus() : WriteEpochs(common, begun);
}

absl::Status RocksDbStore::ReplicateOne(const EpochHistory& history, std::string_view record,
                                        size_t* bytes) {
  LogRecord decoded;
  switch (DecodeLogRecord(record, &decoded)) {
    case LogDecodeResult::kOk:
      break;
    case LogDecodeResult::kNewerVersion:
      return Diverged("they have a newer format than this program knows");
    case LogDecodeResult::kMalformed:
    case LogDecodeResult::kBadChecksum:
      return Corruption("a commit of the other store is damaged",
                        "It is asked for again; if that does not help, check the network.");
  }
  LogHeader header = decoded.header;
  if (!decoded.has_header || header.kind != LogKind::kCommit) {
    return Diverged("a record is no commit");
  }
  if (header.store != id_) {
    return Diverged("they are of the store " + StoreIdToHex(header.store) + ", this one is " +
                    StoreIdToHex(id_));
  }
  if (header.commit != last_.commit + 1) {
    return Diverged(Name(header.epoch, header.commit) + " came after " +
                    Name(last_.epoch, last_.commit));
  }
  COOKIX_RETURN_IF_ERROR(TakeOverEpochs(history));
  if (header.epoch != last_.epoch) {
    return Diverged(Name(header.epoch, header.commit) + " came in epoch " +
                    std::to_string(last_.epoch));
  }
  auto entry = std::make_shared<LogCommit>();
  entry->store = id_;
  entry->epoch = header.epoch;
  entry->commit = header.commit;
  entry->time_ms = header.time_ms;
  entry->request_id = header.request_id;
  entry->change = header.change;
  // What is durable here is not what was durable there.
  header.durable_sequence = durable_sequence_.load();
  entry->batch = EncodeLogRecord(header, LogRecordOperations(record));
  bool applied = false;
  const absl::Status status = WriteRecord(&entry->batch, &applied);
  if (!applied) return status;
  last_ = {header.commit, header.epoch, header.time_ms};
  *bytes += entry->batch.size();
  AddUnsettled(std::move(entry));
  return status;
}

absl::Status RocksDbStore::Replicate(const EpochHistory& history,
                                     const std::vector<std::string_view>& records) {
  absl::Status status;
  queue_.RunExclusive([&] {
    if (!follower()) {
      status = NotFollower();
      return;
    }
    ResumeByItself();
    status = Failure();
    if (status.ok()) status = CheckHistory(history);
    if (!status.ok()) return;
    size_t bytes = 0;
    for (const std::string_view record : records) {
      status = ReplicateOne(history, record, &bytes);
      if (!status.ok()) break;
    }
    // What was written is settled also when a later record could not be.
    const absl::Status taken = status.ok() ? TakeOverEpochs(history) : absl::OkStatus();
    if (Outcome().ok() && !unsettled_.empty()) {
      const absl::Status settled = Settle();
      if (status.ok()) status = settled;
    }
    if (status.ok()) status = taken;
  });
  return status;
}

absl::Status RocksDbStore::BeginEpoch(uint64_t epoch) {
  absl::Status status;
  queue_.RunExclusive([&] {
    // Where nobody leads there is no commit that would try.
    ResumeByItself();
    status = Failure();
    if (!status.ok()) return;
    if (epoch <= last_.epoch) {
      status = InvalidField("epoch",
                            "the epoch " + std::to_string(epoch) + " is not greater than " +
                                std::to_string(last_.epoch),
                            "Give a greater one.");
      return;
    }
    const EpochHistory before = epochs_;
    status =
        WriteEpochs(epochs_.size(), {{epoch, last_.commit + 1, std::max(Now(), last_.time_ms)}});
    if (status.ok()) status = SyncLog();
    if (!status.ok()) {
      // It goes on following in the epoch that it had; resuming writes that down.
      SetEpochs(before);
      last_.epoch = before.back().epoch;
      return;
    }
    // From here on the history is its own.
    status = MarkCopy(false);
    if (!status.ok()) return;
    // Builders must see what was repeated.
    Abort();
    follower_.store(false);
  });
  return status;
}

absl::Status RocksDbStore::BecomeFollower() {
  absl::Status status;
  queue_.RunExclusive([&] {
    if (follower()) return;
    status = MarkCopy(true);
    if (status.ok()) follower_.store(true);
  });
  return status;
}

}  // namespace cookix::storage
