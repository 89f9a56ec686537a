// How DenseIndex answers: what it compares, what it compares again, and what of that holds at
// the reader's commit.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>
#include <numeric>
#include <utility>
#include <vector>

#include "engine/stopwatch.h"
#include "engine/vector/accepted_slots.h"
#include "engine/vector/code_copies.h"
#include "engine/vector/dense_index.h"
#include "engine/vector/dense_question.h"
#include "engine/vector/exact_distance.h"
#include "engine/vector/halved_codes.h"
#include "engine/vector/near_kernels.h"
#include "engine/vector/slot_sketches.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

// With a filter, so many matches are compared one by one, or this part of all.
constexpr size_t kScanMatches = 4096;
constexpr size_t kScanPart = 64;
// Where all that matches is compared, this part of it is compared again: among what is far
// from the query there are many whose codes are not told apart. At most so many.
constexpr size_t kRefinedPart = 64;
constexpr size_t kMostRefined = 1024;
// A filter that lets through less than this share of what is expected near the query is
// taken to be against it.
constexpr double kFewerThanExpected = 0.35;
// About how many distances a search takes for each candidate that it keeps.
constexpr size_t kDistancesPerCandidate = 24;
// What a distance costs that a search of the graph takes, next to one of a scan, about.
constexpr size_t kGraphDistance = 3;
// A scan of so many times the matches reads which slots match from a set of slots, which is
// kept from search to search.
constexpr size_t kSlotsPerMatch = 4096;
// Bytes of codes that are copied for a filter, at most, and filters that are remembered.
constexpr size_t kMostCopied = size_t{4} << 20;
constexpr size_t kFiltersKept = 4;
// Stored vectors that are read, and objects that are ranked, between two looks at the clock.
constexpr size_t kReadsPerCheck = 64;
constexpr size_t kObjectsPerCheck = 1024;
// By so many standard deviations a distance by code is taken to be wrong at most.
constexpr float kSpreads = 4;
// Where codes are halved, so many times as many as are wanted, of those that are near by their
// upper halves, tell how near the nearest are; at most this part of all, or as many as are wanted.
constexpr size_t kFirstNear = 8;
constexpr size_t kFirstPart = 64;
// By so many standard deviations a distance by upper halves is taken to be wrong at most. Where
// those first ones are wrong by this many, they are not such as was assumed: all are completed.
constexpr float kHalfSpreads = 3;
constexpr float kMostWrong = 2;
// Of what is compared again, so many are asked for before the first is.
constexpr size_t kFetched = 192;
// Hits may need more candidates than there are hits: several vectors of one object, dead
// slots, slots of later commits. So often all is done again, with four times as many.
constexpr int kRounds = 6;

// Calls `each` with every slot that lives now and, unless it is null, is in `accepted`. False
// when the context is over; then some were left out.
template <typename F>
bool ForEachAlive(const CallContext& context, const SlotTable& table, const SlotBits* accepted,
                  F&& each) {
  const size_t words = (table.end() + 63) / 64;
  for (size_t i = 0; i < words; ++i) {
    uint64_t word = table.alive().word(i);
    if (accepted != nullptr) word &= i < accepted->words().size() ? accepted->words()[i] : 0;
    for (; word != 0; word &= word - 1) {
      each(static_cast<Slot>(i * 64 + static_cast<size_t>(__builtin_ctzll(word))));
    }
    if (i % (kSlotsPerCheck / 64) == 0 && !context.Check().ok()) return false;
  }
  return true;
}

// Ascending, each slot once: the same may have come from the tail and from the graph.
void SortAndMerge(std::vector<Candidate>* candidates) {
  std::sort(candidates->begin(), candidates->end());
  candidates->erase(
      std::unique(candidates->begin(), candidates->end(),
                  [](const Candidate& a, const Candidate& b) { return a.slot == b.slot; }),
      candidates->end());
}

}  // namespace

double DenseIndex::WireDistance(double distance) const {
  return field_.metric() == v1::VECTOR_METRIC_L2 ? std::sqrt(std::max(0.0, distance)) : distance;
}

float DenseIndex::Spread(const Question& question, const CodeParams& params) {
  return kSpreads * question.codec().CodeSpread(question.query, params);
}

float DenseIndex::SpreadOfScale(const Question& question, const CodeParams& widest) const {
  const bool known = !keeps_all() && std::isfinite(question.codec().CodeSpread(question.query, {}));
  return known && widest.scale > 0 ? Spread(question, widest) / widest.scale : 0;
}

float DenseIndex::MarginOf(const Question& question, const CodeParams& widest) {
  // One is wrong whatever the other is.
  return std::numbers::sqrt2_v<float> * Spread(question, widest);
}

// Compares slots and keeps the nearest: one block while the next comes from memory.
class DenseIndex::Scanner {
 public:
  explicit Scanner(Question& question) : question_(question) {}

