#include "engine/vector/sparse_index.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <utility>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "absl/hash/hash.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr uint32_t kBlockPostings = 128;
constexpr uint32_t kFirstBlockPostings = 4;
// Slots of a block are kept as distances of two bytes from its first.
constexpr uint32_t kBlockSlots = 1 << 16;
constexpr size_t kWindow = 4096;
constexpr size_t kWindowWords = kWindow / 64;
constexpr size_t kPageSlots = size_t{1} << 16;
constexpr size_t kPageWords = kPageSlots / 64;
// Below so many postings in a window the slots they hit are noted, and above all of the
// window is looked through.
constexpr size_t kNotedPostings = 256;
// What one search in a list costs, in postings added up.
constexpr size_t kLookupPostings = 12;
// A sweep goes through all lists while this part of the slots is removed.
constexpr double kSweepsPerSize = 8;
// What passing over a list costs in a sweep, in postings.
constexpr double kSweepListPostings = 16;
// Unlinked memory is handed to a generation when there is so much of it.
constexpr size_t kRetireBytes = 64 << 10;

constexpr uint64_t kNever = UINT64_MAX;

// Blocks are `capacity` weights and then as many distances from the first slot.
constexpr size_t BlockBytes(uint32_t capacity) {
  return capacity * (sizeof(float) + sizeof(uint16_t));
}

bool Better(const SlotHit& a, const SlotHit& b) {
  return a.score > b.score || (a.score == b.score && a.slot < b.slot);
}

// Nearest float; beyond the range the largest one. Never minus zero.
float ToFloat(double value) {
  constexpr double kMax = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(value, -kMax, kMax)) + 0.0f;
}

// The sum of the terms as real numbers have it, rounded once to float.
float SumExactly(std::span<const double> terms) {
  // Doubles that do not overlap, smallest first, whose sum is that of the terms so far.
  std::vector<double> parts;
  for (double x : terms) {
    size_t kept = 0;
    for (double y : parts) {
      if (std::fabs(x) < std::fabs(y)) std::swap(x, y);
      const double high = x + y;
      const double low = y - (high - x);
      if (low != 0) parts[kept++] = low;
      x = high;
    }
    parts.resize(kept);
    parts.push_back(x);
  }
  double high = 0;
  double low = 0;
  while (!parts.empty()) {
    const double x = high;
    const double y = parts.back();
    parts.pop_back();
    high = x + y;
    low = y - (high - x);
    if (low != 0) break;
  }
  // Rounded to an odd double, the sum rounds to the float that it would itself.
  if (low != 0 && (std::bit_cast<uint64_t>(high) & 1) == 0) {
    high = std::nextafter(high, low > 0 ? std::numeric_limits<double>::infinity()
                                        : -std::numeric_limits<double>::infinity());
  }
  return ToFloat(high);
}

// A bit for each of 64 sums that is above `floor`.
uint64_t Above(const double* sums, double floor) {
  uint64_t bits = 0;
#if defined(__SSE2__)
  const __m128d floors = _mm_set1_pd(floor);
  for (size_t i = 0; i < 64; i += 8) {
    const __m128i a = _mm_castpd_si128(_mm_cmpgt_pd(_mm_loadu_pd(sums + i), floors));
    const __m128i b = _mm_castpd_si128(_mm_cmpgt_pd(_mm_loadu_pd(sums + i + 2), floors));
    const __m128i c = _mm_castpd_si128(_mm_cmpgt_pd(_mm_loadu_pd(sums + i + 4), floors));
    const __m128i d = _mm_castpd_si128(_mm_cmpgt_pd(_mm_loadu_pd(sums + i + 6), floors));
    // Each comparison is two halves of all ones or zeros: four of a kind become bytes.
    const __m128i words = _mm_packs_epi32(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
    const __m128i bytes = _mm_packs_epi16(words, words);
    bits |= static_cast<uint64_t>(_mm_movemask_epi8(bytes) & 0xff) << i;
  }
#else
  for (size_t i = 0; i < 64; ++i) bits |= uint64_t{sums[i] > floor} << i;
#endif
  return bits;
}

// The first of `count` ascending distances that is not below `value`.
uint32_t LowerBound(const uint16_t* distances, uint32_t count, uint32_t value) {
  const uint16_t* base = distances;
  while (count > 1) {
    const uint32_t half = count / 2;
    base += base[half - 1] < value ? half : 0;
    count -= half;
  }
  return static_cast<uint32_t>(base - distances) + (count == 1 && *base < value ? 1 : 0);
}

}  // namespace

// A block and what is known of it. Only the last entry of a list changes, and then only
// what is atomic.
struct SparseIndex::Entry {
  float* weights;
  Slot first;
  std::atomic<float> max;
  std::atomic<float> min;
  std::atomic<uint16_t> count;
  uint16_t capacity;

