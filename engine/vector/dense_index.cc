#include "engine/vector/dense_index.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <thread>

#include "absl/strings/str_cat.h"
#include "engine/vector/exact_distance.h"
#include "engine/vector/index_support.h"
#include "engine/vector/product_codec.h"
#include "engine/vector/slot_sketches.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

// Slots that a thread inserts before it looks up.
constexpr size_t kInsertBlock = 64;
constexpr size_t kDeadToRepair = 512;
// Product quantization learns from so many vectors at least.
constexpr size_t kTrainFrom = 4096;
// Floats whose codes are written anew before a writer gets its turn.
constexpr size_t kRecodedFloats = size_t{1} << 15;
// CheckCodec(): queries, the vectors that they are compared with, and floats of all.
constexpr size_t kCheckQueries = 200;
constexpr size_t kCheckVectors = 10'000;
constexpr size_t kCheckFloats = size_t{1} << 21;
constexpr size_t kCheckNearest = 10;

absl::Status Malformed(std::string_view what) {
  return Corruption(absl::StrCat("a saved vector index is malformed: ", ToAbsl(what)),
                    "It is rebuilt from the store");
}

Quantization QuantizationOf(const v1::VectorField& field) {
  if (field.metric() == v1::VECTOR_METRIC_HAMMING) return Quantization::kBits;
  switch (field.quantization()) {
    case v1::VECTOR_QUANTIZATION_NONE:
      return Quantization::kNone;
    case v1::VECTOR_QUANTIZATION_PRODUCT:
      return Quantization::kProduct;
    case v1::VECTOR_QUANTIZATION_BINARY:
      return Quantization::kBinary;
    default:
      return Quantization::kInt8;
  }
}

}  // namespace

void DenseIndex::Normalise(float* v, size_t n) {
  const double norm = std::sqrt(BestKernels().squares(v, n));
  if (norm == 0) return;
  const double factor = 1 / norm;
  if (const auto single = static_cast<float>(factor); std::isnormal(single)) {
    BestKernels().multiply(single, n, v);
  } else {
    for (size_t d = 0; d < n; ++d) v[d] = static_cast<float>(v[d] * factor);
  }
}

DenseIndex::DenseIndex(v1::VectorField field, std::optional<size_t> most_sketched)
    : field_(std::move(field)),
      most_sketched_(std::min(most_sketched.value_or(SIZE_MAX), MostSketched())) {}

DenseIndex::~DenseIndex() = default;

bool DenseIndex::keeps_all() const {
  if (!field_.multi() || field_.aggregate() == v1::VECTOR_AGGREGATE_FIRST) return false;
  if (field_.aggregate() != v1::VECTOR_AGGREGATE_MEAN) return true;
  return field_.metric() == v1::VECTOR_METRIC_L2 || bits();
}

void DenseIndex::Split(const v1::Vector& vector, std::vector<std::vector<float>>* floats,
                       std::vector<std::string>* bit_strings) const {
  const auto dimension = static_cast<size_t>(field_.dimension());
  if (bits()) {
    const size_t bytes = (dimension + 7) / 8;
    for (size_t at = 0; at + bytes <= vector.bits().size(); at += bytes) {
      bit_strings->push_back(vector.bits().substr(at, bytes));
      if (!keeps_all()) break;
    }
    return;
  }
  const float* values = vector.values().data();
  for (size_t at = 0; at + dimension <= static_cast<size_t>(vector.values_size());
       at += dimension) {
    floats->emplace_back(values + at, values + at + dimension);
    if (field_.metric() == v1::VECTOR_METRIC_COSINE) Normalise(floats->back().data(), dimension);
    if (field_.aggregate() == v1::VECTOR_AGGREGATE_FIRST) break;
  }
  if (field_.multi() && field_.aggregate() == v1::VECTOR_AGGREGATE_MEAN && !keeps_all() &&
      floats->size() > 1) {
    std::vector<float> mean(dimension);
    for (size_t d = 0; d < dimension; ++d) {
      double sum = 0;
      for (const std::vector<float>& each : *floats) sum += each[d];
      mean[d] = static_cast<float>(sum / static_cast<double>(floats->size()));
    }
    floats->clear();
    floats->push_back(std::move(mean));
  }
}

