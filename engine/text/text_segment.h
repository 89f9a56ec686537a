// Immutable documents and their inverted lists, packed.
//
// Documents are numbered from 0 in ascending order of ordinals (doc_ordinals.h). Each field
// has its own dictionary and lists:
//
//   dictionary  terms in order of their bytes, 16 to a block, each as what it does not share
//               with the one before: shared bytes, other bytes, df, bytes of its postings
//               and positions (varints). A block is found by the first 8 bytes of its first
//               term, and where that leaves a choice, by the term.
//   postings    128 to a block: bits of distances, bits of tf, both packed (posting_blocks.h).
//               What is left at the end is packed more tightly (posting_tail.h).
//   positions   of each document varints of distances, one document after the other
//   blocks      of terms with 128 documents or more, for each block: the last document,
//               where its postings and positions begin, and its Impacts
//
// About 1.5 bytes a posting in postings of natural text, and 28 bytes for each block.
#ifndef COOKIX_ENGINE_TEXT_TEXT_SEGMENT_H_
#define COOKIX_ENGINE_TEXT_TEXT_SEGMENT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/records.h"
#include "engine/text/doc_ordinals.h"
#include "engine/text/posting_blocks.h"
#include "engine/text/text_scoring.h"
#include "storage/checked_file.h"

namespace cookix::engine {

// A document of a segment or a buffer.
using DocId = uint32_t;
inline constexpr DocId kNoDoc = ~DocId{0};

// Of a block of postings: pairs of (tf, length) such that each document of the block has no
// higher tf and no smaller length than one of them. 65,535 stands for any higher tf; lengths
// above it are given as it.
struct Impacts {
  struct Pair {
    uint16_t tf;
    uint16_t length;
  };
  std::array<Pair, 4> pairs;
};

// Of each document how many terms a field has.
class DocLengths {
 public:
  DocLengths() = default;
  explicit DocLengths(std::span<const uint32_t> lengths);
  uint32_t operator[](DocId doc) const { return shorts_.empty() ? longs_[doc] : shorts_[doc]; }
  // One of the two is null; followed by two bytes that may be read.
  const uint16_t* shorts() const { return shorts_.empty() ? nullptr : shorts_.data(); }
  const uint32_t* longs() const { return shorts_.empty() ? longs_.data() : nullptr; }
  size_t MemoryBytes() const { return shorts_.capacity() * 2 + longs_.capacity() * 4; }

  // As saved: one of the two is empty.
  DocLengths(std::vector<uint16_t> shorts, std::vector<uint32_t> longs)
      : shorts_(std::move(shorts)), longs_(std::move(longs)) {}
  const std::vector<uint16_t>& all_shorts() const { return shorts_; }
  const std::vector<uint32_t>& all_longs() const { return longs_; }

 private:
  std::vector<uint16_t> shorts_;
  std::vector<uint32_t> longs_;
};

// The postings of one term, in the memory of its segment.
struct PackedPostings {
  uint32_t term = 0;  // number of the term in its field
  uint32_t df = 0;
  std::string_view postings;
  std::string_view positions;
  // By block; null when there are fewer than 128 documents.
  const uint32_t* last_docs = nullptr;
  const uint32_t* offsets = nullptr;
  const uint32_t* position_offsets = nullptr;
  const Impacts* impacts = nullptr;

  size_t blocks() const { return (df + kPostingBlock - 1) / kPostingBlock; }
  size_t BlockSize(size_t block) const {
    return block + 1 < blocks() ? kPostingBlock : df - block * kPostingBlock;
  }
  DocId BlockBegin(size_t block) const { return block == 0 ? 0 : last_docs[block - 1] + 1; }
  // Brings near what a search reads first.
  void Approach() const {
    __builtin_prefetch(postings.data());
    __builtin_prefetch(last_docs);
    __builtin_prefetch(offsets);
    __builtin_prefetch(impacts);
  }
  // The same of a block. REQUIRES: there are 128 documents or more.
  void ApproachBlock(size_t block) const {
    const char* at = postings.data() + offsets[block];
    __builtin_prefetch(at);
    __builtin_prefetch(at + 64);
    __builtin_prefetch(at + 128);
  }
  // Writes BlockSize() numbers, and room for kPostingBlock is needed. Tfs may be null.
  void ReadBlock(size_t block, uint32_t* docs, uint32_t* tfs) const;
  // Of a block of kPostingBlock documents, what ReadBlock() writes to tfs.
  void ReadTfs(size_t block, uint32_t* tfs) const;
  // The same of one document by its place.
  uint32_t ReadTf(size_t block, size_t at) const;
  // Positions of the documents of a block, from the first on.
  const uint8_t* BlockPositions(size_t block) const {
    const size_t at = position_offsets == nullptr ? 0 : position_offsets[block];
    return reinterpret_cast<const uint8_t*>(positions.data()) + at;
  }
};

// Passes over `count` positions.
const uint8_t* SkipPositions(const uint8_t* at, size_t count);
// Reads `count` positions of one document.
const uint8_t* ReadPositions(const uint8_t* at, size_t count, std::vector<uint32_t>* positions);
// What ReadPositions() reads.
void AppendPositions(std::span<const uint32_t> positions, std::string* out);

// A field of a segment.
class SegmentField {
 public:
  // Walks the terms in order.
  class Cursor {
   public:
    explicit Cursor(const SegmentField& field) : field_(&field) {}
    // Goes to the first term that is not below `text`; before the first Next().
    void Seek(std::string_view text);
    // False behind the last term.
    bool Next();
    const std::string& text() const { return text_; }
    const PackedPostings& postings() const { return postings_; }

