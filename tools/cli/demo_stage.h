// Asks questions in front of an audience: prints question, answer, paths and
// time, or collects them for --json.
#ifndef COOKIX_TOOLS_CLI_DEMO_STAGE_H_
#define COOKIX_TOOLS_CLI_DEMO_STAGE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/graph_service.pb.h"
#include "cookix/v1/reasoning_service.pb.h"
#include "tools/cli/command.h"

namespace cookix::cli {

class DemoStage {
 public:
  DemoStage(Context& context, std::string name, std::string name_space);

  // A line of introduction.
  void Say(std::string_view text);
  // Starts the next question.
  void Question(std::string_view text);
  // Lines below the question.
  void Answer(std::string_view text);
  void Detail(std::string_view text);
  void Note(std::string_view key, Json value);
  // How long it took, in small print.
  void Timing(std::string_view text);

  // Runs a query and prints its hits as explanations, at most `most` of them.
  absl::StatusOr<v1::QueryResponse> Query(const v1::QueryRequest& request, int most,
                                          std::string_view nothing);
  // Finds a path and prints it down the page.
  absl::StatusOr<v1::FindPathResponse> Path(const v1::FindPathRequest& request,
                                            std::string_view heading);
  absl::Status Contradictions(const std::string& key);
  // Chain: source, relation, target, relation, target, …
  absl::Status Verify(const std::vector<std::string>& chain);

  // Prints the collected document with --json.
  void End();

  Terminal& out() { return context_.out(); }
  bool human() const { return !context_.json(); }
  Context& context() { return context_; }
  const std::string& name_space() const { return name_space_; }
  Json& document() { return document_; }

 private:
  Json& current();
  Context& context_;
  const std::string name_space_;
  Json document_ = Json::object();
  int questions_ = 0;
};

// The namespace of a demonstration: its own, or --namespace. Creates it with the
// label demo=`name`. FAILED_PRECONDITION when it exists without that label, so
// that nobody's data is touched.
absl::StatusOr<v1::Namespace> OpenDemoNamespace(Context& context, const std::string& name,
                                                const std::string& default_namespace,
                                                const std::string& description);

// The demonstration of Debian's packages.
absl::Status DemoPackages(Context& context);

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_DEMO_STAGE_H_
