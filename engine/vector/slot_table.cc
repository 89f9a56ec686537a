#include "engine/vector/slot_table.h"

#include <algorithm>

namespace cookix::engine {

SlotTable::SlotTable()
    : ordinals_(sizeof(uint64_t), false),
      next_(sizeof(uint32_t), false),
      firsts_(sizeof(uint32_t), false) {}

std::vector<Slot> SlotTable::Take(size_t count) {
  std::vector<Slot> slots;
  slots.reserve(count);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    while (slots.size() < count && !free_.empty()) {
      slots.push_back(free_.back());
      free_.pop_back();
    }
  }
  const size_t end = this->end();
  const size_t fresh = count - slots.size();
  if (!ordinals_.Grow(end + fresh) || !next_.Grow(end + fresh) || !alive_.Grow(end + fresh) ||
      !dead_.Grow(end + fresh)) {
    return {};
  }
  stamp_.fetch_add(1, std::memory_order_release);
  for (size_t i = 0; i < fresh; ++i) slots.push_back(static_cast<Slot>(end + i));
  end_.store(end + fresh, std::memory_order_release);
  return slots;
}

void SlotTable::BeginAt(uint64_t commit) {
  std::lock_guard<std::mutex> lock(mutex_);
  forgotten_ = commit;
  newest_.store(commit, std::memory_order_release);
}

void SlotTable::ForgetChanges() {
  std::lock_guard<std::mutex> lock(mutex_);
  forgotten_ = newest_.load(std::memory_order_relaxed);
  changes_.clear();
}

void SlotTable::Free(const SlotBits& slots, bool dead) {
  std::lock_guard<std::mutex> lock(mutex_);
  size_t count = 0;
  slots.ForEach([&](Slot slot) {
    free_.push_back(slot);
    dead_.Clear(slot);
    ++count;
  });
  std::sort(free_.begin(), free_.end(), std::greater<>());
  if (dead) dead_count_.fetch_sub(count, std::memory_order_relaxed);
}

std::atomic<uint32_t>* SlotTable::FirstCell(Ordinal ordinal) const {
  return reinterpret_cast<std::atomic<uint32_t>*>(firsts_.At(static_cast<Slot>(ordinal)));
}

bool SlotTable::Add(Ordinal ordinal, const std::vector<Slot>& slots, uint64_t commit) {
  if (ordinal >= (Ordinal{1} << 31) || !firsts_.Grow(ordinal + 1)) return false;
  for (size_t i = 0; i < slots.size(); ++i) {
    reinterpret_cast<std::atomic<uint64_t>*>(ordinals_.At(slots[i]))
        ->store(ordinal, std::memory_order_release);
    auto* next = reinterpret_cast<std::atomic<uint32_t>*>(next_.At(slots[i]));
    const uint32_t link = i + 1 < slots.size() ? slots[i + 1] + 1 : 0;
    // Where objects have one vector each this memory is never touched.
    if (next->load(std::memory_order_relaxed) != link) {
      next->store(link, std::memory_order_release);
    }
    dead_.Clear(slots[i]);
    Note({commit, slots[i], true});
    alive_.Set(slots[i]);
  }
  FirstCell(ordinal)->store(slots.front() + 1, std::memory_order_release);
  alive_count_.fetch_add(slots.size(), std::memory_order_relaxed);
  return true;
}

size_t SlotTable::Remove(Ordinal ordinal, uint64_t commit) {
  const Slot first = First(ordinal);
  if (first == kNoSlot) return 0;
  // In this order: a reader of an earlier commit that no longer finds them learns of their
  // deaths when it asks for changes after that.
  size_t count = 0;
  for (Slot slot = first; slot != kNoSlot; slot = Next(slot), ++count) Note({commit, slot, false});
  FirstCell(ordinal)->store(0, std::memory_order_release);
  for (Slot slot = first; slot != kNoSlot; slot = Next(slot)) {
    alive_.Clear(slot);
    dead_.Set(slot);
  }
  alive_count_.fetch_sub(count, std::memory_order_relaxed);
  dead_count_.fetch_add(count, std::memory_order_relaxed);
  return count;
}

bool SlotTable::Restore(Slot slot, Ordinal ordinal, bool alive) {
  if (ordinal >= (Ordinal{1} << 31) || !firsts_.Grow(ordinal + 1)) return false;
  reinterpret_cast<std::atomic<uint64_t>*>(ordinals_.At(slot))
      ->store(ordinal, std::memory_order_release);
  if (alive) {
    alive_.Set(slot);
    FirstCell(ordinal)->store(slot + 1, std::memory_order_release);
    alive_count_.fetch_add(1, std::memory_order_relaxed);
  } else {
    dead_.Set(slot);
    dead_count_.fetch_add(1, std::memory_order_relaxed);
  }
  return true;
}

void SlotTable::RestoreNext(Slot slot, Slot next) {
  reinterpret_cast<std::atomic<uint32_t>*>(next_.At(slot))
      ->store(next + 1, std::memory_order_release);
}

void SlotTable::RestoreFirst(Slot slot) {
  FirstCell(OrdinalOf(slot))->store(slot + 1, std::memory_order_release);
}

Slot SlotTable::First(Ordinal ordinal) const {
  if (ordinal >= firsts_.capacity()) return kNoSlot;
  return FirstCell(ordinal)->load(std::memory_order_acquire) - 1;
}

Slot SlotTable::Next(Slot slot) const {
  return reinterpret_cast<const std::atomic<uint32_t>*>(next_.At(slot))
             ->load(std::memory_order_acquire) -
         1;
}

void SlotTable::Note(Change change) {
  std::lock_guard<std::mutex> lock(mutex_);
  newest_.store(change.commit, std::memory_order_release);
  changes_.push_back(change);
  if (changes_.size() > kKeptChanges) {
    forgotten_ = changes_.front().commit;
    changes_.pop_front();
  }
}

bool SlotTable::ChangesAfter(uint64_t commit, std::vector<Change>* changes) const {
  changes->clear();
  if (newest_.load(std::memory_order_acquire) <= commit) return true;
  std::lock_guard<std::mutex> lock(mutex_);
  if (forgotten_ > commit) return false;
  const auto first =
      std::upper_bound(changes_.begin(), changes_.end(), commit,
                       [](uint64_t at, const Change& change) { return at < change.commit; });
  changes->assign(first, changes_.end());
  return true;
}

int64_t SlotTable::Bytes() const {
  // What was touched of the first slots is not known; objects of one index mostly follow
  // each other.
  return static_cast<int64_t>(end() * (sizeof(uint64_t) + sizeof(uint32_t)) + end() / 4);
}

}  // namespace cookix::engine