std::vector<float> DenseIndex::MeanOf(std::span<const Put> puts) const {
  if (bits()) return {};
  const auto dimension = static_cast<size_t>(field_.dimension());
  std::vector<double> sums(dimension);
  std::vector<std::vector<float>> floats;
  size_t count = 0;
  for (const Put& put : puts) {
    if (put.vector == nullptr) continue;
    floats.clear();
    Split(*put.vector, &floats, nullptr);
    for (const std::vector<float>& each : floats) {
      for (size_t d = 0; d < dimension; ++d) sums[d] += each[d];
      ++count;
    }
  }
  std::vector<float> mean(dimension);
  for (size_t d = 0; d < dimension; ++d) {
    mean[d] = static_cast<float>(sums[d] / static_cast<double>(std::max<size_t>(1, count)));
  }
  return mean;
}

std::unique_ptr<HnswGraph> DenseIndex::MakeGraph(const VectorStorage& storage) const {
  const int m = field_.hnsw().m();
  return std::make_unique<HnswGraph>(storage,
                                     HnswOptions{m, 2 * m, field_.hnsw().ef_construction()});
}

void DenseIndex::UseCodec(std::unique_ptr<const VectorCodec> codec) {
  untrained_.store(QuantizationOf(field_) == Quantization::kProduct &&
                   codec->quantization() != Quantization::kProduct);
  std::lock_guard<std::mutex> lock(pin_mutex_);
  storage_ = std::make_shared<VectorStorage>(std::move(codec));
  current_.store(storage_.get());
  if (hnsw() && !untrained_.load()) graph_ = MakeGraph(*storage_);
}

std::shared_ptr<VectorStorage> DenseIndex::Storage() const {
  std::lock_guard<std::mutex> lock(pin_mutex_);
  return storage_;
}

bool DenseIndex::Grow(size_t slots) {
  if (next_ != nullptr && !next_->Grow(slots)) return false;
  if (slots <= storage_->capacity()) return true;
  return storage_->Grow(slots) && in_graph_.Grow(slots) &&
         (graph_ == nullptr || graph_->Grow(slots));
}

absl::Status DenseIndex::Apply(std::span<const Put> puts, uint64_t commit) {
  ++writers_waiting_;
  std::lock_guard<std::mutex> writing(write_mutex_);
  --writers_waiting_;
  if (storage_ == nullptr) {
    if (std::none_of(puts.begin(), puts.end(),
                     [](const Put& put) { return put.vector != nullptr; })) {
      return absl::OkStatus();
    }
    // Codebooks are learned when there is something to learn from.
    const Quantization first = QuantizationOf(field_) == Quantization::kProduct
                                   ? Quantization::kInt8
                                   : QuantizationOf(field_);
    UseCodec(VectorCodec::Make(MetricOf(field_.metric()), first,
                               static_cast<size_t>(field_.dimension()), MeanOf(puts)));
  }
  std::vector<std::vector<float>> floats;
  std::vector<std::string> bit_strings;
  std::vector<Slot> added;
  for (const Put& put : puts) {
    Remove(put.ordinal, commit);
    if (put.vector == nullptr) continue;
    floats.clear();
    bit_strings.clear();
    Split(*put.vector, &floats, &bit_strings);
    const size_t count = bits() ? bit_strings.size() : floats.size();
    if (count == 0) continue;
    // In this order: whoever sees a slot finds room for it everywhere.
    if (!Grow(table_.end() + count)) return NoVectorMemory();
    const std::vector<Slot> slots = table_.Take(count);
    if (slots.empty()) return NoVectorMemory();
    for (size_t i = 0; i < count; ++i) {
      const void* const vector = bits() ? static_cast<const void*>(bit_strings[i].data())
                                        : static_cast<const void*>(floats[i].data());
      storage_->Write(slots[i], vector);
      if (next_ != nullptr) next_->Write(slots[i], vector);
      if (sampling_.load() && !bits()) Sample(floats[i]);
    }
    if (!table_.Add(put.ordinal, slots, commit)) return NoVectorMemory();
    added.insert(added.end(), slots.begin(), slots.end());
  }
  if (!added.empty()) AddToTail(added);
  if (untrained_.load() && table_.alive_count() >= kTrainFrom) training_wanted_.store(true);
  ready_.store(true, std::memory_order_release);
  return absl::OkStatus();
}

void DenseIndex::Remove(Ordinal ordinal, uint64_t commit) {
  const SlotSketches* const sketches = sketches_.load();
  Slot slot = sketches == nullptr ? kNoSlot : table_.First(ordinal);
  table_.Remove(ordinal, commit);
  for (; slot != kNoSlot; slot = table_.Next(slot)) sketches->sketches.Forget(slot);
}

void DenseIndex::AddToTail(const std::vector<Slot>& slots) {
  if (!hnsw()) return;
  std::lock_guard<std::mutex> lock(tail_mutex_);
  for (const Slot slot : slots) PushToTail(slot);
  ChooseStructure();
}

