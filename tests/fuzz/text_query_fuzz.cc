// Raw text queries: what parses is printed as text that parses to the same, and can be
// analyzed; what does not says why.
#include "engine/text/analyzed_query.h"
#include "engine/text/text_query.h"
#include "tests/fuzz/fuzz_target.h"

namespace engine = cookix::engine;

namespace {

const std::vector<engine::TextQueryField>& Fields() {
  static const auto* const fields = new std::vector<engine::TextQueryField>{
      {"title", engine::Analyzer::Create({.language = "en"}, "analyzer").value(), 2},
      {"body", engine::Analyzer::Create({.language = "fr"}, "analyzer").value()}};
  return *fields;
}

void CheckRefusal(const absl::Status& status) {
  FUZZ_CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  FUZZ_CHECK(!status.message().empty());
}

void CheckAnalysis(const engine::TextQuery& query) {
  const auto analyzed = engine::AnalyzeQuery(query, Fields(), {}, "text");
  if (!analyzed.ok()) {
    CheckRefusal(analyzed.status());
  } else {
    FUZZ_CHECK(engine::ToString(*analyzed, Fields()).empty() ==
               (analyzed->kind == engine::AnalyzedQuery::Kind::kNothing));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = cookix::tests::FuzzInput(data, size);
  for (const auto mode : {engine::TextQueryMode::kAnyWords, engine::TextQueryMode::kAllWords,
                          engine::TextQueryMode::kPhrase}) {
    const auto query = engine::ParseUserText(text, mode, {}, "text");
    FUZZ_CHECK(query.ok());
    CheckAnalysis(*query);
  }
  const auto query = engine::ParseRawText(text, {}, "text");
  if (!query.ok()) {
    CheckRefusal(query.status());
    return 0;
  }
  const auto again = engine::ParseRawText(engine::ToString(*query), {}, "text");
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(*again == *query);
  CheckAnalysis(*query);
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  return {
      "rain AND (sun OR wind) NOT hail",
      R"(title:"heavy rain"~2^1.5 OR body:(sto* rian~1/2))",
      R"(\AND a\:b "x \" y" naïve 東京*)",
      "((((((a^2))^3 b))))",
      "NOT a b OR c~ d~0",
      "the l'eau don't well-known* \"of the rain\"",
  };
}
