#include "engine/api/reasoning_api.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/api/answer_bytes.h"
#include "engine/api/walk_support.h"
#include "engine/database.h"
#include "engine/graph/geodesic.h"
#include "engine/graph/ordinal_map.h"
#include "engine/stopwatch.h"
#include "engine/write/validate.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr double kDefaultAlpha = 0.5;
constexpr int64_t kDefaultAnchors = 5;
// Of the fields of an anchor search, in errors.
const std::string& AnchorSearchPrefix() {
  static const std::string* const kPrefix = new std::string("anchor_search.");
  return *kPrefix;
}

absl::Status CheckWeight(bool set, double weight, std::string_view field) {
  if (!set || (std::isfinite(weight) && weight >= 0)) return absl::OkStatus();
  return InvalidField(field, "the weight is negative or not finite", "Send a finite weight");
}

absl::StatusOr<v1::ReasoningMode> CheckedMode(v1::ReasoningMode mode) {
  switch (mode) {
    case v1::REASONING_MODE_UNSPECIFIED:
    case v1::REASONING_MODE_GRAPH:
      return v1::REASONING_MODE_GRAPH;
    case v1::REASONING_MODE_TOPOLOGY:
    case v1::REASONING_MODE_SHEAF:
    case v1::REASONING_MODE_FULL:
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "the layer that this mode needs is not part of this version",
                       {"INVALID_FIELD", "mode", "Use the graph mode", false});
    default:
      return InvalidField("mode", "the mode is unknown", "Send graph, topology, sheaf or full");
  }
}

// The best step to each object, by weight; stored before virtual.
absl::StatusOr<std::vector<FoundPath>> OneStep(StepExpander& steps, Ordinal anchor) {
  COOKIX_ASSIGN_OR_RETURN(const std::span<const Step> next, steps.Expand(anchor, false));
  std::vector<FoundPath> found;
  OrdinalMap index;
  for (const Step& step : next) {
    if (step.to == anchor) continue;
    auto [at, inserted] = index.Insert(step.to, static_cast<uint32_t>(found.size()));
    if (inserted) {
      found.push_back({step.to, step.weight, 1, {step}, anchor});
    } else if (FoundPath& path = found[*at]; std::tie(step.weight, step.reversed) <
                                             std::tie(path.weight, path.steps[0].reversed)) {
      path.weight = step.weight;
      path.steps[0] = step;
    }
  }
  std::sort(found.begin(), found.end(), [](const FoundPath& a, const FoundPath& b) {
    return std::tie(a.weight, a.ordinal) < std::tie(b.weight, b.ordinal);
  });
  return found;
}

struct HitOptions {
  double alpha = kDefaultAlpha;
  // Direct lookups are exact matches: their score is 0.
  bool direct = false;
  bool with_objects = false;
  bool with_explanations = false;
  int64_t valid_at_ms = 0;
};

absl::Status FillHit(const NamespaceView& view, const v1::ObjectRef& anchor_ref,
                     const FoundPath& path, int rank, const HitOptions& options, AnswerBytes* bytes,
                     v1::Hit* hit) {
  COOKIX_RETURN_IF_ERROR(view.FillRef(path.ordinal, hit->mutable_ref()));
  const double distance = options.direct ? 0.0 : options.alpha * path.weight;
  hit->set_distance(distance);
  hit->set_score(distance == 0 ? 0.0 : -distance);
  hit->set_hops(path.hops);
  COOKIX_RETURN_IF_ERROR(
      FillPath(view, path.anchor, path.steps, options.valid_at_ms, hit->mutable_path()));
  (*hit->mutable_components())["geodesic"] = path.weight;
  (*hit->mutable_lane_ranks())["graph"] = rank;
  if (options.with_objects) {
    COOKIX_RETURN_IF_ERROR(FillWalkedObject(view, path.ordinal, hit->mutable_object()));
  }
  if (options.with_explanations) {
    hit->set_explanation(Explain(anchor_ref, hit->path(), hit->score()));
  }
  if (bytes->Take(hit->ByteSizeLong())) return absl::OkStatus();
  return bytes->Exceeded("limit");
}

struct Anchor {
  Ordinal ordinal;
  v1::ObjectRef ref;
};

