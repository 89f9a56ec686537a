#include "engine/vector/code_copies.h"

#include <algorithm>
#include <cstring>

namespace cookix::engine {
namespace {

// So many codes before its turn one is asked for.
constexpr size_t kAhead = 16;

}  // namespace

CodeCopies::CodeCopies(const VectorStorage& storage, const SlotBits& slots)
    : storage_(&storage), codec_(storage.codec()) {
  slots_.reserve(slots.Count());
  slots.ForEach([&](Slot slot) { slots_.push_back(slot); });
  const size_t blocks = (slots_.size() + kLanes - 1) / kLanes;
  const size_t bytes = std::max<size_t>(1, blocks) * kLanes * codec_.code_bytes();
  codes_ = hwy::AllocateAligned<uint8_t>(bytes);
  if (codes_ == nullptr) return;
  if (codec_.fits_lanes()) {
    lane_params_.resize(blocks);
    // The last block is compared as a whole.
    std::fill_n(codes_.get() + bytes - kLanes * codec_.code_bytes(), kLanes * codec_.code_bytes(),
                uint8_t{0});
  } else {
    params_.resize(slots_.size());
  }
  for (size_t at = 0; at < slots_.size(); ++at) {
    if (at + kAhead < slots_.size()) storage.PrefetchCode(slots_[at + kAhead]);
    Add(slots_[at], at);
  }
}

std::shared_ptr<const CodeCopies> CodeCopies::Make(const VectorStorage& storage,
                                                   const SlotBits& slots) {
  std::shared_ptr<const CodeCopies> copies(new CodeCopies(storage, slots));
  return copies->codes_ == nullptr ? nullptr : copies;
}

void CodeCopies::Add(Slot slot, size_t at) {
  const uint8_t* const code = storage_->Code(slot);
  const size_t bytes = codec_.code_bytes();
  const CodeParams& params = storage_->Params(slot);
  if (widest_.scale < params.scale) widest_ = params;
  if (!codec_.fits_lanes()) {
    params_[at] = params;
    std::memcpy(codes_.get() + at * bytes, code, bytes);
    return;
  }
  LaneParams& block = lane_params_[at / kLanes];
  block.scales[at % kLanes] = params.scale;
  block.norms[at % kLanes] = params.norm;
  uint8_t* const lane = codes_.get() + at / kLanes * kLanes * bytes + at % kLanes * kLaneBytes;
  for (size_t d = 0; d < bytes; d += kLaneBytes) {
    std::memcpy(lane + d * kLanes, code + d, kLaneBytes);
  }
}

size_t CodeCopies::Distances(const PreparedQuery& query, size_t begin, size_t count,
                             float* distances) const {
  count = std::min(count, slots_.size() - begin);
  const size_t bytes = codec_.code_bytes();
  if (codec_.fits_lanes()) {
    codec_.LaneDistances(query, codes_.get() + begin * bytes, &lane_params_[begin / kLanes],
                         (count + kLanes - 1) / kLanes, distances);
    return count;
  }
  constexpr size_t kBlock = VectorStorage::kBlock;
  const uint8_t* codes[kBlock];
  const CodeParams* params[kBlock];
  for (size_t done = 0; done < count; done += kBlock) {
    const size_t n = std::min(kBlock, count - done);
    for (size_t i = 0; i < n; ++i) {
      codes[i] = codes_.get() + (begin + done + i) * bytes;
      params[i] = &params_[begin + done + i];
    }
    codec_.Distances(query, codes, params, n, distances + done);
  }
  return count;
}

}  // namespace cookix::engine
