// Following relations from the rows of a plan.
#ifndef COOKIX_ENGINE_QUERY_EXPANSION_H_
#define COOKIX_ENGINE_QUERY_EXPANSION_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/query_service.pb.h"
#include "engine/call_context.h"
#include "engine/graph/adjacency.h"
#include "engine/limits.h"
#include "engine/query/query_memory.h"
#include "engine/query/row_field.h"
#include "engine/read_view.h"

namespace cookix::engine {

struct Expansion {
  // By weight, hops and ordinal.
  std::vector<QueryRow> rows;
  int64_t edges_examined = 0;
};

// The objects that `step` reaches from `from`: each once, by its path of least weight, then
// fewest hops, then the smaller sequence of ordinals. Weights and hops are those of the
// whole path, from where it began. Errors as StepExpander, and LIMIT_EXCEEDED about
// `field` beyond limits.max_query_rows.
absl::StatusOr<Expansion> Expand(const CallContext& context, const NamespaceView& view,
                                 ArcReader& arcs, const v1::PlanExpand& step, int64_t valid_at_ms,
                                 const std::vector<QueryRow>& from, const Limits& limits,
                                 QueryMemory& memory, std::string_view field);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_EXPANSION_H_