// The search for anchors as SearchApi takes it.
absl::StatusOr<v1::SearchRequest> CheckedAnchorSearch(Database& database,
                                                      const v1::QueryRequest& request) {
  const v1::AnchorSearch& asked = request.anchor_search();
  if (request.has_anchor()) {
    return InvalidField("anchor_search", "anchor and anchor_search are both set",
                        "Set one of them");
  }
  COOKIX_ASSIGN_OR_RETURN(const int64_t limit,
                          CheckedSize(asked.limit(), kDefaultAnchors, database.limits().max_anchors,
                                      "anchor_search.limit"));
  v1::SearchRequest search;
  search.set_collection(asked.collection());
  if (asked.has_vector()) *search.mutable_vector() = asked.vector();
  if (asked.has_text()) *search.mutable_text() = asked.text();
  *search.mutable_lanes() = asked.lanes();
  if (asked.has_fusion()) *search.mutable_fusion() = asked.fusion();
  search.set_limit(static_cast<int32_t>(limit));
  *search.mutable_filter() = asked.filter();
  *search.mutable_labels() = asked.labels();
  if (asked.has_min_score()) search.set_min_score(asked.min_score());
  COOKIX_RETURN_IF_ERROR(database.search().Check(search, AnchorSearchPrefix()));
  return search;
}

}  // namespace

absl::Status ReasoningApi::Query(CallContext& context, const v1::QueryRequest& request,
                                 v1::QueryResponse* response) {
  const Stopwatch watch;
  const Limits& limits = database_.limits();
  LimitTime(context, limits);
  v1::SearchRequest anchor_search;
  if (request.has_anchor_search()) {
    COOKIX_ASSIGN_OR_RETURN(anchor_search, CheckedAnchorSearch(database_, request));
  } else {
    COOKIX_RETURN_IF_ERROR(CheckRef(request.anchor(), "anchor", limits));
  }
  if (request.has_target()) COOKIX_RETURN_IF_ERROR(CheckRef(request.target(), "target", limits));
  if (!request.relation().empty()) {
    COOKIX_RETURN_IF_ERROR(CheckRelationName(request.relation(), "relation", limits));
  }
  if (request.chain_size() > limits.max_chain_length) {
    return LimitExceeded("chain",
                         absl::StrCat("the chain has ", request.chain_size(),
                                      " relations, more than ", limits.max_chain_length),
                         "Ask for a shorter chain");
  }
  if (request.chain_size() > 0 && !request.relation().empty()) {
    return InvalidField("chain", "chain and relation are both set", "Set one of them");
  }
  for (int i = 0; i < request.chain_size(); ++i) {
    if (request.chain(i).empty()) continue;
    COOKIX_RETURN_IF_ERROR(
        CheckRelationName(request.chain(i), absl::StrCat("chain[", i, "]"), limits));
  }
  COOKIX_ASSIGN_OR_RETURN(const int64_t max_hops,
                          CheckedSize(request.max_hops(), 4, limits.max_query_hops, "max_hops"));
  COOKIX_ASSIGN_OR_RETURN(const int64_t limit,
                          CheckedSize(request.limit(), 5, limits.max_query_results, "limit"));
  COOKIX_ASSIGN_OR_RETURN(const v1::ReasoningMode mode, CheckedMode(request.mode()));
  const v1::DistanceWeights& weights = request.weights();
  COOKIX_RETURN_IF_ERROR(CheckWeight(weights.has_alpha(), weights.alpha(), "weights.alpha"));
  COOKIX_RETURN_IF_ERROR(CheckWeight(weights.has_beta(), weights.beta(), "weights.beta"));
  COOKIX_RETURN_IF_ERROR(CheckWeight(weights.has_gamma(), weights.gamma(), "weights.gamma"));

  COOKIX_ASSIGN_OR_RETURN(const ReadView read, database_.Read(context, request.options()));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(read, request.namespace_()));
  response->set_position(database_.PositionToken(read.commit()));
  v1::QueryDiagnostics* diagnostics = response->mutable_diagnostics();
  diagnostics->set_mode(mode);
  COOKIX_ASSIGN_OR_RETURN(
      const std::shared_ptr<const OrdinalSet> matching,
      MatchingObjects(database_, context, view, request.filter(), "filter", request.labels()));
  const bool direct =
      !request.relation().empty() && !request.has_target() && request.chain_size() == 0;
  diagnostics->set_strategy(direct                     ? "direct"
                            : request.chain_size() > 0 ? "chain"
                            : request.has_target()     ? "target"
                                                       : "geodesic");
  std::vector<Anchor> anchors;
  if (request.has_anchor_search()) {
    v1::SearchResponse found;
    COOKIX_RETURN_IF_ERROR(
        database_.search().SearchAt(context, view, anchor_search, AnchorSearchPrefix(), &found));
    for (const v1::Hit& hit : found.hits()) {
      COOKIX_ASSIGN_OR_RETURN(const Ordinal ordinal,
                              view.FindOrdinal(hit.ref(), "anchor_search.collection"));
      anchors.push_back({ordinal, hit.ref()});
    }
    diagnostics->mutable_anchors()->Swap(found.mutable_hits());
    *diagnostics->mutable_anchor_search() = std::move(*found.mutable_diagnostics());
  } else {
    COOKIX_ASSIGN_OR_RETURN(const Ordinal anchor, view.FindOrdinal(request.anchor(), "anchor"));
    // When nothing is known of it, nothing follows.
    if (anchor != 0) anchors.push_back({anchor, request.anchor()});
  }
  Ordinal target = 0;
  if (request.has_target()) {
    COOKIX_ASSIGN_OR_RETURN(target, view.FindOrdinal(request.target(), "target"));
  }
  auto finish = [&] {
    diagnostics->set_elapsed_us(watch.Elapsed());
    return absl::OkStatus();
  };
  if (request.has_target()) {
    if (target == 0) return finish();
    // An object is no answer to where it leads itself.
    std::erase_if(anchors, [&](const Anchor& anchor) { return anchor.ordinal == target; });
  }
  if (anchors.empty()) return finish();

  const std::unique_ptr<ArcReader> arcs = database_.Arcs(context, view);
  StepRules rules;
  rules.direction = request.reverse() ? v1::DIRECTION_IN : v1::DIRECTION_OUT;
  rules.follow_inverses = request.follow_inverses();
  rules.valid_at_ms = request.valid_at_ms();
  if (!request.relation().empty()) rules.relations = {request.relation()};

  const auto matches = [&](Ordinal ordinal) {
    return matching == nullptr || matching->Contains(ordinal);
  };
  const bool by_chain = request.chain_size() > 0;
  FoundPaths answers(limit, /*by_hops=*/by_chain);
  int64_t settled = 0;
  int64_t examined = 0;
  if (by_chain) {
    std::vector<StepExpander> chain;
    chain.reserve(static_cast<size_t>(request.chain_size()));
    for (const std::string& name : request.chain()) {
      rules.relations.clear();
      if (!name.empty()) rules.relations = {name};
      chain.emplace_back(context, view, *arcs, rules, limits.max_edges_examined);
    }
    for (const Anchor& anchor : anchors) {
      COOKIX_ASSIGN_OR_RETURN(GeodesicResult result,
                              FollowChain(chain, anchor.ordinal, request.chain_prefixes()));
      settled += result.settled;
      std::erase_if(result.found, [&](const FoundPath& path) {
        return (target != 0 && path.ordinal != target) || !matches(path.ordinal);
      });
      answers.Add(std::move(result.found));
    }
    for (const StepExpander& steps : chain) examined += steps.edges_examined();
  } else {
    StepExpander steps(context, view, *arcs, rules, limits.max_edges_examined);
    for (const Anchor& anchor : anchors) {
      std::vector<FoundPath> found;
      if (direct) {
        COOKIX_ASSIGN_OR_RETURN(found, OneStep(steps, anchor.ordinal));
        settled += static_cast<int64_t>(found.size());
        std::erase_if(found, [&](const FoundPath& path) { return !matches(path.ordinal); });
      } else {
        GeodesicRequest search;
        search.anchor = anchor.ordinal;
        search.target = target;
        search.max_hops = static_cast<int>(max_hops);
        search.limit = limit;
        search.max_weight = answers.max_weight();
        if (matching != nullptr) search.accept = matches;
        COOKIX_ASSIGN_OR_RETURN(GeodesicResult result, Geodesic(steps, search));
        settled += result.settled;
        found = std::move(result.found);
      }
      answers.Add(std::move(found));
    }
    examined = steps.edges_examined();
  }
  diagnostics->set_objects_settled(settled);
  diagnostics->set_edges_examined(examined);
  HitOptions options;
  options.alpha = weights.has_alpha() ? weights.alpha() : kDefaultAlpha;
  options.direct = direct;
  options.with_objects = request.with_objects();
  options.with_explanations = request.with_explanations();
  options.valid_at_ms = request.valid_at_ms();
  AnswerBytes bytes(limits);
  int rank = 0;
  for (const FoundPath& path : std::move(answers).Take()) {
    const auto anchor = std::find_if(anchors.begin(), anchors.end(), [&](const Anchor& each) {
      return each.ordinal == path.anchor;
    });
    COOKIX_RETURN_IF_ERROR(
        FillHit(view, anchor->ref, path, ++rank, options, &bytes, response->add_hits()));
  }
  return finish();
}