void DenseIndex::PushToTail(Slot slot) {
  tail_count_.fetch_add(1);
  if (!tail_.empty() && tail_.back().end == slot) {
    ++tail_.back().end;
  } else {
    tail_.push_back({slot, slot + 1});
  }
}

std::vector<DenseIndex::Range>::iterator DenseIndex::RunningFrom(Slot begin) {
  return std::find_if(running_.begin(), running_.end(),
                      [&](const Range& range) { return range.begin == begin; });
}

std::vector<DenseIndex::Range> DenseIndex::Tail() const {
  // Mostly there is none, and searches need not wait for one another to learn that.
  if (tail_count_.load() == 0) return {};
  std::lock_guard<std::mutex> lock(tail_mutex_);
  std::vector<Range> ranges(tail_.begin(), tail_.end());
  ranges.insert(ranges.end(), running_.begin(), running_.end());
  return ranges;
}

void DenseIndex::Sample(const std::vector<float>& vector) {
  const size_t dimension = vector.size();
  const size_t most = std::min(kCheckQueries + kCheckVectors, kCheckFloats / dimension);
  if (storage_->codec().exact() || sample_.size() >= most * dimension) {
    if (storage_->codec().exact()) sampling_.store(false);
    return;
  }
  sample_.insert(sample_.end(), vector.begin(), vector.end());
}

void DenseIndex::CheckCodec() {
  std::vector<float> sample;
  {
    std::lock_guard<std::mutex> writing(write_mutex_);
    if (!sampling_.exchange(false)) return;
    sample.swap(sample_);
  }
  const auto dimension = static_cast<size_t>(field_.dimension());
  const size_t total = sample.size() / dimension;
  const size_t queries = std::min(kCheckQueries, total / 10);
  const size_t count = total - queries;
  if (queries == 0 || count < kCheckNearest) return;
  const std::shared_ptr<const VectorStorage> storage = Storage();
  const VectorCodec& codec = storage->codec();
  // The queries are every so manieth, for what comes together is often alike.
  std::vector<const float*> asked, others;
  for (size_t i = 0; i < total; ++i) {
    (i % (total / queries) == 0 && asked.size() < queries ? asked : others)
        .push_back(sample.data() + i * dimension);
  }
  std::vector<uint8_t> codes(others.size() * codec.code_bytes());
  std::vector<uint8_t> residues(others.size() * codec.residue_bytes() + 1);
  std::vector<CodeParams> params(others.size());
  std::vector<const uint8_t*> code_of(others.size());
  std::vector<const CodeParams*> params_of(others.size());
  for (size_t i = 0; i < others.size(); ++i) {
    uint8_t* const code = codes.data() + i * codec.code_bytes();
    code_of[i] = code;
    params_of[i] = &params[i];
    codec.Encode(others[i], code, residues.data() + i * codec.residue_bytes(), &params[i]);
  }
  const std::unique_ptr<const VectorCodec> floats =
      VectorCodec::Make(codec.metric(), Quantization::kNone, dimension, {});
  PreparedQuery query, exact;
  std::vector<float> truth(others.size()), near(others.size());
  std::vector<Candidate> candidates;
  size_t found = 0;
  for (const float* asking : asked) {
    floats->PrepareQuery(asking, &exact);
    for (size_t i = 0; i < others.size(); ++i) {
      truth[i] = floats->Refine(exact, reinterpret_cast<const uint8_t*>(others[i]), nullptr, {});
    }
    codec.PrepareQuery(asking, &query);
    codec.Distances(query, code_of.data(), params_of.data(), others.size(), near.data());
    candidates.clear();
    for (size_t i = 0; i < others.size(); ++i) {
      candidates.push_back({near[i], static_cast<Slot>(i)});
    }
    const size_t refined =
        std::min(others.size(), kCheckNearest * codec.refine_factor() + kRefined);
    std::partial_sort(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(refined),
                      candidates.end());
    candidates.resize(refined);
    for (Candidate& candidate : candidates) {
      const size_t i = candidate.slot;
      candidate.distance =
          codec.ranks_by_stored()
              ? truth[i]
              : codec.Refine(query, code_of[i], residues.data() + i * codec.residue_bytes(),
                             params[i]);
    }
    std::sort(candidates.begin(), candidates.end());
    std::vector<float> order = truth;
    std::nth_element(order.begin(), order.begin() + kCheckNearest - 1, order.end());
    // What is as near as the tenth is as good.
    for (size_t i = 0; i < kCheckNearest; ++i) {
      if (truth[candidates[i].slot] <= order[kCheckNearest - 1]) ++found;
    }
  }
  codec_recall_.store(static_cast<int64_t>(1000 * found / (asked.size() * kCheckNearest)));
}

