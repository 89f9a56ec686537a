#include "engine/vector/sparse_index.h"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include "absl/hash/hash.h"
#include "engine/vector/sparse_lists.h"

namespace cookix::engine {
namespace {

constexpr uint32_t kBlockPostings = 128;
constexpr uint32_t kFirstBlockPostings = 4;
// A sweep goes through all lists while this part of the slots is removed.
constexpr double kSweepsPerSize = 8;
// What passing over a list costs in a sweep, in postings.
constexpr double kSweepListPostings = 16;
// Unlinked memory is handed to a generation when there is so much of it.
constexpr size_t kRetireBytes = 64 << 10;

// The bounds of a list or of an entry, by the one thread that changes them.
template <typename Bounded>
void Widen(Bounded* bounded, float value) {
  if (value > bounded->max.load(std::memory_order_relaxed)) {
    bounded->max.store(value, std::memory_order_relaxed);
  }
  if (value < bounded->min.load(std::memory_order_relaxed)) {
    bounded->min.store(value, std::memory_order_relaxed);
  }
}

}  // namespace

SparseIndex::SparseIndex()
    : bytes_(std::make_shared<std::atomic<int64_t>>(0)),
      generation_(std::make_shared<Generation>(bytes_)) {}

SparseIndex::~SparseIndex() { Clear(); }

std::shared_ptr<const SparseIndex::Generation> SparseIndex::Pin() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return generation_;
}

void* SparseIndex::Allocate(size_t bytes) {
  void* memory = ::operator new(bytes);
  bytes_->fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  return memory;
}

void SparseIndex::Unlink(void* memory, size_t bytes) {
  unlinked_.push_back({memory, bytes});
  unlinked_bytes_ += bytes;
}

void SparseIndex::Retire() {
  if (unlinked_.empty()) return;
  auto next = std::make_shared<Generation>(bytes_);
  std::shared_ptr<Generation> old;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    old = std::move(generation_);
    old->unlinked = std::move(unlinked_);
    old->next = next;
    generation_ = std::move(next);
  }
  unlinked_.clear();
  unlinked_bytes_ = 0;
}

const SparseIndex::List* SparseIndex::FindList(const Table* table, uint32_t index) {
  if (table == nullptr) return nullptr;
  for (size_t at = absl::HashOf(index);; ++at) {
    const List* list = table->places()[at & table->mask].load(std::memory_order_acquire);
    if (list == nullptr) return nullptr;
    if (list != Table::Gone() && list->index == index) return list;
  }
}

// The place of the index's list, or an empty one for it.
std::atomic<SparseIndex::List*>* SparseIndex::FindOrMakePlace(uint32_t index) {
  Table* table = table_.load(std::memory_order_relaxed);
  for (;;) {
    if (table != nullptr) {
      for (size_t at = absl::HashOf(index);; ++at) {
        std::atomic<List*>& place = table->places()[at & table->mask];
        const List* list = place.load(std::memory_order_relaxed);
        if (list == nullptr) {
          if ((table->used + 1) * 4 > (table->mask + 1) * 3) break;
          ++table->used;
          return &place;
        }
        if (list != Table::Gone() && list->index == index) return &place;
      }
    }
    RebuildTable();
    table = table_.load(std::memory_order_relaxed);
  }
}

// Makes room for as many lists again, and forgets the marks of those gone.
void SparseIndex::RebuildTable() {
  Table* old = table_.load(std::memory_order_relaxed);
  const size_t live = static_cast<size_t>(lists());
  const size_t size = std::bit_ceil(std::max<size_t>(16, live * 2 + 1));
  auto* table = static_cast<Table*>(Allocate(Table::Bytes(size)));
  table->mask = size - 1;
  table->used = live;
  for (size_t i = 0; i < size; ++i) new (&table->places()[i]) std::atomic<List*>(nullptr);
  if (old != nullptr) {
    for (size_t i = 0; i <= old->mask; ++i) {
      List* list = old->places()[i].load(std::memory_order_relaxed);
      if (!Table::IsList(list)) continue;
      size_t at = absl::HashOf(list->index);
      while (table->places()[at & table->mask].load(std::memory_order_relaxed) != nullptr) ++at;
      table->places()[at & table->mask].store(list, std::memory_order_relaxed);
    }
  }
  table_.store(table, std::memory_order_release);
  if (old != nullptr) Unlink(old, old->bytes());
  sweep_at_ = 0;
}

