// import and export.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>

#include "client/request_id.h"
#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/importer.h"
#include "tools/cli/render.h"
#include "tools/cli/requests.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

absl::Status ImportFile(Context& context) {
  const Arguments& args = context.args();
  const std::string path = args.Positional(0);
  ImportOptions options;
  options.name_space = context.name_space();
  options.collection = context.collection();
  const std::string format = args.Get("format", "auto");
  if (format == "triples" || format == "tsv") {
    options.format = ImportFormat::kTriples;
  } else if (format == "jsonl") {
    options.format = ImportFormat::kJsonLines;
  } else if (format != "auto") {
    return UsageError("--format is \"" + format + "\"", "--format", "use triples or jsonl");
  }
  COOKIX_ASSIGN_OR_RETURN(options.batch_lines, args.GetInt("batch", 1000, 1, 3000));
  COOKIX_ASSIGN_OR_RETURN(int64_t in_flight, args.GetInt("in-flight", 4, 1, 64));
  options.in_flight = static_cast<int>(in_flight);
  COOKIX_ASSIGN_OR_RETURN(options.resume_from, args.GetInt("resume-from", 1, 1, kMax));
  COOKIX_ASSIGN_OR_RETURN(options.skip_bad, args.GetInt("skip-bad", 0, 0, kMax));
  options.import_id = args.Get("import-id", client::NewRequestId());
  options.replace_edges = args.Has("replace-edges");
  options.labels = args.GetAll("label");
  if (args.Has("names")) {
    std::ifstream names(args.Get("names"), std::ios::binary);
    if (!names) {
      return UsageError("cannot read " + args.Get("names"), "--names", "check the path");
    }
    COOKIX_ASSIGN_OR_RETURN(options.names, ReadNames(names));
  }

  std::ifstream file;
  int64_t size = 0;
  if (path != "-") {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) {
      return UsageError(path + " is a directory", "FILE", "give a file");
    }
    file.open(path, std::ios::binary);
    if (!file) return UsageError("cannot read " + path, "FILE", "check the path");
    const auto bytes = std::filesystem::file_size(path, error);
    if (!error) size = static_cast<int64_t>(bytes);
  }
  std::istream& in = path == "-" ? *context.environment().in : file;
  COOKIX_ASSIGN_OR_RETURN(client::Client * client, context.client());

  Progress progress = context.MakeProgress("import", size, "bytes");
  options.progress = [&progress](int64_t, int64_t bytes) { progress.Update(bytes); };
  options.skipped = [&](int64_t line, const absl::Status& why) {
    progress.Abandon();
    if (!context.quiet()) {
      context.err().Line("skipped line " + std::to_string(line) + ": " +
                         std::string(why.message()));
    }
  };
  const auto started = std::chrono::steady_clock::now();
  const ImportResult result = Import(*client, in, options);
  progress.Abandon();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(
                          std::chrono::steady_clock::now() - started)
                          .count();
  if (!result.status.ok()) {
    const std::string resume =
        "--resume-from " + std::to_string(result.next_line) + " --import-id " + options.import_id;
    ErrorDetail detail = GetErrorDetail(result.status).value_or(ErrorDetail());
    if (!detail.remedy.empty()) detail.remedy += "; then ";
    detail.remedy += "go on with " + resume;
    if (!context.json()) {
      context.err().Line("stopped: " + WithCommas(result.objects) + " objects and " +
                         WithCommas(result.edges) + " edges of the lines before line " +
                         std::to_string(result.next_line) + " are durable");
    }
    const std::string message(result.status.message());
    return MakeError(result.status.code(), message, std::move(detail));
  }
  if (context.json()) {
    Json document = Json::object();
    document["lines"] = result.lines;
    document["objects"] = result.objects;
    document["edges"] = result.edges;
    document["skipped"] = result.skipped;
    document["seconds"] = static_cast<double>(micros) / 1e6;
    context.out().JsonLine(document);
  } else if (!context.quiet()) {
    const double seconds = std::max(1e-6, static_cast<double>(micros) / 1e6);
    context.out().Line(
        "imported " + WithCommas(result.objects) + " objects and " + WithCommas(result.edges) +
        " edges from " + WithCommas(result.lines) + " lines in " + HumanMicros(micros) + " (" +
        WithCommas(
            static_cast<int64_t>(static_cast<double>(result.objects + result.edges) / seconds)) +
        "/s)" +
        (result.skipped > 0 ? ", " + WithCommas(result.skipped) + " malformed lines left out"
                            : ""));
  }
  return absl::OkStatus();
}

void WriteTriples(const v1::ObjectWrite& write, std::ostream& out) {
  for (const v1::Edge& edge : write.edges()) {
    out << write.object().ref().key() << '\t' << edge.relation() << '\t' << edge.target().key();
    if (edge.has_weight() && edge.weight() != 1.0) {
      char weight[40];
      std::snprintf(weight, sizeof weight, "%.17g", edge.weight());
      out << '\t' << weight;
    }
    out << '\n';
  }
}

