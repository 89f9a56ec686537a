#include "engine/text/doc_ordinals.h"

#include <algorithm>
#include <bit>

#include "engine/text/saved_array.h"

namespace cookix::engine {

DocOrdinals::DocOrdinals(std::span<const Ordinal> ordinals)
    : size_(static_cast<uint32_t>(ordinals.size())) {
  blocks_.reserve((ordinals.size() + kBlock - 1) / kBlock);
  for (size_t begin = 0; begin < ordinals.size(); begin += kBlock) {
    const auto block = ordinals.subspan(begin, std::min<size_t>(kBlock, ordinals.size() - begin));
    // What is missing up to an ordinal never becomes less.
    const uint64_t most = block.back() - block.front() - (block.size() - 1);
    auto bits = static_cast<uint32_t>(std::bit_width(most));
    if (bits > kMostBits) bits = 64;
    const size_t at = packed_.size();
    blocks_.push_back({block.front(), static_cast<uint32_t>(at), bits});
    if (bits == 0) continue;
    packed_.resize(at + (block.size() * bits + 7) / 8 + sizeof(uint64_t));
    for (size_t i = 0; i < block.size(); ++i) {
      const size_t bit = i * bits;
      char* const to = packed_.data() + at + bit / 8;
      uint64_t word;
      std::memcpy(&word, to, sizeof(word));
      word |= (block[i] - block.front() - i) << (bit % 8);
      std::memcpy(to, &word, sizeof(word));
    }
    packed_.resize(packed_.size() - sizeof(uint64_t));
  }
  packed_.resize(packed_.size() + sizeof(uint64_t));
  packed_.shrink_to_fit();
}

uint32_t DocOrdinals::LowerBound(uint32_t from, Ordinal ordinal) const {
  const auto above =
      std::upper_bound(blocks_.begin() + from / kBlock, blocks_.end(), ordinal,
                       [](Ordinal wanted, const Block& block) { return wanted < block.first; });
  // In the block before, or else this one begins with it.
  auto end = static_cast<uint32_t>(above - blocks_.begin()) * kBlock;
  uint32_t begin = std::max(from, end < kBlock ? 0 : end - kBlock);
  end = std::min(end, size_);
  while (begin < end) {
    const uint32_t middle = begin + (end - begin) / 2;
    if ((*this)[middle] < ordinal) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

size_t DocOrdinals::MemoryBytes() const {
  return blocks_.capacity() * sizeof(Block) + packed_.capacity();
}

absl::Status DocOrdinals::Save(storage::CheckedFileWriter& writer) const {
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed(size_));
  COOKIX_RETURN_IF_ERROR(SaveArray(blocks_, writer));
  return SaveArray(packed_, writer);
}

absl::Status DocOrdinals::Load(uint64_t max_size, storage::CheckedFileReader& reader) {
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&size_));
  COOKIX_RETURN_IF_ERROR(LoadArray(&blocks_, reader));
  COOKIX_RETURN_IF_ERROR(LoadArray(&packed_, reader));
  if (size_ > max_size || blocks_.size() != (uint64_t{size_} + kBlock - 1) / kBlock) {
    return MalformedTextIndex("the number of its documents");
  }
  uint64_t next = 0;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    if (block.begin != next || (block.bits > kMostBits && block.bits != 64)) {
      return MalformedTextIndex("a block of its documents");
    }
    const uint64_t size = std::min<uint64_t>(kBlock, size_ - i * kBlock);
    next += (size * block.bits + 7) / 8;
  }
  if (packed_.size() != next + sizeof(uint64_t)) {
    return MalformedTextIndex("the bytes of its documents");
  }
  for (uint32_t doc = 0; doc < size_; ++doc) {
    if (doc > 0 && (*this)[doc] <= (*this)[doc - 1]) {
      return MalformedTextIndex("its documents are not in order");
    }
  }
  return absl::OkStatus();
}

}  // namespace cookix::engine
