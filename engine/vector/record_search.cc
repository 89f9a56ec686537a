#include "engine/vector/record_search.h"

#include <algorithm>
#include <optional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "engine/stopwatch.h"
#include "engine/vector/exact_distance.h"
#include "engine/vector/vector_field.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using storage::Family;

// Up to so many objects are looked up one by one.
constexpr uint64_t kFewObjects = 10'000;
constexpr size_t kLookupBatch = 128;
// Bytes of vectors between two looks at the clock.
constexpr size_t kBytesPerCheck = 1 << 20;

absl::Status Malformed() {
  return Corruption("a vector is missing or malformed", "Restore the store from a checkpoint");
}

bool ShareAnIndex(const v1::Vector& a, const v1::Vector& b) {
  for (int i = 0, j = 0; i < a.indices_size() && j < b.indices_size();) {
    if (a.indices(i) == b.indices(j)) return true;
    a.indices(i) < b.indices(j) ? ++i : ++j;
  }
  return false;
}

// Calls `each` with every stored vector of a field called `name`, of whichever collection.
absl::Status ScanVectors(
    const CallContext& context, const NamespaceView& view, std::string_view name,
    const OrdinalSet* accept,
    absl::FunctionRef<absl::Status(Ordinal, std::string_view serialized)> each) {
  size_t bytes = 0;
  const auto count = [&](size_t more) {
    bytes += more;
    if (bytes < kBytesPerCheck) return absl::OkStatus();
    bytes = 0;
    return context.Check();
  };
  if (accept != nullptr && accept->Count() <= kFewObjects) {
    std::vector<Ordinal> ordinals;
    accept->ForEach([&](Ordinal ordinal) { ordinals.push_back(ordinal); });
    std::vector<std::string> keys;
    for (size_t at = 0; at < ordinals.size(); at += kLookupBatch) {
      const size_t end = std::min(at + kLookupBatch, ordinals.size());
      keys.clear();
      for (size_t i = at; i < end; ++i) {
        keys.push_back(ObjectKey(view.id(), ordinals[i]).append(name));
      }
      COOKIX_ASSIGN_OR_RETURN(const auto values, view.snapshot->MultiGet(Family::kVectors, keys));
      COOKIX_RETURN_IF_ERROR(context.Check());
      for (size_t i = at; i < end; ++i) {
        const std::optional<std::string>& value = values[i - at];
        if (value.has_value()) COOKIX_RETURN_IF_ERROR(each(ordinals[i], *value));
      }
    }
    return absl::OkStatus();
  }
  storage::ScanBounds bounds = storage::PrefixBounds(NamespacePrefix(view.id()));
  bounds.bypass_cache = true;
  const auto it = view.snapshot->Scan(Family::kVectors, std::move(bounds));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    std::string_view key = it->key();
    NamespaceId ns;
    Ordinal ordinal;
    if (!GetBigEndian32(&key, &ns) || !GetBigEndian64(&key, &ordinal)) return Malformed();
    const std::string_view value = it->value();
    COOKIX_RETURN_IF_ERROR(count(64 + value.size()));
    if (key != name || (accept != nullptr && !accept->Contains(ordinal))) continue;
    COOKIX_RETURN_IF_ERROR(each(ordinal, value));
  }
  return it->status();
}

absl::StatusOr<bool> IsIn(const NamespaceView& view, Ordinal ordinal, CollectionId collection) {
  CollectionId id = 0;
  std::string key;
  COOKIX_ASSIGN_OR_RETURN(const bool found, view.FindName(ordinal, &id, &key));
  return found && id == collection;
}

}  // namespace

absl::Status SearchRecords(const CallContext& context, const NamespaceView& view,
                           const VectorSearch& search, VectorSearchResult* result) {
  const Stopwatch watch;
  COOKIX_RETURN_IF_ERROR(context.Check());
  v1::VectorField field = *search.field;
  if (search.metric != v1::VECTOR_METRIC_UNSPECIFIED) field.set_metric(search.metric);
  // The farthest on top.
  std::priority_queue<VectorHit> nearest;
  v1::Vector stored;
  COOKIX_RETURN_IF_ERROR(ScanVectors(
      context, view, search.field->name(), search.accept.get(),
      [&](Ordinal ordinal, std::string_view serialized) -> absl::Status {
        if (!stored.ParseFromArray(serialized.data(), static_cast<int>(serialized.size()))) {
          return Malformed();
        }
        // Another collection may have a field of this name and another shape.
        const size_t count = VectorsIn(field, stored);
        if (count == 0) return absl::OkStatus();
        result->candidates_considered += static_cast<int64_t>(count);
        if (IsSparse(field) && !ShareAnIndex(stored, *search.vector)) return absl::OkStatus();
        const VectorHit hit{ordinal, ObjectDistance(field, stored, *search.vector)};
        const bool full = static_cast<int64_t>(nearest.size()) >= search.limit;
        if (full && !(hit < nearest.top())) return absl::OkStatus();
        COOKIX_ASSIGN_OR_RETURN(const bool ours, IsIn(view, ordinal, search.collection));
        if (!ours) return absl::OkStatus();
        if (full) nearest.pop();
        nearest.push(hit);
        return absl::OkStatus();
      }));
  result->hits.resize(nearest.size());
  for (size_t i = nearest.size(); i > 0; --i) {
    result->hits[i - 1] = nearest.top();
    nearest.pop();
  }
  result->strategy = "records";
  result->exact = true;
  result->search_us += watch.Elapsed();
  return absl::OkStatus();
}

absl::StatusOr<int64_t> CountVectorRecords(const CallContext& context, const NamespaceView& view,
                                           CollectionId collection, const v1::VectorField& field) {
  int64_t vectors = 0;
  v1::Vector stored;
  COOKIX_RETURN_IF_ERROR(ScanVectors(
      context, view, field.name(), nullptr,
      [&](Ordinal ordinal, std::string_view serialized) -> absl::Status {
        if (!stored.ParseFromArray(serialized.data(), static_cast<int>(serialized.size()))) {
          return Malformed();
        }
        COOKIX_ASSIGN_OR_RETURN(const bool ours, IsIn(view, ordinal, collection));
        if (!ours) return absl::OkStatus();
        vectors += static_cast<int64_t>(VectorsIn(field, stored));
        return absl::OkStatus();
      }));
  return vectors;
}

}  // namespace cookix::engine
