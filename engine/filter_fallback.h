// Evaluating a filter by reading every record: what answers while the field index
// cannot.
#ifndef COOKIX_ENGINE_FILTER_FALLBACK_H_
#define COOKIX_ENGINE_FILTER_FALLBACK_H_

#include <memory>

#include "absl/status/statusor.h"
#include "engine/call_context.h"
#include "engine/filter/filter.h"
#include "engine/filter/ordinal_set.h"
#include "engine/read_view.h"

namespace cookix::engine {

// Takes time in proportion to the namespace. Fails as CallContext::Check() does.
absl::StatusOr<std::shared_ptr<const OrdinalSet>> EvaluateByRecords(const CallContext& context,
                                                                    const NamespaceView& view,
                                                                    const CompiledFilter& filter);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_FILTER_FALLBACK_H_