  void Add(Slot slot) {
    Block& block = blocks_[now_];
    question_.storage->Fetch(
        question_.query, 1, [slot](size_t) { return slot; }, &block.codes[block.count],
        &block.params[block.count]);
    block.slots[block.count++] = slot;
    if (block.count < VectorStorage::kBlock) return;
    now_ = 1 - now_;
    Compare(blocks_[now_]);
  }
  void Finish() {
    Compare(blocks_[1 - now_]);
    Compare(blocks_[now_]);
  }

 private:
  struct Block {
    const uint8_t* codes[VectorStorage::kBlock];
    const CodeParams* params[VectorStorage::kBlock];
    Slot slots[VectorStorage::kBlock];
    size_t count = 0;
  };
  void Compare(Block& block) {
    float distances[VectorStorage::kBlock];
    question_.storage->codec().Distances(question_.query, block.codes, block.params, block.count,
                                         distances);
    if (question_.pool.keeps_more()) Widen(block);
    question_.pool.Insert(distances, block.slots, block.count);
    question_.result->candidates_considered += static_cast<int64_t>(block.count);
    block.count = 0;
  }

  void Widen(const Block& block) {
    const float before = widest_.scale;
    for (size_t i = 0; i < block.count; ++i) {
      widest_.scale = std::max(widest_.scale, block.params[i]->scale);
    }
    if (widest_.scale > before) question_.pool.Widen(MarginOf(question_, widest_));
  }

  Question& question_;
  CodeParams widest_;
  Block blocks_[2];
  int now_ = 0;
};

void DenseIndex::ScanAll(Question& question) const {
  const std::shared_ptr<const SlotBits> accepted =
      question.search->accept == nullptr ? nullptr : AcceptedSlots(question);
  Scanner scanner(question);
  const bool done = ForEachAlive(*question.context, table_, accepted.get(),
                                 [&](Slot slot) { scanner.Add(slot); });
  if (done) scanner.Finish();
}

void DenseIndex::ScanAccepted(Question& question) const {
  Scanner scanner(question);
  const bool lists = keeps_all();
  ForEachAccepted(*question.context, table_, *question.search->accept, [&](Slot slot) {
    scanner.Add(slot);
    if (!lists) return;
    while ((slot = table_.Next(slot)) != kNoSlot) scanner.Add(slot);
  });
  scanner.Finish();
}

void DenseIndex::ScanTail(Question& question) const {
  Scanner scanner(question);
  const OrdinalSet* accept = question.search->accept.get();
  for (const Range& range : question.tail) {
    for (Slot slot = range.begin; slot < range.end; ++slot) {
      if (!table_.Alive(slot)) continue;
      if (accept != nullptr && !accept->Contains(table_.OrdinalOf(slot))) continue;
      scanner.Add(slot);
      const int64_t scanned = ++question.result->tail_scanned;
      if (static_cast<size_t>(scanned) % kSlotsPerCheck == 0 && !question.context->Check().ok())
        return;
    }
  }
  scanner.Finish();
}

void DenseIndex::CollectAll(const Question& question, std::vector<Candidate>* candidates) const {
  const std::shared_ptr<const SlotBits> accepted =
      question.search->accept == nullptr ? nullptr : AcceptedSlots(question);
  candidates->clear();
  const bool done = ForEachAlive(*question.context, table_, accepted.get(), [&](Slot slot) {
    candidates->push_back({question.storage->Refine(question.query, slot), slot});
  });
  if (!done) return;
  question.result->candidates_considered += static_cast<int64_t>(candidates->size());
}

DenseIndex::AcceptCache* DenseIndex::CachedMatches(const std::shared_ptr<const OrdinalSet>& accept,
                                                   uint64_t stamp) const {
  for (AcceptCache& cached : accept_cache_) {
    if (cached.stamp == stamp && cached.accept.lock() == accept) return &cached;
  }
  return nullptr;
}

std::shared_ptr<const SlotBits> DenseIndex::AcceptedSlots(const Question& question) const {
  const std::shared_ptr<const OrdinalSet>& accept = question.search->accept;
  const uint64_t stamp = table_.stamp();
  {
    std::lock_guard<std::mutex> lock(accept_mutex_);
    const AcceptCache* const cached = CachedMatches(accept, stamp);
    if (cached != nullptr) return cached->slots;
  }
  auto slots = std::make_shared<SlotBits>(table_.end());
  const bool done = ForEachAccepted(*question.context, table_, *accept, [&](Slot first) {
    for (Slot slot = first; slot != kNoSlot; slot = table_.Next(slot)) slots->Set(slot);
  });
  if (!done) return slots;
  std::lock_guard<std::mutex> lock(accept_mutex_);
  accept_cache_.push_back({accept, stamp, slots, nullptr, nullptr});
  if (accept_cache_.size() > kFiltersKept) accept_cache_.pop_front();
  return slots;
}

