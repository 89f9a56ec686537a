// run: queries as statements and documents, and their plans.
#include <algorithm>
#include <map>

#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/render.h"
#include "tools/cli/requests.h"
#include "tools/cli/search_render.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

using Hits = google::protobuf::RepeatedPtrField<v1::Hit>;

absl::StatusOr<v1::Query> ReadQuery(Context& context) {
  const Arguments& args = context.args();
  const std::string statement = args.Positional(0);
  v1::Query query;
  if (args.Has("bring")) {
    if (!statement.empty()) {
      return UsageError("both a statement and --bring", "--bring", "give one of them");
    }
    COOKIX_ASSIGN_OR_RETURN(*query.mutable_bring_text(), context.ReadInput(args.Get("bring")));
    return query;
  }
  if (statement.empty()) {
    return UsageError("the query is missing", "STATEMENT",
                      "give a SEARCH statement in quotes, or --bring FILE");
  }
  if (statement == "-") {
    COOKIX_ASSIGN_OR_RETURN(*query.mutable_search_text(), context.ReadInput(statement));
  } else {
    query.set_search_text(statement);
  }
  return query;
}

// Properties in the order of their names, then the content.
std::string ObjectText(const v1::Object& object) {
  const std::map<std::string, v1::Value> sorted(object.properties().begin(),
                                                object.properties().end());
  std::string text;
  for (const auto& [name, value] : sorted) {
    text += (text.empty() ? "" : " ") + OneLine(name) + "=" + ValueText(value);
  }
  if (!object.content().empty()) text += (text.empty() ? "" : "  ") + OneLine(object.content());
  return text;
}

// Where a hit's path begins.
v1::ObjectRef PathStart(const v1::Hit& hit) {
  v1::ObjectRef at = hit.ref();
  for (int i = hit.path().steps_size() - 1; i >= 0; --i) at = OtherEnd(hit.path().steps(i), at);
  return at;
}

void PrintPaths(const Hits& hits, Terminal& out) {
  for (const v1::Hit& hit : hits) {
    out.Line(PathLine(PathStart(hit), hit.path(), out) +
             out.Paint("  (score=" + NumberText(hit.score()) +
                           ", hops=" + std::to_string(hit.hops()) + ")",
                       Tone::kDim));
    const std::string text = ObjectText(hit.object());
    if (!text.empty()) {
      out.Line("   " + out.Paint(Shorten(text, out.width() - 3), Tone::kDim));
    }
  }
}

void PrintHits(const Hits& hits, Terminal& out) {
  if (hits.empty()) {
    out.Line("no rows");
    return;
  }
  if (std::any_of(hits.begin(), hits.end(), [](const v1::Hit& hit) { return hit.hops() > 0; })) {
    PrintPaths(hits, out);
    return;
  }
  // Hits of a search say in which lane they were found.
  const bool scored = std::any_of(hits.begin(), hits.end(), [](const v1::Hit& hit) {
    return hit.score() != 0 || hit.lane_ranks_size() > 0;
  });
  std::vector<Table::Column> columns = {{"KEY", false, Tone::kBold}};
  if (scored) columns.push_back({"SCORE", true});
  columns.push_back({"OBJECT"});
  Table table(std::move(columns));
  for (const v1::Hit& hit : hits) {
    std::vector<std::string> cells = {RefText(hit.ref())};
    if (scored) cells.push_back(NumberText(hit.score()));
    cells.push_back(Shorten(ObjectText(hit.object()), 60));
    table.Add(std::move(cells));
  }
  table.Print(out);
}

void PrintGroups(const v1::ExecuteResponse& response, Terminal& out) {
  std::vector<Table::Column> columns;
  for (const std::string& column : response.columns()) columns.push_back({OneLine(column)});
  Table table(std::move(columns));
  for (const v1::AggregateRow& row : response.rows()) {
    std::vector<std::string> cells;
    for (const v1::Value& value : row.values()) cells.push_back(ValueText(value));
    table.Add(std::move(cells));
  }
  table.Print(out);
}

absl::Status ShowPlan(Context& context, v1::Query query) {
  v1::CompileRequest request;
  request.set_namespace_(context.name_space());
  *request.mutable_query() = std::move(query);
  v1::CompileResponse response;
  COOKIX_CALL(context, Compile, request, &response);
  context.Answer(response, [&] {
    std::string_view text = response.text();
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      context.out().Line(OneLine(std::string(text.substr(0, end))));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  });
  return absl::OkStatus();
}

absl::Status Run(Context& context) {
  const bool explain = context.args().Has("explain");
  if (explain && context.args().Has("plan")) {
    return UsageError("--plan and --explain exclude each other", "--plan",
                      "--explain executes the query, --plan does not");
  }
  COOKIX_ASSIGN_OR_RETURN(v1::Query query, ReadQuery(context));
  if (context.args().Has("plan")) return ShowPlan(context, std::move(query));
  v1::ExecuteRequest request;
  request.set_namespace_(context.name_space());
  *request.mutable_query() = std::move(query);
  request.set_explain(explain);
  COOKIX_RETURN_IF_ERROR(FillRead(context, request.mutable_options()));
  v1::ExecuteResponse response;
  COOKIX_CALL(context, Execute, request, &response);
  context.Answer(response, [&] {
    Terminal& out = context.out();
    if (response.columns().empty()) {
      PrintHits(response.hits(), out);
    } else {
      PrintGroups(response, out);
    }
    if (explain) {
      out.Line("");
      PrintStages(response.stages(), out);
    }
    if (context.quiet()) return;
    const int rows = response.hits_size() + response.rows_size();
    context.err().Line(
        context.err().Paint(std::to_string(rows) + (rows == 1 ? " row, " : " rows, ") +
                                HumanMicros(response.elapsed_us()) + " in the engine",
                            Tone::kDim));
  });
  return absl::OkStatus();
}

}  // namespace

std::vector<Command> RunCommands() {
  return {{"run",
           {},
           "run a query written as a SEARCH statement or a bring document, or show its plan",
           {{"STATEMENT", "SEARCH collection 'words' …; - reads it from standard input", true}},
           Join({{{"bring", "FILE", "the query as a bring document; - is standard input"},
                  {"plan", "", "show the plan and do not execute it"},
                  {"explain", "", "also show what each step saw, passed on and took"}},
                 ReadFlags()}),
           {"cookix run \"SEARCH papers WHERE year >= 2020 ORDER BY year DESC LIMIT 5\"",
            "cookix run \"SEARCH default KEYS ('umbrella') FOLLOW prevents HOPS 2\" --explain",
            "cookix run \"SEARCH papers RETURN COUNT(*), AVG(pages) GROUP BY year\"",
            "cookix run --bring query.bring --plan"},
           Run}};
}

}  // namespace cookix::cli