  uint16_t* distances() const { return reinterpret_cast<uint16_t*>(weights + capacity); }
};

// The header of a list; `capacity` entries follow.
struct SparseIndex::List {
  uint32_t index;
  uint32_t capacity;
  // Published after the entry that it counts; never zero where readers see it.
  std::atomic<uint32_t> size;
  std::atomic<float> max;
  std::atomic<float> min;
  // Of the changing thread.
  uint32_t postings;

  Entry* entries() { return reinterpret_cast<Entry*>(this + 1); }
  const Entry* entries() const { return reinterpret_cast<const Entry*>(this + 1); }
  static size_t Bytes(uint32_t capacity) { return sizeof(List) + capacity * sizeof(Entry); }
  size_t bytes() const { return Bytes(capacity); }
  uint32_t count() const { return size.load(std::memory_order_relaxed); }
};

static_assert(sizeof(std::atomic<float>) == 4 && std::atomic<float>::is_always_lock_free);

// Open addressing, linear; a power of two of places. A list that is gone leaves its mark,
// so that searches go on past it.
struct SparseIndex::Table {
  size_t mask;
  // Of the changing thread: places that are not empty.
  size_t used;

  std::atomic<List*>* places() { return reinterpret_cast<std::atomic<List*>*>(this + 1); }
  const std::atomic<List*>* places() const {
    return reinterpret_cast<const std::atomic<List*>*>(this + 1);
  }
  static size_t Bytes(size_t places) { return sizeof(Table) + places * sizeof(void*); }
  size_t bytes() const { return Bytes(mask + 1); }
  static List* Gone() { return reinterpret_cast<List*>(uintptr_t{1}); }
  static bool IsList(const List* list) { return list != nullptr && list != Gone(); }
};

// Pages of words of bits; a page without bits may be missing.
struct SparseIndex::SlotPages {
  size_t size;
  using Page = std::atomic<uint64_t>;

  std::atomic<Page*>* pages() { return reinterpret_cast<std::atomic<Page*>*>(this + 1); }
  const std::atomic<Page*>* pages() const {
    return reinterpret_cast<const std::atomic<Page*>*>(this + 1);
  }
  // The words of the page of a slot, or null.
  const Page* Find(uint64_t slot) const {
    const size_t at = slot / kPageSlots;
    return at < size ? pages()[at].load(std::memory_order_acquire) : nullptr;
  }
  bool Contains(Slot slot) const {
    const Page* page = Find(slot);
    if (page == nullptr) return false;
    const uint64_t word = page[slot % kPageSlots / 64].load(std::memory_order_relaxed);
    return (word >> (slot % 64) & 1) != 0;
  }
  static size_t Bytes(size_t size) { return sizeof(SlotPages) + size * sizeof(void*); }
  static constexpr size_t kPageBytes = kPageWords * sizeof(Page);
};

// What was unlinked while this was the newest generation. Whoever holds a generation
// may look at all that was unlinked from then on, so each holds the one after it.
struct SparseIndex::Generation {
  explicit Generation(std::shared_ptr<std::atomic<int64_t>> all) : bytes(std::move(all)) {}

  ~Generation() {
    for (const Memory& one : unlinked) {
      bytes->fetch_sub(static_cast<int64_t>(one.bytes), std::memory_order_relaxed);
      ::operator delete(one.memory);
    }
    // The chain may be long, and freeing one may free the next: not by recursion.
    static thread_local std::vector<std::shared_ptr<Generation>>* waiting = nullptr;
    if (next == nullptr) return;
    if (waiting != nullptr) {
      waiting->push_back(std::move(next));
      return;
    }
    std::vector<std::shared_ptr<Generation>> queue;
    queue.push_back(std::move(next));
    waiting = &queue;
    while (!queue.empty()) {
      const std::shared_ptr<Generation> one = std::move(queue.back());
      queue.pop_back();
    }
    waiting = nullptr;
  }

  const std::shared_ptr<std::atomic<int64_t>> bytes;
  std::vector<Memory> unlinked;
  std::shared_ptr<Generation> next;
};

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
  entry->weights = static_cast<float*>(Allocate(BlockBytes(block)));
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
  if (list != nullptr) {
    if (value > list->max.load(std::memory_order_relaxed)) {
      list->max.store(value, std::memory_order_relaxed);
    }
    if (value < list->min.load(std::memory_order_relaxed)) {
      list->min.store(value, std::memory_order_relaxed);
    }
  }
  Entry* last = list == nullptr ? nullptr : &list->entries()[list->count() - 1];
  const uint32_t count = last == nullptr ? 0 : last->count.load(std::memory_order_relaxed);
  if (last == nullptr || count == last->capacity || slot - last->first >= kBlockSlots) {
    AddBlock(place, index, slot, value);
    list = place->load(std::memory_order_relaxed);
  } else {
    last->weights[count] = value;
    last->distances()[count] = static_cast<uint16_t>(slot - last->first);
    if (value > last->max.load(std::memory_order_relaxed)) {
      last->max.store(value, std::memory_order_relaxed);
    }
    if (value < last->min.load(std::memory_order_relaxed)) {
      last->min.store(value, std::memory_order_relaxed);
    }
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
    for (size_t i = 0; i < kPageWords; ++i) new (&page[i]) SlotPages::Page(0);
    pages->pages()[at].store(page, std::memory_order_release);
  }
  return page;
}

