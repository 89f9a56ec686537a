// The field index: for every namespace, property and value, the ordinals that
// have it, as Roaring bitmaps.
//
// Useful for: filters of any selectivity in scans, counts, traversals, searches.
// Not useful for: substring search (text index), order by value of huge results.
#ifndef COOKIX_ENGINE_VIEW_FIELD_INDEX_VIEW_H_
#define COOKIX_ENGINE_VIEW_FIELD_INDEX_VIEW_H_

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/call_context.h"
#include "engine/filter/filter.h"
#include "engine/filter/ordinal_set.h"
#include "engine/view/view.h"

namespace cookix::engine {

struct FieldIndexOptions {
  // Evaluated filters kept, bytes.
  int64_t cache_bytes = 32 << 20;
};

class FieldIndexView : public View {
 public:
  explicit FieldIndexView(FieldIndexOptions options);
  ~FieldIndexView() override;

  std::string_view name() const override { return "field_index"; }
  absl::Status Bootstrap(const ReadView& view, BootstrapMonitor& monitor) override;
  absl::Status Apply(const AppliedCommit& commit) override;
  void Drop() override;
  int64_t MemoryBytes() const override;
  std::map<std::string, int64_t> Counters() const override;

  // The set of matching ordinals exactly as of view.commit(), although the index
  // may be ahead: objects changed since are read from the snapshot. Null when the
  // index cannot answer (not built, a field it does not index, or the snapshot
  // is too old for its record of recent changes): then read the records.
  // REQUIRES: the view is visible up to view.commit() (ViewHost::WaitVisible).
  absl::StatusOr<std::shared_ptr<const OrdinalSet>> Evaluate(const CallContext& context,
                                                             const NamespaceView& view,
                                                             const CompiledFilter& filter);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VIEW_FIELD_INDEX_VIEW_H_
