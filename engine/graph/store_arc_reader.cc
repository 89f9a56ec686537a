#include "engine/graph/store_arc_reader.h"

#include <unordered_map>
#include <vector>

#include "cookix/internal/v1/records.pb.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

class StoreArcReader : public ArcReader {
 public:
  explicit StoreArcReader(const NamespaceView& view) : view_(view) {}

  absl::StatusOr<std::span<const Arc>> Out(Ordinal ordinal) override { return Read(ordinal, true); }
  absl::StatusOr<std::span<const Arc>> In(Ordinal ordinal) override { return Read(ordinal, false); }

 private:
  absl::StatusOr<std::span<const Arc>> Read(Ordinal ordinal, bool out) {
    arcs_.clear();
    if (!view_.ns->dropped_collections.empty()) {
      COOKIX_ASSIGN_OR_RETURN(const bool there, Shown(ordinal));
      if (!there) return std::span<const Arc>();
    }
    auto it = view_.snapshot->Scan(out ? storage::Family::kEdges : storage::Family::kReverseEdges,
                                   storage::PrefixBounds(EdgesPrefix(view_.id(), ordinal)));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      EdgeKey key;
      EdgeValue value;
      if (!DecodeEdgeKey(it->key(), &key) || !DecodeEdgeValue(it->value(), &value)) {
        return Corruption("an edge record is malformed", "Restore the store from a checkpoint");
      }
      if (view_.ns->EdgeHidden(out ? ordinal : key.far, out ? key.far : ordinal, value.version)) {
        continue;
      }
      if (!view_.ns->dropped_collections.empty()) {
        COOKIX_ASSIGN_OR_RETURN(const bool there, Shown(key.far));
        if (!there) continue;
      }
      arcs_.push_back(MakeArc(key.far, key.relation, value, !key.discriminator.empty()));
    }
    COOKIX_RETURN_IF_ERROR(it->status());
    return std::span<const Arc>(arcs_);
  }

  absl::StatusOr<bool> Shown(Ordinal ordinal) {
    auto [it, inserted] = shown_.try_emplace(ordinal, false);
    if (inserted) {
      internal::v1::ObjectRecord record;
      COOKIX_ASSIGN_OR_RETURN(it->second, view_.ReadRecord(ordinal, &record));
    }
    return it->second;
  }

  const NamespaceView view_;
  std::vector<Arc> arcs_;
  std::unordered_map<Ordinal, bool> shown_;
};

}  // namespace

std::unique_ptr<ArcReader> NewStoreArcReader(const NamespaceView& view) {
  return std::make_unique<StoreArcReader>(view);
}

}  // namespace cookix::engine