void SparseIndex::Add(Slot slot, std::span<const uint32_t> indices, std::span<const float> values) {
  for (size_t i = 0; i < indices.size(); ++i) Append(indices[i], slot, values[i]);
  SlotPages::Page& word = PageOf(slot / kPageSlots)[slot % kPageSlots / 64];
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
  std::atomic<SlotPages::Page*>& at = pages->pages()[slot / kPageSlots];
  SlotPages::Page* page = at.load(std::memory_order_relaxed);
  SlotPages::Page& word = page[slot % kPageSlots / 64];
  const int64_t size_before = size();
  const uint64_t rest = word.load(std::memory_order_relaxed) & ~(uint64_t{1} << (slot % 64));
  word.store(rest, std::memory_order_relaxed);
  size_.fetch_sub(1, std::memory_order_relaxed);
  if (rest == 0 && end_.load(std::memory_order_relaxed) / kPageSlots > slot / kPageSlots &&
      std::all_of(page, page + kPageWords, [](const SlotPages::Page& one) {
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
  const uint32_t old_size = old->count();
  uint32_t live = 0;
  for (uint32_t i = 0; i < old_size; ++i) {
    const Entry& entry = old->entries()[i];
    const uint32_t count = entry.count.load(std::memory_order_relaxed);
    for (uint32_t j = 0; j < count; ++j) {
      live += pages->Contains(entry.first + entry.distances()[j]) ? 1 : 0;
    }
  }
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
  for (uint32_t i = 0; i < old_size; ++i) {
    const Entry& entry = old->entries()[i];
    const uint32_t count = entry.count.load(std::memory_order_relaxed);
    for (uint32_t j = 0; j < count; ++j) {
      const Slot slot = entry.first + entry.distances()[j];
      if (pages->Contains(slot)) kept.emplace_back(slot, entry.weights[j]);
    }
  }
  auto block_end = [&kept](size_t begin) {
    size_t end = begin;
    while (end < kept.size() && end - begin < kBlockPostings &&
           kept[end].first - kept[begin].first < kBlockSlots) {
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
    entry->weights = static_cast<float*>(Allocate(BlockBytes(capacity)));
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
    Unlink(list->entries()[i].weights, BlockBytes(list->entries()[i].capacity));
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

// The weight of a slot in ascending entries; false when it is in none.
bool SparseIndex::FindWeight(const Entry* begin, const Entry* end, uint64_t slot, float* weight) {
  const Entry* entry =
      std::partition_point(begin, end, [slot](const Entry& one) { return one.first <= slot; });
  if (entry == begin) return false;
  --entry;
  const uint64_t distance = slot - entry->first;
  if (distance >= kBlockSlots) return false;
  const uint32_t count = entry->count.load(std::memory_order_acquire);
  const uint32_t at = LowerBound(entry->distances(), count, static_cast<uint32_t>(distance));
  if (at == count || entry->distances()[at] != distance) return false;
  *weight = entry->weights[at];
  return true;
}

// One search.
class SparseIndex::Searcher {
 public:
  Searcher(size_t limit, const uint64_t* accept, size_t accept_words, SparseSearchStats* stats)
      : limit_(limit), accept_(accept), accept_words_(accept_words), stats_(*stats) {}

  std::vector<SlotHit> Run(const SparseIndex& index, std::span<const uint32_t> indices,
                           std::span<const float> values) {
    // In this order: every posting of a slot below end is in what is found after it, and
    // a slot of which one is missing there is no longer alive when that is asked later.
    end_ = index.end_.load(std::memory_order_acquire);
    pages_ = index.pages_.load(std::memory_order_acquire);
    const Table* table = index.table_.load(std::memory_order_acquire);
    if (pages_ == nullptr) return {};
    for (size_t i = 0; i < indices.size(); ++i) {
      const List* list = FindList(table, indices[i]);
      if (list == nullptr) continue;
      Term term;
      term.entry = list->entries();
      term.end = term.entry + list->size.load(std::memory_order_acquire);
      term.weight = values[i];
      const double max = list->max.load(std::memory_order_relaxed);
      const double min = list->min.load(std::memory_order_relaxed);
      term.bound = term.Bound(max, min);
      term.next = term.entry->first;
      magnitude_ += std::fabs(term.weight) * std::max(std::fabs(max), std::fabs(min));
      terms_.push_back(term);
    }
    stats_.lists = static_cast<int64_t>(terms_.size());
    if (terms_.empty()) return {};
    std::stable_sort(terms_.begin(), terms_.end(),
                     [](const Term& a, const Term& b) { return a.bound > b.bound; });
    // Additions of n terms in double are off by less than n * 2^-53 of their magnitude,
    // with room for a few more.
    error_ = static_cast<double>(terms_.size() + 4) * 0x1p-52 * magnitude_;
    sums_ = std::make_unique<double[]>(kWindow);
    std::fill_n(sums_.get(), kWindow, kUntouched);
    uint64_t last = end_;
    if (accept_ != nullptr) last = std::min<uint64_t>(last, uint64_t{accept_words_} * 64);
    for (uint64_t from = 0;;) {
      uint64_t next = kNever;
      for (const Term& term : terms_) next = std::min(next, term.next);
      next = std::max(next, from);
      if (next >= last) break;
      const uint64_t begin = next - next % kWindow;
      Window(begin);
      from = begin + kWindow;
    }
    std::sort(hits_.begin(), hits_.end(), Better);
    return std::move(hits_);
  }

 private:
  // What the sum of a slot is before anything is added; no sum of zeros is minus zero,
  // because +0.0 is added to each product.
  static constexpr double kUntouched = -0.0;
  static constexpr uint64_t kUntouchedBits = uint64_t{1} << 63;

  struct Term {
    const Entry* entry;  // holds the first posting that is not below the window, or the
                         // last one before it
    const Entry* end;
    const Entry* window_end;  // the entries that may reach into the window end here
    double weight;
    double bound;  // the most that the list can add to any slot
    double window_bound;
    uint64_t next;  // not above its next posting

    double Bound(double max, double min) const {
      return std::max(0.0, weight >= 0 ? weight * max : weight * min);
    }
  };

  // Moves the term's entry to the window and bounds what it can add there. Returns how
  // many postings it has in it, roughly.
  size_t Prepare(Term* term, uint64_t begin) const {
    const uint64_t end = begin + kWindow;
    if (term->entry + 1 < term->end && term->entry[1].first <= begin) {
      size_t step = 1;
      const Entry* low = term->entry + 1;
      while (term->end - low > static_cast<ptrdiff_t>(step) && low[step].first <= begin) {
        low += step;
        step *= 2;
      }
      const Entry* high = low + std::min<ptrdiff_t>(term->end - low, static_cast<ptrdiff_t>(step));
      term->entry = std::partition_point(low, high,
                                         [begin](const Entry& one) { return one.first <= begin; }) -
                    1;
    }
    float max = std::numeric_limits<float>::lowest();
    float min = std::numeric_limits<float>::max();
    size_t postings = 0;
    const Entry* entry = term->entry;
    for (; entry < term->end && entry->first < end; ++entry) {
      max = std::max(max, entry->max.load(std::memory_order_relaxed));
      min = std::min(min, entry->min.load(std::memory_order_relaxed));
      const size_t count = entry->count.load(std::memory_order_relaxed);
      const uint64_t first = entry->first;
      const uint64_t span =
          (entry + 1 < term->end ? entry[1].first : std::max<uint64_t>(end_, first + 1)) - first;
      postings += span <= kWindow ? count : count * kWindow / span + 1;
    }
    term->window_end = entry;
    term->window_bound = entry == term->entry ? 0 : term->Bound(max, min);
    return postings;
  }

  // Which slots of the window are accepted and alive. False when none is.
  bool Accepted(uint64_t begin) {
    const SlotPages::Page* page = pages_->Find(begin);
    if (page == nullptr) return false;
    page += begin % kPageSlots / 64;
    uint64_t any = 0;
    for (size_t i = 0; i < kWindowWords; ++i) {
      uint64_t word = page[i].load(std::memory_order_relaxed);
      if (accept_ != nullptr) {
        const size_t at = begin / 64 + i;
        word &= at < accept_words_ ? accept_[at] : 0;
      }
      const uint64_t first = begin + i * 64;
      if (first + 64 > end_) word &= first >= end_ ? 0 : (uint64_t{1} << (end_ - first)) - 1;
      accepted_[i] = word;
      any |= word;
    }
    return any != 0;
  }

  static void Prefetch(const Entry& entry) {
    const char* const block = reinterpret_cast<const char*>(entry.weights);
    for (size_t i = 0; i < BlockBytes(entry.capacity); i += 64) __builtin_prefetch(block + i);
  }

  // Adds the term's postings in the window to the sums; notes their slots if asked.
  template <bool kNote>
  void AddUp(Term* term, uint64_t begin) {
    const uint64_t end = begin + kWindow;
    double* const sums = sums_.get();
    const double weight = term->weight;
    term->next = kNever;
    for (const Entry* entry = term->entry; entry < term->window_end; ++entry) {
      const uint32_t count = entry->count.load(std::memory_order_acquire);
      const uint16_t* const distances = entry->distances();
      const float* const weights = entry->weights;
      const uint64_t first = entry->first;
      if (entry + 1 < term->window_end) Prefetch(entry[1]);
      const uint32_t from =
          first >= begin
              ? 0
              : LowerBound(distances, count,
                           static_cast<uint32_t>(std::min<uint64_t>(begin - first, kBlockSlots)));
      uint32_t to = count;
      if (first + distances[count - 1] >= end) {
        to = LowerBound(distances, count, static_cast<uint32_t>(end - first));
        term->next = first + distances[to];
      }
      stats_.postings += to > from ? to - from : 0;
      // Modulo 2^64 where the block begins before the window.
      const uint64_t shift = first - begin;
      for (uint32_t i = from; i < to; ++i) {
        const auto at = static_cast<size_t>(shift + distances[i]);
        sums[at] += weight * static_cast<double>(weights[i]) + 0.0;
        if (kNote) noted_[at / 64] |= uint64_t{1} << (at % 64);
      }
    }
    if (term->next == kNever && term->window_end < term->end) {
      term->next = term->window_end->first;
    }
  }

  // What the term adds to a slot of the window; false when it has no posting of it.
  bool Lookup(const Term& term, uint64_t slot, double* product) {
    ++stats_.lookups;
    float weight;
    if (!FindWeight(term.entry, term.window_end, slot, &weight)) return false;
    *product = term.weight * static_cast<double>(weight);
    return true;
  }

  // What a sum has to exceed, beyond its error, to be of any use. Slots come in
  // ascending order, so that an equal score loses.
  double Threshold() const {
    return hits_.size() < limit_ ? -std::numeric_limits<double>::infinity()
                                 : double{hits_.front().score};
  }

  void Offer(uint64_t slot, double sum) {
    if (sum + error_ <= Threshold()) return;
    SlotHit hit;
    hit.slot = static_cast<Slot>(slot);
    hit.score = ToFloat(sum - error_);
    if (hit.score != ToFloat(sum + error_)) hit.score = ScoreExactly(slot);
    if (hits_.size() < limit_) {
      hits_.push_back(hit);
      if (hits_.size() == limit_) std::make_heap(hits_.begin(), hits_.end(), Better);
      return;
    }
    if (!Better(hit, hits_.front())) return;
    std::pop_heap(hits_.begin(), hits_.end(), Better);
    hits_.back() = hit;
    std::push_heap(hits_.begin(), hits_.end(), Better);
  }

  float ScoreExactly(uint64_t slot) {
    std::vector<double> products;
    for (const Term* term : window_terms_) {
      double product;
      if (Lookup(*term, slot, &product)) products.push_back(product);
    }
    return SumExactly(products);
  }

  // Makes candidates of the slots whose sum is above `floor`.
  void FindCandidates(bool noted, double floor) {
    const double* sums = sums_.get();
    if (noted) {
      for (size_t i = 0; i < kWindowWords; ++i) {
        uint64_t found = 0;
        for (uint64_t bits = noted_[i] & accepted_[i]; bits != 0; bits &= bits - 1) {
          if (sums[i * 64 + static_cast<size_t>(std::countr_zero(bits))] > floor) {
            found |= bits & -bits;
          }
        }
        candidates_[i] = found;
      }
      return;
    }
    for (size_t i = 0; i < kWindowWords; ++i, sums += 64) {
      candidates_[i] = accepted_[i] == 0 ? 0 : Above(sums, floor) & accepted_[i];
    }
    if (floor >= 0) return;
    for (size_t i = 0; i < kWindowWords; ++i) {
      for (uint64_t bits = candidates_[i]; bits != 0; bits &= bits - 1) {
        const double sum = sums_[i * 64 + static_cast<size_t>(std::countr_zero(bits))];
        if (std::bit_cast<uint64_t>(sum) == kUntouchedBits) candidates_[i] ^= bits & -bits;
      }
    }
  }

  // Adds the rest of the window's terms, from `used` on, to the sum of a slot as long as
  // it may win, and offers it. A slot in no list is not a hit.
  void Finish(uint64_t slot, double sum, size_t used, bool found) {
    const double slack = 2 * error_;
    for (size_t i = used; i < window_terms_.size(); ++i) {
      if (sum + rest_[i] + slack <= Threshold()) return;
      double product;
      if (!Lookup(*window_terms_[i], slot, &product)) continue;
      sum += product;
      found = true;
    }
    if (found) Offer(slot, sum);
  }

  size_t CountAccepted(const std::array<uint64_t, kWindowWords>& words, size_t at_most) const {
    size_t count = 0;
    for (size_t i = 0; i < kWindowWords && count <= at_most; ++i) {
      count += static_cast<size_t>(std::popcount(words[i]));
    }
    return count;
  }

  void Window(uint64_t begin) {
    if (!Accepted(begin)) return;
    ++stats_.windows;
    window_terms_.clear();
    estimates_.clear();
    size_t postings = 0;
    for (Term& term : terms_) {
      if (term.next >= begin + kWindow) continue;
      const size_t estimate = Prepare(&term, begin);
      if (term.window_end == term.entry) continue;
      window_terms_.push_back(&term);
      estimates_.push_back(estimate);
      postings += estimate;
    }
    const size_t n = window_terms_.size();
    // rest_[i]: the most that the terms from i on can add.
    rest_.assign(n + 1, 0);
    for (size_t i = n; i-- > 0;) rest_[i] = rest_[i + 1] + window_terms_[i]->window_bound;
    // A slot in none of the first `used` lists cannot win.
    const double slack = 2 * error_;
    size_t used = n;
    while (used > 0 && rest_[used - 1] + slack <= Threshold()) --used;
    if (used == 0) {
      ++stats_.windows_skipped;
      return;
    }
    const size_t few = postings / (n * kLookupPostings);
    if (CountAccepted(accepted_, few) <= few) {
      ForEach(accepted_, [&](size_t at) { Finish(begin + at, 0, 0, false); });
      return;
    }
    size_t expected = 0;
    for (size_t i = 0; i < used; ++i) expected += estimates_[i];
    const bool note = expected < kNotedPostings;
    if (note) noted_.fill(0);
    auto add_up = [&](size_t from, size_t to) {
      for (size_t i = from; i < to; ++i) {
        if (i + 1 < to) Prefetch(*window_terms_[i + 1]->entry);
        note ? AddUp<true>(window_terms_[i], begin) : AddUp<false>(window_terms_[i], begin);
      }
    };
    add_up(0, used);
    FindCandidates(note, Threshold() - rest_[used] - slack);
    if (used < n) {
      const size_t worth = (postings - expected) / ((n - used) * kLookupPostings);
      if (CountAccepted(candidates_, worth) > worth) {
        add_up(used, n);
        used = n;
        FindCandidates(note, Threshold() - slack);
      }
    }
    ForEach(candidates_, [&](size_t at) { Finish(begin + at, sums_[at], used, true); });
    if (note) {
      ForEach(noted_, [&](size_t at) { sums_[at] = kUntouched; });
    } else {
      std::fill_n(sums_.get(), kWindow, kUntouched);
    }
  }

  // Bits in ascending order.
  template <typename Visit>
  static void ForEach(const std::array<uint64_t, kWindowWords>& words, Visit visit) {
    for (size_t i = 0; i < kWindowWords; ++i) {
      for (uint64_t bits = words[i]; bits != 0; bits &= bits - 1) {
        visit(i * 64 + static_cast<size_t>(std::countr_zero(bits)));
      }
    }
  }

  const size_t limit_;
  const uint64_t* const accept_;
  const size_t accept_words_;
  SparseSearchStats& stats_;
  Slot end_ = 0;
  const SlotPages* pages_ = nullptr;
  // Largest bound first.
  std::vector<Term> terms_;
  // The most that the absolute products of a slot can add up to, and how far a sum in
  // double can be off.
  double magnitude_ = 0;
  double error_ = 0;
  // A heap with the worst on top once there are `limit`.
  std::vector<SlotHit> hits_;

  // Of the window.
  std::unique_ptr<double[]> sums_;
  std::array<uint64_t, kWindowWords> accepted_;
  std::array<uint64_t, kWindowWords> noted_;
  std::array<uint64_t, kWindowWords> candidates_;
  std::vector<Term*> window_terms_;
  std::vector<size_t> estimates_;
  std::vector<double> rest_;
};

std::vector<SlotHit> SparseIndex::Search(std::span<const uint32_t> indices,
                                         std::span<const float> values, size_t limit,
                                         const uint64_t* accept, size_t accept_words,
                                         SparseSearchStats* stats) const {
  SparseSearchStats ignored;
  if (stats == nullptr) stats = &ignored;
  *stats = SparseSearchStats();
  if (limit == 0 || indices.empty()) return {};
  const std::shared_ptr<const Generation> pin = Pin();
  return Searcher(limit, accept, accept_words, stats).Run(*this, indices, values);
}

std::optional<float> SparseIndex::Score(Slot slot, std::span<const uint32_t> indices,
                                        std::span<const float> values) const {
  const std::shared_ptr<const Generation> pin = Pin();
  if (slot >= end_.load(std::memory_order_acquire)) return std::nullopt;
  const SlotPages* pages = pages_.load(std::memory_order_acquire);
  const Table* table = table_.load(std::memory_order_acquire);
  if (pages == nullptr) return std::nullopt;
  std::vector<double> products;
  for (size_t i = 0; i < indices.size(); ++i) {
    const List* list = FindList(table, indices[i]);
    if (list == nullptr) continue;
    const Entry* begin = list->entries();
    float weight;
    if (FindWeight(begin, begin + list->size.load(std::memory_order_acquire), slot, &weight)) {
      products.push_back(double{values[i]} * double{weight});
    }
  }
  // After the lists: a slot of which a posting was reclaimed meanwhile is not here now.
  if (products.empty() || !pages->Contains(slot)) return std::nullopt;
  return SumExactly(products);
}

// Parts, each a letter and what follows:
//   H  version (1 byte), end (4), slots that are here (8): first
//   S  page (4), its words of bits: for each page with bits, in order
//   P  for some postings of a list: index, number, first slot, distance of each further
//      one (varints), weights (4 each); lists in order of their indices, long ones in
//      several pieces, several pieces in a part
//   E  postings (8), lists (8): last
namespace {
constexpr char kFormat = 1;
constexpr size_t kPartBytes = 512 << 10;
constexpr size_t kPiecePostings = 64 << 10;
}  // namespace

absl::Status SparseIndex::Save(absl::FunctionRef<absl::Status(std::string_view part)> sink) const {
  const SlotPages* pages = pages_.load(std::memory_order_relaxed);
  const Table* table = table_.load(std::memory_order_relaxed);
  std::string part = {'H', kFormat};
  PutFixed32(&part, end());
  PutFixed64(&part, static_cast<uint64_t>(size()));
  COOKIX_RETURN_IF_ERROR(sink(part));
  for (size_t i = 0; pages != nullptr && i < pages->size; ++i) {
    const SlotPages::Page* page = pages->pages()[i].load(std::memory_order_relaxed);
    if (page == nullptr) continue;
    part = "S";
    PutFixed32(&part, static_cast<uint32_t>(i));
    uint64_t any = 0;
    for (size_t j = 0; j < kPageWords; ++j) {
      const uint64_t word = page[j].load(std::memory_order_relaxed);
      PutFixed64(&part, word);
      any |= word;
    }
    if (any != 0) COOKIX_RETURN_IF_ERROR(sink(part));
  }
  std::vector<const List*> lists;
  for (size_t i = 0; table != nullptr && i <= table->mask; ++i) {
    const List* list = table->places()[i].load(std::memory_order_relaxed);
    if (Table::IsList(list)) lists.push_back(list);
  }
  std::sort(lists.begin(), lists.end(),
            [](const List* a, const List* b) { return a->index < b->index; });
  uint64_t all_postings = 0;
  uint64_t all_lists = 0;
  part = "P";
  std::string slots;
  std::string weights;
  for (const List* list : lists) {
    size_t pieces = 0;
    size_t count = 0;
    Slot last = 0;
    auto end_piece = [&] {
      if (count == 0) return;
      PutVarint64(&part, list->index);
      PutVarint64(&part, count);
      part.append(slots);
      part.append(weights);
      all_postings += count;
      ++pieces;
      count = 0;
      slots.clear();
      weights.clear();
    };
    for (uint32_t i = 0; i < list->count(); ++i) {
      const Entry& entry = list->entries()[i];
      const uint32_t entry_count = entry.count.load(std::memory_order_relaxed);
      for (uint32_t j = 0; j < entry_count; ++j) {
        const Slot slot = entry.first + entry.distances()[j];
        if (!pages->Contains(slot)) continue;
        PutVarint64(&slots, count == 0 ? slot : slot - last);
        PutFixed32(&weights, std::bit_cast<uint32_t>(entry.weights[j]));
        last = slot;
        if (++count < kPiecePostings) continue;
        end_piece();
        if (part.size() < kPartBytes) continue;
        COOKIX_RETURN_IF_ERROR(sink(part));
        part = "P";
      }
    }
    end_piece();
    if (pieces > 0) ++all_lists;
    if (part.size() < kPartBytes) continue;
    COOKIX_RETURN_IF_ERROR(sink(part));
    part = "P";
  }
  if (part.size() > 1) COOKIX_RETURN_IF_ERROR(sink(part));
  part = "E";
  PutFixed64(&part, all_postings);
  PutFixed64(&part, all_lists);
  return sink(part);
}

absl::Status SparseIndex::Load(absl::FunctionRef<absl::StatusOr<std::string_view>()> next) {
  absl::Status status = LoadParts(next);
  if (!status.ok()) Clear();
  return status;
}

absl::Status SparseIndex::LoadParts(absl::FunctionRef<absl::StatusOr<std::string_view>()> next) {
  const auto damaged = [](std::string_view what) {
    return Corruption(what, "Drop the saved index; it is rebuilt from the store");
  };
  bool begun = false;
  bool ended = false;
  uint32_t end = 0;
  uint64_t size = 0;
  int64_t last_page = -1;
  int64_t last_index = -1;
  Slot last_slot = 0;
  std::vector<Slot> slots;
  for (;;) {
    absl::StatusOr<std::string_view> part = next();
    COOKIX_RETURN_IF_ERROR(part.status());
    std::string_view in = *part;
    if (in.empty()) break;
    const char kind = in.front();
    in.remove_prefix(1);
    if (begun == (kind == 'H') || ended) {
      return damaged("the parts of a sparse index are out of order");
    }
    if (kind == 'H') {
      if (in.empty() || in.front() != kFormat) {
        return damaged("a sparse index has another format");
      }
      in.remove_prefix(1);
      if (!GetFixed32(&in, &end) || !GetFixed64(&in, &size) || !in.empty()) {
        return damaged("the header of a sparse index is damaged");
      }
      begun = true;
    } else if (kind == 'S') {
      uint32_t number;
      if (!GetFixed32(&in, &number) || in.size() != SlotPages::kPageBytes ||
          int64_t{number} <= last_page || uint64_t{number} * kPageSlots >= end || last_index >= 0) {
        return damaged("the slots of a sparse index are damaged");
      }
      last_page = number;
      SlotPages::Page* page = PageOf(number);
      for (size_t i = 0; i < kPageWords; ++i) {
        uint64_t word = 0;
        GetFixed64(&in, &word);
        const uint64_t first = uint64_t{number} * kPageSlots + i * 64;
        const uint64_t room = first >= end ? 0 : end - first;
        if (room < 64 && (word >> room) != 0) {
          return damaged("the slots of a sparse index are damaged");
        }
        page[i].store(word, std::memory_order_relaxed);
        size_.fetch_add(std::popcount(word), std::memory_order_relaxed);
      }
    } else if (kind == 'P') {
      const SlotPages* pages = pages_.load(std::memory_order_relaxed);
      while (!in.empty()) {
        uint64_t index;
        uint64_t count;
        if (!GetVarint64(&in, &index) || index > UINT32_MAX || !GetVarint64(&in, &count) ||
            count == 0 || count > kPiecePostings || count > in.size() ||
            static_cast<int64_t>(index) < last_index || pages == nullptr) {
          return damaged("a list of a sparse index is damaged");
        }
        const bool continued = static_cast<int64_t>(index) == last_index;
        last_index = static_cast<int64_t>(index);
        slots.clear();
        uint64_t slot = 0;
        for (uint64_t i = 0; i < count; ++i) {
          uint64_t distance;
          if (!GetVarint64(&in, &distance) || distance >= end ||
              (i == 0 ? continued && distance <= last_slot : distance == 0) ||
              (slot += distance) >= end || !pages->Contains(static_cast<Slot>(slot))) {
            return damaged("a list of a sparse index is damaged");
          }
          slots.push_back(static_cast<Slot>(slot));
        }
        last_slot = slots.back();
        if (in.size() < count * sizeof(uint32_t)) {
          return damaged("a list of a sparse index is damaged");
        }
        for (const Slot one : slots) {
          uint32_t bits = 0;
          GetFixed32(&in, &bits);
          const float weight = std::bit_cast<float>(bits);
          if (!std::isfinite(weight)) {
            return damaged("a weight of a sparse index is not finite");
          }
          Append(static_cast<uint32_t>(index), one, weight);
        }
      }
    } else if (kind == 'E') {
      uint64_t all_postings = 0;
      uint64_t all_lists = 0;
      if (!GetFixed64(&in, &all_postings) || !GetFixed64(&in, &all_lists) || !in.empty() ||
          all_postings != static_cast<uint64_t>(postings()) ||
          all_lists != static_cast<uint64_t>(lists()) ||
          size != static_cast<uint64_t>(this->size())) {
        return damaged("a part of a sparse index is missing");
      }
      ended = true;
    } else {
      return damaged("a part of a sparse index is of no known kind");
    }
  }
  if (!ended) return damaged("the end of a sparse index is missing");
  Publish(end);
  Retire();
  return absl::OkStatus();
}

}  // namespace cookix::engine
