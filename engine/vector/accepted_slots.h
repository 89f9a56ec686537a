// The slots of objects that a filter lets through.
#ifndef COOKIX_ENGINE_VECTOR_ACCEPTED_SLOTS_H_
#define COOKIX_ENGINE_VECTOR_ACCEPTED_SLOTS_H_

#include <cstddef>

#include "engine/call_context.h"
#include "engine/filter/ordinal_set.h"
#include "engine/vector/slot_table.h"

namespace cookix::engine {

// Slots, or objects of a filter, that are looked at between two looks at the clock.
inline constexpr size_t kSlotsPerCheck = size_t{1} << 14;

// Calls `each` with the first slot of every object of `accept` that has one in `table`, in the
// order of their ordinals. False when the context is over; then some were left out.
template <typename F>
bool ForEachAccepted(const CallContext& context, const SlotTable& table, const OrdinalSet& accept,
                     F&& each) {
  size_t looked_at = 0;
  bool over = false;
  accept.ForEach([&](Ordinal ordinal) {
    if (over) return;
    if (++looked_at % kSlotsPerCheck == 0) over = !context.Check().ok();
    const Slot first = table.First(ordinal);
    if (first != kNoSlot) each(first);
  });
  return !over;
}

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_ACCEPTED_SLOTS_H_
