#include "engine/vector/sparse_field.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <limits>
#include <string>
#include <unordered_set>

#include "engine/stopwatch.h"
#include "engine/vector/accepted_slots.h"
#include "engine/vector/index_support.h"
#include "engine/vector/slot_table.h"
#include "engine/vector/sparse_index.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

// Dead slots kept for readers of earlier commits.
constexpr size_t kKeptDead = 1024;
// Fewer dead slots are not worth numbering anew.
constexpr size_t kDeadToRenumber = 4096;
// Of what was written meanwhile, so much may be written again while the writer waits; after
// so many rounds it waits however much it is.
constexpr size_t kFewPuts = 256;
constexpr int kRounds = 16;
// Parts of a saved index take less.
constexpr uint32_t kMaxPartBytes = 4 << 20;

absl::Status Malformed() {
  return Corruption("a saved sparse index is malformed",
                    "Drop the saved index; it is rebuilt from the store");
}

}  // namespace

// A table and an index whose slots belong together.
struct SparseField::Part {
  SlotTable table;
  SparseIndex index;
  // Slots that died and are still in the index. The writer's.
  std::deque<Slot> dying;
  std::atomic<size_t> dying_count{0};

  absl::Status Put(Ordinal ordinal, const v1::Vector* vector, uint64_t commit) {
    if (const Slot slot = table.First(ordinal); slot != kNoSlot) {
      table.Remove(ordinal, commit);
      dying.push_back(slot);
    }
    if (vector == nullptr) return absl::OkStatus();
    const std::vector<Slot> slots = table.Take(1);
    if (slots.empty()) return NoVectorMemory();
    index.Add(slots[0], {vector->indices().data(), static_cast<size_t>(vector->indices_size())},
              {vector->values().data(), static_cast<size_t>(vector->values_size())});
    return table.Add(ordinal, slots, commit) ? absl::OkStatus() : NoVectorMemory();
  }

  void ReclaimDead() {
    if (dying.size() > 2 * kKeptDead) {
      table.ForgetChanges();
      for (; dying.size() > kKeptDead / 2; dying.pop_front()) index.Remove(dying.front());
    }
    dying_count.store(dying.size());
  }

  // The slots that `accept` lets through; fewer when the context is over.
  SlotBits AcceptedSlots(const CallContext& context, const OrdinalSet& accept) const {
    SlotBits accepted;
    ForEachAccepted(context, table, accept, [&](Slot slot) { accepted.Set(slot); });
    return accepted;
  }
};

class SparseField::Snapshot {
 public:
  explicit Snapshot(std::shared_ptr<const Part> part)
      : part_(std::move(part)),
        vectors_(part_->index.TakeSnapshot(part_->table.alive().Copy(part_->table.end()))) {}

  const SparseIndex::Snapshot& vectors() const { return *vectors_; }
  // Calls `each` with the object of each slot, in the order of their new numbers.
  template <typename F>
  void ForEachOrdinal(F&& each) const {
    // Slots are never given again, so each still has the object that it had.
    vectors_->slots().ForEach([&](Slot slot) { each(part_->table.OrdinalOf(slot)); });
  }

 private:
  const std::shared_ptr<const Part> part_;
  const std::shared_ptr<const SparseIndex::Snapshot> vectors_;
};

SparseField::SparseField() : part_(std::make_shared<Part>()) {}
SparseField::~SparseField() = default;

std::shared_ptr<SparseField::Part> SparseField::Current() const {
  std::lock_guard<std::mutex> lock(part_mutex_);
  return part_;
}

absl::Status SparseField::Apply(std::span<const Put> puts, uint64_t commit) {
  std::lock_guard<std::mutex> writing(write_mutex_);
  Part& part = *part_;
  for (const Put& put : puts) COOKIX_RETURN_IF_ERROR(part.Put(put.ordinal, put.vector, commit));
  part.ReclaimDead();
  commit_ = commit;
  if (!noting_) return absl::OkStatus();
  Noted& noted = noted_.emplace_back();
  noted.commit = commit;
  for (const Put& put : puts) {
    auto& [ordinal, vector] = noted.puts.emplace_back(put.ordinal, std::nullopt);
    if (put.vector != nullptr) vector = *put.vector;
  }
  noted_puts_ += puts.size();
  return absl::OkStatus();
}

