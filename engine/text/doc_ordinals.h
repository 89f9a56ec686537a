// The ordinals of the documents of a segment: ascending numbers, packed, read at any place.
//
// Documents put one after the other have ordinals one after the other, or nearly so. Blocks
// of 128 keep their first ordinal, and of each document by how much it lies behind where it
// would be if there were no gaps, in as many bits as the largest of the block takes: an
// eighth of a byte a document without gaps, 1.5 bytes where every tenth ordinal is there.
#ifndef COOKIX_ENGINE_TEXT_DOC_ORDINALS_H_
#define COOKIX_ENGINE_TEXT_DOC_ORDINALS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/records.h"
#include "storage/checked_file.h"

namespace cookix::engine {

// Thread-safe to read.
class DocOrdinals {
 public:
  DocOrdinals() = default;
  // REQUIRES: they ascend, none twice; fewer than 2^28.
  explicit DocOrdinals(std::span<const Ordinal> ordinals);

  uint32_t size() const { return size_; }
  // REQUIRES: doc < size().
  Ordinal operator[](uint32_t doc) const {
    const Block& block = blocks_[doc / kBlock];
    const uint32_t i = doc % kBlock;
    if (block.bits == 0) return block.first + i;
    const uint32_t bit = i * block.bits;
    uint64_t word;
    std::memcpy(&word, packed_.data() + block.begin + bit / 8, sizeof(word));
    return block.first + i + (word >> (bit % 8) & (~uint64_t{0} >> (64 - block.bits)));
  }
  // The first document, from `from` on, whose ordinal is not below `ordinal`; size(): none.
  uint32_t LowerBound(uint32_t from, Ordinal ordinal) const;
  size_t MemoryBytes() const;

  absl::Status Save(storage::CheckedFileWriter& writer) const;
  // Everything is looked at. kDataLoss when they do not ascend, or are too many.
  absl::Status Load(uint64_t max_size, storage::CheckedFileReader& reader);

 private:
  static constexpr uint32_t kBlock = 128;
  // Eight bytes are read at once, from the byte on in which a number begins: wider ones
  // take eight whole bytes.
  static constexpr uint32_t kMostBits = 56;

  struct Block {
    Ordinal first = 0;
    uint32_t begin = 0;
    uint32_t bits = 0;
  };

  uint32_t size_ = 0;
  std::vector<Block> blocks_;
  // With room for eight bytes more than the numbers take.
  std::string packed_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_DOC_ORDINALS_H_
