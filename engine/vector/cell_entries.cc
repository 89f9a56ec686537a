#include "engine/vector/cell_entries.h"

#include <algorithm>
#include <cstring>

#include "storage/base/coding.h"
#include "storage/base/crc32c.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr char kEntries = 1;
constexpr char kRemovals = 2;
constexpr size_t kHeader = 16;
constexpr size_t kAtChecksum = 8;

void AppendHeader(char kind, size_t count, std::string* value) {
  value->push_back(kind);
  value->append(3, '\0');
  PutFixed32(value, static_cast<uint32_t>(count));
  PutFixed64(value, 0);
}

uint32_t Checksum(std::string_view section) {
  return MaskCrc32c(
      ExtendCrc32c(Crc32c(section.substr(0, kAtChecksum)), section.substr(kAtChecksum + 4)));
}

// Writes the checksum of the section that is the end of `value`.
void Seal(size_t begin, std::string* value) {
  const uint32_t checksum = Checksum(std::string_view(*value).substr(begin));
  std::memcpy(value->data() + begin + kAtChecksum, &checksum, sizeof(checksum));
}

size_t RoundedUp(size_t bytes) { return (bytes + 7) / 8 * 8; }

absl::Status Damaged() {
  return Corruption("a cell of a vector index is damaged",
                    "Nothing has to be done: the index is built anew.");
}

}  // namespace

void CellEntryList::Add(const CellEntry& entry) {
  ordinals_.push_back(entry.ordinal);
  params_.push_back(entry.params);
  codes_.append(reinterpret_cast<const char*>(entry.code), codec_->code_bytes());
  if (codec_->residue_bytes() > 0) {
    residues_.append(reinterpret_cast<const char*>(entry.residue), codec_->residue_bytes());
  }
}

void CellEntryList::AppendTo(std::string* value) const {
  if (ordinals_.empty()) return;
  const size_t before = value->size();
  value->reserve(before + kHeader + size() * CellEntryBytes(*codec_) + 8);
  AppendHeader(kEntries, size(), value);
  value->append(reinterpret_cast<const char*>(ordinals_.data()), size() * sizeof(uint64_t));
  value->append(reinterpret_cast<const char*>(params_.data()), size() * sizeof(CodeParams));
  value->append(codes_);
  value->append(residues_);
  value->append(RoundedUp(value->size() - before) - (value->size() - before), '\0');
  Seal(before, value);
}

void AppendRemovals(std::span<const uint64_t> ordinals, std::string* value) {
  if (ordinals.empty()) return;
  const size_t before = value->size();
  AppendHeader(kRemovals, ordinals.size(), value);
  value->append(reinterpret_cast<const char*>(ordinals.data()), ordinals.size() * sizeof(uint64_t));
  Seal(before, value);
}

size_t CellEntryBytes(const VectorCodec& codec) {
  return sizeof(uint64_t) + sizeof(CodeParams) + codec.code_bytes() + codec.residue_bytes();
}

absl::Status CellContents::Parse(const VectorCodec& codec, std::string_view value) {
  ordinals.clear();
  params.clear();
  codes.clear();
  residues.clear();
  removed_.clear();
  if (codec.quantization() == Quantization::kNone &&
      reinterpret_cast<uintptr_t>(value.data()) % alignof(float) != 0) {
    aligned_.assign(value);
    value = aligned_;
  }
  // First what is removed, and where.
  bool has_entries_before = false;
  for (std::string_view left = value; !left.empty();) {
    if (left.size() < kHeader) return Damaged();
    const char kind = left[0];
    uint32_t count;
    std::memcpy(&count, left.data() + 4, sizeof(count));
    size_t bytes;
    if (kind == kEntries) {
      bytes = RoundedUp(kHeader + size_t{count} * CellEntryBytes(codec));
    } else if (kind == kRemovals) {
      bytes = kHeader + size_t{count} * sizeof(uint64_t);
    } else {
      return Damaged();
    }
    if (count == 0 || bytes > left.size()) return Damaged();
    uint32_t checksum;
    std::memcpy(&checksum, left.data() + kAtChecksum, sizeof(checksum));
    if (checksum != Checksum(left.substr(0, bytes))) return Damaged();
    if (kind == kEntries) {
      has_entries_before = true;
    } else if (has_entries_before) {
      for (size_t i = 0; i < count; ++i) {
        uint64_t ordinal;
        std::memcpy(&ordinal, left.data() + kHeader + i * sizeof(ordinal), sizeof(ordinal));
        removed_.emplace_back(ordinal, left.data());
      }
    }
    left.remove_prefix(bytes);
  }
  std::sort(removed_.begin(), removed_.end());
  for (std::string_view left = value; !left.empty();) {
    uint32_t count;
    std::memcpy(&count, left.data() + 4, sizeof(count));
    if (left[0] == kRemovals) {
      left.remove_prefix(kHeader + size_t{count} * sizeof(uint64_t));
      continue;
    }
    const char* const section = left.data();
    const char* const at_params = section + kHeader + size_t{count} * sizeof(uint64_t);
    const auto* const at_codes =
        reinterpret_cast<const uint8_t*>(at_params + size_t{count} * sizeof(CodeParams));
    const uint8_t* const at_residues = at_codes + size_t{count} * codec.code_bytes();
    for (size_t i = 0; i < count; ++i) {
      uint64_t ordinal;
      std::memcpy(&ordinal, section + kHeader + i * sizeof(ordinal), sizeof(ordinal));
      if (!removed_.empty()) {
        // The last removal of the ordinal, if any stands behind this section.
        const auto after = std::lower_bound(removed_.begin(), removed_.end(),
                                            std::pair<uint64_t, const char*>(ordinal, section));
        if (after != removed_.end() && after->first == ordinal) continue;
      }
      CodeParams p;
      std::memcpy(&p, at_params + i * sizeof(p), sizeof(p));
      ordinals.push_back(ordinal);
      params.push_back(p);
      codes.push_back(at_codes + i * codec.code_bytes());
      residues.push_back(codec.residue_bytes() > 0 ? at_residues + i * codec.residue_bytes()
                                                   : nullptr);
    }
    left.remove_prefix(RoundedUp(kHeader + size_t{count} * CellEntryBytes(codec)));
  }
  params_at.resize(params.size());
  for (size_t i = 0; i < params.size(); ++i) params_at[i] = &params[i];
  return absl::OkStatus();
}

}  // namespace cookix::engine
