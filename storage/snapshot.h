// A consistent, immutable view of the store at one commit.
#ifndef COOKIX_STORAGE_SNAPSHOT_H_
#define COOKIX_STORAGE_SNAPSHOT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/column_families.h"
#include "storage/position.h"

namespace cookix::storage {

// Walks the keys of a family in byte order, inside the bounds it was made with.
// Not thread-safe. It must not outlive the snapshot that made it. Views returned
// by key() and value() hold until the iterator moves.
class Iterator {
 public:
  virtual ~Iterator() = default;
  virtual void SeekToFirst() = 0;
  virtual void SeekToLast() = 0;
  // Moves to the first key at or after `key`.
  virtual void Seek(std::string_view key) = 0;
  // Moves to the last key at or before `key`.
  virtual void SeekForPrev(std::string_view key) = 0;
  virtual void Next() = 0;
  virtual void Prev() = 0;
  // False at the end and after an error; then look at status().
  virtual bool Valid() const = 0;
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual absl::Status status() const = 0;
};

// What an iterator walks.
struct ScanBounds {
  // First key, inclusive; empty = the first of the family.
  std::string lower;
  // Last key, exclusive; empty = past the last of the family.
  std::string upper;
  // Leaves the block cache alone: for long scans that will not come again.
  bool bypass_cache = false;
};

// Bounds of all keys that start with `prefix`.
ScanBounds PrefixBounds(std::string_view prefix);

// Thread-safe. Holding one keeps the space of what was deleted or overwritten
// since from being reclaimed, so hold it for a query, not for a session.
class Snapshot {
 public:
  virtual ~Snapshot() = default;

  // The last commit that the snapshot shows.
  virtual uint64_t commit() const = 0;
  virtual const Position& position() const = 0;

  // Reads one key. True and `*value` when it is there, false when it is not.
  // DATA_LOSS when the bytes on disk are damaged.
  virtual absl::StatusOr<bool> Get(Family family, std::string_view key,
                                   std::string* value) const = 0;

  // Reads many keys of one family; results are aligned with `keys`.
  virtual absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      Family family, std::span<const std::string> keys) const = 0;

  virtual std::unique_ptr<Iterator> Scan(Family family, ScanBounds bounds) const = 0;

  // Rough number of bytes that a range takes on disk and in memory tables.
  virtual uint64_t ApproximateBytes(Family family, const ScanBounds& bounds) const = 0;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_SNAPSHOT_H_