   private:
    friend class SegmentField;
    void EnterBlock(size_t block);
    std::string_view ReadText(uint32_t* shared);
    void ReadPostings();
    const SegmentField* field_;
    size_t next_block_ = 0;
    // Terms left of the block, and where the next is.
    uint32_t left_ = 0;
    bool at_term_ = false;  // Seek() has read a term that Next() has not given yet
    const uint8_t* at_ = nullptr;
    uint64_t postings_at_ = 0;
    uint64_t positions_at_ = 0;
    uint32_t block_at_ = 0;
    uint32_t next_term_ = 0;
    std::string text_;
    PackedPostings postings_;
  };

  const TextFieldTotals& totals() const { return totals_; }
  const DocLengths& lengths() const { return lengths_; }
  bool has_positions() const { return has_positions_; }
  uint32_t terms() const { return terms_; }
  bool Find(std::string_view text, PackedPostings* postings) const;

  // Find() in three steps, so that whoever looks many terms up waits for memory once a step
  // and not once a term: each step has brought near what the next reads.
  size_t Locate(std::string_view text) const;
  void Approach(size_t located) const;
  bool FindLocated(size_t located, std::string_view text, PackedPostings* postings) const;
  size_t MemoryBytes() const;

 private:
  friend class TextSegment;
  friend class TextSegmentWriter;

  struct DictionaryBlock {
    uint64_t text = 0;
    uint64_t postings = 0;
    uint64_t positions = 0;
    uint32_t block = 0;
    uint32_t unused = 0;
  };

  static uint64_t Head(std::string_view text);
  // The last block whose first term is not above `text`; the first, if there is none.
  size_t BlockOf(std::string_view text) const;
  // The first term of a block.
  std::string_view FirstOf(size_t block) const;
  absl::Status Save(storage::CheckedFileWriter& writer) const;
  absl::Status Load(uint32_t documents, storage::CheckedFileReader& reader);
  absl::Status Validate(uint32_t documents) const;
  absl::Status ValidateDictionary(uint32_t documents) const;
  absl::Status ValidatePostings(const PackedPostings& postings, uint32_t documents,
                                std::vector<uint64_t>* words) const;

  bool has_positions_ = false;
  TextFieldTotals totals_;
  // Empty when no document has a term.
  DocLengths lengths_;
  uint32_t terms_ = 0;
  std::vector<uint64_t> heads_;
  std::vector<DictionaryBlock> dictionary_blocks_;
  std::string dictionary_;
  std::string postings_;
  std::string positions_;
  std::vector<uint32_t> last_docs_;
  std::vector<uint32_t> offsets_;
  std::vector<uint32_t> position_offsets_;
  std::vector<Impacts> impacts_;
};

// Immutable, thread-safe.
class TextSegment {
 public:
  // More are never put together in one segment.
  static constexpr uint64_t kMaxDocuments = uint64_t{1} << 28;
  static constexpr uint64_t kMaxWords = uint64_t{1} << 31;

  uint32_t documents() const { return ordinals_.size(); }
  Ordinal ordinal(DocId doc) const { return ordinals_[doc]; }
  const DocOrdinals& ordinals() const { return ordinals_; }
  // kNoDoc: there is none.
  DocId Find(Ordinal ordinal) const;
  size_t fields() const { return fields_.size(); }
  const SegmentField& field(size_t index) const { return fields_[index]; }
  size_t MemoryBytes() const { return memory_bytes_; }

  absl::Status Save(storage::CheckedFileWriter& writer) const;
  // Everything is looked at. kDataLoss when it makes no sense, or is not of such fields.
  static absl::StatusOr<std::shared_ptr<const TextSegment>> Load(
      const std::vector<bool>& with_positions, storage::CheckedFileReader& reader);

 private:
  friend class TextSegmentWriter;
  void CountMemory();

  DocOrdinals ordinals_;
  std::vector<SegmentField> fields_;
  size_t memory_bytes_ = 0;
};

// Postings of one term as they come, for TextSegmentWriter.
struct TermPostings {
  std::vector<uint32_t> docs;
  std::vector<uint32_t> tfs;
  // As PackedPostings::positions, and where each block begins.
  std::string positions;
  std::vector<uint32_t> position_offsets;

  void Clear();
  // Ascending. `positions` as AppendPositions() has them.
  void Add(DocId doc, uint32_t tf, std::string_view doc_positions);
};

// Makes one segment.
class TextSegmentWriter {
 public:
  // `ordinals` ascend; `lengths` has for each field the lengths of all documents, or is
  // empty where there are none.
  TextSegmentWriter(std::span<const Ordinal> ordinals, const std::vector<bool>& with_positions,
                    std::span<const std::vector<uint32_t>> lengths);
  // By field, and in it terms in ascending order. Nothing when there are no documents.
  void Add(size_t field, std::string_view text, const TermPostings& postings);
  std::shared_ptr<const TextSegment> Finish();

 private:
  void AddBlocks(SegmentField& field, const TermPostings& postings);
  Impacts ImpactsOf(const SegmentField& field, const TermPostings& postings, size_t begin,
                    size_t end) const;

  std::shared_ptr<TextSegment> segment_;
  size_t field_ = 0;
  std::string last_text_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_SEGMENT_H_