absl::StatusOr<bool> SparseField::Search(const CallContext& context, const VectorSearch& search,
                                         uint64_t commit, VectorSearchResult* result) const {
  const Stopwatch watch;
  result->strategy = "inverted";
  result->exact = true;
  const std::shared_ptr<const Part> part = Current();
  const SlotTable& table = part->table;
  std::vector<SlotTable::Change> changes;
  const v1::Vector& query = *search.vector;
  const auto limit = static_cast<size_t>(search.limit);
  for (size_t want = limit;; want *= 4) {
    SlotBits accepted;
    if (search.accept != nullptr) accepted = part->AcceptedSlots(context, *search.accept);
    COOKIX_RETURN_IF_ERROR(context.Check());
    // After that: what was not found there any more is among those that died.
    if (!table.ChangesAfter(commit, &changes)) return false;
    if (search.accept != nullptr) {
      for (const SlotTable::Change& change : changes) {
        if (!change.born && search.accept->Contains(table.OrdinalOf(change.slot))) {
          accepted.Set(change.slot);
        }
      }
    }
    const size_t asked = want + part->dying_count.load() + changes.size();
    SparseSearchStats stats;
    const std::vector<SlotHit> found =
        part->index.Search({query.indices().data(), static_cast<size_t>(query.indices_size())},
                           {query.values().data(), static_cast<size_t>(query.values_size())}, asked,
                           search.accept == nullptr ? nullptr : accepted.words().data(),
                           accepted.words().size(), &stats, &context);
    COOKIX_RETURN_IF_ERROR(context.Check());
    result->candidates_considered += stats.postings;
    // What came or went meanwhile. What lives is looked at first: what dies from then on did
    // not die for this reader.
    std::vector<char> alive;
    alive.reserve(found.size());
    for (const SlotHit& hit : found) alive.push_back(table.Alive(hit.slot) ? 1 : 0);
    if (!table.ChangesAfter(commit, &changes)) return false;
    std::unordered_set<Slot> born, died;
    for (const SlotTable::Change& change : changes) {
      (change.born ? born : died).insert(change.slot);
    }
    result->hits.clear();
    for (size_t i = 0; i < found.size(); ++i) {
      const SlotHit& hit = found[i];
      if (born.count(hit.slot) > 0) continue;
      if (alive[i] == 0 && died.count(hit.slot) == 0) continue;
      result->hits.push_back({table.OrdinalOf(hit.slot), -static_cast<double>(hit.score)});
    }
    if (result->hits.size() < limit && found.size() == asked) continue;
    std::sort(result->hits.begin(), result->hits.end());
    // Equal scores go by ordinal: those cut off may have lower ones than the last kept.
    const bool tie = result->hits.size() >= limit && found.size() == asked &&
                     -static_cast<double>(found.back().score) <= result->hits[limit - 1].distance;
    if (tie) continue;
    if (result->hits.size() > limit) result->hits.resize(limit);
    result->search_us = watch.Elapsed();
    return true;
  }
}

// ---- numbering anew ---------------------------------------------------------

bool SparseField::NeedsMaintenance() const {
  const std::shared_ptr<const Part> part = Current();
  const size_t dead = part->table.dead_count();
  return dead >= kDeadToRenumber && dead > part->table.alive_count();
}

bool SparseField::Maintain() {
  if (!NeedsMaintenance()) return false;
  std::unique_lock<std::mutex> maintaining(maintain_mutex_, std::try_to_lock);
  if (!maintaining.owns_lock()) return false;
  std::shared_ptr<const Snapshot> snapshot;
  uint64_t commit = 0;
  {
    std::lock_guard<std::mutex> writing(write_mutex_);
    snapshot = std::make_shared<const Snapshot>(part_);
    commit = commit_;
    noting_ = true;
  }
  std::shared_ptr<Part> part = Renumbered(*snapshot, commit);
  snapshot.reset();
  return CatchUp(std::move(part));
}

