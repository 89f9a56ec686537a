// Codes of some slots side by side: to a scan that reads them where they lie, waiting for
// memory is most of its time.
#ifndef COOKIX_ENGINE_VECTOR_CODE_COPIES_H_
#define COOKIX_ENGINE_VECTOR_CODE_COPIES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/vector/halved_codes.h"
#include "engine/vector/slot.h"
#include "engine/vector/slot_bits.h"
#include "engine/vector/vector_storage.h"
#include "hwy/aligned_allocator.h"

namespace cookix::engine {

// Immutable, thread-safe.
class CodeCopies {
 public:
  // Of slots that are not written meanwhile. Null without memory.
  static std::shared_ptr<const CodeCopies> Make(const VectorStorage& storage,
                                                const SlotBits& slots);
  // What so many take.
  static size_t Bytes(const VectorCodec& codec, size_t slots) {
    return slots * (codec.code_bytes() + sizeof(CodeParams) + sizeof(Slot));
  }

  // Where they are from: only for telling whether it is still in use.
  const VectorStorage* storage() const { return storage_; }
  size_t Bytes() const { return Bytes(codec_, slots_.size()); }
  // Ascending.
  const std::vector<Slot>& slots() const { return slots_; }
  // Of the greatest scale among them.
  const CodeParams& widest() const { return widest_; }

  float scale(size_t at) const {
    if (halved_) return halved_->scale(at);
    return params_.empty() ? lane_params_[at / kLanes].scales[at % kLanes] : params_[at].scale;
  }

  // The codes, in the order of their slots, where they are halved: that there is less to read pays
  // for the second look where they are many. Null otherwise.
  const HalvedCodes* halved() const { return halved_ ? &*halved_ : nullptr; }
  // Distances to those from slots()[begin] on, at most `count` of them; `distances` has room for
  // that, rounded up to a multiple of kLanes. REQUIRES: halved() is null; begin is such a multiple.
  void Distances(const PreparedQuery& query, size_t begin, size_t count, float* distances) const;

 private:
  CodeCopies(const VectorStorage& storage, const SlotBits& slots);
  const VectorStorage* const storage_;
  const VectorCodec& codec_;
  std::vector<Slot> slots_;
  CodeParams widest_;
  std::optional<HalvedCodes> halved_;
  // Otherwise: in lanes where the codec can compare them so, or one behind the other.
  hwy::AlignedFreeUniquePtr<uint8_t[]> codes_;
  std::vector<LaneParams> lane_params_;
  std::vector<CodeParams> params_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_CODE_COPIES_H_
