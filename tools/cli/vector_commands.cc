// search and index show.
#include <map>

#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/render.h"
#include "tools/cli/requests.h"
#include "tools/cli/text_width.h"
#include "tools/cli/vector_arguments.h"

namespace cookix::cli {
namespace {

// Exactly one of --vector, --like and --row.
absl::Status FillTarget(Context& context, v1::VectorQuery* query) {
  const Arguments& args = context.args();
  const int given =
      (args.Has("vector") ? 1 : 0) + (args.Has("like") ? 1 : 0) + (args.Has("row") ? 1 : 0);
  if (given != 1) {
    return UsageError(given == 0 ? "what to look for is missing"
                                 : "--vector, --like and --row exclude each other",
                      "--vector",
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

std::string Snippet(const v1::Object& object, bool properties) {
  std::string text = OneLine(object.content());
  if (!properties) return text;
  const std::map<std::string, v1::Value> sorted(object.properties().begin(),
                                                object.properties().end());
  for (const auto& [name, value] : sorted) {
    text += (text.empty() ? "" : "  ") + OneLine(name) + "=" + ValueText(value);
  }
  return text;
}

void PrintHits(const google::protobuf::RepeatedPtrField<v1::Hit>& hits, bool properties,
               Terminal& out, int indent) {
  Table table({{"RANK", true, Tone::kDim},
               {"KEY", false, Tone::kBold},
               {"SCORE", true},
               {"DISTANCE", true, Tone::kDim},
               {"CONTENT"}});
  int rank = 0;
  for (const v1::Hit& hit : hits) {
    table.Add({std::to_string(++rank), RefText(hit.ref()), NumberText(hit.score()),
               NumberText(hit.distance()), Snippet(hit.object(), properties)});
  }
  table.Print(out, indent);
}

void PrintDiagnostics(const v1::SearchDiagnostics& diagnostics, Terminal& out) {
  Table table({{"DIAGNOSTIC", false, Tone::kDim}, {"VALUE", true}});
  table.Add({"strategy", OneLine(diagnostics.strategy())});
  table.Add({"exact", diagnostics.exact() ? "yes" : "no"});
  table.Add({"distances taken", WithCommas(diagnostics.candidates_considered())});
  table.Add({"matches of the filter", diagnostics.filter_matches() < 0
                                          ? "no filter"
                                          : WithCommas(diagnostics.filter_matches())});
  table.Add({"not indexed yet, compared", WithCommas(diagnostics.tail_scanned())});
  table.Add({"cells read", WithCommas(diagnostics.cells_read())});
  table.Add({"hits left out", WithCommas(diagnostics.hits_left_out())});
  table.Add({"groups may be missing", diagnostics.truncated() ? "yes" : "no"});
  table.Add({"time for the filter", HumanMicros(diagnostics.filter_us())});
  table.Add({"time to find", HumanMicros(diagnostics.search_us())});
  table.Add({"time to compare again", HumanMicros(diagnostics.rerank_us())});
  table.Add({"time to fetch", HumanMicros(diagnostics.fetch_us())});
  table.Add({"time in all", HumanMicros(diagnostics.elapsed_us())});
  table.Print(out);
}

absl::Status Search(Context& context) {
  const Arguments& args = context.args();
  v1::SearchRequest request;
  request.set_namespace_(context.name_space());
  request.set_collection(context.collection());
  v1::VectorQuery* query = request.mutable_vector();
  query->set_field(args.Get("field"));
  COOKIX_ASSIGN_OR_RETURN(const int64_t ef, args.GetInt("ef", 0, 1, 10'000));
  query->set_ef(static_cast<int32_t>(ef));
  COOKIX_ASSIGN_OR_RETURN(const int64_t cells, args.GetInt("cells", 0, 1, 10'000));
  query->set_cells_probed(static_cast<int32_t>(cells));
  query->set_exact(args.Has("exact"));
  COOKIX_ASSIGN_OR_RETURN(const v1::VectorMetric metric,
                          ParseMetric(args.Get("metric"), "--metric"));
  query->set_metric(metric);
  COOKIX_ASSIGN_OR_RETURN(const int64_t limit, args.GetInt("limit", 10, 1, 10'000));
  request.set_limit(static_cast<int32_t>(limit));
  if (args.Has("where")) {
    COOKIX_RETURN_IF_ERROR(FillWhere(context, request.mutable_filter()).status());
  }
  for (const std::string& label : args.GetAll("label")) request.add_labels(label);
  if (args.Has("min-score")) {
    COOKIX_ASSIGN_OR_RETURN(const double score, args.GetDouble("min-score", 0));
    request.set_min_score(score);
  }
  request.set_group_by(args.Get("group-by"));
  if (args.Has("group-limit")) {
    if (!args.Has("group-by")) {
      return UsageError("--group-limit without --group-by", "--group-limit",
                        "name the property with --group-by");
    }
    COOKIX_ASSIGN_OR_RETURN(const int64_t most, args.GetInt("group-limit", 1, 1, 100));
    request.set_group_limit(static_cast<int32_t>(most));
  }
  // People are shown some of the content in any case.
  const bool objects = args.Has("objects") || args.Has("vectors");
  request.set_with_objects(objects || !context.json());
  request.mutable_mask()->set_without_properties(!objects);
  request.mutable_mask()->set_with_vectors(args.Has("vectors"));
  COOKIX_RETURN_IF_ERROR(FillRead(context, request.mutable_options()));
  COOKIX_RETURN_IF_ERROR(FillTarget(context, query));
  v1::SearchResponse response;
  COOKIX_CALL(context, Search, request, &response);
  context.Answer(response, [&] {
    Terminal& out = context.out();
    if (response.hits().empty() && response.groups().empty()) {
      out.Line("nothing found");
    } else if (!response.hits().empty()) {
      PrintHits(response.hits(), objects, out, 0);
    }
    for (const v1::SearchGroup& group : response.groups()) {
      out.Line(
          out.Paint(OneLine(request.group_by()) + " = " + ValueText(group.value()), Tone::kBold));
      PrintHits(group.hits(), objects, out, 2);
    }
    if (args.Has("explain")) {
      out.Line();
      PrintDiagnostics(response.diagnostics(), out);
    } else if (!context.quiet()) {
      const v1::SearchDiagnostics& diagnostics = response.diagnostics();
      context.err().Line(context.err().Paint(
          OneLine(diagnostics.strategy()) + " search, " +
              (diagnostics.exact() ? "exact, " : "approximate, ") +
              WithCommas(diagnostics.candidates_considered()) + " distances taken, " +
              HumanMicros(diagnostics.elapsed_us()) + " in the engine",
          Tone::kDim));
    }
  });
  return absl::OkStatus();
}

absl::Status ShowIndex(Context& context) {
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
    if (response.cells() > 0) table.Add({"cells", WithCommas(response.cells())});
    table.Add({"visible commit", WithCommas(response.visible_commit())});
    table.Print(context.out());
  });
  return absl::OkStatus();
}

}  // namespace

std::vector<Command> VectorCommands() {
  return {
      {"search",
       {},
       "find the objects whose vectors are nearest",
       {},
       Join({{{"vector", "VECTOR", "0.1,0.2,…, INDEX:WEIGHT,… (sparse), JSON, or @FILE with one"},
              {"like", "KEY", "the vector of this object"},
              {"row", "FILE:ROW", "a row, from 0, of a .fvecs, .bvecs or .npy file"},
              {"field", "NAME", "the vector field (default: the only one)"},
              LimitFlag("hits wanted, with --group-by groups (default 10)"),
              {"ef", "N", "candidates that an HNSW index keeps (default: the field's)"},
              {"cells", "N", "cells that a CELLS index reads (default: the field's)"},
              {"exact", "", "compare with every vector that matches"},
              {"metric", "METRIC", "compare by cosine, l2 or dot instead of the field's, exactly"},
              WhereFlag(),
              {"label", "NAME", "only objects with one of these labels", 'l', true},
              {"min-score", "S", "only hits whose score is at least this"},
              {"group-by", "PROPERTY", "put hits with the same value into one group"},
              {"group-limit", "N", "hits of a group (default 1)"},
              {"objects", "", "with the objects"},
              {"vectors", "", "with the objects and their vectors"},
              {"explain", "", "how the answer was found, and how long each part took"},
              CollectionFlag()},
             ReadFlags()}),
       {"cookix search -c parts --like pump --where 'size > 10' --limit 5",
        "cookix search -c parts --field shape --vector 0.1,0.7,0.2 --explain",
        "cookix search -c sift --row query.fvecs:17 --ef 200 --json"},
       Search},
      {"index show",
       {"index"},
       "show the index of a vector field: settings, size, how much is indexed",
       {{"FIELD", "the vector field (default: the only one)", true}},
       {CollectionFlag()},
       {"cookix index show shape -c parts"},
       ShowIndex},
  };
}

}  // namespace cookix::cli
