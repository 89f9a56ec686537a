// How DenseIndex goes without a graph while it is small: it keeps a sketch of every vector, as
// long as a check shows that what is near is found by them.
#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "engine/vector/dense_index.h"
#include "engine/vector/dense_question.h"
#include "engine/vector/kernels.h"
#include "engine/vector/slot_sketches.h"

namespace cookix::engine {
namespace {

// Beyond so many vectors, or bytes of sketches, a graph finds what is near in less time.
constexpr size_t kMostVectors = 16'384;
constexpr size_t kMostBytes = size_t{512} << 10;
// Bits of a component: more find as much among fewer candidates, and take longer to compare
// than that saves while all are at hand in the processor's caches.
constexpr int kBits = 1;
// The check: stored vectors that ask, how many of their nearest are looked for, how many of a
// thousand are to be found, and candidates for each that a search asks for.
constexpr size_t kAsking = 100;
constexpr size_t kNearest = 10;
constexpr int64_t kWanted = 990;
constexpr size_t kWidths[] = {4, 8, 16};
// Vectors for each centre, about.
constexpr size_t kNearCentre = 84;
// They are learned anew when there is so much strain for each vector that there was (Sketches):
// when an eighth as many came that lie far away.
constexpr double kMostStrain = 0.125 * Sketches::kMostStrain;

}  // namespace

size_t DenseIndex::MostSketched() const {
  const bool kept = field_.quantization() == v1::VECTOR_QUANTIZATION_NONE ||
                    field_.quantization() == v1::VECTOR_QUANTIZATION_INT8 ||
                    field_.quantization() == v1::VECTOR_QUANTIZATION_UNSPECIFIED;
  const auto dimension = static_cast<size_t>(field_.dimension());
  if (!hnsw() || bits() || !kept || dimension == 0 || dimension > SketchCodec::kMostDimension) {
    return 0;
  }
  return std::min(kMostVectors,
                  kMostBytes * kSketchBlock / SketchCodec::BlockBytes(dimension, kBits));
}

void DenseIndex::ChooseStructure() {
  if (graph_wanted_.load() || untrained_.load()) return;
  if (tail_count_.load() + sketched_.Count() <= kScanBelow) return;
  if (table_.alive_count() <= most_sketched_ && table_.end() <= 2 * most_sketched_) {
    sketches_wanted_.store(true);
  } else {
    LinkAll();
  }
}

void DenseIndex::LinkAll() {
  // In the order in which they came, about. What died is nobody's neighbour.
  const std::deque<Range> later = std::exchange(tail_, {});
  sketched_.ForEach([&](Slot slot) {
    if (table_.Alive(slot)) PushToTail(slot);
  });
  tail_.insert(tail_.end(), later.begin(), later.end());
  sketched_ = SlotBits();
  graph_wanted_.store(true);
  sketches_wanted_.store(false);
  // After the tail has what was sketched: searches look in the other order.
  sketches_.store(nullptr);
  sketches_left_.store(true);
}

bool DenseIndex::SketchSome() {
  const std::unique_lock<std::mutex> sketching(sketch_mutex_, std::try_to_lock);
  if (!sketching.owns_lock()) return false;
  std::vector<Range> ranges;
  size_t count = 0;
  bool again = false;
  SlotBits slots;
  {
    std::lock_guard<std::mutex> lock(tail_mutex_);
    if (graph_wanted_.load()) return true;
    if (tail_.empty()) return false;
    ranges.assign(tail_.begin(), tail_.end());
    tail_.clear();
    running_.insert(running_.end(), ranges.begin(), ranges.end());
    for (const Range& range : ranges) count += range.end - range.begin;
    // With everything else, once there is half as much that came since the last time.
    again = 2 * (unchecked_ + count) >= checked_;
    if (again) slots = sketched_;
  }
  for (const Range& range : ranges) {
    for (Slot slot = range.begin; slot < range.end; ++slot) slots.Set(slot);
  }
  std::unique_ptr<SlotSketches> next;
  bool good = true;
  {
    // No slot is freed as long as it is read here.
    const ReaderGate::Visit visit = gate_.Enter();
    if (!again) {
      next = std::make_unique<SlotSketches>(*own_sketches_);
      good = SketchSlots(slots, &next);
      unchecked_ += count;
      again = good && next->strain > kMostStrain * static_cast<double>(checked_);
      if (again) {
        next.reset();
        std::lock_guard<std::mutex> lock(tail_mutex_);
        sketched_.ForEach([&](Slot slot) { slots.Set(slot); });
      }
    }
    if (again) {
      good = SketchSlots(slots, &next) && CheckSketches(next.get());
      unchecked_ = 0;
    }
  }
  {
    // Nothing dies meanwhile.
    std::lock_guard<std::mutex> writing(write_mutex_);
    std::lock_guard<std::mutex> lock(tail_mutex_);
    for (const Range& range : ranges) running_.erase(RunningFrom(range.begin));
    const bool used = good && !graph_wanted_.load();
    if (used) {
      for (Slot slot = 0; slot < table_.end(); ++slot) {
        if (!table_.Alive(slot)) next->sketches.Forget(slot);
      }
      sketches_.store(next.get());
    }
    for (const Range& range : ranges) {
      for (Slot slot = range.begin; slot < range.end; ++slot) {
        used ? sketched_.Set(slot) : PushToTail(slot);
      }
    }
    // After they are found without the tail.
    tail_count_.fetch_sub(count);
    if (!used && !graph_wanted_.load()) LinkAll();
    if (!used) return true;
  }
  own_sketches_.swap(next);
  sketch_bytes_.store(own_sketches_->sketches.Bytes());
  // Searches that began before may use the old ones.
  gate_.Wait();
  return true;
}

bool DenseIndex::SketchSlots(const SlotBits& slots, std::unique_ptr<SlotSketches>* sketches) {
  const auto dimension = static_cast<size_t>(field_.dimension());
  const VectorCodec& codec = storage_->codec();
  std::vector<float> vector(dimension);
  size_t count = 0;
  // What died needs none.
  const auto for_each = [&](const auto& each) {
    slots.ForEach([&](Slot slot) {
      if (!table_.Alive(slot)) return;
      codec.Decode(storage_->Code(slot), storage_->Residue(slot), storage_->Params(slot),
                   vector.data());
      each(slot);
    });
  };
  const bool first = *sketches == nullptr;
  if (first) {
    std::vector<double> sums(dimension);
    for_each([&](Slot) {
      for (size_t d = 0; d < dimension; ++d) sums[d] += vector[d];
      ++count;
    });
    if (sketch_codec_ == nullptr) {
      std::vector<float> mean(dimension);
      for (size_t d = 0; d < dimension; ++d) {
        mean[d] = static_cast<float>(sums[d] / static_cast<double>(std::max<size_t>(1, count)));
      }
      sketch_codec_ =
          std::make_unique<SketchCodec>(codec.metric(), dimension, kBits, std::move(mean));
    }
    // Kernels compare with so many centres at once.
    const size_t centres = (count / kNearCentre + kLanes - 1) / kLanes * kLanes;
    const size_t components = sketch_codec_->components();
    std::vector<float> turned;
    for_each([&](Slot) {
      turned.resize(turned.size() + components);
      float* const last = &turned[turned.size() - components];
      sketch_codec_->Turn(vector.data(), last);
      // Beyond what floats hold there are no sketches.
      if (!std::isfinite(BestKernels().dot(last, last, components))) {
        turned.resize(turned.size() - components);
      }
    });
    *sketches = std::make_unique<SlotSketches>(SlotSketches{
        Sketches(*sketch_codec_, SketchCentres::Learn(*sketch_codec_, turned, centres))});
  }
  Sketches::WriteScratch scratch;
  bool written = true;
  for_each([&](Slot slot) {
    written = written && (*sketches)->sketches.Write(slot, vector.data(), &scratch);
    (*sketches)->widest.scale = std::max((*sketches)->widest.scale, storage_->Params(slot).scale);
  });
  if (!first) (*sketches)->strain += scratch.strain;
  return written;
}

bool DenseIndex::CheckSketches(SlotSketches* sketches) {
  const Sketches& made = sketches->sketches;
  const VectorCodec& codec = storage_->codec();
  const auto dimension = static_cast<size_t>(field_.dimension());
  Sketches::Scratch scratch;
  std::vector<Slot> slots;
  sketches->sketches.ForEach([&](Slot slot) { slots.push_back(slot); });
  checked_ = slots.size();
  sketches->width = kWidths[0];
  if (slots.empty()) return true;
  const size_t asking = std::min(kAsking, slots.size());
  const size_t nearest = std::min(kNearest + 1, slots.size());
  std::vector<size_t> found(std::size(kWidths));
  size_t wanted = 0;
  std::vector<float> vector(dimension), distances(slots.size()), order;
  PreparedQuery query;
  SketchQuery sketch;
  for (size_t i = 0; i < asking; ++i) {
    const Slot asks = slots[Scattered(i, slots.size())];
    codec.Decode(storage_->Code(asks), storage_->Residue(asks), storage_->Params(asks),
                 vector.data());
    codec.PrepareQuery(vector.data(), &query);
    for (size_t k = 0; k < slots.size(); ++k) distances[k] = storage_->Refine(query, slots[k]);
    order = distances;
    std::nth_element(order.begin(), order.begin() + static_cast<ptrdiff_t>(nearest) - 1,
                     order.end());
    const float farthest = order[nearest - 1];
    sketch_codec_->Prepare(vector.data(), &sketch);
    wanted += nearest;
    for (size_t w = 0; w < std::size(kWidths); ++w) {
      const size_t width =
          kWidths[w] * std::max(kNearest, static_cast<size_t>(field_.hnsw().ef_search()));
      const double part = SlotSketches::PartFor(width, slots.size());
      const size_t count = made.FindNear(sketch, width, part, &scratch);
      size_t hits = 0;
      for (size_t k = 0; k < count; ++k) {
        hits += storage_->Refine(query, scratch.near[k]) <= farthest ? 1 : 0;
      }
      // What is as near as the tenth is as good.
      found[w] += std::min(hits, nearest);
    }
  }
  for (size_t w = 0; w < std::size(kWidths); ++w) {
    const auto recall = static_cast<int64_t>(1000 * found[w] / std::max<size_t>(1, wanted));
    sketch_recall_.store(recall);
    sketches->width = kWidths[w];
    if (recall >= kWanted) return true;
  }
  return false;
}

void DenseIndex::DropSketches() {
  std::unique_ptr<SlotSketches> dropped;
  std::unique_ptr<const SketchCodec> codec;
  const std::unique_lock<std::mutex> sketching(sketch_mutex_, std::try_to_lock);
  if (!sketching.owns_lock() || !sketches_left_.exchange(false)) return;
  dropped.swap(own_sketches_);
  codec.swap(sketch_codec_);
  sketch_bytes_.store(0);
  sketch_recall_.store(-1);
  // Searches that began before may use them.
  gate_.Wait();
}

void DenseIndex::ScanSketches(Question& question, const SlotSketches& sketches, size_t more,
                              size_t wanted) const {
  const Sketches& made = sketches.sketches;
  Sketches::Scratch& scratch = question.sketched;
  made.codec().Prepare(question.values.data(), &question.sketch);
  // What came after the reader's commit takes places.
  const size_t late = question.changes.size();
  const size_t width = std::max(std::max(more, question.ef) * sketches.width, wanted) + late;
  const double part = SlotSketches::PartFor(width, table_.alive_count());
  const size_t count = made.FindNear(question.sketch, width, part, &scratch);
  CompareFound(question, count);
  // As many as may be are kept where it is not known of how many objects the nearest are, or how
  // well codes tell what is near.
  const VectorCodec& codec = question.codec();
  const bool told =
      !keeps_all() && (codec.exact() || std::isfinite(codec.CodeSpread(question.query, {})));
  const size_t near = (told ? more : wanted) + late;
  const size_t nearest = KeepNearSlots(question, near, count, sketches.widest);
  question.truncated = scratch.passed_over || count >= width || nearest < count;
  if (question.tail.empty()) {
    question.unordered = nearest;
    PrefetchUnordered(question);
    return;
  }
  question.pool.Reset(near, wanted + late);
  if (!question.codec().exact()) question.pool.Widen(MarginOf(question, sketches.widest));
  question.pool.Insert(question.distances.data(), scratch.near.data(), nearest);
  ScanTail(question);
  TakePool(question);
  question.truncated = question.truncated || question.pool.truncated();
}

}  // namespace cookix::engine
