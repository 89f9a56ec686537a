// How SparseIndex is saved, loaded and copied.
//
// Parts, each a letter and what follows:
//   H  version (1 byte), slots (4): first
//   P  for some postings of a list: index, number, first slot, distance of each further
//      one (varints), weights (4 each); lists in order of their indices, long ones in
//      several pieces, several pieces in a part
//   E  postings (8), lists (8): last
#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <utility>

#include "engine/vector/sparse_index.h"
#include "engine/vector/sparse_lists.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr char kFormat = 2;
constexpr size_t kPartBytes = 512 << 10;
constexpr size_t kPiecePostings = 64 << 10;

absl::Status Damaged(std::string_view what) {
  return Corruption(what, "Drop the saved index; it is rebuilt from the store");
}

}  // namespace

std::shared_ptr<const SparseIndex::Snapshot> SparseIndex::TakeSnapshot(SlotBits slots) const {
  std::shared_ptr<const Generation> pin = Pin();
  const Table* table = table_.load(std::memory_order_relaxed);
  std::vector<const List*> lists;
  lists.reserve(static_cast<size_t>(this->lists()));
  for (size_t i = 0; table != nullptr && i <= table->mask; ++i) {
    const List* list = table->places()[i].load(std::memory_order_relaxed);
    if (Table::IsList(list)) lists.push_back(list);
  }
  return std::make_shared<const Snapshot>(std::move(pin), std::move(lists), std::move(slots));
}

SparseIndex::Snapshot::Snapshot(std::shared_ptr<const Generation> pin,
                                std::vector<const List*> lists, SlotBits slots)
    : pin_(std::move(pin)), lists_(std::move(lists)), slots_(std::move(slots)) {
  before_.reserve(slots_.words().size());
  for (const uint64_t word : slots_.words()) {
    before_.push_back(count_);
    count_ += static_cast<Slot>(std::popcount(word));
  }
}

Slot SparseIndex::Snapshot::NumberOf(Slot slot) const {
  const uint64_t below = slots_.words()[slot / 64] & ((uint64_t{1} << (slot % 64)) - 1);
  return before_[slot / 64] + static_cast<Slot>(std::popcount(below));
}

void SparseIndex::Snapshot::ForEachPosting(const List& list,
                                           absl::FunctionRef<void(Slot, float)> each) const {
  // The index may go on adding to the last block, and blocks: slots that are not of the
  // snapshot.
  const uint32_t size = list.size.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < size; ++i) {
    const Entry& entry = list.entries()[i];
    const uint32_t count = entry.count.load(std::memory_order_acquire);
    for (uint32_t j = 0; j < count; ++j) {
      const Slot slot = entry.first + entry.distances()[j];
      if (slots_.Test(slot)) each(NumberOf(slot), entry.weights[j]);
    }
  }
}

// Gathers the postings of lists into parts.
class SparseIndex::Snapshot::PartWriter {
 public:
  explicit PartWriter(absl::FunctionRef<absl::Status(std::string_view part)> sink) : sink_(sink) {}

  void Begin(uint32_t index) {
    index_ = index;
    any_ = false;
  }
  void Add(Slot slot, float weight) {
    PutVarint64(&slots_, count_ == 0 ? slot : slot - last_);
    PutFixed32(&weights_, std::bit_cast<uint32_t>(weight));
    last_ = slot;
    any_ = true;
    ++postings_;
    if (++count_ == kPiecePostings) EndPiece();
  }
  void End() {
    EndPiece();
    if (any_) ++lists_;
  }
  absl::Status Finish() {
    Flush();
    part_ = "E";
    PutFixed64(&part_, postings_);
    PutFixed64(&part_, lists_);
    if (status_.ok()) status_ = sink_(part_);
    return status_;
  }
  const absl::Status& status() const { return status_; }

 private:
  void EndPiece() {
    if (count_ == 0) return;
    PutVarint64(&part_, index_);
    PutVarint64(&part_, count_);
    part_.append(slots_).append(weights_);
    count_ = 0;
    slots_.clear();
    weights_.clear();
    if (part_.size() >= kPartBytes) Flush();
  }
  void Flush() {
    if (part_.size() > 1 && status_.ok()) status_ = sink_(part_);
    part_ = "P";
  }

  const absl::FunctionRef<absl::Status(std::string_view part)> sink_;
  absl::Status status_;
  std::string part_ = "P";
  uint32_t index_ = 0;
  bool any_ = false;
  // Of the piece.
  std::string slots_, weights_;
  size_t count_ = 0;
  Slot last_ = 0;
  // Of all.
  uint64_t postings_ = 0, lists_ = 0;
};

