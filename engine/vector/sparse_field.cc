#include "engine/vector/sparse_field.h"

#include <algorithm>
#include <chrono>
#include <unordered_set>

#include "engine/vector/index_support.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

// Dead slots kept for readers of earlier commits.
constexpr size_t kKeptDead = 1024;

}  // namespace

absl::Status SparseField::Apply(std::span<const Put> puts, uint64_t commit) {
  for (const Put& put : puts) {
    if (const Slot slot = table_.First(put.ordinal); slot != kNoSlot) {
      table_.Remove(put.ordinal, commit);
      dying_.push_back(slot);
    }
    if (put.vector == nullptr) continue;
    const std::vector<Slot> slots = table_.Take(1);
    if (slots.empty()) return NoVectorMemory();
    index_.Add(slots[0],
               {put.vector->indices().data(), static_cast<size_t>(put.vector->indices_size())},
               {put.vector->values().data(), static_cast<size_t>(put.vector->values_size())});
    if (!table_.Add(put.ordinal, slots, commit)) return NoVectorMemory();
  }
  dying_count_.store(dying_.size());
  if (dying_.size() > 2 * kKeptDead) {
    table_.ForgetChanges();
    for (; dying_.size() > kKeptDead / 2; dying_.pop_front()) index_.Remove(dying_.front());
    dying_count_.store(dying_.size());
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> SparseField::Search(const CallContext& context, const VectorSearch& search,
                                         uint64_t commit, VectorSearchResult* result) const {
  const auto begin = std::chrono::steady_clock::now();
  result->strategy = "inverted";
  result->exact = true;
  std::vector<SlotTable::Change> changes;
  const v1::Vector& query = *search.vector;
  const auto limit = static_cast<size_t>(search.limit);
  for (size_t want = limit;; want *= 4) {
    COOKIX_RETURN_IF_ERROR(context.Check());
    SlotBits accepted;
    if (search.accept != nullptr) {
      search.accept->ForEach([&](Ordinal ordinal) {
        const Slot slot = table_.First(ordinal);
        if (slot != kNoSlot) accepted.Set(slot);
      });
    }
    // After that: what was not found there any more is among those that died.
    if (!table_.ChangesAfter(commit, &changes)) return false;
    if (search.accept != nullptr) {
      for (const SlotTable::Change& change : changes) {
        if (!change.born && search.accept->Contains(table_.OrdinalOf(change.slot))) {
          accepted.Set(change.slot);
        }
      }
    }
    const size_t asked = want + dying_count_.load() + changes.size();
    SparseSearchStats stats;
    const std::vector<SlotHit> found =
        index_.Search({query.indices().data(), static_cast<size_t>(query.indices_size())},
                      {query.values().data(), static_cast<size_t>(query.values_size())}, asked,
                      search.accept == nullptr ? nullptr : accepted.words().data(),
                      accepted.words().size(), &stats);
    result->candidates_considered += stats.postings;
    // What came or went meanwhile. What lives is looked at first: what dies from then on did
    // not die for this reader.
    std::vector<char> alive;
    alive.reserve(found.size());
    for (const SlotHit& hit : found) alive.push_back(table_.Alive(hit.slot) ? 1 : 0);
    if (!table_.ChangesAfter(commit, &changes)) return false;
    std::unordered_set<Slot> born, died;
    for (const SlotTable::Change& change : changes) {
      (change.born ? born : died).insert(change.slot);
    }
    result->hits.clear();
    for (size_t i = 0; i < found.size(); ++i) {
      const SlotHit& hit = found[i];
      if (born.count(hit.slot) > 0) continue;
      if (alive[i] == 0 && died.count(hit.slot) == 0) continue;
      result->hits.push_back({table_.OrdinalOf(hit.slot), -static_cast<double>(hit.score)});
    }
    if (result->hits.size() < limit && found.size() == asked) continue;
    std::sort(result->hits.begin(), result->hits.end());
    // Equal scores go by ordinal: those cut off may have lower ones than the last kept.
    const bool tie = result->hits.size() >= limit && found.size() == asked &&
                     -static_cast<double>(found.back().score) <= result->hits[limit - 1].distance;
    if (tie) continue;
    if (result->hits.size() > limit) result->hits.resize(limit);
    result->search_us = std::chrono::duration_cast<std::chrono::microseconds>(
                            std::chrono::steady_clock::now() - begin)
                            .count();
    return true;
  }
}

}  // namespace cookix::engine
