#include "tests/support/judged_collection.h"

#include <cmath>
#include <fstream>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/call_context.h"
#include "engine/text/analyzed_query.h"
#include "engine/text/analyzer.h"
#include "engine/text/text_index.h"
#include "engine/text/text_query.h"
#include "nlohmann/json.hpp"
#include "storage/base/status.h"
#include "tests/support/okapi_reference.h"

namespace cookix::tests {
namespace {

constexpr size_t kDepth = 10;
constexpr uint64_t kCommit = 1;

absl::StatusOr<std::vector<std::string>> ReadLines(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("no file ", path));
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(std::move(line));
  return lines;
}

absl::StatusOr<std::vector<nlohmann::json>> ReadObjects(const std::string& path) {
  COOKIX_ASSIGN_OR_RETURN(const std::vector<std::string> lines, ReadLines(path));
  std::vector<nlohmann::json> objects;
  for (const std::string& line : lines) {
    nlohmann::json object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object() || !object.contains("_id") || !object["_id"].is_string()) {
      return absl::DataLossError(absl::StrCat("a line of ", path, " is no object with an _id"));
    }
    objects.push_back(std::move(object));
  }
  return objects;
}

std::vector<std::string> TermsOf(const engine::Analyzer& analyzer, const std::string& text) {
  std::vector<std::string> terms;
  analyzer.Analyze(text, [&](const engine::Token& token) { terms.emplace_back(token.term); });
  return terms;
}

absl::Status AddAll(const std::vector<std::string>& documents, engine::TextIndex* index) {
  const std::vector<std::string_view> texts(documents.begin(), documents.end());
  std::vector<engine::TextElements> fields;
  for (const std::string_view& text : texts) fields.push_back({&text, 1});
  std::vector<engine::TextPut> puts(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    puts[i].ordinal = i;
    puts[i].after = {&fields[i], 1};
  }
  return index->Apply(puts, kCommit);
}

// Through the parser and the analysis of queries, as users' searches go.
absl::StatusOr<std::vector<size_t>> Rank(const engine::TextIndex& index,
                                         const engine::TextQueryField& field,
                                         const std::string& text) {
  const engine::TextQueryLimits limits{.max_terms = 1000};
  COOKIX_ASSIGN_OR_RETURN(
      const engine::TextQuery parsed,
      engine::ParseUserText(text, engine::TextQueryMode::kAnyWords, limits, "text"));
  COOKIX_ASSIGN_OR_RETURN(const engine::AnalyzedQuery query,
                          engine::AnalyzeQuery(parsed, {&field, 1}, limits, "text"));
  v1::Collection definition;
  definition.add_text_fields()->set_name(field.name);
  engine::TextSearch search;
  search.definition = &definition;
  search.query = &query;
  search.limit = kDepth;
  engine::TextSearchResult result;
  COOKIX_ASSIGN_OR_RETURN(const bool answered,
                          index.Search(engine::CallContext(), search, kCommit, &result));
  if (!answered) return absl::InternalError("the index cannot answer as of its last commit");
  std::vector<size_t> ranking;
  for (const engine::TextHit& hit : result.hits) ranking.push_back(hit.ordinal);
  return ranking;
}

}  // namespace

absl::StatusOr<JudgedCollection> JudgedCollection::Read(const std::string& name,
                                                        const std::string& directory) {
  JudgedCollection collection;
  collection.name = name;
  COOKIX_ASSIGN_OR_RETURN(const std::vector<nlohmann::json> corpus,
                          ReadObjects(directory + "/corpus.jsonl"));
  std::map<std::string, size_t> documents;
  for (const nlohmann::json& object : corpus) {
    documents.emplace(object["_id"], collection.documents.size());
    collection.documents.push_back(object.value("title", "") + " " + object.value("text", ""));
  }

  COOKIX_ASSIGN_OR_RETURN(const std::vector<std::string> lines,
                          ReadLines(directory + "/qrels.tsv"));
  std::map<std::string, std::set<size_t>> relevant;
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> parts = absl::StrSplit(lines[i], '\t');
    int grade = 0;
    if (parts.size() != 3 || !absl::SimpleAtoi(parts[2], &grade)) {
      return absl::DataLossError(absl::StrCat("line ", i + 1, " of qrels.tsv is no judgement"));
    }
    const auto document = documents.find(parts[1]);
    if (grade > 0 && document != documents.end()) relevant[parts[0]].insert(document->second);
  }

  COOKIX_ASSIGN_OR_RETURN(const std::vector<nlohmann::json> queries,
                          ReadObjects(directory + "/queries.jsonl"));
  for (const nlohmann::json& object : queries) {
    const auto judged = relevant.find(object["_id"]);
    if (judged == relevant.end()) continue;
    collection.queries.push_back({object.value("text", ""), judged->second});
  }
  if (collection.queries.empty()) return absl::DataLossError("no query has a relevant document");
  return collection;
}

double NdcgAt10(const std::vector<size_t>& ranking, const std::set<size_t>& relevant) {
  double gain = 0;
  double ideal = 0;
  for (size_t i = 0; i < kDepth; ++i) {
    const double discount = 1 / std::log2(static_cast<double>(i) + 2);
    if (i < ranking.size() && relevant.count(ranking[i]) > 0) gain += discount;
    if (i < relevant.size()) ideal += discount;
  }
  return ideal == 0 ? 0 : gain / ideal;
}

absl::StatusOr<RankingQuality> MeasureRankings(const JudgedCollection& collection) {
  engine::AnalyzerSettings settings;
  settings.language = "en";
  engine::TextQueryField field{.name = "text"};
  COOKIX_ASSIGN_OR_RETURN(field.analyzer, engine::Analyzer::Create(settings, "analyzer"));

  engine::TextIndex index({engine::TextIndexField{field.analyzer}});
  COOKIX_RETURN_IF_ERROR(AddAll(collection.documents, &index));
  OkapiReference reference;
  for (const std::string& text : collection.documents) {
    reference.Add(TermsOf(*field.analyzer, text));
  }

  RankingQuality quality;
  for (const JudgedCollection::Query& query : collection.queries) {
    COOKIX_ASSIGN_OR_RETURN(const std::vector<size_t> ranking, Rank(index, field, query.text));
    quality.engine += NdcgAt10(ranking, query.relevant);
    std::vector<size_t> expected;
    for (const auto& hit : reference.Search(TermsOf(*field.analyzer, query.text), kDepth)) {
      expected.push_back(hit.document);
    }
    quality.reference += NdcgAt10(expected, query.relevant);
  }
  quality.engine /= static_cast<double>(collection.queries.size());
  quality.reference /= static_cast<double>(collection.queries.size());
  return quality;
}

}  // namespace cookix::tests