bool DenseIndex::Train() {
  // Who comes meanwhile waits, and then has vectors to link.
  std::lock_guard<std::mutex> training(train_mutex_);
  if (!training_wanted_.load()) return !untrained_.load();
  // No slot is freed as long as it is read here.
  std::lock_guard<std::mutex> maintaining(maintain_mutex_);
  const auto dimension = static_cast<size_t>(field_.dimension());
  const SlotBits alive = table_.alive().Copy(table_.end());
  const size_t total = alive.Count();
  const size_t count = TrainedVectors(total, dimension);
  std::vector<float> vectors(count * dimension);
  const std::shared_ptr<const VectorStorage> storage = Storage();
  size_t seen = 0, taken = 0;
  alive.ForEach([&](Slot slot) {
    // Evenly among all.
    if (taken * total > seen++ * count || taken == count) return;
    storage->codec().Decode(storage->Code(slot), storage->Residue(slot), storage->Params(slot),
                            vectors.data() + taken++ * dimension);
  });
  training_wanted_.store(false);
  if (taken == 0) return false;
  ProductTraining learning(dimension, storage->codec().centre(), vectors.data(), taken);
  std::thread second([&] {
    while (learning.Step()) {
    }
  });
  while (learning.Step()) {
  }
  second.join();
  return Recode(learning.Finish(MetricOf(field_.metric())));
}

bool DenseIndex::Recode(std::unique_ptr<const VectorCodec> codec) {
  const auto dimension = static_cast<size_t>(field_.dimension());
  auto next = std::make_shared<VectorStorage>(std::move(codec));
  const std::shared_ptr<VectorStorage> old = Storage();
  {
    std::lock_guard<std::mutex> writing(write_mutex_);
    if (!next->Grow(old->capacity())) return false;
    next_ = next;
  }
  const auto block = static_cast<Slot>(std::max<size_t>(1, kRecodedFloats / dimension));
  std::vector<float> vector(dimension);
  for (Slot at = 0;; at += block) {
    // Writers go first.
    while (writers_waiting_.load() > 0) std::this_thread::yield();
    std::lock_guard<std::mutex> writing(write_mutex_);
    const size_t end = table_.end();
    for (Slot slot = at; slot < std::min<size_t>(end, at + block); ++slot) {
      if (!table_.Alive(slot) && !table_.dead().Test(slot)) continue;
      old->codec().Decode(old->Code(slot), old->Residue(slot), old->Params(slot), vector.data());
      next->Write(slot, vector.data());
      // The old code is not the vector itself.
      CodeParams& params = next->MutableParams(slot);
      const float lost = old->Params(slot).scale / 508 * std::sqrt(static_cast<float>(dimension));
      params.scale += 1.01f * lost;
      // Nor is its length, for cosine; the product with the centre is, which is the same.
      if (field_.metric() == v1::VECTOR_METRIC_COSINE) params.scale += std::sqrt(2.01f * lost);
      if (field_.metric() == v1::VECTOR_METRIC_DOT) params.norm = old->Params(slot).norm;
    }
    if (at + block < end) continue;
    std::unique_ptr<HnswGraph> graph;
    if (hnsw()) graph = MakeGraph(*next);
    next_ = nullptr;
    if (graph != nullptr && !graph->Grow(next->capacity())) return false;
    graph_ = std::move(graph);
    {
      std::lock_guard<std::mutex> lock(pin_mutex_);
      storage_ = next;
    }
    current_.store(next.get());
    untrained_.store(false);
    training_wanted_.store(false);
    if (tail_count_.load() > kScanBelow) graph_wanted_.store(true);
    break;
  }
  // Searches that began before may read the old codes, to the end of this function.
  gate_.Wait();
  return true;
}

bool DenseIndex::MostlyDead() const {
  const size_t linked = in_graph_count_.load();
  if (2 * table_.dead_count() <= linked) return false;
  size_t dead = 0;
  for (size_t i = 0; i < (table_.end() + 63) / 64; ++i) {
    dead += static_cast<size_t>(std::popcount(in_graph_.word(i) & table_.dead().word(i)));
  }
  return 2 * dead > linked;
}

