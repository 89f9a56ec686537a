// The answer of a filter: which ordinals of a namespace match.
#ifndef COOKIX_ENGINE_FILTER_ORDINAL_SET_H_
#define COOKIX_ENGINE_FILTER_ORDINAL_SET_H_

#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "engine/call_context.h"
#include "engine/filter/filter.h"
#include "engine/read_view.h"
#include "engine/records.h"

namespace cookix::engine {

// Immutable, thread-safe.
class OrdinalSet {
 public:
  virtual ~OrdinalSet() = default;
  // Dangling targets are in no set.
  virtual bool Contains(Ordinal ordinal) const = 0;
  virtual uint64_t Count() const = 0;
  // In ascending order.
  virtual void ForEach(absl::FunctionRef<void(Ordinal)> each) const = 0;
};

// Evaluates filters for queries: by the field index where it is ready, else by
// reading records. Implemented by the database; passed to graph and queries.
class FilterEvaluator {
 public:
  virtual ~FilterEvaluator() = default;
  // The ordinals of `view`'s namespace that match, exactly as of view.commit().
  virtual absl::StatusOr<std::shared_ptr<const OrdinalSet>> Evaluate(
      const CallContext& context, const NamespaceView& view, const CompiledFilter& filter) = 0;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_FILTER_ORDINAL_SET_H_
