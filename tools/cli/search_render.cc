#include "tools/cli/search_render.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tools/cli/render.h"
#include "tools/cli/search_arguments.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

std::string ContentText(const v1::Object& object, bool properties) {
  std::string text = OneLine(object.content());
  if (!properties) return text;
  const std::map<std::string, v1::Value> sorted(object.properties().begin(),
                                                object.properties().end());
  for (const auto& [name, value] : sorted) {
    text += (text.empty() ? "" : "  ") + OneLine(name) + "=" + ValueText(value);
  }
  return text;
}

// The part with its words marked, as **word**.
std::string MarkedText(const v1::Snippet& snippet) {
  const std::string& text = snippet.text();
  std::string marked = snippet.cut_before() ? "…" : "";
  size_t at = 0;
  for (const v1::ByteRange& range : snippet.highlights()) {
    const auto begin = static_cast<size_t>(range.begin());
    const auto end = static_cast<size_t>(range.end());
    if (begin < at || end < begin || end > text.size()) break;
    marked += text.substr(at, begin - at) + "**" + text.substr(begin, end - begin) + "**";
    at = end;
  }
  return marked + text.substr(at) + (snippet.cut_after() ? "…" : "");
}

// What has words searched for, or else whatever there is.
std::string SnippetsText(const v1::Hit& hit) {
  std::string found;
  std::string rest;
  for (const v1::Snippet& snippet : hit.snippets()) {
    std::string& text = snippet.highlights().empty() ? rest : found;
    text += (text.empty() ? "" : "  ") + MarkedText(snippet);
  }
  return OneLine(found.empty() ? rest : found);
}

std::string LanesText(const v1::Hit& hit) {
  const std::map<std::string, int32_t> sorted(hit.lane_ranks().begin(), hit.lane_ranks().end());
  std::string text;
  for (const auto& [lane, rank] : sorted) {
    text += (text.empty() ? "" : ", ") + OneLine(lane) + " " + std::to_string(rank);
  }
  return text;
}

// The detail on lines of the room that the other columns leave.
std::vector<std::string> Lines(const std::string& text, int width) {
  std::vector<std::string> lines;
  const std::string wrapped = Wrap(OneLine(text), width, 0);
  size_t begin = 0;
  while (true) {
    const size_t end = wrapped.find('\n', begin);
    lines.push_back(wrapped.substr(begin, end - begin));
    if (end == std::string::npos) return lines;
    begin = end + 1;
  }
}

std::string CountText(int64_t count) { return count < 0 ? "-" : WithCommas(count); }

void AddStages(const google::protobuf::RepeatedPtrField<v1::PlanStage>& stages,
               const std::string& margin, int room, Table* table) {
  for (const v1::PlanStage& stage : stages) {
    const std::vector<std::string> lines = Lines(stage.detail(), room);
    table->Add({margin + OneLine(stage.name()), CountText(stage.input()), CountText(stage.output()),
                HumanMicros(stage.elapsed_us()), lines.front()});
    for (size_t i = 1; i < lines.size(); ++i) table->Add({"", "", "", "", lines[i]});
    AddStages(stage.stages(), margin + "  ", room, table);
  }
}

}  // namespace

void PrintSearchHits(const google::protobuf::RepeatedPtrField<v1::Hit>& hits,
                     const HitColumns& columns, Terminal& out, int indent) {
  std::vector<Table::Column> heads = {
      {"RANK", true, Tone::kDim}, {"KEY", false, Tone::kBold}, {"SCORE", true}};
  if (columns.distance) heads.push_back({"DISTANCE", true, Tone::kDim});
  if (columns.lanes) heads.push_back({"LANES", false, Tone::kDim});
  heads.push_back({columns.snippets ? "FOUND" : "CONTENT"});
  Table table(std::move(heads));
  int rank = 0;
  for (const v1::Hit& hit : hits) {
    std::vector<std::string> cells = {std::to_string(++rank), RefText(hit.ref()),
                                      NumberText(hit.score())};
    if (columns.distance) cells.push_back(NumberText(hit.distance()));
    if (columns.lanes) cells.push_back(LanesText(hit));
    cells.push_back(columns.snippets ? SnippetsText(hit)
                                     : ContentText(hit.object(), columns.properties));
    table.Add(std::move(cells));
  }
  table.Print(out, indent);
}

void PrintStages(const google::protobuf::RepeatedPtrField<v1::PlanStage>& stages, Terminal& out) {
  // Beside names, counts and times.
  constexpr int kOtherColumns = 48;
  Table table({{"STAGE", false, Tone::kBold},
               {"SAW", true},
               {"PASSED ON", true},
               {"TIME", true},
               {"HOW", false, Tone::kDim}});
  AddStages(stages, "", std::max(24, out.width() - kOtherColumns), &table);
  table.Print(out);
}

void PrintTextFields(const google::protobuf::RepeatedPtrField<v1::TextFieldStats>& fields,
                     Terminal& out) {
  Table table({{"TEXT", false, Tone::kBold},
               {"SOURCE"},
               {"OBJECTS", true},
               {"WORDS", true},
               {"TERMS", true},
               {"SETTINGS", false, Tone::kDim}});
  for (const v1::TextFieldStats& stats : fields) {
    table.Add({stats.field().name(), stats.field().source(), WithCommas(stats.objects()),
               WithCommas(stats.words()), WithCommas(stats.terms()),
               TextFieldSettings(stats.field())});
  }
  table.Print(out);
}

void PrintSearchDiagnostics(const v1::SearchDiagnostics& diagnostics, Terminal& out) {
  Table table({{"DIAGNOSTIC", false, Tone::kDim}, {"VALUE", true}});
  table.Add({"strategy", OneLine(diagnostics.strategy())});
  table.Add({"exact", diagnostics.exact() ? "yes" : "no"});
  table.Add({"compared or scored", WithCommas(diagnostics.candidates_considered())});
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

}  // namespace cookix::cli