// Begins a block with the slot, in a new list where there is none.
void SparseIndex::AddBlock(std::atomic<List*>* place, uint32_t index, Slot slot, float value) {
  List* old = place->load(std::memory_order_relaxed);
  List* list = old;
  uint32_t block = kFirstBlockPostings;
  if (old == nullptr || old->count() == old->capacity) {
    const uint32_t capacity = old == nullptr ? 1 : old->capacity * 2;
    list = static_cast<List*>(Allocate(List::Bytes(capacity)));
    list->index = index;
    list->capacity = capacity;
    list->postings = 0;
    new (&list->size) std::atomic<uint32_t>(0);
    new (&list->max) std::atomic<float>(value);
    new (&list->min) std::atomic<float>(value);
    if (old != nullptr) {
      list->postings = old->postings;
      list->max.store(old->max.load(std::memory_order_relaxed), std::memory_order_relaxed);
      list->min.store(old->min.load(std::memory_order_relaxed), std::memory_order_relaxed);
      for (uint32_t i = 0; i < old->count(); ++i) {
        const Entry& from = old->entries()[i];
        Entry* to = &list->entries()[i];
        to->weights = from.weights;
        to->first = from.first;
        new (&to->max) std::atomic<float>(from.max.load(std::memory_order_relaxed));
        new (&to->min) std::atomic<float>(from.min.load(std::memory_order_relaxed));
        new (&to->count) std::atomic<uint16_t>(from.count.load(std::memory_order_relaxed));
        to->capacity = from.capacity;
      }
      list->size.store(old->count(), std::memory_order_relaxed);
    }
  }
  const uint32_t size = list->count();
  if (size > 0) {
    // A block that had to end early, in a thin list, is followed by a small one.
    const uint32_t last = list->entries()[size - 1].count.load(std::memory_order_relaxed);
    block = std::clamp(std::bit_ceil(last * 2), kFirstBlockPostings, kBlockPostings);
  }
  Entry* entry = &list->entries()[size];
  entry->weights = static_cast<float*>(Allocate(Entry::BlockBytes(block)));
  entry->first = slot;
  new (&entry->max) std::atomic<float>(value);
  new (&entry->min) std::atomic<float>(value);
  new (&entry->count) std::atomic<uint16_t>(uint16_t{1});
  entry->capacity = static_cast<uint16_t>(block);
  entry->weights[0] = value;
  entry->distances()[0] = 0;
  list->size.store(size + 1, std::memory_order_release);
  if (list == old) return;
  place->store(list, std::memory_order_release);
  if (old == nullptr) {
    lists_.fetch_add(1, std::memory_order_relaxed);
  } else {
    Unlink(old, old->bytes());
  }
}

void SparseIndex::Append(uint32_t index, Slot slot, float value) {
  std::atomic<List*>* place = FindOrMakePlace(index);
  List* list = place->load(std::memory_order_relaxed);
  if (list != nullptr) Widen(list, value);
  Entry* last = list == nullptr ? nullptr : &list->entries()[list->count() - 1];
  const uint32_t count = last == nullptr ? 0 : last->count.load(std::memory_order_relaxed);
  if (last == nullptr || count == last->capacity || slot - last->first >= Entry::kBlockSlots) {
    AddBlock(place, index, slot, value);
    list = place->load(std::memory_order_relaxed);
  } else {
    last->weights[count] = value;
    last->distances()[count] = static_cast<uint16_t>(slot - last->first);
    Widen(last, value);
    last->count.store(static_cast<uint16_t>(count + 1), std::memory_order_release);
  }
  ++list->postings;
  postings_.fetch_add(1, std::memory_order_relaxed);
}

