// How text indexes come by the texts: from a snapshot, and from the log after it.
#ifndef COOKIX_ENGINE_TEXT_TEXT_FILL_H_
#define COOKIX_ENGINE_TEXT_TEXT_FILL_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/records.h"
#include "engine/text/text_work.h"
#include "storage/log.h"
#include "storage/snapshot.h"

namespace cookix::engine {

// Called again and again with the index to which something was just added, or null; an
// error ends the filling.
using TextFillStep = absl::FunctionRef<absl::Status(const TextEntryPtr& filled)>;

// Adds the objects of a namespace to the indexes of their collections, which `index_of`
// gives; null = not wanted. Applies them at the snapshot's commit, some at a time.
absl::Status FillTexts(const storage::Snapshot& snapshot, NamespaceId ns,
                       absl::FunctionRef<TextEntryPtr(CollectionId)> index_of, TextFillStep step);

// Applies what the commits of the log after `entry->filled_to` and up to `to` at least,
// which the store has, do to the objects of a collection.
absl::Status FollowTexts(storage::LogReader& log, uint64_t to, NamespaceId ns,
                         CollectionId collection, const TextEntryPtr& entry, TextFillStep step);

// What a TextFillStep does for an index: counts its memory, puts what gathers in buffers
// into segments. RESOURCE_EXHAUSTED (MEMORY_LIMIT) when all indexes take more than
// `max_bytes`.
absl::Status SettleTexts(const TextEntryPtr& entry, TextWorkers& workers, int64_t max_bytes);

// The collection of an object that changed. kDataLoss when its record is malformed.
absl::StatusOr<CollectionId> CollectionOf(const internal::v1::ObjectChange& change);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_FILL_H_
