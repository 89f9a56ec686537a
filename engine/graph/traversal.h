// Walking from an object, breadth or depth first.
#ifndef COOKIX_ENGINE_GRAPH_TRAVERSAL_H_
#define COOKIX_ENGINE_GRAPH_TRAVERSAL_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/filter/ordinal_set.h"
#include "engine/graph/steps.h"

namespace cookix::engine {

struct VisitedObject {
  Ordinal ordinal = 0;
  int32_t depth = 0;
  // Index of the object it was reached from; -1 for the start.
  int32_t parent = -1;
  Step via;
};

struct Walk {
  std::vector<VisitedObject> visits;
  // There was more within the depth than `limit`.
  bool truncated = false;
};

// By depth, then in order of discovery. `onto` null = any object. At most `limit`
// objects, the start included.
absl::StatusOr<Walk> BreadthFirst(StepExpander& steps, Ordinal start, int max_depth, int64_t limit,
                                  const OrdinalSet* onto);

// Preorder of the tree of ways that depth-first search leaves, steps of one object in the
// order of StepExpander. An object met again at a smaller depth is expanded again and
// moves there, so that the depth limit loses nothing and every way is as long as its
// object is deep. `limit` cuts off what is discovered last.
absl::StatusOr<Walk> DepthFirst(StepExpander& steps, Ordinal start, int max_depth, int64_t limit,
                                const OrdinalSet* onto);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_GRAPH_TRAVERSAL_H_
