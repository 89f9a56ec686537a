#include "storage/rocksdb_snapshot.h"

#include <utility>

#include "storage/rocksdb_status.h"

namespace cookix::storage {
namespace {

constexpr std::string_view kReading = "reading the store";

class RocksDbIterator : public Iterator {
 public:
  RocksDbIterator(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family,
                  const rocksdb::Snapshot* snapshot, ScanBounds bounds)
      : bounds_(std::move(bounds)), lower_(ToSlice(bounds_.lower)), upper_(ToSlice(bounds_.upper)) {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot;
    options.fill_cache = !bounds_.bypass_cache;
    if (!bounds_.lower.empty()) options.iterate_lower_bound = &lower_;
    if (!bounds_.upper.empty()) options.iterate_upper_bound = &upper_;
    iterator_.reset(db->NewIterator(options, family));
  }

  void SeekToFirst() override { iterator_->SeekToFirst(); }
  void SeekToLast() override { iterator_->SeekToLast(); }
  void Seek(std::string_view key) override { iterator_->Seek(ToSlice(key)); }
  void SeekForPrev(std::string_view key) override { iterator_->SeekForPrev(ToSlice(key)); }
  void Next() override { iterator_->Next(); }
  void Prev() override { iterator_->Prev(); }
  bool Valid() const override { return iterator_->Valid(); }
  std::string_view key() const override { return ToView(iterator_->key()); }
  std::string_view value() const override { return ToView(iterator_->value()); }
  absl::Status status() const override { return FromRocksDb(iterator_->status(), kReading); }

 private:
  const ScanBounds bounds_;
  // RocksDB keeps pointers to these.
  const rocksdb::Slice lower_;
  const rocksdb::Slice upper_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

}  // namespace

ScanBounds PrefixBounds(std::string_view prefix) {
  ScanBounds bounds;
  bounds.lower = prefix;
  // The shortest string after all that start with the prefix.
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.remove_suffix(1);
  if (!prefix.empty()) {
    bounds.upper = prefix;
    bounds.upper.back() = static_cast<char>(static_cast<uint8_t>(bounds.upper.back()) + 1);
  }
  return bounds;
}

absl::StatusOr<bool> ReadKey(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family,
                             const rocksdb::Snapshot* snapshot, std::string_view key,
                             std::string* value) {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  rocksdb::PinnableSlice pinned;
  const rocksdb::Status status = db->Get(options, family, ToSlice(key), &pinned);
  if (status.IsNotFound()) return false;
  if (!status.ok()) return FromRocksDb(status, kReading);
  value->assign(pinned.data(), pinned.size());
  return true;
}

std::unique_ptr<Iterator> NewIterator(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family,
                                      const rocksdb::Snapshot* snapshot, ScanBounds bounds) {
  return std::make_unique<RocksDbIterator>(db, family, snapshot, std::move(bounds));
}

RocksDbSnapshot::RocksDbSnapshot(rocksdb::DB* db, const FamilyHandles& families,
                                 const Position& position)
    : db_(db), families_(families), position_(position), snapshot_(db->GetSnapshot()) {}

RocksDbSnapshot::~RocksDbSnapshot() { db_->ReleaseSnapshot(snapshot_); }

absl::StatusOr<bool> RocksDbSnapshot::Get(Family family, std::string_view key,
                                          std::string* value) const {
  return ReadKey(db_, families_[static_cast<size_t>(family)], snapshot_, key, value);
}

absl::StatusOr<std::vector<std::optional<std::string>>> RocksDbSnapshot::MultiGet(
    Family family, std::span<const std::string> keys) const {
  std::vector<std::optional<std::string>> results(keys.size());
  if (keys.empty()) return results;
  std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
  std::vector<rocksdb::PinnableSlice> values(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  rocksdb::ReadOptions options;
  options.snapshot = snapshot_;
  db_->MultiGet(options, families_[static_cast<size_t>(family)], slices.size(), slices.data(),
                values.data(), statuses.data());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].ok()) {
      results[i].emplace(values[i].data(), values[i].size());
    } else if (!statuses[i].IsNotFound()) {
      return FromRocksDb(statuses[i], kReading);
    }
  }
  return results;
}

std::unique_ptr<Iterator> RocksDbSnapshot::Scan(Family family, ScanBounds bounds) const {
  return NewIterator(db_, families_[static_cast<size_t>(family)], snapshot_, std::move(bounds));
}

uint64_t RocksDbSnapshot::ApproximateBytes(Family family, const ScanBounds& bounds) const {
  // Open-ended ranges end after any key that fits the limits of keys.
  const std::string upper = bounds.upper.empty() ? std::string(4096, '\xff') : bounds.upper;
  const rocksdb::Range range(ToSlice(bounds.lower), ToSlice(upper));
  rocksdb::SizeApproximationOptions options;
  options.include_memtables = true;
  options.include_files = true;
  uint64_t size = 0;
  const rocksdb::Status status =
      db_->GetApproximateSizes(options, families_[static_cast<size_t>(family)], &range, 1, &size);
  return status.ok() ? size : 0;
}

}  // namespace cookix::storage
