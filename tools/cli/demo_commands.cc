// demo umbrella, pipe, deps: three small graphs and what to ask them.
#include <functional>

#include "storage/base/status.h"
#include "tools/cli/demo_stage.h"
#include "tools/cli/requests.h"

namespace cookix::cli {
namespace {

struct DemoObject {
  const char* key;
  const char* content;
  std::vector<const char*> edges;  // relation:target[:weight]
};

struct DemoGraph {
  const char* name;
  const char* about;
  std::vector<v1::Relation> relations;
  std::vector<DemoObject> objects;
  std::function<absl::Status(DemoStage&)> ask;
};

v1::Relation MakeRelation(const char* name, const char* inverse, bool symmetric,
                          const char* description) {
  v1::Relation relation;
  relation.set_name(name);
  relation.set_inverse(inverse);
  relation.set_symmetric(symmetric);
  relation.set_description(description);
  return relation;
}

// What the vocabulary has already, under whatever algebra, stays as it is.
absl::Status Register(Context& context, const std::string& name_space,
                      const std::vector<v1::Relation>& relations) {
  for (const v1::Relation& relation : relations) {
    v1::GetRelationRequest get;
    get.set_namespace_(name_space);
    get.set_name(relation.name());
    v1::GetRelationResponse known;
    COOKIX_ASSIGN_OR_RETURN(client::Client * client, context.client());
    const absl::Status found = client->GetRelation(get, &known);
    if (found.ok() && known.relation().registered()) continue;
    if (!found.ok() && !absl::IsNotFound(found)) return found;
    v1::PutRelationRequest put;
    put.set_namespace_(name_space);
    *put.mutable_relation() = relation;
    v1::PutRelationResponse response;
    COOKIX_CALL(context, PutRelation, put, &response);
  }
  return absl::OkStatus();
}

absl::Status Load(Context& context, const std::string& name_space, const DemoGraph& graph) {
  v1::BatchPutObjectsRequest request;
  request.set_namespace_(name_space);
  request.mutable_options()->set_wait_for_views(true);
  for (const DemoObject& object : graph.objects) {
    v1::ObjectWrite* write = request.add_writes();
    write->mutable_object()->mutable_ref()->set_key(object.key);
    write->mutable_object()->set_content(object.content);
    write->set_replace_edges(true);
    for (const char* text : object.edges) {
      COOKIX_ASSIGN_OR_RETURN(*write->add_edges(), ParseEdge(text, ""));
    }
  }
  v1::BatchPutObjectsResponse response;
  COOKIX_CALL(context, BatchPutObjects, request, &response);
  return absl::OkStatus();
}

v1::QueryRequest Ask(const char* anchor, const char* target = "", const char* relation = "") {
  v1::QueryRequest request;
  request.mutable_anchor()->set_key(anchor);
  if (*target != '\0') request.mutable_target()->set_key(target);
  request.set_relation(relation);
  return request;
}

absl::Status AskUmbrella(DemoStage& stage) {
  stage.Question("How does an umbrella bear on a wet coat?");
  COOKIX_RETURN_IF_ERROR(stage.Query(Ask("umbrella", "wet_coat"), 3, "no path").status());
  stage.Question("What prevents rain from reaching the coat?");
  COOKIX_RETURN_IF_ERROR(stage.Query(Ask("rain", "", "prevented_by"), 5, "nothing does").status());
  stage.Detail("the inverse is read from the stored edges; nothing extra is stored");
  stage.Question("What follows from rain, two steps on?");
  v1::QueryRequest chain = Ask("rain");
  chain.add_chain("causes");
  chain.add_chain("causes");
  COOKIX_RETURN_IF_ERROR(stage.Query(chain, 5, "nothing").status());
  stage.Question("Which forecasts contradict \"dry today\"?");
  COOKIX_RETURN_IF_ERROR(stage.Contradictions("dry_today"));
  return absl::OkStatus();
}

absl::Status AskPipe(DemoStage& stage) {
  stage.Question("Does pipe A fit fitting B, and through what?");
  COOKIX_RETURN_IF_ERROR(stage.Query(Ask("pipe_a", "fitting_b"), 3, "they do not fit").status());
  stage.Question("What does pipe A fit directly?");
  COOKIX_RETURN_IF_ERROR(stage.Query(Ask("pipe_a", "", "compatible_with"), 5, "nothing").status());
  stage.Detail("compatible_with is symmetric: one stored edge answers in both directions");
  stage.Question("Do specifications X and Y conflict?");
  COOKIX_RETURN_IF_ERROR(stage.Contradictions("spec_x"));
  stage.Question("Is the claim \"pipe A - adapter C - fitting B\" supported?");
  COOKIX_RETURN_IF_ERROR(
      stage.Verify({"pipe_a", "compatible_with", "adapter_c", "compatible_with", "fitting_b"}));
  return absl::OkStatus();
}

absl::Status AskDeps(DemoStage& stage) {
  stage.Question("Why does the web shop need OpenSSL?");
  v1::FindPathRequest path;
  path.mutable_source()->set_key("web_shop");
  path.mutable_target()->set_key("openssl");
  path.set_metric(v1::PATH_METRIC_HOPS);
  path.mutable_steps()->add_relations("depends_on");
  COOKIX_RETURN_IF_ERROR(stage.Path(path, "").status());
  stage.Question("What would miss OpenSSL if it went?");
  v1::QueryRequest reverse = Ask("openssl");
  reverse.set_reverse(true);
  reverse.set_limit(10);
  COOKIX_RETURN_IF_ERROR(stage.Query(reverse, 10, "nothing").status());
  stage.Question("Which licences contradict each other?");
  COOKIX_RETURN_IF_ERROR(stage.Contradictions("licence_closed"));
  stage.Question("Is \"web shop depends on the payment client, which depends on libcurl\" right?");
  COOKIX_RETURN_IF_ERROR(
      stage.Verify({"web_shop", "depends_on", "payment_client", "depends_on", "libcurl"}));
  return absl::OkStatus();
}

const std::vector<DemoGraph>& Graphs() {
  static const auto* graphs = new std::vector<DemoGraph>{
      {"umbrella",
       "an umbrella, rain and a coat",
       {MakeRelation("prevents", "prevented_by", false, "keeps from happening"),
        MakeRelation("causes", "caused_by", false, "makes happen"),
        MakeRelation("contradicts", "", true, "cannot both hold")},
       {{"umbrella", "blocks rain", {"prevents:rain"}},
        {"raincoat", "keeps water off", {"prevents:wet_coat"}},
        {"roof", "covers a place", {"prevents:rain:2"}},
        {"rain", "falling water", {"causes:wet_coat", "causes:puddle"}},
        {"puddle", "standing water", {"causes:wet_shoes"}},
        {"wet_coat", "a soaked coat", {"causes:cold:2"}},
        {"wet_shoes", "soaked shoes", {"causes:cold"}},
        {"cold", "a running nose", {}},
        {"dry_today", "forecast: no rain before midnight", {}},
        {"showers_at_noon", "forecast: showers around noon", {"contradicts:dry_today"}}},
       AskUmbrella},
      {"pipe",
       "pipes, adapters, fittings and their specifications",
       {MakeRelation("compatible_with", "", true, "fits together"),
        MakeRelation("conforms_to", "", false, "is built to"),
        MakeRelation("contradicts", "", true, "cannot both hold")},
       {{"pipe_a",
         "steel pipe, 1/2 inch BSP thread",
         {"compatible_with:adapter_c", "conforms_to:spec_x"}},
        {"pipe_d", "copper pipe, 15 mm", {"compatible_with:coupling_e"}},
        {"adapter_c", "1/2 inch BSP to 1/2 inch NPT", {"compatible_with:fitting_b"}},
        {"coupling_e", "15 mm compression to 1/2 inch BSP", {"compatible_with:pipe_a:1.5"}},
        {"fitting_b", "elbow, 1/2 inch NPT thread", {"conforms_to:spec_y"}},
        {"spec_x", "threads are parallel, sealed by a washer", {"contradicts:spec_y"}},
        {"spec_y", "threads are tapered, sealed by the thread", {}}},
       AskPipe},
      {"deps",
       "a web shop and the software that it stands on",
       {MakeRelation("depends_on", "required_by", false, "does not work without"),
        MakeRelation("licensed_under", "", false, "is distributed under"),
        MakeRelation("contradicts", "", true, "cannot both hold")},
       {{"web_shop",
         "sells things",
         {"depends_on:web_server", "depends_on:payment_client", "depends_on:catalog_db",
          "licensed_under:licence_closed"}},
        {"web_server", "serves pages", {"depends_on:openssl", "depends_on:zlib"}},
        {"payment_client", "talks to the bank", {"depends_on:libcurl:0.5"}},
        {"catalog_db", "stores articles", {"depends_on:zlib", "licensed_under:licence_copyleft"}},
        {"libcurl", "transfers over many protocols", {"depends_on:tls_layer"}},
        {"tls_layer", "chooses a TLS library", {"depends_on:openssl"}},
        {"openssl", "TLS and cryptography", {"depends_on:libc"}},
        {"zlib", "compression", {"depends_on:libc"}},
        {"libc", "the C library", {}},
        {"licence_closed", "no source is given", {"contradicts:licence_copyleft"}},
        {"licence_copyleft", "derived works must give their source", {}}},
       AskDeps},
  };
  return *graphs;
}

absl::Status RunSmall(Context& context, const DemoGraph& graph) {
  const std::string name = graph.name;
  COOKIX_ASSIGN_OR_RETURN(
      v1::Namespace opened,
      OpenDemoNamespace(context, name, "demo_" + name, std::string("cookix demo ") + name));
  COOKIX_RETURN_IF_ERROR(Register(context, opened.name(), graph.relations));
  COOKIX_RETURN_IF_ERROR(Load(context, opened.name(), graph));
  DemoStage stage(context, name, opened.name());
  int64_t edges = 0;
  for (const DemoObject& object : graph.objects) {
    edges += static_cast<int64_t>(object.edges.size());
  }
  stage.document()["objects"] = graph.objects.size();
  stage.document()["edges"] = edges;
  stage.Say(std::string("The demonstration \"") + name + "\": " + graph.about + ", " +
            std::to_string(graph.objects.size()) + " objects and " + std::to_string(edges) +
            " edges in the namespace " + opened.name() + ".");
  COOKIX_RETURN_IF_ERROR(graph.ask(stage));
  stage.End();
  return absl::OkStatus();
}

absl::Status Demo(Context& context) {
  const std::string name = context.args().Positional(0);
  if (name == "packages") return DemoPackages(context);
  for (const DemoGraph& graph : Graphs()) {
    if (name == graph.name) return RunSmall(context, graph);
  }
  const std::string close = Suggest(name, {"umbrella", "pipe", "deps", "packages"});
  return UsageError(
      "there is no demonstration \"" + name + "\"", "NAME",
      close.empty() ? "use umbrella, pipe, deps or packages" : "did you mean \"" + close + "\"?");
}

}  // namespace

std::vector<Command> DemoCommands() {
  return {{"demo",
           {},
           "load a demonstration and ask it questions",
           {{"NAME", "umbrella, pipe, deps or packages"}},
           {{"source", "PATH",
             "packages: an index or a directory of them (default: this "
             "machine's apt lists, else its dpkg status file)"},
            {"reload", "", "packages: load again even if the same index is loaded"}},
           {"cookix demo umbrella", "cookix demo packages",
            "cookix demo packages --source /var/lib/dpkg/status --json"},
           Demo}};
}

}  // namespace cookix::cli
