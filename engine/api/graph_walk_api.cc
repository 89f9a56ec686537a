#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/api/answer_bytes.h"
#include "engine/api/graph_api.h"
#include "engine/api/request_fingerprint.h"
#include "engine/api/walk_support.h"
#include "engine/cursor_table.h"
#include "engine/database.h"
#include "engine/fill_edge.h"
#include "engine/graph/shortest_path.h"
#include "engine/graph/traversal.h"
#include "engine/write/validate.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using storage::Family;

// Where the listing of an object's edges goes on: the direction and the last key.
struct NeighborCursor {
  bool in = false;
  std::string last_key;
};

std::string EncodeCursor(const NeighborCursor& cursor) {
  return (cursor.in ? "i" : "o") + cursor.last_key;
}

absl::StatusOr<NeighborCursor> DecodeCursor(const std::string& text) {
  if (text.empty() || (text[0] != 'i' && text[0] != 'o')) {
    return InvalidField("page_token", "the page token is malformed",
                        "Send next_page_token of the page before");
  }
  return NeighborCursor{text[0] == 'i', text.substr(1)};
}

// How a stored edge at an object is shown: as itself, or as a virtual edge.
struct Shown {
  bool shown = false;
  RelationId as = 0;
};

class NeighborRules {
 public:
  NeighborRules(const NamespaceView& view, const v1::ListNeighborsRequest& request,
                v1::Direction direction)
      : direction_(direction), with_virtual_(request.with_virtual()) {
    any_ = request.relations_size() == 0;
    named_.assign(view.ns->relations_by_id.size(), any_);
    for (const std::string& name : request.relations()) {
      if (const RelationInfo* relation = view.ns->FindRelation(name)) {
        named_[relation->id] = true;
      }
    }
    ns_ = view.ns.get();
  }

  // `in`: the edge arrives at the object.
  Shown Of(RelationId relation, bool in) const {
    const bool wanted = direction_ == v1::DIRECTION_BOTH ||
                        direction_ == (in ? v1::DIRECTION_IN : v1::DIRECTION_OUT);
    if (wanted) return {relation < named_.size() && named_[relation], 0};
    if (!with_virtual_) return {};
    const RelationInfo* info = ns_->FindRelation(relation);
    if (info == nullptr) return {};
    if (info->symmetric() && named_[relation]) return {true, relation};
    if (info->inverse != 0 && named_[info->inverse]) return {true, info->inverse};
    return {};
  }

  bool LooksAt(bool in) const {
    return with_virtual_ || direction_ == v1::DIRECTION_BOTH ||
           direction_ == (in ? v1::DIRECTION_IN : v1::DIRECTION_OUT);
  }

 private:
  const v1::Direction direction_;
  const bool with_virtual_;
  bool any_ = false;
  std::vector<bool> named_;
  const NamespaceInfo* ns_ = nullptr;
};

}  // namespace