DenseIndex::Copied DenseIndex::CopiedMatches(const Question& question, size_t matches) const {
  const std::shared_ptr<const OrdinalSet>& accept = question.search->accept;
  if (accept == nullptr || CodeCopies::Bytes(question.codec(), matches) > kMostCopied) return {};
  const uint64_t stamp = table_.stamp();
  std::shared_ptr<const SlotBits> slots;
  {
    std::lock_guard<std::mutex> lock(accept_mutex_);
    const AcceptCache* const cached = CachedMatches(accept, stamp);
    if (cached == nullptr) return {};
    if (cached->copies != nullptr && cached->copies->storage() == question.storage) {
      return {cached->copies, cached->sketched};
    }
    slots = cached->slots;
  }
  Copied copied = {CodeCopies::Make(*question.storage, *slots), nullptr};
  if (copied.copies != nullptr &&
      SketchedMatches::Fit(question.codec(), copied.copies->slots().size())) {
    copied.sketched = std::make_shared<SketchedMatches>(*question.storage, copied.copies);
  }
  std::lock_guard<std::mutex> lock(accept_mutex_);
  AcceptCache* const cached = CachedMatches(accept, stamp);
  if (cached != nullptr) {
    cached->copies = copied.copies;
    cached->sketched = copied.sketched;
  }
  return {copied.copies, nullptr};
}

void DenseIndex::ScanCopies(Question& question, const CodeCopies& copies) const {
  // They are compared by whole lanes, and found so.
  static_assert(kLanes == kNearLanes);
  const size_t count = copies.slots().size();
  const HalvedCodes* const halved = copies.halved();
  HalvedQuery query;
  if (halved != nullptr) query = halved->Prepare(question.codec().LaneQueryOf(question.query));
  float* const distances = question.DistancesFor(count);
  for (size_t begin = 0; begin < count; begin += kSlotsPerCheck) {
    const size_t some = std::min(kSlotsPerCheck, count - begin);
    if (halved != nullptr) {
      halved->Distances(query, begin, some, distances + begin);
    } else {
      copies.Distances(question.query, begin, some, distances + begin);
    }
    if (!question.context->Check().ok()) return;
  }
  question.result->candidates_considered += static_cast<int64_t>(count);
  Slot* const slots = question.NumbersFor(count);
  const size_t near = std::min(question.near, question.want);
  size_t found = halved != nullptr ? FindNearHalves(question, near, copies, query)
                                   : FindNearCopies(question, near, copies);
  if (found > 0) {
    const auto scale_of = [&](uint32_t place) { return copies.scale(place); };
    const CodeParams& widest = copies.widest();
    found = KeepNear(near, SpreadOfScale(question, widest), widest.scale, scale_of, found,
                     distances, slots, &question.least);
    if (found > question.want) found = LeaveNearest(question, found);
  }
  if (found > 0 && found >= near) {
    for (size_t i = 0; i < found; ++i) slots[i] = copies.slots()[slots[i]];
  } else {
    // There are no more, or beyond what floats hold none is nearer than another.
    std::copy_n(copies.slots().begin(), count, slots);
    found = count;
  }
  question.unordered = found;
  question.left_out = found < count;
  PrefetchUnordered(question);
}

size_t DenseIndex::FindNearCopies(Question& question, size_t near, const CodeCopies& copies) const {
  const NearKernels& kernels = BestNearKernels();
  const size_t count = copies.slots().size();
  if (count <= near) return 0;
  float* const distances = question.distances.data();
  uint32_t* const places = question.sketched.near.data();
  const size_t end = FillLanes(distances, count);
  const float spread = SpreadOfScale(question, copies.widest()) * copies.widest().scale;
  const float bound = BoundOfMany(kernels, distances, end, near, &question.least);
  if (!std::isfinite(bound + spread)) return 0;
  const size_t found = kernels.find_near(distances, end, bound + spread, places);
  // Then all distances are left where they are.
  if (found < near) return 0;
  for (size_t i = 0; i < found; ++i) distances[i] = distances[places[i]];
  return found;
}

size_t DenseIndex::FindNearHalves(Question& question, size_t near, const CodeCopies& copies,
                                  const HalvedQuery& query) const {
  const NearKernels& kernels = BestNearKernels();
  const size_t count = copies.slots().size();
  if (count <= near) return 0;
  float* const distances = question.distances.data();
  uint32_t* const places = question.sketched.near.data();
  const float widest = copies.widest().scale;
  const float spread = SpreadOfScale(question, copies.widest()) * widest;
  // In place: each comes from its own place or one behind it.
  const auto complete = [&](size_t found, float* completed) {
    for (size_t i = 0; i < found; ++i) completed[i] = distances[places[i]];
    return copies.halved()->Complete(query, places, found, completed);
  };

  // Some of the nearest tell how near the nearest are, and whether upper halves are to be trusted.
  const size_t first = std::max(near, std::min(kFirstNear * near, count / kFirstPart));
  const size_t end = FillLanes(distances, count);
  float bound = BoundOfMany(kernels, distances, end, first, &question.least);
  size_t found = kernels.find_near(distances, end, bound, places);
  if (found > 2 * first) {
    // That of groups is wide where what is near lies side by side.
    bound = kernels.bound(distances, end, first);
    found = kernels.find_near(distances, end, bound, places);
  }
  float farthest = std::numeric_limits<float>::infinity();
  if (found >= near && found <= 2 * first) {
    if (question.nearest.size() < found + kNearLanes) question.nearest.resize(found + kNearLanes);
    float* const nearest = question.nearest.data();
    if (complete(found, nearest) < kMostWrong) {
      farthest = kernels.bound(nearest, FillLanes(nearest, found), near) + spread;
    }
  }
  const float by_upper = std::max(farthest + kHalfSpreads * query.spread * widest, bound);
  if (std::isfinite(by_upper)) {
    found = kernels.find_near(distances, end, by_upper, places);
  } else {
    std::iota(places, places + count, 0u);
    found = count;
  }
  complete(found, distances);
  if (!std::isfinite(farthest)) return found;
  return kernels.keep_near(distances, places, FillLanes(distances, found), farthest);
}

