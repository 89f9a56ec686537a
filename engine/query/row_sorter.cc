#include "engine/query/row_sorter.h"

#include <algorithm>
#include <utility>

#include "storage/base/status.h"

namespace cookix::engine {
namespace {

// So that few rows are not cut again and again.
constexpr size_t kSlack = 1024;

}  // namespace

std::strong_ordering CompareSortKeys(const SortKey& a, const SortKey& b, bool descending) {
  if (a.has_value() != b.has_value()) return b.has_value() <=> a.has_value();
  if (!a.has_value()) return std::strong_ordering::equal;
  return descending ? *b <=> *a : *a <=> *b;
}

int64_t BytesOfRow(const QueryRow& row) {
  return static_cast<int64_t>(sizeof(QueryRow) + row.steps.size() * sizeof(Step));
}

RowSorter::RowSorter(std::vector<bool> descending, size_t keep, QueryMemory& memory)
    : descending_(std::move(descending)), keep_(keep), memory_(memory) {}

int64_t RowSorter::BytesOf(const Entry& entry) {
  int64_t bytes = BytesOfRow(entry.row);
  for (const SortKey& key : entry.keys) {
    bytes += static_cast<int64_t>(sizeof(SortKey) + (key.has_value() ? key->text.size() : 0));
  }
  return bytes;
}

bool RowSorter::Before(const Entry& a, const Entry& b) const {
  for (size_t i = 0; i < descending_.size(); ++i) {
    const auto order = CompareSortKeys(a.keys[i], b.keys[i], descending_[i]);
    if (order != 0) return order < 0;
  }
  return a.row.ordinal < b.row.ordinal;
}

absl::Status RowSorter::Add(QueryRow&& row, std::vector<SortKey>&& keys) {
  if (keep_ == 0) return absl::OkStatus();
  entries_.push_back({std::move(keys), std::move(row)});
  COOKIX_RETURN_IF_ERROR(memory_.Take(BytesOf(entries_.back())));
  if (entries_.size() >= 2 * keep_ + kSlack) DropWorst();
  return absl::OkStatus();
}

void RowSorter::DropWorst() {
  const auto kept = entries_.begin() + static_cast<std::ptrdiff_t>(keep_);
  std::nth_element(entries_.begin(), kept, entries_.end(),
                   [this](const Entry& a, const Entry& b) { return Before(a, b); });
  for (auto it = kept; it != entries_.end(); ++it) memory_.GiveBack(BytesOf(*it));
  entries_.erase(kept, entries_.end());
}

std::vector<QueryRow> RowSorter::Take() && {
  std::sort(entries_.begin(), entries_.end(),
            [this](const Entry& a, const Entry& b) { return Before(a, b); });
  std::vector<QueryRow> rows;
  for (Entry& entry : entries_) {
    if (rows.size() == keep_) break;
    rows.push_back(std::move(entry.row));
  }
  return rows;
}

}  // namespace cookix::engine
