#include "engine/text/leaf_postings.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace cookix::engine {
namespace {

// Of a range that reaches into more blocks than this, the bound is that of the list: it would
// hardly be lower.
constexpr size_t kBlocksLookedAt = 8;

}  // namespace

LeafPostings LeafPostings::OfSegment(const PackedPostings& postings) {
  LeafPostings leaf;
  leaf.size_ = postings.df;
  leaf.packed_ = postings;
  leaf.plain_ = postings.last_docs == nullptr;
  if (!leaf.plain_) {
    leaf.unpacked_ = std::make_unique_for_overwrite<Unpacked>();
    return leaf;
  }
  leaf.docs_.resize(kPostingBlock + kKernelPadding);
  leaf.tfs_.resize(kPostingBlock + kKernelPadding);
  postings.ReadBlock(0, leaf.docs_.data(), leaf.tfs_.data());
  return leaf;
}

LeafPostings LeafPostings::OfBuffer(const TextBuffer::Term& term, DocId end) {
  LeafPostings leaf;
  const size_t most = term.count.load(std::memory_order_relaxed);
  leaf.docs_.reserve(most + kKernelPadding);
  leaf.tfs_.reserve(most + kKernelPadding);
  leaf.buffer_postings_.reserve(most);
  term.ForEach(end, [&](const TextBuffer::Posting& posting) {
    leaf.docs_.push_back(posting.doc);
    leaf.tfs_.push_back(posting.tf);
    leaf.buffer_postings_.push_back(&posting);
  });
  leaf.size_ = leaf.docs_.size();
  leaf.docs_.resize(leaf.size_ + kKernelPadding);
  leaf.tfs_.resize(leaf.size_ + kKernelPadding);
  return leaf;
}

LeafPostings LeafPostings::OfArrays(std::vector<uint32_t> docs, std::vector<uint32_t> tfs) {
  LeafPostings leaf;
  leaf.size_ = docs.size();
  leaf.docs_ = std::move(docs);
  leaf.tfs_ = std::move(tfs);
  leaf.docs_.resize(leaf.size_ + kKernelPadding);
  leaf.tfs_.resize(leaf.size_ + kKernelPadding);
  return leaf;
}

size_t LeafPostings::FindBlock(DocId doc) {
  const size_t count = blocks();
  if (hint_ < count && BlockLast(hint_) >= doc && (hint_ == 0 || BlockLast(hint_ - 1) < doc)) {
    return hint_;
  }
  // From the hint on in growing steps, since documents mostly ascend.
  size_t begin = hint_ < count && BlockLast(hint_) < doc ? hint_ + 1 : 0;
  size_t end = count;
  for (size_t step = 1; begin + step < count; step *= 2) {
    if (BlockLast(begin + step) >= doc) {
      end = begin + step;
      break;
    }
    begin += step;
  }
  while (begin < end) {
    const size_t middle = (begin + end) / 2;
    if (BlockLast(middle) < doc) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return hint_ = begin;
}

const LeafPostings::Block& LeafPostings::Load(size_t block) {
  if (block == loaded_) return block_;
  loaded_ = block;
  ++blocks_read_;
  if (plain_) {
    block_.size = std::min(kPostingBlock, size_ - block * kPostingBlock);
    block_.docs = docs_.data() + block * kPostingBlock;
    tfs_of_block_ = tfs_.data() + block * kPostingBlock;
    Pad();
    return block_;
  }
  block_ = {packed_.BlockSize(block), unpacked_->docs};
  if (block_.size == kPostingBlock) {
    packed_.ReadBlock(block, unpacked_->docs, nullptr);
    tfs_of_block_ = nullptr;
  } else {
    packed_.ReadBlock(block, unpacked_->docs, unpacked_->tfs);
    tfs_of_block_ = unpacked_->tfs;
    Pad();
  }
  return block_;
}

// Up to the end of the last vector.
void LeafPostings::Pad() {
  for (size_t i = block_.size; i % kKernelPadding != 0; ++i) block_.docs[i] = kNoDoc;
}

const uint32_t* LeafPostings::LoadTfs() {
  if (tfs_of_block_ == nullptr) {
    packed_.ReadTfs(loaded_, unpacked_->tfs);
    tfs_of_block_ = unpacked_->tfs;
  }
  return tfs_of_block_;
}

uint32_t LeafPostings::Tf(DocId doc) {
  const size_t at = FindBlock(doc);
  if (at == blocks() || BlockBegin(at) > doc) return 0;
  const Block& block = Load(at);
  found_ = block.Find(doc);
  return block.docs[found_] == doc ? LoadTf(found_) : 0;
}

void LeafPostings::ReadFoundPositions(std::vector<uint32_t>* positions) {
  if (!buffer_postings_.empty()) {
    const auto found = buffer_postings_[loaded_ * kPostingBlock + found_]->Positions();
    positions->assign(found.begin(), found.end());
    return;
  }
  const uint8_t* at = packed_.BlockPositions(loaded_);
  const uint32_t* tfs = LoadTfs();
  const uint64_t before = std::accumulate(tfs, tfs + found_, uint64_t{0});
  ReadPositions(SkipPositions(at, before), tfs[found_], positions);
}

void LeafPostings::SetBounds(const FloatLeaf& leaf) {
  bounds_.resize(blocks());
  if (!plain_) {
    BoundBlocks(leaf, packed_.impacts, blocks(), bounds_.data());
  } else {
    float scores[kPostingBlock + kKernelPadding];
    for (size_t i = 0; i < blocks(); ++i) {
      const size_t begin = i * kPostingBlock;
      const size_t count = std::min(kPostingBlock, size_ - begin);
      ScorePostings(leaf, docs_.data() + begin, tfs_.data() + begin, count, scores);
      bounds_[i] = *std::max_element(scores, scores + count);
    }
  }
  bound_ = *std::max_element(bounds_.begin(), bounds_.end());
}

float LeafPostings::RangeBound(DocId begin, DocId end) {
  const size_t first = FindBlock(begin);
  const size_t last = std::min(blocks(), first + kBlocksLookedAt);
  float most = 0;
  for (size_t at = first; at < last; ++at) {
    if (BlockBegin(at) >= end) return most;
    most = std::max(most, bounds_[at]);
  }
  return last < blocks() && BlockBegin(last) < end ? bound_ : most;
}

}  // namespace cookix::engine