absl::Status SparseIndex::Snapshot::Save(
    absl::FunctionRef<absl::Status(std::string_view part)> sink) const {
  std::string header = {'H', kFormat};
  PutFixed32(&header, count_);
  COOKIX_RETURN_IF_ERROR(sink(header));
  std::vector<const List*> lists = lists_;
  std::sort(lists.begin(), lists.end(),
            [](const List* a, const List* b) { return a->index < b->index; });
  PartWriter writer(sink);
  for (const List* list : lists) {
    writer.Begin(list->index);
    ForEachPosting(*list, [&](Slot slot, float weight) { writer.Add(slot, weight); });
    writer.End();
    COOKIX_RETURN_IF_ERROR(writer.status());
  }
  return writer.Finish();
}

void SparseIndex::Fill(const Snapshot& snapshot) {
  for (const List* list : snapshot.lists_) {
    snapshot.ForEachPosting(*list,
                            [&](Slot slot, float weight) { Append(list->index, slot, weight); });
  }
  FinishFilling(snapshot.count());
}

void SparseIndex::FinishFilling(Slot end) {
  for (uint64_t at = 0; at < end; at += 64) {
    const uint64_t bits = end - at >= 64 ? UINT64_MAX : (uint64_t{1} << (end - at)) - 1;
    PageOf(at / SlotPages::kPageSlots)[at % SlotPages::kPageSlots / 64].store(
        bits, std::memory_order_relaxed);
  }
  size_.store(end, std::memory_order_relaxed);
  Publish(end);
  Retire();
}

absl::Status SparseIndex::Load(Slot slots,
                               absl::FunctionRef<absl::StatusOr<std::string_view>()> next) {
  absl::Status status = LoadParts(slots, next);
  if (!status.ok()) Clear();
  return status;
}

absl::Status SparseIndex::LoadParts(Slot slots,
                                    absl::FunctionRef<absl::StatusOr<std::string_view>()> next) {
  COOKIX_ASSIGN_OR_RETURN(std::string_view in, next());
  uint32_t saved = 0;
  if (in.size() < 2 || in[0] != 'H' || in[1] != kFormat) {
    return Damaged("the header of a sparse index is damaged or of another format");
  }
  in.remove_prefix(2);
  if (!GetFixed32(&in, &saved) || !in.empty() || saved != slots) {
    return Damaged("the header of a sparse index is damaged");
  }
  int64_t last_index = -1;
  Slot last_slot = 0;
  for (;;) {
    COOKIX_ASSIGN_OR_RETURN(in, next());
    if (in.empty()) return Damaged("the end of a sparse index is missing");
    const char kind = in.front();
    in.remove_prefix(1);
    if (kind == 'E') break;
    if (kind != 'P') return Damaged("a part of a sparse index is of no known kind");
    while (!in.empty()) COOKIX_RETURN_IF_ERROR(LoadPiece(slots, &in, &last_index, &last_slot));
  }
  uint64_t all_postings = 0, all_lists = 0;
  if (!GetFixed64(&in, &all_postings) || !GetFixed64(&in, &all_lists) || !in.empty() ||
      all_postings != static_cast<uint64_t>(postings()) ||
      all_lists != static_cast<uint64_t>(lists())) {
    return Damaged("a part of a sparse index is missing");
  }
  COOKIX_ASSIGN_OR_RETURN(in, next());
  if (!in.empty()) return Damaged("the parts of a sparse index are out of order");
  FinishFilling(slots);
  return absl::OkStatus();
}

absl::Status SparseIndex::LoadPiece(Slot slots, std::string_view* in, int64_t* last_index,
                                    Slot* last_slot) {
  uint64_t index = 0, count = 0;
  if (!GetVarint64(in, &index) || index > UINT32_MAX || !GetVarint64(in, &count) || count == 0 ||
      count > kPiecePostings || count > in->size() || static_cast<int64_t>(index) < *last_index) {
    return Damaged("a list of a sparse index is damaged");
  }
  const bool continued = static_cast<int64_t>(index) == *last_index;
  *last_index = static_cast<int64_t>(index);
  std::vector<Slot> piece;
  piece.reserve(count);
  uint64_t slot = 0;
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t distance = 0;
    if (!GetVarint64(in, &distance) || distance >= slots ||
        (i == 0 ? continued && distance <= *last_slot : distance == 0) ||
        (slot += distance) >= slots) {
      return Damaged("a list of a sparse index is damaged");
    }
    piece.push_back(static_cast<Slot>(slot));
  }
  *last_slot = piece.back();
  if (in->size() < count * sizeof(uint32_t)) return Damaged("a list of a sparse index is damaged");
  for (const Slot one : piece) {
    uint32_t bits = 0;
    GetFixed32(in, &bits);
    const float weight = std::bit_cast<float>(bits);
    if (!std::isfinite(weight)) return Damaged("a weight of a sparse index is not finite");
    Append(static_cast<uint32_t>(index), one, weight);
  }
  return absl::OkStatus();
}

}  // namespace cookix::engine
