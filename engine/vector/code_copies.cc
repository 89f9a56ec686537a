#include "engine/vector/code_copies.h"

#include <algorithm>
#include <cstring>

namespace cookix::engine {
namespace {

// So many codes before its turn one is asked for.
constexpr size_t kAhead = 16;
// Codes of so many bytes are halved: fewer stay in the processor's nearest caches.
constexpr size_t kHalved = size_t{512} << 10;

}  // namespace

CodeCopies::CodeCopies(const VectorStorage& storage, const SlotBits& slots)
    : storage_(&storage), codec_(storage.codec()) {
  slots_.reserve(slots.Count());
  slots.ForEach([&](Slot slot) { slots_.push_back(slot); });
  const size_t bytes = codec_.code_bytes();
  const bool lanes = codec_.fits_lanes();
  if (lanes && slots_.size() * bytes >= kHalved) {
    halved_.emplace(codec_.kernels(), bytes, slots_.size());
    if (!halved_->allocated()) return;
  } else {
    const size_t blocks = slots_.size() / kLanes + 1;
    codes_ = hwy::AllocateAligned<uint8_t>(blocks * kLanes * bytes);
    if (codes_ == nullptr) return;
    // The last block is compared as a whole.
    std::fill_n(codes_.get() + (blocks - 1) * kLanes * bytes, kLanes * bytes, uint8_t{0});
    lane_params_.resize(lanes ? blocks : 0);
    params_.resize(lanes ? 0 : slots_.size());
  }
  for (size_t at = 0; at < slots_.size(); ++at) {
    if (at + kAhead < slots_.size()) storage.PrefetchCode(slots_[at + kAhead]);
    const uint8_t* const code = storage.Code(slots_[at]);
    const CodeParams& params = storage.Params(slots_[at]);
    if (widest_.scale < params.scale) widest_ = params;
    if (halved_) {
      halved_->Set(at, code, params);
    } else if (lanes) {
      lane_params_[at / kLanes].scales[at % kLanes] = params.scale;
      lane_params_[at / kLanes].norms[at % kLanes] = params.norm;
      WriteLane(code, bytes, at, codes_.get());
    } else {
      params_[at] = params;
      std::memcpy(codes_.get() + at * bytes, code, bytes);
    }
  }
  if (halved_) halved_->Finish();
}

std::shared_ptr<const CodeCopies> CodeCopies::Make(const VectorStorage& storage,
                                                   const SlotBits& slots) {
  std::shared_ptr<const CodeCopies> copies(new CodeCopies(storage, slots));
  const bool made = copies->halved_ ? copies->halved_->allocated() : copies->codes_ != nullptr;
  return made ? copies : nullptr;
}

void CodeCopies::Distances(const PreparedQuery& query, size_t begin, size_t count,
                           float* distances) const {
  count = std::min(count, slots_.size() - begin);
  const size_t bytes = codec_.code_bytes();
  if (codec_.fits_lanes()) {
    codec_.kernels().lane_distances(codec_.LaneQueryOf(query), codes_.get() + begin * bytes,
                                    &lane_params_[begin / kLanes], (count + kLanes - 1) / kLanes,
                                    bytes, distances);
    return;
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
}

}  // namespace cookix::engine
