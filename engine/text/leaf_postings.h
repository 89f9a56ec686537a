// The postings of one leaf in one segment or buffer, by blocks, from any place.
#ifndef COOKIX_ENGINE_TEXT_LEAF_POSTINGS_H_
#define COOKIX_ENGINE_TEXT_LEAF_POSTINGS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/text/posting_blocks.h"
#include "engine/text/text_buffer.h"
#include "engine/text/text_kernels.h"
#include "engine/text/text_segment.h"

namespace cookix::engine {

// For one thread. Borrows what it reads.
class LeafPostings {
 public:
  // No postings.
  LeafPostings() = default;
  LeafPostings(LeafPostings&&) = default;
  LeafPostings& operator=(LeafPostings&&) = default;

  static LeafPostings OfSegment(const PackedPostings& postings);
  // The documents before `end`.
  static LeafPostings OfBuffer(const TextBuffer::Term& term, DocId end);
  // Ascending, as many of each. Without positions.
  static LeafPostings OfArrays(std::vector<uint32_t> docs, std::vector<uint32_t> tfs);

  size_t size() const { return size_; }
  size_t blocks() const { return (size_ + kPostingBlock - 1) / kPostingBlock; }
  DocId BlockBegin(size_t block) const {
    return plain_ ? docs_[block * kPostingBlock] : packed_.BlockBegin(block);
  }
  DocId BlockLast(size_t block) const {
    return plain_ ? docs_[std::min(size_, (block + 1) * kPostingBlock) - 1]
                  : packed_.last_docs[block];
  }
  // The first block that ends at `doc` or behind; blocks() when there is none.
  size_t FindBlock(DocId doc);

  // Of the block loaded last.
  struct Block {
    size_t size = 0;
    // Padded as kernels want it, with kNoDoc.
    uint32_t* docs = nullptr;

    // Where `doc` is, if it is there; else where a neighbour of it is. Without branches: half
    // of the rest is passed over, or not.
    size_t Find(DocId doc) const {
      const uint32_t* begin = docs;
      for (size_t left = size; left > 1;) {
        const size_t half = left / 2;
        begin += begin[half - 1] < doc ? half : 0;
        left -= half;
      }
      return static_cast<size_t>(begin - docs);
    }
    // How many documents are below `doc`.
    size_t Below(DocId doc) const {
      const size_t at = Find(doc);
      return at + (docs[at] < doc);
    }
  };
  const Block& Load(size_t block);
  // Of the block loaded last: how often each of its documents has the leaf.
  const uint32_t* LoadTfs();
  // The same of one document by its place.
  uint32_t LoadTf(size_t at) const {
    return tfs_of_block_ != nullptr ? tfs_of_block_[at] : packed_.ReadTf(loaded_, at);
  }

  // 0: the document is not there. Cheapest when documents ascend.
  uint32_t Tf(DocId doc);
  // Of the document of which Tf() was just asked.
  void ReadFoundPositions(std::vector<uint32_t>* positions);

  // Finds out what can be scored at most. Call once, before what follows.
  void SetBounds(const FloatLeaf& leaf);
  float block_bound(size_t block) const { return bounds_[block]; }
  // Of all blocks.
  float bound() const { return bound_; }
  // Of the documents from `begin` to before `end`, or of all where these are in many blocks;
  // 0: there is none.
  float RangeBound(DocId begin, DocId end);
  int64_t blocks_read() const { return blocks_read_; }

 private:
  struct Unpacked {
    uint32_t docs[kPostingBlock + kKernelPadding];
    uint32_t tfs[kPostingBlock + kKernelPadding];
  };

  void Pad();

  size_t size_ = 0;
  bool plain_ = true;
  PackedPostings packed_;
  // When plain: all postings.
  std::vector<uint32_t> docs_;
  std::vector<uint32_t> tfs_;
  // Of a buffer: the postings.
  std::vector<const TextBuffer::Posting*> buffer_postings_;

  std::vector<float> bounds_;  // by block
  float bound_ = 0;

  std::unique_ptr<Unpacked> unpacked_;
  Block block_;
  const uint32_t* tfs_of_block_ = nullptr;  // null: not unpacked yet
  size_t loaded_ = ~size_t{0};
  size_t found_ = 0;  // in the block
  size_t hint_ = 0;
  int64_t blocks_read_ = 0;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_LEAF_POSTINGS_H_
