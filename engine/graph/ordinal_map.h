// Small hash tables from ordinals, for the scratch of one query.
#ifndef COOKIX_ENGINE_GRAPH_ORDINAL_MAP_H_
#define COOKIX_ENGINE_GRAPH_ORDINAL_MAP_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/records.h"

namespace cookix::engine {

// Open addressing with linear probing. Clear() costs as much as was inserted, so a
// table that once was large stays cheap for small queries. Ordinal 0 is never inserted.
template <typename Value>
class OrdinalTable {
 public:
  OrdinalTable() : slots_(1024) {}

  void Clear() {
    if (used_.size() * 8 > slots_.size()) {
      for (Slot& slot : slots_) slot.ordinal = 0;
    } else {
      for (const uint32_t at : used_) slots_[at].ordinal = 0;
    }
    used_.clear();
  }

  // The value's place, until the next insertion; null when there is none.
  const Value* FindValue(Ordinal ordinal) const {
    for (size_t at = Hash(ordinal);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].ordinal == ordinal) return &slots_[at].value;
      if (slots_[at].ordinal == 0) return nullptr;
    }
  }

  // Inserts if it is not there. Returns the value's place (valid until the next
  // insertion) and whether it was inserted.
  std::pair<Value*, bool> Insert(Ordinal ordinal, Value value) {
    if ((used_.size() + 1) * 2 > slots_.size()) Grow();
    for (size_t at = Hash(ordinal);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].ordinal == ordinal) return {&slots_[at].value, false};
      if (slots_[at].ordinal == 0) {
        slots_[at] = {ordinal, value};
        used_.push_back(static_cast<uint32_t>(at));
        return {&slots_[at].value, true};
      }
    }
  }

 private:
  struct Slot {
    Ordinal ordinal = 0;
    Value value{};
  };

  size_t Hash(Ordinal ordinal) const {
    return (ordinal * 0x9E3779B97F4A7C15u >> 32) & (slots_.size() - 1);
  }
  void Grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    std::vector<uint32_t> places;
    places.swap(used_);
    used_.reserve(slots_.size() / 2);
    for (const uint32_t place : places) Insert(old[place].ordinal, old[place].value);
  }

  std::vector<Slot> slots_;
  std::vector<uint32_t> used_;
};

class OrdinalMap : public OrdinalTable<uint32_t> {
 public:
  static constexpr uint32_t kNone = ~uint32_t{0};

  // The value, or kNone.
  uint32_t Find(Ordinal ordinal) const {
    const uint32_t* value = FindValue(ordinal);
    return value == nullptr ? kNone : *value;
  }
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_GRAPH_ORDINAL_MAP_H_
