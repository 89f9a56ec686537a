// How SparseIndex answers.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "engine/vector/sparse_index.h"
#include "engine/vector/sparse_lists.h"

namespace cookix::engine {
namespace {

constexpr size_t kWindow = 4096;
constexpr size_t kWindowWords = kWindow / 64;
// Below so many postings in a window the slots they hit are noted, and above all of the
// window is looked through.
constexpr size_t kNotedPostings = 256;
// What one search in a list costs, in postings added up.
constexpr size_t kLookupPostings = 12;

// Between two looks at the clock: postings, searches of a list and windows.
constexpr int64_t kStepsPerCheck = 1 << 16;
constexpr int64_t kWindowSteps = 256;

constexpr uint64_t kNever = UINT64_MAX;

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

// The weight of a slot in ascending entries; false when it is in none.
bool SparseIndex::FindWeight(const Entry* begin, const Entry* end, uint64_t slot, float* weight) {
  const Entry* entry =
      std::partition_point(begin, end, [slot](const Entry& one) { return one.first <= slot; });
  if (entry == begin) return false;
  --entry;
  const uint64_t distance = slot - entry->first;
  if (distance >= Entry::kBlockSlots) return false;
  const uint32_t count = entry->count.load(std::memory_order_acquire);
  const uint32_t at = LowerBound(entry->distances(), count, static_cast<uint32_t>(distance));
  if (at == count || entry->distances()[at] != distance) return false;
  *weight = entry->weights[at];
  return true;
}

// One search.
class SparseIndex::Searcher {
 public:
  Searcher(size_t limit, const uint64_t* accept, size_t accept_words, const CallContext* context,
           SparseSearchStats* stats)
      : limit_(limit),
        accept_(accept),
        accept_words_(accept_words),
        context_(context),
        stats_(*stats) {}

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
    for (uint64_t from = 0; !Over();) {
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

  // Whether nobody waits for the answer any more.
  bool Over() {
    ++windows_;
    const int64_t steps = stats_.postings + stats_.lookups + windows_ * kWindowSteps;
    if (context_ == nullptr || steps < next_check_) return false;
    next_check_ = steps + kStepsPerCheck;
    return !context_->Check().ok();
  }

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
    page += begin % SlotPages::kPageSlots / 64;
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
    for (size_t i = 0; i < Entry::BlockBytes(entry.capacity); i += 64)
      __builtin_prefetch(block + i);
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
      const uint32_t from = first >= begin ? 0
                                           : LowerBound(distances, count,
                                                        static_cast<uint32_t>(std::min<uint64_t>(
                                                            begin - first, Entry::kBlockSlots)));
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
  const CallContext* const context_;
  SparseSearchStats& stats_;
  int64_t windows_ = 0;
  int64_t next_check_ = 0;
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
                                         SparseSearchStats* stats,
                                         const CallContext* context) const {
  SparseSearchStats ignored;
  if (stats == nullptr) stats = &ignored;
  *stats = SparseSearchStats();
  if (limit == 0 || indices.empty()) return {};
  const std::shared_ptr<const Generation> pin = Pin();
  return Searcher(limit, accept, accept_words, context, stats).Run(*this, indices, values);
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

}  // namespace cookix::engine
