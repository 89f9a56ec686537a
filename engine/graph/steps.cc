#include "engine/graph/steps.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

// The first arc after `at` of another relation. A hub's many arcs of a relation that a
// walk does not follow cost a few looks.
size_t EndOfRelation(std::span<const Arc> arcs, size_t at) {
  const RelationId relation = arcs[at].relation();
  size_t step = 1;
  while (at + step < arcs.size() && arcs[at + step].relation() == relation) step *= 2;
  const auto last = arcs.begin() + static_cast<std::ptrdiff_t>(std::min(at + step, arcs.size()));
  return static_cast<size_t>(
      std::partition_point(arcs.begin() + static_cast<std::ptrdiff_t>(at + step / 2), last,
                           [&](const Arc& arc) { return arc.relation() == relation; }) -
      arcs.begin());
}

}  // namespace

StepExpander::StepExpander(const CallContext& context, const NamespaceView& view, ArcReader& arcs,
                           const StepRules& rules, int64_t max_edges_examined)
    : context_(context),
      view_(view),
      arcs_(arcs),
      valid_at_ms_(rules.valid_at_ms),
      max_edges_examined_(max_edges_examined) {
  const size_t count = view.ns->relations_by_id.size();
  const bool any = rules.relations.empty();
  std::vector<bool> named(count, any);
  for (const std::string& name : rules.relations) {
    if (const RelationInfo* relation = view.ns->FindRelation(name)) named[relation->id] = true;
  }
  forward_.assign(count, kNo);
  backward_.assign(count, kNo);
  const bool out = rules.direction != v1::DIRECTION_IN;
  const bool in = rules.direction == v1::DIRECTION_IN || rules.direction == v1::DIRECTION_BOTH;
  for (RelationId id = 0; id < count; ++id) {
    const RelationInfo* relation = view.ns->relations_by_id[id].get();
    if (relation == nullptr) continue;
    // How the edge may be followed against the direction of the walk.
    RelationId as = kNo;
    if (relation->symmetric() && named[id]) {
      as = id;
    } else if (relation->inverse != 0 &&
               (any ? rules.follow_inverses : static_cast<bool>(named[relation->inverse]))) {
      as = relation->inverse;
    }
    if (out) {
      if (named[id]) forward_[id] = 0;
      if (as != kNo) backward_[id] = as;
    }
    if (in) {
      if (named[id]) backward_[id] = relation->symmetric() ? id : 0;
      if (as != kNo && forward_[id] == kNo) forward_[id] = as;
    }
  }
  for (RelationId id = 0; id < count; ++id) {
    uses_out_ |= forward_[id] != kNo;
    uses_in_ |= backward_[id] != kNo;
  }
}

absl::StatusOr<bool> StepExpander::ValidAt(Ordinal source, RelationId relation, Ordinal target,
                                           size_t index_in_group) const {
  auto it = view_.snapshot->Scan(
      storage::Family::kEdges,
      storage::PrefixBounds(EncodeEdgeKey(view_.id(), source, relation, target, "")));
  size_t index = 0;
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    EdgeValue value;
    if (!DecodeEdgeValue(it->value(), &value)) {
      return Corruption("an edge record is malformed", "Restore the store from a checkpoint");
    }
    if (view_.ns->EdgeHidden(source, target, value.version)) continue;
    if (index++ == index_in_group) {
      return value.valid_from_ms <= valid_at_ms_ &&
             (value.valid_until_ms == 0 || valid_at_ms_ < value.valid_until_ms);
    }
  }
  COOKIX_RETURN_IF_ERROR(it->status());
  return Corruption("an edge has no record", "Rebuild the adjacency view");
}

