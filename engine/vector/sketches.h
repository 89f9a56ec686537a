// The sketches of some vectors, by number.
#ifndef COOKIX_ENGINE_VECTOR_SKETCHES_H_
#define COOKIX_ENGINE_VECTOR_SKETCHES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/vector/sketch_codec.h"
#include "hwy/aligned_allocator.h"

namespace cookix::engine {

// Immutable but for Write() by who made them and shows them to nobody else yet. What is changed
// in a copy is copied, in chunks, and the rest shared.
class Sketches {
 public:
  // Numbers of a chunk.
  static constexpr size_t kChunk = 1024;

  // Borrows the codec.
  explicit Sketches(const SketchCodec& codec) : codec_(codec) {}

  const SketchCodec& codec() const { return codec_; }
  // The bound of numbers, rounded up.
  size_t end() const { return chunks_.size() * kChunk; }
  int64_t Bytes() const { return static_cast<int64_t>(chunks_.size() * ChunkBytes()); }

  // False without memory.
  [[nodiscard]] bool Write(size_t number, const float* vector);

  // Room for a search; kept for the next one.
  struct Scratch {
    std::vector<uint64_t> masks;
    std::vector<float> distances;
    std::vector<float> least;
    std::vector<uint32_t> near;
  };
  // Puts the `count` nearest by their sketches into scratch.near, and mostly some more, at most
  // as many again, in no order; returns how many. There are fewer where there are not as many.
  // scratch.masks has a bit set for each number below end() that may be among them.
  size_t FindNear(const SketchQuery& query, size_t count, Scratch* scratch) const;

 private:
  static constexpr size_t kBlocks = kChunk / kSketchBlock;
  struct Chunk {
    hwy::AlignedFreeUniquePtr<uint8_t[]> blocks;
  };
  size_t ChunkBytes() const { return kBlocks * codec_.block_bytes(); }
  // The chunk of a number, nobody else's. Null without memory.
  Chunk* Own(size_t chunk);

  const SketchCodec& codec_;
  std::vector<std::shared_ptr<Chunk>> chunks_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SKETCHES_H_