size_t DenseIndex::LeaveNearest(Question& question, size_t found) {
  const NearKernels& kernels = BestNearKernels();
  float* const distances = question.distances.data();
  uint32_t* const numbers = question.sketched.near.data();
  const size_t end = FillLanes(distances, found);
  found = kernels.keep_near(distances, numbers, end, kernels.bound(distances, end, question.want));
  if (found <= question.want) return found;
  // Some more, or many that are as near.
  std::vector<Candidate>& nearest = question.candidates;
  for (size_t i = 0; i < found; ++i) nearest.push_back({distances[i], numbers[i]});
  std::nth_element(nearest.begin(), nearest.begin() + static_cast<ptrdiff_t>(question.want),
                   nearest.end());
  for (size_t i = 0; i < question.want; ++i) {
    distances[i] = nearest[i].distance;
    numbers[i] = nearest[i].slot;
  }
  nearest.clear();
  return question.want;
}

bool DenseIndex::ScanSketched(Question& question, const SketchedMatches& sketched) const {
  const size_t ef = std::max(question.limit, question.ef) + question.changes.size();
  const size_t count =
      sketched.FindNear(question.values.data(), ef, &question.sketch, &question.sketched);
  const Slot* const slots = question.sketched.near.data();
  const auto living = static_cast<size_t>(
      std::count_if(slots, slots + count, [&](Slot slot) { return table_.Alive(slot); }));
  if (count == 0 || 4 * living < 3 * count) return false;
  CompareFound(question, count);
  question.unordered = KeepNearSlots(question, std::min(question.near, question.want), count,
                                     sketched.copies().widest());
  question.left_out = true;
  PrefetchUnordered(question);
  return true;
}

void DenseIndex::CompareFound(Question& question, size_t count) {
  question.storage->Distances(question.query, question.sketched.near.data(), count,
                              question.DistancesFor(count));
  question.result->candidates_considered += static_cast<int64_t>(count);
  question.result->strategy = "sketch";
}

size_t DenseIndex::KeepNearSlots(Question& question, size_t near, size_t count,
                                 const CodeParams& widest) const {
  const auto scale_of = [&](Slot slot) { return question.storage->Params(slot).scale; };
  return KeepNear(near, SpreadOfScale(question, widest), widest.scale, scale_of, count,
                  question.distances.data(), question.sketched.near.data(), &question.least);
}

void DenseIndex::PrefetchUnordered(const Question& question) const {
  const bool exact = question.codec().exact();
  const bool copied = question.result->strategy == "scan";
  for (size_t i = 0; i < std::min(question.unordered, kFetched); ++i) {
    const Slot slot = question.sketched.near[i];
    if (!exact) question.storage->PrefetchResidue(slot);
    // What was compared in a copy is not at hand where it lies.
    if (copied) question.storage->PrefetchCode(slot);
    table_.PrefetchOrdinal(slot);
  }
}

void DenseIndex::ScanMatches(Question& question, size_t matches) const {
  question.candidates.clear();
  question.want += std::min(kMostRefined, matches / kRefinedPart);
  ResetPool(question);
  question.result->strategy = "scan";
  ScanMatching(question, matches);
}

