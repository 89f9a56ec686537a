// query, contradictions, verify.
#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/render.h"
#include "tools/cli/requests.h"
#include "tools/cli/text_width.h"
#include "tools/cli/vector_arguments.h"
#include "tools/cli/where_parser.h"

namespace cookix::cli {
namespace {

absl::StatusOr<v1::ReasoningMode> ModeOf(const Arguments& args) {
  static constexpr std::pair<const char*, v1::ReasoningMode> kModes[] = {
      {"", v1::REASONING_MODE_UNSPECIFIED},      {"graph", v1::REASONING_MODE_GRAPH},
      {"graph_only", v1::REASONING_MODE_GRAPH},  {"topo", v1::REASONING_MODE_TOPOLOGY},
      {"topology", v1::REASONING_MODE_TOPOLOGY}, {"sheaf", v1::REASONING_MODE_SHEAF},
      {"full", v1::REASONING_MODE_FULL},         {"reasoning", v1::REASONING_MODE_FULL}};
  const std::string word = args.Get("mode");
  for (const auto& [name, mode] : kModes) {
    if (word == name) return mode;
  }
  return UsageError("--mode is \"" + word + "\"", "--mode", "use graph, topo, sheaf or reasoning");
}

std::vector<std::string> SplitChain(const std::string& text) {
  std::vector<std::string> names;
  size_t start = 0;
  while (true) {
    const size_t comma = text.find(',', start);
    std::string name = text.substr(start, comma == std::string::npos ? comma : comma - start);
    names.push_back(name == "*" ? "" : name);
    if (comma == std::string::npos) return names;
    start = comma + 1;
  }
}

bool AnchorsAreSearched(const Arguments& args) {
  return args.Has("near") || args.Has("near-vector") || args.Has("near-text");
}

// Anchors found by likeness or by words, or by both, from --near, --near-vector, --near-text.
absl::Status FillAnchorSearch(Context& context, v1::AnchorSearch* search) {
  const Arguments& args = context.args();
  search->set_collection(context.collection());
  if (args.Has("near-text")) search->mutable_text()->set_text(args.Get("near-text"));
  if (args.Has("near-field")) search->mutable_vector()->set_field(args.Get("near-field"));
  if (args.Has("near")) {
    search->mutable_vector()->set_key(args.Get("near"));
  } else if (args.Has("near-vector")) {
    COOKIX_ASSIGN_OR_RETURN(*search->mutable_vector()->mutable_vector(),
                            ParseVector(context, args.Get("near-vector"), "--near-vector"));
  }
  COOKIX_ASSIGN_OR_RETURN(const int64_t anchors, args.GetInt("anchors", 5, 1, 100));
  search->set_limit(static_cast<int32_t>(anchors));
  if (args.Has("near-where")) {
    auto filter = ParseWhere(args.Get("near-where"));
    if (!filter.ok()) return WithField(filter.status(), "--near-where");
    *search->mutable_filter() = *std::move(filter);
  }
  if (args.Has("near-min-score")) {
    COOKIX_ASSIGN_OR_RETURN(const double score, args.GetDouble("near-min-score", 0));
    search->set_min_score(score);
  }
  return absl::OkStatus();
}

// Where to start and, if wanted, to end.
absl::Status FillEnds(Context& context, v1::QueryRequest* request) {
  const Arguments& args = context.args();
  const std::string first = args.Positional(0);
  const std::string second = args.Positional(1);
  if (!AnchorsAreSearched(args)) {
    for (const char* flag : {"anchors", "near-field", "near-where", "near-min-score"}) {
      if (args.Has(flag)) {
        return UsageError(
            "--" + std::string(flag) + " without --near, --near-vector or --near-text",
            "--" + std::string(flag), "say what the anchors are to be like");
      }
    }
    if (first.empty()) {
      return UsageError("the anchor is missing", "ANCHOR",
                        "give the key to start from, or --near KEY, --near-vector VECTOR or "
                        "--near-text WORDS");
    }
    *request->mutable_anchor() = context.Ref(first);
    if (!second.empty()) *request->mutable_target() = context.TargetRef(second);
    return absl::OkStatus();
  }
  if (args.Has("near") && args.Has("near-vector")) {
    return UsageError("--near and --near-vector exclude each other", "--near", "give one of them");
  }
  if (args.Has("near-field") && !args.Has("near") && !args.Has("near-vector")) {
    return UsageError("--near-field without --near or --near-vector", "--near-field",
                      "say what the anchors' vectors are to be like");
  }
  // The anchors are found, so that the only key is the target's.
  if (!second.empty()) {
    return UsageError("two keys with --near, --near-vector or --near-text", "TARGET",
                      "anchors are searched for: give the target only");
  }
  if (!first.empty()) *request->mutable_target() = context.TargetRef(first);
  return FillAnchorSearch(context, request->mutable_anchor_search());
}

// Where a path begins: at the anchor, unless that was searched for.
v1::ObjectRef StartOf(const v1::Hit& hit, const v1::ObjectRef& anchor) {
  if (!anchor.key().empty()) return anchor;
  if (hit.path().steps().empty()) return hit.ref();
  // The path ends at the hit: walk back from there.
  v1::ObjectRef at = hit.ref();
  for (int i = hit.path().steps_size() - 1; i >= 0; --i) at = OtherEnd(hit.path().steps(i), at);
  return at;
}

void PrintHits(const google::protobuf::RepeatedPtrField<v1::Hit>& hits, const v1::ObjectRef& anchor,
               Terminal& out) {
  for (const v1::Hit& hit : hits) {
    if (!hit.explanation().empty()) {
      out.Line(OneLine(hit.explanation()));
    } else {
      out.Line(PathLine(StartOf(hit, anchor), hit.path(), out) +
               out.Paint("  (score=" + NumberText(hit.score()) +
                             ", hops=" + std::to_string(hit.hops()) + ")",
                         Tone::kDim));
    }
    if (!hit.object().content().empty()) {
      out.Line("   " +
               out.Paint(Shorten(OneLine(hit.object().content()), out.width() - 3), Tone::kDim));
    }
  }
}

absl::Status Query(Context& context) {
  const Arguments& args = context.args();
  v1::QueryRequest request;
  request.set_namespace_(context.name_space());
  COOKIX_RETURN_IF_ERROR(FillEnds(context, &request));
  request.set_relation(args.Get("relation"));
  if (args.Has("chain")) {
    if (args.Has("relation")) {
      return UsageError("--relation and --chain exclude each other", "--chain",
                        "put the relation into the chain");
    }
    for (const std::string& name : SplitChain(args.Get("chain"))) request.add_chain(name);
  }
  request.set_chain_prefixes(args.Has("prefixes"));
  COOKIX_ASSIGN_OR_RETURN(int64_t hops, args.GetInt("max-hops", 0, 0, 32));
  request.set_max_hops(static_cast<int32_t>(hops));
  COOKIX_ASSIGN_OR_RETURN(int64_t limit, args.GetInt("limit", 5, 1, 10'000));
  request.set_limit(static_cast<int32_t>(limit));
  COOKIX_ASSIGN_OR_RETURN(v1::ReasoningMode mode, ModeOf(args));
  request.set_mode(mode);
  for (const char* name : {"alpha", "beta", "gamma"}) {
    if (!args.Has(name)) continue;
    COOKIX_ASSIGN_OR_RETURN(double weight, args.GetDouble(name, 0));
    if (name[0] == 'a') request.mutable_weights()->set_alpha(weight);
    if (name[0] == 'b') request.mutable_weights()->set_beta(weight);
    if (name[0] == 'g') request.mutable_weights()->set_gamma(weight);
  }
  request.set_follow_inverses(args.Has("follow-inverses"));
  request.set_reverse(args.Has("reverse"));
  if (args.Has("where")) {
    COOKIX_RETURN_IF_ERROR(FillWhere(context, request.mutable_filter()).status());
  }
  for (const std::string& label : args.GetAll("label")) request.add_labels(label);
  COOKIX_ASSIGN_OR_RETURN(int64_t at, ValidAt(context));
  request.set_valid_at_ms(at);
  request.set_with_objects(args.Has("objects"));
  request.set_with_explanations(true);
  COOKIX_RETURN_IF_ERROR(FillRead(context, request.mutable_options()));
  v1::QueryResponse response;
  COOKIX_CALL(context, Query, request, &response);
  context.Answer(response, [&] {
    if (response.hits().empty()) context.out().Line("no answers");
    PrintHits(response.hits(), request.anchor(), context.out());
    if (context.quiet()) return;
    const v1::QueryDiagnostics& diagnostics = response.diagnostics();
    if (request.has_anchor_search()) {
      std::string anchors;
      for (const v1::Hit& hit : diagnostics.anchors()) {
        anchors += (anchors.empty() ? "" : ", ") + RefText(hit.ref()) + " (" +
                   NumberText(hit.score()) + ")";
      }
      context.err().Line(context.err().Paint(
          anchors.empty() ? "no anchors found" : "from " + anchors, Tone::kDim));
    }
    context.err().Line(context.err().Paint(
        OneLine(diagnostics.strategy()) + " search, " + WithCommas(diagnostics.objects_settled()) +
            " objects settled, " + WithCommas(diagnostics.edges_examined()) + " edges examined, " +
            HumanMicros(diagnostics.elapsed_us()) + " in the engine",
        Tone::kDim));
  });
  return absl::OkStatus();
}

absl::Status Contradictions(Context& context) {
  v1::FindContradictionsRequest request;
  request.set_namespace_(context.name_space());
  *request.mutable_ref() = context.Ref(context.args().Positional(0));
  for (const std::string& name : context.args().GetAll("relation")) request.add_relations(name);
  COOKIX_ASSIGN_OR_RETURN(int64_t limit, context.args().GetInt("limit", 100, 1, 10'000));
  request.set_limit(static_cast<int32_t>(limit));
  request.set_with_objects(true);
  COOKIX_RETURN_IF_ERROR(FillRead(context, request.mutable_options()));
  v1::FindContradictionsResponse response;
  COOKIX_CALL(context, FindContradictions, request, &response);
  context.Answer(response, [&] {
    if (response.hits().empty()) context.out().Line("nothing contradicts it");
    PrintHits(response.hits(), request.ref(), context.out());
  });
  return absl::OkStatus();
}

absl::Status Verify(Context& context) {
  const auto& words = context.args().positionals();
  if (words.size() < 3 || words.size() % 2 == 0) {
    return UsageError("a chain is an object, then a relation and an object for each link", "CHAIN",
                      "write: cookix verify umbrella prevents rain causes wet_coat");
  }
  v1::VerifyChainRequest request;
  request.set_namespace_(context.name_space());
  for (size_t i = 0; i + 2 < words.size(); i += 2) {
    v1::ClaimedLink* link = request.add_links();
    *link->mutable_source() = context.Ref(words[i]);
    link->set_relation(words[i + 1]);
    *link->mutable_target() = context.Ref(words[i + 2]);
  }
  COOKIX_RETURN_IF_ERROR(FillRead(context, request.mutable_options()));
  v1::VerifyChainResponse response;
  COOKIX_CALL(context, VerifyChain, request, &response);
  context.Answer(response, [&] {
    Terminal& out = context.out();
    for (int i = 0; i < response.verdicts_size(); ++i) {
      const v1::LinkVerdict& verdict = response.verdicts(i);
      const v1::ClaimedLink& link = request.links(i);
      std::string line =
          verdict.supported() ? out.Paint("✓ ", Tone::kGood) : out.Paint("✗ ", Tone::kBad);
      line += RefText(link.source()) + " --[" +
              out.Paint(OneLine(link.relation()), Tone::kRelation) + "]--> " +
              RefText(link.target());
      const v1::PathStep& evidence = verdict.evidence();
      if (verdict.supported() && evidence.virtual_()) {
        line +=
            out.Paint("  (stored as " + RefText(evidence.source()) + " --[" +
                          OneLine(evidence.relation()) + "]--> " + RefText(evidence.target()) + ")",
                      Tone::kDim);
      }
      if (!verdict.supported()) line += out.Paint("  not in the graph", Tone::kDim);
      if (!verdict.connected())
        line += out.Paint("  does not start where the last ended", Tone::kBad);
      if (verdict.has_contradiction()) line += out.Paint("  contradicted", Tone::kBad);
      out.Line(line);
    }
    out.Line(response.consistent() ? "the graph supports the chain"
                                   : "the graph does not support the chain");
  });
  return response.consistent() ? absl::OkStatus() : SilentFailure();
}

}  // namespace

std::vector<Command> ReasoningCommands() {
  return {
      {"query",
       {"nibble"},
       "answer a question from an anchor, with the paths that justify it",
       {{"ANCHOR", "the key to start from; left out where --near… says what to start from", true},
        {"TARGET", "the key to end at", true}},
       Join({{{"near", "KEY", "start from the objects whose vectors are nearest to this one's"},
              {"near-vector", "VECTOR", "start from those nearest to a vector, as in `search`"},
              {"near-text", "WORDS", "start from what matches words best; with a vector, both"},
              {"near-field", "NAME", "the vector field (default: the only one)"},
              {"near-where", "FILTER", "only anchors that match"},
              {"near-min-score", "S", "only anchors whose score is at least this"},
              {"anchors", "N", "how many anchors (default 5)"},
              {"relation", "NAME", "direct lookup, or the relation of every step to TARGET", 'r'},
              {"chain", "R1,R2,…", "the relation of each hop; * stands for any"},
              {"prefixes", "", "also objects reached by a beginning of the chain"},
              {"max-hops", "N", "most hops (default 4)"},
              LimitFlag("answers wanted (default 5)"),
              {"reverse", "", "follow relations backwards: who leads to the anchor"},
              {"follow-inverses", "", "steps that name no relation follow inverses too"},
              {"mode", "MODE", "graph, topo, sheaf or reasoning (default: all that is on)"},
              {"alpha", "W", "weight of the geodesic distance (default 0.5)"},
              {"beta", "W", "weight of the topological term (default 0.3)"},
              {"gamma", "W", "weight of the sheaf term (default 0.2)"},
              {"label", "NAME", "only answers with one of these labels", 'l', true},
              WhereFlag(),
              {"at", "MS|now", "only edges valid at this time"},
              {"objects", "", "with the objects"},
              CollectionFlag(),
              TargetCollectionFlag()},
             ReadFlags()}),
       {"cookix query umbrella wet_coat", "cookix query umbrella --relation prevents",
        "cookix query umbrella --chain prevents,causes", "cookix query rain --reverse --limit 10",
        "cookix query --near rain --anchors 5 --chain causes",
        "cookix query --near-text 'heavy rain' --anchors 5 --chain causes"},
       Query},
      {"contradictions",
       {},
       "list what contradicts an object, in either direction",
       {{"KEY", "the object's key"}},
       Join({{{"relation", "NAME", "relations that count (default contradicts)", 'r', true},
              LimitFlag("how many (default 100)"),
              CollectionFlag()},
             ReadFlags()}),
       {"cookix contradictions spec_a", "cookix contradictions pkg -r conflicts --json"},
       Contradictions},
      {"verify",
       {},
       "check a claimed chain against the graph; exit code 1 when it is not supported",
       {{"CHAIN", "SOURCE RELATION TARGET [RELATION TARGET]…", false, true}},
       Join({{CollectionFlag()}, ReadFlags()}),
       {"cookix verify umbrella prevents rain causes wet_coat"},
       Verify},
  };
}

}  // namespace cookix::cli
