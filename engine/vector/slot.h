// Slots: the local numbers that vector indexes use inside.
//
// An index numbers its vectors densely, in the order in which they came, and keeps
// the ordinal of each. A slot is written once; an object whose vector changes gets a
// new slot and its old one dies. So what a slot holds never changes under a reader.
#ifndef COOKIX_ENGINE_VECTOR_SLOT_H_
#define COOKIX_ENGINE_VECTOR_SLOT_H_

#include <cstdint>

namespace cookix::engine {

// Below 2^31.
using Slot = uint32_t;
inline constexpr Slot kNoSlot = UINT32_MAX;

// What a search by slots finds; the higher score is the better one.
struct SlotHit {
  Slot slot = kNoSlot;
  float score = 0;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SLOT_H_
