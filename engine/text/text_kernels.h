// The inner loops of a search by words, in single precision, for the instruction set at
// hand.
#ifndef COOKIX_ENGINE_TEXT_TEXT_KERNELS_H_
#define COOKIX_ENGINE_TEXT_TEXT_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "engine/text/text_segment.h"

namespace cookix::engine {

// Arrays that kernels go through have room for so many elements more, which may be read and
// written.
inline constexpr size_t kKernelPadding = 64;

// What a leaf adds to the score of a document of one segment: weight * tf / (tf + base +
// slope * length).
struct FloatLeaf {
  float weight = 0;
  float base = 0;
  float slope = 0;
  // Lengths by document, of one kind (see DocLengths).
  const uint16_t* shorts = nullptr;
  const uint32_t* longs = nullptr;

  uint32_t Length(DocId doc) const { return shorts != nullptr ? shorts[doc] : longs[doc]; }
  float Score(uint32_t tf, uint32_t length) const {
    const float f = static_cast<float>(tf);
    return weight * f / (f + base + slope * static_cast<float>(length));
  }
};

// Scores of `count` postings. REQUIRES: count > 0; the elements of `docs` are documents; the
// padding is overwritten.
void ScorePostings(const FloatLeaf& leaf, uint32_t* docs, const uint32_t* tfs, size_t count,
                   float* scores);

// Copies what scores `cut` or more; returns how many. `docs` and `out_docs` may be the same,
// and so may `scores` and `out_scores`.
size_t SelectAbove(const uint32_t* docs, const float* scores, size_t count, float cut,
                   uint32_t* out_docs, float* out_scores);

// Leaves only what scores `cut` or more; returns how much that is.
size_t SelectAboveWith(size_t count, float cut, uint32_t* docs, uint32_t* places, float* scores);

// Looks up `count` documents in a block of `size`, at most 128, both ascending. Writes for
// each that is there which of `docs` it is, and its place in the block; returns how many.
// There is room for one more.
// REQUIRES: size > 0; the padding of the block is kNoDoc, or its last document.
size_t FindDocuments(const uint32_t* block, size_t size, const uint32_t* docs, size_t count,
                     uint8_t* which, uint8_t* places);

// Takes the sums of a window: those above 0 that are `cut` or more, with their documents,
// counted from `first`. All are zero afterwards. REQUIRES: count is a multiple of 64.
size_t HarvestSums(float* sums, size_t count, float cut, uint32_t first, uint32_t* docs,
                   float* scores);

// The most that a document of each block can score.
void BoundBlocks(const FloatLeaf& leaf, const Impacts* impacts, size_t blocks, float* bounds);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_KERNELS_H_
