#include "engine/text/text_fill.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "engine/read_view.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"
#include "storage/store.h"

namespace cookix::engine {
namespace {

// Texts applied at a time while an index is filled.
constexpr size_t kFillBytes = 1 << 20;
// Objects between two steps when there is nothing to apply.
constexpr int64_t kObjectsPerStep = 1024;
constexpr size_t kCommitsAtATime = 256;
// Texts that may wait for threads to put them into segments, before who fills the index
// helps them.
constexpr size_t kMaxWaiting = 65'536;
// What `to` names is in the log already.
constexpr absl::Duration kLogTimeout = absl::Milliseconds(100);

absl::Status Malformed() {
  return Corruption("an object record is malformed", "Restore the store from a checkpoint");
}

}  // namespace

absl::StatusOr<CollectionId> CollectionOf(const internal::v1::ObjectChange& change) {
  CollectionId collection = 0;
  std::string key;
  if (!DecodeObjectName(change.after().empty() ? change.before() : change.after(), &collection,
                        &key)) {
    return Malformed();
  }
  return collection;
}

absl::Status FillTexts(const storage::Snapshot& snapshot, NamespaceId ns,
                       absl::FunctionRef<TextEntryPtr(CollectionId)> index_of, TextFillStep step) {
  absl::flat_hash_set<TextEntryPtr> noted;
  const auto flush = [&](const TextEntryPtr& entry) -> absl::Status {
    COOKIX_RETURN_IF_ERROR(entry->texts().Flush(snapshot.commit()));
    // Readers of earlier commits go to the store.
    entry->texts().TrimChanges(0);
    return step(entry);
  };
  storage::ScanBounds bounds = storage::PrefixBounds(NamespacePrefix(ns));
  bounds.bypass_cache = true;
  const auto it = snapshot.Scan(storage::Family::kObjects, std::move(bounds));
  int64_t passed = 0;
  std::string name;
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    if (++passed % kObjectsPerStep == 0) COOKIX_RETURN_IF_ERROR(step(nullptr));
    std::string_view key = it->key();
    NamespaceId id = 0;
    Ordinal ordinal = 0;
    CollectionId collection = 0;
    if (!GetBigEndian32(&key, &id) || !GetBigEndian64(&key, &ordinal) ||
        !DecodeObjectName(it->value(), &collection, &name)) {
      return Malformed();
    }
    const TextEntryPtr entry = index_of(collection);
    if (entry == nullptr) continue;
    COOKIX_RETURN_IF_ERROR(entry->texts().Add(ordinal, {}, it->value()));
    if (entry->texts().noted_bytes() < kFillBytes) {
      noted.insert(entry);
      continue;
    }
    noted.erase(entry);
    COOKIX_RETURN_IF_ERROR(flush(entry));
  }
  COOKIX_RETURN_IF_ERROR(it->status());
  for (const TextEntryPtr& entry : noted) COOKIX_RETURN_IF_ERROR(flush(entry));
  return absl::OkStatus();
}

absl::Status FollowTexts(storage::LogReader& log, uint64_t to, NamespaceId ns,
                         CollectionId collection, const TextEntryPtr& entry, TextFillStep step) {
  TextCollection& texts = entry->texts();
  internal::v1::ChangeRecord change;
  while (entry->filled_to < to) {
    COOKIX_ASSIGN_OR_RETURN(const auto commits, log.Next(kCommitsAtATime, kLogTimeout));
    COOKIX_RETURN_IF_ERROR(step(nullptr));
    for (const storage::LogCommitPtr& logged : commits) {
      if (!change.ParseFromString(logged->change)) {
        return Corruption("the change of a commit cannot be decoded",
                          "Restore the store from a backup or seed it from a replica");
      }
      for (const auto& event : change.events()) {
        if (!event.has_object() || event.object().namespace_id() != ns) continue;
        COOKIX_ASSIGN_OR_RETURN(const CollectionId of, CollectionOf(event.object()));
        if (of != collection) continue;
        COOKIX_RETURN_IF_ERROR(
            texts.Add(event.object().ordinal(), event.object().before(), event.object().after()));
      }
      COOKIX_RETURN_IF_ERROR(texts.Flush(logged->commit));
      entry->filled_to = logged->commit;
      COOKIX_RETURN_IF_ERROR(step(entry));
    }
  }
  return absl::OkStatus();
}

absl::Status SettleTexts(const TextEntryPtr& entry, TextWorkers& workers, int64_t max_bytes) {
  TextCollection& texts = entry->texts();
  if (texts.backlog() > 0) workers.Queue(entry);
  while (texts.backlog() > kMaxWaiting && texts.WorkSome()) {
  }
  entry->CountMemory();
  if (entry->memory_of_all() <= max_bytes) return absl::OkStatus();
  return MakeError(absl::StatusCode::kResourceExhausted,
                   absl::StrCat("the text indexes need more than ", max_bytes, " bytes"),
                   {"MEMORY_LIMIT", "", "Raise text_mb", false});
}

}  // namespace cookix::engine
