// Which steps a walk may take: stored edges and virtual ones.
//
// A step that names relation r follows stored edges of r; stored edges of inverse(r)
// backwards; and, when r is symmetric, stored edges of r backwards. A step that names
// none follows every stored edge; symmetric ones backwards too; and, when asked,
// every edge whose relation has an inverse backwards, under the inverse's name. A
// walk against the direction of edges mirrors all of that.
#ifndef COOKIX_ENGINE_GRAPH_STEPS_H_
#define COOKIX_ENGINE_GRAPH_STEPS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/graph_service.pb.h"
#include "engine/call_context.h"
#include "engine/graph/adjacency.h"
#include "engine/read_view.h"

namespace cookix::engine {

// One step from one object to another.
struct Step {
  Ordinal to = 0;
  double weight = 0;
  // The stored edge's relation.
  RelationId relation = 0;
  // The name it was followed under; 0 for a stored step.
  RelationId followed_as = 0;
  // The stored edge runs from `to` to where the step began.
  bool reversed = false;
  // The stored edge has a discriminator, which is in the store only.
  bool has_discriminator = false;
};

struct StepRules {
  v1::Direction direction = v1::DIRECTION_OUT;
  // Empty = any. Names that the vocabulary does not have match nothing.
  std::vector<std::string> relations;
  bool follow_inverses = false;
  // 0 = any.
  int64_t valid_at_ms = 0;
};

// Expands objects by rules. Counts the edges it looks at, and stops with
// QUERY_TIMEOUT beyond the limit and as CallContext::Check() says. One per query.
class StepExpander {
 public:
  StepExpander(const CallContext& context, const NamespaceView& view, ArcReader& arcs,
               const StepRules& rules, int64_t max_edges_examined);

  // Steps from an object; `backward`: steps onto it, with `to` the object that the
  // step begins at. Stored steps come first, each kind in order of relation and
  // object. The span holds until the next call.
  absl::StatusOr<std::span<const Step>> Expand(Ordinal from, bool backward);

  // The objects of those steps, in their order and with repetitions. The span holds
  // until the next call.
  absl::StatusOr<std::span<const Ordinal>> ExpandObjects(Ordinal from, bool backward);

  void Prefetch(Ordinal ordinal, bool backward) {
    if (uses_out_) arcs_.Prefetch(ordinal, !backward);
    if (uses_in_) arcs_.Prefetch(ordinal, backward);
  }

  int64_t edges_examined() const { return edges_examined_; }

 private:
  static constexpr RelationId kNo = ~RelationId{0};

  // Calls `emit(arc, name to follow under)` for the arcs of one direction that count.
  template <typename Emit>
  absl::Status ForEachArc(Ordinal from, bool out, const std::vector<RelationId>& table,
                          Emit&& emit);
  absl::StatusOr<bool> ValidAt(Ordinal source, RelationId relation, Ordinal target,
                               size_t index_in_group) const;

  const CallContext& context_;
  const NamespaceView& view_;
  ArcReader& arcs_;
  const int64_t valid_at_ms_;
  const int64_t max_edges_examined_;
  // By relation id, for stored edges followed forwards and backwards: kNo, or the
  // name to follow under (0 = as it is stored).
  std::vector<RelationId> forward_, backward_;
  bool uses_out_ = false, uses_in_ = false;
  int64_t edges_examined_ = 0;
  int64_t next_check_ = 256;
  std::vector<Step> steps_;
  std::vector<Ordinal> objects_;
};

// Turns a step into its wire form: reads names, and the discriminator where there is
// one. `from` is where the step began; `from_ref` its reference, null when not known.
absl::Status FillStep(const NamespaceView& view, Ordinal from, const v1::ObjectRef* from_ref,
                      const Step& step, int64_t valid_at_ms, v1::PathStep* out);

// `a --[r]--> b --[s]--> c (score=-0.5, hops=2)`. A virtual step is written
// `b --[s: c --[t]--> b]--> c`: followed as s, stored as t the other way round.
std::string Explain(const v1::ObjectRef& anchor, const v1::Path& path, double score);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_GRAPH_STEPS_H_
