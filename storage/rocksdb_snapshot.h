// Snapshots and iterators over a RocksDB instance.
#ifndef COOKIX_STORAGE_ROCKSDB_SNAPSHOT_H_
#define COOKIX_STORAGE_ROCKSDB_SNAPSHOT_H_

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rocksdb/db.h"
#include "storage/snapshot.h"

namespace cookix::storage {

using FamilyHandles = std::array<rocksdb::ColumnFamilyHandle*, kFamilyCount>;

inline rocksdb::Slice ToSlice(std::string_view view) { return {view.data(), view.size()}; }
inline std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// Reads one key, at `snapshot` or, when it is null, of the newest state.
absl::StatusOr<bool> ReadKey(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family,
                             const rocksdb::Snapshot* snapshot, std::string_view key,
                             std::string* value);

// Walks a family at `snapshot` or, when it is null, in the state of this moment.
std::unique_ptr<Iterator> NewIterator(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family,
                                      const rocksdb::Snapshot* snapshot, ScanBounds bounds);

class RocksDbSnapshot : public Snapshot {
 public:
  // Takes a snapshot of `db`, which must outlive it. The caller makes sure that
  // the newest state is that of `position`.
  RocksDbSnapshot(rocksdb::DB* db, const FamilyHandles& families, const Position& position);
  ~RocksDbSnapshot() override;
  RocksDbSnapshot(const RocksDbSnapshot&) = delete;
  RocksDbSnapshot& operator=(const RocksDbSnapshot&) = delete;

  uint64_t commit() const override { return position_.commit; }
  const Position& position() const override { return position_; }
  absl::StatusOr<bool> Get(Family family, std::string_view key, std::string* value) const override;
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      Family family, std::span<const std::string> keys) const override;
  std::unique_ptr<Iterator> Scan(Family family, ScanBounds bounds) const override;
  uint64_t ApproximateBytes(Family family, const ScanBounds& bounds) const override;

 private:
  rocksdb::DB* const db_;
  const FamilyHandles families_;
  const Position position_;
  const rocksdb::Snapshot* const snapshot_;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_ROCKSDB_SNAPSHOT_H_
