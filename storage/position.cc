#include "storage/position.h"

#include <cstring>

#include "storage/base/coding.h"
#include "storage/base/crc32c.h"
#include "storage/base/status.h"

namespace cookix::storage {
namespace {

constexpr char kTokenVersion = 1;

}  // namespace

std::string StoreIdToHex(const StoreId& id) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * id.size());
  for (const uint8_t byte : id) {
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 15]);
  }
  return hex;
}

std::string EncodePosition(const Position& position) {
  std::string token;
  token.push_back(kTokenVersion);
  token.append(reinterpret_cast<const char*>(position.store.data()), position.store.size());
  PutVarint64(&token, position.epoch);
  PutVarint64(&token, position.commit);
  PutFixed32(&token, MaskCrc32c(Crc32c(token)));
  return token;
}

absl::StatusOr<Position> DecodePosition(std::string_view token) {
  const auto refuse = [] {
    return InvalidField("position", "the position token is not one that a store has issued",
                        "Pass a token unchanged, as an earlier answer returned it.");
  };
  Position position;
  if (token.size() < 1 + position.store.size() + 2 + 4 || token[0] != kTokenVersion) {
    return refuse();
  }
  std::string_view covered = token.substr(0, token.size() - 4);
  std::string_view checksum = token.substr(token.size() - 4);
  uint32_t stored = 0;
  if (!GetFixed32(&checksum, &stored) || UnmaskCrc32c(stored) != Crc32c(covered)) return refuse();
  covered.remove_prefix(1);
  std::memcpy(position.store.data(), covered.data(), position.store.size());
  covered.remove_prefix(position.store.size());
  if (!GetVarint64(&covered, &position.epoch) || !GetVarint64(&covered, &position.commit) ||
      !covered.empty()) {
    return refuse();
  }
  // Only the shortest encoding of a number is ours.
  if (EncodePosition(position) != token) return refuse();
  return position;
}

}  // namespace cookix::storage