std::shared_ptr<SparseField::Part> SparseField::Renumbered(const Snapshot& snapshot,
                                                           uint64_t commit) {
  auto part = std::make_shared<Part>();
  const size_t count = snapshot.vectors().count();
  if (part->table.Take(count).size() != count) return nullptr;
  Slot slot = 0;
  bool fits = true;
  snapshot.ForEachOrdinal(
      [&](Ordinal ordinal) { fits = part->table.Restore(slot++, ordinal, true) && fits; });
  if (!fits) return nullptr;
  part->table.BeginAt(commit);
  part->index.Fill(snapshot.vectors());
  return part;
}

bool SparseField::CatchUp(std::shared_ptr<Part> part) {
  for (int round = 0;; ++round) {
    std::unique_lock<std::mutex> writing(write_mutex_);
    const bool last = part == nullptr || noted_puts_ <= kFewPuts || round == kRounds;
    std::vector<Noted> noted;
    noted.swap(noted_);
    noted_puts_ = 0;
    if (!last) writing.unlock();
    for (const Noted& each : noted) {
      for (const auto& [ordinal, vector] : each.puts) {
        const v1::Vector* const put = vector.has_value() ? &*vector : nullptr;
        if (part != nullptr && !part->Put(ordinal, put, each.commit).ok()) part = nullptr;
      }
      if (part != nullptr) part->ReclaimDead();
    }
    if (!last) continue;
    noting_ = false;
    if (part == nullptr) return false;
    // The old one is freed outside the locks.
    {
      std::lock_guard<std::mutex> lock(part_mutex_);
      part_.swap(part);
    }
    writing.unlock();
    return true;
  }
}

SparseField::Stats SparseField::stats() const {
  const std::shared_ptr<const Part> part = Current();
  Stats stats;
  stats.vectors = static_cast<int64_t>(part->table.alive_count());
  stats.dead = static_cast<int64_t>(part->table.dead_count());
  stats.memory_bytes = part->index.MemoryBytes() + part->table.Bytes();
  return stats;
}

// ---- saving -----------------------------------------------------------------

std::shared_ptr<const SparseField::Snapshot> SparseField::TakeSnapshot() const {
  std::lock_guard<std::mutex> writing(write_mutex_);
  return std::make_shared<const Snapshot>(part_);
}

absl::Status SparseField::Save(const Snapshot& snapshot, storage::CheckedFileWriter& writer) {
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed<uint64_t>(snapshot.vectors().count()));
  absl::Status status;
  snapshot.ForEachOrdinal([&](Ordinal ordinal) {
    if (status.ok()) status = writer.AppendFixed<uint64_t>(ordinal);
  });
  COOKIX_RETURN_IF_ERROR(status);
  COOKIX_RETURN_IF_ERROR(snapshot.vectors().Save([&](std::string_view part) -> absl::Status {
    COOKIX_RETURN_IF_ERROR(writer.AppendFixed(static_cast<uint32_t>(part.size())));
    return writer.Append(part);
  }));
  // No part is empty.
  return writer.AppendFixed<uint32_t>(0);
}

absl::Status SparseField::Load(storage::CheckedFileReader& reader) {
  Part& part = *part_;
  uint64_t count = 0;
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&count));
  if (count > reader.MaxLeft() / sizeof(uint64_t) || count >= (uint64_t{1} << 31)) {
    return Malformed();
  }
  if (part.table.Take(count).size() != count) return NoVectorMemory();
  for (Slot slot = 0; slot < count; ++slot) {
    uint64_t ordinal = 0;
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&ordinal));
    if (part.table.First(ordinal) != kNoSlot || !part.table.Restore(slot, ordinal, true)) {
      return Malformed();
    }
  }
  std::string bytes;
  bool ended = false;
  return part.index.Load(static_cast<Slot>(count), [&]() -> absl::StatusOr<std::string_view> {
    uint32_t size = 0;
    if (ended) return Malformed();
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&size));
    if (size > kMaxPartBytes || size > reader.MaxLeft()) return Malformed();
    ended = size == 0;
    bytes.resize(size);
    COOKIX_RETURN_IF_ERROR(reader.Read(bytes.data(), size));
    return std::string_view(bytes);
  });
}

}  // namespace cookix::engine