// The words of a page, made where there are none.
std::atomic<uint64_t>* SparseIndex::PageOf(size_t at) {
  SlotPages* pages = pages_.load(std::memory_order_relaxed);
  if (pages == nullptr || at >= pages->size) {
    SlotPages* old = pages;
    const size_t old_size = old == nullptr ? 0 : old->size;
    const size_t size = std::max(at + 1, old_size * 2);
    pages = static_cast<SlotPages*>(Allocate(SlotPages::Bytes(size)));
    pages->size = size;
    for (size_t i = 0; i < size; ++i) {
      new (&pages->pages()[i]) std::atomic<SlotPages::Page*>(
          i < old_size ? old->pages()[i].load(std::memory_order_relaxed) : nullptr);
    }
    pages_.store(pages, std::memory_order_release);
    if (old != nullptr) Unlink(old, SlotPages::Bytes(old_size));
  }
  SlotPages::Page* page = pages->pages()[at].load(std::memory_order_relaxed);
  if (page == nullptr) {
    page = static_cast<SlotPages::Page*>(Allocate(SlotPages::kPageBytes));
    for (size_t i = 0; i < SlotPages::kPageWords; ++i) new (&page[i]) SlotPages::Page(0);
    pages->pages()[at].store(page, std::memory_order_release);
  }
  return page;
}

void SparseIndex::Add(Slot slot, std::span<const uint32_t> indices, std::span<const float> values) {
  for (size_t i = 0; i < indices.size(); ++i) Append(indices[i], slot, values[i]);
  SlotPages::Page& word = PageOf(slot / SlotPages::kPageSlots)[slot % SlotPages::kPageSlots / 64];
  word.store(word.load(std::memory_order_relaxed) | uint64_t{1} << (slot % 64),
             std::memory_order_relaxed);
  size_.fetch_add(1, std::memory_order_relaxed);
  Publish(slot + 1);
  if (unlinked_bytes_ >= kRetireBytes) Retire();
}

bool SparseIndex::Contains(Slot slot) const {
  const std::shared_ptr<const Generation> pin = Pin();
  if (slot >= end()) return false;
  const SlotPages* pages = pages_.load(std::memory_order_acquire);
  return pages != nullptr && pages->Contains(slot);
}

void SparseIndex::Remove(Slot slot) {
  if (slot >= end_.load(std::memory_order_relaxed)) return;
  SlotPages* pages = pages_.load(std::memory_order_relaxed);
  if (pages == nullptr || !pages->Contains(slot)) return;
  std::atomic<SlotPages::Page*>& at = pages->pages()[slot / SlotPages::kPageSlots];
  SlotPages::Page* page = at.load(std::memory_order_relaxed);
  SlotPages::Page& word = page[slot % SlotPages::kPageSlots / 64];
  const int64_t size_before = size();
  const uint64_t rest = word.load(std::memory_order_relaxed) & ~(uint64_t{1} << (slot % 64));
  word.store(rest, std::memory_order_relaxed);
  size_.fetch_sub(1, std::memory_order_relaxed);
  if (rest == 0 &&
      end_.load(std::memory_order_relaxed) / SlotPages::kPageSlots > slot / SlotPages::kPageSlots &&
      std::all_of(page, page + SlotPages::kPageWords, [](const SlotPages::Page& one) {
        return one.load(std::memory_order_relaxed) == 0;
      })) {
    at.store(nullptr, std::memory_order_release);
    Unlink(page, SlotPages::kPageBytes);
  }
  // Each removal pays its share of a sweep through everything.
  Table* table = table_.load(std::memory_order_relaxed);
  if (table != nullptr) {
    const double all = static_cast<double>(postings()) +
                       kSweepListPostings * static_cast<double>(lists()) +
                       static_cast<double>(table->mask + 1);
    sweep_credit_ += std::min(all, kSweepsPerSize * all / static_cast<double>(size_before));
    Sweep();
  }
  if (unlinked_bytes_ >= kRetireBytes) Retire();
}

void SparseIndex::Sweep() {
  Table* table = table_.load(std::memory_order_relaxed);
  while (sweep_credit_ > 0) {
    sweep_credit_ -= 1;
    std::atomic<List*>* place = &table->places()[sweep_at_];
    sweep_at_ = (sweep_at_ + 1) & table->mask;
    const List* list = place->load(std::memory_order_relaxed);
    if (!Table::IsList(list)) continue;
    sweep_credit_ -= kSweepListPostings + list->postings;
    SweepList(place);
  }
}

