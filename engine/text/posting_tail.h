// The postings of a term behind its last block of 128: at most 127 of them, and all that most
// terms have. Packed to the bit, one after the other.
//
//   one        a varint: distance * 2 + (tf > 1); and if so, another: tf - 2
//   several    a byte: bits of a distance (0 to 28), and above these five bits how many bits
//              tf - 1 takes: 0 to 6, or 7 where it is a varint; all distances, all tfs, each
//              from a byte on
#ifndef COOKIX_ENGINE_TEXT_POSTING_TAIL_H_
#define COOKIX_ENGINE_TEXT_POSTING_TAIL_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace cookix::engine {

// Distances count from `first`, and from there on from the document behind the one before.
// REQUIRES: docs ascend from `first` on, as many as tfs, of which none is 0; distances are
// below 2^28.
void AppendPostingTail(std::span<const uint32_t> docs, std::span<const uint32_t> tfs,
                       uint32_t first, std::string* out);

// Reads `count` postings, which were checked; tfs may be null.
void ReadPostingTail(const uint8_t* at, size_t count, uint32_t first, uint32_t* docs,
                     uint32_t* tfs);

// The bytes of `count` postings; 0 when these are not all before `end`.
size_t PostingTailBytes(const uint8_t* begin, const uint8_t* end, size_t count);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_POSTING_TAIL_H_