void DenseIndex::SearchFiltered(Question& question, HnswSearchStats* stats) const {
  std::vector<Candidate>* const found = &question.candidates;
  const size_t ef = question.want;
  const auto& accept = question.search->accept;
  const size_t matches = accept->Count();
  const double share =
      static_cast<double>(matches) / static_cast<double>(std::max<size_t>(1, table_.alive_count()));
  const std::shared_ptr<const SlotBits> accepted = AcceptedSlots(question);
  question.result->strategy = "filtered_graph";
  // What is near the query, whatever it is, shows how the filter lies to it.
  size_t width = ef;
  for (const bool widened : {false, true}) {
    graph_->Search(question.query, width, found, stats, question.context);
    const auto looked_at = static_cast<double>(found->size());
    std::erase_if(*found,
                  [&](const Candidate& candidate) { return !accepted->Test(candidate.slot); });
    if (found->size() * 2 >= ef) return;
    if (!widened && static_cast<double>(found->size()) >= kFewerThanExpected * share * looked_at) {
      break;
    }
    // The filter is against the query: what matches is elsewhere, and no greedy search is
    // sure to find its nearest part. Where it is not far, a wider look finds it.
    width = width * ef / std::max<size_t>(1, found->size());
    if (widened || width * kDistancesPerCandidate * kGraphDistance > matches) {
      ScanMatches(question, matches);
      return;
    }
  }
  thread_local std::vector<Slot> seeds;
  seeds.clear();
  for (const Candidate& candidate : *found) seeds.push_back(candidate.slot);
  if (!graph_->SearchAccepted(question.query, ef, *accepted, seeds, static_cast<int64_t>(matches),
                              found, stats, question.context)) {
    ScanMatches(question, matches);
  }
}

void DenseIndex::SearchGraph(Question& question) const {
  std::vector<Candidate>& found = question.candidates;
  HnswSearchStats stats;
  question.result->strategy = "graph";
  if (question.search->accept == nullptr) {
    graph_->Search(question.query, question.want, &found, &stats, question.context);
  } else {
    SearchFiltered(question, &stats);
  }
  question.result->candidates_considered += stats.distances;
  if (question.scanned() || question.tail.empty()) return;
  for (const Candidate& candidate : found) {
    question.pool.Insert(candidate.distance, candidate.slot);
  }
  ScanTail(question);
  TakePool(question);
}

void DenseIndex::ResetPool(Question& question) {
  question.pool.Reset(std::min(question.near, question.want), question.want);
}

void DenseIndex::TakePool(Question& question) {
  ScanPool& pool = question.pool;
  pool.Finish();
  question.candidates.resize(pool.size());
  for (size_t i = 0; i < pool.size(); ++i) {
    question.candidates[i] = {pool.distance(i), pool.node(i)};
  }
}

void DenseIndex::ScanMatching(Question& question, size_t matches) const {
  if (question.search->accept != nullptr && matches * kSlotsPerMatch < table_.end()) {
    ScanAccepted(question);
  } else if (const Copied copied = CopiedMatches(question, matches); copied.copies != nullptr) {
    // The dead among them are found later, and take places.
    for (size_t* const count : {&question.near, &question.want}) {
      *count += *count * table_.dead_count() / std::max<size_t>(1, matches);
    }
    ResetPool(question);
    SketchedMatches* const sketched = question.may_sketch ? copied.sketched.get() : nullptr;
    if (sketched != nullptr && sketched->good()) {
      if (ScanSketched(question, *sketched)) return;
    } else if (sketched != nullptr && sketched->Prepare()) {
      question.trial = copied.sketched;
    }
    ScanCopies(question, *copied.copies);
    return;
  } else {
    ScanAll(question);
  }
  TakePool(question);
}

void DenseIndex::Prepare(Question& question) const {
  const v1::Vector& vector = *question.search->vector;
  if (bits()) {
    question.codec().PrepareQuery(vector.bits().data(), &question.query);
    return;
  }
  const float* const values = vector.values().data();
  question.values.assign(values, values + vector.values_size());
  if (field_.metric() == v1::VECTOR_METRIC_COSINE) {
    Normalise(question.values.data(), question.values.size());
  }
  question.codec().PrepareQuery(question.values.data(), &question.query);
}

