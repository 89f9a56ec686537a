// What a commit wrote, read from the log: for views of a family whose values the
// logical change does not carry.
#ifndef COOKIX_STORAGE_COMMIT_WRITES_H_
#define COOKIX_STORAGE_COMMIT_WRITES_H_

#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "storage/column_families.h"

namespace cookix::storage {

// Calls `write` for every key of `family` that `batch`, a LogCommit::batch, puts
// or deletes, in the order of the batch: a later write of the same key replaces an
// earlier one. `value` is null for a deletion. `erase` is called for every range
// [begin, end) that it deletes, in the same order. What is passed points into
// `batch`.
//
// DATA_LOSS when the batch is not laid out as one; then some of its writes may
// have been passed already.
absl::Status ForEachWrite(
    std::string_view batch, Family family,
    absl::FunctionRef<void(std::string_view key, const std::string_view* value)> write,
    absl::FunctionRef<void(std::string_view begin, std::string_view end)> erase);

// The same without the ranges: for callers who learn of those otherwise.
absl::Status ForEachWrite(
    std::string_view batch, Family family,
    absl::FunctionRef<void(std::string_view key, const std::string_view* value)> write);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_COMMIT_WRITES_H_
