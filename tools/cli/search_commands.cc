// search and index show.
#include <algorithm>
#include <map>

#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/render.h"
#include "tools/cli/requests.h"
#include "tools/cli/search_arguments.h"
#include "tools/cli/search_render.h"
#include "tools/cli/text_width.h"
#include "tools/cli/vector_arguments.h"

namespace cookix::cli {
namespace {

bool AsksByVector(const Arguments& args) {
  return args.Has("vector") || args.Has("like") || args.Has("row");
}

// Exactly one of --vector, --like and --row.
absl::Status FillTarget(Context& context, v1::VectorQuery* query) {
  const Arguments& args = context.args();
  const int given =
      (args.Has("vector") ? 1 : 0) + (args.Has("like") ? 1 : 0) + (args.Has("row") ? 1 : 0);
  if (given != 1) {
    return UsageError("--vector, --like and --row exclude each other", "--vector",
                      "give --vector 0.1,0.2,…, --like KEY or --row FILE:ROW, one of them");
  }
  if (args.Has("like")) {
    query->set_key(args.Get("like"));
    return absl::OkStatus();
  }
  if (args.Has("vector")) {
    COOKIX_ASSIGN_OR_RETURN(*query->mutable_vector(),
                            ParseVector(context, args.Get("vector"), "--vector"));
    return absl::OkStatus();
  }
  // Whether bytes are numbers or bits is the field's to say.
  v1::GetCollectionRequest request;
  request.set_namespace_(context.name_space());
  request.set_collection(context.collection());
  v1::GetCollectionResponse response;
  COOKIX_CALL(context, GetCollection, request, &response);
  COOKIX_ASSIGN_OR_RETURN(const v1::VectorField field,
                          FindVectorField(response.collection(), args.Get("field")));
  COOKIX_ASSIGN_OR_RETURN(
      *query->mutable_vector(),
      ReadVectorRow(args.Get("row"), field.metric() == v1::VECTOR_METRIC_HAMMING, "--row"));
  return absl::OkStatus();
}

absl::Status FillVectorQuery(Context& context, v1::VectorQuery* query) {
  const Arguments& args = context.args();
  query->set_field(args.Get("field"));
  COOKIX_ASSIGN_OR_RETURN(const int64_t ef, args.GetInt("ef", 0, 1, 10'000));
  query->set_ef(static_cast<int32_t>(ef));
  COOKIX_ASSIGN_OR_RETURN(const int64_t cells, args.GetInt("cells", 0, 1, 10'000));
  query->set_cells_probed(static_cast<int32_t>(cells));
  query->set_exact(args.Has("exact"));
  COOKIX_ASSIGN_OR_RETURN(const v1::VectorMetric metric,
                          ParseMetric(args.Get("metric"), "--metric"));
  query->set_metric(metric);
  return FillTarget(context, query);
}

absl::Status FillTextQuery(const Arguments& args, v1::TextQuery* query) {
  query->set_text(args.Get("text"));
  COOKIX_ASSIGN_OR_RETURN(const v1::TextQueryMode mode, ParseTextMode(args.Get("mode"), "--mode"));
  query->set_mode(mode);
  for (const std::string& name : SplitNames(args.Get("fields"))) query->add_fields(name);
  for (const std::string& boost : args.GetAll("boost")) {
    const size_t equals = boost.rfind('=');
    const auto value = equals == std::string::npos
                           ? std::nullopt
                           : ParseDouble(std::string_view(boost).substr(equals + 1));
    if (!value) {
      return UsageError("--boost is \"" + OneLine(boost) + "\"", "--boost",
                        "write FIELD=NUMBER, such as title=2");
    }
    (*query->mutable_boosts())[boost.substr(0, equals)] = *value;
  }
  return absl::OkStatus();
}

// Flags that mean nothing without another.
absl::Status CheckCompany(const Arguments& args, bool with, std::vector<const char*> flags,
                          const std::string& company) {
  if (with) return absl::OkStatus();
  for (const char* flag : flags) {
    if (!args.Has(flag)) continue;
    return UsageError("--" + std::string(flag) + " without " + company, "--" + std::string(flag),
                      "see `cookix help search`");
  }
  return absl::OkStatus();
}

absl::Status FillQueries(Context& context, v1::SearchRequest* request) {
  const Arguments& args = context.args();
  const bool by_vector = AsksByVector(args);
  const bool by_text = args.Has("text");
  if (!args.Has("lane")) {
    if (!by_vector && !by_text) {
      return UsageError("what to look for is missing", "--text",
                        "give --text WORDS, --vector 0.1,0.2,…, --like KEY, --row FILE:ROW or "
                        "--lane");
    }
  } else if (by_vector || by_text) {
    return UsageError("--lane with --text, --vector, --like or --row", "--lane",
                      "make them lanes too; see `cookix help lanes`");
  }
  COOKIX_RETURN_IF_ERROR(CheckCompany(args, by_vector, {"field", "ef", "cells", "exact", "metric"},
                                      "--vector, --like or --row"));
  COOKIX_RETURN_IF_ERROR(CheckCompany(args, by_text, {"mode", "fields", "boost"}, "--text"));
  COOKIX_RETURN_IF_ERROR(CheckCompany(args, by_text && by_vector, {"alpha"},
                                      "both --text and --vector, --like or --row"));
  if (by_vector) COOKIX_RETURN_IF_ERROR(FillVectorQuery(context, request->mutable_vector()));
  if (by_text) COOKIX_RETURN_IF_ERROR(FillTextQuery(args, request->mutable_text()));
  for (const std::string& lane : args.GetAll("lane")) {
    COOKIX_ASSIGN_OR_RETURN(*request->add_lanes(), ParseLane(context, lane));
  }
  return absl::OkStatus();
}

absl::Status FillFusion(const Arguments& args, v1::SearchRequest* request) {
  if (args.Has("fusion")) {
    COOKIX_ASSIGN_OR_RETURN(const v1::FusionMethod method,
                            ParseFusion(args.Get("fusion"), "--fusion"));
    request->mutable_fusion()->set_method(method);
  }
  if (args.Has("rank-constant")) {
    COOKIX_ASSIGN_OR_RETURN(const int64_t constant, args.GetInt("rank-constant", 0, 1, 1'000'000));
    request->mutable_fusion()->set_rank_constant(static_cast<int32_t>(constant));
  }
  if (args.Has("alpha")) {
    COOKIX_ASSIGN_OR_RETURN(const double alpha, args.GetDouble("alpha", 0));
    request->mutable_fusion()->set_alpha(alpha);
  }
  return absl::OkStatus();
}

absl::Status FillGroupsAndFilter(Context& context, v1::SearchRequest* request) {
  const Arguments& args = context.args();
  COOKIX_ASSIGN_OR_RETURN(const int64_t limit, args.GetInt("limit", 10, 1, 10'000));
  request->set_limit(static_cast<int32_t>(limit));
  if (args.Has("where")) {
    COOKIX_RETURN_IF_ERROR(FillWhere(context, request->mutable_filter()).status());
  }
  for (const std::string& label : args.GetAll("label")) request->add_labels(label);
  if (args.Has("min-score")) {
    COOKIX_ASSIGN_OR_RETURN(const double score, args.GetDouble("min-score", 0));
    request->set_min_score(score);
  }
  request->set_group_by(args.Get("group-by"));
  if (args.Has("group-limit")) {
    if (!args.Has("group-by")) {
      return UsageError("--group-limit without --group-by", "--group-limit",
                        "name the property with --group-by");
    }
    COOKIX_ASSIGN_OR_RETURN(const int64_t most, args.GetInt("group-limit", 1, 1, 100));
    request->set_group_limit(static_cast<int32_t>(most));
  }
  return absl::OkStatus();
}

// What comes back beside references and scores.
absl::Status FillParts(const Context& context, v1::SearchRequest* request) {
  const Arguments& args = context.args();
  // People are shown some of the content in any case.
  const bool objects = args.Has("objects") || args.Has("vectors");
  request->set_with_objects(objects || !context.json());
  request->mutable_mask()->set_without_properties(!objects);
  request->mutable_mask()->set_with_vectors(args.Has("vectors"));
  if (args.Has("snippets")) request->mutable_snippets();
  if (args.Has("snippet-words")) {
    COOKIX_ASSIGN_OR_RETURN(const int64_t words, args.GetInt("snippet-words", 10, 1, 1000));
    request->mutable_snippets()->set_max_words(static_cast<int32_t>(words));
  }
  request->set_count_matches(args.Has("count"));
  request->set_with_lanes(args.Has("lists"));
  request->set_explain(args.Has("explain"));
  return FillRead(context, request->mutable_options());
}

HitColumns ColumnsOf(const v1::SearchRequest& request) {
  HitColumns columns;
  const bool fused = request.lanes_size() > 1 || (request.has_vector() && request.has_text());
  columns.distance =
      !fused && !request.has_text() && !(request.lanes_size() == 1 && request.lanes(0).has_text());
  columns.lanes = fused;
  columns.snippets = request.has_snippets();
  columns.properties = !request.mask().without_properties();
  return columns;
}

void PrintAnswer(const v1::SearchRequest& request, const v1::SearchResponse& response,
                 Terminal& out) {
  const HitColumns columns = ColumnsOf(request);
  if (response.hits().empty() && response.groups().empty()) {
    out.Line("nothing found");
  } else if (!response.hits().empty()) {
    PrintSearchHits(response.hits(), columns, out, 0);
  }
  for (const v1::SearchGroup& group : response.groups()) {
    out.Line(
        out.Paint(OneLine(request.group_by()) + " = " + ValueText(group.value()), Tone::kBold));
    PrintSearchHits(group.hits(), columns, out, 2);
  }
  for (const v1::LaneResult& lane : response.lanes()) {
    out.Line();
    out.Line(out.Paint(OneLine(lane.name()), Tone::kBold));
    Table table({{"RANK", true, Tone::kDim}, {"KEY"}, {"SCORE", true}});
    int rank = 0;
    for (const v1::Hit& hit : lane.hits()) {
      table.Add({std::to_string(++rank), RefText(hit.ref()), NumberText(hit.score())});
    }
    table.Print(out, 2);
  }
  if (request.count_matches()) {
    out.Line(WithCommas(response.total_matches()) +
             (response.total_matches() == 1 ? " object matches" : " objects match") + " the words");
  }
}

absl::Status Search(Context& context) {
  v1::SearchRequest request;
  request.set_namespace_(context.name_space());
  request.set_collection(context.collection());
  COOKIX_RETURN_IF_ERROR(FillGroupsAndFilter(context, &request));
  COOKIX_RETURN_IF_ERROR(FillQueries(context, &request));
  COOKIX_RETURN_IF_ERROR(FillFusion(context.args(), &request));
  COOKIX_RETURN_IF_ERROR(FillParts(context, &request));
  v1::SearchResponse response;
  COOKIX_CALL(context, Search, request, &response);
  context.Answer(response, [&] {
    Terminal& out = context.out();
    PrintAnswer(request, response, out);
    const v1::SearchDiagnostics& diagnostics = response.diagnostics();
    if (request.explain()) {
      out.Line();
      PrintStages(response.stages(), out);
      out.Line();
      PrintSearchDiagnostics(diagnostics, out);
    } else if (!context.quiet()) {
      context.err().Line(context.err().Paint(
          OneLine(diagnostics.strategy()) + " search, " +
              (diagnostics.exact() ? "exact, " : "approximate, ") +
              WithCommas(diagnostics.candidates_considered()) + " compared or scored, " +
              HumanMicros(diagnostics.elapsed_us()) + " in the engine",
          Tone::kDim));
    }
  });
  return absl::OkStatus();
}

absl::Status ShowTextIndex(Context& context) {
  v1::DescribeIndexRequest request;
  request.set_namespace_(context.name_space());
  request.set_collection(context.collection());
  request.set_field(context.args().Positional(0));
  request.set_text(true);
  v1::DescribeIndexResponse response;
  COOKIX_CALL(context, DescribeIndex, request, &response);
  context.Answer(response, [&] {
    Terminal& out = context.out();
    Table table({{"INDEX", false, Tone::kDim}, {"VALUE"}});
    table.Add({"state", response.state()});
    if (!response.error().empty()) table.Add({"error", response.error()});
    table.Add({"objects", WithCommas(response.vectors())});
    table.Add({"segments", WithCommas(response.segments())});
    table.Add({"memory", HumanBytes(response.memory_bytes())});
    table.Add({"visible commit", WithCommas(response.visible_commit())});
    table.Print(out);
    out.Line();
    PrintTextFields(response.text_fields(), out);
  });
  return absl::OkStatus();
}

absl::Status ShowIndex(Context& context) {
  if (context.args().Has("text")) return ShowTextIndex(context);
  v1::DescribeIndexRequest request;
  request.set_namespace_(context.name_space());
  request.set_collection(context.collection());
  request.set_field(context.args().Positional(0));
  v1::DescribeIndexResponse response;
  COOKIX_CALL(context, DescribeIndex, request, &response);
  context.Answer(response, [&] {
    const v1::VectorField& field = response.field();
    Table table({{"INDEX", false, Tone::kDim}, {"VALUE"}});
    table.Add({"field", field.name()});
    table.Add({"dimension", field.dimension() == 0 ? "sparse" : WithCommas(field.dimension())});
    table.Add({"metric", MetricText(field.metric())});
    table.Add({"index", IndexKindText(field.index())});
    table.Add({"quantization", QuantizationText(field.quantization())});
    if (const std::string settings = SettingsText(field); !settings.empty()) {
      table.Add({"settings", settings});
    }
    table.Add({"state", response.state()});
    if (!response.error().empty()) table.Add({"error", response.error()});
    table.Add({"vectors", WithCommas(response.vectors())});
    table.Add({"indexed", WithCommas(response.indexed_vectors())});
    table.Add({"dead", WithCommas(response.dead_vectors())});
    table.Add({"memory", HumanBytes(response.memory_bytes())});
    if (response.disk_bytes() > 0) table.Add({"disk", HumanBytes(response.disk_bytes())});
    if (response.cells() > 0) {
      table.Add({"cells", WithCommas(response.cells())});
      table.Add({"cells a search reads", WithCommas(response.cells_probed())});
    }
    table.Add({"visible commit", WithCommas(response.visible_commit())});
    table.Print(context.out());
  });
  return absl::OkStatus();
}

}  // namespace

std::vector<Command> SearchCommands() {
  return {
      {"search",
       {},
       "find objects by words, by vectors, by links, or by all of these",
       {},
       Join({{{"text", "WORDS", "words to look for; no character in them has a meaning"},
              {"mode", "MODE", "any of the words (default), all, phrase, or raw (a grammar)"},
              {"fields", "A,B,…", "the text fields (default: all that need no name)"},
              {"boost", "FIELD=N", "counts a text field N times as much", 0, true},
              {"vector", "VECTOR", "0.1,0.2,…, INDEX:WEIGHT,… (sparse), JSON, or @FILE with one"},
              {"like", "KEY", "the vector of this object"},
              {"row", "FILE:ROW", "a row, from 0, of a .fvecs, .bvecs or .npy file"},
              {"field", "NAME", "the vector field (default: the only one)"},
              LimitFlag("hits wanted, with --group-by groups (default 10)"),
              {"ef", "N", "candidates that an HNSW index keeps (default: the field's)"},
              {"cells", "N", "cells that a CELLS index reads (default: the field's)"},
              {"exact", "", "compare with every vector that matches"},
              {"metric", "METRIC", "compare by cosine, l2 or dot instead of the field's, exactly"},
              {"lane", "LANE",
               "one of several searches fused, KIND[,SETTING=VALUE]:QUERY; see `cookix help lanes`",
               0, true},
              {"alpha", "A", "of --text with a vector: the vector counts A, the words 1-A"},
              {"fusion", "HOW", "rrf (by ranks, default) or normalized (by scores)"},
              {"rank-constant", "K", "k of rrf (default 60)"},
              WhereFlag(),
              {"label", "NAME", "only objects with one of these labels", 'l', true},
              {"min-score", "S", "only hits whose score is at least this"},
              {"group-by", "PROPERTY", "put hits with the same value into one group"},
              {"group-limit", "N", "hits of a group (default 1)"},
              {"objects", "", "with the objects"},
              {"vectors", "", "with the objects and their vectors"},
              {"snippets", "", "show where the words stand, rather than contents"},
              {"snippet-words", "N", "words of a snippet (default 10)"},
              {"count", "", "also count all objects that match the words"},
              {"lists", "", "also each lane's own list"},
              {"explain", "", "what each stage saw, passed on and took"},
              CollectionFlag()},
             ReadFlags()}),
       {"cookix search --text 'heavy rain' --snippets",
        "cookix search -c docs --text '\"heavy rain\" OR storm*' --mode raw --count",
        "cookix search -c docs --text 'heavy rain' --vector @query.json --alpha 0.7 --explain",
        "cookix search -c docs --lane 'text,weight=2:heavy rain' --lane linked,hops=3:flood",
        "cookix search -c parts --like pump --where 'size > 10' --limit 5",
        "cookix search -c parts --field shape --vector 0.1,0.7,0.2 --explain",
        "cookix search -c sift --row query.fvecs:17 --ef 200 --json"},
       Search},
      {"index show",
       {"index"},
       "show the index of a vector field, or of all text fields: settings, size, state",
       {{"FIELD", "the vector field (default: the only one)", true}},
       {{"text", "", "the index of the text fields"}, CollectionFlag()},
       {"cookix index show shape -c parts", "cookix index show --text -c docs"},
       ShowIndex},
  };
}

}  // namespace cookix::cli
