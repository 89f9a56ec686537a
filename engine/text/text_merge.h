// Makes segments of buffers and of other segments.
#ifndef COOKIX_ENGINE_TEXT_TEXT_MERGE_H_
#define COOKIX_ENGINE_TEXT_TEXT_MERGE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/text/text_buffer.h"
#include "engine/text/text_segment.h"

namespace cookix::engine {

// A bit for each document. Null: none.
using DocBits = std::vector<uint64_t>;

inline bool TestBit(const DocBits* bits, DocId doc) {
  return bits != nullptr && doc / 64 < bits->size() && ((*bits)[doc / 64] >> (doc % 64) & 1) != 0;
}

// Of a buffer, of which nothing beyond `end` is looked at. REQUIRES: `newest` is its newest
// term at a time when it had `end` documents or more; no live ordinal is there twice.
std::shared_ptr<const TextSegment> SegmentOfBuffer(const TextBuffer& buffer, DocId end,
                                                   const TextBuffer::Term* newest,
                                                   const DocBits* dead,
                                                   const std::vector<bool>& with_positions);

struct MergeSource {
  const TextSegment* segment = nullptr;
  const DocBits* dead = nullptr;
};

// What is not dead of several segments. REQUIRES: no live ordinal is in two of them.
std::shared_ptr<const TextSegment> MergeSegments(std::span<const MergeSource> sources,
                                                 const std::vector<bool>& with_positions);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_MERGE_H_
