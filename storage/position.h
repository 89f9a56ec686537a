// Positions in the history of a store.
#ifndef COOKIX_STORAGE_POSITION_H_
#define COOKIX_STORAGE_POSITION_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace cookix::storage {

// Random identity of a store, made when it is created.
using StoreId = std::array<uint8_t, 16>;

// 32 lower-case hexadecimal digits.
std::string StoreIdToHex(const StoreId& id);

// A point in the history of one store: everything up to and including `commit`,
// as it happened in `epoch`. It is the read-your-writes token, the replication
// position, the change-feed cursor and every view's watermark.
struct Position {
  StoreId store{};
  // Starts at 1; grows at each promotion and after each recovery that may have
  // lost unsynced commits.
  uint64_t epoch = 0;
  // Starts at 1; 0 is the empty store.
  uint64_t commit = 0;

  bool operator==(const Position&) const = default;
};

// Where an epoch begins. A store's epochs are its history: two stores of one identity have
// the same commits up to the first that they begin differently.
struct EpochStart {
  uint64_t epoch = 0;
  // Its first commit, whether or not that exists yet.
  uint64_t first_commit = 0;
  // Unix milliseconds.
  int64_t time_ms = 0;

  bool operator==(const EpochStart&) const = default;
};

// The opaque token that clients get: version byte 1, store identity, epoch and
// commit as varints, and a 4-byte checksum (CRC-32C of what precedes, masked).
std::string EncodePosition(const Position& position);

// INVALID_ARGUMENT for anything EncodePosition did not make.
absl::StatusOr<Position> DecodePosition(std::string_view token);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_POSITION_H_