absl::Status GraphApi::ListNeighbors(CallContext& context, const v1::ListNeighborsRequest& request,
                                     v1::ListNeighborsResponse* response) {
  const Limits& limits = database_.limits();
  LimitTime(context, limits);
  COOKIX_RETURN_IF_ERROR(CheckRef(request.ref(), "ref", limits));
  COOKIX_RETURN_IF_ERROR(CheckRelationNames(request.relations(), "relations", limits));
  COOKIX_ASSIGN_OR_RETURN(const v1::Direction direction, CheckedDirection(request.direction()));
  COOKIX_ASSIGN_OR_RETURN(const int64_t page_size,
                          CheckedSize(request.page_size(), 100, limits.max_page_size, "page_size"));
  v1::ListNeighborsRequest same = request;
  same.clear_page_token();
  same.clear_options();
  const uint64_t fingerprint = FingerprintOf(same);
  CursorTable::Page page;
  NeighborCursor cursor;
  if (!request.page_token().empty()) {
    COOKIX_ASSIGN_OR_RETURN(page, database_.cursors().Resume(request.page_token(), fingerprint));
    COOKIX_ASSIGN_OR_RETURN(cursor, DecodeCursor(page.resume));
  } else {
    COOKIX_ASSIGN_OR_RETURN(page.view, database_.Read(context, request.options()));
  }
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(page.view, request.namespace_()));
  COOKIX_ASSIGN_OR_RETURN(const Ordinal ordinal, KnownOrdinal(view, request.ref(), "ref"));
  COOKIX_ASSIGN_OR_RETURN(
      const std::shared_ptr<const OrdinalSet> matching,
      MatchingObjects(database_, context, view, request.filter(), "filter", {}));
  const NeighborRules rules(view, request, direction);
  v1::ObjectRef self;
  COOKIX_RETURN_IF_ERROR(view.FillRef(ordinal, &self));
  response->set_position(database_.PositionToken(view.commit()));
  AnswerBytes bytes(limits);
  int64_t looked = 0;
  for (const bool in : {false, true}) {
    if (!rules.LooksAt(in) || (cursor.in && !in)) continue;
    auto it = view.snapshot->Scan(in ? Family::kReverseEdges : Family::kEdges,
                                  storage::PrefixBounds(EdgesPrefix(view.id(), ordinal)));
    if (cursor.in == in && !cursor.last_key.empty()) {
      it->Seek(cursor.last_key);
      if (it->Valid() && it->key() == cursor.last_key) it->Next();
    } else {
      it->SeekToFirst();
    }
    for (; it->Valid(); it->Next()) {
      if (++looked % 256 == 0) COOKIX_RETURN_IF_ERROR(context.Check());
      EdgeKey key;
      EdgeValue value;
      if (!DecodeEdgeKey(it->key(), &key) || !DecodeEdgeValue(it->value(), &value)) {
        return Corruption("an edge record is malformed", "Restore the store from a checkpoint");
      }
      const Ordinal source = in ? key.far : ordinal;
      const Ordinal target = in ? ordinal : key.far;
      if (view.ns->EdgeHidden(source, target, value.version)) continue;
      // An edge from the object to itself is listed once where both ways are.
      if (in && source == target && direction == v1::DIRECTION_BOTH) continue;
      const Shown shown = rules.Of(key.relation, in);
      if (!shown.shown) continue;
      if (matching != nullptr && !matching->Contains(key.far)) continue;
      v1::ObjectRef far;
      COOKIX_ASSIGN_OR_RETURN(const bool there, view.FindRef(key.far, &far));
      if (!there) continue;
      if (response->neighbors_size() == page_size) {
        response->set_next_page_token(
            database_.cursors().Next(page.cursor, page.view, fingerprint, EncodeCursor(cursor)));
        return absl::OkStatus();
      }
      cursor = {in, std::string(it->key())};
      v1::Neighbor* neighbor = response->add_neighbors();
      *neighbor->mutable_ref() = far;
      neighbor->set_direction(in ? v1::DIRECTION_IN : v1::DIRECTION_OUT);
      v1::Edge* edge = neighbor->mutable_edge();
      if (in) {
        // Properties are stored with the forward edge only.
        std::string forward;
        COOKIX_ASSIGN_OR_RETURN(const bool found,
                                view.snapshot->Get(Family::kEdges,
                                                   EncodeEdgeKey(view.id(), source, key.relation,
                                                                 target, key.discriminator),
                                                   &forward));
        if (!found || !DecodeEdgeValue(forward, &value)) {
          return Corruption("an edge has only one direction", "Restore from a checkpoint");
        }
        COOKIX_RETURN_IF_ERROR(FillEdge(view, key.relation, key.discriminator, value, edge));
      } else {
        COOKIX_RETURN_IF_ERROR(FillEdge(view, key.relation, key.discriminator, value, edge));
      }
      *edge->mutable_source() = in ? far : self;
      *edge->mutable_target() = in ? self : far;
      if (shown.as != 0) {
        neighbor->set_virtual_(true);
        neighbor->set_virtual_relation(view.ns->FindRelation(shown.as)->record.relation().name());
      }
      if (request.with_objects()) {
        COOKIX_RETURN_IF_ERROR(FillWalkedObject(view, key.far, neighbor->mutable_object()));
      }
      if (!bytes.Take(neighbor->ByteSizeLong())) return bytes.Exceeded("page_size");
    }
    COOKIX_RETURN_IF_ERROR(it->status());
  }
  database_.cursors().Finish(page.cursor);
  return absl::OkStatus();
}