// Rewrites the list without its dead postings where they are more than a quarter.
void SparseIndex::SweepList(std::atomic<List*>* place) {
  const SlotPages* pages = pages_.load(std::memory_order_relaxed);
  List* old = place->load(std::memory_order_relaxed);
  const auto for_each_live = [&](auto&& each) {
    for (uint32_t i = 0; i < old->count(); ++i) {
      const Entry& entry = old->entries()[i];
      const uint32_t count = entry.count.load(std::memory_order_relaxed);
      for (uint32_t j = 0; j < count; ++j) {
        const Slot slot = entry.first + entry.distances()[j];
        if (pages->Contains(slot)) each(slot, entry.weights[j]);
      }
    }
  };
  uint32_t live = 0;
  for_each_live([&live](Slot, float) { ++live; });
  const uint32_t dead = old->postings - live;
  if (uint64_t{dead} * 4 <= old->postings) return;
  postings_.fetch_sub(dead, std::memory_order_relaxed);
  if (live == 0) {
    place->store(Table::Gone(), std::memory_order_release);
    lists_.fetch_sub(1, std::memory_order_relaxed);
    UnlinkList(old);
    return;
  }
  // Into blocks as full as the distances allow, and a list just large enough.
  std::vector<std::pair<Slot, float>> kept;
  kept.reserve(live);
  for_each_live([&kept](Slot slot, float weight) { kept.emplace_back(slot, weight); });
  auto block_end = [&kept](size_t begin) {
    size_t end = begin;
    while (end < kept.size() && end - begin < kBlockPostings &&
           kept[end].first - kept[begin].first < Entry::kBlockSlots) {
      ++end;
    }
    return end;
  };
  uint32_t size = 0;
  for (size_t begin = 0; begin < kept.size(); begin = block_end(begin)) ++size;
  auto* list = static_cast<List*>(Allocate(List::Bytes(size)));
  list->index = old->index;
  list->capacity = size;
  list->postings = live;
  float list_max = kept[0].second;
  float list_min = kept[0].second;
  size_t begin = 0;
  for (uint32_t i = 0; i < size; ++i) {
    const size_t end = block_end(begin);
    const auto count = static_cast<uint32_t>(end - begin);
    // Only the last block will ever take more.
    const uint32_t capacity = i + 1 == size ? std::max(count, kFirstBlockPostings) : count;
    Entry* entry = &list->entries()[i];
    entry->weights = static_cast<float*>(Allocate(Entry::BlockBytes(capacity)));
    entry->first = kept[begin].first;
    entry->capacity = static_cast<uint16_t>(capacity);
    float max = kept[begin].second;
    float min = max;
    for (uint32_t j = 0; j < count; ++j) {
      const auto& [slot, weight] = kept[begin + j];
      entry->weights[j] = weight;
      entry->distances()[j] = static_cast<uint16_t>(slot - entry->first);
      max = std::max(max, weight);
      min = std::min(min, weight);
    }
    new (&entry->max) std::atomic<float>(max);
    new (&entry->min) std::atomic<float>(min);
    new (&entry->count) std::atomic<uint16_t>(static_cast<uint16_t>(count));
    list_max = std::max(list_max, max);
    list_min = std::min(list_min, min);
    begin = end;
  }
  new (&list->size) std::atomic<uint32_t>(size);
  new (&list->max) std::atomic<float>(list_max);
  new (&list->min) std::atomic<float>(list_min);
  place->store(list, std::memory_order_release);
  UnlinkList(old);
}

// With its blocks.
void SparseIndex::UnlinkList(List* list) {
  for (uint32_t i = 0; i < list->count(); ++i) {
    Unlink(list->entries()[i].weights, Entry::BlockBytes(list->entries()[i].capacity));
  }
  Unlink(list, list->bytes());
}

void SparseIndex::Clear() {
  Publish(0);
  if (Table* table = table_.exchange(nullptr); table != nullptr) {
    for (size_t i = 0; i <= table->mask; ++i) {
      List* list = table->places()[i].load(std::memory_order_relaxed);
      if (Table::IsList(list)) UnlinkList(list);
    }
    Unlink(table, table->bytes());
  }
  if (SlotPages* pages = pages_.exchange(nullptr); pages != nullptr) {
    for (size_t i = 0; i < pages->size; ++i) {
      SlotPages::Page* page = pages->pages()[i].load(std::memory_order_relaxed);
      if (page != nullptr) Unlink(page, SlotPages::kPageBytes);
    }
    Unlink(pages, SlotPages::Bytes(pages->size));
  }
  size_ = 0;
  postings_ = 0;
  lists_ = 0;
  sweep_at_ = 0;
  sweep_credit_ = 0;
  Retire();
}

}  // namespace cookix::engine
