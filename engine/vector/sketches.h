// The sketches of some vectors, by number.
#ifndef COOKIX_ENGINE_VECTOR_SKETCHES_H_
#define COOKIX_ENGINE_VECTOR_SKETCHES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/vector/sketch_centres.h"
#include "engine/vector/sketch_codec.h"
#include "hwy/aligned_allocator.h"

namespace cookix::engine {

// Near the same centre lie what the same blocks hold. Immutable but for Forget(), and Write() by
// who made them and shows them to nobody else yet. Of a copy only the blocks that are changed are
// its own.
class Sketches {
 public:
  // Borrows the codec.
  Sketches(const SketchCodec& codec, std::shared_ptr<const SketchCentres> centres);
  // What is forgotten meanwhile may be in the copy.
  Sketches(const Sketches& other);
  Sketches& operator=(const Sketches&) = delete;

  const SketchCodec& codec() const { return codec_; }
  int64_t Bytes() const;
  // Calls `each` with the number of each that was written and not forgotten.
  template <typename F>
  void ForEach(F&& each) const {
    for (uint32_t number = 0; number < places_.size(); ++number) {
      const uint32_t place = places_[number];
      if (place == kNowhere) continue;
      const uint64_t live = live_[place / kSketchBlock].load();
      if (((live >> (place % kSketchBlock)) & 1) != 0) each(number);
    }
  }

  // Room for writing, kept for the next one.
  struct WriteScratch {
    std::vector<float> turned;
    SketchCentres::Scratch centres;
    // Grows with what is farther from the centres than what they were learned from: for each
    // vector by how many times the mean its squared distance is, beyond twice, at most
    // kMostStrain.
    double strain = 0;
  };
  static constexpr double kMostStrain = 4;
  // False without memory.
  [[nodiscard]] bool Write(uint32_t number, const float* vector, WriteScratch* scratch);

  // Lets searches that come from now on not find it. Thread-safe, also while others search.
  void Forget(uint32_t number) const;

  // Room for a search, kept for the next one.
  struct Scratch {
    SketchCentres::Scratch centres;
    // Of blocks.
    std::vector<const uint8_t*> blocks;
    std::vector<float> added;
    std::vector<uint64_t> masks;
    // Of sketches.
    std::vector<float> distances;
    std::vector<float> least;
    std::vector<float> some;
    // Numbers of what was found, and where in `distances` it is.
    std::vector<uint32_t> near;
    std::vector<uint32_t> at;
    // Whether what lies near some centres was not looked at.
    bool passed_over = false;
  };
  // Puts the `count` nearest by their sketches into scratch.near, and mostly some more, at most
  // as many again, in no order; returns how many. There are fewer where there are not as many.
  // What lies near the nearest centres is looked at, in the mean `part` of all; and everything
  // where that are not as many.
  size_t FindNear(const SketchQuery& query, size_t count, double part, Scratch* scratch) const;

 private:
  // Sketches, as kernels compare them, and behind these their numbers.
  struct Block {
    hwy::AlignedFreeUniquePtr<uint8_t[]> bytes;
    size_t centre = 0;
    // Of its sketches, a bit each.
    uint64_t used = 0;
  };
  // What searches need of a block.
  struct Listed {
    const uint8_t* bytes = nullptr;
    uint32_t block = 0;
  };
  static constexpr uint32_t kNowhere = 0xffffffff;

  size_t BlockBytes() const { return codec_.block_bytes() + kSketchBlock * sizeof(uint32_t); }
  uint32_t* NumbersOf(uint8_t* bytes) const {
    return reinterpret_cast<uint32_t*>(bytes + codec_.block_bytes());
  }
  const uint32_t* NumbersOf(const uint8_t* bytes) const {
    return reinterpret_cast<const uint32_t*>(bytes + codec_.block_bytes());
  }
  // The block, nobody else's. Null without memory.
  Block* Own(size_t block);
  // Another block near a centre. Null without memory.
  Block* Add(size_t centre);
  // A block near a centre that has room; blocks_.size() without memory.
  size_t RoomNear(size_t centre);
  std::unique_ptr<std::atomic<uint64_t>[]> CopyOfLive(size_t room) const;
  // Puts the blocks near so many of scratch.centres into the scratch, as many as kernels compare
  // at once or a multiple; returns how many.
  size_t ListBlocks(size_t centres, Scratch* scratch) const;

  const SketchCodec& codec_;
  const std::shared_ptr<const SketchCentres> centres_;
  std::vector<std::shared_ptr<Block>> blocks_;
  // All blocks, by centre: those of the k-th are from begin_[k] to begin_[k + 1].
  std::vector<Listed> listed_;
  std::vector<size_t> begin_;
  // By number: kSketchBlock times the block, and where in it; kNowhere where there is none.
  std::vector<uint32_t> places_;
  // By block, a bit for each sketch that is to be found. With room for live_room_ blocks.
  size_t live_room_ = 0;
  std::unique_ptr<std::atomic<uint64_t>[]> live_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SKETCHES_H_