absl::Status GraphApi::Traverse(CallContext& context, const v1::TraverseRequest& request,
                                v1::TraverseResponse* response) {
  const Limits& limits = database_.limits();
  LimitTime(context, limits);
  COOKIX_RETURN_IF_ERROR(CheckRef(request.start(), "start", limits));
  COOKIX_RETURN_IF_ERROR(
      CheckRelationNames(request.steps().relations(), "steps.relations", limits));
  StepRules rules;
  COOKIX_ASSIGN_OR_RETURN(rules.direction, CheckedDirection(request.direction()));
  rules.relations = {request.steps().relations().begin(), request.steps().relations().end()};
  rules.follow_inverses = request.steps().follow_inverses();
  rules.valid_at_ms = request.steps().valid_at_ms();
  if (!v1::TraversalOrder_IsValid(request.order())) {
    return InvalidField("order", "the order is unknown", "Send breadth or depth first");
  }
  int64_t max_depth = 3;
  if (request.has_max_depth()) {
    COOKIX_ASSIGN_OR_RETURN(
        max_depth, CheckedSize(request.max_depth(), 0, limits.max_traversal_depth, "max_depth"));
  }
  COOKIX_ASSIGN_OR_RETURN(const int64_t limit, CheckedSize(request.limit(), 1000,
                                                           limits.max_traversal_results, "limit"));
  COOKIX_ASSIGN_OR_RETURN(const ReadView read, database_.Read(context, request.options()));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(read, request.namespace_()));
  COOKIX_ASSIGN_OR_RETURN(const Ordinal start, KnownOrdinal(view, request.start(), "start"));
  COOKIX_ASSIGN_OR_RETURN(const std::shared_ptr<const OrdinalSet> onto,
                          MatchingObjects(database_, context, view, request.steps().filter(),
                                          "steps.filter", request.steps().labels()));
  const std::unique_ptr<ArcReader> arcs = database_.Arcs(context, view);
  StepExpander steps(context, view, *arcs, rules, limits.max_edges_examined);
  const bool depth_first = request.order() == v1::TRAVERSAL_ORDER_DEPTH_FIRST;
  COOKIX_ASSIGN_OR_RETURN(
      const Walk walk,
      depth_first ? DepthFirst(steps, start, static_cast<int>(max_depth), limit, onto.get())
                  : BreadthFirst(steps, start, static_cast<int>(max_depth), limit, onto.get()));
  AnswerBytes bytes(limits);
  int filled = 0;
  for (const VisitedObject& visited : walk.visits) {
    if (++filled % 256 == 0) COOKIX_RETURN_IF_ERROR(context.Check());
    v1::Visit* visit = response->add_visits();
    visit->set_depth(visited.depth);
    visit->set_parent(visited.parent);
    COOKIX_RETURN_IF_ERROR(view.FillRef(visited.ordinal, visit->mutable_ref()));
    if (request.with_objects()) {
      COOKIX_RETURN_IF_ERROR(FillWalkedObject(view, visited.ordinal, visit->mutable_object()));
    }
    if (visited.parent >= 0) {
      const auto parent = static_cast<size_t>(visited.parent);
      COOKIX_RETURN_IF_ERROR(FillStep(view, walk.visits[parent].ordinal,
                                      &response->visits(visited.parent).ref(), visited.via,
                                      rules.valid_at_ms, visit->mutable_via()));
    }
    if (!bytes.Take(visit->ByteSizeLong())) return bytes.Exceeded("limit");
  }
  response->set_truncated(walk.truncated);
  response->set_edges_examined(steps.edges_examined());
  response->set_position(database_.PositionToken(read.commit()));
  return absl::OkStatus();
}

absl::Status GraphApi::FindPath(CallContext& context, const v1::FindPathRequest& request,
                                v1::FindPathResponse* response) {
  const Limits& limits = database_.limits();
  LimitTime(context, limits);
  COOKIX_RETURN_IF_ERROR(CheckRef(request.source(), "source", limits));
  COOKIX_RETURN_IF_ERROR(CheckRef(request.target(), "target", limits));
  COOKIX_RETURN_IF_ERROR(
      CheckRelationNames(request.steps().relations(), "steps.relations", limits));
  if (!v1::PathMetric_IsValid(request.metric())) {
    return InvalidField("metric", "the metric is unknown", "Send hops or weight");
  }
  if (request.max_hops() < 0) {
    return InvalidField("max_hops", "max_hops is negative", "Send 1 or more, or 0 for no limit");
  }
  StepRules rules;
  COOKIX_ASSIGN_OR_RETURN(rules.direction, CheckedDirection(request.direction()));
  rules.relations = {request.steps().relations().begin(), request.steps().relations().end()};
  rules.follow_inverses = request.steps().follow_inverses();
  rules.valid_at_ms = request.steps().valid_at_ms();
  COOKIX_ASSIGN_OR_RETURN(const ReadView read, database_.Read(context, request.options()));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(read, request.namespace_()));
  ShortestPathRequest search;
  COOKIX_ASSIGN_OR_RETURN(search.source, KnownOrdinal(view, request.source(), "source"));
  COOKIX_ASSIGN_OR_RETURN(search.target, KnownOrdinal(view, request.target(), "target"));
  search.max_hops = request.max_hops();
  COOKIX_ASSIGN_OR_RETURN(const std::shared_ptr<const OrdinalSet> onto,
                          MatchingObjects(database_, context, view, request.steps().filter(),
                                          "steps.filter", request.steps().labels()));
  if (onto != nullptr) {
    search.onto = [&onto](Ordinal ordinal) { return onto->Contains(ordinal); };
  }
  const std::unique_ptr<ArcReader> arcs = database_.Arcs(context, view);
  StepExpander steps(context, view, *arcs, rules, limits.max_edges_examined);
  COOKIX_ASSIGN_OR_RETURN(const ShortestPathResult found, request.metric() == v1::PATH_METRIC_WEIGHT
                                                              ? ShortestByWeight(steps, search)
                                                              : ShortestByHops(steps, search));
  response->set_objects_examined(found.examined);
  response->set_position(database_.PositionToken(read.commit()));
  if (!found.path.has_value()) {
    response->set_reason(request.max_hops() > 0
                             ? absl::StrCat("no path of at most ", request.max_hops(),
                                            " hops leads from \"", request.source().key(),
                                            "\" to \"", request.target().key(), "\"")
                             : absl::StrCat("no path leads from \"", request.source().key(),
                                            "\" to \"", request.target().key(), "\""));
    return absl::OkStatus();
  }
  response->set_found(true);
  COOKIX_RETURN_IF_ERROR(FillPath(view, search.source, found.path->steps, rules.valid_at_ms,
                                  response->mutable_path()));
  response->set_explanation(
      Explain(request.source(), response->path(), -response->path().weight()));
  return absl::OkStatus();
}

}  // namespace cookix::engine
