// The field index: for every namespace, property and value, the ordinals that
// have it, as Roaring bitmaps.
//
// Useful for: filters of any selectivity in scans, counts, traversals, searches.
// Not useful for: substring search (text index), order by value of huge results.
//
// How it works. A field's values lie in order (posting_map.h). A range is the
// union of the postings in it, gathered in plain bits at a few nanoseconds per
// value, or, when it covers more than half of the values, of those outside it. So
// ranges need no memory and no upkeep of their own; half of a million distinct
// values takes between one and two milliseconds (field_index_benchmark.cc).
//
// Exactness. A filter is evaluated to two sets: what matches for sure, and what
// may match. The objects between the two are read from the reader's snapshot, and
// so are those that changed after it. What makes an object uncertain: text or
// bytes longer than 256 bytes, a field that its collection does not index, a
// name beyond the first 65,536 of its namespace, and a filter on $key, $version,
// $created_ms, $updated_ms or $expires_ms. When that would be more than a quarter
// of the namespace, the records are to be read in order instead: Evaluate() says
// so.
//
// Memory, for each indexed field of an object: 16 bytes and slack for a number
// and 12 bytes, its length and slack for a text of its own; a fraction of that
// where objects share values.
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
  // is too old for its record of recent changes, or too much would have to be
  // read): then read the records.
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