absl::Status ReasoningApi::FindContradictions(CallContext& context,
                                              const v1::FindContradictionsRequest& request,
                                              v1::FindContradictionsResponse* response) {
  const Limits& limits = database_.limits();
  LimitTime(context, limits);
  COOKIX_RETURN_IF_ERROR(CheckRef(request.ref(), "ref", limits));
  COOKIX_RETURN_IF_ERROR(CheckRelationNames(request.relations(), "relations", limits));
  COOKIX_ASSIGN_OR_RETURN(const int64_t limit,
                          CheckedSize(request.limit(), 100, limits.max_query_results, "limit"));
  COOKIX_ASSIGN_OR_RETURN(const ReadView read, database_.Read(context, request.options()));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(read, request.namespace_()));
  COOKIX_ASSIGN_OR_RETURN(const Ordinal ordinal, KnownOrdinal(view, request.ref(), "ref"));
  StepRules rules;
  rules.direction = v1::DIRECTION_BOTH;
  rules.relations = {request.relations().begin(), request.relations().end()};
  if (rules.relations.empty()) rules.relations = {"contradicts"};
  const std::unique_ptr<ArcReader> arcs = database_.Arcs(context, view);
  StepExpander steps(context, view, *arcs, rules, limits.max_edges_examined);
  COOKIX_ASSIGN_OR_RETURN(std::vector<FoundPath> found, OneStep(steps, ordinal));
  if (static_cast<int64_t>(found.size()) > limit) found.resize(static_cast<size_t>(limit));
  HitOptions options;
  options.alpha = 1.0;
  options.with_objects = request.with_objects();
  options.with_explanations = true;
  AnswerBytes bytes(limits);
  int rank = 0;
  for (const FoundPath& path : found) {
    COOKIX_RETURN_IF_ERROR(
        FillHit(view, request.ref(), path, ++rank, options, &bytes, response->add_hits()));
  }
  response->set_position(database_.PositionToken(read.commit()));
  return absl::OkStatus();
}

