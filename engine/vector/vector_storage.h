// The vectors of one index, by slot, as its codec keeps them.
#ifndef COOKIX_ENGINE_VECTOR_VECTOR_STORAGE_H_
#define COOKIX_ENGINE_VECTOR_VECTOR_STORAGE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "engine/vector/slot.h"
#include "engine/vector/slot_array.h"
#include "engine/vector/vector_codec.h"

namespace cookix::engine {

// Threads: Grow() and Write() by one thread; a slot may be read by any thread that
// learned of it after it was written.
class VectorStorage {
 public:
  explicit VectorStorage(std::unique_ptr<const VectorCodec> codec)
      : codec_(std::move(codec)),
        code_bytes_(codec_->code_bytes()),
        codes_(codec_->code_bytes(), true),
        residues_(codec_->residue_bytes() == 0 ? 1 : codec_->residue_bytes(), false),
        own_params_(sizeof(CodeParams), true),
        params_(spare_bytes() > 0 ? codes_ : own_params_),
        params_at_(spare_bytes() > 0 ? code_bytes_ - spare_bytes() : 0) {}

  const VectorCodec& codec() const { return *codec_; }

  // Makes room for slots below `slots`. False without memory.
  [[nodiscard]] bool Grow(size_t slots) {
    return codes_.Grow(slots) && params_.Grow(slots) &&
           (codec_->residue_bytes() == 0 || residues_.Grow(slots));
  }
  size_t capacity() const { return codes_.capacity(); }

  void Write(Slot slot, const void* vector) {
    codec_->Encode(vector, codes_.At(slot), MutableResidue(slot), &MutableParams(slot));
  }

  const uint8_t* Code(Slot slot) const { return codes_.At(slot); }
  const uint8_t* Residue(Slot slot) const {
    return codec_->residue_bytes() == 0 ? nullptr : residues_.At(slot);
  }
  const CodeParams& Params(Slot slot) const {
    return *reinterpret_cast<const CodeParams*>(params_.At(slot) + params_at_);
  }
  // At the end of a code, where its params are kept instead of bytes that nothing depends on: one
  // place less to fetch from. The codec's own are VectorCodec::kSpare.
  size_t spare_bytes() const { return codec_->spares_bytes() ? sizeof(CodeParams) : 0; }
  // For loading what was saved.
  uint8_t* MutableCode(Slot slot) { return codes_.At(slot); }
  uint8_t* MutableResidue(Slot slot) {
    return codec_->residue_bytes() == 0 ? nullptr : residues_.At(slot);
  }
  // To be written after the code: with room at its end they lie there.
  CodeParams& MutableParams(Slot slot) {
    return *reinterpret_cast<CodeParams*>(params_.At(slot) + params_at_);
  }

  void Prepare(Slot slot, PreparedQuery* query) const {
    codec_->PrepareCode(Code(slot), Residue(slot), Params(slot), query);
  }

  // As many slots as Distances() of the codec takes at a time here.
  static constexpr size_t kBlock = 64;

  // Where that of slot_of(0) to slot_of(count - 1) is which the codec compares with `query`,
  // and its parameters; asks the processor to fetch them.
  template <typename SlotOf>
  void Fetch(const PreparedQuery& query, size_t count, const SlotOf& slot_of, const uint8_t** codes,
             const CodeParams** params) const {
    const SlotArray& array = query.by_residue ? residues_ : codes_;
    // Beyond this many bytes the processor's own prefetching has long begun.
    const size_t bytes =
        std::min<size_t>(1024, query.by_residue ? codec_->residue_bytes() / 2 : code_bytes_);
    const bool params_apart = &params_ != &array;
    for (size_t i = 0; i < count; ++i) {
      const Slot slot = slot_of(i);
      const uint8_t* const code = array.At(slot);
      codes[i] = code;
      params[i] = &Params(slot);
      if (params_apart) __builtin_prefetch(params[i]);
      __builtin_prefetch(code);
      for (size_t at = 64; at < bytes; at += 64) __builtin_prefetch(code + at);
    }
  }
  void PrefetchCode(Slot slot) const {
    __builtin_prefetch(&Params(slot));
    const uint8_t* code = codes_.At(slot);
    for (size_t at = 0; at < code_bytes_ && at < 1024; at += 64) __builtin_prefetch(code + at);
  }
  void PrefetchResidue(Slot slot) const {
    const uint8_t* residue = residues_.At(slot);
    const size_t bytes = codec_->residue_bytes();
    for (size_t at = 0; at < bytes && at < 1024; at += 64) __builtin_prefetch(residue + at);
    // They begin anywhere.
    if (bytes > 0) __builtin_prefetch(residue + bytes - 1);
  }

  // Distances from `query` to `count` slots. Fetches all of them first, for it is waiting
  // for memory that takes the time.
  void Distances(const PreparedQuery& query, const Slot* slots, size_t count,
                 float* distances) const {
    const uint8_t* codes[kBlock];
    const CodeParams* params[kBlock];
    for (size_t begin = 0; begin < count; begin += kBlock) {
      const size_t n = count - begin < kBlock ? count - begin : kBlock;
      Fetch(
          query, n, [&](size_t i) { return slots[begin + i]; }, codes, params);
      codec_->Distances(query, codes, params, n, distances + begin);
    }
  }
  float Distance(const PreparedQuery& query, Slot slot) const {
    float distance;
    Distances(query, &slot, 1, &distance);
    return distance;
  }
  // The distance as exactly as what is kept allows.
  float Refine(const PreparedQuery& query, Slot slot) const {
    return codec_->Refine(query, Code(slot), Residue(slot), Params(slot));
  }

  // Bytes for `slots` slots.
  int64_t Bytes(size_t slots) const {
    return static_cast<int64_t>(slots * (codec_->code_bytes() + codec_->residue_bytes() +
                                         sizeof(CodeParams) - spare_bytes()));
  }

 private:
  const std::unique_ptr<const VectorCodec> codec_;
  const size_t code_bytes_;
  SlotArray codes_;
  SlotArray residues_;
  SlotArray own_params_;
  SlotArray& params_;
  const size_t params_at_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_VECTOR_STORAGE_H_