void DenseIndex::FindCandidates(Question& question, size_t more) const {
  const VectorSearch& search = *question.search;
  const VectorCodec& codec = question.codec();
  const bool floats = codec.exact();
  const size_t total = table_.alive_count();
  const size_t dead = table_.dead_count();
  const size_t matches =
      search.accept == nullptr ? total : std::min<size_t>(total, search.accept->Count());
  const bool graph = hnsw() && question.graph_wanted && !search.exact && total > kScanBelow &&
                     in_graph_count_.load() > 0;
  question.truncated = false;
  question.unordered = 0;
  question.candidates.clear();
  question.left_out = false;
  question.trial.reset();
  question.tail.clear();
  const SlotSketches* sketches = nullptr;
  if (!graph && !search.exact && search.accept == nullptr && total > kScanBelow &&
      sketches_.load() != nullptr) {
    // In this order: what leaves the tail is sketched then. Where sketches were given up in
    // between, all is compared.
    question.tail = Tail();
    sketches = sketches_.load();
  }
  question.result->strategy = "scan";
  question.result->exact = search.exact || (floats && !graph && sketches == nullptr);
  // The nearest by their means need not have vectors that are among the nearest.
  if ((search.exact && !floats) || (question.mean && !graph && sketches == nullptr)) {
    CollectAll(question, &question.candidates);
    return;
  }

  const size_t wanted = more * codec.refine_factor() + kRefined;
  if (sketches != nullptr) {
    ScanSketches(question, *sketches, more, std::min(wanted, table_.end()));
    return;
  }
  const size_t of_matches = floats ? 0 : std::min(kMostRefined, matches / kRefinedPart);
  const bool few = !graph || (search.accept != nullptr &&
                              matches <= std::max({kScanMatches, total / kScanPart, more}));
  size_t width = wanted + of_matches;
  if (!few) {
    // Where codes are good enough, what a search keeps is what it asked for.
    width = std::max(codec.refine_factor() == 1 ? more : wanted, question.ef);
    // Dead slots take places among the candidates.
    width += width * dead / std::max<size_t>(1, total);
  }
  // There are no more than that, the slots that died since included.
  const uint64_t stamp = table_.stamp();
  const size_t end = table_.end();
  question.want = std::min(width, end) + question.changes.size();
  // Where it is not known how well codes tell what is near, or of how many objects the nearest
  // are, as many as may be are kept.
  const bool told = !keeps_all() && std::isfinite(codec.CodeSpread(question.query, {}));
  question.near = told ? std::min(more, end) + question.changes.size() : question.want;
  if (graph) question.tail = Tail();
  if (few) {
    ResetPool(question);
    ScanMatching(question, matches);
  } else {
    question.pool.Reset(question.want, question.want);
    SearchGraph(question);
  }

  // What is compared again: the best.
  std::vector<Candidate>& candidates = question.candidates;
  const bool room_for_all = width >= end && table_.stamp() == stamp;
  question.truncated = question.left_out || question.pool.truncated() ||
                       (candidates.size() >= question.want && !room_for_all);
  candidates.resize(std::min(candidates.size(), question.want));
  if (floats) return;
  if (!question.scanned()) {
    candidates.resize(std::min(candidates.size(), wanted + question.changes.size()));
  }
  for (size_t i = 0; i < std::min(candidates.size(), kFetched); ++i) {
    if (question.scanned()) question.storage->PrefetchCode(candidates[i].slot);
    question.storage->PrefetchResidue(candidates[i].slot);
  }
}

bool DenseIndex::RanksAll(const Question& question) const {
  return keeps_all() || question.codec().ranks_by_stored() ||
         (question.search->exact && !question.codec().exact());
}

void DenseIndex::RefineUnordered(Question& question, size_t more) const {
  const NearKernels& kernels = BestNearKernels();
  size_t count = question.unordered;
  Slot* const slots = question.sketched.near.data();
  float* const distances = question.distances.data();
  const bool exact = question.codec().exact();
  for (size_t i = 0; i < count && !exact; ++i) {
    if (i + kFetched < count) {
      question.storage->PrefetchCode(slots[i + kFetched]);
      question.storage->PrefetchResidue(slots[i + kFetched]);
    }
    distances[i] = question.storage->Refine(question.query, slots[i]);
  }
  const size_t near = more + question.changes.size() + kRefined;
  if (count > std::max(near, ScanPool::kSorted) && !RanksAll(question)) {
    // As Rewind() does.
    size_t living = 0;
    for (size_t i = 0; i < count; ++i) {
      distances[living] = distances[i];
      slots[living] = slots[i];
      living += table_.Alive(slots[i]) ? 1 : 0;
    }
    count = living;
    const size_t end = FillLanes(distances, count);
    const float bound = kernels.bound(distances, end, near);
    const auto within = [&](float distance) { return distance <= bound; };
    // Beyond what floats hold none is nearer than another.
    if (static_cast<size_t>(std::count_if(distances, distances + end, within)) >= near) {
      question.truncated = true;
      count = kernels.keep_near(distances, slots, end, bound);
    }
  }
  if (count <= ScanPool::kSorted) {
    question.pool.Reset(count, count);
    question.pool.Insert(distances, slots, count);
    TakePool(question);
    return;
  }
  for (size_t i = 0; i < count; ++i) question.candidates.push_back({distances[i], slots[i]});
  std::sort(question.candidates.begin(), question.candidates.end());
}

void DenseIndex::Refine(Question& question, size_t more) const {
  std::vector<Candidate>& candidates = question.candidates;
  if (question.unordered > 0) {
    RefineUnordered(question, more);
    return;
  }
  if (!question.codec().exact() && !question.search->exact) {
    const VectorStorage& storage = *question.storage;
    float worst = -std::numeric_limits<float>::infinity();
    for (size_t i = 0; i < candidates.size(); ++i) {
      Candidate& candidate = candidates[i];
      if (i + kFetched < candidates.size()) {
        storage.PrefetchCode(candidates[i + kFetched].slot);
        storage.PrefetchResidue(candidates[i + kFetched].slot);
      }
      // Of those that came after as many as are wanted, most are too far away to become one
      // of them.
      if (i >= more && !keeps_all()) {
        if (candidate.distance - Spread(question, storage.Params(candidate.slot)) > worst) {
          candidates.resize(i);
          question.truncated = true;
          break;
        }
      }
      candidate.distance = storage.Refine(question.query, candidate.slot);
      if (i < more) worst = std::max(worst, candidate.distance);
    }
  }
  SortAndMerge(&candidates);
}

