#include "tools/cli/demo_stage.h"

#include <chrono>
#include <utility>

#include "storage/base/status.h"
#include "tools/cli/render.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

using Clock = std::chrono::steady_clock;

int64_t MicrosSince(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
}

}  // namespace

DemoStage::DemoStage(Context& context, std::string name, std::string name_space)
    : context_(context), name_space_(std::move(name_space)) {
  document_["demo"] = std::move(name);
  document_["namespace"] = name_space_;
  document_["questions"] = Json::array();
}

Json& DemoStage::current() {
  Json& questions = document_["questions"];
  if (questions.empty()) questions.push_back(Json::object());
  return questions.back();
}

void DemoStage::Say(std::string_view text) {
  if (human()) out().Line(text);
}

void DemoStage::Question(std::string_view text) {
  ++questions_;
  Json question = Json::object();
  question["question"] = std::string(text);
  document_["questions"].push_back(std::move(question));
  if (!human()) return;
  out().Line();
  out().Line(out().Paint(std::to_string(questions_) + "  " + std::string(text), Tone::kBold));
}

void DemoStage::Answer(std::string_view text) {
  Json& answers = current()["answers"];
  answers.push_back(std::string(text));
  if (human()) out().Line("   " + std::string(text));
}

void DemoStage::Detail(std::string_view text) {
  if (human()) out().Line("   " + out().Paint(text, Tone::kDim));
}

void DemoStage::Note(std::string_view key, Json value) {
  current()[std::string(key)] = std::move(value);
}

void DemoStage::Timing(std::string_view text) { Detail(text); }

absl::StatusOr<v1::QueryResponse> DemoStage::Query(const v1::QueryRequest& request, int most,
                                                   std::string_view nothing) {
  v1::QueryRequest asked = request;
  asked.set_namespace_(name_space_);
  asked.set_with_explanations(true);
  v1::QueryResponse response;
  const auto start = Clock::now();
  COOKIX_CALL(context_, Query, asked, &response);
  const int64_t micros = MicrosSince(start);
  Json& hits = current()["hits"];
  if (!hits.is_array()) hits = Json::array();
  for (const v1::Hit& hit : response.hits()) hits.push_back(ToJson(hit));
  current()["engine_us"] = response.diagnostics().elapsed_us();
  if (human()) {
    if (response.hits().empty()) out().Line("   " + std::string(nothing));
    int shown = 0;
    for (const v1::Hit& hit : response.hits()) {
      if (shown++ == most) {
        Detail("and " + std::to_string(response.hits_size() - most) + " more");
        break;
      }
      out().Line("   " + PathLine(request.anchor(), hit.path(), out()) +
                 out().Paint("  (score=" + NumberText(hit.score()) +
                                 ", hops=" + std::to_string(hit.hops()) + ")",
                             Tone::kDim));
    }
  }
  Timing(HumanMicros(response.diagnostics().elapsed_us()) + " in the engine, " +
         HumanMicros(micros) + " round trip, " +
         WithCommas(response.diagnostics().edges_examined()) + " edges examined");
  return response;
}

absl::StatusOr<v1::FindPathResponse> DemoStage::Path(const v1::FindPathRequest& request,
                                                     std::string_view heading) {
  v1::FindPathRequest asked = request;
  asked.set_namespace_(name_space_);
  v1::FindPathResponse response;
  const auto start = Clock::now();
  COOKIX_CALL(context_, FindPath, asked, &response);
  const int64_t micros = MicrosSince(start);
  Json path = ToJson(response);
  path["metric"] = request.metric() == v1::PATH_METRIC_WEIGHT ? "weight" : "hops";
  path["round_trip_us"] = micros;
  current()["paths"].push_back(std::move(path));
  if (human()) {
    if (!response.found()) {
      out().Line("   no path: " + OneLine(response.reason()));
    } else {
      if (!heading.empty()) out().Line("   " + std::string(heading));
      PrintPath(request.source(), response.path(), out(), 3);
    }
  }
  const int hops = response.path().steps_size();
  Timing(std::to_string(hops) + (hops == 1 ? " hop, weight " : " hops, weight ") +
         NumberText(response.path().weight()) + ", " + WithCommas(response.objects_examined()) +
         " objects examined, " + HumanMicros(micros) + " round trip");
  return response;
}

absl::Status DemoStage::Contradictions(const std::string& key) {
  v1::FindContradictionsRequest request;
  request.set_namespace_(name_space_);
  request.mutable_ref()->set_key(key);
  v1::FindContradictionsResponse response;
  COOKIX_CALL(context_, FindContradictions, request, &response);
  current()["hits"] = ToJson(response)["hits"];
  if (response.hits().empty()) Answer("nothing contradicts it");
  for (const v1::Hit& hit : response.hits()) {
    if (human()) out().Line("   " + PathLine(request.ref(), hit.path(), out()));
  }
  return absl::OkStatus();
}

absl::Status DemoStage::Verify(const std::vector<std::string>& chain) {
  v1::VerifyChainRequest request;
  request.set_namespace_(name_space_);
  for (size_t i = 0; i + 2 < chain.size(); i += 2) {
    v1::ClaimedLink* link = request.add_links();
    link->mutable_source()->set_key(chain[i]);
    link->set_relation(chain[i + 1]);
    link->mutable_target()->set_key(chain[i + 2]);
  }
  v1::VerifyChainResponse response;
  COOKIX_CALL(context_, VerifyChain, request, &response);
  Json verdict = ToJson(response);
  verdict.erase("position");
  current()["verdict"] = std::move(verdict);
  if (!human()) return absl::OkStatus();
  for (int i = 0; i < response.verdicts_size(); ++i) {
    const v1::LinkVerdict& link = response.verdicts(i);
    out().Line("   " +
               (link.supported() ? out().Paint("✓ ", Tone::kGood) : out().Paint("✗ ", Tone::kBad)) +
               request.links(i).source().key() + " --[" +
               out().Paint(request.links(i).relation(), Tone::kRelation) + "]--> " +
               request.links(i).target().key() +
               (link.has_contradiction() ? out().Paint("  contradicted", Tone::kBad) : ""));
  }
  out().Line(response.consistent() ? "   the graph supports the chain"
                                   : "   the graph does not support the chain");
  return absl::OkStatus();
}

void DemoStage::End() {
  if (human()) {
    out().Line();
  } else {
    out().JsonLine(document_);
  }
}

absl::StatusOr<v1::Namespace> OpenDemoNamespace(Context& context, const std::string& name,
                                                const std::string& default_namespace,
                                                const std::string& description) {
  const std::string chosen =
      context.args().Has("namespace") ? context.args().Get("namespace") : default_namespace;
  v1::CreateNamespaceRequest request;
  request.mutable_namespace_()->set_name(chosen);
  request.mutable_namespace_()->set_description(description);
  (*request.mutable_namespace_()->mutable_labels())["demo"] = name;
  request.set_if_not_exists(true);
  v1::CreateNamespaceResponse response;
  COOKIX_CALL(context, CreateNamespace, request, &response);
  const auto& labels = response.namespace_().labels();
  if (auto it = labels.find("demo"); it == labels.end() || it->second != name) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "the namespace \"" + chosen + "\" exists and is not this demonstration's",
                     {.reason = "ALREADY_EXISTS",
                      .field = "--namespace",
                      .remedy = "choose another one with --namespace NAME"});
  }
  return response.namespace_();
}

}  // namespace cookix::cli
