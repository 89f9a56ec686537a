#include "engine/vector/sketches.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace cookix::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// How often a bound is looked for between two others.
constexpr int kHalvings = 16;

// So that at least `count` of the values are at most as much, and not many more; at most the
// greatest finite one.
float BoundOf(const SketchKernels& kernels, const float* values, size_t n, size_t count) {
  float low, high;
  kernels.range(values, n, &low, &high);
  for (int i = 0; i < kHalvings && low < high; ++i) {
    const float middle = low + (high - low) / 2;
    const size_t found = kernels.count_near(values, n, middle);
    (found >= count ? high : low) = middle;
    if (found >= count && found <= count + count / 8) break;
  }
  return high;
}

}  // namespace

Sketches::Chunk* Sketches::Own(size_t chunk) {
  std::shared_ptr<Chunk>& owned = chunks_[chunk];
  if (owned != nullptr && owned.use_count() == 1) return owned.get();
  auto copy = std::make_shared<Chunk>();
  copy->blocks = hwy::AllocateAligned<uint8_t>(ChunkBytes());
  if (copy->blocks == nullptr) return nullptr;
  if (owned != nullptr) {
    std::memcpy(copy->blocks.get(), owned->blocks.get(), ChunkBytes());
  } else {
    for (size_t b = 0; b < kBlocks; ++b)
      codec_.Clear(copy->blocks.get() + b * codec_.block_bytes());
  }
  owned = std::move(copy);
  return owned.get();
}

bool Sketches::Write(size_t number, const float* vector) {
  const size_t chunk = number / kChunk;
  if (chunk >= chunks_.size()) {
    const size_t before = chunks_.size();
    chunks_.resize(chunk + 1);
    for (size_t i = before; i < chunk; ++i) {
      if (Own(i) == nullptr) return false;
    }
  }
  Chunk* const owned = Own(chunk);
  if (owned == nullptr) return false;
  const size_t i = number % kChunk;
  codec_.Write(vector, i % kSketchBlock,
               owned->blocks.get() + i / kSketchBlock * codec_.block_bytes());
  return true;
}

size_t Sketches::FindNear(const SketchQuery& query, size_t count, Scratch* scratch) const {
  const size_t groups = end() / kSketchBlock * kSketchLanes;
  if (scratch->distances.size() < end()) {
    scratch->distances.resize(end());
    scratch->least.resize(groups);
    scratch->near.resize(end());
  }
  float* const distances = scratch->distances.data();
  constexpr size_t kGroups = kBlocks * kSketchLanes;
  for (size_t c = 0; c < chunks_.size(); ++c) {
    codec_.Distances(query, chunks_[c]->blocks.get(), kBlocks, &scratch->masks[c * kChunk / 64],
                     distances + c * kChunk, &scratch->least[c * kGroups]);
  }
  // The nearest are mostly in groups of their own.
  const SketchKernels& kernels = codec_.kernels();
  float bound = std::numeric_limits<float>::max();
  if (count < groups) {
    const float likely = BoundOf(kernels, scratch->least.data(), groups, count);
    if (kernels.count_near(scratch->least.data(), groups, likely) >= count) bound = likely;
  }
  uint32_t* const near = scratch->near.data();
  const size_t found = kernels.find_near(distances, end(), bound, near);
  if (found <= 2 * count) return found;
  std::nth_element(near, near + count, near + found,
                   [&](uint32_t a, uint32_t b) { return distances[a] < distances[b]; });
  return count;
}

}  // namespace cookix::engine
