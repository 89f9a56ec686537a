#include "engine/vector/sketches.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

namespace cookix::engine {

Sketches::Sketches(const SketchCodec& codec, std::shared_ptr<const SketchCentres> centres)
    : codec_(codec), centres_(std::move(centres)), begin_(centres_->count() + 1) {}

Sketches::Sketches(const Sketches& other)
    : codec_(other.codec_),
      centres_(other.centres_),
      blocks_(other.blocks_),
      listed_(other.listed_),
      begin_(other.begin_),
      places_(other.places_),
      live_room_(other.live_room_),
      live_(other.CopyOfLive(live_room_)) {}

std::unique_ptr<std::atomic<uint64_t>[]> Sketches::CopyOfLive(size_t room) const {
  auto copy = std::make_unique<std::atomic<uint64_t>[]>(room);
  for (size_t b = 0; b < blocks_.size(); ++b) copy[b].store(live_[b].load());
  return copy;
}

int64_t Sketches::Bytes() const {
  const size_t block = BlockBytes() + sizeof(Block) + sizeof(Listed) + sizeof(uint64_t);
  return static_cast<int64_t>(blocks_.size() * block + places_.size() * sizeof(uint32_t)) +
         centres_->Bytes();
}

Sketches::Block* Sketches::Own(size_t block) {
  std::shared_ptr<Block>& owned = blocks_[block];
  if (owned.use_count() == 1) return owned.get();
  auto copy = std::make_shared<Block>();
  copy->bytes = hwy::AllocateAligned<uint8_t>(BlockBytes());
  if (copy->bytes == nullptr) return nullptr;
  std::memcpy(copy->bytes.get(), owned->bytes.get(), BlockBytes());
  copy->centre = owned->centre;
  copy->used = owned->used;
  owned = std::move(copy);
  for (size_t i = begin_[owned->centre]; i < begin_[owned->centre + 1]; ++i) {
    if (listed_[i].block == block) listed_[i].bytes = owned->bytes.get();
  }
  return owned.get();
}

Sketches::Block* Sketches::Add(size_t centre) {
  auto block = std::make_shared<Block>();
  block->bytes = hwy::AllocateAligned<uint8_t>(BlockBytes());
  if (block->bytes == nullptr) return nullptr;
  codec_.Clear(block->bytes.get());
  std::fill_n(NumbersOf(block->bytes.get()), kSketchBlock, 0);
  block->centre = centre;
  const auto number = static_cast<uint32_t>(blocks_.size());
  if (number == live_room_) {
    const size_t room = std::max<size_t>(16, 2 * live_room_);
    live_ = CopyOfLive(room);
    live_room_ = room;
  }
  live_[number].store(0);
  listed_.insert(listed_.begin() + static_cast<ptrdiff_t>(begin_[centre + 1]),
                 {block->bytes.get(), number});
  for (size_t k = centre + 1; k < begin_.size(); ++k) ++begin_[k];
  blocks_.push_back(std::move(block));
  return blocks_.back().get();
}

size_t Sketches::RoomNear(size_t centre) {
  for (size_t i = begin_[centre]; i < begin_[centre + 1]; ++i) {
    if (blocks_[listed_[i].block]->used != ~uint64_t{0}) return listed_[i].block;
  }
  return Add(centre) == nullptr ? blocks_.size() : blocks_.size() - 1;
}

bool Sketches::Write(uint32_t number, const float* vector, WriteScratch* scratch) {
  if (number >= places_.size()) places_.resize(number + 1, kNowhere);
  if (const uint32_t before = places_[number]; before != kNowhere) {
    Block* const block = Own(before / kSketchBlock);
    if (block == nullptr) return false;
    const uint64_t bit = uint64_t{1} << (before % kSketchBlock);
    block->used &= ~bit;
    live_[before / kSketchBlock].fetch_and(~bit);
    places_[number] = kNowhere;
  }
  scratch->turned.resize(codec_.components());
  float* const turned = scratch->turned.data();
  float with_centre;
  codec_.Turn(vector, turned, &with_centre);
  const size_t b = RoomNear(centres_->Nearest(turned, &scratch->centres));
  Block* const block = b < blocks_.size() ? Own(b) : nullptr;
  if (block == nullptr) return false;
  const auto i = static_cast<size_t>(std::countr_one(block->used));
  const double squares =
      codec_.Write(turned, with_centre, centres_->at(block->centre), i, block->bytes.get());
  const double mean = centres_->mean_squares();
  // Where all were the same, whatever is not is far.
  if (squares > 2 * mean) {
    scratch->strain += mean > 0 ? std::min(kMostStrain, squares / mean - 2) : kMostStrain;
  }
  NumbersOf(block->bytes.get())[i] = number;
  block->used |= uint64_t{1} << i;
  live_[b].fetch_or(uint64_t{1} << i);
  places_[number] = static_cast<uint32_t>(b * kSketchBlock + i);
  return true;
}

void Sketches::Forget(uint32_t number) const {
  if (number >= places_.size() || places_[number] == kNowhere) return;
  const uint32_t place = places_[number];
  live_[place / kSketchBlock].fetch_and(~(uint64_t{1} << (place % kSketchBlock)));
}

size_t Sketches::ListBlocks(size_t centres, Scratch* scratch) const {
  const uint32_t* const near = scratch->centres.near.data();
  size_t count = 0;
  for (size_t c = 0; c < centres; ++c) count += begin_[near[c] + 1] - begin_[near[c]];
  const size_t times = (count + kBlocksAtOnce - 1) / kBlocksAtOnce;
  const size_t blocks = times * kBlocksAtOnce;
  if (scratch->blocks.size() < blocks) {
    scratch->blocks.resize(blocks);
    scratch->added.resize(blocks);
    scratch->masks.resize(blocks);
    scratch->distances.resize(blocks * kSketchBlock);
    scratch->least.resize(times * kSketchLanes);
    scratch->near.resize(blocks * kSketchBlock);
    scratch->at.resize(blocks * kSketchBlock);
    scratch->some.resize(blocks * kSketchBlock);
  }
  // Those of a centre are compared with those of others, so that what is near to the query is
  // in many groups.
  size_t at = 0, column = 0;
  const auto list = [&](const uint8_t* bytes, float added, uint64_t live) {
    scratch->blocks[at] = bytes;
    scratch->added[at] = added;
    scratch->masks[at] = live;
    at += kBlocksAtOnce;
    if (at >= blocks) at = ++column;
  };
  for (size_t c = 0; c < centres; ++c) {
    const float added = centres_->Added(near[c], scratch->centres);
    for (size_t i = begin_[near[c]]; i < begin_[near[c] + 1]; ++i) {
      list(listed_[i].bytes, added, live_[listed_[i].block].load(std::memory_order_relaxed));
    }
  }
  // Some again, in which nothing is looked for.
  for (size_t i = count; i < blocks; ++i) list(scratch->blocks[0], 0, 0);
  return blocks;
}

size_t Sketches::FindNear(const SketchQuery& query, size_t count, double part,
                          Scratch* scratch) const {
  const size_t centres = centres_->FindNear(query, part, &scratch->centres);
  scratch->passed_over = centres < centres_->count();
  const size_t blocks = ListBlocks(centres, scratch);
  if (blocks == 0) return part < 1 ? FindNear(query, count, 1, scratch) : 0;
  const NearKernels& near = BestNearKernels();
  float* const distances = scratch->distances.data();
  codec_.kernels().distances(query.sums, scratch->blocks.data(), scratch->added.data(), blocks,
                             scratch->masks.data(), distances, scratch->least.data());
  constexpr float kAll = std::numeric_limits<float>::max();
  // The nearest are mostly in groups of their own.
  const size_t groups = blocks / kBlocksAtOnce * kSketchLanes;
  const float bound = count < groups ? near.bound(scratch->least.data(), groups, count) : kAll;
  uint32_t* const at = scratch->at.data();
  size_t found = near.find_near(distances, blocks * kSketchBlock, bound, at);
  // There is nothing in many groups.
  if (found < count) found = near.find_near(distances, blocks * kSketchBlock, kAll, at);
  if (found > 2 * count) {
    float* const some = scratch->some.data();
    for (size_t i = 0; i < found; ++i) some[i] = distances[at[i]];
    const size_t end = FillLanes(some, found);
    found = near.keep_near(some, at, end, near.bound(some, end, count));
  }
  if (found > 2 * count) {
    // Many are as near.
    std::nth_element(at, at + count, at + found,
                     [&](uint32_t a, uint32_t b) { return distances[a] < distances[b]; });
    found = count;
  }
  // What was near these centres has died, or never was.
  if (found < count && scratch->passed_over && part < 1) return FindNear(query, count, 1, scratch);
  for (size_t i = 0; i < found; ++i) {
    scratch->near[i] = NumbersOf(scratch->blocks[at[i] / kSketchBlock])[at[i] % kSketchBlock];
  }
  return found;
}

}  // namespace cookix::engine