bool DenseIndex::IndexSome() {
  if (training_wanted_.load()) return Train();
  if (!graph_wanted_.load() && !sketches_wanted_.load()) return false;
  if (sampling_.load()) CheckCodec();
  if (!graph_wanted_.load()) return SketchSome();
  if (sketches_left_.load()) DropSketches();
  if (MostlyDead() && Maintain(true)) return true;
  Range block;
  {
    std::lock_guard<std::mutex> lock(tail_mutex_);
    if (tail_.empty()) return false;
    Range& front = tail_.front();
    block = {front.begin, std::min<Slot>(front.end, front.begin + static_cast<Slot>(kInsertBlock))};
    front.begin = block.end;
    if (front.begin == front.end) tail_.pop_front();
    running_.push_back(block);
  }
  {
    std::shared_lock<std::shared_mutex> inserting(insert_mutex_);
    if (MostlyDead()) {
      // More died meanwhile, or another thread is about to take them out.
      inserting.unlock();
      {
        std::lock_guard<std::mutex> lock(tail_mutex_);
        running_.erase(RunningFrom(block.begin));
        tail_.push_front(block);
      }
      std::lock_guard<std::mutex> until_they_are_out(maintain_mutex_);
      return true;
    }
    const ReaderGate::Visit visit = gate_.Enter();
    const auto ef_construction = static_cast<size_t>(field_.hnsw().ef_construction());
    // Dead slots take places among the candidates for neighbours.
    const size_t extra = std::min<size_t>(
        ef_construction, ef_construction * table_.dead_count() / (table_.alive_count() + 1));
    for (Slot slot = block.begin; slot < block.end; ++slot) {
      // What died before it was linked needs no link.
      if (!table_.Alive(slot)) continue;
      graph_->Insert(slot, &table_.dead(), extra);
      in_graph_.Set(slot);
      in_graph_count_.fetch_add(1);
    }
  }
  std::lock_guard<std::mutex> lock(tail_mutex_);
  running_.erase(RunningFrom(block.begin));
  tail_count_.fetch_sub(block.end - block.begin);
  return true;
}

bool DenseIndex::Maintain(bool always) {
  if (!ready_.load(std::memory_order_acquire)) return false;
  const size_t dead = table_.dead_count();
  if (dead == 0 || (!always && (dead < kDeadToRepair || dead * 5 < table_.alive_count() + dead))) {
    return false;
  }
  std::unique_lock<std::mutex> maintaining(maintain_mutex_, std::try_to_lock);
  if (!maintaining.owns_lock()) return false;
  SlotBits dying;
  SlotBits linked;
  const size_t end = table_.end();
  std::unique_lock<std::shared_mutex> alone(insert_mutex_);
  {
    // After this no insertion is under way that may have chosen one of them.
    dying = table_.dead().Copy(end);
    if (hnsw() && untrained_.load()) {
      // Nothing is linked yet: they need not wait for it.
      std::lock_guard<std::mutex> lock(tail_mutex_);
      std::deque<Range> kept;
      size_t count = 0;
      for (const Range& range : tail_) {
        for (Slot slot = range.begin; slot < range.end; ++slot) {
          if (dying.Test(slot)) continue;
          ++count;
          if (!kept.empty() && kept.back().end == slot) {
            ++kept.back().end;
          } else {
            kept.push_back({slot, slot + 1});
          }
        }
      }
      tail_.swap(kept);
      tail_count_.store(count);
    } else if (graph_ != nullptr) {
      linked = in_graph_.Copy(end);
      // Dead slots that wait in the tail are freed another time.
      std::lock_guard<std::mutex> lock(tail_mutex_);
      for (const auto& part : {std::vector<Range>(tail_.begin(), tail_.end()), running_}) {
        for (const Range& range : part) {
          for (Slot slot = range.begin; slot < range.end && slot < end; ++slot) {
            dying.Clear(slot);
          }
        }
      }
      // Their sketches may stay: what does not live is not looked at, and who uses a slot
      // again writes another one.
      dying.ForEach([&](Slot slot) { sketched_.Clear(slot); });
    }
  }
  if (dying.Count() == 0) return false;
  // Insertions wait where they would find little that lives.
  if (graph_ == nullptr || !MostlyDead()) alone.unlock();
  if (graph_ != nullptr) {
    std::atomic<Slot> next{0};
    const auto repair = [&] {
      const ReaderGate::Visit visit = gate_.Enter();
      constexpr Slot kBlock = 1024;
      for (Slot at = next.fetch_add(kBlock); at < end; at = next.fetch_add(kBlock)) {
        graph_->Repair(dying, linked, at, std::min<Slot>(at + kBlock, static_cast<Slot>(end)));
      }
    };
    std::thread second(repair);
    repair();
    second.join();
    size_t unlinked = 0;
    for (size_t i = 0; i < linked.words().size(); ++i) {
      unlinked += static_cast<size_t>(__builtin_popcountll(linked.words()[i] & dying.words()[i]));
      linked.words()[i] &= ~dying.words()[i];
    }
    graph_->FinishRepair(linked, end);
    dying.ForEach([&](Slot slot) { in_graph_.Clear(slot); });
    in_graph_count_.fetch_sub(unlinked);
  }
  if (alone.owns_lock()) alone.unlock();
  {
    std::unique_lock<std::mutex> lock(pin_mutex_);
    unpinned_.wait(lock, [&] { return pins_ == 0; });
    table_.ForgetChanges();
  }
  // A writer may be about to hide sketches of what it has just removed.
  { const std::lock_guard<std::mutex> hidden(write_mutex_); }
  gate_.Wait();
  if (graph_ != nullptr) graph_->FreeRetired();
  table_.Free(dying);
  return true;
}

