#include "engine/view/name_view.h"

#include <algorithm>

#include "engine/records.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

absl::Status Malformed() {
  return Corruption("an object record is malformed", "Restore the store from a checkpoint");
}

}  // namespace

absl::Status NameView::Bootstrap(const ReadView& view, BootstrapMonitor& monitor) {
  table_.Clear();
  double done = 0;
  const double share =
      1.0 / static_cast<double>(std::max<size_t>(1, view.catalog->namespaces_by_id.size()));
  for (const auto& [ns, info] : view.catalog->namespaces_by_id) {
    auto bounds = storage::PrefixBounds(NamespacePrefix(ns));
    bounds.bypass_cache = true;
    auto it = view.snapshot->Scan(storage::Family::kObjects, bounds);
    int64_t count = 0;
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      std::string_view key = it->key();
      uint32_t id = 0;
      Ordinal ordinal = 0;
      CollectionId collection = 0;
      std::string name;
      if (!GetBigEndian32(&key, &id) || !GetBigEndian64(&key, &ordinal) ||
          !DecodeObjectName(it->value(), &collection, &name)) {
        return Malformed();
      }
      table_.Put(ns, ordinal, collection, name);
      if ((++count & 4095) == 0 && monitor.cancelled()) {
        return absl::CancelledError("the build was cancelled");
      }
    }
    COOKIX_RETURN_IF_ERROR(it->status());
    done += share;
    monitor.Report(std::min(done, 1.0));
  }
  return absl::OkStatus();
}

absl::Status NameView::Apply(const AppliedCommit& commit) {
  for (const auto& event : commit.change.events()) {
    if (event.has_object()) {
      const auto& object = event.object();
      if (object.after().empty()) {
        table_.Remove(object.namespace_id(), object.ordinal());
      } else if (object.before().empty()) {
        CollectionId collection = 0;
        std::string name;
        if (!DecodeObjectName(object.after(), &collection, &name)) return Malformed();
        table_.Put(object.namespace_id(), object.ordinal(), collection, name);
      }
    } else if (event.has_tombstone() && event.tombstone().has_namespace_()) {
      table_.RemoveNamespace(event.tombstone().namespace_().namespace_id());
    }
  }
  return absl::OkStatus();
}

}  // namespace cookix::engine
