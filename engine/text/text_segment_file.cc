// Segments in files, and whether what is read can be one.
#include <algorithm>
#include <utility>

#include "engine/text/posting_tail.h"
#include "engine/text/saved_array.h"
#include "engine/text/text_segment.h"
#include "engine/text/text_segment_format.h"
#include "engine/text/text_varint.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr size_t kLongestTerm = 0xFFFF;

const uint8_t* Begin(std::string_view bytes) {
  return reinterpret_cast<const uint8_t*>(bytes.data());
}
const uint8_t* End(std::string_view bytes) { return Begin(bytes) + bytes.size(); }

// The bytes of the block at `at`; 0 when they are not all before `end`.
size_t FullBlockBytes(const uint8_t* at, const uint8_t* end) {
  const auto left = static_cast<size_t>(end - at);
  if (left < 2 || at[0] > 32 || at[1] > 32) return 0;
  const size_t bytes = 2 + PackedBytes(at[0]) + PackedBytes(at[1]);
  return bytes <= left ? bytes : 0;
}

bool IsBound(const Impacts& impacts, uint32_t tf, uint32_t length) {
  tf = std::min<uint32_t>(tf, 0xFFFF);
  length = std::min<uint32_t>(length, 0xFFFF);
  return std::any_of(impacts.pairs.begin(), impacts.pairs.end(), [&](const Impacts::Pair& pair) {
    return pair.tf >= tf && pair.length <= length;
  });
}

}  // namespace

absl::Status TextSegment::Save(storage::CheckedFileWriter& writer) const {
  COOKIX_RETURN_IF_ERROR(ordinals_.Save(writer));
  for (const SegmentField& field : fields_) COOKIX_RETURN_IF_ERROR(field.Save(writer));
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const TextSegment>> TextSegment::Load(
    const std::vector<bool>& with_positions, storage::CheckedFileReader& reader) {
  auto segment = std::make_shared<TextSegment>();
  COOKIX_RETURN_IF_ERROR(segment->ordinals_.Load(kMaxDocuments, reader));
  if (segment->documents() == 0) return MalformedTextIndex("a segment without documents");
  segment->fields_.resize(with_positions.size());
  for (size_t i = 0; i < with_positions.size(); ++i) {
    SegmentField& field = segment->fields_[i];
    field.has_positions_ = with_positions[i];
    COOKIX_RETURN_IF_ERROR(field.Load(segment->documents(), reader));
    COOKIX_RETURN_IF_ERROR(field.Validate(segment->documents()));
  }
  segment->CountMemory();
  return segment;
}

absl::Status SegmentField::Save(storage::CheckedFileWriter& writer) const {
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed(terms_));
  if (terms_ == 0) return absl::OkStatus();
  COOKIX_RETURN_IF_ERROR(SaveArray(lengths_.all_shorts(), writer));
  COOKIX_RETURN_IF_ERROR(SaveArray(lengths_.all_longs(), writer));
  COOKIX_RETURN_IF_ERROR(SaveArray(heads_, writer));
  COOKIX_RETURN_IF_ERROR(SaveArray(dictionary_blocks_, writer));
  COOKIX_RETURN_IF_ERROR(SaveArray(dictionary_, writer));
  COOKIX_RETURN_IF_ERROR(SaveArray(postings_, writer));
  COOKIX_RETURN_IF_ERROR(SaveArray(positions_, writer));
  COOKIX_RETURN_IF_ERROR(SaveArray(last_docs_, writer));
  COOKIX_RETURN_IF_ERROR(SaveArray(offsets_, writer));
  COOKIX_RETURN_IF_ERROR(SaveArray(position_offsets_, writer));
  return SaveArray(impacts_, writer);
}

absl::Status SegmentField::Load(uint32_t documents, storage::CheckedFileReader& reader) {
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&terms_));
  if (terms_ == 0) return absl::OkStatus();
  std::vector<uint16_t> shorts;
  std::vector<uint32_t> longs;
  COOKIX_RETURN_IF_ERROR(LoadArray(&shorts, reader));
  COOKIX_RETURN_IF_ERROR(LoadArray(&longs, reader));
  if (shorts.empty() ? longs.size() != documents
                     : shorts.size() != documents + 1 || !longs.empty()) {
    return MalformedTextIndex("the number of its lengths");
  }
  lengths_ = DocLengths(std::move(shorts), std::move(longs));
  for (DocId doc = 0; doc < documents; ++doc) {
    totals_.documents += lengths_[doc] > 0;
    totals_.words += lengths_[doc];
  }
  COOKIX_RETURN_IF_ERROR(LoadArray(&heads_, reader));
  COOKIX_RETURN_IF_ERROR(LoadArray(&dictionary_blocks_, reader));
  COOKIX_RETURN_IF_ERROR(LoadArray(&dictionary_, reader));
  COOKIX_RETURN_IF_ERROR(LoadArray(&postings_, reader));
  COOKIX_RETURN_IF_ERROR(LoadArray(&positions_, reader));
  COOKIX_RETURN_IF_ERROR(LoadArray(&last_docs_, reader));
  COOKIX_RETURN_IF_ERROR(LoadArray(&offsets_, reader));
  COOKIX_RETURN_IF_ERROR(LoadArray(&position_offsets_, reader));
  return LoadArray(&impacts_, reader);
}