DenseIndex::Stats DenseIndex::stats() const {
  Stats stats;
  stats.vectors = static_cast<int64_t>(table_.alive_count());
  stats.dead = static_cast<int64_t>(table_.dead_count());
  stats.indexed = hnsw()
                      ? stats.vectors - std::min<int64_t>(stats.vectors,
                                                          static_cast<int64_t>(tail_count_.load()))
                      : stats.vectors;
  stats.codec_recall_permille = codec_recall_.load();
  stats.sketch_recall_permille = sketch_recall_.load();
  if (ready_.load(std::memory_order_acquire)) {
    const size_t end = table_.end();
    const std::shared_ptr<VectorStorage> storage = Storage();
    stats.memory_bytes = storage->Bytes(end) + table_.Bytes();
    if (graph_wanted_.load()) stats.memory_bytes += graph_->Bytes(end);
    stats.memory_bytes += sketch_bytes_.load();
    if (sampling_.load() && !storage->codec().exact()) {
      const auto dimension = static_cast<size_t>(field_.dimension());
      const size_t floats =
          std::min({kCheckFloats, (kCheckQueries + kCheckVectors) * dimension, end * dimension});
      stats.memory_bytes += static_cast<int64_t>(floats * sizeof(float));
    }
    std::lock_guard<std::mutex> lock(accept_mutex_);
    for (const AcceptCache& cached : accept_cache_) {
      stats.memory_bytes += static_cast<int64_t>(8 * cached.slots->words().size());
      if (cached.copies == nullptr) continue;
      stats.memory_bytes += static_cast<int64_t>(cached.copies->Bytes());
      if (cached.sketched != nullptr) stats.memory_bytes += cached.sketched->Bytes();
    }
  }
  return stats;
}

size_t DenseIndex::backlog() const {
  return graph_wanted_.load() || training_wanted_.load() ? tail_count_.load() : 0;
}

int64_t DenseIndex::BytesPerVector(const v1::VectorField& field) {
  const size_t bytes = VectorCodec::BytesPerVector(MetricOf(field.metric()), QuantizationOf(field),
                                                   static_cast<size_t>(field.dimension()));
  const bool graph = field.index() == v1::VECTOR_INDEX_KIND_HNSW;
  return static_cast<int64_t>(bytes) + 24 + (graph ? 8 * field.hnsw().m() + 8 : 0);
}

// ---- saving -----------------------------------------------------------------

DenseIndex::Snapshot::Snapshot(const DenseIndex& index,
                               std::shared_ptr<const VectorStorage> storage, size_t end,
                               SlotBits alive, SlotBits in_graph)
    : index_(index),
      storage_(std::move(storage)),
      end_(end),
      alive_(std::move(alive)),
      in_graph_(std::move(in_graph)) {}

DenseIndex::Snapshot::~Snapshot() {
  std::lock_guard<std::mutex> lock(index_.pin_mutex_);
  --index_.pins_;
  index_.unpinned_.notify_all();
}

std::shared_ptr<const DenseIndex::Snapshot> DenseIndex::TakeSnapshot() const {
  // In this order: what is linked into the graph after it has its codes there.
  std::shared_ptr<const VectorStorage> storage;
  {
    std::lock_guard<std::mutex> lock(pin_mutex_);
    ++pins_;
    storage = storage_;
  }
  const size_t end = ready_.load() ? table_.end() : 0;
  // Codes from before the codebooks are saved without the graph of later ones.
  const bool linked =
      storage != nullptr && storage->codec().quantization() == QuantizationOf(field_);
  return std::make_shared<const Snapshot>(*this, std::move(storage), end, table_.alive().Copy(end),
                                          linked ? in_graph_.Copy(end) : SlotBits(end));
}

