// The first rows of an order, without holding the others.
#ifndef COOKIX_ENGINE_QUERY_ROW_SORTER_H_
#define COOKIX_ENGINE_QUERY_ROW_SORTER_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "engine/filter/filter_node.h"
#include "engine/query/query_memory.h"
#include "engine/query/row_field.h"

namespace cookix::engine {

// What one field is compared by; none comes last in either direction.
using SortKey = std::optional<Scalar>;

std::strong_ordering CompareSortKeys(const SortKey& a, const SortKey& b, bool descending);

// Keeps the best of the rows that it is given. Rows that are equal in all keys are in the
// order of their ordinals. Takes memory for twice the rows kept.
class RowSorter {
 public:
  // `descending`: one for each key.
  RowSorter(std::vector<bool> descending, size_t keep, QueryMemory& memory);

  // `keys`: one for each field.
  absl::Status Add(QueryRow&& row, std::vector<SortKey>&& keys);
  std::vector<QueryRow> Take() &&;

 private:
  struct Entry {
    std::vector<SortKey> keys;
    QueryRow row;
  };
  static int64_t BytesOf(const Entry& entry);
  bool Before(const Entry& a, const Entry& b) const;
  void DropWorst();

  const std::vector<bool> descending_;
  const size_t keep_;
  QueryMemory& memory_;
  std::vector<Entry> entries_;
};

// About what a row takes.
int64_t BytesOfRow(const QueryRow& row);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_ROW_SORTER_H_