// After this, nothing that searches and merges do can leave the field's memory.
absl::Status SegmentField::Validate(uint32_t documents) const {
  if (terms_ == 0) return absl::OkStatus();
  const size_t blocks = (uint64_t{terms_} + kDictionaryBlock - 1) / kDictionaryBlock;
  if (heads_.size() != blocks || dictionary_blocks_.size() != blocks ||
      offsets_.size() != last_docs_.size() || impacts_.size() != last_docs_.size() ||
      position_offsets_.size() != (has_positions_ ? last_docs_.size() : 0)) {
    return MalformedTextIndex("the number of its blocks");
  }
  COOKIX_RETURN_IF_ERROR(ValidateDictionary(documents));
  std::vector<uint64_t> words(documents);
  Cursor cursor(*this);
  while (cursor.Next()) {
    COOKIX_RETURN_IF_ERROR(ValidatePostings(cursor.postings(), documents, &words));
  }
  for (DocId doc = 0; doc < documents; ++doc) {
    if (words[doc] != lengths_[doc]) return MalformedTextIndex("the length of a document");
  }
  return absl::OkStatus();
}

absl::Status SegmentField::ValidateDictionary(uint32_t documents) const {
  const uint8_t* at = Begin(dictionary_);
  const uint8_t* const end = End(dictionary_);
  uint64_t postings = 0, positions = 0, block = 0;
  std::string last, text;
  for (uint32_t term = 0; term < terms_; ++term) {
    if (term % kDictionaryBlock == 0) {
      const DictionaryBlock& begin = dictionary_blocks_[term / kDictionaryBlock];
      if (begin.text != static_cast<uint64_t>(at - Begin(dictionary_)) ||
          begin.postings != postings || begin.positions != positions || begin.block != block) {
        return MalformedTextIndex("where a block of its dictionary begins");
      }
    }
    uint32_t shared = 0, bytes = 0, df = 0, postings_bytes = 0, positions_bytes = 0;
    const bool read = (at = CheckVarint(at, end, &shared)) != nullptr &&
                      (at = CheckVarint(at, end, &bytes)) != nullptr;
    const size_t most_shared = term % kDictionaryBlock == 0 ? 0 : text.size();
    if (!read || shared > most_shared || bytes > static_cast<size_t>(end - at) ||
        shared + uint64_t{bytes} > kLongestTerm) {
      return MalformedTextIndex("a term");
    }
    last = text;
    text.resize(shared);
    text.append(reinterpret_cast<const char*>(at), bytes);
    if (term > 0 && text <= last) return MalformedTextIndex("its terms are not in order");
    if (term % kDictionaryBlock == 0 && heads_[term / kDictionaryBlock] != Head(text)) {
      return MalformedTextIndex("the beginning of a term");
    }
    if ((at = CheckVarint(at + bytes, end, &df)) == nullptr ||
        (at = CheckVarint(at, end, &postings_bytes)) == nullptr ||
        (has_positions_ && (at = CheckVarint(at, end, &positions_bytes)) == nullptr) || df == 0 ||
        df > documents) {
      return MalformedTextIndex("what it says of a term");
    }
    postings += postings_bytes;
    positions += positions_bytes;
    if (df >= kPostingBlock) block += (df + kPostingBlock - 1) / kPostingBlock;
    if (postings > postings_.size() || positions > positions_.size() || block > last_docs_.size()) {
      return MalformedTextIndex("the bytes of a term");
    }
  }
  if (at != end || postings != postings_.size() || positions != positions_.size() ||
      block != last_docs_.size()) {
    return MalformedTextIndex("bytes that belong to no term");
  }
  return absl::OkStatus();
}

absl::Status SegmentField::ValidatePostings(const PackedPostings& postings, uint32_t documents,
                                            std::vector<uint64_t>* words) const {
  const uint8_t* at = Begin(postings.postings);
  const uint8_t* const end = End(postings.postings);
  const uint8_t* position = Begin(postings.positions);
  const uint8_t* const positions_end = End(postings.positions);
  uint32_t docs[kPostingBlock], tfs[kPostingBlock];
  for (size_t block = 0; block < postings.blocks(); ++block) {
    const size_t size = postings.BlockSize(block);
    const size_t bytes =
        size == kPostingBlock ? FullBlockBytes(at, end) : PostingTailBytes(at, end, size);
    if (bytes == 0) return MalformedTextIndex("a block of postings");
    if (postings.offsets != nullptr &&
        postings.offsets[block] != static_cast<uint64_t>(at - Begin(postings.postings))) {
      return MalformedTextIndex("where a block of postings begins");
    }
    if (postings.position_offsets != nullptr &&
        postings.position_offsets[block] !=
            static_cast<uint64_t>(position - Begin(postings.positions))) {
      return MalformedTextIndex("where the positions of a block begin");
    }
    const DocId first = postings.BlockBegin(block);
    postings.ReadBlock(block, docs, tfs);
    at += bytes;
    for (size_t i = 0; i < size; ++i) {
      const bool ascends = docs[i] >= first && (i == 0 || docs[i] > docs[i - 1]);
      if (!ascends || docs[i] >= documents || tfs[i] == 0) return MalformedTextIndex("a posting");
      (*words)[docs[i]] += tfs[i];
      if (postings.impacts != nullptr &&
          !IsBound(postings.impacts[block], tfs[i], lengths_[docs[i]])) {
        return MalformedTextIndex("the bounds of a block");
      }
      if (!has_positions_) continue;
      for (uint32_t p = 0; p < tfs[i]; ++p) {
        uint32_t distance = 0;
        position = CheckVarint(position, positions_end, &distance);
        if (position == nullptr) return MalformedTextIndex("a position");
      }
    }
    if (postings.last_docs != nullptr && postings.last_docs[block] != docs[size - 1]) {
      return MalformedTextIndex("the last document of a block");
    }
  }
  if (at != end || position != positions_end)
    return MalformedTextIndex("bytes that no posting has");
  return absl::OkStatus();
}

}  // namespace cookix::engine