absl::Status DenseIndex::Save(const Snapshot& snapshot, storage::CheckedFileWriter& writer) const {
  const size_t end = snapshot.end_;
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed<uint64_t>(end));
  if (end == 0) return absl::OkStatus();
  const VectorStorage* const storage = snapshot.storage_.get();
  const VectorCodec& codec = storage->codec();
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed(static_cast<uint8_t>(codec.quantization())));
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed<uint64_t>(codec.code_bytes()));
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed<uint64_t>(codec.residue_bytes()));
  std::string model;
  codec.SaveModel(&model);
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed<uint64_t>(model.size()));
  COOKIX_RETURN_IF_ERROR(writer.Append(model));
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed<int64_t>(codec_recall_.load()));
  const auto bytes = [](const uint8_t* data, size_t size) {
    return std::string_view(reinterpret_cast<const char*>(data), size);
  };
  const std::string spare(storage->spare_bytes(), static_cast<char>(VectorCodec::kSpare));
  for (Slot slot = 0; slot < end; ++slot) {
    const bool alive = snapshot.alive_.Test(slot);
    const bool linked = snapshot.in_graph_.Test(slot);
    COOKIX_RETURN_IF_ERROR(
        writer.AppendFixed<uint8_t>(static_cast<uint8_t>((alive ? 1 : 0) | (linked ? 2 : 0))));
    // What is neither is free: it may be written to at this moment.
    if (!alive && !linked) continue;
    COOKIX_RETURN_IF_ERROR(writer.AppendFixed<uint64_t>(table_.OrdinalOf(slot)));
    COOKIX_RETURN_IF_ERROR(writer.AppendFixed(storage->Params(slot).scale));
    COOKIX_RETURN_IF_ERROR(writer.AppendFixed(storage->Params(slot).norm));
    const size_t kept = codec.code_bytes() - spare.size();
    COOKIX_RETURN_IF_ERROR(writer.Append(bytes(storage->Code(slot), kept)));
    COOKIX_RETURN_IF_ERROR(writer.Append(spare));
    if (codec.residue_bytes() > 0) {
      COOKIX_RETURN_IF_ERROR(writer.Append(bytes(storage->Residue(slot), codec.residue_bytes())));
    }
    if (!linked) continue;
    const std::vector<Slot> neighbours = graph_->Neighbours(slot);
    COOKIX_RETURN_IF_ERROR(writer.AppendFixed(static_cast<uint16_t>(neighbours.size())));
    for (const Slot neighbour : neighbours) COOKIX_RETURN_IF_ERROR(writer.AppendFixed(neighbour));
  }
  // The slots of objects that have several, in their order.
  if (keeps_all()) {
    for (Slot slot = 0; slot < end; ++slot) {
      if (!snapshot.alive_.Test(slot)) continue;
      COOKIX_RETURN_IF_ERROR(writer.AppendFixed<uint32_t>(table_.Next(slot)));
    }
  }
  return absl::OkStatus();
}

absl::Status DenseIndex::LoadLists(const SlotBits& alive, storage::CheckedFileReader& reader) {
  absl::Status status;
  SlotBits followers;
  alive.ForEach([&](Slot slot) {
    uint32_t next = 0;
    if (status.ok()) status = reader.ReadFixed(&next);
    if (!status.ok()) return;
    if (next != kNoSlot) {
      if (!alive.Test(next) || followers.Test(next) ||
          table_.OrdinalOf(next) != table_.OrdinalOf(slot)) {
        status = Malformed("a list");
        return;
      }
      followers.Set(next);
    }
    table_.RestoreNext(slot, next);
  });
  COOKIX_RETURN_IF_ERROR(status);
  // The first of each object is the one that no other leads to. All slots are in such a list,
  // or some are in one without an end.
  size_t listed = 0;
  alive.ForEach([&](Slot slot) {
    if (followers.Test(slot)) return;
    table_.RestoreFirst(slot);
    for (Slot each = slot; each != kNoSlot; each = table_.Next(each)) ++listed;
  });
  bool one_list = listed == alive.Count();
  alive.ForEach([&](Slot slot) {
    if (followers.Test(slot)) return;
    one_list = one_list && table_.First(table_.OrdinalOf(slot)) == slot;
  });
  return one_list ? absl::OkStatus() : Malformed("the lists of objects");
}

