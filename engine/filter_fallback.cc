#include "engine/filter_fallback.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "storage/base/coding.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

class SortedOrdinals : public OrdinalSet {
 public:
  explicit SortedOrdinals(std::vector<Ordinal> ordinals) : ordinals_(std::move(ordinals)) {}
  bool Contains(Ordinal ordinal) const override {
    return std::binary_search(ordinals_.begin(), ordinals_.end(), ordinal);
  }
  uint64_t Count() const override { return ordinals_.size(); }
  void ForEach(absl::FunctionRef<void(Ordinal)> each) const override {
    for (const Ordinal ordinal : ordinals_) each(ordinal);
  }

 private:
  const std::vector<Ordinal> ordinals_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const OrdinalSet>> EvaluateByRecords(const CallContext& context,
                                                                    const NamespaceView& view,
                                                                    const CompiledFilter& filter) {
  std::vector<Ordinal> ordinals;
  storage::ScanBounds bounds = storage::PrefixBounds(NamespacePrefix(view.id()));
  bounds.bypass_cache = true;
  auto it = view.snapshot->Scan(storage::Family::kObjects, std::move(bounds));
  internal::v1::ObjectRecord record;
  int steps = 0;
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    if (++steps % 256 == 0) COOKIX_RETURN_IF_ERROR(context.Check());
    std::string_view key = it->key();
    const std::string_view value = it->value();
    NamespaceId ns;
    Ordinal ordinal;
    if (!GetBigEndian32(&key, &ns) || !GetBigEndian64(&key, &ordinal) ||
        !record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
      return Corruption("an object record is malformed", "Restore the store from a checkpoint");
    }
    if (!record.exists()) continue;
    // Null for a collection that is being dropped.
    const CollectionInfo* collection = view.ns->FindCollection(record.collection_id());
    if (collection == nullptr) continue;
    if (filter.Matches(record, collection->record.collection().name())) {
      ordinals.push_back(ordinal);
    }
  }
  COOKIX_RETURN_IF_ERROR(it->status());
  return std::shared_ptr<const OrdinalSet>(std::make_shared<SortedOrdinals>(std::move(ordinals)));
}

}  // namespace cookix::engine