template <typename Emit>
absl::Status StepExpander::ForEachArc(Ordinal from, bool out, const std::vector<RelationId>& table,
                                      Emit&& emit) {
  COOKIX_ASSIGN_OR_RETURN(const std::span<const Arc> arcs, out ? arcs_.Out(from) : arcs_.In(from));
  if (edges_examined_ >= next_check_) {
    next_check_ = edges_examined_ + 256;
    COOKIX_RETURN_IF_ERROR(context_.Check());
    if (edges_examined_ > max_edges_examined_) {
      return MakeError(
          absl::StatusCode::kDeadlineExceeded,
          absl::StrCat("the query looked at more than ", max_edges_examined_, " edges"),
          {"QUERY_TIMEOUT", "", "Ask for fewer hops, or name relations", false});
    }
  }
  for (size_t i = 0; i < arcs.size();) {
    ++edges_examined_;
    const Arc& arc = arcs[i];
    const RelationId relation = arc.relation();
    const RelationId as = relation < table.size() ? table[relation] : kNo;
    if (as == kNo) {
      i = EndOfRelation(arcs, i);
      continue;
    }
    bool valid = true;
    if (valid_at_ms_ != 0 && arc.has_validity()) {
      // Arcs of one group (relation and object) come in order of discriminator.
      size_t group = i;
      while (group > 0 && arcs[group - 1].relation() == relation &&
             arcs[group - 1].other() == arc.other()) {
        --group;
      }
      COOKIX_ASSIGN_OR_RETURN(
          valid, ValidAt(out ? from : arc.other(), relation, out ? arc.other() : from, i - group));
    }
    if (valid) emit(arc, as);
    ++i;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::span<const Step>> StepExpander::Expand(Ordinal from, bool backward) {
  steps_.clear();
  bool reversed = false;
  auto emit = [&](const Arc& arc, RelationId as) {
    steps_.push_back(
        {arc.other(), arc.weight, arc.relation(), as, reversed, arc.has_discriminator()});
  };
  // Backwards, the edges that a step follows forwards arrive here.
  if (uses_out_) COOKIX_RETURN_IF_ERROR(ForEachArc(from, !backward, forward_, emit));
  reversed = true;
  if (uses_in_) COOKIX_RETURN_IF_ERROR(ForEachArc(from, backward, backward_, emit));
  return std::span<const Step>(steps_);
}

absl::StatusOr<std::span<const Ordinal>> StepExpander::ExpandObjects(Ordinal from, bool backward) {
  objects_.clear();
  auto emit = [&](const Arc& arc, RelationId) { objects_.push_back(arc.other()); };
  if (uses_out_) COOKIX_RETURN_IF_ERROR(ForEachArc(from, !backward, forward_, emit));
  if (uses_in_) COOKIX_RETURN_IF_ERROR(ForEachArc(from, backward, backward_, emit));
  return std::span<const Ordinal>(objects_);
}

absl::Status FillStep(const NamespaceView& view, Ordinal from, const v1::ObjectRef* from_ref,
                      const Step& step, int64_t valid_at_ms, v1::PathStep* out) {
  const Ordinal source = step.reversed ? step.to : from;
  const Ordinal target = step.reversed ? from : step.to;
  v1::ObjectRef* begin = step.reversed ? out->mutable_target() : out->mutable_source();
  v1::ObjectRef* end = step.reversed ? out->mutable_source() : out->mutable_target();
  if (from_ref != nullptr) {
    *begin = *from_ref;
  } else {
    COOKIX_RETURN_IF_ERROR(view.FillRef(from, begin));
  }
  COOKIX_RETURN_IF_ERROR(view.FillRef(step.to, end));
  const RelationInfo* relation = view.ns->FindRelation(step.relation);
  if (relation == nullptr) {
    return Corruption("an edge has an unknown relation", "Restore the store from a checkpoint");
  }
  out->set_relation(relation->record.relation().name());
  out->set_weight(step.weight);
  out->set_virtual_(step.reversed || step.followed_as != 0);
  if (step.followed_as != 0) {
    out->set_virtual_relation(view.ns->FindRelation(step.followed_as)->record.relation().name());
  }
  if (!step.has_discriminator) return absl::OkStatus();
  auto it = view.snapshot->Scan(
      storage::Family::kEdges,
      storage::PrefixBounds(EncodeEdgeKey(view.id(), source, step.relation, target, "")));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    EdgeKey key;
    EdgeValue value;
    if (!DecodeEdgeKey(it->key(), &key) || !DecodeEdgeValue(it->value(), &value)) {
      return Corruption("an edge record is malformed", "Restore the store from a checkpoint");
    }
    if (view.ns->EdgeHidden(source, target, value.version) || value.weight != step.weight ||
        key.discriminator.empty()) {
      continue;
    }
    if (valid_at_ms != 0 && !(value.valid_from_ms <= valid_at_ms &&
                              (value.valid_until_ms == 0 || valid_at_ms < value.valid_until_ms))) {
      continue;
    }
    out->set_discriminator(std::string(key.discriminator));
    break;
  }
  return it->status();
}

std::string Explain(const v1::ObjectRef& anchor, const v1::Path& path, double score) {
  auto name = [](const v1::ObjectRef& ref) {
    return ref.collection().empty() || ref.collection() == kDefaultName
               ? ref.key()
               : absl::StrCat(ref.collection(), "/", ref.key());
  };
  std::string text = name(anchor);
  std::string at = text;
  for (const v1::PathStep& step : path.steps()) {
    const std::string source = name(step.source());
    const std::string target = name(step.target());
    if (!step.virtual_()) {
      absl::StrAppend(&text, " --[", step.relation(), "]--> ", target);
      at = target;
      continue;
    }
    const std::string& as =
        step.virtual_relation().empty() ? step.relation() : step.virtual_relation();
    const std::string& next = at == target ? source : target;
    absl::StrAppend(&text, " --[", as, ": ", source, " --[", step.relation(), "]--> ", target,
                    "]--> ", next);
    at = next;
  }
  absl::StrAppendFormat(&text, " (score=%.4g, hops=%d)", score == 0 ? 0.0 : score,
                        path.steps_size());
  return text;
}

}  // namespace cookix::engine