void DenseIndex::TrySketches(Question& question, size_t more) {
  std::vector<Slot> nearest;
  for (const Candidate& candidate : question.candidates) {
    if (nearest.size() < more) nearest.push_back(candidate.slot);
  }
  question.trial->Try(question.values.data(), std::max(question.limit, question.ef), nearest);
  question.trial.reset();
}

void DenseIndex::LeaveHits(Question& question, size_t more) const {
  if (RanksAll(question)) return;
  std::vector<Candidate>& candidates = question.candidates;
  size_t enough = std::max<size_t>(1, more + question.changes.size());
  if (candidates.size() <= enough) return;
  // Those that are as far as the last come before or behind it by their ordinals.
  const float last = candidates[enough - 1].distance;
  while (enough < candidates.size() && candidates[enough].distance <= last) ++enough;
  question.truncated = question.truncated || enough < candidates.size();
  candidates.resize(enough);
}

bool DenseIndex::Rewind(Question& question, size_t more) const {
  std::vector<Candidate>& candidates = question.candidates;
  // What is dead already died before `commit`, or is put back below; what dies from here on
  // did not die for this reader.
  std::erase_if(candidates,
                [&](const Candidate& candidate) { return !table_.Alive(candidate.slot); });
  if (question.mean) {
    question.firsts.clear();
    for (const Candidate& candidate : candidates) {
      const Ordinal ordinal = table_.OrdinalOf(candidate.slot);
      question.firsts.emplace(ordinal, table_.First(ordinal));
    }
  }
  if (!table_.ChangesAfter(question.commit, &question.changes)) return false;
  LeaveHits(question, more);
  question.born.clear();
  question.died.clear();
  question.lacks = false;
  if (question.changes.empty()) return true;
  for (const SlotTable::Change& change : question.changes) {
    (change.born ? question.born : question.died).insert(change.slot);
  }
  std::erase_if(candidates, [&](const Candidate& candidate) {
    return question.born.count(candidate.slot) > 0;
  });
  // What died may be farther away than what was not kept.
  question.lacks = candidates.size() < more;
  const OrdinalSet* const accept = question.search->accept.get();
  for (const Slot slot : question.died) {
    if (question.born.count(slot) > 0) continue;
    if (accept != nullptr && !accept->Contains(table_.OrdinalOf(slot))) continue;
    candidates.push_back({question.storage->Refine(question.query, slot), slot});
  }
  SortAndMerge(&candidates);
  return true;
}

absl::Status DenseIndex::RankByStored(Question& question, double worst) const {
  v1::Vector vector;
  question.seen.clear();
  size_t looked_at = 0;
  for (const Candidate& candidate : question.candidates) {
    if (++looked_at % kSlotsPerCheck == 0) COOKIX_RETURN_IF_ERROR(question.context->Check());
    const Ordinal ordinal = table_.OrdinalOf(candidate.slot);
    const double least = question.bounds.empty() ? candidate.distance - ErrorOf(question, candidate)
                                                 : question.bounds.at(ordinal).least;
    if (least > worst || !question.seen.insert(ordinal).second) continue;
    if (question.seen.size() % kReadsPerCheck == 0) {
      COOKIX_RETURN_IF_ERROR(question.context->Check());
    }
    COOKIX_ASSIGN_OR_RETURN(const bool found, (*question.stored)(ordinal, &vector));
    if (!found) continue;
    question.result->hits.push_back(
        {ordinal, ObjectDistance(field_, vector, *question.search->vector)});
  }
  return absl::OkStatus();
}

double DenseIndex::ErrorOf(const Question& question, const Candidate& candidate) const {
  return question.codec().RefineError(question.query, question.storage->Residue(candidate.slot),
                                      question.storage->Params(candidate.slot), candidate.distance);
}

void DenseIndex::BoundObjects(Question& question) const {
  size_t looked_at = 0;
  for (const Candidate& candidate : question.candidates) {
    if (++looked_at % kSlotsPerCheck == 0 && !question.context->Check().ok()) return;
    const double error = ErrorOf(question, candidate);
    const double least = WireDistance(candidate.distance - error);
    const double most = WireDistance(candidate.distance + error);
    ObjectBounds& object = question.bounds[table_.OrdinalOf(candidate.slot)];
    const bool first = object.vectors++ == 0;
    if (question.mean) {
      object.least += least;
      object.most += most;
    } else {
      object.least = first ? least : std::min(object.least, least);
      object.most = first ? most : std::min(object.most, most);
    }
  }
  if (!question.mean) return;
  for (auto& [ordinal, object] : question.bounds) {
    object.least /= static_cast<double>(object.vectors);
    object.most /= static_cast<double>(object.vectors);
  }
}