absl::Status ReasoningApi::VerifyChain(CallContext& context, const v1::VerifyChainRequest& request,
                                       v1::VerifyChainResponse* response) {
  const Limits& limits = database_.limits();
  LimitTime(context, limits);
  if (request.links_size() == 0) {
    return InvalidField("links", "the chain is empty", "Send at least one link");
  }
  if (request.links_size() > 64) {
    return LimitExceeded("links", "the chain has more than 64 links", "Check it in parts");
  }
  for (int i = 0; i < request.links_size(); ++i) {
    const v1::ClaimedLink& link = request.links(i);
    const std::string field = absl::StrCat("links[", i, "]");
    COOKIX_RETURN_IF_ERROR(CheckRef(link.source(), field + ".source", limits));
    COOKIX_RETURN_IF_ERROR(CheckRef(link.target(), field + ".target", limits));
    COOKIX_RETURN_IF_ERROR(CheckRelationName(link.relation(), field + ".relation", limits));
  }
  COOKIX_ASSIGN_OR_RETURN(const ReadView read, database_.Read(context, request.options()));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(read, request.namespace_()));
  const std::unique_ptr<ArcReader> arcs = database_.Arcs(context, view);
  auto find = [&](const std::string& relation, v1::Direction direction, Ordinal source,
                  Ordinal target, v1::PathStep* out) -> absl::StatusOr<bool> {
    StepRules rules;
    rules.direction = direction;
    rules.relations = {relation};
    StepExpander steps(context, view, *arcs, rules, limits.max_edges_examined);
    COOKIX_ASSIGN_OR_RETURN(const std::span<const Step> next, steps.Expand(source, false));
    const Step* best = nullptr;
    for (const Step& step : next) {
      if (step.to != target) continue;
      if (best == nullptr ||
          std::tie(step.reversed, step.weight) < std::tie(best->reversed, best->weight)) {
        best = &step;
      }
    }
    if (best == nullptr) return false;
    COOKIX_RETURN_IF_ERROR(FillStep(view, source, nullptr, *best, 0, out));
    return true;
  };
  bool consistent = true;
  Ordinal previous = 0;
  for (int i = 0; i < request.links_size(); ++i) {
    const v1::ClaimedLink& link = request.links(i);
    const std::string field = absl::StrCat("links[", i, "]");
    COOKIX_ASSIGN_OR_RETURN(const Ordinal source,
                            view.FindOrdinal(link.source(), field + ".source"));
    COOKIX_ASSIGN_OR_RETURN(const Ordinal target,
                            view.FindOrdinal(link.target(), field + ".target"));
    v1::LinkVerdict* verdict = response->add_verdicts();
    verdict->set_connected(i == 0 || (source != 0 && source == previous));
    if (source != 0 && target != 0) {
      COOKIX_ASSIGN_OR_RETURN(const bool supported, find(link.relation(), v1::DIRECTION_OUT, source,
                                                         target, verdict->mutable_evidence()));
      verdict->set_supported(supported);
      if (!supported) verdict->clear_evidence();
      COOKIX_ASSIGN_OR_RETURN(const bool contradicted,
                              find("contradicts", v1::DIRECTION_BOTH, source, target,
                                   verdict->mutable_contradiction()));
      if (!contradicted) verdict->clear_contradiction();
    }
    consistent =
        consistent && verdict->connected() && verdict->supported() && !verdict->has_contradiction();
    previous = target;
  }
  response->set_consistent(consistent);
  response->set_position(database_.PositionToken(read.commit()));
  return absl::OkStatus();
}

}  // namespace cookix::engine
