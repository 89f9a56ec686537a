#include "storage/commit_writes.h"

#include <cstdint>

#include "storage/base/coding.h"
#include "storage/base/status.h"

namespace cookix::storage {
namespace {

// RocksDB's batch: sequence number (8 bytes), count (4), entries. An entry is a tag,
// the id of the family as a varint unless it is the first one's, and one or two
// length-prefixed strings.
constexpr size_t kBatchHeader = 12;

// Tags. Those named "other" are followed by the id of the family.
constexpr uint8_t kDelete = 0x0;
constexpr uint8_t kPut = 0x1;
constexpr uint8_t kLogData = 0x3;
constexpr uint8_t kOtherDelete = 0x4;
constexpr uint8_t kOtherPut = 0x5;
constexpr uint8_t kOtherDeleteRange = 0xe;
constexpr uint8_t kDeleteRange = 0xf;

absl::Status Malformed() {
  return Corruption("the writes of a commit cannot be decoded",
                    "Start again from a snapshot, and check the disk.");
}

}  // namespace

absl::Status ForEachWrite(
    std::string_view batch, Family family,
    absl::FunctionRef<void(std::string_view key, const std::string_view* value)> write,
    absl::FunctionRef<void(std::string_view begin, std::string_view end)> erase) {
  if (batch.size() < kBatchHeader) return Malformed();
  std::string_view in = batch.substr(kBatchHeader);
  std::string_view count_bytes = batch.substr(kBatchHeader - 4, 4);
  uint32_t count = 0;
  GetFixed32(&count_bytes, &count);
  uint64_t found = 0;
  while (!in.empty()) {
    const auto tag = static_cast<uint8_t>(in.front());
    in.remove_prefix(1);
    if (tag == kLogData) {
      std::string_view blob;
      if (!GetLengthPrefixed(&in, &blob)) return Malformed();
      continue;
    }
    uint64_t id = 0;
    if (tag == kOtherDelete || tag == kOtherPut || tag == kOtherDeleteRange) {
      if (!GetVarint64(&in, &id) || id >= kFamilyCount) return Malformed();
    }
    std::string_view first;
    std::string_view second;
    const bool wanted = id == static_cast<uint64_t>(family);
    switch (tag) {
      case kDelete:
      case kOtherDelete:
        if (!GetLengthPrefixed(&in, &first)) return Malformed();
        if (wanted) write(first, nullptr);
        break;
      case kPut:
      case kOtherPut:
        if (!GetLengthPrefixed(&in, &first) || !GetLengthPrefixed(&in, &second)) {
          return Malformed();
        }
        if (wanted) write(first, &second);
        break;
      case kDeleteRange:
      case kOtherDeleteRange:
        if (!GetLengthPrefixed(&in, &first) || !GetLengthPrefixed(&in, &second)) {
          return Malformed();
        }
        if (wanted) erase(first, second);
        break;
      default:
        // The store writes nothing else.
        return Malformed();
    }
    ++found;
  }
  return found == count ? absl::OkStatus() : Malformed();
}

absl::Status ForEachWrite(
    std::string_view batch, Family family,
    absl::FunctionRef<void(std::string_view key, const std::string_view* value)> write) {
  return ForEachWrite(batch, family, write, [](std::string_view, std::string_view) {});
}

}  // namespace cookix::storage
