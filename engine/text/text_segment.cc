#include "engine/text/text_segment.h"

#include <algorithm>
#include <cstring>

#include "engine/text/posting_tail.h"
#include "engine/text/text_segment_format.h"
#include "engine/text/text_varint.h"
#include "storage/base/coding.h"

namespace cookix::engine {
namespace {

constexpr size_t kCacheLine = 64;

const uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

}  // namespace

// ---- documents ----------------------------------------------------------------

DocLengths::DocLengths(std::span<const uint32_t> lengths) {
  const bool fit =
      std::all_of(lengths.begin(), lengths.end(), [](uint32_t length) { return length <= 0xFFFF; });
  if (fit) {
    shorts_.reserve(lengths.size() + 1);
    shorts_.assign(lengths.begin(), lengths.end());
    shorts_.push_back(0);
  } else {
    longs_.assign(lengths.begin(), lengths.end());
  }
}

DocId TextSegment::Find(Ordinal ordinal) const {
  const DocId found = ordinals_.LowerBound(0, ordinal);
  return found < documents() && ordinals_[found] == ordinal ? found : kNoDoc;
}

void TextSegment::CountMemory() {
  memory_bytes_ = sizeof(*this) + ordinals_.MemoryBytes();
  for (const SegmentField& field : fields_) memory_bytes_ += field.MemoryBytes();
}

size_t SegmentField::MemoryBytes() const {
  return sizeof(*this) + lengths_.MemoryBytes() + heads_.capacity() * sizeof(uint64_t) +
         dictionary_blocks_.capacity() * sizeof(DictionaryBlock) + dictionary_.capacity() +
         postings_.capacity() + positions_.capacity() +
         (last_docs_.capacity() + offsets_.capacity() + position_offsets_.capacity()) * 4 +
         impacts_.capacity() * sizeof(Impacts);
}

// ---- postings -----------------------------------------------------------------

void PackedPostings::ReadBlock(size_t block, uint32_t* docs, uint32_t* tfs) const {
  const size_t size = BlockSize(block);
  const uint8_t* at = Bytes(postings) + (offsets == nullptr ? 0 : offsets[block]);
  DocId next = BlockBegin(block);
  if (size == kPostingBlock) {
    const int doc_bits = at[0];
    const int tf_bits = at[1];
    UnpackAscending(at + 2, doc_bits, next, docs);
    if (tfs != nullptr) UnpackFromOne(at + 2 + PackedBytes(doc_bits), tf_bits, tfs);
    return;
  }
  ReadPostingTail(at, size, next, docs, tfs);
}

void PackedPostings::ReadTfs(size_t block, uint32_t* tfs) const {
  const uint8_t* begin = Bytes(postings) + offsets[block];
  UnpackFromOne(begin + 2 + PackedBytes(begin[0]), begin[1], tfs);
}

uint32_t PackedPostings::ReadTf(size_t block, size_t at) const {
  const uint8_t* begin = Bytes(postings) + offsets[block];
  return 1 + UnpackOne(begin + 2 + PackedBytes(begin[0]), begin[1], at);
}

const uint8_t* SkipPositions(const uint8_t* at, size_t count) {
  for (; count > 0; ++at) count -= *at < 0x80;
  return at;
}

const uint8_t* ReadPositions(const uint8_t* at, size_t count, std::vector<uint32_t>* positions) {
  positions->resize(count);
  uint32_t last = 0;
  for (uint32_t& position : *positions) {
    uint32_t distance;
    at = ReadVarint(at, &distance);
    position = last += distance;
  }
  return at;
}

void AppendPositions(std::span<const uint32_t> positions, std::string* out) {
  uint32_t last = 0;
  for (const uint32_t position : positions) {
    PutVarint64(out, position - last);
    last = position;
  }
}

// ---- dictionary ---------------------------------------------------------------

// The first 8 bytes as a number of the same order.
uint64_t SegmentField::Head(std::string_view text) {
  uint64_t head = 0;
  for (size_t i = 0; i < 8; ++i) {
    head = head << 8 | (i < text.size() ? static_cast<uint8_t>(text[i]) : 0);
  }
  return head;
}

std::string_view SegmentField::FirstOf(size_t block) const {
  uint32_t shared, bytes;
  const uint8_t* at = Bytes(dictionary_) + dictionary_blocks_[block].text;
  at = ReadVarint(at, &shared);
  at = ReadVarint(at, &bytes);
  return {reinterpret_cast<const char*>(at), bytes};
}

void SegmentField::Cursor::EnterBlock(size_t block) {
  const DictionaryBlock& begin = field_->dictionary_blocks_[block];
  next_block_ = block + 1;
  next_term_ = static_cast<uint32_t>(block * kDictionaryBlock);
  left_ = std::min<uint32_t>(kDictionaryBlock, field_->terms_ - next_term_);
  at_ = Bytes(field_->dictionary_) + begin.text;
  postings_at_ = begin.postings;
  positions_at_ = begin.positions;
  block_at_ = begin.block;
}

bool SegmentField::Cursor::Next() {
  if (at_term_) {
    at_term_ = false;
    return true;
  }
  if (left_ == 0) {
    if (next_block_ >= field_->dictionary_blocks_.size()) return false;
    EnterBlock(next_block_);
  }
  uint32_t shared;
  const std::string_view rest = ReadText(&shared);
  text_.resize(shared);
  text_.append(rest);
  ReadPostings();
  return true;
}

// What the text of a term does not share with the one before.
std::string_view SegmentField::Cursor::ReadText(uint32_t* shared) {
  uint32_t bytes;
  at_ = ReadVarint(at_, shared);
  at_ = ReadVarint(at_, &bytes);
  const std::string_view rest(reinterpret_cast<const char*>(at_), bytes);
  at_ += bytes;
  return rest;
}

void SegmentField::Cursor::ReadPostings() {
  uint32_t postings_bytes, positions_bytes = 0;
  at_ = ReadVarint(at_, &postings_.df);
  at_ = ReadVarint(at_, &postings_bytes);
  if (field_->has_positions_) at_ = ReadVarint(at_, &positions_bytes);
  postings_.term = next_term_++;
  postings_.postings = std::string_view(field_->postings_).substr(postings_at_, postings_bytes);
  postings_.positions = std::string_view(field_->positions_).substr(positions_at_, positions_bytes);
  postings_at_ += postings_bytes;
  positions_at_ += positions_bytes;
  const bool has_blocks = postings_.df >= kPostingBlock;
  postings_.last_docs = has_blocks ? &field_->last_docs_[block_at_] : nullptr;
  postings_.offsets = has_blocks ? &field_->offsets_[block_at_] : nullptr;
  postings_.impacts = has_blocks ? &field_->impacts_[block_at_] : nullptr;
  postings_.position_offsets =
      has_blocks && field_->has_positions_ ? &field_->position_offsets_[block_at_] : nullptr;
  if (has_blocks) block_at_ += static_cast<uint32_t>(postings_.blocks());
  --left_;
}

size_t SegmentField::BlockOf(std::string_view text) const {
  const uint64_t head = Head(text);
  // The first block with a higher head. Halves without branches, which could not be foretold.
  const uint64_t* at = heads_.data();
  for (size_t left = heads_.size(); left > 0;) {
    const size_t half = (left + 1) / 2;
    at += at[half - 1] <= head ? half : 0;
    left -= half;
  }
  auto end = static_cast<size_t>(at - heads_.data());
  if (end == 0) return 0;
  if (heads_[end - 1] != head) return end - 1;
  auto begin = static_cast<size_t>(
      std::lower_bound(heads_.begin(), heads_.begin() + static_cast<ptrdiff_t>(end), head) -
      heads_.begin());
  while (begin < end) {
    const size_t middle = (begin + end) / 2;
    if (FirstOf(middle) <= text) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin > 0 ? begin - 1 : 0;
}

void SegmentField::Cursor::Seek(std::string_view text) {
  left_ = 0;
  next_block_ = field_->BlockOf(text);
  at_term_ = false;
  while (Next()) {
    if (text_ < text) continue;
    at_term_ = true;
    return;
  }
}

bool SegmentField::Find(std::string_view text, PackedPostings* postings) const {
  return FindLocated(BlockOf(text), text, postings);
}

size_t SegmentField::Locate(std::string_view text) const {
  const size_t block = BlockOf(text);
  __builtin_prefetch(dictionary_blocks_.data() + block);
  return block;
}

void SegmentField::Approach(size_t located) const {
  if (terms_ == 0) return;
  const char* text = dictionary_.data() + dictionary_blocks_[located].text;
  __builtin_prefetch(text);
  __builtin_prefetch(text + kCacheLine);
}

bool SegmentField::FindLocated(size_t located, std::string_view text,
                               PackedPostings* postings) const {
  if (terms_ == 0) return false;
  Cursor cursor(*this);
  cursor.EnterBlock(located);
  // How many bytes the term read last shares with `text`; it is the lesser of the two.
  size_t same = 0;
  while (cursor.left_ > 0) {
    uint32_t shared;
    const std::string_view rest = cursor.ReadText(&shared);
    cursor.ReadPostings();
    if (shared > same) continue;
    if (shared < same) return false;
    const std::string_view wanted = text.substr(same);
    const size_t more = SharedBytes(rest, wanted);
    if (more == rest.size() && more == wanted.size()) {
      *postings = cursor.postings_;
      return true;
    }
    if (more == wanted.size()) return false;
    if (more < rest.size() && rest.substr(more) > wanted.substr(more)) return false;
    same += more;
  }
  return false;
}

}  // namespace cookix::engine
