// What the value of a cell in the local store is made of.
//
// A value is a sequence of sections, oldest first, so that a cell grows by appending:
//
//   u8  kind: 1 entries, 2 removals; 3 bytes of zero
//   u32 count
//   u32 masked CRC-32C of all other bytes of the section; u32 zero
//   entries:   count x u64 ordinal, count x (f32 scale, f32 norm), count x code,
//              count x residue, zeros up to a multiple of 8 bytes
//   removals:  count x u64 ordinal
//
// all little-endian. A removal ends the entries of its ordinal that stand before it. No
// ordinal has two entries that live.
#ifndef COOKIX_ENGINE_VECTOR_CELL_ENTRIES_H_
#define COOKIX_ENGINE_VECTOR_CELL_ENTRIES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "engine/vector/vector_codec.h"

namespace cookix::engine {

// One vector of a cell. Borrows its bytes.
struct CellEntry {
  uint64_t ordinal = 0;
  CodeParams params;
  const uint8_t* code = nullptr;
  const uint8_t* residue = nullptr;
};

// Entries that are put together, with bytes of their own.
class CellEntryList {
 public:
  explicit CellEntryList(const VectorCodec& codec) : codec_(&codec) {}

  size_t size() const { return ordinals_.size(); }
  void Add(const CellEntry& entry);
  // As a section; nothing when it is empty.
  void AppendTo(std::string* value) const;

 private:
  const VectorCodec* codec_;
  std::vector<uint64_t> ordinals_;
  std::vector<CodeParams> params_;
  std::string codes_;
  std::string residues_;
};

void AppendRemovals(std::span<const uint64_t> ordinals, std::string* value);

// Bytes of an entry in a cell.
size_t CellEntryBytes(const VectorCodec& codec);

// The live entries of a cell. Reusable; not thread-safe.
class CellContents {
 public:
  // `value` must stay while this is used. kDataLoss CORRUPTION.
  absl::Status Parse(const VectorCodec& codec, std::string_view value);

  size_t size() const { return ordinals.size(); }
  CellEntry entry(size_t i) const { return {ordinals[i], params[i], codes[i], residues[i]}; }

  std::vector<uint64_t> ordinals;
  std::vector<CodeParams> params;
  // Where each of `params` is, as VectorCodec::Distances() wants it.
  std::vector<const CodeParams*> params_at;
  std::vector<const uint8_t*> codes;
  // Null where the codec has none.
  std::vector<const uint8_t*> residues;

 private:
  // Floats have to be aligned.
  std::string aligned_;
  std::vector<std::pair<uint64_t, const char*>> removed_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_CELL_ENTRIES_H_