double DenseIndex::WorstThatMayCount(Question& question, size_t more) const {
  std::vector<double> bounds;
  if (keeps_all()) {
    BoundObjects(question);
    bounds.reserve(question.bounds.size());
    for (const auto& [ordinal, object] : question.bounds) bounds.push_back(object.most);
  } else {
    bounds.reserve(question.candidates.size());
    for (const Candidate& candidate : question.candidates) {
      bounds.push_back(candidate.distance + ErrorOf(question, candidate));
    }
  }
  if (more == 0 || more >= bounds.size()) return std::numeric_limits<double>::infinity();
  const auto last = bounds.begin() + static_cast<ptrdiff_t>(more) - 1;
  std::nth_element(bounds.begin(), last, bounds.end());
  return *last;
}

absl::Status DenseIndex::RankByCodes(Question& question) const {
  question.result->hits.reserve(question.candidates.size());
  question.seen.clear();
  size_t looked_at = 0;
  for (const Candidate& candidate : question.candidates) {
    if (++looked_at % kObjectsPerCheck == 0) COOKIX_RETURN_IF_ERROR(question.context->Check());
    const Ordinal ordinal = table_.OrdinalOf(candidate.slot);
    if (keeps_all() && !question.seen.insert(ordinal).second) continue;
    const double distance =
        question.mean ? MeanDistance(question, candidate.slot) : WireDistance(candidate.distance);
    question.result->hits.push_back({ordinal, distance});
  }
  return absl::OkStatus();
}

double DenseIndex::MeanDistance(const Question& question, Slot slot) const {
  // An object's vectors lived and died together.
  const Ordinal ordinal = table_.OrdinalOf(slot);
  Slot first = slot;
  if (question.died.count(slot) == 0) {
    first = question.firsts.at(ordinal);
  } else {
    const auto change = std::find_if(question.changes.begin(), question.changes.end(),
                                     [&](const SlotTable::Change& each) {
                                       return !each.born && table_.OrdinalOf(each.slot) == ordinal;
                                     });
    if (change != question.changes.end()) first = change->slot;
  }
  double sum = 0;
  size_t count = 0;
  for (Slot each = first; each != kNoSlot; each = table_.Next(each)) {
    sum += WireDistance(question.storage->Refine(question.query, each));
    ++count;
  }
  return sum / static_cast<double>(count);
}

absl::StatusOr<bool> DenseIndex::Search(const CallContext& context, const VectorSearch& search,
                                        uint64_t commit, const ReadStored& stored,
                                        VectorSearchResult* result) const {
  const Stopwatch watch;
  result->strategy = "scan";
  if (!ready_.load(std::memory_order_acquire)) {
    // Nothing was ever put, up to what the view shows.
    result->exact = true;
    return true;
  }
  const ReaderGate::Visit visit = gate_.Enter();
  thread_local Question question;
  if (!table_.ChangesAfter(commit, &question.changes)) return false;
  question.search = &search;
  question.context = &context;
  question.stored = &stored;
  question.result = result;
  question.commit = commit;
  question.limit = static_cast<size_t>(search.limit);
  question.ef = static_cast<size_t>(search.ef > 0 ? search.ef : search.field->hnsw().ef_search());
  question.mean = field_.multi() && keeps_all() && field_.aggregate() == v1::VECTOR_AGGREGATE_MEAN;
  // In this order: the graph is of the storage that was there before it was wanted.
  question.graph_wanted = graph_wanted_.load();
  question.storage = current_.load();
  Prepare(question);

  size_t more = question.mean ? 8 * question.limit : question.limit;
  for (int round = 0; round < kRounds; ++round, more *= 4) {
    COOKIX_RETURN_IF_ERROR(context.Check());
    // Where that is not enough, all is compared.
    question.may_sketch = round == 0;
    FindCandidates(question, more);
    COOKIX_RETURN_IF_ERROR(context.Check());
    result->search_us = watch.Elapsed();
    Refine(question, more);
    if (question.trial != nullptr) TrySketches(question, more);
    if (!Rewind(question, more)) return false;
    std::vector<VectorHit>& hits = result->hits;
    hits.clear();
    question.bounds.clear();
    if (search.exact && !question.codec().exact()) {
      const double worst = WorstThatMayCount(question, question.limit);
      COOKIX_RETURN_IF_ERROR(context.Check());
      COOKIX_RETURN_IF_ERROR(RankByStored(question, worst));
    } else if (question.codec().ranks_by_stored()) {
      COOKIX_RETURN_IF_ERROR(RankByStored(question, std::numeric_limits<double>::infinity()));
    } else {
      COOKIX_RETURN_IF_ERROR(RankByCodes(question));
    }
    std::sort(hits.begin(), hits.end());
    result->rerank_us = watch.Elapsed() - result->search_us;
    const bool enough = (hits.size() >= question.limit && !question.lacks) || !question.truncated;
    if (hits.size() > question.limit) hits.resize(question.limit);
    if (!enough) continue;
    // All was compared, and there was nothing.
    if (hits.empty() && result->strategy == "scan") result->exact = true;
    return true;
  }
  return false;
}

}  // namespace cookix::engine