absl::Status DenseIndex::Load(storage::CheckedFileReader& reader) {
  uint64_t end = 0;
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&end));
  if (end == 0) return absl::OkStatus();
  if (end > reader.MaxLeft()) return Malformed("more vectors than bytes");
  uint8_t kept = 0;
  uint64_t code_bytes = 0, residue_bytes = 0, model_size = 0;
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&kept));
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&code_bytes));
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&residue_bytes));
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&model_size));
  if (model_size > reader.MaxLeft()) return Malformed("the size of what its codes need");
  std::string model(model_size, '\0');
  COOKIX_RETURN_IF_ERROR(reader.Read(model.data(), model.size()));
  // Before codebooks are learned there are codes of int8.
  const bool fits = kept == static_cast<uint8_t>(QuantizationOf(field_)) ||
                    (QuantizationOf(field_) == Quantization::kProduct &&
                     kept == static_cast<uint8_t>(Quantization::kInt8));
  std::unique_ptr<const VectorCodec> loaded;
  if (fits) {
    loaded = VectorCodec::LoadModel(MetricOf(field_.metric()), static_cast<Quantization>(kept),
                                    static_cast<size_t>(field_.dimension()), model, BestKernels());
  }
  if (loaded == nullptr) return Malformed("what its codes need");
  UseCodec(std::move(loaded));
  int64_t recall = 0;
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&recall));
  if (recall < -1 || recall > 1000) return Malformed("the recall of its codes");
  codec_recall_.store(recall);
  // What comes later is not what came first.
  sampling_.store(false);
  const VectorCodec& codec = storage_->codec();
  if (code_bytes != codec.code_bytes() || residue_bytes != codec.residue_bytes()) {
    return Malformed("the size of its codes");
  }
  if (table_.Take(end).size() != end || !Grow(end)) return NoVectorMemory();
  const size_t most = graph_ == nullptr ? 0 : static_cast<size_t>(graph_->options().m0);
  SlotBits linked(end), alive(end), unused(end);
  std::vector<Slot> neighbours;
  for (Slot slot = 0; slot < end; ++slot) {
    uint8_t flags = 0;
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&flags));
    if (flags > 3 || (flags > 1 && graph_ == nullptr)) return Malformed("the state of a slot");
    if (flags == 0) {
      unused.Set(slot);
      continue;
    }
    uint64_t ordinal = 0;
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&ordinal));
    CodeParams params;
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&params.scale));
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&params.norm));
    COOKIX_RETURN_IF_ERROR(reader.Read(storage_->MutableCode(slot), code_bytes));
    storage_->MutableParams(slot) = params;
    if (residue_bytes > 0) {
      COOKIX_RETURN_IF_ERROR(reader.Read(storage_->MutableResidue(slot), residue_bytes));
    }
    if ((flags & 1) != 0 && !keeps_all() && table_.First(ordinal) != kNoSlot) {
      return Malformed("an object is there twice");
    }
    if (!table_.Restore(slot, ordinal, (flags & 1) != 0)) return Malformed("an ordinal");
    if ((flags & 1) != 0) alive.Set(slot);
    if ((flags & 2) == 0) continue;
    uint16_t count = 0;
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&count));
    if (count > most) return Malformed("the neighbours of a slot");
    neighbours.resize(count);
    COOKIX_RETURN_IF_ERROR(reader.Read(neighbours.data(), count * sizeof(Slot)));
    graph_->SetNeighbours(slot, neighbours);
    linked.Set(slot);
  }
  if (keeps_all()) COOKIX_RETURN_IF_ERROR(LoadLists(alive, reader));
  table_.Free(unused, /*dead=*/false);
  if (hnsw()) {
    // Links may lead to what came after the save began.
    linked.ForEach([&](Slot slot) {
      neighbours = graph_->Neighbours(slot);
      if (std::erase_if(neighbours, [&](Slot other) { return !linked.Test(other); }) > 0) {
        graph_->SetNeighbours(slot, neighbours);
      }
      in_graph_.Set(slot);
    });
    const size_t count = linked.Count();
    in_graph_count_.store(count);
    if (count > 0) {
      graph_wanted_.store(true);
      graph_->FinishRepair(linked, end);
      graph_->FreeRetired();
    }
    std::vector<Slot> waiting;
    alive.ForEach([&](Slot slot) {
      if (!linked.Test(slot)) waiting.push_back(slot);
    });
    if (!waiting.empty()) AddToTail(waiting);
  }
  if (untrained_.load() && table_.alive_count() >= kTrainFrom) training_wanted_.store(true);
  ready_.store(true, std::memory_order_release);
  return absl::OkStatus();
}

}  // namespace cookix::engine