absl::Status Export(Context& context) {
  const Arguments& args = context.args();
  const std::string format = args.Get("format", "jsonl");
  if (format != "jsonl" && format != "triples") {
    return UsageError("--format is \"" + format + "\"", "--format", "use jsonl or triples");
  }
  v1::StreamObjectsRequest request;
  request.set_namespace_(context.name_space());
  request.set_key_prefix(args.Get("prefix"));
  request.set_with_edges(true);
  request.mutable_mask()->set_with_vectors(format == "jsonl");
  if (args.Has("where")) {
    COOKIX_RETURN_IF_ERROR(FillWhere(context, request.mutable_filter()).status());
  }
  COOKIX_RETURN_IF_ERROR(FillRead(context, request.mutable_options()));
  std::vector<std::string> collections;
  if (args.Has("collection")) {
    collections.push_back(context.collection());
  } else {
    v1::ListCollectionsRequest list;
    list.set_namespace_(context.name_space());
    list.set_page_size(1000);
    v1::ListCollectionsResponse response;
    do {
      list.set_page_token(response.next_page_token());
      COOKIX_CALL(context, ListCollections, list, &response);
      for (const v1::Collection& item : response.collections()) collections.push_back(item.name());
    } while (!response.next_page_token().empty());
  }

  // A file appears under its name only when it is whole.
  const std::string path = args.Get("output", "-");
  const std::string partial = path + ".partial";
  std::ofstream file;
  if (path != "-") {
    file.open(partial, std::ios::binary | std::ios::trunc);
    if (!file) return UsageError("cannot write " + partial, "--output", "check the directory");
  }
  std::ostream& out = path == "-" ? *context.environment().out : file;
  COOKIX_ASSIGN_OR_RETURN(client::Client * client, context.client());
  Progress progress(*context.environment().err, context.environment().err_is_terminal,
                    context.quiet() || path == "-", "export", 0, "objects");
  int64_t objects = 0;
  int64_t edges = 0;
  absl::Status status;
  for (const std::string& collection : collections) {
    request.set_collection(collection);
    status = client->StreamObjects(request, [&](v1::StreamObjectsResponse&& chunk) {
      for (const v1::ObjectWrite& write : chunk.objects()) {
        ++objects;
        edges += write.edges_size();
        if (format == "triples") {
          WriteTriples(write, out);
        } else {
          out << Dump(ObjectWriteToJson(write)) << '\n';
        }
      }
      progress.Update(objects);
      return static_cast<bool>(out);
    });
    if (!status.ok() || !out) break;
  }
  progress.Abandon();
  out.flush();
  if (status.ok() && !out) {
    status = absl::InternalError("the output could not be written: is the disk full?");
  }
  if (path != "-") {
    file.close();
    if (status.ok() && std::rename(partial.c_str(), path.c_str()) != 0) {
      status = absl::InternalError("cannot rename " + partial);
    }
    if (!status.ok()) std::remove(partial.c_str());
  }
  COOKIX_RETURN_IF_ERROR(status);
  if (path != "-" && !context.quiet()) {
    if (context.json()) {
      Json document = Json::object();
      document["objects"] = objects;
      document["edges"] = edges;
      document["path"] = path;
      context.out().JsonLine(document);
    } else {
      context.out().Line("exported " + WithCommas(objects) + " objects and " + WithCommas(edges) +
                         " edges to " + path);
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<Command> TransferCommands() {
  return {
      {"import",
       {},
       "load triples or JSON Lines",
       {{"FILE", "the file; - is standard input"}},
       {{"format", "triples|jsonl", "the format (default: seen from the first line)"},
        {"names", "FILE", "content of entities, key<TAB>text (triples)"},
        {"label", "NAME", "label of the entities created (triples)", 'l', true},
        {"replace-edges", "", "edges of a line replace all outgoing ones (JSON Lines)"},
        {"batch", "N", "lines of one atomic write (default 1000)"},
        {"in-flight", "N", "writes under way at once (default 4)"},
        {"skip-bad", "N", "leave out up to N malformed lines"},
        {"resume-from", "LINE", "go on with this line"},
        {"import-id", "ID", "id of the import that is resumed"},
        CollectionFlag()},
       {"cookix import train.txt --names entity2text.txt -n wordnet",
        "zcat objects.jsonl.gz | cookix import - --skip-bad 10"},
       ImportFile},
      {"export",
       {},
       "write objects with their edges, to be imported again",
       {},
       {{"format", "jsonl|triples", "the format (default jsonl)"},
        {"output", "FILE", "the file (default standard output)", 'o'},
        {"prefix", "TEXT", "only keys that start with this"},
        WhereFlag(),
        CollectionFlag(),
        {"min-position", "HEX", "read at or after this position"}},
       {"cookix export -o all.jsonl", "cookix export --format triples -c parts"},
       Export},
  };
}

}  // namespace cookix::cli
